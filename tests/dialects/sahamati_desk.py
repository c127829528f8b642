"""A member's programs and operators of Sahamati, in process, for the tests of its dialect."""

import json
from urllib.parse import urlencode

from joserfc import jwt
from joserfc.jwk import KeySet

from harness import ACTOR, basic
from keyturn.core.secret import Secret
from keyturn.core.vocabulary import EntityId
from keyturn.dialects.sahamati import DIALECT, REALM
from keyturn.directory.entities import create_entity, link_user
from keyturn.directory.passwords import set_password
from keyturn.directory.users import UserWish, create_user
from keyturn.wire.configure import role_permissions

CERTS = REALM + "/protocol/openid-connect/certs"
FORM = ("Content-Type", "application/x-www-form-urlencoded")
JSON = ("Content-Type", "application/json")
TXN = "f35761ac-4a18-11e8-96ff-0277a9fbfedc"
WORD = "violet otters juggle lanterns"
ENVELOPE = {"ver": "1.0.0", "timestamp": "2024-07-16T11:33:34.509Z", "txnId": TXN}
BASES = ("/iam/v1", "/iam", "")


class Member:
    """The demo's organisation, its user and its entities, and whoever else is needed."""

    def __init__(self, here, slug="acme"):
        self.here, self.slug = here, slug
        self.shown = here.members[slug]["sahamati"]

    # --- calls ---

    async def form(self, path, *, base="/iam/v1", headers=(FORM,), address="192.0.2.1", **fields):
        """Send a form; a field that is None is left out."""
        given = {name: value for name, value in fields.items() if value is not None}
        body = urlencode(given).encode()
        return await self.here.ask("POST", base + path, headers=headers, body=body, address=address)

    async def log_in(self, **changes):
        """Ask for a user token, of the demo's user if nothing else is said."""
        fields = {name: self.shown[name] for name in ("username", "password")}
        return await self.form("/user/token/generate", **(fields | changes))

    async def user_token(self, **changes):
        """Give a user token."""
        answer = await self.log_in(**changes)
        assert answer.status == 200, answer
        return answer.json["accessToken"]

    async def generate(self, **changes):
        """Ask for an entity token, of the demo's entity if nothing else is said."""
        fields = {"id": self.shown["entity_id"], "secret": self.shown["entity_secret"]}
        return await self.form("/entity/token/generate", **(fields | changes))

    async def entity_token(self, **changes):
        """Give an entity token."""
        answer = await self.generate(**changes)
        assert answer.status == 200, answer
        return answer.json["accessToken"]

    async def call(self, verb, token, *, base="/iam/v1", scheme="Bearer ", body=None, **changes):
        """Read or reset a secret; a member that is ``...`` is left out."""
        told = ENVELOPE | {"entityId": self.shown["entity_id"]} | changes
        told = {name: value for name, value in told.items() if value is not ...}
        headers = [JSON, *([] if token is None else [("Authorization", scheme + token)])]
        content = json.dumps(told).encode() if body is None else body
        return await self.here.ask("POST", f"{base}/entity/secret/{verb}", headers=headers, body=content)

    async def realm(self, *, headers=None, **fields):
        """Ask the realm itself for an entity token, by Basic if nothing else is said."""
        told = basic(self.shown["entity_id"], self.shown["entity_secret"])
        path = "/protocol/openid-connect/token"
        return await self.form(path, base=REALM, headers=headers or (FORM, ("Authorization", told)), **fields)

    async def claims(self, token):
        """Prove a token by the published keys, and give its claims."""
        keys = KeySet.import_key_set((await self.here.ask("GET", CERTS)).json)
        return jwt.decode(token, keys, algorithms=["RS256"]).claims

    # --- operators ---

    @property
    def store(self):
        """The organisation's rows."""
        return self.here.local.deployment.organisation_store(self.here.organisations[self.slug].id)

    @property
    def common(self):
        """What every verb takes."""
        return {"now": self.here.clock.now(), "dice": self.here.local.dice}

    async def settings(self, **tables):
        """Set what the organisation chooses."""
        await self.here.replace(await self.here.organisation(self.slug), settings=tables)

    async def user(self):
        """Read the demo's user."""
        return await self.store.user_by_name("sahamati-admin")

    async def entity(self, name="entity_id"):
        """Read an entity of the demo."""
        return await self.store.entity(EntityId(self.shown[name]))

    async def add_entity(self, entity_id, type_="AA", *users):
        """Make an entity and link users to it."""
        await create_entity(ACTOR, self.store, entity_id, entity_id, type_, **self.common)
        for user in users:
            await link_user(ACTOR, self.store, EntityId(entity_id), user.id, **self.common)

    async def add_user(self, name, *roles, verified=True):
        """Make a user with the word as password; the address is ``<name>@x.in``."""
        wish = UserWish(
            name=name,
            email=f"{name}@x.in",
            email_verified=verified,
            roles=tuple(f"sahamati:{role}" for role in roles),
        )
        known = role_permissions({"sahamati": DIALECT})
        user, _ = await create_user(ACTOR, self.store, wish, roles=known, **self.common)
        await self.set_password(user, WORD)
        return user

    async def set_password(self, user, word):
        """Give a user another password."""
        await set_password(
            ACTOR,
            self.store,
            user.id,
            Secret(word),
            dialects=("sahamati",),
            passwords=self.here.local.passwords,
            **self.common,
        )
