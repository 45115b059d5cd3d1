"""What the ranking is made of. Each part can be left out, to see what it is good for."""

from typing import Final, Literal

type Channel = Literal["semantic", "lexical"]
type Part = Literal["lexical", "semantic", "names", "clauses", "hint", "graph"]

PARTS: Final[tuple[Part, ...]] = ("lexical", "semantic", "names", "clauses", "hint", "graph")
