"""How a photo reaches the page and its functions: as an upload, an address, or a data URI.

Gradio looks at what is marked as a file, and only at that: a path must lie among the uploads, whose
names hold a hash that nobody can guess, and an address is fetched only if it is a public one. What
a client has not marked comes through as it is.
"""

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from gradio.context import LocalContext
from gradio.utils import get_upload_folder
from gradio_client.utils import is_file_obj_with_meta, is_http_url_like

from demo.session import refusal

_FETCH_S = 60
_OWN = "/gradio_api/file="  # in the addresses of uploads


def uploaded(photo: Any) -> Path:
    """Return the file of an upload; whatever else came is refused, a path on the server above all.

    Raises:
        ValueError: If it is not a file that was uploaded here, or fetched.
    """
    if is_file_obj_with_meta(photo):
        path = Path(photo["path"]).resolve()
        if _is_upload(path):
            _see_to_copies(path)
            return path
    raise ValueError(
        "Expected a photo that was uploaded; send it as a file, or over MCP as its address (https) "
        "or as a data URI."
    )


def take_addresses(photo: Any) -> None:
    """Let a photo also be the address of an upload to this page.

    Programs that use MCP upload a photo and pass its address, which Gradio would fetch, but not
    from this very machine. And what cannot be fetched is said in a sentence.

    Args:
        photo: The component that stands for an argument of an API function.
    """
    fetch = photo.async_move_resource_to_block_cache

    async def move(address: str) -> str | None:
        if not is_http_url_like(address):
            return await fetch(address)
        own = Path(unquote(address.partition(_OWN)[2])).resolve()
        if _is_upload(own) and own.is_file():
            return await fetch(str(own))
        try:
            return await asyncio.wait_for(fetch(address), _FETCH_S)
        except Exception:  # of many libraries, and what they say is about this machine's network
            raise refusal(
                f"Expected the address of a photo that is open to all; {address[:200]} could not "
                "be fetched. Upload the photo instead."
            ) from None

    photo.async_move_resource_to_block_cache = move


def _is_upload(path: Path) -> bool:
    return path.is_relative_to(Path(get_upload_folder()).resolve())


def _see_to_copies(path: Path) -> None:
    """Have Gradio clean up, with the upload, the copy that its MCP server makes of a data URI."""
    blocks = LocalContext.blocks.get()
    if blocks is not None and path.stem == "file":  # as it calls them
        size = path.stat().st_size
        copies = Path(get_upload_folder()).glob(f"*/{path.name}")
        blocks.upload_file_set.update(str(c) for c in copies if c.stat().st_size == size)
