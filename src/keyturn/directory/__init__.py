"""Who exists, and what may an operator do about it?

Tokens it leaves to ``exchange``, and the commands and pages people use to ``cli`` and ``web``.
"""
