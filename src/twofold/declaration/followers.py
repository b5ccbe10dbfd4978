"""Which follower fills which tables, as a declaration says it."""

from __future__ import annotations

from twofold.declaration.declaration import Declaration
from twofold.errors import NotFound
from twofold.followers.shadow import shadowed
from twofold.messaging import carries_events
from twofold.views import Layout, layout, table_name


def layouts(declaration: Declaration) -> dict[str, list[Layout]]:
    """Return the tables that each follower of a service fills, by the follower's name."""
    shapes = {table_name(view): layout(view) for view in declaration.views}
    return {name: [shapes[table] for table in tables] for name, tables in declaration.followers.items()}


def filled_by(declaration: Declaration, follower: str) -> list[Layout]:
    """Return the tables that a follower fills, and that are filled anew when it is rebuilt.

    Raises:
        NotFound: it is not a view's follower; the text lists those.
    """
    found = layouts(declaration)
    if follower in found:
        return found[follower]
    known = f"The views of {declaration.name} are filled by {', '.join(found) or 'nobody'}."
    if carries_events(follower):
        raise NotFound(f"{follower} fills no view: it would publish or record everything once more. {known}")
    if follower in declaration.doing:
        raise NotFound(f"{follower} fills no view, and what it has done and sent is not done again. {known}")
    filling = [name for name, shapes in found.items() if any(follower in _names(shape) for shape in shapes)]
    hint = f" For {follower} that is {filling[0]}." if filling else ""
    raise NotFound(f"{declaration.name} has no follower {follower!r}. {known}{hint}")


def _names(shape: Layout) -> tuple[str, str]:
    return shape.table, shape.view.__name__


def check_filled(declaration: Declaration, follower: str) -> None:
    """Check that the code at hand fills or does something under a follower's name.

    Raises:
        NotFound: earlier code did, or other code does.
    """
    if (shadowed(follower) or follower) not in [*declaration.followers, *declaration.doing]:
        known = ", ".join([*declaration.followers, *declaration.starts])
        raise NotFound(
            f"Nothing in the code of {declaration.name} follows as {follower}: run the code that does, or discard what it has "
            f"parked. This code has {known or 'no followers'}."
        )
