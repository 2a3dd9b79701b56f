"""Rows of products, linear algebra and Fourier transforms."""

import math

import numpy as np

import rtorch as torch

from .row import Error, op
from .row import Sample as S
from .samples import calls, given

PRODUCT = dict(dtypes="fhc", tol=(1e-5, 2e-5))


def sizes(*pairs):
    return given(*(lambda make, shapes=shapes: tuple(make(*s) for s in shapes) for shapes in pairs))


op(
    "mm",
    np.matmul,
    sizes(((3, 4), (4, 5)), ((1, 7), (7, 1)), ((33, 20), (20, 17)), ((2, 0), (0, 3)), ((0, 2), (2, 3))),
    **PRODUCT,
    errors=[
        Error(
            lambda make: S(make(2, 3), make(2, 3)),
            RuntimeError,
            r"mat1 and mat2 shapes cannot be multiplied \(2x3 and 2x3\)",
        ),
        Error(lambda make: S(make(2), make(2, 3)), RuntimeError, "self must be a matrix|must be a matrix"),
    ],
)
op("mm matmul", np.matmul, sizes(((3, 4), (4, 5))), dtypes="i", grad=False)
op(
    "bmm",
    np.matmul,
    sizes(((2, 3, 4), (2, 4, 5)), ((0, 3, 4), (0, 4, 5)), ((3, 9, 17), (3, 17, 8))),
    **PRODUCT,
    errors=[
        Error(
            lambda make: S(make(2, 3, 4), make(3, 4, 5)),
            RuntimeError,
            "same number of batches|Expected size for first two dimensions of batch2 tensor to be",
        )
    ],
)
op(
    "matmul",
    np.matmul,
    sizes(
        ((4,), (4,)),
        ((3, 4), (4,)),
        ((4,), (4, 5)),
        ((3, 4), (4, 5)),
        ((2, 3, 4), (4, 5)),
        ((2, 1, 3, 4), (5, 4, 2)),
        ((4,), (2, 4, 5)),
    ),
    **PRODUCT,
    errors=[
        Error(
            lambda make: S(make(2, 3), make(4)), RuntimeError, r"size mismatch, got input \(2\), mat \(2x3\), vec \(4\)"
        ),
        Error(lambda make: S(make(), make(2)), RuntimeError, "both arguments to matmul need to be at least 1D"),
    ],
)
op("mv", np.matmul, sizes(((3, 4), (4,)), ((20, 33), (33,))), **PRODUCT)
op(
    "dot",
    np.dot,
    sizes(((5,), (5,)), ((131,), (131,)), ((0,), (0,))),
    **PRODUCT,
    errors=[Error(lambda make: S(make(2), make(3)), RuntimeError, "inconsistent tensor size, expected tensor")],
)
op("vdot", np.vdot, sizes(((5,), (5,))), **PRODUCT)
op("inner", np.inner, sizes(((5,), (5,)), ((2, 3), (4, 3)), ((), (3,))), **PRODUCT)
op("outer ger", np.outer, sizes(((3,), (4,)), ((0,), (2,))), **PRODUCT)
op("kron", np.kron, sizes(((2, 3), (3, 2)), ((3,), (2, 2))), **PRODUCT)
op("chain_matmul", lambda *ts: np.linalg.multi_dot(ts), sizes(((2, 3), (3, 4), (4, 2))), forms=False)
op(
    "multi_dot",
    lambda ts: np.linalg.multi_dot(ts),
    given(lambda make: S([make(2, 3), make(3, 4), make(4, 2)]), lambda make: S([make(3), make(3, 4), make(4)])),
    **PRODUCT,
)
op(
    "tensordot",
    lambda a, b, dims=2: np.tensordot(a, b, dims),
    given(
        lambda make: (make(2, 3, 4), make(3, 4, 2)),
        lambda make: S(make(2, 3), make(3, 2), dims=1),
        lambda make: S(make(2, 3), make(3, 2), dims=([0, 1], [1, 0])),
    ),
    **PRODUCT,
    forms=False,
)
op(
    "einsum",
    lambda eq, *t: np.einsum(eq, *(t[0] if isinstance(t[0], list) else t)),
    given(
        lambda make: ("ij,jk->ik", make(2, 3), make(3, 4)),
        lambda make: ("bij,bjk->bik", make(2, 3, 2), make(2, 2, 3)),
        lambda make: ("ii->i", make(3, 3)),
        lambda make: ("i,j", make(2), make(3)),
        lambda make: ("...ij->...ji", make(2, 3, 4)),
    ),
    **PRODUCT,
    forms=False,
)


