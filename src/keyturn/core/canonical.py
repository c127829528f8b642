"""The one canonical form of user names and e-mail addresses: for look-up, uniqueness and counters (PW-03).

Two spellings that look alike are one name, or else two people could be told apart by nobody and a counter be
dodged by a capital letter. What cannot be seen is refused and never dropped: a name that someone typed must
not turn into another person's.
"""

import re
import unicodedata

MAX_USER_NAME = 200
MAX_LOCAL_BYTES = 64
MAX_EMAIL_BYTES = 254
"""RFC 5321 section 4.5.3.1, with the angle brackets of a path taken off."""
_MAX_LABEL = 63

_REFUSED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Controls, format characters (zero-width and direction marks are some), and what Unicode may yet define."""
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""What shows nothing, or a blank, although its category is a letter's, a mark's or a symbol's."""
_ATEXT = frozenset("!#$%&'*+-/=?^_`{|}~")
"""RFC 5322 section 3.2.3, besides letters and digits."""
_ACE = "xn--"
_DEVIATIONS = frozenset("\u00df\u1e9e\u03c2")
"""Sharp s and final sigma: the two versions of IDNA make different domains of them (UTS #46 section 7)."""


def canonical_user_name(name: str) -> str:
    """Give the canonical form of a user name: NFKC, case-folded, trimmed of spaces.

    Raises:
        ValueError: It is empty or too long, or holds something that cannot be seen.
    """
    canonical = _fold(name, "a user name", MAX_USER_NAME)
    if "  " in canonical:
        raise ValueError("a user name holds no two spaces in a row")
    if unicodedata.category(canonical[0])[0] == "M":
        raise ValueError("a user name does not begin with a mark that belongs on another character")
    return canonical


def canonical_email(address: str) -> str:
    """Give the canonical form of an e-mail address: case-folded, the domain in ASCII (RFC 5890).

    Mailboxes that differ by case only are one address here, whatever their host thinks of it.

    Raises:
        ValueError: It is no ``local@domain`` without quotes (RFC 5321 section 4.1.2), or holds something that
            cannot be seen.
    """
    if not _DEVIATIONS.isdisjoint(
        unicodedata.normalize("NFKC", address[:MAX_EMAIL_BYTES]).rpartition("@")[2]
    ):
        raise ValueError("write the domain in ASCII (xn--...): a letter of it may mean two domains")
    local, at, domain = _fold(address, "an e-mail address", MAX_EMAIL_BYTES).partition("@")
    if not at or "@" in domain:
        raise ValueError("an e-mail address is local@domain, with one @")
    if len(local.encode()) > MAX_LOCAL_BYTES or not all(map(_is_atom, local.split("."))):
        raise ValueError("before the @ stand letters, digits, single dots and !#$%&'*+-/=?^_`{|}~")
    if "." not in domain:
        raise ValueError("the domain of an e-mail address has a dot")
    canonical = f"{local}@{'.'.join(map(_ascii_label, domain.split('.')))}"
    if len(canonical.encode()) > MAX_EMAIL_BYTES:
        raise ValueError(f"an e-mail address has at most {MAX_EMAIL_BYTES} bytes")
    return canonical


def _fold(text: str, what: str, longest: int) -> str:
    """Give the one form of all texts that Unicode calls equal but for case and compatibility.

    Its length is bounded before, too: one character can become eighteen.
    """
    if len(text) > longest:
        raise ValueError(f"{what} has 1 to {longest} characters")
    _refuse_unseen(text, what)
    folded, before = unicodedata.normalize("NFKC", text), ""
    while folded != before:  # composing can undo a folding; the second or third round changes nothing
        before, folded = folded, unicodedata.normalize("NFKC", folded.casefold())
    folded = folded.strip(" ")
    _refuse_unseen(folded, what)
    if not 1 <= len(folded) <= longest:
        raise ValueError(f"{what} has 1 to {longest} characters")
    return folded


def _refuse_unseen(text: str, what: str) -> None:
    if any(unicodedata.category(char) in _REFUSED for char in text) or _UNSEEN.search(text):
        raise ValueError(f"{what} holds no control characters, and nothing that cannot be seen")


def _is_atom(text: str) -> bool:
    return bool(text) and all(char in _ATEXT or _is_word(char) for char in text)


def _is_word(char: str) -> bool:
    if char.isascii():
        return char.isalnum()
    return unicodedata.category(char)[0] in "LMN"


def _ascii_label(label: str) -> str:
    """Give a domain label as DNS carries it; one that is encoded already must be the encoding of itself."""
    if label.startswith(_ACE):
        return _checked_ace(label)
    if not label or not all(char == "-" or _is_word(char) for char in label) or _misplaced_hyphen(label):
        raise ValueError("the domain of an e-mail address is labels of letters, digits and hyphens")
    if not label.isascii() and unicodedata.category(label[0])[0] == "M":
        raise ValueError("a label of a domain does not begin with a mark")
    encoded = label if label.isascii() else _ACE + label.encode("punycode").decode("ascii")
    if len(encoded) > _MAX_LABEL:
        raise ValueError(f"a label of a domain has at most {_MAX_LABEL} characters")
    return encoded


def _checked_ace(label: str) -> str:
    try:
        clear = label.removeprefix(_ACE).encode("ascii").decode("punycode")
        # Letters that may mean two domains are welcome in this form, which means one.
        rest = "".join(char for char in clear if char not in _DEVIATIONS)
        sound = _ascii_label(clear) == label and (not rest or _fold(rest, "a label", _MAX_LABEL) == rest)
    except ValueError:
        sound = False
    if not sound:
        raise ValueError("a label of the domain begins with xn-- and is no encoded name (RFC 5891)")
    return label


def _misplaced_hyphen(label: str) -> bool:
    return label[0] == "-" or label[-1] == "-" or label[2:4] == "--"
