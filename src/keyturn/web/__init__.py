"""How does a request reach us over HTTP, and how does the answer leave?

What the request means it leaves to ``dialects``, and what is done about it to ``exchange`` and ``directory``.
"""

import sys

# structlog imports rich where it is installed, to draw tracebacks. Ours are plain text, and rich takes 3 MB.
if "rich" not in sys.modules:
    sys.modules["rich"] = None  # type: ignore[assignment]  # what stands for a module that is not there
    import structlog  # noqa: F401

    del sys.modules["rich"]
