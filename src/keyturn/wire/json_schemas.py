"""What the tables say of JSON, as JSON Schema (the draft of 2020-12, as OpenAPI 3.1): fields and shapes."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from keyturn.core.shapes import Constant, Each, Member, Shape, Switch
from keyturn.core.transforms import TRANSFORM_SCHEMAS
from keyturn.wire.readers import LIST_READERS, READER_SCHEMAS, WORD_READERS
from keyturn.wire.tables import JSON, Field, Setting

Schema = dict[str, Any]
"""A JSON Schema; the empty one is anything."""

FactSchemas = Mapping[str, Schema]
"""Name of a fact -> what it is where it is shown ``plain``; a name that is not here may be anything."""

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "integer"}
FLAG: Schema = {"type": "boolean"}
URL: Schema = {"type": "string", "format": "uri"}
TEXTS: Schema = {"type": "array", "items": TEXT}
NULL: Schema = {"type": "null"}

_SPECIAL = re.compile(r"[.^$*+?()\[\]{}|\\/]")
"""What a regular expression of JSON Schema has to escape, and all that it may (ECMA-262, with Unicode)."""
_TYPES: dict[str, Schema] = {"int": NUMBER, "str": TEXT, "bool": FLAG}


def any_of(schemas: Iterable[Schema]) -> Schema:
    """Join schemas of which one has to fit."""
    different: list[Schema] = []
    for schema in schemas:
        if not schema:
            return {}
        for one in schema["anyOf"] if schema.keys() == {"anyOf"} else [schema]:
            if one not in different:
                different.append(one)
    return different[0] if len(different) == 1 else {"anyOf": different}


def nullable(schema: Schema) -> Schema:
    """Let a value be null too."""
    return any_of([schema, NULL])


def setting_schema(setting: Setting) -> Schema:
    """Say what a setting holds."""
    return {**_TYPES[setting.kind], **({"enum": list(setting.choices)} if setting.choices else {})}


def field_schema(field: Field, media: str) -> Schema:
    """Say what a field of a request may be in a body of a media type, or, as in a form, elsewhere."""
    reader = (field.json_reader if media == JSON else None) or field.reader
    schema = {**READER_SCHEMAS[reader], **_limits(field)}
    if field.choices:
        schema |= _chosen(schema, field.choices, reader)
    if media == JSON:
        return nullable(schema) if field.nullable or field.clearable else schema
    return {"type": "array", "items": schema} if field.repeatable else schema


def _limits(field: Field) -> Schema:
    limits = {
        "minimum": field.minimum,
        "maximum": field.maximum,
        "maxLength": field.longest,
        "default": field.default,
    }
    return {name: limit for name, limit in limits.items() if limit is not None}


def _chosen(schema: Schema, choices: tuple[str, ...], reader: str) -> Schema:
    if reader in LIST_READERS:
        return {"items": {**schema.get("items", TEXT), "enum": list(choices)}}
    if reader in WORD_READERS:
        word = "(" + "|".join(_SPECIAL.sub(r"\\\g<0>", choice) for choice in choices) + ")"
        return {"pattern": f"^ *({word}( +{word})*)? *$"}
    return {"enum": list(choices)}


def shape_schema(shape: Shape | Each, facts: FactSchemas, always: frozenset[str]) -> Schema:
    """Say what a shape renders.

    Args:
        facts: What its facts are.
        always: The facts that are never None; another one that is not left out may be null.
    """
    if isinstance(shape, Each):
        return _member_schema(shape, facts, always)
    return _level([(member.path.split("."), member) for member in shape.members], facts, always)


_Placed = tuple[list[str], Constant | Member | Each | Switch]


def _level(members: list[_Placed], facts: FactSchemas, always: frozenset[str]) -> Schema:
    groups: dict[str, list[_Placed]] = {}
    for (head, *rest), member in members:
        groups.setdefault(head, []).append((rest, member))
    properties = {
        name: _level(group, facts, always) if group[0][0] else _member_schema(group[0][1], facts, always)
        for name, group in groups.items()
    }
    required = [
        name for name, group in groups.items() if not all(_may_be_left_out(member) for _, member in group)
    ]
    return {"type": "object", "properties": properties, **({"required": required} if required else {})}


def _may_be_left_out(member: Constant | Member | Each | Switch) -> bool:
    if isinstance(member, Switch):
        return any(map(_may_be_left_out, member.cases.values()))
    return isinstance(member, Member) and member.optional


def _member_schema(
    member: Constant | Member | Each | Switch, facts: FactSchemas, always: frozenset[str]
) -> Schema:
    if isinstance(member, Constant):
        return {"const": member.value}
    if isinstance(member, Switch):
        return any_of(_member_schema(case, facts, always) for case in member.cases.values())
    if isinstance(member, Each):
        return {"type": "array", "items": _items(member, facts)}
    sources = [source for source in (member.source, member.otherwise) if source is not None]
    shown = TRANSFORM_SCHEMAS[member.transform]
    if member.transform == "plain":
        shown = any_of(facts.get(source, {}) for source in sources)
    return shown if member.optional or not always.isdisjoint(sources) else nullable(shown)


def _items(member: Each, facts: FactSchemas) -> Schema:
    """Say what each element is shown as; an element that is a mapping brings a fact for each of its names."""
    element = facts.get(member.source, {}).get("items", {})
    inner = {"item": element}
    inner |= {f"item.{name}": schema for name, schema in element.get("properties", {}).items()}
    always = {"item", *(f"item.{name}" for name in element.get("required", ()))}
    return shape_schema(member.shape, inner, frozenset(always))
