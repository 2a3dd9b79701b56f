"""Moving elements between channels and pixels."""

from .. import functional as F
from .module import Module

__all__ = ["PixelShuffle", "PixelUnshuffle"]


class PixelShuffle(Module):
    """Rearranges (*, C r^2, H, W) to (*, C, H r, W r) (Shi et al., 2016).

    Args:
        upscale_factor: the factor r.
    """

    __constants__ = ["upscale_factor"]

    def __init__(self, upscale_factor):
        super().__init__()
        self.upscale_factor = upscale_factor

    def forward(self, input):
        """Rearranges `input`."""
        return F.pixel_shuffle(input, self.upscale_factor)

    def extra_repr(self):
        """Returns the factor."""
        return f"upscale_factor={self.upscale_factor}"


class PixelUnshuffle(Module):
    """Rearranges (*, C, H r, W r) to (*, C r^2, H, W).

    Args:
        downscale_factor: the factor r.
    """

    __constants__ = ["downscale_factor"]

    def __init__(self, downscale_factor):
        super().__init__()
        self.downscale_factor = downscale_factor

    def forward(self, input):
        """Rearranges `input`."""
        return F.pixel_unshuffle(input, self.downscale_factor)

    def extra_repr(self):
        """Returns the factor."""
        return f"downscale_factor={self.downscale_factor}"
