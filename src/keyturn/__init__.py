"""Turn long-lived keys into short-lived access tokens, in the wire format the caller already speaks.

Each folder here is a room that answers one question; the first sentence of its docstring says which.
"""

__version__ = "0.1.0"

__all__ = ["__version__"]
