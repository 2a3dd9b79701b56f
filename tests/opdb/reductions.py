"""Rows of reductions, scans, sorting and softmax."""

import math

import numpy as np

import rtorch as torch

from . import mathematics as m
from .row import Error, op
from .row import Sample as S
from .samples import binary, calls, given, reduction, unary

ALL = "fhcib"
REAL = "fhib"
OUT_OF_RANGE = Error(
    lambda make: S(make(2, 3), 2),
    IndexError,
    r"Dimension out of range \(expected to be in range of \[-2, 1\], but got 2\)",
)


def axes(dim):
    return (
        None
        if dim is None or (isinstance(dim, (tuple, list)) and not dim)
        else tuple(dim)
        if isinstance(dim, list)
        else dim
    )


def along(f):
    """A numpy reduction with PyTorch's keyword names."""

    def ref(x, dim=None, keepdim=False):
        if x.ndim == 0:
            return f(x.reshape(1), axis=0)
        return f(x, axis=axes(dim), keepdims=keepdim)

    return ref


def wide(x):
    return x.astype(np.int64) if x.dtype == bool else x


SMALL = dict(low=-1.5, high=1.5)
op("sum", along(lambda x, **k: np.sum(wide(x), **k)), reduction(), dtypes=ALL, gives="sum", errors=[OUT_OF_RANGE])
op("nansum", along(lambda x, **k: np.nansum(wide(x), **k)), reduction(), dtypes=REAL, gives="sum")
op(
    "mean",
    along(np.mean),
    reduction(),
    dtypes="fhc",
    errors=[Error(lambda make: S(make.index(3, high=4)), RuntimeError, "mean(): could not infer output dtype")],
)
op("nanmean", along(np.nanmean), reduction(), dtypes="fh")
op(
    "prod",
    along(lambda x, **k: np.prod(wide(x), **k)),
    reduction(many=False, shapes=((), (5,), (3, 4)), low=-1.2, high=1.2),
    dtypes="fcib",
    gives="sum",
    tol=(1e-4, 1e-5),
)
op(
    "logsumexp",
    along(lambda x, axis, keepdims=False: m.logsumexp(x, axis, keepdims)),
    reduction(none=False),
    dtypes="fh",
    gives="float",
)
for _name, _ref in dict(amax=np.max, amin=np.min).items():
    op(_name, along(_ref), reduction(distinct=True, empty=False), dtypes=REAL, errors=[OUT_OF_RANGE])
for _name, _ref in dict(all=np.all, any=np.any).items():
    op(_name, along(_ref), reduction(), dtypes=ALL, gives=None, grad=False)
op(
    "count_nonzero",
    lambda x, dim=None: np.count_nonzero(x, axis=axes(dim)),
    calls((), (0,), ((0, 1),), shapes=((2, 3), (4, 0, 2))),
    dtypes=ALL,
    gives="int64",
    grad=False,
)


def deviation(f):
    def ref(x, dim=None, keepdim=False, correction=1, unbiased=None):
        if isinstance(dim, bool):
            dim, correction = None, int(dim)
        return f(x, axis=axes(dim), ddof=correction, keepdims=keepdim)

    return ref


def moments(make):
    for shape in ((5,), (3, 4)):
        yield S(make(*shape))
        yield S(make(*shape), 0)
    yield S(make(3, 4), dim=1, keepdim=True)
    yield S(make(2, 3, 4), dim=(0, 2), correction=0)
    yield S(make(33, 70), dim=1, correction=2)


op("var", deviation(np.var), moments, dtypes="fh", gives="real", tol=(1e-5, 1e-5))
op("std", deviation(np.std), moments, dtypes="fh", gives="real", tol=(1e-5, 1e-5))
op(
    "var_mean",
    lambda x, *a, **k: (
        deviation(np.var)(x, *a, **k),
        along(np.mean)(x, *a[:1], **{n: v for n, v in k.items() if n != "correction"}),
    ),
    moments,
    gives=None,
    tol=(1e-5, 1e-5),
)
op(
    "std_mean",
    lambda x, *a, **k: (
        deviation(np.std)(x, *a, **k),
        along(np.mean)(x, *a[:1], **{n: v for n, v in k.items() if n != "correction"}),
    ),
    moments,
    gives=None,
    tol=(1e-5, 1e-5),
)


