"""Progress, contact sheet and results as HTML."""

import html

from demo import figures, screen
from demo.movies import Film
from demo.session import sentence
from demo.tabs.many.clip import MAX_SECONDS, Clip, Focal
from demo.tabs.many.job import Job
from demo.tabs.many.photos import Batch
from demo.units import Units, length
from depthpro.geometry import fov_from_focal


def progress(job: Job, ended: str) -> str:
    """Return the bar with what happens and the seconds to go; `ended` when the work is over."""
    if job.cancelled:
        return f'<p class="work-note" role="status">Cancelled. {html.escape(ended)}</p>'
    if job.error is not None:
        return figures.problem(sentence(getattr(job.error, "message", "") or job.error))
    if job.step is None:
        return f'<p class="work-note" role="status">{html.escape(ended)}</p>'
    to_go, share = job.seconds_to_go, job.step.share
    time = "" if to_go is None else f" · {duration(to_go)} to go"
    text = html.escape(job.step.text + time)
    picture = ""
    if job.step.picture is not None:
        uri = screen.picture_uri(job.step.picture, "JPEG")
        picture = f'<img class="work-picture" src="{uri}" alt="The last frame and its depth">'
    return (
        f'<div class="work" role="progressbar" aria-label="Progress" aria-valuemin="0" '
        f'aria-valuemax="100" aria-valuenow="{100 * share:.0f}" aria-valuetext="{text}">'
        f'<span style="width: {100 * share:.1f}%"></span></div>'
        f'<p class="work-note">{text}</p>{picture}'
    )


def duration(seconds: float) -> str:
    """Return a time as people say it."""
    if seconds < 90:
        return f"about {max(1, round(seconds))} s"
    return f"about {seconds / 60:.0f} min"


def ended(batch: Batch) -> str:
    """Return how many photos are done, in a sentence."""
    done, count = len(batch.done), len(batch.paths)
    text = f"{done} of {count} photos {'is' if done == 1 else 'are'} done"
    return f"{text}, {len(batch.failed)} failed." if batch.failed else f"{text}."


def sheet(batch: Batch, over: bool, units: Units = "m") -> str:
    """Return the depth maps of all photos as thumbnails, in the order of the files.

    Photos to come have their place already, so that nothing moves.
    """
    tiles = []
    for number, path in enumerate(batch.paths):
        name, picture, kind = html.escape(path.name), '<span class="blank"></span>', ""
        if number in batch.done:
            row, depth, thumbnail = batch.done[number]
            near, far = length(depth.near_m, units), length(depth.far_m, units)
            note = f"{near} to {far}<br>{row['fov_deg']:.0f}° field of view"
            picture = f'<img src="{thumbnail}" alt="Depth of {name}">'
        elif number in batch.failed:
            note, kind = "failed, see below", "failed"
        else:
            note = "not done" if over else "waits"
        tiles.append(
            f'<figure class="{kind}">{picture}<figcaption><b>{name}</b>{note}</figcaption></figure>'
        )
    return f'<div class="sheet">{"".join(tiles)}</div>'


def failures(batch: Batch) -> str:
    """Return the photos that failed, each with the reason."""
    if not batch.failed:
        return ""
    rows = "".join(
        f"<li><b>{html.escape(batch.paths[number].name)}</b> {html.escape(reason)}</li>"
        for number, reason in batch.failed.items()
    )
    return f'<p class="work-note">Failed, and why:</p><ul class="failures">{rows}</ul>'


def film_note(film: Film) -> str:
    """Return what is known of a film, and what to do if it is too long."""
    text = (
        f"{film.duration_s:.3g} s, {film.width} × {film.height} pixels, {film.fps:.3g} frames a "
        "second."
    )
    if film.duration_s > MAX_SECONDS + 0.05:
        text += f" At most {MAX_SECONDS:.0f} s are used: choose below where they start."
    return f'<p class="hint" role="status">{text}</p>'


def clip_cards(clip: Clip, focal: Focal, units: Units = "m") -> str:
    """Return the colour bar and figures of a clip."""
    film, span = clip.film, clip.span(focal.f_px)
    fov_deg = fov_from_focal(focal.f_px, film.width)
    estimates = [fov_from_focal(f_px, film.width) for f_px in clip.estimated_f_px]
    spread = f"estimates: {min(estimates):.1f} to {max(estimates):.1f}°" if estimates else ""
    rows = [
        ("Field of view", f"{fov_deg:.1f}°", spread),
        ("Focal length", f"{focal.f_px:.0f} px", focal.source),
        (
            "Depth",
            f"{length(span.near_m, units)} to {length(span.far_m, units)}",
            "one range for all frames",
        ),
        ("Frames", str(clip.count), f"{clip.cut.fps:.3g} a second"),
    ]
    return figures.colour_bar(span, units=units) + figures.cards(rows)
