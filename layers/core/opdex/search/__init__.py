"""Search: operations by what they do."""

from opdex.search.models import FoundOperation, Highlight, Ranking, SearchAnswer, SearchRequest

__all__ = ["FoundOperation", "Highlight", "Ranking", "SearchAnswer", "SearchRequest"]
