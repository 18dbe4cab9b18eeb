"""The page itself; the only module that knows Gradio."""

import tempfile
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
from gradio.helpers import Examples
from gradio.themes import Default
from PIL import Image

from demo import export, figures, pipeline
from demo.pipeline import Analysis, FocalSource
from depthpro import DepthPro
from depthpro.geometry import focal_from_fov

LAUNCH: dict[str, Any] = {
    "theme": Default(
        primary_hue="teal",
        neutral_hue="slate",
        font=["system-ui", "sans-serif"],  # named fonts would be fetched from outside
        font_mono=["ui-monospace", "monospace"],
    ),
    "css": (Path(__file__).parent / "page.css").read_text(),
    "max_file_size": "100mb",
    "footer_links": ["api", "gradio"],
    "run_history": False,
    "ssr_mode": False,
}
"""How the page is served; what Gradio takes only at launch."""

_EXAMPLES = ("coffee.png", "astronaut.png", "chelsea.png", "rocket.jpg", "motorcycle_left.png")
_SOURCES = {"metadata": "Photo's metadata", "network": "Network's estimate", "hand": "By hand"}
_NO_ZIP = gr.update(value=None, visible=False)
# The browser starts the download itself once the file is there.
_CLICK_ZIP = "() => setTimeout(() => document.querySelector('#zip')?.click(), 300)"
_PARALLEL = 4  # visitors whose arithmetic runs at once; the network takes one at a time
_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
_RESCALED = 8  # outputs of a new focal length
_KEEP_S = 3600  # results and files of a visitor live this long after their last use
_SHOWN = (".jpg", ".jpeg", ".png", ".webp")  # what browsers can show


class Visit(NamedTuple):
    """What one visitor's page holds: a result, and a folder of its own for its files."""

    analysis: Analysis
    folder: tempfile.TemporaryDirectory


def build_page(model: DepthPro, note: str = "") -> gr.Blocks:
    """Return the page for a network.

    Args:
        model: Any network; it is called once a photo.
        note: What visitors should know about how it was chosen.
    """
    with gr.Blocks(
        title="Depth Pro", delete_cache=(_KEEP_S, _KEEP_S), analytics_enabled=False
    ) as page:
        visit = gr.State(None, time_to_live=_KEEP_S, delete_callback=_forget)
        gr.Markdown("# Depth Pro\nOne photo in, depth in metres out, without any camera data.")
        gr.HTML(figures.banner(model.provenance, note))
        with gr.Row():
            with gr.Column(scale=2, min_width=320):
                photo = gr.Image(
                    label="Photo",
                    type="filepath",
                    image_mode=None,
                    sources=["upload", "clipboard", "webcam"],
                    height=300,
                    elem_id="photo",
                    alt_text="The photo as it was given",
                )
                examples = _examples(photo)
                panel, focal = _focal_panel()
            with gr.Column(scale=3, min_width=320):
                shown, surface, in_3d = _results(visit)
                prepare, zip_file = _download(visit)
        results = [visit, *focal, *shown, zip_file]
        everything = [photo, panel, prepare, surface, *results]
        for trigger, name in ((photo.input, "estimate"), (examples.load_input_event.then, None)):
            event = trigger(
                partial(_estimate, model),
                [visit, photo],
                everything,
                preprocess=False,  # would open the file, before `load_image` can say what is wrong
                concurrency_id="network",
                concurrency_limit=1,
                show_progress_on=[shown[0]],
                api_name=name,
                api_visibility="public" if name else "private",
            )
            event.success(_refreshed, [visit, in_3d], surface, **_QUIET)
            event.failure(_nothing, None, everything, **_QUIET)
        _wire_focal(visit, focal, results, in_3d, surface)
    return page.queue(max_size=16)


def _examples(photo: gr.Image) -> Examples:
    """Return the example photos, which come with scikit-image; nothing is fetched."""
    folder = files("skimage") / "data"
    return gr.Examples(
        [[str(folder / name)] for name in _EXAMPLES],
        inputs=photo,
        cache_examples=False,
        label="Examples",
        api_visibility="private",
    )


