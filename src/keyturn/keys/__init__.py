"""Which key signs now, which came before and which comes next, and how is a secret sealed at rest?

What is signed it leaves to ``exchange``, and the encoding of a token to ``tokens``.
"""
