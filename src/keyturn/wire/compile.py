"""A dialect compiled: its routes found by method and path, each with its reader and writer.

Compiling checks every name in the tables, so a dialect that compiles cannot fail on a table at run time.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from keyturn.core.requests import Call
from keyturn.core.shapes import sources
from keyturn.wire.check import check_route, codes_of
from keyturn.wire.http import WireRequest
from keyturn.wire.read import Reader, compile_knock, compile_reader
from keyturn.wire.tables import Dialect, Route, Source
from keyturn.wire.write import (
    AnswerWriter,
    RefusalWriter,
    compile_answer,
    compile_document,
    compile_refusals,
)

ADDED = ("presented", "notice", "fresh_id", "now", "request.", "setting.")
"""Facts of an answer that no road makes: the desk adds them where an answer shows them."""


class CompiledRoute(msgspec.Struct, frozen=True):
    """One route, ready to serve.

    Args:
        read: None for a published document that reads nothing but its path.
        knock: Reads of a call only who makes it; None where nobody has to say who they are.
        added: The facts of ``ADDED`` that its answers show, so that nobody makes what nobody shows.
        settings: The dialect's settings as the deployment has them; an organisation's value comes first.
        notices: Neutral name of a warning -> the contract's words for it.
    """

    dialect: str
    table: Route
    read: Reader | None
    knock: Callable[[WireRequest], Call] | None
    write: AnswerWriter
    refuse: RefusalWriter
    added: frozenset[str] = frozenset()
    settings: Mapping[str, Any] = {}
    notices: Mapping[str, str] = {}
    prefix: str = ""
    collapse_slashes: bool = False

    @property
    def is_administration(self) -> bool:
        """Whether it is for whoever brings an admin token."""
        return self.table.bearer is not None and self.table.bearer.administrator

    @property
    def is_call(self) -> bool:
        """Whether it does something for whoever brings a bearer token."""
        return self.knock is not None


def compile_dialect(dialect: Dialect, cache_seconds: int) -> tuple[CompiledRoute, ...]:
    """Compile every route of a dialect.

    Args:
        cache_seconds: How long anybody may cache what is published; no key signs before it was out that long.

    Raises:
        ValueError: A table names something that does not exist; the message says where.
    """
    names = [route.name for route in dialect.routes]
    if len(set(names)) < len(names):
        raise ValueError(f"{dialect.name}: two routes have one name")
    for route in dialect.routes:
        check_route(route, dialect, f"{dialect.name}.{route.name}")
    needed = codes_of(route for route in dialect.routes if route.refusals is None)
    refuse = compile_refusals(dialect.refusals, needed, f"{dialect.name}.refusals")
    urls = frozenset("url." + name for name in names)
    settings = {setting.name: setting.default for setting in dialect.settings}

    def compiled(route: Route) -> CompiledRoute:
        where = f"{dialect.name}.{route.name}"
        return CompiledRoute(
            dialect=dialect.name,
            table=route,
            read=compile_reader(route, dialect.name) if _reads(route) else None,
            knock=compile_knock(route, dialect.name),
            write=_writer(route, urls, cache_seconds, where),
            refuse=_own_refusals(route, where) or refuse,
            added=_added(route),
            settings=settings,
            notices=dialect.notices,
            prefix=dialect.prefix,
            collapse_slashes=dialect.collapse_slashes,
        )

    return tuple(map(compiled, dialect.routes))


def compile_routes(dialects: Mapping[str, Dialect], cache_seconds: int) -> tuple[CompiledRoute, ...]:
    """Compile every route of some dialects; like ``compile_dialect``."""
    return tuple(route for dialect in dialects.values() for route in compile_dialect(dialect, cache_seconds))


def _reads(route: Route) -> bool:
    return route.document is None or any(field.source is not Source.PATH for field in route.fields)


def _writer(route: Route, urls: frozenset[str], cache_seconds: int, where: str) -> AnswerWriter:
    if route.document is None:
        return compile_answer(route, where)
    return compile_document(route, route.document, urls, cache_seconds, where)


def _own_refusals(route: Route, where: str) -> RefusalWriter | None:
    if route.refusals is None:
        return None
    return compile_refusals(route.refusals, codes_of([route]), f"{where}.refusals")


def _added(route: Route) -> frozenset[str]:
    answers = (route.answer, *route.variants)
    shown = {source for each in answers if each.shape is not None for source in sources(each.shape)}
    shown |= {each.when for each in route.variants if each.when is not None}
    return frozenset(source for source in shown if source.startswith(ADDED))


PATHS_KEPT = 20_000
"""Matched paths kept in memory; made-up organisations can only make it forget."""
PATH_KEPT_LENGTH = 200
"""Characters of such a path; no organisation needs more, and kilobytes of made-up ones would add up."""


class Match(msgspec.Struct, frozen=True):
    """What a path leads to: its routes by method, and what its template matched."""

    routes: Mapping[str, CompiledRoute]
    params: Mapping[str, str]


class Router:
    """Finds a path's routes: exact paths by one look-up, templates segment by segment.

    Raises:
        ValueError: Two routes claim the same method and path.
    """

    def __init__(self, routes: Iterable[CompiledRoute]) -> None:
        """Index every path and alias of the routes."""
        self._exact: dict[str, dict[str, CompiledRoute]] = {}
        self._templates: dict[tuple[str | None, ...], tuple[tuple[str, ...], dict[str, CompiledRoute]]] = {}
        self._matched: dict[str, Match] = {}
        self._prefixes: dict[str, CompiledRoute] = {}
        for route in routes:
            if route.prefix:
                self._prefixes.setdefault(route.prefix, route)
            for path in (route.table.path, *route.table.aliases):
                self._add(path, route)

    def _add(self, path: str, route: CompiledRoute) -> None:
        segments = path.split("/")
        names = tuple(segment[1:-1] for segment in segments if segment.startswith("{"))
        if names:
            key = tuple(None if segment.startswith("{") else segment for segment in segments)
            methods = self._templates.setdefault(key, (names, {}))[1]
        else:
            methods = self._exact.setdefault(path, {})
        if route.table.method in methods:
            message = f"{route.dialect}.{route.table.name}: {route.table.method} {path} is taken"
            raise ValueError(message)
        methods[route.table.method] = route

    def near(self, path: str) -> CompiledRoute | None:
        """Find whose words to use for a path that is nothing.

        Those of the path without its last slashes, or of the dialect that has all paths that begin so.
        """
        match = self.match(path.rstrip("/"))
        if match:
            return next(iter(match.routes.values()))
        return next((route for prefix, route in self._prefixes.items() if path.startswith(prefix)), None)

    def match(self, path: str) -> Match | None:
        """Find the routes of a path; an odd spelling (``%``, ``//``, case) matches nothing (AD-01).

        Only a dialect whose callers join base URLs carelessly may be called with several slashes in front.
        """
        known = self._matched.get(path)
        if known is None:
            known = self._find(path)
            if known is not None and len(path) <= PATH_KEPT_LENGTH:
                if len(self._matched) >= PATHS_KEPT:
                    self._matched.clear()
                self._matched[path] = known
        return known

    def _find(self, path: str) -> Match | None:
        if path.startswith("//"):
            match = self._find("/" + path.lstrip("/"))
            lenient = match and {method: one for method, one in match.routes.items() if one.collapse_slashes}
            return Match(lenient, match.params) if match and lenient else None
        exact = self._exact.get(path)
        if exact is not None:
            return Match(exact, {})
        segments = path.split("/")
        for key, (names, methods) in self._templates.items():
            if len(key) == len(segments) and all(
                want is None or want == have for want, have in zip(key, segments, strict=True)
            ):
                values = [have for want, have in zip(key, segments, strict=True) if want is None]
                if all(values):
                    return Match(methods, dict(zip(names, values, strict=True)))
        return None
