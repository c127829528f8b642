"""Facts of an answer that no road makes: what the request said, what is set, what time it is."""

from collections.abc import Iterable
from typing import Any

from keyturn.core.identifiers import uuid7
from keyturn.core.records import Organisation
from keyturn.core.requests import Origin
from keyturn.exchange.services import Services
from keyturn.wire.compile import CompiledRoute

_SETTING = "setting."


def shows_settings(route: CompiledRoute) -> bool:
    """Tell whether a route's answers show a setting, so that the organisation must be known."""
    return any(source.startswith(_SETTING) for source in route.added)


def added_facts(
    route: CompiledRoute,
    origin: Origin,
    organisation: Organisation | None,
    notices: Iterable[str],
    services: Services,
) -> dict[str, Any]:
    """Give those that a route's answers show.

    Args:
        organisation: Whose settings they are; None where no setting is shown.
        notices: Neutral names of warnings; one that the contract has no words for is not told.
    """
    facts: dict[str, Any] = {f"request.{slot}": value for slot, value in origin.echoes.items()}
    now = services.clock.now()
    facts["now"] = now
    if "fresh_id" in route.added:
        facts["fresh_id"] = uuid7(now, services.naming)
    words = [route.notices[name] for name in notices if name in route.notices]
    facts["notice"] = " ".join(words) or None
    return facts if organisation is None else facts | setting_facts(route, organisation)


def setting_facts(route: CompiledRoute, organisation: Organisation | None) -> dict[str, Any]:
    """Give the settings that a route's answers show: an organisation's, or the defaults of all."""
    names = [source.removeprefix(_SETTING) for source in route.added if source.startswith(_SETTING)]
    defaults = {name: route.settings[name] for name in names}
    if organisation is not None:
        defaults |= {name: organisation.setting(route.dialect, name, defaults[name]) for name in names}
    return {_SETTING + name: value for name, value in defaults.items()}
