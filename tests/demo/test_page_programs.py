"""The functions for programs as programs reach them: over HTTP, and with a real MCP client."""

import ast
import asyncio
import base64
import io
import json
import re
import urllib.request
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from browser import ASTRONAUT, Served
from gradio.utils import get_upload_folder
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult
from PIL import Image

README = (Path(__file__).parents[2] / "README.md").read_text()
FILES = {"image", "file", "uploadbutton"}
Answer = TypeVar("Answer")


@pytest.fixture(scope="module")
def client(served: Served) -> Client:
    return Client(served.url, verbose=False)


@pytest.fixture(scope="module")
def estimated(client: Client) -> dict[str, Any]:
    return client.predict(photo=handle_file(ASTRONAUT), api_name="/estimate")


def test_programs_see_four_functions_with_types_and_descriptions(client: Client) -> None:
    offered = client.view_api(return_format="dict")["named_endpoints"]
    assert sorted(offered) == ["/estimate", "/export", "/measure", "/rescale"]
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


def test_errors_reach_the_program_as_sentences(client: Client, estimated: dict[str, Any]) -> None:
    token = estimated["token"]
    for values, name, match in (
        (["nobody's"], "/rescale", "token of a result"),
        ([token], "/rescale", "give one of them"),
        ([token, [[9999, 0]]], "/measure", "512 × 512"),
        ([token, "exe"], "/export", "one of preview"),
    ):
        with pytest.raises(AppError, match=match):
            client.predict(*values, api_name=name)


