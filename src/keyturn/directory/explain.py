"""What became of one request, in plain words: which check refused it, and what would make it pass.

Its rows are found by the time that its id holds (``audit_search``). A request that was only counted has no
row: then the summaries that it may be counted in are told. The caller never sees any of this.
"""

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from keyturn.core.actors import Actor
from keyturn.core.clock import moved
from keyturn.core.counting import counted
from keyturn.core.errors import NothingThere, OperatorError
from keyturn.core.identifiers import time_of
from keyturn.core.reasons import meaning_of
from keyturn.core.records import Organisation
from keyturn.core.secret import Dice
from keyturn.core.store_ports import AuditHit, AuditWish, DeploymentStore
from keyturn.core.vocabulary import ClientId, OrganisationId
from keyturn.directory.audit_search import AFTER, BEFORE, Found, look, tell_read

StatusOf = Callable[[str, str, str], int | None]
"""Gives the HTTP status of a public code at (dialect, route, code); None of a dialect that is not known."""

SUMMARY = "token.refused.summary"
_REFUSED = ("token.refused", "call.refused", SUMMARY)
_SUMMED_UP = (timedelta(minutes=3), timedelta(hours=1))
"""How long after a request its summary is written: usually, and where the store was away meanwhile."""
_MOST = 1_000


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """One request as an operator wants to know it.

    Args:
        verdict: ``granted`` (a token was issued), ``done``, ``refused``, or ``counted`` (no row of its own).
        at: When that was written.
        kind: Of the row that says so, as in the trail.
        status: What the caller saw, with ``code``; None where that is not known any more.
        code: The public refusal code.
        happened: In words.
        remedy: What would make it pass; None of a request that did.
        actor: Who asked, as in the trail.
        name: What people call the client or token that asked.
        organisation: Its slug.
        address: Whence it came; None where it was erased with the organisation.
        counted: Where refusals were counted: the details of each summary that it is or may be one of.
        rows: Every row of it, as ``chain:seq``, in the order of writing.
    """

    request_id: str
    verdict: str
    at: datetime
    kind: str
    happened: str
    actor: str
    status: int | None = None
    code: str | None = None
    reason: str | None = None
    remedy: str | None = None
    name: str | None = None
    organisation: str | None = None
    organisation_id: OrganisationId | None = None
    subject: str | None = None
    address: str | None = None
    dialect: str | None = None
    route: str | None = None
    details: Mapping[str, str] = {}
    counted: Sequence[Mapping[str, str]] = ()
    rows: tuple[str, ...] = ()


async def explain(
    actor: Actor,
    store: DeploymentStore,
    request_id: str,
    *,
    status_of: StatusOf,
    now: datetime,
    dice: Dice,
) -> Explained:
    """Say what became of a request; that somebody asked is a row itself, because it shows an address.

    Raises:
        NothingThere: No row tells of it, or none that the actor may see: the same words (TN-02).
        OperatorError: It is no request id.
    """
    request_id = request_id.strip().lower()
    made_at = time_of(request_id)
    if made_at is None:
        raise OperatorError("that is no request id: they are in the answers' x-request-id, as 36 characters")
    own = AuditWish(organisation_id=actor.organisation_id, equal={"request_id": request_id}, limit=_MOST)
    found = await look(store, _around(own, made_at, AFTER), most=None)
    hits = [*reversed(found.hits)]
    summaries: Sequence[AuditHit] = [hit for hit in hits if hit.row.kind == SUMMARY]
    if not hits:
        summaries = await _summaries(store, own, request_id, made_at)
    if not hits and not summaries:
        raise NothingThere(_nowhere(request_id, made_at, found, actor, now))
    told = await _told(store, request_id, hits or summaries[-1:], summaries, status_of)
    await tell_read(actor, store, own, {"request": request_id}, now=now, dice=dice)
    return told


def _around(wish: AuditWish, made_at: datetime, late: timedelta) -> AuditWish:
    return msgspec.structs.replace(wish, since=moved(made_at, -BEFORE), until=moved(made_at, late))


async def _summaries(
    store: DeploymentStore, own: AuditWish, request_id: str, made_at: datetime
) -> Sequence[AuditHit]:
    """Find the summaries whose first and last request enclose this one: ids are in the order of time."""
    wish = msgspec.structs.replace(own, equal={"kind": SUMMARY})
    for late in _SUMMED_UP:
        found = await look(store, _around(wish, made_at, late), most=None)
        enclosing = [
            hit
            for hit in reversed(found.hits)
            if hit.row.details.get("first", "~") <= request_id <= hit.row.details.get("last", "")
        ]
        if enclosing:
            return enclosing
    return ()


