"""Rows of convolutions, pooling, normalisation, padding, resampling, recurrent cells and attention."""

import itertools
import math

import numpy as np

import rtorch as torch

from . import mathematics as m
from .row import Error, op
from .row import Sample as S
from .samples import calls, given

NN = dict(space="nn.functional")


def many(value, n):
    return (value,) * n if isinstance(value, int) else tuple(value)


# Convolutions, by their definition: a sum over kernel positions.


def convolution(n):
    def ref(x, w, b=None, stride=1, padding=0, dilation=1, groups=1):
        stride, dilation = many(stride, n), many(dilation, n)
        if x.ndim == n + 1:
            return ref(x[None], w, b, stride, padding, dilation, groups)[0]
        span = [d * (k - 1) for d, k in zip(dilation, w.shape[2:])]
        if isinstance(padding, str):
            pads = [(s // 2, s - s // 2) if padding == "same" else (0, 0) for s in span]
        else:
            pads = [(p, p) for p in many(padding, n)]
        x = np.pad(x, [(0, 0), (0, 0), *pads])
        out_sizes = [(x.shape[i + 2] - span[i] - 1) // stride[i] + 1 for i in range(n)]
        out = np.zeros((x.shape[0], w.shape[0], *out_sizes), x.dtype)
        per_in, per_out = x.shape[1] // groups, w.shape[0] // groups
        for g in range(groups):
            xs, ws = x[:, g * per_in : (g + 1) * per_in], w[g * per_out : (g + 1) * per_out]
            for k in itertools.product(*(range(size) for size in w.shape[2:])):
                at = tuple(
                    slice(i * d, i * d + s * (o - 1) + 1, s) for i, d, s, o in zip(k, dilation, stride, out_sizes)
                )
                piece = xs[(slice(None), slice(None), *at)]
                weights = ws[(slice(None), slice(None), *k)]
                out[:, g * per_out : (g + 1) * per_out] += np.einsum("bi...,oi->bo...", piece, weights)
        return out if b is None else out + b.reshape(-1, *(1,) * n)

    return ref


def transposed(n):
    def ref(x, w, b=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
        stride, padding, dilation, extra = (many(v, n) for v in (stride, padding, dilation, output_padding))
        full = [(x.shape[i + 2] - 1) * stride[i] + dilation[i] * (w.shape[i + 2] - 1) + 1 + extra[i] for i in range(n)]
        per_in, per_out = x.shape[1] // groups, w.shape[1]
        out = np.zeros((x.shape[0], per_out * groups, *full), x.dtype)
        for g in range(groups):
            xs, ws = x[:, g * per_in : (g + 1) * per_in], w[g * per_in : (g + 1) * per_in]
            for k in itertools.product(*(range(size) for size in w.shape[2:])):
                at = tuple(
                    slice(i * d, i * d + s * (o - 1) + 1, s) for i, d, s, o in zip(k, dilation, stride, x.shape[2:])
                )
                out[(slice(None), slice(g * per_out, (g + 1) * per_out), *at)] += np.einsum(
                    "bi...,io->bo...", xs, ws[(slice(None), slice(None), *k)]
                )
        out = out[(slice(None), slice(None), *(slice(p, s - p) for p, s in zip(padding, full)))]
        return out if b is None else out + b.reshape(-1, *(1,) * n)

    return ref


CONV = dict(dtypes="fh", tol=(1e-4, 1e-4))
for _n in (1, 2, 3):
    _size = {1: (9,), 2: (5, 6), 3: (3, 4, 3)}[_n]
    _kernel = {1: (3,), 2: (3, 2), 3: (2, 2, 2)}[_n]
    op(
        f"conv{_n}d",
        convolution(_n),
        given(
            lambda make, size=_size, kernel=_kernel: (make(2, 4, *size), make(6, 4, *kernel), make(6)),
            lambda make, size=_size, kernel=_kernel: S(
                make(1, 4, *size), make(4, 2, *kernel), stride=2, padding=1, groups=2
            ),
            lambda make, size=_size, kernel=_kernel: S(
                make(1, 4, *size), make(4, 1, *kernel), make(4), dilation=2, padding=1, groups=4
            ),
            lambda make, size=_size, kernel=_kernel: S(make(4, *size), make(3, 4, *kernel), padding="same"),
            lambda make, size=_size, kernel=_kernel: (make(1, 4, *size), make(3, 4, *(1,) * len(size))),
        ),
        **CONV,
        errors=[
            Error(
                lambda make, size=_size, kernel=_kernel: S(make(1, 3, *size), make(6, 4, *kernel)),
                RuntimeError,
                "expected input.* to have 4 channels, but got 3 channels instead",
            ),
            Error(
                lambda make, size=_size, kernel=_kernel: S(make(1, 4, *(1,) * len(size)), make(6, 4, *kernel)),
                RuntimeError,
                "Kernel size can't be greater than actual input size",
            ),
        ],
    )
    op(
        f"conv_transpose{_n}d",
        transposed(_n),
        given(
            lambda make, size=_size, kernel=_kernel: (make(2, 4, *size), make(4, 3, *kernel), make(3)),
            lambda make, size=_size, kernel=_kernel: S(
                make(1, 4, *size), make(4, 2, *kernel), stride=2, padding=1, output_padding=1, groups=2
            ),
            lambda make, size=_size, kernel=_kernel: S(make(1, 2, *size), make(2, 3, *kernel), dilation=2),
        ),
        **CONV,
    )
op(
    "convolution",
    lambda x, w, b, s, p, d, transposed, o, g: convolution(2)(x, w, b, s, p, d, g),
    given(lambda make: (make(1, 2, 5, 5), make(3, 2, 3, 3), make(3), (1, 1), (1, 1), (1, 1), False, (0, 0), 1)),
    dtypes="f",
    tol=(1e-4, 1e-4),
    space="",
    forms=False,
)


# Pooling.


def windows(x, kernel, stride, padding, dilation, ceil_mode, fill):
    """All windows, with `fill` outside: an array of shape (..., out, window), and which elements are inside."""
    n = len(kernel)
    outs = []
    for i in range(n):
        size, span = x.shape[i - n], dilation[i] * (kernel[i] - 1) + 1
        count = (size + 2 * padding[i] - span + (stride[i] - 1 if ceil_mode else 0)) // stride[i] + 1
        if ceil_mode and (count - 1) * stride[i] >= size + padding[i]:
            count -= 1
        outs.append(count)
    pads = [(0, 0)] * (x.ndim - n) + [(p, p + s + k * d) for p, s, k, d in zip(padding, stride, kernel, dilation)]
    padded = np.pad(x, pads, constant_values=fill)
    pieces = []
    for k in itertools.product(*(range(size) for size in kernel)):
        at = tuple(slice(j * d, j * d + s * (o - 1) + 1, s) for j, d, s, o in zip(k, dilation, stride, outs))
        pieces.append(padded[(Ellipsis, *at)])
    return np.stack(pieces, -1)


def max_pool(n):
    def ref(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
        kernel = many(kernel_size, n)
        args = many(kernel if stride is None else stride, n), many(padding, n), many(dilation, n), ceil_mode
        found = windows(x, kernel, *args, -np.inf)
        if not return_indices:
            return found.max(-1)
        flat = np.broadcast_to(np.arange(math.prod(x.shape[-n:])).reshape(x.shape[-n:]), x.shape).astype(float)
        where = windows(flat, kernel, *args, -1)
        return found.max(-1), np.take_along_axis(where, found.argmax(-1)[..., None], -1)[..., 0].astype(np.int64)

    return ref


def avg_pool(n):
    def ref(x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None):
        kernel = many(kernel_size, n)
        args = many(kernel if stride is None else stride, n), many(padding, n), (1,) * n, ceil_mode
        total = windows(x, kernel, *args, 0).sum(-1)
        if divisor_override:
            return total / divisor_override
        ones = np.ones(x.shape)
        if count_include_pad:
            pads = [(0, 0)] * (x.ndim - n) + [(p, p) for p in args[1]]
            ones = np.pad(ones, pads, constant_values=1)
            args = args[0], (0,) * n, (1,) * n, ceil_mode
            count = windows(ones, kernel, *args, 0).sum(-1)
            return total / count[(Ellipsis, *(slice(s) for s in total.shape[-n:]))]
        return total / windows(ones, kernel, *args, 0).sum(-1)

    return ref


def power_pool(n):
    def ref(x, p, kernel, stride=None, ceil_mode=False):
        kernel = many(kernel, n)
        return windows(
            x**p, kernel, many(kernel if stride is None else stride, n), (0,) * n, (1,) * n, ceil_mode, 0
        ).sum(-1) ** (1 / p)

    return ref


def adaptive(reduce, n, index=False):
    def ref(x, output_size, return_indices=False):
        out = [x.shape[i - n] if s is None else s for i, s in enumerate(many(output_size, n))]
        result = np.zeros((*x.shape[:-n], *out))
        for k in itertools.product(*(range(o) for o in out)):
            at = tuple(slice(i * s // o, -(-(i + 1) * s // o)) for i, o, s in zip(k, out, x.shape[-n:]))
            result[(Ellipsis, *k)] = reduce(x[(Ellipsis, *at)], axis=tuple(range(-n, 0)))
        return result

    return ref


for _n in (1, 2, 3):
    _x = {1: (2, 3, 9), 2: (2, 2, 6, 7), 3: (1, 2, 4, 5, 4)}[_n]
    op(
        f"max_pool{_n}d",
        max_pool(_n),
        given(
            lambda make, x=_x: (make.distinct(*x), 2),
            lambda make, x=_x: S(make.distinct(*x), 3, stride=2, padding=1),
            lambda make, x=_x: S(make.distinct(*x[1:]), 2, stride=1, dilation=2, ceil_mode=False),
            lambda make, x=_x: S(make.distinct(*x), 2, stride=2, ceil_mode=True, return_indices=True),
        ),
        **NN,
        gives=None,
        layouts=True,
        errors=[
            Error(lambda make, x=_x: S(make(*x), 2, padding=2), RuntimeError, r"pad(ding)? should be at most half of")
        ],
    )
    op(
        f"avg_pool{_n}d",
        avg_pool(_n),
        given(
            lambda make, x=_x: (make(*x), 2),
            lambda make, x=_x: S(make(*x), 3, stride=2, padding=1),
            lambda make, x=_x: S(make(*x), 3, stride=2, padding=1, count_include_pad=False),
            lambda make, x=_x: S(make(*x[1:]), 2, stride=2, ceil_mode=True),
        ),
        **NN,
    )
    op(
        f"adaptive_avg_pool{_n}d",
        adaptive(np.mean, _n),
        given(lambda make, x=_x: (make(*x), 3), lambda make, x=_x: (make(*x), 1), lambda make, x=_x: (make(*x[1:]), 2)),
        dtypes="fh",
        **NN,
    )
    op(
        f"adaptive_max_pool{_n}d",
        adaptive(np.max, _n),
        given(lambda make, x=_x: (make.distinct(*x), 3), lambda make, x=_x: (make.distinct(*x), 1)),
        **NN,
    )
    op(
        f"lp_pool{_n}d",
        power_pool(_n),
        given(
            lambda make, x=_x: (make(*x, low=0.2, high=2), 2.0, 2),
            lambda make, x=_x: S(make(*x, low=0.2, high=2), 3.0, 3, stride=2),
        ),
        tol=(1e-4, 1e-4),
        **NN,
    )
    op(
        f"max_unpool{_n}d",
        lambda x, i, k, n=_n: _unpool(x, i, n),
        given(
            lambda make, n=_n: (
                *getattr(torch.nn.functional, f"max_pool{n}d")(
                    make.distinct(*(1, 2, *(4,) * n)), 2, return_indices=True
                ),
                2,
            )
        ),
        layouts=False,
        **NN,
    )
    if _n > 1:
        op(
            f"fractional_max_pool{_n}d",
            None,
            given(lambda make, n=_n: S(make.distinct(1, 2, *(6,) * n), 2, output_size=3)),
            random=True,
            grad=False,
            forms=False,
            layouts=False,
            check=lambda r, s: np.testing.assert_equal(
                (tuple(r.shape[2:]), bool(torch.isin(r, s.args[0]).all())), ((3,) * (r.dim() - 2), True)
            ),
            **NN,
        )


def _unpool(x, i, n):
    out = np.zeros((*x.shape[:2], (2 * x.shape[2]) ** n))
    np.put_along_axis(out, i.reshape(*x.shape[:2], -1), x.reshape(*x.shape[:2], -1), -1)
    return out.reshape(*x.shape[:2], *(2 * s for s in x.shape[2:]))


# Normalisation.


def normalised(x, axes, eps=1e-5):
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + eps)


def per_channel(v, x):
    return v.reshape(1, -1, *(1,) * (x.ndim - 2))


def scaled(y, w, b, shape):
    y = y if w is None else y * shape(w)
    return y if b is None else y + shape(b)


def batch_norm(x, mean, var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5):
    shape = lambda v: per_channel(v, x)  # noqa: E731
    axes = (0, *range(2, x.ndim))
    y = normalised(x, axes, eps) if training else (x - shape(mean)) / np.sqrt(shape(var) + eps)
    return scaled(y, weight, bias, shape)


def group_norm(x, groups, weight=None, bias=None, eps=1e-5):
    y = normalised(x.reshape(x.shape[0], groups, -1), 2, eps).reshape(x.shape)
    return scaled(y, weight, bias, lambda v: per_channel(v, x))


NORM = dict(tol=(1e-4, 1e-4), dtypes="fh")

op(
    "layer_norm",
    lambda x, shape, w=None, b=None, eps=1e-5: scaled(
        normalised(x, tuple(range(-len(shape), 0)), eps), w, b, lambda v: v
    ),
    given(
        lambda make: (make(3, 4, 5), (5,), make(5), make(5)),
        lambda make: (make(3, 4, 5), (4, 5)),
        lambda make: S(make(2, 131), (131,), make(131), eps=1e-3),
    ),
    **NORM,
    space="nn.functional",
    errors=[
        Error(
            lambda make: S(make(2, 3), (4,)),
            RuntimeError,
            r"Given normalized_shape=\[4\], expected input with shape \[\*, 4\], but got input of size\s?\[2, 3\]",
        )
    ],
)
op(
    "rms_norm",
    lambda x, shape, w=None, eps=None: (
        x
        / np.sqrt((x**2).mean(tuple(range(-len(shape), 0)), keepdims=True) + (2.0**-23 if eps is None else eps))
        * (1 if w is None else w)
    ),
    given(lambda make: (make(3, 4, 5), (5,), make(5), 1e-5), lambda make: S(make(3, 4, 5), (4, 5), eps=1e-4)),
    **NORM,
    **NN,
)
op(
    "group_norm",
    group_norm,
    given(lambda make: (make(3, 4, 5), 2, make(4), make(4)), lambda make: (make(2, 6, 3, 3), 3)),
    **NORM,
    **NN,
    errors=[
        Error(
            lambda make: S(make(2, 5, 3), 2),
            RuntimeError,
            "Expected number of channels in input to be divisible by num_groups",
        )
    ],
)
op(
    "instance_norm",
    lambda x, *a, **k: normalised(x, tuple(range(2, x.ndim))),
    given(lambda make: make(2, 3, 7), lambda make: make(2, 3, 4, 5)),
    **NORM,
    **NN,
)
op(
    "batch_norm",
    batch_norm,
    given(
        lambda make: (make(4, 3, 5), make(3), make(3, low=0.5, high=2), make(3), make(3)),
        lambda make: S(make(4, 3), None, None, make(3), make(3), training=True),
        lambda make: S(make(4, 3, 2, 2), None, None, training=True),
    ),
    **NORM,
    **NN,
    constants=(1, 2),
    errors=[
        Error(
            lambda make: S(make(1, 3), None, None, None, None, True),
            ValueError,
            "Expected more than 1 value per channel when training, got input size torch.Size\\(\\[1, 3\\]\\)",
        )
    ],
)
op(
    "native_layer_norm",
    lambda x, shape, w, b, eps: (
        scaled(normalised(x, -1, eps), w, b, lambda v: v),
        x.mean(-1, keepdims=True),
        1 / np.sqrt(x.var(-1, keepdims=True) + eps),
    ),
    given(lambda make: (make(3, 5), (5,), make(5), make(5), 1e-5)),
    tol=(1e-4, 1e-4),
    gives=None,
    grad=True,
    gradgrad=False,
    forms=False,
)
op(
    "native_group_norm",
    lambda x, w, b, n, c, hw, g, eps: (
        group_norm(x, g, w, b, eps),
        x.reshape(n, g, -1).mean(2),
        1 / np.sqrt(x.reshape(n, g, -1).var(2) + eps),
    ),
    given(lambda make: (make(2, 4, 3), make(4), make(4), 2, 4, 3, 2, 1e-5)),
    tol=(1e-4, 1e-4),
    gives=None,
    grad=False,
    layouts=False,
    forms=False,
)
op(
    "native_batch_norm",
    lambda x, w, b, mean, var, training, momentum, eps: (
        batch_norm(x, mean, var, w, b, training, momentum, eps),
        x.mean((0, 2)),
        1 / np.sqrt(x.var((0, 2)) + eps),
    ),
    given(lambda make: (make(4, 3, 5), make(3), make(3), None, None, True, 0.1, 1e-5)),
    tol=(1e-4, 1e-4),
    gives=None,
    gradgrad=False,
    forms=False,
)
op(
    "local_response_norm",
    lambda x, size, alpha=1e-4, beta=0.75, k=1.0: (
        x
        / (
            k
            + alpha
            * np.pad(x**2, [(0, 0), (size // 2, (size - 1) // 2)] + [(0, 0)] * (x.ndim - 2))
            .__getitem__((slice(None),))
            .swapaxes(0, 1)[sum_index(x.shape[1], size)]
            .mean(1)
            .swapaxes(0, 1)
        )
        ** beta
    ),
    given(lambda make: (make(2, 5, 4), 3), lambda make: S(make(1, 4, 3, 3), 2, alpha=0.5)),
    tol=(1e-4, 1e-4),
    **NN,
)


def sum_index(channels, size):
    return np.arange(channels)[:, None] + np.arange(size)


op(
    "normalize",
    lambda x, p=2.0, dim=1, eps=1e-12: x / np.maximum(np.linalg.norm(x, p, dim, True), eps),
    calls((), (1.0, 0), dict(dim=-1), shapes=((3, 4),)),
    tol=(1e-5, 1e-5),
    dtypes="f",
    **NN,
)
op(
    "cosine_similarity",
    lambda a, b, dim=1, eps=1e-8: (
        (a * b).sum(dim) / np.maximum(np.linalg.norm(a, axis=dim), eps) / np.maximum(np.linalg.norm(b, axis=dim), eps)
    ),
    given(lambda make: (make(3, 4), make(3, 4)), lambda make: S(make(3, 4), make(4), dim=-1)),
)
op(
    "pairwise_distance",
    lambda a, b, p=2.0, eps=1e-6, keepdim=False: np.linalg.norm(a - b + eps, p, -1, keepdim),
    given(lambda make: (make(3, 4), make(3, 4)), lambda make: S(make(3, 4), make(4), p=1.0, keepdim=True)),
    gradgrad=True,
)

# Padding and rearranging.


def padded(x, pad, mode="constant", value=None):
    widths = [(0, 0)] * (x.ndim - len(pad) // 2) + list(zip(pad[-2::-2], pad[-1::-2]))
    crop = tuple(slice(-min(a, 0), x.shape[i] + min(b, 0)) for i, (a, b) in enumerate(widths))
    widths = [(max(a, 0), max(b, 0)) for a, b in widths]
    names = dict(constant="constant", reflect="reflect", replicate="edge", circular="wrap")
    return np.pad(x[crop], widths, names[mode], **({"constant_values": value or 0} if mode == "constant" else {}))


op(
    "pad",
    padded,
    lambda make: iter(
        [S(make(2, 3), (1, 2)), S(make(2, 3), (1, -1, 0, 2), value=3), S(make(2, 3, 4), (0, 1), "constant", 2)]
        + [S(make(2, 3, 5), (2, 1), mode) for mode in ("reflect", "replicate", "circular")]
        + [S(make(1, 2, 4, 5), (2, 1, 1, 2), mode) for mode in ("reflect", "replicate", "circular")]
        + [S(make(1, 1, 3, 4, 3), (1, 1, 2, 1, 0, 1), mode) for mode in ("reflect", "replicate", "circular")]
    ),
    dtypes="f",
    space="nn.functional",
    errors=[Error(lambda make: S(make(2), (1,)), RuntimeError, "Padding length must be divisible by 2")],
)
op(
    "constant_pad_nd",
    lambda x, pad, value=0: padded(x, pad, value=value),
    given(lambda make: (make(2, 3), (1, 2)), lambda make: (make(2, 3), (1, -1, 0, 2), 3)),
    dtypes="fi",
    space="",
    forms=False,
)
op(
    "pixel_shuffle",
    lambda x, r: (
        x.reshape(*x.shape[:-3], -1, r, r, *x.shape[-2:])
        .transpose(0, 1, 4, 2, 5, 3)
        .reshape(x.shape[0], -1, x.shape[-2] * r, x.shape[-1] * r)
    ),
    given(lambda make: (make(2, 8, 3, 2), 2)),
    dtypes="fi",
    **NN,
)
op(
    "pixel_unshuffle",
    lambda x, r: (
        x.reshape(*x.shape[:2], x.shape[2] // r, r, x.shape[3] // r, r)
        .transpose(0, 1, 3, 5, 2, 4)
        .reshape(x.shape[0], -1, x.shape[2] // r, x.shape[3] // r)
    ),
    given(lambda make: (make(2, 2, 4, 6), 2)),
    dtypes="fi",
    **NN,
)
op(
    "channel_shuffle",
    lambda x, g: x.reshape(x.shape[0], g, -1, *x.shape[2:]).swapaxes(1, 2).reshape(x.shape),
    given(lambda make: (make(2, 6, 3, 2), 2)),
    dtypes="f",
    **NN,
)
op(
    "native_channel_shuffle",
    lambda x, g: x.reshape(x.shape[0], g, -1, *x.shape[2:]).swapaxes(1, 2).reshape(x.shape),
    given(lambda make: (make(2, 6, 3, 2), 2)),
    dtypes="f",
    space="",
    grad=False,
)


def unfolded(x, kernel_size, dilation=1, padding=0, stride=1):
    k, d, p, s = (many(v, 2) for v in (kernel_size, dilation, padding, stride))
    w = windows(x, k, s, p, d, False, 0)
    w = np.moveaxis(w, -1, 2)
    return w.reshape(x.shape[0], x.shape[1] * k[0] * k[1], -1)


op(
    "unfold",
    unfolded,
    given(
        lambda make: (make(2, 3, 5, 6), 2),
        lambda make: S(make(1, 2, 5, 6), (2, 3), dilation=(1, 2), padding=1, stride=2),
    ),
    **NN,
    forms=False,
)


def folded(x, output_size, kernel_size, dilation=1, padding=0, stride=1):
    k, d, p, s = (many(v, 2) for v in (kernel_size, dilation, padding, stride))
    n = [(output_size[i] + 2 * p[i] - d[i] * (k[i] - 1) - 1) // s[i] + 1 for i in (0, 1)]
    x = x.reshape(x.shape[0], -1, *k, *n)
    out = np.zeros((*x.shape[:2], output_size[0] + 2 * p[0], output_size[1] + 2 * p[1]))
    for i, j in itertools.product(range(k[0]), range(k[1])):
        out[
            :, :, i * d[0] : i * d[0] + s[0] * (n[0] - 1) + 1 : s[0], j * d[1] : j * d[1] + s[1] * (n[1] - 1) + 1 : s[1]
        ] += x[:, :, i, j]
    return out[:, :, p[0] : p[0] + output_size[0], p[1] : p[1] + output_size[1]]


op(
    "fold",
    folded,
    given(lambda make: (make(2, 12, 12), (4, 5), 2), lambda make: S(make(1, 8, 9), (5, 5), 2, padding=1, stride=2)),
    **NN,
)

# Resampling: what is exact is checked here; conformance of the rest is recorded elsewhere.


def nearest(x, size=None, scale_factor=None, mode="nearest"):
    n = x.ndim - 2
    out = many(size, n) if size is not None else tuple(int(s * scale_factor) for s in x.shape[2:])
    for i, (new, old) in enumerate(zip(out, x.shape[2:])):
        shift = 0.5 if mode == "nearest-exact" else 0.0
        x = np.take(x, np.minimum(((np.arange(new) + shift) * old / new).astype(int), old - 1), i + 2)
    return x


def linear_resampled(x, size, mode, align_corners=False):
    for i, new in enumerate(many(size, x.ndim - 2)):
        old = x.shape[i + 2]
        at = (
            np.arange(new) * (old - 1) / max(new - 1, 1)
            if align_corners
            else np.maximum((np.arange(new) + 0.5) * old / new - 0.5, 0)
        )
        low = np.minimum(np.floor(at).astype(int), old - 1)
        part = (at - low).reshape(-1, *(1,) * (x.ndim - 3 - i))
        x = np.take(x, low, i + 2) * (1 - part) + np.take(x, np.minimum(low + 1, old - 1), i + 2) * part
    return x


op(
    "interpolate",
    lambda x, **k: nearest(x, **k) if k.get("mode", "nearest").startswith("nearest") else linear_resampled(x, **k),
    lambda make: iter(
        [
            S(make(1, 2, *(4,) * n), size=(6,) * n, mode=mode)
            for n in (1, 2, 3)
            for mode in ("nearest", "nearest-exact", ("linear", "bilinear", "trilinear")[n - 1])
        ]
        + [S(make(1, 2, 4, 5), size=(7, 3), mode="bilinear", align_corners=True), S(make(2, 1, 3, 3), scale_factor=2)]
    ),
    tol=(1e-5, 1e-5),
    forms=False,
    **NN,
    errors=[Error(lambda make: S(make(1, 2, 3)), ValueError, "either size or scale_factor should be defined")],
)
op(
    "interpolate",
    None,
    given(
        lambda make: S(torch.ones(1, 2, 5, 6, dtype=make.dtype), size=(8, 4), mode="bicubic"),
        lambda make: S(torch.ones(1, 2, 5, 6, dtype=make.dtype), size=(3, 4), mode="bilinear", antialias=True),
        lambda make: S(torch.ones(1, 2, 5, 6, dtype=make.dtype), size=(3, 4), mode="bicubic", antialias=True),
    ),
    forms=False,
    layouts=False,
    check=lambda r, s: np.testing.assert_allclose(r.detach().numpy(), 1, rtol=1e-5),
    **NN,
)
op(
    "affine_grid",
    None,
    given(lambda make: S(make.tensor([[[1.0, 0, 0], [0, 1, 0]]]), (1, 1, 2, 2), align_corners=True)),
    **NN,
    check=lambda r, s: np.testing.assert_allclose(
        r.detach().numpy(), [[[[-1, -1], [1, -1]], [[-1, 1], [1, 1]]]], atol=1e-6
    ),
)
op(
    "grid_sample",
    None,
    lambda make: iter(
        [
            S(
                make(1, 2, 4, 5),
                torch.nn.functional.affine_grid(make.tensor([[[1.0, 0, 0], [0, 1, 0]]]), (1, 2, 4, 5), align_corners=a),
                mode,
                pads,
                a,
            )
            for a in (True, False)
            for mode in ("bilinear", "nearest")
            for pads in ("zeros", "border")
        ]
    ),
    **NN,
    grad=False,
    layouts=False,
    check=lambda r, s: np.testing.assert_allclose(r.numpy(), s.args[0].numpy(), rtol=1e-4, atol=1e-4),
)
op(
    "grid_sample",
    None,
    lambda make: iter(
        [
            S(make(1, 2, 4, 5), make(1, 2, 3, 2, low=-0.8, high=0.8), mode, pads, align_corners=False)
            for mode in ("bilinear", "bicubic")
            for pads in ("zeros", "reflection")
        ]
    ),
    **NN,
    gradgrad=False,
    check=lambda r, s: np.testing.assert_equal(tuple(r.shape), (1, 2, 2, 3)),
)

# Attention and recurrent cells.


def attention(q, k, v, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None):
    scores = q @ np.swapaxes(k, -1, -2) * (1 / math.sqrt(q.shape[-1]) if scale is None else scale)
    if is_causal:
        scores = np.where(np.tril(np.ones(scores.shape[-2:], bool)), scores, -np.inf)
    if attn_mask is not None:
        scores = np.where(attn_mask, scores, -np.inf) if attn_mask.dtype == bool else scores + attn_mask
    return m.softmax(scores, -1) @ v


op(
    "scaled_dot_product_attention",
    attention,
    given(
        lambda make: (make(2, 3, 4), make(2, 5, 4), make(2, 5, 6)),
        lambda make: S(make(2, 2, 5, 4), make(2, 2, 5, 4), make(2, 2, 5, 4), is_causal=True),
        lambda make: S(make(1, 2, 3, 4), make(1, 2, 5, 4), make(1, 2, 5, 4), attn_mask=make(3, 5), scale=0.3),
        lambda make: S(make(1, 3, 4), make(1, 5, 4), make(1, 5, 4), attn_mask=torch.ones(3, 5, dtype=torch.bool)),
    ),
    tol=(1e-4, 1e-5),
    dtypes="fh",
    forms=False,
    gradgrad=True,
    **NN,
)


def gates(x, h, wi, wh, bi, bh):
    return x @ wi.T + (0 if bi is None else bi), h @ wh.T + (0 if bh is None else bh)


def lstm_cell(x, hx, wi, wh, bi=None, bh=None):
    h, c = hx
    a, b = gates(x, h, wi, wh, bi, bh)
    i, f, g, o = np.split(a + b, 4, -1)
    c = m.sigmoid(f) * c + m.sigmoid(i) * np.tanh(g)
    return m.sigmoid(o) * np.tanh(c), c


def gru_cell(x, h, wi, wh, bi=None, bh=None):
    (ar, az, an), (br, bz, bn) = (np.split(v, 3, -1) for v in gates(x, h, wi, wh, bi, bh))
    r, z = m.sigmoid(ar + br), m.sigmoid(az + bz)
    n = np.tanh(an + r * bn)
    return (1 - z) * n + z * h


def cell(k, pair=False):
    def draw(make):
        for bias in (True, False):
            h = [make(2, 4), make(2, 4)] if pair else make(2, 4)
            yield S(make(2, 3), h, make(4 * k, 3), make(4 * k, 4), *([make(4 * k), make(4 * k)] if bias else []))

    return draw


CELL = dict(tol=(1e-5, 1e-5), forms=False, gives=None)
op("lstm_cell", lstm_cell, cell(4, True), **CELL)
op("gru_cell", gru_cell, cell(3), **CELL)
op("rnn_tanh_cell", lambda *a: np.tanh(sum(gates(*a, *(None,) * (6 - len(a))))), cell(1), **CELL)
op("rnn_relu_cell", lambda *a: np.maximum(sum(gates(*a, *(None,) * (6 - len(a)))), 0), cell(1), **CELL)


def layer(step, pair=False):
    """One layer over time, and the last state."""

    def ref(x, h, weights, *rest):
        state = tuple(v[0] for v in h) if pair else h[0]
        outs = []
        for t in range(x.shape[0]):
            state = step(x[t], state, *weights)
            outs.append(state[0] if pair else state)
        return (np.stack(outs), state[0][None], state[1][None]) if pair else (np.stack(outs), state[None])

    return ref


def sequences(k, pair=False):
    def draw(make):
        h = [make(1, 2, 4), make(1, 2, 4)] if pair else make(1, 2, 4)
        yield S(
            make(5, 2, 3),
            h,
            [make(4 * k, 3), make(4 * k, 4), make(4 * k), make(4 * k)],
            True,
            1,
            0.0,
            False,
            False,
            False,
        )

    return draw


op("lstm", layer(lstm_cell, True), sequences(4, True), **CELL, space="")
op("gru", layer(gru_cell), sequences(3), **CELL, space="")
op("rnn_tanh", layer(lambda *a: np.tanh(sum(gates(*a)))), sequences(1), **CELL, space="")
op("rnn_relu", layer(lambda *a: np.maximum(sum(gates(*a)), 0)), sequences(1), **CELL, space="")