def added(product):
    return lambda x, a, b, beta=1, alpha=1: beta * x + alpha * product(a, b)


def fused(x, a, b):
    return given(
        lambda make: (make(*x), make(*a), make(*b)),
        lambda make: S(make(*x), make(*a), make(*b), beta=0.5, alpha=2),
        lambda make: S(make(x[-1]), make(*a), make(*b), beta=0),
    )


op("addmm", added(np.matmul), fused((3, 5), (3, 4), (4, 5)), **PRODUCT)
op(
    "addmv",
    added(np.matmul),
    given(lambda make: (make(3), make(3, 4), make(4)), lambda make: S(make(3), make(3, 4), make(4), beta=0.5, alpha=2)),
    **PRODUCT,
)
op("addr", added(np.outer), fused((3, 4), (3,), (4,)), **PRODUCT)
op("baddbmm", added(np.matmul), fused((2, 3, 5), (2, 3, 4), (2, 4, 5)), **PRODUCT)
op("addbmm", added(lambda a, b: np.matmul(a, b).sum(0)), fused((3, 5), (2, 3, 4), (2, 4, 5)), **PRODUCT)
op(
    "linear",
    lambda x, w, b=None: x @ w.T + (0 if b is None else b),
    sizes(((2, 3), (4, 3), (4,)), ((2, 5, 3), (4, 3)), ((3,), (4, 3), (4,))),
    **PRODUCT,
    errors=[
        Error(
            lambda make: S(make(2, 3), make(4, 5)),
            RuntimeError,
            r"mat1 and mat2 shapes cannot be multiplied \(2x3 and 5x4\)",
        )
    ],
)
op(
    "bilinear",
    lambda a, b, w, c=None: np.einsum("...i,oij,...j->...o", a, w, b) + (0 if c is None else c),
    sizes(((2, 3), (2, 4), (5, 3, 4), (5,)), ((2, 3), (2, 4), (5, 3, 4))),
    **PRODUCT,
)


def distance(a, b, p=2.0, **k):
    return np.linalg.norm(a[..., :, None, :] - b[..., None, :, :], p, -1)


op(
    "cdist",
    distance,
    given(
        lambda make: (make(3, 4), make(5, 4)),
        lambda make: (make(2, 3, 4), make(2, 2, 4), 1.0),
        lambda make: (make(3, 4), make(2, 4), 3.0),
    ),
    tol=(1e-4, 1e-5),
    gradgrad=False,
    forms=False,
)
op(
    "pdist",
    lambda x, p=2.0: distance(x, x, p)[np.triu_indices(len(x), 1)],
    calls((), (1.0,), shapes=((4, 3),)),
    gradgrad=False,
)
op(
    "cross",
    lambda a, b, dim=-1: np.cross(a, b, axis=dim),
    given(lambda make: S(make(2, 3), make(2, 3), dim=1), lambda make: S(make(3, 2), make(3, 2), dim=0)),
    dtypes="fci",
    errors=[
        Error(
            lambda make: S(make(2, 4), make(2, 4), dim=1),
            RuntimeError,
            "must have size 3|have length 3|should have length 3",
        )
    ],
)
op("vecdot", lambda a, b, dim=-1: np.sum(np.conj(a) * b, dim), sizes(((2, 3), (2, 3)), ((2, 3), (3,))), **PRODUCT)
op(
    "matrix_power",
    np.linalg.matrix_power,
    given(lambda make: (make.regular(3), 3), lambda make: (make.regular(3), 0), lambda make: (make.regular(3, 2), -2)),
    dtypes="f",
    tol=(1e-4, 1e-4),
    space="linalg",
)
op(
    "matrix_power",
    np.linalg.matrix_power,
    given(lambda make: (make.regular(3), 2)),
    dtypes="f",
    tol=(1e-4, 1e-4),
    space="",
)

