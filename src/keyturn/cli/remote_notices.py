"""The verbs about notices, asked of a server's admin API."""

from collections.abc import Sequence

from keyturn.admin.requests import Facts
from keyturn.cli.remote_ground import RemoteGround, given, record_of
from keyturn.core.notices import Channel, Delivery, Subscription
from keyturn.core.secret import Secret


class RemoteNotices(RemoteGround):
    """The part of ``Verbs`` that is about notices."""

    async def create_subscription(
        self, slug: str | None, channel: Channel, target: str, kinds: Sequence[str]
    ) -> tuple[Subscription, Secret | None]:
        """Make a subscription of one organisation or of all in reach; a webhook's secret is told once."""
        wanted = {"channel": channel.value, "target": target, "kinds": kinds, **given(organisation=slug)}
        made = await self._ask("notice_subscriptions.create", **wanted)
        return _subscription(made), made["secret"]

    async def subscriptions(self) -> Sequence[Subscription]:
        """List all subscriptions, ended ones included."""
        return [_subscription(each) for each in await self._all("notice_subscriptions.list")]

    async def subscription(self, subscription_id: str) -> Subscription:
        """Show one subscription."""
        return _subscription(await self._of_one("show", subscription_id))

    async def end_subscription(self, subscription_id: str) -> Subscription:
        """End a subscription for good."""
        return _subscription(await self._of_one("end", subscription_id))

    async def rotate_subscription(self, subscription_id: str) -> tuple[Subscription, Secret]:
        """Make a webhook's secret anew; the old one signs for a day more."""
        rotated = await self._of_one("rotate", subscription_id)
        return _subscription(rotated), rotated["secret"]

    async def test_subscription(self, subscription_id: str) -> str:
        """Put a test into the outbox; gives the id of the notice."""
        notice_id: str = (await self._of_one("test", subscription_id))["notice_id"]
        return notice_id

    async def deliveries(self, *, dead: bool, limit: int) -> Sequence[Delivery]:
        """List the newest deliveries that were given up, or that are still tried."""
        found = await self._newest("notice_deliveries.list", limit, dead=dead)
        return [_delivery(each) for each in found]

    async def _of_one(self, verb: str, subscription_id: str) -> Facts:
        return await self._ask(f"notice_subscriptions.{verb}", subscription=subscription_id.lower())


def _subscription(facts: Facts) -> Subscription:
    """Make one as it is shown; what it signs with stays where it is."""
    return record_of(Subscription, {**facts, "channel": Channel(facts["channel"]), "secret": None})


def _delivery(facts: Facts) -> Delivery:
    return record_of(Delivery, facts, expires_at=facts["created_at"])  # which no command shows
