"""Tensors that a module recognises when they are assigned to it: parameters and buffers."""

from collections import OrderedDict

import rtorch
from rtorch import Tensor
from rtorch._C import _make_subclass

__all__ = [
    "Buffer",
    "Parameter",
    "UninitializedBuffer",
    "UninitializedParameter",
    "UninitializedTensorMixin",
    "is_lazy",
]


class _ParameterMeta(type(Tensor)):
    # A tensor subclass keeps its own type when it becomes a parameter; the mark on the instance says that it is one.
    def __instancecheck__(cls, instance):
        if super().__instancecheck__(instance):
            return True
        return cls is Parameter and isinstance(instance, Tensor) and getattr(instance, "_is_param", False)


class Parameter(Tensor, metaclass=_ParameterMeta):
    """A tensor that a module lists in `parameters()` when it is assigned as an attribute.

    Args:
        data: tensor with the values, any shape and dtype; its memory is shared. Default: an empty tensor.
        requires_grad: whether gradients are computed for it; needs a floating point or complex dtype. Default: True.

    Example:
        >>> import rtorch as torch
        >>> torch.nn.Parameter(torch.zeros(2)).requires_grad
        True
    """

    # The result of an operation on a parameter is a plain tensor: the protocol that keeps subclasses is off.
    if hasattr(rtorch._C, "_disabled_torch_function_impl"):
        __torch_function__ = rtorch._C._disabled_torch_function_impl

    def __new__(cls, data=None, requires_grad=True):
        if data is None:
            data = rtorch.empty(0)
        if type(data) is Tensor or isinstance(data, Parameter) and not getattr(data, "_is_param", False):
            return _make_subclass(cls, data, requires_grad)
        value = data.detach().requires_grad_(requires_grad)
        if type(value) is Tensor:
            return _make_subclass(cls, value, requires_grad)
        value._is_param = True
        return value

    def __deepcopy__(self, memo):
        if id(self) in memo:
            return memo[id(self)]
        result = type(self)(self.data.clone(), self.requires_grad)
        memo[id(self)] = result
        return result

    def __repr__(self):
        # Printed as the plain tensor it shares memory with: the name of the class is in the first line.
        return "Parameter containing:\n" + repr(self.data.requires_grad_(self.requires_grad))

    def __reduce_ex__(self, protocol):
        state = getattr(self, "__dict__", None)
        if state:
            return _rebuild_parameter_with_state, (self.data, self.requires_grad, OrderedDict(), dict(state))
        return _rebuild_parameter, (self.data, self.requires_grad, OrderedDict())


def _rebuild_parameter(data, requires_grad, backward_hooks):
    parameter = Parameter(data, requires_grad)
    parameter._backward_hooks = backward_hooks or None
    return parameter


def _rebuild_parameter_with_state(data, requires_grad, backward_hooks, state):
    parameter = _rebuild_parameter(data, requires_grad, backward_hooks)
    for name, value in state.items():
        setattr(parameter, name, value)
    return parameter


