"""Pooling over windows, adaptive windows and random windows, and their inverses."""

from .. import functional as F
from .module import Module
from .utils import _pair, _single, _triple, args_of_base

__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "FractionalMaxPool2d",
    "FractionalMaxPool3d",
    "LPPool1d",
    "LPPool2d",
    "LPPool3d",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "MaxUnpool1d",
    "MaxUnpool2d",
    "MaxUnpool3d",
]


class _MaxPoolNd(Module):
    """Takes maxima; `_function` is that of its number of dimensions.

    Args:
        kernel_size: size of the window, a number or one per dimension.
        stride: step of the window. Default: `kernel_size`.
        padding: negative infinity added on both sides. Default: 0.
        dilation: distance of the window's elements. Default: 1.
        return_indices: whether the places of the maxima are returned too. Default: False.
        ceil_mode: whether the output size is rounded up. Default: False.
    """

    __constants__ = ["kernel_size", "stride", "padding", "dilation", "return_indices", "ceil_mode"]
    return_indices: bool
    ceil_mode: bool

    def __init__(self, kernel_size, stride=None, padding=0, dilation=1, return_indices=False, ceil_mode=False):
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = stride if stride is not None else kernel_size
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def forward(self, input):
        """Returns the maximum of each window of `input` (N, C, ...) or (C, ...), and its index where asked for."""
        return self._function(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            ceil_mode=self.ceil_mode,
            return_indices=self.return_indices,
        )

    def extra_repr(self):
        """Returns the settings."""
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class _MaxUnpoolNd(Module):
    """Inverts max pooling; `_widen` and `_function` are those of its number of dimensions.

    Args:
        kernel_size: size of the window, a number or one per dimension.
        stride: step of the window. Default: `kernel_size`.
        padding: that of the pooling. Default: 0.
    """

    def __init__(self, kernel_size, stride=None, padding=0):
        super().__init__()
        self.kernel_size = self._widen(kernel_size)
        self.stride = self._widen(stride if stride is not None else kernel_size)
        self.padding = self._widen(padding)

    def forward(self, input, indices, output_size=None):
        """Puts `input` back to the places `indices` that max pooling returned; the rest is zero."""
        return self._function(input, indices, self.kernel_size, self.stride, self.padding, output_size)

    def extra_repr(self):
        """Returns the settings."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class _AvgPoolNd(Module):
    __constants__ = ["kernel_size", "stride", "padding", "ceil_mode", "count_include_pad"]

    def extra_repr(self):
        """Returns the settings."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class _AvgPool2d3d(_AvgPoolNd):
    """Takes means; `_function` is that of its number of dimensions.

    Args:
        kernel_size: size of the window, a number or one per dimension.
        stride: step of the window. Default: `kernel_size`.
        padding: zeros added on both sides. Default: 0.
        ceil_mode: whether the output size is rounded up. Default: False.
        count_include_pad: whether the zeros count. Default: True.
        divisor_override: divisor in place of the size of the window.
    """

    __constants__ = [*_AvgPoolNd.__constants__, "divisor_override"]

    def __init__(
        self, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None
    ):
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = stride if stride is not None else kernel_size
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def forward(self, input):
        """Returns the mean of each window of `input` (N, C, ...) or (C, ...)."""
        return self._function(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )


class _LPPoolNd(Module):
    """Takes p-norms; `_function` is that of its number of dimensions.

    Args:
        norm_type: the exponent p.
        kernel_size: size of the window, a number or one per dimension.
        stride: step of the window. Default: `kernel_size`.
        ceil_mode: whether the output size is rounded up. Default: False.
    """

    __constants__ = ["norm_type", "kernel_size", "stride", "ceil_mode"]

    def __init__(self, norm_type, kernel_size, stride=None, ceil_mode=False):
        super().__init__()
        self.norm_type = norm_type
        self.kernel_size = kernel_size
        self.stride = stride
        self.ceil_mode = ceil_mode

    def forward(self, input):
        """Returns the p-norm of each window of `input` (N, C, ...) or (C, ...)."""
        return self._function(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)

    def extra_repr(self):
        """Returns the settings."""
        return (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"ceil_mode={self.ceil_mode}"
        )


