"""Batch normalisation."""

import rtorch

from .. import functional as F
from .. import init
from ..parameter import Parameter, UninitializedBuffer, UninitializedParameter
from .lazy import LazyModuleMixin
from .module import Module
from .utils import args_of_base

__all__ = [
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "LazyBatchNorm1d",
    "LazyBatchNorm2d",
    "LazyBatchNorm3d",
    "SyncBatchNorm",
]


class _NormBase(Module):
    """Parameters and running statistics that batch and instance normalisation share."""

    _version = 2
    __constants__ = ["track_running_stats", "momentum", "eps", "num_features", "affine"]

    def __init__(
        self,
        num_features,
        eps=1e-5,
        momentum=0.1,
        affine=True,
        track_running_stats=True,
        device=None,
        dtype=None,
        *,
        bias=True,
    ):
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        options = {"device": device, "dtype": dtype}
        for name, wanted in (("weight", affine), ("bias", affine and bias)):
            self.register_parameter(name, Parameter(rtorch.empty(num_features, **options)) if wanted else None)
        if track_running_stats:
            self.register_buffer("running_mean", rtorch.zeros(num_features, **options))
            self.register_buffer("running_var", rtorch.ones(num_features, **options))
            self.register_buffer("num_batches_tracked", rtorch.tensor(0, dtype=rtorch.int64, device=device))
        else:
            for name in ("running_mean", "running_var", "num_batches_tracked"):
                self.register_buffer(name, None)
        self.reset_parameters()

    def reset_running_stats(self):
        """Sets the running statistics to mean 0, variance 1 and no batches."""
        if self.track_running_stats:
            self.running_mean.zero_()
            self.running_var.fill_(1)
            self.num_batches_tracked.zero_()

    def reset_parameters(self):
        """Resets the statistics, the weight to 1 and the bias to 0."""
        self.reset_running_stats()
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def _check_input_dim(self, input):
        raise NotImplementedError(f"{type(self).__name__} has to define _check_input_dim")

    def extra_repr(self):
        """Returns the settings."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )

    def _load_from_state_dict(
        self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
    ):
        version = local_metadata.get("version", None)
        if (version is None or version < 2) and self.track_running_stats:
            # Checkpoints of version 1 do not count batches.
            key = prefix + "num_batches_tracked"
            if key not in state_dict:
                own = self.num_batches_tracked
                state_dict[key] = own if own is not None else rtorch.tensor(0, dtype=rtorch.int64)
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )


class _BatchNorm(_NormBase):
    """Normalises per channel over the batch.

    Args:
        num_features: number of channels C.
        eps: added to the variance. Default: 1e-5.
        momentum: weight of a new batch in the running statistics; None averages all batches. Default: 0.1.
        affine: whether there are a weight and a bias per channel. Default: True.
        track_running_stats: whether evaluation uses running statistics. Default: True.
        device: device of the parameters.
        dtype: floating point dtype of the parameters.
        bias: whether there is a bias beside the weight. Default: True.
    """

    def forward(self, input):
        """Normalises `input` (N, C, ...) over all dimensions but the channels."""
        self._check_input_dim(input)
        momentum = 0.0 if self.momentum is None else self.momentum
        training, buffers = self.training, self._buffers
        mean, var, count = buffers["running_mean"], buffers["running_var"], buffers["num_batches_tracked"]
        if training and self.track_running_stats and count is not None:
            count.add_(1)
            if self.momentum is None:  # the average of all batches so far
                momentum = 1.0 / float(count)
        use_batch = training or (mean is None and var is None)
        if training and not self.track_running_stats:
            mean = var = None
        return F.batch_norm(input, mean, var, self.weight, self.bias, use_batch, momentum, self.eps)

    def _forward_hint(self, input):
        if input.dim() >= 2 and input.shape[1] != self.num_features:
            return f"the input has {input.shape[1]} channels and num_features is {self.num_features}"
        if self.training and input.numel() == input.shape[1] if input.dim() >= 2 else False:
            return "statistics of one value per channel are not defined: use a larger batch, or .eval()"
        return None


class _LazyNormBase(LazyModuleMixin, _NormBase):
    def __init__(
        self,
        eps=1e-5,
        momentum=0.1,
        affine=True,
        track_running_stats=True,
        device=None,
        dtype=None,
        *,
        bias=True,
    ):
        super().__init__(0, eps, momentum, False, False)
        self.affine = affine
        self.track_running_stats = track_running_stats
        options = {"device": device, "dtype": dtype}
        if affine:
            self.weight = UninitializedParameter(**options)
            if bias:
                self.bias = UninitializedParameter(**options)
        if track_running_stats:
            self.running_mean = UninitializedBuffer(**options)
            self.running_var = UninitializedBuffer(**options)
            self.num_batches_tracked = rtorch.tensor(0, dtype=rtorch.int64, device=device)

    def _materialize(self, name, shape, **options):
        # A buffer is replaced by a plain tensor; a parameter has to stay the object that an optimizer holds.
        if name in self._buffers:
            old = self._buffers[name].data
            self._buffers[name] = rtorch.empty(shape, device=old.device, dtype=old.dtype)
        else:
            super()._materialize(name, shape, **options)

    def reset_parameters(self):
        """Resets statistics and parameters once they have a shape."""
        if not self.has_uninitialized_params() and self.num_features != 0:
            super().reset_parameters()

    def initialize_parameters(self, input):
        """Gives parameters and statistics their shapes."""
        if self.has_uninitialized_params():
            self.num_features = input.shape[1]
            for name in ("weight", "bias") if self.affine else ():
                if self._parameters[name] is not None:
                    self._materialize(name, (self.num_features,))
            for name in ("running_mean", "running_var") if self.track_running_stats else ():
                self._materialize(name, (self.num_features,))
            self.reset_parameters()


def _check_2d_or_3d(self, input):
    if input.dim() not in (2, 3):
        raise ValueError(f"expected 2D or 3D input (got {input.dim()}D input)")


def _check_4d(self, input):
    if input.dim() != 4:
        raise ValueError(f"expected 4D input (got {input.dim()}D input)")


def _check_5d(self, input):
    if input.dim() != 5:
        raise ValueError(f"expected 5D input (got {input.dim()}D input)")


@args_of_base
class BatchNorm1d(_BatchNorm):
    """Normalises (N, C) or (N, C, L) per channel over the batch (Ioffe and Szegedy, 2015)."""

    _check_input_dim = _check_2d_or_3d


@args_of_base
class BatchNorm2d(_BatchNorm):
    """Normalises (N, C, H, W) per channel over the batch (Ioffe and Szegedy, 2015).

    Example:
        >>> import rtorch as torch
        >>> torch.nn.BatchNorm2d(3)(torch.zeros(2, 3, 4, 4)).shape
        torch.Size([2, 3, 4, 4])
    """

    _check_input_dim = _check_4d


@args_of_base
class BatchNorm3d(_BatchNorm):
    """Normalises (N, C, D, H, W) per channel over the batch (Ioffe and Szegedy, 2015)."""

    _check_input_dim = _check_5d


class LazyBatchNorm1d(_LazyNormBase, _BatchNorm):
    """A `BatchNorm1d` whose `num_features` is that of its first input."""

    cls_to_become = BatchNorm1d
    _check_input_dim = _check_2d_or_3d


class LazyBatchNorm2d(_LazyNormBase, _BatchNorm):
    """A `BatchNorm2d` whose `num_features` is that of its first input."""

    cls_to_become = BatchNorm2d
    _check_input_dim = _check_4d


class LazyBatchNorm3d(_LazyNormBase, _BatchNorm):
    """A `BatchNorm3d` whose `num_features` is that of its first input."""

    cls_to_become = BatchNorm3d
    _check_input_dim = _check_5d


class SyncBatchNorm(_BatchNorm):
    """Batch normalisation of (N, C, ...) for programs written for several processes; here there is one.

    Args:
        num_features: number of channels C.
        eps: added to the variance. Default: 1e-5.
        momentum: weight of a new batch in the running statistics; None averages all batches. Default: 0.1.
        affine: whether there are a weight and a bias per channel. Default: True.
        track_running_stats: whether evaluation uses running statistics. Default: True.
        process_group: kept, not used.
        device: device of the parameters.
        dtype: floating point dtype of the parameters.
        bias: whether there is a bias beside the weight. Default: True.
    """

    def __init__(
        self,
        num_features,
        eps=1e-5,
        momentum=0.1,
        affine=True,
        track_running_stats=True,
        process_group=None,
        device=None,
        dtype=None,
        *,
        bias=True,
    ):
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)
        self.process_group = process_group

    def _check_input_dim(self, input):
        if input.dim() < 2:
            raise ValueError(f"expected at least 2D input (got {input.dim()}D input)")

    @classmethod
    def convert_sync_batchnorm(cls, module, process_group=None):
        """Returns `module` with every batch normalisation in it replaced by a `SyncBatchNorm` of the same state."""
        result = module
        if isinstance(module, _BatchNorm):
            result = cls(
                module.num_features,
                module.eps,
                module.momentum,
                module.affine,
                module.track_running_stats,
                process_group,
                bias=module.bias is not None,
            )
            if module.affine:
                result.weight = module.weight
                result.bias = module.bias
            for name in ("running_mean", "running_var", "num_batches_tracked"):
                result._buffers[name] = module._buffers[name]
            result.training = module.training
        for name, child in module.named_children():
            result.add_module(name, cls.convert_sync_batchnorm(child, process_group))
        return result
