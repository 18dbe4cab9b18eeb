"""The field-of-view head: its own ViT on the whole image, beside the decoder's coarsest map."""

from jaxtyping import Float
from torch import Tensor, nn

from depthpro.config import DepthProConfig
from depthpro.preprocess import resize
from depthpro.vit import build_encoder, encode


class FieldOfView(nn.Module):
    """Estimates the horizontal field of view, in degrees (Section 3.3, Appendix C.2).

    The published head has no ReLU after its last convolution, unlike the paper's text.
    """

    def __init__(self, config: DepthProConfig) -> None:
        """Build the ViT and the head with random weights."""
        super().__init__()
        self.window = config.window
        dim = config.decoder_dim // 2
        self.encoder = nn.Sequential(build_encoder(config), nn.Linear(config.dim, dim))
        self.downsample = nn.Sequential(nn.Conv2d(2 * dim, dim, 3, stride=2, padding=1), nn.ReLU())
        self.head = nn.Sequential(
            nn.Conv2d(dim, dim // 2, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(dim // 2, dim // 4, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(dim // 4, 1, config.tokens // 4),  # all that is left: 6x6 as published
        )

    def forward(
        self, image: Float[Tensor, "b 3 s s"], lowres: Float[Tensor, "b d l l"]
    ) -> Float[Tensor, " b"]:
        """Return degrees for an image in [-1, 1] and the decoder's coarsest map.

        The map is detached: training the field of view leaves the depth network as it is.
        """
        encoder, project = self.encoder
        tokens, _ = encode(encoder, resize(image, self.window))
        x = project(tokens.movedim(1, -1)).movedim(-1, 1) + self.downsample(lowres.detach())
        return self.head(x).flatten()
