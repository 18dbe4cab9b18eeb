"""Files that appear whole or not at all."""

import contextlib
import secrets
import tempfile
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
    Path(folder).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=folder, ignore_cleanup_errors=True) as name:
        yield Path(name)
        for path in Path(name).iterdir():
            path.replace(Path(folder) / path.name)
