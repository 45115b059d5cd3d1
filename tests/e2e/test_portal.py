"""The portal in a real browser: on its own with stand-ins below the API, and on the whole running system."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select, WebDriverWait

from opdex.catalog.models import Catalog, DocumentWarning, Spec
from opdex.http.context import ApiContext
from opdex.http.keys_store import Key
from opdex.jobs.models import EmbeddingStatus
from opdex.settings import ApiSettings
from tests.document_server import DocumentServer
from tests.gateway import serving, whole_service
from tests.unit.http.fakes import FakeDatabase, FakeEmbedder, FakeWakeUps

LIBRARY = Path(__file__).parents[2] / "docs" / "examples" / "library.yaml"
NOW = datetime(2026, 5, 19, 11, 42, 3, tzinfo=UTC)
MARKUP = "<img src=x onerror=\"document.title='run'\">"
NO_BROWSER = (
    "The portal is tested in a browser, which this machine lacks: put chromium and chromedriver on PATH"
    " (Debian: apt-get install chromium chromium-driver)."
)


class Browser:
    """Headless Chromium."""

    def __init__(self, chromium: str, driver: str, profile: Path) -> None:
        options = webdriver.ChromeOptions()
        options.binary_location = chromium
        for argument in (
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            f"--user-data-dir={profile}",
            "--window-size=1240,900",
        ):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(driver))

    def find(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def shown(self, selector: str, seconds: float = 20) -> WebElement:
        """Wait until the element is there and seen."""
        WebDriverWait(self.driver, seconds).until(
            lambda driver: any(found.is_displayed() for found in driver.find_elements(By.CSS_SELECTOR, selector)),
            f"{selector} is not shown",
        )
        return self.find(selector)

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def sign_in(self, url: str, key: str) -> None:
        """Open the portal as if for the first time, and give it a key."""
        self.driver.get(url)
        self.run("sessionStorage.clear()")
        self.driver.refresh()
        self.shown("#key").send_keys(key)
        self.complaints()  # of the page before, whose key was taken away under its requests
        self.find("#sign-in button").click()
        self.shown("#workspace")

    def complaints(self) -> list[str]:
        """What the console said since the last time: errors, and what the page's policy forbade."""
        entries = self.driver.get_log("browser")  # type: ignore[no-untyped-call]
        return [entry["message"] for entry in entries if entry["level"] == "SEVERE"]


