"""Which roles does a token stand for, and what do they permit? Pure; asked anew at each use."""

from collections.abc import Iterable, Mapping

from keyturn.core.records import Credential, Membership


def roles_in(dialect: str, membership: Membership, credential: Credential | None) -> tuple[str, ...]:
    """Name a member's roles of a dialect, without its name: never more than the credential was made for."""
    prefix = dialect + ":"
    ceiling = None if credential is None else credential.roles
    held = (role for role in membership.roles if ceiling is None or role in ceiling)
    return tuple(role.removeprefix(prefix) for role in held if role.startswith(prefix))


def permitted_by(dialect: str, names: Iterable[str], table: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """Give all that some roles of a dialect permit; a role that is no longer in the table permits nothing.

    Args:
        table: ``<dialect>:<role>`` -> permissions.
    """
    return frozenset().union(*(table.get(f"{dialect}:{name}", frozenset()) for name in names))
