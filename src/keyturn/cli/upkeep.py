"""``keyturn upkeep``: what happens without a request."""

from typing import Annotated

import typer

from keyturn.cli.command import noun, verb
from keyturn.cli.output import Answer, instant
from keyturn.cli.verbs import Verbs
from keyturn.core.errors import OperatorError

app = noun(
    "What happens without a request: rotation, cleaning, checkpoints.",
    "keyturn upkeep status",
    "keyturn upkeep run",
)


@verb(app, signs=True)
async def run(
    verbs: Verbs,
    job: Annotated[str | None, typer.Argument(metavar="[JOB]", help="One job; all if not given.")] = None,
) -> Answer:
    """Run jobs now, once, whether they are due or not; exit code 1 where one failed."""
    runs = await verbs.run_upkeep(job)
    failed = [f"{name} {each.outcome}" for name, each in runs.items() if each.failures]
    if failed:
        raise OperatorError(f"{'; '.join(failed)} (the log says why)")
    return [{"job": name, "outcome": each.outcome} for name, each in runs.items()]


@verb(app)
async def status(verbs: Verbs) -> Answer:
    """Show for each job who runs it now, how it went last, and when it is due."""
    return [
        {
            "job": each.name,
            "running": each.holder,
            "last_run_at": instant(each.last.ran_at) if each.last else None,
            "outcome": each.last.outcome if each.last else None,
            "failures": each.last.failures if each.last else 0,
            "due_at": instant(each.due_at),
        }
        for each in await verbs.upkeep_states()
    ]
