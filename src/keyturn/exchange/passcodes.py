"""The second factor, and the count of guesses at what people remember or read off a device (PW-05, PW-06).

A passcode is accepted once: its step, and so every step before it, is written to the device's row in the unit
that records the issuance. Two nodes that accept one passcode at once race for that row, and one of them wins.
"""

from collections.abc import Iterable
from datetime import datetime

import msgspec

from keyturn.core.addresses import subscriber
from keyturn.core.changes import Replace
from keyturn.core.errors import InvalidPasscode, PasscodeRequired, SlowDown
from keyturn.core.life import Standing
from keyturn.core.lockout import LockoutTicket, passcode_name
from keyturn.core.notices import Happening, make_notice
from keyturn.core.records import Credential, User
from keyturn.core.requests import LocatedHolder, Proof, TokenRequest
from keyturn.core.sealed_values import open_value
from keyturn.core.secret import Secret
from keyturn.core.totp import verify
from keyturn.core.views import UserView
from keyturn.core.vocabulary import CredentialKind, OwnerName, Reason, UserId
from keyturn.exchange.credentials import compare_secret
from keyturn.exchange.holders import concern_about, requires_passcode
from keyturn.exchange.locate import canonical_address, canonical_name
from keyturn.exchange.services import Services

LOCK_TOLD_SECONDS = 300
"""A lockout is told of from this wait on; shorter ones are a forgotten password."""


async def admit_guess(
    request: TokenRequest, located: LocatedHolder, services: Services, now: datetime
) -> tuple[LockoutTicket, ...]:
    """Count an attempt at a password or a passcode as failed, before it is checked.

    A passcode beside a machine's secret has a count of its own too: whoever knows the password could else
    clear the one count with it, and try passcodes for ever.

    Returns:
        What a success takes back; nothing where nothing is guessed at.

    Raises:
        SlowDown: Nothing may be checked now; the same for names that nobody has (Reason.LOCKED_OUT).
        Unavailable: It could not be counted, so nothing may be checked.
    """
    guessed = request.credential.kind is CredentialKind.PASSWORD
    if not guessed and (request.passcode is None or not _may_need_passcode(request, located)):
        return ()
    name, device = counted_name(request, located), subscriber(request.origin.address)
    names = (name,) if guessed else (name, passcode_name(name))
    try:
        return tuple([await services.lockout.admit(each, device, now) for each in names])
    except SlowDown as locked:
        locked.about = concern_about(located)
        _notice_lock(locked, name, located, services, now)
        # Whoever memory knew costs the read that an unknown one costs, as in any other refusal (TE-09).
        if located.view is not None:
            await services.registry.find_user(UserId(request.origin.request_id))
        raise


def _notice_lock(
    locked: SlowDown, name: str, located: LocatedHolder, services: Services, now: datetime
) -> None:
    """Have it told, once a day, that somebody guesses at a user for so long that the name has to wait.

    Written later by a chore: who is known must not cost more here than who is not (PW-04).
    """
    if locked.retry_after < LOCK_TOLD_SECONDS:
        return
    named = services.digester.tag(f"lockout notice:{name}".encode()).hex()[:32]
    user = _user(located)
    if user is not None:
        details = {"user": user.id, "retry_after_seconds": str(locked.retry_after)}
        notice_id = f"lockout:{named}:{now.date().isoformat()}"
        services.noticed.note(
            make_notice(notice_id, Happening.LOCKED_OUT, user.organisation_id, now, **details)
        )


def _may_need_passcode(request: TokenRequest, located: LocatedHolder) -> bool:
    """Tell whether a passcode could be due: of a secret that names itself it is known, of a name never."""
    if request.credential.named is not OwnerName.SECRET:
        return True
    return located.credential is not None and requires_passcode(located.credential, _user(located))


def _user(located: LocatedHolder) -> User | None:
    return located.view.user if isinstance(located.view, UserView) else None


def counted_name(request: TokenRequest, located: LocatedHolder) -> str:
    """Name the one count of failures that a user has, by whatever name they come (PW-03).

    A name that nobody has is counted as if somebody had it.
    """
    if isinstance(located.view, UserView):
        return f"{located.view.home.id}/{located.view.user.name}"
    owner = request.credential.owner or ""
    if request.credential.named is OwnerName.EMAIL:
        return "email/" + canonical_address(owner)
    home = f"nowhere/{request.organisation}" if located.organisation is None else located.organisation.id
    return f"{home}/{canonical_name(owner)}"


def check_passcode(
    request: TokenRequest, located: LocatedHolder, proof: Proof, services: Services, now: datetime
) -> Proof:
    """Check the second factor where one is needed; one that nobody asked for is ignored.

    Returns:
        The proof, with what the passcode's use spends.

    Raises:
        PasscodeRequired: None came.
        InvalidPasscode: It is wrong, or was accepted before.
    """
    if proof.credential is None or not requires_passcode(proof.credential, _user(located)):
        return proof
    if request.passcode is None:
        raise PasscodeRequired(Reason.PASSCODE_MISSING, "a passcode is required", about=proof.about)
    spend = _accept(request.passcode, located, services, now)
    if isinstance(spend, Reason):
        raise InvalidPasscode(spend, "the passcode is not accepted", about=proof.about)
    return msgspec.structs.replace(proof, spends=(*proof.spends, spend))


def _accept(presented: Secret, located: LocatedHolder, services: Services, now: datetime) -> Replace | Reason:
    """Find the device or the recovery code that a passcode is of, and what its use changes."""
    view = located.view
    held = view.credentials if isinstance(view, UserView) else ()
    living = [item for item in held if item.life.standing(now) is Standing.GOOD]
    replayed = False
    for device in (item for item in living if item.kind is CredentialKind.TOTP):
        seed = open_value(device, services.sealer)
        step = verify(seed, presented.reveal(), now, device.accepted_step)
        if step is not None:
            return _replace(device, accepted_step=step)
        replayed = replayed or verify(seed, presented.reveal(), now, None) is not None
    codes = [item for item in living if item.kind is CredentialKind.RECOVERY_CODE]
    code = compare_secret(presented, codes, services.digester)
    if code is not None:
        return _replace(code, life=code.life.ended(now, "used"), epoch=code.epoch + 1)
    return Reason.PASSCODE_REPLAYED if replayed else Reason.PASSCODE_WRONG


def _replace(credential: Credential, **changes: object) -> Replace:
    changed = msgspec.structs.replace(credential, **changes, version=credential.version + 1)
    return Replace(changed, credential.version)


async def forgive(tickets: Iterable[LockoutTicket], services: Services, now: datetime) -> None:
    """Take an attempt back that was counted as failed and was right.

    Raises:
        Unavailable: It could not be recorded; the attempt stays counted.
    """
    for ticket in tickets:
        await services.lockout.succeeded(ticket, now)
