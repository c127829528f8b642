"""``keyturn user``: people, their passwords, e-mail addresses and second factors.

Secrets come by a prompt or standard input, never as an argument; what is made is printed once (AD-04).
"""

from typing import Annotated, Any

import typer

from keyturn.cli.command import noun, verb
from keyturn.cli.output import Answer, Row, instant
from keyturn.cli.prompt import Yes, ask_secret, require_yes
from keyturn.cli.secret import COLUMNS as SECRET_COLUMNS
from keyturn.cli.secret import shown as shown_secret
from keyturn.cli.verbs import Verbs
from keyturn.core.errors import OperatorError
from keyturn.core.records import User
from keyturn.directory.users import UserWish

app = noun(
    "Users: people who are at home in an organisation.",
    "keyturn user create acme jon --email jon@mail.example --verified",
    "keyturn user password acme/jon",
    "keyturn user totp enrol acme/jon",
)
totp = noun(
    "A user's second factor: an authenticator app.",
    "keyturn user totp enrol acme/jon",
    "keyturn user totp confirm acme/jon",
)
app.add_typer(totp, name="totp")

Slug = Annotated[str, typer.Argument(help="The organisation's slug.")]
Named = Annotated[
    str, typer.Argument(metavar="USER", help="The user's id, e-mail address, or SLUG/USERNAME.")
]
Roles = Annotated[list[str], typer.Option("--role", help="A role, as DIALECT:ROLE; repeatable.")]
Teams = Annotated[list[str], typer.Option("--team", help="A team's path, as /Root/Left, or id; repeatable.")]


COLUMNS = (
    "user_id name display_name service email email_verified_at given_name family_name mfa_required"
    " disabled created_at ended_at"
)
"""What ``shown`` gives."""


def shown(user: User) -> Row:
    """Give what is shown of a user."""
    return {
        "user_id": user.id,
        "name": user.name,
        "display_name": user.display_name,
        "service": user.service,
        "email": user.email,
        "email_verified_at": instant(user.email_verified_at),
        "given_name": user.given_name,
        "family_name": user.family_name,
        "mfa_required": user.mfa_required,
        "disabled": user.disabled,
        "created_at": instant(user.created_at),
        "ended_at": instant(user.ended_at),
    }


@verb(app)
async def create(
    verbs: Verbs,
    slug: Slug,
    name: Annotated[str, typer.Argument(help="The user name; letter case does not count.")],
    email: Annotated[str | None, typer.Option(help="The e-mail address, unique in the deployment.")] = None,
    verified: Annotated[bool, typer.Option("--verified", help="The address is theirs: your word.")] = False,
    display_name: Annotated[str, typer.Option(help="As it is shown; the user name if not given.")] = "",
    given_name: Annotated[str, typer.Option(help="The given name.")] = "",
    family_name: Annotated[str, typer.Option(help="The family name.")] = "",
    mfa: Annotated[bool, typer.Option("--mfa", help="No way in without a second factor.")] = False,
    role: Roles = [],  # noqa: B006  # typer copies
    team: Teams = [],  # noqa: B006  # the same
) -> Answer:
    """Make a user at home in an organisation, and a member of it; next: keyturn user password USER."""
    wish = UserWish(
        name=name,
        email=email,
        email_verified=verified,
        display_name=display_name,
        given_name=given_name,
        family_name=family_name,
        mfa_required=mfa,
        roles=tuple(role),
        teams=tuple(team),
    )
    return shown(await verbs.create_user(slug, wish))


@verb(app, columns=COLUMNS)
async def list(verbs: Verbs, slug: Slug) -> Answer:  # noqa: A001  # the command's name
    """List the people at home in an organisation, oldest first."""
    return [shown(each) for each in await verbs.users(slug) if not each.service]


@verb(app)
async def show(verbs: Verbs, user: Named) -> Answer:
    """Show one user."""
    return shown(await verbs.user(user))


