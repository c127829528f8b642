"""What a child reads for the process that serves arrives there as it was."""

import io
import os
import pickle
import signal
import subprocess
import sys
from dataclasses import replace
from importlib import import_module

import pytest

from keyturn.cli import handover
from keyturn.cli.handover import Order, _Giving, _Packer, give, serve
from keyturn.cli.root import run
from keyturn.config import load_settings
from keyturn.settings import plain

SECRETS = {
    "KEYTURN_MASTER_KEY_COMMAND": "printf kt_master_of_a_command",
    "KEYTURN_DATABASE_URL": "postgresql://me:geheim@db/keyturn",
    "KEYTURN_NOTICES__SMTP_PASSWORD": "smtp geheim",
    "KEYTURN_PKCS11__PIN": "1234",
}


def test_settings_arrive_with_their_secrets(monkeypatch):
    """Every setting is the same on the other side, secrets and what a command printed included."""
    settings = load_settings(flags={"data": "here", "port": 1}, environ=SECRETS)
    assert settings.master_key_text() == "kt_master_of_a_command"
    receiving, giving = os.pipe()
    monkeypatch.setattr(_Giving, "pipe", giving)
    give(Order(settings, demo=True))
    with os.fdopen(receiving, "rb") as pipe:
        arrived, demo = pickle.load(pipe)  # noqa: S301  # ours
    assert demo is True
    hidden = {"database_url", "notices", "pkcs11"}
    assert {**plain(arrived), **dict.fromkeys(hidden)} == {**plain(settings), **dict.fromkeys(hidden)}
    assert arrived.given == settings.given
    assert arrived.store_url() == SECRETS["KEYTURN_DATABASE_URL"]
    assert arrived.notices.smtp_password.reveal() == "smtp geheim"
    assert arrived.pkcs11.pin.reveal() == "1234"
    told = replace(arrived, master_key_command=("false",)).master_key_text()
    assert told == "kt_master_of_a_command"  # it is not run twice


def test_nothing_else_packs_a_secret():
    """HT-07: settings with a secret are packed for that pipe and for nobody else."""
    settings = load_settings(flags={}, environ=SECRETS)
    with pytest.raises(TypeError, match="never serialised"):
        pickle.dumps(settings)
    _Packer(io.BytesIO()).dump(settings)


@pytest.mark.parametrize(
    ("words", "code"),
    [(["--port", "x"], 2), (["--data", "nowhere"], 3), (["--demo", "--host", "0.0.0.0"], 3)],
)
def test_what_the_child_says_is_what_the_command_says(words, code, capfd, monkeypatch, tmp_path):
    """Errors and exit codes of ``serve`` are those of its command line, to the byte."""
    monkeypatch.chdir(tmp_path)
    assert run(["serve", *words]) == code
    said = capfd.readouterr()
    assert said.err
    assert serve(["serve", *words]) == code
    assert capfd.readouterr() == said


def test_where_no_process_more_is_allowed_the_first_one_reads(capfd, monkeypatch):
    """A fork that fails keeps nobody from the answer of the command line."""

    def refuse() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", refuse)
    assert serve(["serve", "--port", "x"]) == 2
    assert "--port" in capfd.readouterr().err


def test_a_child_is_waited_for_whose_end_the_starter_ignores(capfd):
    """SIGCHLD may be ignored by whoever starts a server; the exit code is the child's all the same."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert serve(["serve", "--port", "x"]) == 2
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert "Traceback" not in capfd.readouterr().err


def test_a_child_without_output_gives_its_order(capfd, monkeypatch):
    """A server that is started with its output closed, as daemons are, hears no fault of that."""
    monkeypatch.setattr(handover, "_run", lambda _arguments: 0)
    monkeypatch.setattr(sys, "stdout", None)
    assert serve(["serve"]) == 0
    assert not capfd.readouterr().err


@pytest.mark.parametrize(("bytes_given", "code"), [(b"", 137), (b"half an ord", 137)])
def test_a_child_that_is_killed_is_told(bytes_given, code, capfd, monkeypatch):
    """Where memory is short the child may be killed, in the middle of its order too: nothing is served."""

    def read(_arguments: object) -> int:
        os.write(_Giving.pipe, bytes_given)
        os.kill(os.getpid(), signal.SIGKILL)
        return 0

    monkeypatch.setattr(handover, "_run", read)
    assert serve(["serve"]) == code
    assert capfd.readouterr().err == "keyturn: reading the settings was ended: Killed\n"


@pytest.fixture
def slow(monkeypatch, tmp_path):
    """A command that tells the master key late, and says by a FIFO that it was asked."""
    asked = tmp_path / "asked"
    os.mkfifo(asked)
    monkeypatch.setenv("KEYTURN_PUBLIC_URL", "https://tokens.example")
    monkeypatch.setenv("KEYTURN_MASTER_KEY_COMMAND", f"sh -c 'echo > {asked}; exec sleep 25'")
    return asked


def test_a_child_ends_when_only_its_parent_is_interrupted(slow, capfd, monkeypatch):
    """Service managers may send SIGINT to one process; it does not wait for what the other one waits for."""

    def load(name: str) -> object:
        if name == "keyturn.serving":
            slow.read_text()
            raise KeyboardInterrupt
        return import_module(name)

    monkeypatch.setattr(handover, "import_module", load)
    assert serve(["serve"]) == 130
    assert not capfd.readouterr().err


def test_a_child_ends_with_its_parent(slow):
    """SIGTERM in the first second leaves nobody behind who asks for a PIN or runs a command."""
    program = "import sys; from keyturn.cli.handover import serve; sys.exit(serve(['serve']))"
    with subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE) as parent:
        slow.read_text()
        parent.terminate()
        _, said = parent.communicate(timeout=20)  # until nobody has the pipe any more
    assert (parent.returncode, said) == (-signal.SIGTERM, b"")
