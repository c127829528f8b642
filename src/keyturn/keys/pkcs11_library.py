"""Initialises a PKCS#11 library for several threads (PKCS #11 v2.40 section 5.4).

python-pkcs11 initialises it for one thread, and then threads that sign at once get wrong answers. So it is
finalised and initialised again here, by the two functions that stand first in every library's list.
"""

import ctypes
from pathlib import Path

_OS_LOCKING_OK = 0x2
_OK, _NOT_INITIALIZED, _ALREADY_INITIALIZED = 0x0, 0x190, 0x191


class _Functions(ctypes.Structure):
    """The beginning of CK_FUNCTION_LIST."""

    _fields_ = (
        ("version", ctypes.c_ubyte * 2),
        ("initialize", ctypes.CFUNCTYPE(ctypes.c_ulong, ctypes.c_void_p)),
        ("finalize", ctypes.CFUNCTYPE(ctypes.c_ulong, ctypes.c_void_p)),
    )


class _Arguments(ctypes.Structure):
    """CK_C_INITIALIZE_ARGS: no mutexes of ours, the system's may be used."""

    _fields_ = (
        ("mutexes", ctypes.c_void_p * 4),
        ("flags", ctypes.c_ulong),
        ("reserved", ctypes.c_void_p),
    )


def initialise(module: Path) -> None:
    """Initialise anew, whatever state the library is in; nobody may be using it.

    Raises:
        OSError: It cannot be loaded, or says no.
    """
    library = ctypes.CDLL(str(module))
    functions = ctypes.POINTER(_Functions)()
    _require_ok(library.C_GetFunctionList(ctypes.byref(functions)), _OK)
    _require_ok(functions.contents.finalize(None), _OK, _NOT_INITIALIZED)
    arguments = _Arguments(flags=_OS_LOCKING_OK)
    _require_ok(functions.contents.initialize(ctypes.addressof(arguments)), _OK, _ALREADY_INITIALIZED)


def _require_ok(code: int, *good: int) -> None:
    if code not in good:
        raise OSError(f"the PKCS#11 library answers 0x{code:x}")
