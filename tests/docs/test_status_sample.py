"""The sample of docs/tokens.md by which an API checks a token offline."""

import contextlib
import io
import time
from pathlib import Path

import jwt
import pytest

from harness import PUBLIC_URL, deployment
from integration.renewal import demo_caller
from integration.status_reading import claims_of, named

PAGE = Path(__file__).parents[2] / "docs" / "tokens.md"


def sample(answers):
    """Run the sample's text; what it fetches comes from a dictionary."""
    _, _, rest = PAGE.read_text(encoding="utf-8").partition("```python\n")
    names = {}
    exec(compile(rest.partition("```")[0], str(PAGE), "exec"), names)  # noqa: S102  # that is what is tested
    names["urlopen"] = lambda uri: contextlib.closing(io.BytesIO(answers[uri]))
    return names


async def test_the_sample_tells_dead_from_alive():
    """RV-01: what the page shows finds a revoked token dead in a new copy, and its neighbour alive."""
    async with deployment(status_lists=True) as here:
        here.clock.advance(time.time() - 10 - here.clock.now().timestamp())  # PyJWT goes by the real one
        caller = demo_caller(here)
        texts = [(await caller.begin("read"))["access_token"] for _ in range(2)]
        uri, _ = named(texts[0])
        keys = {key.key_id: key for key in jwt.PyJWKSet.from_dict(await here.jwks()).keys}
        answers = {uri: (await here.ask("GET", uri.removeprefix(PUBLIC_URL))).body}
        names = sample(answers)
        issuer = f"{PUBLIC_URL}/o/acme"
        told = [names["is_dead"](claims_of(text), issuer, keys) for text in texts]
        assert told == [False, False]
        await caller.post("revoke", token=texts[1])
        here.clock.advance(1)
        answers[uri] = (await here.ask("GET", uri.removeprefix(PUBLIC_URL))).body
        names["kept"].clear()
        told = [names["is_dead"](claims_of(text), issuer, keys) for text in texts]
        assert told == [False, True]
        with pytest.raises(ValueError, match="somebody else"):
            names["is_dead"](claims_of(texts[0]), "https://else.example/o/acme", keys)
