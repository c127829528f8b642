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
from keyturn.core.vocabulary import Algorithm, Code, CredentialKind, GrantType, OwnerName

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"


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
        prefix: Of the reader ``prefixed_word``: of several words the one that begins so, without case.
        minimum: The least value of a number.
        maximum: The greatest value of a number.
        longest: The most characters of a text.
        echo: Answers and refusals may repeat it as ``request.<slot>``.
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
    minimum: int | None = None
    maximum: int | None = None
    longest: int | None = None
    echo: bool = False


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
        headers: Further headers that hold the token and nothing else.
        bare: ``Authorization`` may hold the token without a scheme.
        scope: What it must have been granted; None for nothing.
        permission: What its owner's roles must permit at the time of the call; None for nothing.
    """

    accepts: tuple[TokenProfile, ...]
    headers: tuple[str, ...] = ()
    bare: bool = False
    scope: str | None = None
    permission: str | None = None


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
    """

    shape: Shape | Each | None
    status: int = 200
    when: str | None = None


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


class RefusalRow(msgspec.Struct, frozen=True):
    """How one public code is told: status, the dialect's own word for it, further headers.

    Args:
        text: The words for the caller; ``{description}`` stands for the core's, ``{tail}`` for the masked
            last characters of a presented secret that is worth nothing.
        values: Further facts of this row: ``row.<name>``.
    """

    status: int
    code: str | int
    headers: tuple[tuple[str, str], ...] = ()
    text: str = "{description}"
    values: dict[str, str | int | None] = {}


BASIC_CHALLENGE = (("WWW-Authenticate", 'Basic realm="token endpoint", charset="UTF-8"'),)
"""What a 401 to a client owes (RFC 6749 section 5.2, RFC 9110 section 11.6.1)."""


class Refusals(msgspec.Struct, frozen=True):
    """A dialect's refusals: one body for all and a row for every public code."""

    shape: Shape
    rows: dict[Code, RefusalRow]


class Scope(StrEnum):
    """Who sets a setting."""

    DEPLOYMENT = "deployment"
    ORGANISATION = "organisation"


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One setting of a dialect.

    Args:
        kind: ``int``, ``str`` or ``bool``.
        minimum: The least value of an ``int``.
        maximum: The greatest value of an ``int``.
        choices: All there may be, where not everything may.
    """

    name: str
    kind: str
    default: Any
    scope: Scope
    help: str
    minimum: int | None = None
    maximum: int | None = None
    choices: tuple[str, ...] = ()


def algorithm_setting(default: Algorithm) -> Setting:
    """Declare what a dialect's access tokens are signed with."""
    return Setting(
        name="algorithm",
        kind="str",
        default=default.value,
        scope=Scope.DEPLOYMENT,
        choices=tuple(algorithm.value for algorithm in Algorithm),
        help="What access tokens are signed with.",
    )


def lifetime_setting(default: int, *, minimum: int, maximum: int) -> Setting:
    """Declare how long a dialect's access tokens live, in seconds."""
    return Setting(
        name="lifetime_seconds",
        kind="int",
        default=default,
        scope=Scope.ORGANISATION,
        minimum=minimum,
        maximum=maximum,
        help="How long an access token lives.",
    )


def refresh_settings(profile: TokenProfile) -> tuple[Setting, ...]:
    """Declare how a dialect's refresh families live, with a profile's defaults."""
    return (
        Setting(
            name="refresh_lifetime_seconds",
            kind="int",
            default=profile.refresh_lifetime_seconds,
            scope=Scope.ORGANISATION,
            minimum=60,
            maximum=366 * 86_400,
            help="The absolute end of a refresh family, however often it is renewed.",
        ),
        Setting(
            name="refresh_grace_seconds",
            kind="int",
            default=profile.refresh_grace_seconds,
            scope=Scope.ORGANISATION,
            minimum=0,
            maximum=60,
            help="How long a used refresh token still gives the same successor: an answer was lost.",
        ),
        Setting(
            name="refresh_mode",
            kind="str",
            default=profile.refresh_mode,
            scope=Scope.ORGANISATION,
            choices=("rotate", "reuse"),
            help="Whether each use replaces the refresh token; reuse is for callers that keep the first one.",
        ),
    )


class Role(msgspec.Struct, frozen=True, kw_only=True):
    """A role that a membership may have, kept as ``<dialect>:<name>``.

    Args:
        permissions: Of ``core.vocabulary.PERMISSIONS``.
        title: As the contract shows it.
    """

    name: str
    title: str
    permissions: tuple[str, ...] = ()


