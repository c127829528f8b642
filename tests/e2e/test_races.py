"""Two nodes and one thing that works once: whoever is first wins, on either node (RE-02, RE-08).

Each test runs some rounds by default and a thousand under ``make soak``. A round lets two requests go at one
moment, one on each node. What only an operator can do, two operators do at once.

The second node's clock is ahead by the five seconds that nodes may be apart (RE-07): who wins must not depend
on whose clock is right. ``make soak`` races nodes of one time as well.
"""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import urlencode

import pyotp
import pytest

from e2e.nodes import Asker, Deployment, Signer, Starter, deploy
from e2e.servers import FORM, Caller, Node, within
from e2e.shifted import shift

SECOND = 1.0
STEP_SECONDS, STEPS = 30, 2
"""Steps of a device that a race may use up without waiting: that of now and the next."""
SAHAMATI = "/iam/v1"
CSP = "/csp/gateway/am/api/auth/api-tokens/authorize"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
ROUNDS = pytest.mark.parametrize(
    "rounds", [8, pytest.param(1000, marks=pytest.mark.soak)], ids=["some", "thousand"]
)


@dataclass(frozen=True)
class Field:
    """Two nodes of a deployment with a kept connection to each, and who starts the races."""

    here: Deployment
    nodes: tuple[Node, Node]
    callers: tuple[Caller, Caller]
    starter: Starter

    def askers(self, slug: str = "acme") -> tuple[Asker, Asker]:
        """Be an organisation's client at both."""
        first, second = (self.here.asker(caller, slug) for caller in self.callers)
        return first, second

    def post(self, target: str, body: str, **headers: str) -> list[Any]:
        """Send one and the same request to both nodes at one moment."""
        named = {"Content-Type": FORM} | {name.replace("_", "-"): text for name, text in headers.items()}
        return self.starter.together(
            *(lambda each=caller: each.ask("POST", target, body, named) for caller in self.callers)
        )


@pytest.fixture(
    scope="module",
    params=[5, pytest.param(0, marks=pytest.mark.soak)],
    ids=["apart", "together"],
)
def field(request, store, tmp_path_factory):
    """The two nodes of this file, on each store."""
    here = deploy(tmp_path_factory.mktemp("races"), store())
    with ExitStack() as stack:
        clock = stack.enter_context(shift(here.home / "clock"))
        clock.set(timedelta(seconds=request.param))
        nodes = (stack.enter_context(here.node()), stack.enter_context(here.node(wrapper=clock.wrapper)))
        callers = [stack.enter_context(Caller(node.url)) for node in nodes]
        yield Field(here, nodes, tuple(callers), stack.enter_context(Starter(2)))


def statuses(answers):
    """Give the statuses of answers, sorted."""
    return sorted(answer.status for answer in answers)


@ROUNDS
def test_refresh_within_the_grace(field, rounds):
    """RE-02 and RT-01: one refresh token on both nodes at once gives both the same successor, never two."""
    askers = field.askers()
    token = askers[0].begin()["refresh_token"]
    for _ in range(rounds):
        answers = renewed_by_both(field, askers, token)
        assert statuses(answers) == [200, 200]
        (successor,) = {answer.json["refresh_token"] for answer in answers}
        assert successor != token
        token = successor


def renewed_by_both(field, askers, token):
    """Present a refresh token to both nodes at one moment."""
    return field.starter.together(*(partial(asker.renew, token) for asker in askers))


@ROUNDS
def test_refresh_without_grace(field, rounds):
    """RT-01 and RT-02: without a grace one node's refresh wins; the other's ends the family, winner too."""
    field.here.told("org", "set", "globex", "oauth2.refresh_grace_seconds", "0")
    askers = field.askers("globex")
    within(SECOND, lambda: all(works_once(asker) for asker in askers))
    for _ in range(rounds):
        answers = renewed_by_both(field, askers, askers[0].begin()["refresh_token"])
        assert statuses(answers) == [200, 400]
        (won,) = (answer.json for answer in answers if answer.status == 200)
        is_over(askers, won)


def works_once(asker):
    """Tell whether a refresh token that was used is good no more."""
    token = asker.begin()["refresh_token"]
    return [asker.renew(token).status for _ in range(2)] == [200, 400]


def is_over(askers, token):
    """Confirm that a family is dead on every node within a second, its newest tokens too."""
    for asker in askers:
        within(SECOND, partial(is_inactive, asker, token["access_token"]))
        assert asker.renew(token["refresh_token"]).status == 400


def is_inactive(asker, token):
    """Tell whether a token is dead."""
    return not asker.active(token)


@ROUNDS
def test_replay_after_use(field, rounds):
    """RT-02: a refresh token whose successor was used is refused on both nodes, and its family ends there."""
    askers = field.askers()
    for number in range(rounds):
        one, other = askers if number % 2 else reversed(askers)
        begun = one.begin()
        renewed = one.renew(begun["refresh_token"]).json
        latest = other.renew(renewed["refresh_token"])
        assert latest.status == 200
        assert statuses(renewed_by_both(field, askers, begun["refresh_token"])) == [400, 400]
        is_over(askers, latest.json)


