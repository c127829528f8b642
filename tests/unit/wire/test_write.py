"""Answers and refusals written by table."""

import json
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from keyturn.core.errors import InvalidClient, InvalidGrant, InvalidRequest, SlowDown, Unavailable
from keyturn.core.lasting import LastingFacts, Spelling
from keyturn.core.secret import Secret
from keyturn.core.shapes import Constant, Each, Member, Shape
from keyturn.core.vocabulary import Code, Reason
from keyturn.wire.tables import Answer, Document, RefusalRow, Refusals, Route
from keyturn.wire.write import compile_answer, compile_document, compile_refusals

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
ROWS = {code: RefusalRow(400, f"E_{code}") for code in Code}


def refusals(*members, **rows):
    """Compile a refusal table with some rows of its own."""
    return compile_refusals(Refusals(Shape(members), ROWS | rows), frozenset(Code), "toy.refusals")


def test_answer():
    """An answer shows facts through transforms, with its own status and headers that forbid keeping it."""
    shape = Shape(
        (
            Member("a.token", "access_token", "reveal"),
            Member("a.life", "lifetime", "seconds"),
            Constant("n", None),
        )
    )
    response = compile_answer(Route(name="get", path="/t", answer=Answer(shape, status=201)), "toy.get")(
        {"access_token": Secret("t"), "lifetime": timedelta(seconds=60)}
    )
    assert response.status == 201
    assert json.loads(response.body) == {"a": {"token": "t", "life": 60}, "n": None}
    assert (b"cache-control", b"no-store") in response.headers
    assert (b"x-content-type-options", b"nosniff") in response.headers
    assert (b"content-type", b"application/json") in response.headers


def test_facts_that_last_are_written_once_by_each_writer():
    """An answer about the same thing is spelled once for a route; another route has words of its own."""
    one, other = (
        compile_answer(
            Route(name="get", path="/t", answer=Answer(Shape((Member(name, "subject"),)))), "toy.get"
        )
        for name in ("sub", "who")
    )
    facts = LastingFacts({"subject": "a"})
    facts.spelling = Spelling()
    assert one(facts) == one(facts)
    assert [json.loads(write(facts).body) for write in (one, other, one)] == [
        {"sub": "a"},
        {"who": "a"},
        {"sub": "a"},
    ]
    assert one(dict(facts)) is not one(dict(facts))


def test_another_token_is_put_into_the_same_words():
    """An answer that differs from the last one in its token alone is not rendered anew; any other is."""
    told = Shape(
        (
            Member("t", "access_token", "reveal"),
            Member("s", "subject"),
            Member("r", "refresh_token", "reveal", optional=True),
        )
    )
    write = compile_answer(Route(name="get", path="/t", answer=Answer(told)), "toy.get")
    plain = compile_answer(Route(name="get", path="/t", answer=Answer(told)), "toy.get")
    spelling = Spelling()
    for token, subject, refresh in (
        ("a", 'x"a', None),
        ("b", "x", None),
        ("b.c", "x", None),
        ("d", "x", "r"),
    ):
        said = {"access_token": Secret(token), "subject": subject}
        said["refresh_token"] = None if refresh is None else Secret(refresh)
        facts = LastingFacts(said)
        facts.spelling = spelling
        assert write(facts) == plain(said)
    assert (spelling.words, spelling.told) == (b'{"t":"%b","s":"x"}', ("access_token",))


def test_words_with_percent_signs():
    """Kept words are what was rendered, whatever an organisation is called."""
    told = Shape((Member("n", "subject"), Member("t", "access_token", "reveal"), Member("o", "issuer")))
    write = compile_answer(Route(name="get", path="/t", answer=Answer(told)), "toy.get")
    spelling = Spelling()
    for token in ("a.b", "c.d", "e.f"):
        facts = LastingFacts({"subject": "100%", "access_token": Secret(token), "issuer": "%b %% %s"})
        facts.spelling = spelling
        assert json.loads(write(facts).body) == {"n": "100%", "t": token, "o": "%b %% %s"}


