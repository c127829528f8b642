"""A leak report: somebody whom we trust found a text in public. Is it a secret of ours, and what follows?

Whatever it was, the reporter learns one thing: whether we made it. What happens to it is the organisation's
rule (``policy.on_leak``); what was dealt with before is not dealt with, nor told, again.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec

from keyturn.core.admin_records import AdminToken
from keyturn.core.changes import Add, Change, Lost, Replace, Unit
from keyturn.core.errors import Unavailable
from keyturn.core.life import State
from keyturn.core.notices import KEPT, Happening, notice_of
from keyturn.core.profile import TokenProfile
from keyturn.core.records import AuditEvent, Credential, Organisation, RefreshFamily, Revocation, Spent
from keyturn.core.secret import MASTER_KEY_PREFIX, SECRET_PATTERN, Secret, parse_secret
from keyturn.core.secret_policy import GROUP, LEAK_RULES, ON_LEAK
from keyturn.core.store_ports import DeploymentStore
from keyturn.core.vocabulary import CredentialKind, OrganisationId, Reason
from keyturn.exchange.family import end_family
from keyturn.exchange.locate import locate_family
from keyturn.exchange.services import Services
from keyturn.exchange.status import mark_of
from keyturn.tokens.own import OwnClaim, unverified_organisation

TRIES = 4
"""Somebody else may change it in the same moment; the next look finds it as it is then."""
_END, _DISABLE, _NOTIFY = LEAK_RULES
_DONE = {_END: "ended", _DISABLE: "disabled", _NOTIFY: "nothing"}
_MOST_CHARS = 2_000
MasterKeyIn = Callable[[str], str | None]
"""Gives the id of the master key that a text is, where it is one of the deployment's."""


class LeakReport(msgspec.Struct, frozen=True, kw_only=True):
    """A text that was found, and where; all of it is the reporter's word.

    Args:
        reporter: The id of the key that signed the report.
        address: Whence it came.
    """

    token: Secret
    url: str
    source: str
    reporter: str
    address: str
    request_id: str


class _Found(msgspec.Struct, frozen=True, kw_only=True):
    """What a reported text is, and the changes by which it ends.

    Args:
        done: What the changes do, in a word.
        once: A name of the leak, where nothing about the secret itself shows that it was told already.
    """

    id: str
    kind: str
    owner: str
    organisation_id: OrganisationId | None
    done: str
    changes: tuple[Change, ...] = ()
    once: str | None = None


async def take_leak(
    report: LeakReport,
    services: Services,
    store: DeploymentStore,
    profiles: Sequence[TokenProfile],
    master_key_in: MasterKeyIn,
    now: datetime,
) -> bool:
    """Deal with a text that was found in public, and tell whether it is a secret that we made.

    Raises:
        Unavailable: It cannot be looked up or ended now; the reporter shall come again.
    """
    for _ in range(TRIES):
        known, found = await _look_up(report.token, services, store, profiles, master_key_in, now)
        if found is None:
            return known
        outcome = await services.recorder.record(_unit(report, found, now))
        if not isinstance(outcome, Lost) or isinstance(outcome.change, Add):
            return True  # a lost claim of ``once``: it was told before
    raise Unavailable(Reason.LOST_RACE)


async def _look_up(
    token: Secret,
    services: Services,
    store: DeploymentStore,
    profiles: Sequence[TokenProfile],
    master_key_in: MasterKeyIn,
    now: datetime,
) -> tuple[bool, _Found | None]:
    """Tell whether a text is ours, and what is still to be done about it.

    The checksum is looked at first, so that other text costs no read.
    """
    kind = parse_secret(token.reveal())
    if kind is None and token.reveal().startswith(MASTER_KEY_PREFIX):
        key_id = master_key_in(token.reveal())
        return key_id is not None, None if key_id is None else _master_key(key_id)
    if kind is None:
        return await _access_token(token, services, profiles, now)
    if kind is CredentialKind.REFRESH_TOKEN:
        return await _family(token, services, profiles, now)
    hashes = services.digester.lookup_hashes(token.sha256())
    if kind in (CredentialKind.ADMIN_TOKEN, CredentialKind.SETUP_TOKEN):
        held = await services.registry.find_admin_token(hashes)
        return held is not None, None if held is None else _admin_token(held, now)
    credential = await store.credential_by_hash(hashes)
    if credential is None or credential.kind is not kind:
        return False, None
    return True, await _credential(credential, services, now)


async def _credential(credential: Credential, services: Services, now: datetime) -> _Found | None:
    rule = await _rule(credential.organisation_id, services)
    life = credential.life
    if rule is None or life.state is State.ENDED or (rule == _DISABLE and life.disabled):
        return None
    changes: tuple[Change, ...] = ()
    if rule != _NOTIFY:
        life = life.ended(now, "leaked") if rule == _END else msgspec.structs.replace(life, disabled=True)
        # The epoch ends every token that was minted from it (RV-04).
        ended = msgspec.structs.replace(
            credential, life=life, epoch=credential.epoch + 1, version=credential.version + 1
        )
        changes = (Replace(ended, credential.version),)
    return _Found(
        id=credential.id,
        kind=credential.kind.value,
        owner=credential.owner_id,
        organisation_id=credential.organisation_id,
        done=_DONE[rule],
        changes=changes,
        once=credential.id if rule == _NOTIFY else None,
    )


