"""Batch normalisation in evaluation, folded into the layer before it."""

import copy

import rtorch

from ..parameter import Parameter

__all__ = ["fuse_conv_bn_eval", "fuse_conv_bn_weights", "fuse_linear_bn_eval", "fuse_linear_bn_weights"]


def fuse_conv_bn_weights(conv_w, conv_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, transpose=False):
    """Returns weight and bias of the convolution that does what convolution and batch normalisation do.

    Args:
        conv_w: weight of the convolution.
        conv_b: its bias or None.
        bn_rm: running mean (C).
        bn_rv: running variance (C).
        bn_eps: eps of the normalisation.
        bn_w: weight of the normalisation (C) or None.
        bn_b: bias of the normalisation (C) or None.
        transpose: whether the convolution is transposed. Default: False.
    """
    with rtorch.no_grad():
        bias = rtorch.zeros_like(bn_rm) if conv_b is None else conv_b
        scale = rtorch.rsqrt(bn_rv + bn_eps)
        if bn_w is not None:
            scale = scale * bn_w
        shape = [1] * conv_w.dim()
        shape[1 if transpose else 0] = -1
        weight = (conv_w * scale.reshape(shape)).to(conv_w.dtype)
        bias = (bias - bn_rm) * scale
        if bn_b is not None:
            bias = bias + bn_b
        bias = bias.to(conv_w.dtype if conv_b is None else conv_b.dtype)
    return (
        Parameter(weight, conv_w.requires_grad),
        Parameter(bias, conv_w.requires_grad if conv_b is None else conv_b.requires_grad),
    )


def _check_eval(layer, bn):
    if layer.training or bn.training:
        raise AssertionError("Fusion only for eval!")


def fuse_conv_bn_eval(conv, bn, transpose=False):
    """Returns a copy of `conv` that does what `conv` and the batch normalisation `bn` do in evaluation.

    Args:
        conv: the convolution.
        bn: the batch normalisation after it, with running statistics.
        transpose: whether the convolution is transposed. Default: False.
    """
    _check_eval(conv, bn)
    fused = copy.deepcopy(conv)
    fused.weight, fused.bias = fuse_conv_bn_weights(
        fused.weight, fused.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias, transpose
    )
    return fused


def fuse_linear_bn_weights(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b):
    """Returns weight and bias of the linear map that does what a linear map and batch normalisation do.

    Args:
        linear_w: weight of the linear map.
        linear_b: its bias or None.
        bn_rm: running mean (C).
        bn_rv: running variance (C).
        bn_eps: eps of the normalisation.
        bn_w: weight of the normalisation (C) or None.
        bn_b: bias of the normalisation (C) or None.
    """
    return fuse_conv_bn_weights(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b)


def fuse_linear_bn_eval(linear, bn):
    """Returns a copy of `linear` that does what `linear` and the batch normalisation `bn` do in evaluation."""
    _check_eval(linear, bn)
    if linear.out_features != bn.num_features and bn.num_features != 1:
        raise AssertionError("To fuse, linear.out_features == bn.num_features or bn.num_features == 1")
    fused = copy.deepcopy(linear)
    fused.weight, fused.bias = fuse_linear_bn_weights(
        fused.weight, fused.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias
    )
    return fused
