"""Leak reports: who is believed, what ends, what the reporter learns, and what is told to whom."""

import base64
import hashlib
import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from admin.kit import token_for
from ground import ground_of
from harness import MAIN, basic, deployment
from integration.status_reading import statuses
from keyturn.app import profiles
from keyturn.core.errors import Unavailable
from keyturn.core.notices import Happening
from keyturn.core.secret import make_secret
from keyturn.core.vocabulary import CredentialKind, Reason
from keyturn.keys.sealing import MasterKey
from keyturn.web.leaks import LEAKS_PATH, LeakReports, load_keys

KEY = ec.generate_private_key(ec.SECP256R1())
PEM = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
TRUE, FALSE = "true_positive", "false_positive"


@pytest.fixture
async def here():
    """A deployment that believes one reporter."""
    async with deployment(status_lists=True) as made:
        every = profiles(made.local.dialects).values()
        desk = made.desk
        services = desk._services
        desk._leaks = LeakReports(
            load_keys({"github-1": PEM}),
            services,
            made.local.deployment,
            every,
            made.refusals,
            made.local.sealer.key_in,
        )
        yield made


async def send(here, body, *, key_id="github-1", signature=None, key=KEY, **options):
    """Send bytes, signed as GitHub signs."""
    signed = base64.b64encode(key.sign(body, ec.ECDSA(SHA256()))).decode()
    headers = [
        ("Github-Public-Key-Identifier", key_id),
        ("Github-Public-Key-Signature", signed if signature is None else signature),
    ]
    return await here.ask("POST", LEAKS_PATH, headers=headers, body=body, **options)


async def report(here, *tokens, url="https://github.com/acme/app/blob/1/.env"):
    """Report texts, and give the labels."""
    found = [{"token": each, "type": "keyturn", "url": url, "source": "content"} for each in tokens]
    answer = await send(here, json.dumps(found).encode())
    assert answer.status == 200, answer
    hashes = [hashlib.sha256(each.encode()).hexdigest() for each in tokens]
    assert [each["token_hash"] for each in answer.json] == hashes
    assert not any(each.encode() in answer.body for each in tokens)
    return [each["label"] for each in answer.json]


async def notices(here):
    """Give the details of every notice."""
    found = await here.local.store.outbox.unspread(100)
    assert {each.kind for each in found} <= {Happening.LEAKED.value}
    return [each.details for each in found]


async def token(here, client, secret):
    """Ask for an access token; None where there is none."""
    answer = await here.ask(
        "POST",
        f"/o/{MAIN}/oauth2/token",
        headers=[
            ("Authorization", basic(client.id, secret)),
            ("Content-Type", "application/x-www-form-urlencoded"),
        ],
        body=b"grant_type=client_credentials",
    )
    return answer.json["access_token"] if answer.status == 200 else None


async def active(here, client, secret, presented):
    """Ask whether a token is active."""
    answer = await here.ask(
        "POST",
        f"/o/{MAIN}/oauth2/introspect",
        headers=[
            ("Authorization", basic(client.id, secret)),
            ("Content-Type", "application/x-www-form-urlencoded"),
        ],
        body=f"token={presented}".encode(),
    )
    assert answer.status == 200, answer
    return answer.json["active"]


async def test_a_leaked_secret_ends_with_its_tokens(here):
    """RV-04: a leaked client secret ends, its tokens die, one notice is made, and no trace of it is kept."""
    client, secret = await here.add_client(grants=("client_credentials",), scopes=("read",))
    asker, askers = await here.add_client(rights=("introspect",), grants=("client_credentials",))
    access = await token(here, client, secret)
    assert await active(here, asker, askers, access)
    stranger = make_secret(CredentialKind.CLIENT_SECRET, here.local.dice).reveal()
    url = f"https://github.com/x?{secret}&{stranger}"
    assert await report(here, secret, stranger, "kt_cs_nonsense", url=url) == [TRUE, FALSE, FALSE]
    assert await token(here, client, secret) is None
    assert not await active(here, asker, askers, access)
    [held] = await here.secrets(client.id)
    assert (held.life.ended_why, held.epoch) == ("leaked", 1)
    [told] = await notices(here)
    assert told.items() >= {"subject": held.id, "kind": "client_secret", "done": "ended"}.items()
    assert await report(here, secret) == [TRUE]
    assert len(await notices(here)) == 1
    [row] = await here.audit("credential.leaked")
    assert (row.actor, row.details["done"]) == ("reporter:github-1", "ended")
    page = await here.local.deployment.audit_page(limit=1_000)
    assert not any(each in str(opened) for opened in page.personal for each in (secret, stranger))


@pytest.mark.parametrize(("rule", "works"), [("disable", False), ("notify", True)])
async def test_the_organisation_decides(here, rule, works):
    """An organisation may have a leaked secret disabled, or only be told; it is told once either way."""
    organisation = await here.organisation()
    await here.replace(organisation, settings={**organisation.settings, "policy": {"on_leak": rule}})
    client, secret = await here.add_client(grants=("client_credentials",), scopes=("read",))
    for _ in range(2):
        assert await report(here, secret) == [TRUE]
    assert (await token(here, client, secret) is not None) is works
    [held] = await here.secrets(client.id)
    assert (held.life.disabled, held.life.ended_at) == (not works, None)
    assert [each["done"] for each in await notices(here)] == ["nothing" if works else "disabled"]


