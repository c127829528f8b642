"""Sahamati: the contract of every dialect, and the vendor's contract line by line."""

from dialects.contract import DialectContract
from harness import PUBLIC_URL
from keyturn.core.vocabulary import Code, EntityId, Reason
from keyturn.dialects.sahamati import DIALECT, REALM

CERTS = REALM + "/protocol/openid-connect/certs"


class Common(DialectContract):
    """What holds for users and entities."""

    dialect = DIALECT
    wrong_code = Code.INVALID_GRANT

    def issuer(self, slug):
        """Give the one issuer of all organisations."""
        return PUBLIC_URL + REALM

    async def keys(self, here, slug):
        """Fetch the one key set of all organisations."""
        return (await here.ask("GET", CERTS)).json


class TestEntities(Common):
    """The whole contract, from the tables, for entities."""

    owner_fact = "entity.id"
    secret_fact = "entity.secret"
    unknown_reason = Reason.UNKNOWN_ENTITY
    actor = "entity"
    without = ("user_token", "realm_token")

    async def expected(self, here, slug):
        """Give the claims of the demo's entity."""
        store = here.local.deployment.organisation_store((await here.organisation(slug)).id)
        entity = await store.entity(EntityId(self.members(here, slug)["entity_id"]))
        return {"sub": entity.subject, "roles": "FIU", "azp": entity.id, "entityID": entity.id}


class TestUsers(Common):
    """The whole contract, from the tables, for users."""

    owner_fact = "user.email"
    secret_fact = "user.password"
    unknown_reason = Reason.UNKNOWN_USER
    actor = "user"
    without = ("entity_token", "realm_token")
    test_golden_sample = None  # all of them run above

    async def expected(self, here, slug):
        """Give the claims of the demo's user."""
        email = self.members(here, slug)["username"]
        return {"email": email, "preferred_username": email, "aud": "token-service"}
