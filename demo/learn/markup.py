"""Markdown, formulas and code as HTML that needs nothing from outside."""

import html
import re
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from latex2mathml.converter import convert
from markdown_it import MarkdownIt
from markdown_it.token import Token
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import TextLexer, get_lexer_by_name
from pygments.util import ClassNotFound

_FORMULA = re.compile(r"(`+)(?:.+?)\1|\$\$(?P<block>.+?)\$\$|\$(?P<inline>[^$\n]+)\$", re.S)
# Private characters stand for formulas, whose underscores and stars Markdown would take for its
# own.
_PLACE = re.compile("\ue000(\\d+)\ue001")


class Heading(NamedTuple):
    """A heading of a lesson, for its table of contents."""

    level: int
    id: str
    title: str
    """As HTML."""


def to_html(
    text: str, link: Callable[[str], str | None], headings: list[Heading] | None = None
) -> str:
    """Return Markdown as HTML; headings get an id, and are added to `headings`.

    `link` returns the address for the target of a link or a picture, or None to leave the words.
    """
    formulas: list[str] = []

    def place(match: re.Match[str]) -> str:
        block, inline = match["block"], match["inline"]
        if block is None and inline is None:
            return match[0]
        formulas.append(_formula(block or inline, "block" if block else "inline"))
        return f"\ue000{len(formulas) - 1}\ue001"

    def fill(page: str) -> str:
        return _PLACE.sub(lambda match: formulas[int(match[1])], page)

    reader = _reader()
    tokens = reader.parse(_FORMULA.sub(place, text))
    for at, token in enumerate(tokens):
        _relink(token.children or [], link)
        if token.type == "heading_open" and headings is not None:
            title = fill(reader.renderer.render(tokens[at + 1 : at + 2], reader.options, {}))
            words = re.sub(r"\W+", "-", re.sub(r"<[^>]*>", "", title).lower()).strip("-")
            taken = {heading.id for heading in headings}
            token.attrSet("id", words if words not in taken else f"{words}-{len(headings)}")
            headings.append(Heading(int(token.tag[1]), str(token.attrs["id"]), title))
    return fill(reader.renderer.render(tokens, reader.options, {}))


def code(text: str, language: str = "python") -> str:
    """Return code as HTML, coloured by the classes of `code_styles`."""
    try:
        lexer = get_lexer_by_name(language)
    except ClassNotFound:
        lexer = TextLexer()
    coloured = highlight(text, lexer, HtmlFormatter(nowrap=True))
    return f'<pre class="code" tabindex="0"><code>{coloured.rstrip()}</code></pre>'


def code_styles() -> str:
    """Return the colours of code, light and dark."""
    light = HtmlFormatter(style="xcode").get_style_defs(".code")
    dark = HtmlFormatter(style="github-dark").get_style_defs(".code")
    screen = "@media screen and (prefers-color-scheme: dark)"
    return f"{light}\n{screen} {{\n{dark}\n}}"


@cache
def _reader() -> MarkdownIt:
    def fenced(text: str, language: str, _: str) -> str:
        return code(text, language or "text")

    reader = MarkdownIt("commonmark", {"html": True, "highlight": fenced}).enable("table")
    for tag, words in (
        ("table_open", '<div class="scroll" tabindex="0"><table>'),
        ("table_close", "</table></div>"),
    ):
        reader.add_render_rule(tag, lambda *_, words=words: words)
    return reader


def _relink(tokens: list[Token], link: Callable[[str], str | None]) -> None:
    kept = True
    for token in tokens:
        if token.type == "link_open":
            address = link(str(token.attrGet("href")))
            kept = address is not None
            if address is not None and address != token.attrGet("href"):
                token.attrs = {"href": address}  # a hint is for who reads it elsewhere
        missing = token.type == "image" and link(str(token.attrGet("src"))) is None
        if missing or (token.type in ("link_open", "link_close") and not kept):
            token.type = "text"  # its words, if it has any


def _formula(latex: str, display: str) -> str:
    """Return a formula as MathML, which browsers draw by themselves."""
    formula = convert(latex.strip(), display=display)
    formula = formula.replace(' xmlns="http://www.w3.org/1998/Math/MathML"', "")
    alt = html.escape(" ".join(latex.split()))
    return formula.replace("<math", f'<math alttext="{alt}"', 1)
