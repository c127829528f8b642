"""What a child reads for the process that serves arrives there as it was."""

import io
import os
import pickle
from dataclasses import replace

import pytest

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
