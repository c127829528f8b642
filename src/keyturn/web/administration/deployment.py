"""Administrators' verbs about signing keys and limits."""

from collections.abc import Sequence

import msgspec

from keyturn.core.actors import Actor
from keyturn.core.admin_facts import RESOURCES
from keyturn.core.errors import Clash, NothingThere, NotPermitted
from keyturn.core.identifiers import uuid7
from keyturn.core.records import SigningKey
from keyturn.core.requests import Call
from keyturn.core.vocabulary import Algorithm, KeyId, OrganisationId
from keyturn.directory.ring_state import state_of
from keyturn.web.administration.ground import (
    AdminPorts,
    AdminVerb,
    Facts,
    Turned,
    organisation_of,
    record_facts,
)
from keyturn.web.administration.pages import page_of


class Issuer(msgspec.Struct, frozen=True):
    """Whose ring it is: an organisation's own, or one that all share.

    Args:
        name: For people: a slug, or the shared ring's name.
        organisation_id: None of a shared one.
    """

    id: str
    name: str
    organisation_id: OrganisationId | None


async def _issuer(actor: Actor, call: Call, ports: AdminPorts) -> Issuer:
    if "issuer" in call.arguments:
        return _shared(actor, call.arguments["issuer"], ports)
    organisation = await organisation_of(actor, call, ports)
    if organisation.ended_at is not None:
        raise Clash(f"organisation {organisation.slug!r} has ended")
    return Issuer(organisation.id, organisation.slug, organisation.id)


def _shared(actor: Actor, name: str, ports: AdminPorts) -> Issuer:
    _require_deployment(actor)
    if name not in ports.plan.shared:
        raise NothingThere(f"no shared issuer {name!r}")
    return Issuer(name, name, None)


def _require_deployment(actor: Actor) -> None:
    if actor.organisation_id is not None:
        raise NotPermitted("only an operator of the deployment sees what all organisations share")


async def _list_shared(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    _require_deployment(actor)
    found = [
        {"name": name, "algorithms": tuple(each.value for each in ports.plan.algorithms_of(name))}
        for name in ports.plan.shared
    ]
    return page_of(found, actor, call, ports.digester, key="name")


def _key(key: SigningKey, issuer: Issuer, ring: Sequence[SigningKey], ports: AdminPorts) -> Facts:
    facts = record_facts(key, RESOURCES["signing_key"])
    return {
        **facts,
        "issuer": issuer.name,
        "algorithm": key.algorithm.value,
        "state": state_of(key, ring, ports.clock.now()),
    }


async def _list_keys(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    issuer = await _issuer(actor, call, ports)
    ring = await ports.deployment.signing_keys(issuer.id)
    return page_of((_key(each, issuer, ring, ports) for each in ring), actor, call, ports.digester)


async def _rotate(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    issuer, asked = await _issuer(actor, call, ports), call.arguments.get("algorithm")
    algorithms = [Algorithm(asked)] if asked else ports.plan.algorithms_of(issuer.id)
    return {"items": [await _turn(actor, issuer, each, ports) for each in algorithms], "next": None}


async def _turn(actor: Actor, issuer: Issuer, algorithm: Algorithm, ports: AdminPorts) -> Facts:
    now = ports.clock.now()
    result: Turned = await ports.rings.rotate(
        issuer.id,
        algorithm,
        now,
        longest_lifetime=ports.longest_lifetime,
        actor=actor.name,
        request_id=actor.request_id or uuid7(now, ports.dice),
        organisation_id=issuer.organisation_id,
    )
    # Of the two results only one names keys: web does not import keys, so it cannot ask for the class.
    key_id = getattr(result, "signing_key_id", None)
    return {
        "issuer": issuer.name,
        "algorithm": algorithm.value,
        "rotated": key_id is not None,
        "active_at": result.active_at,
        "key_id": key_id,
        "retires_at": getattr(result, "retires_at", None),
    }


async def _withdraw(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    issuer, now = await _issuer(actor, call, ports), ports.clock.now()
    key_id = KeyId(call.arguments["signing_key"])
    ring = await ports.deployment.signing_keys(issuer.id)
    key = next((each for each in ring if each.id == key_id), None)
    gone = await ports.rings.withdraw(
        issuer.id,
        key_id,
        now,
        longest_lifetime=ports.longest_lifetime,
        actor=actor.name,
        request_id=actor.request_id or uuid7(now, ports.dice),
        organisation_id=issuer.organisation_id,
    )
    if key is None or gone is None:
        raise NothingThere(f"no signing key {key_id!r}")
    return {
        "id": key.id,
        "issuer": issuer.name,
        "algorithm": key.algorithm.value,
        "was": gone.was,
        "signs_from": gone.signs_from,
    }


async def _list_limits(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    found = [
        {"name": name, "per_minute": rate.per_minute, "burst": rate.burst}
        for name, rate in ports.rates.items()
    ]
    return page_of(found, actor, call, ports.digester, key="name")


VERBS: dict[str, AdminVerb] = {
    "admin.signing_keys.list": _list_keys,
    "admin.signing_keys.rotate": _rotate,
    "admin.signing_keys.withdraw": _withdraw,
    "admin.shared_issuers.list": _list_shared,
    "admin.shared_keys.list": _list_keys,
    "admin.shared_keys.rotate": _rotate,
    "admin.shared_keys.withdraw": _withdraw,
    "admin.limits.list": _list_limits,
}
