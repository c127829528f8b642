"""Named readers of single values: what passes, what it becomes, and what is said of the rest."""

import pytest

from keyturn.core.secret import Secret
from keyturn.wire.readers import MAX_FIELD_BYTES, MAX_SCOPES, READERS

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
    with pytest.raises(ValueError, match=r"^(must be|is|holds) [a-z A-Z]+$"):
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