# Linear algebra. Singular and eigenvectors are checked by what they make.
LINALG = dict(dtypes="fc", tol=(1e-4, 1e-4), forms=False)


def hermitian_part(x):
    return (x + x.mH) / 2


def squares(spd=False):
    def draw(make):
        for batch in ((), (2,)):
            for n in (1, 3, 5):
                yield S(make.spd(n, *batch) if spd else make.regular(n, *batch))

    return draw


NOT_SQUARE = Error(lambda make: S(make(2, 3)), RuntimeError, "must be batches of square matrices")
op(
    "inv inverse",
    np.linalg.inv,
    squares(),
    **LINALG,
    errors=[NOT_SQUARE, Error(lambda make: S(torch.zeros(2, 2, dtype=make.dtype)), RuntimeError, "singular")],
)
op("det", np.linalg.det, squares(), **LINALG, errors=[NOT_SQUARE])
op("slogdet", lambda x: tuple(np.linalg.slogdet(x)), squares(), **{**LINALG, "dtypes": "f"}, gives=None)
op("logdet", lambda x: np.log(np.linalg.det(x)), squares(True), **{**LINALG, "dtypes": "f"})
op(
    "cholesky",
    np.linalg.cholesky,
    squares(True),
    **LINALG,
    through=hermitian_part,
    space="linalg",
    errors=[
        Error(
            lambda make: S(make.tensor([[1.0, 0], [0, -1.0]])),
            RuntimeError,
            r"could not be completed because the input is not positive-definite \(the leading minor of order 2",
        )
    ],
)
op("cholesky", np.linalg.cholesky, squares(True), **LINALG, through=hermitian_part, space="")
op(
    "cholesky_inverse",
    lambda x: np.linalg.inv(x @ x.T),
    given(lambda make: torch.linalg.cholesky(make.spd(3))),
    **{**LINALG, "dtypes": "f"},
    layouts=False,
    through=lambda x: x.tril(),
)
op(
    "cholesky_solve",
    lambda b, x: np.linalg.solve(x @ x.T, b),
    given(lambda make: (make(3, 2), torch.linalg.cholesky(make.spd(3)))),
    **{**LINALG, "dtypes": "f"},
    constants=(1,),
)
op(
    "cholesky_ex",
    None,
    squares(True),
    **{**LINALG, "dtypes": "f"},
    through=hermitian_part,
    check=lambda r, s: (close(r[0] @ r[0].mT, s.args[0]), close(r[1], 0 * r[1])),
    gradgrad=True,
)


def close(a, b, tolerance=1e-4):
    np.testing.assert_allclose(
        a.detach().resolve_conj().numpy(), b.detach().resolve_conj().numpy(), rtol=tolerance, atol=tolerance
    )


def solving(ref):
    return given(
        lambda make: (make.regular(3), make(3, 2)),
        lambda make: (make.regular(3), make(3)),
        lambda make: (make.regular(3, 2), make(2, 3, 1)),
    )


op("solve", lambda a, b, left=True: np.linalg.solve(a, b), solving(None), **LINALG, space="linalg")
op(
    "solve_ex",
    lambda a, b: (np.linalg.solve(a, b), np.zeros(a.shape[:-2])),
    solving(None),
    **{**LINALG, "dtypes": "f"},
    gives=None,
)
op(
    "solve_triangular",
    lambda a, b, upper, unitriangular=False: np.linalg.solve(
        (np.triu if upper else np.tril)(a) * (1 - np.eye(3) if unitriangular else 1)
        + (np.eye(3) if unitriangular else 0),
        b,
    ),
    given(
        lambda make: S(make.regular(3), make(3, 2), upper=True),
        lambda make: S(make.regular(3), make(3, 2), upper=False, unitriangular=True),
    ),
    **{**LINALG, "dtypes": "f"},
)
op(
    "triangular_solve",
    lambda b, a, upper=True: (np.linalg.solve(np.triu(a) if upper else np.tril(a), b), a),
    given(lambda make: (make(3, 2), make.regular(3)), lambda make: S(make(3, 2), make.regular(3), upper=False)),
    **{**LINALG, "dtypes": "f"},
    gradgrad=False,
)


