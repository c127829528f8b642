"""What memory holds of who exists: views of each kind, bounded, and the versions of all that they rest on.

A view is read whole and forgotten whole. It rests on its owner, the owner's credentials and memberships, and
every organisation that it names; when one of those changes, the view goes.
"""

from collections.abc import Iterator, Sequence
from typing import Any, cast

from keyturn.core.records import Organisation
from keyturn.core.views import ClientView, EntityView, UserView
from keyturn.storage.bounded import Lru

View = Organisation | ClientView | UserView | EntityView
Place = tuple[str, str]
"""The table of whose view it is, and the id in it."""
OWNERS = ("client", "user", "entity")
"""The tables of who can have credentials."""


class Views:
    """A bounded memory of views.

    Args:
        limit: How many to keep of each kind.
    """

    def __init__(self, limit: int) -> None:
        self.organisations: Lru[str, Organisation] = Lru(limit, self._let_go)
        self.clients: Lru[str, ClientView] = Lru(limit, self._let_go)
        self.users: Lru[str, UserView] = Lru(limit, self._let_go)
        self.entities: Lru[str, EntityView] = Lru(limit, self._let_go)
        self.versions: dict[Place, int] = {}
        self._kept: dict[str, Lru[str, Any]] = {
            "organisation": self.organisations,
            "client": self.clients,
            "user": self.users,
            "entity": self.entities,
        }
        self._naming: dict[str, set[Place]] = {}

    def keep(self, view: View) -> None:
        """Keep a view in place of an older one."""
        table, key = place = _place(view)
        self.forget(table, key)
        self.versions.update(_rests_on(view))
        for organisation in _organisations(view):
            self.versions["organisation", organisation.id] = organisation.version
            self._naming.setdefault(organisation.id, set()).add(place)
        self._kept[table].put(key, view)

    def owned(self, key: str) -> Iterator[ClientView | UserView | EntityView]:
        """Give the views of whoever has this id."""
        for table in OWNERS:
            view = self._kept[table].get(key)
            if view is not None:
                yield view

    def retouch(self, view: ClientView | UserView | EntityView) -> None:
        """Put a view in place of one that differs in nothing that has a version."""
        table, key = _place(view)
        self._kept[table].put(key, view)

    def forget(self, table: str, key: str) -> None:
        """Forget a view, if there is one."""
        view = self._kept[table].pop(key)
        if view is not None:
            self._let_go(view)

    def forget_organisation(self, organisation_id: str) -> None:
        """Forget an organisation and every view that names it."""
        for table, key in tuple(self._naming.get(organisation_id, ())):
            self.forget(table, key)

    def clear(self) -> None:
        """Forget everything."""
        for kept in self._kept.values():
            kept.clear()
        self._naming.clear()
        self.versions.clear()

    def _let_go(self, view: View) -> None:
        """Let go of what hung on a view that has left memory."""
        for place, _ in _rests_on(view):
            self.versions.pop(place, None)
        for organisation in _organisations(view):
            naming = self._naming.get(organisation.id, set())
            naming.discard(_place(view))
            if not naming:
                self._naming.pop(organisation.id, None)
                self.versions.pop(("organisation", organisation.id), None)


def _place(view: View) -> Place:
    match view:
        case Organisation():
            return "organisation", view.id
        case ClientView():
            return "client", view.client.id
        case UserView():
            return "user", view.user.id
        case EntityView():
            return "entity", view.entity.id


def _organisations(view: View) -> Sequence[Organisation]:
    match view:
        case Organisation():
            return (view,)
        case UserView():
            return (view.home, *view.organisations)
        case _:
            return (view.organisation,)


def _rests_on(view: View) -> Iterator[tuple[Place, int]]:
    """Give the versions of all but the organisations, which other views may rest on too."""
    if isinstance(view, Organisation):
        return
    place = _place(view)
    yield place, cast("Any", getattr(view, place[0])).version
    for credential in view.credentials:
        yield ("credential", credential.id), credential.version
    if isinstance(view, UserView):
        for membership in view.memberships:
            yield ("membership", membership.id), membership.version
