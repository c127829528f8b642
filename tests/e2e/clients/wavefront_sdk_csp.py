"""wavefront-sdk-python, unmodified, getting tokens by both of its ways.

It reads one JSON object from standard input: ``{way, given}`` with what the SDK's factory takes; it writes
what the SDK gave, whether it kept that for the next call, for how many seconds it would, and what it logged.
"""

import json
import logging
import sys
import time

from wavefront_sdk.auth.csp.token_service_factory import TokenServiceProvider


class Lines(logging.Handler):
    """Keeps what is logged."""

    def __init__(self):
        """Begin with nothing."""
        super().__init__()
        self.lines = []

    def emit(self, record):
        """Keep a line."""
        self.lines.append(record.getMessage())


heard = Lines()
logging.getLogger("wavefront_sdk").addHandler(heard)
logging.getLogger("wavefront_sdk").setLevel(logging.INFO)

wish = json.load(sys.stdin)
service = TokenServiceProvider().get(wish["way"], **wish["given"])
token = service.get_csp_access_token()
kept = token is not None and service.get_csp_access_token() == token
until = service._token_expiration_time - time.time()  # the SDK shows it nowhere else
json.dump({"token": token, "kept": kept, "kept_seconds": until, "log": heard.lines}, sys.stdout)
