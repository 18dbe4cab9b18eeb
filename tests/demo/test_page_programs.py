"""The functions for programs as programs reach them: over HTTP, and with a real MCP client."""

import ast
import asyncio
import base64
import io
import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from browser import ASTRONAUT, Served
from films import make_film
from gradio.utils import get_upload_folder
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult
from PIL import Image

from demo.tabs.effects import lens, stereo
from demo.tabs.effects.scene import scene_of
from depthpro import load_image

DOCUMENTED = (Path(__file__).parents[2] / "docs/page.md").read_text()
FILES = {"image", "file", "uploadbutton", "video"}
EFFECTS = ("/cut_out", "/fog", "/move", "/refocus", "/stereo")
FUNCTIONS = ("/compare", "/estimate", "/export", "/measure", "/rescale", "/video", *EFFECTS)


@pytest.fixture(scope="module")
def client(served: Served) -> Client:
    return Client(served.url, verbose=False)


@pytest.fixture(scope="module")
def estimated(client: Client) -> dict[str, Any]:
    return client.predict(photo=handle_file(ASTRONAUT), api_name="/estimate")


def test_programs_see_all_functions_with_types_and_descriptions(client: Client) -> None:
    offered = client.view_api(return_format="dict")["named_endpoints"]
    assert sorted(offered) == sorted(FUNCTIONS)
    for function in offered.values():
        assert len(function["description"]) > 40
        for argument in function["parameters"]:
            assert argument["type"], argument
            assert len(argument["python_type"]["description"]) > 10, argument
            assert argument["label"] == argument["parameter_name"]
        (returned,) = function["returns"]
        assert returned["type"]["properties"]
    (photo,) = offered["/estimate"]["parameters"]
    assert photo["python_type"]["type"] == "filepath"


def test_errors_reach_the_program_as_sentences(client, estimated, tmp_path) -> None:
    """`load_image` has more reasons against a photo, which its own tests check."""
    token = estimated["token"]
    (tmp_path / "letter.jpg").write_bytes(b"Dear diary")
    for values, name, match in (
        ([handle_file(tmp_path / "letter.jpg")], "/estimate", "export it as one of these"),
        (["nobody's"], "/rescale", "token of a result"),
        ([token], "/rescale", "give one of them"),
        ([token, [[9999, 0]]], "/measure", "512 × 512"),
        ([token, "exe"], "/export", "one of preview"),
    ):
        with pytest.raises(AppError, match=match):
            client.predict(*values, api_name=name)


def call(served: Served, function: int, data: list[Any]) -> None:
    """Call any function of the page as a browser does, and wait for its answer."""
    session = base64.b32encode(np.random.default_rng().bytes(10)).decode()
    question = {"data": data, "fn_index": function, "session_hash": session}
    address = f"{served.url}gradio_api/queue/"
    httpx.post(f"{address}join", json=question, timeout=30)
    answers = httpx.get(f"{address}data?session_hash={session}", timeout=60)
    assert "process_completed" in answers.text


def functions(served: Served) -> list[tuple[int, list[str]]]:
    config = httpx.get(f"{served.url}config").json()
    kinds = {component["id"]: component["type"] for component in config["components"]}
    return [
        (f["id"], [kinds[number] for number in f["inputs"]])
        for f in config["dependencies"]
        if f["backend_fn"]
    ]


def test_no_function_reads_a_path_of_the_server(served: Served) -> None:
    """Not those for programs, nor those of the page, which a client can call all the same."""
    assert len(httpx.get(f"{served.url}gradio_api/info").json()["named_endpoints"]) == len(
        FUNCTIONS
    )
    path, mark = str(ASTRONAUT), {"_type": "gradio.FileData"}
    tried = 0
    before = len(served.calls)
    for number, kinds in functions(served):
        if not (FILES & set(kinds) or kinds == ["api"]):
            continue
        for photo in (
            path,
            {"path": path},
            {"path": path, "meta": mark},
            {"path": path, "url": f"{served.url}logo.png", "meta": mark},
            {"path": f"{get_upload_folder()}/{'../' * 20}{path}", "meta": mark},
            {"path": f"{served.url}gradio_api/file={path}", "meta": mark},
        ):
            data = [photo if kind in FILES | {"api"} else None for kind in kinds]
            call(served, number, data)
            tried += 1
            assert len(served.calls) == before, photo
    assert tried >= 2 * 6


def client_upload(served: Served, path: Path) -> str:
    """Upload a file as a browser does, and return its path on the server."""
    with path.open("rb") as file:
        return httpx.post(f"{served.url}gradio_api/upload", files={"files": file}).json()[0]


