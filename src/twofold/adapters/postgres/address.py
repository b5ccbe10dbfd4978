"""A database and a schema in it, as a URL names them."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

import msgspec

from twofold.errors import SettingsError
from twofold.urls import without_password

EXAMPLE = "For example postgresql://user:password@host:5432/database?schema=orders"


class Address(msgspec.Struct, frozen=True):
    """What a URL says: ``dsn`` is for the driver, ``str()`` is for people and hides what is secret.

    >>> address = Address.of("postgresql://shop:secret@db1,db2/shop?schema=orders&sslmode=require")
    >>> address.schema, address.dsn
    ('orders', 'postgresql://shop:secret@db1,db2/shop?sslmode=require')
    >>> str(address)
    'postgresql://shop:***@db1,db2/shop?schema=orders&sslmode=require'
    """

    dsn: str
    schema: str
    masked: str

    @classmethod
    def of(cls, url: str) -> Address:
        """Read a URL; without ``schema=…`` the schema is ``twofold``.

        Raises:
            SettingsError: the schema's name cannot be one; the text shows a valid URL.
        """
        base, _, query = url.partition("?")
        options = dict(parse_qsl(query, keep_blank_values=True))
        masked = without_password(url)
        schema = options.pop("schema", "twofold")
        if not 0 < len(schema.encode()) <= 63 or "\0" in schema or schema.startswith("pg_"):
            raise SettingsError(
                f"{masked}: {schema!r} cannot be a schema's name; it has 1 to 63 bytes and does not begin with pg_. {EXAMPLE}"
            )
        return cls(_with_options(base, options), schema, masked)

    @property
    def quoted_schema(self) -> str:
        """The schema's name as it stands in a statement.

        >>> Address.of('postgresql:///shop?schema=the "old" one').quoted_schema
        '"the ""old"" one"'
        """
        return quoted(self.schema)

    def __str__(self) -> str:
        return self.masked

    def __repr__(self) -> str:
        """Show it as people may see it, in a debugger's list of variables too."""
        return f"Address({self.masked!r})"


def quoted(name: str) -> str:
    """Return a name as it stands in a statement."""
    return '"' + name.replace('"', '""') + '"'


def _with_options(base: str, options: dict[str, str]) -> str:
    return f"{base}?{urlencode(options, safe='*/')}" if options else base
