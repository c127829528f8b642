"""The fair lock: one at a time, and free again however its holder dies (fairness: the store's contract)."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

import keyturn.storage.turns
from keyturn.storage.turns import FairLock

HOLD = """
import sys, time
from pathlib import Path
from keyturn.storage.turns import FairLock
with FairLock(Path(sys.argv[1])).held():
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def locks(tmp_path):
    made = [FairLock(tmp_path / "db") for _ in range(2)]
    yield made
    for each in made:
        each.close()


def test_only_one_holds_it(locks):
    """Whoever comes second waits until the first lets go."""
    first, second = locks
    entered = threading.Event()

    def wait():
        with second.held():
            entered.set()

    thread = threading.Thread(target=wait)
    with first.held():
        thread.start()
        assert not entered.wait(0.1)
    thread.join(5)
    assert entered.is_set()


def test_it_is_free_after_kill(locks, tmp_path):
    """A holder that is killed keeps nobody waiting (RE-01)."""
    paths = [str(Path(keyturn.storage.turns.__file__).parents[2]), *sys.path]
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "db")],
        stdout=subprocess.PIPE,
        env={"PYTHONPATH": ":".join(filter(None, paths))},
    )
    assert holder.stdout.readline() == b"held\n"
    holder.kill()
    holder.communicate()
    with locks[0].held():
        pass


def test_it_frees_the_lock_after_an_error(locks):
    """An error inside a turn frees it for the next."""
    with pytest.raises(ValueError, match="inside"), locks[0].held():
        raise ValueError("inside")
    with locks[1].held():
        pass
