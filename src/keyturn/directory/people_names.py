"""What people and teams may be called, checked before it is kept: plain words where it may not."""

from collections.abc import Callable

from keyturn.core.canonical import canonical_email, canonical_user_name
from keyturn.core.errors import OperatorError
from keyturn.core.records import Organisation
from keyturn.directory.names import check_name

SERVICE_DOMAIN = "service.invalid"
"""Where no mail ever arrives (RFC 2606 section 2): the addresses of service users need no proof."""


def check_user_name(name: str) -> str:
    """Give the canonical form of a user name (PW-03)."""
    return _plainly(canonical_user_name, name)


def canonical_address(address: str) -> str:
    """Give the canonical form of an address that somebody may have, service users included."""
    return _plainly(canonical_email, address)


def check_email(address: str) -> str:
    """Give the canonical form of a person's e-mail address; none at Keyturn's own domain."""
    canonical = canonical_address(address)
    if canonical.endswith(f".{SERVICE_DOMAIN}"):
        raise OperatorError(f"addresses at {SERVICE_DOMAIN} are made by Keyturn, for service users")
    return canonical


def service_email(name: str, organisation: Organisation) -> str:
    """Make the address of a service user."""
    return _plainly(canonical_email, f"{name}@{organisation.slug}.{SERVICE_DOMAIN}")


def check_team_name(name: str) -> str:
    """Accept a team's name: it becomes a part of a path."""
    if "/" in name:
        raise OperatorError("a team's name holds no slash")
    return check_name(name)


def _plainly(canonical: Callable[[str], str], text: str) -> str:
    try:
        return canonical(text)
    except ValueError as error:
        raise OperatorError(str(error)) from None
