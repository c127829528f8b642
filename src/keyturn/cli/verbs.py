"""What the commands ask for: one Protocol of verbs, whoever carries them out.

``local.py`` works on the data folder, ``remote.py`` over the admin API. A new verb is added here and to both:
to the remote side as a call, or, where the admin API has none, to ``remote_machine.py``, which refuses it in
words. The verbs of a noun are then written once, in the file of that name, and the noun is listed in
``root.py``, which also says whether it may go to a server.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

import msgspec

from keyturn.cli.audit_verbs import AuditVerbs
from keyturn.cli.notice_verbs import NoticeVerbs
from keyturn.cli.people_verbs import End, PeopleVerbs
from keyturn.core.admin_records import AdminToken
from keyturn.core.records import AuditRow, Client, Organisation
from keyturn.core.secret import Secret
from keyturn.core.upkeep_ports import JobRun
from keyturn.core.vocabulary import Algorithm
from keyturn.directory.audit import TrailVerdict
from keyturn.directory.clients import ClientWish
from keyturn.directory.clock import Accepted, Looked
from keyturn.directory.deletion import Deleted, Deletion, Progress
from keyturn.directory.master_key import MasterKeyStanding
from keyturn.directory.secret_status import SecretStatus
from keyturn.exchange.inspect import Knowledge
from keyturn.tokens.inspection import Sight
from keyturn.upkeep.schedule import JobState


class KeySight(msgspec.Struct, frozen=True, kw_only=True):
    """A published signing key as it is shown; ``state`` is what it is in its ring."""

    id: str
    algorithm: Algorithm
    state: str
    published_at: datetime
    active_at: datetime | None
    retires_at: datetime | None


class Ring(msgspec.Struct, frozen=True):
    """An issuer's published keys, and what people call the issuer: a slug, or a shared ring's name."""

    issuer: str
    keys: Sequence[KeySight]


class Gone(msgspec.Struct, frozen=True, kw_only=True):
    """A signing key that was withdrawn.

    Args:
        was: What it was in its ring: current, next, scheduled, or previous.
        signs_from: Until then nobody signs for the issuer; None where another key signs already.
    """

    issuer: str
    algorithm: Algorithm
    was: str
    signs_from: datetime | None


class Turned(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a rotation.

    Args:
        rotated: False where another rotation is under way or was faster; nothing was changed then.
        active_at: When the new signer takes over, or that of the other rotation.
        key_id: The new signer.
        retires_at: Until then the old signer stays published.
    """

    issuer: str
    algorithm: Algorithm
    rotated: bool
    active_at: datetime
    key_id: str | None = None
    retires_at: datetime | None = None


