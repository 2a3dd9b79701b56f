"""Rows of views, joining, splitting, moving of elements, and creation."""

import math

import numpy as np

import rtorch as torch

from .row import Error, op
from .row import Sample as S
from .samples import given, unary

ALL = "fhcib"


def lay(names, ref, samples, **rest):
    """A view."""
    op(names, ref, samples, **{"dtypes": "fib", "view": True, "forms": False, "layouts": False, **rest})


def move(names, ref, samples, **rest):
    """Elements in another order."""
    op(names, ref, samples, **{"dtypes": "fhcib", **rest})


def one(*args, shape=(2, 3, 4), **kwargs):
    return lambda make: S(make(*shape), *args, **kwargs)


OUT_OF_RANGE = r"Dimension out of range \(expected to be in range of "
lay(
    "permute",
    lambda x, *d: np.transpose(x, d[0] if isinstance(d[0], tuple) else d),
    given(one((2, 0, 1)), one((-1, 0, 1)), one((0,), shape=(3,))),
    errors=[Error(one((0, 0, 1)), RuntimeError, "duplicate dims|repeated dim")],
)
lay(
    "transpose swapaxes swapdims",
    lambda x, a, b: np.swapaxes(x, a, b),
    given(one(0, 1), one(-1, 0), one(1, 1)),
    errors=[Error(one(0, 3), IndexError, OUT_OF_RANGE)],
)
lay(
    "t",
    np.transpose,
    given(one(shape=(2, 3)), one(shape=(3,))),
    errors=[Error(one(), RuntimeError, r"t\(\) expects a tensor with <= 2 dimensions, but self is 3D")],
)
lay("movedim moveaxis", np.moveaxis, given(one(0, 2), one((0, 1), (2, 0)), one(-1, 0)))
lay("adjoint", lambda x: np.swapaxes(x, -1, -2), given(one()), dtypes="fi")
lay(
    "squeeze",
    lambda x, dim=None: np.squeeze(
        x, None if dim is None else tuple(d for d in (dim if isinstance(dim, tuple) else (dim,)) if x.shape[d] == 1)
    ),
    given(one(shape=(1, 3, 1)), one(0, shape=(1, 3, 1)), one(1, shape=(1, 3, 1)), one((0, 2), shape=(1, 3, 1))),
    errors=[Error(one(3), IndexError, OUT_OF_RANGE)],
)
lay(
    "unsqueeze",
    np.expand_dims,
    given(one(0), one(-1), one(1, shape=(3,)), one(0, shape=())),
    errors=[Error(one(5), IndexError, OUT_OF_RANGE)],
)
lay(
    "select",
    lambda x, dim, i: x[(slice(None),) * (dim % x.ndim) + (i,)],
    given(one(0, 1), one(1, -1), one(-1, 2)),
    errors=[
        Error(one(0, 2), IndexError, r"select\(\): index 2 out of range for tensor of size \[2, 3, 4\] at dimension 0")
    ],
)
lay(
    "narrow",
    lambda x, dim, a, n: x[(slice(None),) * (dim % x.ndim) + (slice(a, a + n),)],
    given(one(1, 1, 2), one(-1, 0, 3), one(0, 1, 0)),
    errors=[Error(one(1, 2, 2), RuntimeError, "exceeds dimension size")],
)
lay(
    "diagonal",
    lambda x, offset=0, dim1=0, dim2=1: np.diagonal(x, offset, dim1, dim2),
    given(one(shape=(3, 4)), one(1, shape=(3, 4)), one(-1, 0, 2), one(offset=0, dim1=-2, dim2=-1)),
    space="",
)
lay(
    "diagonal",
    lambda x, offset=0, dim1=-2, dim2=-1: np.diagonal(x, offset, dim1, dim2),
    given(one(), one(offset=1)),
    space="linalg",
)
lay(
    "unfold",
    lambda x, dim, size, step: np.lib.stride_tricks.sliding_window_view(x, size, dim)[
        (slice(None),) * (dim % x.ndim) + (slice(None, None, step),)
    ],
    given(one(1, 2, 1), one(0, 1, 1), one(2, 3, 2)),
    space="Tensor",
)
lay(
    "as_strided",
    lambda x, size, stride, offset=0: np.lib.stride_tricks.as_strided(
        np.ascontiguousarray(x).ravel()[offset:], size, [s * x.itemsize for s in stride]
    ),
    given(one((2, 2), (3, 1)), one((3,), (2,), 1), one((2, 3, 2), (1, 0, 4))),
    errors=[Error(one((9, 9), (9, 1)), RuntimeError, "out of bounds for storage")],
    gradgrad=True,
)
lay(
    "view",
    lambda x, *s: x.reshape(s[0] if isinstance(s[0], tuple) else s),
    given(one(6, 4), one((4, -1)), one(-1), one(1, 2, 12)),
    space="Tensor",
    errors=[
        Error(one(5, 5), RuntimeError, r"shape '\[5, 5\]' is invalid for input of size 24"),
        Error(
            lambda make: S(make(3, 4).transpose(0, 1), 12),
            RuntimeError,
            "view size is not compatible with input tensor's size and stride",
        ),
    ],
)
lay(
    "reshape",
    lambda x, s: x.reshape(s),
    given(one((6, 4)), one((4, -1)), one((24,)), one((), shape=(1,))),
    errors=[
        Error(one((-1, -1)), RuntimeError, "only one dimension can be inferred"),
        Error(one((5,)), RuntimeError, r"shape '\[5\]' is invalid for input of size 24"),
    ],
)
move(
    "reshape",
    lambda x, s: np.ascontiguousarray(x).reshape(s),
    given(lambda make: (make(3, 4).t(), (2, 6)), lambda make: (make(0, 3), (3, 0))),
    forms=False,
)
lay(
    "view_as reshape_as",
    lambda x, y: x.reshape(y.shape),
    given(lambda make: (make(6), make(2, 3))),
    space="Tensor",
    constants=(1,),
)
lay(
    "flatten",
    lambda x, a=0, b=-1: x.reshape(x.shape[: a % x.ndim] + (-1,) + x.shape[b % x.ndim + 1 :]),
    given(one(), one(1), one(0, 1), one(1, 2)),
)
lay("ravel", np.ravel, given(one(), one(shape=(3,))))
lay(
    "unflatten",
    lambda x, dim, sizes: x.reshape(x.shape[: dim % x.ndim] + tuple(sizes) + x.shape[dim % x.ndim + 1 :]),
    given(one(2, (2, 2)), one(0, (1, 2))),
    errors=[Error(one(2, (3, 2)), RuntimeError, "don't multiply up to the size of dim 2")],
)
lay(
    "expand broadcast_to",
    lambda x, s: np.broadcast_to(x, [x.shape[i - len(s) + x.ndim] if n == -1 else n for i, n in enumerate(s)]),
    given(one((3, 4), shape=(1, 4)), one((2, 3, 4), shape=(4,)), one((2, 5), shape=())),
)
lay(
    "expand_as",
    lambda x, y: np.broadcast_to(x, y.shape),
    given(lambda make: (make(1, 3), make(2, 3))),
    space="Tensor",
    constants=(1,),
)
lay("real", np.real, given(one(shape=(3,))), dtypes="c", gives="real")
lay("imag", np.imag, given(one(shape=(3,))), dtypes="c", gives="real")
lay("view_as_real", lambda x: np.stack([x.real, x.imag], -1), given(one(), one(shape=())), dtypes="c", gives="real")
lay("view_as_complex", lambda x: x[..., 0] + 1j * x[..., 1], given(one(shape=(3, 2))), dtypes="f", gives=None)
lay("detach", lambda x: x, given(one(), one(shape=())), grad=False)