@pytest.fixture(scope="module")
def one_browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.fail(NO_BROWSER, pytrace=False)
    browser = Browser(chromium, driver, tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.driver.quit()


@pytest.fixture
def browser(one_browser: Browser) -> Browser:
    """The browser with no page open, so that none of an earlier test goes on asking a server that is gone."""
    one_browser.driver.get("about:blank")
    one_browser.complaints()
    return one_browser


class FakeStores:
    """One catalog with one spec, whose status a test sets."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.polls = 0
        self.status = status(job_status="succeeded", embedding_count=47)
        self.handler = whole_service(
            ApiContext(
                ApiSettings(embed_queue_url="unused"),
                FakeDatabase([]),  # type: ignore[arg-type]
                FakeWakeUps([]),
                lambda: FakeEmbedder(),  # type: ignore[arg-type,return-value]
            )
        )
        key = Key(id="1", name="test", role="admin", created_at=NOW, expires_at=None)
        for name, answer in {
            "opdex.http.authentication.find_key": lambda connection, sent: key if sent == "right" else None,
            "opdex.catalog.store.list_catalogs": lambda *_: [CATALOG],
            "opdex.catalog.store.list_specs": lambda *_: [SPEC],
            "opdex.jobs.queries.embedding_status": self._embedding_status,
            "opdex.http.provider.find_model": lambda *_: None,
        }.items():
            patch.setattr(name, answer)

    def _embedding_status(self, *_: object) -> list[EmbeddingStatus]:
        self.polls += 1
        return [self.status]


CATALOG = Catalog(
    id="crm", name=f"CRM {MARKUP}", version="1", display_name="", description=MARKUP, created_at=NOW, updated_at=NOW,
    spec_count=1, operation_count=47,
)  # fmt: skip
SPEC = Spec(
    catalog_id="crm", spec_name="users", source_kind="upload", source_url=None, base_path="", title=f"Users {MARKUP}",
    openapi_version="3.1.0", revision=1, content_sha256="0" * 64, bytes=1, operation_count=47, embedding_count=0,
    created_at=NOW, updated_at=NOW, last_fetched_at=None, job=None,
    warnings=[DocumentWarning(code="repaired", message=MARKUP, pointer="/paths")],
)  # fmt: skip


def status(**fields: Any) -> EmbeddingStatus:
    values = {"spec_name": "users", "operation_count": 47, "embedding_count": 0, "revision": 1, "job_id": 31}
    return EmbeddingStatus(**(values | fields))


@pytest.fixture
def stores(monkeypatch: pytest.MonkeyPatch) -> FakeStores:
    return FakeStores(monkeypatch)


@pytest.mark.parametrize(
    ("fields", "text", "tone"),
    [
        ({"job_status": "running", "embedded_so_far": 12, "job_attempts": 1}, "indexing 12/47", "busy"),
        ({"job_status": "running", "embedded_so_far": 0, "job_attempts": 3}, "indexing 0/47", "busy"),
        ({"job_status": "pending", "job_attempts": 0}, "queued", "wait"),
        ({"job_status": "pending", "job_attempts": 1}, "queued", "wait"),
        ({"job_status": "pending", "job_attempts": 2, "job_last_error": "Busy."}, "retrying (2 tries)", "wait"),
        ({"job_status": "failed", "job_last_error": "The provider is away."}, "failed", "bad"),
        ({"job_status": "succeeded", "embedding_count": 47}, "47/47 indexed", "good"),
        ({"embedding_count": 47}, "47/47 indexed", "good"),
        ({"job_status": "cancelled"}, "not indexed", "none"),
        ({}, "not indexed", "none"),
        ({"operation_count": 0}, "empty", "none"),
        ({"operation_count": 0, "job_status": "succeeded"}, "empty", "none"),
    ],
)
def test_badge_says_where_a_spec_stands(
    browser: Browser, stores: FakeStores, fields: dict[str, Any], text: str, tone: str
) -> None:
    with serving(stores.handler) as url:
        browser.driver.get(url)
        row = status(**fields).model_dump(mode="json", exclude_none=True)
        shown = browser.run("return badge(arguments[0])", row)
    assert (shown["text"], shown["tone"]) == (text, tone)
    if reason := fields.get("job_last_error"):
        assert shown["reason"] == reason


def test_badge_of_a_parked_spec_says_when_it_is_tried_again(browser: Browser, stores: FakeStores) -> None:
    parked = status(job_status="failed", job_last_error="The provider is away.", next_try_at=NOW)
    with serving(stores.handler) as url:
        browser.driver.get(url)
        shown = browser.run("return badge(arguments[0])", parked.model_dump(mode="json", exclude_none=True))
    assert shown["reason"].startswith("The provider is away. Next try ")


@pytest.mark.parametrize("prefix", ["", "/v1", "/tools/opdex"])
@pytest.mark.parametrize("end", ["", "/"])
def test_portal_works_at_any_address_with_and_without_a_slash(
    browser: Browser, stores: FakeStores, prefix: str, end: str
) -> None:
    with serving(stores.handler, prefix=prefix) as url:
        browser.sign_in(url + end, "right")
        assert browser.shown(".spec .badge").text == "47/47 indexed"
        browser.driver.get(f"{url}/docs{end}")
        browser.shown(".opblock")
    assert browser.complaints() == []


def test_wrong_key_is_told_and_not_kept(browser: Browser, stores: FakeStores) -> None:
    with serving(stores.handler) as url:
        browser.driver.get(url)
        browser.shown("#key").send_keys("wrong")
        browser.find("#sign-in button").click()
        assert browser.shown("#message").text.startswith("This key is not accepted.")
        assert browser.run("return sessionStorage.length") == 0


def test_text_from_specs_and_catalogs_stays_text(browser: Browser, stores: FakeStores) -> None:
    stores.status = status(job_status="failed", job_last_error=MARKUP)
    with serving(stores.handler) as url:
        browser.sign_in(url, "right")
        assert MARKUP in browser.shown(".spec .reason").text
        assert MARKUP in browser.find("#catalog-title").text
        assert browser.run("return document.querySelectorAll('img').length") == 0
        assert browser.driver.title == "Opdex"
    assert browser.complaints() == []


def test_portal_polls_while_a_job_is_open_and_stops_when_none_is(browser: Browser, stores: FakeStores) -> None:
    stores.status = status(job_status="running", embedded_so_far=4)
    with serving(stores.handler) as url:
        browser.sign_in(url, "right")
        badge = browser.shown(".spec .badge")
        assert badge.text == "indexing 4/47"
        stores.status = status(job_status="running", embedded_so_far=8)
        WebDriverWait(browser.driver, 20).until(lambda _: badge.text == "indexing 8/47")
        stores.status = status(job_status="succeeded", embedding_count=47)
        WebDriverWait(browser.driver, 20).until(lambda _: badge.text == "47/47 indexed")
        WebDriverWait(browser.driver, 20).until(lambda _: browser.run("return timer") == 0)
        assert stores.polls >= 3


def test_portal_does_not_poll_while_nobody_sees_it(browser: Browser, stores: FakeStores) -> None:
    hide = """
        Object.defineProperty(document, "hidden", {configurable: true, value: arguments[0]});
        document.dispatchEvent(new Event("visibilitychange"));
    """
    stores.status = status(job_status="running", embedded_so_far=4)
    with serving(stores.handler) as url:
        browser.sign_in(url, "right")
        badge = browser.shown(".spec .badge")
        browser.run(hide, True)
        WebDriverWait(browser.driver, 20).until(lambda _: browser.run("return timer") == 0)
        stores.status = status(job_status="running", embedded_so_far=8)
        assert badge.text == "indexing 4/47"
        browser.run(hide, False)
        WebDriverWait(browser.driver, 20).until(lambda _: badge.text == "indexing 8/47")


def test_spec_says_where_it_is_from_and_why_it_was_not_refreshed(
    browser: Browser, stores: FakeStores, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = {"source_kind": "url", "source_url": f"https://example.com/{MARKUP}", "last_fetched_at": NOW}
    failure = {"last_fetch_error": f"It answered 404. {MARKUP}", "last_fetch_failed_at": NOW, "refresh_every_hours": 7}
    monkeypatch.setattr("opdex.catalog.store.list_specs", lambda *_: [SPEC.model_copy(update=source | failure)])
    with serving(stores.handler) as url:
        browser.sign_in(url, "right")
        assert f"https://example.com/{MARKUP}" in browser.shown(".spec .source").text
        assert "It answered 404." in browser.find(".spec .reason.bad").text
        assert browser.run("return document.querySelector('.source select').selectedOptions[0].text") == "every 7 hours"
        assert browser.run("return document.querySelectorAll('img').length") == 0
    assert browser.complaints() == []


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """The example with texts that were never embedded before."""
    document = yaml.safe_load(LIBRARY.read_text("utf-8"))
    for item in document["paths"].values():
        for operation in item.values():
            if isinstance(operation, dict):
                operation["summary"] = f"{operation.get('summary', '')} ({uuid4().hex[:6]})"
    path = tmp_path / "library.yaml"
    path.write_text(yaml.safe_dump(document, allow_unicode=True), "utf-8")
    return path


@pytest.fixture
def catalog(browser: Browser, running_system: dict[str, Any]) -> str:
    """A new catalog of the running system, open in the portal."""
    catalog = f"portal-{uuid4().hex[:6]}"
    browser.sign_in(running_system["url"], running_system["api_key"])
    if not browser.find("#catalog-id").is_displayed():
        browser.find("#new-catalog summary").click()
    browser.shown("#catalog-id").send_keys(catalog)
    browser.find("#catalog-name").send_keys(catalog)
    browser.find("#create-catalog button").click()
    WebDriverWait(browser.driver, 20).until(lambda _: browser.find("#catalog-title").text == catalog)
    return catalog


@pytest.mark.localstack
def test_spec_is_fetched_from_its_url_refreshed_and_scheduled(browser: Browser, catalog: str, library: Path) -> None:
    def says(selector: str, text: str) -> None:
        WebDriverWait(browser.driver, 20).until(lambda _: text in browser.shown(selector).text, f"no '{text}'")

    with DocumentServer() as server:
        browser.find("#source-url").send_keys(server.publish("/library.yaml", library.read_bytes(), etag='"1"'))
        browser.find("#linked-name").send_keys("library")
        browser.find("#link button").click()
        says("#message", "'library' is stored: 49 added")
        says(".spec .source", f"From {server.url}/library.yaml")
        server.serve("/library.yaml", status=500)
        _button(browser, "Refresh").click()
        says(".spec .reason.bad", "127.0.0.1 answered 500.")
        browser.run(
            "const select = document.querySelector('.source select'); select.value = 24;"
            "select.dispatchEvent(new Event('change'));"
        )
        hours = "return document.querySelector('.source select').dataset.hours"
        WebDriverWait(browser.driver, 20).until(lambda _: browser.run(hours) == "24")
        server.publish("/library.yaml", library.read_bytes(), etag='"1"')
        _button(browser, "Refresh").click()
        says("#message", "'library' is stored: 0 added, 0 changed, 0 removed, 49 unchanged.")
        assert server.requests[-1][1]["if-none-match"] == '"1"'


@pytest.mark.localstack
def test_catalog_is_cloned_with_its_specs(browser: Browser, catalog: str, library: Path) -> None:
    browser.find("#file").send_keys(str(library))
    browser.find("#upload button").click()
    browser.shown(".spec[data-spec=library]")
    browser.find("#new-catalog summary").click()
    browser.shown("#catalog-id").send_keys(f"{catalog}-2")
    browser.find("#catalog-name").send_keys(f"{catalog}-2")
    Select(browser.find("#catalog-source")).select_by_visible_text(f"Those of {catalog} 1")
    browser.find("#create-catalog button").click()
    WebDriverWait(browser.driver, 20).until(lambda _: browser.find("#catalog-title").text == f"{catalog}-2")
    assert "1 spec · 49 operations" in browser.find("#catalog-facts").text
    browser.shown(".spec[data-spec=library]")
    assert browser.complaints() == []


@pytest.mark.localstack
def test_uploaded_spec_is_seen_to_tick_to_green(browser: Browser, catalog: str, library: Path) -> None:
    browser.run(_KEEP_WHAT_THE_BADGE_SAYS)
    browser.find("#file").send_keys(str(library))
    assert browser.find("#spec-name").get_attribute("value") == "library"
    browser.find("#upload button").click()
    WebDriverWait(browser.driver, 120).until(
        lambda driver: driver.find_elements(By.CSS_SELECTOR, ".spec[data-spec=library][data-tone=good]"),
        "the badge did not turn green",
    )
    said: list[str] = browser.run("return said")
    total = int(said[-1].split("/")[0])
    assert said[-1] == f"{total}/{total} indexed"
    progress = [int(text.split()[1].split("/")[0]) for text in said if text.startswith("indexing ")]
    assert progress, said
    assert progress == sorted(progress)

    browser.find("#query").send_keys("bring a borrowed book back")
    browser.find("#search button").click()
    assert browser.shown("#results .operation").text
    browser.find("#delete-catalog").click()
    browser.shown("#confirmation [value=yes]").click()
    WebDriverWait(browser.driver, 20).until(lambda _: catalog not in browser.find("#catalogs").text)
    assert browser.complaints() == []


def _button(browser: Browser, text: str) -> WebElement:
    return next(found for found in browser.driver.find_elements(By.TAG_NAME, "button") if found.text == text)


_KEEP_WHAT_THE_BADGE_SAYS = """
    window.said = [];
    new MutationObserver(() => {
        const text = document.querySelector(".spec[data-spec=library] .badge")?.textContent;
        if (text && text !== said.at(-1)) said.push(text);
    }).observe(document.getElementById("specs"), {childList: true, subtree: true, characterData: true});
"""
