"""How does an administrator's call become a verb of the directory?

Its tables it leaves to ``admin``, whether the token is good to ``exchange``, and what happens to ``directory``.
"""
