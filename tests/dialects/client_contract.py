"""What holds for a dialect whose callers are clients with secrets, beyond the contract of every dialect."""

import json
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from dialects.contract import DialectContract, at, shown
from harness import ACTOR, Deployment, deployment
from keyturn.core.life import Life, State
from keyturn.core.limits import Rate
from keyturn.core.vocabulary import Code, Reason
from keyturn.directory.clients import disable_client, end_client
from keyturn.directory.credentials import disable_credential, end_credential
from keyturn.directory.organisations import disable_organisation
from keyturn.seeding import MAIN, OTHER
from keyturn.wire.tables import JSON


class ClientContract(DialectContract):
    """Everything that holds for a client and its secrets, whatever the wire format."""

    def store_of(self, here: Deployment, client):
        """Give the store of a client's organisation."""
        return here.local.deployment.organisation_store(client.organisation_id)

    async def test_client_ceiling(self, here, route):
        """A client's own ceiling shortens its tokens, and wire and claims say so alike."""
        await here.replace(await self.client_of(here), max_lifetime_seconds=7)
        answer = await self.good(here, route).send(here)
        claims = await self.claims(here, route, answer)
        assert claims["exp"] - claims["iat"] == 7
        for member in shown(route.answer.shape, "lifetime"):
            assert int(at(answer.json, member.path)) == 7

    async def test_two_live_secrets(self, here, route):
        """TE-05: two live secrets work side by side, and ending one leaves the other."""
        client = await self.client_of(here)
        first = (await here.secrets(client.id))[0]
        await here.import_secret(client.id, "another-secret")
        for who in ({}, {"secret": "another-secret"}):
            assert (await self.good(here, route, **who).send(here)).status == route.answer.status
        await end_credential(ACTOR, self.store_of(here, client), first.id, "test", **self.common(here))
        await self.check_refused(here, self.good(here, route), Code.INVALID_CLIENT, Reason.SECRET_ENDED)
        assert (
            await self.good(here, route, secret="another-secret").send(here)
        ).status == route.answer.status

    async def test_wrong_secret(self, here, route):
        """TE-09: an unknown client and a wrong secret are answered alike, to the byte."""
        right = self.members(here)[self.place_of("client.secret")]
        for wrong in ("wrong", right[:-1], right + "x", right.swapcase(), " " + right, right + " "):
            await self.one_face(here, route, self.good(here, route, secret=wrong), Reason.WRONG_SECRET)

    @pytest.mark.parametrize("owner", ["no-uuid", "0", "a" * 5000, "' OR 1=1 --", "../../etc", "%", "é"])
    async def test_odd_client_id(self, here, route, owner):
        """TE-09: a client id of any spelling that is nobody's is answered like a wrong secret."""
        asked = self.good(here, route, owner=owner)
        if asked.media == JSON:
            body = json.loads(self.good(here, route).body)
            known = self.members(here)[self.place_of("client.id")]
            asked = asked.but(
                body=json.dumps({k: owner if v == known else v for k, v in body.items()}).encode()
            )
        await self.one_face(here, route, asked, Reason.UNKNOWN_CLIENT)

    async def test_disabled_client(self, here, route):
        """TE-10: a disabled client is answered like a wrong secret, and works again once enabled."""
        client = await self.client_of(here)
        await disable_client(ACTOR, self.store_of(here, client), client.id, **self.common(here))
        await self.one_face(here, route, self.good(here, route), Reason.CLIENT_DISABLED)
        await here.replace(await self.client_of(here), disabled=False)
        assert (await self.good(here, route).send(here)).status == route.answer.status

    async def test_ended_client(self, here, route):
        """TE-10: an ended client is answered like a wrong secret."""
        client = await self.client_of(here)
        await end_client(ACTOR, self.store_of(here, client), client.id, **self.common(here))
        await self.one_face(here, route, self.good(here, route), Reason.CLIENT_DISABLED)

    async def test_disabled_organisation(self, here, route):
        """TE-10: a disabled or ended organisation's client is answered like a wrong secret, others go on."""
        await disable_organisation(ACTOR, here.local.deployment, MAIN, **self.common(here))
        await self.one_face(here, route, self.good(here, route), Reason.ORGANISATION_ENDED)
        await here.replace(await here.organisation(), disabled=False, ended_at=here.clock.now())
        await self.one_face(here, route, self.good(here, route), Reason.ORGANISATION_ENDED)
        assert (await self.good(here, route, slug=OTHER).send(here)).status == route.answer.status

    async def test_ended_secret(self, here, route):
        """TE-10: an ended secret is answered like a wrong one."""
        client = await self.client_of(here)
        (secret,) = await here.secrets(client.id)
        await end_credential(ACTOR, self.store_of(here, client), secret.id, "test", **self.common(here))
        await self.one_face(here, route, self.good(here, route), Reason.SECRET_ENDED)

    async def test_disabled_secret(self, here, route):
        """TE-10: a disabled secret is answered like a wrong one."""
        client = await self.client_of(here)
        (secret,) = await here.secrets(client.id)
        await disable_credential(ACTOR, self.store_of(here, client), secret.id, **self.common(here))
        await self.one_face(here, route, self.good(here, route), Reason.SECRET_DISABLED)

    async def test_expired_secret(self, here, route):
        """TK-09: a secret is refused from the instant of its expiry on, without any job."""
        client, now = await self.client_of(here), here.clock.now()
        await here.import_secret(
            client.id, "soon", life=Life(created_at=now, expires_at=now + timedelta(seconds=5))
        )
        here.clock.advance(4.999)
        assert (await self.good(here, route, secret="soon").send(here)).status == route.answer.status
        here.clock.advance(0.001)
        await self.one_face(here, route, self.good(here, route, secret="soon"), Reason.SECRET_EXPIRED)

    async def test_pending_secret(self, here, route):
        """TE-10: a secret that is not active yet is answered like a wrong one."""
        client = await self.client_of(here)
        life = Life(created_at=here.clock.now(), state=State.PENDING)
        await here.import_secret(client.id, "pending", life=life)
        await self.one_face(here, route, self.good(here, route, secret="pending"), Reason.SECRET_PENDING)

    async def test_client_of_another_dialect(self, here, route):
        """TE-10: a client or a secret of another dialect is answered like a wrong secret."""
        other = next(name for name in here.local.dialects if name != self.dialect.name)
        client, secret = await here.add_client(dialects=(other,), scopes=self.dialect.demo.fixtures[0].scopes)
        await self.one_face(
            here, route, self.good(here, route, owner=client.id, secret=secret), Reason.WRONG_DIALECT
        )
        ours = await self.client_of(here)
        await here.import_secret(ours.id, "elsewhere", dialects=(other,))
        await self.one_face(here, route, self.good(here, route, secret="elsewhere"), Reason.WRONG_DIALECT)

    async def test_client_of_another_organisation(self, here, route):
        """TN-01: a path that names another organisation than the client's is answered like a wrong secret."""
        if "{organisation}" in route.path:
            for path in (MAIN, "no-such-organisation", "ACME"):
                asked = self.good(here, route, slug=OTHER, path=path)
                await self.one_face(here, route, asked, Reason.UNKNOWN_CLIENT)
        else:
            theirs = self.members(here, OTHER)[self.place_of("client.secret")]
            await self.one_face(here, route, self.good(here, route, secret=theirs), Reason.WRONG_SECRET)

    async def test_grant_not_allowed(self, here, route):
        """TE-07: a genuine client without the grant is told so in the dialect's envelope."""
        await here.replace(await self.client_of(here), grants=())
        await self.check_refused(
            here, self.good(here, route), Code.UNAUTHORIZED_CLIENT, Reason.GRANT_NOT_ALLOWED
        )

    @pytest.mark.parametrize("kind", ["client", "organisation"])
    async def test_rate_limit(self, route, kind):
        """RL-01: over a limit the answer is 429 with Retry-After, and passes by itself."""
        async with deployment(self.dialect, rates={kind: Rate(per_minute=20, burst=2)}) as here:
            for _ in range(2):
                assert (await self.good(here, route).send(here)).status == route.answer.status
            answer = await self.check_refused(here, self.good(here, route), Code.SLOW_DOWN, Reason.RATE_LIMIT)
            assert answer.status == 429
            wait = int(answer.header("retry-after") or "0")
            assert wait == 3
            wrong = self.good(here, route, secret="wrong")
            # Strangers neither use up a client's limit nor learn by it that there is such a client.
            await self.check_refused(here, wrong, Code.INVALID_CLIENT)
            here.clock.advance(wait)
            assert (await self.good(here, route).send(here)).status == route.answer.status

    async def test_limits_are_apart(self, route):
        """TN-04: one client over its limit slows no other."""
        async with deployment(self.dialect, rates={"client": Rate(per_minute=1, burst=1)}) as here:
            assert (await self.good(here, route).send(here)).status == route.answer.status
            assert (await self.good(here, route).send(here)).status == 429
            assert (await self.good(here, route, slug=OTHER).send(here)).status == route.answer.status

    async def test_fault_of_the_digester(self, here, route):
        """HT-08: a fault while a secret is checked shows a generic body and nothing of itself."""
        here.local.digester.raises = RuntimeError("select secret")
        with capture_logs() as lines:
            answer = await self.good(here, route).send(here)
        assert [line["fault"] for line in lines] == ["RuntimeError"]
        self.check_refusal(answer, Code.SERVER_ERROR)
        here.local.digester.raises = None
        assert (await self.good(here, route).send(here)).status == route.answer.status
