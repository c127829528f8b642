"""Settings: where they come from, which wins, and that every problem is told."""

import json
import shlex
import sys
from dataclasses import replace
from functools import reduce
from operator import getitem
from pathlib import Path

import pytest

from keyturn.config import declared_settings, is_loopback, load_settings, setting_names
from keyturn.core.errors import ConfigError
from keyturn.secret_sources import run_for_secret
from keyturn.setting_groups import LimitSettings, PasswordSettings
from keyturn.settings import SECRETS, plain

PAGE = Path(__file__).resolve().parents[2] / "docs" / "configuration.md"
KEY = "kt_master_not-looked-at-here"
ENOUGH = {"KEYTURN_PUBLIC_URL": "https://tokens.example", "KEYTURN_MASTER_KEY": KEY}


def load(environ=(), *, file=None, tmp_path=None, **named):
    """Load settings from an environment, and from a file's text if given."""
    if file is not None:
        (tmp_path / "keyturn.toml").write_text(file, encoding="utf-8")
        named["config"] = tmp_path / "keyturn.toml"
    return load_settings(flags=named.pop("flags", {}), environ=dict(environ), **named)


def problems(*arguments, **named):
    """Load settings that are wrong and give what is said about them."""
    with pytest.raises(ConfigError) as caught:
        load(*arguments, **named)
    return caught.value.problems


def test_defaults():
    """Nothing has to be set to look at a deployment."""
    settings = load()
    assert (settings.host, settings.port, settings.management_port) == ("127.0.0.1", 8480, 8481)
    assert settings.dialects == ("oauth2",)
    assert settings.dialect["oauth2"] == {"algorithm": "ES256"}
    assert settings.store_url().endswith("/keyturn-data/keyturn.db")


def test_file_environment_flags(tmp_path):
    """Flags win over the environment, the environment over the file."""
    file = 'port = 1\nhost = "::1"\n[limits]\nbody_bytes = 2048\nconnections = 7\n'
    settings = load(
        {"KEYTURN_PORT": "2", "KEYTURN_LIMITS__BODY_BYTES": "4096"},
        file=file,
        tmp_path=tmp_path,
        flags={"port": 3, "data": None},
    )
    assert (settings.port, settings.host) == (3, "::1")
    assert (settings.limits.body_bytes, settings.limits.connections) == (4096, 7)


def test_file_named_by_the_environment(tmp_path):
    """KEYTURN_CONFIG names the file where no flag does, and paths in it begin at its folder."""
    path = tmp_path / "keyturn.toml"
    path.write_text('data = "here"\nmaster_key_file = "key"\n', encoding="utf-8")
    (tmp_path / "key").write_text(KEY + "\n", encoding="utf-8")
    settings = load({"KEYTURN_CONFIG": str(path)})
    assert settings.data == tmp_path / "here"
    assert settings.master_key_text() == KEY


def test_half_a_rate():
    """One half of a rate may be set alone."""
    rates = load({"KEYTURN_LIMITS__CLIENT__BURST": "5"}).limits.rates()
    assert (rates["client"].burst, rates["client"].per_minute) == (5, 60_000)
    assert set(rates) == {"client", "user", "address", "organisation"}


def test_lists_in_the_environment():
    """A list is separated by commas in the environment, and an empty variable counts as not set."""
    settings = load(
        {"KEYTURN_DIALECTS": "endorsed, oauth2", "KEYTURN_TRUSTED_PROXIES": "", "KEYTURN_HOST": ""}
    )
    assert settings.dialects == ("oauth2", "endorsed")
    assert settings.trusted_proxies == ()


