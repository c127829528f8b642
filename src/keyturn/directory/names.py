"""What operators may call things: slugs, names, scopes and audiences, checked before they are kept.

Each check returns what may be kept or raises ``OperatorError`` in plain words.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable
from urllib.parse import urlsplit

from keyturn.core.errors import OperatorError
from keyturn.core.vocabulary import CredentialKind

MAX_NAME_LENGTH = 200
MAX_SCOPES = 200
_MAX_TOKEN_LENGTH = 255

_SLUG = re.compile(r"[a-z0-9](-?[a-z0-9])*")
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
_BIDI_OVERRIDES = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_LINE_BREAKERS = frozenset({"Cc", "Cs", "Zl", "Zp"})

RESERVED_SLUGS = frozenset(
    {"admin", "api", "deployment", "keyturn", "o", "operator", "support", "system", "well-known", "www"}
)
"""Slugs that callers would take for Keyturn itself, or that its own paths may need."""


def check_slug(slug: str) -> str:
    """Accept a slug: it becomes a path segment, a host label and part of an issuer, for good."""
    if not 2 <= len(slug) <= 63 or not _SLUG.fullmatch(slug):  # noqa: PLR2004  # a DNS label's length
        raise OperatorError(
            f"slug {slug!r}: 2 to 63 lower-case letters, digits and single hyphens, neither first nor last"
        )
    if slug in RESERVED_SLUGS:
        raise OperatorError(f"slug {slug!r} is reserved")
    return slug


def check_name(name: str) -> str:
    """Accept a display name: one line that shows in logs and terminals as it was typed."""
    if not name or name != name.strip() or len(name) > MAX_NAME_LENGTH:
        raise OperatorError(f"a name has 1 to {MAX_NAME_LENGTH} characters and no space at either end")
    if any(unicodedata.category(char) in _LINE_BREAKERS or char in _BIDI_OVERRIDES for char in name):
        raise OperatorError("a name holds no control characters, line breaks or text direction overrides")
    return name


def check_scopes(scopes: Iterable[str]) -> tuple[str, ...]:
    """Accept scope tokens, each once, in their order (RFC 6749 section 3.3)."""
    kept = tuple(dict.fromkeys(scopes))
    for scope in kept:
        if not _SCOPE.fullmatch(scope) or len(scope) > _MAX_TOKEN_LENGTH:
            raise OperatorError(
                f"scope {scope!r}: printable ASCII without space, quote or backslash (RFC 6749 section 3.3)"
            )
    if len(kept) > MAX_SCOPES:
        raise OperatorError(f"a client has at most {MAX_SCOPES} scopes")
    return kept


def check_audiences(audiences: Iterable[str]) -> tuple[str, ...]:
    """Accept audiences: absolute URIs without a fragment (RFC 8707 section 2), at least one."""
    kept = tuple(dict.fromkeys(audiences))
    for audience in kept:
        if not _absolute_uri(audience):
            raise OperatorError(f"audience {audience!r} is no absolute URI without a fragment (RFC 8707)")
    if not kept:
        raise OperatorError("a client needs at least one audience")
    return kept


def _absolute_uri(text: str) -> bool:
    if not text.isascii() or not text.isprintable() or " " in text or "#" in text:
        return False
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return len(text) <= _MAX_TOKEN_LENGTH and bool(parts.scheme and (parts.netloc or parts.path))


def check_choices(what: str, asked: Iterable[str], known: Collection[str]) -> tuple[str, ...]:
    """Accept one or more names that are all known, each once, in their order; ``what`` calls one so."""
    kept = tuple(dict.fromkeys(asked))
    unknown = [name for name in kept if name not in known]
    if unknown:
        raise OperatorError(f"unknown {what} {', '.join(unknown)}; there is {', '.join(sorted(known))}")
    if not kept:
        raise OperatorError(f"there must be at least one {what}")
    return kept


def check_takers(
    kind: CredentialKind, asked: Iterable[str], known: Collection[str], takers: Collection[str]
) -> tuple[str, ...]:
    """Accept the dialects that a new credential shall work in: each known, and one that takes its kind."""
    chosen = check_choices("dialect", asked, known)
    if useless := [name for name in chosen if name not in takers]:
        what = kind.replace("_", " ")
        raise OperatorError(f"no {what} works in {', '.join(useless)}, only in {', '.join(takers)}")
    return chosen
