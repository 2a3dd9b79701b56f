"""Limits on the size of gradients."""

import warnings

import rtorch
from rtorch import Tensor

__all__ = ["clip_grad_norm", "clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "get_total_norm"]


def _gradients(parameters):
    parameters = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    return [p.grad for p in parameters if p.grad is not None]


def get_total_norm(tensors, norm_type=2.0, error_if_nonfinite=False, foreach=None):
    """Returns the norm of all tensors together, as if they were one vector.

    Args:
        tensors: a tensor or an iterable of tensors.
        norm_type: p of the norm, may be inf. Default: 2.
        error_if_nonfinite: whether a norm that is inf or nan raises. Default: False.
        foreach: accepted; there is one way to compute it.

    Raises:
        RuntimeError: the norm is not finite and `error_if_nonfinite` is True.
    """
    tensors = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    if len(tensors) == 0:
        return rtorch.tensor(0.0)
    norm_type = float(norm_type)
    device = tensors[0].device
    norms = [rtorch.linalg.vector_norm(t.detach(), norm_type).to(device) for t in tensors]
    total = rtorch.linalg.vector_norm(rtorch.stack(norms), norm_type)
    if error_if_nonfinite and not bool(rtorch.isfinite(total)):
        raise RuntimeError(
            f"The total norm of order {norm_type} for gradients from `parameters` is non-finite, so it cannot be "
            "clipped. To disable this error and scale the gradients by the non-finite norm anyway, set "
            "`error_if_nonfinite=False`"
        )
    return total


def clip_grads_with_norm_(parameters, max_norm, total_norm, foreach=None):
    """Scales gradients in place by `max_norm / total_norm`, unless that is above 1.

    Args:
        parameters: a tensor or an iterable of tensors, whose gradients are scaled.
        max_norm: the norm wanted at most.
        total_norm: the norm of the gradients, a tensor.
        foreach: accepted; there is one way to compute it.
    """
    grads = _gradients(parameters)
    if not grads:
        return
    # Multiplying by a clamped tensor needs no look at its value, which on a GPU would wait for the device.
    factor = rtorch.clamp(float(max_norm) / (total_norm + 1e-6), max=1.0)
    with rtorch.no_grad():
        for grad in grads:
            grad.mul_(factor.to(grad.device))


def clip_grad_norm_(parameters, max_norm, norm_type=2.0, error_if_nonfinite=False, foreach=None):
    """Scales gradients in place so that their norm together is at most `max_norm`; returns the norm before.

    Args:
        parameters: a tensor or an iterable of tensors, whose gradients are scaled.
        max_norm: the norm wanted at most.
        norm_type: p of the norm, may be inf. Default: 2.
        error_if_nonfinite: whether a norm that is inf or nan raises. Default: False.
        foreach: accepted; there is one way to compute it.

    Example:
        >>> import rtorch as torch
        >>> p = torch.nn.Parameter(torch.zeros(2)); p.grad = torch.tensor([3.0, 4.0])
        >>> torch.nn.utils.clip_grad_norm_([p], 1.0)
        tensor(5.)
    """
    parameters = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    if not parameters:
        warnings.warn("`parameters` is empty: no gradient clipping will occur", stacklevel=2)
    total = get_total_norm(_gradients(parameters), norm_type, error_if_nonfinite, foreach)
    clip_grads_with_norm_(parameters, max_norm, total, foreach)
    return total


def clip_grad_norm(parameters, max_norm, norm_type=2.0, error_if_nonfinite=False, foreach=None):
    """Deprecated name of `clip_grad_norm_`."""
    warnings.warn("`clip_grad_norm` is deprecated: use `clip_grad_norm_`", FutureWarning, stacklevel=2)
    return clip_grad_norm_(parameters, max_norm, norm_type, error_if_nonfinite, foreach)


def clip_grad_value_(parameters, clip_value, foreach=None):
    """Clamps the elements of gradients in place to [-clip_value, clip_value].

    Args:
        parameters: a tensor or an iterable of tensors, whose gradients are clamped.
        clip_value: the bound.
        foreach: accepted; there is one way to compute it.
    """
    bound = float(clip_value)
    with rtorch.no_grad():
        for grad in _gradients(parameters):
            grad.clamp_(min=-bound, max=bound)
