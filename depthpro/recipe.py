"""How a network is trained: every choice of the curriculum in one small, readable config."""

import dataclasses
import json
from dataclasses import dataclass
from typing import Any, Literal, get_args

from depthpro.config import DepthProConfig

PhaseName = Literal["encoders", "stage1", "stage2", "fov"]
PHASES: tuple[PhaseName, ...] = get_args(PhaseName)


def _refuse(made: object, rules: dict[str, bool]) -> None:
    for name, met in rules.items():
        if not met:
            raise ValueError(
                f"{type(made).__name__} cannot have {name}={getattr(made, name)!r} in {made}"
            )


@dataclass(frozen=True)
class Phase:
    """One part of the curriculum, with its own optimiser.

    The learning rate rises from 0 in the first `warmup` of the steps, stays for `constant` of
    them, and is `final_lr` times that for the rest; `decay="linear"` goes there gradually.

    Source: Table 16 for the defaults.
    """

    name: PhaseName
    steps: int
    batch: int = 128
    """Pictures a step, over all processes and accumulated parts."""
    accumulation: int = 1
    """Parts in which a batch is computed one after the other, to need less memory."""
    encoder_lr: float = 1.28e-5
    """In stages, 0 leaves the encoders as they are, which saves their backward pass."""
    decoder_lr: float = 1.28e-4
    weight_decay: float = 0.0
    clip: float = 0.2
    """Largest norm of the gradient."""
    warmup: float = 0.01
    constant: float = 0.8
    decay: Literal["step", "linear"] = "step"
    final_lr: float = 0.1
    region: int | None = None
    """Side of the part of each picture that is decoded, in patches of the finest scale; None for
    the whole. See `depthpro.partial`."""
    relative: bool = False
    """Weigh a picture's errors by 1 / (its mean C + 0.1), or close-ups drown everything else."""
    mae: float = 1.0
    mse: float = 1.0
    mage: float = 1.0
    male: float = 1.0
    msge: float = 1.0
    """Weights of the losses: stage 1 has MAE and MAGE, stage 2 all."""
    ema: float | None = None
    """Decay of the average of weights that is validated and kept; None keeps the last weights."""

    def __post_init__(self) -> None:
        """Refuse what no run can do, before anything is loaded."""
        rules = {
            "name": self.name in PHASES,
            "steps": self.steps > 0,
            "batch": self.batch > 0,
            "accumulation": self.accumulation > 0 and self.batch % self.accumulation == 0,
            "encoder_lr": self.encoder_lr > 0 or (self.encoder_lr == 0 and "stage" in self.name),
            "decoder_lr": self.decoder_lr > 0,
            "clip": self.clip > 0,
            "warmup": 0 < self.warmup <= 1 and 0 <= self.constant <= 1 - self.warmup,
            "region": self.region is None or (self.region > 0 and self.region % 4 == 0),
            "ema": self.ema is None or 0 < self.ema < 1,
        }
        _refuse(self, rules)


@dataclass(frozen=True)
class Augmentation:
    """How often pictures are changed, and by how much.

    Source: Table 16 for the shares; the paper does not say how much (FACTS 3).
    """

    colour: float = 0.75
    jitter: float = 0.3
    """Largest change of brightness, contrast, saturation and white balance, as a factor off 1."""
    blur: float = 0.3
    blur_px: float = 1.5
    """Largest standard deviation of the blur, in pixels of the network's input."""
    crop: float = 0.5
    smallest_crop: float = 0.5
    """Least side of a centre crop, as a share of the picture's."""
    flip: float = 0.0

    def __post_init__(self) -> None:
        """Refuse shares that are none."""
        rules = {name: 0 <= getattr(self, name) <= 1 for name in ("colour", "blur", "crop", "flip")}
        rules |= {"jitter": self.jitter >= 0, "blur_px": self.blur_px >= 0.2}
        _refuse(self, rules | {"smallest_crop": 0 < self.smallest_crop <= 1})


@dataclass(frozen=True)
class Recipe:
    """A network and the phases that train it."""

    config: DepthProConfig
    phases: tuple[Phase, ...]
    augmentation: Augmentation = Augmentation()
    pretrained: str | None = None
    """A timm DINOv2 checkpoint, by name or file, in place of the phase `encoders`."""
    freeze_norms: bool = False
    """Leave the LayerNorms of pretrained encoders as they are."""
    layer_scale: float | None = None
    """First value of LayerScale; None leaves DINOv2's."""
    checkpointing: bool = False
    """Compute activations of the ViTs twice instead of keeping them."""

    def to_json(self) -> str:
        """Return the recipe as JSON, to be kept with a run or edited for another."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Recipe":
        """Return the recipe that `to_json` wrote.

        Raises:
            ValueError: If it is no recipe; with the field that does not fit.
        """
        try:
            values: dict[str, Any] = json.loads(text)
            values["config"] = DepthProConfig.from_json(json.dumps(values["config"]))
            values["phases"] = tuple(Phase(**phase) for phase in values["phases"])
            values["augmentation"] = Augmentation(**values.get("augmentation", {}))
            return cls(**values)
        except (KeyError, TypeError, json.JSONDecodeError) as error:
            raise ValueError(
                f"this is no recipe ({error}); `python -m depthpro train --preset small "
                "--show-recipe` prints one to start from"
            ) from error

    def phase(self, name: str) -> Phase:
        """Return a phase by its name.

        Raises:
            ValueError: If the recipe has no such phase.
        """
        for phase in self.phases:
            if phase.name == name:
                return phase
        names = ", ".join(phase.name for phase in self.phases)
        raise ValueError(f"the recipe has the phases {names}; got {name!r}")


def paper() -> Recipe:
    """Return the paper's recipe for the published network.

    250 and 100 epochs of 72,000 pictures at batch 128. The field of view's steps and rate are not
    in the paper: a tenth of stage 1 at the decoder's rate.

    Source: Table 16; FACTS 3, 11.
    """
    return Recipe(
        config=DepthProConfig(),
        phases=(
            Phase("stage1", steps=140_625),
            Phase("stage2", steps=56_250),
            Phase("fov", steps=14_062, encoder_lr=1.28e-5, decoder_lr=1.28e-4),
        ),
        pretrained="vit_large_patch14_dinov2.lvd142m",
        freeze_norms=True,
        checkpointing=True,
    )


def small() -> Recipe:
    """Return the recipe of the embedded network: from nothing, on one CPU, on rendered scenes.

    Steps are a lower bound of what helps; `--minutes` sets a phase's length by the clock. Half of
    a phase is spent on the falling rate: on few pictures, most of what is gained is gained there.
    """
    common: dict[str, Any] = {"weight_decay": 0.05, "clip": 1.0, "constant": 0.5}
    common |= {"decay": "linear", "final_lr": 0.05, "ema": 0.99}
    part: dict[str, Any] = {"region": 8, "batch": 12, "relative": True}
    return Recipe(
        config=DepthProConfig.small(),
        phases=(
            Phase("encoders", 6_000, 16, encoder_lr=1e-3, decoder_lr=1e-3, relative=True, **common),
            Phase("stage1", 6_000, encoder_lr=3e-4, decoder_lr=1e-3, **part, **common),
            Phase("stage2", 2_000, encoder_lr=1e-4, decoder_lr=3e-4, **part, **common),
            Phase("fov", 3_000, 16, encoder_lr=3e-4, decoder_lr=1e-3, **common),
        ),
        augmentation=Augmentation(flip=0.5),
        layer_scale=1.0,
    )


PRESETS = {"paper": paper, "small": small}
