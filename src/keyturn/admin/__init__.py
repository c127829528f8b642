"""What can be administered over HTTP, and how is it said?

Who may do it and what it does it leaves to ``exchange`` and ``directory``; here are tables only.
"""

from keyturn.admin.api import ADMIN, admin_routes

__all__ = ["ADMIN", "admin_routes"]
