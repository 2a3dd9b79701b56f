"""Ready-made parametrizations: orthogonal, spectral and weight normalisation."""

import rtorch

from .. import functional as F
from ..modules.module import Module
from . import parametrize
from .spectral_norm import default_dim
from .weight_norm import norm_except_dim

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]


class _WeightNorm(Module):
    def __init__(self, dim=0):
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g, weight_v):
        return weight_v * (weight_g / norm_except_dim(weight_v, self.dim))

    def right_inverse(self, weight):
        return norm_except_dim(weight, self.dim), weight


def weight_norm(module, name="weight", dim=0):
    """Splits a parameter into length and direction (Salimans and Kingma, 2016).

    Args:
        module: the module.
        name: name of the parameter. Default: "weight".
        dim: dimension whose slices have a norm each; None for one norm. Default: 0.
    """
    parametrize.register_parametrization(module, name, _WeightNorm(dim), unsafe=True)

    def rename(state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs):
        # Checkpoints of the hook form name the two parts differently.
        for old, new in ((f"{prefix}{name}_g", 0), (f"{prefix}{name}_v", 1)):
            if old in state_dict:
                state_dict[f"{prefix}parametrizations.{name}.original{new}"] = state_dict.pop(old)

    module._register_load_state_dict_pre_hook(rename)
    return module


class _SpectralNorm(Module):
    def __init__(self, weight, n_power_iterations=1, dim=0, eps=1e-12):
        super().__init__()
        if dim >= weight.dim() or dim < -weight.dim():
            raise IndexError(
                f"Dimension out of range (expected to be in range of [-{weight.dim()}, {weight.dim() - 1}] "
                f"but got {dim})"
            )
        if n_power_iterations <= 0:
            raise ValueError(
                f"Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}"
            )
        self.dim = dim if dim >= 0 else dim + weight.dim()
        self.eps = eps
        if weight.dim() > 1:
            self.n_power_iterations = n_power_iterations
            matrix = self._matrix(weight)
            height, width = matrix.size()
            u = matrix.new_empty(height).normal_(0, 1)
            v = matrix.new_empty(width).normal_(0, 1)
            self.register_buffer("_u", F.normalize(u, dim=0, eps=eps))
            self.register_buffer("_v", F.normalize(v, dim=0, eps=eps))
            self._iterate(matrix, 15)

    def _matrix(self, weight):
        if self.dim != 0:
            weight = weight.permute(self.dim, *(d for d in range(weight.dim()) if d != self.dim))
        return weight.flatten(1)

    def _iterate(self, matrix, count):
        with rtorch.no_grad():
            for _ in range(count):
                self._u.copy_(F.normalize(rtorch.mv(matrix, self._v), dim=0, eps=self.eps))
                self._v.copy_(F.normalize(rtorch.mv(matrix.t(), self._u), dim=0, eps=self.eps))

    def forward(self, weight):
        if weight.dim() == 1:
            return F.normalize(weight, dim=0, eps=self.eps)
        matrix = self._matrix(weight)
        if self.training:
            self._iterate(matrix, self.n_power_iterations)
        # The graph keeps its own copies: the next forward changes the buffers in place.
        u, v = self._u.clone(), self._v.clone()
        return weight / rtorch.vdot(u, rtorch.mv(matrix, v))

    def right_inverse(self, value):
        return value


def spectral_norm(module, name="weight", n_power_iterations=1, eps=1e-12, dim=None):
    """Divides a parameter by its largest singular value (Miyato et al., 2018).

    Args:
        module: the module.
        name: name of the parameter. Default: "weight".
        n_power_iterations: steps of the power iteration per use in training. Default: 1.
        eps: lower bound of norms. Default: 1e-12.
        dim: dimension of the outputs. Default: 0, and 1 for transposed convolutions.
    """
    dim = default_dim(module) if dim is None else dim
    made = _SpectralNorm(getattr(module, name), n_power_iterations, dim, eps)
    parametrize.register_parametrization(module, name, made)
    return module


def _make_orthogonal(matrix):
    """The orthogonal factor of a tall matrix, with the signs that make the triangular factor's diagonal positive."""
    q, r = rtorch.linalg.qr(matrix)
    return q * r.diagonal(dim1=-2, dim2=-1).sgn().unsqueeze(-2)


