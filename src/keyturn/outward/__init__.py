"""Edge: how does a notice leave the house, by webhook or mail, without our being led anywhere else (HT-10)?

Who is told what, when it is tried again and when it is given up it leaves to ``directory`` and ``upkeep``.
"""

from keyturn.outward.sender import MailServer, OutwardSender

__all__ = ["MailServer", "OutwardSender"]
