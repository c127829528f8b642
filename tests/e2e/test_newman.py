"""npm newman runs the Postman collection of each dialect, as it is served, against the demo."""

import json
import subprocess
from pathlib import Path

import pytest

from e2e.npm import install
from e2e.servers import environment
from keyturn.dialects import load_dialects

HERE = Path(__file__).resolve().parent
BUILD = HERE.parents[1] / "build" / "e2e" / "newman"
SECONDS = 60

pytestmark = [pytest.mark.needs_node, pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def newman():
    """The command, installed once."""
    found = install(HERE / "newman", BUILD)
    if isinstance(found, str):
        pytest.skip(found)
    return found / "node_modules" / "newman" / "bin" / "newman.js"


def run(newman, home, collection, values):
    """Run a collection with values for its variables, and give newman's report."""
    home.mkdir(exist_ok=True)
    asked, report = home / "collection.json", home / "report.json"
    asked.write_bytes(collection)
    given = home / "environment.json"
    shown = [{"key": name, "value": str(value), "enabled": True} for name, value in values.items()]
    given.write_text(json.dumps({"name": "demo", "values": shown}))
    done = subprocess.run(
        [
            *("node", str(newman), "run", str(asked), "--environment", str(given)),
            *("--reporters", "json", "--reporter-json-export", str(report)),
        ],
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert report.exists(), done.stderr
    return json.loads(report.read_text())["run"]


def told(report):
    """Say what newman found wrong, by request and test."""
    return [(each["source"].get("name"), each["error"]["message"]) for each in report["failures"]]


def variables(node, name):
    """Give what demo.json says of a dialect as variables; a member inside another is named with a dot."""

    def flat(members, before=""):
        for key, value in members.items():
            if isinstance(value, dict):
                yield from flat(value, f"{before}{key}.")
            else:
                yield before + key, value

    return {**dict(flat(node.demo()["dialects"][name])), "organisation": "acme"}


@pytest.mark.parametrize("name", load_dialects())
def test_collection(newman, changing, tmp_path, name):
    """Each request of a collection is answered as its test expects, with the demo's members filled in."""
    collection = changing.ask("GET", f"/postman/{name}.json").body
    report = run(newman, tmp_path, collection, variables(changing, name))
    assert told(report) == []
    wanted = sum(len(folder["item"]) for folder in json.loads(collection)["item"])
    assert report["stats"]["requests"]["total"] == wanted
    assert report["stats"]["assertions"]["total"] >= wanted


def test_a_wrong_value_is_told(newman, changing, tmp_path):
    """A collection run with a wrong secret fails: its tests look at what is answered."""
    collection = changing.ask("GET", "/postman/oauth2.json").body
    values = {**variables(changing, "oauth2"), "client_secret": "wrong"}
    failures = told(run(newman, tmp_path, collection, values))
    assert (
        "client credentials in the body",
        "expected response to have status code 200 but got 401",
    ) in failures