def over_mcp(served: Served, *calls: tuple[str, dict[str, Any]]) -> list[CallToolResult]:
    """Return what tools answer to a real MCP client."""

    async def talk() -> list[CallToolResult]:
        address = f"{served.url}gradio_api/mcp/"
        async with (
            streamable_http_client(address) as (read, write, *_),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            return [await session.call_tool(name, values) for name, values in calls]

    # In a thread of its own: the browser's tests keep a loop running in this one.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, talk()).result()


def text(result: CallToolResult) -> str:
    return " ".join(part.text for part in result.content if part.type == "text")


def test_an_agent_measures_a_photo_and_looks_at_its_depth(served, expected) -> None:
    photo = f"{served.url}gradio_api/file={client_upload(served, ASTRONAUT)}"
    estimate = ast.literal_eval(text(over_mcp(served, ("estimate", {"photo": photo}))[0]))
    assert estimate["f_px"] == pytest.approx(expected.f_px.item())
    token = estimate["token"]
    points = [[100, 100], [200, 300]]
    measured, preview, full, surface = over_mcp(
        served,
        ("measure", {"token": token, "points": points, "kind": "distance"}),
        ("export", {"token": token}),
        ("export", {"token": token, "format": "depth-png"}),
        ("export", {"token": token, "format": "glb"}),
    )
    assert ast.literal_eval(text(measured))["results"][0]["plus_minus"] > 0
    (picture,) = [part for part in preview.content if part.type == "image"]
    with Image.open(io.BytesIO(base64.b64decode(picture.data))) as image:
        assert image.height == 512
    assert not full.isError
    assert httpx.get(text(surface)).content.startswith(b"glTF")


def test_an_agent_makes_a_film_and_gets_a_link(served: Served, tmp_path: Path) -> None:
    rgb = np.asarray(Image.open(ASTRONAUT).convert("RGB"))[:96, :96]
    film = client_upload(served, make_film(tmp_path / "film.mp4", [rgb] * 2))
    address = f"{served.url}gradio_api/file={film}"
    (answer,) = over_mcp(served, ("video", {"film": address, "smoothing": 0}))
    assert not answer.isError
    assert httpx.get(text(answer)).content[4:8] == b"ftyp"


def test_programs_refocus_and_get_stereo(client, estimated, served, expected) -> None:
    token, scene = estimated["token"], scene_of(load_image(ASTRONAUT).rgb, expected, 256)
    pictures = {
        "refocus": lens.refocus(scene, 2.0, 0.8),
        "stereo": stereo.side_by_side(*stereo.eyes(scene, 80.0, 3.0)),
    }
    values = {
        "refocus": {"token": token, "focus_m": 2, "f_number": 0.8, "size_px": 256},
        "stereo": {
            "token": token,
            "eyes_mm": 80,
            "kind": "side-by-side",
            "screen_m": 3,
            "size_px": 256,
        },
    }
    answers = over_mcp(served, *values.items())
    for (name, wanted), answer in zip(pictures.items(), answers, strict=True):
        file = client.predict(**values[name], api_name=f"/{name}")
        (part,) = [part for part in answer.content if part.type == "image"]
        # For MCP, Gradio packs them a second time: texture goes, means of 4 x 4 pixels stay.
        for source, side in ((file, 1), (io.BytesIO(base64.b64decode(part.data)), 4)):
            with Image.open(source) as image:
                off = np.asarray(image.convert("RGB")).astype(float) - wanted
            blocks = off.reshape(len(off) // side, side, -1, side, 3).mean(axis=(1, 3))
            assert np.abs(blocks).mean() < 2
    with pytest.raises(AppError, match="focus_m to be a number"):
        client.predict(token, "near", api_name="/refocus")
    with pytest.raises(AppError, match="anaglyph or side-by-side"):
        client.predict(token, 63, "hologram", api_name="/stereo")


def test_a_picture_too_large_for_an_agent_is_refused(served, estimated, monkeypatch) -> None:
    monkeypatch.setattr("demo.api.programs._MCP_BYTES", 10)
    (answer,) = over_mcp(served, ("export", {"token": estimated["token"], "format": "colour-png"}))
    assert answer.isError
    assert "ask for preview, or for zip" in text(answer)


def test_an_agent_sends_a_photo_in_a_data_uri_which_does_not_stay(served: Served) -> None:
    uri = "data:image/png;base64," + base64.b64encode(ASTRONAUT.read_bytes()).decode()
    (answer,) = over_mcp(served, ("estimate", {"photo": uri}))
    assert ast.literal_eval(text(answer))["width_px"] == 512


def test_an_agent_cannot_name_a_path_or_a_private_address(served: Served) -> None:
    photos = [
        str(ASTRONAUT),
        f"file://{ASTRONAUT}",
        "http://127.0.0.1:22/photo.jpg",
        "http://169.254.169.254/latest/meta-data",
        f"http://localhost/gradio_api/file={ASTRONAUT}",
        f"http://localhost/gradio_api/file={get_upload_folder()}/{'../' * 20}{ASTRONAUT}",
        f"http://localhost/gradio_api/file={Path(client_upload(served, ASTRONAUT)).parents[1]}",
        "photo.jpg",
    ]
    before = len(served.calls)
    for answer in over_mcp(served, *(("estimate", {"photo": photo}) for photo in photos)):
        assert answer.isError
        assert re.search("could not be fetched|provide a url", text(answer))
    assert len(served.calls) == before


def test_what_the_documentation_says_works(served, tmp_path, monkeypatch, capsys) -> None:
    Image.open(ASTRONAUT).convert("RGB").save(tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    section = DOCUMENTED.replace("http://127.0.0.1:7860", served.url.rstrip("/"))
    code = section.split("```python\n")[1].split("```")[0]
    names: dict[str, Any] = {}
    exec(compile(code, "docs/page.md", "exec"), names)
    printed = capsys.readouterr().out
    assert re.search(r"degrees; .*metres\n.*distance [\d.]+ ± [\d.e-]+ m", printed, re.DOTALL)
    with np.load(names["depth"]) as file:
        assert file["depth"].shape == (512, 512)
    settings = json.loads(section.split("```json\n")[1].split("```")[0])["mcpServers"]
    assert settings["depth-pro"]["url"] == f"{served.url}gradio_api/mcp/"
    assert settings["photos"]["args"][:2] == ["upload-mcp", served.url.rstrip("/")]
