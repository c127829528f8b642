"""Who stands behind an address: one subscriber, whatever addresses a provider lets them choose."""

import ipaddress
from functools import lru_cache

ADDRESSES_KEPT = 1024
"""Callers' addresses whose subscribers are remembered."""


@lru_cache(maxsize=ADDRESSES_KEPT)
def subscriber(address: str) -> str:
    """Name an IPv4 address, or the /64 that one IPv6 subscriber usually owns (RL-01).

    Counting each IPv6 address alone would give an attacker 2**64 of everything. What is no IP address (a
    Unix socket) is its own name.
    """
    if ":" not in address:
        return address
    try:
        ip = ipaddress.IPv6Address(address)
    except ValueError:
        return address
    # On a dual-stack socket all of IPv4 is one /64.
    return str(ip.ipv4_mapped or ipaddress.IPv6Network((int(ip), 64), strict=False))
