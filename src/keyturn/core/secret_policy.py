"""What an organisation demands of its credentials beyond their own life. Pure.

Asked at each use, so that a policy applies to what was made before it and waits for no job (TK-09). A policy
never prolongs anything: it only makes what the life calls good expired or dormant. Source: design.md
section 3.
"""

from datetime import date, datetime, timedelta

import msgspec

from keyturn.core.life import Standing
from keyturn.core.records import Credential, Organisation
from keyturn.core.vocabulary import CredentialKind

ON_LEAK = "on_leak"
"""The setting that says what becomes of a secret that was found in public."""
LEAK_RULES = ("end", "disable", "notify")
GROUP = "policy"
"""Where an organisation's settings keep it, beside those of the dialects."""


class SecretPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """An organisation's demands; None for none.

    Args:
        max_secret_days: No secret is accepted longer than that after it was made.
        dormant_after_days: A credential not used for so long is refused until it is enabled again.
        secrets_made_before: Secrets made before that day (UTC) are refused: forced expiry after a leak.
    """

    max_secret_days: int | None = None
    dormant_after_days: int | None = None
    secrets_made_before: date | None = None


NO_POLICY = SecretPolicy()


def policy_of(organisation: Organisation) -> SecretPolicy:
    """Give an organisation's policy."""
    kept = organisation.settings.get(GROUP)
    return NO_POLICY if kept is None else msgspec.convert(kept, SecretPolicy)


def expires_at(credential: Credential, policy: SecretPolicy) -> datetime | None:
    """Say when a credential expires: by its own life or by the policy, whichever is first; None for never."""
    life = credential.life
    ends = [] if life.expires_at is None else [life.expires_at]
    if credential.kind is CredentialKind.CLIENT_SECRET:
        if policy.max_secret_days is not None:
            ends.append(life.created_at + timedelta(days=policy.max_secret_days))
        if policy.secrets_made_before is not None and life.created_at.date() < policy.secrets_made_before:
            ends.append(life.created_at)
    return min(ends, default=None)


def standing(credential: Credential, policy: SecretPolicy, now: datetime) -> Standing:
    """Say what may be done with a credential of an organisation at ``now``: the strongest objection wins."""
    by_life = credential.life.standing(now)
    if by_life is not Standing.GOOD or policy is NO_POLICY:
        return by_life
    ends = expires_at(credential, policy)
    if ends is not None and now >= ends:
        return Standing.EXPIRED
    return Standing.DORMANT if is_dormant(credential, policy, now) else Standing.GOOD


def is_dormant(credential: Credential, policy: SecretPolicy, now: datetime) -> bool:
    """Tell whether a credential has not been used, made or enabled for longer than the policy allows."""
    if policy.dormant_after_days is None:
        return False
    days = (credential.life.created_at.date(), credential.last_used_on, credential.woken_on)
    return (now.date() - max(day for day in days if day is not None)).days > policy.dormant_after_days
