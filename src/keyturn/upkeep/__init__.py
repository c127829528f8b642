"""What happens without a request: rotation, cleaning, retention, checkpoints, a watch on the clock?

How a key, a row or a lease is kept it leaves to ``keys`` and ``storage``, and what an operator asks to
``directory``.
"""
