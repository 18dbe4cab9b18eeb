"""Title, description and picture that messengers and search engines show for a link to the page.

Gradio's page has its own, and a crawler reads the first ones that it meets.
"""

import html
import re
from pathlib import Path

from gradio.route_utils import get_root_url
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

TITLE = "Depth Pro: one photo in, depth in metres out"
ABOUT = (
    "Drop in a photo: sharp depth in metres, the field of view, lengths between any two points and "
    "the scene in 3D, without any camera data."
)
SIZE = (1200, 630)

_PICTURE = Path(__file__).parent / "preview.jpg"
_CHARSET = '<meta charset="utf-8" />'  # has to come early
_OTHERS = re.compile(r'<meta\s+(?:property="og:|name="twitter:)[^>]*>\s*')


def routes() -> list[BaseRoute]:
    """Return the route of the picture."""

    def picture(request: Request) -> Response:
        return FileResponse(_PICTURE, headers={"Cache-Control": "public, max-age=86400"})

    return [Route("/preview.jpg", picture)]


class Head:
    """Puts the project's title, description and picture into the head of the page.

    As ASGI wants it.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Stand before the page."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and change what the page itself answers."""
        if scope["type"] != "http" or path_below(scope) not in ("", "/"):
            await self.app(scope, receive, send)
            return
        start: Message = {}
        parts: list[bytes] = []

        async def gather(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
                return
            parts.append(message.get("body", b""))
            if message.get("more_body"):
                return
            headers, body = MutableHeaders(raw=start["headers"]), b"".join(parts)
            if headers.get("content-type", "").startswith("text/html") and body:
                body = _replace(body.decode(), scope).encode()
                headers["content-length"] = str(len(body))
            await send(start)
            await send({"type": "http.response.body", "body": body})

        await self.app(scope, receive, gather)


def tags(title: str, about: str, address: str, picture: str) -> str:
    """Return the elements of a head; crawlers want whole addresses."""
    width, height = SIZE
    properties = {
        "og:type": "website",
        "og:site_name": "Depth Pro",
        "og:title": title,
        "og:description": about,
        "og:url": address,
        "og:image": picture,
        "og:image:width": str(width),
        "og:image:height": str(height),
        "og:image:alt": "A photo, and its depth in colours",
    }
    metas = [
        f'<meta property="{name}" content="{html.escape(value)}">'
        for name, value in properties.items()
    ]
    title, about = html.escape(title), html.escape(about)
    return (
        f'<title>{title}</title><meta name="description" content="{about}">'
        + "".join(metas)
        + '<meta name="twitter:card" content="summary_large_image">'
    )


def root_address(request: Request) -> str:
    """Return the page's address as its visitors write it, whatever lies before it."""
    root = get_root_url(request, path_below(request.scope), request.scope.get("root_path"))
    return root.rstrip("/") + "/"


def path_below(scope: Scope) -> str:
    """Return a request's path without the one that a proxy has in front."""
    return scope["path"].removeprefix(scope.get("root_path", "").rstrip("/"))


def _replace(page: str, scope: Scope) -> str:
    root = root_address(Request(scope))
    own = tags(TITLE, ABOUT, root, f"{root}preview.jpg")
    return _OTHERS.sub("", page).replace(_CHARSET, _CHARSET + own, 1)
