"""A question or renewal in known words with another token is read as its reader would."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harness import basic
from keyturn.core.errors import Refusal
from keyturn.core.requests import Question
from keyturn.core.secret import Secret
from keyturn.core.vocabulary import RequestId
from keyturn.dialects import load_dialects
from keyturn.web.cycle import Head
from keyturn.web.doors import Door
from keyturn.wire.compile import Router, compile_dialect

PATH = "/o/acme/oauth2/"
ROUTER = Router(compile_dialect(load_dialects()["oauth2"], 300))
TYPE = (b"content-type", b"application/x-www-form-urlencoded")
PROVED = (TYPE, (b"authorization", basic("a-client", "a-secret").encode()))
FORMS = (
    b"token=%b",
    b"token=%b&token_type_hint=access_token",
    b"token_type_hint=access_token&token=%b",
    b"client_id=a-client&client_secret=a-secret&token=%b",
    b"client_id=a-client&token=%b&client_secret=a-secret",
    b"grant_type=refresh_token&refresh_token=%b",
    b"grant_type=refresh_token&refresh_token=%b&scope=read",
    b"client_id=a-client&client_secret=a-secret&refresh_token=%b&grant_type=refresh_token",
)
TOKENS = st.one_of(
    st.text("abcXYZ019-._~", min_size=1, max_size=40).map(str.encode),
    st.binary(max_size=30),
    st.lists(st.sampled_from([b"&", b"=", b"%41", b"+", b"%", b"token", b"a", b"\0", b";"])).map(b"".join),
    st.sampled_from([b"a" * 2000, b"a" * 2001, b"a" * 8192, b"a" * 8193]),
)


def door(form=FORMS[0]):
    """Make the door of a new connection; a form that brings the secret itself needs no header for it."""
    headers = (TYPE,) if b"client_secret" in form else PROVED
    path = PATH + ("token" if b"grant_type" in form else "introspect")
    return Door(Head("POST", path.encode(), headers, None), path, ROUTER.match(path), "192.0.2.1")


def read(at, body):
    """Read a body as the desk does: give all that it says, or how it is refused; and whether it was known."""
    asked = at.asked_again(body, RequestId("r"))
    known = asked is not None
    if asked is None:
        try:
            asked = at.route.read(at.request(RequestId("r"), body, oversized=False))
        except Refusal as refusal:
            return (type(refusal), refusal.reason, refusal.issues), known
        at.keep(body, asked)
    return said(asked), known


def said(asked):
    """Give what a question says, its secrets in the clear."""
    if isinstance(asked, Secret):
        return asked.reveal()
    if hasattr(asked, "__struct_fields__"):
        return {name: said(getattr(asked, name)) for name in asked.__struct_fields__}
    return asked


@given(form=st.sampled_from(FORMS), token=TOKENS)
@example(form=FORMS[1], token=b"x&token_type_hint=refresh_token")
@example(form=FORMS[0], token=b"a%26b")
def test_another_token_in_known_words_is_read_alike(form, token):
    """TE-03: behind a known head the short way says and refuses what the reader does, byte for byte."""
    fresh, kept = door(form), door(form)
    read(kept, form % b"a.first-one_of-many")
    read(kept, form % b"a.second~one.of-many")
    told, _ = read(kept, form % token)
    assert told == read(fresh, form % token)[0]


@pytest.mark.parametrize("form", FORMS)
def test_known_words_are_not_read_again(form):
    """What was learned of a form is used for the next token in it, and for no other words."""
    at = door(form)
    assert not read(at, form % b"one.two.three.four")[1]
    assert not read(at, form % b"one.two.three.five")[1]
    told, known = read(at, form % b"four.five.six.seven")
    assert known
    assert (told["token"] if "token" in told else told["credential"]["secret"]) == "four.five.six.seven"
    long = b"seven.seven.seven"
    for other in (form % long + b"&x=1", b"x=1&" + form % long, form % (long + b"%20"), form % b"short"):
        assert not read(at, other)[1]


def test_words_of_the_same_length_are_other_words():
    """TE-09: a caller who shares a connection with another is taken for nobody but who they say they are."""
    at = door(FORMS[3])
    read(at, b"client_id=one&client_secret=aaa&token=vwx&token_type_hint=abc")
    read(at, b"client_id=one&client_secret=aaa&token=xyz&token_type_hint=abc")
    told, known = read(at, b"client_id=two&client_secret=bbb&token=xyw&token_type_hint=cba")
    assert not known
    assert (told["client"]["owner"], told["client"]["secret"], told["token"]) == ("two", "bbb", "xyw")
    assert not read(at, b"client_id=one&client_secret=bbb&token=xyw&token_type_hint=abc")[1]
    assert not read(at, b"client_id=one&client_secret=aaa&token=xyw&token_type_hint=cba")[1]


def test_a_token_that_stands_escaped_is_found_nowhere_else():
    """Where the token is escaped and its letters stand in another field, nothing is put in that place."""
    at = door()
    read(at, b"token=%41BB&token_type_hint=ABB")
    read(at, b"token=%41BC&token_type_hint=ABC")
    told, known = read(at, b"token=%41BC&token_type_hint=XYZ")
    assert (told["token"], known) == ("ABC", False)


def test_a_probe_is_never_asked_about():
    """The reader alone is asked where the token stands: what is kept is what the caller said."""
    at = door()
    first = at.route.read(at.request(RequestId("r"), b"token=one", oversized=False))
    at.keep(b"token=one", first)
    again = at.asked_again(b"token=one", RequestId("s"))
    assert isinstance(again, Question)
    assert again.token.reveal() == "one"
    assert again.origin.request_id == "s"
