"""`DepthPro.compile`: the transformer blocks through torch.compile."""

import warnings
from collections.abc import Callable

import numpy as np

from depthpro.model import DepthPro


def compile_blocks(model: DepthPro, backend: str | Callable = "inductor") -> bool:
    """Compile the blocks of all encoders by running the network once; return whether it worked.

    Block by block, since all blocks share one compiled graph: seconds instead of minutes, and any
    batch. Where it fails, a warning says why, and the network stays as it was.
    """
    from timm.models.vision_transformer import Block

    blocks = [module for module in model.modules() if isinstance(module, Block)]
    for block in blocks:
        block.compile(backend=backend)
    side = model.config.image_size
    try:
        for photos in (1, 2):  # from the second size on, torch compiles for any
            model.infer(np.zeros((photos, side, side, 3), np.uint8), f_px=float(side))
    except MemoryError:
        raise
    except Exception as error:  # each part of a compiler has its own
        for block in blocks:
            block._compiled_call_impl = None
        reason = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        warnings.warn(
            f"torch.compile cannot run on {model.device} ({reason}): the network runs without",
            stacklevel=3,
        )
        return False
    return True
