"""Shapes: JSON objects as tables, rendered as they say and checked before they run."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from keyturn.core.secret import Secret
from keyturn.core.shapes import Constant, Each, Member, Shape, Switch, compile_body, compile_shape, sources
from keyturn.core.transforms import TRANSFORMS

KNOWN = frozenset({"a", "b", "list", "client.", "request.", "setting."})
AT = datetime(2026, 11, 1, 12, 30, 15, 250_999, tzinfo=UTC)


def render(*members, **facts):
    """Compile a shape and render it."""
    return compile_shape(Shape(members), KNOWN, "here")(facts)


def refused(*members):
    """Compile a shape that must be refused, and give the message."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the message is what the caller looks at
        compile_shape(Shape(members), KNOWN, "here")
    return str(caught.value)


def test_members_keep_their_order():
    """Members come out in the order of the table, nested ones where their parent first stood."""
    rendered = render(
        Member("z", "a"), Member("n.two", "a"), Constant("y", 0), Member("n.one.deep", "b"), a=1, b=2
    )
    assert rendered == {"z": 1, "n": {"two": 1, "one": {"deep": 2}}, "y": 0}
    assert list(rendered) == ["z", "n", "y"]


@pytest.mark.parametrize("value", [None, 0, "", [], {"x": 1}, False])
def test_constant(value):
    """A constant is shown as it is, null included."""
    assert render(Constant("c", value)) == {"c": value}


@pytest.mark.parametrize(
    ("value", "optional", "rendered"),
    [
        (None, True, {}),
        ((), True, {}),
        (None, False, {"m": None}),
        ((), False, {"m": ()}),
        ("", True, {"m": ""}),
        (0, True, {"m": 0}),
    ],
)
def test_absent(value, optional, rendered):
    """What is absent is left out if the table says so, and shown as it is elsewhere."""
    assert render(Member("m", "a", optional=optional), a=value) == rendered


def test_empty_object():
    """An object inside that has no members is left out; one with a null is not, nor the whole."""
    inside = Member("n.o.m", "a", optional=True)
    assert render(inside, Constant("c", 1), a=None) == {"c": 1}
    assert render(inside, a=None) == {}
    assert render(inside, Member("n.x", "list"), a=None, list=None) == {"n": {"x": None}}


def test_null_passes_no_transform():
    """A transform is not asked about a fact that is not there."""
    assert render(Member("m", "a", "epoch_seconds"), a=None) == {"m": None}


def test_each():
    """A list has one object for each element, in order."""
    shape = Shape((Member("says", "item", "upper"), Constant("k", 1)))
    assert render(Each("l.m", "list", shape), list=("a", "b")) == {
        "l": {"m": [{"says": "A", "k": 1}, {"says": "B", "k": 1}]}
    }
    assert render(Each("l", "list", shape), list=()) == {"l": []}


@pytest.mark.parametrize(
    ("transform", "value", "rendered"),
    [
        ("plain", ("x",), ("x",)),
        ("epoch_seconds", AT, int(AT.timestamp())),
        ("day_seconds", AT.date(), int(AT.replace(hour=0, minute=0, second=0, microsecond=0).timestamp())),
        ("epoch_millis", AT, int(AT.timestamp()) * 1000 + 250),
        ("seconds", timedelta(days=1, seconds=1), 86_401),
        ("second_digits", timedelta(days=14), "1209600"),
        ("iso_millis", AT, "2026-11-01T12:30:15.250Z"),
        ("iso_millis", AT.replace(microsecond=0), "2026-11-01T12:30:15.000Z"),
        ("iso_millis", AT.astimezone(timezone(timedelta(hours=5))), "2026-11-01T12:30:15.250Z"),
        ("local_iso_millis", AT.astimezone(timezone(timedelta(hours=5))), "2026-11-01T12:30:15.250"),
        ("short_id", "0190aaaa-bbbb-7ccc-8ddd-eeeeffff0000", "ffff0000"),
        ("pem_one_line", "-----A-----\nQUJD\nREVG\n-----B-----\n", "-----A-----\nQUJDREVG\n-----B-----"),
        ("iso_day", AT.date(), "2026-11-01"),
        ("urn", "0190aaaa", "urn:uuid:0190aaaa"),
        ("pem_body", "-----A-----\nQUJD\nREVG\n-----B-----\n", "QUJDREVG"),
        ("parent_url", "https://keys.example/a/b", "https://keys.example/a"),
        ("words", ("a", "b"), "a b"),
        ("words", (), ""),
        ("list", ("a",), ["a"]),
        ("one_or_list", ("a",), "a"),
        ("one_or_list", ("a", "b"), ["a", "b"]),
        ("one_or_list", (), []),
        ("upper", "aé", "AÉ"),
        ("lower", "AÉ", "aé"),
        ("digits", 7, "7"),
        ("reveal", Secret("s"), "s"),
        ("reveal_each", [Secret("a"), Secret("b")], ["a", "b"]),
    ],
)
def test_transform(transform, value, rendered):
    """Each named transform gives what its name says."""
    assert render(Member("m", "a", transform), a=value) == {"m": rendered}


def test_every_transform_is_tried():
    """The list above leaves out no transform."""
    (mark,) = [mark for mark in test_transform.pytestmark if mark.name == "parametrize"]
    assert {case[0] for case in mark.args[1]} == set(TRANSFORMS)


def test_millis_of_any_instant():
    """Milliseconds are cut to the whole one, never a float's rounding away."""
    for micros in range(0, 1_000_000, 997):
        at = AT.replace(microsecond=micros)
        assert render(Member("m", "a", "epoch_millis"), a=at)["m"] % 1000 == micros // 1000


