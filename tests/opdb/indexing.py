"""Rows of gathering, scattering, searching, random numbers, dropout and embedding."""

import numpy as np

import rtorch as torch

from .row import Error, op
from .row import Sample as S
from .samples import calls, given, unary

ALL = "fhcib"
BAD_INDEX = "out of (range|bounds)"


def at(dim, index):
    """Numpy's index that has `index` along `dim` and counts elsewhere."""
    where = list(np.indices(index.shape))
    where[dim] = index
    return tuple(where)


def scalar_safe(f):
    """0-d operands count as having one element."""

    def ref(x, dim, index, *rest, **kw):
        lift = lambda t: t.reshape(1) if isinstance(t, np.ndarray) and t.ndim == 0 else t  # noqa: E731
        return f(lift(x), dim, lift(index), *(lift(r) for r in rest), **kw).reshape(
            x.shape if x.ndim == 0 else f(lift(x), dim, lift(index), *(lift(r) for r in rest), **kw).shape
        )

    return ref


op(
    "gather",
    lambda x, dim, index: x[at(dim, index)],
    given(
        lambda make: (make(3, 4), 0, make.index(2, 4, high=3)),
        lambda make: (make(3, 4), 1, make.index(3, 6, high=4)),
        lambda make: (make(3, 4), -1, make.index(2, 2, high=4)),
        lambda make: (make(5), 0, make.index(0, high=5)),
    ),
    dtypes=ALL,
    errors=[
        Error(lambda make: S(make(3), 0, torch.tensor([3])), (RuntimeError, IndexError), BAD_INDEX),
        Error(lambda make: S(make(3), 0, make(2)), RuntimeError, r"gather\(\): Expected dtype int32/int64 for index"),
        Error(
            lambda make: S(make(3, 4), 0, torch.tensor([1])),
            RuntimeError,
            "Index tensor must have the same number of dimensions as input tensor",
        ),
    ],
)
op(
    "take_along_dim",
    lambda x, i, dim=None: np.take_along_axis(x, i, dim),
    given(lambda make: (make(3, 4), make.index(2, 4, high=3), 0), lambda make: (make(3, 4), make.index(5, high=12))),
    dtypes="fi",
)
op(
    "take",
    lambda x, i: np.take(x, i),
    given(lambda make: (make(3, 4), make.index(2, 2, high=12)), lambda make: (make(3, 4), torch.tensor([-1, 0]))),
    dtypes=ALL,
    errors=[Error(lambda make: S(make(3), torch.tensor([3])), IndexError, BAD_INDEX)],
)
op(
    "index_select",
    lambda x, dim, i: np.take(x, i, dim),
    given(
        lambda make: (make(3, 4), 0, make.index(5, high=3)),
        lambda make: (make(2, 3, 4), -1, make.index(2, high=4)),
        lambda make: (make(3, 4), 1, make.index(0, high=4)),
    ),
    dtypes=ALL,
    errors=[Error(lambda make: S(make(3), 0, torch.tensor([3])), (RuntimeError, IndexError), BAD_INDEX)],
)
op(
    "masked_select",
    lambda x, m: np.broadcast_arrays(x, m)[0][np.broadcast_arrays(x, m)[1]],
    given(
        lambda make: (make(3, 4), make.mask(3, 4)),
        lambda make: (make(3, 4), make.mask(4)),
        lambda make: (make(0), make.mask(0)),
    ),
    dtypes=ALL,
)
op(
    "nonzero argwhere",
    lambda x: np.stack(np.nonzero(x), -1) if x.ndim else np.zeros((int(x != 0), 0)),
    unary(shapes=((3, 4), (5,), (0,), ())),
    dtypes=ALL,
    gives="int64",
    grad=False,
)
op(
    "nonzero_static",
    lambda x, *, size, fill_value=-1: np.concatenate(
        [np.argwhere(x)[:size], np.full((max(0, size - np.count_nonzero(x)), x.ndim), fill_value)]
    ),
    given(lambda make: S(make.mask(3, 4), size=15), lambda make: S(make.mask(9), size=2)),
    gives="int64",
    grad=False,
    forms=False,
)


