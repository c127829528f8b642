"""Log lines are plain text or JSON, and a server loads nothing to paint them."""

import importlib.util
import subprocess
import sys
import textwrap
from pathlib import Path

import keyturn


def test_a_server_does_not_load_rich():
    """A process that serves never imports rich, although it is installed, and logs a fault as plain text."""
    assert importlib.util.find_spec("rich") is not None
    code = """
        import sys
        from keyturn.web.logs import configure_logging
        import structlog
        configure_logging("text", "info")
        try:
            1 / 0
        except ZeroDivisionError as fault:
            structlog.get_logger("keyturn.desk").error("fault", exc_info=fault)
        print("rich" in sys.modules)
    """
    paths = [str(Path(keyturn.__file__).parents[1]), *sys.path]
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={"PYTHONPATH": ":".join(filter(None, paths))},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False"
    assert "Traceback (most recent call last):" in done.stderr
    assert "ZeroDivisionError: division by zero" in done.stderr
