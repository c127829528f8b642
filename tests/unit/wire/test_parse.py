"""Content types, forms, JSON objects and HTTP Basic: strict where two readers could differ."""

import base64

import pytest

from keyturn.core.errors import InvalidClient, InvalidRequest, UnsupportedMediaType
from keyturn.core.vocabulary import Reason, RequestId
from keyturn.wire.http import WireRequest
from keyturn.wire.parse import MAX_FIELDS, basic, form, json_object, media_type
from keyturn.wire.readers import MAX_FIELD_BYTES
from keyturn.wire.tables import FORM, JSON


def request(*headers):
    """Make a request with these headers."""
    return WireRequest(request_id=RequestId("r"), method="POST", path="/", headers=list(headers))


def typed(*values):
    """Make a request that declares these content types."""
    return request(*((b"content-type", value) for value in values))


def encoded(clear):
    """Give the value of a Basic header for these clear bytes."""
    return b"Basic " + base64.b64encode(clear)


@pytest.mark.parametrize(
    ("declared", "media"),
    [
        (b"application/x-www-form-urlencoded", FORM),
        (b"application/json", JSON),
        (b"Application/JSON", JSON),
        (b"application/x-www-form-urlencoded;charset=UTF-8", FORM),
        (b'application/json; charset="utf-8"', JSON),
        (b"application/json; charset=us-ascii", JSON),
        (b"application/json ; boundary=x", JSON),
    ],
)
def test_media_type_declared(declared, media):
    """The declared type decides, in any case and with a harmless parameter."""
    assert media_type(typed(declared), (FORM, JSON), optional=False) == media


@pytest.mark.parametrize(
    "declared",
    [
        (b"text/plain",),
        (b"",),
        (b"application/json, application/json",),
        (b"application/json+x",),
        (b"application/json; charset=utf-16",),
        (b"application/x-www-form-urlencoded; charset=latin-1",),
        (b"multipart/form-data; boundary=x",),
        (b"\xff\xfe",),
        (b"application/json", b"application/json"),
        (b"application/json", b"application/x-www-form-urlencoded"),
    ],
)
@pytest.mark.parametrize("optional", [True, False])
def test_media_type_refused(declared, optional):
    """TE-03: any other type, two types and a charset that is not UTF-8 are refused, needed or not."""
    with pytest.raises(UnsupportedMediaType) as caught:
        media_type(typed(*declared), (FORM, JSON), optional=optional)
    assert caught.value.reason is Reason.MEDIA_TYPE


def test_media_type_absent():
    """An absent type means the first one where the table says so, and is refused elsewhere."""
    assert media_type(typed(), (JSON, FORM), optional=True) == JSON
    with pytest.raises(UnsupportedMediaType):
        media_type(typed(), (JSON, FORM), optional=False)


@pytest.mark.parametrize(
    ("body", "pairs"),
    [
        (b"", []),
        (b"a=1&b=2", [("a", "1"), ("b", "2")]),
        (b"a=1&a=2", [("a", "1"), ("a", "2")]),
        (b"a&&b=", [("a", ""), ("b", "")]),
        (b"a=1=2", [("a", "1=2")]),
        (b"a+b=c+d", [("a b", "c d")]),
        (b"a=%2B%20%26%3D", [("a", "+ &=")]),
        (b"a=100%&b=%zz", [("a", "100%"), ("b", "%zz")]),
        ("a=é&b=%C3%A9".encode(), [("a", "é"), ("b", "é")]),
        (b"%61=1&a=2", [("a", "1"), ("a", "2")]),
        (b"a=1;b=2", [("a", "1;b=2")]),
    ],
)
def test_form(body, pairs):
    """A form is read as the URL standard says, in order and with repetitions."""
    assert form(body) == pairs


@pytest.mark.parametrize("body", [b"a=\xff", b"a=%FF", b"%C3=1", b"a=%ED%A0%80", b"a=%C0%80"])
def test_form_not_utf8(body):
    """HT-02: bytes that are not UTF-8, raw or escaped, are refused."""
    with pytest.raises(InvalidRequest) as caught:
        form(body)
    assert caught.value.reason is Reason.MALFORMED


def test_form_count():
    """HT-01: a hundred fields are read and one more is refused."""
    assert len(form(b"&".join([b"a=1"] * MAX_FIELDS))) == MAX_FIELDS
    with pytest.raises(InvalidRequest):
        form(b"&".join([b"a=1"] * (MAX_FIELDS + 1)))


