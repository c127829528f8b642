"""What an organisation's file may hold: its own records and no others, in the bounds that every verb keeps.

Whoever has the passphrase can write such a file by hand, so it is input like any other: without this it could
put clients, members and secrets into organisations that are here already (TN-01).
"""

import re
import uuid
from collections.abc import Collection
from itertools import chain
from typing import Any

from keyturn.core.errors import OperatorError
from keyturn.core.hashes import is_bounded
from keyturn.core.records import Organisation
from keyturn.directory.dialect_settings import SettingTables, check_value
from keyturn.directory.names import check_slug
from keyturn.directory.transfer import Household

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~@-]{0,199}")
"""What every id is made of, those that people chose too. The feed joins ids by a bar: one that holds a bar
would be heard by no process, and all would count as stale from then on."""


def require_own(
    household: Household, *, reserved: Collection[str], tables: SettingTables, costs: tuple[int, int]
) -> None:
    """Refuse a household with anything that its organisation could not have made itself.

    Args:
        reserved: Client ids that a contract's built-in clients have.
        tables: The settings there are here; others are of no effect and may come along.
        costs: The memory in KiB and the passes that a password's hash takes here.

    Raises:
        OperatorError: It has; the words name what, and quote nothing but ids.
    """
    organisation = household.organisation
    check_slug(organisation.slug)
    if organisation.ended_at is not None:
        raise OperatorError("the file's organisation was deleted")
    _require_settings(organisation, tables)
    home: set[str] = {each.id for each in household.users}
    clients: set[str] = {each.id for each in household.clients}
    subjects = {each.subject for each in household.entities}
    for named in (organisation.id, *home, *subjects):
        _require_uuid(named)
    if not clients.isdisjoint(reserved) or clients & (home | subjects) or home & subjects:
        raise OperatorError("the file gives one id to two")
    _require_inside(household, home, clients)
    for credential in household.credentials:
        if credential.verifier is not None and not is_bounded(credential.verifier, *costs):
            raise OperatorError(
                f"credential {credential.id} is under a hash that would take too long to check"
            )


def _require_inside(household: Household, home: set[str], clients: set[str]) -> None:
    organisation, records = household.organisation, household.inside()
    owners = {*home, *clients, *(each.id for each in household.entities)}
    for record in (organisation, *records):
        if not _ID.fullmatch(record.id):
            raise OperatorError("the file has an id that is none of ours")
        if record.version < 0 or getattr(record, "epoch", 0) < 0:
            raise OperatorError("the file has a record with a version that none has")
    strangers = [
        *(each for each in records if each.organisation_id != organisation.id),
        *(each for each in household.memberships if each.user_id not in home),
        *(each for each in household.entities if not home.issuperset(each.users)),
        *(each for each in household.credentials if each.owner_id not in owners),
        *(each for each in household.users if each.last_organisation_id not in {None, organisation.id}),
    ]
    if strangers:
        what = type(strangers[0]).__name__.lower()
        raise OperatorError(
            f"the file has a {what} that is not of its organisation: it was not written by us"
        )


def _require_uuid(text: str) -> None:
    try:
        canonical = str(uuid.UUID(text)) == text
    except ValueError:
        canonical = False
    if not canonical:
        raise OperatorError("the file has an id that is none of ours")


def _require_settings(organisation: Organisation, tables: SettingTables) -> None:
    declared: dict[tuple[str, str], Any] = {
        (owner, each.name): each for owner, some in tables.items() for each in some
    }
    given = chain.from_iterable(
        (((owner, name), value) for name, value in values.items())
        for owner, values in organisation.settings.items()
    )
    for place, value in given:
        if place in declared:
            check_value(declared[place], value)
