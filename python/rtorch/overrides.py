"""Questions and help for classes that define `__torch_function__`."""

from rtorch import _C

__all__ = ["handle_torch_function", "has_torch_function", "is_tensor_like", "is_tensor_method_or_property"]


def is_tensor_like(inp) -> bool:
    """Returns whether `inp` is a tensor or has `__torch_function__`.

    Example::

        >>> rtorch.overrides.is_tensor_like(rtorch.ones(1))
        True
    """
    return isinstance(inp, _C.Tensor) or hasattr(inp, "__torch_function__")


def _overrides(obj):
    own = getattr(type(obj), "__torch_function__", None)
    return (
        own is not None
        and type(obj) is not _C.Tensor
        and getattr(own, "__func__", own) is not _C._disabled_torch_function_impl
    )


def has_torch_function(relevant_args) -> bool:
    """Returns whether an argument's class takes over calls by `__torch_function__`."""
    return any(map(_overrides, relevant_args))


def handle_torch_function(public_api, relevant_args, *args, **kwargs):
    """Asks the arguments' classes in turn to run `public_api`; subclasses come before their bases.

    Raises:
        TypeError: every class returned NotImplemented.
    """
    owners = []
    for arg in relevant_args:
        if _overrides(arg) and not any(type(arg) is type(o) for o in owners):
            at = next((i for i, o in enumerate(owners) if issubclass(type(arg), type(o))), len(owners))
            owners.insert(at, arg)
    types = tuple(type(o) for o in owners)
    for owner in owners:
        result = owner.__torch_function__(public_api, types, args, kwargs)
        if result is not NotImplemented:
            return result
    name = f"{public_api.__module__}.{public_api.__name__}"
    raise TypeError(f"no implementation found for '{name}' on types that implement __torch_function__: {list(types)}")


def is_tensor_method_or_property(func) -> bool:
    """Returns whether `func` is a method or property of Tensor rather than a function."""
    name = getattr(func, "__name__", "")
    return name == "__get__" or getattr(_C.Tensor, name, None) is func
