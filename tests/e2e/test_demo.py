"""The demo, as a newcomer, a test and a program meet it: demo.md, line by line."""

import json
import os
import re
import stat
import subprocess
from pathlib import Path

import pytest

from e2e.servers import START_SECONDS, environment, run, serving, starting, told, wait_ready, within

CLIENT = {"client_id": str, "client_secret": str}
PERSON = {"username": str, "password": str}
ENTITY = {"entity_id": str, "entity_secret": str}
SHAPES = {
    "oauth2": {"issuer": str, "token_endpoint": str, "jwks_uri": str, "scopes": list, "audience": str}
    | {"public_client_id": str}
    | CLIENT
    | PERSON,
    "endorsed": {"token_url": str, "jwks_uri": str, "scopes": list} | CLIENT,
    "mend": dict.fromkeys(("login_url", "refresh_url", "jwks_uri", "email", "user_key"), str)
    | dict.fromkeys(("org_token", "org_uuid", "org_name"), str)
    | {"service_user": {"email": str, "user_key": str}},
    "checkmarx": dict.fromkeys(("token_url", "api_url", "tenant", "client_id"), str)
    | {"projects": list, "viewer": PERSON | {"projects": list}}
    | {"other": PERSON | {"tenant": str, "projects": list}}
    | PERSON,
    "sahamati": dict.fromkeys(("base_url", "entity_type", "second_entity_id"), str)
    | {"grace": ENTITY, "expired": ENTITY}
    | PERSON
    | ENTITY,
    "vmware-csp": dict.fromkeys(("base_url", "api_token", "org_id", "service_api_token"), str)
    | dict.fromkeys(("expired_api_token", "revoked_api_token"), str)
    | {"mfa": {"api_token": str, "totp_secret": str}}
    | CLIENT,
}
WITHOUT_OTHER = {"checkmarx"}
"""Those that show the other organisation in an object of their own."""
SECRETS = re.compile(r"client_secret|password|user_key|entity_secret|totp_secret|\w*api_token")
JWT = re.compile(r"eyJ[\w-]+\.eyJ[\w-]+\.[\w-]+")


def shape(value):
    """Give the types of an object's members."""
    if isinstance(value, dict):
        return {name: shape(member) for name, member in value.items()}
    return type(value)


def leaves(value, name=""):
    """Give every text of an object, with the name of the member that it is."""
    if isinstance(value, dict):
        for key, member in value.items():
            yield from leaves(member, key)
    elif isinstance(value, str):
        yield name, value


def secrets_of(members):
    """Give the secrets of a demo entry."""
    return {value for name, value in leaves(members) if SECRETS.fullmatch(name)}


def curl_lines(node):
    """Take from the output what a newcomer copies, by dialect."""
    return dict(re.findall(r"^# (\S+)\n(curl .*)$", node.out.read_text(), re.MULTILINE))


def paste(line, home):
    """Run a line in a shell as somebody does who copied it."""
    return subprocess.run(
        ["sh", "-c", line], env=environment(home), capture_output=True, text=True, timeout=30, check=True
    ).stdout


def test_prints_where_it_is_and_a_table_of_its_dialects(demo):
    """The demo says its address and lists each dialect of demo.json in a table."""
    printed = demo.out.read_text()
    assert demo.url in printed
    assert demo.management in printed
    for name in demo.demo()["dialects"]:
        assert re.search(rf"^{name}\s+\S.*\sacme$", printed, re.MULTILINE), printed


@pytest.mark.parametrize("name", SHAPES)
def test_curl_lines_work_when_pasted(demo, name):
    """The one curl line of each dialect gives a token when pasted into a shell."""
    lines = curl_lines(demo)
    assert set(lines) == set(demo.demo()["dialects"])
    answer = paste(lines[name], demo.home)
    assert JWT.search(answer), answer
    assert isinstance(json.loads(answer), dict)


