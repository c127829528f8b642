"""In which form a process writes what other processes of its deployment must be able to read. Pure.

Two releases may run side by side on one store (RE-04). So what one of them writes, and a caller may carry to
the other, has the older form until somebody says that no process of the older release is left: ``keyturn
upgraded``. A store that was made by the newer release never had any.

What was said lies among the sealed values: nobody without the master key can say that a release is gone.
"""

from collections.abc import Sequence
from datetime import datetime
from enum import IntEnum

from keyturn.core.errors import Fault
from keyturn.core.ports import Sealer
from keyturn.core.records import Sealed

PURPOSE = "forms"


class Form(IntEnum):
    """The forms there have been; a release that knows one reads all before it."""

    FIRST = 1
    """0.1.0: a refresh token is one number, and its successor lies sealed."""
    SPELLED = 2
    """A refresh token is spelled part by part, and its successor comes from it and a salt."""


NEWEST = max(Form)


class Forms:
    """Which form a process writes now; used on the event loop."""

    def __init__(self, written: Form = NEWEST) -> None:
        """Write one form until told otherwise."""
        self.written = written


def said(form: Form, sealer: Sealer, now: datetime) -> Sealed:
    """Give the value that says that every process reads a form."""
    name = f"forms-{form.value}"
    value = sealer.seal(PURPOSE, name, str(form.value).encode())
    return Sealed(id=name, purpose=PURPOSE, value=value, created_at=now)


def read_by_all(kept: Sequence[Sealed], sealer: Sealer) -> Form:
    """Tell which form every process reads; of one that a later release said, the newest that we know.

    Raises:
        Fault: What says so was altered, or says no form.
    """
    return max((_form_in(each, sealer) for each in kept), default=Form.FIRST)


def _form_in(kept: Sealed, sealer: Sealer) -> Form:
    clear = sealer.open(PURPOSE, kept.id, kept.value)
    try:
        return Form(min(NEWEST, int(clear)))
    except ValueError:
        raise Fault(f"the sealed value {PURPOSE}/{kept.id} names no form") from None