def post(url: str, values: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(
        url, json.dumps(values).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


def answer(served: Served, function: int, data: list[Any]) -> dict[str, Any]:
    """Return what any function of the page answers, asked as a browser asks."""
    session = base64.b32encode(np.random.default_rng().bytes(10)).decode()
    question = {"data": data, "fn_index": function, "session_hash": session}
    post(f"{served.url}gradio_api/queue/join", question)
    address = f"{served.url}gradio_api/queue/data?session_hash={session}"
    with urllib.request.urlopen(address, timeout=60) as lines:
        for line in lines:
            said = json.loads(line.removeprefix(b"data:")) if line.strip() else {}
            if said.get("msg") == "process_completed":
                return said
    raise AssertionError("no answer")


def functions(served: Served) -> list[tuple[int, list[str]]]:
    """Return number and kinds of inputs of every function of the page."""
    with urllib.request.urlopen(f"{served.url}config") as response:
        config = json.load(response)
    kinds = {component["id"]: component["type"] for component in config["components"]}
    return [
        (f["id"], [kinds[number] for number in f["inputs"]])
        for f in config["dependencies"]
        if f["backend_fn"]
    ]


def test_no_function_reads_a_path_of_the_server(served: Served) -> None:
    """Not those for programs, nor those of the page, which a client can call all the same."""
    with urllib.request.urlopen(f"{served.url}gradio_api/info") as response:
        assert len(json.load(response)["named_endpoints"]) == 4
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
            answer(served, number, data)
            tried += 1
            assert len(served.calls) == before, photo
    assert tried >= 2 * 6


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("letter.jpg", b"Dear diary", "export it as one of these"),
        ("half.png", ASTRONAUT.read_bytes()[:90_000], "truncated or damaged"),
    ],
)
def test_people_and_programs_are_told_what_is_no_photo(
    served: Served, client: Client, name: str, content: bytes, sentence: str, tmp_path: Path
) -> None:
    """`load_image` has more reasons, which its own tests check."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(AppError, match=sentence):
        client.predict(photo=handle_file(tmp_path / name), api_name="/estimate")
    upload = handle_file(client_upload(served, tmp_path / name))
    number = next(n for n, kinds in functions(served) if kinds == ["radio", "image"])
    said = answer(served, number, ["m", {"path": upload["path"], "meta": upload["meta"]}])
    assert sentence in json.dumps(said["output"]["data"], ensure_ascii=False)
    assert 'role=\\"alert\\"' in json.dumps(said["output"]["data"])
    assert str(tmp_path) not in json.dumps(said)


def client_upload(served: Served, path: Path) -> str:
    """Upload a file as a browser does, and return its path on the server."""
    form = (
        b'--x\r\nContent-Disposition: form-data; name="files"; filename="%s"\r\n\r\n'
        % path.name.encode()
    )
    request = urllib.request.Request(
        f"{served.url}gradio_api/upload",
        form + path.read_bytes() + b"\r\n--x--\r\n",
        {"Content-Type": "multipart/form-data; boundary=x"},
    )
    with urllib.request.urlopen(request) as response:
        return json.load(response)[0]


def with_tools(served: Served, talk: Callable[[ClientSession], Awaitable[Answer]]) -> Answer:
    """Return what a conversation of a real MCP client with the page comes to."""

    async def converse() -> Answer:
        address = f"{served.url}gradio_api/mcp/"
        async with (
            streamable_http_client(address) as (read, write, *_),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            return await talk(session)

    # In a thread of its own: the browser's tests keep a loop running in this one.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, converse()).result()


def over_mcp(served: Served, *calls: tuple[str, dict[str, Any]]) -> list[CallToolResult]:
    """Return what tools answer."""

    async def talk(session: ClientSession) -> list[CallToolResult]:
        return [await session.call_tool(name, values) for name, values in calls]

    return with_tools(served, talk)


def text(result: CallToolResult) -> str:
    return " ".join(part.text for part in result.content if part.type == "text")


def test_an_agent_measures_a_photo_and_looks_at_its_depth(served, expected) -> None:
    photo = f"{served.url}gradio_api/file={client_upload(served, ASTRONAUT)}"
    said = ast.literal_eval(text(over_mcp(served, ("estimate", {"photo": photo}))[0]))
    assert said["f_px"] == pytest.approx(expected.f_px.item())
    token = said["token"]
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
    with urllib.request.urlopen(text(surface)) as response:
        assert response.read(4) == b"glTF"


def test_a_picture_too_large_for_an_agent_is_refused(served, estimated, monkeypatch) -> None:
    monkeypatch.setattr("demo.api.programs._MCP_BYTES", 10)
    (said,) = over_mcp(served, ("export", {"token": estimated["token"], "format": "colour-png"}))
    assert said.isError
    assert "ask for preview, or for zip" in text(said)


def test_an_agent_sends_a_photo_in_a_data_uri_which_does_not_stay(served: Served) -> None:
    uri = "data:image/png;base64," + base64.b64encode(ASTRONAUT.read_bytes()).decode()
    (said,) = over_mcp(served, ("estimate", {"photo": uri}))
    assert ast.literal_eval(text(said))["width_px"] == 512


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
    for said in over_mcp(served, *(("estimate", {"photo": photo}) for photo in photos)):
        assert said.isError
        assert re.search("could not be fetched|provide a url", text(said))
    assert len(served.calls) == before


def test_what_the_readme_says_to_programs_works(served, tmp_path, monkeypatch, capsys) -> None:
    Image.open(ASTRONAUT).convert("RGB").save(tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    section = README[README.index("## For programs") :].replace(
        "http://127.0.0.1:7860", served.url.rstrip("/")
    )
    code = section.split("```python\n")[1].split("```")[0]
    said: dict[str, Any] = {}
    exec(compile(code, "README.md", "exec"), said)
    printed = capsys.readouterr().out
    assert re.search(r"degrees; .*metres\n.*distance [\d.]+ ± [\d.e-]+ m", printed, re.DOTALL)
    with np.load(said["depth"]) as file:
        assert file["depth"].shape == (512, 512)
    settings = json.loads(section.split("```json\n")[1].split("```")[0])["mcpServers"]
    assert settings["depth-pro"]["url"] == f"{served.url}gradio_api/mcp/"
    assert settings["photos"]["args"][:2] == ["upload-mcp", served.url.rstrip("/")]
