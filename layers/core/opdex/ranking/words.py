"""Words as the ranking knows them: stems, in order, without the words that say nothing."""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

import Stemmer

from opdex.openapi.operation_text import words

STOP_WORDS = frozenset(
    """
    a an the of to in for and or by with on at from is are be this that it its as your you me my i can could please
    their our we us will would if into so
    """.split()  # noqa: SIM905 - read as words
)
MAX_WORD = 40  # characters

_stemmer = Stemmer.Stemmer("english")


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """Return the stem of a lower-case English word (Snowball's English stemmer; Porter, 2001)."""
    stemmed: str = _stemmer.stemWord(word[:MAX_WORD])
    return stemmed


def stems(text: str) -> list[str]:
    """Return the stems of a text's words in its order; names are split at capitals, stop words left out."""
    return [stem(word) for word in words(text) if word not in STOP_WORDS]


def bigrams(terms: Sequence[str]) -> list[str]:
    """Return each pair of neighbours as one term."""
    return [f"{first} {second}" for first, second in pairwise(terms)]


def term_key(term: str) -> int:
    """Return the 64 bits that stand for a term in a segment: two of a million alike are not to be expected."""
    return int.from_bytes(hashlib.blake2b(term.encode(), digest_size=8).digest(), "little")
