"""What a connection keeps of requests that differ in one token: their reading, and nothing of a verdict."""

import json

import pytest

from harness import basic, deployment
from keyturn.core.vocabulary import RequestId
from keyturn.web.cycle import Head, KnownHeads
from keyturn.wire.blanks import PROBE

PATH = b"/o/acme/oauth2/token"
FORM = (b"content-type", b"application/x-www-form-urlencoded")


@pytest.fixture
async def here():
    """Open a deployment of the house's dialects."""
    async with deployment() as opened:
        yield opened


def head_of(here, path=PATH):
    members = here.members["acme"]["oauth2"]
    proof = basic(members["client_id"], members["client_secret"]).encode()
    return Head("POST", path, [FORM, (b"authorization", proof)], ("192.0.2.1", 1))


async def tell(here, head, body):
    _, response = await here.desk.answer(head, body, False)
    return response.status, json.loads(response.body or b"{}")


def renewal(token):
    return b"grant_type=refresh_token&refresh_token=" + token.encode()


async def test_renewals_behind_one_head(here):
    """RT-01, RT-02: each token of a family is judged by itself, though its words are read once."""
    head = head_of(here)
    _, told = await tell(here, head, b"grant_type=client_credentials&scope=offline_access")
    tokens = [told["refresh_token"]]
    for _ in range(3):
        status, told = await tell(here, head, renewal(tokens[-1]))
        assert status == 200
        tokens.append(told["refresh_token"])
    assert len({*tokens}) == 4
    assert head.memory.asked_again(renewal(tokens[-1]), RequestId("r")) is not None
    status, told = await tell(here, head, renewal(tokens[2]))
    assert (status, told["refresh_token"]) == (200, tokens[3])
    status, told = await tell(here, head, renewal(tokens[0]))
    assert (status, told["error"]) == (400, "invalid_grant")
    status, told = await tell(here, head, renewal(tokens[3]))
    assert (status, told["error"]) == (400, "invalid_grant")


async def test_only_a_token_fits_the_blank(here):
    """TE-01, HT-02: what is no token by its letters is read anew, and answered as behind a new head."""
    head = head_of(here)
    _, told = await tell(here, head, b"grant_type=client_credentials&scope=offline_access")
    first = renewal(told["refresh_token"])
    _, told = await tell(here, head, first)
    token, size = told["refresh_token"], len(told["refresh_token"])
    odd = [b"&scope=x", b"%6bt_rt_", b"+", b"\0", b"\xff", b"\r\n", b"=", b"&grant_type=none", b""]
    bodies = [renewal("a" * (size - len(each))) + each for each in odd]
    bodies += [first + b"&scope=x", renewal("b" * size), first.replace(b"refresh_t", b"other_tok")]
    for body in bodies:
        known, fresh = await tell(here, head, body), await tell(here, head_of(here), body)
        assert (known[0], known[1].get("error")) == (fresh[0], fresh[1].get("error"))
    assert (await tell(here, head, renewal(token)))[0] == 200


async def test_a_place_that_is_not_the_tokens_is_no_blank(here):
    """RT-05: the token's letters in another field, or escaped where they are read, make no blank."""
    for form in (b"refresh_token=%s&a=%s", b"a=%s&refresh_token=%%6bt"):
        head = head_of(here)
        _, told = await tell(here, head, b"grant_type=client_credentials&scope=offline_access")
        token = told["refresh_token"].encode()
        body = b"grant_type=refresh_token&" + form.replace(b"%s", token).replace(b"%%", b"%")
        await tell(here, head, body)
        other = body.replace(token, b"x" * len(token))
        assert head.memory.asked_again(other, RequestId("r")) is None


async def test_questions_about_one_token_after_another(here):
    """RV-01: each token that is asked about behind one head has an answer of its own."""
    _, told = await tell(here, head_of(here), b"grant_type=client_credentials")
    good = told["access_token"]
    head = head_of(here, PATH.replace(b"token", b"introspect"))
    made_up = good[:-4] + ("AAAA" if not good.endswith("AAAA") else "BBBB")
    said = [await tell(here, head, b"token=" + each.encode()) for each in (good, made_up, good, made_up)]
    assert [each["active"] for _, each in said] == [True, False, True, False]
    assert head.memory.asked_again(b"token=" + b"x" * len(good), RequestId("r")) is not None


