"""The tables a dialect is made of: values only, so that one can be read from a file.

A dialect is a list of routes. A route says where its fields come from, which exchange or document it asks
for and what the answer looks like; the dialect's refusal table says how each public code is spelled. What
a name in a table may be is checked once, when the dialect is compiled, by ``wire/compile.py``.
"""

from enum import StrEnum
from typing import Any

import msgspec

from keyturn.core.profile import TokenProfile
from keyturn.core.requests import BuiltInClient
from keyturn.core.shapes import Each, Shape
from keyturn.core.vocabulary import Code, CredentialKind, GrantType, OwnerName

# A dialect's file takes all its tables from here.
from keyturn.wire.fixtures import ApiTokenFixture as ApiTokenFixture
from keyturn.wire.fixtures import ClientFixture as ClientFixture
from keyturn.wire.fixtures import DemoEntry as DemoEntry
from keyturn.wire.fixtures import EntityFixture as EntityFixture
from keyturn.wire.fixtures import Fixture as Fixture
from keyturn.wire.fixtures import FixtureState as FixtureState
from keyturn.wire.fixtures import ProjectFixture as ProjectFixture
from keyturn.wire.fixtures import Sample as Sample
from keyturn.wire.fixtures import TeamFixture as TeamFixture
from keyturn.wire.fixtures import UserFixture as UserFixture
from keyturn.wire.settings import DEPRECATED_FORMS as DEPRECATED_FORMS
from keyturn.wire.settings import Scope as Scope
from keyturn.wire.settings import Setting as Setting
from keyturn.wire.settings import algorithm_setting as algorithm_setting
from keyturn.wire.settings import deprecated_setting as deprecated_setting
from keyturn.wire.settings import issuer_setting as issuer_setting
from keyturn.wire.settings import lifetime_setting as lifetime_setting
from keyturn.wire.settings import password_setting as password_setting
from keyturn.wire.settings import refresh_settings as refresh_settings

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
TEXT = "text/plain"
PROBLEM = "application/problem+json"
"""RFC 9457."""


