"""How a JSON object is said as a table: claims of a token, members of an answer, a refusal's body.

A shape holds data only: constant members and members that show a *fact*, each through a transform that is
named, never given as a function, so that the same table can be read from a file. ``compile_shape`` turns a
table into the function that runs; names that do not exist are found then, not at the first request.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Any

import msgspec

from keyturn.core.secret import Secret

TOKEN_FACTS = frozenset(
    {
        "token_id",
        "issuer",
        "subject",
        "audience",
        "scope",
        "grant_type",
        "issued_at",
        "expires_at",
        "lifetime",
        "client.id",
        "client.name",
        "credential.id",
        "organisation.id",
        "organisation.name",
        "organisation.slug",
        "user.id",
        "user.name",
        "user.email",
        "user.email_verified",
        "user.given_name",
        "user.family_name",
        "home.id",
        "home.name",
        "home.slug",
        "roles",
        "entity.id",
        "entity.name",
        "entity.type",
    }
)
"""What a claim may show. ``lifetime`` is a timedelta, ``*_at`` are datetimes, scope, audience and roles tuples.

Facts of a user or an entity are None where the token's subject is none. ``user.name`` is as it was typed,
``roles`` are those of the profile's dialect in the token's organisation, without the dialect's name."""

ANSWER_FACTS = TOKEN_FACTS | {
    "access_token",
    "refresh_token",
    "id_token",
    "presented",
    "notice",
    "request_id",
    "fresh_id",
    "now",
    "request.",
    "setting.",
}
"""What an answer to an exchange may show.

``presented`` is the credential that was exchanged, ``notice`` the dialect's words for a warning or None,
``fresh_id`` a new UUID, ``request.<slot>`` what a field was read into, ``setting.<name>`` the dialect's setting
as it is for the token's organisation."""

QUESTION_FACTS = frozenset(
    {
        "active",
        "scope",
        "client.id",
        "username",
        "organisation.id",
        "subject",
        "audience",
        "issuer",
        "token_id",
        "token_type",
        "issued_at",
        "expires_at",
    }
)
"""What an answer about a token may show; every fact but ``active`` is None when it is not."""

REFUSAL_FACTS = frozenset(
    {"code", "description", "text", "issues", "request_id", "fresh_id", "now", "status", "row.", "request."}
)
"""What a refusal may show: ``code`` as the dialect spells it, ``text`` and ``row.<name>`` from the refusal's
row, ``request.<slot>`` what was read before it was refused (None if nothing), never the private reason."""

DOCUMENT_FACTS: dict[str, frozenset[str]] = {
    "metadata": frozenset({"issuer", "algorithms"}),
    "jwks": frozenset({"issuer", "keys"}),
}
"""What each published document may show, beside ``url.<route>`` for every route of its dialect."""


class Constant(msgspec.Struct, frozen=True):
    """A member that is always the same. Dots in ``path`` nest."""

    path: str
    value: Any


class Member(msgspec.Struct, frozen=True):
    """A member that shows a fact through a named transform; None and () are left out if ``optional``."""

    path: str
    source: str
    transform: str = "plain"
    optional: bool = False


class Each(msgspec.Struct, frozen=True):
    """A list with one object for each element of a fact.

    Inside, the element is called ``item``; of an element that is a mapping, ``item.<name>`` is a member.
    """

    path: str
    source: str
    shape: "Shape"


class Switch(msgspec.Struct, frozen=True):
    """A member that is shown in one of several ways, as the text of a fact says (``setting.<name>``)."""

    path: str
    on: str
    cases: dict[str, Constant | Member]


class Shape(msgspec.Struct, frozen=True):
    """A JSON object as a table; members keep their order."""

    members: tuple[Constant | Member | Each | Switch, ...]


Facts = Mapping[str, Any]
Renderer = Callable[[Facts], dict[str, Any]]


def _epoch_seconds(value: datetime) -> int:
    return int(value.timestamp())


def _epoch_millis(value: datetime) -> int:
    return int(value.timestamp() * 1000)


