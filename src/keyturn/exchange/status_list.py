"""A status list as it is now: what introspection would say of every token in it, in one bit each."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

from keyturn.core.ports import Registry, Revocations
from keyturn.core.records import Organisation
from keyturn.core.status_records import StatusBlock, StatusReader
from keyturn.core.vocabulary import Algorithm
from keyturn.exchange.services import Services
from keyturn.exchange.standing import Rest, outdated_by
from keyturn.exchange.status import LIST_SIZE, status_uri
from keyturn.tokens.status_list import HEADER_TYPE, StatusBits, list_claims

_BLOCKS_AT_ONCE = 64
"""Blocks that are looked at before others have a turn."""


async def published_list(
    organisation: Organisation,
    list_id: str,
    reader: StatusReader,
    services: Services,
    *,
    algorithm: Algorithm,
    ttl_seconds: int,
) -> str | None:
    """Sign an organisation's list as it is now; None where it has no such list.

    Raises:
        Unavailable: Memory is not current or the store cannot be read, so nobody can tell.
    """
    blocks, marks = await reader.content(organisation.id, list_id)
    if not blocks:
        return None
    now = services.clock.now()
    bits = StatusBits(LIST_SIZE)
    latest = services.clock_watch.latest(now)
    for block in await _dead(blocks, services.registry, services.revocations, latest):
        bits.kill(range(block.first, block.first + block.size))
    bits.kill(mark.number for mark in marks)
    claims = list_claims(
        status_uri(services.public_url, organisation.slug, list_id),
        bits,
        now,
        ttl_seconds,
        status_uri(services.public_url, organisation.slug, ""),
    )
    signer = await services.rings.signer(organisation.id, algorithm, now)
    return await (await services.signing.token_elsewhere(claims, signer, HEADER_TYPE))


async def _dead(
    blocks: Sequence[StatusBlock], registry: Registry, revocations: Revocations, now: datetime
) -> list[StatusBlock]:
    """Choose the blocks all of whose tokens are dead, by the rule by which introspection goes."""
    outdated: dict[Rest, bool] = {}
    dead = []
    for place, block in enumerate(blocks):
        if place % _BLOCKS_AT_ONCE == 0:
            await asyncio.sleep(0)
        registry.require_fresh()
        rest = _rest_of(block)
        if rest not in outdated:
            outdated[rest] = await outdated_by(rest, registry, now) is not None
        if outdated[rest] or revocations.covers(block.id, block.family_id):
            dead.append(block)
    return dead


def _rest_of(block: StatusBlock) -> Rest:
    return Rest(
        block.owner_kind,
        block.subject,
        block.organisation_id,
        block.credential_id,
        block.epochs,
        block.client_id,
    )
