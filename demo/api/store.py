"""Results for programs, kept for a while under tokens that nobody can guess."""

import secrets
import shutil
import tempfile
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cachetools import TTLCache

from demo.pipeline import Analysis


@dataclass(frozen=True, eq=False)
class Entry:
    """A result and its files, which are deleted with the last reference to the entry."""

    analysis: Analysis
    folder: Path
    """For its files; its name does not reveal the token."""

    def __post_init__(self) -> None:
        """Delete the folder with the entry, or when the process ends."""
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)


class Store:
    """The latest results, limited in count, age and memory; safe to use from many threads."""

    def __init__(
        self,
        count: int = 64,
        age_s: float = 3600,
        max_bytes: float = 500e6,
        root: str | Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start empty; of more than `count` results, or `max_bytes` of photos, the oldest go first.

        `age_s` counts from the last use. The results' folders are in `root`, or where the system
        has temporary files.
        """
        self._age_s, self._root = age_s, Path(root or tempfile.gettempdir())
        self._entries: TTLCache[str, Entry] = TTLCache(
            max_bytes,
            age_s,
            clock,
            # A small photo takes up one of `count` equal parts.
            lambda entry: max(entry.analysis.rgb.nbytes, max_bytes / count),
        )
        self._lock = threading.Lock()

    def add(self, analysis: Analysis) -> str:
        """Keep a result and return its token."""
        token = secrets.token_urlsafe()
        # Another secret than the token: the address of a file gives no access to the result.
        folder = self._root / f"depthpro-{secrets.token_urlsafe()}"
        folder.mkdir(parents=True, mode=0o700)
        entry = Entry(analysis, folder)
        with self._lock:
            self._entries[token] = entry
        return token

    def find(self, token: str) -> Entry:
        """Return the result of a token, which must be known and not expired."""
        with self._lock:
            entry = self._entries.get(token) if isinstance(token, str) else None
            if entry is not None:
                self._entries[token] = entry  # its age counts from now on
                return entry
        raise ValueError(
            "Expected the token of a result; there is none under this one, or it was deleted: "
            f"results are kept for {self._age_s / 60:.0f} minutes after their last use, and fewer "
            "when many are asked for. Call estimate again."
        )

    def delete_expired(self) -> None:
        """Delete the results that are too old."""
        with self._lock:
            self._entries.expire()
