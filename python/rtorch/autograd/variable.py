"""The old name of tensors that record gradients."""

import rtorch

__all__ = ["Variable"]


class _VariableMeta(type):
    def __instancecheck__(cls, value):
        return isinstance(value, rtorch.Tensor)


class Variable(metaclass=_VariableMeta):
    """Every tensor is a `Variable`; calling it gives a tensor that shares the data.

    Args:
        data: the tensor.
        requires_grad: whether to record gradients.
    """

    def __new__(cls, data, requires_grad=False, volatile=None):
        return data.detach().requires_grad_(requires_grad)