class ClientFixture(msgspec.Struct, frozen=True, kw_only=True):
    """A client that the demo makes for the dialect, with one secret.

    Args:
        key: Its facts begin so: ``client.id``, ``client.secret``, ``client.scopes``, ``client.audience``.
        public: It has no secret.
        unlisted_scopes: It may have these too, but the demo entry's ``client.scopes`` does not show them.
    """

    name: str
    grants: tuple[str, ...]
    scopes: tuple[str, ...]
    unlisted_scopes: tuple[str, ...] = ()
    rights: tuple[str, ...] = ()
    key: str = "client"
    public: bool = False


class TeamFixture(msgspec.Struct, frozen=True, kw_only=True):
    """A team that the demo makes; ``path`` from the root, for example ``/Demo/Left``, with all above it."""

    path: str


class ProjectFixture(msgspec.Struct, frozen=True, kw_only=True):
    """A project that the demo makes, in the teams of these paths."""

    name: str
    teams: tuple[str, ...] = ()
    open: bool = False


class UserFixture(msgspec.Struct, frozen=True, kw_only=True):
    """A user that the demo makes.

    Facts: ``<key>.id``, ``.name``, ``.email``, ``.password``, ``.user_key``, ``.totp_secret``, ``.projects``
    (names of the projects the user may see), and of the organisation ``.organisation_name``.

    Args:
        name: The user name; ``{slug}`` in ``name`` and ``email`` stands for the organisation.
        roles: In the organisation, each a role of the dialect.
        elsewhere: A member of the other organisation too, with the same roles.
        password: Gets one.
        user_key: Gets one.
        totp: Gets a device.
    """

    key: str
    name: str
    email: str | None = None
    service: bool = False
    roles: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()
    elsewhere: bool = False
    password: bool = False
    user_key: bool = False
    totp: bool = False


class FixtureState(StrEnum):
    """What has become of a fixture's secret."""

    LIVE = "live"
    GRACE = "grace"
    EXPIRED = "expired"
    REVOKED = "revoked"


class ApiTokenFixture(msgspec.Struct, frozen=True, kw_only=True):
    """An API token that the demo makes; fact ``<key>.secret``.

    Args:
        owner: Key of the user or client whose it is.
    """

    key: str
    name: str
    owner: str
    scopes: tuple[str, ...] | None = None
    roles: tuple[str, ...] | None = None
    mfa: bool = False
    state: FixtureState = FixtureState.LIVE


class EntityFixture(msgspec.Struct, frozen=True, kw_only=True):
    """An entity that the demo makes; facts ``<key>.id``, ``<key>.type``, ``<key>.secret``.

    Args:
        id: ``{slug}`` stands for the organisation's slug in upper case.
        users: Keys of the users who look after its secret.
    """

    key: str
    id: str
    type: str
    users: tuple[str, ...] = ()
    state: FixtureState = FixtureState.LIVE


Fixture = ClientFixture | TeamFixture | ProjectFixture | UserFixture | ApiTokenFixture | EntityFixture


class DemoEntry(msgspec.Struct, frozen=True, kw_only=True):
    """What ``--demo`` makes for the dialect and shows of it.

    Args:
        fixtures: Made in this order, in both organisations.
        members: The dialect's object in demo.json; facts are ``public_url``, ``url.<route>``, ``issuer``,
            ``organisation.id``, ``.slug``, ``.name``, ``.api_key``, what each fixture names, and all of the
            other organisation's facts behind ``other.``.
        curl: A command line that works when pasted; ``{member}`` stands for a member's value.
        other: Whether demo.json shows the same object for organisation globex.
    """

    fixtures: tuple[Fixture, ...]
    members: Shape
    curl: str
    other: bool = True


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """A golden exchange: run as a test, shown in the docs.

    Args:
        headers: Sent as they are; ``{member}`` stands for a member of the demo entry, ``{basic}`` for the
            HTTP Basic form of the client.
        body: Sent as it is, with the same places; ``{member:form}`` percent-encodes.
        answer: The whole body; a string ``<jwt>``, ``<uuid>``, ``<text>`` or ``<digits>`` stands for any such
            value.
    """

    name: str
    route: str
    status: int
    answer: Any
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """The exact wire format of one token API.

    Args:
        roles: That a membership may have for it.
        notices: Neutral name of a warning -> the contract's words for it (fact ``notice``).
        collapse_slashes: A path may begin with several slashes: callers join base URLs carelessly.
    """

    name: str
    title: str
    routes: tuple[Route, ...]
    refusals: Refusals
    demo: DemoEntry
    samples: tuple[Sample, ...]
    settings: tuple[Setting, ...] = ()
    roles: tuple[Role, ...] = ()
    notices: dict[str, str] = {}
    collapse_slashes: bool = False
