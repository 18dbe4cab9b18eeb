"""The page for everyone: what axe-core finds on every tab, in light and in dark."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser import Served, shot, wait_for_depth
from playwright.sync_api import Browser, expect

pytestmark = pytest.mark.browser

ENOUGH = ("serious", "critical")
CONTRAST = {"runOnly": ["color-contrast"]}
"""All that dark colours change."""


def test_axe_finds_nothing_serious_on_any_tab(browser: Browser, served: Served) -> None:
    page = browser.new_page(viewport={"width": 1440, "height": 1000})
    page.set_default_timeout(60_000)
    page.goto(f"{served.url}?__theme=light")
    wait_for_depth(page)
    found = {}
    for tab in page.get_by_role("tab").all():
        tab.click()
        expect(tab).to_have_attribute("aria-selected", "true")
        page.wait_for_timeout(1500)  # what is drawn when the tab opens
        name = tab.inner_text()
        for theme, options in (("light", {}), ("dark", CONTRAST)):
            page.evaluate("dark => document.body.classList.toggle('dark', dark)", theme == "dark")
            page.wait_for_timeout(300)  # colours that change slowly
            shot(page, f"{name.split()[0].lower()}-{theme}")
            for problem in Axe().run(page, options=options).response["violations"]:
                if problem["impact"] in ENOUGH:
                    places = [node["html"][:160] for node in problem["nodes"]]
                    found[f"{name}, {theme}: {problem['help']}"] = places
    page.close()
    assert found == {}
