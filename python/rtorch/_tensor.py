"""Methods of Tensor that are policy rather than computation: backward, hooks, numpy, copying and pickling."""

import copy as _copy
import math
import warnings

from rtorch import _C

Tensor = _C.Tensor


def _legacy_new(*args, **kwargs):
    """`Tensor(...)`: sizes, a list of numbers, or a tensor to share memory with."""
    dtype = _C.get_default_dtype()
    return _legacy_of(dtype, args, kwargs)


def _legacy_of(dtype, args, kwargs):
    kwargs = dict(kwargs)
    device = kwargs.pop("device", None)
    if device is not None and str(device).partition(":")[0] != "cpu":
        raise RuntimeError(f"legacy constructor expects device type: cpu but device type: {device} was passed")
    if "size" in kwargs and not args:
        return _C.empty(tuple(kwargs["size"]), dtype=dtype)
    if kwargs:
        raise TypeError(f"new() got an unexpected keyword argument '{next(iter(kwargs))}'")
    if not args:
        return _C.empty((0,), dtype=dtype)
    if len(args) == 1:
        (data,) = args
        if isinstance(data, Tensor):
            if data.dtype is not dtype:
                raise TypeError(f"expected {_legacy_name(dtype)} (got {_legacy_name(data.dtype)})")
            return data.detach()
        if type(data).__name__ == "Size":
            return _C.empty(tuple(data), dtype=dtype)
        if not isinstance(data, int) or isinstance(data, bool):
            if isinstance(data, str):
                raise TypeError("new(): invalid data type 'str'")
            if isinstance(data, (float, complex, bool)) or data is None:
                raise TypeError(f"new(): data must be a sequence (got {type(data).__name__})")
            return _C.tensor(data, dtype=dtype)
    return _C.empty(args, dtype=dtype)


def _legacy_name(dtype):
    names = {
        "float32": "FloatTensor", "float64": "DoubleTensor", "float16": "HalfTensor", "bfloat16": "BFloat16Tensor",
        "int64": "LongTensor", "int32": "IntTensor", "int16": "ShortTensor", "int8": "CharTensor",
        "uint8": "ByteTensor", "bool": "BoolTensor", "complex64": "ComplexFloatTensor",
        "complex128": "ComplexDoubleTensor",
    }  # fmt: skip
    name = str(dtype).rsplit(".", 1)[-1]
    return "torch." + names.get(name, name)


class _LegacyMeta(type):
    def __instancecheck__(cls, obj):
        return isinstance(obj, Tensor) and obj.dtype is cls.dtype and obj.is_cpu

    def __repr__(cls):
        return f"<class 'torch.{cls.__name__}'>"


def _legacy_class(name, dtype):
    """A class such as `FloatTensor`: calling it makes a tensor of its dtype."""

    def __new__(cls, *args, **kwargs):
        return _legacy_of(cls.dtype, args, kwargs)

    return _LegacyMeta(name, (), {"dtype": dtype, "__new__": __new__, "__module__": "rtorch"})


FloatTensor = _legacy_class("FloatTensor", _C.float32)
DoubleTensor = _legacy_class("DoubleTensor", _C.float64)
HalfTensor = _legacy_class("HalfTensor", _C.float16)
BFloat16Tensor = _legacy_class("BFloat16Tensor", _C.bfloat16)
LongTensor = _legacy_class("LongTensor", _C.int64)
IntTensor = _legacy_class("IntTensor", _C.int32)
ShortTensor = _legacy_class("ShortTensor", _C.int16)
CharTensor = _legacy_class("CharTensor", _C.int8)
ByteTensor = _legacy_class("ByteTensor", _C.uint8)
BoolTensor = _legacy_class("BoolTensor", _C.bool)


def _repr(self):
    from rtorch import _tensor_str

    return _tensor_str._str(self)


def _format(self, spec):
    from rtorch import _tensor_str

    return _tensor_str._format(self, spec)


def _contains(self, item):
    if isinstance(item, (Tensor, int, float, complex, bool)):
        return bool((self == item).any())
    raise RuntimeError(f"Tensor.__contains__ only supports Tensor or scalar, but you passed in a {type(item)}.")


