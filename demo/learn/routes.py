"""Where the lessons are served: below `learn/`, for everybody, also where the page has a login."""

from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from demo import preview
from demo.learn import pages
from demo.learn.markup import code_styles

_KEEP = {"Cache-Control": "public, max-age=3600"}
# The pages need nothing but this server's pictures and styles.
_ALONE = {"Content-Security-Policy": "default-src 'none'; img-src 'self'; style-src 'self'"}


def routes() -> list[BaseRoute]:
    """Return the routes for the page's server."""
    return [
        Route("/learn", lambda _: RedirectResponse("learn/")),  # relative: a proxy may be before it
        Route("/learn/", _index),
        Route("/learn/style.css", _style),
        Route("/learn/notebooks/{file}", _notebook),
        Route("/learn/pictures/{number:int}", _picture),
        Route("/learn/figures/{name}/{file}", _figure),
        Route("/learn/source/{name:path}", _source),
        Route("/learn/{name}", _lesson),
    ]


def _index(request: Request) -> Response:
    return _answer(request, pages.index())


def _lesson(request: Request) -> Response:
    return _answer(request, pages.lesson(request.path_params["name"]))


def _source(request: Request) -> Response:
    return _answer(request, pages.source(request.path_params["name"]))


def _notebook(request: Request) -> Response:
    name, _, suffix = request.path_params["file"].rpartition(".")
    file = pages.notebook(name) if suffix == "ipynb" else None
    return _missing() if file is None else FileResponse(file, filename=file.name)


def _picture(request: Request) -> Response:
    file = pages.picture(request.path_params["number"])
    return _missing() if file is None else FileResponse(file, headers=_KEEP)


def _figure(request: Request) -> Response:
    page = pages.lesson(request.path_params["name"])
    number = request.path_params["file"].partition(".")[0]
    if page is None or not number.isdecimal() or not 1 <= int(number) <= len(page.figures):
        return _missing()
    figure = page.figures[int(number) - 1]
    return Response(figure.content, media_type=figure.type, headers=_KEEP)


def _style(request: Request) -> Response:
    return Response(_styles(), media_type="text/css", headers=_KEEP)


@cache
def _styles() -> str:
    return (Path(__file__).parent / "learn.css").read_text("utf-8") + code_styles()


def _answer(request: Request, page: pages.Page | None) -> Response:
    if page is None:
        return _missing()
    root = preview.root_address(request)
    address = root + preview.path_below(request.scope).removeprefix("/")
    head = preview.tags(page.title, page.about, address, f"{root}preview.jpg")
    return HTMLResponse(page.html.replace(pages.HEAD, head, 1), headers=_ALONE)


def _missing() -> Response:
    return HTMLResponse(
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Not found – Depth Pro</title>'
        "<p>There is no such page among the lessons.</p>",
        status_code=404,
        headers=_ALONE,
    )
