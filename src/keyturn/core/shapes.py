"""How a JSON object is said as a table: claims of a token, members of an answer, a refusal's body.

A shape holds data only: constant members and members that show a *fact*, each through a transform that is
named, never given as a function, so that the same table can be read from a file. ``compile_shape`` turns a
table into the function that runs; names that do not exist are found then, not at the first request.
"""

from collections.abc import Callable, Iterator, Mapping
from operator import itemgetter
from typing import Any

import msgspec

from keyturn.core.admin_facts import ADMIN_OPERATION_FACTS
from keyturn.core.transforms import TRANSFORMS

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
        "user.login",
        "user.account",
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
"""What a claim may show: ``lifetime`` a timedelta, ``*_at`` datetimes, scope, audience and roles tuples.

Facts of a user or an entity are None where the token's subject is none. ``user.name`` is as it is shown,
``user.login`` names the user within the home, ``user.account`` in the whole deployment;
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
``fresh_id`` a new UUID, ``request.<slot>`` what a field was read into, ``setting.<name>`` the dialect's
setting as it is for the token's organisation."""

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
    {
        "code",
        "description",
        "text",
        "issues",
        "errors",
        "request_id",
        "fresh_id",
        "now",
        "status",
        "row.",
        "request.",
    }
)
"""What a refusal may show: ``code`` as the dialect spells it, ``text`` and ``row.<name>`` from the refusal's
row, ``errors`` the bad fields (``Refusal.errors``), ``request.<slot>`` what was read before it was refused
(None if nothing), never the private reason."""

DOCUMENT_FACTS: dict[str, frozenset[str]] = {
    "metadata": frozenset({"issuer", "algorithms", "request.", "setting."}),
    "jwks": frozenset({"issuer", "keys", "request."}),
    "public_key": frozenset({"issuer", "keys", "pem", "algorithm", "request."}),
}
"""What each published document may show, beside ``url.<route>`` for every route of its dialect.

``pem`` and ``algorithm`` are those of the one key that signs now; ``keys`` are all, as in ``jwks``."""

_PROJECT_FACTS = frozenset(
    {
        "project.id",
        "project.name",
        "project.created_at",
        "project.organisation_id",
        "project.teams",
        "project.open",
    }
)
_READABLE_SECRET_FACTS = frozenset({"entity.id", "credential.id", "secret", "issued_at", "expires_at"})
_EVERY_CALL = frozenset({"request_id", "fresh_id", "now", "notice", "request.", "setting."})

SECRET_FACTS = frozenset(
    {
        "credential.id",
        "credential.name",
        "organisation.id",
        "organisation.slug",
        "home.id",
        "home.slug",
        "user.id",
        "user.name",
        "user.login",
        "user.account",
        "user.email",
        "client.id",
        "client.name",
        "subject",
        "scope",
        "roles",
        "disabled",
        "issued_at",
        "last_used_on",
        "expires_at",
    }
)
"""What the description of an API token may show: ``scope`` None where it is as wide as its owner's, ``roles``
what its tokens would stand for now, ``disabled`` whether it is switched off, ``last_used_on`` a date."""

CALLER_FACTS = frozenset(
    {
        "subject",
        "roles",
        "user.id",
        "user.name",
        "user.login",
        "user.account",
        "user.email",
        "user.email_verified",
        "user.given_name",
        "user.family_name",
        "client.id",
        "client.name",
        "home.id",
        "home.name",
        "home.slug",
        "organisation.id",
        "organisation.name",
        "organisation.slug",
    }
)
"""What a caller may be shown of itself, as it is now; facts of a user or client are None where it is none."""

