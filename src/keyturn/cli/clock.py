"""``keyturn clock``: the word of an operator about the time."""

from keyturn.cli.command import noun, verb
from keyturn.cli.output import Answer, instant
from keyturn.cli.verbs import Verbs

app = noun("The clock.")


@verb(app)
async def accept(verbs: Verbs) -> Answer:
    """Take the clock as it is although it was later once: servers issue again within seconds (RE-07)."""
    accepted = await verbs.accept_clock()
    return {"now": instant(accepted.now), "newest_before": instant(accepted.before)}
