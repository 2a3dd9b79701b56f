"""Approximations of low rank by random projections (Halko, Martinsson and Tropp, 2011, algorithms 4.4 and 5.1)."""

from rtorch import _C
from rtorch._C import _linalg as linalg

__all__ = ["svd_lowrank", "pca_lowrank"]


def _range(a, q, niter):
    """Returns orthonormal columns whose span nearly holds that of `a`."""
    guess = _C.randn(*a.shape[:-2], a.shape[-1], q, dtype=a.dtype, device=a.device)
    basis = linalg.qr(a @ guess).Q
    for _ in range(niter):
        basis = linalg.qr(a.mH @ basis).Q
        basis = linalg.qr(a @ basis).Q
    return basis


def svd_lowrank(A, q=6, niter=2, M=None):
    """Returns an approximation `A = U diag(S) V^H` of rank `q` by random projections.

    Args:
        A: of size (*, m, n).
        q: a little more than the rank of A.
        niter: number of power iterations; more are more accurate.
        M: what is subtracted from A, of a size that broadcasts to A's.

    Returns:
        U (*, m, q), S (*, q) and V (*, n, q).

    Raises:
        ValueError: if `q` or `niter` is negative.

    Example::

        >>> import rtorch as torch
        >>> u, s, v = torch.svd_lowrank(torch.ones(4, 3), q=2)
        >>> round(float(s[0]) ** 2, 3)
        12.0
    """
    q = 6 if q is None else q
    if q < 0:
        raise ValueError(f"q(={q}) must be a non-negative integer")
    if M is not None:
        A = A - M
    # The range of the side with fewer rows costs less.
    wide = A.shape[-2] < A.shape[-1]
    if wide:
        A = A.mH
    q = min(q, *A.shape[-2:])
    basis = _range(A, q, max(niter, 0))
    u, s, vh = linalg.svd(basis.mH @ A, full_matrices=False)
    u, v = basis @ u, vh.mH
    return (v, s, u) if wide else (u, s, v)


def pca_lowrank(A, q=None, center=True, niter=2):
    """Returns the principal components of rows, as `svd_lowrank` of A without the means of its columns.

    Args:
        A: of size (*, m, n), m samples of n features.
        q: number of components. Default: min(6, m, n).
        center: whether to subtract the means first.
        niter: number of power iterations.

    Raises:
        ValueError: if `q` is not between 0 and min(m, n), or `niter` is negative.

    Example::

        >>> import rtorch as torch
        >>> u, s, v = torch.pca_lowrank(torch.tensor([[0.0, 0.0], [2.0, 0.0]]), q=1)
        >>> round(float(s[0]) ** 2, 3)
        2.0
    """
    m, n = A.shape[-2:]
    if q is None:
        q = min(6, m, n)
    elif not 0 <= q <= min(m, n):
        raise ValueError(f"q(={q}) must be non-negative integer and not greater than min(m, n)={min(m, n)}")
    if not niter >= 0:
        raise ValueError(f"niter(={niter}) must be non-negative integer")
    return svd_lowrank(A, q, niter=niter, M=A.mean(dim=-2, keepdim=True) if center else None)