def test_a_time_that_is_shown_as_it_is():
    """A table may show a token's times without a transform; they are no text to put into kept words."""
    told = Shape((Member("t", "access_token", "reveal"), Member("at", "expires_at")))
    write = compile_answer(Route(name="get", path="/t", answer=Answer(told)), "toy.get")
    spelling = Spelling()
    for minute in range(3):
        facts = LastingFacts({"access_token": Secret("a.b"), "expires_at": NOW + timedelta(minutes=minute)})
        facts.spelling = spelling
        assert json.loads(write(facts).body) == {"t": "a.b", "at": f"2026-11-01T12:0{minute}:00Z"}


def test_document():
    """A published document may be cached by anybody for its own time and read by any page."""
    table = Route(name="meta", path="/m", answer=Answer(Shape((Member("u", "url.x"),))))
    write = compile_document(table, Document("metadata"), frozenset({"url.x"}), 17, "toy.meta")
    response = write({"url.x": "https://a"})
    assert json.loads(response.body) == {"u": "https://a"}
    assert (b"cache-control", b"public, max-age=17") in response.headers
    assert (b"access-control-allow-origin", b"*") in response.headers


def test_document_of_the_moment():
    """TK-14: what shows only the key that signs now is not kept by caches: it changes with a rotation."""
    route = Route(
        name="key",
        method="GET",
        path="/o/{organisation}/key",
        document=Document("public_key"),
        answer=Answer(Shape((Member("pem", "pem"),))),
    )
    response = compile_document(route, Document("public_key"), frozenset(), 17, "here")({"pem": "x"})
    assert (b"cache-control", b"no-cache") in response.headers


def test_refusal_facts():
    """A refusal shows its public side in the dialect's words, its time and its request id."""
    write = refusals(
        Member("code", "code"),
        Member("says", "description", optional=True),
        Member("status", "status", "digits"),
        Member("at", "now", "epoch_seconds"),
        Member("id", "request_id"),
        Each("all", "issues", Shape((Member("m", "item"),))),
    )
    response = write(InvalidRequest(Reason.MALFORMED, issues=("x", "y")), "r-1", "fresh", NOW)
    assert response.status == 400
    assert json.loads(response.body) == {
        "code": "E_invalid_request",
        "status": "400",
        "at": int(NOW.timestamp()),
        "id": "r-1",
        "all": [{"m": "x"}, {"m": "y"}],
    }


def test_reason_is_private():
    """No fact of a refusal is its private reason, and a table that asks for it does not compile."""
    with pytest.raises(ValueError, match="unknown fact 'reason'"):
        refusals(Member("why", "reason"))


def test_silent_refusal_says_its_status():
    """A refusal without words of its own has the status's phrase as its one issue."""
    write = refusals(
        Each("all", "issues", Shape((Member("m", "item"),))), **{Code.INVALID_CLIENT: RefusalRow(401, "x")}
    )
    assert json.loads(write(InvalidClient(Reason.WRONG_SECRET), "r", "fresh", NOW).body) == {
        "all": [{"m": "Unauthorized"}]
    }


@pytest.mark.parametrize(
    ("refusal", "wait"),
    [
        (SlowDown(Reason.RATE_LIMIT, retry_after=7), b"7"),
        (Unavailable(Reason.STORE_UNAVAILABLE), b"1"),
        (Unavailable(Reason.STORE_UNAVAILABLE, retry_after=3), b"3"),
        (InvalidRequest(Reason.MALFORMED), None),
    ],
)
def test_retry_after(refusal, wait):
    """Only a refusal that passes says when to come back."""
    headers = dict(refusals()(refusal, "r", "fresh", NOW).headers)
    assert headers.get(b"retry-after") == wait


def test_row_headers():
    """A row's own headers are sent with its refusal and with no other."""
    row = RefusalRow(401, "x", (("WWW-Authenticate", "Basic"),))
    write = refusals(**{Code.INVALID_CLIENT: row})
    assert (b"www-authenticate", b"Basic") in write(
        InvalidClient(Reason.WRONG_SECRET), "r", "fresh", NOW
    ).headers
    others = write(InvalidRequest(Reason.MALFORMED), "r", "fresh", NOW).headers
    assert b"www-authenticate" not in dict(others)
    assert (b"cache-control", b"no-store") in others


