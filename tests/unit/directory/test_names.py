"""What operators may call things."""

import pytest

from keyturn.core.errors import OperatorError
from keyturn.directory.names import check_audiences, check_choices, check_name, check_scopes, check_slug


@pytest.mark.parametrize("slug", ["ab", "a1", "acme", "acme-corp", "9-9", "a" * 63])
def test_slugs(slug):
    """A slug is a DNS label in lower case."""
    assert check_slug(slug) == slug


@pytest.mark.parametrize(
    "slug",
    [
        "",
        "a",
        "a" * 64,
        "-a",
        "a-",
        "a--b",
        "Acme",
        "a_b",
        "a.b",
        "a/b",
        "..",
        "a b",
        "äb",
        "ab\n",
        "a\0b",
        "admin",
        "o",
    ],
)
def test_bad_slugs(slug):
    """A slug that would not be one path segment and one label, or is reserved, is refused."""
    with pytest.raises(OperatorError, match="slug"):
        check_slug(slug)


@pytest.mark.parametrize("name", ["Acme", "Ünïcode GmbH & Co.", "名前", "a" * 200])
def test_names(name):
    """A name is any one line of text."""
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", " a", "a ", "a" * 201, "a\nb", "a\0b", "a\x1b[31m", "a\u2028b", "a\u202eb", "a\ud800b", "a\x7fb"],
)
def test_bad_names(name):
    """A name that would not show in a terminal or log as it was typed is refused."""
    with pytest.raises(OperatorError):
        check_name(name)


def test_scopes():
    """Scopes keep their order and are kept once."""
    assert check_scopes(["read", "all:write", "read", "!#[]~"]) == ("read", "all:write", "!#[]~")


@pytest.mark.parametrize("scope", ["", "a b", 'a"b', "a\\b", "ä", "a\n", "x" * 256])
def test_bad_scopes(scope):
    """A scope is a scope-token of RFC 6749 section 3.3."""
    with pytest.raises(OperatorError, match="scope"):
        check_scopes([scope])


def test_too_many_scopes():
    """A client's scopes fit into a token."""
    with pytest.raises(OperatorError):
        check_scopes(map(str, range(201)))


@pytest.mark.parametrize(
    "audience", ["https://api.example/v1", "urn:keyturn:acme:api", "https://api.example/?q=1"]
)
def test_audiences(audience):
    """An audience is an absolute URI."""
    assert check_audiences([audience, audience]) == (audience,)


@pytest.mark.parametrize(
    "audience", ["api", "/v1", "https://a/#b", "https://a b", "ürn:a", "", "https://[", "x:"]
)
def test_bad_audiences(audience):
    """An audience that RFC 8707 section 2 does not allow is refused."""
    with pytest.raises(OperatorError, match="audience"):
        check_audiences([audience])


def test_no_audience():
    """No audience at all is refused, because every token names one."""
    with pytest.raises(OperatorError):
        check_audiences([])


def test_choices():
    """Known names are kept once, in their order."""
    assert check_choices("dialect", ["b", "a", "b"], {"a", "b", "c"}) == ("b", "a")


@pytest.mark.parametrize("asked", [["nope"], ["a", "nope"], []])
def test_bad_choices(asked):
    """An unknown name, or none, is refused."""
    with pytest.raises(OperatorError, match="dialect"):
        check_choices("dialect", asked, {"a"})
