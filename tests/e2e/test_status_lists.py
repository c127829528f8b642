"""Status lists of a real process that is killed while it hands out places."""

import base64
import itertools
import json
import signal
import threading
import zlib
from http.client import HTTPException
from urllib.parse import urlparse

import pytest

from e2e.nodes import Asker, deploy
from e2e.servers import Caller, within

ENOUGH = 60


def part(text, number):
    """Read a part of a JWT."""
    one = text.split(".")[number]
    return json.loads(base64.urlsafe_b64decode(one + "=" * (-len(one) % 4)))


def statuses(caller, tokens):
    """Read what the lists say of some tokens."""
    bits = {}
    found = []
    for token in tokens:
        status = part(token, 1)["status"]["status_list"]
        if status["uri"] not in bits:
            answer = caller.ask("GET", urlparse(status["uri"]).path)
            assert answer.status == 200, answer
            lst = part(answer.body.decode(), 1)["status_list"]["lst"]
            bits[status["uri"]] = zlib.decompress(base64.urlsafe_b64decode(lst + "=" * (-len(lst) % 4)))
        found.append(bits[status["uri"]][status["idx"] // 8] >> status["idx"] % 8 & 1)
    return found


@pytest.mark.soak
def test_a_killed_process_leaves_no_token_without_its_row(tmp_path):
    """RE-01: every token that was answered before a kill -9 is in a list, and dies there alone."""
    here = deploy(tmp_path, {"KEYTURN_STATUS_LISTS": "true"})
    answered = []

    def ask_on(url):
        with Caller(url) as caller:
            asker = here.asker(caller)
            try:
                for number in itertools.count():
                    token = asker.begin()["access_token"] if number % 3 else plain(asker)
                    answered.append(token)
            except (OSError, HTTPException, AssertionError):
                return  # it was killed

    with here.node() as first:
        threads = [threading.Thread(target=ask_on, args=(first.url,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        within(60, lambda: len(answered) >= ENOUGH)
        assert first.stop(signal.SIGKILL) == -signal.SIGKILL
        for thread in threads:
            thread.join()
    with here.node() as second, Caller(second.url) as caller:
        asker = here.asker(caller)
        fresh = plain(asker)
        assert statuses(caller, [*answered, fresh]) == [0] * (len(answered) + 1)
        asker.post("revoke", token=answered[0])
        within(10, lambda: statuses(caller, [*answered, fresh]) == [1] + [0] * len(answered))


def plain(asker: Asker) -> str:
    """Get an access token alone."""
    answer = asker.post("token", grant_type="client_credentials", scope="read")
    assert answer.status == 200, answer
    return answer.json["access_token"]
