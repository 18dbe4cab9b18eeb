"""A training recipe: the network, its phases and the augmentation, as one JSON file."""

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from depthpro.config import DepthProConfig
from depthpro.data.augmentation import Augmentation, require

PhaseName = Literal["encoders", "coarse", "interpolation", "stage1", "stage2", "fov"]
PHASES: tuple[PhaseName, ...] = get_args(PhaseName)
MARGIN = 16  # pixels inside a `fine_crop`'s border do not count: what surrounds them is missing


@dataclass(frozen=True)
class Phase:
    """One part of the curriculum, with its own optimiser; defaults are those of Table 16.

    The learning rate rises from 0 in the first `warmup` of the steps, stays for `constant` of
    them, and is `final_lr` times that for the rest; other values of `decay` go there gradually.
    """

    name: PhaseName
    steps: int
    batch: int = 128  # pictures a step, over all processes and accumulated parts
    accumulation: int = 1  # parts that a batch is computed in, to need less memory
    encoder_lr: float = 1.28e-5  # 0 freezes the encoders; not in the phase `encoders`
    stem_lr: float = 0.0  # of a convolutional stem behind stride 8; before that it is frozen
    decoder_lr: float = 1.28e-4
    weight_decay: float = 0.0
    clip: float = 0.2  # largest norm of the gradient
    warmup: float = 0.01
    constant: float = 0.8
    decay: Literal["step", "linear", "cosine"] = "step"
    final_lr: float = 0.1
    finest: int = 0  # the finest of the decoder's five levels that is trained, 0 to 4
    reuse: int = 1  # steps for each encoded batch: maps of frozen encoders are kept in memory
    fine_crop: int | None = None  # pixels of a crop in which alone the finest level is trained
    crop: float | None = None  # share of pictures that are cropped, in place of the augmentation's
    fov_spread_deg: float | None = None  # weight errors by a Gaussian, so wide, around 60
    weight_by_mean_depth: bool = False  # errors times 1 / (mean C + 0.1): close-ups do not rule
    ssi: Literal["own", "truth"] = "own"  # deviation for SSI losses; see `losses.stage1_loss`
    mae: float = 1.0  # weights of the losses: stage 1 has MAE and MAGE, stage 2 all
    mse: float = 1.0
    mage: float = 1.0
    male: float = 1.0
    msge: float = 1.0
    anchor: bool = False  # learn details around what the coarsest level predicts
    ema: float | None = None  # decay of the average of weights, which is validated and kept

    def __post_init__(self) -> None:
        """Check the numbers."""
        depth = self.name in ("coarse", "interpolation", "stage1", "stage2")
        rules = {
            "name": self.name in PHASES,
            "steps": self.steps > 0,
            "batch": self.batch > 0,
            "accumulation": self.accumulation > 0 and self.batch % self.accumulation == 0,
            "encoder_lr": (self.encoder_lr > 0 and self.name != "interpolation")
            or (self.encoder_lr == 0 and self.name != "encoders"),
            "stem_lr": self.stem_lr >= 0,
            "decoder_lr": self.decoder_lr > 0,
            "clip": self.clip > 0,
            "warmup": 0 < self.warmup <= 1 and 0 <= self.constant <= 1 - self.warmup,
            "finest": 0 <= self.finest <= (4 if self.fine_crop is None else 0),
            "decay": self.decay in ("step", "linear", "cosine"),
            "reuse": self.reuse == 1 or (self.reuse > 1 and depth and self.encoder_lr == 0),
            "fine_crop": self.fine_crop is None or (self.fine_crop > 2 * MARGIN and depth),
            "fov_spread_deg": self.fov_spread_deg is None or self.fov_spread_deg > 0,
            "crop": self.crop is None or 0 <= self.crop <= 1,
            "anchor": not self.anchor or self.name in ("stage1", "stage2"),
            "ssi": self.ssi in ("own", "truth"),
            "ema": self.ema is None or 0 < self.ema < 1,
        }
        require(self, rules)


@dataclass(frozen=True)
class Recipe:
    """A network and the phases that train it."""

    config: DepthProConfig
    phases: tuple[Phase, ...]
    augmentation: Augmentation = field(default_factory=Augmentation)
    pretrained: str | None = None  # a timm DINOv2, NAME or NAME=FILE, or "imagenet" for a stem
    freeze_norms: bool = False  # freeze the LayerNorms of the encoders
    layer_scale: float | None = None  # initial LayerScale; None leaves DINOv2's
    checkpointing: bool = False  # compute activations of the ViTs twice instead of storing them

    def to_json(self) -> str:
        """Return the recipe as JSON."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Recipe":
        """Return the recipe that `to_json` wrote, or raise a ValueError with the wrong field."""
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
        """Return a phase by its name; a ValueError if the recipe has no such phase."""
        phases = {phase.name: phase for phase in self.phases}
        if name not in phases:
            raise ValueError(f"the recipe has the phases {', '.join(phases)}; got {name!r}")
        return phases[name]


def paper() -> Recipe:
    """Return the paper's recipe: 250 and 100 epochs of 72,000 pictures at batch 128.

    Source: Table 16. The field of view's steps and rate are this project's.
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
    """Return the recipe of the embedded network: a pretrained stem, rendered scenes, one CPU.

    Most is gained while the rate falls, so it falls for more than half of a phase. Both encoders
    learn with the decoder's coarsest level and are then frozen, so that its finer ones see three
    times as many pictures in an hour; these keep what the coarsest one knows, see `anchor.py`. The
    field of view learns briefly: trained for longer, it learns the renderings.
    """
    common: dict[str, Any] = {
        "weight_decay": 0.02, "clip": 1.0, "warmup": 0.02, "constant": 0.4, "decay": "cosine",
        "final_lr": 0.01, "ema": 0.998, "ssi": "truth", "weight_by_mean_depth": True,
    }  # fmt: skip
    whole: dict[str, Any] = {"encoder_lr": 4e-4, "stem_lr": 1e-4, "decoder_lr": 9e-4}
    frozen: dict[str, Any] = {"encoder_lr": 0.0, "reuse": 5}
    details: dict[str, Any] = {"anchor": True, "decoder_lr": 5e-4}
    return Recipe(
        config=DepthProConfig.small(),
        phases=(
            Phase("encoders", 8_000, 24, encoder_lr=6e-4, stem_lr=1e-4, decoder_lr=6e-4, **common),
            Phase("coarse", 4_000, 24, finest=4, **whole, **common),
            Phase("interpolation", 300, 8, fine_crop=192, **frozen, decoder_lr=6e-4, **common),
            Phase("stage2", 6_000, 8, fine_crop=256, **frozen, **details, **common),
            Phase("fov", 300, 24, encoder_lr=0.0, decoder_lr=1e-3, fov_spread_deg=12, **common),
        ),
        augmentation=Augmentation(
            colour=0.9, jitter=0.4, grey=0.1, noise=0.5, crop=0.9, smallest_crop=0.5, centred=0.5,
            stretch=0.45, flip=0.5, texture=0.35, jpeg=0.3,
        ),
        pretrained="imagenet",
    )  # fmt: skip


PRESETS = {"paper": paper, "small": small}
