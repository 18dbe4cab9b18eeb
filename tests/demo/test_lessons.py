"""The lessons' pages, read as a crawler reads them: every link, every figure, every formula."""

import re
import xml.etree.ElementTree
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import combinations, pairwise
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import nbformat
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from demo import preview
from demo.learn.diagram import _TALL, _WIDE, BLOCKS, LIT
from demo.learn.markup import to_html
from demo.learn.pages import PAGE
from demo.learn.routes import routes
from demo.lessons import NOTEBOOKS, cards, read_index

HOST = "https://depth.example/"
PAPER = "https://arxiv.org/abs/2410.02073"
LESSONS = read_index()


class Reading(HTMLParser):
    """What a page asks for."""

    def __init__(self, page: str) -> None:
        """Read a page."""
        super().__init__()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.lit: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        self.links += [values.get("href", "")] * (tag == "a")
        self.fetched += [values[name] for name in ("src", "srcset", "data") if name in values]
        self.fetched += [values.get("href", "")] * (tag in ("link", "use", "image"))
        self.ids += [values.get("id", "")] * ("id" in values)
        self.lit += [values.get("data-block", "")] * ("lit" in values.get("class", "").split())


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    app = Starlette(routes=[*routes(), *preview.routes()])
    with TestClient(app, base_url=HOST) as client:
        yield client


def test_every_link_leads_somewhere_and_nothing_comes_from_outside(client: TestClient) -> None:
    waiting, read = [f"{HOST}learn/"], dict[str, Reading]()
    jumps = set[tuple[str, str]]()
    while waiting:
        address = waiting.pop()
        if address in read:
            continue
        answer = client.get(address)
        assert answer.status_code == 200, address
        policy = answer.headers.get("content-security-policy", "")
        html = answer.headers["content-type"].startswith("text/html")
        read[address] = Reading(answer.text if html else "")
        assert not html or policy.startswith("default-src 'none'")
        assert "script" not in read[address].tags
        for target in read[address].fetched:
            there = urljoin(address, target)
            assert there.startswith(HOST), (address, target)
            if not there.endswith("favicon.ico"):  # Gradio's
                waiting.append(there)
        for target in read[address].links:
            there, _, anchor = urljoin(address, target).partition("#")
            if anchor and there == address:
                jumps.add((there, unquote(anchor)))
            if there.startswith(HOST) and urlsplit(there).path != "/":
                waiting.append(there)
            assert there.startswith(HOST) or urlsplit(there).scheme == "https"
    for address, anchor in jumps:
        assert anchor in read[address].ids, (address, anchor)
    for lesson in LESSONS:
        page = read[f"{HOST}learn/{lesson.name}"]
        assert len(page.ids) == len(set(page.ids))
        assert {link for link in page.links if not link.startswith(("..", "#"))} > {PAPER}
        assert any(link.startswith("source/") for link in page.links)
        assert any(link.startswith("../?tab=") for link in page.links)
    assert f"{HOST}learn/source/depthpro/losses.py" in read


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_a_lesson_shows_all_its_figures_and_formulas(client: TestClient, lesson) -> None:
    page = client.get(f"/learn/{lesson.name}").text
    notebook = nbformat.read(lesson.notebook, as_version=4)
    kinds = ("image/svg+xml", "image/png", "image/jpeg")
    shown = [
        output.data
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if any(kind in output.get("data", {}) for kind in kinds)
    ]
    sources = re.findall(r'<img src="(figures/[^"]+)"', page)
    assert len(sources) == len(shown) > 0
    for source, data in zip(sources, shown, strict=True):
        answer = client.get(f"/learn/{source}")
        assert answer.headers["content-type"] in data
        if answer.headers["content-type"] == "image/svg+xml":
            drawing = xml.etree.ElementTree.fromstring(answer.text)
            links = [value for each in drawing.iter() for name, value in each.items()
                     if name.endswith(("href", "src"))]  # fmt: skip
            assert all(link.startswith(("#", "data:image/")) for link in links)
    text = re.sub(r"<pre.*?</pre>|<code>.*?</code>|<[^>]*>", "", page, flags=re.S)
    assert "$" not in text
    assert "\\" not in text


def test_formulas_become_mathml_and_code_keeps_its_dollars() -> None:
    page = to_html(r"By $D_f$ and $C^*$, as `$HOME` costs:" "\n\n$$a < b$$", lambda to: to)
    assert page.count("<math") == 3
    assert page.count('display="block"') == 1
    assert "<msub><mi>D</mi><mi>f</mi></msub>" in page
    assert "<code>$HOME</code>" in page
    assert 'alttext="a &lt; b"' in page


