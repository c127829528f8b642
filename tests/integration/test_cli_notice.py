"""`keyturn notice` and `keyturn token patterns` on a real data folder."""

import pytest

from integration.test_cli import Terminal
from keyturn.core.secret import scanner_patterns


@pytest.fixture
def terminal(capsys, tmp_path, monkeypatch):
    """A deployment that may send to two hosts."""
    monkeypatch.setenv("KEYTURN_NOTICES__HOSTS", "hooks.invalid, *.example.com")
    made = Terminal(capsys, tmp_path / "data")
    made.begin("org", "create", "acme")
    return made


def test_a_subscription_from_first_to_last(terminal):
    """AD-04: a webhook's secret is shown when it is made or rotated, and nowhere else."""
    made = terminal.json("notice", "create", "--url", "https://hooks.invalid/in", "--organisation", "acme")
    assert made["secret"].startswith("whsec_")
    kept = {name: value for name, value in made.items() if name != "secret"}
    assert terminal.json("notice", "list") == [kept]
    assert terminal.json("notice", "show", made["id"]) == kept
    rotated = terminal.json("notice", "rotate", made["id"])
    assert rotated["secret"] != made["secret"]
    assert rotated["two_secrets_until"] is not None
    notice = terminal.json("notice", "test", made["id"])["notice"]
    assert terminal.json("upkeep", "run", "notices")[0]["outcome"] == "1 new; 1 delayed"
    [waiting] = terminal.json("notice", "outbox")
    assert (waiting["notice"], waiting["tries"]) == (notice, 1)
    assert waiting["problem"] == "no answer: the host's name does not resolve"
    assert terminal.json("notice", "outbox", "--dead") == []
    assert terminal.json("notice", "end", made["id"])["ended_at"] is not None
    assert terminal.refused("notice", "test", made["id"])[0] == 1
    rows = [row["kind"] for row in terminal.json("audit", "tail")]
    told = ["notice_subscription.created", "notice_subscription.rotated", "notice.tested"]
    assert [kind for kind in rows if kind.startswith("notice")] == [*told, "notice_subscription.ended"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--url", "https://elsewhere.org/"], "not among notices.hosts"),
        (["--url", "http://a.example.com/"], "https://"),
        (["--mail", "ops@example.com"], "notices.smtp_host"),
        (["--url", "https://a.example.com/", "--kind", "nonsense"], "kind"),
        ([], "one of --url and --mail"),
    ],
)
def test_what_is_refused(terminal, arguments, words):
    """What cannot be sent to, by the settings, is no subscription."""
    code, line = terminal.refused("notice", "create", *arguments)
    assert code == 1
    assert words in line


def test_where_mail_may_go(terminal, monkeypatch):
    """HT-10: mail goes to the domains that the settings list, and nowhere else."""
    monkeypatch.setenv("KEYTURN_NOTICES__SMTP_HOST", "mail.invalid")
    monkeypatch.setenv("KEYTURN_NOTICES__SMTP_FROM", "keyturn@example.com")
    monkeypatch.setenv("KEYTURN_NOTICES__MAIL_DOMAINS", "example.com")
    assert terminal.json("notice", "create", "--mail", "ops@example.com")["channel"] == "mail"
    code, line = terminal.refused("notice", "create", "--mail", "ops@example.org")
    assert code == 1
    assert "not among notices.mail_domains" in line


def test_patterns(terminal):
    """The patterns for scanners are printed for programs and people."""
    assert {row["kind"]: row["pattern"] for row in _patterns(terminal)} == scanner_patterns()


def _patterns(terminal):
    import json

    from keyturn.cli.root import run

    terminal.capsys.readouterr()
    assert run(["token", "patterns", "--format", "json"]) == 0
    return json.loads(terminal.capsys.readouterr().out)
