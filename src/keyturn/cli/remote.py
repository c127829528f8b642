"""The verbs, asked of a server's admin API: the token's rights are the operator's."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from keyturn.admin.requests import Facts
from keyturn.cli.link import HttpWire, Link, server_of
from keyturn.cli.profiles import Profile, token_of
from keyturn.cli.remote_ground import given, record_of
from keyturn.cli.remote_machine import OnTheMachine
from keyturn.cli.remote_notices import RemoteNotices
from keyturn.cli.remote_people import RemotePeople
from keyturn.cli.remote_secrets import RemoteSecrets
from keyturn.cli.verbs import Gone, KeySight, Ring, Turned, Verbs
from keyturn.core.errors import Fault, NotPermitted, OperatorError
from keyturn.core.records import AuditRow, Organisation
from keyturn.core.store_ports import AuditHit, AuditSpan, AuditWish
from keyturn.core.vocabulary import Algorithm
from keyturn.directory.audit_search import Found
from keyturn.directory.deletion import Deleted, Deletion, Progress
from keyturn.directory.explain import Explained

_Issuer = tuple[str, str, Facts]
"""What people call it, the noun of its operations, and its path."""


@contextlib.asynccontextmanager
async def open_remote(profile: Profile) -> AsyncIterator[Verbs]:
    """Ask a server for the time of one command."""
    wire = HttpWire(server_of(profile.server), profile.ca_file)
    link = Link(wire, token_of(profile), profile.server)
    try:
        yield RemoteVerbs(link)
    except ValueError as error:  # a word that this program does not know, among those that a fact may have
        raise Fault(f"{profile.server}: an answer cannot be read; is it newer than this?") from error
    finally:
        link.close()


class RemoteVerbs(RemotePeople, RemoteSecrets, RemoteNotices, OnTheMachine):
    """The ``Verbs`` of a server."""

    async def create_organisation(self, slug: str, name: str) -> Organisation:
        """Make an organisation."""
        return record_of(Organisation, await self._ask("organisations.create", slug=slug, name=name))

    async def organisations(self) -> Sequence[Organisation]:
        """List all organisations."""
        return [record_of(Organisation, each) for each in await self._all("organisations.list")]

    async def organisation(self, slug: str) -> Organisation:
        """Show one organisation."""
        return record_of(Organisation, await self._ask("organisations.show", organisation=slug))

    async def rename_organisation(self, slug: str, name: str) -> Organisation:
        """Give it another display name."""
        version = (await self.organisation(slug)).version
        changed = await self._ask("organisations.change", organisation=slug, version=version, name=name)
        return record_of(Organisation, changed)

    async def disable_organisation(self, slug: str) -> Organisation:
        """Stop issuing under it."""
        return record_of(Organisation, await self._ask("organisations.disable", organisation=slug))

    async def enable_organisation(self, slug: str) -> Organisation:
        """Issue under it again."""
        return record_of(Organisation, await self._ask("organisations.enable", organisation=slug))

    async def set_organisation(self, slug: str, setting: str, value: str | None) -> Organisation:
        """Set a dialect's setting, or go back to its default."""
        path: Facts = {"organisation": slug, "setting": setting}
        if value is None:
            await self._ask("settings.reset", **path)
        else:
            await self._ask("settings.change", **path, value=value)
        return await self.organisation(slug)

    async def delete_organisation(self, slug: str, progress: Progress | None = None) -> Deleted:  # noqa: ARG002
        """End it and erase all it had; how far it is, a server tells only at the end."""
        done = await self._ask("organisations.delete", organisation=slug)
        organisation = record_of(Organisation, done)
        return Deleted(organisation=organisation, records=done["records_erased"], wiped=done["complete"])

    async def deletion(self, slug: str) -> Deletion:
        """Tell how far its deletion is."""
        told = await self._ask("organisations.deletion", organisation=slug)
        return record_of(Deletion, told, organisation=await self.organisation(slug))

    async def clear_lockout(self, slug: str, user_name: str) -> str:
        """Forget the failures of a user name, and give it in its canonical form."""
        cleared: str = (await self._ask("lockouts.clear", organisation=slug, user_name=user_name))[
            "user_name"
        ]
        return cleared

    async def rings(self, slug: str | None, shared: str | None) -> Sequence[Ring]:
        """List an organisation's signing keys, a shared ring's, or those of every issuer."""
        return [
            Ring(issuer, [_key(each) for each in await self._all(f"{noun}.list", **path)])
            for issuer, noun, path in await self._issuers(slug, shared)
        ]

    async def rotate(
        self, slug: str | None, shared: str | None, algorithm: Algorithm | None
    ) -> Sequence[Turned]:
        """Turn an organisation's rings, a shared one, or all; one algorithm's, or of all in use."""
        wanted = {} if algorithm is None else {"algorithm": algorithm.value}
        return [
            record_of(Turned, {**each, "algorithm": Algorithm(each["algorithm"])})
            for _, noun, path in await self._issuers(slug, shared)
            for each in await self._all(f"{noun}.rotate", **path, **wanted)
        ]

    async def withdraw_key(self, key_id: str) -> Gone:
        """Take a signing key out of its key set at once; it never signs again."""
        for _, noun, path in await self._issuers(None, None):
            if any(each["id"] == key_id for each in await self._all(f"{noun}.list", **path)):
                gone = await self._ask(f"{noun}.withdraw", **path, signing_key=key_id)
                return record_of(Gone, {**gone, "algorithm": Algorithm(gone["algorithm"])})
        raise OperatorError(f"no signing key {key_id!r} is published; keyturn keys list shows them")

    async def tail_audit(self, limit: int) -> Sequence[AuditRow]:
        """Read the newest audit rows."""
        return [_row(each) for each in reversed(await self._newest("audit.list", limit))]

    async def search_audit(self, wish: AuditWish, slug: str | None) -> Found:
        """Find rows, newest first, to the end of what is wanted: a server has no positions to go on from."""
        narrow = given(
            organisation=slug, client=wish.client, since=_sent(wish.since), until=_sent(wish.until)
        )
        found = await self._newest("audit.list", wish.limit, **narrow, **wish.equal)
        hits = [AuditHit(0, _row(each), each["personal"]) for each in found]
        return Found(hits, None, AuditSpan(0, 0, None))

    async def explain(self, request_id: str) -> Explained:
        """Say what became of a request."""
        told = await self._ask("requests.show", request=request_id)
        seen = {"status": told["http_status"], "code": told["public_code"]}
        return record_of(Explained, {**told, **seen}, request_id=told["id"])

    async def _issuers(self, slug: str | None, shared: str | None) -> Sequence[_Issuer]:
        if shared is not None:
            return [(shared, "shared_keys", {"issuer": shared})]
        if slug is not None:
            return [(slug, "signing_keys", {"organisation": slug})]
        living = await self._all("organisations.list", ended=False)
        own: list[_Issuer] = [
            (each["slug"], "signing_keys", {"organisation": each["slug"]}) for each in living
        ]
        try:
            common = await self._all("shared_issuers.list")
        except NotPermitted:  # a token of one organisation does not see what all share
            common = ()
        return [*own, *((each["name"], "shared_keys", {"issuer": each["name"]}) for each in common)]


def _key(facts: Facts) -> KeySight:
    return record_of(KeySight, {**facts, "algorithm": Algorithm(facts["algorithm"])})


def _sent(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _row(facts: Facts) -> AuditRow:
    return record_of(AuditRow, facts, sealed_personal=None, prev_hash=b"", row_hash=b"")
