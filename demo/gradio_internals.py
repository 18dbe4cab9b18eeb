"""Everything that needs more of Gradio than its documentation offers; written for Gradio 6.31.

A photo comes as an upload, an address, or a data URI. Gradio checks only what a client has marked
as a file: a path must lie among the uploads, whose names hold a hash that nobody can guess, and an
address must be public. Everything else comes through unchecked.
"""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial, wraps
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from gradio.context import Context, LocalContext
from gradio.events import api
from gradio.utils import get_function_description, get_function_params, get_upload_folder
from gradio_client.utils import is_file_obj_with_meta, is_http_url_like

from demo.session import refusal

_FETCH_S = 60
_OWN = "/gradio_api/file="  # in the addresses of uploads


def upload_folder() -> Path:
    """Return the folder of uploads, from which Gradio serves files without a copy."""
    return Path(get_upload_folder()).resolve()


def uploaded(photo: Any) -> Path:
    """Return the file of an upload.

    Raises:
        ValueError: For anything else, above all for a path on the server.
    """
    if is_file_obj_with_meta(photo):
        path = Path(photo["path"]).resolve()
        if path.is_relative_to(upload_folder()):
            _clean_up_copies(path)
            return path
    raise ValueError(
        "Expected a photo that was uploaded; send it as a file, or over MCP as its address (https) "
        "or as a data URI."
    )


def offer(function: Callable[..., Any], examples: Mapping[str, Any], **options: Any) -> None:
    """Offer a typed and documented function to programs; called while the page is built.

    `gr.api` takes the types from the signature. It has no argument for names, descriptions and
    examples (by name) of the parameters, which the API page and MCP show: these are set on its
    components.
    """

    @wraps(function)
    def answer(*values: Any) -> Any:
        try:
            return function(*values)
        except (ValueError, OSError, MemoryError) as error:
            raise refusal(error) from None

    name = function.__name__
    api(answer, api_name=name, **options)
    blocks = Context.root_block
    assert blocks is not None
    (offered,) = (each for each in blocks.fns.values() if each.api_name == name)
    descriptions = get_function_description(function)[1]
    inputs: list[Any] = list(offered.inputs)
    for component, (argument, *_) in zip(inputs, get_function_params(function), strict=True):
        component.label = argument
        component._api_info["additional_description"] = descriptions[argument]
        if argument in examples:
            component.example_payload = partial(examples.get, argument)
        if argument == "photo":
            _take_addresses(component)


def _take_addresses(photo: Any) -> None:
    """Let a photo also be the address of an upload to this page.

    MCP clients upload a photo and pass its address, but Gradio does not fetch from this machine.
    Its own error messages would reveal this machine's network.
    """
    fetch = photo.async_move_resource_to_block_cache

    async def move(address: str) -> str | None:
        if not is_http_url_like(address):
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


def _clean_up_copies(path: Path) -> None:
    """Have Gradio also delete the copy that its MCP server makes of a data URI."""
    blocks = LocalContext.blocks.get(None)
    if blocks is not None and path.stem == "file":  # its name for them
        size = path.stat().st_size
        copies = upload_folder().glob(f"*/{path.name}")
        blocks.upload_file_set.update(str(c) for c in copies if c.stat().st_size == size)