op("positive", lambda x: x, given(one()), forms=False)

# Several views.


def pieces(names, ref, *samples, **rest):
    op(
        names,
        lambda *a, **k: tuple(ref(*a, **k)),
        given(*samples),
        **{"dtypes": "fib", "forms": False, "gives": None, "layouts": False, **rest},
    )


def cut(x, size, dim=0):
    at = np.cumsum(size)[:-1] if isinstance(size, (list, tuple)) else np.arange(size, x.shape[dim], size)
    return np.split(x, at, dim)


pieces(
    "split",
    cut,
    one(1),
    one(2, 1),
    one([1, 2], 1),
    one(3, dim=-1),
    errors=[Error(one([1, 1], 1), RuntimeError, "expects split_sizes to sum exactly to 3")],
)
pieces("unsafe_split", cut, one(1), one(2, 1))
pieces("split_with_sizes unsafe_split_with_sizes", cut, one([1, 2], 1), one([2], 0))
pieces(
    "chunk unsafe_chunk",
    lambda x, n, dim=0: cut(x, -(-x.shape[dim] // n), dim),
    one(2),
    one(2, 1),
    one(5, -1),
    errors=[Error(one(0), RuntimeError, "chunk expects `chunks` to be greater than 0")],
)
pieces("tensor_split", lambda x, n, dim=0: np.array_split(x, n, dim), one(2), one(3, 2), one((1, 2), 1))
pieces("hsplit", np.hsplit, one(3), one((1,)))
pieces("vsplit", np.vsplit, one(2), one((1,)))
pieces("dsplit", np.dsplit, one(2), one((1, 3)))
pieces(
    "unbind",
    lambda x, dim=0: [x[(slice(None),) * (dim % x.ndim) + (i,)] for i in range(x.shape[dim])],
    one(),
    one(1),
    one(-1),
)
pieces("broadcast_tensors", np.broadcast_arrays, lambda make: (make(2, 1), make(3), make()))
pieces(
    "meshgrid",
    lambda *x, indexing="ij": np.meshgrid(*x, indexing=indexing),
    lambda make: S(make(2), make(3), indexing="ij"),
    lambda make: S(make(2), make(3), make(2), indexing="xy"),
)
for _n, _ref in enumerate((np.atleast_1d, np.atleast_2d, np.atleast_3d), 1):
    op(
        f"atleast_{_n}d",
        _ref,
        given(one(shape=()), one(shape=(3,)), one(shape=(2, 3)), one()),
        dtypes="fi",
        forms=False,
    )
# Copies of what views show.
COPY = dict(dtypes="fi", forms=True)
op("permute_copy", np.transpose, given(one((2, 0, 1))), **COPY)
op("transpose_copy", np.swapaxes, given(one(0, 1)), **COPY)
op("t_copy", np.transpose, given(one(shape=(2, 3))), **COPY)
op("squeeze_copy", lambda x, d=None: np.squeeze(x, d), given(one(shape=(1, 3)), one(0, shape=(1, 3))), **COPY)
op("unsqueeze_copy", np.expand_dims, given(one(1)), **COPY)
op("select_copy", lambda x, d, i: np.take(x, i, d), given(one(1, 2)), **COPY)
op("narrow_copy", lambda x, dim, a, n: np.take(x, range(a, a + n), dim), given(one(1, 1, 2)), **COPY)
op(
    "slice_copy",
    lambda x, dim=0, start=None, end=None, step=1: x[(slice(None),) * dim + (slice(start, end, step),)],
    given(one(1, 0, 2), one(2, 0, 4, 2)),
    **COPY,
)
op("diagonal_copy", np.diagonal, given(one(shape=(3, 4))), **COPY)
op("expand_copy", lambda x, s: np.broadcast_to(x, s), given(one((2, 3), shape=(1, 3))), **COPY)
op("view_copy", lambda x, s: x.reshape(s), given(one((6, 4))), **{**COPY, "layouts": False})
op(
    "unfold_copy",
    lambda x, d, size, step: np.lib.stride_tricks.sliding_window_view(x, size, d)[
        (slice(None),) * d + (slice(None, None, step),)
    ],
    given(one(1, 2, 1)),
    **COPY,
)
op("alias_copy detach_copy", lambda x: x, given(one()), grad=False, **COPY)
op("view_as_real_copy", lambda x: np.stack([x.real, x.imag], -1), given(one()), dtypes="c", gives="real")
op(
    "view_as_complex_copy",
    lambda x: x[..., 0] + 1j * x[..., 1],
    given(one(shape=(3, 2))),
    gives=None,
    layouts=False,
    grad=False,
)
op(
    "as_strided_copy",
    lambda x, size, stride, o=0: x.ravel()[o + sum(np.indices(size)[i] * s for i, s in enumerate(stride))],
    given(one((2, 2), (3, 1))),
    dtypes="f",
    layouts=False,
)
op("unbind_copy", lambda x, dim=0: tuple(np.moveaxis(x, dim, 0)), given(one(), one(1)), gives=None, forms=False)
op("split_copy", lambda x, s, dim=0: tuple(cut(x, s, dim)), given(one(2, 1)), gives=None, forms=False)
op("split_with_sizes_copy", lambda x, s, dim=0: tuple(cut(x, s, dim)), given(one([1, 2], 1)), gives=None, forms=False)

# Joining.


def joined(f, *shapes, **kw):
    return lambda make: S([make(*s) for s in shapes], **kw)


op(
    "cat concat concatenate",
    lambda ts, dim=0: np.concatenate([t for t in ts if t.shape != (0,)] or ts, dim),
    given(
        joined(0, (2, 3), (4, 3)),
        joined(0, (2, 3), (2, 1), dim=-1),
        joined(0, (2,), (0,)),
        joined(0, (2, 3, 2), (2, 0, 2), dim=1),
        joined(0, (0,), (2, 3)),
    ),
    dtypes=ALL,
    errors=[
        Error(
            lambda make: S([make(2, 3), make(2, 4)]),
            RuntimeError,
            "Sizes of tensors must match except in dimension 0. Expected size 3 but got size 4 for tensor number 1",
        ),
        Error(lambda make: S([]), (RuntimeError, ValueError), "expected a non-empty list of Tensors"),
    ],
)
op(
    "stack",
    lambda ts, dim=0: np.stack(ts, dim),
    given(joined(0, (2, 3), (2, 3)), joined(0, (), (), ()), joined(0, (2, 3), (2, 3), dim=-1)),
    dtypes=ALL,
    errors=[
        Error(
            lambda make: S([make(2), make(3)]),
            RuntimeError,
            "stack expects each tensor to be equal size, but got \\[2\\] at entry 0 and \\[3\\] at entry 1",
        )
    ],
)
for _name, _ref in dict(
    hstack=np.hstack, vstack=np.vstack, row_stack=np.vstack, dstack=np.dstack, column_stack=np.column_stack
).items():
    op(_name, _ref, given(joined(0, (3,), (3,)), joined(0, (2, 3), (2, 3))), dtypes="fi")


def blocks(*ts):
    ts = [np.atleast_2d(t) for t in ts]
    out = np.zeros(np.sum([t.shape for t in ts], 0), ts[0].dtype)
    r = c = 0
    for t in ts:
        out[r : r + t.shape[0], c : c + t.shape[1]] = t
        r, c = r + t.shape[0], c + t.shape[1]
    return out


op(
    "block_diag",
    blocks,
    given(lambda make: (make(2, 3), make(1, 2), make(3)), lambda make: make(2, 2)),
    dtypes="fi",
    forms=False,
)
op(
    "cartesian_prod",
    lambda *t: np.stack([g.ravel() for g in np.meshgrid(*t, indexing="ij")], 1),
    given(lambda make: (make(2), make(3))),
    dtypes="fi",
    forms=False,
)


def combinations(x, r=2, with_replacement=False):
    import itertools

    pick = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    return np.array(list(pick(x.tolist(), r)), x.dtype).reshape(-1, r)


op(
    "combinations",
    combinations,
    given(one(shape=(4,)), one(3, shape=(4,)), one(with_replacement=True, shape=(3,))),
    dtypes="fi",
    forms=False,
)

# Moving elements.
move("clone", lambda x: x, unary(), forms=False)
move("contiguous", np.ascontiguousarray, given(one(), lambda make: make(3, 4).t()), space="Tensor", forms=False)
move("flip", np.flip, given(one((0,)), one((1, 2)), one((-1,)), one((0,), shape=(0, 2))))
move("fliplr", np.fliplr, given(one(shape=(2, 3))))
move("flipud", np.flipud, given(one(shape=(2, 3)), one(shape=(3,))))
move("rot90", lambda x, k=1, dims=(0, 1): np.rot90(x, k, dims), given(one(), one(2), one(-1, (1, 2))))
move("roll", lambda x, s, d=None: np.roll(x, s, d), given(one(1, 0), one((1, -2), (0, 2)), one(5), one(0, 1)))
move("tile", np.tile, given(one((2,)), one((2, 1, 1, 3)), one((1, 0, 1))), forms=False)
move(
    "repeat",
    lambda x, s: np.tile(x, s),
    given(one((2, 1, 1)), one((1, 2, 1, 3))),
    space="Tensor",
    forms=False,
    errors=[
        Error(
            one((2,)),
            RuntimeError,
            "Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor",
        )
    ],
)
move(
    "repeat_interleave",
    lambda x, r, dim=None: np.repeat(x, r, dim),
    given(one(2), one(3, 1), lambda make: (make(3, 2), torch.tensor([1, 0, 2]), 0)),
    forms=False,
)
move("tril", np.tril, given(one(), one(1), one(-1, shape=(4, 3)), one(shape=(0, 3))))
move("triu", np.triu, given(one(), one(1), one(-1, shape=(4, 3))))
move("diag", np.diag, given(one(shape=(3,)), one(shape=(3, 4)), one(1, shape=(3,)), one(-1, shape=(3, 4))))
move("diagflat", np.diagflat, given(one(shape=(2, 2)), one(1, shape=(3,))))


def embed(x, offset=0, dim1=-2, dim2=-1):
    n = x.shape[-1] + abs(offset)
    out = np.zeros(x.shape[:-1] + (n, n), x.dtype)
    i = np.arange(x.shape[-1])
    out[..., i + max(-offset, 0), i + max(offset, 0)] = x
    return np.moveaxis(out, (-2, -1), (dim1, dim2))


move("diag_embed", embed, given(one(shape=(2, 3)), one(1, shape=(2, 3)), one(-1, 0, 2, shape=(2, 3))))
move("trace", np.trace, given(one(shape=(3, 4))), dtypes="fi", gives="sum")


def replaced(at):
    """A copy with `src` written where `at` says."""

    def ref(x, src, *a, **k):
        out = x.copy()
        out[at(out, *a, **k)] = src
        return out

    return ref


move(
    "select_scatter",
    replaced(lambda x, dim, i: (slice(None),) * dim + (i,)),
    given(lambda make: (make(3, 4), make(4), 0, 1), lambda make: (make(3, 4), make(3), 1, -1)),
    dtypes="fi",
)
move(
    "slice_scatter",
    replaced(lambda x, dim=0, start=None, end=None, step=1: (slice(None),) * dim + (slice(start, end, step),)),
    given(lambda make: (make(4, 4), make(2, 4), 0, 1, 3), lambda make: (make(4, 4), make(4, 2), 1, 0, 4, 2)),
    dtypes="fi",
)
move(
    "diagonal_scatter",
    replaced(lambda x, o=0: (np.arange(3), np.arange(3) + o)),
    given(lambda make: (make(3, 3), make(3)), lambda make: (make(3, 4), make(3), 1)),
    dtypes="fi",
)
move(
    "as_strided_scatter",
    lambda x, src, size, stride, o=0: _strided_scatter(x, src, size, stride, o),
    given(lambda make: (make(3, 3), make(2, 2), (2, 2), (3, 1), 1)),
    dtypes="f",
    layouts=False,
    constants=(0,),
)


def _strided_scatter(x, src, size, stride, offset):
    out = x.ravel().copy()
    out[offset + sum(np.indices(size)[i] * s for i, s in enumerate(stride))] = src
    return out.reshape(x.shape)


# Creation.


def creation(names, ref, *samples, **rest):
    op(
        names,
        ref,
        given(*samples),
        **{"dtypes": "fi", "grad": False, "gives": None, "forms": False, "layouts": False, **rest},
    )


creation(
    "zeros",
    lambda *s, dtype: np.zeros(s[0] if isinstance(s[0], tuple) else s),
    lambda make: S(2, 3, dtype=make.dtype),
    lambda make: S((), dtype=make.dtype),
    lambda make: S((2, 0), dtype=make.dtype),
    errors=[
        Error(
            lambda make: S(-1),
            RuntimeError,
            "non-negative|negative dimension -1|Trying to create tensor with negative dimension -1: \\[-1\\]",
        )
    ],
)
creation(
    "ones",
    lambda *s, dtype: np.ones(s[0] if isinstance(s[0], tuple) else s),
    lambda make: S(2, 3, dtype=make.dtype),
    lambda make: S((3,), dtype=make.dtype),
)
creation(
    "full",
    lambda s, v, dtype: np.full(s, v),
    lambda make: S((2, 3), 4, dtype=make.dtype),
    lambda make: S((), 1, dtype=make.dtype),
)
creation("zeros_like", np.zeros_like, lambda make: make(2, 3))
creation("ones_like", np.ones_like, lambda make: make(2, 3))
creation("full_like", np.full_like, lambda make: (make(2, 3), 3))
creation("new_zeros", lambda x, s: np.zeros(s), lambda make: (make(2), (2, 3)), space="Tensor")
creation("new_ones", lambda x, s: np.ones(s), lambda make: (make(2), (2, 3)), space="Tensor")
creation("new_full", lambda x, s, v: np.full(s, v), lambda make: (make(2), (2, 3), 5), space="Tensor")
creation("new_tensor", lambda x, v: np.array(v), lambda make: (make(2), [[1, 2], [3, 4]]), space="Tensor")
for _name in ("empty", "empty_permuted"):
    creation(
        _name,
        None,
        lambda make, more=((2, 0, 1),) if _name == "empty_permuted" else (): S((2, 3, 4), *more, dtype=make.dtype),
        check=lambda r, s: check_shape(r, (2, 3, 4), s.kwargs["dtype"]),
    )
creation(
    "empty_strided",
    None,
    lambda make: S((2, 3), (1, 2), dtype=make.dtype),
    check=lambda r, s: (check_shape(r, (2, 3), s.kwargs["dtype"]), r.stride() == (1, 2)),
)
creation("empty_like", None, lambda make: make(2, 3), check=lambda r, s: check_shape(r, (2, 3), s.args[0].dtype))
creation(
    "new_empty",
    None,
    lambda make: (make(2), (2, 3)),
    check=lambda r, s: check_shape(r, (2, 3), s.args[0].dtype),
    space="Tensor",
)
creation(
    "new_empty_strided",
    None,
    lambda make: (make(2), (2, 3), (1, 2)),
    check=lambda r, s: check_shape(r, (2, 3), s.args[0].dtype),
    space="Tensor",
)


def check_shape(result, shape, dtype):
    assert result.shape == shape and result.dtype == dtype


creation(
    "arange",
    lambda *a, dtype: np.arange(*a),
    lambda make: S(5, dtype=make.dtype),
    lambda make: S(1, 9, 3, dtype=make.dtype),
    lambda make: S(5, 0, -2, dtype=make.dtype) if make.dtype is not torch.uint8 else S(0, dtype=make.dtype),
    errors=[
        Error(lambda make: S(0, 5, 0), RuntimeError, "step must be nonzero"),
        Error(lambda make: S(0, 5, -1), RuntimeError, "upper bound and lower bound inconsistent with step sign"),
    ],
)
creation("range", lambda a, b, dtype: np.arange(a, b + 1), lambda make: S(1, 4, dtype=make.dtype))
creation(
    "linspace",
    lambda a, b, n, dtype: np.linspace(a, b, n),
    lambda make: S(0, 8, 5, dtype=make.dtype),
    lambda make: S(-1.0, 2.0, 7, dtype=make.dtype),
    lambda make: S(0, 1, 1, dtype=make.dtype),
    lambda make: S(0, 1, 0, dtype=make.dtype),
    dtypes="f",
)
creation(
    "logspace",
    lambda a, b, n, base=10.0, dtype=None: np.logspace(a, b, n, base=base),
    lambda make: S(0, 2, 5, dtype=make.dtype),
    lambda make: S(-1, 2, 4, base=2.0, dtype=make.dtype),
    dtypes="f",
    tol=(1e-5, 1e-5),
)
creation(
    "eye",
    lambda n, m=None, dtype=None: np.eye(n, m),
    lambda make: S(3, dtype=make.dtype),
    lambda make: S(2, 4, dtype=make.dtype),
    lambda make: S(0, dtype=make.dtype),
)
creation(
    "tril_indices", lambda r, c, o=0: np.stack(np.tril_indices(r, o, c)), lambda make: S(3, 4), lambda make: S(3, 3, -1)
)
creation(
    "triu_indices", lambda r, c, o=0: np.stack(np.triu_indices(r, o, c)), lambda make: S(3, 4), lambda make: S(3, 3, 1)
)
creation("scalar_tensor", lambda v, dtype: np.asarray(v), lambda make: S(3, dtype=make.dtype))
creation(
    "tensor as_tensor asarray",
    lambda v, dtype=None: np.array(v),
    lambda make: S([[1, 2], [3, 4]], dtype=make.dtype),
    lambda make: S(5, dtype=make.dtype),
    lambda make: S([], dtype=make.dtype),
    errors=[Error(lambda make: S([[1, 2], [3]]), ValueError, "expected sequence of length 2 at dim 1")],
)
creation(
    "vander",
    lambda x, N=None, increasing=False: np.vander(x, N, increasing),
    lambda make: make(4),
    lambda make: S(make(3), 5, increasing=True),
    space="",
    layouts=True,
)
creation(
    "from_numpy",
    None,
    lambda make: S(np.arange(6.0).reshape(2, 3)),
    check=lambda r, s: np.testing.assert_array_equal(r.numpy(), s.args[0]),
)
creation(
    "frombuffer",
    None,
    lambda make: S(bytearray(b"\x01\x02\x03"), dtype=torch.uint8),
    check=lambda r, s: np.testing.assert_array_equal(r.numpy(), [1, 2, 3]),
)
for _name, _ref in dict(
    hann=lambda i, n: np.sin(math.pi * i / n) ** 2,
    hamming=lambda i, n: 0.54 - 0.46 * np.cos(2 * math.pi * i / n),
    blackman=lambda i, n: 0.42 - 0.5 * np.cos(2 * math.pi * i / n) + 0.08 * np.cos(4 * math.pi * i / n),
    bartlett=lambda i, n: 1 - np.abs(2 * i / n - 1),
).items():
    creation(
        f"{_name}_window",
        lambda n, periodic=True, dtype=None, f=_ref: f(np.arange(n), n if periodic else n - 1),
        lambda make: S(8, dtype=make.dtype),
        lambda make: S(7, False, dtype=make.dtype),
        dtypes="f",
    )
creation(
    "kaiser_window",
    lambda n, periodic=True, beta=12.0, dtype=None: np.kaiser(n + 1, beta)[:-1] if periodic else np.kaiser(n, beta),
    lambda make: S(8, dtype=make.dtype),
    lambda make: S(7, False, 5.0, dtype=make.dtype),
    dtypes="f",
)