@ROUNDS
def test_passcode(field, rounds):
    """PW-06 and RE-02: one step of a device is accepted by one of two nodes, once."""
    with field.here.hand() as operator:
        recruits = operator.done("recruit", f"round{rounds}-", rounds // STEPS)
    for recruit in recruits:
        device, step = pyotp.TOTP(recruit["totp_secret"]), int(time.time()) // STEP_SECONDS
        for ahead in range(STEPS):
            fields = {"api_token": recruit["api_token"], "passcode": device.generate_otp(step + ahead)}
            answers = field.post(CSP, urlencode(fields))
            assert statuses(answers) == [200, 400]
            (lost,) = (answer.json["cspErrorCode"] for answer in answers if answer.status == 400)
            assert lost == "invalid_passcode"


@ROUNDS
def test_assertion(field, rounds):
    """TE-06 and RE-02: a client's assertion is good once, whichever node sees it first."""
    signer = Signer(field.here)
    within(SECOND, lambda: all(signer.present(caller, signer.form()) == 200 for caller in field.callers))
    for _ in range(rounds):
        assert statuses(field.post(signer.path, signer.form())) == [200, 401]


@ROUNDS
def test_api_token_regenerated(field, rounds):
    """RE-02: of two operators who regenerate an API token one gets the new one, and the old one is dead."""
    with field.here.hand() as one, field.here.hand() as two:
        owners = one.done("recruit", f"regenerated{rounds}-", min(rounds, 40))
        tokens = [one.done("make_api_token", owner["organisation"], owner["email"]) for owner in owners]
        for number in range(rounds):
            place = number % len(tokens)
            status, old = tokens[place]
            verb = ("regenerate_api_token", status["credential"]["id"])
            came = field.starter.together(partial(one.does, *verb), partial(two.does, *verb))
            assert sorted(said for answer in came for said in answer) == ["done", "refused"]
            tokens[place] = next(answer["done"] for answer in came if "done" in answer)
            for caller in field.callers:
                within(SECOND, partial(is_exchanged, caller, tokens[place][1]))
                assert not is_exchanged(caller, old)


def is_exchanged(caller, api_token):
    """Tell whether an API token is good."""
    answer = caller.ask("POST", CSP, urlencode({"api_token": api_token}), {"Content-Type": FORM})
    assert answer.status in {200, 400}
    return answer.status == 200


@ROUNDS
def test_secret_reset(field, rounds):
    """RE-02: two resets of a secret both answer, one after the other, and exactly the later secret lives."""
    members = field.here.members["acme"]["sahamati"]
    login = urlencode({"username": members["username"], "password": members["password"]})
    answer = field.callers[0].ask("POST", SAHAMATI + "/user/token/generate", login, {"Content-Type": FORM})
    proof = {"Authorization": "Bearer " + answer.json["accessToken"], "Content-Type": "application/json"}
    entities = [f"RACER-{rounds}-{number}" for number in range(min(rounds, 40))]
    with field.here.hand() as operator:
        for each in entities:
            operator.done("create_entity", "acme", each, each, "AA")
            operator.done("link_entity", each, members["username"])
            operator.done("reset_entity_secret", each, None)
    for number in range(rounds):
        entity = entities[number % len(entities)]
        envelope = {"ver": "1.0.0", "timestamp": "2026-11-01T12:00:00Z", "txnId": "one"}
        body = json.dumps(envelope | {"entityId": entity})
        answers = field.post(SAHAMATI + "/entity/secret/reset", body, **proof)
        assert statuses(answers) == [200, 200]
        made = [answer.json["secret"] for answer in answers]
        read = field.callers[number % 2].ask("POST", SAHAMATI + "/entity/secret/read", body, proof)
        later = [each == read.json["secret"] for each in made]
        assert sum(later) == 1
        for caller in field.callers:
            within(SECOND, partial(opens, caller, entity, made, later))


def opens(caller, entity, secrets, wanted):
    """Tell whether of some secrets exactly the wanted ones give the entity a token."""
    forms = (urlencode({"id": entity, "secret": each}) for each in secrets)
    path, headers = SAHAMATI + "/entity/token/generate", {"Content-Type": FORM}
    return [caller.ask("POST", path, form, headers).status == 200 for form in forms] == wanted


@pytest.mark.parametrize("rounds", [6, pytest.param(100, marks=pytest.mark.soak)], ids=["some", "hundred"])
@pytest.mark.parametrize("what", ["access_token", "refresh_token"])
def test_revoked_here_seen_there(field, what, rounds):
    """RE-08 and RV-02: what one node revokes is inactive there at once, and within a second on the other."""
    askers = field.askers()
    for number in range(rounds):
        one, other = askers if number % 2 else reversed(askers)
        token = one.begin()
        assert other.active(token["access_token"])
        assert one.post("revoke", token=token[what]).status == 200
        assert not one.active(token["access_token"])
        within(SECOND, partial(is_inactive, other, token["access_token"]))


def test_lockout_is_shared(field):
    """PW-05 and RL-01: guesses at both nodes at once count together: no more are checked than at one."""
    members = field.here.members["globex"]["sahamati"]
    path = SAHAMATI + "/user/token/generate"
    guess, right = (
        urlencode({"username": members["username"], "password": password})
        for password in ("not this one", members["password"])
    )
    began = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        asked = [
            pool.submit(node.ask, "POST", path, guess, Content_Type=FORM)
            for _ in range(10)
            for node in field.nodes
        ]
        answers = [answer.result() for answer in asked]
    checked = [answer for answer in answers if answer.status == 401]
    late = [answer for answer in answers if answer.status == 429]
    assert len(checked) + len(late) == len(answers)
    assert 5 <= len(checked) <= 8  # five are free; then a second has to pass, then two, then four
    waits = [int(answer.headers["retry-after"]) for answer in late]
    assert min(waits) >= 1
    for node in field.nodes:
        answer = node.ask("POST", path, right, Content_Type=FORM)
        assert answer.status == 429 or time.monotonic() > began + max(waits) - 1  # a machine may be slow
