"""How does a request reach us over HTTP, and how does the answer leave?

What the request means it leaves to ``dialects``, and what is done about it to ``exchange`` and ``directory``.
"""
