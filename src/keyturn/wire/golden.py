"""Golden samples taken apart, for those who show them to programs: the OpenAPI document and Postman."""

import json
import re
from typing import Any
from urllib.parse import parse_qsl

from msgspec.structs import replace

from keyturn.core.shapes import Member
from keyturn.wire.tables import FORM, JSON, Dialect, Route, Sample

_PLACE = re.compile(r"\{([\w.]+)(?::form)?\}")
_ANSWERED = re.compile(r"\{answer\.([\w.]+)(:form)?\}")

_BASIC = (("client.id", "client.secret"), ("entity.id", "entity.secret"))
"""Whom HTTP Basic names, and by which secret: facts of a demo entry, the first that it shows."""


def basic_members(dialect: Dialect) -> tuple[str, str] | None:
    """Name the members of the demo entry that ``{basic}`` is made of; None where it shows no such pair."""
    shown = {each.source: each.path for each in dialect.demo.members.members if isinstance(each, Member)}
    pairs = [(shown[owner], shown[secret]) for owner, secret in _BASIC if {owner, secret} <= shown.keys()]
    return pairs[0] if pairs else None


def samples_of(dialect: Dialect, route: Route) -> list[Sample]:
    """Give a route's golden samples, those that succeed first."""
    own = [sample for sample in dialect.samples if sample.route == route.name]
    return sorted(own, key=lambda sample: not succeeds(sample, route))


def succeeds(sample: Sample, route: Route) -> bool:
    """Tell whether a sample shows a good answer."""
    return sample.status in {answer.status for answer in (route.answer, *route.variants)}


def with_named_answers(sample: Sample) -> Sample:
    """Give a sample whose places for what came before are called after the sample that brought it."""
    if sample.after is None:
        return sample
    named = f"{{{_as_name(sample.after)}.\\1\\2}}"

    def put(text: str) -> str:
        return _ANSWERED.sub(named, text)

    return replace(
        sample,
        headers=tuple((name, put(value)) for name, value in sample.headers),
        body=put(sample.body),
        path={name: put(value) for name, value in sample.path.items()},
        query=put(sample.query),
    )


def wanted_later(dialect: Dialect, sample: Sample) -> dict[str, str]:
    """Give the members of a sample's answer that later samples name: by their path, what they are called."""
    texts = [
        text
        for later in dialect.samples
        if later.after == sample.name
        for text in (*dict(later.headers).values(), later.body, *later.path.values(), later.query)
    ]
    paths = [place[1] for text in texts for place in _ANSWERED.finditer(text)]
    return {path: f"{_as_name(sample.name)}.{path}" for path in paths}


def _as_name(text: str) -> str:
    return re.sub(r"\W+", "_", text)


def media_of(sample: Sample, route: Route) -> str:
    """Name the media type of a sample's body."""
    declared = [value for name, value in sample.headers if name.lower() == "content-type"]
    return declared[0].partition(";")[0].strip().lower() if declared else route.media[0]


def form_fields(sample: Sample) -> list[tuple[str, str]]:
    """Read a sample's body as a form; a place stands for the value itself."""
    return parse_qsl(plain_places(sample.body), keep_blank_values=True)


def body_value(sample: Sample, route: Route) -> Any:
    """Give a sample's body as the value that it spells; None where it spells none."""
    media = media_of(sample, route)
    if media == FORM:
        value: dict[str, Any] = {}
        for name, text in form_fields(sample):
            value[name] = [*_as_list(value[name]), text] if name in value else text
        return value or None
    if media != JSON:
        return None
    try:
        return json.loads(plain_places(sample.body))
    except ValueError:
        return None


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def plain_places(text: str) -> str:
    """Put ``{member}`` for every place, however it is to be encoded."""
    return _PLACE.sub(lambda place: "{" + place[1] + "}", text)


def variable_places(text: str) -> str:
    """Put ``{{member}}`` for every place."""
    return _PLACE.sub(lambda place: "{{" + place[1] + "}}", text)
