"""What has tables of its own in SQL, beside the records that units change."""

from keyturn.storage.ground import Ground
from keyturn.storage.reads import SqlReads
from keyturn.storage.writer import GroupWriter


class SqlErrands:
    """Writes by errands on the writer's thread, and asks the readers.

    Args:
        ground: Keeps it.
        writer: Runs errands in turn with the units of requests.
        reads: Answers questions without waiting for a turn.
    """

    def __init__(self, ground: Ground, writer: GroupWriter, reads: SqlReads) -> None:
        self._ground = ground
        self._errand = writer.errand
        self._ask = reads.ask
