"""The costs page is made from measured figures, prices and the template, and its sums are right."""

import re

import pytest

from docs.pages import prices
from docs.pages.consumption import SHARE, Measured, Stack
from docs.pages.costs import page
from local.build import PROJECT, TEMPLATE
from local.template import read_template

SECRET = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:database-a1B2c3"
template = read_template(TEMPLATE)


def _row(name: str) -> list[str]:
    (row,) = [line for line in page().splitlines() if line.startswith(f"| {name} |")]
    return [cell.strip(" *") for cell in row.split("|")[2:-1]]


def test_page_is_what_the_figures_say_when_committed() -> None:
    committed = (PROJECT / "docs" / "costs.md").read_text("utf-8")
    assert committed == page(), "The page is behind: make docs."


def test_network_costs_what_its_zones_and_hours_do_when_the_stack_has_one() -> None:
    assert _row("endpoints") == ["\N{EN DASH}", f"{4 * 730 * 0.01:.2f}", "\N{EN DASH}"]
    assert _row("NAT gateway and its address") == ["\N{EN DASH}", "\N{EN DASH}", f"{730 * (0.045 + 0.005):.2f}"]


def test_waiting_costs_by_the_seconds_a_text_when_the_provider_is_outside() -> None:
    share = Measured()[SHARE] / 100
    expected = [f"{1_000_000 * seconds / share * 0.5 * prices.LAMBDA_GB_SECOND:.2f}" for seconds in (0.05, 0.5, 3)]
    assert _row("Lambda, embedding")[1:] == expected


def test_column_comes_to_the_sum_of_its_lines_when_it_is_a_bill() -> None:
    bills = [text for text in re.split(r"\n\n", page()) if "**together**" in text]
    assert len(bills) == 3
    for bill in bills:
        lines = [line.split("|")[1:-1] for line in bill.splitlines()[2:] if "days" not in line]
        figures = [[float(re.sub(r"[^\d.]", "", cell) or 0) for cell in line[1:]] for line in lines]
        for *amounts, together in zip(*figures, strict=True):
            assert together == pytest.approx(sum(amounts), abs=0.005 * (len(amounts) + 1))


@pytest.mark.parametrize(
    ("given", "zones", "secrets", "minutes", "rules"),
    [
        ({"DatabaseSecretArn": SECRET}, 0, 1, 5, 0),
        ({"DatabaseSecretArn": SECRET, "SweepMinutes": "1440", "Waf": "true"}, 0, 1, 1440, 3),
        ({"CreateDatabase": "true"}, 4, 2, 60, 0),
        ({"CreateDatabase": "true", "BedrockEndpoint": "true"}, 6, 2, 60, 0),
        ({"CreateDatabase": "true", "Internet": "nat"}, 0, 2, 60, 0),
    ],
)
def test_stack_has_what_is_billed_when_parameters_ask_for_it(
    given: dict[str, str], zones: int, secrets: int, minutes: int, rules: int
) -> None:
    stack = Stack(template, **given)
    assert (stack.endpoint_zones(), stack.secrets(), stack.sweep_minutes(), stack.firewall_rules()) == (
        zones, secrets, minutes, rules,
    )  # fmt: skip
    assert stack.has("NatGateway") == (given.get("Internet") == "nat")


def test_alarms_are_billed_by_the_metrics_they_look_at_when_there_are_some() -> None:
    assert Stack(template, DatabaseSecretArn=SECRET, Alarms="false").alarm_metrics() == 0
    known, unknown = Stack(template, CreateDatabase="true"), Stack(template, DatabaseSecretArn=SECRET)
    assert known.alarm_metrics() == unknown.alarm_metrics() + 1  # of the database's connections
