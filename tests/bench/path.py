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
from keyturn.web.cycle import Head
from keyturn.wire.golden import basic_members

FENCE = "sched_get_priority_max"
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
BEHIND_ONE_HEAD = ("oauth2", "refresh")
"""A case whose requests have one head, which is kept as a connection keeps it."""

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


def head_of(request: Filled) -> Head:
    """Give a request's head as a connection keeps it."""
    headers = [(name.lower().encode(), value.encode()) for name, value in request.headers]
    return Head(request.method, request.path.encode(), headers, ("192.0.2.1", 1))


async def ask(
    here: Deployment, following: Next, times: int, answer: bytes | None = None, head: Head | None = None
) -> bytes | None:
    """Send requests; gives the last answer.

    Args:
        head: Of all of them, where they have one.

    Raises:
        RuntimeError: One was refused: then its count would be worth nothing.
    """
    for _ in range(times):
        request = following(answer)
        status, answer = await _told(here, request, head)
        if status != 200:
            raise RuntimeError(f"{request.path}: {status}: {answer[:200]!r}")
    return answer


async def _told(here: Deployment, request: Filled, head: Head | None) -> tuple[int, bytes]:
    if head is not None:
        _, response = await here.desk.answer(head, request.body.encode(), False)
        return response.status, response.body
    told = await here.ask(
        request.method,
        request.path,
        query=request.query.encode(),
        headers=request.headers,
        body=request.body.encode(),
    )
    return told.status, told.body


async def connect(here: Deployment) -> tuple[Lines, list[list[bytes]]]:
    """Open connections, and give what they send for each of ``CONNECTED``."""
    lines = Lines(here)
    issue = spelled(filled(here, CASES[0]))
    return lines, [[issue], await lines.questions(issue, filled(here, CASES[2]))]


def fence() -> None:
    """Mark an instant for callgrind."""
    os.sched_get_priority_max(os.SCHED_OTHER)


def main() -> int:
    """Run every case between fences."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        here = runner.run(stack.enter_async_context(deployment()))
        here.store.registry._port = CachedRegistry(here.store._shelf, here.store.feed)
        cases = [(case, begin(here, case)) for case in CASES]
        heads = [head_of(begun(None)) if case == BEHIND_ONE_HEAD else None for case, begun in cases]
        warmed = [
            (begun, head, runner.run(ask(here, begun, WARM, None, head)))
            for (_, begun), head in zip(cases, heads, strict=True)
        ]
        lines, sent = runner.run(connect(here))
        for requests in sent:
            runner.run(lines.ask(requests, WARM))
        # When rubbish is collected depends on everything that was ever made.
        gc.collect()
        gc.disable()
        fence()
        for begun, head, answer in warmed:
            runner.run(ask(here, begun, COUNTED, answer, head))
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