OPERATION_FACTS: dict[str, frozenset[str]] = {
    "introspect": QUESTION_FACTS,
    "describe": SECRET_FACTS,
    "revoke": frozenset(),
    "projects.list": _PROJECT_FACTS | _EVERY_CALL | {"projects", "total"},
    "projects.create": _PROJECT_FACTS | _EVERY_CALL,
    "projects.show": _PROJECT_FACTS | _EVERY_CALL,
    "projects.change": _PROJECT_FACTS | _EVERY_CALL,
    "projects.delete": _EVERY_CALL,
    "secrets.read": _READABLE_SECRET_FACTS | _EVERY_CALL,
    "secrets.reset": _READABLE_SECRET_FACTS | _EVERY_CALL,
    "caller.show": CALLER_FACTS | _EVERY_CALL,
    "organisations.list": _EVERY_CALL | {"organisations", "total", "last_page"},
    "organisations.show": _EVERY_CALL | {"organisation.id", "organisation.name", "organisation.slug"},
    **ADMIN_OPERATION_FACTS,
}
"""What the answer to each operation may show.

``projects`` is a list of mappings with the names that ``project.`` has too: ``item.id``, ``item.name`` ...
``item.teams`` are the paths of the teams. Where a list is asked for one name, ``project.`` is that project
and there is no list. ``organisations`` likewise; ``total`` counts all that there are, whatever is listed, and
``last_page`` tells whether more follow."""

MAY_BE_ABSENT = ("request.", "setting.", "row.")
"""Facts that are there or not, as a request and its refusal have it: None where they are not."""


class Constant(msgspec.Struct, frozen=True):
    """A member that is always the same. Dots in ``path`` nest."""

    path: str
    value: Any


class Member(msgspec.Struct, frozen=True):
    """A member that shows a fact through a named transform; None and () are left out if ``optional``.

    Args:
        otherwise: The fact that is shown, through the same transform, where the first is None.
    """

    path: str
    source: str
    transform: str = "plain"
    optional: bool = False
    otherwise: str | None = None


class Each(msgspec.Struct, frozen=True):
    """A list with one object for each element of a fact.

    Inside, the element is called ``item``; of an element that is a mapping, ``item.<name>`` is a member. An
    empty path is for a body that is nothing but the list.
    """

    path: str
    source: str
    shape: "Shape"


class Switch(msgspec.Struct, frozen=True):
    """A member that is shown in one of several ways, as the text of a fact says (``setting.<name>``).

    The texts of a fact that is a truth are ``true`` and ``false``. Every case has the path of the whole; a
    text that has no case is a fault.
    """

    path: str
    on: str
    cases: dict[str, Constant | Member]


class Shape(msgspec.Struct, frozen=True):
    """A JSON object as a table; members keep their order, and an object inside without any is left out."""

    members: tuple[Constant | Member | Each | Switch, ...]


Part = Constant | Member | Each | Switch
Facts = Mapping[str, Any]
Renderer = Callable[[Facts], dict[str, Any]]
BodyRenderer = Callable[[Facts], Any]


def sources(shape: Shape | Each) -> Iterator[str]:
    """Name every fact that a shape shows, those inside lists by their list's source."""
    if isinstance(shape, Each):
        yield shape.source
        return
    for member in shape.members:
        yield from _sources_of(member)


def _sources_of(member: Part) -> Iterator[str]:
    if isinstance(member, Switch):
        yield member.on
        for case in member.cases.values():
            yield from _sources_of(case)
    elif not isinstance(member, Constant):
        yield member.source
        if isinstance(member, Member) and member.otherwise is not None:
            yield member.otherwise


def is_known(source: str, known: frozenset[str]) -> bool:
    """Tell whether a fact will be there; a prefix ending in ``.`` among the known admits all below it."""
    return source in known or ("." in source and source.partition(".")[0] + "." in known)


