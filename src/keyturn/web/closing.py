"""Close a listener so that nobody who reached it is broken: the kernel turns newcomers away first (RE-03).

Closing a listening socket resets the connections that nobody has accepted yet, and between the last accept
and the close there is always room for one more. So a filter is attached first that makes the kernel ignore
new attempts to connect (TCP's SYN), as if the packet had been lost; whoever is through already is accepted
as ever. An ignored client tries again a second later, and then finds the port closed or another server there.

Source: Linux, Documentation/networking/filter.rst; the instructions are those of classic BPF.
"""

import contextlib
import socket
import struct
import sys
from array import array

LAST_COMERS_SECONDS = 0.3
"""How long handshakes with the kernel that had begun may take to come through."""

_SO_ATTACH_FILTER = 26  # not in the socket module; the same on every architecture that Linux calls generic
_SO_DETACH_FILTER = 27
_FLAGS_AT = 13
_SYN, _ACK = 0x02, 0x10
_INSTRUCTIONS = (
    # code, jump if true, jump if false, operand
    (0x30, 0, 0, _FLAGS_AT),  # load the TCP header's byte of flags
    (0x54, 0, 0, _SYN | _ACK),  # keep these two
    (0x15, 0, 1, _SYN),  # is it SYN alone?
    (0x06, 0, 0, 0),  # then drop the packet
    (0x06, 0, 0, 0xFFFFFFFF),  # else take all of it
)


def turn_away(listener: socket.socket) -> bool:
    """Have the kernel ignore new attempts to connect; those under way go on.

    Returns:
        False where the system knows no such filter: then a connection that is made in the microseconds in
        which the listener closes is lost.
    """
    if sys.platform != "linux":
        return False
    program = array("B", b"".join(struct.pack("HBBI", *each) for each in _INSTRUCTIONS))
    address, _ = program.buffer_info()  # ctypes would tell it too, and is half a megabyte
    filter_program = struct.pack("HP", len(_INSTRUCTIONS), address)
    try:
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, filter_program)
    except OSError:
        return False
    return True


def let_in_again(listener: socket.socket) -> None:
    """Undo ``turn_away``, if it was done: whoever listens on another handle goes on."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # there is no filter
            listener.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)
