"""Which key signs now, which came before and which comes next, and how is a secret kept at rest?

What is signed it leaves to ``exchange``, and the encoding of a token to ``tokens``.
"""