class Source(StrEnum):
    """Where a field is read."""

    BODY = "body"
    QUERY = "query"
    HEADER = "header"
    PATH = "path"


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One field of a request.

    Args:
        name: As the wire spells it.
        slot: The neutral name under which an exchange finds it.
        source: Where it is read.
        reader: Name of the reader that checks and converts it (``wire/readers.py``).
        json_reader: The reader for JSON bodies where that differs.
        required: Absent is refused with ``missing``; an empty value counts as absent (RFC 6749 section 3.1).
        nullable: A JSON null counts as absent; else it is a value of the wrong type.
        repeatable: May be given several times; the slot then holds a tuple.
        missing: Public code when absent.
        invalid: Public code when the reader refuses it.
        aliases: Deprecated names; use is marked in the audit trail.
        deprecated: The whole field is; use is marked in the audit trail, and an organisation can refuse it.
        required_by: Name of a ``bool`` setting of the deployment that makes it required.
        choices: All that the text, or each word of a list, may be.
        prefix: Of the reader ``prefixed_word``: of several words the one that begins so, without case; the
            slot holds the rest of it in lower case.
        any_case: A JSON member is found by its name in any case.
        minimum: The least value of a number.
        maximum: The greatest value of a number.
        longest: The most characters of a text.
        echo: Answers and refusals may repeat it as ``request.<slot>``.
        default: What the slot holds where it was not given.
        clearable: Of a change: a JSON null, or an empty text, empties what is there: the slot holds None.
        blank: An empty text is a value like any other: of a JSON body, or a header.
        spare: Of a body: counts only where nothing else filled its slot, and what its reader refuses counts
            as absent. For what some callers send and others send wrongly.
    """

    name: str
    slot: str
    source: Source = Source.BODY
    reader: str = "text"
    json_reader: str | None = None
    required: bool = False
    nullable: bool = False
    repeatable: bool = False
    missing: Code = Code.INVALID_REQUEST
    invalid: Code = Code.INVALID_REQUEST
    aliases: tuple[str, ...] = ()
    deprecated: bool = False
    required_by: str | None = None
    choices: tuple[str, ...] = ()
    prefix: str = ""
    any_case: bool = False
    minimum: int | None = None
    maximum: int | None = None
    longest: int | None = None
    echo: bool = False
    default: str | int | bool | None = None
    clearable: bool = False
    blank: bool = False
    spare: bool = False


class Conflict(StrEnum):
    """What happens when client authentication comes by HTTP Basic and in the body (TE-04)."""

    ONE = "one"
    MUST_AGREE = "must_agree"
    HEADER_WINS = "header_wins"
    BODY_WINS = "body_wins"


class ClientAuthentication(msgspec.Struct, frozen=True, kw_only=True):
    """How a client may say who it is.

    Args:
        owner: Slot of the client id.
        secret: Slot of the client secret.
        assertion: Slot of a signed assertion (RFC 7523 section 2.2).
        assertion_type: Slot of what kind it is; neither comes without the other (RFC 7521 section 4.2).
        basic: HTTP Basic is read (RFC 6749 section 2.3.1).
        conflict: What a second way means.
        other_schemes_refused: An ``Authorization`` of another scheme is a failed authentication.
    """

    owner: str = "client_id"
    secret: str = "client_secret"
    assertion: str = "client_assertion"
    assertion_type: str = "client_assertion_type"
    basic: bool = True
    conflict: Conflict = Conflict.ONE
    other_schemes_refused: bool = True


class Bearer(msgspec.Struct, frozen=True, kw_only=True):
    """How a call brings an access token of ours, and what that token must allow.

    Args:
        accepts: The profiles it may have; a token of any other kind is none (TK-08).
        administrator: It is an admin token instead, or a setup token where ``scope`` is ``setup``; it is
            proved, and its scope checked, before anything but the head is read (AD-01).
        headers: Further headers that hold the token and nothing else.
        bare: ``Authorization`` may hold the token without a scheme.
        scope: What it must have been granted; None for nothing.
        permission: What its owner's roles must permit at the time of the call; None for nothing.
        organisation: Slot of the UUID or API key by which the request names the organisation that the token
            must be of; None where it names none.
    """

    accepts: tuple[TokenProfile, ...] = ()
    administrator: bool = False
    headers: tuple[str, ...] = ()
    bare: bool = False
    scope: str | None = None
    permission: str | None = None
    organisation: str | None = None


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """A credential for a token.

    Args:
        grant_type: The core's name of the exchange.
        profile: The token that is minted.
        kind: What the presented credential is, where it is not the client's own authentication.
        secret: Slots of the secret, the preferred first; empty where the client's authentication, or the
            route's bearer token, is the credential. Two that are given and differ are refused.
        owner: Slot of the name that comes with it; None where the secret names itself.
        named: What kind of name that is.
        organisation: Slot of the UUID or API key by which a request names the organisation; the slot
            ``organisation`` always holds a slug.
        passcode: Slot of the second factor's code.
        client: The one client of a contract that knows no others.
        id_profile: The ID token that comes with the access token where ``openid`` is granted.
        wire_grant: The value of the ``grant_type`` slot that selects it; None where the route alone decides.
        absent: Public code when the secret or its owner is not there.
        deprecated: Its use is marked in the audit trail, and an organisation can refuse it.
    """

    grant_type: GrantType
    profile: TokenProfile
    kind: CredentialKind = CredentialKind.CLIENT_SECRET
    secret: tuple[str, ...] = ()
    owner: str | None = None
    named: OwnerName = OwnerName.CLIENT_ID
    organisation: str | None = None
    passcode: str | None = None
    client: BuiltInClient | None = None
    id_profile: TokenProfile | None = None
    wire_grant: str | None = None
    absent: Code = Code.INVALID_CLIENT
    deprecated: bool = False


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """What a route does that is no exchange: its neutral name in core.

    On a route with a bearer token it is a call, and its slots are the call's arguments; else it is a question
    or an order about the token in a slot.

    Args:
        name: For example ``introspect``, ``revoke``, ``projects.list``.
        token: Slot of the token that a question is about.
        accepts: The profiles it may be about; a token of any other kind is not known here (TK-08).
    """

    name: str
    accepts: tuple[TokenProfile, ...] = ()
    token: str = "token"


class Document(msgspec.Struct, frozen=True):
    """Something published, for anybody: its name in ``core/shapes.py`` (``DOCUMENT_FACTS``).

    Args:
        profile: Whose issuer it is about, where the path names no organisation.
    """

    name: str
    profile: TokenProfile | None = None


class Answer(msgspec.Struct, frozen=True):
    """A successful answer.

    Args:
        shape: The body; an ``Each`` with an empty path is a JSON array; None for no body.
        when: As a variant: the fact that must be there for this answer to be given.
        headers: Name of a header and the fact that it shows; left out where that is None.
    """

    shape: Shape | Each | None
    status: int = 200
    when: str | None = None
    headers: tuple[tuple[str, str], ...] = ()


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One call of the contract.

    Args:
        name: Unique within the dialect; ``url.<name>`` in documents and demo entries.
        path: Template with ``{name}`` segments.
        aliases: Further paths of the same call.
        media: Content types it reads; the first is meant when none is declared, if ``media_optional``.
        media_ignored_when_empty: The declared content type of an empty body says nothing.
        bearer: The access token that a call of this route brings.
        exchanges: What it can be asked for, selected by the ``grant_type`` slot.
        operation: What it asks about a token, or does, instead.
        document: What it publishes instead.
        variants: Answers that come before ``answer``: the first whose ``when`` holds is given.
        refusals: In place of the dialect's.
        strict: A field that is none of these is refused by its name, and not ignored (AD-02).
        versioned: Name of the table whose record it changes, where the request must say which version that
            is for (``If-Match`` in the slot ``version``, RFC 9110 section 13.1.1).
        once: A request with a key in the slot ``idempotency_key`` is done once, however often it is sent.
    """

    name: str
    path: str
    answer: Answer
    method: str = "POST"
    aliases: tuple[str, ...] = ()
    media: tuple[str, ...] = (FORM,)
    media_optional: bool = False
    media_ignored_when_empty: bool = False
    fields: tuple[Field, ...] = ()
    authentication: ClientAuthentication | None = None
    bearer: Bearer | None = None
    exchanges: tuple[Exchange, ...] = ()
    operation: Operation | None = None
    document: Document | None = None
    variants: tuple[Answer, ...] = ()
    refusals: "Refusals | None" = None
    strict: bool = False
    versioned: str | None = None
    once: bool = False


