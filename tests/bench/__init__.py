"""Measure Keyturn beside its peers, in one run on one machine: ``make bench``.

It answers how many times a warm peer's work fits into Keyturn's; docs/performance.md says how to read it.
"""
