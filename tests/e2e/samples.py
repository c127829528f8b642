"""Golden samples against a running demo, each after those that it needs.

answer = send(demo, DIALECT, sample)
"""

import json
import subprocess
from collections.abc import Callable
from typing import Any

from e2e.servers import Answer, Node, ask, basic
from harness import Filled, fill_sample
from keyturn.wire.golden import basic_members
from keyturn.wire.tables import Dialect, Sample

SECONDS = 60


def credentials(node: Node, dialect: Dialect) -> str | None:
    """Write the HTTP Basic form of who a dialect's demo entry shows; None where it shows nobody."""
    members = node.demo()["dialects"][dialect.name]
    pair = basic_members(dialect)
    return basic(*(members[name] for name in pair)) if pair else None


def asked(node: Node, dialect: Dialect, sample: Sample, answered: Callable[[Sample], Any]) -> Filled:
    """Fill a golden sample from demo.json; ``answered`` sends another, and gives the JSON of its answer."""
    members = dict(node.demo()["dialects"][dialect.name])
    if sample.after is not None:
        before = next(each for each in dialect.samples if each.name == sample.after)
        members["answer"] = answered(before)
    return fill_sample(dialect, sample, members, credentials(node, dialect) or "")


def target(filled: Filled) -> str:
    """Write path and query as the request line has them."""
    return filled.path + (f"?{filled.query}" if filled.query else "")


def send(node: Node, dialect: Dialect, sample: Sample) -> Answer:
    """Send a golden sample, once what comes before it was sent."""
    made = asked(node, dialect, sample, lambda before: send(node, dialect, before).json)
    return ask(node.url + target(made), made.method, made.body, dict(made.headers))


def curl(url: str, *arguments: str) -> tuple[int, Any]:
    """Ask with curl; gives status and body."""
    command = ["curl", "-s", "-w", "\n%{http_code}", *arguments, url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True)
    body, _, status = done.stdout.rpartition("\n")
    return int(status), json.loads(body)


def send_by_curl(node: Node, dialect: Dialect, sample: Sample) -> tuple[int, Any]:
    """Send a golden sample with curl, once what comes before it was sent; gives status and body."""
    made = asked(node, dialect, sample, lambda before: send_by_curl(node, dialect, before)[1])
    headers = [each for name, value in made.headers for each in ("-H", f"{name}: {value}")]
    body = ["--data-binary", made.body] if made.body else []
    return curl(node.url + target(made), "-X", made.method, *headers, *body)
