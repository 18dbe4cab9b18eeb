"""The page as others host it: below a path, with a login, and through a restart."""

import http.client
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import gradio as gr
import pytest
from browser import ASTRONAUT, choose_example, open_tab, shot, upload, wait_for_depth
from gradio_client import Client, handle_file
from PIL import Image
from pillow_heif import from_pillow
from playwright.sync_api import Browser, BrowserContext, expect

from demo.hosting import read_accounts
from demo.page import build_page, launch_options
from depthpro import DepthPro

Serve = Callable[..., tuple[gr.Blocks, str]]


@pytest.fixture
def serve(tiny_model: DepthPro, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Return a function that serves a page with a tiny network, and returns page and address."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))
    pages: list[gr.Blocks] = []

    def launch(
        accounts: list[tuple[str, str]] | None = None, port: int | None = None
    ) -> tuple[gr.Blocks, str]:
        page, options = build_page(tiny_model), launch_options(accounts)
        pages.append(page)
        url = page.launch(prevent_thread_lock=True, quiet=True, server_port=port, **options)[1]
        return page, url

    yield launch
    pages[-1].close(verbose=False)


@pytest.fixture
def visitor(browser: Browser) -> Iterator[BrowserContext]:
    """Return a new visitor, who must see no script error."""
    context = browser.new_context(viewport={"width": 1440, "height": 1000}, accept_downloads=True)
    context.set_default_timeout(60_000)
    errors: list[str] = []
    context.on("weberror", lambda error: errors.append(str(error.error)))
    yield context
    context.close()
    assert errors == []


class Proxy(BaseHTTPRequestHandler):
    """Removes /depth, as nginx's `location /depth/ { proxy_pass http://127.0.0.1:…/; }` does."""

    target = ""
    refused: list[str]

    def forward(self) -> None:
        if not self.path.startswith("/depth/"):
            self.refused.append(self.path)
            self.send_error(404)
            return
        length = int(self.headers.get("content-length", 0))
        body = self.rfile.read(length) if length else None
        headers = {**dict(self.headers.items()), "x-forwarded-host": self.headers["host"]}
        server = http.client.HTTPConnection(self.target, timeout=60)
        server.request(self.command, self.path.removeprefix("/depth"), body, headers)
        answer = server.getresponse()
        if answer.status >= 400:
            self.refused.append(self.path)
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "connection"):
                self.send_header(name, value)
        self.end_headers()
        with suppress(ConnectionError, TimeoutError):  # the visitor has left
            while part := answer.read1(65536):
                self.wfile.write(part)

    do_GET = do_HEAD = do_POST = forward

    def log_message(self, format: str, *args: object) -> None:
        pass


