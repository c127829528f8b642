"""The verbs about notices, carried out on a deployment's own store."""

from collections.abc import Sequence

from keyturn.cli.local_ground import LocalGround
from keyturn.core.notices import Channel, Delivery, Outbox, Subscription
from keyturn.core.secret import Secret
from keyturn.directory import notices
from keyturn.directory.notices import SubscriptionWish
from keyturn.directory.organisations import show_organisation


class LocalNotices(LocalGround):
    """The part of ``Verbs`` that is about notices."""

    @property
    def _outbox(self) -> Outbox:
        return self._services.store.outbox

    async def create_subscription(
        self, slug: str | None, channel: Channel, target: str, kinds: Sequence[str]
    ) -> tuple[Subscription, Secret | None]:
        """Make a subscription of one organisation or of the deployment; a webhook's secret is told once."""
        organisation = None if slug is None else await show_organisation(self._actor, self._store, slug)
        wish = SubscriptionWish(
            channel=channel,
            target=target,
            kinds=tuple(kinds),
            organisation_id=None if organisation is None else organisation.id,
        )
        services = self._services
        return await notices.create_subscription(
            self._actor,
            self._store,
            self._outbox,
            wish,
            sender=services.telling.sender,
            sealer=services.sealer,
            **self._at,
        )

    async def subscriptions(self) -> Sequence[Subscription]:
        """List all subscriptions, ended ones included."""
        return await notices.list_subscriptions(self._actor, self._outbox)

    async def subscription(self, subscription_id: str) -> Subscription:
        """Show one subscription."""
        return await notices.show_subscription(self._actor, self._outbox, subscription_id.lower())

    async def end_subscription(self, subscription_id: str) -> Subscription:
        """End a subscription for good."""
        known = subscription_id.lower()
        return await notices.end_subscription(self._actor, self._store, self._outbox, known, **self._at)

    async def rotate_subscription(self, subscription_id: str) -> tuple[Subscription, Secret]:
        """Make a webhook's secret anew; the old one signs for a day more."""
        return await notices.rotate_subscription(
            self._actor,
            self._store,
            self._outbox,
            subscription_id.lower(),
            sealer=self._services.sealer,
            **self._at,
        )

    async def test_subscription(self, subscription_id: str) -> str:
        """Put a test into the outbox; gives the id of the notice."""
        known = subscription_id.lower()
        return await notices.send_test(self._actor, self._store, self._outbox, known, **self._at)

    async def deliveries(self, *, dead: bool, limit: int) -> Sequence[Delivery]:
        """List the newest deliveries that were given up, or that are still tried."""
        return await notices.list_deliveries(self._actor, self._outbox, dead=dead, limit=limit)
