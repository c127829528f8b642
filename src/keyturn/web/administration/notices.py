"""Administrators' verbs about notices: who outside hears of what, and what is on its way."""

from keyturn.core.actors import Actor
from keyturn.core.admin_facts import RESOURCES
from keyturn.core.admin_records import BASE
from keyturn.core.notices import KINDS, Channel, Delivery, Subscription
from keyturn.core.requests import Call
from keyturn.core.vocabulary import OrganisationId
from keyturn.directory import notices
from keyturn.directory.notices import SubscriptionWish
from keyturn.web.administration.ground import (
    AdminPorts,
    AdminVerb,
    Facts,
    find_organisation,
    record_facts,
    tagged,
)
from keyturn.web.administration.pages import cut_page, instant_in, page_of, read_position


def _subscription(subscription: Subscription) -> Facts:
    """Show one; its secret is sealed, and not among the facts that are shown of every subscription."""
    facts = record_facts(subscription, RESOURCES["notice_subscription"])
    return {**facts, "channel": subscription.channel.value}


async def _whose(actor: Actor, call: Call, ports: AdminPorts) -> OrganisationId | None:
    """Tell whose a call is about: the caller's own, one that it names, or None for all there are."""
    if "organisation" not in call.arguments:
        return actor.organisation_id
    return (await find_organisation(actor, call.arguments["organisation"], ports)).id


async def _list(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    found = await notices.list_subscriptions(actor, ports.outbox, await _whose(actor, call, ports))
    return page_of(map(_subscription, found), actor, call, ports.digester)


async def _create(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    wanted, organisation_id = call.arguments, await _whose(actor, call, ports)
    wish = SubscriptionWish(
        channel=Channel(wanted["channel"]),
        target=wanted["target"],
        kinds=wanted.get("kinds", KINDS),
        organisation_id=organisation_id,
    )
    made, secret = await notices.create_subscription(
        actor,
        ports.wide(organisation_id),
        ports.outbox,
        wish,
        sender=ports.sender,
        sealer=ports.sealer,
        **ports.at(),
    )
    location = f"{BASE}/notice-subscriptions/{made.id}"
    return tagged({**_subscription(made), "secret": secret}, location)


async def _found(actor: Actor, call: Call, ports: AdminPorts) -> Subscription:
    return await notices.show_subscription(actor, ports.outbox, call.arguments["subscription"])


async def _show(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    return tagged(_subscription(await _found(actor, call, ports)))


async def _rotate(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    found = await _found(actor, call, ports)
    store = ports.wide(found.organisation_id)
    rotated, secret = await notices.rotate_subscription(
        actor, store, ports.outbox, found.id, sealer=ports.sealer, **ports.at()
    )
    return tagged({**_subscription(rotated), "secret": secret})


async def _test(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    found = await _found(actor, call, ports)
    store = ports.wide(found.organisation_id)
    return {"notice_id": await notices.send_test(actor, store, ports.outbox, found.id, **ports.at())}


async def _end(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    found = await _found(actor, call, ports)
    ended = await notices.end_subscription(actor, ports.deployment, ports.outbox, found.id, **ports.at())
    return tagged(_subscription(ended))


async def _list_deliveries(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    """Show the outbox, or what was given up, newest first."""
    last = read_position(actor, call, ports.digester)
    found = await notices.list_deliveries(
        actor,
        ports.outbox,
        dead=call.arguments.get("dead", False),
        limit=call.arguments["limit"] + 1,
        of=await _whose(actor, call, ports),
        before=None if last is None else (instant_in(last), last[1]),
    )
    return cut_page(map(_delivery, found), actor, call, ports.digester)


def _delivery(delivery: Delivery) -> Facts:
    return record_facts(delivery, RESOURCES["notice_delivery"])


VERBS: dict[str, AdminVerb] = {
    "admin.notice_subscriptions.list": _list,
    "admin.notice_subscriptions.create": _create,
    "admin.notice_subscriptions.show": _show,
    "admin.notice_subscriptions.rotate": _rotate,
    "admin.notice_subscriptions.test": _test,
    "admin.notice_subscriptions.end": _end,
    "admin.notice_deliveries.list": _list_deliveries,
}