class RefusalRow(msgspec.Struct, frozen=True):
    """How one public code is told: status, the dialect's own word for it, further headers.

    Args:
        text: The words for the caller; ``{description}`` stands for the core's, ``{tail}`` for the masked
            last characters of a presented secret that is worth nothing. Where the core has no words for a
            text that is nothing else, there is none; None for a row that never has any.
        unexplained: The words where the core has none: it does not say what is wrong with a credential.
        mask: What ``{tail}`` becomes where there are such characters: they stand for ``{tail}`` in it.
        values: Further facts of this row: ``row.<name>``.
    """

    status: int
    code: str | int
    headers: tuple[tuple[str, str], ...] = ()
    text: str | None = "{description}"
    unexplained: str | None = None
    mask: str = "{tail}"
    values: dict[str, str | int | None] = {}


BASIC_CHALLENGE = (("WWW-Authenticate", 'Basic realm="token endpoint", charset="UTF-8"'),)
"""What a 401 to a client owes (RFC 6749 section 5.2, RFC 9110 section 11.6.1)."""


BEARER_CHALLENGE = (("WWW-Authenticate", 'Bearer realm="api"'),)
"""What a 401 to a call without a token owes (RFC 6750 section 3)."""
INVALID_TOKEN_CHALLENGE = (("WWW-Authenticate", 'Bearer realm="api", error="invalid_token"'),)
"""What a 401 to a call with a bad token owes (RFC 6750 section 3.1)."""
INSUFFICIENT_SCOPE_CHALLENGE = (("WWW-Authenticate", 'Bearer realm="api", error="insufficient_scope"'),)
"""What a 403 to a call with a token for something else may say (RFC 6750 section 3.1)."""


class Refusals(msgspec.Struct, frozen=True):
    """One body for all refusals, and a row for every public code that the roads of its routes can give.

    Args:
        media: The content type of the body.
    """

    shape: Shape
    rows: dict[Code, RefusalRow]
    media: str = JSON


class Role(msgspec.Struct, frozen=True, kw_only=True):
    """A role that a membership may have, kept as ``<dialect>:<name>``.

    Args:
        permissions: Of ``core.vocabulary.PERMISSIONS``.
        title: As the contract shows it.
    """

    name: str
    title: str
    permissions: tuple[str, ...] = ()


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """The exact wire format of one token API.

    Args:
        roles: That a membership may have for it.
        notices: Neutral name of a warning -> the contract's words for it (fact ``notice``).
        facts: What the facts of its operations are, as JSON Schema, where that is not said elsewhere.
        prefix: Every path that begins so is the dialect's, also one that is nothing.
        collapse_slashes: A path may begin with several slashes: callers join base URLs carelessly.
    """

    name: str
    title: str
    routes: tuple[Route, ...]
    refusals: Refusals
    demo: DemoEntry = DemoEntry(fixtures=(), members=Shape(()), curl="")
    samples: tuple[Sample, ...] = ()
    settings: tuple[Setting, ...] = ()
    roles: tuple[Role, ...] = ()
    notices: dict[str, str] = {}
    facts: dict[str, dict[str, Any]] = {}
    prefix: str = ""
    collapse_slashes: bool = False
