"""Dropout: random zeros in training, the identity in evaluation."""

from .. import functional as F
from .module import Module

__all__ = ["AlphaDropout", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "FeatureAlphaDropout"]


class _DropoutNd(Module):
    __constants__ = ["p", "inplace"]

    def __init__(self, p=0.5, inplace=False):
        super().__init__()
        if p < 0 or p > 1:
            raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
        self.p = p
        self.inplace = inplace

    def forward(self, input):
        """Drops elements or channels in training; returns `input` in evaluation."""
        return self._function(input, self.p, self.training, self.inplace)

    def extra_repr(self):
        """Returns the settings."""
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_DropoutNd):
    """Zeroes elements with probability p and scales the rest by 1 / (1 - p) (Hinton et al., 2012).

    Args:
        p: probability of a zero. Default: 0.5.
        inplace: whether the input is overwritten. Default: False.
    """

    _function = staticmethod(F.dropout)


class Dropout1d(_DropoutNd):
    """Zeroes whole channels of (N, C, L) or (C, L) with probability p.

    Args:
        p: probability of a zero. Default: 0.5.
        inplace: whether the input is overwritten. Default: False.
    """

    _function = staticmethod(F.dropout1d)


class Dropout2d(_DropoutNd):
    """Zeroes whole channels of (N, C, H, W) with probability p.

    Args:
        p: probability of a zero. Default: 0.5.
        inplace: whether the input is overwritten. Default: False.
    """

    _function = staticmethod(F.dropout2d)


class Dropout3d(_DropoutNd):
    """Zeroes whole channels of (N, C, D, H, W) or (C, D, H, W) with probability p.

    Args:
        p: probability of a zero. Default: 0.5.
        inplace: whether the input is overwritten. Default: False.
    """

    _function = staticmethod(F.dropout3d)


class AlphaDropout(_DropoutNd):
    """Drops elements so that mean and variance stay those of self-normalising networks (Klambauer et al., 2017).

    Args:
        p: probability of a drop. Default: 0.5.
        inplace: whether the input is overwritten. Default: False.
    """

    def forward(self, input):
        """Drops elements in training; returns `input` in evaluation."""
        return F.alpha_dropout(input, self.p, self.training)


class FeatureAlphaDropout(_DropoutNd):
    """Drops whole channels as `AlphaDropout` drops elements.

    Args:
        p: probability of a drop. Default: 0.5.
        inplace: whether the input is overwritten. Default: False.
    """

    def forward(self, input):
        """Drops channels in training; returns `input` in evaluation."""
        return F.feature_alpha_dropout(input, self.p, self.training)
