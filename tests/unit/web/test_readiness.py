"""What a service manager is told."""

import socket

import pytest

from keyturn.web.readiness import tell_ready


@pytest.fixture
def manager(tmp_path):
    """A service manager's socket, and how its environment names it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.settimeout(5)
        yield listening


def test_a_service_manager_hears_that_we_serve(manager, tmp_path):
    """A manager that gave a socket in a folder gets the one word it waits for."""
    manager.bind(str(tmp_path / "notify"))
    tell_ready({"NOTIFY_SOCKET": str(tmp_path / "notify")})
    assert manager.recv(100) == b"READY=1"


def test_a_socket_without_a_file_is_reached(manager):
    """An abstract socket, which is spelled with an @, is reached as well."""
    manager.bind("\0keyturn-test-readiness")
    tell_ready({"NOTIFY_SOCKET": "@keyturn-test-readiness"})
    assert manager.recv(100) == b"READY=1"


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "/nowhere/at/all"}])
def test_nobody_to_tell_is_no_error(environ):
    """Without a manager, or with one that is gone, a server serves all the same."""
    tell_ready(environ)
