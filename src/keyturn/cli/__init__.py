"""What can be asked of Keyturn from a terminal?

Doing it is left to ``app`` and ``directory``; a command only reads arguments and prints answers.
"""