def status(url: str, form: bytes | None = None) -> int:
    """Return the status of an answer to somebody who has not logged in."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, form), timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.browser
def test_below_a_path_behind_a_proxy(
    serve: Serve, visitor: BrowserContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADIO_ROOT_PATH", "/depth")
    _, url = serve()
    refused: list[str] = []
    handler = type("Handler", (Proxy,), {"target": urlsplit(url).netloc, "refused": refused})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        below = f"http://127.0.0.1:{proxy.server_port}/depth/"
        page = visitor.new_page()
        page.goto(below)
        upload(page, ASTRONAUT)
        wait_for_depth(page)
        with page.expect_download() as download:
            page.locator("#prepare").click()
        assert download.value.url.startswith(below)
        choose_example(page, "Coffee")
        expect(page.locator(".cards")).to_contain_text("coffee")
        meta = page.locator('meta[property="og:image"]')
        assert meta.get_attribute("content") == f"{below}preview.jpg"
        assert [status(below + path) for path in ("preview.jpg", "learn")] == [200, 200]
        learner = visitor.new_page()
        learner.goto(f"{below}learn/")
        learner.get_by_role("link", name="9 What depth is good for").click()
        expect(learner.locator("h1")).to_contain_text("What depth is good for")
        figure = learner.locator("article img").first
        figure.scroll_into_view_if_needed()
        expect(figure).to_have_js_property("complete", True)
        assert figure.evaluate("image => image.naturalWidth") > 100
        learner.get_by_role("link", name="Depth Pro", exact=True).click()
        expect(learner).to_have_url(below)
        learner.close()
        with page.expect_response("**/*.bin") as surface:
            open_tab(page, "3D")
        assert surface.value.ok
        assert status(f"{below}gradio_api/mcp/schema") == 200
        client = Client(below, verbose=False)
        photo = client.predict(handle_file(ASTRONAUT), api_name="/estimate")
        assert Path(client.predict(photo["token"], "npz", api_name="/export")).stat().st_size > 1000
        page.close()
        proxy.shutdown()
    # Browsers ask for the icon before they have read where it is.
    assert set(refused) <= {"/favicon.ico"}


@pytest.mark.browser
def test_nothing_without_login_and_everything_with_it(
    serve: Serve, visitor: BrowserContext
) -> None:
    _, url = serve([("anna", "with:colon"), ("ben", "other")])
    client = Client(url, auth=("anna", "with:colon"), verbose=False)
    photo = client.predict(handle_file(ASTRONAUT), api_name="/estimate")
    assert Path(client.predict(photo["token"], "npz", api_name="/export")).is_file()
    for path in ("config", "gradio_api/info", "gradio_api/openapi.json", "gradio_api/queue/data",
                 f"gradio_api/file={ASTRONAUT}"):  # fmt: skip
        assert status(url + path) == 401, path
    for path in ("upload", "queue/join", "run/estimate", "call/estimate", "component_server"):
        assert status(f"{url}gradio_api/{path}", b"{}") == 401, path
    for path in ("", "sse", "schema"):
        assert status(f"{url}gradio_api/mcp/{path}") == 404, path
    for path in ("learn/", "learn/04_the_losses", "preview.jpg"):  # nothing of any visitor's
        assert status(url + path) == 200, path
    assert status(f"{url}login", b"username=anna&password=other") == 400
    page = visitor.new_page()
    page.goto(url)
    expect(page.locator("#photo")).to_have_count(0)
    shot(page, "login")
    page.get_by_label("username").fill("anna")
    page.get_by_label("password").fill("with:colon")
    page.get_by_role("button", name="Login").click()
    upload(page, ASTRONAUT)
    wait_for_depth(page)
    with page.expect_download() as download:
        page.locator("#prepare").click()
    assert download.value.suggested_filename == "astronaut_depth.zip"
    choose_example(page, "Coffee")
    expect(page.locator(".cards")).to_contain_text("coffee")


def test_accounts_are_read_from_a_file_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DEPTHPRO_AUTH", raising=False)
    assert read_accounts(None) is None
    monkeypatch.setenv("DEPTHPRO_AUTH", "ben:b")
    assert read_accounts(None) == [("ben", "b")]
    file = tmp_path / "accounts"
    file.write_text("anna:with:colon\n\nmilo: p \n")
    assert read_accounts(str(file)) == [("anna", "with:colon"), ("milo", " p ")]
    with pytest.raises(ValueError, match="cannot be read"):
        read_accounts(str(tmp_path))
    file.write_text("\n")
    with pytest.raises(ValueError, match="is empty"):
        read_accounts(str(file))
    for line in ("secret", ":secret", "secret:"):
        file.write_text(f"anna:a\n{line}\n")
        with pytest.raises(ValueError, match="in line 2 of") as raised:
            read_accounts(str(file))
        assert "secret" not in str(raised.value)
        monkeypatch.setenv("DEPTHPRO_AUTH", line)
        with pytest.raises(ValueError, match="user:password in DEPTHPRO_AUTH"):
            read_accounts(None)


@pytest.mark.browser
def test_an_open_page_says_that_the_server_was_restarted(
    serve: Serve, visitor: BrowserContext, tmp_path: Path
) -> None:
    first, url = serve()
    heic = tmp_path / "astronaut.heic"
    from_pillow(Image.open(ASTRONAUT).convert("RGB")).save(heic)
    cases = (("Focal length", heic), ("Measure", ASTRONAUT))
    pages = [visitor.new_page() for _ in cases]
    for page, (tab, photo) in zip(pages, cases, strict=True):
        page.goto(url)
        upload(page, photo)
        expect(page.locator(".cards")).to_contain_text("astronaut")
        open_tab(page, tab)
    first.close(verbose=False)
    for page in pages:
        expect(page.locator("#server")).to_contain_text("does not answer")
    serve(port=urlsplit(url).port)
    for page, (tab, _) in zip(pages, cases, strict=True):
        expect(page.locator("#server")).to_contain_text("taken up")
        expect(page.get_by_role("tab", name=tab)).to_have_attribute("aria-selected", "true")
        expect(page.locator("#summary .cards")).to_contain_text("astronaut")
        shot(page, f"restarted-{tab}")