async def test_a_token_in_a_header(here):
    """RT-01, HT-05: a head that differs in the token only is found, any other goes to both readers."""
    members = here.members["acme"]["mend"]
    body = json.dumps({"email": members["email"], "userKey": members["user_key"]}).encode()
    login = Head("POST", b"/api/v2.0/login", [(b"content-type", b"application/json")], None)
    _, told = await tell(here, login, body)
    token = told["retVal"]["refreshToken"]
    known, line = KnownHeads(), b"POST /api/v2.0/login/accessToken HTTP/1.1\r\n"

    def raw(value, rest=b"Host: a\r\nContent-Length: 0\r\n\r\n"):
        return line + b"wss-refresh-token: " + value + b"\r\n" + rest

    headers = [(b"wss-refresh-token", token.encode()), (b"host", b"a"), (b"content-length", b"0")]
    head = Head("POST", b"/api/v2.0/login/accessToken", headers, None)
    known.keep(bytearray(raw(token.encode())), head, 0)
    status, told = await tell(here, head, b"")
    assert status == 200
    for _ in range(2):
        token = told["refreshToken"]
        found = known.begin(raw(token.encode()), None)
        assert found.head is not head
        assert dict(found.head.headers)[b"wss-refresh-token"] == token.encode()
        status, told = await tell(here, found.head, b"")
        assert (status, told["refreshToken"] != token) == (200, True)
    again = known.begin(raw(token.encode()), None).head
    assert (await tell(here, again, b"{}"))[0] == 200  # read anew, by this head's own token
    assert (await tell(here, known.begin(raw(headers[0][1]), None).head, b""))[0] == 403
    size = len(token)
    for odd in (b"a" * 15, b"a" * (size - 1) + b" ", b"a" * (size - 5) + b"\r\nX: ", b"\xe4" * size):
        assert known.begin(raw(odd), None) is None
    assert known.begin(raw(token.encode(), b"Host: b\r\nContent-Length: 0\r\n\r\n"), None) is None


async def test_who_knows_the_probe_moves_no_blank(here):
    """IN-01: asked with the very words that places are tried with, a reader would say yes to any place."""
    _, told = await tell(here, head_of(here), b"grant_type=client_credentials")
    good, probe = told["access_token"].encode(), PROBE
    head = head_of(here, PATH.replace(b"token", b"introspect"))
    for first in (b"token=" + good, b"x=" + probe + b"&token=" + probe):
        await tell(here, head, first)
    assert (await tell(here, head, b"x=" + good + b"&token=" + probe))[1] == {"active": False}

    known, path = KnownHeads(), PATH.replace(b"token", b"introspect")
    proof = dict(head.headers)[b"authorization"]
    body = b"token=%61" + probe[1:]

    def raw(request_id):
        rest = b"Authorization: " + proof + b"\r\nX-Request-Id: " + request_id + b"\r\n\r\n"
        return b"POST " + path + b" HTTP/1.1\r\n" + rest

    headers = [FORM, (b"authorization", proof), (b"x-request-id", probe)]
    head = Head("POST", path, headers, ("192.0.2.1", 1))
    known.keep(bytearray(raw(probe)), head, len(body))
    for first in (b"token=" + good, body):
        await tell(here, head, first)
    assert known.begin(raw(good) + body, None) is None


@pytest.mark.parametrize(("decoys", "learned"), [(1, True), (3, False), (200, False)])
async def test_few_places_are_tried(here, decoys, learned):
    """HT-01: a body that repeats its token's letters hundreds of times costs a few readings and no more."""
    head = head_of(here, PATH.replace(b"token", b"introspect"))
    bodies = [b"x" + b"=%b" % each * decoys + b"&token=" + each for each in (b"a" * 16, b"b" * 16, b"c" * 16)]
    for body in bodies[:2]:
        await tell(here, head, body)
    after = bodies[1].removesuffix(b"b" * 16) + b"c" * 16
    assert (head.memory.asked_again(after, RequestId("r")) is not None) is learned


async def test_another_body_behind_a_head_with_a_blank(here):
    """RT-05: a head's blank was tried with one body; behind another that head is read."""
    known, path = KnownHeads(), b"/api/v2.0/login/accessToken"

    def raw(value):
        return b"POST " + path + b" HTTP/1.1\r\nwss-refresh-token: " + value + b"\r\n\r\n"

    token = b"a" * 30
    headers = [(b"wss-refresh-token", token), (b"content-type", b"application/json")]
    head = Head("POST", path, headers, None)
    known.keep(bytearray(raw(token)), head, 2)
    for body in (b"{}", b"{ }"):
        await tell(here, head, body)
    door = here.desk._door(known.begin(raw(b"b" * 30) + b"{}", None).head)
    assert [door.asked_again(body, RequestId("r")) is not None for body in (b"{}", b"{ }")] == [True, False]


async def test_a_token_that_a_head_has_twice(here):
    """RT-05: where two headers have the token, neither is a blank: one would pass for the other."""
    known, path, token, other = KnownHeads(), b"/api/v2.0/login/accessToken", b"a" * 30, b"b" * 30

    def raw(beside):
        shown = b"X-Request-Id: " + beside + b"\r\nwss-refresh-token: " + token + b"\r\n\r\n"
        return b"POST " + path + b" HTTP/1.1\r\n" + shown

    head = Head("POST", path, [(b"x-request-id", token), (b"wss-refresh-token", token)], None)
    known.keep(bytearray(raw(token)), head, 0)
    for _ in range(2):
        assert (await tell(here, head, b""))[0] == 403
    assert known.begin(raw(other), None) is None
