"""Ollama, or whatever answers as it does: ``/api/embed`` with arrays, or only the older ``/api/embeddings``."""

from collections.abc import Callable, Sequence

import httpx

from opdex.embedding.contract import BatchLimits, ModelIdentity, Vector, checked
from opdex.embedding.meter import tell_tokens
from opdex.embedding.transport import Deadline, ErrorAnswer, ProviderClient
from opdex.errors import ProviderError, ProviderMisbehaved, ProviderRefused, TextRejected

DEFAULT_URL = "http://127.0.0.1:11434"
DEFAULT_MODEL = "nomic-embed-text"
# Ollama works through an array a few texts at a time, so that a longer one gains no speed and only hides progress.
ARRAY_LIMITS = BatchLimits(max_texts=32, max_characters=256_000)
# The old route takes one text: more in one call of ours would be as many of its own, and finished ones could get lost.
ONE_TEXT = BatchLimits(max_texts=1, max_characters=256_000)
KEEP_ALIVE = "30m"  # the model stays loaded over cool-downs and between two slices
SHORTEST_CUT = 200  # characters: a model that refuses even this as too long has another complaint


class OllamaEmbedder:
    """Embeds over HTTP. Which of the two routes the server has is found out once."""

    provider = "ollama"
    calls_in_flight = 5

    def __init__(
        self,
        url: str = DEFAULT_URL,
        model: str = DEFAULT_MODEL,
        query_timeout: float = 2.0,
        transport: httpx.BaseTransport | None = None,
        key: Callable[[], str] | None = None,
    ) -> None:
        self.model = model
        self._query_timeout = query_timeout
        self._client = ProviderClient(url, transport, key)
        self._takes_arrays: bool | None = None  # unknown before the first answer

    @property
    def identity(self) -> ModelIdentity:
        """Provider and model as one value."""
        return ModelIdentity(self.provider, self.model)

    @property
    def batch_limits(self) -> BatchLimits:
        """What the next call may carry: one text, once the server turned out to have the old route alone."""
        return ONE_TEXT if self._takes_arrays is False else ARRAY_LIMITS

    def embed(self, texts: Sequence[str], timeout: float) -> list[Vector]:
        """Return one vector a text, in order, all within ``timeout`` seconds. Raises ProviderError."""
        deadline = Deadline(timeout)
        try:
            return checked(self._embed(list(texts), deadline), texts) if texts else []
        except ErrorAnswer as answer:
            raise self._error(answer) from None

    def embed_queries(self, texts: Sequence[str]) -> list[Vector]:
        """Return the vector of each text of a search query within the short time-out for them. Raises ProviderError."""
        return self.embed(texts, self._query_timeout)

    def probe(self) -> None:
        """Ask the server for its models. Raises ProviderError where it is away or does not list the one configured."""
        try:
            answer = self._client.get("/api/tags", Deadline(self._query_timeout))
        except ErrorAnswer as error:
            if error.status == 404:
                return  # it is there, and merely cannot tell
            raise self._error(error) from None
        models = answer.get("models") if isinstance(answer, dict) else None
        if not isinstance(models, list):
            return
        names = {model.get("name") for model in models if isinstance(model, dict)}
        if names.isdisjoint({self.model, f"{self.model}:latest"}):
            raise ProviderRefused(f"Ollama does not have the model {self.model}: run `ollama pull {self.model}` there.")

    def close(self) -> None:
        """Close the connections to the server."""
        self._client.close()

    def _embed(self, texts: list[str], deadline: Deadline) -> list[object]:
        if self._takes_arrays is not False:
            try:
                vectors = self._embed_array(texts, deadline)
            except ErrorAnswer as answer:
                if self._takes_arrays or not _lacks_route(answer):
                    raise
            else:
                self._takes_arrays = True
                return vectors
        vectors = []
        for text in texts:
            vectors.append(self._embed_one(text, deadline))
            self._takes_arrays = False
        return vectors

    def _embed_array(self, texts: list[str], deadline: Deadline) -> list[object]:
        try:
            answer = self._post("/api/embed", {"input": texts, "truncate": True}, deadline)
        except ErrorAnswer as error:
            if len(texts) > 1 or not _too_long(error) or len(texts[0]) <= SHORTEST_CUT:
                raise
            # Some versions ignore `truncate`. Only a text sent alone is cut here: which one of several is too long
            # is not told, and all of them would be sent again.
            return self._embed_array([texts[0][: len(texts[0]) // 2]], deadline)
        tell_tokens(answer.get("prompt_eval_count") if isinstance(answer, dict) else None)
        return _list(answer, "embeddings")

    def _embed_one(self, text: str, deadline: Deadline) -> object:
        try:
            answer = self._post("/api/embeddings", {"prompt": text}, deadline)
        except ErrorAnswer as error:
            if not _too_long(error) or len(text) <= SHORTEST_CUT:
                raise
            return self._embed_one(text[: len(text) // 2], deadline)
        return _list(answer, "embedding")

    def _post(self, route: str, body: dict[str, object], deadline: Deadline) -> object:
        return self._client.post(route, {"model": self.model, **body, "keep_alive": KEEP_ALIVE}, deadline)

    def _error(self, answer: ErrorAnswer) -> ProviderError:
        if _too_long(answer):
            return TextRejected(f"Ollama refuses a text as too long: {answer.said}")
        if answer.status == 404 and _lacks_route(answer):
            return ProviderRefused(
                f"There is no Ollama at {self._client.address}: it answered 404. Check EMBEDDING_URL."
            )
        if answer.status == 404:
            return ProviderRefused(f"Ollama answered 404: {answer.said}. Run `ollama pull {self.model}` there.")
        if answer.status == 400 and _blames_model(answer):
            return ProviderRefused(f"Ollama answered 400: {answer.said}")
        return answer.as_provider_error()


def _list(answer: object, field: str) -> list[object]:
    value = answer.get(field) if isinstance(answer, dict) else None
    if not isinstance(value, list):
        raise ProviderMisbehaved(f"Ollama's answer has no `{field}`.")
    return value


def _lacks_route(answer: ErrorAnswer) -> bool:
    """Tell a server without the route from one without the model: Ollama answers 404 to both."""
    return answer.status == 405 or (answer.status == 404 and "model" not in answer.said.lower())


def _too_long(answer: ErrorAnswer) -> bool:
    said = answer.said.lower()
    return answer.status in (400, 413, 500) and "context length" in said


def _blames_model(answer: ErrorAnswer) -> bool:
    said = answer.said.lower()
    return "does not support" in said or "invalid model" in said
