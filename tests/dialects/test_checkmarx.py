"""Checkmarx SCA: the contract of every dialect, and the vendor's contract line by line."""

from dialects.contract import DialectContract
from harness import PUBLIC_URL
from keyturn.core.vocabulary import Code, Reason
from keyturn.dialects.checkmarx import DIALECT

TOKEN = "/identity/connect/token"


class TestContract(DialectContract):
    """The whole contract, from the tables."""

    dialect = DIALECT
    owner_fact = "user.name"
    secret_fact = "user.password"
    wrong_code = Code.INVALID_GRANT
    unknown_reason = Reason.UNKNOWN_USER
    actor = "user"
    header_members = frozenset({"typ", "alg", "kid", "x5t"})

    def issuer(self, slug):
        """Give the one issuer of all tenants."""
        return PUBLIC_URL + "/identity"

    async def keys(self, here, slug):
        """Fetch the one key set of all tenants."""
        return (await here.ask("GET", "/identity/.well-known/openid-configuration/jwks")).json

    async def expected(self, here, slug):
        """Give the claims of the demo's user."""
        store = here.local.deployment.organisation_store((await here.organisation(slug)).id)
        user = await store.user_by_name("demouser")
        return {"sub": user.id, "aud": "sca_api", "scope": ["sca_api"], "client_id": "sca_resource_owner"}
