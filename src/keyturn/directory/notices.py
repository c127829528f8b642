"""Subscriptions to notices: who outside hears of what, and how; and what became of it.

A webhook's secret is shown once, when it is made (AD-04); of two that sign during a rotation the older one
ends by itself.
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from keyturn.core.actors import Actor
from keyturn.core.changes import Add, Replace
from keyturn.core.errors import Clash, NothingThere, OperatorError
from keyturn.core.identifiers import uuid7
from keyturn.core.notices import (
    KINDS,
    OLD_SECRET,
    Channel,
    Delivery,
    Happening,
    Outbox,
    Sender,
    Subscription,
    make_notice,
    make_webhook_secret,
    spell_webhook_secret,
    webhook_secrets,
)
from keyturn.core.ports import Sealer
from keyturn.core.sealed_values import open_value, place_of
from keyturn.core.secret import Dice, Secret
from keyturn.core.store_ports import DeploymentStore
from keyturn.core.vocabulary import OrganisationId
from keyturn.directory.events import carry_out, told
from keyturn.directory.names import check_choices
from keyturn.directory.owners import living_organisation

MOST_LIVING = 20
"""Subscriptions of one organisation, or of the deployment: each multiplies what is sent."""


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
    """
    _require_reach(actor, wish.organisation_id)
    if wish.organisation_id is not None:
        await living_organisation(actor, store.organisation_store(wish.organisation_id))
    kinds = check_choices("kind", wish.kinds, KINDS)
    if refused := sender.is_allowed(wish.channel, wish.target):
        raise OperatorError(refused)
    there = [each for each in await list_subscriptions(actor, outbox) if each.ended_at is None]
    if sum(each.organisation_id == wish.organisation_id for each in there) >= MOST_LIVING:
        raise Clash(f"there are {MOST_LIVING} subscriptions already; end one first")
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
    await carry_out(store, event, Add(subscription))
    return subscription, spell_webhook_secret(secret) if webhook else None


async def list_subscriptions(actor: Actor, outbox: Outbox) -> Sequence[Subscription]:
    """List the subscriptions there are for an actor, oldest first, ended ones included."""
    return [each for each in await outbox.subscriptions() if _is_there(actor, each.organisation_id)]


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

    Raises:
        Clash: The subscription has ended.
    """
    subscription = await _living(actor, outbox, subscription_id)
    notice = make_notice(
        f"test:{uuid7(now, dice)}",
        Happening.TEST,
        subscription.organisation_id,
        now,
        subscription=subscription.id,
    )
    event = told("notice.tested", actor, subscription.organisation_id, subscription.id, now=now, dice=dice)
    await carry_out(store, event, Add(notice))
    return notice.id


async def list_deliveries(actor: Actor, outbox: Outbox, *, dead: bool, limit: int) -> Sequence[Delivery]:
    """List the newest deliveries that were given up, or that are still tried."""
    found = await outbox.deliveries(dead=dead, limit=limit)
    return [each for each in found if _is_there(actor, each.organisation_id)]


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