def test_no_credential_is_the_same_in_two_demos(demo, tmp_path):
    """AD-06: each demo makes fresh secrets, ids and keys, and nothing is hard-coded."""
    with serving(tmp_path / "data", tmp_path / "home") as second:
        theirs, ours = json.dumps(second.demo()), demo.demo()
        for each in (*ours["dialects"].values(), *ours["other"].values()):
            assert secrets_of(each)
            assert not [secret for secret in secrets_of(each) if secret in theirs]
        for name in ("oauth2", "endorsed"):
            assert ours["dialects"][name]["client_id"] not in theirs
        assert (demo.data / "master.key").read_text() != (second.data / "master.key").read_text()


def test_demo_json_has_the_shape_that_programs_count_on(demo):
    """The file demo.json holds exactly the members of demo.md, for either organisation."""
    shown = demo.demo()
    assert set(shown) == {"base_url", "management_url", "admin", "organisations", "dialects", "other"}
    assert set(shown["admin"]) == {"url", "token"}
    assert shown["admin"]["url"] == f"{demo.url}/admin/v1"
    assert shown["base_url"] == demo.url
    assert shown["management_url"] == demo.management
    assert [each["slug"] for each in shown["organisations"]] == ["acme", "globex"]
    for each in shown["organisations"]:
        assert set(each) == {"uuid", "name", "slug", "api_key"}
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", each["uuid"])
    for group, slug in (("dialects", "acme"), ("other", "globex")):
        wanted = (
            SHAPES if group == "dialects" else {name: SHAPES[name] for name in SHAPES.keys() - WITHOUT_OTHER}
        )
        assert shape(shown[group]) == wanted
        for name, scopes in (("oauth2", ["read", "write"]), ("endorsed", ["all:read", "all:write"])):
            members = shown[group][name]
            assert members["scopes"] == scopes
            assert members["jwks_uri"] == f"{demo.url}/o/{slug}/.well-known/jwks.json"
        oauth2, endorsed = shown[group]["oauth2"], shown[group]["endorsed"]
        assert oauth2["issuer"] == f"{demo.url}/o/{slug}"
        assert oauth2["token_endpoint"] == f"{demo.url}/o/{slug}/oauth2/token"
        assert endorsed["token_url"] == f"{demo.url}/api/v1/auth/tokens"
    assert "offline_access" not in shown["dialects"]["oauth2"]["scopes"]


def test_every_shown_credential_works(demo, dialect):
    """Every client of demo.json gets a token, in acme and in the other organisation."""
    for slug in ("acme", "globex"):
        assert demo.token(dialect, slug).status == 200


def test_files_are_for_their_owner_only(demo):
    """The file demo.json, the master key and the database have mode 0600, and the folder 0700."""
    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode)
        for path in (*demo.data.iterdir(), demo.data)
        if path.stat().st_size or path.is_dir()
    }
    assert modes.pop(demo.data.name) == 0o700
    assert set(modes.values()) == {0o600}, modes


def test_show_prints_the_file(demo):
    """The command demo show prints demo.json as JSON, and as a table with the same values."""
    assert told(demo.home, "demo", "show", "--data", str(demo.data)) == demo.demo()
    table = run(demo.home, "demo", "show", "--data", str(demo.data)).out
    for each in demo.demo()["dialects"].values():
        assert all(secret in table for secret in secrets_of(each))


def test_starts_again_and_a_second_node_with_the_same_credentials(tmp_path):
    """Later starts and second nodes keep credentials and issuer, and --public-url moves them."""
    data, home = tmp_path / "data", tmp_path / "home"
    with serving(data, home) as first:
        before = first.demo()
        with serving(data, home) as second:
            assert second.url != first.url
            assert second.demo() == before
            for line in curl_lines(second).values():
                assert second.url in line
                assert JWT.search(paste(line, home))
            for node in (first, second):
                assert node.token("oauth2").status == 200
            metadata = second.ask("GET", "/o/acme/.well-known/openid-configuration").json
            assert metadata["issuer"] == before["dialects"]["oauth2"]["issuer"]
            keys = [node.ask("GET", "/o/acme/.well-known/jwks.json").json for node in (first, second)]
            assert keys[0] == keys[1]
    moved = "http://localhost:9999"
    with serving(data, home, "--public-url", moved) as third:
        after = third.demo()
        assert after["base_url"] == moved
        assert after["dialects"]["oauth2"]["issuer"] == f"{moved}/o/acme"
        for group in ("dialects", "other"):
            for name, members in after[group].items():
                assert secrets_of(members) == secrets_of(before[group][name])
                urls = [value for _, value in leaves(members) if "://" in value]
                assert urls
                assert all(value == moved or value.startswith(moved + "/") for value in urls)
        metadata = third.ask("GET", "/o/acme/.well-known/oauth-authorization-server").json
        assert metadata["token_endpoint"] == f"{moved}/o/acme/oauth2/token"


