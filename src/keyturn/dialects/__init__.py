"""Which token APIs do we speak, each in exactly its own words?

What a request leads to it leaves to ``exchange`` and ``directory``, and serving it to ``web``.
"""

from importlib import import_module
from pkgutil import iter_modules

from keyturn.wire.tables import Dialect


def load_dialects() -> dict[str, Dialect]:
    """Give every dialect there is, by name: the folder is the register.

    Raises:
        ValueError: A module's name is not its dialect's.
    """
    found: dict[str, Dialect] = {}
    for module in iter_modules(__path__, __name__ + "."):
        dialect: Dialect = import_module(module.name).DIALECT
        if dialect.name.replace("-", "_") != module.name.rpartition(".")[2]:
            message = f"{module.name} holds the dialect {dialect.name!r}"
            raise ValueError(message)
        found[dialect.name] = dialect
    return found
