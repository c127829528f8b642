"""One form of user names and e-mail addresses."""

import pytest

from keyturn.core.canonical import MAX_USER_NAME, canonical_email, canonical_user_name


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("Ann", "ann"),
        ("  ANN ", "ann"),
        ("\uff21\uff2e\uff2e", "ann"),
        ("\ufb01nn", "finn"),
        ("Stra\u00dfe", "strasse"),
        ("\u212aim", "kim"),
        ("a\u00a0b", "a b"),
        ("e\u0301va", "\u00e9va"),
        ("ann@example.com", "ann@example.com"),
    ],
)
def test_user_name(typed, kept):
    """PW-03: spellings that look alike are one user name."""
    assert canonical_user_name(typed) == kept


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "   ",
        "ann\n",
        "\tann",
        "a\x00nn",
        "an\u200bn",
        "\ufeffann",
        "ann\u202e",
        "a\u00adnn",
        "a\u034fnn",
        "a\u3164nn",
        "an\ufe0fn",
        "an\U000e0101n",
        "a\u2800b",
        "a\u2028b",
        "a\ud800b",
        "a\u0378b",
        "a  b",
        "\u0308ann",
        "\u00a8ann",
        "a" * (MAX_USER_NAME + 1),
        "\ufdfa" * (MAX_USER_NAME // 2),
    ],
)
def test_user_name_that_hides_something(typed):
    """PW-03: what cannot be seen, and what has no end, is refused and not dropped."""
    with pytest.raises(ValueError, match=r"^a user name "):
        canonical_user_name(typed)


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("Ann.B+x@Example.COM", "ann.b+x@example.com"),
        ("a\uff20b.example", "a@b.example"),
        ("a@B\u00dccher.example", "a@xn--bcher-kva.example"),
        ("a@XN--BCHER-KVA.example", "a@xn--bcher-kva.example"),
        ("a@xn--strae-oqa.de", "a@xn--strae-oqa.de"),
        ("deploy-bot@acme.service.invalid", "deploy-bot@acme.service.invalid"),
        ("\u00e4nn@example.com", "\u00e4nn@example.com"),
    ],
)
def test_email(typed, kept):
    """PW-03: spellings of one address, its domain in Unicode or in ASCII, are one address."""
    assert canonical_email(typed) == kept


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "ann",
        "@example.com",
        "ann@",
        "a@b@c.de",
        "a@localhost",
        "a..b@c.de",
        ".a@c.de",
        '"a b"@c.de',
        "a b@c.de",
        "a@c_d.de",
        "a@-c.de",
        "a@c-.de",
        "a@c..de",
        "a@c.de.",
        "a@ab--c.de",
        "a@stra\u00dfe.de",
        "a@\u03b1\u03c2.gr",
        "a@xn--abc.de",
        "a@xn--abc-.de",
        "a@xn--\u00e9.de",
        "a@[192.0.2.1]",
        "a\u200b@c.de",
        "a@c\u200d.de",
        "a" * 65 + "@c.de",
        "a@" + "b" * 64 + ".de",
        "a@" + ".".join(["b" * 60] * 5),
    ],
)
def test_no_email(typed):
    """PW-03: what is no address, hides something or could mean two domains is refused."""
    with pytest.raises(ValueError, match=r"domain|address|before the @"):
        canonical_email(typed)
