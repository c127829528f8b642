"""What the commands about notices ask for: the part of ``Verbs`` on who hears of what."""

from collections.abc import Sequence
from typing import Protocol

from keyturn.core.notices import Channel, Delivery, Subscription
from keyturn.core.secret import Secret


class NoticeVerbs(Protocol):
    """What can be done about subscriptions to notices."""

    async def create_subscription(
        self, slug: str | None, channel: Channel, target: str, kinds: Sequence[str]
    ) -> tuple[Subscription, Secret | None]:
        """Make a subscription of one organisation or of the deployment; a webhook's secret is told once."""
        ...

    async def subscriptions(self) -> Sequence[Subscription]:
        """List all subscriptions, ended ones included."""
        ...

    async def subscription(self, subscription_id: str) -> Subscription:
        """Show one subscription."""
        ...

    async def end_subscription(self, subscription_id: str) -> Subscription:
        """End a subscription for good."""
        ...

    async def rotate_subscription(self, subscription_id: str) -> tuple[Subscription, Secret]:
        """Make a webhook's secret anew; the old one signs for a day more."""
        ...

    async def test_subscription(self, subscription_id: str) -> str:
        """Put a test into the outbox; gives the id of the notice."""
        ...

    async def deliveries(self, *, dead: bool, limit: int) -> Sequence[Delivery]:
        """List the newest deliveries that were given up, or that are still tried."""
        ...
