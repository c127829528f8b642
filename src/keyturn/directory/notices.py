"""Subscriptions to notices: who outside hears of what, and how; and what became of it.

A webhook's secret is shown once, when it is made (AD-04); of two that sign during a rotation the older one
ends by itself.
"""

from collections.abc import Sequence
from datetime import datetime
from itertools import count

import msgspec

from keyturn.core.actors import Actor
from keyturn.core.changes import Add, Change, Replace
from keyturn.core.errors import Clash, NothingThere, OperatorError
from keyturn.core.identifiers import uuid7
from keyturn.core.notices import (
    KINDS,
    OLD_SECRET,
    ORDER_KEPT,
    Channel,
    Delivery,
    Happening,
    Outbox,
    Sender,
    Subscription,
    id_of_test,
    make_notice,
    make_webhook_secret,
    spell_webhook_secret,
    told_of,
    webhook_secrets,
)
from keyturn.core.ports import Sealer
from keyturn.core.records import AuditEvent
from keyturn.core.sealed_values import open_value, place_of
from keyturn.core.secret import Dice, Secret
from keyturn.core.store_ports import DeploymentStore
from keyturn.core.vocabulary import OrganisationId
from keyturn.directory.events import attempt, carry_out, explained, told
from keyturn.directory.names import check_choices
from keyturn.directory.owners import living_organisation, raise_version

MOST_LIVING = 20
"""Subscriptions of one organisation, or of the deployment: each multiplies what is sent."""
MOST_A_MONTH = 200
"""With those that ended within a month: whoever sends reads them all."""
_RACES = 50
"""Each is lost to another subscription, or to a change of the organisation; more than there may be living."""


class SubscriptionWish(msgspec.Struct, frozen=True, kw_only=True):
    """What a new subscription shall be; without an organisation it hears of everything."""

    channel: Channel
    target: str
    kinds: tuple[str, ...] = KINDS
    organisation_id: OrganisationId | None = None


async def create_subscription(
    actor: Actor,
    store: DeploymentStore,
    outbox: Outbox,
    wish: SubscriptionWish,
    *,
    sender: Sender,
    sealer: Sealer,
    now: datetime,
    dice: Dice,
) -> tuple[Subscription, Secret | None]:
    """Make a subscription.

    Returns:
        The record that is kept, and of a webhook its secret, which is shown once.

    Raises:
        OperatorError: The settings do not let anything go there, or something of the wish is not acceptable.
        NothingThere: There is no such organisation for this actor.
        Clash: There are enough, or others change the organisation again and again.
    """
    _require_reach(actor, wish.organisation_id)
    kinds = check_choices("kind", wish.kinds, KINDS)
    # The mail server is the operator's, and so is its good name: an organisation's administrator may not
    # have it mail just anybody.
    confined = actor.organisation_id is not None
    if refused := sender.is_allowed(wish.channel, wish.target, listed=confined):
        raise OperatorError(refused)
    name, secret = uuid7(now, dice), make_webhook_secret(dice)
    webhook = wish.channel is Channel.WEBHOOK
    subscription = Subscription(
        id=name,
        organisation_id=wish.organisation_id,
        channel=wish.channel,
        target=wish.target,
        kinds=kinds,
        created_at=now,
    )
    if webhook:
        sealed = sealer.seal(*place_of(subscription), secret)
        subscription = msgspec.structs.replace(subscription, secret=sealed)
    event = told(
        "notice_subscription.created",
        actor,
        subscription.organisation_id,
        name,
        now=now,
        dice=dice,
        details={"channel": subscription.channel.value, "kinds": " ".join(kinds)},
        personal={"target": subscription.target},
    )
    await _add(actor, store, outbox, subscription, event)
    return subscription, spell_webhook_secret(secret) if webhook else None


async def _add(
    actor: Actor, store: DeploymentStore, outbox: Outbox, subscription: Subscription, event: AuditEvent
) -> None:
    """Add a subscription where there is room for it; who meets others counts again."""
    whose = subscription.organisation_id
    for races in count(1):
        guard: list[Change] = []
        if whose is not None:
            # Of two that count at once one loses, or the limit would be none to whoever asks often enough.
            guard = [raise_version(await living_organisation(actor, store.organisation_store(whose)))]
        await _require_room(actor, outbox, whose)
        lost = await attempt(store, event, *guard, Add(subscription))
        if lost is None:
            return
        # Else what came along lost: the answer to a request that was sent twice.
        if races == _RACES or lost.change not in guard:
            raise explained(lost)


async def _require_room(actor: Actor, outbox: Outbox, organisation_id: OrganisationId | None) -> None:
    listed = await list_subscriptions(actor, outbox, organisation_id)
    there = [each for each in listed if each.organisation_id == organisation_id]
    if sum(each.ended_at is None for each in there) >= MOST_LIVING:
        raise Clash(f"there are {MOST_LIVING} subscriptions already; end one first")
    if len(there) >= MOST_A_MONTH:
        raise Clash(
            f"there were {MOST_A_MONTH} subscriptions within a month; wait until ended ones are forgotten"
        )


async def list_subscriptions(
    actor: Actor, outbox: Outbox, of: OrganisationId | None = None
) -> Sequence[Subscription]:
    """List an actor's subscriptions, of one organisation or all there are: oldest first, ended ones too."""
    found = await outbox.subscriptions(of or actor.organisation_id)
    return [each for each in found if _is_there(actor, each.organisation_id)]