def compile_body(shape: Shape | Each, known: frozenset[str], where: str) -> BodyRenderer:
    """Turn the table of a whole JSON body into the function that renders it: an object, or a list.

    Raises:
        ValueError: As ``compile_shape``, or a list that is the whole body has a path.
    """
    if isinstance(shape, Shape):
        return compile_shape(shape, known, where)
    if shape.path:
        raise ValueError(f"{where}: a list that is the whole body has a path, {shape.path!r}")
    if not is_known(shape.source, known):
        raise ValueError(f"{where}: unknown fact {shape.source!r}")
    return _each(shape, where)


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
        f"{where}: unknown fact {source!r}" for source in sources(shape) if not is_known(source, known)
    ]
    problems += [problem for member in shape.members for problem in _problems_of(member, where)]
    if problems:
        raise ValueError("; ".join(problems))
    return _compile_level([(member.path.split("."), member) for member in shape.members], where)


def _problems_of(member: Part, where: str) -> Iterator[str]:
    if isinstance(member, Member) and member.transform not in TRANSFORMS:
        yield f"{where}: unknown transform {member.transform!r}"
    if "" in member.path.split("."):
        yield f"{where}: {member.path!r} has an empty name"
    if isinstance(member, Switch):
        for case in member.cases.values():
            yield from _problems_of(case, where)
            if case.path != member.path:
                yield f"{where}: a case of {member.path!r} has another path, {case.path!r}"


Step = Callable[[Facts], Any]
_LEFT_OUT = object()
"""What a step gives for a member that is not to be there."""


def _compile_level(members: list[tuple[list[str], Part]], where: str) -> Renderer:
    groups: dict[str, list[tuple[list[str], Part]]] = {}
    for (head, *rest), member in members:
        groups.setdefault(head, []).append((rest, member))
    steps: list[tuple[str, Step]] = []
    for name, group in groups.items():
        if len(group) > 1 and not all(rest for rest, _ in group):
            raise ValueError(f"{where}: {name!r} is there twice")
        if group[0][0]:
            steps.append((name, _unless_empty(_compile_level(group, f"{where}.{name}"))))
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


def _unless_empty(render: Renderer) -> Step:
    return lambda facts: render(facts) or _LEFT_OUT


def _leaf(name: str, member: Part, where: str) -> Step:
    if isinstance(member, Constant):
        return _constant(member.value)
    if isinstance(member, Each):
        return _each(member, f"{where}.{name}")
    if isinstance(member, Switch):
        return _switch(name, member, where)
    if member.transform == "plain" and not member.optional and member.otherwise is None:
        return _taking(member.source)
    return _member(member)


def _taking(source: str) -> Step:
    """Take a fact; one that may be absent is None then, any other that is not there is a fault."""
    if source.startswith(MAY_BE_ABSENT):
        return lambda facts: facts.get(source)
    return itemgetter(source)


def _constant(value: Any) -> Step:
    return lambda _: value


def _each(member: Each, where: str) -> Step:
    inner = compile_shape(member.shape, frozenset({"item", "item."}), f"{where}[]")
    take = _taking(member.source)
    return lambda facts: [inner(_as_item(element)) for element in take(facts) or ()]


def _as_item(element: Any) -> Facts:
    if isinstance(element, Mapping):
        return {f"item.{name}": value for name, value in element.items()}
    return {"item": element}


def _switch(name: str, member: Switch, where: str) -> Step:
    take = _taking(member.on)
    steps = {text: _leaf(name, case, where) for text, case in member.cases.items()}
    return lambda facts: steps[_case(take(facts))](facts)


def _case(value: Any) -> Any:
    return ("false", "true")[value] if isinstance(value, bool) else value


def _member(member: Member) -> Step:
    left_out = _LEFT_OUT if member.optional else None
    take, transform = _taking(member.source), TRANSFORMS[member.transform]
    instead = None if member.otherwise is None else _taking(member.otherwise)

    def step(facts: Facts) -> Any:
        value = take(facts)
        if value is None and instead is not None:
            value = instead(facts)
        if value is None or (member.optional and isinstance(value, tuple) and not value):
            return left_out
        return transform(value)

    return step
