"""Standard OAuth 2.0: the contract of every dialect, from its tables."""

from dialects.contract import DialectContract
from keyturn.dialects.oauth2 import DIALECT


class TestContract(DialectContract):
    """The whole contract, from the tables."""

    dialect = DIALECT
