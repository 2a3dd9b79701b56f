"""Initial values of parameters; random draws come in the same order as in PyTorch."""

import math
import warnings

import rtorch

__all__ = [
    "calculate_gain",
    "constant_",
    "dirac_",
    "eye_",
    "kaiming_normal_",
    "kaiming_uniform_",
    "normal_",
    "ones_",
    "orthogonal_",
    "sparse_",
    "trunc_normal_",
    "uniform_",
    "xavier_normal_",
    "xavier_uniform_",
    "zeros_",
]

_GAINS = {
    **dict.fromkeys(
        (
            "linear",
            "conv1d",
            "conv2d",
            "conv3d",
            "conv_transpose1d",
            "conv_transpose2d",
            "conv_transpose3d",
            "sigmoid",
        ),
        1,
    ),
    "tanh": 5.0 / 3,
    "relu": math.sqrt(2.0),
    "selu": 3.0 / 4,
}


def calculate_gain(nonlinearity, param=None):
    """Returns the factor that keeps the variance of activations through a nonlinearity.

    Args:
        nonlinearity: name such as "linear", "conv2d", "sigmoid", "tanh", "relu", "leaky_relu" or "selu".
        param: negative slope of "leaky_relu". Default: 0.01.

    Example:
        >>> import rtorch as torch
        >>> torch.nn.init.calculate_gain("tanh")
        1.6666666666666667
    """
    if nonlinearity == "leaky_relu":
        if param is None:
            param = 0.01
        elif isinstance(param, bool) or not isinstance(param, (int, float)):
            raise ValueError(f"negative_slope {param} not a valid number")
        return math.sqrt(2.0 / (1 + param**2))
    if nonlinearity not in _GAINS:
        raise ValueError(f"Unsupported nonlinearity {nonlinearity}")
    return _GAINS[nonlinearity]


def _calculate_fan_in_and_fan_out(tensor):
    if tensor.dim() < 2:
        raise ValueError("Fan in and fan out can not be computed for tensor with fewer than 2 dimensions")
    receptive_field = math.prod(tensor.shape[2:])
    return tensor.size(1) * receptive_field, tensor.size(0) * receptive_field


def _calculate_correct_fan(tensor, mode):
    mode = mode.lower()
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"Mode {mode} not supported, please use one of ['fan_in', 'fan_out']")
    fan_in, fan_out = _calculate_fan_in_and_fan_out(tensor)
    return fan_in if mode == "fan_in" else fan_out


def uniform_(tensor, a=0.0, b=1.0, generator=None):
    """Fills `tensor` from the uniform distribution on [a, b).

    Args:
        tensor: the tensor, floating point; changed in place and returned.
        a: lower bound. Default: 0.
        b: upper bound. Default: 1.
        generator: source of random numbers. Default: the global one.
    """
    with rtorch.no_grad():
        return tensor.uniform_(a, b, generator=generator)


def normal_(tensor, mean=0.0, std=1.0, generator=None):
    """Fills `tensor` from the normal distribution.

    Args:
        tensor: the tensor, floating point; changed in place and returned.
        mean: the mean. Default: 0.
        std: the standard deviation. Default: 1.
        generator: source of random numbers. Default: the global one.
    """
    with rtorch.no_grad():
        return tensor.normal_(mean, std, generator=generator)


