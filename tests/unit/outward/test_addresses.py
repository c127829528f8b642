"""Where we connect to: names on a list, addresses in the open Internet (HT-10)."""

import pytest

from keyturn.core.notices import NotDelivered
from keyturn.outward.addresses import checked, is_listed, is_public


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "0.0.0.0",  # nobody listens
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1%eth0",
        "fd00:ec2::254",
        "ff02::1",
        "::ffff:10.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "::7f00:1",
        "::ffff:0:7f00:1",
        "5f00::1",
        "3fff::1",
        "nonsense",
    ],
)
def test_what_leads_inside(address):
    """HT-10: private, loopback, link-local, metadata and multicast addresses are refused, even wrapped."""
    assert not is_public(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700:4700::1111", "64:ff9b::101:101"])
def test_what_is_public(address):
    """Addresses in the open Internet are good."""
    assert is_public(address)


def test_one_bad_record_spoils_a_name():
    """A name with one address inside is refused whole; a listed loopback address is good."""
    assert checked(["1.1.1.1"], ()) == ["1.1.1.1"]
    assert checked(["127.0.0.1"], ("127.0.0.1",)) == ["127.0.0.1"]
    for addresses in (["1.1.1.1", "10.0.0.1"], ["127.0.0.2"], []):
        with pytest.raises(NotDelivered):
            checked(addresses, ("127.0.0.1",))


def test_names_are_listed_whole():
    """A pattern stands for one label or more in front, and nothing else."""
    assert is_listed("hooks.example.com", ("hooks.example.com",))
    assert is_listed("a.b.example.com", ("*.example.com",))
    for host in ("example.com", "badexample.com", "hooks.example.com.evil.org", "hooks.example.com."):
        assert not is_listed(host, ("*.example.com", "hooks.example.com")), host
