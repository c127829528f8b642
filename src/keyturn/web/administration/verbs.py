"""Every administrator's verb by the name of its operation; the tables of ``admin`` name them."""

from keyturn.web.administration import (
    clients,
    deployment,
    entities,
    found,
    members,
    notices,
    organisations,
    people,
    teams,
    trail,
)
from keyturn.web.administration.ground import AdminVerb

ADMIN_VERBS: dict[str, AdminVerb] = {
    **organisations.VERBS,
    **clients.VERBS,
    **people.VERBS,
    **members.VERBS,
    **teams.VERBS,
    **entities.VERBS,
    **deployment.VERBS,
    **found.VERBS,
    **notices.VERBS,
    **trail.VERBS,
}
