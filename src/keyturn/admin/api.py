"""The admin API as one value, in the shape of a dialect; no organisation can switch it off, a setting can."""

from keyturn.admin import clients, deployment, entities, organisations, people
from keyturn.admin.ground import BASE, REFUSALS, fact_schemas
from keyturn.wire.tables import Dialect

ADMIN = Dialect(
    name="admin",
    title="Keyturn administration",
    routes=(
        *organisations.ROUTES,
        *clients.ROUTES,
        *people.USERS,
        *people.MEMBERS,
        *people.TEAMS,
        *entities.ROUTES,
        *deployment.ROUTES,
    ),
    refusals=REFUSALS,
    facts=fact_schemas(),
    prefix=f"{BASE}/",
)
