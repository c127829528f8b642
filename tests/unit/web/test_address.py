"""Whose request it is: nobody beyond the last trusted proxy chooses the answer."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.web.address import client_address

PROXIES = [ip_network("10.0.0.0/8"), ip_network("2001:db8::/32")]


@pytest.mark.parametrize(
    ("socket", "forwarded", "address"),
    [
        ("192.0.2.1", [], "192.0.2.1"),
        ("192.0.2.1", [b"198.51.100.7"], "192.0.2.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", [b"198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", [b" 198.51.100.7 "], "198.51.100.7"),
        ("10.0.0.1", [b"6.6.6.6, 198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", [b"6.6.6.6, 198.51.100.7, 10.9.9.9"], "198.51.100.7"),
        ("10.0.0.1", [b"6.6.6.6", b"198.51.100.7,10.9.9.9"], "198.51.100.7"),
        ("10.0.0.1", [b"10.1.1.1, 10.2.2.2"], "10.1.1.1"),
        ("10.0.0.1", [b"6.6.6.6, nonsense"], "10.0.0.1"),
        ("10.0.0.1", [b"6.6.6.6, nonsense, 10.3.3.3"], "10.3.3.3"),
        ("10.0.0.1", [b""], "10.0.0.1"),
        ("10.0.0.1", [b"6.6.6.6, "], "10.0.0.1"),
        ("10.0.0.1", [b"198.51.100.7:443"], "10.0.0.1"),
        ("10.0.0.1", [b"\xff\xfe"], "10.0.0.1"),
        ("10.0.0.1", [b"unknown"], "10.0.0.1"),
        ("2001:db8::1", [b"2001:DB9:0::7"], "2001:db9::7"),
        ("", [b"198.51.100.7"], ""),
        ("unix", [b"198.51.100.7"], "unix"),
    ],
)
def test_address(socket, forwarded, address):
    """RL-01: the address is the socket's, or the last one that a trusted proxy did not add itself."""
    assert client_address(socket, forwarded, PROXIES) == address


@given(st.text(), st.lists(st.binary(max_size=40)))
def test_nobody_is_trusted(socket, forwarded):
    """RL-01: without trusted proxies the header changes nothing."""
    assert client_address(socket, forwarded, []) == socket


@given(st.lists(st.binary(max_size=40) | st.sampled_from([b"10.1.1.1", b"6.6.6.6"])))
def test_beyond_the_proxy(spoofed):
    """RL-01: whatever a caller sends, the proxy's own entry decides."""
    assert client_address("10.0.0.1", [*spoofed, b"198.51.100.7"], PROXIES) == "198.51.100.7"
