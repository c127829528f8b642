"""Where are records kept so that what a caller was told survives a crash?

What a record means it leaves to ``core``, and every decision about one to ``exchange`` and ``directory``.

``open_store`` opens one on disk, ``memory.MemoryStore`` is one for tests, which no server loads; both
are a ``Store``.
"""

from keyturn.storage.audit import Tail, verify_chain
from keyturn.storage.opening import open_store
from keyturn.storage.stores import Store

__all__ = ["Store", "Tail", "open_store", "verify_chain"]