def test_every_problem_at_once(tmp_path):
    """Problems of every source and kind are told in one go, each as its source spells it."""
    file = """
        porrt = 1
        log_level = "loud"
        limits.bdy_bytes = 1
        limits.connections = 0
        dialect.oauth2.algorithm = "HS256"
    """
    told = problems(
        {
            "KEYTURN_PUBLIC_ULR": "x",
            "KEYTURN_DIALECTS": "endorsd",
            "KEYTURN_TRUSTED_PROXIES": "10.0.0.1/8",
            "KEYTURN_DATABASE_URL_FILE": "no/such/file",
        },
        file=file,
        tmp_path=tmp_path,
        flags={"port": 70_000},
        serving=True,
    )
    path = tmp_path / "keyturn.toml"
    for expected in (
        "KEYTURN_PUBLIC_ULR is no setting; did you mean KEYTURN_PUBLIC_URL?",
        f"porrt in {path}: no such setting; did you mean port?",
        f"limits.bdy_bytes in {path}: no such setting; did you mean limits.body_bytes?",
        "KEYTURN_DATABASE_URL_FILE: no/such/file: No such file or directory",
        "--port: should be less than or equal to 65535",
        f"log_level in {path}: should be 'debug', 'info', 'warning' or 'error'",
        f"limits.connections in {path}: should be greater than or equal to 1",
        "dialects: no dialect 'endorsd'; did you mean endorsed?",
        "KEYTURN_TRUSTED_PROXIES: should be networks such as 10.0.0.0/8: 10.0.0.1/8 has host bits set",
        f"dialect.oauth2.algorithm in {path}: algorithm is one of ES256, RS256, EdDSA, not 'HS256'",
    ):
        assert expected in told
    assert any("public_url is required" in problem for problem in told)
    assert any("data folder keyturn-data does not exist" in problem for problem in told)
    assert len(told) == 12


@pytest.mark.parametrize(
    "file",
    [
        "port = ",
        'a = "\\ud800"',
        "limits = 3\n",
        "dialect = 3\n",
        "[dialect]\noauth2 = 1\n",
        "[port]\na = 1\n",
    ],
)
def test_broken_file(tmp_path, file):
    """A file that is no TOML, or of another shape, is a problem and no crash."""
    assert problems(file=file, tmp_path=tmp_path)


def test_no_file(tmp_path):
    """A file that is not there is a problem."""
    assert problems(config=tmp_path / "nope.toml") == (
        f"configuration file {tmp_path / 'nope.toml'}: No such file or directory",
    )


def test_not_text(tmp_path):
    """A file or a secret's file that is no text is a problem and no crash."""
    (tmp_path / "x").write_bytes(b"\xff\xfe\x00")
    assert problems({"KEYTURN_MASTER_KEY_FILE": str(tmp_path / "x")})
    assert problems(config=tmp_path / "x")


@pytest.mark.parametrize("value", ["3", "[]", '"a\\u0000b"', '"/"'])
def test_odd_secret_file(tmp_path, value):
    """A secret's file that cannot be one is a problem and no crash."""
    [told] = problems(file=f"master_key_file = {value}\n", tmp_path=tmp_path)
    assert told.startswith("master_key_file in ")


def test_secret_given_twice(tmp_path):
    """A secret given as itself and as a file is refused."""
    (tmp_path / "key").write_text(KEY, encoding="utf-8")
    told = problems({"KEYTURN_MASTER_KEY": KEY, "KEYTURN_MASTER_KEY_FILE": str(tmp_path / "key")})
    assert told == ("KEYTURN_MASTER_KEY and KEYTURN_MASTER_KEY_FILE are both given",)


def test_tests_have_variables_of_their_own():
    """KEYTURN_CONFIG and KEYTURN_TEST_* are no settings and no problem."""
    load({"KEYTURN_TEST_NO_SKIP": "1", "KEYTURN_CONFIG": ""})


@pytest.mark.parametrize(
    "url",
    [
        "https://tokens.example",
        "https://tokens.example:8443/",
        "http://localhost:8480",
        "http://[::1]:1",
        "HTTPS://A.example",
    ],
)
def test_public_url(url):
    """A public URL is https, or http for this machine, and loses its slash."""
    settings = load({**ENOUGH, "KEYTURN_PUBLIC_URL": url}, serving=True)
    assert settings.public_url_text() == url.lower().rstrip("/")


@pytest.mark.parametrize(
    "url",
    [
        "http://tokens.example",
        "http://127.0.0.1.example",
        "https://tokens.example/base",
        "https://tokens.example?x=1",
        "https://tokens.example#x",
        "https://u:p@tokens.example",
        "https://",
        "tokens.example",
        "ftp://tokens.example",
        "https://[",
        "https://tokens.example:99999",
        "https://tökens.example",
        "https://tokens example",
    ],
)
def test_bad_public_url(url):
    """An issuer cannot begin with anything that is no plain origin."""
    [told] = problems({**ENOUGH, "KEYTURN_PUBLIC_URL": url}, serving=True)
    assert told.startswith("KEYTURN_PUBLIC_URL: should")


