"""Which hosts and addresses we connect to. Pure, but for asking the resolver (HT-10).

A name on the list may still lead inside: a record that points to 127.0.0.1, or one that answers differently
the second time (DNS rebinding). So the addresses are asked for once, each of them is looked at, and the
connection goes to one of those, never to the name again.
"""

import socket
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from keyturn.core.notices import NO_ANSWER, NotDelivered
from keyturn.outward.aside import aside

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""Gives the addresses of a host."""
HTTPS_PORT = 443

_EMBEDDED_V4 = ip_network("64:ff9b::/96")
"""NAT64: the last 32 bits are an IPv4 address (RFC 6052)."""
_GLOBAL_V6 = ip_network("2000::/3")
"""All there is of the open Internet (RFC 4291 section 2.4); IPv4 wrapped in older ways is elsewhere."""
_INSIDE = tuple(
    ip_network(each)
    for each in (
        "168.63.129.16/32",  # public by its number, and yet a cloud's inside: Azure's wire server
        "192.0.0.0/24",  # Oracle's metadata among them; Python's releases differ about it
        "192.88.99.0/24",
        "2001::/23",  # Teredo among them
        "3fff::/20",
    )
)
"""What is not public, whatever ``is_global`` of this Python says (IANA's special-purpose registries)."""
_NO_ADDRESS = "the host's name does not resolve"


async def resolve(host: str, port: int) -> Sequence[str]:
    """Ask the system's resolver for a host's addresses.

    Raises:
        NotDelivered: There are none.
    """
    try:
        found = await aside(partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM))
    except OSError:
        raise NotDelivered(NO_ANSWER, _NO_ADDRESS) from None
    return list(dict.fromkeys(str(each[4][0]) for each in found))


def is_listed(host: str, hosts: Sequence[str]) -> bool:
    """Tell whether a host is on a list of names and of ``*.`` patterns, which stand for one label or more."""
    return any(host.endswith(each[1:]) if each.startswith("*.") else host == each for each in hosts)


def is_place_listed(host: str, port: int, places: Sequence[str]) -> bool:
    """Tell whether a host is listed with this port; without one an entry means the port of ``https``.

    A certificate is for a name, whatever the port, and a host has more ports than its owner has in mind.
    """
    named = (each.partition(":") for each in places)
    return is_listed(host, [name for name, _, listed in named if int(listed or HTTPS_PORT) == port])


def checked(addresses: Sequence[str], loopback: Sequence[str]) -> Sequence[str]:
    """Give the addresses if we may connect to every one of them: one bad record spoils the name.

    Args:
        addresses: As the resolver gave them.
        loopback: Addresses of this machine that are allowed all the same.

    Raises:
        NotDelivered: There is none, or one leads inside.
    """
    if not addresses:
        raise NotDelivered(NO_ANSWER, _NO_ADDRESS)
    for each in addresses:
        if each not in loopback and not is_public(each):
            raise NotDelivered(NO_ANSWER, "the host's name leads to an address that is not public")
    return addresses


def is_public(text: str) -> bool:
    """Tell whether an address is somewhere in the open Internet, whatever it is wrapped in."""
    try:
        address = _unwrapped(ip_address(text.partition("%")[0]))
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address not in _GLOBAL_V6:
        return False
    return address.is_global and not address.is_multicast and not any(address in each for each in _INSIDE)


def _unwrapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Give the IPv4 address that an IPv6 address stands for: mapped, 6to4, NAT64."""
    if isinstance(address, IPv4Address):
        return address
    inner = address.ipv4_mapped or address.sixtofour
    if inner is None and address in _EMBEDDED_V4:
        inner = IPv4Address(address.packed[-4:])
    return inner or address
