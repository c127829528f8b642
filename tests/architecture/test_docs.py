"""The documentation check: what the pages point at exists."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"\]\(([^)\s]+)\)")
MAKE = re.compile(r"(?:^|`)(?:\$ )?make ([a-z][a-z-]*)", re.MULTILINE)
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def pages() -> dict[Path, str]:
    """Read each tracked Markdown page."""
    listed = subprocess.check_output(["git", "ls-files", "-z", "*.md"], cwd=ROOT, text=True)
    paths = [ROOT / name for name in listed.split("\0") if name]
    return {path: path.read_text(encoding="utf-8") for path in paths if path.is_file()}


def test_links_lead_somewhere():
    """Every relative link in a page leads to a file of the repository."""
    broken = [
        f"{path.relative_to(ROOT)}: {target}"
        for path, text in pages().items()
        for target in LINK.findall(FENCE.sub("", text))
        if not re.match(r"[a-z]+:|#", target) and not (path.parent / target.split("#")[0]).exists()
    ]
    assert broken == []


def test_make_targets_exist():
    """Every `make` target that a page mentions is one that `make help` lists."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):.*## ", makefile, re.MULTILINE))
    assert "test" in targets
    mentioned = {name for text in pages().values() for name in MAKE.findall(text)}
    assert mentioned - targets == set()


def test_decisions_have_their_four_parts():
    """Every decision note says context, choice, price and what would change our mind."""
    notes = [text for path, text in pages().items() if path.parent.name == "decisions"]
    parts = ["Context", "Choice", "Price", "What would change our mind"]
    assert notes
    assert all(re.findall(r"^## (.+)$", text, re.MULTILINE) == parts for text in notes)