def test_prefixed_facts():
    """A prefix among the known facts admits all below it, and nothing else."""
    assert render(Member("m", "client.name"), **{"client.name": "n"}) == {"m": "n"}
    assert "unknown fact 'clients.name'" in refused(Member("m", "clients.name"))


def test_bare_prefix():
    """A prefix alone is no fact."""
    assert "unknown fact 'client'" in refused(Member("m", "client"))


def test_every_unknown_name_is_told():
    """All unknown facts and transforms are told at once, with the table's place."""
    message = refused(Member("m", "x"), Each("l", "y", Shape(())), Member("o", "a", "no_such"))
    assert message == "here: unknown fact 'x'; here: unknown fact 'y'; here: unknown transform 'no_such'"


def test_unknown_names_in_a_list():
    """Inside a list only the element is known."""
    assert "here.l[]: unknown fact 'a'" in refused(Each("l", "list", Shape((Member("m", "a"),))))


@pytest.mark.parametrize(
    "members",
    [
        (Constant("m", 1), Constant("m", 2)),
        (Member("m", "a"), Each("m", "list", Shape(()))),
        (Constant("n.m", 1), Member("n.m", "a")),
        (Constant("m", 1), Constant("m.n", 2)),
        pytest.param((Constant("m.n", 2), Constant("m", 1))),
    ],
)
def test_collision(members):
    """Two members of one place do not compile, and the message names the place."""
    assert "is there twice" in refused(*members)


def test_each_of_mappings():
    """Of elements that are mappings each name is a fact of its own, lists among them too."""
    shape = Shape((Member("n", "item.name", "upper"), Each("t", "item.teams", Shape((Member("p", "item"),)))))
    rendered = render(Each("l", "list", shape), list=({"name": "x", "teams": ("/a",)},))
    assert rendered == {"l": [{"n": "X", "t": [{"p": "/a"}]}]}


def test_list_as_body():
    """A list with an empty path is a whole body; one with a path, or of an unknown fact, is a mistake."""
    body = compile_body(Each("", "list", Shape((Member("m", "item"),))), KNOWN, "here")
    assert body({"list": ("a",)}) == [{"m": "a"}]
    assert compile_body(Shape((Member("m", "a"),)), KNOWN, "here")({"a": 1}) == {"m": 1}
    for wrong, says in ((Each("l", "list", Shape(())), "has a path"), (Each("", "x", Shape(())), "unknown")):
        with pytest.raises(ValueError, match=says):
            compile_body(wrong, KNOWN, "here")


def test_switch():
    """A switch shows the case that a fact names, and a fact that has no case is a fault."""
    both = {"s": Member("n.m", "a", "epoch_seconds"), "ms": Member("n.m", "a", "epoch_millis")}
    switch = Switch("n.m", "setting.unit", both | {"no": Constant("n.m", 0)})
    shown = [render(switch, a=AT, **{"setting.unit": unit}) for unit in ("s", "ms", "no")]
    assert [each["n"]["m"] for each in shown] == [1793536215, 1793536215250, 0]
    assert list(sources(Shape((switch,)))) == ["setting.unit", "a", "a"]
    with pytest.raises(KeyError):
        render(switch, a=AT, **{"setting.unit": "h"})


def test_switch_on_a_truth():
    """The cases of a fact that is true or false are called so."""
    switch = Switch("n", "setting.on", {"true": Constant("n", 1), "false": Constant("n", 2)})
    assert [render(switch, **{"setting.on": on}) for on in (True, False)] == [{"n": 1}, {"n": 2}]


def test_mistakes_in_a_switch():
    """A switch's fact, its cases' facts and transforms, and their paths are checked like any other."""
    assert "unknown fact 'x'" in refused(Switch("m", "x", {}))
    assert "unknown fact 'y'" in refused(Switch("m", "a", {"k": Member("m", "y")}))
    assert "unknown transform 'z'" in refused(Switch("m", "a", {"k": Member("m", "b", "z")}))
    assert "another path, 'n'" in refused(Switch("m", "a", {"k": Constant("n", 1)}))


def test_facts_that_may_be_absent():
    """What a request did not say is null or left out, and of nothing there is an empty list."""
    members = (
        Member("x", "request.x"),
        Member("y", "request.y", optional=True),
        Each("z", "request.z", Shape(())),
    )
    assert render(*members) == {"x": None, "z": []}
    assert render(*members, **{"request.x": 1, "request.y": 2}) == {"x": 1, "y": 2, "z": []}
    with pytest.raises(KeyError):
        render(Member("m", "client.name"))


def test_otherwise():
    """Where one fact is absent another is shown, through the same transform."""
    member = Member("m", "request.id", "upper", otherwise="a")
    assert render(member, a="fresh") == {"m": "FRESH"}
    assert render(member, a="fresh", **{"request.id": "mine"}) == {"m": "MINE"}
    assert "unknown fact 'x'" in refused(Member("m", "a", otherwise="x"))
    assert list(sources(Shape((member,)))) == ["request.id", "a"]


@pytest.mark.parametrize("path", ["", "a.", ".a", "a..b"])
def test_empty_name(path):
    """A path with an empty name is a mistake of the table."""
    refused(Constant(path, 1))


def test_sources():
    """The facts that a shape shows are told, so that others can ask for them."""
    shape = Shape((Member("m", "a"), Constant("c", 1), Each("l", "list", Shape(()))))
    assert list(sources(shape)) == ["a", "list"]
