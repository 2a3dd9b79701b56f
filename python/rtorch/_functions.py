"""Top-level functions that are policy around the core: seeds, type questions, dtype arithmetic."""

from rtorch import _C

Tensor = _C.Tensor

__all__ = [
    "broadcast_shapes",
    "can_cast",
    "from_dlpack",
    "is_storage",
    "is_tensor",
    "manual_seed",
    "promote_types",
    "set_default_tensor_type",
    "typename",
    "use_deterministic_algorithms",
    "are_deterministic_algorithms_enabled",
    "get_float32_matmul_precision",
    "set_float32_matmul_precision",
    "get_num_interop_threads",
    "set_num_interop_threads",
    "is_warn_always_enabled",
    "set_warn_always",
    "compile",
    "asarray",
    "set_flush_denormal",
]


def is_tensor(obj) -> bool:
    """Returns whether `obj` is a tensor."""
    return isinstance(obj, Tensor)


def is_storage(obj) -> bool:
    """Returns whether `obj` is a storage."""
    return type(obj).__name__ in ("TypedStorage", "UntypedStorage")


def manual_seed(seed):
    """Seeds the random numbers of every device; returns the default generator.

    The streams are PyTorch's: the same seed gives the same numbers as its CPU generator.

    Args:
        seed: an int; negative values count from 2**64.

    Example::

        >>> rtorch.manual_seed(0)  # doctest: +ELLIPSIS
        <...Generator object at ...>
    """
    seed = int(seed)
    if not -(2**63) <= seed < 2**64:
        raise RuntimeError("Overflow when unpacking long long")
    native = getattr(_C, "_gpu", None)
    if native is not None:
        native.manual_seed(seed & (2**64 - 1))
    return _C.default_generator.manual_seed(seed)


def promote_types(type1, type2):
    """Returns the smallest dtype both dtypes can be converted to."""
    return _C._promote_types(type1, type2)


def can_cast(from_, to) -> bool:
    """Returns whether a result of dtype `from_` may be written into a tensor of dtype `to`."""
    return _C._can_cast(from_, to)


def broadcast_shapes(*shapes):
    """Returns the sizes that tensors of these shapes broadcast to.

    Args:
        shapes: tuples of ints; an int stands for a tuple of one.

    Raises:
        RuntimeError: the shapes do not fit together.

    Example::

        >>> rtorch.broadcast_shapes((2, 1), (3,))
        torch.Size([2, 3])
    """
    from rtorch._size import Size

    shapes = [(s,) if isinstance(s, int) else tuple(s) for s in shapes]
    out = [1] * max(map(len, shapes), default=0)
    for i, shape in enumerate(shapes):
        for d in range(-1, -1 - len(shape), -1):
            n = shape[d]
            if n < 0:
                raise ValueError("Attempting to broadcast a dimension with negative length!")
            if n != 1 and n != out[d]:
                if out[d] != 1:
                    raise RuntimeError(
                        f"Attempting to broadcast a dimension of length {n} at {d}! Mismatching argument at index {i} "
                        f"had {shape}; but expected shape should be broadcastable to {out}"
                    )
                out[d] = n
    return Size(out)


def from_dlpack(ext_tensor, *, device=None, copy=None):
    """Returns a tensor that shares memory with any object that speaks DLPack."""
    if hasattr(ext_tensor, "__dlpack__"):
        ext_tensor = ext_tensor.__dlpack__()
    result = _C._from_dlpack_capsule(ext_tensor)
    return result.clone() if copy else result


def asarray(obj, *, dtype=None, device=None, copy=None, requires_grad=False):
    """Converts anything array-like to a tensor, sharing memory where it can unless `copy` says otherwise."""
    if not isinstance(obj, Tensor) and hasattr(obj, "__dlpack__") and not hasattr(obj, "__array_interface__"):
        obj = from_dlpack(obj)
    result = _C.as_tensor(obj, dtype=dtype, device=device)
    if copy is False and isinstance(obj, (list, tuple, int, float)):
        raise ValueError("can't alias arbitrary sequence into a tensor.")
    if copy:
        result = result.clone() if isinstance(obj, Tensor) or hasattr(obj, "__array_interface__") else result
    if requires_grad != result.requires_grad:
        result = result.detach().requires_grad_(requires_grad)
    return result


def typename(obj) -> str:
    """Returns the qualified name of an object's type."""
    if isinstance(obj, Tensor):
        return obj.type()
    module = getattr(obj, "__module__", "") or ""
    if module in ("builtins", "__builtin__"):
        module = ""
    name = getattr(obj, "__qualname__", type(obj).__name__)
    return f"{module}.{name}" if module else name


def set_default_tensor_type(t):
    """Sets the default dtype by a legacy type such as `torch.DoubleTensor`."""
    from rtorch import _tensor

    if isinstance(t, str):
        t = getattr(_tensor, t.rsplit(".", 1)[-1], None)
    if not isinstance(t, _tensor._LegacyMeta):
        raise TypeError("invalid type object: only floating-point types are supported as the default type")
    _C.set_default_dtype(t.dtype)


_settings = {"deterministic": False, "precision": "highest", "warn_always": False}


def use_deterministic_algorithms(mode, *, warn_only=False):
    """Accepted and remembered: every kernel here is deterministic."""
    _settings["deterministic"] = bool(mode)


def are_deterministic_algorithms_enabled() -> bool:
    """Returns what `use_deterministic_algorithms` was told."""
    return _settings["deterministic"]


def set_float32_matmul_precision(precision):
    """Accepted and remembered; products are always computed in full precision."""
    if precision not in ("highest", "high", "medium"):
        raise ValueError(f"invalid precision '{precision}': expected 'highest', 'high' or 'medium'")
    _settings["precision"] = precision


def get_float32_matmul_precision() -> str:
    """Returns what `set_float32_matmul_precision` was told."""
    return _settings["precision"]


def get_num_interop_threads() -> int:
    """Returns 1: ops run in the calling thread."""
    return 1


def set_num_interop_threads(n):
    """Accepted; ops run in the calling thread."""
    if n <= 0:
        raise RuntimeError("set_num_interop_threads expects a positive integer")


def is_warn_always_enabled() -> bool:
    """Returns what `set_warn_always` was told."""
    return _settings["warn_always"]


def set_warn_always(b):
    """Accepted and remembered."""
    _settings["warn_always"] = bool(b)


def set_flush_denormal(mode) -> bool:
    """Returns False: denormal numbers are never flushed."""
    return False


def compile(model=None, **options):
    """Returns the model unchanged: ops run eagerly."""
    if model is None:
        return lambda model: model
    return model