def _focal_panel() -> tuple[gr.Group, tuple[gr.Radio, gr.Number, gr.Number]]:
    """Return the panel and its fields; it shows once there is a photo."""
    with gr.Group(visible=False) as panel:
        source = gr.Radio(
            [(label, key) for key, label in _SOURCES.items()],
            label="Focal length",
            info="Depth is proportional to it. Changing it rescales everything at once.",
            elem_id="focal-source",
        )
        with gr.Row():
            f_px = gr.Number(label="Focal length (px)", elem_id="f-px", min_width=120)
            fov_deg = gr.Number(label="Field of view (°)", elem_id="fov-deg", min_width=120)
    return panel, (source, f_px, fov_deg)


def _results(
    visit: gr.State,
) -> tuple[tuple[gr.ImageSlider, gr.HTML, gr.HTML], gr.Model3D, gr.State]:
    """Return what shows a result, the surface, and whether the visitor is looking at it."""
    in_3d = gr.State(False)
    with gr.Tabs():
        with gr.Tab("Depth") as flat:
            slider = gr.ImageSlider(
                label="Photo | depth",
                type="filepath",
                format="png",
                interactive=False,
                max_height=640,
                elem_id="slider",
            )
            bar = gr.HTML()
        with gr.Tab("3D") as solid:
            surface = gr.Model3D(
                label="Surface in metres: drag to turn, scroll to move closer",
                display_mode="solid",
                clear_color=(0.09, 0.1, 0.12, 1.0),
                height=520,
                interactive=False,
                elem_id="surface",
            )
    summary = gr.HTML(figures.empty_summary(), elem_id="summary")
    # The viewer draws only what it is given while it is on the screen.
    flat.select(lambda: False, None, in_3d, **_QUIET)
    solid.select(lambda: True, None, in_3d, **_QUIET)
    solid.select(_surface, visit, surface, concurrency_limit=_PARALLEL, api_name="surface")
    return (slider, bar, summary), surface, in_3d


def _download(visit: gr.State) -> tuple[gr.Button, gr.DownloadButton]:
    with gr.Row():
        prepare = gr.Button(
            "Download everything (ZIP)", variant="primary", visible=False, elem_id="prepare"
        )
        zip_file = gr.DownloadButton("Save the ZIP again", visible=False, elem_id="zip")
    event = prepare.click(_bundle, visit, zip_file, concurrency_limit=_PARALLEL, api_name="bundle")
    event.success(None, js=_CLICK_ZIP, api_visibility="private")
    return prepare, zip_file


def _wire_focal(
    visit: gr.State,
    focal: tuple[gr.Radio, gr.Number, gr.Number],
    results: list[Any],
    in_3d: gr.State,
    surface: gr.Model3D,
) -> None:
    """Make the three ways to say a focal length follow one another; none calls the network."""
    source, f_px, fov_deg = focal
    for triggers, handler, field, name in (
        ([source.input], _use_source, source, "use_focal_of"),
        ([f_px.submit, f_px.blur], _use_f_px, f_px, "use_f_px"),
        ([fov_deg.submit, fov_deg.blur], _use_fov, fov_deg, "use_fov_deg"),
    ):
        event = gr.on(
            triggers,
            handler,
            [visit, field],
            results,
            concurrency_limit=_PARALLEL,
            show_progress="hidden",
            api_name=name,
        )
        event.success(_refreshed, [visit, in_3d], surface, **_QUIET)
        event.failure(_restored, visit, list(focal), **_QUIET)


def _estimate(model: DepthPro, visit: Visit | None, photo: dict[str, Any] | None) -> list[Any]:
    """Depth, field of view and focal length of a photo."""
    if photo is None:
        return _nothing()
    path = photo.get("path")  # Gradio has made sure that it is a file uploaded to this page
    if not path:
        raise _refusal("Send the photo as a file.")
    try:
        analysis = pipeline.analyse(model, path)
    except (ValueError, OSError, MemoryError) as error:
        raise _refusal(str(error)) from None
    _forget(visit)
    folder = tempfile.TemporaryDirectory(prefix="depthpro-", ignore_cleanup_errors=True)
    visit = Visit(analysis, folder)
    slider, *rest = _shown(visit)
    # What a browser cannot show comes back as the picture that was read.
    preview = gr.skip() if Path(path).suffix.lower() in _SHOWN else slider[0]
    here = gr.update(visible=True)
    return [preview, here, here, None, visit, *_focal(analysis), slider, *rest, _NO_ZIP]


def _use_source(visit: Visit | None, source: FocalSource) -> list[Any]:
    """Rescale to the focal length of the metadata or of the network, or keep the one in use."""
    return _rescale(visit, source, None if visit is None else visit.analysis.f_px)


