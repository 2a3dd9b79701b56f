"""Elementwise activations, softmax layers and the gated units."""

import warnings

import rtorch

from .. import functional as F
from .. import init
from ..parameter import Parameter
from .attention import MultiheadAttention
from .module import Module

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "LeakyReLU",
    "LogSigmoid",
    "LogSoftmax",
    "Mish",
    "MultiheadAttention",
    "PReLU",
    "RReLU",
    "ReLU",
    "ReLU6",
    "SELU",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softmax2d",
    "Softmin",
    "Softplus",
    "Softshrink",
    "Softsign",
    "Tanh",
    "Tanhshrink",
    "Threshold",
]

_relu = F.relu


class _InplaceActivation(Module):
    """An activation whose only setting is whether it overwrites its input; `_function` computes it."""

    __constants__ = ["inplace"]

    def __init__(self, inplace=False):
        super().__init__()
        self.inplace = inplace

    def forward(self, input):
        """Applies the function to every element."""
        return self._function(input, inplace=self.inplace)

    def extra_repr(self):
        """Returns the setting where it is not the default."""
        return "inplace=True" if self.inplace else ""


class _Activation(Module):
    """An activation without settings; `_function` computes it."""

    def forward(self, input):
        """Applies the function to every element."""
        return self._function(input)


class ReLU(_InplaceActivation):
    """Applies `max(0, x)`.

    Args:
        inplace: whether the input is overwritten. Default: False.

    Example:
        >>> import rtorch as torch
        >>> torch.nn.ReLU()(torch.tensor([-1.0, 2.0]))
        tensor([0., 2.])
    """

    def forward(self, input):
        """Applies the function to every element."""
        return _relu(input, self.inplace)


class SELU(_InplaceActivation):
    """Applies the self-normalising exponential linear unit (Klambauer et al., 2017).

    Args:
        inplace: whether the input is overwritten. Default: False.
    """

    _function = staticmethod(F.selu)


class SiLU(_InplaceActivation):
    """Applies `x * sigmoid(x)`, also called swish.

    Args:
        inplace: whether the input is overwritten. Default: False.
    """

    _function = staticmethod(F.silu)


class Mish(_InplaceActivation):
    """Applies `x * tanh(softplus(x))` (Misra, 2019).

    Args:
        inplace: whether the input is overwritten. Default: False.
    """

    _function = staticmethod(F.mish)


class _SilentInplaceActivation(_InplaceActivation):
    def extra_repr(self):
        """Returns nothing: these layers do not print their setting."""
        return ""


class Hardsigmoid(_SilentInplaceActivation):
    """Applies `relu6(x + 3) / 6`.

    Args:
        inplace: whether the input is overwritten. Default: False.
    """

    _function = staticmethod(F.hardsigmoid)


class Hardswish(_SilentInplaceActivation):
    """Applies `x * relu6(x + 3) / 6` (Howard et al., 2019).

    Args:
        inplace: whether the input is overwritten. Default: False.
    """

    _function = staticmethod(F.hardswish)


class Sigmoid(_Activation):
    """Applies `1 / (1 + exp(-x))`."""

    _function = staticmethod(rtorch.sigmoid)


class Tanh(_Activation):
    """Applies the hyperbolic tangent."""

    _function = staticmethod(rtorch.tanh)


class LogSigmoid(_Activation):
    """Applies `log(1 / (1 + exp(-x)))`."""

    _function = staticmethod(F.logsigmoid)


class Softsign(_Activation):
    """Applies `x / (1 + |x|)`."""

    _function = staticmethod(F.softsign)


class Tanhshrink(_Activation):
    """Applies `x - tanh(x)`."""

    _function = staticmethod(F.tanhshrink)


class Threshold(Module):
    """Keeps what is above a threshold and replaces the rest.

    Args:
        threshold: the threshold.
        value: what replaces elements that are not above it.
        inplace: whether the input is overwritten. Default: False.
    """

    __constants__ = ["threshold", "value", "inplace"]

    def __init__(self, threshold, value, inplace=False):
        super().__init__()
        self.threshold = threshold
        self.value = value
        self.inplace = inplace

    def forward(self, input):
        """Applies the function to every element."""
        return F.threshold(input, self.threshold, self.value, self.inplace)

    def extra_repr(self):
        """Returns the settings."""
        return f"threshold={self.threshold}, value={self.value}" + (", inplace=True" if self.inplace else "")