def test_words_of_a_row():
    """A row's words stand around the core's and the masked tail, and nothing put in is read as a place."""
    row = RefusalRow(400, "x", text="no: {description}{tail}", mask=": xx-{tail}", values={"module": 7})
    write = refusals(Member("m", "text"), Member("n", "row.module"), **{Code.INVALID_GRANT: row})

    def told(refusal):
        return json.loads(write(refusal, "r", "fresh", NOW).body)

    assert told(InvalidGrant(Reason.SECRET_ENDED, "bad", tail="abcde")) == {"m": "no: bad: xx-abcde", "n": 7}
    assert told(InvalidGrant(Reason.WRONG_SECRET)) == {"m": "no: ", "n": 7}
    assert told(InvalidGrant(Reason.SECRET_ENDED, "{tail}", tail="{description}"))["m"] == (
        "no: {tail}: xx-{description}"
    )


def test_words_where_the_core_has_none():
    """A row may have words for what the core does not explain, and none for all that it does."""
    row = RefusalRow(400, "x", text=None, unexplained="wrong name or word")
    write = refusals(Member("m", "text", optional=True), **{Code.INVALID_GRANT: row})
    wrong = write(InvalidGrant(Reason.WRONG_PASSWORD), "r", "fresh", NOW)
    missing = write(InvalidGrant(Reason.FIELD_MISSING, "word is required"), "r", "fresh", NOW)
    assert json.loads(wrong.body) == {"m": "wrong name or word"}
    assert json.loads(missing.body) == {}


def test_echoes_in_a_refusal():
    """A refusal repeats what was read, and a fresh id stands in for what was not."""
    write = refusals(Member("id", "request.id", otherwise="fresh_id"))
    refusal = InvalidRequest(Reason.MALFORMED)
    assert json.loads(write(refusal, "r", "fresh", NOW).body) == {"id": "fresh"}
    refusal.echoes = {"id": "mine"}
    assert json.loads(write(refusal, "r", "fresh", NOW).body) == {"id": "mine"}


def test_code_without_a_row():
    """A refusal that no road of the table gives is told as a fault of ours."""
    table = Refusals(Shape((Member("e", "code"),)), {Code.SERVER_ERROR: RefusalRow(500, "ours")})
    write = compile_refusals(table, frozenset({Code.SERVER_ERROR}), "toy")
    assert write(InvalidClient(Reason.WRONG_SECRET), "r", "fresh", NOW).status == 500
    with pytest.raises(ValueError, match="no refusal row for invalid_client"):
        compile_refusals(table, frozenset({Code.INVALID_CLIENT}), "toy")


def test_variants_and_no_body():
    """The first variant whose fact is there is the answer, and an answer without a shape has no body."""
    token = Answer(Shape((Member("t", "id_token"),)), when="id_token")
    variants = (token, Answer(None, 204, when="notice"))
    table = Route(name="get", path="/t", answer=Answer(Shape((Constant("plain", 1),))), variants=variants)
    write = compile_answer(table, "toy.get")
    assert write({"id_token": "x", "notice": "y"}).body == b'{"t":"x"}'
    assert write({"id_token": None, "notice": None}).body == b'{"plain":1}'
    empty = write({"notice": "y"})
    assert (empty.status, empty.body) == (204, b"")
    assert b"content-type" not in dict(empty.headers)
    wrong = msgspec.structs.replace(table, variants=(Answer(Shape(()), when="no_such"),))
    with pytest.raises(ValueError, match="unknown fact 'no_such'"):
        compile_answer(wrong, "toy.get")


def test_what_is_said_of_one_token_is_spelled_once():
    """An answer that tells of a token and brings none is put into bytes once, however often it is told."""
    shape = Shape((Member("exp", "expires_at", "epoch_seconds"), Member("s", "subject")))
    write = compile_answer(Route(name="ask", path="/t", answer=Answer(shape)), "toy.ask")
    facts = LastingFacts({"subject": "a", "expires_at": NOW, "access_token": None})
    facts.spelling = Spelling()
    first = write(facts)
    facts["subject"] = "nobody looks at it again"
    assert write(facts).body == first.body
