"""Padding layers."""

from .. import functional as F
from .module import Module
from .utils import _ntuple, _pair, _quadruple, args_of_base

__all__ = [
    "CircularPad1d",
    "CircularPad2d",
    "CircularPad3d",
    "ConstantPad1d",
    "ConstantPad2d",
    "ConstantPad3d",
    "ReflectionPad1d",
    "ReflectionPad2d",
    "ReflectionPad3d",
    "ReplicationPad1d",
    "ReplicationPad2d",
    "ReplicationPad3d",
    "ZeroPad1d",
    "ZeroPad2d",
    "ZeroPad3d",
]

_sextuple = _ntuple(6, "_sextuple")


class _PadNd(Module):
    """Pads the last dimensions; `_widen` repeats one number for both sides of each.

    Args:
        padding: one number, or two for each dimension (before, after), last dimension first.
    """

    __constants__ = ["padding"]
    _mode = "constant"

    def __init__(self, padding):
        super().__init__()
        self.padding = self._widen(padding)

    def forward(self, input):
        """Pads the last dimensions of `input`."""
        return F.pad(input, self.padding, self._mode)

    def extra_repr(self):
        """Returns the padding."""
        return f"{self.padding}"


class _ConstantPadNd(_PadNd):
    """Pads with one value.

    Args:
        padding: one number, or two for each dimension (before, after), last dimension first.
        value: the constant.
    """

    __constants__ = ["padding", "value"]

    def __init__(self, padding, value):
        super().__init__(padding)
        self.value = value

    def forward(self, input):
        """Pads the last dimensions of `input` with `value`."""
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self):
        """Returns padding and value."""
        return f"padding={self.padding}, value={self.value}"


class _CircularPadNd(_PadNd):
    _mode = "circular"


class _ReflectionPadNd(_PadNd):
    _mode = "reflect"


class _ReplicationPadNd(_PadNd):
    _mode = "replicate"


class _ZeroPad(_ConstantPadNd):
    """Pads with zeros.

    Args:
        padding: one number, or two for each dimension (before, after), last dimension first.
    """

    def __init__(self, padding):
        super().__init__(padding, 0.0)

    def extra_repr(self):
        """Returns the padding."""
        return f"{self.padding}"


@args_of_base
class CircularPad1d(_CircularPadNd):
    """Pads the last dimension of the input with values from the other end."""

    _widen = staticmethod(_pair)


@args_of_base
class CircularPad2d(_CircularPadNd):
    """Pads the last 2 dimensions of the input with values from the other end."""

    _widen = staticmethod(_quadruple)


@args_of_base
class CircularPad3d(_CircularPadNd):
    """Pads the last 3 dimensions of the input with values from the other end."""

    _widen = staticmethod(_sextuple)


@args_of_base
class ConstantPad1d(_ConstantPadNd):
    """Pads the last dimension of the input with a constant."""

    _widen = staticmethod(_pair)


@args_of_base
class ConstantPad2d(_ConstantPadNd):
    """Pads the last 2 dimensions of the input with a constant."""

    _widen = staticmethod(_quadruple)


@args_of_base
class ConstantPad3d(_ConstantPadNd):
    """Pads the last 3 dimensions of the input with a constant."""

    _widen = staticmethod(_sextuple)


@args_of_base
class ReflectionPad1d(_ReflectionPadNd):
    """Pads the last dimension of the input with its reflection, without the border."""

    _widen = staticmethod(_pair)


@args_of_base
class ReflectionPad2d(_ReflectionPadNd):
    """Pads the last 2 dimensions of the input with its reflection, without the border."""

    _widen = staticmethod(_quadruple)


@args_of_base
class ReflectionPad3d(_ReflectionPadNd):
    """Pads the last 3 dimensions of the input with its reflection, without the border."""

    _widen = staticmethod(_sextuple)


@args_of_base
class ReplicationPad1d(_ReplicationPadNd):
    """Pads the last dimension of the input with its border values."""

    _widen = staticmethod(_pair)


@args_of_base
class ReplicationPad2d(_ReplicationPadNd):
    """Pads the last 2 dimensions of the input with its border values."""

    _widen = staticmethod(_quadruple)


@args_of_base
class ReplicationPad3d(_ReplicationPadNd):
    """Pads the last 3 dimensions of the input with its border values."""

    _widen = staticmethod(_sextuple)


@args_of_base
class ZeroPad1d(_ZeroPad, ConstantPad1d):
    """Pads the last dimension of the input with zeros."""

    _widen = staticmethod(_pair)


@args_of_base
class ZeroPad2d(_ZeroPad, ConstantPad2d):
    """Pads the last 2 dimensions of the input with zeros."""

    _widen = staticmethod(_quadruple)


@args_of_base
class ZeroPad3d(_ZeroPad, ConstantPad3d):
    """Pads the last 3 dimensions of the input with zeros."""

    _widen = staticmethod(_sextuple)