def extreme(pick):
    """Values and positions along a dim; the samples have no ties."""

    def ref(x, dim=None, keepdim=False):
        if x.ndim == 0:
            return x if dim is None else (x, np.int64(0))
        if dim is None:
            return x.reshape(-1)[pick(x.reshape(-1), 0)]
        at = np.expand_dims(pick(x, dim), dim)
        values = np.take_along_axis(x, at, dim)
        return (values, at) if keepdim else (values.squeeze(dim), at.squeeze(dim))

    return ref


EXTREME = dict(shapes=((), (5,), (3, 4)), many=False, empty=False, distinct=True)
op("max", extreme(np.argmax), reduction(**EXTREME), dtypes="fhi", gives=None, errors=[OUT_OF_RANGE])
op("min", extreme(np.argmin), reduction(**EXTREME), dtypes="fhi", gives=None)
op("max", lambda a, b: np.maximum(a, b), binary(), dtypes="fi", forms=False)
op("min", lambda a, b: np.minimum(a, b), binary(), dtypes="fi", forms=False)
for _name in ("argmax", "argmin"):
    op(_name, along(getattr(np, _name)), reduction(**EXTREME), dtypes="fhi", gives="int64", grad=False)
op(
    "aminmax",
    lambda x, *, dim=None, keepdim=False: (along(np.min)(x, dim, keepdim), along(np.max)(x, dim, keepdim)),
    calls({}, dict(dim=0), dict(dim=-1, keepdim=True), distinct=True, shapes=((5,), (3, 4))),
    dtypes="fi",
)


