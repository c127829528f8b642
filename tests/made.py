"""Data folders made once in a test worker, and written out for everybody else who begins with the same.

Making tables is most of what a test of a store would do otherwise, and `keyturn init` most of what a test of
a command would. Two folders of one test have to be two deployments: the second is made for itself.
"""

import os
from collections.abc import Callable
from pathlib import Path

_MADE: dict[str, dict[str, bytes]] = {}


def made_once(name: str, folder: Path, make: Callable[[], object]) -> None:
    """Fill a folder that is not there yet as it was filled the first time.

    Args:
        name: Of what is made; the same one twice is the same content.
        make: Makes the folder and what is in it: files, which nobody has open at the end.
    """
    if name not in _MADE:
        make()
        _MADE[name] = {each.name: each.read_bytes() for each in folder.iterdir()}
        return
    folder.mkdir(mode=0o700, parents=True)
    for file, content in _MADE[name].items():
        with os.fdopen(os.open(folder / file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as made:
            made.write(content)


def with_tables(path: Path) -> Path:
    """Make a SQLite file with a store's tables and nothing in them; gives its path."""
    from keyturn.storage import migrate
    from keyturn.storage.grounds import ground_of

    def make() -> None:
        ground = ground_of(path)
        ground.make()
        engine = ground.writing_engine()
        ground.prepare(engine)
        migrate.apply(engine, ground)
        engine.dispose()

    made_once(f"tables in {path.name}", path.parent, make)
    return path