@pytest.mark.parametrize("name", ["HOST", "MANAGEMENT_HOST"])
def test_off_loopback(name):
    """Plain HTTP off this machine needs a trusted proxy."""
    away = {**ENOUGH, f"KEYTURN_{name}": "0.0.0.0"}
    [told] = problems(away, serving=True)
    assert "trusted_proxies" in told
    load({**away, "KEYTURN_TRUSTED_PROXIES": "10.0.0.0/8"}, serving=True)


@pytest.mark.parametrize(
    ("host", "answer"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("localhost.example", False),
        ("", False),
    ],
)
def test_loopback(host, answer):
    """Only what can be no other machine is this machine."""
    assert is_loopback(host) is answer


def test_demo():
    """A demo needs no public URL and no master key, speaks every dialect, and stays on this machine."""
    settings = load({"KEYTURN_LIMITS__CLIENT__PER_MINUTE": "5"}, serving=True, demo=True)
    assert set(settings.dialects) == set(declared_settings())
    assert (settings.limits.client.per_minute, settings.limits.address.per_minute) == (5, 1_000_000_000)
    [told] = problems(
        {"KEYTURN_HOST": "0.0.0.0", "KEYTURN_TRUSTED_PROXIES": "10.0.0.0/8"}, serving=True, demo=True
    )
    assert told == "host: a demo listens on this machine only, not on 0.0.0.0"


def test_master_key_file_mode(tmp_path):
    """A master key that others may read is refused."""
    path = tmp_path / "master.key"
    path.write_text(KEY, encoding="utf-8")
    path.chmod(0o600)
    settings = load(flags={"data": tmp_path})
    assert settings.master_key_text() == KEY
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        settings.master_key_text()


def test_files_that_are_no_text(tmp_path):
    """HT-07: of a file that is no text its name is told, and no byte of it, for it may be a key."""
    (tmp_path / "key").write_bytes(b"\xfe" * 32)
    said = "is not UTF-8 text"
    assert problems({}, config=tmp_path / "key") == (f"configuration file {tmp_path / 'key'}: {said}",)
    given = {"KEYTURN_MASTER_KEY_FILE": str(tmp_path / "key")}
    assert problems(given) == (f"KEYTURN_MASTER_KEY_FILE: {tmp_path / 'key'}: {said}",)
    (tmp_path / "key").chmod(0o600)
    (tmp_path / "key").rename(tmp_path / "master.key")
    with pytest.raises(ConfigError, match=said):
        load(flags={"data": tmp_path}).master_key_text()


def make_long(path, text, *, endless):
    """Make a file that has no end, or one that is huge."""
    if endless:
        path.symlink_to("/dev/zero")
    else:
        path.write_text(text * 10_000, encoding="utf-8")
        path.chmod(0o600)


@pytest.mark.parametrize("endless", [True, False])
def test_secret_files_without_an_end(tmp_path, endless):
    """HT-01: a secret's file that is huge or has no end is refused, with no byte of it told."""
    path = tmp_path / "master.key"
    make_long(path, KEY, endless=endless)
    says = f"{path}: has more than 65536 characters: it should hold the secret alone"
    for name in ("MASTER_KEY", "DATABASE_URL", "PKCS11__PIN"):
        given = f"KEYTURN_{name}_FILE"
        assert problems({given: str(path)}) == (f"{given}: {says}",)
    if not endless:  # others may read /dev/zero, which is told first
        with pytest.raises(ConfigError) as caught:
            load(flags={"data": tmp_path}).master_key_text()
        assert caught.value.problems == (f"master key: {says}",)


@pytest.mark.parametrize("endless", [True, False])
def test_configuration_without_an_end(tmp_path, endless):
    """HT-01: a configuration file that is huge or has no end is refused; nothing else of it is told."""
    path = tmp_path / "keyturn.toml"
    make_long(path, "# a remark\n", endless=endless)
    told = f"configuration file {path}: has more than 65536 characters: it should hold settings alone"
    assert problems({}, config=path) == (told,)


