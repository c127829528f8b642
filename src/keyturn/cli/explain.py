"""``keyturn explain``: what became of a request."""

from typing import Annotated

import typer

from keyturn.cli.command import verb
from keyturn.cli.output import Answer, instant
from keyturn.cli.verbs import Verbs

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False)


@verb(app, examples=("keyturn explain REQUEST_ID",))
async def explain(
    verbs: Verbs,
    request_id: Annotated[str, typer.Argument(metavar="REQUEST_ID", help="As in the answer's x-request-id.")],
) -> Answer:
    """Say what became of a request: which check refused it, who asked, and what would make it pass.

    The caller saw only HTTP_STATUS and PUBLIC_CODE. The trail tells that you looked: it shows an address.
    """
    told = await verbs.explain(request_id)
    return {
        "request_id": told.request_id,
        "verdict": told.verdict,
        "happened": told.happened,
        "to_do": told.remedy,
        "at": instant(told.at),
        "http_status": told.status,
        "public_code": told.code,
        "reason": told.reason,
        "actor": told.actor,
        "name": told.name,
        "organisation": told.organisation,
        "organisation_id": told.organisation_id,
        "subject": told.subject,
        "address": told.address,
        "dialect": told.dialect,
        "route": told.route,
        "kind": told.kind,
        "details": {**told.details},
        "counted": [{**each} for each in told.counted],
        "rows": [*told.rows],
    }
