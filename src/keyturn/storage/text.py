"""Text as every database should keep it: compared byte by byte."""

from sqlalchemy import Text

TEXT = Text().with_variant(Text(collation="C"), "postgresql")
"""What a migration makes a text column of.

PostgreSQL would otherwise order and index it by the system's rules of language, which differ between machines
and change with upgrades; then an index no longer finds what is there.
"""