def through_eigenvalues(x):
    l, v = np.linalg.eig(x)
    return (v * np.exp(l)[..., None, :] @ np.linalg.inv(v)).real


op(
    "matrix_exp",
    None,
    given(lambda make: torch.zeros(2, 2, dtype=make.dtype), lambda make: make.tensor([[1.0, 2.0], [0.0, 1.0]])),
    **LINALG,
    errors=[NOT_SQUARE],
    check=lambda r, s: close(
        r,
        s.args[0] * 0 + torch.eye(2).to(r.dtype)
        if float(s.args[0].abs().sum()) == 0
        else torch.tensor([[math.e, 2 * math.e], [0, math.e]]).to(r.dtype),
    ),
)
op(
    "matrix_exp",
    through_eigenvalues,
    calls((), shapes=((3, 3), (2, 4, 4))),
    **{**LINALG, "dtypes": "f", "tol": (1e-4, 1e-4)},
    gives="same",
)
op(
    "svdvals",
    lambda x: np.linalg.svd(x, compute_uv=False),
    calls((), shapes=((3, 3), (2, 4), (2, 4, 3))),
    **{**LINALG, "dtypes": "f"},
)
op(
    "svd",
    None,
    calls(dict(full_matrices=False), shapes=((3, 3), (2, 4), (2, 4, 3))),
    **{**LINALG, "dtypes": "f"},
    space="linalg",
    gradgrad=True,
    grad=False,
    check=lambda r, s: close(r[0] * r[1].unsqueeze(-2) @ r[2], s.args[0]),
)
op(
    "svd",
    None,
    calls((), shapes=((3, 3), (2, 4))),
    **{**LINALG, "dtypes": "f"},
    space="",
    grad=False,
    check=lambda r, s: close(r[0] * r[1].unsqueeze(-2) @ r[2].mT, s.args[0]),
)
op(
    "eigh",
    None,
    squares(True),
    **LINALG,
    grad=False,
    check=lambda r, s: close(r[1] * r[0].unsqueeze(-2) @ r[1].mH, s.args[0]),
)
op("eigvalsh", np.linalg.eigvalsh, squares(True), **{**LINALG, "dtypes": "f"}, grad=False)
op(
    "eig",
    None,
    squares(),
    **LINALG,
    space="linalg",
    grad=False,
    check=lambda r, s: close(r[1] * r[0].unsqueeze(-2), s.args[0].to(r[1].dtype) @ r[1]),
)
op(
    "eigvals",
    None,
    squares(),
    **LINALG,
    errors=[
        NOT_SQUARE,
        Error(lambda make: S(make.tensor([[math.inf, 0], [0, 1]])), RuntimeError, "should not contain infs or NaNs"),
    ],
    check=lambda r, s: np.testing.assert_allclose(
        np.sort_complex(r.numpy()), np.sort_complex(np.linalg.eigvals(s.args[0].numpy())), rtol=1e-3, atol=1e-4
    ),
)
op(
    "qr",
    None,
    calls((), dict(mode="complete"), shapes=((3, 3), (4, 2), (2, 3, 2))),
    **{**LINALG, "dtypes": "f"},
    space="linalg",
    grad=False,
    check=lambda r, s: (
        close(r[0] @ r[1], s.args[0]),
        close(r[0].mT @ r[0], torch.eye(r[0].shape[-1], dtype=r[0].dtype).expand(r[0].mT.shape[:-1] + r[0].shape[-1:])),
    ),
)
op(
    "qr",
    None,
    calls((), shapes=((3, 3), (4, 2))),
    **{**LINALG, "dtypes": "f"},
    space="",
    grad=False,
    check=lambda r, s: close(r[0] @ r[1], s.args[0]),
)
op(
    "lu",
    None,
    given(
        lambda make: make.regular(3),
        lambda make: make.regular(3, 2),
        lambda make: make(2, 4),
        lambda make: make(4, 2),
    ),
    **LINALG,
    space="linalg",
    check=lambda r, s: close(r[0] @ r[1] @ r[2], s.args[0]),
)
op(
    "lu",
    None,
    squares(),
    **{**LINALG, "dtypes": "f"},
    space="",
    check=lambda r, s: close(product_of(*r), s.args[0]),
)
op(
    "lu_solve",
    None,
    given(lambda make: (make(3, 2), *torch.linalg.lu_factor(make.regular(3)))),
    **{**LINALG, "dtypes": "f"},
    space="",
    layouts=False,
    check=lambda r, s: close(product_of(*s.args[1:]) @ r, s.args[0]),
)
op(
    "lu_factor",
    None,
    squares(),
    **{**LINALG, "dtypes": "f"},
    grad=False,
    check=lambda r, s: close(product_of(*r), s.args[0]),
)
op(
    "lu_factor_ex",
    None,
    squares(),
    **{**LINALG, "dtypes": "f"},
    grad=False,
    check=lambda r, s: close(product_of(*r[:2]), s.args[0]),
)


