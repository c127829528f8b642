"""A credential as an operator sees it: the record, and what the organisation's policy makes of it now."""

from datetime import datetime

import msgspec

from keyturn.core.life import Standing
from keyturn.core.records import Credential, Organisation
from keyturn.core.secret_policy import expires_at, policy_of, standing


class SecretStatus(msgspec.Struct, frozen=True):
    """A credential, its standing, and when it expires, by its own life or by policy."""

    credential: Credential
    standing: Standing
    expires_at: datetime | None


def status_of(credential: Credential, organisation: Organisation, now: datetime) -> SecretStatus:
    """Say how a credential of an organisation stands."""
    policy = policy_of(organisation)
    return SecretStatus(credential, standing(credential, policy, now), expires_at(credential, policy))