class _AdaptiveAvgPoolNd(Module):
    """Takes means over windows of any size; `_function` is that of its number of dimensions.

    Args:
        output_size: a number or one per dimension; None keeps the size of the input.
    """

    __constants__ = ["output_size"]

    def __init__(self, output_size):
        super().__init__()
        self.output_size = output_size

    def forward(self, input):
        """Returns means of windows chosen so that the output has `output_size`."""
        return self._function(input, self.output_size)

    def extra_repr(self):
        """Returns the output size."""
        return f"output_size={self.output_size}"


class _AdaptiveMaxPoolNd(Module):
    """Takes maxima over windows of any size; `_function` is that of its number of dimensions.

    Args:
        output_size: a number or one per dimension; None keeps the size of the input.
        return_indices: whether the places of the maxima are returned too. Default: False.
    """

    __constants__ = ["output_size", "return_indices"]

    def __init__(self, output_size, return_indices=False):
        super().__init__()
        self.output_size = output_size
        self.return_indices = return_indices

    def forward(self, input):
        """Returns maxima of windows chosen so that the output has `output_size`, and their indices where asked for."""
        return self._function(input, self.output_size, self.return_indices)

    def extra_repr(self):
        """Returns the output size."""
        return f"output_size={self.output_size}"


class _FractionalMaxPoolNd(Module):
    """Takes maxima of windows at random places; `_widen` and `_function` are those of its number of dimensions.

    Args:
        kernel_size: size of the window, a number or one per dimension.
        output_size: size of the output, a number or one per dimension.
        output_ratio: size of the output relative to the input, in (0, 1).
        return_indices: whether the places of the maxima are returned too. Default: False.
    """

    __constants__ = ["kernel_size", "return_indices", "output_size", "output_ratio"]

    def __init__(self, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None):
        super().__init__()
        widen = self._widen
        self.kernel_size = widen(kernel_size)
        self.return_indices = return_indices
        self.register_buffer("_random_samples", _random_samples)
        self.output_size = widen(output_size) if output_size is not None else None
        self.output_ratio = widen(output_ratio) if output_ratio is not None else None
        if output_size is None and output_ratio is None:
            raise ValueError(f"{type(self).__name__} requires specifying either an output size, or a pooling ratio")
        if output_size is not None and output_ratio is not None:
            raise ValueError("only one of output_size and output_ratio may be specified")
        if self.output_ratio is not None and not all(0 < r < 1 for r in self.output_ratio):
            raise ValueError(f"output_ratio must be between 0 and 1 (got {output_ratio})")

    def forward(self, input):
        """Returns maxima of windows at random places (Graham, 2014), and their indices where asked for."""
        return self._function(
            input,
            self.kernel_size,
            self.output_size,
            self.output_ratio,
            self.return_indices,
            _random_samples=self._random_samples,
        )


@args_of_base
class MaxPool1d(_MaxPoolNd):
    """Takes the maximum of each window of (N, C, L) or (C, L)."""

    _function = staticmethod(F.max_pool1d)


@args_of_base
class MaxPool2d(_MaxPoolNd):
    """Takes the maximum of each window of (N, C, H, W) or (C, H, W)."""

    _function = staticmethod(F.max_pool2d)


@args_of_base
class MaxPool3d(_MaxPoolNd):
    """Takes the maximum of each window of (N, C, D, H, W) or (C, D, H, W)."""

    _function = staticmethod(F.max_pool3d)


@args_of_base
class MaxUnpool1d(_MaxUnpoolNd):
    """Inverts `MaxPool1d` as far as it can be: all but the maxima becomes zero."""

    _widen = staticmethod(_single)
    _function = staticmethod(F.max_unpool1d)


@args_of_base
class MaxUnpool2d(_MaxUnpoolNd):
    """Inverts `MaxPool2d` as far as it can be: all but the maxima becomes zero."""

    _widen = staticmethod(_pair)
    _function = staticmethod(F.max_unpool2d)


