"""Close-ups: hair, fur and leaves before a scene of another family."""

import numpy as np
from numpy.random import Generator

from depthpro.scenes.mesh import drum, unit
from depthpro.scenes.nature import nature
from depthpro.scenes.people import animal, person
from depthpro.scenes.plants import potted_plant, twigs
from depthpro.scenes.rooms import room
from depthpro.scenes.streets import street
from depthpro.scenes.textures import paint
from depthpro.scenes.thing import Scene, Thing


def close_up(rng: Generator) -> Scene:
    """Return a person, an animal or a plant at 0.35 to 1.8 m before a scene of another family."""
    scene = (room, street, nature)[rng.choice(3, p=[0.4, 0.25, 0.35])](rng)
    away = float(np.exp(rng.uniform(np.log(0.35), np.log(1.8))))
    ahead = unit((scene.targets[0] - scene.eye) * [1, 1, 0.3])
    middle = scene.eye + ahead * away + rng.normal(0, 0.05, 3) * away
    kind, subject, low = rng.integers(4), Thing(), 0.0
    if kind == 0:
        adult = person(rng, strands=True)
        subject.put(adult, [0, 0, -(adult.extent()[1][2] - 0.15)])
    elif kind == 1:
        beast = animal(rng, min(away * rng.uniform(0.25, 0.4), 0.35), strands=True)
        low = beast.extent()[0][2]
        subject.put(beast)
    elif kind == 2:
        low = -away * 0.35
        subject.put(potted_plant(rng, away * 0.7), [0, 0, low])
    else:
        subject.put(twigs(rng, away * rng.uniform(0.5, 0.9)))
    if low:  # what would hang in the air stands on a round table
        wood, radius = paint(rng, "wood"), max(away * 0.5, 0.4)
        subject.add(wood, drum(radius, 0.03, 32), [0, 0, low - 0.03])
        subject.box(wood, [0.06, 0.06, 2], [0, 0, low - 1.03])
    turn = np.arctan2(-ahead[0], ahead[1]) + rng.normal(0, 0.6)
    scene.thing.put(subject, middle, turn)
    targets = middle + rng.normal(0, 0.12, (8, 3)) * away
    return scene._replace(spread=np.full(3, 0.06 * away), targets=targets)