def trunc_normal_(tensor, mean=0.0, std=1.0, a=-2.0, b=2.0, generator=None):
    """Fills `tensor` from the normal distribution cut at [a, b], by drawing again what does not fit.

    Args:
        tensor: the tensor, floating point; changed in place and returned.
        mean: mean of the distribution before cutting. Default: 0.
        std: its standard deviation. Default: 1.
        a: lower bound. Default: -2.
        b: upper bound. Default: 2.
        generator: source of random numbers. Default: the global one.
    """

    def distribution(x):
        return (1.0 + math.erf((x - mean) / (std * math.sqrt(2.0)))) / 2.0

    # Where little of the distribution lies in [a, b], drawing normal numbers would seldom succeed: uniform numbers are
    # kept with a probability that is proportional to the density. Every round draws the whole shape, as PyTorch does.
    common = distribution(b) - distribution(a) >= 0.3
    peak = min(max(mean, a), b)

    def draw():
        values = rtorch.empty_like(tensor)
        if common:
            values.normal_(mean, std, generator=generator)
            return values, (values >= a) & (values <= b)
        values.uniform_(a, b, generator=generator)
        chance = rtorch.empty_like(tensor).uniform_(0, 1, generator=generator)
        density = rtorch.exp(0.5 * (((peak - mean) / std) ** 2 - ((values - mean) / std) ** 2))
        return values, chance <= density

    with rtorch.no_grad():
        result, fits = draw()
        while not bool(fits.all()):
            again, good = draw()
            result = rtorch.where(fits, result, again)
            fits = fits | good
        return tensor.copy_(result)


def constant_(tensor, val):
    """Fills `tensor` with `val`; changed in place and returned."""
    with rtorch.no_grad():
        return tensor.fill_(val)


def ones_(tensor):
    """Fills `tensor` with 1; changed in place and returned."""
    return constant_(tensor, 1.0)


def zeros_(tensor):
    """Fills `tensor` with 0; changed in place and returned."""
    with rtorch.no_grad():
        return tensor.zero_()


def eye_(tensor):
    """Makes a 2-D `tensor` the identity matrix; changed in place and returned."""
    if tensor.dim() != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    with rtorch.no_grad():
        tensor.copy_(rtorch.eye(*tensor.shape, dtype=tensor.dtype, device=tensor.device))
    return tensor


def dirac_(tensor, groups=1):
    """Makes a convolution weight pass its input channels on.

    Args:
        tensor: weight with 3, 4 or 5 dimensions; changed in place and returned.
        groups: number of groups of the convolution. Default: 1.
    """
    if tensor.dim() not in (3, 4, 5):
        raise ValueError("Only tensors with 3, 4, or 5 dimensions are supported")
    if tensor.size(0) % groups != 0:
        raise ValueError("dim 0 must be divisible by groups")
    per_group = tensor.size(0) // groups
    centre = tuple(size // 2 for size in tensor.shape[2:])
    with rtorch.no_grad():
        tensor.zero_()
        for group in range(groups):
            for channel in range(min(per_group, tensor.size(1))):
                tensor[(group * per_group + channel, channel, *centre)] = 1
    return tensor


def xavier_uniform_(tensor, gain=1.0, generator=None):
    """Fills `tensor` from U(-a, a) with `a = gain sqrt(6 / (fan_in + fan_out))` (Glorot and Bengio, 2010).

    Args:
        tensor: the tensor, at least 2-D; changed in place and returned.
        gain: factor. Default: 1.
        generator: source of random numbers. Default: the global one.
    """
    fan_in, fan_out = _calculate_fan_in_and_fan_out(tensor)
    std = gain * math.sqrt(2.0 / float(fan_in + fan_out))
    bound = math.sqrt(3.0) * std
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor, gain=1.0, generator=None):
    """Fills `tensor` from N(0, s^2) with `s = gain sqrt(2 / (fan_in + fan_out))` (Glorot and Bengio, 2010).

    Args:
        tensor: the tensor, at least 2-D; changed in place and returned.
        gain: factor. Default: 1.
        generator: source of random numbers. Default: the global one.
    """
    fan_in, fan_out = _calculate_fan_in_and_fan_out(tensor)
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / float(fan_in + fan_out)), generator)


def _kaiming_std(tensor, a, mode, nonlinearity):
    fan = _calculate_correct_fan(tensor, mode)
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)


def _is_empty(tensor):
    if 0 in tensor.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=3)
        return True
    return False