def product_of(lu, pivots):
    p, l, u = torch.lu_unpack(lu, pivots)
    return p @ l @ u


op(
    "lu_unpack",
    None,
    given(lambda make: tuple(torch.linalg.lu_factor(make.regular(3)))),
    **{**LINALG, "dtypes": "f"},
    grad=False,
    layouts=False,
    check=lambda r, s: close(r[1] @ r[2], s.args[0].tril(-1).add(torch.eye(3, dtype=r[1].dtype)) @ s.args[0].triu()),
)
op(
    "lu_solve",
    None,
    given(
        lambda make: (*torch.linalg.lu_factor(make.regular(3)), make(3, 2)),
        lambda make: S(*torch.linalg.lu_factor(make.regular(3)), make(2, 3), left=False),
        lambda make: S(*torch.linalg.lu_factor(make.regular(3, 2)), make(3, 1), adjoint=True),
    ),
    **LINALG,
    space="linalg",
    layouts=False,
    check=lambda r, s: close(undone(r, *s.args[:2], **s.kwargs), s.args[2].expand(*r.shape)),
)


def undone(x, lu, pivots, left=True, adjoint=False):
    a = product_of(lu, pivots)
    a = a.mH if adjoint else a
    return a @ x if left else x @ a


op(
    "lstsq",
    None,
    given(
        lambda make: (make(5, 3), make(5, 2)),
        lambda make: S(make(5, 3), make(5, 2), driver="gelsd"),
        lambda make: (make(2, 4), make(2)),
        lambda make: (make.tensor([[1.0, 2.0], [2.0, 4.0], [0.0, 0.0]]), make(3)),
    ),
    space="linalg",
    **LINALG,
    grad=False,
    check=lambda r, s: [
        close(want, torch.from_numpy(np.asarray(have)))
        for want, have in zip(r, np.linalg.lstsq(s.args[0].numpy(), s.args[1].numpy(), rcond=None))
        if want.numel()
    ],
)
op(
    "lstsq",
    None,
    given(lambda make: S(make(5, 3), make(5, 2), driver="gels"), lambda make: S(make(2, 3), make(2, 1))),
    space="linalg",
    **LINALG,
    check=lambda r, s: close(s.args[0].mH @ (s.args[0] @ r[0] - s.args[1]), 0 * (s.args[0].mH @ s.args[1])),
)
op(
    "pinv",
    lambda x, hermitian: np.linalg.pinv(x, hermitian=hermitian),
    given(lambda make: S(make.spd(3), hermitian=True), lambda make: S(make.tensor([[2, 2], [2, 2]]), hermitian=True)),
    **{**LINALG, "dtypes": "f"},
    grad=False,
)
op("pinv pinverse", np.linalg.pinv, calls((), shapes=((3, 3), (4, 2))), **{**LINALG, "dtypes": "f"}, gradgrad=False)
op(
    "matrix_rank",
    lambda x: np.linalg.matrix_rank(x),
    given(lambda make: make.regular(3), lambda make: make.tensor([[1.0, 2.0], [2.0, 4.0]])),
    **{**LINALG, "dtypes": "f"},
    gives="int64",
    grad=False,
    space="linalg",
)
op(
    "cond",
    lambda x, p=None: np.linalg.cond(x, p),
    given(
        lambda make: make.regular(3),
        lambda make: make.regular(3, 2),
        *(lambda make, p=p: (make.regular(3, 2), p) for p in (1, -1, 2, -2, math.inf, -math.inf, "fro", "nuc")),
    ),
    **{**LINALG, "dtypes": "f"},
    gradgrad=False,
    space="linalg",
)
op(
    "norm",
    lambda x, ord=None, dim=None, keepdim=False: np.linalg.norm(x, ord, dim, keepdim),
    calls((), ("fro",), (1,), (2, 1), dict(ord=1, dim=(0, 1), keepdim=True), shapes=((3, 4),)),
    **LINALG,
    space="linalg",
    gradgrad=False,
    gives="real",
)
op(
    "vector_norm",
    lambda x, ord=2, dim=None, keepdim=False: np.linalg.norm(x.ravel() if dim is None else x, ord, dim, keepdim),
    calls((), (1,), (math.inf, 0), (3, -1, True), (0,), shapes=((3, 4),)),
    **{**LINALG, "dtypes": "f"},
)
op(
    "matrix_norm",
    lambda x, ord="fro", dim=(-2, -1), keepdim=False: np.linalg.norm(x, ord, dim, keepdim),
    calls((), (1,), (-math.inf,), ("nuc",), (2,), shapes=((3, 4),)),
    **{**LINALG, "dtypes": "f"},
    gradgrad=False,
)
op(
    "tensorinv",
    np.linalg.tensorinv,
    given(lambda make: S(make.regular(6).reshape(2, 3, 6), ind=2)),
    **{**LINALG, "dtypes": "f"},
)
op(
    "tensorsolve",
    np.linalg.tensorsolve,
    given(lambda make: (make.regular(6).reshape(2, 3, 6), make(2, 3))),
    **{**LINALG, "dtypes": "f"},
)
op(
    "householder_product orgqr",
    None,
    given(lambda make: torch.geqrf(make(4, 3))),
    **LINALG,
    layouts=False,
    check=lambda r, s: close(r.mH @ r, torch.eye(3, dtype=r.dtype)),
)


