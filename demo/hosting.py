"""What a server needs: accounts for the login, a path in front of the page, and restarts."""

import os
from pathlib import Path

import gradio as gr
from starlette.types import ASGIApp, Receive, Scope, Send

ACCOUNT = "DEPTHPRO_AUTH"
"""The environment variable with one account, user:password."""


def read_accounts(file: str | None) -> list[tuple[str, str]] | None:
    """Return users and passwords from a file, else from DEPTHPRO_AUTH; None where neither is given.

    The file has an account on each line; empty lines are skipped.

    Raises:
        ValueError: If the file cannot be read, or an account is not of the form user:password.
    """
    if file is None:
        if ACCOUNT not in os.environ:
            return None
        return [_account(os.environ[ACCOUNT], ACCOUNT)]
    try:
        lines = Path(file).read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"The file of accounts {file} cannot be read: {error}") from None
    accounts = [
        _account(line, f"line {number} of {file}")
        for number, line in enumerate(lines, 1)
        if line.strip()
    ]
    if not accounts:
        raise ValueError(f"Expected a line user:password for each account in {file}; it is empty.")
    return accounts


def _account(text: str, place: str) -> tuple[str, str]:
    user, _, password = text.partition(":")
    if not user.strip() or not password:
        # Without the text, which may be a password.
        raise ValueError(f"Expected user:password in {place}, such as anna:her-password.")
    return user.strip(), password


class PathOfProxy:
    """Puts GRADIO_ROOT_PATH back in front of paths where a proxy has removed it.

    As ASGI wants it. Gradio 6.31 finds all but the list of MCP tools without it.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Stand before the page."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        root, path = scope.get("root_path", "").rstrip("/"), scope.get("path")
        if path and root.startswith("/") and not f"{path}/".startswith(f"{root}/"):
            scope = {**scope, "path": root + path}
        await self.app(scope, receive, send)


def restart_notice() -> gr.HTML:
    """Return a notice that says when the server is away or was restarted; see `hosting.js`."""
    script = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")
    return gr.HTML(js_on_load=script, elem_id="server")
