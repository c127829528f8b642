"""What of a dialect can be set, by the deployment or by an organisation: part of its tables."""

from enum import StrEnum
from typing import Any

import msgspec

from keyturn.core.profile import TokenProfile
from keyturn.core.vocabulary import Algorithm


class Scope(StrEnum):
    """Who sets a setting."""

    DEPLOYMENT = "deployment"
    ORGANISATION = "organisation"


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One setting of a dialect.

    Args:
        kind: ``int``, ``str`` or ``bool``.
        minimum: The least value of an ``int``.
        maximum: The greatest value of an ``int``.
        choices: All there may be, where not everything may.
    """

    name: str
    kind: str
    default: Any
    scope: Scope
    help: str
    minimum: int | None = None
    maximum: int | None = None
    choices: tuple[str, ...] = ()


def algorithm_setting(default: Algorithm) -> Setting:
    """Declare what a dialect's access tokens are signed with."""
    return Setting(
        name="algorithm",
        kind="str",
        default=default.value,
        scope=Scope.DEPLOYMENT,
        choices=tuple(algorithm.value for algorithm in Algorithm),
        help="What access tokens are signed with.",
    )


def lifetime_setting(
    default: int,
    *,
    minimum: int,
    maximum: int,
    name: str = "lifetime_seconds",
    help_: str = "How long an access token lives.",
) -> Setting:
    """Declare how long a dialect's access tokens live, in seconds; of one kind where there are several."""
    return Setting(
        name=name,
        kind="int",
        default=default,
        scope=Scope.ORGANISATION,
        minimum=minimum,
        maximum=maximum,
        help=help_,
    )


DEPRECATED_FORMS = "deprecated_forms"


def deprecated_setting() -> Setting:
    """Declare that an organisation can refuse a dialect's deprecated fields and exchanges."""
    return Setting(
        name=DEPRECATED_FORMS,
        kind="bool",
        default=True,
        scope=Scope.ORGANISATION,
        help="Whether forms that the contract calls deprecated are honoured.",
    )


PASSWORD_GRANT = "password_grant"


def password_setting() -> Setting:
    """Declare that passwords are exchanged only where an organisation allows it (RFC 9700 section 2.4)."""
    return Setting(
        name=PASSWORD_GRANT,
        kind="bool",
        default=False,
        scope=Scope.ORGANISATION,
        help="Whether users' passwords may be exchanged for tokens: for callers that know no other way.",
    )


def issuer_setting(default: str) -> Setting:
    """Declare the ``iss`` of a dialect's tokens: a path below the public URL, or a whole URL."""
    return Setting(
        name="issuer",
        kind="str",
        default=default,
        scope=Scope.DEPLOYMENT,
        help="The issuer that tokens name; a path below the public URL, or a whole URL.",
    )


def refresh_settings(profile: TokenProfile) -> tuple[Setting, ...]:
    """Declare how a dialect's refresh families live, with a profile's defaults."""
    return (
        Setting(
            name="refresh_lifetime_seconds",
            kind="int",
            default=profile.refresh_lifetime_seconds,
            scope=Scope.ORGANISATION,
            minimum=60,
            maximum=366 * 86_400,
            help="The absolute end of a refresh family, however often it is renewed.",
        ),
        Setting(
            name="refresh_grace_seconds",
            kind="int",
            default=profile.refresh_grace_seconds,
            scope=Scope.ORGANISATION,
            minimum=0,
            maximum=60,
            help="How long a used refresh token still gives the same successor: an answer was lost.",
        ),
        Setting(
            name=profile.refresh_mode_setting,
            kind="str",
            default=profile.refresh_mode,
            scope=Scope.ORGANISATION,
            choices=("rotate", "reuse"),
            help="Whether each use replaces the refresh token; reuse is for callers that keep the first one.",
        ),
    )