def test_secrets_do_not_show():
    """No way of showing settings, and no problem told about them, shows a secret (AD-04)."""
    clear = "postgresql://keyturn:hunter2@db.example/keyturn"
    environ = {
        "KEYTURN_DATABASE_URL": clear,
        "KEYTURN_MASTER_KEY": "hunter2",
        "KEYTURN_PKCS11__PIN": "hunter2",
        "KEYTURN_NOTICES__SMTP_PASSWORD": "hunter2",
    }
    settings = load(environ)
    assert settings.store_url() == clear
    shown = settings.shown()
    assert {reduce(getitem, name.split("."), shown) for name in SECRETS} == {"***"}
    for text in (repr(settings), str(settings), json.dumps(shown), repr(plain(settings))):
        assert "hunter2" not in text
    told = problems({**environ, "KEYTURN_PORT": "hunter2", "KEYTURN_HOTS": "hunter2"})
    assert "hunter2" not in " ".join(told)


def test_page_names_every_setting():
    """Each setting is on docs/configuration.md, or on the page of the one dialect that has it."""
    page = PAGE.read_text(encoding="utf-8")
    missing = [name for name in setting_names(declared_settings()) if f"`{name}`" not in page]
    for name in list(missing):
        prefix, _, rest = name.partition(".")
        dialect, _, setting = rest.partition(".")
        own = PAGE.parent / "dialects" / f"{dialect}.md"
        shared = prefix == "dialect" and f"`dialect.NAME.{setting}`" in page
        if shared or (own.is_file() and f"`{name}`" in own.read_text(encoding="utf-8")):
            missing.remove(name)
    assert missing == []


@pytest.mark.parametrize("text", ["abc", "0", "-1", "1.5", "1000000001"])
@pytest.mark.parametrize("half", ["PER_MINUTE", "BURST"])
@pytest.mark.parametrize("demo", [False, True])
def test_a_wrong_half_of_a_rate(text, half, demo):
    """A wrong half of a rate is told in one line, in a demo too (TN-04)."""
    name = f"KEYTURN_LIMITS__CLIENT__{half}"
    [told] = problems({**ENOUGH, name: text}, demo=demo)
    assert told.startswith(f"{name}: should be ")


@pytest.mark.parametrize(
    ("file", "names"),
    [
        ("limits.client.per_minute = 'abc'", ["limits.client.per_minute"]),
        ("limits.client = {per_minute = 0, burst = 0}", ["limits.client.per_minute", "limits.client.burst"]),
        ("limits.client = 5", ["limits"]),
        ("limits.client.burst = {}", ["limits.client.burst"]),
        ("limits = 5", ["limits"]),
    ],
)
@pytest.mark.parametrize("environ", [{}, {"KEYTURN_LIMITS__CLIENT__BURST": "5"}])
def test_wrong_rates_in_a_file(tmp_path, file, names, environ):
    """A wrong rate in the file never hides behind a half that the environment gives (TN-04)."""
    try:
        told = problems(environ, file=file, tmp_path=tmp_path)
    except pytest.fail.Exception:
        assert environ  # which took the place of the one that is wrong
        return
    assert {line.split(":")[0].split(" in ")[0] for line in told} <= {*names, "KEYTURN_LIMITS"}


def test_no_folder(tmp_path):
    """A data folder that is not there is told as that, not as a missing key (HT-09)."""
    url = {"KEYTURN_PUBLIC_URL": "https://tokens.example"}
    [told] = problems(url, flags={"data": tmp_path / "typo"}, serving=True)
    assert told == f"data folder {tmp_path / 'typo'} does not exist: `keyturn init` makes it"
    [told] = problems(url, flags={"data": tmp_path}, serving=True)
    assert told.startswith("no master key: ")


def test_one_port_twice():
    """Both listeners on one port of one host are told before anything is bound (RE-11)."""
    ports = {"KEYTURN_PORT": "9000", "KEYTURN_MANAGEMENT_PORT": "9000"}
    [told] = problems({**ENOUGH, **ports}, serving=True)
    assert told == "port and management_port are both 9000 on 127.0.0.1; each needs its own"
    load({**ENOUGH, **ports, "KEYTURN_MANAGEMENT_HOST": "::1"}, serving=True)
    load({**ENOUGH, "KEYTURN_PORT": "0", "KEYTURN_MANAGEMENT_PORT": "0"}, serving=True)


@pytest.mark.parametrize("text", [None, "port = "], ids=["missing", "no TOML"])
def test_a_file_that_cannot_be_read(tmp_path, text):
    """What may stand in a file that cannot be read is not told as missing (HT-03)."""
    path = tmp_path / "keyturn.toml"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    [told] = problems(config=path, serving=True)
    assert str(path) in told


