"""Catalogs, their specs, and the revisions of each."""
