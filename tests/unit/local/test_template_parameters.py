"""Values from the command line against the template's own rules."""

from typing import Any

import pytest

from local.build import TEMPLATE
from local.errors import LocalRunError
from local.template import parameter_values, read_template, resolved, variable_name

template: dict[str, Any] = read_template(TEMPLATE)


def test_values_are_the_defaults_when_nothing_is_given() -> None:
    values = parameter_values(template, {})
    assert (values["Workers"], values["EmbeddingProvider"], values["EmbedTimeoutSeconds"]) == ("1", "minilm", "300")


def test_given_value_is_taken_when_the_template_allows_it() -> None:
    assert parameter_values(template, {"WORKERS": "3"})["Workers"] == "3"


@pytest.mark.parametrize("value", ["many", "-1", "1001", "1.5", "", "٣", "9" * 5000])
def test_workers_is_refused_with_its_range_when_it_is_no_such_number(value: str) -> None:
    with pytest.raises(LocalRunError, match="WORKERS takes a whole number from 0 to 1000, not"):
        parameter_values(template, {"WORKERS": value})


def test_provider_is_refused_with_the_choices_when_it_is_unknown() -> None:
    with pytest.raises(LocalRunError, match="EMBEDDING_PROVIDER takes one of minilm, ollama, not 'openai'"):
        parameter_values(template, {"EMBEDDING_PROVIDER": "openai"})


def test_url_is_refused_when_it_is_no_address() -> None:
    with pytest.raises(LocalRunError, match="EMBEDDING_URL must be an http"):
        parameter_values(template, {"EMBEDDING_URL": "localhost"})


def test_ollama_is_refused_when_it_has_no_address() -> None:
    with pytest.raises(LocalRunError, match="needs EMBEDDING_URL"):
        parameter_values(template, {"EMBEDDING_PROVIDER": "ollama"})


@pytest.mark.parametrize("model", ["", "all-MiniLM-L6-v2"])
def test_model_is_taken_when_it_is_the_embedded_one(model: str) -> None:
    assert parameter_values(template, {"EMBEDDING_MODEL": model})["EmbeddingModel"] == model


def test_model_is_refused_when_it_is_not_the_embedded_one() -> None:
    with pytest.raises(LocalRunError, match="EMBEDDING_MODEL is all-MiniLM-L6-v2 or empty where EMBEDDING_PROVIDER is"):
        parameter_values(template, {"EMBEDDING_MODEL": "nosuch"})


def test_variable_name_is_in_capitals_when_the_parameter_has_several_words() -> None:
    assert variable_name("EmbedTimeoutSeconds") == "EMBED_TIMEOUT_SECONDS"


@pytest.mark.parametrize(("value", "expected"), [({"Ref": "Workers"}, "3"), (7, "7")])
def test_property_is_resolved_when_it_is_a_reference_or_a_literal(value: object, expected: str) -> None:
    assert resolved(value, {"Workers": "3"}) == expected