@args_of_base
class MaxUnpool3d(_MaxUnpoolNd):
    """Inverts `MaxPool3d` as far as it can be: all but the maxima becomes zero."""

    _widen = staticmethod(_triple)
    _function = staticmethod(F.max_unpool3d)


class AvgPool1d(_AvgPoolNd):
    """Takes the mean of each window of (N, C, L) or (C, L).

    Args:
        kernel_size: size of the window, a number or one per dimension.
        stride: step of the window. Default: `kernel_size`.
        padding: zeros added on both sides. Default: 0.
        ceil_mode: whether the output size is rounded up. Default: False.
        count_include_pad: whether the zeros count. Default: True.
    """

    def __init__(self, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
        super().__init__()
        self.kernel_size = _single(kernel_size)
        self.stride = _single(stride if stride is not None else kernel_size)
        self.padding = _single(padding)
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, input):
        """Returns the mean of each window of `input` (N, C, L) or (C, L)."""
        return F.avg_pool1d(input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)


@args_of_base
class AvgPool2d(_AvgPool2d3d):
    """Takes the mean of each window of (N, C, H, W) or (C, H, W)."""

    _function = staticmethod(F.avg_pool2d)


@args_of_base
class AvgPool3d(_AvgPool2d3d):
    """Takes the mean of each window of (N, C, D, H, W) or (C, D, H, W)."""

    _function = staticmethod(F.avg_pool3d)


@args_of_base
class LPPool1d(_LPPoolNd):
    """Takes the p-norm of each window of (N, C, L) or (C, L)."""

    _function = staticmethod(F.lp_pool1d)


@args_of_base
class LPPool2d(_LPPoolNd):
    """Takes the p-norm of each window of (N, C, H, W) or (C, H, W)."""

    _function = staticmethod(F.lp_pool2d)


@args_of_base
class LPPool3d(_LPPoolNd):
    """Takes the p-norm of each window of (N, C, D, H, W) or (C, D, H, W)."""

    _function = staticmethod(F.lp_pool3d)


@args_of_base
class AdaptiveAvgPool1d(_AdaptiveAvgPoolNd):
    """Takes means of (N, C, L) or (C, L), giving any output size."""

    _function = staticmethod(F.adaptive_avg_pool1d)


@args_of_base
class AdaptiveAvgPool2d(_AdaptiveAvgPoolNd):
    """Takes means of (N, C, H, W) or (C, H, W), giving any output size."""

    _function = staticmethod(F.adaptive_avg_pool2d)


@args_of_base
class AdaptiveAvgPool3d(_AdaptiveAvgPoolNd):
    """Takes means of (N, C, D, H, W) or (C, D, H, W), giving any output size."""

    _function = staticmethod(F.adaptive_avg_pool3d)


@args_of_base
class AdaptiveMaxPool1d(_AdaptiveMaxPoolNd):
    """Takes maxima of (N, C, L) or (C, L), giving any output size."""

    _function = staticmethod(F.adaptive_max_pool1d)


@args_of_base
class AdaptiveMaxPool2d(_AdaptiveMaxPoolNd):
    """Takes maxima of (N, C, H, W) or (C, H, W), giving any output size."""

    _function = staticmethod(F.adaptive_max_pool2d)


@args_of_base
class AdaptiveMaxPool3d(_AdaptiveMaxPoolNd):
    """Takes maxima of (N, C, D, H, W) or (C, D, H, W), giving any output size."""

    _function = staticmethod(F.adaptive_max_pool3d)


@args_of_base
class FractionalMaxPool2d(_FractionalMaxPoolNd):
    """Takes maxima of windows of (N, C, H, W) or (C, H, W) at random places (Graham, 2014)."""

    _widen = staticmethod(_pair)
    _function = staticmethod(F.fractional_max_pool2d)


@args_of_base
class FractionalMaxPool3d(_FractionalMaxPoolNd):
    """Takes maxima of windows of (N, C, D, H, W) or (C, D, H, W) at random places (Graham, 2014)."""

    _widen = staticmethod(_triple)
    _function = staticmethod(F.fractional_max_pool3d)
