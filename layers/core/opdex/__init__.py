"""Opdex: finds API operations by what they do."""