@pytest.mark.parametrize(
    "path",
    [
        "learn/10_no_such",
        "learn/source/../app.py",
        "learn/source/..%2fapp.py",
        "learn/source/%2e%2e/%2e%2e/etc/passwd",
        "learn/source/%2fetc/passwd",
        "learn/source/depthpro/../app.py",
        "learn/source/depthpro/..%2f..%2fapp.py",
        "learn/source/depthpro/weights/small.safetensors",
        "learn/source/tests/conftest.py",
        "learn/source/depthpro",
        "learn/notebooks/lesson.py",
        "learn/notebooks/..%2f..%2fapp.py",
        "learn/figures/04_the_losses/0.svg",
        "learn/figures/04_the_losses/99.svg",
        "learn/figures/..%2f..%2fapp/1.svg",
        "learn/pictures/77",
    ],
)
def test_other_files_are_not_found(client: TestClient, path: str) -> None:
    answer = client.get(f"/{path}")
    assert answer.status_code == 404
    assert "argparse" not in answer.text


def test_a_notebook_comes_as_a_named_download_only(client: TestClient) -> None:
    for lesson in LESSONS:
        file = lesson.notebook.name
        answer = client.get(f"/learn/notebooks/{file}")
        assert answer.content == lesson.notebook.read_bytes()
        assert answer.headers["content-disposition"] == f'attachment; filename="{file}"'
        page = client.get(f"/learn/{lesson.name}").text
        offered = re.findall(r'href="([^"]*\.ipynb[^"]*)"([^>]*)>([^<]*)', page)
        assert offered == [(f"notebooks/{file}", f' download="{file}"', "Download the notebook")]


def test_the_map_lights_up_what_a_lesson_is_about(client: TestClient) -> None:
    for lesson in LESSONS:
        page = client.get(f"/learn/{lesson.name}").text
        assert sorted(Reading(page).lit) == sorted(2 * [*LIT[lesson.number]])
        leads = {name for name, block in BLOCKS.items() if block.lesson == lesson.number}
        assert leads <= LIT[lesson.number]
        assert leads
        for name in leads:  # in both drawings
            link = rf'data-block="{name}" href="{lesson.name}"'
            assert len(re.findall(link, client.get("/learn/").text)) == 2
    assert Reading(client.get("/learn/").text).lit == []


@pytest.mark.parametrize("layout", [_WIDE, _TALL], ids=lambda layout: layout.name)
def test_the_blocks_of_the_map_lie_apart_and_arrows_end_at_them(layout) -> None:
    assert set(layout.boxes) == set(BLOCKS)
    for one, other in combinations(layout.boxes.values(), 2):
        apart = [one[a] + one[a + 2] < other[a] or other[a] + other[a + 2] < one[a] for a in (0, 1)]
        assert any(apart), (one, other)
    edges = [*layout.boxes.values(), layout.frame]
    for corners in layout.arrows:
        assert any(on_edge(corners[-1], box) for box in edges), corners
        for (x0, y0), (x1, y1) in pairwise(corners):
            assert (x0 == x1) != (y0 == y1)
            assert 0 <= x1 <= layout.size[0]
            assert 0 <= y1 <= layout.size[1]


def on_edge(point: tuple[int, int], box: tuple[int, int, int, int]) -> bool:
    (x, y), (left, top, width, height) = point, box
    inside = left <= x <= left + width and top <= y <= top + height
    return inside and (x in (left, left + width) or y in (top, top + height))


def test_cards_lead_to_the_lessons(client: TestClient) -> None:
    links = re.findall(r'<a href="([^"]+)"><img src="([^"]+)"', cards())
    assert [link for link, _ in links] == [f"learn/{lesson.name}" for lesson in LESSONS]
    assert len(links) == len(sorted(NOTEBOOKS.glob("[0-9]*.ipynb")))
    for link, picture in links:
        assert client.get(f"/{link}").status_code == 200
        assert client.get(f"/{picture}").headers["content-type"] == "image/jpeg"


def test_without_notebooks_there_are_no_lessons(tmp_path: Path) -> None:
    assert cards(folder=tmp_path) == ""


def test_a_link_preview_names_the_lesson_with_whole_addresses(client: TestClient) -> None:
    forwarded = {"x-forwarded-host": "photos.example", "x-forwarded-proto": "https"}
    page = client.get(f"/learn/{LESSONS[3].name}", headers=forwarded).text
    metas = dict(re.findall(r'<meta (?:property|name)="([^"]+)" content="([^"]*)"', page))
    assert metas["og:title"].startswith("4 · The losses")
    assert metas["og:url"] == f"https://photos.example/learn/{LESSONS[3].name}"
    assert metas["og:image"] == "https://photos.example/preview.jpg"
    assert metas["twitter:card"] == "summary_large_image"
    picture = client.get("/preview.jpg")
    assert picture.headers["content-type"] == "image/jpeg"
    assert len(picture.content) <= 200_000
    assert PAGE not in page
