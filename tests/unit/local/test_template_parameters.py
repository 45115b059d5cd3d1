"""Values from the command line against the template's own rules."""

from typing import Any

import pytest

from local.build import TEMPLATE
from local.errors import LocalRunError
from local.template import holds, parameter_values, read_template, resolved, variable_name

template: dict[str, Any] = read_template(TEMPLATE)


def _values(**given: str) -> dict[str, str]:
    return parameter_values(template, {"DATABASE_SECRET_ARN": "arn:aws:secretsmanager:::secret:any-a1B2c3", **given})


def test_values_are_the_defaults_when_nothing_is_given() -> None:
    values = _values()
    assert (values["Workers"], values["EmbeddingProvider"], values["EmbedTimeoutSeconds"]) == ("1", "minilm", "300")


def test_given_value_is_taken_when_the_template_allows_it() -> None:
    assert _values(WORKERS="3")["Workers"] == "3"


@pytest.mark.parametrize("value", ["many", "-1", "1001", "1.5", "", "٣", "9" * 5000])
def test_workers_is_refused_with_its_range_when_it_is_no_such_number(value: str) -> None:
    with pytest.raises(LocalRunError, match="WORKERS takes a whole number from 0 to 1000, not"):
        _values(WORKERS=value)


def test_provider_is_refused_with_the_choices_when_it_is_unknown() -> None:
    with pytest.raises(LocalRunError, match="EMBEDDING_PROVIDER takes one of minilm, ollama, not 'openai'"):
        _values(EMBEDDING_PROVIDER="openai")


def test_url_is_refused_when_it_is_no_address() -> None:
    with pytest.raises(LocalRunError, match="EMBEDDING_URL must be an http"):
        _values(EMBEDDING_URL="localhost")


def test_ollama_is_refused_when_it_has_no_address() -> None:
    with pytest.raises(LocalRunError, match="needs EMBEDDING_URL"):
        _values(EMBEDDING_PROVIDER="ollama")


@pytest.mark.parametrize("model", ["", "all-MiniLM-L6-v2"])
def test_model_is_taken_when_it_is_the_embedded_one(model: str) -> None:
    assert _values(EMBEDDING_MODEL=model)["EmbeddingModel"] == model


def test_model_is_refused_when_it_is_not_the_embedded_one() -> None:
    with pytest.raises(LocalRunError, match="EMBEDDING_MODEL is all-MiniLM-L6-v2 or empty where EMBEDDING_PROVIDER is"):
        _values(EMBEDDING_MODEL="nosuch")


def test_variable_name_is_in_capitals_when_the_parameter_has_several_words() -> None:
    assert variable_name("EmbedTimeoutSeconds") == "EMBED_TIMEOUT_SECONDS"


# A template that has one of each.
SMALL: dict[str, Any] = {
    "Parameters": {
        "Workers": {"Type": "Number", "Default": 1},
        "Capacity": {"Type": "Number", "AllowedValues": [0, 0.5], "Default": 0},
        "Subnets": {"Type": "CommaDelimitedList", "Default": ""},
    },
    "Rules": {
        "FewWorkersHaveOneSubnet": {
            "RuleCondition": {"Fn::Contains": [[1, 2], {"Ref": "Workers"}]},
            "Assertions": [
                {
                    "Assert": {"Fn::Not": [{"Fn::Equals": [{"Ref": "Subnets"}, "a,b"]}]},
                    "AssertDescription": "Subnets is one where Workers are few.",
                }
            ],
        }
    },
    "Conditions": {
        "IsPaused": {"Fn::Equals": [{"Ref": "Workers"}, 0]},
        "HasSubnets": {"Fn::Not": [{"Fn::Equals": [{"Fn::Join": ["", {"Ref": "Subnets"}]}, ""]}]},
        "Either": {"Fn::Or": [{"Condition": "IsPaused"}, {"Condition": "HasSubnets"}]},
        "Both": {"Fn::And": [{"Condition": "IsPaused"}, {"Condition": "HasSubnets"}]},
    },
}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"Ref": "Workers"}, "0"),
        (7, 7),
        ({"Ref": "AWS::NoValue"}, None),
        ({"Ref": "EmbedQueue"}, {"Ref": "EmbedQueue"}),
        ({"Fn::If": ["IsPaused", {"Ref": "Workers"}, 9]}, "0"),
        ({"Fn::If": ["HasSubnets", {"Ref": "Workers"}, {"Fn::If": ["IsPaused", 8, 9]}]}, 8),
    ],
)
def test_value_is_resolved_when_parameters_say_what_it_is(value: object, expected: object) -> None:
    assert resolved(value, SMALL, parameter_values(SMALL, {"WORKERS": "0"})) == expected


@pytest.mark.parametrize(
    ("workers", "subnets", "true"),
    [
        ("0", "", {"IsPaused", "Either"}),
        ("3", "a", {"HasSubnets", "Either"}),
        ("0", "a,b", {"IsPaused", "HasSubnets", "Either", "Both"}),
        ("3", "", set()),
    ],
)
def test_condition_holds_when_the_parameters_say_so(workers: str, subnets: str, true: set[str]) -> None:
    values = parameter_values(SMALL, {"WORKERS": workers, "SUBNETS": subnets})
    assert {name for name in SMALL["Conditions"] if holds({"Condition": name}, SMALL, values)} == true


@pytest.mark.parametrize(("subnets", "true"), [("", True), ("a", False), (",a", False)])
def test_list_is_empty_when_each_member_is(subnets: str, true: bool) -> None:
    values = parameter_values(SMALL, {"WORKERS": "3", "SUBNETS": subnets})
    assert holds({"Fn::EachMemberEquals": [{"Ref": "Subnets"}, ""]}, SMALL, values) is true


def test_rule_refuses_by_variable_names_when_its_condition_holds() -> None:
    with pytest.raises(LocalRunError, match="SUBNETS is one where WORKERS are few"):
        parameter_values(SMALL, {"SUBNETS": "a,b"})


def test_fraction_is_taken_when_it_is_one_of_the_allowed() -> None:
    assert parameter_values(SMALL, {"CAPACITY": "0.5"})["Capacity"] == "0.5"
    with pytest.raises(LocalRunError, match=r"CAPACITY takes one of 0, 0.5, not '0.7'"):
        parameter_values(SMALL, {"CAPACITY": "0.7"})


def test_expression_is_refused_when_it_is_none_that_templates_have() -> None:
    with pytest.raises(ValueError, match="no condition"):
        holds({"Fn::Sub": "x"}, SMALL, {})
