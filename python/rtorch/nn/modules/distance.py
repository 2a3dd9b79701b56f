"""Distances between vectors."""

from .. import functional as F
from .module import Module

__all__ = ["CosineSimilarity", "PairwiseDistance"]


class PairwiseDistance(Module):
    """The p-norm of differences along the last dimension.

    Args:
        p: exponent of the norm. Default: 2.
        eps: added to the differences. Default: 1e-6.
        keepdim: whether the last dimension stays, with size 1. Default: False.
    """

    __constants__ = ["norm", "eps", "keepdim"]

    def __init__(self, p=2.0, eps=1e-6, keepdim=False):
        super().__init__()
        self.norm = p
        self.eps = eps
        self.keepdim = keepdim

    def forward(self, x1, x2):
        """Returns the distances (N) of `x1` and `x2` (N, D)."""
        return F.pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)


class CosineSimilarity(Module):
    """The cosine of the angle between vectors along a dimension.

    Args:
        dim: the dimension. Default: 1.
        eps: lower bound of the norms. Default: 1e-8.
    """

    __constants__ = ["dim", "eps"]

    def __init__(self, dim=1, eps=1e-8):
        super().__init__()
        self.dim = dim
        self.eps = eps

    def forward(self, x1, x2):
        """Returns the cosines of `x1` and `x2`."""
        return F.cosine_similarity(x1, x2, self.dim, self.eps)