def written(ufunc):
    """A copy of the input with elements of `src` combined into it at indices along a dim."""

    def ref(x, dim, index, src, **kw):
        out = x.copy()
        alpha = kw.get("alpha", 1)
        i = np.meshgrid(*[index if d == dim % x.ndim else np.arange(n) for d, n in enumerate(x.shape)], indexing="ij")
        src = np.broadcast_to(src, i[0].shape)
        if ufunc is None:
            out[tuple(i)] = src
        else:
            ufunc.at(out, tuple(i), alpha * src)
        return out

    return ref


op(
    "index_add",
    written(np.add),
    given(
        lambda make: (make(3, 4), 0, make.index(5, high=3), make(5, 4)),
        lambda make: S(make(3, 4), 1, make.index(2, high=4), make(3, 2), alpha=2),
    ),
    dtypes="fhi",
)
op(
    "index_copy",
    written(None),
    given(
        lambda make: (make(3, 4), 0, torch.tensor([2, 0]), make(2, 4)),
        lambda make: (make(3, 4), -1, torch.tensor([1]), make(3, 1)),
    ),
    dtypes="fhi",
)
op(
    "index_fill",
    written(None),
    given(
        lambda make: (make(3, 4), 0, torch.tensor([2, 0]), 2), lambda make: (make(3, 4), 1, torch.tensor([1]), make())
    ),
    dtypes="fhi",
)
op(
    "index_reduce",
    lambda x, dim, i, src, how, include_self=True: written(
        {"prod": np.multiply, "amax": np.maximum, "amin": np.minimum}[how]
    )(x, dim, i, src),
    given(
        *(
            lambda make, how=how: (make.distinct(3, 4), 0, make.index(5, high=3), make.distinct(5, 4), how)
            for how in ("prod", "amax", "amin")
        )
    ),
    dtypes="f",
    gradgrad=False,
)
op(
    "index_put",
    lambda x, i, v, accumulate=False: _put(x, i, v, accumulate),
    given(
        lambda make: (make(3, 4), (torch.tensor([0, 2]), torch.tensor([1, 3])), make(2)),
        lambda make: S(make(3, 4), (torch.tensor([0, 0]),), make(4), accumulate=True),
        lambda make: (make(3, 4), (make.mask(3, 4),), make()),
    ),
    dtypes="fi",
    forms=False,
)


def _put(x, index, values, accumulate):
    out = x.copy()
    np.add.at(out, index, values) if accumulate else out.__setitem__(index, values)
    return out


op(
    "put",
    lambda x, i, v, accumulate=False: (_put(x.ravel(), (i,), v, accumulate)).reshape(x.shape),
    given(
        lambda make: (make(3, 4), torch.tensor([1, 7]), make(2)),
        lambda make: S(make(3, 4), torch.tensor([1, 1]), make(2), accumulate=True),
    ),
    dtypes="fi",
)
op(
    "masked_scatter",
    lambda x, m, s: _put(x, np.broadcast_to(m, x.shape), s.ravel()[: np.broadcast_to(m, x.shape).sum()], False),
    given(lambda make: (make(3, 4), make.mask(3, 4), make(12)), lambda make: (make(3, 4), make.mask(4), make(3, 4))),
    dtypes="fi",
)


def scatters(make):
    yield make(3, 4), 0, make.index(2, 4, high=3), make(2, 4)
    yield make(3, 4), 1, make.index(3, 2, high=4), make(3, 2)


def unique_scatters(make):
    yield S(make(3, 4), 0, torch.tensor([[0, 1, 2, 0]]), make(1, 4))
    yield S(make(3, 4), -1, torch.tensor([[1, 0], [3, 2]]), make(2, 2))
    yield S(make(3, 4), 1, torch.tensor([[1], [2]]), 2)


def cropped(src, index):
    return src[tuple(slice(n) for n in index.shape)] if isinstance(src, np.ndarray) and src.ndim else src


op(
    "scatter",
    lambda x, dim, i, src, **k: _put(x, at(dim, i), cropped(src, i), False),
    unique_scatters,
    dtypes="fi",
    errors=[Error(lambda make: S(make(3), 0, torch.tensor([3]), make(1)), (RuntimeError, IndexError), BAD_INDEX)],
)
SCATTER_ADD = lambda x, dim, i, src: _put(x, at(dim, i), cropped(src, i), True)  # noqa: E731
op("scatter_add", SCATTER_ADD, lambda make: (S(*c) for c in scatters(make)), dtypes="fi")
op(
    "scatter_add",
    SCATTER_ADD,
    given(
        lambda make: (make(3, 4), 1, make.index(3, 2, high=4), make(3, 3)),
        lambda make: (make(5), 0, make.index(0, high=5), make(0)),
    ),
    dtypes="fi",
    grad=False,
)


