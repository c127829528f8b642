"""What the demo makes and shows of a dialect, and its golden samples: part of its tables."""

from enum import StrEnum
from typing import Any

import msgspec

from keyturn.core.shapes import Shape


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
    """A project that the demo makes, in the teams of these paths.

    Args:
        name: ``{slug}`` in it stands for the organisation.
    """

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
        base: The path that callers know as the base of the contract; fact ``base_url``.
        members: The dialect's object in demo.json; facts are ``public_url``, ``base_url``, ``url.<route>``,
            ``issuer``, ``organisation.id``, ``.slug``, ``.name``, ``.api_key``, what each fixture names, and
            all of the other organisation's facts behind ``other.``.
        curl: A command line that works when pasted; ``{member}`` stands for a member's value.
        other: Whether demo.json shows the same object for organisation globex.
        settings: Of the dialect, that both organisations choose.
    """

    fixtures: tuple[Fixture, ...]
    members: Shape
    curl: str
    base: str = ""
    other: bool = True
    settings: dict[str, Any] = {}


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """A golden exchange: run as a test, shown in the docs.

    Args:
        after: The sample that is sent before it; ``{answer.<path>}`` stands for what that one was answered.
        headers: Sent as they are; ``{member}`` stands for a member of the demo entry, ``{basic}`` for the
            HTTP Basic form of the client.
        body: Sent as it is, with the same places; ``{member:form}`` percent-encodes.
        path: What stands for the route's ``{name}`` segments, with the same places.
        query: Sent as it is, with the same places.
        answer: The whole body; a string ``<jwt>``, ``<uuid>``, ``<text>`` or ``<digits>`` stands for any such
            value.
    """

    name: str
    route: str
    status: int
    answer: Any
    after: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""
    path: dict[str, str] = {}
    query: str = ""