async def test_tokens_are_known_too(here):
    """A leaked access token is revoked, and a leaked admin token ends, each told once."""
    client, secret = await here.add_client(grants=("client_credentials",), scopes=("read",))
    asker, askers = await here.add_client(rights=("introspect",), grants=("client_credentials",))
    access, admin = await token(here, client, secret), await token_for(here)
    forged = access[:-8] + ("A" * 8 if not access.endswith("A" * 8) else "B" * 8)
    for _ in range(2):
        assert await report(here, access, admin, forged) == [TRUE, TRUE, FALSE]
    assert not await active(here, asker, askers, access)
    assert await statuses(here, access) == [1]
    assert await token(here, client, secret) is not None
    [held] = [each for each in await here.local.deployment.admin_tokens() if each.ended_why == "leaked"]
    assert {each["kind"] for each in await notices(here)} == {"access_token", "admin_token"}
    assert held.id in {each["subject"] for each in await notices(here)}


async def test_a_master_key_is_told_of(here):
    """The deployment's own master key is ours, and told of once; another and a mistyped one are not."""
    ground = await ground_of((), {})
    ours, other = ground.master_key.reveal(), MasterKey.generate(here.local.dice).reveal()
    for _ in range(2):
        assert await report(here, ours, other, ours[:-1] + "!", f"https://x?{ours}") == [TRUE] + [FALSE] * 3
    [told] = await notices(here)
    wanted = {"kind": "master_key", "subject": here.local.sealer.current, "done": "nothing"}
    assert told.items() >= wanted.items()
    [row] = await here.audit("credential.leaked")
    assert (row.organisation_id, row.details["done"]) == (None, "nothing")


async def test_only_known_reporters_are_believed(here):
    """Whatever is wrong with a signature gets the same bytes and is audited, and no body is looked at."""
    _, secret = await here.add_client(grants=("client_credentials",))
    body = json.dumps([{"token": secret, "type": "t", "url": "", "source": ""}]).encode()
    other = ec.generate_private_key(ec.SECP256R1())
    valid = base64.b64encode(KEY.sign(body, ec.ECDSA(SHA256()))).decode()
    answers = [
        await send(here, body, key_id="nobody"),
        await send(here, body, key=other),
        await send(here, body + b" ", signature=valid),
        await send(here, b"{not json", signature=valid),
        await send(here, body, signature="@@"),
        await here.ask("POST", LEAKS_PATH, body=body),
    ]
    assert {each.seen() for each in answers} == {answers[0].seen()}
    assert answers[0].status == 401
    assert len(await here.audit("leak_report.refused")) == len(answers)
    assert await notices(here) == []


@pytest.mark.parametrize(
    ("body", "options", "status"),
    [
        (b"{}", {}, 400),
        (b'[{"token": 1}]', {}, 400),
        (b"[" * 40 + b"]" * 40, {}, 400),
        (json.dumps([{"token": "x" * 9_000, "type": "", "url": "", "source": ""}]).encode(), {}, 400),
        (json.dumps([{"token": "x", "type": "", "url": "", "source": ""}] * 501).encode(), {}, 400),
        (b"[]", {"oversized": True}, 413),
        (b"[]", {}, 200),
        (b'[{"token": "kt_cs_x", "type": "t", "more": 1}]', {}, 200),
    ],
    ids=["object", "number", "deep", "long", "many", "oversized", "empty", "least"],
)
async def test_reports_are_bounded(here, body, options, status):
    """HT-01: what is signed is still bounded in size, depth, number and types."""
    assert (await send(here, body, **options)).status == status


async def test_a_store_that_is_away_is_asked_again(here):
    """HT-09: while nothing can be ended the reporter is told to come again, and nothing is labelled."""
    _, secret = await here.add_client(grants=("client_credentials",))
    here.store.recorder.raises = Unavailable(Reason.STORE_UNAVAILABLE)
    body = json.dumps([{"token": secret, "type": "t", "url": "", "source": ""}]).encode()
    answer = await send(here, body)
    assert (answer.status, answer.header("retry-after")) == (503, "1")
    here.store.recorder.raises = None
    here.clock.advance(1)
    assert (await send(here, body)).json[0]["label"] == TRUE


async def test_it_is_off_by_default():
    """Where no reporter is believed the path is nobody's."""
    async with deployment() as made:
        assert (await made.ask("POST", LEAKS_PATH, body=b"[]")).status == 404


async def test_every_kind_is_found(here):
    """A user key, an API token, an entity's secret and a used refresh token are ours, and end."""
    acme = here.members[MAIN]
    login = {"email": acme["mend"]["email"], "userKey": acme["mend"]["user_key"]}
    json_body = [("Content-Type", "application/json")]
    body = json.dumps(login | {"orgToken": acme["mend"]["org_token"]}).encode()
    answer = await here.ask("POST", "/api/v2.0/login", headers=json_body, body=body)
    refresh = answer.json["retVal"]["refreshToken"]
    renew = {"headers": [("wss-refresh-token", refresh)]}
    assert (await here.ask("POST", "/api/v2.0/login/accessToken", **renew)).status == 200
    here.clock.advance(3_600)
    assert await report(here, refresh) == [TRUE]
    assert [each["kind"] for each in await notices(here)] == ["refresh_token"]
    assert (await here.ask("POST", "/api/v2.0/login/accessToken", **renew)).status != 200
    others = [acme["mend"]["user_key"], acme["vmware-csp"]["api_token"], acme["sahamati"]["entity_secret"]]
    for _ in range(2):
        assert await report(here, *others, refresh) == [TRUE] * 4
    told = sorted(each["kind"] for each in await notices(here))
    assert told == ["api_token", "entity_secret", "refresh_token", "user_key"]
    answer = await here.ask("POST", "/api/v2.0/login", headers=json_body, body=body)
    assert answer.status != 200