@pytest.mark.parametrize(
    ("workers", "connections", "threads"), [(1, 10, 4), (2, 5, 2), (3, 4, 1), (8, 2, 1), (64, 1, 1)]
)
def test_what_workers_share_out(workers, connections, threads):
    """Connections and threads for passwords are shared out among workers; nobody is left with none."""
    assert LimitSettings(connections=10).share(workers).connections == connections
    assert PasswordSettings(threads=4).share(workers).threads == threads


@pytest.mark.parametrize("workers", ["0", "65", "many"])
def test_how_many_workers(workers):
    """There are 1 to 64 workers, and 1 where nothing is said."""
    assert load().workers == 1
    (problem,) = problems(flags={"workers": workers})
    assert problem.startswith("--workers")


def by_command(*argv, **changes):
    """Load settings whose master key comes from a program."""
    return load({"KEYTURN_MASTER_KEY_COMMAND": shlex.join(argv), **changes})


def test_master_key_from_a_command(tmp_path):
    """TK-12: a program without a shell gives the master key; it runs once, whoever asks, workers too."""
    counted = tmp_path / "runs; touch injected"
    (tmp_path / "key").write_text(f" {KEY} ")
    script = "import sys; open(sys.argv[1], 'a').write('x'); print(open(sys.argv[2]).read())"
    settings = by_command(sys.executable, "-c", script, str(counted), str(tmp_path / "key"))
    assert not counted.exists()
    assert settings.master_key_text() == KEY
    assert replace(settings, port=1).master_key_text() == KEY
    assert counted.read_text() == "x"
    assert settings.master_key_place() is None
    assert KEY not in repr(settings) + json.dumps(settings.shown())
    listed = f'master_key_command = ["{sys.executable}", "-c", "print(1)"]\n'
    assert load(file=listed, tmp_path=tmp_path).master_key_text() == "1"


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("print('hunter2'); raise SystemExit(3)", "failed with exit code 3"),
        ("import sys; sys.stderr.write('hunter2')", "printed no text"),
        ("import sys; sys.stdout.buffer.write(bytes([255]))", "printed no text"),
        ("print('hunter2' * 10_000)", "prints more than"),
    ],
)
def test_a_command_that_fails(script, told, capfd):
    """HT-07: what is wrong with a program is told in words, and nothing of what it printed."""
    with pytest.raises(ConfigError, match=told) as caught:
        by_command(sys.executable, "-c", script).master_key_text()
    assert "hunter2" not in str(caught.value) + "".join(capfd.readouterr())


def test_a_command_that_does_not_come_to_an_end(tmp_path):
    """A program that gives no answer is ended, and one that is not there is told by its name."""
    with pytest.raises(ConfigError, match="no answer within"):
        run_for_secret("master_key_command", ["sleep", "60"], seconds=0.05)
    with pytest.raises(ConfigError, match=r"cannot be started: .*nothing-here"):
        by_command(str(tmp_path / "nothing-here")).master_key_text()


def test_one_source_of_the_master_key(tmp_path):
    """Whichever source names a place for the master key first names all of it; two in one are refused."""
    (tmp_path / "key").write_text(KEY, encoding="utf-8")
    file = 'master_key_file = "key"\n'
    settings = load(file=file, tmp_path=tmp_path)
    assert settings.master_key_place() == tmp_path / "key"
    given = load({"KEYTURN_MASTER_KEY": "other"}, file=file, tmp_path=tmp_path)
    assert (given.master_key_text(), given.master_key_place()) == ("other", None)
    run = load({"KEYTURN_MASTER_KEY_COMMAND": "echo told"}, file=file, tmp_path=tmp_path)
    assert (run.master_key_text(), run.master_key_place()) == ("told", None)
    both = {"KEYTURN_MASTER_KEY": KEY, "KEYTURN_MASTER_KEY_COMMAND": "echo"}
    assert problems(both) == ("KEYTURN_MASTER_KEY_COMMAND and KEYTURN_MASTER_KEY are both given",)


def test_pkcs11_settings():
    """A token needs its library and its label, and making keys in one needs a token."""
    served = {**ENOUGH, "KEYTURN_KEYS__SIGNER": "pkcs11"}
    needed = "keys.signer: pkcs11 needs pkcs11.module and pkcs11.token"
    assert problems(served, serving=True) == (needed,)
    half = {**ENOUGH, "KEYTURN_PKCS11__MODULE": "p11.so"}
    assert problems(half, serving=True) == ("pkcs11.module and pkcs11.token come together",)