def test_two_first_starts_at_once_make_one_demo(tmp_path):
    """Two nodes that start together on an empty folder serve the same credentials."""
    data, home = tmp_path / "data", tmp_path / "home"
    with starting(data, home / "a") as first, starting(data, home / "b") as second:
        wait_ready(first)
        wait_ready(second)
        for node in (first, second):
            for dialect in ("oauth2", "endorsed"):
                for slug in ("acme", "globex"):
                    assert node.token(dialect, slug).status == 200
        assert len(told(home, "org", "list", "--data", str(data))) == 2


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.7", "::"])
def test_listens_on_this_machine_only(tmp_path, host):
    """A demo refuses any host but this machine, says so, and makes nothing."""
    said = run(tmp_path, "serve", "--demo", "--data", str(tmp_path / "data"), "--host", host, "--port", "0")
    assert said.code == 3
    assert host in said.err
    assert "Traceback" not in said.err
    assert not (tmp_path / "data").exists()


def test_commands_without_a_folder_mean_the_latest_demo(demo, tmp_path):
    """A demo without --data uses a fresh folder and says where, and commands then mean it."""
    home = tmp_path / "home"
    with serving(None, home, environ={"TMPDIR": str(tmp_path)}) as node:
        folder = re.search(r"^Data in (\S+);", node.out.read_text(), re.MULTILINE)[1]
        assert folder.startswith(str(tmp_path))
        assert told(home, "demo", "show")["base_url"] == node.url != demo.url
        listed = run(home, "org", "list", "--format", "json")
        assert folder in listed.err
        assert [each["slug"] for each in listed.json] == ["acme", "globex"]


def test_a_start_with_every_stream_closed(tmp_path):
    """A server that is started as daemons are serves, and no socket or file of it is a standard stream."""
    data, closing = tmp_path / "data", ("sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh")
    with starting(data, tmp_path / "home", wrapper=closing) as node:
        within(START_SECONDS, (data / "demo.json").exists)
        node.url, node.management = (node.demo()[name] for name in ("base_url", "management_url"))
        within(START_SECONDS, lambda: node.health() == 200)
        assert node.token("oauth2").status == 200
        streams = {Path(f"/proc/{node.process.pid}/fd/{number}").readlink() for number in range(3)}
        assert streams == {Path(os.devnull)}
        assert node.stop() == 0


def test_show_before_any_demo_says_how_to_make_one(tmp_path):
    """Before any demo was started demo show says which command starts one."""
    said = run(tmp_path, "demo", "show")
    assert said.code == 1
    assert "keyturn serve --demo" in said.err


def test_a_taken_port_is_named(demo, tmp_path):
    """A port that is taken is told as one line with the port, before anything is made."""
    port = demo.url.rsplit(":", 1)[1]
    said = run(tmp_path, "serve", "--demo", "--data", str(tmp_path / "data"), "--port", port)
    assert said.code == 3
    assert port in said.err
    assert "Traceback" not in said.err


def test_a_production_folder_is_refused(tmp_path):
    """AD-06: a demo puts no clients into a deployment that is none, and says why."""
    data, home = tmp_path / "data", tmp_path / "home"
    assert run(home, "init", "--data", str(data)).code == 0
    said = run(home, "serve", "--demo", "--data", str(data), "--port", "0", "--management-port", "0")
    assert said.code == 3
    assert "is no demo" in said.err
    assert not (data / "demo.json").exists()