class RReLU(Module):
    """Applies a leaky ReLU with a random slope in training and the mean slope in evaluation (Xu et al., 2015).

    Args:
        lower: lower bound of the slope. Default: 1/8.
        upper: upper bound of the slope. Default: 1/3.
        inplace: whether the input is overwritten. Default: False.
    """

    __constants__ = ["lower", "upper", "inplace"]

    def __init__(self, lower=1.0 / 8, upper=1.0 / 3, inplace=False):
        super().__init__()
        self.lower = lower
        self.upper = upper
        self.inplace = inplace

    def forward(self, input):
        """Applies the function to every element."""
        return F.rrelu(input, self.lower, self.upper, self.training, self.inplace)

    def extra_repr(self):
        """Returns the settings."""
        return f"lower={self.lower}, upper={self.upper}" + (", inplace=True" if self.inplace else "")


class Hardtanh(Module):
    """Clamps to [min_val, max_val].

    Args:
        min_val: lower bound. Default: -1.
        max_val: upper bound. Default: 1.
        inplace: whether the input is overwritten. Default: False.
        min_value: deprecated name of `min_val`.
        max_value: deprecated name of `max_val`.
    """

    __constants__ = ["min_val", "max_val", "inplace"]

    def __init__(self, min_val=-1.0, max_val=1.0, inplace=False, min_value=None, max_value=None):
        super().__init__()
        for old, new, value in (("min_value", "min_val", min_value), ("max_value", "max_val", max_value)):
            if value is not None:
                warnings.warn(
                    f"keyword argument `{old}` is deprecated and rename to `{new}`", FutureWarning, stacklevel=2
                )
        self.min_val = min_val if min_value is None else min_value
        self.max_val = max_val if max_value is None else max_value
        self.inplace = inplace
        if not self.max_val > self.min_val:
            raise AssertionError(f"max_val ({self.max_val}) must be greater than min_val ({self.min_val})")

    def forward(self, input):
        """Applies the function to every element."""
        return F.hardtanh(input, self.min_val, self.max_val, self.inplace)

    def extra_repr(self):
        """Returns the settings."""
        return f"min_val={self.min_val}, max_val={self.max_val}" + (", inplace=True" if self.inplace else "")


class ReLU6(Hardtanh):
    """Applies `min(max(0, x), 6)`.

    Args:
        inplace: whether the input is overwritten. Default: False.
    """

    def __init__(self, inplace=False):
        super().__init__(0.0, 6.0, inplace)

    def extra_repr(self):
        """Returns the setting where it is not the default."""
        return "inplace=True" if self.inplace else ""


class _AlphaActivation(Module):
    __constants__ = ["alpha", "inplace"]

    def __init__(self, alpha=1.0, inplace=False):
        super().__init__()
        self.alpha = alpha
        self.inplace = inplace

    def forward(self, input):
        """Applies the function to every element."""
        return self._function(input, self.alpha, self.inplace)

    def extra_repr(self):
        """Returns the settings."""
        return f"alpha={self.alpha}" + (", inplace=True" if self.inplace else "")


class ELU(_AlphaActivation):
    """Applies `x` above zero and `alpha * (exp(x) - 1)` below (Clevert et al., 2015).

    Args:
        alpha: the scale below zero. Default: 1.
        inplace: whether the input is overwritten. Default: False.
    """

    _function = staticmethod(F.elu)


class CELU(_AlphaActivation):
    """Applies `max(0, x) + min(0, alpha * (exp(x / alpha) - 1))` (Barron, 2017).

    Args:
        alpha: the scale below zero. Default: 1.
        inplace: whether the input is overwritten. Default: False.
    """

    _function = staticmethod(F.celu)


class GLU(Module):
    """Halves the input along a dimension into a and b and returns `a * sigmoid(b)` (Dauphin et al., 2016).

    Args:
        dim: the dimension that is halved. Default: -1.
    """

    __constants__ = ["dim"]

    def __init__(self, dim=-1):
        super().__init__()
        self.dim = dim

    def forward(self, input):
        """Gates one half of `input` with the other."""
        return F.glu(input, self.dim)

    def extra_repr(self):
        """Returns the dimension."""
        return f"dim={self.dim}"


class GELU(Module):
    """Applies `x * Phi(x)` with the normal distribution function Phi (Hendrycks and Gimpel, 2016).

    Args:
        approximate: "none", or "tanh" for the approximation by tanh. Default: "none".
    """

    __constants__ = ["approximate"]

    def __init__(self, approximate="none"):
        super().__init__()
        self.approximate = approximate

    def forward(self, input):
        """Applies the function to every element."""
        return F.gelu(input, approximate=self.approximate)

    def extra_repr(self):
        """Returns the setting."""
        return f"approximate={self.approximate!r}"


