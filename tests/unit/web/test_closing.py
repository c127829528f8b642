"""A listener that closes breaks nobody who reached it."""

import contextlib
import socket
import sys
import threading

import pytest

from keyturn.web.closing import let_in_again, turn_away

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux filters a listener's packets")


@pytest.fixture
def listener():
    """Listen on a free port."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as made:
        yield made


def test_newcomers_are_ignored(listener):
    """Who comes after the filter is neither let in nor refused, as if the packet had been lost."""
    assert turn_away(listener)
    with pytest.raises(TimeoutError):
        socket.create_connection(listener.getsockname(), timeout=0.2)


def test_newcomers_are_let_in_again(listener):
    """A listener that turned newcomers away, or did not, takes them once that is undone."""
    for shut in (True, False):
        if shut:
            assert turn_away(listener)
        let_in_again(listener)
        socket.create_connection(listener.getsockname(), timeout=5).close()


def test_who_is_through_goes_on(listener):
    """A connection that was made before the filter is accepted after it, and carries data both ways."""
    with socket.create_connection(listener.getsockname(), timeout=5) as client:
        assert turn_away(listener)
        client.sendall(b"ping")
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.recv(4) == b"ping"
            accepted.sendall(b"pong")
        assert client.recv(4) == b"pong"


def test_the_port_is_closed_in_the_end(listener):
    """An ignored client that tries again finds the port closed: it is refused and not broken."""
    address = listener.getsockname()
    assert turn_away(listener)
    refused = []

    def come():
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(address, timeout=10):
            return
        refused.append(True)

    newcomer = threading.Thread(target=come)
    newcomer.start()
    listener.close()
    newcomer.join()
    assert refused == [True]


class Crowd:
    """Connect and ask again and again, from several threads, until refused."""

    def __init__(self, address):
        self.answered, self.broken = [], []
        self._address = address
        self._threads = [threading.Thread(target=self._come) for _ in range(8)]
        for each in self._threads:
            each.start()

    def join(self):
        for each in self._threads:
            each.join()

    def _come(self):
        while not self.broken:
            try:
                with socket.create_connection(self._address, timeout=10) as client:
                    client.sendall(b"x")
                    self.answered.append(client.recv(1))
            except ConnectionRefusedError:
                return
            except OSError as error:
                self.broken.append(repr(error))


def test_nobody_is_reset(listener):
    """RE-03: of many who come while the listener closes, each is answered or refused, never reset."""
    crowd = Crowd(listener.getsockname())
    shut = False
    listener.settimeout(0.3)
    with contextlib.suppress(TimeoutError):
        while True:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(connection.recv(1))
            if len(crowd.answered) > 200 and not shut:
                shut = turn_away(listener)
    listener.close()
    crowd.join()
    assert crowd.broken == []
    assert len(crowd.answered) > 200
    assert set(crowd.answered) == {b"x"}