async def _told(
    store: DeploymentStore,
    request_id: str,
    hits: Sequence[AuditHit],
    summaries: Sequence[AuditHit],
    status_of: StatusOf,
) -> Explained:
    """Choose the row that decides, and say what it says."""
    refused = [hit for hit in hits if hit.row.outcome != "ok"]
    at_the_desk = [hit for hit in refused if hit.row.kind in _REFUSED]
    issued = [hit for hit in hits if hit.row.kind == "token.issued"]
    chosen = (at_the_desk or refused or issued or hits)[-1]
    row = chosen.row
    organisation = None
    if row.organisation_id is not None:
        organisation = await store.organisation_by_alias(row.organisation_id)
    dialect, route = row.details.get("dialect"), row.details.get("route")
    status = status_of(dialect, route, row.outcome) if dialect and route and refused else None
    happened, remedy = _words(chosen, refused=bool(refused), summaries=len(summaries))
    return Explained(
        request_id=request_id,
        verdict=_verdict(chosen, refused=bool(refused), issued=bool(issued)),
        at=row.at,
        kind=row.kind,
        status=status,
        code=row.outcome if refused else None,
        reason=row.reason,
        happened=happened,
        remedy=remedy and _filled(remedy, row.actor, organisation),
        actor=row.actor,
        name=await _name(store, row.actor),
        organisation=organisation.slug if organisation is not None else None,
        organisation_id=row.organisation_id,
        subject=row.subject,
        address=(chosen.personal or {}).get("address"),
        dialect=dialect,
        route=route,
        details={name: value for name, value in row.details.items() if name not in {"dialect", "route"}},
        counted=tuple(hit.row.details for hit in summaries),
        rows=tuple(f"{hit.row.chain}:{hit.row.seq}" for hit in hits),
    )


def _verdict(chosen: AuditHit, *, refused: bool, issued: bool) -> str:
    if chosen.row.kind == SUMMARY:
        return "counted"
    return "refused" if refused else "granted" if issued else "done"


def _words(chosen: AuditHit, *, refused: bool, summaries: int) -> tuple[str, str | None]:
    row = chosen.row
    if row.kind == SUMMARY:
        return _counted(chosen, summaries)
    if not refused:
        words = "A token was issued." if row.kind == "token.issued" else f"It was done: {row.kind}."
        return words, None
    meaning = meaning_of(row.reason)
    if meaning is None:
        return f"It was refused: {row.reason or 'no reason was kept'}.", None
    return meaning.happened, meaning.remedy


def _counted(chosen: AuditHit, summaries: int) -> tuple[str, str | None]:
    details = chosen.row.details
    reasons = [part.partition("=")[0] for part in details.get("reasons", "").split(",") if part]
    count = details.get("count", "")
    requests = counted(int(count), "request") if count.isdecimal() else "nobody knows how many requests"
    where = "in one summary row" if summaries == 1 else f"in {summaries} summary rows that it may be one of"
    happened = (
        f"It has no row of its own: one address was refused more than 20 times in a minute with this code,"
        f" and the rest was counted {where}: {requests}."
    )
    meanings = [meaning for reason in reasons if (meaning := meaning_of(reason)) is not None]
    if len(meanings) != 1:
        return f"{happened} Their reasons differ: {', '.join(reasons) or 'unknown'}.", None
    return f"{happened} {meanings[0].happened}", meanings[0].remedy


async def _name(store: DeploymentStore, actor: str) -> str | None:
    kind, _, named = actor.partition(":")
    if kind != "client":
        return None
    view = await store.client_view(ClientId(named))
    return view.client.name or None if view is not None else None


_WORD = re.compile(r"\b[A-Z_]{3,}\b")
_OWNERS = {"client": "CLIENT_ID", "user": "USER", "entity": "ENTITY_ID"}


def _filled(remedy: str, actor: str, organisation: Organisation | None) -> str:
    """Put what is known in the place of the words in capitals; an id is quoted, as it may be pasted."""
    kind, _, named = actor.partition(":")
    words = {_OWNERS[kind]: named} if kind in _OWNERS else {}
    if organisation is not None:
        words["SLUG"] = organisation.slug
    return _WORD.sub(lambda found: shlex.quote(words[found[0]]) if found[0] in words else found[0], remedy)


def _nowhere(request_id: str, made_at: datetime, found: Found, actor: Actor, now: datetime) -> str:
    """Say that there is nothing; to an operator of the deployment also how far the trail reaches."""
    nothing = f"no row tells of request {request_id}"
    if actor.organisation_id is not None:
        return nothing
    oldest = found.span.oldest_at
    if made_at > now + BEFORE:
        return f"{nothing}: its time, {_spelled(made_at)}, is yet to come; it is not of this deployment"
    if oldest is None or made_at < oldest:
        reach = f"begins at {_spelled(oldest)}" if oldest else "is empty"
        return f"{nothing}: it is of {_spelled(made_at)}, and the trail {reach}"
    return (
        f"{nothing}; it is of {_spelled(made_at)}, and the trail reaches back to {_spelled(oldest)}. The log"
        " has answers 500 and 503; keys, metadata, introspection and what has no route leave nothing"
    )


def _spelled(at: datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")