class _LambdaShrink(Module):
    __constants__ = ["lambd"]

    def __init__(self, lambd=0.5):
        super().__init__()
        self.lambd = lambd

    def forward(self, input):
        """Applies the function to every element."""
        return self._function(input, self.lambd)

    def extra_repr(self):
        """Returns the setting."""
        return str(self.lambd)


class Hardshrink(_LambdaShrink):
    """Replaces elements in [-lambd, lambd] by zero.

    Args:
        lambd: the threshold. Default: 0.5.
    """

    _function = staticmethod(F.hardshrink)


class Softshrink(_LambdaShrink):
    """Moves elements towards zero by `lambd`, and those in [-lambd, lambd] to zero.

    Args:
        lambd: the threshold, not negative. Default: 0.5.
    """

    _function = staticmethod(F.softshrink)


class LeakyReLU(Module):
    """Applies `max(0, x) + negative_slope * min(0, x)`.

    Args:
        negative_slope: the slope below zero. Default: 0.01.
        inplace: whether the input is overwritten. Default: False.
    """

    __constants__ = ["inplace", "negative_slope"]

    def __init__(self, negative_slope=0.01, inplace=False):
        super().__init__()
        self.negative_slope = negative_slope
        self.inplace = inplace

    def forward(self, input):
        """Applies the function to every element."""
        return F.leaky_relu(input, self.negative_slope, self.inplace)

    def extra_repr(self):
        """Returns the settings."""
        return f"negative_slope={self.negative_slope}" + (", inplace=True" if self.inplace else "")


class Softplus(Module):
    """Applies `log(1 + exp(beta * x)) / beta`, and `x` where `beta * x` is above a threshold.

    Args:
        beta: the sharpness. Default: 1.
        threshold: above it the function is linear. Default: 20.
    """

    __constants__ = ["beta", "threshold"]

    def __init__(self, beta=1.0, threshold=20.0):
        super().__init__()
        self.beta = beta
        self.threshold = threshold

    def forward(self, input):
        """Applies the function to every element."""
        return F.softplus(input, self.beta, self.threshold)

    def extra_repr(self):
        """Returns the settings."""
        return f"beta={self.beta}, threshold={self.threshold}"


class PReLU(Module):
    """Applies `max(0, x) + weight * min(0, x)` with a learned weight (He et al., 2015).

    Args:
        num_parameters: 1, or the number of channels for a weight each. Default: 1.
        init: first value of the weight. Default: 0.25.
        device: device of the weight.
        dtype: floating point dtype of the weight.
    """

    __constants__ = ["num_parameters"]

    def __init__(self, num_parameters=1, init=0.25, device=None, dtype=None):
        super().__init__()
        self.num_parameters = num_parameters
        self.init = init
        self.weight = Parameter(rtorch.empty(num_parameters, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self):
        """Sets the weight to its first value."""
        init.constant_(self.weight, self.init)

    def forward(self, input):
        """Applies the function; channels are dimension 1."""
        return F.prelu(input, self.weight)

    def extra_repr(self):
        """Returns the number of weights."""
        return f"num_parameters={self.num_parameters}"


class _SoftmaxLayer(Module):
    __constants__ = ["dim"]

    def __init__(self, dim=None):
        super().__init__()
        self.dim = dim

    def __setstate__(self, state):
        super().__setstate__(state)
        self.__dict__.setdefault("dim", None)

    def forward(self, input):
        """Applies the function along `dim`."""
        return self._function(input, self.dim)

    def extra_repr(self):
        """Returns the dimension."""
        return f"dim={self.dim}"


class Softmax(_SoftmaxLayer):
    """Applies `exp(x) / sum(exp(x))` along a dimension.

    Args:
        dim: the dimension.
    """

    _function = staticmethod(F.softmax)


class Softmin(_SoftmaxLayer):
    """Applies the softmax of `-x` along a dimension.

    Args:
        dim: the dimension.
    """

    _function = staticmethod(F.softmin)


class LogSoftmax(_SoftmaxLayer):
    """Applies the logarithm of the softmax along a dimension.

    Args:
        dim: the dimension.
    """

    _function = staticmethod(F.log_softmax)


class Softmax2d(Module):
    """Applies softmax over the channels of (N, C, H, W) or (C, H, W)."""

    def forward(self, input):
        """Applies the function to the channels."""
        if input.dim() not in (3, 4):
            raise ValueError(f"Softmax2d: expected input to be 3D or 4D, got {input.dim()}D instead")
        return F.softmax(input, -3)
