"""Whose request is it? The socket's address, or what a trusted proxy says (RL-01)."""

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address

Network = IPv4Network | IPv6Network


def client_address(socket_address: str, forwarded: Sequence[bytes], trusted: Sequence[Network]) -> str:
    """Give the address that limits and the audit trail go by.

    ``X-Forwarded-For`` is read from its end, past the proxies that are trusted; a part that is no address
    ends the reading, so nobody beyond the last trusted proxy can choose the answer.

    Args:
        socket_address: The peer's address.
        forwarded: Every ``X-Forwarded-For`` value, in order.
        trusted: Networks of configured proxies; empty believes nobody.
    """
    if not trusted or not _within(socket_address, trusted):
        return socket_address
    hops = [hop.strip() for value in forwarded for hop in value.decode("latin-1").split(",")]
    for hop in reversed(hops):
        try:
            address = str(ip_address(hop))
        except ValueError:
            return socket_address
        if not _within(address, trusted):
            return address
        socket_address = address
    return socket_address


def _within(address: str, networks: Sequence[Network]) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped  # how a listener for both families shows an IPv4 peer
    return any(parsed in network for network in networks)
