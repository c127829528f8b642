"""Who stands behind an address."""

import pytest

from keyturn.core.addresses import subscriber


@pytest.mark.parametrize(
    ("address", "named"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("", ""),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::ffff", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unix:socket", "unix:socket"),
    ],
)
def test_subscriber(address, named):
    """HT-05 and RL-01: IPv6 is counted by /64, and IPv4 on a dual-stack socket by its own address."""
    assert subscriber(address) == named
