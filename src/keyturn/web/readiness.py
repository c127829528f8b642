"""Tell the service manager that started this process that it serves now.

The protocol is systemd's ``sd_notify``, which others speak too: a datagram to the socket that
``NOTIFY_SOCKET`` names.
"""

import socket
from collections.abc import Mapping

from keyturn.web.server import log

VARIABLE = "NOTIFY_SOCKET"


def tell_ready(environ: Mapping[str, str]) -> None:
    """Say that requests are answered; without a service manager that asked for it nothing is said.

    A socket that cannot be reached is logged, and then the service manager's own patience decides.
    """
    name = environ.get(VARIABLE)
    if not name:
        return
    address = "\0" + name[1:] if name.startswith("@") else name  # @ is how an abstract socket is spelled
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.connect(address)
            manager.sendall(b"READY=1")
    except OSError as error:
        log.warning("service_manager_not_told", error=error.strerror)
