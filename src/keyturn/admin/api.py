"""The admin API as one value, in the shape of a dialect; no organisation can switch it off, a setting can."""

from functools import cache

from keyturn.admin import clients, deployment, entities, notices, organisations, people
from keyturn.admin.ground import REFUSALS, fact_schemas
from keyturn.core.admin_records import BASE
from keyturn.wire.compile import CompiledRoute, compile_dialect
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
        *notices.ROUTES,
    ),
    refusals=REFUSALS,
    facts=fact_schemas(),
    prefix=f"{BASE}/",
)


@cache
def admin_routes() -> tuple[CompiledRoute, ...]:
    """Compile the tables, which no deployment changes, once."""
    return compile_dialect(ADMIN, cache_seconds=0)
