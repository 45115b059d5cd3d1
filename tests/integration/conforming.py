"""The API held to its own description."""

import gzip
import re
from typing import Any

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from tests.gateway import Answer, Gateway
from tests.integration.engine import document


class ConformingGateway(Gateway):
    """Fails where an answer is not what /openapi.json says of it."""

    description: dict[str, Any] | None = None

    def call(self, method: str, path: str, *arguments: Any, **named: Any) -> Answer:
        answer = super().call(method, path, *arguments, **named)
        if self.description is not None:
            schema = self._schema(method, path.partition("?")[0], answer)
            if schema is not None:
                Draft202012Validator({**schema, "components": self.description["components"]}).validate(answer.json)
        return answer

    def _schema(self, method: str, path: str, answer: Answer) -> dict[str, Any] | None:
        assert self.description is not None
        for template, item in self.description["paths"].items():
            if re.fullmatch(re.sub(r"{\w+}", "[^/]+", template), path) and method.lower() in item:
                response = item[method.lower()]["responses"][str(answer.status)]
                content = response.get("content", {}).get("application/json")
                return content["schema"] if content else None
        raise AssertionError(f"{method} {path} is not described")


def upload(gateway: Gateway, spec: str, summaries: list[str]) -> Answer:
    """Upload a document with these summaries as a spec, by its address."""
    return gateway.call(
        "PUT", f"{spec}/upload", gzip.compress(document(summaries)), headers={"Content-Type": "application/gzip"}
    )