def scatter_reduced(x, dim, index, src, how, include_self=True):
    out, src, where = x.copy(), cropped(src, index), at(dim, index)
    ufunc = {"sum": np.add, "prod": np.multiply, "amax": np.maximum, "amin": np.minimum, "mean": np.add}[how]
    if not include_self:
        out[where] = {"sum": 0, "mean": 0, "prod": 1, "amax": -np.inf, "amin": np.inf}[how]
    ufunc.at(out, where, src)
    if how == "mean":
        count = np.full(x.shape, float(include_self))
        np.add.at(count, where, 1.0)
        out = out / np.where(count == 0, 1, count)
    return out


op(
    "scatter_reduce",
    scatter_reduced,
    lambda make: (
        S(make.distinct(3, 4), d, i, make.distinct(*s.shape), how, include_self=inc)
        for how in ("sum", "prod", "mean", "amax", "amin")
        for inc in (True, False)
        for _, d, i, s in scatters(make)
    ),
    dtypes="f",
    gradgrad=False,
    tol=(1e-4, 1e-5),
)
op(
    "searchsorted",
    lambda a, v, **k: (
        np.stack([np.searchsorted(r, q, "right" if k.get("right") else k.get("side", "left")) for r, q in zip(a, v)])
        if a.ndim > 1
        else np.searchsorted(a, v, "right" if k.get("right") else k.get("side", "left"))
    ),
    given(
        lambda make: (make.distinct(9).sort().values, make(2, 3)),
        lambda make: S(make.distinct(2, 9).sort().values, make(2, 3), right=True),
        lambda make: S(make.distinct(5).sort().values, make(3), side="right"),
    ),
    dtypes="fi",
    gives="int64",
    grad=False,
    forms=False,
)
op(
    "bucketize",
    lambda v, b, right=False: np.searchsorted(b, v, "right" if right else "left"),
    given(
        lambda make: (make(2, 3), make.distinct(9).sort().values),
        lambda make: S(make(4), make.distinct(5).sort().values, right=True),
    ),
    dtypes="fi",
    gives="int64",
    grad=False,
    forms=False,
)
op(
    "isin",
    lambda a, b, **k: np.isin(a, b, **k),
    given(lambda make: (make(3, 4), make(5)), lambda make: S(make(6), make(3), invert=True)),
    dtypes="i",
    gives="bool",
    grad=False,
    forms=False,
)
op(
    "unravel_index",
    lambda i, shape: np.unravel_index(i, shape),
    given(lambda make: (make.index(5, high=12), (3, 4))),
    gives=None,
    grad=False,
)
op(
    "one_hot",
    lambda i, n=-1: np.eye(n if n > 0 else i.max() + 1)[i],
    given(lambda make: make.index(2, 3, high=4), lambda make: (make.index(5, high=3), 6)),
    gives="int64",
    grad=False,
    errors=[Error(lambda make: S(torch.tensor([3]), 2), RuntimeError, "Class values must be smaller than num_classes")],
)
op(
    "embedding",
    lambda i, w, padding_idx=None, **k: w[i],
    given(
        lambda make: (make.index(2, 3, high=5), make(5, 4)),
        lambda make: S(make.index(4, high=5), make(5, 3), padding_idx=None),
    ),
    gives=None,
    space="nn.functional",
    errors=[Error(lambda make: S(torch.tensor([5]), make(5, 2)), IndexError, "index out of range in self")],
)
op(
    "segment_reduce",
    lambda x, reduce, lengths=None, **k: np.stack(
        [
            {"sum": np.sum, "mean": np.mean, "max": np.max, "min": np.min, "prod": np.prod}[reduce](p, axis=0)
            for p in np.split(x, np.cumsum(lengths)[:-1])
        ]
    ),
    given(
        *(
            lambda make, how=how: S(make.distinct(5, 2), how, lengths=torch.tensor([2, 3]))
            for how in ("sum", "mean", "max", "min", "prod")
        )
    ),
    gradgrad=False,
    errors=[
        Error(
            lambda make: S(make(3), "sum", lengths=torch.tensor([1])),
            RuntimeError,
            "Expected all rows of lengths along axis to sum",
        ),
        Error(lambda make: S(make(3), "sum"), RuntimeError, "Either lengths or offsets must be defined"),
    ],
    forms=False,
    layouts=False,
)
op(
    "histogramdd",
    None,
    lambda make: iter([S(make(20, 2), (3, 4))]),
    grad=False,
    check=lambda r, s: np.testing.assert_array_equal(r[0].numpy(), np.histogramdd(s.args[0].numpy(), s.args[1])[0]),
    forms=False,
)

