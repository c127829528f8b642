"""CheckmarxPythonSDK 1.3.2, as it comes from its registry, against a running demo over plain HTTP."""

import contextlib
import json
import subprocess
from pathlib import Path

import pytest

from e2e.servers import SOON_SECONDS, ask, environment, run, told, within
from e2e.vendors import install

HERE = Path(__file__).resolve().parent
BUILD = HERE.parents[1] / "build" / "e2e" / "vendors"

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="session")
def python():
    """The Python that has the vendors' clients."""
    found = install(BUILD)
    if isinstance(found, str):
        pytest.skip(found)
    return found


@pytest.fixture(scope="module")
def served(tmp_path_factory, new_demo):
    """A demo of this file's own, whose users change."""
    folder = tmp_path_factory.mktemp("checkmarx")
    with new_demo(folder) as node:
        yield node


@pytest.fixture
def members(served):
    """What demo.json says of the dialect."""
    return served.demo()["dialects"]["checkmarx"]


class Sdk:
    """A program that uses the SDK."""

    def __init__(self, process):
        self._process = process
        self.token = None

    def __call__(self, call, **given):
        """Let it do something; gives what the SDK gave."""
        told = self._ask(call, given)
        assert "gave" in told, told
        return told["gave"]

    def refused(self, call, **given):
        """Let it do what must be refused; gives what the SDK raised."""
        return self._ask(call, given)["raised"]

    def _ask(self, call, given):
        self._process.stdin.write(json.dumps({"call": call, "with": given}) + "\n")
        self._process.stdin.flush()
        told = json.loads(self._process.stdout.readline())
        self.token = told.pop("token")
        return told


@contextlib.contextmanager
def program(python, served, **changes):
    """Start a program that is configured by its environment, for a user of acme unless told otherwise."""
    members = served.demo()["dialects"]["checkmarx"]
    chosen = {
        "access_control_url": served.url,
        "server": served.url,
        "account": members["tenant"],
        "username": members["username"],
        "password": members["password"],
    } | changes
    given = {f"cxsca_{name}": value for name, value in chosen.items()} | {"NO_PROXY": "127.0.0.1"}
    with subprocess.Popen(
        [python, HERE / "clients" / "checkmarx_sdk.py"],
        env=environment(served.home, given),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Sdk(process)
        finally:
            process.kill()


def names(projects):
    """Give the names of projects."""
    return [project["name"] for project in projects]


def test_a_whole_life(python, served, members):
    """The SDK logs in, lists, finds by name, makes, renames and deletes, with one token for all."""
    with program(python, served) as sdk:
        assert names(sdk("get_all_projects")) == members["projects"]
        token = sdk.token
        assert token.startswith("Bearer ")
        shop = sdk("get_all_projects", project_name="acme-shop")
        assert (shop["name"], shop["assignedTeams"]) == ("acme-shop", ["/CxServer/Demo"])
        assert sdk("get_project_id_by_name", project_name="acme-shop") == shop["id"]
        assert sdk("get_project_by_id", project_id=shop["id"]) == shop
        assert sdk("check_if_project_already_exists", project_name="happy test") is False
        made = sdk("create_a_new_project", project_name="happy test")
        assert (made["name"], made["assignedTeams"]) == ("happy test", [])
        assert sdk("get_all_projects", project_name="happy test") == made
        teams = ["/CxServer/Demo/Backend"]
        assert sdk("update_project", project_id=made["id"], project_name="new", assigned_teams=teams) is True
        assert sdk("get_project_by_id", project_id=made["id"])["assignedTeams"] == teams
        assert sdk("delete_project", project_id=made["id"]) is True
        assert "404" in sdk.refused("get_project_by_id", project_id=made["id"])
        assert sdk.token == token


def test_a_new_token_after_a_log_out(python, served, members):
    """RV-04: after an operator's log-out the SDK meets a 401, logs in again by itself and goes on."""
    with program(python, served) as sdk:
        sdk("get_all_projects")
        first = sdk.token
        user = f"acme/{members['username']}"
        assert run(served.home, "user", "logout", user, "--data", str(served.data)).code == 0
        projects, headers = f"{served.url}/risk-management/projects", {"Authorization": first}
        within(SOON_SECONDS, lambda: ask(projects, headers=headers).status == 401)
        assert names(sdk("get_all_projects")) == members["projects"]
        assert sdk.token != first


def test_wrong_password(python, served):
    """PW-04: a wrong password is raised with the vendor's body, and so are an unknown user and tenant."""
    for wrong in ({"password": "wrong"}, {"username": "nobody"}, {"account": "nobody"}):
        with program(python, served, **wrong) as sdk:
            said = sdk.refused("get_all_projects")
            assert '{"error":"invalid_grant","error_description":"invalid_username_or_password"} 400' in said


def test_a_viewer(python, served, members):
    """A viewer sees their team's projects, and what they may not do is raised as 403."""
    viewer = members["viewer"]
    who = {"username": viewer["username"], "password": viewer["password"]}
    with program(python, served, **who) as sdk:
        assert names(sdk("get_all_projects")) == viewer["projects"]
        assert "403" in sdk.refused("create_a_new_project", project_name="mine")


def test_the_other_organisation(python, served, members):
    """TN-03: the same name and password in the other tenant is another user, who sees nothing of this one."""
    other = members["other"]
    who = {"account": other["tenant"], "username": other["username"], "password": other["password"]}
    with program(python, served) as ours, program(python, served, **who) as theirs:
        project = ours("get_all_projects")[0]
        assert names(theirs("get_all_projects")) == other["projects"]
        assert "404" in theirs.refused("get_project_by_id", project_id=project["id"])
        assert "404" in theirs.refused("delete_project", project_id=project["id"])
        assert ours("get_project_by_id", project_id=project["id"]) == project


def test_a_scope_for_something_else(python, served):
    """A token for the access control API alone is 403 at projects."""
    with program(python, served, scope="access_control_api") as sdk:
        assert "403" in sdk.refused("get_all_projects")


def test_a_password_change(python, served):
    """RV-04, PW-02: another password ends the token; who sends the old one is told so."""
    home, at = served.home, ("--data", str(served.data))
    told(home, "user", "create", "globex", "Zoë", "--role", "checkmarx:sca_viewer", *at)
    words = ["violet anchors drift över", "another anchor drifts över"]

    def set_password(word):
        assert run(home, "user", "password", "globex/zoë", *at, typed=word).code == 0

    def goes_in(word):
        with program(python, served, account="globex", username="Zoë", password=word) as fresh:
            return fresh("get_all_projects") == seen

    set_password(words[0])
    with program(python, served, account="globex", username="ZOË", password=words[0]) as sdk:
        seen = sdk("get_all_projects")
        assert names(seen) == ["globex-handbook"]
        set_password(words[1])
        projects, headers = f"{served.url}/risk-management/projects", {"Authorization": sdk.token}
        within(SOON_SECONDS, lambda: ask(projects, headers=headers).status == 401)
        assert "invalid_username_or_password" in sdk.refused("get_all_projects")
    assert goes_in(words[1])
