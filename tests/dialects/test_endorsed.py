"""Endorsed: the contract of every dialect, from its tables."""

from dialects.contract import DialectContract
from keyturn.dialects.endorsed import DIALECT


class TestContract(DialectContract):
    """The whole contract, from the tables."""

    dialect = DIALECT
