from typing import Any

import pytest

from opdex.openapi.base_path import read_base_path


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://api.example/v1", "/v1"), ("https://api.example/v1/", "/v1"), ("https://api.example", ""), ("/", ""),
        ("/v2", "/v2"), ("v2", "/v2"), (".", ""), ("./v2", "/v2"), ("../../v2", "/v2"),
        ("//api.example/x?y#z", "/x"), ("https://[::/x", "/x"), ("", ""),
        ("{scheme}://{host}/{version}/b", "/v3/b"), ("https://api.example/{unknown}", "/{unknown}"), (None, ""),
        ("/a//b:c//d", "/a//b:c//d"), ([], ""),
    ],
)  # fmt: skip
def test_the_base_path_is_the_path_of_the_first_server(url: Any, path: str) -> None:
    variables = {"version": {"default": "v3"}, "scheme": {"default": "https"}, "host": {"default": "h:8080"}}
    document = {"openapi": "3.0.0", "servers": [{"url": url, "variables": variables}, {"url": "/other"}]}
    assert read_base_path(document) == path


@pytest.mark.parametrize("servers", [None, [], {}, [None], [[]], 7, {"url": {}}])
def test_unusable_servers_give_none(servers: Any) -> None:
    assert read_base_path({"openapi": "3.0.0", "servers": servers}) == ""


@pytest.mark.parametrize("servers", [{"url": "https://api.example/v1"}, "https://api.example/v1", ["/v1"]])
def test_a_server_that_is_in_no_list_or_only_a_url_is_taken(servers: Any) -> None:
    assert read_base_path({"openapi": "3.0.0", "servers": servers}) == "/v1"


def test_swagger_2_has_a_base_path_of_its_own() -> None:
    assert read_base_path({"swagger": "2.0", "basePath": "/api/", "servers": [{"url": "/no"}]}) == "/api"
