"""Everything that needs more of Gradio than its documentation offers; written for Gradio 6.31.

A photo comes as an upload, an address, or a data URI. Gradio checks only what a client has marked
as a file: a path must lie among the uploads, whose names hold a hash that nobody can guess, and an
address must be public. Everything else comes through unchecked.
"""

import asyncio
import inspect
from collections.abc import Callable, Mapping
from functools import partial, wraps
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import gradio as gr
from gradio.events import api  # `gr.api`, for type checkers
from gradio.processing_utils import save_file_to_cache
from gradio.utils import get_function_description, get_upload_folder

from demo.session import refusal

_FETCH_S = 60
_OWN = "/gradio_api/file="  # in the addresses of uploads


def upload_folder() -> Path:
    """Return the folder of uploads, from which Gradio serves files without a copy.

    Gradio documents that GRADIO_TEMP_DIR changes it, and no way to ask for it.
    """
    return Path(get_upload_folder()).resolve()


def as_upload(path: Path) -> str:
    """Return the path of a copy among the uploads: Gradio shows no files from other folders."""
    return save_file_to_cache(path, str(upload_folder()))


def uploaded(photo: Any) -> Path:
    """Return the file of an upload, which Gradio passes on as a dictionary with its path.

    Raises:
        ValueError: For anything else, above all for a path on the server.
    """
    if isinstance(photo, dict) and isinstance(photo.get("path"), str):
        path = Path(photo["path"]).resolve()
        if path.is_relative_to(upload_folder()):
            return path
    raise ValueError(
        "Expected a photo that was uploaded; send it as a file, or over MCP as its address (https) "
        "or as a data URI."
    )


def offer(
    page: gr.Blocks, function: Callable[..., Any], examples: Mapping[str, Any], **options: Any
) -> None:
    """Offer a typed and documented function to programs, on the page that is being built.

    `gr.api` takes the types from the signature. It has no argument for names, descriptions and
    examples (by name) of the parameters, which the API page shows: these are set on its components.
    """

    @wraps(function)
    def answer(*values: Any) -> Any:
        try:
            return function(*values)
        except (ValueError, OSError, MemoryError) as error:
            raise refusal(error) from None

    event = api(answer, api_name=function.__name__, **options)
    descriptions = get_function_description(function)[1]
    parameters = inspect.signature(function).parameters.values()
    names = [each.name for each in parameters if each.annotation is not gr.Request]
    for number, name in zip(event["inputs"], names, strict=True):
        component: Any = page.blocks[number]
        component.label = name
        component._api_info["additional_description"] = descriptions[name]
        if name in examples:
            component.example_payload = partial(examples.get, name)
        if name == "photo":
            _take_addresses(page, component)


def _take_addresses(page: gr.Blocks, photo: Any) -> None:
    """Let a photo also be the address of an upload to this page.

    MCP clients upload a photo and pass its address, but Gradio does not fetch from this machine.
    Its own error messages would reveal this machine's network.
    """
    fetch = photo.async_move_resource_to_block_cache

    async def move(address: str) -> str | None:
        if not address.startswith(("http://", "https://")):
            _clean_up_copies(page, Path(address))
            return await fetch(address)
        own = Path(unquote(address.partition(_OWN)[2])).resolve()
        if own.is_relative_to(upload_folder()) and own.is_file():
            return await fetch(str(own))
        try:
            return await asyncio.wait_for(fetch(address), _FETCH_S)
        except Exception:  # of many libraries
            raise refusal(
                f"Expected the address of a photo that is open to all; {address[:200]} could not "
                "be fetched. Upload the photo instead."
            ) from None

    photo.async_move_resource_to_block_cache = move


def _clean_up_copies(page: gr.Blocks, path: Path) -> None:
    """Have Gradio also delete the copy that its MCP server makes of a data URI."""
    if path.stem == "file" and path.is_file():  # its name for them
        size = path.stat().st_size
        copies = upload_folder().glob(f"*/{path.name}")
        page.upload_file_set.update(str(c) for c in copies if c.stat().st_size == size)