def _whole_seconds(value: timedelta) -> int:
    return int(value.total_seconds())


def _second_digits(value: timedelta) -> str:
    return str(int(value.total_seconds()))


def _iso_millis(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _one_or_list(value: tuple[str, ...]) -> str | list[str]:
    return value[0] if len(value) == 1 else list(value)


def _plain(value: Any) -> Any:
    return value


TRANSFORMS: dict[str, Callable[[Any], Any]] = {
    "plain": _plain,
    "epoch_seconds": _epoch_seconds,
    "epoch_millis": _epoch_millis,
    "seconds": _whole_seconds,
    "second_digits": _second_digits,
    "iso_millis": _iso_millis,
    "words": " ".join,
    "list": list,
    "one_or_list": _one_or_list,
    "upper": str.upper,
    "lower": str.lower,
    "digits": str,
    "reveal": Secret.reveal,
}
"""Name of a transform -> what it does with a fact; a table names one, it never holds one."""


def sources(shape: Shape) -> Iterable[str]:
    """Name every fact that a shape shows, those inside lists by their list's source."""
    return (member.source for member in shape.members if not isinstance(member, Constant))


def compile_shape(shape: Shape, known: frozenset[str], where: str) -> Renderer:
    """Turn a table into the function that renders it.

    Args:
        shape: The table.
        known: The facts that will be there; a prefix ending in ``.`` admits all below it.
        where: Names the table in an error.

    Raises:
        ValueError: A fact or transform is unknown, or two members collide; the message names all of them.
    """
    problems = [
        f"{where}: unknown fact {source!r}"
        for source in sources(shape)
        if source not in known and not ("." in source and source.partition(".")[0] + "." in known)
    ]
    problems += [
        f"{where}: unknown transform {member.transform!r}"
        for member in shape.members
        if isinstance(member, Member) and member.transform not in TRANSFORMS
    ]
    problems += [
        f"{where}: {member.path!r} has an empty name"
        for member in shape.members
        if "" in member.path.split(".")
    ]
    if problems:
        raise ValueError("; ".join(problems))
    return _compile_level([(member.path.split("."), member) for member in shape.members], where)


Step = Callable[[Facts], Any]
_LEFT_OUT = object()
"""What a step gives for a member that is not to be there."""


def _compile_level(members: list[tuple[list[str], Constant | Member | Each]], where: str) -> Renderer:
    groups: dict[str, list[tuple[list[str], Constant | Member | Each]]] = {}
    for (head, *rest), member in members:
        groups.setdefault(head, []).append((rest, member))
    steps: list[tuple[str, Step]] = []
    for name, group in groups.items():
        if len(group) > 1 and not all(rest for rest, _ in group):
            raise ValueError(f"{where}: {name!r} is there twice")
        if group[0][0]:
            steps.append((name, _compile_level(group, f"{where}.{name}")))
        else:
            steps.append((name, _leaf(name, group[0][1], where)))

    def render(facts: Facts) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for name, make in steps:
            value = make(facts)
            if value is not _LEFT_OUT:
                out[name] = value
        return out

    return render


def _leaf(name: str, member: Constant | Member | Each, where: str) -> Step:
    if isinstance(member, Constant):
        return _constant(member.value)
    if isinstance(member, Each):
        return _each(name, member, where)
    if member.transform == "plain" and not member.optional:
        return itemgetter(member.source)
    return _member(member.source, TRANSFORMS[member.transform], optional=member.optional)


def _constant(value: Any) -> Step:
    return lambda _: value


def _each(name: str, member: Each, where: str) -> Step:
    inner = compile_shape(member.shape, frozenset({"item"}), f"{where}.{name}[]")
    return lambda facts: [inner({"item": element}) for element in facts[member.source]]


def _member(source: str, transform: Callable[[Any], Any], *, optional: bool) -> Step:
    left_out = _LEFT_OUT if optional else None

    def step(facts: Facts) -> Any:
        value = facts[source]
        if value is None or (optional and isinstance(value, tuple) and not value):
            return left_out
        return transform(value)

    return step