class UninitializedTensorMixin:
    """What a parameter and a buffer without a shape have in common."""

    cls_to_become = None

    # Attributes of a tensor that make sense before its shape is known.
    _allowed = (
        "is_floating_point",
        "is_complex",
        "half",
        "float",
        "double",
        "bfloat16",
        "char",
        "short",
        "int",
        "long",
        "cpu",
        "cuda",
        "to",
        "type",
        "copy_",
        "_has_compatible_shallow_copy_type",
        "requires_grad_",
    )

    def materialize(self, shape, device=None, dtype=None):
        """Gives the tensor memory of `shape`, and the class that it has from then on.

        Args:
            shape: sizes of the tensor.
            device: device of the memory. Default: the current device of the tensor.
            dtype: element type. Default: the current dtype of the tensor.
        """
        device = self.data.device if device is None else device
        dtype = self.data.dtype if dtype is None else dtype
        self.data = rtorch.empty(shape, device=device, dtype=dtype)
        self.__class__ = self.cls_to_become

    @property
    def shape(self):
        """Raises: the shape is not known before the first forward."""
        raise RuntimeError(
            "Can't access the shape of an uninitialized parameter or buffer. This error usually happens in "
            "`load_state_dict` when trying to load an uninitialized parameter into an initialized one. "
            "Call `forward` to initialize the parameters before accessing their attributes."
        )

    def share_memory_(self):
        """Raises: there is no memory before the first forward."""
        raise RuntimeError(
            "Can't share memory on an uninitialized parameter or buffer. Call `forward` to initialize the parameters "
            "before calling `module.share_memory()`."
        )

    def __repr__(self):
        return f"<{type(self).__name__}>"

    def __reduce_ex__(self, protocol):
        return type(self), (self.requires_grad,)

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        name = getattr(func, "__name__", "")
        if name in cls._allowed or name == "__get__" or name == "__set__":
            return super().__torch_function__(func, types, args, kwargs or {})
        raise ValueError(
            f"Attempted to use an uninitialized parameter in {func}. This error happens when you are using a "
            "`LazyModule` or explicitly manipulating `torch.nn.parameter.UninitializedParameter` objects. When using "
            "LazyModules Call `forward` with a dummy batch to initialize the parameters before calling torch functions"
        )


def is_lazy(value):
    """Whether `value` is a parameter or buffer whose shape is not known yet."""
    return isinstance(value, UninitializedTensorMixin)


class UninitializedParameter(UninitializedTensorMixin, Parameter):
    """A parameter whose shape is found at the first forward.

    Args:
        requires_grad: whether gradients are computed for it. Default: True.
        device: device of the parameter. Default: the current default device.
        dtype: element type. Default: the current default dtype.
    """

    cls_to_become = Parameter

    def __new__(cls, requires_grad=True, device=None, dtype=None):
        return _make_subclass(cls, rtorch.empty(0, device=device, dtype=dtype), requires_grad)

    def __deepcopy__(self, memo):
        if id(self) in memo:
            return memo[id(self)]
        result = type(self)(self.requires_grad, self.data.device, self.data.dtype)
        memo[id(self)] = result
        return result

    def __reduce_ex__(self, protocol):
        return UninitializedParameter, (self.requires_grad, self.data.device, self.data.dtype)


class _BufferMeta(type(Tensor)):
    def __instancecheck__(cls, instance):
        if super().__instancecheck__(instance):
            return True
        return cls is Buffer and isinstance(instance, Tensor) and getattr(instance, "_is_buffer", False)


class Buffer(Tensor, metaclass=_BufferMeta):
    """A tensor that a module registers as a buffer when it is assigned as an attribute.

    Args:
        data: tensor with the values, any shape and dtype.
        persistent: whether the buffer is part of the module's `state_dict`. Default: True.
    """

    def __new__(cls, data=None, *, persistent=True):
        value = (rtorch.empty(0) if data is None else data).detach().requires_grad_(False)
        value.persistent = persistent
        value._is_buffer = True
        return value


class UninitializedBuffer(UninitializedTensorMixin, Tensor):
    """A buffer whose shape is found at the first forward.

    Args:
        requires_grad: whether gradients are computed for it. Default: False.
        device: device of the buffer. Default: the current default device.
        dtype: element type. Default: the current default dtype.
        persistent: whether the buffer is part of the module's `state_dict`. Default: True.
    """

    cls_to_become = Tensor

    def __new__(cls, requires_grad=False, device=None, dtype=None, persistent=True):
        value = _make_subclass(cls, rtorch.empty(0, device=device, dtype=dtype), requires_grad)
        value.persistent = persistent
        value._is_buffer = True
        return value

    def __deepcopy__(self, memo):
        if id(self) in memo:
            return memo[id(self)]
        result = type(self)(self.requires_grad, self.data.device, self.data.dtype, self.persistent)
        memo[id(self)] = result
        return result

    def __reduce_ex__(self, protocol):
        return UninitializedBuffer, (self.requires_grad, self.data.device, self.data.dtype, self.persistent)
