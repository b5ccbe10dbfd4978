"""What a broker's URL says, and what is told of one that cannot be meant."""

import pytest

from twofold.adapters.broker_url import BrokerUrl
from twofold.errors import SettingsError


@pytest.mark.parametrize("sign", ["/", "?", "#"])
def test_a_password_that_is_not_encoded_is_told_and_not_shown(sign: str) -> None:
    """What follows the sign looks like a path, an option or a fragment, and is secret all the same."""
    with pytest.raises(SettingsError, match="written as %2F") as told:
        BrokerUrl.of(f"redis://shop:open{sign}sesame@broker", 6379, ["stream"], "For example redis://broker")
    assert "sesame" not in str(told.value)


def test_a_password_that_is_encoded_may_have_any_sign() -> None:
    """It is decoded once, and hidden."""
    url = BrokerUrl.of("redis://shop:open%2F%3F%23%40sesame@broker", 6379, [], "")
    assert (url.password, str(url)) == ("open/?#@sesame", "redis://shop:***@broker")