def reflected(a, tau, other, left=True, transpose=False):
    q = torch.linalg.householder_product(a, tau)
    q = q.mH if transpose else q
    return q @ other if left else other @ q


op(
    "ormqr",
    None,
    given(
        lambda make: (*torch.geqrf(make(3, 3)), make(3, 2)),
        lambda make: S(*torch.geqrf(make(3, 3)), make(2, 3), left=False),
        lambda make: S(*torch.geqrf(make(3, 3)), make(3, 2), transpose=True),
    ),
    **LINALG,
    layouts=False,
    check=lambda r, s: close(r, reflected(*s.args, **s.kwargs)),
)
op(
    "geqrf",
    None,
    calls((), shapes=((4, 3),)),
    **{**LINALG, "dtypes": "f"},
    grad=False,
    check=lambda r, s: close(torch.linalg.householder_product(*r) @ r[0][:3].triu(), s.args[0]),
)
op(
    "ldl_factor",
    None,
    squares(True),
    **{**LINALG, "dtypes": "f"},
    grad=False,
    check=lambda r, s: close(
        s.args[0] @ torch.linalg.ldl_solve(*r, torch.ones_like(s.args[0][..., :1])), torch.ones_like(s.args[0][..., :1])
    ),
)
op(
    "ldl_factor_ex",
    None,
    squares(True),
    **{**LINALG, "dtypes": "f"},
    grad=False,
    check=lambda r, s: close(
        s.args[0] @ torch.linalg.ldl_solve(*r[:2], torch.ones_like(s.args[0][..., :1])),
        torch.ones_like(s.args[0][..., :1]),
    ),
)
op(
    "ldl_solve",
    None,
    given(lambda make: (*torch.linalg.ldl_factor(make.spd(3)), make(3, 2))),
    **{**LINALG, "dtypes": "f"},
    grad=False,
    layouts=False,
    check=lambda r, s: np.testing.assert_equal(tuple(r.shape), (3, 2)),
)
op(
    "vander",
    lambda x, N=None: np.vander(x, N, increasing=True),
    given(lambda make: make(4), lambda make: S(make(3), N=5)),
    dtypes="f",
    space="linalg",
    forms=False,
)
op(
    "inv_ex",
    None,
    squares(),
    **{**LINALG, "dtypes": "f"},
    check=lambda r, s: close(
        r[0] @ s.args[0], torch.eye(s.args[0].shape[-1], dtype=r[0].dtype).expand(s.args[0].shape)
    ),
)

