"""What a process learns from the store's sealed values, at its start and whenever they change."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

from keyturn.core.actors import system
from keyturn.core.clock import Clock
from keyturn.core.forms import PURPOSE, Forms
from keyturn.core.identifiers import uuid7
from keyturn.core.ports import Sealer
from keyturn.core.records import AuditEvent
from keyturn.core.secret import Dice
from keyturn.directory.upgrading import written_form
from keyturn.keys import peppers
from keyturn.keys.learning import Learner
from keyturn.storage import Store
from keyturn.storage.feed import EVERYTHING


async def open_learned(
    store: Store, sealer: Sealer, clock: Clock, dice: Dice, closing: AsyncExitStack
) -> tuple[peppers.Peppers, Forms]:
    """Read the peppers, making the first one in a new store, and the form that every process reads.

    Args:
        closing: Ends what goes on learning.

    Raises:
        Unavailable: The store is away.
        Fault: A value does not open.
    """
    now = clock.now()
    born = AuditEvent(at=now, kind="pepper.created", actor=system("start").name, request_id=uuid7(now, dice))
    loaded: list[peppers.Peppers] = []

    async def learn_peppers() -> None:
        if loaded:
            await peppers.learn_peppers(loaded[0], store.deployment, sealer)
        else:
            loaded.append(await peppers.load_peppers(store.deployment, sealer, dice, born))

    await _follow(store, peppers.PURPOSE, learn_peppers, "some secrets are unknown here", closing)
    forms = Forms()

    async def learn_forms() -> None:
        forms.written = await written_form(store.deployment, sealer)

    await _follow(store, PURPOSE, learn_forms, "refresh tokens keep their form", closing)
    return loaded[0], forms


async def _follow(
    store: Store, purpose: str, read: Callable[[], Awaitable[None]], loss: str, closing: AsyncExitStack
) -> None:
    """Read now and whenever something changes; it listens first, so that nothing falls in between."""
    learner = Learner(read, loss)
    closing.push_async_callback(learner.close)

    def follow(topic: str, key: str) -> None:
        if topic == EVERYTHING or (topic, key) == ("sealed", purpose):
            learner.learn()

    store.feed.on_change(follow)
    await learner.read()
