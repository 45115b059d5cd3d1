"""Documents from their URLs: over the public internet alone, within limits of size and time."""

from opdex.fetching.fetcher import Fetched, Fetcher

__all__ = ["Fetched", "Fetcher"]
