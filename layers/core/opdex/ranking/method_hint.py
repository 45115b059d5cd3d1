"""The method hint: which HTTP method a clause's verb speaks for, learnt from the scope's own operations.

ln(P(method | verb) / P(method)), where P(method | verb) = (n + 4 · P(method)) / (Σn + 4), n = the operations of that
method whose summary, description or operationId begins with the verb, and two more where the verb is of the general
kind. P(method) is the method's share of the scope.
"""

import math
import re
from collections.abc import Mapping

from opdex.ranking.clauses import first_verb
from opdex.ranking.words import stem

PRIOR, GENERAL = 4, 2
_GENERAL = {
    "get": ("GET",),
    "list": ("GET",),
    "create": ("POST",),
    "add": ("POST",),
    "update": ("PUT", "PATCH", "POST"),
    "delete": ("DELETE",),
}
_METHODS = {stem(verb): methods for verb, methods in _GENERAL.items()}
# Verbs of several words, the first of which says something else.
_PHRASAL = {
    "get rid of": "delete",
    "take down": "delete",
    "throw away": "delete",
    "call off": "cancel",
    "shut down": "stop",
    "turn off": "disable",
    "turn on": "enable",
    "set up": "create",
    "bring back": "restore",
    "look up": "get",
    "find out": "get",
}
_PHRASAL_VERB = re.compile(rf"\b(?:{'|'.join(_PHRASAL)})\b", re.IGNORECASE)
_QUESTION = re.compile(
    r"\W*(?:and\s+|then\s+)*(?:who|whose|which|what|where|when|how\s+(?:many|much|often|long)"
    r"|is|are|was|were|do|does|did|has|have)\b",
    re.IGNORECASE,
)


def verb_of(text: str) -> str | None:
    """Return the stem of the first verb of a text; of a question without one, that of "get"."""
    verb = first_verb(_PHRASAL_VERB.sub(lambda found: _PHRASAL[found[0].lower()], text))
    if verb is None and _QUESTION.match(text):
        verb = "get"
    return None if verb is None else stem(verb)


def method_hint(verb: str, begun: Mapping[str, int], methods: Mapping[str, int]) -> dict[str, float]:
    """Return the log-odds of each method. ``begun``: operations that begin with the verb; ``methods``: all of them."""
    total = sum(methods.values())
    counts = {method: begun.get(method, 0) + GENERAL * (method in _METHODS.get(verb, ())) for method in methods}
    said = sum(counts.values())
    hints = {}
    for method, count in methods.items():
        share = count / total
        hints[method] = math.log((counts[method] + PRIOR * share) / (said + PRIOR) / share) if count else 0.0
    return hints
