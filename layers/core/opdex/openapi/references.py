"""Local references (``#/…``) within one document. Nothing is ever read from a disk or the network."""

import re
from collections.abc import Iterable
from functools import cached_property
from typing import Any
from urllib.parse import unquote

from opdex.openapi.description import Findings
from opdex.openapi.document import Node, places
from opdex.openapi.limits import Budget
from opdex.openapi.plain_text import quoted

_MISSING = object()
# A pointer may lead through a mapping that is itself a reference, whose pointer may do so again.
_MAX_DETOURS = 8
_MAX_POINTER = 10_000  # characters
_ANCHOR = re.compile(r"#[A-Za-z_][\w.-]*")


class References:
    """Resolves the references of one document; each is followed once and remembered.

    What they lead to is counted: a thousand references to a thousand parameters are a million, and there is a limit.
    """

    def __init__(self, document: Node, budget: Budget) -> None:
        self._document = document
        self._budget = budget
        self._targets: dict[str, Any] = {}
        own_address = document.get("$self")  # of OpenAPI 3.2
        self._own_address = own_address if isinstance(own_address, str) else ""

    def resolve(self, node: Any) -> Any:
        """Return what the node stands for: itself, or what its ``$ref`` leads to in the end; None for nothing.

        Fields beside the ``$ref`` win over those of a mapping that it leads to.
        """
        if not (isinstance(node, dict) and isinstance(node.get("$ref"), str)):
            return node
        target = self._follow(node["$ref"], 0)
        if target is _MISSING:
            return None
        self.count(target)
        if len(node) > 1 and isinstance(target, dict):
            return {**target, **{key: value for key, value in node.items() if key != "$ref"}}
        return target

    def count(self, container: Any) -> None:
        """Count the entries of what is about to be walked through; raise DocumentTooComplex past the limit."""
        self._budget.expand(len(container) if isinstance(container, dict | list) else 1)

    def report(self, references: Iterable[Node], findings: Findings) -> None:
        """Warn of each reference that leads out of the document, nowhere, or round in a circle."""
        broken = {reference for reference in {node["$ref"] for node in references} if self._is_broken(reference)}
        if not broken:
            return
        for node, tokens in places(self._document):
            self._budget.check_time()
            reference = node.get("$ref")
            if isinstance(reference, str) and reference in broken:
                if self._is_local(reference):
                    message = f"{quoted(reference)} leads nowhere, or only to itself."
                    findings.add("unresolved_reference", message, *tokens)
                else:
                    message = f"{quoted(reference)} is outside of this document and was not followed."
                    findings.add("external_reference", message, *tokens)

    @cached_property
    def _anchors(self) -> dict[str, Node]:
        """The schemas that have a name of their own (``$anchor``); hardly any document refers to one."""
        anchors: dict[str, Node] = {}
        for node, _ in places(self._document):
            self._budget.check_time()
            for keyword in ("$anchor", "$dynamicAnchor"):
                if isinstance(name := node.get(keyword), str):
                    anchors.setdefault(name, node)
        return anchors

    def _is_broken(self, reference: str) -> bool:
        self._budget.check_time()
        return not self._is_local(reference) or self._follow(reference, 0) is _MISSING

    def _is_local(self, reference: str) -> bool:
        return reference.removeprefix(self._own_address).startswith("#")

    def _follow(self, reference: str, detours: int) -> Any:
        """Follow a chain of references to the first thing that is none."""
        chain: dict[str, None] = {}
        target: Any = _MISSING
        while True:
            if reference in self._targets:
                target = self._targets[reference]
                break
            if reference in chain:
                break  # a circle that never reaches anything
            chain[reference] = None
            node = self._look_up(reference, detours)
            if not (isinstance(node, dict) and isinstance(node.get("$ref"), str)):
                target = node
                break
            reference = node["$ref"]
        self._targets.update(dict.fromkeys(chain, target))
        return target

    def _look_up(self, reference: str, detours: int) -> Any:
        """Return what is at a local JSON pointer, or _MISSING."""
        reference = reference.removeprefix(self._own_address)
        if reference == "#":
            return self._document
        if _ANCHOR.fullmatch(reference):
            return self._anchors.get(reference[1:], _MISSING)
        if not reference.startswith("#/") or len(reference) > _MAX_POINTER or detours > _MAX_DETOURS:
            return _MISSING
        node: Any = self._document
        for token in reference[2:].split("/"):
            if "%" in token or "~" in token:
                token = unquote(token).replace("~1", "/").replace("~0", "~")
            if isinstance(node, dict) and token not in node and isinstance(node.get("$ref"), str):
                node = self._follow(node["$ref"], detours + 1)
            if isinstance(node, dict) and token in node:
                node = node[token]
            elif isinstance(node, list) and token.isascii() and token.isdigit() and int(token[:9]) < len(node):
                node = node[int(token[:9])]
            else:
                return _MISSING
        return node
