"""House rules that no linter knows, checked on the source itself."""

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "keyturn"
TESTS = ROOT / "tests"
MAX_LINES = 450

# Where reading the wall clock is the job. Everywhere else time comes in as an argument, once per operation.
CLOCK_ALLOWED = ("core/clock.py", "web/", "storage/", "cli/")
CLOCKS = frozenset(
    {
        "datetime.date.today",
        "datetime.datetime.now",
        "datetime.datetime.today",
        "datetime.datetime.utcnow",
        "time.time",
        "time.time_ns",
    }
)

# Put together from pieces, so that this file does not break its own rule.
REGISTRY = re.compile(
    "|".join(
        [
            r"\bpypi\." + "org",
            r"pythonhosted\." + "org",
            r"\bregistry\." + r"(?:npmjs|yarnpkg)",
            r"\bproxy\." + r"golang\.org",
            r"--(?:extra-)?index" + r"-url[ =]\S*://",
            r"--trusted" + r"-host[ =]\S",
        ]
    )
)
MACHINE_PATH = re.compile(r"(?<![\w.~}-])/(?:root|work|home|Users|tmp/v)/\w")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def modules(folder: Path) -> list[Path]:
    """List the Python files below a folder."""
    return sorted(path for path in folder.rglob("*.py") if "__pycache__" not in path.parts)


def shown(path: Path) -> str:
    """Name a file from the root of the repository."""
    return path.relative_to(ROOT).as_posix()


@cache
def tree_of(path: Path) -> ast.Module:
    """Parse a file, once for all rules."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def sentences(docstring: str) -> int:
    """Count the sentences of a docstring: ends of sentences, followed by a space or nothing."""
    return len(re.findall(r"[.?!](?=[\s)]|$)", docstring))


def undocumented(tree: ast.Module) -> Iterator[str]:
    """Name what is public and has no docstring: the module, its classes and functions, and their methods."""
    if not ast.get_docstring(tree):
        yield "the module"
    yield from undocumented_in(tree.body)


def undocumented_in(body: list[ast.stmt], prefix: str = "") -> Iterator[str]:
    """Name the undocumented public definitions of one body, and of the classes in it."""
    for node in body:
        if not isinstance(node, Function | ast.ClassDef) or node.name.startswith("_"):
            continue
        marks = {ast.unparse(mark).split(".")[-1] for mark in node.decorator_list}
        if not marks & {"overload", "override", "setter"} and not ast.get_docstring(node):
            yield prefix + node.name
        if isinstance(node, ast.ClassDef):
            yield from undocumented_in(node.body, f"{prefix}{node.name}.")


def clocks_read(tree: ast.Module) -> Iterator[str]:
    """Name each mention of a wall clock, called or passed on, under whatever name it was imported."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.asname or alias.name: alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name):
            first, *rest = ast.unparse(node).split(".")
            if ".".join([names.get(first, first), *rest]) in CLOCKS and first in names:
                yield f"line {node.lineno}: {ast.unparse(node)}"


def each_test(tree: ast.Module) -> Iterator[Function]:
    """Yield the tests of a module, in classes too."""
    for node in ast.walk(tree):
        if isinstance(node, Function) and node.name.startswith("test_"):
            yield node


def tracked_text() -> Iterator[tuple[str, str]]:
    """Yield name and text of each file that git tracks and that is text."""
    listed = subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT, text=True)
    for name in filter(None, listed.split("\0")):
        path = ROOT / name
        if path.is_file() and not path.is_symlink():
            data = path.read_bytes()
            if b"\0" not in data:
                yield name, data.decode("utf-8", errors="replace")


def test_source_was_found():
    """The rules below look at a package that is there."""
    assert SOURCE / "__init__.py" in modules(SOURCE)
    assert Path(__file__).resolve() in modules(TESTS)


def test_no_drawer_for_odds_and_ends():
    """No module or folder is called utils or helpers, in the source or in the tests."""
    drawers = {"util", "utils", "helper", "helpers", "misc", "common"}
    found = [
        shown(path)
        for path in modules(SOURCE) + modules(TESTS)
        if drawers & {part.strip("_") for part in path.relative_to(ROOT).with_suffix("").parts}
    ]
    assert found == []


