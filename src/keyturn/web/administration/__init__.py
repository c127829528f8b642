"""How does an administrator's call become a verb of the directory?

Its tables it leaves to ``admin``, whether the token is good to ``exchange``, what happens to ``directory``.
"""
