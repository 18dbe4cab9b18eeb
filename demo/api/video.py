"""A short video for programs: its depth as a film."""

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr
from cachetools import TTLCache
from gradio_client import handle_file

from demo import gradio_internals
from demo.movies import describe_film
from demo.pipeline import Predictor
from demo.session import KEEP_S, NETWORK
from demo.tabs.many.clip import cut_film, given_focal, median_focal, predict
from demo.tabs.many.film import write_film
from demo.tabs.many.job import Folder, finish
from demo.tabs.many.smoothing import check_strength

FPS = 15.0
"""Frames a second of the result, if the video has as many."""
_KEPT = 32  # films
_EXAMPLES: dict[str, Any] = {
    "film": handle_file(
        "https://raw.githubusercontent.com/gradio-app/gradio/main/test/test_files/video_sample.mp4"
    ),
    "smoothing": 0.5,
}
"""Arguments that the API page shows."""


@dataclass(frozen=True, eq=False)
class Films:
    """The function, and the films that it made, which are kept for a while."""

    model: Predictor
    kept: TTLCache[Path, Folder] = field(default_factory=lambda: TTLCache(_KEPT, KEEP_S))
    lock: threading.Lock = field(default_factory=threading.Lock)

    def video(
        self, film: gr.FileData, smoothing: float = 0.5, fov_deg: float | None = None
    ) -> gr.FileData:
        """Make a film of the depth of a short video, beside the original, with a bar in metres.

        The network is called once a frame, for at most 15 frames a second, so that 20 seconds can
        take some minutes. The focal length is one for all frames, and so is the range of colours.

        Args:
            film: An MP4, MOV, WebM, MKV or AVI file, at most 20 seconds, 4096 pixels and 100 MB.
            smoothing: Over time, from 0 (each frame for itself) to 0.95, against flicker.
            fov_deg: Horizontal field of view in degrees; without it the median of the estimates.

        Returns:
            The film as MP4 (H.264), at most 1280 pixels a side each. Over MCP a link that is valid
            for an hour.
        """
        smoothing = check_strength(smoothing)
        if fov_deg is not None and not isinstance(fov_deg, int | float):
            raise ValueError(f"Expected fov_deg as a number of degrees; got {fov_deg!r}.")
        source = describe_film(gradio_internals.uploaded(film, "video"))
        cut, given = cut_film(source, 0.0, None, FPS), given_focal(source, fov_deg=fov_deg)
        clip = finish(predict(self.model, source, cut))
        folder = Folder()  # another than that of the clip, which goes at the end
        path = folder.path / f"{source.path.stem[:80]}_depth.mp4"
        focal = given or median_focal(clip)
        finish(write_film(clip, focal, smoothing, "beside", path))
        with self.lock:
            self.kept[path] = folder
        return gr.FileData(path=str(path), orig_name=path.name)

    def delete_expired(self) -> None:
        """Delete the films that are too old."""
        with self.lock:
            self.kept.expire()


def register(model: Predictor, page: gr.Blocks) -> None:
    """Offer the function on the page that is being built."""
    films = Films(model)
    gradio_internals.offer(page, films.video, _EXAMPLES, **NETWORK)
    threading.Thread(target=_delete_expired, args=[films], daemon=True).start()


def _delete_expired(films: Films) -> None:
    while True:
        time.sleep(60)
        films.delete_expired()
