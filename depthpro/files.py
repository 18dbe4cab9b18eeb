"""Files that appear whole or not at all."""

import contextlib
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Give a new path beside `path` to write to; the file replaces `path` if the block succeeds.

    If the block fails, nothing is left behind and an older file stays.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Cut short, as the file's own name may be as long as the system allows. The suffix stays,
    # because writers choose the format by it.
    temporary = path.with_name(f".{path.stem[:32]}.{secrets.token_hex(4)}{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def whole_files(folder: str | Path) -> Iterator[Path]:
    """Give a new folder to write to; its files move to `folder` together if the block succeeds."""
    folder = Path(folder)
    temporary = folder / f".{secrets.token_hex(8)}"
    temporary.mkdir(parents=True)
    try:
        yield temporary
        for path in temporary.iterdir():
            path.replace(folder / path.name)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
