"""Admin tokens: who may use the admin API, and how the first of them comes about (AD-06).

There is no default token. ``keyturn init`` makes a setup token, good once and for a day; whoever has it
exchanges it for the first admin token. A token never makes another that reaches further than itself.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import msgspec

from keyturn.core.actors import Actor
from keyturn.core.admin_records import ALL, SCOPES, SETUP, AdminToken
from keyturn.core.changes import Add, Replace
from keyturn.core.errors import Clash, NothingThere, NotPermitted, OperatorError
from keyturn.core.identifiers import uuid7
from keyturn.core.ports import Digester
from keyturn.core.secret import Dice, Secret, make_secret
from keyturn.core.store_ports import DeploymentStore
from keyturn.core.vocabulary import AdminTokenId, CredentialKind, OrganisationId
from keyturn.directory.events import carry_out, told
from keyturn.directory.names import check_choices, check_name
from keyturn.directory.owners import living_organisation

SETUP_LIFETIME = timedelta(days=1)


class AdminTokenWish(msgspec.Struct, frozen=True, kw_only=True):
    """What a new admin token shall be.

    Args:
        organisation_id: The one organisation that it shall reach; None for the whole deployment.
        expires_at: None for without end.
    """

    name: str
    scopes: tuple[str, ...]
    organisation_id: OrganisationId | None = None
    expires_at: datetime | None = None


async def create_admin_token(
    actor: Actor,
    store: DeploymentStore,
    wish: AdminTokenWish,
    *,
    digester: Digester,
    now: datetime,
    dice: Dice,
) -> tuple[AdminToken, Secret]:
    """Make an admin token; one that is made by a token that expires does so too, and no later.

    Returns:
        The record that is kept, and the token, which is nowhere else: show it once (AD-04).

    Raises:
        OperatorError: Something of the wish is not acceptable.
        NotPermitted: It would reach further than the actor does.
    """
    if wish.organisation_id is not None:
        await living_organisation(actor, store.organisation_store(wish.organisation_id))
    scopes = check_choices("scope", wish.scopes, SCOPES)
    _require_no_wider(actor, wish.organisation_id, scopes)
    if wish.expires_at is not None and wish.expires_at <= now:
        raise OperatorError("a token expires in the future")
    expires_at = _no_later(actor, wish.expires_at)
    accepted = msgspec.structs.replace(wish, name=check_name(wish.name), scopes=scopes, expires_at=expires_at)
    token, secret = _make(accepted, CredentialKind.ADMIN_TOKEN, digester, now, dice)
    event = told(
        "admin_token.created",
        actor,
        token.organisation_id,
        token.id,
        now=now,
        dice=dice,
        details={"scopes": " ".join(scopes)},
        personal={"name": token.name},
    )
    await carry_out(store, event, Add(token))
    return token, secret


def _require_no_wider(actor: Actor, organisation_id: OrganisationId | None, scopes: Iterable[str]) -> None:
    if actor.organisation_id is not None and organisation_id != actor.organisation_id:
        raise NotPermitted("a token of one organisation makes tokens of that organisation only")
    own = actor.admin_token
    if own is not None and not all(own.covers(scope) for scope in scopes):
        raise NotPermitted("a token cannot be given scopes that yours does not have")


def _no_later(actor: Actor, wanted: datetime | None) -> datetime | None:
    """Choose when a token expires that an actor makes: else an hour's token would be good for ever."""
    ends = None if actor.admin_token is None else actor.admin_token.expires_at
    if ends is None:
        return wanted
    if wanted is not None and wanted > ends:
        raise NotPermitted("a token cannot be given a longer life than yours has")
    return wanted or ends


async def list_admin_tokens(actor: Actor, store: DeploymentStore) -> Sequence[AdminToken]:
    """List the admin tokens there are for an actor, oldest first, ended ones included; never the tokens."""
    return [each for each in await store.admin_tokens() if _is_there(actor, each)]


async def show_admin_token(actor: Actor, store: DeploymentStore, token_id: AdminTokenId) -> AdminToken:
    """Show one admin token.

    Raises:
        NothingThere: There is none by that id, or none for this actor: the same words (TN-02).
    """
    token = await store.admin_token(token_id)
    if token is None or not _is_there(actor, token):
        raise NothingThere(f"no admin token {token_id!r}")
    return token


