"""Sliding blocks: taking them out of an image and putting them together."""

from .. import functional as F
from .module import Module

__all__ = ["Fold", "Unfold"]


class Fold(Module):
    """Sums sliding blocks (N, C * prod(kernel_size), L) to an image (N, C, H, W).

    Args:
        output_size: height and width of the image.
        kernel_size: size of a block, a number or two.
        dilation: distance of a block's elements. Default: 1.
        padding: zeros around the image. Default: 0.
        stride: step of the blocks. Default: 1.
    """

    __constants__ = ["output_size", "kernel_size", "dilation", "padding", "stride"]

    def __init__(self, output_size, kernel_size, dilation=1, padding=0, stride=1):
        super().__init__()
        self.output_size = output_size
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride

    def forward(self, input):
        """Sums the blocks `input` to an image."""
        return F.fold(input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self):
        """Returns the settings."""
        return (
            f"output_size={self.output_size}, kernel_size={self.kernel_size}, dilation={self.dilation}, "
            f"padding={self.padding}, stride={self.stride}"
        )


class Unfold(Module):
    """Takes sliding blocks (N, C * prod(kernel_size), L) out of an image (N, C, H, W).

    Args:
        kernel_size: size of a block, a number or two.
        dilation: distance of a block's elements. Default: 1.
        padding: zeros around the image. Default: 0.
        stride: step of the blocks. Default: 1.
    """

    __constants__ = ["kernel_size", "dilation", "padding", "stride"]

    def __init__(self, kernel_size, dilation=1, padding=0, stride=1):
        super().__init__()
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride

    def forward(self, input):
        """Takes the blocks out of `input`."""
        return F.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self):
        """Returns the settings."""
        return f"kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, stride={self.stride}"