def backward(self, gradient=None, retain_graph=None, create_graph=False, inputs=None):
    """Adds the gradient of this tensor with respect to the leaves to their `grad`.

    Args:
        gradient: the gradient of this tensor; may be left out for a tensor of one element.
        retain_graph: keep the graph for another backward (default: `create_graph`).
        create_graph: record the backward, for higher derivatives.
        inputs: the only tensors whose `grad` to change.

    Raises:
        RuntimeError: the tensor has no history, or has several elements and no `gradient` is given.
    """
    if retain_graph is None:
        retain_graph = create_graph
    if gradient is not None and not isinstance(gradient, Tensor):
        raise TypeError(f"gradients can be either Tensors or None, but got {type(gradient).__name__}")
    if inputs is not None:
        inputs = [inputs] if isinstance(inputs, Tensor) else list(inputs)
        if not inputs:
            raise RuntimeError("`inputs` argument to `backward()` cannot be empty.")
    _C._run_backward([self], [gradient], retain_graph, create_graph, inputs, True, True)


def register_hook(self, hook):
    """Calls `hook(grad)` when this tensor's gradient is computed; what it returns replaces the gradient.

    Raises:
        RuntimeError: the tensor does not require gradients.
    """
    return _C._register_hook(self, hook)


def register_post_accumulate_grad_hook(self, hook):
    """Calls `hook(tensor)` after the gradient of this leaf was accumulated."""
    return _C._register_post_accumulate_grad_hook(self, hook)


def retain_grad(self):
    """Keeps the gradient of a tensor that is not a leaf in `grad`."""
    _C._retain_grad(self)


def requires_grad_(self, requires_grad=True):
    """Sets whether gradients flow to this tensor; returns it."""
    self.requires_grad = requires_grad
    return self


def detach_(self):
    """Forgets this tensor's history; returns it."""
    _C._detach_(self)
    return self


def numpy(self, *, force=False):
    """Returns a numpy array that shares this tensor's memory.

    Raises:
        RuntimeError: the tensor requires gradients; detach it first.
        TypeError: numpy has no such dtype (bfloat16), or the tensor is not on the CPU.
    """
    return _C._numpy(self, force)


def __array__(self, dtype=None, copy=None):
    array = _C._numpy(self)
    if dtype is not None and array.dtype != dtype:
        return array.astype(dtype)
    return array.copy() if copy else array


def __array_wrap__(self, array, context=None, return_scalar=False):
    if array.dtype == bool:
        array = array.astype("uint8")
    return _C.from_numpy(array)


def tolist(self):
    """Returns the values as nested lists of Python numbers; a number for a 0-d tensor."""
    return _C._tolist(self)


def data_ptr(self):
    """Returns the address of the first element."""
    return _C._data_ptr(self)


def __dlpack__(self, *, stream=None, max_version=None, dl_device=None, copy=None):
    return _C._to_dlpack(self.clone() if copy else self)


def __dlpack_device__(self):
    return (1, 0)


def __deepcopy__(self, memo):
    if not self.is_leaf:
        raise RuntimeError(
            "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the moment.  "
            "If you were attempting to deepcopy a module, this may be because of a torch.nn.utils.weight_norm usage"
        )
    if id(self) in memo:
        return memo[id(self)]
    with _no_grad():
        key = ("storage", *_C._storage_extent(self))
        base = memo.get(key)
        if base is None:
            count = _C._storage_extent(self)[1] // self.element_size()
            base = self.detach().as_strided((count,), (1,), 0).clone() if self.is_cpu else self.detach().clone()
            memo[key] = base
        if self.is_cpu and base.dtype is self.dtype:
            fresh = base.as_strided(self.size(), self.stride(), self.storage_offset())
            fresh = _C._make_subclass(Tensor, fresh)
        else:
            fresh = self.detach().clone()
    if type(self) is not Tensor:
        fresh = _C._make_subclass(type(self), fresh)
    fresh.requires_grad = self.requires_grad
    memo[id(self)] = fresh
    if self.grad is not None:
        fresh.grad = _copy.deepcopy(self.grad, memo)
    if self.__dict__:
        fresh.__dict__.update(_copy.deepcopy(self.__dict__, memo))
    return fresh


def __reduce_ex__(self, protocol):
    from rtorch import _utils

    return _utils._reduce_tensor(self, protocol)


def _no_grad():
    from rtorch.autograd.grad_mode import no_grad

    return no_grad()