async def show_subscription(actor: Actor, outbox: Outbox, subscription_id: str) -> Subscription:
    """Show one subscription.

    Raises:
        NothingThere: There is none by that id, or none for this actor: the same words (TN-02).
    """
    found = await outbox.subscription(subscription_id)
    if found is None or not _is_there(actor, found.organisation_id):
        raise NothingThere(f"no subscription {subscription_id!r}")
    return found


async def end_subscription(
    actor: Actor, store: DeploymentStore, outbox: Outbox, subscription_id: str, *, now: datetime, dice: Dice
) -> Subscription:
    """End a subscription, with its secrets; ending twice keeps the first."""
    subscription = await show_subscription(actor, outbox, subscription_id)
    if subscription.ended_at is not None:
        return subscription
    ended = msgspec.structs.replace(subscription, ended_at=now, secret=None, version=subscription.version + 1)
    await _change(actor, store, subscription, ended, "notice_subscription.ended", now=now, dice=dice)
    return ended


async def rotate_subscription(
    actor: Actor,
    store: DeploymentStore,
    outbox: Outbox,
    subscription_id: str,
    *,
    sealer: Sealer,
    now: datetime,
    dice: Dice,
) -> tuple[Subscription, Secret]:
    """Make a webhook's secret anew; for a day every message is signed with the old one too.

    Raises:
        Clash: It has ended, is no webhook, or the secret before the present one still signs.
    """
    subscription = await _living(actor, outbox, subscription_id)
    if subscription.secret is None:
        raise Clash("only a webhook has a secret")
    if subscription.previous_until is not None and now < subscription.previous_until:
        raise Clash(f"two secrets sign until {subscription.previous_until.isoformat()}; rotate after that")
    secret = make_webhook_secret(dice)
    before = webhook_secrets(open_value(subscription, sealer))[0]
    rotated = msgspec.structs.replace(
        subscription,
        secret=sealer.seal(*place_of(subscription), secret + before),
        previous_until=now + OLD_SECRET,
        version=subscription.version + 1,
    )
    await _change(actor, store, subscription, rotated, "notice_subscription.rotated", now=now, dice=dice)
    return rotated, spell_webhook_secret(secret)


async def send_test(
    actor: Actor, store: DeploymentStore, outbox: Outbox, subscription_id: str, *, now: datetime, dice: Dice
) -> str:
    """Put a notice of no consequence into the outbox, for one subscription; gives its id.

    One that is not taken is tried again by itself, at first soon, and lets later notices past after a while:
    until then there is no other. So whoever may ask cannot fill the outbox, nor send more than one a run. Of
    mail there is none after one that arrived either: a mailbox is full sooner than a log of calls.

    Raises:
        Clash: The subscription has ended, or a test of it is on its way, or a mail was sent lately.
    """
    subscription = await _living(actor, outbox, subscription_id)
    since = now - ORDER_KEPT
    if await outbox.has_test(subscription.id, since):
        raise Clash("a test is on its way, and tried again by itself; the outbox shows what became of it")
    if subscription.channel is Channel.MAIL and await outbox.has_test(subscription.id, since, settled=True):
        raise Clash("a test was sent by mail already; there may be another a quarter of an hour after it")
    notice = make_notice(
        id_of_test(subscription.id, uuid7(now, dice)),
        Happening.TEST,
        subscription.organisation_id,
        now,
        subscription=subscription.id,
    )
    event = told("notice.tested", actor, subscription.organisation_id, subscription.id, now=now, dice=dice)
    await carry_out(store, event, raise_version(subscription), Add(notice))
    return notice.id


async def list_deliveries(
    actor: Actor,
    outbox: Outbox,
    *,
    dead: bool,
    limit: int,
    of: OrganisationId | None = None,
    before: tuple[datetime, str] | None = None,
) -> Sequence[Delivery]:
    """List deliveries that were given up, or that are still tried, as ``Outbox.deliveries`` does.

    Whoever is confined to one organisation hears less of a problem than the operator (``told_of``).
    """
    found = await outbox.deliveries(dead=dead, limit=limit, of=of or actor.organisation_id, before=before)
    if actor.organisation_id is None:
        return found
    own = (each for each in found if _is_there(actor, each.organisation_id))
    return [msgspec.structs.replace(each, problem=told_of(each.problem)) for each in own]


async def _living(actor: Actor, outbox: Outbox, subscription_id: str) -> Subscription:
    subscription = await show_subscription(actor, outbox, subscription_id)
    if subscription.ended_at is not None:
        raise Clash(f"subscription {subscription_id!r} has ended")
    return subscription


async def _change(
    actor: Actor,
    store: DeploymentStore,
    was: Subscription,
    changed: Subscription,
    kind: str,
    *,
    now: datetime,
    dice: Dice,
) -> None:
    event = told(kind, actor, was.organisation_id, was.id, now=now, dice=dice)
    await carry_out(store, event, Replace(changed, was.version))


def _is_there(actor: Actor, organisation_id: OrganisationId | None) -> bool:
    return actor.organisation_id in (None, organisation_id)


def _require_reach(actor: Actor, organisation_id: OrganisationId | None) -> None:
    """Refuse what is the deployment's, or another organisation's, to whoever is confined to one (TN-02)."""
    if not _is_there(actor, organisation_id):
        raise NothingThere("no such organisation")
