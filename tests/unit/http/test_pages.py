import re
from base64 import b64encode
from hashlib import sha256
from importlib.resources import files

import pytest

from tests.gateway import Gateway


def hashed(source: str) -> str:
    return f"'sha256-{b64encode(sha256(source.encode()).digest()).decode()}'"


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_page_runs_only_what_its_policy_names(gateway: Gateway, path: str) -> None:
    answer = gateway.call("GET", path, key=None)
    html, policy = answer.body.decode(), answer.headers["content-security-policy"]
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    scripts = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    assert len(scripts) == 1
    assert hashed(scripts[0]) in policy
    assert "default-src 'none'" in policy
    assert "'unsafe-eval'" not in policy


def test_portal_is_one_file_with_nothing_from_elsewhere(gateway: Gateway) -> None:
    html = gateway.call("GET", "/", key=None).body.decode()
    (style,) = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    assert hashed(style) in gateway.call("GET", "/", key=None).headers["content-security-policy"]
    assert "/* portal" not in html
    assert re.findall(r"""(?:src|href)=["'](?!data:)""", html) == []
    assert re.findall(r"https?://(?!www\.w3\.org/)", html) == []
    assert len(html) < 60_000


def test_portal_puts_text_in_as_text_alone() -> None:
    script = (files("opdex.http") / "portal" / "portal.js").read_text("utf-8")
    for way_in in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
        assert way_in not in script


def test_docs_load_swagger_ui_from_the_service_itself(gateway: Gateway) -> None:
    html = gateway.call("GET", "/docs", key=None).body.decode()
    assert "http" not in html
    script = gateway.call("GET", "/docs/swagger-ui.js", key=None)
    style = gateway.call("GET", "/docs/swagger-ui.css", key=None)
    assert script.headers["content-type"].startswith("text/javascript")
    assert style.headers["content-type"].startswith("text/css")
    assert b"SwaggerUIBundle" in script.body
    assert b"max-age" in script.headers["cache-control"].encode()
    assert re.findall(rb"url\(\s*['\"]?https?:", style.body) == []
