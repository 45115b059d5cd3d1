"""Ranking: how operations are ordered for a query. Pure: no database, no provider, no document.

What is derived from a document is built once (`segment_builder`) and read as it is (`segment`).
"""
