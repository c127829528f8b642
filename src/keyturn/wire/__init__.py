"""How do plain values become HTTP, and HTTP plain values, by table?

Which tables there are it leaves to ``dialects`` and ``admin``, and sockets to ``web``.
"""
