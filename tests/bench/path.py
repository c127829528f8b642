"""The path of a request inside the process, case by case, between fences that callgrind sees.

Everything is made and warmed before the first fence, and each case runs between two. A fence is a call of a C
function that nothing else here calls; callgrind writes down what it counted since the one before.
"""

import asyncio
import gc
import os
import sys
from contextlib import AsyncExitStack

from harness import Deployment, Filled, basic, deployment, fill_sample
from keyturn.dialects import load_dialects
from keyturn.wire.golden import basic_members

FENCE = "getpriority"
WARM, COUNTED = 30, 20
CASES = (
    ("oauth2", "client credentials with HTTP Basic"),
    ("oauth2", "client credentials with a refresh token"),
    ("oauth2", "introspecting what is no token"),
    ("endorsed", "form"),
    ("endorsed", "JSON"),
    ("mend", "login"),
    ("sahamati", "an entity token"),
    ("vmware-csp", "client credentials"),
    ("vmware-csp", "API token"),
)
"""Golden samples, by dialect; none that checks a password, for that is meant to cost a lot."""


def name_of(case: tuple[str, str]) -> str:
    """Name a case as the baseline does."""
    return ": ".join(case)


def filled(here: Deployment, case: tuple[str, str]) -> Filled:
    """Fill a golden sample."""
    dialect = load_dialects()[case[0]]
    members = here.members["acme"][dialect.name]
    sample = next(each for each in dialect.samples if each.name == case[1])
    pair = basic_members(dialect)
    return fill_sample(dialect, sample, members, basic(*(members[name] for name in pair)) if pair else "")


async def ask(here: Deployment, request: Filled, times: int) -> None:
    """Send a request some times.

    Raises:
        RuntimeError: It was refused: then its count would be worth nothing.
    """
    for _ in range(times):
        answer = await here.ask(
            request.method,
            request.path,
            query=request.query.encode(),
            headers=request.headers,
            body=request.body.encode(),
        )
        if answer.status != 200:
            raise RuntimeError(f"{request.path}: {answer.status}: {answer.body[:200]!r}")


def fence() -> None:
    """Mark an instant for callgrind."""
    os.getpriority(os.PRIO_PROCESS, 0)


def main() -> int:
    """Run every case between fences."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        here = runner.run(stack.enter_async_context(deployment()))
        requests = [filled(here, case) for case in CASES]
        for request in requests:
            runner.run(ask(here, request, WARM))
        # When rubbish is collected depends on everything that was ever made.
        gc.collect()
        gc.disable()
        fence()
        for request in requests:
            runner.run(ask(here, request, COUNTED))
            fence()
        gc.enable()
        runner.run(stack.aclose())
    return 0


if __name__ == "__main__":
    sys.exit(main())
