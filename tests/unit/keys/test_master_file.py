"""Where a process's master keys come from, and what it makes of a file that changes."""

import secrets
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from keyturn.core.errors import ConfigError, Fault, OperatorError
from keyturn.keys.master_file import MOST_KEYS, MasterKeys, parse_keys, sealer_of
from keyturn.keys.sealing import MasterKey

KEYS = [MasterKey.generate(secrets.token_bytes) for _ in range(3)]
ONE, TWO, THREE = (key.id.hex() for key in KEYS)


def text(*keys):
    return "".join(f"{key.reveal()}\n" for key in keys)


@pytest.fixture
def file(tmp_path):
    made = tmp_path / "master.key"
    made.write_text(text(KEYS[0]))
    return made


@pytest.fixture
def kept(file):
    return MasterKeys(sealer_of(file.read_text(), secrets.token_bytes), file, secrets.token_bytes)


def test_several_keys():
    """Lines, words and remarks: each key once, in order, the first one sealed under; too many are refused."""
    first, second, _ = (key.reveal() for key in KEYS)
    given = f"# ours\n{first} # of 2026\n\n{second} {first}\n"
    assert [key.id for key in parse_keys(given)] == [KEYS[0].id, KEYS[1].id]
    assert sealer_of(given, secrets.token_bytes).current == ONE
    for wrong in ("", "# nothing\n", f"{first}\n{second[:-2]}"):
        with pytest.raises(ConfigError) as caught:
            parse_keys(wrong)
        assert second[10:-2] not in str(caught.value)
    many = text(*(MasterKey.generate(secrets.token_bytes) for _ in range(MOST_KEYS + 1)))
    with pytest.raises(ConfigError, match="more than"):
        parse_keys(many)


def test_a_file_that_changes(kept, file, caplog):
    """A file is read again when it is another; one that cannot be read changes nothing and is told of."""
    assert kept.reload() is False
    file.write_text(text(*KEYS[:2]))
    assert (kept.reload(), kept.sealer.held, kept.reload()) == (True, (ONE, TWO), False)
    for broken in ("half a k", ""):
        file.write_text(broken)
        assert (kept.reload(), kept.sealer.held) == (False, (ONE, TWO))
    file.unlink()
    assert (kept.reload(), kept.sealer.held) == (False, (ONE, TWO))
    assert caplog.text.count("is not read again") == 3
    assert KEYS[0].reveal()[10:] not in caplog.text


@pytest.mark.parametrize("content", [b"#" * 65_537, b"\xfe" * 32], ids=["too long", "no text"])
def test_a_file_that_becomes_no_key(kept, file, caplog, content):
    """HT-01, HT-07: a file that grows too long, or is no text, changes nothing; no byte of it is told."""
    file.write_bytes(content)
    assert (kept.reload(), kept.sealer.held) == (False, (ONE,))
    for change in (kept.add, lambda: kept.drop(ONE)):
        with pytest.raises(OperatorError) as caught:
            change()
        assert str(caught.value) in caplog.text
    assert file.read_bytes() == content
    assert "0xfe" not in caplog.text
    assert "##" not in caplog.text


def test_the_key_in_use_stays(kept, file, caplog):
    """TK-12: a file that lacks the key in use does not take it from a server that runs; others do go."""
    file.write_text(text(*KEYS[:2]))
    kept.reload()
    assert kept.sealer.use(TWO)
    sealed = kept.sealer.seal("p", "n", b"clear")
    file.write_text(text(KEYS[2]))
    assert kept.reload() is True
    assert (kept.sealer.held, kept.sealer.current) == ((THREE, TWO), TWO)
    assert kept.sealer.open("p", "n", sealed) == b"clear"
    assert "lacks the master key in use" in caplog.text


def test_add_and_drop(kept, file):
    """A key is added at the end and taken out again; the remarks and all others stay."""
    file.write_text("# ours\n" + text(KEYS[0]))
    fresh = kept.add()
    assert kept.sealer.held == (ONE, fresh)
    assert file.read_text().startswith("# ours\n" + text(KEYS[0]))
    kept.sealer.use(fresh)
    kept.drop(ONE)
    assert kept.sealer.held == (fresh,)
    assert file.read_text().startswith("# ours\nkt_master_")
    with pytest.raises(OperatorError, match="do not come from a file"):
        MasterKeys(kept.sealer, None, secrets.token_bytes).add()


def test_a_line_with_several_keys(kept, file):
    """TK-12: who takes a key out of a line leaves the others in it, and the remark behind them."""
    first, second, third = (key.reveal() for key in KEYS)
    file.write_text(f"{first} {second} # both\n{third}  # later\n")
    kept.reload()
    kept.sealer.use(TWO)
    kept.drop(ONE)
    assert file.read_text() == f"{second} # both\n{third}  # later\n"
    kept.drop(TWO)
    assert file.read_text() == f"{third}  # later\n"
    with pytest.raises(ConfigError, match="empty"):
        kept.drop(THREE)
    assert file.read_text() == f"{third}  # later\n"


def test_no_file_that_nobody_can_start_with(kept, file):
    """One key more than a process takes is not written: the next start would fail everywhere."""
    whole = text(*(MasterKey.generate(secrets.token_bytes) for _ in range(MOST_KEYS)))
    file.write_text(whole)
    with pytest.raises(OperatorError, match="master-key retire"):
        kept.add()
    assert file.read_text() == whole


def test_no_file_that_nobody_can_read(kept, file):
    """A key that makes the file longer than a process reads is not written; to the last character it is."""
    most, line = 65_536, len(text(KEYS[0]))
    file.write_text(text(KEYS[0]) + "#" * (most - 2 * line))
    with pytest.raises(OperatorError, match=r"65536 characters.*remarks.*master-key retire"):
        kept.add()
    assert len(file.read_text()) == most - line
    file.write_text(text(KEYS[0]) + "#" * (most - 2 * line - 1))
    kept.add()
    assert len(file.read_text()) == most
    assert len(parse_keys(file.read_text())) == 2


def test_durable_under_its_name(kept, file, monkeypatch):
    """RE-01: a new key's name is on the disk before anything is sealed under it, with its file's mode."""
    flushed = []
    monkeypatch.setattr("os.fsync", lambda held: flushed.append(Path(f"/proc/self/fd/{held}").readlink()))
    file.chmod(0o640)
    kept.add()
    assert flushed[-1] == file.parent
    assert file.stat().st_mode & 0o777 == 0o640


def test_two_who_add_at_once(kept, file):
    """TK-12: no key is lost to another that is added in the same moment."""
    other = MasterKeys(sealer_of(file.read_text(), secrets.token_bytes), file, secrets.token_bytes)
    with ThreadPoolExecutor(2) as both:
        made = [each.result() for each in [both.submit(one.add) for one in (kept, other) for _ in range(3)]]
    assert {key.id.hex() for key in parse_keys(file.read_text())} == {ONE, *made}


def test_a_key_that_is_not_held(kept):
    """Nothing is sealed under a key that is not held, and none such comes into use."""
    assert kept.sealer.use(TWO) is False
    with pytest.raises(Fault, match="not held"):
        kept.sealer.seal_under(TWO, "p", "n", b"clear")