# Random numbers: what they look like and that a seed gives them again; their exact values are in test_random.py.


def looks(shape, dtype=None, low=None, high=None, mean=None, slack=0.1):
    def check(result, sample):
        assert result.shape == shape
        want = dtype or sample.kwargs.get("dtype") or sample.tensors()[0].dtype
        assert result.dtype == want
        values = result.to(torch.float64)
        assert low is None or bool((values >= low).all())
        assert high is None or bool((values <= high).all())
        assert mean is None or abs(float(values.mean()) - mean) < slack

    return check


BIG = (40, 50)
RANDOM = dict(random=True, grad=False, forms=False, layouts=False, gives=None)


def drawn(names, check, *samples, **rest):
    op(names, None, given(*samples), **{**RANDOM, "check": check, **rest})


drawn("rand", looks(BIG, low=0, high=1, mean=0.5), lambda make: S(*BIG, dtype=make.dtype))
drawn("randn", looks(BIG, mean=0), lambda make: S(*BIG, dtype=make.dtype))
drawn(
    "randint",
    looks(BIG, torch.int64, 2, 8, 5, 0.3),
    lambda make: (2, 9, BIG),
    errors=[
        Error(
            lambda make: S(5, 5, (2,)),
            RuntimeError,
            "random_ expects 'from' to be less than 'to', but got from=5 >= to=5|from >= to",
        )
    ],
)
drawn("randperm", lambda r, s: np.testing.assert_array_equal(np.sort(r.numpy()), np.arange(9)), lambda make: S(9))
drawn("rand_like", looks(BIG, low=0, high=1, mean=0.5), lambda make: make(*BIG))
drawn("randn_like", looks(BIG, mean=0), lambda make: make(*BIG))
drawn("randint_like", looks(BIG, low=0, high=3, mean=1.5), lambda make: (make(*BIG), 4))
drawn("normal", looks(BIG, mean=2, slack=0.3), lambda make: S(2.0, 3.0, BIG, dtype=make.dtype))
drawn("bernoulli", looks(BIG, low=0, high=1, mean=0.5), lambda make: make(*BIG, low=0, high=1))
drawn("poisson", looks(BIG, low=0, mean=2, slack=0.3), lambda make: make(*BIG, low=1, high=3), grad=False)
drawn(
    "binomial",
    looks(BIG, low=0, high=9, mean=4.5, slack=0.3),
    lambda make: (torch.full(BIG, 9.0, dtype=make.dtype), torch.full(BIG, 0.5, dtype=make.dtype)),
)
drawn(
    "multinomial",
    looks((3, 2), torch.int64, 0, 4),
    lambda make: (make(3, 5, low=0.1, high=1), 2),
    errors=[
        Error(
            lambda make: S(make.tensor([-1.0, 2.0]), 1),
            RuntimeError,
            "probability tensor contains either `inf`, `nan` or element < 0",
        )
    ],
)
drawn("normal_", looks(BIG, mean=0), lambda make: make(*BIG), space="Tensor")
drawn("uniform_", looks(BIG, low=2, high=4, mean=3), lambda make: (make(*BIG), 2, 4), space="Tensor")
drawn("bernoulli_", looks(BIG, low=0, high=1, mean=0.3), lambda make: (make(*BIG), 0.3), space="Tensor")
drawn("exponential_", looks(BIG, low=0, mean=0.5), lambda make: (make(*BIG), 2), space="Tensor")
drawn("geometric_", looks(BIG, low=1, mean=2, slack=0.3), lambda make: (make(*BIG), 0.5), space="Tensor")
drawn("cauchy_", looks(BIG), lambda make: make(*BIG), space="Tensor")
drawn("log_normal_", looks(BIG, low=0), lambda make: make(*BIG), space="Tensor")
drawn("random_", looks(BIG, low=0, high=9, mean=4.5, slack=0.4), lambda make: (make(*BIG), 10), space="Tensor")