def test_form_field_length():
    """HT-01: a field is at most 8 KiB however it is escaped, known to the route or not."""
    for letter in (b"A", b"%41"):
        assert form(b"a=" + letter * MAX_FIELD_BYTES)[0][1] == "A" * MAX_FIELD_BYTES
        with pytest.raises(InvalidRequest):
            form(b"a=" + letter * (MAX_FIELD_BYTES + 1))


def test_json_object():
    """A JSON object becomes its members in order, with their types."""
    assert json_object(b' {"a": "1", "b": [2, null]} ') == [("a", "1"), ("b", [2, None])]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'"a"',
        b"null",
        b"7",
        b"{",
        b'{"a": 1} x',
        b'{"a": 1, "a": 1}',
        b'{"a": "\\ud800"}',
        b'{"a": "\\u0000"}',
        b'{"a": "\x00"}',
        b'{"a": "\xff"}',
        b'{"a": NaN}',
        b'{"a": 1e999}',
        b'{"a": ' + b"1" * 21 + b"}",
        b'{"a": ' + b"[" * 40 + b"]" * 40 + b"}",
        b'\xef\xbb\xbf{"a": 1}',
        b'{"a": 1}'.decode().encode("utf-16"),
        b"{" + b",".join(b'"a%d": 1' % number for number in range(MAX_FIELDS + 1)) + b"}",
    ],
)
def test_json_refused(body):
    """HT-02: what is not one well-formed object with one meaning is refused, and nothing of it repeated."""
    with pytest.raises(InvalidRequest) as caught:
        json_object(body)
    assert caught.value.reason is Reason.MALFORMED
    assert caught.value.description == "the body is not a well-formed JSON object"


@pytest.mark.parametrize(
    ("value", "pair"),
    [
        (encoded(b"me:secret"), ("me", "secret")),
        (encoded(b"me:a:b:"), ("me", "a:b:")),
        (encoded(b"me:"), ("me", "")),
        (encoded(b":s"), ("", "s")),
        (encoded(b"a%3Ab:%2B%25+x"), ("a:b", "+% x")),
        (encoded("mé:é".encode()), ("mé", "é")),
        (b"basic " + base64.b64encode(b"a:b"), ("a", "b")),
        (b"BASIC   " + base64.b64encode(b"a:b") + b" ", ("a", "b")),
    ],
)
def test_basic(value, pair):
    """HTTP Basic is split at the first colon and both parts are form-decoded (RFC 6749 section 2.3.1)."""
    assert basic(request((b"authorization", value)), other_schemes_refused=True) == pair


@pytest.mark.parametrize(
    "value",
    [
        b"Basic",
        b"Basic ",
        b"Basic !!!",
        b"Basic YTpi\nYTpi",
        b"Basic YTp",
        b"Basic " + base64.b64encode(b"nocolon"),
        b"Basic " + base64.b64encode(b"a:\xff"),
        b"Basic " + base64.b64encode(b"a:%ff"),
        b"Basic \xff\xfe",
    ],
)
@pytest.mark.parametrize("strict", [True, False])
def test_basic_unreadable(value, strict):
    """A Basic header that cannot be read is a failed authentication, wherever it is sent."""
    with pytest.raises(InvalidClient) as caught:
        basic(request((b"authorization", value)), other_schemes_refused=strict)
    assert caught.value.reason is Reason.MALFORMED


@pytest.mark.parametrize("value", [b"Bearer x", b"", b"Basically YTpi", b"Negotiate"])
def test_other_scheme(value):
    """Another scheme is a failed authentication where the table says so, and nobody's business elsewhere."""
    asked = request((b"authorization", value))
    assert basic(asked, other_schemes_refused=False) is None
    with pytest.raises(InvalidClient):
        basic(asked, other_schemes_refused=True)


def test_no_authorization():
    """Without the header nothing is claimed."""
    assert basic(request((b"accept", b"*/*")), other_schemes_refused=True) is None


def test_two_authorizations():
    """TE-04: two Authorization headers are refused, equal or not."""
    header = (b"authorization", encoded(b"a:b"))
    with pytest.raises(InvalidRequest) as caught:
        basic(request(header, header), other_schemes_refused=False)
    assert caught.value.reason is Reason.TWO_AUTHENTICATIONS
