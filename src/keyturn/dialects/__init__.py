"""Which token APIs do we speak, each in exactly its own words?

What a request leads to it leaves to ``exchange`` and ``directory``, and serving it to ``web``.
"""
