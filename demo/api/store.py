"""Results that programs come back for: under tokens that nobody can guess, and not for ever."""

import secrets
import shutil
import tempfile
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from demo.pipeline import Analysis


@dataclass(frozen=True, eq=False)
class Entry:
    """A result and its files, which go when nobody holds the entry any more."""

    analysis: Analysis
    folder: Path
    """For its files; nobody else knows the name."""
    files: dict[str, Path] = field(default_factory=dict)
    """What was written so far, by what it is; a result never changes."""
    writing: threading.Lock = field(default_factory=threading.Lock)
    """Held while a file is written."""

    def __post_init__(self) -> None:
        """Make the folder, and see to it that it goes, also when the process ends."""
        self.folder.mkdir(parents=True, mode=0o700)
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)


class Store:
    """The latest results, limited in count, age and memory; safe to use from many threads."""

    def __init__(
        self,
        count: int = 64,
        age_s: float = 3600,
        megabytes: float = 500,
        root: str | Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Keep nothing yet.

        Args:
            count: How many results are kept; the one that was not used for longest goes first.
            age_s: How long a result is kept after its last use, in seconds.
            megabytes: Memory for the photos of all results; the latest one is always kept.
            root: Where each result has a folder; None takes the system's for temporary files.
            clock: Returns seconds.
        """
        self._count, self._age_s, self._bytes = count, age_s, megabytes * 1e6
        self._root = Path(root or tempfile.gettempdir())
        self._clock = clock
        self._entries: OrderedDict[str, tuple[float, Entry]] = OrderedDict()  # latest use last
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None

    def __len__(self) -> int:
        """Return how many results are kept."""
        with self._lock:
            self._tidy()
            return len(self._entries)

    def add(self, analysis: Analysis) -> str:
        """Keep a result and return its token."""
        token = secrets.token_urlsafe()
        with self._lock:
            # Another secret than the token: who sees where a file lies cannot ask for more.
            folder = self._root / f"depthpro-{secrets.token_urlsafe()}"
            self._entries[token] = (self._clock(), Entry(analysis, folder))
            self._tidy()
            self._wait()
        return token

    def find(self, token: str) -> Entry:
        """Return the result of a token; it counts as used.

        Raises:
            ValueError: If there is none, or no more.
        """
        with self._lock:
            self._tidy()
            kept = self._entries.get(token) if isinstance(token, str) else None
            if kept is not None:
                self._entries[token] = (self._clock(), kept[1])
                self._entries.move_to_end(token)
                return kept[1]
        raise ValueError(
            "Expected the token of a result; there is none under this one, or it was thrown away: "
            f"results are kept for {self._age_s / 60:.0f} minutes after their last use, and fewer "
            "when many are asked for. Call estimate again."
        )

    def _tidy(self) -> None:
        """Throw away what is too old or too much; the lock is held."""
        now = self._clock()
        while self._entries:
            used_at = next(iter(self._entries.values()))[0]
            many = len(self._entries) > self._count
            large = len(self._entries) > 1 and self._photo_bytes() > self._bytes
            if not (many or large or now - used_at >= self._age_s):
                return
            self._entries.popitem(last=False)

    def _photo_bytes(self) -> int:
        """Return the memory of the photos; results at several focal lengths share one."""
        photos = [entry.analysis.rgb for _, entry in self._entries.values()]
        return sum({id(rgb): rgb.nbytes for rgb in photos}.values())

    def _wait(self) -> None:
        """Come back when the next result is too old, though nobody calls; the lock is held."""
        if self._timer is None and self._entries:
            used_at = next(iter(self._entries.values()))[0]
            seconds = used_at + self._age_s - self._clock()
            self._timer = threading.Timer(max(seconds, 0.01), self._expire)
            self._timer.daemon = True
            self._timer.start()

    def _expire(self) -> None:
        with self._lock:
            self._timer = None
            self._tidy()
            self._wait()
