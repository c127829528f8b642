"""The pages' examples do what the pages say."""

import re

import pytest

from docs.pages import FENCE, ROOT, Reader, fits, runnable
from keyturn.config import load_settings

PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
RUN = [page for page in PAGES if runnable(page)]


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("page", RUN, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_examples_run(page, tmp_path):
    """Every marked block of a page runs and answers as shown, one after the other, as a newcomer would."""
    assert Reader(tmp_path).follow(page) > 0


def test_first_pages_are_run():
    """The pages a newcomer begins with have examples that are run."""
    assert {ROOT / "README.md", ROOT / "docs" / "quickstart.md"} <= set(RUN)


def test_no_mark_is_lost():
    """No fence carries more words than the convention reads, which would silently not run it."""
    odd = [
        f"{page.name}: {line}"
        for page in PAGES
        for line in re.findall(r"^```\w+ .*$", page.read_text(encoding="utf-8"), re.MULTILINE)
        if not re.fullmatch(r"```\w+ \w+", line)
    ]
    assert odd == []


def test_files_exist():
    """Each Python file that a page names by its folder exists, those of the walk-through apart."""
    named = {
        name
        for page in PAGES
        for name in re.findall(r"`([\w-]+/[\w/-]+\.py)`", page.read_text(encoding="utf-8"))
    }
    places = (ROOT, ROOT / "src" / "keyturn")
    missing = {name for name in named if not any((place / name).is_file() for place in places)}
    assert missing == {"src/keyturn/dialects/wicket.py", "tests/dialects/test_wicket.py"}


def test_demo_target_serves_a_demo():
    """`make demo` runs what the tests run in its place."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^demo: .*\n\t@exec \$\(BIN\)/keyturn serve --demo \$\(ARGS\)$", makefile, re.MULTILINE)


def test_readme_says_how_to_test():
    """The README has `make test` in a block of its own."""
    assert "```sh\nmake test\n```" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("wanted", "got", "fit"),
    [
        ({"token": "<jwt>"}, {"token": "a.b.c"}, True),
        ({"token": "<jwt>"}, {"token": "a.b"}, False),
        ({"n": 600}, {"n": "600"}, False),
        ({"n": 1}, {"n": True}, False),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        (["<uuid>"], ["01234567-89ab-cdef-0123-456789abcdef"], True),
        ("<text>", "", False),
    ],
)
def test_answers_are_compared(wanted, got, fit):
    """An answer fits what is shown only with the same members, types and values."""
    assert fits(wanted, got) is fit


def test_marks_are_found():
    """A fence with a mark is found with its text, and one without is left alone."""
    text = "```sh\nno\n```\n\n```sh run\nyes\n```\n"
    assert FENCE.findall(text) == [("sh", "run", "yes\n")]


TOML_BLOCK = re.compile(r"^```toml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TOML = [(page, text) for page in PAGES for text in TOML_BLOCK.findall(page.read_text(encoding="utf-8"))]


@pytest.mark.parametrize(("page", "text"), TOML, ids=[page.name for page, _ in TOML])
def test_configuration_is_accepted(page, text, tmp_path):
    """A configuration file that a page shows is one that Keyturn takes."""
    path = tmp_path / "keyturn.toml"
    path.write_text(text, encoding="utf-8")
    settings = load_settings(flags={}, environ={}, config=path)
    assert settings.public_url == "https://tokens.example"
