"""Several photos at once: choose, watch, and download a ZIP."""

from functools import partial
from typing import Any

import gradio as gr

from demo import export
from demo.figures import problem
from demo.gradio_internals import uploaded
from demo.pipeline import Predictor
from demo.session import PARALLEL, PRIVATE, Shared, sentence
from demo.tabs.many import drawing, photos
from demo.tabs.many.job import Job
from demo.tabs.many.turns import begin, take_turns
from demo.units import Units

_LABELS: dict[str, str] = {
    "colour-png": "Colours with a bar (PNG)",
    "depth-png": "Depth, 16 bits (PNG)",
    "npz": "Depth, float (NPZ)",
    "glb": "Surface (GLB)",
    "ply": "Points (PLY)",
    "obj": "Surface (OBJ)",
    "usdz": "Surface for iPhone (USDZ)",
    "stl": "Relief to print (STL)",
    "grey-png": "Grey, near is white (PNG)",
    "normals-png": "Normals (PNG)",
}
_CHOSEN = ["colour-png", "depth-png"]
_SUFFIXES = ["jpg", "jpeg", "png", "webp", "tif", "tiff", "heic", "heif", "avif"]


def build(model: Predictor, shared: Shared) -> None:
    """Add the controls to the group that is being built."""
    files = gr.File(
        label=f"At most {photos.MOST_PHOTOS} photos, {photos.MOST_BYTES / 1e6:.0f} MB together",
        file_count="multiple",
        file_types=[f".{suffix}" for suffix in _SUFFIXES],
        height=170,
        elem_id="many-files",
    )
    kinds = [(_LABELS.get(kind, kind), kind) for kind in export.available()]
    kinds.sort(key=lambda each: [*_LABELS, each[1]].index(each[1]))
    formats = gr.CheckboxGroup(
        kinds,
        value=_CHOSEN,
        label="Files of each photo; a table of all comes with them",
        elem_id="many-formats",
    )
    with gr.Row(elem_id="many-buttons"):
        start = gr.Button("Make depth of all photos", variant="primary", elem_id="many-start")
        cancel = gr.Button("Cancel", visible=False, elem_id="many-cancel")
        save = gr.DownloadButton(
            "Download all (ZIP)", variant="primary", visible=False, elem_id="many-save"
        )
    bar = gr.HTML(elem_id="many-progress")
    sheet, failed = gr.HTML(elem_id="many-sheet"), gr.HTML(elem_id="many-failed")
    job = gr.State(None)
    outputs = [bar, sheet, failed, start, cancel, save]
    turns = take_turns("many", job, [shared.units], outputs, _show)
    start.click(
        partial(_start, model),
        [files, formats, shared.units],
        [job, *turns, *outputs],
        preprocess=False,  # would open any path that a client sends
        concurrency_limit=PARALLEL,
        **PRIVATE,
    )
    cancel.click(_cancel, [job, shared.units], outputs, queue=False, **PRIVATE)


def _start(model: Predictor, files: Any, formats: Any, units: Units) -> list[Any]:
    """Begin with the photos, or say why not."""
    try:
        paths = [uploaded(file) for file in files or []]
        photos.check(paths)
    except (ValueError, OSError) as error:
        return [*[gr.skip()] * 3, problem(sentence(error)), *[gr.skip()] * 5]
    chosen: list[export.Format] = [k for k in export.available() if k in (formats or [])]
    batch = photos.Batch(paths, tuple(chosen))
    job = Job(photos.work(model, batch), batch)
    return [job, *begin(job), *_show(job, units)]


def _cancel(job: Job | None, units: Units) -> list[Any]:
    if job is None:
        return [gr.skip()] * 6
    job.cancel()
    return _show(job, units)


def _show(job: Job, units: Units) -> list[Any]:
    """Return updates of progress, thumbnails, failures and the three buttons."""
    batch: photos.Batch = job.product
    going = not job.over and not job.cancelled
    save, start = gr.update(visible=False, value=None), "primary"
    if job.over and batch.archive.exists():
        size = max(0.1, batch.archive.stat().st_size / 1e6)
        label = f"Download all (ZIP, {size:.{size < 10:d}f} MB)"
        save, start = gr.update(visible=True, value=str(batch.archive), label=label), "secondary"
    return [
        drawing.progress(job, drawing.ended(batch)),
        drawing.sheet(batch, not going, units),
        drawing.failures(batch),
        gr.update(visible=not going, variant=start),
        gr.update(visible=going),
        save,
    ]