def _admin_token(token: AdminToken, now: datetime) -> _Found | None:
    """End an admin token, whatever the rule: it is no organisation's to keep."""
    if not token.is_alive(now):
        return None
    ended = msgspec.structs.replace(token, ended_at=now, ended_why="leaked", version=token.version + 1)
    kind = CredentialKind.SETUP_TOKEN if token.setup else CredentialKind.ADMIN_TOKEN
    return _Found(
        id=token.id,
        kind=kind.value,
        owner=token.id,
        organisation_id=token.organisation_id,
        done=_DONE[_END],
        changes=(Replace(ended, token.version),),
    )


def _master_key(key_id: str) -> _Found:
    """Tell of a master key, which only an operator can replace."""
    name = f"master_key:{key_id}"
    return _Found(
        id=key_id, kind="master_key", owner="deployment", organisation_id=None, done=_DONE[_NOTIFY], once=name
    )


async def _family(
    token: Secret, services: Services, profiles: Sequence[TokenProfile], now: datetime
) -> tuple[bool, _Found | None]:
    """End the family of any refresh token that we made, a used one too: a thief may have had it for long."""
    held = await locate_family(token, services.registry, services.digester)
    if held is None:
        return False, None
    family = held[1]
    rule = await _rule(family.organisation_id, services)
    profile = next((each for each in profiles if each.kind == family.profile), None)
    if rule is None or family.ended_at is not None or now >= family.ends_at or profile is None:
        return True, None
    changes = () if rule == _NOTIFY else end_family(family, profile, "leaked", services, now)
    return True, _of_token(family.id, CredentialKind.REFRESH_TOKEN, family, changes)


async def _access_token(
    token: Secret, services: Services, profiles: Sequence[TokenProfile], now: datetime
) -> tuple[bool, _Found | None]:
    """Revoke a JWT of ours; one that has expired is nothing any more."""
    claimed = unverified_organisation(token.reveal())
    organisation = None if claimed is None else await services.registry.find_organisation_alias(claimed)
    if organisation is None or organisation.id != claimed:
        return False, None
    verified = await services.own_tokens.verify(token, tuple(profiles), organisation, now)
    if verified is None or verified.own.organisation_id != organisation.id:
        return False, None
    rule = await _rule(organisation.id, services)
    if rule is None or services.revocations.covers(verified.token_id, verified.own.family_id):
        return True, None
    revocation = Revocation(
        id=verified.token_id,
        organisation_id=organisation.id,
        revoked_at=now,
        expires_at=verified.expires_at,
    )
    changes: tuple[Change, ...] = () if rule == _NOTIFY else (Add(revocation), *mark_of(verified))
    return True, _of_token(verified.token_id, CredentialKind.ACCESS_TOKEN, verified.own, changes)


def _of_token(
    name: str, kind: CredentialKind, of: RefreshFamily | OwnClaim, changes: tuple[Change, ...]
) -> _Found:
    return _Found(
        id=name,
        kind=kind.value,
        owner=of.credential_id,
        organisation_id=of.organisation_id,
        done=_DONE[_END if changes else _NOTIFY],
        changes=changes,
        once=None if changes else name,
    )


async def _rule(organisation_id: OrganisationId, services: Services) -> str | None:
    """Give what an organisation wants done; None where it has ended, and all it had with it."""
    organisation: Organisation | None = await services.registry.find_organisation_alias(organisation_id)
    if organisation is None or organisation.ended_at is not None:
        return None
    rule = organisation.setting(GROUP, ON_LEAK, _END)
    return rule if rule in LEAK_RULES else _END


def _unit(report: LeakReport, found: _Found, now: datetime) -> Unit:
    event = AuditEvent(
        at=now,
        kind=Happening.LEAKED.value,
        actor=f"reporter:{report.reporter}",
        request_id=report.request_id,
        organisation_id=found.organisation_id,
        subject=found.id,
        details={"kind": found.kind, "owner": found.owner, "done": found.done},
        personal={
            "url": _without(report.token, report.url),
            "source": _without(report.token, report.source),
            "address": report.address,
        },
    )
    changes: tuple[Change, ...] = (*found.changes, Add(notice_of(event)))
    if found.once is not None:
        claim = Spent(
            id=f"leak:{found.once}",
            organisation_id=found.organisation_id or OrganisationId(""),
            expires_at=now + KEPT,
        )
        changes = (Add(claim), *changes)
    return Unit(changes=changes, audit=event)


def _without(token: Secret, text: str) -> str:
    """Shorten a text, and take the secret itself out of it, which a URL may repeat, and any other (HT-07)."""
    return SECRET_PATTERN.sub("***", text.replace(token.reveal(), "***"))[:_MOST_CHARS]
