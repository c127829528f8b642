"""Named readers of single values: what passes, what it becomes, and what is said of the rest."""

from datetime import UTC, datetime

import pytest

from keyturn.core.secret import Secret
from keyturn.wire.readers import MAX_FIELD_BYTES, MAX_SCOPES, READERS, TEXT_READERS

UUID = "0190aaaa-bbbb-7ccc-8ddd-eeeeeeeeeeee"


@pytest.mark.parametrize(
    ("reader", "value", "read"),
    [
        ("text", "", ""),
        ("text", " kept as it is ", " kept as it is "),
        ("text", "é\t\U0001f511", "é\t\U0001f511"),
        ("text", "a" * MAX_FIELD_BYTES, "a" * MAX_FIELD_BYTES),
        ("uuid_or_text", UUID.upper(), UUID),
        ("uuid_or_text", UUID, UUID),
        ("uuid_or_text", "Not-A-Uuid", "Not-A-Uuid"),
        ("uuid_or_text", "x" * 36, "x" * 36),
        ("uuid_or_text", UUID.replace("-", ""), UUID.replace("-", "")),
        ("uuid_or_text", "{" + UUID + "}", "{" + UUID + "}"),
        ("scope_words", "a b", ("a", "b")),
        ("scope_words", "  b   a b ", ("b", "a")),
        ("scope_words", " ", None),
        ("scope_list", ["b", "a", "b"], ("b", "a")),
        ("scope_list", [], None),
        ("absolute_uri", "https://api.example/x?y", "https://api.example/x?y"),
        ("absolute_uri", "urn:keyturn:acme:api", "urn:keyturn:acme:api"),
    ],
)
def test_read(reader, value, read):
    """A good value becomes what the core works with."""
    assert READERS[reader](value) == read


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    "value",
    [
        7,
        1.5,
        True,
        {"a": "b"},
        ["a\x00"],
        [7],
        [["a"]],
        "a\x00b",
        "a\rb",
        "a\nb",
        "\ud800",
        "é" * MAX_FIELD_BYTES,
    ],
)
def test_refused(reader, value):
    """HT-02: every reader refuses wrong types, NUL, line breaks, lone surrogates and overlong values."""
    good = {("integer", int), ("boolean", bool), ("scalar", int), ("scalar", bool), ("json_object", dict)}
    if (reader, type(value)) in good or (reader, value) == ("lines", "a\nb"):
        assert READERS[reader](value) == value
        return
    with pytest.raises(ValueError, match=r"^(must be|is|holds) [-a-z A-Z0-9()]+$"):
        READERS[reader](value)


@pytest.mark.parametrize("value", ["a" * (MAX_FIELD_BYTES + 1), "é" * (MAX_FIELD_BYTES // 2) + "a"])
def test_length_is_in_bytes(value):
    """HT-01: a field's limit is 8 KiB of UTF-8, not of characters."""
    with pytest.raises(ValueError, match="too long"):
        READERS["text"](value)


@pytest.mark.parametrize(
    "value",
    ["a\tb", 'a"b', "a\\b", "é", "\x7f", " ".join(["a"] * (MAX_SCOPES + 1)), "a" * 4097],
)
def test_scope_refused(value):
    """HT-01: a malformed scope, one over 4 KiB or of more than 100 items is refused in both forms."""
    with pytest.raises(ValueError, match=r"scope|too long"):
        READERS["scope_words"](value)
    with pytest.raises(ValueError, match=r"scope|too long"):
        READERS["scope_list"](value.split(" "))


@pytest.mark.parametrize("item", ["", "a b"])
def test_scope_item(item):
    """An array's item is one scope, neither empty nor two."""
    with pytest.raises(ValueError, match="malformed scope"):
        READERS["scope_list"]([item])


@pytest.mark.parametrize("value", ["", "/path", "example", ":x", "1a:x", "a:", "https://a/#f", "é:x"])
def test_relative_uri_refused(value):
    """A resource is an absolute URI without a fragment (RFC 8707 section 2)."""
    with pytest.raises(ValueError, match="absolute URI"):
        READERS["absolute_uri"](value)


def test_secret_is_whole():
    """TE-05: a secret is kept whole, spaces included, and does not print."""
    read = READERS["secret"](" tail ")
    assert isinstance(read, Secret)
    assert read.reveal() == " tail "
    assert "tail" not in repr(read)


@pytest.mark.parametrize(
    ("reader", "value", "read"),
    [
        ("prefixed_word", " Tenant:a  b ", ("Tenant:a", "b")),
        ("text_list", [], ()),
        ("text_list", ["b", "a", "b"], ("b", "a", "b")),
        ("integer", -7, -7),
        ("boolean", False, False),
        ("scalar", "a", "a"),
        ("lines", "a\r\nb\n", "a\nb\n"),
        ("etag", '"17"', 17),
        ("idempotency_key", "a-1", "a-1"),
        ("json_object", {"a": [1]}, {"a": [1]}),
        ("email", " A.b@Example.ORG ", "a.b@example.org"),
        ("user_name", " Ana ", "ana"),
        ("date_time", "2026-11-01T12:00:00Z", datetime(2026, 11, 1, 12, tzinfo=UTC)),
        ("date_time", "2026-11-01T14:00:00.5+02:00", datetime(2026, 11, 1, 12, 0, 0, 500_000, tzinfo=UTC)),
        (
            "date_time",
            "2026-11-01t12:00:00.123456789z",
            datetime(2026, 11, 1, 12, 0, 0, 123_456, tzinfo=UTC),
        ),
    ],
)
def test_typed(reader, value, read):
    """Lists, numbers, times and names are read into values of their own type, in one form."""
    assert READERS[reader](value) == read
    assert type(READERS[reader](value)) is type(read)


@pytest.mark.parametrize(
    ("reader", "value"),
    [
        ("integer", "7"),
        ("integer", 2**53),
        ("integer", True),
        ("boolean", 1),
        ("boolean", "true"),
        ("text_list", "a"),
        ("text_list", ["a"] * 101),
        ("date_time", "2026-11-01"),
        ("date_time", "2026-11-01T12:00:00"),
        ("date_time", "2026-02-31T12:00:00Z"),
        ("date_time", "2026-11-01T12:00:00.Z"),
        ("date_time", "2026-11-01T12:00:00.1234567890Z"),
        ("date_time", "0001-01-01T00:00:00+23:59"),
        ("date_time", "\u0662026-11-01T12:00:00Z"),
        ("email", "nobody"),
        ("user_name", "a\u200bb"),
    ],
)
def test_typed_refused(reader, value):
    """TE-03: a value of another type, out of bounds or of no such form is refused."""
    with pytest.raises(ValueError, match=r"^(must be|is) "):
        READERS[reader](value)


@pytest.mark.parametrize(
    ("reader", "text", "read"),
    [
        ("integer", "0100", 100),
        ("integer", "-1", -1),
        ("integer", "1.5", None),
        ("integer", "\u0661", None),
        ("integer", " 1", None),
        ("integer", "1" * 17, None),
        ("boolean", "true", True),
        ("boolean", "false", False),
        ("boolean", "True", None),
        ("boolean", "1", None),
    ],
)
def test_text_reader(reader, text, read):
    """Where all there is is text, a number is its digits and a boolean its word, and nothing looser."""
    if read is None:
        with pytest.raises(ValueError, match="must be"):
            TEXT_READERS[reader](text)
    else:
        assert TEXT_READERS[reader](text) is read or TEXT_READERS[reader](text) == read