class Verbs(PeopleVerbs, AuditVerbs, NoticeVerbs, Protocol):
    """Everything that can be done to a deployment; each raises ``OperatorError`` where the answer is no."""

    async def create_organisation(self, slug: str, name: str) -> Organisation:
        """Make an organisation."""
        ...

    async def organisations(self) -> Sequence[Organisation]:
        """List all organisations."""
        ...

    async def organisation(self, slug: str) -> Organisation:
        """Show one organisation."""
        ...

    async def rename_organisation(self, slug: str, name: str) -> Organisation:
        """Give it another display name."""
        ...

    async def disable_organisation(self, slug: str) -> Organisation:
        """Stop issuing under it."""
        ...

    async def enable_organisation(self, slug: str) -> Organisation:
        """Issue under it again."""
        ...

    async def set_organisation(self, slug: str, setting: str, value: str | None) -> Organisation:
        """Set a dialect's setting, or go back to its default."""
        ...

    async def delete_organisation(self, slug: str, progress: Progress | None = None) -> Deleted:
        """End it and erase all it had."""
        ...

    async def deletion(self, slug: str) -> Deletion:
        """Tell how far its deletion is."""
        ...

    async def create_admin_token(
        self, slug: str | None, name: str, scopes: Sequence[str], end: End
    ) -> tuple[AdminToken, Secret]:
        """Make an admin token, of one organisation or of the whole deployment; it is told once."""
        ...

    async def admin_tokens(self) -> Sequence[AdminToken]:
        """List all admin tokens and setup tokens."""
        ...

    async def end_admin_token(self, token_id: str, why: str) -> AdminToken:
        """End an admin token for good."""
        ...

    async def make_setup_token(self) -> Secret:
        """Make the token that the first admin token is exchanged for."""
        ...

    async def create_client(self, slug: str, wish: ClientWish) -> Client:
        """Make a client in an organisation."""
        ...

    async def clients(self, slug: str) -> Sequence[Client]:
        """List an organisation's clients."""
        ...

    async def client(self, client_id: str) -> Client:
        """Show one client."""
        ...

    async def disable_client(self, client_id: str) -> Client:
        """Issue nothing more to it."""
        ...

    async def enable_client(self, client_id: str) -> Client:
        """Issue to it again."""
        ...

    async def end_client(self, client_id: str) -> Client:
        """End it for good."""
        ...

    async def change_client(self, client_id: str, changes: Mapping[str, Any]) -> Client:
        """Change what some members of a ``ClientWish`` say, and keep the others."""
        ...

    async def create_secret(self, client_id: str, name: str, end: End) -> tuple[SecretStatus, Secret]:
        """Make a client secret; it is told once."""
        ...

    async def secrets(self, client_id: str) -> Sequence[SecretStatus]:
        """List a client's secrets."""
        ...

    async def end_secret(self, credential_id: str, why: str) -> SecretStatus:
        """End a secret for good."""
        ...

    async def disable_secret(self, credential_id: str) -> SecretStatus:
        """Refuse a secret."""
        ...

    async def enable_secret(self, credential_id: str) -> SecretStatus:
        """Accept a disabled or dormant secret again."""
        ...

    async def rotate_secret(
        self, client_id: str, overlap: timedelta, name: str | None, end: End
    ) -> tuple[SecretStatus, Secret]:
        """Make the successor of a client's secret; it is told once."""
        ...

    async def finish_rotation(self, credential_id: str) -> SecretStatus:
        """End the old secret of a rotation now."""
        ...

    async def cancel_rotation(self, credential_id: str) -> SecretStatus:
        """Go back to the old secret of a rotation."""
        ...

    async def inspect(self, presented: Secret, sight: Sight) -> Knowledge | None:
        """Say what the store knows of a token or secret."""
        ...

    async def add_key(
        self, client_id: str, given: bytes, name: str, expires_at: datetime | None
    ) -> SecretStatus:
        """Register a client's public key, a JWK or PEM."""
        ...

    async def keys(self, client_id: str) -> Sequence[SecretStatus]:
        """List a client's public keys."""
        ...

    async def clear_lockout(self, slug: str, user_name: str) -> str:
        """Forget the failures of a user name, and give it in its canonical form."""
        ...

    async def rings(self, slug: str | None, shared: str | None) -> Sequence[Ring]:
        """List an organisation's signing keys, a shared ring's, or those of every issuer."""
        ...

    async def rotate(
        self, slug: str | None, shared: str | None, algorithm: Algorithm | None
    ) -> Sequence[Turned]:
        """Turn an organisation's rings, a shared one, or all; one algorithm's, or of all in use."""
        ...

    async def withdraw_key(self, key_id: str) -> Gone:
        """Take a signing key out of its key set at once; it never signs again."""
        ...

    async def master_keys(self) -> MasterKeyStanding:
        """Tell how the master keys stand."""
        ...

    async def add_master_key(self) -> str:
        """Make a master key beside those there are; give its id."""
        ...

    async def rotate_master_key(
        self, key_id: str | None, patience: timedelta, tell: Callable[[str], None]
    ) -> MasterKeyStanding:
        """Bring in another master key and seal everything again under it.

        Args:
            key_id: None for the one that was given and is not in use, or else a new one.
            patience: How long to wait for servers that do not hold it or do not use it yet.
            tell: Is told what has been done.
        """
        ...

    async def retire_master_key(self, key_id: str) -> str | None:
        """Take a master key away that nothing needs any more; give the file that it was taken from."""
        ...

    async def tail_audit(self, limit: int) -> Sequence[AuditRow]:
        """Read the newest audit rows."""
        ...

    async def verify_audit(self, noted: Mapping[int, bytes]) -> TrailVerdict:
        """Follow every audit chain and checkpoint; ``noted`` are hashes of checkpoints, by ``seq``."""
        ...

    async def audit_key(self) -> dict[str, str] | None:
        """Give the public half of the audit key, if one was ever needed."""
        ...

    async def run_upkeep(self, job: str | None) -> Mapping[str, JobRun]:
        """Run a job now, or every one."""
        ...

    async def upkeep_states(self) -> Sequence[JobState]:
        """Tell how every job stands."""
        ...

    async def clock(self) -> Looked:
        """Compare the clock with the newest time in the store."""
        ...

    async def accept_clock(self) -> Accepted:
        """Take the clock as it is: it may be behind what it was."""
        ...
