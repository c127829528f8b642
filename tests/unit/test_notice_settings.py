"""The settings of notices: where webhooks may go, and how many mails of a day there are."""

import pytest

from keyturn.config import load_settings
from keyturn.core.errors import ConfigError
from keyturn.core.notices import Channel
from keyturn.telling import open_telling


def load(name, text):
    """Load the settings with one of notices given."""
    return load_settings(flags={}, environ={f"KEYTURN_NOTICES__{name}": text}).notices


def test_hosts_with_ports():
    """HT-10: a host, or a pattern, may name a port; one that names none means that of https."""
    asked = open_telling(load("HOSTS", "hooks.example.com, *.example.net:8443")).sender.is_allowed
    for url, allowed in (
        ("https://hooks.example.com/in", True),
        ("https://hooks.example.com:8443/in", False),
        ("https://a.example.net:8443/in", True),
        ("https://a.example.net/in", False),
    ):
        assert (asked(Channel.WEBHOOK, url) is None) is allowed, url


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("HOSTS", "hooks.example.com:"),
        ("HOSTS", "hooks.example.com:0"),
        ("HOSTS", "hooks.example.com:65536"),
        ("HOSTS", "hooks.example.com:+443"),
        ("HOSTS", "hooks.example.com:*"),
        ("HOSTS", ":443"),
        ("HOSTS", "[::1]:443"),
        ("MAIL_DOMAINS", "example.com:25"),
        ("MAILS_A_DAY", "0"),
    ],
)
def test_what_is_no_setting(name, text):
    """A port is a number that there is, a domain has none, and there is a mail or more."""
    with pytest.raises(ConfigError, match=name):
        load(name, text)
