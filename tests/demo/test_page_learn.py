"""Between the page and its lessons, and from link to link, as a person goes."""

import json
import re
import urllib.request
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from browser import Served, card, open_tab, shot
from playwright.sync_api import Browser, BrowserContext, Page, expect

from demo.examples import TITLES
from demo.lessons import read_index

pytestmark = pytest.mark.browser


@pytest.fixture
def visitor(browser: Browser) -> Iterator[BrowserContext]:
    """Return a visitor who lets pages write to the clipboard, and must see no script error."""
    context = browser.new_context(viewport={"width": 1440, "height": 1000})
    context.set_default_timeout(60_000)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    errors: list[str] = []
    context.on("weberror", lambda error: errors.append(str(error.error)))
    yield context
    context.close()
    assert errors == []


def test_to_the_lessons_and_back_to_try_it(visitor: BrowserContext, served: Served) -> None:
    page = visitor.new_page()
    page.goto(served.url)
    with visitor.expect_page() as opened:
        page.get_by_role("link", name="Learn how it works").click()
    lesson, requests = opened.value, list[str]()
    page.close()
    expect(lesson.locator("h1")).to_have_text("How Depth Pro works")
    shot(lesson, "learn")
    lesson.on("request", lambda request: requests.append(request.url))
    lesson.locator("svg.wide [data-block=uses]").click()
    expect(lesson.locator("svg.wide .lit")).to_have_count(2)
    for width in (390, 820, 1440):
        lesson.set_viewport_size({"width": width, "height": 900})
        assert lesson.evaluate("document.documentElement.scrollWidth") <= width
        assert lesson.locator(".map svg:visible").count() == 1
    for picture in lesson.locator("article img").all():
        assert picture.evaluate("i => (i.loading = 'eager', i.decode().then(() => i.naturalWidth))")
    assert requests
    assert all(each.startswith(served.url) for each in requests)
    lesson.get_by_role("link", name="measure a motorcycle").click()
    expect(lesson.get_by_role("tab", name="Measure")).to_have_attribute("aria-selected", "true")
    expect(lesson.locator(".cards")).to_contain_text("motorcycle_left")
    view = lesson.locator("#measure-view img").first
    expect(view).to_have_attribute("alt", "The photo motorcycle_left")


def test_every_try_it_link_names_a_tab_an_example_and_settings_of_the_page(served: Served) -> None:
    with urllib.request.urlopen(f"{served.url}config") as answer:
        parts = [part["props"] | {"type": part["type"]} for part in json.load(answer)["components"]]
    tabs = {part["id"] for part in parts if part["type"] == "tabitem"}
    choices = {part["elem_id"]: dict(part["choices"]).values() for part in parts
               if part.get("elem_id") and "choices" in part}  # fmt: skip
    tried = 0
    for lesson in read_index():
        with urllib.request.urlopen(f"{served.url}learn/{lesson.name}") as answer:
            links = re.findall(r'href="\.\./(\?[^"]+)"', answer.read().decode())
        for link in links:
            query = {
                name: value for name, (value,) in parse_qs(link[1:].replace("&amp;", "&")).items()
            }
            assert query.pop("tab") in tabs
            assert query.pop("example") in TITLES
            assert all(value in choices[name] for name, value in query.items())
            tried += 1
    assert tried >= 9


def test_a_copied_link_opens_the_same_and_settings_are_remembered(
    browser: Browser, visitor: BrowserContext, served: Served
) -> None:
    page = visitor.new_page()
    page.goto(f"{served.url}?example=chelsea&tab=no-such&cut=999")
    expect(page.locator(".cards")).to_contain_text("chelsea")
    page.get_by_text("feet", exact=True).click()
    page.get_by_label("log", exact=True).check()
    expect(page.locator(".cards")).to_contain_text("ft")
    open_tab(page, "3D")
    page.get_by_label("Map", exact=True).check()
    expect(page.locator("#plan svg.plan")).to_be_visible()
    page.get_by_role("button", name="Share this view").click()
    field = page.locator("#share-link").get_by_role("textbox")
    expect(field).to_have_value(re.compile("^http"))
    link, depth = field.input_value(), card(page, "Median depth")
    assert page.evaluate("navigator.clipboard.readText()") == link
    query = parse_qs(urlsplit(link).query)
    assert query == {"tab": ["solid"], "example": ["chelsea"], "units": ["ft"], "scale": ["log"],
                     "look": ["map"]}  # fmt: skip
    other = browser.new_context(viewport={"width": 1440, "height": 1000}).new_page()
    other.goto(link)
    expect(other.locator("#plan svg.plan")).to_be_visible(timeout=60_000)
    expect(other.get_by_role("tab", name="3D")).to_have_attribute("aria-selected", "true")
    assert card(other, "Median depth") == depth
    assert other.get_by_label("log", exact=True).is_checked()
    other.context.close()
    # The next visit: the settings are there, the photo is not, and a link has precedence.
    page.goto(served.url)
    remembers(page, units="ft", scale="log")
    expect(page.locator("#summary")).to_contain_text("room")
    page.goto(f"{served.url}?units=m")
    remembers(page, units="m", scale="inverse")
    page.goto(served.url)
    remembers(page, units="ft", scale="log")


def remembers(page: Page, **values: str) -> None:
    for name, value in values.items():
        expect(page.locator(f"#{name} input[value='{value}']")).to_be_checked()


def test_a_link_preview_is_the_pages_own(served: Served) -> None:
    asked = urllib.request.Request(served.url, headers={"x-forwarded-host": "photos.example"})
    with urllib.request.urlopen(asked) as answer:
        page = answer.read().decode()
    metas = re.findall(
        r'<meta\s+(?:property|name)="((?:og|twitter):[^"]+)"\s+content="([^"]*)"', page
    )
    names = [name for name, _ in metas]
    assert len(names) == len(set(names))
    assert "radio" not in str(metas)
    assert dict(metas)["og:title"].startswith("Depth Pro")
    assert dict(metas)["og:image"] == "http://photos.example/preview.jpg"
    with urllib.request.urlopen(f"{served.url}preview.jpg") as answer:
        assert answer.headers["content-type"] == "image/jpeg"
    for notebook in (lesson.notebook for lesson in read_index()):
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(f"{served.url}gradio_api/file={notebook}")
