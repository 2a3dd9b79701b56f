"""Convolutions and transposed convolutions, with parameters known at once or at the first forward."""

import math

import rtorch

from .. import functional as F
from .. import init
from ..parameter import Parameter, UninitializedParameter
from .lazy import LazyModuleMixin
from .module import Module
from .utils import _pair, _reverse_repeat_tuple, _single, _triple, args_of_base

__all__ = [
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "LazyConv1d",
    "LazyConv2d",
    "LazyConv3d",
    "LazyConvTranspose1d",
    "LazyConvTranspose2d",
    "LazyConvTranspose3d",
]

_PADDING_MODES = {"zeros", "reflect", "replicate", "circular"}


class _ConvNd(Module):
    __constants__ = [
        "stride",
        "padding",
        "dilation",
        "groups",
        "padding_mode",
        "output_padding",
        "in_channels",
        "out_channels",
        "kernel_size",
    ]

    def __init__(
        self,
        in_channels,
        out_channels,
        kernel_size,
        stride,
        padding,
        dilation,
        transposed,
        output_padding,
        groups,
        bias,
        padding_mode,
        device=None,
        dtype=None,
    ):
        super().__init__()
        if groups <= 0:
            raise ValueError("groups must be a positive integer")
        if in_channels % groups != 0:
            raise ValueError(f"in_channels must be divisible by groups (in_channels={in_channels}, groups={groups})")
        if out_channels % groups != 0:
            raise ValueError(f"out_channels must be divisible by groups (out_channels={out_channels}, groups={groups})")
        if isinstance(padding, str):
            if padding not in ("same", "valid"):
                raise ValueError(f"Invalid padding string {padding!r}, should be one of {{'same', 'valid'}}")
            if padding == "same" and any(s != 1 for s in stride):
                raise ValueError("padding='same' is not supported for strided convolutions")
        if padding_mode not in _PADDING_MODES:
            raise ValueError(
                "padding_mode must be one of {'zeros', 'reflect', 'replicate', 'circular'}, "
                f"but got padding_mode={padding_mode!r}"
            )
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding
        self.dilation = dilation
        self.transposed = transposed
        self.output_padding = output_padding
        self.groups = groups
        self.padding_mode = padding_mode
        # What F.pad wants where padding is not by zeros: last dimension first, both sides of each.
        if padding == "same":
            sides = []
            for d, k in zip(reversed(dilation), reversed(kernel_size)):
                total = d * (k - 1)
                sides += [total // 2, total - total // 2]
            self._reversed_padding_repeated_twice = sides
        elif padding == "valid":
            self._reversed_padding_repeated_twice = [0] * (2 * len(kernel_size))
        else:
            self._reversed_padding_repeated_twice = _reverse_repeat_tuple(padding, 2)
        first, second = (in_channels, out_channels) if transposed else (out_channels, in_channels)
        self.weight = Parameter(rtorch.empty((first, second // groups, *kernel_size), device=device, dtype=dtype))
        if bias:
            self.bias = Parameter(rtorch.empty(out_channels, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self):
        """Draws weight and bias from U(-1/sqrt(fan_in), 1/sqrt(fan_in))."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            fan_in, _ = init._calculate_fan_in_and_fan_out(self.weight)
            if fan_in != 0:
                bound = 1 / math.sqrt(fan_in)
                init.uniform_(self.bias, -bound, bound)

    def extra_repr(self):
        """Returns the settings that differ from the defaults."""
        parts = [
            str(self.in_channels),
            str(self.out_channels),
            f"kernel_size={self.kernel_size}",
            f"stride={self.stride}",
        ]
        n = len(self.kernel_size)
        if self.padding != (0,) * len(self.padding):
            parts.append(f"padding={self.padding}")
        if self.dilation != (1,) * n:
            parts.append(f"dilation={self.dilation}")
        if self.output_padding != (0,) * len(self.output_padding):
            parts.append(f"output_padding={self.output_padding}")
        if self.groups != 1:
            parts.append(f"groups={self.groups}")
        if self.bias is None:
            parts.append("bias=False")
        if self.padding_mode != "zeros":
            parts.append(f"padding_mode={self.padding_mode}")
        return ", ".join(parts)

    def __setstate__(self, state):
        super().__setstate__(state)
        self.__dict__.setdefault("padding_mode", "zeros")

    def _forward_hint(self, input, *rest, **kwargs):
        n = len(self.kernel_size)
        if input.dim() not in (n + 1, n + 2):
            return f"the input has {input.dim()} dimensions: give ({'N, C' + ', L' * n}) or ({'C' + ', L' * n})"
        channels = input.shape[-n - 1]
        if channels != self.in_channels:
            fix = f"the input has {channels} channels and in_channels is {self.in_channels}"
            if input.shape[-1] == self.in_channels:
                return fix + ": the channels are last, use input.movedim(-1, " + str(-n - 1) + ")"
            return fix + f": make the layer with in_channels={channels}"
        return None


class _Conv(_ConvNd):
    """A convolution; `_widen` and `_function` are those of its number of dimensions.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: size of the kernel, a number or one per dimension.
        stride: step of the kernel. Default: 1.
        padding: added on both sides, a number, a tuple, "same" or "valid". Default: 0.
        dilation: distance of the kernel's elements. Default: 1.
        groups: number of groups of channels that are kept apart. Default: 1.
        bias: whether a bias is added. Default: True.
        padding_mode: "zeros", "reflect", "replicate" or "circular". Default: "zeros".
        device: device of the parameters.
        dtype: floating point or complex dtype of the parameters.
    """

    def __init__(
        self,
        in_channels,
        out_channels,
        kernel_size,
        stride=1,
        padding=0,
        dilation=1,
        groups=1,
        bias=True,
        padding_mode="zeros",
        device=None,
        dtype=None,
    ):
        widen = self._widen
        super().__init__(
            in_channels,
            out_channels,
            widen(kernel_size),
            widen(stride),
            padding if isinstance(padding, str) else widen(padding),
            widen(dilation),
            False,
            widen(0),
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    def _conv_forward(self, input, weight, bias):
        if self.padding_mode != "zeros":
            input = F.pad(input, self._reversed_padding_repeated_twice, mode=self.padding_mode)
            return self._function(input, weight, bias, self.stride, self._widen(0), self.dilation, self.groups)
        return self._function(input, weight, bias, self.stride, self.padding, self.dilation, self.groups)

    def forward(self, input):
        """Convolves `input` (N, C_in, ...) or (C_in, ...)."""
        return self._conv_forward(input, self.weight, self.bias)


@args_of_base
class Conv1d(_Conv):
    """Applies a 1D convolution to (N, C_in, L) or (C_in, L)."""

    _widen = staticmethod(_single)
    _function = staticmethod(F.conv1d)


@args_of_base
class Conv2d(_Conv):
    """Applies a 2D convolution to (N, C_in, H, W) or (C_in, H, W).

    Example:
        >>> import rtorch as torch
        >>> torch.nn.Conv2d(3, 8, 3, padding=1)(torch.zeros(1, 3, 5, 5)).shape
        torch.Size([1, 8, 5, 5])
    """

    _widen = staticmethod(_pair)
    _function = staticmethod(F.conv2d)


@args_of_base
class Conv3d(_Conv):
    """Applies a 3D convolution to (N, C_in, D, H, W) or (C_in, D, H, W)."""

    _widen = staticmethod(_triple)
    _function = staticmethod(F.conv3d)


class _ConvTransposeNd(_ConvNd):
    """A transposed convolution; `_widen` and `_function` are those of its number of dimensions.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: size of the kernel, a number or one per dimension.
        stride: step of the convolution. Default: 1.
        padding: `dilation * (kernel_size - 1) - padding` zeros are added on both sides. Default: 0.
        output_padding: added to one side of the output shape. Default: 0.
        groups: number of groups of channels that are kept apart. Default: 1.
        bias: whether a bias is added. Default: True.
        dilation: distance of the kernel's elements. Default: 1.
        padding_mode: only "zeros".
        device: device of the parameters.
        dtype: floating point or complex dtype of the parameters.
    """

    def __init__(
        self,
        in_channels,
        out_channels,
        kernel_size,
        stride=1,
        padding=0,
        output_padding=0,
        groups=1,
        bias=True,
        dilation=1,
        padding_mode="zeros",
        device=None,
        dtype=None,
    ):
        if padding_mode != "zeros":
            raise ValueError(f'Only "zeros" padding mode is supported for {type(self).__name__}')
        widen = self._widen
        super().__init__(
            in_channels,
            out_channels,
            widen(kernel_size),
            widen(stride),
            widen(padding),
            widen(dilation),
            True,
            widen(output_padding),
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    def _output_padding(self, input, output_size):
        if output_size is None:
            return self.output_padding
        n = len(self.kernel_size)
        outer = input.dim() - n
        output_size = list(output_size)
        if len(output_size) == outer + n:
            output_size = output_size[outer:]
        if len(output_size) != n:
            raise ValueError(
                f"ConvTranspose{n}D: for {input.dim()}D input, output_size must have {n} or {outer + n} elements "
                f"(got {len(output_size)})"
            )
        low = [
            (input.size(outer + i) - 1) * self.stride[i]
            - 2 * self.padding[i]
            + self.dilation[i] * (self.kernel_size[i] - 1)
            + 1
            for i in range(n)
        ]
        high = [low[i] + self.stride[i] - 1 for i in range(n)]
        if any(not lo <= size <= hi for size, lo, hi in zip(output_size, low, high)):
            raise ValueError(
                f"requested an output size of {output_size}, but valid sizes range from {low} to {high} "
                f"(for an input of {input.size()[outer:]})"
            )
        return tuple(size - lo for size, lo in zip(output_size, low))

    def forward(self, input, output_size=None):
        """Convolves `input` (N, C_in, ...) or (C_in, ...); `output_size` chooses among the possible sizes."""
        output_padding = self._output_padding(input, output_size)
        return self._function(
            input, self.weight, self.bias, self.stride, self.padding, output_padding, self.groups, self.dilation
        )


@args_of_base
class ConvTranspose1d(_ConvTransposeNd):
    """Applies a 1D transposed convolution to (N, C_in, L) or (C_in, L)."""

    _widen = staticmethod(_single)
    _function = staticmethod(F.conv_transpose1d)


@args_of_base
class ConvTranspose2d(_ConvTransposeNd):
    """Applies a 2D transposed convolution to (N, C_in, H, W) or (C_in, H, W)."""

    _widen = staticmethod(_pair)
    _function = staticmethod(F.conv_transpose2d)


@args_of_base
class ConvTranspose3d(_ConvTransposeNd):
    """Applies a 3D transposed convolution to (N, C_in, D, H, W) or (C_in, D, H, W)."""

    _widen = staticmethod(_triple)
    _function = staticmethod(F.conv_transpose3d)


class _LazyConvXdMixin(LazyModuleMixin):
    def _make_lazy(self, out_channels, bias, device, dtype):
        self.weight = UninitializedParameter(device=device, dtype=dtype)
        self.out_channels = out_channels
        if bias:
            self.bias = UninitializedParameter(device=device, dtype=dtype)

    def reset_parameters(self):
        """Draws weight and bias once they have a shape."""
        if not self.has_uninitialized_params() and self.in_channels != 0:
            super().reset_parameters()

    def initialize_parameters(self, input, *args, **kwargs):
        """Gives weight and bias their shapes."""
        if not self.has_uninitialized_params():
            return
        n = len(self.kernel_size)
        if input.dim() not in (n + 1, n + 2):
            raise RuntimeError(
                f"Expected {n + 1}D (unbatched) or {n + 2}D (batched) input to {type(self).__name__}, but got input "
                f"of size: {input.shape}"
            )
        self.in_channels = input.shape[-n - 1]
        if self.in_channels % self.groups != 0:
            raise ValueError("in_channels must be divisible by groups")
        first, second = self.out_channels, self.in_channels
        if self.transposed:
            first, second = second, first
        self.weight.materialize((first, second // self.groups, *self.kernel_size))
        if self.bias is not None:
            self.bias.materialize((self.out_channels,))
        self.reset_parameters()


class _LazyConv(_LazyConvXdMixin):
    def __init__(
        self,
        out_channels,
        kernel_size,
        stride=1,
        padding=0,
        dilation=1,
        groups=1,
        bias=True,
        padding_mode="zeros",
        device=None,
        dtype=None,
    ):
        super().__init__(0, 0, kernel_size, stride, padding, dilation, groups, False, padding_mode)
        self._make_lazy(out_channels, bias, device, dtype)


class _LazyConvTranspose(_LazyConvXdMixin):
    def __init__(
        self,
        out_channels,
        kernel_size,
        stride=1,
        padding=0,
        output_padding=0,
        groups=1,
        bias=True,
        dilation=1,
        padding_mode="zeros",
        device=None,
        dtype=None,
    ):
        super().__init__(0, 0, kernel_size, stride, padding, output_padding, groups, False, dilation, padding_mode)
        self._make_lazy(out_channels, bias, device, dtype)


class LazyConv1d(_LazyConv, Conv1d):
    """A `Conv1d` whose `in_channels` is that of its first input."""

    cls_to_become = Conv1d


class LazyConv2d(_LazyConv, Conv2d):
    """A `Conv2d` whose `in_channels` is that of its first input."""

    cls_to_become = Conv2d


class LazyConv3d(_LazyConv, Conv3d):
    """A `Conv3d` whose `in_channels` is that of its first input."""

    cls_to_become = Conv3d


class LazyConvTranspose1d(_LazyConvTranspose, ConvTranspose1d):
    """A `ConvTranspose1d` whose `in_channels` is that of its first input."""

    cls_to_become = ConvTranspose1d


class LazyConvTranspose2d(_LazyConvTranspose, ConvTranspose2d):
    """A `ConvTranspose2d` whose `in_channels` is that of its first input."""

    cls_to_become = ConvTranspose2d


class LazyConvTranspose3d(_LazyConvTranspose, ConvTranspose3d):
    """A `ConvTranspose3d` whose `in_channels` is that of its first input."""

    cls_to_become = ConvTranspose3d
