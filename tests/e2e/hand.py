"""An operator's hand: a process with the store open, that carries out one verb after another.

A command of the CLI does one and ends, which is too slow for a thousand rounds, and two that are started at
once do not meet. This is the same code, kept open: a line of JSON on standard input names a verb and its
arguments, a line of JSON tells what came of it.

    ["regenerate_api_token", "0197..."]   ->   {"done": [...]}, or {"refused": "why"}

``plant`` and ``recruit`` make what the races need, by the fixtures that make a demo.
"""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import msgspec

from e2e.servers import environment
from keyturn.app import LocalServices, open_local, upkeep_of
from keyturn.cli.local import LocalVerbs
from keyturn.config import load_settings
from keyturn.core.actors import operator
from keyturn.core.errors import OperatorError, Unavailable
from keyturn.core.secret import Secret
from keyturn.core.shapes import Member, Shape
from keyturn.directory.api_tokens import ApiTokenWish
from keyturn.directory.secret_status import SecretStatus
from keyturn.seeding import seed_dialect, seed_organisations
from keyturn.settings import Settings
from keyturn.wire.fixtures import ApiTokenFixture, DemoEntry, Fixture, UserFixture
from warm import start

PATIENCE_SECONDS = 60.0


class Hand:
    """The process as its owner sees it; one verb at a time."""

    def __init__(self, orders: TextIO, answers: TextIO) -> None:
        self._orders = orders
        self._answers = answers
        self._turn = threading.Lock()

    def does(self, verb: str, *arguments: Any) -> dict[str, Any]:
        """Have a verb carried out, whatever comes of it."""
        with self._turn:
            self._orders.write(json.dumps([verb, *arguments]) + "\n")
            self._orders.flush()
            line = self._answers.readline()
        assert line, "the operator's process has ended"
        return json.loads(line)

    def done(self, verb: str, *arguments: Any) -> Any:
        """Have a verb carried out that must succeed."""
        answer = self.does(verb, *arguments)
        assert "done" in answer, answer
        return answer["done"]


@contextlib.contextmanager
def hand(data: Path, home: Path, environ: Mapping[str, str]) -> Iterator[Hand]:
    """Keep a hand for a block."""
    hearing, telling = os.pipe()
    listening, answering = os.pipe()
    process = start("hand", [str(data)], environment(home, environ), home, (hearing, answering, 2))
    for theirs in (hearing, answering):
        os.close(theirs)
    with os.fdopen(listening) as answers:
        try:
            with os.fdopen(telling, "w") as orders:
                yield Hand(orders, answers)
        finally:
            try:
                process.wait(PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


# --- inside the process ---


async def _work(settings: Settings) -> None:
    async with open_local(settings, create=True) as local:
        verbs = LocalVerbs(local, operator("hand"), settings.public_url, upkeep_of(local, settings))
        own = {
            "plant": partial(_plant, local),
            "recruit": partial(_recruit, local),
            "make_api_token": partial(_make_api_token, verbs),
        }
        while line := await asyncio.to_thread(sys.stdin.readline):
            verb, *arguments = json.loads(line)
            try:
                came = await (own.get(verb) or getattr(verbs, verb))(*arguments)
                answer = {"done": came}
            except OperatorError as error:
                answer = {"refused": str(error)}
            except Unavailable as error:
                answer = {"unavailable": error.reason.value}
            sys.stdout.write(msgspec.json.encode(answer, enc_hook=_plain).decode() + "\n")
            sys.stdout.flush()


def _plain(value: Any) -> Any:
    if isinstance(value, Secret):
        return value.reveal()
    raise TypeError(type(value).__name__)


async def _plant(local: LocalServices, public_url: str) -> dict[str, dict[str, Any]]:
    """Make both organisations and each dialect's demo; gives what ``demo.json`` would show of each."""
    organisations = await seed_organisations(local)
    planted: dict[str, dict[str, Any]] = {slug: {} for slug in organisations}
    for name, dialect in local.dialects.items():
        for slug, members in (await seed_dialect(local, dialect, organisations, public_url)).items():
            planted[slug][name] = members
    return planted


async def _recruit(local: LocalServices, prefix: str, count: int) -> list[dict[str, str]]:
    """Make users, each with a device and an API token that needs its passcode; half in each organisation."""
    keys = [f"{prefix}{number}" for number in range(-(-count // 2))]
    fixtures: list[Fixture] = []
    for key in keys:
        fixtures += [
            UserFixture(key=key, name=key, email=key + "@{slug}.example", totp=True),
            ApiTokenFixture(key=f"{key}.guarded", name="guarded", owner=key, mfa=True),
        ]
    shown = [
        member
        for key in keys
        for member in (
            Member(f"{key}.email", f"{key}.email"),
            Member(f"{key}.totp_secret", f"{key}.totp_secret", "reveal"),
            Member(f"{key}.api_token", f"{key}.guarded.secret", "reveal"),
        )
    ]
    entry = DemoEntry(fixtures=tuple(fixtures), members=Shape(tuple(shown)), curl="")
    dialect = msgspec.structs.replace(local.dialects["vmware-csp"], demo=entry)
    made = await seed_dialect(local, dialect, await seed_organisations(local), "")
    return [{"organisation": slug} | each for slug, members in made.items() for each in members.values()]


async def _make_api_token(verbs: LocalVerbs, slug: str, owner: str) -> tuple[SecretStatus, Secret]:
    """Make an API token that is good without a passcode."""
    return await verbs.create_api_token(slug, owner, ApiTokenWish(name="race", owner_id="", dialects=()))


def main() -> None:
    """Be the process."""
    asyncio.run(_work(load_settings(flags={"data": Path(sys.argv[1])}, environ=os.environ)))
