"""The path of a request inside the process, case by case, between fences that callgrind sees.

Everything is made and warmed before the first fence, and each case runs between two. A fence is a call of a C
function that nothing else here calls; callgrind writes down what it counted since the one before.
"""

import asyncio
import gc
import json
import os
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack

import msgspec

from bench.lines import LINES, Lines, spelled
from harness import Deployment, Filled, basic, deployment, fill_sample
from keyturn.dialects import load_dialects
from keyturn.storage.registry import CachedRegistry
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
    ("vmware-csp", "API token of a service account, without openid"),
    ("oauth2", "refresh"),
    ("mend", "refresh"),
)
"""Golden samples, by dialect; none that checks a password, for that is meant to cost a lot."""
CONNECTED = ("a connection: a token again", "a connection: introspection again")
"""What ``lines.py`` asks over connections that are kept; the others go to the desk past any."""
NAMES = (*(": ".join(case) for case in CASES), *CONNECTED)
"""What is counted, in its order, as the baseline names it."""
RENEWED = {("oauth2", "refresh"): "client credentials with a refresh token", ("mend", "refresh"): "login"}
"""What brings the first refresh token of a case that then presents those of its own answers."""

Next = Callable[[bytes | None], Filled]
"""Gives the next request, after the last one's answer."""


def filled(here: Deployment, case: tuple[str, str], **more: object) -> Filled:
    """Fill a golden sample."""
    dialect = load_dialects()[case[0]]
    members = {**here.members["acme"][dialect.name], **more}
    sample = next(each for each in dialect.samples if each.name == case[1])
    pair = basic_members(dialect)
    return fill_sample(dialect, sample, members, basic(*(members[name] for name in pair)) if pair else "")


def begin(here: Deployment, case: tuple[str, str]) -> Next:
    """Say what a case sends: the same each time, or what its last answer leads to."""
    if case not in RENEWED:
        request = filled(here, case)
        return lambda _: request
    first = filled(here, (case[0], RENEWED[case]))

    def renew(answer: bytes | None) -> Filled:
        if answer is None:
            return first
        told = json.loads(answer)
        token = told.get("refresh_token") or told.get("refreshToken") or told["retVal"]["refreshToken"]
        if case[0] == "oauth2":
            return msgspec.structs.replace(first, body=f"grant_type=refresh_token&refresh_token={token}")
        return filled(here, case, answer={"retVal": {"refreshToken": token}})

    return renew


async def ask(here: Deployment, following: Next, times: int, answer: bytes | None = None) -> bytes | None:
    """Send requests; gives the last answer.

    Raises:
        RuntimeError: One was refused: then its count would be worth nothing.
    """
    for _ in range(times):
        request = following(answer)
        told = await here.ask(
            request.method,
            request.path,
            query=request.query.encode(),
            headers=request.headers,
            body=request.body.encode(),
        )
        if told.status != 200:
            raise RuntimeError(f"{request.path}: {told.status}: {told.body[:200]!r}")
        answer = told.body
    return answer


async def connect(here: Deployment) -> tuple[Lines, list[list[bytes]]]:
    """Open connections, and give what they send for each of ``CONNECTED``."""
    lines = Lines(here)
    issue = spelled(filled(here, CASES[0]))
    return lines, [[issue], await lines.questions(issue, filled(here, CASES[2]))]


def fence() -> None:
    """Mark an instant for callgrind."""
    os.getpriority(os.PRIO_PROCESS, 0)


def main() -> int:
    """Run every case between fences."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        here = runner.run(stack.enter_async_context(deployment()))
        here.store.registry._port = CachedRegistry(here.store._shelf, here.store.feed)
        cases = [begin(here, case) for case in CASES]
        warmed = [(case, runner.run(ask(here, case, WARM))) for case in cases]
        lines, sent = runner.run(connect(here))
        for requests in sent:
            runner.run(lines.ask(requests, WARM))
        # When rubbish is collected depends on everything that was ever made.
        gc.collect()
        gc.disable()
        fence()
        for case, answer in warmed:
            runner.run(ask(here, case, COUNTED, answer))
            fence()
        for requests in sent:
            runner.run(lines.ask(requests, COUNTED // LINES))
            fence()
        gc.enable()
        lines.close()
        runner.run(stack.aclose())
    return 0


if __name__ == "__main__":
    sys.exit(main())