def _is_there(actor: Actor, token: AdminToken) -> bool:
    if actor.organisation_id is None:
        return True
    return token.organisation_id == actor.organisation_id


async def end_admin_token(
    actor: Actor, store: DeploymentStore, token_id: AdminTokenId, why: str, *, now: datetime, dice: Dice
) -> AdminToken:
    """End an admin token for good; ending twice keeps the first."""
    token = await show_admin_token(actor, store, token_id)
    if token.ended_at is not None:
        return token
    ended = _ended(token, check_name(why), now)
    event = told("admin_token.ended", actor, token.organisation_id, token.id, now=now, dice=dice)
    await carry_out(store, event, Replace(ended, token.version))
    return ended


async def make_setup_token(
    actor: Actor, store: DeploymentStore, *, digester: Digester, now: datetime, dice: Dice
) -> Secret:
    """Make a token that is good for nothing but the first admin token, once and for a day (AD-06).

    Setup tokens from before are good no longer.

    Raises:
        Clash: An admin token is alive: there is an administrator already.
    """
    there = await store.admin_tokens()
    if any(each.is_alive(now) and not each.setup for each in there):
        raise Clash("an admin token is alive; `keyturn admin-token create` makes another")
    before = [each for each in there if each.is_alive(now)]
    wish = AdminTokenWish(name="setup", scopes=(SETUP,), expires_at=now + SETUP_LIFETIME)
    token, secret = _make(wish, CredentialKind.SETUP_TOKEN, digester, now, dice)
    event = told("setup_token.created", actor, None, token.id, now=now, dice=dice)
    replaced = [Replace(_ended(each, "replaced", now), each.version) for each in before]
    await carry_out(store, event, *replaced, Add(token))
    return secret


async def make_first_setup_token(
    actor: Actor, store: DeploymentStore, *, digester: Digester, now: datetime, dice: Dice
) -> Secret | None:
    """Make a setup token where nobody has set anything up yet; None on a deployment that is in use."""
    if await store.admin_tokens() or await store.organisations():
        return None
    return await make_setup_token(actor, store, digester=digester, now=now, dice=dice)


async def exchange_setup_token(
    actor: Actor, store: DeploymentStore, name: str, *, digester: Digester, now: datetime, dice: Dice
) -> tuple[AdminToken, Secret]:
    """Exchange the actor's setup token for the first admin token, with all rights.

    Claim and successor are one unit, so that of several exchanges at once one wins (AD-06).

    Raises:
        Clash: Somebody else was first.
        NotPermitted: The actor came in with something else.
    """
    setup = actor.admin_token
    if setup is None or not setup.setup:
        raise NotPermitted("only a setup token is exchanged")
    wish = AdminTokenWish(name=check_name(name), scopes=(ALL,))
    token, secret = _make(wish, CredentialKind.ADMIN_TOKEN, digester, now, dice)
    event = told(
        "setup_token.exchanged",
        actor,
        None,
        token.id,
        now=now,
        dice=dice,
        personal={"name": token.name},
    )
    claim = Replace(_ended(setup, "exchanged", now), setup.version)
    await carry_out(store, event, claim, Add(token))
    return token, secret


def _make(
    wish: AdminTokenWish, kind: CredentialKind, digester: Digester, now: datetime, dice: Dice
) -> tuple[AdminToken, Secret]:
    secret = make_secret(kind, dice)
    pepper_id = digester.current_pepper_id
    token = AdminToken(
        id=AdminTokenId(uuid7(now, dice)),
        name=wish.name,
        organisation_id=wish.organisation_id,
        scopes=wish.scopes,
        created_at=now,
        lookup_hash=digester.lookup_hash(secret.sha256(), pepper_id),
        pepper_id=pepper_id,
        setup=kind is CredentialKind.SETUP_TOKEN,
        expires_at=wish.expires_at,
    )
    return token, secret


def _ended(token: AdminToken, why: str, now: datetime) -> AdminToken:
    return msgspec.structs.replace(token, ended_at=now, ended_why=why, version=token.version + 1)