def dropped(p=0.5, whole=False):
    """Elements are zero or scaled, in about the right share."""

    def check(result, sample):
        x = sample.args[0]
        assert result.shape == x.shape and result.dtype == x.dtype
        kept = result != 0
        if p == 1:
            assert not bool(kept.any())
            return
        np.testing.assert_allclose(result[kept].numpy(), (x / (1 - p))[kept].numpy(), rtol=1e-5)
        share = float(kept.to(torch.float64).mean())
        assert abs(share - (1 - p)) < (0.25 if whole else 0.06)

    return check


for _space in ("", "nn.functional"):
    drawn(
        "dropout",
        dropped(0.3),
        lambda make: (make(*BIG), 0.3, True),
        space=_space,
        errors=[
            Error(
                lambda make: S(make(2), 1.5, True),
                (RuntimeError, ValueError),
                "dropout probability has to be between 0 and 1, but got 1.5",
            )
        ],
    )
    drawn("dropout", dropped(1), lambda make: (make(*BIG), 1.0, True), space=_space)
drawn("native_dropout", lambda r, s: dropped(0.3)(r[0], s), lambda make: (make(*BIG), 0.3, True))
drawn("dropout1d", dropped(0.5, whole=True), lambda make: (make(20, 20, 3), 0.5, True))
drawn("dropout2d", dropped(0.5, whole=True), lambda make: (make(20, 20, 2, 2), 0.5, True))
drawn("dropout3d", dropped(0.5, whole=True), lambda make: (make(20, 20, 2, 1, 2), 0.5, True))
for _name in ("alpha_dropout", "feature_alpha_dropout"):
    for _space in ("", "nn.functional"):
        drawn(_name, looks((9, 30), mean=0, slack=0.6), lambda make: (make(9, 30), 0.4, True), space=_space)
drawn("feature_dropout", dropped(0.5, whole=True), lambda make: (make(20, 20, 3), 0.5, True), space="")
drawn(
    "gumbel_softmax", lambda r, s: np.testing.assert_allclose(r.sum(-1).numpy(), 1, rtol=1e-5), lambda make: make(5, 7)
)

