"""Search: operations by what they do."""

from opdex.search.models import Channel, FoundOperation, Ranking, SearchAnswer, SearchRequest
from opdex.search.search import search

__all__ = ["Channel", "FoundOperation", "Ranking", "SearchAnswer", "SearchRequest", "search"]
