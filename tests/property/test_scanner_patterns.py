"""What scanners look for finds each secret of ours, whole, and the checksum tells it from other text."""

import re
import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docs.pages import ROOT
from keyturn.core.clock import SystemClock
from keyturn.core.identifiers import uuid7
from keyturn.core.refresh_token import make_numbered_token, make_refresh_token
from keyturn.core.secret import PREFIXES, make_secret, parse_secret, scanner_patterns
from keyturn.core.vocabulary import CredentialKind
from keyturn.keys.sealing import MasterKey

PATTERNS = scanner_patterns()


def made(kind, dice, *, older):
    """Make a secret of a kind as Keyturn makes it, or made it in its first release."""
    if kind is CredentialKind.REFRESH_TOKEN:
        family = uuid7(SystemClock().now(), secrets.token_bytes)
        make = make_numbered_token if older else lambda *given: make_refresh_token(*given[:3], dice(46))
        return make(family, 3, lambda _message: dice(32), dice).reveal()
    return make_secret(kind, dice).reveal()


@pytest.mark.parametrize("kind", PREFIXES)
@given(
    noise=st.binary(min_size=64, max_size=64), older=st.booleans(), before=st.text("= \"'`:\n", max_size=3)
)
def test_each_made_secret_is_found_whole(kind, noise, older, before):
    """TK-11: of each kind what is found in a text is the whole secret, and by no other kind's pattern."""
    text = made(kind, lambda size: noise[:size], older=older)
    inside = f"x{before or ' '}{text}\n"
    found = {name: re.findall(pattern, inside) for name, pattern in PATTERNS.items()}
    assert {name: each for name, each in found.items() if each} == {kind.value: [text]}
    assert parse_secret(text) is kind


@given(kind=st.sampled_from([*PREFIXES]), data=st.data())
def test_random_text_has_no_checksum(kind, data):
    """TK-11: text in the form of a secret that nobody made is told by its checksum."""
    text = data.draw(
        st.from_regex(PATTERNS[kind.value], fullmatch=True, alphabet=st.characters(codec="ascii"))
    )
    assert parse_secret(text) is None


def test_a_master_key_is_found():
    """A master key is found whole by its own pattern."""
    text = MasterKey.generate(secrets.token_bytes).reveal()
    assert re.findall(PATTERNS["master_key"], f"key={text}\n") == [text]


def test_the_page_has_them():
    """The page about leak reports has every pattern as the code has it."""
    page = (ROOT / "docs" / "operations" / "leaks.md").read_text(encoding="utf-8")
    told = dict(re.findall(r"^\| `(\w+)` \| `(kt_[^`]+)` \|$", page, re.MULTILINE))
    assert told == PATTERNS
