"""Files named on the command line that are none: told in one line, and nothing waits for them."""

import os

import pytest

from integration.test_cli import Terminal

COMMANDS = {
    "import of CSV": ("import", "FILE", "--organisation", "acme", "--as", "csv"),
    "import of JSON": ("import", "FILE", "--organisation", "acme", "--as", "json"),
    "audit verify": ("audit", "verify", "--file", "FILE"),
    "backup verify": ("backup", "verify", "FILE"),
    "restore": ("restore", "--replace", "FILE"),
}
TEXTS = {
    "empty": b"",
    "no UTF-8": b"\xfe\xff" * 50,
    "no UTF-8 in CSV": b"type,format\n\xfe\xff\n",
    "a line without an end": b"type,format\n" + b"\0" * ((1 << 24) + 10),
    "brackets": b"[" * 65_000,
    "the first line of a backup": b"keyturn backup 1\n\0\0\0\2{}\xff\xff\xff\xff",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a file of each kind that is none."""
    made = tmp_path_factory.mktemp("files")
    for name, text in TEXTS.items():
        (made / name).write_bytes(text)
    (made / "folder").mkdir()
    os.mkfifo(made / "pipe")
    (made / "device").symlink_to("/dev/zero")
    (made / "missing").symlink_to("nowhere")
    return made


@pytest.fixture
def terminal(capsys, tmp_path):
    """A deployment with one organisation."""
    opened = Terminal(capsys, tmp_path / "data")
    opened.begin("org", "create", "acme", "--name", "Acme")
    return opened


@pytest.mark.parametrize("command", COMMANDS)
def test_files_that_are_none(terminal, folder, command):
    """HT-01: whatever is named as a file that is none, a command says so in one line, and ends."""
    for file in folder.iterdir():
        words = [str(file) if word == "FILE" else word for word in COMMANDS[command]]
        code, line = terminal.refused(*words)
        of_the_disk = file.name in {"folder", "missing"} and command in {"backup verify", "restore"}
        assert code == (3 if of_the_disk else 1), (file.name, line)
    for name in ("pipe", "device"):
        words = [str(folder / name) if word == "FILE" else word for word in COMMANDS[command]]
        assert terminal.refused(*words) == (1, f"{folder / name} is a pipe or a device, no file")


def test_import_of_what_is_not_there(terminal, folder):
    """What cannot be read is told as that, and not as a file of another kind."""
    for name, why in (("missing", "No such file or directory"), ("folder", "Is a directory")):
        assert terminal.refused("import", str(folder / name)) == (1, f"{folder / name}: {why}")


def test_keys_that_are_none(terminal, folder, tmp_path):
    """HT-01: a file that is no public key is refused, also one that has no end or is deeper than is read."""
    export = tmp_path / "export"
    terminal.table("audit", "export", "--output", str(export))
    says = {
        **dict.fromkeys(("brackets", "no UTF-8", "empty"), "is no public key"),
        **dict.fromkeys(("pipe", "device"), "is a pipe or a device, no file"),
    }
    for name, what in says.items():
        command = ("audit", "verify", "--file", str(export), "--key", str(folder / name))
        code, line = terminal.refused(*command)
        assert (code, what in line) == (1, True)
