"""Addresses of clients: which belong together, and which are a trusted proxy's."""

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address

Network = IPv4Network | IPv6Network
_LONGEST = 100


@lru_cache(4096)
def shared_by(address: str) -> str:
    """What counts as one client: an IPv4 address, or the /64 network of an IPv6 one, of which a
    single machine may use every address (RFC 7934). Any other text stands for itself.
    """
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address[:_LONGEST]
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(IPv6Network((parsed, 64), strict=False))


def is_within(address: str, networks: Iterable[Network]) -> bool:
    """Whether an address lies in one of the networks; False for what is no address."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in networks)