# Calls without results of their own to compare: changed in place, or facts about a tensor.
SELF = dict(space="Tensor", grad=False, forms=False, layouts=False, dtypes="fi")
op(
    "fill_",
    lambda x, v: np.full_like(x, v),
    given(lambda make: (make(2, 3), 4), lambda make: (make(5), make()), lambda make: (make(0), 1)),
    **SELF,
)
op("zero_", np.zeros_like, unary(shapes=((2, 3), ())), **SELF)
op(
    "copy_",
    lambda x, y: np.broadcast_to(y, x.shape),
    given(lambda make: (make(2, 3), make(3)), lambda make: (make(2, 3), make(2, 3, dtype=torch.float64))),
    **{**SELF, "dtypes": "f"},
)
op(
    "fill_diagonal_",
    lambda x, v: np.where(np.eye(*x.shape), v, x).astype(x.dtype),
    given(lambda make: (make(3, 3), 4), lambda make: (make(3, 4), 1)),
    **SELF,
)
op("fill", lambda x, v: np.full_like(x, v), given(lambda make: (make(2, 3), 4)), dtypes="fi", space="", forms=False)
op(
    "resize_",
    None,
    given(lambda make: (make(2, 3), (3, 2))),
    **SELF,
    check=lambda r, s: np.testing.assert_array_equal(r.shape, s.args[1]),
)
op(
    "resize_as_",
    None,
    given(lambda make: (make(2, 3), make(3, 2))),
    **SELF,
    check=lambda r, s: np.testing.assert_array_equal(r.shape, s.args[1].shape),
)
op(
    "set_",
    None,
    given(lambda make: (make(2, 3), make(3))),
    **SELF,
    check=lambda r, s: np.testing.assert_array_equal(r.numpy(), s.args[1].numpy()),
)
op("numel", np.size, unary(shapes=((2, 3), (), (0,))), dtypes="fi", gives=None, grad=False, forms=False)
op("dim ndimension", np.ndim, unary(shapes=((2, 3), ())), **SELF, gives=None)
op("size", np.shape, unary(shapes=((2, 3), ())), **SELF, gives=None)
op(
    "size",
    lambda x, d: x.shape[d],
    calls((0,), (-1,), shapes=((2, 3),)),
    **SELF,
    gives=None,
    errors=[Error(lambda make: S(make(2, 3), 2), IndexError, "Dimension out of range")],
)
op(
    "stride",
    lambda x: tuple(s // x.itemsize for s in np.ascontiguousarray(x).strides),
    unary(shapes=((2, 3), (4,))),
    **SELF,
    gives=None,
)
op("storage_offset", lambda x: 0, unary(shapes=((2, 3),)), **SELF, gives=None)
op(
    "element_size",
    None,
    unary(shapes=((2, 3),)),
    **SELF,
    check=lambda r, s: np.testing.assert_equal(r if isinstance(r, int) else 0, s.args[0].numpy().itemsize),
)
op(
    "is_contiguous",
    lambda x: x.flags.c_contiguous,
    given(lambda make: make(2, 3), lambda make: make(2, 3).t()),
    **SELF,
    gives=None,
)
op(
    "is_floating_point",
    lambda x: x.dtype.kind == "f",
    unary(shapes=((2,),)),
    dtypes="fcib",
    grad=False,
    gives=None,
    forms=False,
    layouts=False,
)
op(
    "is_complex",
    lambda x: x.dtype.kind == "c",
    unary(shapes=((2,),)),
    dtypes="fcib",
    grad=False,
    gives=None,
    forms=False,
    layouts=False,
)
op(
    "is_nonzero",
    lambda x: bool(x.item()),
    given(lambda make: make(1), lambda make: make()),
    dtypes="fib",
    grad=False,
    gives=None,
    forms=False,
    errors=[
        Error(lambda make: S(make(2)), RuntimeError, "Boolean value of Tensor with more than one value is ambiguous")
    ],
)
op(
    "is_same_size",
    lambda a, b: a.shape == b.shape,
    given(lambda make: (make(2), make(2)), lambda make: (make(2), make(3))),
    grad=False,
    gives=None,
    forms=False,
)
op("is_conj is_neg", lambda x: False, unary(shapes=((2,),)), grad=False, gives=None, forms=False, layouts=False)
op("is_signed", lambda x: True, unary(shapes=((2,),)), **{**SELF, "dtypes": "fc"}, gives=None)
op(
    "item",
    lambda x: x.item(),
    given(lambda make: make(), lambda make: make(1, 1)),
    **{**SELF, "dtypes": "fib"},
    gives=None,
    errors=[Error(lambda make: S(make(2)), RuntimeError, "a Tensor with 2 elements cannot be converted to Scalar")],
)
op("tolist", lambda x: x.tolist(), unary(shapes=((2, 3), (), (0,))), **{**SELF, "dtypes": "dib"}, gives=None)
op("requires_grad_", lambda x: x, unary(shapes=((2,),)), **{**SELF, "dtypes": "f"})
op("detach_", lambda x: x, unary(shapes=((2,),)), **SELF)
op("to", lambda x, dtype: x, given(lambda make: (make(2, 3), torch.float64)), **SELF, gives=torch.float64)
op(
    "type_as",
    lambda x, y: x,
    given(lambda make: (make(2, 3), make(2, dtype=torch.float64))),
    **SELF,
    gives=torch.float64,
)
for _name in ("float", "double", "half", "bfloat16", "cfloat", "cdouble"):
    op(
        _name,
        lambda x: x,
        unary(shapes=((2, 3),)),
        **{**SELF, "dtypes": "fib"},
        gives=getattr(torch, _name),
        tol=(2e-2, 1e-2),
    )
for _name, _dtype in dict(
    long=torch.int64, int=torch.int32, short=torch.int16, char=torch.int8, byte=torch.uint8, bool=torch.bool
).items():
    op(
        _name,
        (lambda x: x != 0) if _name == "bool" else np.trunc,
        lambda make: iter([S(make(2, 3, low=0, high=5))]),
        **SELF,
        gives=_dtype,
    )
op(
    "result_type",
    None,
    given(lambda make: (make(2), make(2, dtype=torch.float64))),
    grad=False,
    forms=False,
    layouts=False,
    check=lambda r, s: np.testing.assert_equal(r == torch.float64, True),
)
op("get_device", lambda x: -1, unary(shapes=((2,),)), grad=False, gives=None, forms=False, layouts=False)
