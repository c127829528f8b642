"""Canonical forms, whatever is typed."""

import unicodedata
from contextlib import suppress

from hypothesis import assume, given
from hypothesis import strategies as st

from keyturn.core.canonical import canonical_email, canonical_user_name

# Most of what Unicode holds is refused in a name, so half of the texts are of what is seen.
SEEN = st.characters(categories=("L", "M", "N", "P", "S"))
TEXT = st.text(SEEN, min_size=1, max_size=30) | st.text(min_size=1, max_size=30)
WORD = st.text(st.characters(categories=("L", "Nd"), include_characters="-."), min_size=1, max_size=12)


def _canonical(text, form=canonical_user_name):
    with suppress(ValueError):
        return form(text)
    return None


@given(TEXT)
def test_a_canonical_name_is_its_own(name):
    """PW-03: the canonical form of a canonical user name is itself."""
    canonical = _canonical(name)
    assume(canonical is not None)
    assert canonical_user_name(canonical) == canonical


@given(TEXT)
def test_names_that_look_alike_are_one(name):
    """PW-03: a user name and its NFKC, NFKD, upper-case and padded spellings never differ."""
    canonical = _canonical(name)
    assume(canonical is not None)
    spellings = [
        unicodedata.normalize("NFKC", name),
        unicodedata.normalize("NFKD", name),
        name.casefold(),
        f" {name}  ",
    ]
    assert {_canonical(each) for each in spellings} <= {canonical, None}


@given(TEXT)
def test_a_canonical_name_shows_all_it_holds(name):
    """PW-03: a canonical user name holds no control or format character and no space at an end."""
    canonical = _canonical(name)
    assume(canonical is not None)
    assert not {unicodedata.category(char) for char in canonical} & {"Cc", "Cf", "Cs", "Cn"}
    assert canonical == canonical.strip()


@given(WORD, WORD)
def test_a_canonical_address_is_its_own(local, domain):
    """PW-03: the canonical form of a canonical e-mail address is itself, its domain ASCII."""
    canonical = _canonical(f"{local}@{domain}.example", canonical_email)
    assume(canonical is not None)
    assert canonical_email(canonical) == canonical
    assert canonical.partition("@")[2].isascii()
