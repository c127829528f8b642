"""Organisations: who they are, whether anything may be issued under them, what they set for a dialect.

A slug names an issuer for good (TK-15); what deleting an organisation leaves of it, ``deletion`` says.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from keyturn.core.actors import Actor
from keyturn.core.changes import Add, Replace
from keyturn.core.errors import Clash, NothingThere, NotPermitted
from keyturn.core.identifiers import uuid7
from keyturn.core.records import Organisation
from keyturn.core.secret import Dice
from keyturn.core.store_ports import DeploymentStore
from keyturn.core.vocabulary import OrganisationId
from keyturn.directory.dialect_settings import SettingTables, check_value, find_setting
from keyturn.directory.events import carry_out, told
from keyturn.directory.names import check_name, check_slug
from keyturn.directory.owners import disable, enable, require_living


async def create_organisation(
    actor: Actor, store: DeploymentStore, slug: str, name: str, *, now: datetime, dice: Dice
) -> Organisation:
    """Make an organisation; its issuer is ``/o/{slug}`` from then on.

    Raises:
        OperatorError: The slug or name is not acceptable, or the slug was used before.
    """
    if actor.organisation_id is not None:
        raise NotPermitted("only an operator of the deployment makes organisations")
    organisation = Organisation(
        id=OrganisationId(uuid7(now, dice)),
        slug=check_slug(slug),
        name=check_name(name),
        api_key=dice(32).hex(),
        created_at=now,
    )
    if await store.organisation_by_slug(slug) is not None:
        raise Clash(f"slug {slug!r} is taken; a slug is never used again")
    event = told(
        "organisation.created",
        actor,
        organisation.id,
        organisation.id,
        now=now,
        dice=dice,
        details={"slug": slug},
    )
    await carry_out(store, event, Add(organisation))
    return organisation


async def list_organisations(actor: Actor, store: DeploymentStore) -> Sequence[Organisation]:
    """List the organisations there are for an actor, oldest first."""
    return [each for each in await store.organisations() if actor.may_act_in(each.id)]


async def show_organisation(actor: Actor, store: DeploymentStore, slug: str) -> Organisation:
    """Show one organisation.

    Raises:
        OperatorError: There is none by that slug, or none for this actor: the same words (TN-02).
    """
    organisation = await store.organisation_by_slug(slug)
    if organisation is None or not actor.may_act_in(organisation.id):
        raise NothingThere(f"no organisation {slug!r}")
    return organisation


async def rename_organisation(
    actor: Actor, store: DeploymentStore, slug: str, name: str, *, now: datetime, dice: Dice
) -> Organisation:
    """Give an organisation another display name; its slug stays."""
    organisation = require_living(await show_organisation(actor, store, slug))
    if organisation.name == check_name(name):
        return organisation
    changed = msgspec.structs.replace(organisation, name=name, version=organisation.version + 1)
    event = told(
        "organisation.renamed",
        actor,
        organisation.id,
        organisation.id,
        now=now,
        dice=dice,
        personal={"name": name},
    )
    await carry_out(store, event, Replace(changed, organisation.version))
    return changed


async def disable_organisation(
    actor: Actor, store: DeploymentStore, slug: str, *, now: datetime, dice: Dice
) -> Organisation:
    """Stop issuing under an organisation and end every token it has out; undone by enabling."""
    return await disable(actor, store, await show_organisation(actor, store, slug), now=now, dice=dice)


async def enable_organisation(
    actor: Actor, store: DeploymentStore, slug: str, *, now: datetime, dice: Dice
) -> Organisation:
    """Issue under an organisation again; tokens from before it was disabled stay dead."""
    return await enable(actor, store, await show_organisation(actor, store, slug), now=now, dice=dice)


async def change_organisation_setting(
    actor: Actor,
    store: DeploymentStore,
    slug: str,
    setting: str,
    value: Any,
    *,
    tables: SettingTables,
    now: datetime,
    dice: Dice,
) -> Organisation:
    """Set a dialect's ``<dialect>.<name>`` for one organisation; the value None goes back to the default.

    Raises:
        OperatorError: There is no such setting for organisations, or it may not have this value.
    """
    organisation = require_living(await show_organisation(actor, store, slug))
    dialect, _, name = setting.partition(".")
    table = find_setting(tables, dialect, name, "organisation")
    values = dict(organisation.settings.get(dialect, {}))
    if value is None:
        values.pop(name, None)
    else:
        values[name] = check_value(table, value)
    settings = {**organisation.settings, dialect: values}
    changed = msgspec.structs.replace(
        organisation,
        settings={owner: kept for owner, kept in settings.items() if kept},
        version=organisation.version + 1,
    )
    if changed.settings == organisation.settings:
        return organisation
    details = {"setting": setting, "value": str(values.get(name, "default"))}
    event = told(
        "organisation.setting_changed",
        actor,
        organisation.id,
        organisation.id,
        now=now,
        dice=dice,
        details=details,
    )
    await carry_out(store, event, Replace(changed, organisation.version))
    return changed
