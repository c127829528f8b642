"""How does a presented credential become a token?

Who exists it leaves to ``directory``, the words of the wire to ``dialects``, and keeping to the stores.
"""
