"""An agent on the running system: the official client through the gateway, by both ways to begin."""

import json
import re
from typing import Any
from uuid import uuid4

import httpx
import pytest
from mcp import Client, MCPError
from mcp_types import CallToolResult

from tests.e2e.system import PROJECT, System
from tests.mcp_client import as_agent

pytestmark = pytest.mark.localstack

_LIBRARY = PROJECT / "docs" / "examples" / "library.yaml"


@pytest.mark.parametrize("mode", ["legacy", "auto"])
def test_agent_finds_and_reads_an_operation_when_it_has_a_key(running_system: dict[str, Any], mode: str) -> None:
    system = System(running_system)
    catalog = f"agents-{uuid4().hex[:6]}"

    async def act(client: Client) -> dict[str, CallToolResult]:
        listed = await client.list_tools()
        assert [tool.name for tool in listed.tools] == ["search_operations", "get_operation", "list_catalogs"]
        found = await client.call_tool("search_operations", {"query": "take a copy back", "catalog": catalog})
        best = found.structured_content["operations"][0]
        named = {name: best[name] for name in ("catalog_id", "spec_name", "operation_id")}
        return {
            "found": found,
            "read": await client.call_tool("get_operation", named),
            "catalogs": await client.call_tool("list_catalogs", {"limit": 100}),
            "wrong": await client.call_tool("search_operations", {"query": "x", "limit": 0}),
        }

    with system.http:
        system.create_catalog(catalog)
        system.upload(catalog, "library", _LIBRARY.read_bytes())
        answers = as_agent(f"{running_system['url'].rstrip('/')}/mcp", _key(running_system), act, mode)
        system.call("DELETE", f"/api-catalogs/{catalog}", 204)

    assert [name for name, answer in answers.items() if answer.is_error] == ["wrong"]
    assert "limit: " in answers["wrong"].content[0].text  # type: ignore[union-attr]
    best = answers["found"].structured_content["operations"][0]
    assert (best["method"], best["path"]) == ("POST", "/loans/{loanId}/return")
    assert answers["read"].structured_content["parameters"][0]["name"] == "loanId"
    assert catalog in {listed["id"] for listed in answers["catalogs"].structured_content["catalogs"]}


def test_agent_is_told_which_tools_there_are_when_it_calls_another(running_system: dict[str, Any]) -> None:
    async def act(client: Client) -> None:
        await client.call_tool("delete_catalog", {})

    with pytest.raises(ExceptionGroup) as raised:
        as_agent(f"{running_system['url'].rstrip('/')}/mcp", _key(running_system), act)
    assert raised.group_contains(MCPError, match="Unknown tool 'delete_catalog'; there are search_operations")


def test_agent_connects_when_its_program_is_configured_as_the_readme_says(running_system: dict[str, Any]) -> None:
    readme = (PROJECT / "README.md").read_text()
    (block,) = re.findall(r"^```json\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    said = block.replace("$URL", running_system["url"].rstrip("/")).replace("$KEY", running_system["api_key"])
    (server,) = json.loads(said)["mcpServers"].values()

    async def act(client: Client) -> list[str]:
        return [tool.name for tool in (await client.list_tools()).tools]

    assert server["type"] == "http"
    assert [name for name in as_agent(server["url"], server["headers"], act) if f"`{name}`" not in readme] == []


@pytest.mark.parametrize("key", ["", "opdex_" + "A" * 43])
def test_agent_is_refused_when_its_key_is_none(running_system: dict[str, Any], key: str) -> None:
    async def act(client: Client) -> None:
        await client.list_tools()

    headers = {"Authorization": f"Bearer {key}"} if key else {}
    with pytest.raises(ExceptionGroup):
        as_agent(f"{running_system['url'].rstrip('/')}/mcp", headers, act)


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_stream_is_not_offered_when_an_agent_asks_for_one(running_system: dict[str, Any], method: str) -> None:
    address = f"{running_system['url'].rstrip('/')}/mcp"
    answer = httpx.request(method, address, headers=_key(running_system) | {"Accept": "text/event-stream"})
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.json()["error"]["code"] == "method_not_allowed"


def _key(endpoint: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {endpoint['api_key']}"}
