"""``keyturn notice``: who outside hears of leaks, expiries, keys and lockouts. A secret is printed once."""

from typing import Annotated

import typer

from keyturn.cli.command import noun, verb
from keyturn.cli.output import Answer, Row, instant
from keyturn.cli.verbs import Verbs
from keyturn.core.errors import OperatorError
from keyturn.core.notices import KINDS, Channel, Delivery, Subscription

app = noun(
    "Notices: who outside hears of leaks, expiries, keys and lockouts.",
    "keyturn notice create --url https://hooks.example.com/in --organisation acme --kind credential.leaked",
    "keyturn notice test SUBSCRIPTION_ID",
    "keyturn notice outbox --dead",
)

Id = Annotated[
    str, typer.Argument(metavar="SUBSCRIPTION_ID", help="The id, as `keyturn notice list` shows it.")
]
Kinds = Annotated[list[str], typer.Option("--kind", help=f"One of {', '.join(KINDS)}; repeatable.")]
COLUMNS = "id organisation_id channel target kinds created_at two_secrets_until ended_at"
DELIVERY_COLUMNS = "notice subscription created_at tries next_at dead_at problem"


def shown(subscription: Subscription) -> Row:
    """Give what is shown of a subscription: never its secret."""
    return {
        "id": subscription.id,
        "organisation_id": subscription.organisation_id,
        "channel": subscription.channel.value,
        "target": subscription.target,
        "kinds": [*subscription.kinds],
        "created_at": instant(subscription.created_at),
        "two_secrets_until": instant(subscription.previous_until),
        "ended_at": instant(subscription.ended_at),
    }


def _delivery(delivery: Delivery) -> Row:
    return {
        "notice": delivery.notice_id,
        "subscription": delivery.subscription_id,
        "created_at": instant(delivery.created_at),
        "tries": delivery.tries,
        "next_at": instant(delivery.next_at),
        "dead_at": instant(delivery.dead_at),
        "problem": delivery.problem,
    }


@verb(app)
async def create(
    verbs: Verbs,
    url: Annotated[str | None, typer.Option(help="A webhook: https://, its host in notices.hosts.")] = None,
    mail: Annotated[str | None, typer.Option(help="A mail address instead.")] = None,
    organisation: Annotated[
        str | None, typer.Option(metavar="SLUG", help="Its notices only; all there are if not given.")
    ] = None,
    kind: Kinds = [*KINDS],  # noqa: B006  # typer copies
) -> Answer:
    """Subscribe a webhook or a mail address; a webhook's secret is printed, this once."""
    if url is not None and mail is None:
        channel, target = Channel.WEBHOOK, url
    elif mail is not None and url is None:
        channel, target = Channel.MAIL, mail
    else:
        raise OperatorError("give one of --url and --mail")
    subscription, secret = await verbs.create_subscription(organisation, channel, target, kind)
    return shown(subscription) | ({} if secret is None else {"secret": secret.reveal()})


@verb(app, columns=COLUMNS)
async def list(verbs: Verbs) -> Answer:  # noqa: A001  # the command's name
    """List the subscriptions, oldest first."""
    return [shown(each) for each in await verbs.subscriptions()]


@verb(app)
async def show(verbs: Verbs, subscription_id: Id) -> Answer:
    """Show one subscription."""
    return shown(await verbs.subscription(subscription_id))


@verb(app)
async def rotate(verbs: Verbs, subscription_id: Id) -> Answer:
    """Make a webhook's secret anew and print it, this once; the old one signs beside it for a day."""
    subscription, secret = await verbs.rotate_subscription(subscription_id)
    return {**shown(subscription), "secret": secret.reveal()}


@verb(app)
async def test(verbs: Verbs, subscription_id: Id) -> Answer:
    """Put a notice of no consequence into the outbox; it leaves within a minute or two."""
    return {"notice": await verbs.test_subscription(subscription_id)}


@verb(app)
async def end(verbs: Verbs, subscription_id: Id) -> Answer:
    """End a subscription for good; what is on its way to it is given up."""
    return shown(await verbs.end_subscription(subscription_id))


@verb(app, columns=DELIVERY_COLUMNS)
async def outbox(
    verbs: Verbs,
    dead: Annotated[bool, typer.Option("--dead", help="Those that were given up.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="How many at most.")] = 100,
) -> Answer:
    """List what is still to be delivered, the newest first, or what was given up."""
    return [_delivery(each) for each in await verbs.deliveries(dead=dead, limit=limit)]
