"""Administrators' verbs about the audit trail: searching it, and what became of one request."""

from keyturn.admin import ADMIN
from keyturn.core.actors import Actor
from keyturn.core.admin_facts import RESOURCES
from keyturn.core.errors import NothingThere, OperatorError
from keyturn.core.requests import Call
from keyturn.core.store_ports import AuditHit, AuditWish
from keyturn.core.vocabulary import ClientId
from keyturn.directory.audit_search import search_audit
from keyturn.directory.explain import explain
from keyturn.web.administration.ground import AdminPorts, AdminVerb, Facts, find_organisation, record_facts
from keyturn.web.administration.pages import read_position, write_position
from keyturn.wire.configure import refusal_status


async def _search(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    wanted = call.arguments
    organisation_id = actor.organisation_id
    if "organisation" in wanted:
        organisation_id = (await find_organisation(actor, wanted["organisation"], ports)).id
    before = read_position(actor, call, ports.digester)
    wish = AuditWish(
        organisation_id=organisation_id,
        equal={name.removeprefix("filter."): value for name, value in wanted.items() if "filter." in name},
        client=ClientId(wanted["client"]) if "client" in wanted else None,
        since=wanted.get("since"),
        until=wanted.get("until"),
        before=None if before is None else int(before[0]),
        limit=wanted["limit"],
    )
    with ports.searches.one(actor.organisation_id):
        found = await search_audit(actor, ports.deployment, wish, **ports.at())
    last = None if found.next is None else (found.next, "")
    return {
        "items": [_row(each) for each in found.hits],
        "next": None if last is None else write_position(last, actor, call, ports.digester),
    }


def _row(hit: AuditHit) -> Facts:
    row = hit.row
    facts = record_facts(row, RESOURCES["audit_row"])
    return {**facts, "id": f"{row.chain}:{row.seq}", "personal": hit.personal}


async def _explain(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    dialects = {**ports.every_dialect, ADMIN.name: ADMIN}

    def status_of(dialect: str, route: str, code: str) -> int | None:
        return refusal_status(dialects, dialect, route, code)

    try:
        with ports.searches.one(actor.organisation_id):
            told = await explain(
                actor, ports.deployment, call.arguments["request"], status_of=status_of, **ports.at()
            )
    except OperatorError as none:
        # In a path a text that is no id names nothing, as everywhere here.
        raise NothingThere(str(none)) from None
    seen = {"http_status": told.status, "public_code": told.code}
    return {**record_facts(told, RESOURCES["request"]), **seen, "id": told.request_id}


VERBS: dict[str, AdminVerb] = {
    "admin.audit.list": _search,
    "admin.requests.show": _explain,
}