def middle(x, axis):
    """The lower of two medians, and where it is."""
    order = np.argsort(x, axis=axis, kind="stable")
    return np.take(order, (x.shape[axis] - 1) // 2, axis=axis)


op("median nanmedian", extreme(middle), reduction(**EXTREME), dtypes="fi", gives=None)


def kth(x, k, dim=-1, keepdim=False):
    return extreme(lambda y, axis: np.take(np.argsort(y, axis=axis), k - 1, axis=axis))(x, dim, keepdim)


op(
    "kthvalue",
    kth,
    calls((1,), (2, 0), dict(k=3, dim=-1, keepdim=True), shapes=((5,), (3, 4)), distinct=True),
    dtypes="fi",
    gives=("same", "int64"),
    errors=[Error(lambda make: S(make(3), 4), RuntimeError, "selected number k out of range")],
)


def most(x, dim=-1, keepdim=False):
    def one(row):
        values, counts = np.unique(row, return_counts=True)
        value = values[np.argmax(counts)]
        return value, len(row) - 1 - np.argmax(row[::-1] == value)

    value = np.apply_along_axis(lambda row: one(row)[0], dim, x)
    return np.expand_dims(value, dim) if keepdim else value


op(
    "mode",
    None,
    calls((), (0,), shapes=((5,), (3, 4))),
    dtypes="i",
    grad=False,
    check=lambda r, s: np.testing.assert_array_equal(r[0].numpy(), most(s.args[0].numpy(), *s.args[1:])),
)
op(
    "quantile nanquantile",
    lambda x, q, dim=None, keepdim=False, interpolation="linear": np.quantile(
        x, q, axis=dim, keepdims=keepdim, method=interpolation
    ),
    lambda make: iter(
        [
            S(make.distinct(5), 0.3),
            S(make.distinct(3, 4), make.tensor([0.1, 0.9]), 1),
            S(make.distinct(3, 4), 0.5, dim=0, keepdim=True),
            S(make.distinct(7), 0.4, interpolation="lower"),
            S(make.distinct(7), 0.4, interpolation="midpoint"),
        ]
    ),
    constants=(1,),
    forms=False,
)


def top(x, k, dim=-1, largest=True, sorted=True):
    order = np.argsort(-x if largest else x, axis=dim, kind="stable")
    at = np.take(order, np.arange(k), axis=dim)
    return np.take_along_axis(x, at, dim), at


op(
    "topk",
    top,
    calls((2,), (1, 0), dict(k=2, largest=False), (0,), shapes=((5,), (3, 4), (2, 40)), distinct=True),
    dtypes="fi",
    gives=("same", "int64"),
    errors=[Error(lambda make: S(make(3), 4), RuntimeError, "selected index k out of range")],
)


def ordered(x, dim=-1, descending=False, stable=False):
    if x.ndim == 0:
        return x, np.int64(0)
    at = np.argsort(-x if descending else x, axis=dim, kind="stable")
    return np.take_along_axis(x, at, dim), at


SORTS = calls(
    (), (0,), dict(dim=-1, descending=True), dict(stable=True), shapes=((), (5,), (3, 4), (2, 67), (0,)), distinct=True
)
op(
    "sort",
    ordered,
    SORTS,
    dtypes="fhi",
    gives=("same", "int64"),
    errors=[Error(lambda make: S(make(2), 1), IndexError, "Dimension out of range")],
)
op("argsort", lambda *a, **k: ordered(*a, **k)[1], SORTS, dtypes="fhi", gives="int64", grad=False)
op("msort", lambda x: np.sort(x, axis=0), unary(shapes=((5,), (3, 4))), dtypes="fi")

# Scans.
SCANS = calls((0,), (-1,), dict(dim=0), shapes=((), (5,), (3, 4), (2, 0), (3, 70)))
op(
    "cumsum",
    lambda x, dim: np.cumsum(wide(x), dim) if x.ndim else wide(x),
    SCANS,
    dtypes=ALL,
    gives="sum",
    errors=[OUT_OF_RANGE],
)
op(
    "cumprod",
    lambda x, dim: np.cumprod(wide(x), dim) if x.ndim else wide(x),
    calls((0,), (-1,), shapes=((), (5,), (3, 4)), low=-1.4, high=1.4),
    dtypes="fcib",
    gives="sum",
    tol=(1e-5, 1e-5),
)
op(
    "logcumsumexp",
    lambda x, dim: np.log(np.cumsum(np.exp(x), dim)) if x.ndim else x,
    calls((0,), (-1,), shapes=((), (5,), (3, 4))),
    dtypes="fh",
)


def running(better):
    def ref(x, dim):
        if x.ndim == 0:
            return x, np.int64(0)
        values, at = np.moveaxis(x, dim, 0).copy(), np.zeros(np.moveaxis(x, dim, 0).shape, np.int64)
        for i in range(1, len(values)):
            new = better(values[i], values[i - 1])
            at[i] = np.where(new, i, at[i - 1])
            values[i] = np.where(new, values[i], values[i - 1])
        return np.moveaxis(values, 0, dim), np.moveaxis(at, 0, dim)

    return ref


op(
    "cummax",
    running(np.greater_equal),
    calls((0,), (-1,), shapes=((), (5,), (3, 4)), distinct=True),
    dtypes="fi",
    gives=("same", "int64"),
    gradgrad=False,
)
op(
    "cummin",
    running(np.less_equal),
    calls((0,), (-1,), shapes=((), (5,), (3, 4)), distinct=True),
    dtypes="fi",
    gives=("same", "int64"),
    gradgrad=False,
)
op(
    "diff",
    lambda x, n=1, dim=-1, prepend=None, append=None: np.diff(
        x, n, dim, **{k: v for k, v in dict(prepend=prepend, append=append).items() if v is not None}
    ),
    lambda make: iter(
        [S(make(5)), S(make(3, 4), 2), S(make(3, 4), dim=0), S(make(2, 3), prepend=make(2, 1), append=make(2, 2))]
    ),
    dtypes="fi",
)
op(
    "trapezoid trapz",
    lambda y, x=None, dx=1.0, dim=-1: np.trapezoid(y, x, dx, dim),
    lambda make: iter([S(make(5)), S(make(3, 4), make(4)), S(make(3, 4), dx=0.5), S(make(3, 4), dim=0)]),
)


def running_trapezoid(y, x=None, dx=1.0, dim=-1):
    y = np.moveaxis(y, dim, -1)
    step = dx if x is None else np.diff(np.moveaxis(x, dim, -1) if x.ndim > 1 else x)
    return np.moveaxis(np.cumsum((y[..., 1:] + y[..., :-1]) * step / 2, -1), -1, dim)


op(
    "cumulative_trapezoid",
    running_trapezoid,
    lambda make: iter([S(make(5)), S(make(3, 4), make(4)), S(make(3, 4), dx=0.5), S(make(3, 4), dim=0)]),
)
op(
    "gradient",
    lambda x, spacing=1, dim=None: (
        (np.gradient(x, spacing, axis=dim),) if x.ndim == 1 or dim is not None else tuple(np.gradient(x, spacing))
    ),
    lambda make: iter([S(make(5)), S(make(3, 4)), S(make(3, 4), dim=0), S(make(6), spacing=0.5)]),
    gives=None,
    errors=[
        Error(lambda make: S(make(1)), RuntimeError, "expected each dimension size to be at least edge_order"),
        Error(lambda make: S(make(3), edge_order=3), RuntimeError, "only supports edge_order=1 and edge_order=2"),
    ],
)
op(
    "gradient",
    lambda x, spacing, edge_order: (
        tuple(np.gradient(x, *spacing, edge_order=edge_order))
        if x.ndim > 1
        else (np.gradient(x, *spacing, edge_order=edge_order),)
    ),
    lambda make: iter(
        S(make(*sizes), spacing=[make.tensor(np.cumsum(np.arange(1, n + 1) ** 0.5)) for n in sizes], edge_order=edge)
        for edge in (1, 2)
        for sizes in ((5,), (3, 4))
    ),
    gives=None,
    layouts=False,
)

# Softmax and its family.
ROWS = calls((-1,), (0,), dict(dim=-1), shapes=((), (5,), (3, 4), (2, 131), (2, 0)))


def rowwise(f):
    return lambda x, dim: f(x.reshape(1), 0).reshape(()) if x.ndim == 0 else f(x, dim)


for _space in ("", "nn.functional"):
    op("softmax", rowwise(m.softmax), ROWS, dtypes="fh", space=_space, errors=[OUT_OF_RANGE])
    op("log_softmax", rowwise(lambda x, dim: x - m.logsumexp(x, dim, True)), ROWS, dtypes="fh", space=_space)
op("softmin", rowwise(lambda x, dim: m.softmax(-x, dim)), ROWS, dtypes="fh")
op(
    "softmax log_softmax",
    None,
    given(lambda make: S(make.index(2, 3, high=4), 1, dtype=torch.float32)),
    grad=False,
    space="",
    layouts=False,
    forms=False,
    check=lambda r, s: np.testing.assert_allclose((r if float(r.sum()) > 0 else r.exp()).sum(1).numpy(), 1, rtol=1e-5),
)
op(
    "softmax",
    None,
    lambda make: iter([S(make.tensor([[math.inf, 0.0], [-math.inf, 1.0], [1e30, -1e30]]), 1)]),
    grad=False,
    space="",
    layouts=False,
    forms=False,
    check=lambda r, s: np.testing.assert_array_equal(r.numpy(), [[math.nan, math.nan], [0, 1], [1, 0]]),
)

# Histograms and counting.
op(
    "histc",
    lambda x, bins=100, min=0, max=0: np.histogram(x, bins, (min, max) if (min, max) != (0, 0) else None)[0].astype(
        float
    ),
    lambda make: iter([S(make(40), 5, -2, 2), S(make(40), bins=7), S(make(3, 4), bins=4, min=-3, max=3)]),
    grad=False,
)
op(
    "bincount",
    lambda x, weights=None, minlength=0: np.bincount(x, weights, minlength),
    given(
        lambda make: make.index(9, high=5),
        lambda make: S(make.index(4, high=3), minlength=8),
        lambda make: (make.index(6, high=4), make(6)),
    ),
    gives=None,
    grad=False,
    layouts=False,
    errors=[
        Error(
            lambda make: S(torch.tensor([-1])), RuntimeError, "bincount only supports 1-d non-negative integral inputs"
        )
    ],
)
op(
    "cov",
    lambda x, **k: np.cov(x, **{dict(correction="ddof").get(n, n): v for n, v in k.items()}),
    lambda make: iter([S(make(3, 6)), S(make(5)), S(make(2, 4), correction=0)]),
    gradgrad=True,
)
op("corrcoef", np.corrcoef, lambda make: iter([S(make(3, 6)), S(make(5))]), tol=(1e-5, 1e-5))
op(
    "histogram",
    lambda x, bins, range=None: tuple(v.astype(float) for v in np.histogram(x, bins, range)),
    given(lambda make: S(make(40), 5, range=(-2.0, 2.0)), lambda make: S(make(40), 4)),
    gives=None,
    grad=False,
    forms=False,
)
op(
    "unique",
    None,
    given(lambda make: make.index(3, 4, high=5), lambda make: make.tensor([3.0, 1.0, 3.0])),
    grad=False,
    gives=None,
    check=lambda r, s: np.testing.assert_array_equal(r.numpy(), np.unique(s.args[0].numpy())),
)
op(
    "unique",
    lambda x, **k: (lambda v, i, c: (v, i.reshape(x.shape), c))(*np.unique(x, return_inverse=True, return_counts=True)),
    given(lambda make: S(make.index(3, 4, high=5), return_inverse=True, return_counts=True)),
    grad=False,
    gives=None,
    forms=False,
)


def consecutive(x):
    keep = np.concatenate([[True], x[1:] != x[:-1]])
    at = np.flatnonzero(keep)
    return x[at], np.cumsum(keep) - 1, np.diff(np.append(at, len(x)))


op(
    "unique_consecutive",
    lambda x, **k: consecutive(x) if k else consecutive(x)[0],
    given(
        lambda make: torch.tensor([1, 1, 2, 2, 1, 3]),
        lambda make: S(make.index(30, high=2), return_inverse=True, return_counts=True),
    ),
    grad=False,
    gives=None,
    forms=False,
)
op(
    "dist",
    lambda a, b, p=2.0: np.linalg.norm((a - b).ravel(), p),
    lambda make: iter([S(make(5), make(5)), S(make(3, 4), make(3, 4), 1.0), S(make(3), make(3), math.inf)]),
)
op(
    "norm",
    lambda x, p="fro", dim=None, keepdim=False: (
        np.linalg.norm(x.ravel() if dim is None else x, None if p == "fro" else p, dim, keepdim)
        if dim is not None
        else np.linalg.norm(x.ravel(), None if p == "fro" else p)
    ),
    lambda make: iter([S(make(3, 4)), S(make(3, 4), 1), S(make(3, 4), 2, 1), S(make(3, 4), 3, 0, True)]),
    space="",
    forms=False,
)
op(
    "renorm",
    lambda x, p, dim, maxnorm: (
        x
        * np.minimum(
            1, maxnorm / (np.linalg.norm(np.moveaxis(x, dim, 0).reshape(x.shape[dim], -1), p, axis=1) + 1e-7)
        ).reshape([-1 if i == dim else 1 for i in range(x.ndim)])
    ),
    calls((2, 0, 1.0), (1, 1, 2.0), shapes=((3, 4),)),
    tol=(1e-5, 1e-5),
    forms=False,
    gradgrad=True,
)
