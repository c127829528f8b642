"""``keyturn clock``: the word of an operator about the time."""

from keyturn.cli.command import noun, verb
from keyturn.cli.output import Answer, instant
from keyturn.cli.verbs import Verbs

app = noun(
    "The clock.",
    "keyturn clock show",
)


@verb(app)
async def show(verbs: Verbs) -> Answer:
    """Show this machine's clock beside the newest time in the store, and whether servers issue on it."""
    looked = await verbs.clock()
    return {"now": instant(looked.now), "newest": instant(looked.newest_at), "sound": looked.sound}


@verb(app)
async def accept(verbs: Verbs) -> Answer:
    """Take the clock as it is although it was later once: servers issue again within seconds (RE-07)."""
    accepted = await verbs.accept_clock()
    return {"now": instant(accepted.now), "newest_before": instant(accepted.before)}