def kaiming_uniform_(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu", generator=None):
    """Fills `tensor` from U(-b, b) with `b = gain sqrt(3 / fan)` (He et al., 2015).

    Args:
        tensor: the tensor, at least 2-D; changed in place and returned.
        a: negative slope of "leaky_relu". Default: 0.
        mode: "fan_in" or "fan_out". Default: "fan_in".
        nonlinearity: name that `calculate_gain` knows. Default: "leaky_relu".
        generator: source of random numbers. Default: the global one.
    """
    if _is_empty(tensor):
        return tensor
    bound = math.sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu", generator=None):
    """Fills `tensor` from N(0, s^2) with `s = gain / sqrt(fan)` (He et al., 2015).

    Args:
        tensor: the tensor, at least 2-D; changed in place and returned.
        a: negative slope of "leaky_relu". Default: 0.
        mode: "fan_in" or "fan_out". Default: "fan_in".
        nonlinearity: name that `calculate_gain` knows. Default: "leaky_relu".
        generator: source of random numbers. Default: the global one.
    """
    if _is_empty(tensor):
        return tensor
    return normal_(tensor, 0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


def orthogonal_(tensor, gain=1, generator=None):
    """Makes `tensor`, seen as a matrix, (semi) orthogonal (Saxe et al., 2013).

    Args:
        tensor: the tensor, at least 2-D; changed in place and returned.
        gain: factor. Default: 1.
        generator: source of random numbers. Default: the global one.
    """
    if tensor.dim() < 2:
        raise ValueError("Only tensors with 2 or more dimensions are supported")
    if tensor.numel() == 0:
        return tensor
    rows = tensor.size(0)
    columns = tensor.numel() // rows
    with rtorch.no_grad():
        drawn = rtorch.empty((rows, columns), dtype=tensor.dtype, device=tensor.device)
        drawn.normal_(0, 1, generator=generator)
        if rows < columns:
            drawn = drawn.t()
        q, r = rtorch.linalg.qr(drawn)
        # Signs of the diagonal make the result uniform over the orthogonal matrices (Mezzadri, 2006).
        q = q * r.diagonal(0).sign()
        if rows < columns:
            q = q.t()
        tensor.copy_(q.reshape(tensor.shape))
        tensor.mul_(gain)
    return tensor


def sparse_(tensor, sparsity, std=0.01, generator=None):
    """Fills a matrix from N(0, std^2) and zeroes a share of each column (Martens, 2010).

    Args:
        tensor: the matrix; changed in place and returned.
        sparsity: share of zeros per column.
        std: the standard deviation. Default: 0.01.
        generator: source of random numbers. Default: the global one.
    """
    if tensor.dim() != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    rows, columns = tensor.shape
    zeros = int(math.ceil(sparsity * rows))
    with rtorch.no_grad():
        tensor.normal_(0, std, generator=generator)
        for column in range(columns):
            chosen = rtorch.randperm(rows)[:zeros]
            tensor[chosen, column] = 0
    return tensor


def _deprecated(function):
    new, old = function.__name__, function.__name__[:-1]

    def forward(*args, **kwargs):
        warnings.warn(f"`nn.init.{old}` is now deprecated in favor of `nn.init.{new}`.", FutureWarning, stacklevel=2)
        return function(*args, **kwargs)

    forward.__name__ = old
    forward.__doc__ = f"Deprecated name of `{new}`."
    return forward


uniform = _deprecated(uniform_)
normal = _deprecated(normal_)
constant = _deprecated(constant_)
eye = _deprecated(eye_)
dirac = _deprecated(dirac_)
xavier_uniform = _deprecated(xavier_uniform_)
xavier_normal = _deprecated(xavier_normal_)
kaiming_uniform = _deprecated(kaiming_uniform_)
kaiming_normal = _deprecated(kaiming_normal_)
orthogonal = _deprecated(orthogonal_)
sparse = _deprecated(sparse_)
