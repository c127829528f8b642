"""Which words and values does everyone share?

What is done with them it leaves to the other rooms: nothing here reads a clock, a disk or a socket.
"""
