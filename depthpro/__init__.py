"""Depth Pro: sharp metric depth from one photo, without camera data.

Words used throughout:

- canonical inverse depth C: the network's output, f_px / (w depth); 0 is infinity;
- depth: metres along the optical axis, f_px / (w C);
- f_px: focal length in pixels; fov_deg: horizontal field of view in degrees;
- window: one square that the vision transformer reads; 25 + 9 + 1 of them cover three scales.

Start with `DepthPro.from_pretrained().infer(load_image(path).rgb)`.
"""

from depthpro.config import DepthProConfig
from depthpro.image import Photo, load_image
from depthpro.model import DepthPro
from depthpro.prediction import Prediction
from depthpro.version import __version__

__all__ = ["DepthPro", "DepthProConfig", "Photo", "Prediction", "__version__", "load_image"]
