"""What alembic runs: the revisions, on the connection and inside the transaction that ``migrate`` opened.

Where nothing is to be changed it writes them as SQL.
"""

from alembic import context

attributes = context.config.attributes
if context.is_offline_mode():
    context.configure(dialect_name=attributes["dialect"])
else:
    context.configure(connection=attributes["connection"])
context.run_migrations()