def _use_f_px(visit: Visit | None, f_px: float | None) -> list[Any]:
    """Rescale to a focal length in pixels."""
    if visit is not None and f_px == _field_values(visit.analysis)[0]:
        return [gr.skip()] * _RESCALED  # the field was left as it was
    return _rescale(visit, "hand", f_px)


def _use_fov(visit: Visit | None, fov_deg: float | None) -> list[Any]:
    """Rescale to a horizontal field of view in degrees."""
    if visit is None or fov_deg is None:
        return _rescale(visit, "hand", None)
    if fov_deg == _field_values(visit.analysis)[1]:
        return [gr.skip()] * _RESCALED
    if not 0 < fov_deg < 180:
        raise _refusal(f"The field of view must be between 0 and 180 degrees, not {fov_deg:g}.")
    return _rescale(visit, "hand", focal_from_fov(fov_deg, visit.analysis.prediction.width))


def _rescale(visit: Visit | None, source: FocalSource, f_px: float | None) -> list[Any]:
    """Return the results for another focal length; arithmetic on what the network once said."""
    if visit is None:
        raise _refusal("Choose a photo first.")
    try:
        analysis = pipeline.with_source(visit.analysis, source, f_px)
    except ValueError as error:
        raise _refusal(str(error)) from None
    visit = visit._replace(analysis=analysis)
    return [visit, *_focal(analysis), *_shown(visit), _NO_ZIP]


def _surface(visit: Visit | None) -> dict[str, Any] | None:
    """Textured surface of the photo in metres, as GLB."""
    if visit is None:
        return None
    view = export.view_glb(visit.analysis, visit.folder.name)
    camera = (view.around_deg, view.down_deg, view.distance_m)
    return gr.update(value=str(view.path), camera_position=camera)


def _refreshed(visit: Visit | None, in_3d: bool) -> dict[str, Any] | None:
    """Return the surface if the visitor is looking at it; else it is made when they do."""
    return _surface(visit) if in_3d else None


def _bundle(visit: Visit | None) -> dict[str, Any]:
    """One ZIP with depth, pictures, 3D files and what they mean."""
    if visit is None:
        raise _refusal("Choose a photo first.")
    path = export.bundle(visit.analysis, visit.folder.name)
    megabytes = path.stat().st_size / 1e6
    return gr.update(
        value=str(path), label=f"Save the ZIP again ({megabytes:.0f} MB)", visible=True
    )


def _nothing() -> list[Any]:
    """Return the page as it is before there is a photo."""
    gone = gr.update(visible=False)
    fields = [gr.skip()] * 3
    return [None, gone, gone, None, None, *fields, None, "", figures.empty_summary(), _NO_ZIP]


def _field_values(analysis: Analysis) -> tuple[float, float]:
    """Return what the two number fields show: pixels and degrees, rounded."""
    return round(analysis.f_px, 1), round(analysis.prediction.fov_deg.item(), 2)


def _focal(analysis: Analysis) -> list[Any]:
    """Return what the focal panel shows: the source, pixels, and degrees."""
    has = {"metadata": analysis.metadata_f_px, "network": analysis.estimated_f_px, "hand": 1}
    choices = [(label, key) for key, label in _SOURCES.items() if has[key] is not None]
    return [gr.update(choices=choices, value=analysis.source), *_field_values(analysis)]


def _restored(visit: Visit | None) -> list[Any]:
    """Return what the fields showed before a focal length was refused."""
    return [gr.skip()] * 3 if visit is None else _focal(visit.analysis)


def _refusal(sentence: str) -> gr.Error:
    return gr.Error(sentence[0].upper() + sentence[1:], print_exception=False)


def _forget(visit: Visit | None) -> None:
    if visit is not None:
        visit.folder.cleanup()


def _shown(visit: Visit) -> tuple[tuple[str, str], str, str]:
    """Return the slider's two pictures, the colour bar and the figures."""
    photo, depth, span = figures.previews(visit.analysis)
    folder = Path(visit.folder.name)
    paths = folder / "photo.jpg", folder / "depth.png"
    Image.fromarray(photo).save(paths[0], quality=92)
    Image.fromarray(depth).save(paths[1], compress_level=1)
    bar, summary = figures.colour_bar(span), figures.summary(visit.analysis, span)
    return (str(paths[0]), str(paths[1])), bar, summary
