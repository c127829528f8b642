"""What is forked from a process that has loaded everything is what a process of its own would have been."""

import os
import signal

import pytest

from e2e.servers import SOON_SECONDS, environment, run, within
from warm import start

OWN = ("env",)
"""Stands before a command, which then is a process of its own."""


@pytest.mark.parametrize("words", [("org", "list"), ("nonsense",), ("config", "print")])
def test_a_command_says_the_same(tmp_path, words):
    """A forked command has the exit code, the output and the complaints of one that was started."""
    environ = {"KEYTURN_DATA": str(tmp_path / "nowhere"), "KEYTURN_PORT": "1"}
    forked, started = (run(tmp_path, *words, environ=environ, wrapper=each) for each in ((), OWN))
    assert forked == started


def test_how_it_ends_is_told(tmp_path):
    """Whoever waits hears of a forked process's end, and of the signal that ended it."""
    reading, writing = os.pipe()
    words = ["token", "inspect"]
    process = start("keyturn", words, environment(tmp_path), tmp_path, (reading, 1, 2))
    os.close(reading)
    assert process.poll() is None
    process.kill()
    within(SOON_SECONDS, lambda: process.poll() is not None)
    assert process.wait() == -signal.SIGKILL
    os.close(writing)
