"""Words as the ranking knows them: stems, in order, without the words that say nothing."""

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

import Stemmer

from opdex.openapi.operation_text import CAMEL_CASE

STOP_WORDS = frozenset(
    """
    a an the of to in for and or by with on at from is are be this that it its as your you me my i can could please
    their our we us will would if into so
    """.split()  # noqa: SIM905 - read as words
)
MAX_WORD = 40  # characters
# Scripts without spaces between words, or with endings that grow on to them: Chinese, Japanese, Korean.
UNSPACED = (
    "\u3005-\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\U00020000-\U0003ffff"
)
ACCENTS = "\u0300-\u036f"

_WORD = re.compile(rf"[{UNSPACED}]|[^\W_{UNSPACED}]+")
_ACCENT = re.compile(f"[{ACCENTS}]")
_stemmer = Stemmer.Stemmer("english")


def words(text: str) -> list[str]:
    """Split a text into lower-case words: at capitals inside them, and at all that is no letter or digit.

    Accents are left out, and other forms of a letter are the letter (Unicode's NFKD). In scripts that have no spaces
    each character is a word: pairs of them, which the ranking knows too, stand for words (as in Lucene's CJKAnalyzer).
    """
    if not text.isascii():
        text = unicodedata.normalize("NFC", _ACCENT.sub("", unicodedata.normalize("NFKD", text)))
    return [word.lower() for word in _WORD.findall(CAMEL_CASE.sub(" ", text))]


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
