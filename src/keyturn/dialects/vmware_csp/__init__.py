"""VMware Cloud Services: an API token for an access token of 30 minutes.

    POST /csp/gateway/am/api/auth/api-tokens/authorize
    api_token=<API token>

    200 {"access_token": "<jwt>", "expires_in": 1800, "id_token": "<jwt>", "refresh_token": "<API token>",
         "scope": "ALL_PERMISSIONS openid", "token_type": "bearer"}

``expires_in`` is a number of whole seconds, as are all times here. ``refresh_token`` is the API token itself,
which goes on working: callers keep what stands there. Many still send it under its old name, some of them in
the query with an empty body. Knowledge: the vendor's pages on this exchange and on identity and access
management, and what the clients named in the contract's page send and read, checked November 2026.
"""

from keyturn.dialects.vmware_csp.around import CALLS, DETAILS, DISCOVERY, INTROSPECTION, KEYS, PUBLIC_KEY
from keyturn.dialects.vmware_csp.demo import DEMO, SAMPLES
from keyturn.dialects.vmware_csp.refusals import REFUSALS
from keyturn.dialects.vmware_csp.tokens import ACCESS, API_TOKENS, AUTHORIZE, BASE, TOKEN
from keyturn.wire.tables import (
    Dialect,
    Role,
    algorithm_setting,
    deprecated_setting,
    issuer_setting,
    lifetime_setting,
)

SETTINGS = (
    algorithm_setting(ACCESS.algorithm),
    issuer_setting(BASE),
    lifetime_setting(ACCESS.lifetime_seconds, minimum=60, maximum=ACCESS.max_lifetime_seconds),
    deprecated_setting(),
)

ROLES = (
    Role(name="csp:org_owner", title="Organization Owner"),
    Role(name="csp:org_member", title="Organization Member"),
    Role(name="csp:platform_operator", title="Platform Operator"),
)

DIALECT = Dialect(
    name="vmware-csp",
    title="VMware Cloud Services",
    routes=(
        API_TOKENS,
        AUTHORIZE,
        TOKEN,
        DETAILS,
        INTROSPECTION,
        *CALLS,
        PUBLIC_KEY,
        KEYS,
        DISCOVERY,
    ),
    refusals=REFUSALS,
    settings=SETTINGS,
    roles=ROLES,
    demo=DEMO,
    samples=SAMPLES,
    collapse_slashes=True,
)
