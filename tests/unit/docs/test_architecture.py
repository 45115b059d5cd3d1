"""The architecture page names every part that there is."""

import re

import pytest

from local.build import PROJECT, TEMPLATE
from local.template import read_template

PAGE = (PROJECT / "docs" / "architecture.md").read_text("utf-8")
TYPES = {"AWS::Serverless::Function", "AWS::Serverless::LayerVersion", "AWS::SQS::Queue"}
PARTS = [name for name, about in read_template(TEMPLATE)["Resources"].items() if about["Type"] in TYPES]
PACKAGES = [path.parent.name for path in sorted((PROJECT / "layers" / "core" / "opdex").glob("*/__init__.py"))]


def _tables() -> list[str]:
    sql = "\n".join(path.read_text("utf-8") for path in sorted((PROJECT / "migrations").glob("*.sql")))
    renamed = dict(re.findall(r"ALTER TABLE (\w+) RENAME TO (\w+)", sql))
    dropped = set(re.findall(r"DROP TABLE (\w+)", sql))
    return [renamed.get(name, name) for name in re.findall(r"CREATE TABLE (\w+)", sql) if name not in dropped]


@pytest.mark.parametrize("part", PARTS)
def test_part_is_named_when_the_template_deploys_it(part: str) -> None:
    assert re.search(rf"\b{part}\b", PAGE)


@pytest.mark.parametrize("package", PACKAGES)
def test_package_is_explained_when_the_product_has_it(package: str) -> None:
    assert f"| `{package}/`" in PAGE


@pytest.mark.parametrize("table", _tables())
def test_table_is_explained_when_the_schema_has_it(table: str) -> None:
    (tables,) = re.findall(r"## The tables\n(.*?)(?=\n## |\Z)", PAGE, re.DOTALL)
    assert f"`{table}`" in tables
