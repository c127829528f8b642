"""Where are records kept so that what a caller was told survives a crash?

What a record means it leaves to ``core``, and every decision about one to ``exchange`` and ``directory``.
"""