def __torch_function__(cls, func, types, args=(), kwargs=None):
    """Called for ops on subclasses that override it; runs the op on them as plain tensors."""
    import builtins

    kwargs = {} if kwargs is None else kwargs
    if not builtins.all(issubclass(t, Tensor) or not hasattr(t, "__torch_function__") for t in types):
        return NotImplemented
    plain = [_plain(a) for a in args]
    result = func(*plain, **{k: _plain(v) for k, v in kwargs.items()})
    if cls is Tensor:
        return result
    name = getattr(func, "__name__", "")
    if name.endswith("_") and not name.endswith("__") and args:
        # An in-place op returns the object it was called on.
        return args[0]
    return _as_class(result, cls)


def _plain(value):
    if isinstance(value, Tensor) and type(value) is not Tensor:
        return value.as_subclass(Tensor)
    if isinstance(value, (list, tuple)) and type(value) in (list, tuple):
        return type(value)(_plain(v) for v in value)
    return value


def _as_class(value, cls):
    if type(value) is Tensor:
        return value.as_subclass(cls)
    if type(value) in (list, tuple):
        return type(value)(_as_class(v, cls) for v in value)
    return value


def as_subclass(self, cls):
    """Returns this tensor's data and history as an instance of `cls`."""
    return _C._as_subclass(self, cls)


def __complex__(self):
    return complex(self.item() if self.numel() == 1 else float(self))


def __reversed__(self):
    return self.flip(0) if self.dim() else self


def new_tensor(self, data, *, dtype=None, device=None, requires_grad=False, pin_memory=False):
    """Returns a copy of `data` as a tensor, with this tensor's dtype and device unless others are given."""
    return _C.tensor(
        data,
        dtype=dtype or self.dtype,
        device=device or self.device,
        requires_grad=requires_grad,
        pin_memory=pin_memory,
    )


def new(self, *args, **kwargs):
    """Returns a tensor of this dtype made like `Tensor(...)`: of sizes, or of a sequence of numbers."""
    return _legacy_of(self.dtype, args, kwargs)


def _flat(self):
    return self.detach().reshape(-1).tolist()


def _write_back(self, values):
    flat = _C.tensor(values, dtype=self.dtype) if values else _C.empty((0,), dtype=self.dtype)
    with _no_grad():
        return self.copy_(flat.reshape(self.shape))


def apply_(self, callable):
    """Replaces every element `x` by `callable(x)`, one Python call each; returns the tensor.

    Raises:
        RuntimeError: the tensor requires gradients.
        TypeError: the tensor is not on the CPU.
    """
    return _map_with("apply_", self, (), callable)


def map_(self, tensor, callable):
    """Replaces every element `x` by `callable(x, y)` with the element `y` of `tensor`; returns the tensor."""
    return _map_with("map_", self, (tensor,), callable)


def map2_(self, x, y, callable):
    """Replaces every element by `callable(element, x, y)` with the elements of two tensors; returns the tensor."""
    return _map_with("map2_", self, (x, y), callable)


def _map_with(name, self, others, callable):
    if self.requires_grad:
        raise RuntimeError(f"Can't call {name}() on Variable that requires grad. Use var.detach().{name}() instead.")
    if not self.is_cpu:
        raise TypeError(f"{name} is only implemented on CPU tensors")
    columns = [_flat(t.expand(self.shape)) for t in others]
    return _write_back(self, [callable(*row) for row in zip(_flat(self), *columns)])


def resize_(self, *sizes, memory_format=None):
    """Gives this tensor other sizes in place; new elements have arbitrary values."""
    if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)):
        sizes = sizes[0]
    return _C._resize_(self, [int(n) for n in sizes])


def resize_as_(self, other, *, memory_format=None):
    """Gives this tensor the sizes of another in place."""
    return _C._resize_(self, list(other.size()))


def resize(self, *sizes):
    """Returns the elements in another shape, as `view`; deprecated in favour of that.

    Raises:
        RuntimeError: the shape has another number of elements.
    """
    warnings.warn("non-inplace resize is deprecated", stacklevel=2)
    sizes = tuple(sizes[0]) if len(sizes) == 1 and not isinstance(sizes[0], int) else sizes
    count = math.prod(sizes)
    if count != self.numel():
        shown, own = ("x".join(map(str, s)) for s in (sizes, self.shape))
        raise RuntimeError(
            f"requested resize to {shown} ({count} elements in total), but the given tensor has a size of {own} "
            f"({self.numel()} elements). Use resize_() to change the number of elements."
        )
    return self.reshape(sizes)