class _Orthogonal(Module):
    def __init__(self, weight, orthogonal_map, *, use_trivialization=True):
        super().__init__()
        if weight.is_complex() and orthogonal_map == "householder":
            raise ValueError("The householder parametrization does not support complex tensors.")
        self.orthogonal_map = orthogonal_map
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, X):
        n, k = X.size(-2), X.size(-1)
        transposed = n < k
        if transposed:
            X = X.mT
            n, k = k, n
        if self.orthogonal_map == "householder":
            lengths = 2.0 / (1.0 + (X * X).tril(-1).sum(dim=-2))
            Q = rtorch.linalg.householder_product(X.tril(-1), lengths)
            Q = Q * X.diagonal(dim1=-2, dim2=-1).int().to(X.dtype).unsqueeze(-2)
        else:
            X = X.tril()
            if n != k:  # filled up to a square
                X = rtorch.cat([X, X.new_zeros(*X.shape[:-2], n, n - k)], dim=-1)
            A = X - X.mH
            eye = rtorch.eye(n, dtype=A.dtype, device=A.device)
            if self.orthogonal_map == "matrix_exp":
                Q = rtorch.linalg.matrix_exp(A)
            else:
                Q = rtorch.linalg.solve(eye - A * 0.5, eye + A * 0.5)
            if n != k:
                Q = Q[..., :k]
        if getattr(self, "base", None) is not None:
            Q = self.base @ Q
        return Q.mT if transposed else Q

    def right_inverse(self, Q):
        if Q.shape[-2] < Q.shape[-1]:
            tall, transposed = Q.mT, True
        else:
            tall, transposed = Q, False
        n, k = tall.size(-2), tall.size(-1)
        if "base" not in self._buffers:
            if self.orthogonal_map in ("cayley", "matrix_exp"):
                raise NotImplementedError(
                    "It is not possible to assign to the matrix exponential or the Cayley parametrizations when "
                    "use_trivialization=False."
                )
            A, tau = rtorch.geqrf(tall)
            diagonal = A.diagonal(dim1=-2, dim2=-1)
            # The diagonal is free in this form: it carries the signs.
            diagonal.sign_()
            diagonal[tau == 0.0] *= -1
            return A.mT if transposed else A
        if n == k:
            orthogonal_ = bool(
                (tall.mH @ tall - rtorch.eye(n, dtype=tall.dtype, device=tall.device)).abs().max()
                < 10 * n * rtorch.finfo(tall.dtype).eps
            )
            tall = tall.clone() if orthogonal_ else _make_orthogonal(tall)
        else:
            # The columns that complete the basis are drawn.
            noise = rtorch.randn(*tall.shape[:-2], n, n - k, dtype=tall.dtype, device=tall.device)
            tall = _make_orthogonal(rtorch.cat([tall, noise], dim=-1))
        self.base = tall
        # All three maps take minus the identity to the identity, and the product with the base is the value assigned.
        start = rtorch.zeros_like(Q)
        start.diagonal(dim1=-2, dim2=-1).fill_(-1.0)
        return start


def orthogonal(module, name="weight", orthogonal_map=None, *, use_trivialization=True):
    """Keeps a matrix orthogonal, or with orthonormal rows or columns (Lezcano-Casado, 2019).

    Args:
        module: the module.
        name: name of the parameter, a matrix or a batch of them. Default: "weight".
        orthogonal_map: "matrix_exp", "cayley" or "householder". Default: "matrix_exp" for square matrices and complex
            ones, else "householder".
        use_trivialization: whether the map starts from the current value. Default: True.
    """
    weight = getattr(module, name)
    if weight.dim() < 2:
        raise ValueError(f"Expected a matrix or batch of matrices. Got a tensor of {weight.dim()} dimensions.")
    if orthogonal_map is None:
        square = weight.size(-2) == weight.size(-1)
        orthogonal_map = "matrix_exp" if square or weight.is_complex() else "householder"
    if orthogonal_map not in ("matrix_exp", "cayley", "householder"):
        raise ValueError(
            f'orthogonal_map has to be one of "matrix_exp", "cayley", "householder". Got: {orthogonal_map}'
        )
    made = _Orthogonal(weight, orthogonal_map, use_trivialization=use_trivialization)
    parametrize.register_parametrization(module, name, made, unsafe=True)
    return module