# Fourier transforms.
FOURIER = dict(space="fft", tol=(2e-5, 2e-5), gives=None, forms=False)


def transform(name, *more, dtypes="fc", shapes=((8,), (3, 5))):
    f = getattr(np.fft, name)
    many = name.endswith(("2", "n"))

    def ref(x, n=None, dim=(-2, -1) if name.endswith("2") else None if many else -1, norm=None):
        return f(x, n, dim, norm)

    op(name, ref, calls((), *more, shapes=((3, 5),) if name.endswith("2") else shapes), dtypes=dtypes, **FOURIER)


ONE = ((6,), dict(n=4), dict(norm="ortho"), dict(dim=0, norm="forward"))
for _name, _kinds in dict(fft="fc", ifft="fc", rfft="f", irfft="fc", hfft="fc", ihfft="f").items():
    transform(_name, *ONE, dtypes=_kinds)
for _name, _kinds in dict(fft2="fc", ifft2="fc", rfft2="f", irfft2="fc").items():
    transform(_name, dict(norm="ortho"), dtypes=_kinds)
for _name, _kinds in dict(fftn="fc", ifftn="fc", rfftn="f", irfftn="fc").items():
    transform(_name, dict(norm="ortho"), dtypes=_kinds)


def hermitian(x, real_last, inverse):
    y = np.fft.ihfft(x) if inverse else x
    y = np.fft.ifft(y, axis=0) if inverse else np.fft.fft(y, axis=0)
    return y if inverse else np.fft.hfft(y)


op("hfft2 hfftn", lambda x: hermitian(x, True, False), calls((), shapes=((3, 5),)), dtypes="fc", **FOURIER)
op("ihfft2 ihfftn", lambda x: hermitian(x, True, True), calls((), shapes=((3, 5),)), dtypes="f", **FOURIER)
op("fftshift", lambda x, dim=None: np.fft.fftshift(x, dim), calls((), (0,), shapes=((3, 4),)), dtypes="fi", forms=False)
op(
    "ifftshift",
    lambda x, dim=None: np.fft.ifftshift(x, dim),
    calls((), (0,), shapes=((3, 4),)),
    dtypes="fi",
    forms=False,
)
for _name in ("fftfreq", "rfftfreq"):
    op(
        _name,
        lambda n, d=1.0, dtype=None, f=getattr(np.fft, _name): f(n, d),
        given(lambda make: S(8, dtype=make.dtype), lambda make: S(5, 0.5, dtype=make.dtype)),
        gives=None,
        grad=False,
        forms=False,
        layouts=False,
    )


def short_time(x, n_fft, hop_length, window, **k):
    frames = np.lib.stride_tricks.sliding_window_view(x, n_fft, -1)[..., ::hop_length, :]
    return np.moveaxis(np.fft.rfft(frames * window), -1, -2)


op(
    "stft",
    short_time,
    given(
        lambda make: S(make(40), 8, hop_length=4, window=make(8, low=0.5, high=1), center=False, return_complex=True),
        lambda make: S(make(2, 20), 8, hop_length=3, window=make(8), center=False, return_complex=True),
    ),
    gives=None,
    tol=(1e-5, 1e-5),
    forms=False,
    errors=[
        Error(lambda make: S(make(40), 8), RuntimeError, "requires the return_complex parameter"),
        Error(lambda make: S(make(4), 8, center=False, return_complex=True), RuntimeError, "expected 0 < n_fft < 4"),
    ],
)
op(
    "istft",
    None,
    given(
        lambda make: S(
            torch.stft(make(40), 8, hop_length=4, window=torch.ones(8, dtype=make.dtype), return_complex=True),
            8,
            hop_length=4,
            window=torch.ones(8, dtype=make.dtype),
        )
    ),
    forms=False,
    layouts=False,
    check=lambda r, s: close(torch.stft(r, 8, hop_length=4, window=s.kwargs["window"], return_complex=True), s.args[0]),
)
