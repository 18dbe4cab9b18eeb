"""The part "crops" of the tab "Focal length": what the network says about them."""

from functools import partial
from typing import Any, NamedTuple

import gradio as gr
from torch import Tensor

from demo.session import KEEP_S, NETWORK, PARALLEL, PRIVATE, Session, Shared, refusal, require_photo
from demo.tabs.focal import crops
from demo.tabs.focal.crops import CropEstimate, crop_estimates
from demo.tabs.focal.focal import opinions
from depthpro import DepthPro

_CROPS = (
    "A crop around the centre leaves the focal length in pixels as it is. Does the network say "
    f"so? It is called {crops.CALLS} times, for four crops."
)
_PROGRESS = gr.Progress()
_NO_CROPS = "This network estimates no focal length, of crops neither."


class Cropped(NamedTuple):
    """What the network said about crops, on its way into the session."""

    canonical: Tensor
    """Canonical inverse depth of the photo, which tells photos apart."""
    estimates: tuple[CropEstimate, ...]


class Crops(NamedTuple):
    """What asks and what answers."""

    ask: gr.Button
    said: gr.HTML
    chart: gr.Plot
    table: gr.HTML


def build_crops(model: DepthPro, shared: Shared) -> Crops:
    """Return the components, which call the network when they are asked to."""
    gr.HTML("<h3>What does the network say about crops?</h3>")
    asked = Crops(
        gr.Button("Ask it", elem_id="ask-crops"),
        gr.HTML(elem_id="crops-said"),
        gr.Plot(
            label="Focal length that the network says of each crop, as a chart",
            visible=False,
            show_label=False,
            elem_id="crops-chart",
        ),
        gr.HTML(elem_id="crops-table"),
    )
    fresh = gr.State(None, time_to_live=KEEP_S)
    event = asked.ask.click(
        partial(_ask, model),
        shared.session,
        fresh,
        show_progress_on=[asked.said],
        api_visibility="private",
        **NETWORK,
    )
    event.success(
        _keep,
        [shared.session, fresh],
        [fresh, *asked],
        concurrency_limit=PARALLEL,
        **PRIVATE,
    )
    return asked


def show_crops(session: Session | None) -> list[Any]:
    """Return one update for each part of `Crops`."""
    none = gr.update(value=None, visible=False)
    if session is None:
        return [gr.update(interactive=False), "", none, ""]
    possible = session.analysis.estimated_f_px is not None
    ask = gr.update(interactive=possible)
    if not session.crops:
        said = _CROPS if possible else _NO_CROPS
        return [ask, f'<p class="hint">{said}</p>', none, ""]
    chart = crops.crop_chart(session.crops, opinions(session.analysis, session.hand_f_px))
    shown = gr.update(value=chart, visible=True)
    return [ask, crops.summary(session.crops), shown, crops.crop_table(session.crops)]


def _ask(model: DepthPro, session: Session | None, progress: gr.Progress = _PROGRESS) -> Cropped:
    """Call the network; the session may change in the meantime."""
    analysis = require_photo(session).analysis

    def tell(done: int, calls: int) -> None:
        progress((done, calls), desc="The network looks at crops", unit="calls")

    try:
        estimates = crop_estimates(model, analysis, tell)
    except (ValueError, MemoryError) as error:
        raise refusal(error) from None
    return Cropped(analysis.prediction.canonical_inverse_depth, estimates)


def _keep(session: Session | None, fresh: Cropped | None) -> list[Any]:
    """Put what the network said into the session, if it still is of this photo."""
    if session is None or fresh is None:
        return [gr.skip()] * (1 + len(Crops._fields))
    if fresh.canonical is session.analysis.prediction.canonical_inverse_depth:
        with session.lock:
            session.crops = fresh.estimates
    return [None, *show_crops(session)]
