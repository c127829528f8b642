"""What every part of the remote verbs stands on: asking by the tables, how things are found, and records."""

import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from keyturn.admin.requests import Facts, answer_of, fields_of, request_of
from keyturn.cli.link import Link
from keyturn.cli.people_verbs import End
from keyturn.core.admin_facts import OPERATIONS
from keyturn.core.errors import Fault, NothingThere, NotPermitted, OperatorError
from keyturn.core.life import Life, Standing, State
from keyturn.core.records import Credential, User
from keyturn.core.vocabulary import CredentialKind
from keyturn.directory.people_names import canonical_address, check_user_name
from keyturn.directory.secret_status import SecretStatus

_RECORD = TypeVar("_RECORD")
_MOST_ITEMS = 200
_OF_OWNERS = ("of_clients", "of_users", "of_entities")
_FOLDERS: Mapping[CredentialKind, tuple[str, str | None, str]] = {
    CredentialKind.CLIENT_SECRET: ("secrets", "client", "secret"),
    CredentialKind.PUBLIC_KEY: ("public_keys", "client", "key"),
    CredentialKind.USER_KEY: ("user_keys", "user", "key"),
    CredentialKind.API_TOKEN: ("api_tokens", None, "api_token"),
    CredentialKind.ENTITY_SECRET: ("entity_secrets", "entity", "secret"),
}
"""Kind -> the noun of its operations, what a path calls the owner (None: not at all) and the credential."""


class RemoteGround:
    """The ground of ``RemoteVerbs``."""

    def __init__(self, link: Link) -> None:
        """Ask by a link."""
        self._link = link

    async def _ask(self, operation: str, *, version: int | None = None, **arguments: Any) -> Facts:
        """Ask for an operation; the key makes one wish of all attempts."""
        asked = request_of(operation, arguments, version=version, key=secrets.token_urlsafe(24))
        body = await self._link.ask(asked)
        try:
            return answer_of(operation, body)
        except ValueError:
            raise Fault(
                f"the server's answer to {operation} cannot be read; is it older than this?"
            ) from None

    async def _all(self, operation: str, **arguments: Any) -> Sequence[Facts]:
        """Read a list to its end; what is asked for at once is answered at once."""
        if "limit" not in fields_of(operation):
            return list((await self._ask(operation, **arguments))["items"])
        found: list[Facts] = []
        more: Facts = {}
        while True:
            page = await self._ask(operation, **arguments, **more, limit=_MOST_ITEMS)
            found += page["items"]
            if page["next"] is None:
                return found
            more = further(page["next"], more)

    async def _newest(self, operation: str, limit: int, **arguments: Any) -> Sequence[Facts]:
        """Read so many of a list, the newest of which come first."""
        found: list[Facts] = []
        more: Facts = {}
        while len(found) < limit:
            wanted = min(_MOST_ITEMS, limit - len(found))
            page = await self._ask(operation, **arguments, **more, limit=wanted)
            found += page["items"]
            if page["next"] is None:
                break
            more = further(page["next"], more)
        return found

    # --- what is named ---

    async def _client(self, client_id: str) -> Facts:
        """Give the path of a client."""
        found = await self._ask("clients.find", client=client_id)
        return {"organisation": found["organisation_id"], "client": found["id"]}

    async def _user(self, named: str) -> User:
        """Find a user by ``slug/user name``, e-mail address or id."""
        slug, slash, name = named.partition("/")
        try:
            if slash:
                spelled = check_user_name(name)
                [found] = await self._all("users.list", organisation=slug, name=spelled)
            elif "@" in named:
                [found] = await self._all("users.by_email", email=canonical_address(named))
            else:
                found = await self._ask("users.find", user=named)
        except (NothingThere, ValueError):
            raise NothingThere(f"no user {named!r}") from None
        return record_of(User, found)

    async def _user_path(self, named: str) -> Facts:
        user = await self._user(named)
        return {"organisation": user.organisation_id, "user": user.id}

    async def _entity(self, entity_id: str) -> Facts:
        found = await self._ask("entities.find", entity=entity_id)
        return {"organisation": found["organisation_id"], "entity": found["id"]}

    async def _credential(self, credential_id: str) -> Facts:
        """Find a credential of any kind: the token may have the scope of some kinds only."""
        forbidden: NotPermitted | None = None
        for owners in _OF_OWNERS:
            try:
                return await self._ask(f"credentials.{owners}", credential=credential_id)
            except NothingThere:
                continue
            except NotPermitted as error:
                forbidden = error
        raise forbidden or NothingThere(f"no credential {credential_id!r}")

    async def _do(self, credential_id: str, verb: str, **more: Any) -> Facts:
        """Do something to a credential that is named by its id alone."""
        found = await self._credential(credential_id)
        noun, owner, slot = _FOLDERS[CredentialKind(found["kind"])]
        path: Facts = {"organisation": found["organisation_id"], slot: found["id"]}
        if owner is not None:
            path[owner] = found["owner_id"]
        if f"{noun}.{verb}" not in OPERATIONS:
            what = found["kind"].replace("_", " ")
            raise OperatorError(f"the admin API cannot {verb} a {what}; on the machine it can be done")
        return await self._ask(f"{noun}.{verb}", **path, **more)


def further(cursor: Any, before: Facts) -> Facts:
    """Ask for the page after one; a server that goes round in a circle would be asked for ever.

    Raises:
        Fault: The page before pointed to the same one.
    """
    if before.get("cursor") == cursor:
        raise Fault("the server's list has no end: a page points to itself")
    return {"cursor": cursor}


def record_of(kind: type[_RECORD], facts: Facts, **more: Any) -> _RECORD:
    """Make the record that some facts were taken from; what they do not tell is empty."""
    names: Sequence[str] = kind.__struct_fields__  # type: ignore[attr-defined]  # every record is a Struct
    return kind(**{name: facts[name] for name in names if name in facts}, **more)


def status_of(facts: Facts) -> SecretStatus:
    """Make a credential as it is shown; what proves it stays where it is."""
    credential = record_of(
        Credential,
        {**facts, "kind": CredentialKind(facts["kind"])},
        life=record_of(Life, {**facts, "state": State(facts["state"])}),
        lookup_hash=b"",
        pepper_id="",
    )
    return SecretStatus(credential, Standing(facts["standing"]), facts["expires_at"])


def instant_of(end: End) -> datetime | None:
    """Say when something expires that shall live until an instant or for a while."""
    return datetime.now(UTC) + end if isinstance(end, timedelta) else end


def given(**arguments: Any) -> Facts:
    """Leave out what was not given."""
    return {name: value for name, value in arguments.items() if value is not None}
