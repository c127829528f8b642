"""How is a token, a key set or a status list encoded and verified?

Which token may be made it leaves to ``exchange``, and where keys live to ``keys``.
"""