def values(self):
    """Refuses: only sparse tensors have values apart from their places."""
    raise RuntimeError("values expected sparse tensor layout but got Strided")


def indices(self):
    """Refuses: only sparse tensors keep the places of their values."""
    raise RuntimeError("indices expected sparse coordinate tensor layout but got Strided")


def set_(self, source=None, storage_offset=0, size=None, stride=None):
    """Makes this tensor share memory, sizes and strides with another."""
    if source is None:
        source = _C.empty((0,), dtype=self.dtype)
    if size is not None:
        stride = stride if stride is not None else _C.empty(tuple(size), dtype=source.dtype).stride()
        source = source.detach().as_strided(tuple(size), tuple(stride), storage_offset)
    return _C._become(self, source)


def cpu(self, memory_format=None):
    """Returns this tensor on the CPU."""
    return self.to("cpu")


def gpu(self, device=None):
    """Returns this tensor on the GPU."""
    return self.to("gpu" if device is None else device)


def cuda(self, device=None, non_blocking=False, memory_format=None):
    """Returns this tensor on the GPU, where the alias of "cuda" is switched on."""
    if device is None:
        return self.to("cuda")
    return self.to(f"cuda:{device}" if isinstance(device, int) else device)


def pin_memory(self, device=None):
    """Returns the tensor: host memory needs no pinning here."""
    return self


def is_pinned(self, device=None):
    """Returns False."""
    return False


def is_shared(self):
    """Returns False: tensors live in this process's memory."""
    return False


def share_memory_(self):
    """Refuses: tensors in memory shared by processes are not supported."""
    raise NotImplementedError("share_memory_() is not supported; send tensors between processes by pickling them")


def _type(self, dtype=None, non_blocking=False):
    """Returns the type's name, such as `torch.FloatTensor`, or the tensor converted to a dtype."""
    if dtype is None:
        return _legacy_name(self.dtype)
    if isinstance(dtype, str):
        name = dtype.rsplit(".", 1)[-1]
        found = [c for c in (FloatTensor, DoubleTensor, HalfTensor, BFloat16Tensor, LongTensor, IntTensor, ShortTensor,
                             CharTensor, ByteTensor, BoolTensor) if c.__name__ == name]  # fmt: skip
        if not found:
            raise ValueError(f"invalid type: '{dtype}'")
        return self.to(found[0].dtype)
    if isinstance(dtype, _LegacyMeta):
        return self.to(dtype.dtype)
    return self.to(dtype)


def storage(self):
    """Returns the tensor's memory as an object with PyTorch's storage protocol."""
    from rtorch.storage import TypedStorage

    return TypedStorage(self)


def untyped_storage(self):
    """Returns the tensor's memory as bytes with PyTorch's storage protocol."""
    from rtorch.storage import UntypedStorage

    return UntypedStorage(self)


def __setstate__(self, state):
    raise RuntimeError("tensors are pickled by _rebuild_tensor; this pickle is not one of theirs")


def _install():
    """Hangs the functions above on the type."""
    names = [
        "backward", "register_hook", "register_post_accumulate_grad_hook", "retain_grad", "requires_grad_", "detach_",
        "numpy", "__array__", "__array_wrap__", "tolist", "data_ptr", "__dlpack__", "__dlpack_device__",
        "__deepcopy__", "__reduce_ex__", "as_subclass", "resize", "resize_", "resize_as_", "values", "indices", "set_",
        "cpu", "gpu", "cuda",
        "pin_memory", "is_pinned", "is_shared", "share_memory_", "__complex__", "__reversed__", "new_tensor", "new",
        "apply_", "map_", "map2_", "storage", "untyped_storage", "__setstate__",
    ]  # fmt: skip
    for name in names:
        setattr(Tensor, name, globals()[name])
    Tensor.type = _type
    Tensor.__format__ = _format
    Tensor.__array_priority__ = 1000
    Tensor.__torch_function__ = classmethod(__torch_function__)
    Tensor.__module__ = "rtorch"
    Tensor._make_subclass = staticmethod(_C._make_subclass)
    Tensor.name = property(lambda self: None)
    Tensor.volatile = property(lambda self: warnings.warn("volatile was removed; use torch.no_grad()", stacklevel=2))


_install()