@verb(app)
async def change(
    verbs: Verbs,
    user: Named,
    email: Annotated[
        str | None, typer.Option(help="Another address, still to be proved; '' for none.")
    ] = None,
    display_name: Annotated[str | None, typer.Option(help="As it is shown.")] = None,
    given_name: Annotated[str | None, typer.Option(help="The given name.")] = None,
    family_name: Annotated[str | None, typer.Option(help="The family name.")] = None,
    mfa: Annotated[bool | None, typer.Option("--mfa/--no-mfa", help="Whether MFA is required.")] = None,
) -> Answer:
    """Change what is given and keep the rest."""
    given: dict[str, Any] = {
        "email": email,
        "display_name": display_name,
        "given_name": given_name,
        "family_name": family_name,
        "mfa_required": mfa,
    }
    changes = {name: value for name, value in given.items() if value is not None}
    if not changes:
        raise OperatorError("say what to change; keyturn user change --help lists it")
    return shown(await verbs.change_user(user, changes))


@verb(app)
async def disable(verbs: Verbs, user: Named) -> Answer:
    """Issue nothing more to a user, in any organisation; their tokens are dead at once."""
    return shown(await verbs.disable_user(user))


@verb(app)
async def enable(verbs: Verbs, user: Named) -> Answer:
    """Issue to a user again."""
    return shown(await verbs.enable_user(user))


@verb(app)
async def end(verbs: Verbs, user: Named, yes: Yes = False) -> Answer:  # a flag
    """End a user for good, with all credentials, tokens and memberships; the name stays taken."""
    found = await verbs.user(user)
    require_yes(f"User {found.name!r} ends with all credentials, tokens and memberships.", yes)
    return shown(await verbs.end_user(user))


@verb(app)
async def logout(verbs: Verbs, user: Named) -> Answer:
    """End every access and refresh token of a user, everywhere; credentials stay good."""
    return shown(await verbs.log_out_user(user))


@verb(app)
async def password(verbs: Verbs, user: Named) -> Answer:
    """Set a password, from a prompt or standard input; the one before and the user's tokens are dead."""
    return shown_secret(await verbs.set_password(user, ask_secret("New password", twice=True)), "user_id")


@verb(app)
async def email_code(verbs: Verbs, user: Named) -> Answer:
    """Make the code that proves a user's address, good once, for a day: send it there only."""
    found = await verbs.user(user)
    code = await verbs.email_code(user)
    return {"email": found.email, "code": code.reveal(), "confirm_with": "keyturn user confirm-email"}


@verb(app)
async def confirm_email(verbs: Verbs) -> Answer:
    """Confirm an address by its code, from a prompt or standard input."""
    return shown(await verbs.confirm_email(ask_secret("Code")))


@verb(totp)
async def enrol(
    verbs: Verbs, user: Named, name: Annotated[str, typer.Option(help="What people call it.")] = "device"
) -> Answer:
    """Make a device and print what its app must be told, this once; next: keyturn user totp confirm USER."""
    made = await verbs.enrol_totp(user, name)
    return {"id": made.device.id, "seed": made.seed.reveal(), "uri": made.uri.reveal()}


@verb(totp)
async def confirm(verbs: Verbs, user: Named) -> Answer:
    """Take the device into use by a code of it; recovery codes are printed, this once."""
    device, codes = await verbs.confirm_totp(user, ask_secret("Code of the device"))
    return {**shown_secret(device, "user_id"), "recovery_codes": [code.reveal() for code in codes]}


@verb(totp, columns=SECRET_COLUMNS.replace("client_id", "user_id"))
async def devices(verbs: Verbs, user: Named) -> Answer:
    """List a user's devices, oldest first."""
    return [shown_secret(each, "user_id") for each in await verbs.totp_devices(user)]


@verb(totp)
async def recovery(verbs: Verbs, user: Named) -> Answer:
    """Make recovery codes in place of those there are, and print them, this once."""
    return {"recovery_codes": [code.reveal() for code in await verbs.renew_recovery_codes(user)]}


@verb(totp)
async def remove(verbs: Verbs, user: Named) -> Answer:
    """End a user's device and recovery codes."""
    return shown_secret(await verbs.remove_totp(user), "user_id")
