"""Instance normalisation."""

import warnings

from .. import functional as F
from .batchnorm import _LazyNormBase, _NormBase
from .utils import args_of_base

__all__ = [
    "InstanceNorm1d",
    "InstanceNorm2d",
    "InstanceNorm3d",
    "LazyInstanceNorm1d",
    "LazyInstanceNorm2d",
    "LazyInstanceNorm3d",
]


class _InstanceNorm(_NormBase):
    """Normalises per channel and sample.

    Args:
        num_features: number of channels C.
        eps: added to the variance. Default: 1e-5.
        momentum: weight of a new batch in the running statistics. Default: 0.1.
        affine: whether there are a weight and a bias per channel. Default: False.
        track_running_stats: whether evaluation uses running statistics. Default: False.
        device: device of the parameters.
        dtype: floating point dtype of the parameters.
        bias: whether there is a bias beside the weight. Default: True.
    """

    _spatial = 1

    def __init__(
        self,
        num_features,
        eps=1e-5,
        momentum=0.1,
        affine=False,
        track_running_stats=False,
        device=None,
        dtype=None,
        *,
        bias=True,
    ):
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)

    def _check_input_dim(self, input):
        n = self._spatial
        if input.dim() not in (n + 1, n + 2):
            raise ValueError(f"expected {n + 1}D or {n + 2}D input (got {input.dim()}D input)")

    def _load_from_state_dict(
        self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
    ):
        version = local_metadata.get("version", None)
        # Before version 2 the statistics were kept whether they were used or not.
        if version is None and not self.track_running_stats:
            found = [n for n in ("running_mean", "running_var") if prefix + n in state_dict]
            if found:
                names = " and ".join(f'"{prefix + name}"' for name in found)
                cls = type(self).__name__
                error_msgs.append(
                    f"Unexpected running stats buffer(s) {names} for {cls} with track_running_stats=False. If "
                    f"state_dict is a checkpoint saved before 0.4.0, this may be expected because {cls} does not track "
                    "running stats by default since 0.4.0. Please remove these keys from state_dict. If the running "
                    f"stats are actually needed, instead set track_running_stats=True in {cls} to enable them."
                )
                for name in found:
                    state_dict.pop(prefix + name)
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )

    def forward(self, input):
        """Normalises each channel of each element of `input` (N, C, ...) or (C, ...)."""
        self._check_input_dim(input)
        single = input.dim() == self._spatial + 1
        dim = 0 if single else 1
        if input.size(dim) != self.num_features:
            if self.affine:
                raise ValueError(
                    f"expected input's size at dim={dim} to match num_features ({self.num_features}), "
                    f"but got: {input.size(dim)}."
                )
            warnings.warn(
                f"input's size at dim={dim} does not match num_features. You can silence this warning by not passing "
                "in num_features, which is not used because affine=False",
                stacklevel=2,
            )
        output = F.instance_norm(
            input.unsqueeze(0) if single else input,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            self.momentum if self.momentum is not None else 0.0,
            self.eps,
        )
        return output.squeeze(0) if single else output


@args_of_base
class InstanceNorm1d(_InstanceNorm):
    """Normalises each channel of (N, C, L) or (C, L) over L (Ulyanov et al., 2016)."""


@args_of_base
class InstanceNorm2d(_InstanceNorm):
    """Normalises each channel of (N, C, H, W) or (C, H, W) over H and W (Ulyanov et al., 2016)."""

    _spatial = 2


@args_of_base
class InstanceNorm3d(_InstanceNorm):
    """Normalises each channel of (N, C, D, H, W) or (C, D, H, W) over its volume (Ulyanov et al., 2016)."""

    _spatial = 3


class _LazyInstanceNorm(_LazyNormBase, _InstanceNorm):
    def initialize_parameters(self, input):
        """Gives parameters and statistics their shapes; the channels are third or fourth from the end."""
        if self.has_uninitialized_params() and input.dim() == self._spatial + 1:
            input = input.unsqueeze(0)
        super().initialize_parameters(input)


class LazyInstanceNorm1d(_LazyInstanceNorm):
    """An `InstanceNorm1d` whose `num_features` is that of its first input."""

    cls_to_become = InstanceNorm1d


class LazyInstanceNorm2d(_LazyInstanceNorm):
    """An `InstanceNorm2d` whose `num_features` is that of its first input."""

    cls_to_become = InstanceNorm2d
    _spatial = 2


class LazyInstanceNorm3d(_LazyInstanceNorm):
    """An `InstanceNorm3d` whose `num_features` is that of its first input."""

    cls_to_become = InstanceNorm3d
    _spatial = 3
