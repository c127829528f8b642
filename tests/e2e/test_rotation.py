"""Signing keys that turn under load, on two nodes, as a verifier with a cache sees it."""

import re
import time
from datetime import datetime

import jwt
import pytest

from e2e.load import under_load
from e2e.servers import Caller, ask, serving, told

CACHE_SECONDS = 1
ENVIRON = {"KEYTURN_JWKS_CACHE_SECONDS": str(CACHE_SECONDS)}


class CachedKeys:
    """A verifier that asks for the key set only when its copy is as old as it may be, never for a new key."""

    def __init__(self, url):
        self._url = url
        self._until = 0.0
        self._kids = frozenset()

    def knows(self, token):
        """Tell whether a token can be verified with the copy of now."""
        if time.monotonic() >= self._until:
            began = time.monotonic()
            self._kids = {key["kid"] for key in ask(self._url).json["keys"]}
            self._until = began + CACHE_SECONDS
        return jwt.get_unverified_header(token)["kid"] in self._kids


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_every_token_verifies_while_keys_turn(tmp_path):
    """TK-14: while keys turn under load a token of either node verifies with the other's cached keys."""
    data, home = tmp_path / "data", tmp_path / "home"
    at = ("--data", str(data))
    jwks = "/o/acme/.well-known/jwks.json"
    turned = []
    tokens = []
    with (
        serving(data, home, environ=ENVIRON, warm=True) as first,
        serving(data, home, environ=ENVIRON, warm=True) as second,
    ):
        verifiers = [CachedKeys(second.url + jwks), CachedKeys(first.url + jwks)]
        client = first.client("oauth2")
        with (
            under_load(first.url, client, 2, pause=0.01) as load,
            Caller(first.url) as one,
            Caller(second.url) as two,
        ):

            def watch(seconds):
                until = time.monotonic() + seconds
                while time.monotonic() < until:
                    for caller, keys in zip((one, two), verifiers, strict=True):
                        answer = client.post(caller)
                        assert answer.status == 200
                        tokens.append(answer.json["access_token"])
                        assert keys.knows(tokens[-1]), "signed by a key that a good cache does not hold"
                    time.sleep(0.01)

            watch(0.5)
            for _ in range(2):
                answers = told(home, "keys", "rotate", "--org", "acme", *at, environ=ENVIRON)
                assert [answer["rotated"] for answer in answers] == [True]
                turned.append((answers[0]["key_id"], datetime.fromisoformat(answers[0]["active_at"])))
                watch(max(0.0, turned[-1][1].timestamp() - time.time()) + 1.5)
        assert load.broken == []
        assert set(load.statuses) == {200}
        tokens += load.tokens
        kids = list(dict.fromkeys(jwt.get_unverified_header(token)["kid"] for token in tokens))
        assert set(kids) >= {key_id for key_id, _ in turned}
        verifier = jwt.PyJWKClient(second.url + jwks)
        for token in tokens:
            claims = jwt.decode(
                token,
                verifier.get_signing_key_from_jwt(token),
                algorithms=["ES256"],
                options={"verify_aud": False},
            )
            key_id = jwt.get_unverified_header(token)["kid"]
            for turned_id, active_at in turned:
                assert key_id != turned_id or claims["iat"] >= int(active_at.timestamp())
        states = {row["key_id"]: row["state"] for row in told(home, "keys", "list", *at)}
        assert states[turned[-1][0]] == "current"


def test_a_key_set_says_how_long_it_may_be_cached(tmp_path):
    """TK-14: the max-age of a key set is what a rotation waits for before the next key signs."""
    with serving(tmp_path / "data", tmp_path / "home", environ=ENVIRON, warm=True) as node:
        answer = ask(node.url + "/o/acme/.well-known/jwks.json")
    assert re.search(r"max-age=(\d+)", answer.headers["cache-control"])[1] == str(CACHE_SECONDS)