def test_every_room_says_its_question():
    """Each room's docstring says in one sentence what it answers and in another what it leaves to others."""
    rooms = [path for path in SOURCE.iterdir() if path.is_dir() and modules(path)]
    assert rooms
    silent = []
    for room in rooms:
        entrance = room / "__init__.py"
        docstring = ast.get_docstring(tree_of(entrance)) if entrance.exists() else None
        if sentences(docstring or "") < 2:
            silent.append(shown(room))
    assert silent == []


def test_everything_public_is_documented():
    """Every module, public class and public function of the source has a docstring."""
    found = [f"{shown(path)}: {name}" for path in modules(SOURCE) for name in undocumented(tree_of(path))]
    assert found == []


def test_no_stray_clock():
    """The wall clock is read only where reading it is the job."""
    found = [
        f"{shown(path)}: {mention}"
        for path in modules(SOURCE)
        if not path.relative_to(SOURCE).as_posix().startswith(CLOCK_ALLOWED)
        for mention in clocks_read(tree_of(path))
    ]
    assert found == []


@pytest.mark.parametrize(
    "code",
    [
        "import time\ntime.time()",
        "from time import time_ns as ticks\nticks()",
        "import datetime as d\nd.datetime.now(d.UTC)",
        "from datetime import datetime\nfield(default_factory=datetime.utcnow)",
        "from datetime import date\ndate.today()",
    ],
)
def test_clock_rule_sees(code):
    """The clock rule recognises each way of reading the wall clock."""
    assert list(clocks_read(ast.parse(code)))


@pytest.mark.parametrize("code", ["clock.now()", "import time\ntime.monotonic()", "def f(time): time.time"])
def test_clock_rule_lets_pass(code):
    """The clock rule leaves a clock that was passed in, and the monotonic one, alone."""
    assert not list(clocks_read(ast.parse(code)))


def test_who_lets_a_signature_go_unverified():
    """TK-04: only the memory of what was made here does, and only who hands out tokens fills it."""
    found = [
        (path.relative_to(SOURCE).as_posix(), name)
        for path in modules(SOURCE)
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call)
        for name in [ast.unparse(node.func).removeprefix("services.")]
        if name == "own_tokens.note"
        or (name == "verify_token" and any(each.arg in {"genuine", None} for each in node.keywords))
    ]
    assert found == [("exchange/road.py", "own_tokens.note"), ("tokens/cache.py", "verify_token")]


def test_files_read_in_one_sitting():
    """No source file is longer than 450 lines."""
    lengths = {shown(path): len(path.read_text(encoding="utf-8").splitlines()) for path in modules(SOURCE)}
    assert {name: length for name, length in lengths.items() if length > MAX_LINES} == {}


def test_every_dialect_has_its_test():
    """Each dialect, a module or a folder, has tests/dialects/test_<name>.py."""
    entries = (SOURCE / "dialects").iterdir()
    dialects = {path.stem for path in entries if path.suffix == ".py" or (path / "__init__.py").exists()}
    dialects.discard("__init__")
    tested = {path.stem.removeprefix("test_") for path in (TESTS / "dialects").glob("test_*.py")}
    assert dialects - tested == set()


def test_every_test_states_a_fact():
    """Every test has a docstring of one sentence."""
    found = [
        f"{shown(path)}:{test.lineno}: {test.name}"
        for path in modules(TESTS)
        if path.name.startswith(("test_", "contract_"))
        for test in each_test(tree_of(path))
        if sentences(ast.get_docstring(test) or "") != 1
    ]
    assert found == []


def test_nothing_names_a_registry_or_a_machine():
    """No tracked text names a package registry or a folder of somebody's machine."""
    found = [
        f"{name}:{number}: {match.group()}"
        for name, text in tracked_text()
        for number, line in enumerate(text.splitlines(), start=1)
        for match in [REGISTRY.search(line) or MACHINE_PATH.search(line)]
        if match
    ]
    assert found == []


@pytest.mark.parametrize("folder", ["root", "work", "home", "Users"])
def test_machine_paths_are_seen(folder):
    """A path on somebody's machine is recognised, and a path inside a URL is not."""
    assert MACHINE_PATH.search(f'open("/{folder}/me/key.pem")')
    assert not MACHINE_PATH.search(f"https://api.example/{folder}/me")
