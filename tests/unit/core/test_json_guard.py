"""JSON that a stranger wrote."""

import pytest

from keyturn.core.json_guard import BadJson, Flaw, decode_json

FLAWS = {
    "empty": (b"", Flaw.SYNTAX),
    "space": (b" ", Flaw.SYNTAX),
    "byte order mark": (b"\xef\xbb\xbf{}", Flaw.SYNTAX),
    "trailing": (b"{} {}", Flaw.SYNTAX),
    "trailing NUL": (b"{}\0", Flaw.SYNTAX),
    "comma": (b'{"a":1,}', Flaw.SYNTAX),
    "single quotes": (b"{'a':1}", Flaw.SYNTAX),
    "comment": (b"{}//", Flaw.SYNTAX),
    "control character": (b'"\x01"', Flaw.SYNTAX),
    "raw NUL": (b'"\x00"', Flaw.SYNTAX),
    "leading zero": (b"01", Flaw.SYNTAX),
    "plus": (b"+1", Flaw.SYNTAX),
    "hexadecimal": (b"0x1", Flaw.SYNTAX),
    "bad escape": (rb'"\x"', Flaw.SYNTAX),
    "short escape": (rb'"\u12"', Flaw.SYNTAX),
    "open string": (b'"a', Flaw.SYNTAX),
    "vertical tab": (b"\x0b1", Flaw.SYNTAX),
    "no-break space": ("\u00a01".encode(), Flaw.SYNTAX),
    "other digits": ("\u0661".encode(), Flaw.SYNTAX),
    "UTF-16": ('{"a":1}'.encode("utf-16"), Flaw.NOT_UTF8),
    "Latin-1": (b'"\xe9"', Flaw.NOT_UTF8),
    "overlong": (b'"\xc0\x80"', Flaw.NOT_UTF8),
    "surrogate as bytes": (b'"\xed\xa0\x80"', Flaw.NOT_UTF8),
    "duplicate": (b'{"a":1,"a":1}', Flaw.DUPLICATE_MEMBER),
    "duplicate by escape": (rb'{"a":1,"\u0061":2}', Flaw.DUPLICATE_MEMBER),
    "duplicate within": (b'[{"b":{"a":1,"a":2}}]', Flaw.DUPLICATE_MEMBER),
    "NUL": (rb'"a\u0000b"', Flaw.NUL),
    "NUL in a name": (rb'{"a\u0000":1}', Flaw.NUL),
    "high alone": (rb'"\ud800"', Flaw.LONE_SURROGATE),
    "high alone, text after": (rb'"\uD83Dabc"', Flaw.LONE_SURROGATE),
    "low alone": (rb'"\uDC00"', Flaw.LONE_SURROGATE),
    "pair turned": (rb'"\udc00\ud800"', Flaw.LONE_SURROGATE),
    "high twice": (rb'"\ud800\ud800\udc00"', Flaw.LONE_SURROGATE),
    "NaN": (b"NaN", Flaw.NUMBER),
    "Infinity": (b"[Infinity]", Flaw.NUMBER),
    "-Infinity": (b"-Infinity", Flaw.NUMBER),
    "1e999": (b"1e999", Flaw.NUMBER),
    "21 digits": (b"1" * 21, Flaw.NUMBER),
    "-21 digits": (b"-" + b"1" * 21, Flaw.NUMBER),
    "21 digits with a point": (b"1." + b"1" * 20, Flaw.NUMBER),
    "long exponent": (b"1e" + b"0" * 30, Flaw.NUMBER),
    "33 deep": (b"[" * 33 + b"]" * 33, Flaw.TOO_DEEP),
    "33 deep, mixed": (b'{"a":[' * 17 + b"]}" * 17, Flaw.TOO_DEEP),
    "deep and open": (b"[" * 100_000, Flaw.TOO_DEEP),
    "deep after a string": (rb'["\"[", ' + b"[" * 40, Flaw.TOO_DEEP),
}

GOOD = {
    rb'"\ud83d\ude00"': "😀",
    rb'"\\u0000 \\ud800"': "\\u0000 \\ud800",
    rb'"\\\\\u0001"': "\\\\\x01",
    rb'"\ue000\ud7ff"': "\ue000\ud7ff",
    b'{"a":[1,-2,1.5,1e3,true,false,null]}': {"a": [1, -2, 1.5, 1000.0, True, False, None]},
    b"-" + b"9" * 20: -(10**20 - 1),
    b" \t\r\n1 ": 1,
    b"[" * 32 + b"]" * 32: None,
    b'["' + b"[" * 100 + b'"]': ["[" * 100],
    rb'["\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["]': ['"' + "[" * 39],
    b"[" + b",".join([b"[]"] * 100) + b"]": [[]] * 100,
}


@pytest.mark.parametrize("name", FLAWS)
def test_flawed_json_is_refused_for_its_reason(name):
    """TK-05, TK-06: JSON with two meanings, or that costs too much, is refused for the reason listed."""
    body, why = FLAWS[name]
    with pytest.raises(BadJson) as caught:
        decode_json(body)
    assert caught.value.why is why


def test_every_flaw_is_reached():
    """Each flaw stands in the table."""
    assert {why for _, why in FLAWS.values()} == set(Flaw)


@pytest.mark.parametrize("body", GOOD, ids=ascii)
def test_good_json_is_read(body):
    """JSON with one meaning is read, however it is spelled."""
    value = decode_json(body)
    assert GOOD[body] is None or value == GOOD[body]


def test_the_text_is_not_in_the_error():
    """What was refused is not repeated in the error, since it may hold a secret."""
    with pytest.raises(BadJson) as caught:
        decode_json(b'{"secret": "kt_cs_hidden"')
    assert "hidden" not in repr(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    "body",
    [
        b"9" * 1_000_000,
        b"1." + b"9" * 1_000_000,
        b"1e" + b"9" * 1_000_000,
        b"[" * 33 + b'"' + rb"\"" * 500_000,
        b'["' + b"[" * 33 + b'", ' + rb'"\"' * 300_000,
        b'"' + rb"\ud800" * 150_000 + b'"',
        b'"' + rb"\u0001" * 150_000 + rb'\u0000"',
        b"\\" * 1_000_000,
        b"[" + b"[]," * 300_000,
    ],
    ids=range(9),
)
def test_work_grows_with_size_alone(body):
    """TK-05: a megabyte of the worst that we know is refused; with quadratic work the test would not end."""
    with pytest.raises(BadJson):
        decode_json(body)
