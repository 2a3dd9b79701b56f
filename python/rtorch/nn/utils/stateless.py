"""Calling a module with other tensors in the place of its parameters and buffers."""

import contextlib
import warnings

__all__ = ["functional_call"]


def _slot(module, path):
    """The dictionary and key that hold the tensor at a path, or None."""
    head, _, name = path.rpartition(".")
    try:
        owner = module.get_submodule(head)
    except AttributeError:
        return None
    for place in (owner._parameters, owner._buffers):
        if name in place:
            return place, name
    return None


def _aliases(module):
    """Sets of paths that lead to the same tensor, by path."""
    groups = {}
    for named in (module.named_parameters, module.named_buffers):
        for path, tensor in named(remove_duplicate=False):
            groups.setdefault(id(tensor), []).append(path)
    return {path: paths for paths in groups.values() for path in paths}


@contextlib.contextmanager
def _reparametrize_module(module, parameters_and_buffers, tie_weights=False, strict=False):
    given = dict(parameters_and_buffers)
    if tie_weights:
        tied = _aliases(module)
        for path, tensor in parameters_and_buffers.items():
            for other in tied.get(path, ()):
                if other in parameters_and_buffers and parameters_and_buffers[other] is not tensor:
                    raise ValueError(
                        f"functional_call got multiple values for keys {sorted(tied[path])}, which are tied. Consider "
                        "using tie_weights=False"
                    )
                given[other] = tensor
    slots = {path: _slot(module, path) for path in given}
    if strict:
        known = {
            path
            for named in (module.named_parameters, module.named_buffers)
            for path, _ in named(remove_duplicate=False)
        }
        unexpected = [path for path in given if slots[path] is None]
        missing = sorted(known - set(given))
        if unexpected or missing:
            lines = [f"Error(s) in reparametrizing for {type(module).__name__}:"]
            if unexpected:
                lines.append("Unexpected key(s): " + ", ".join(repr(k) for k in unexpected) + ".")
            if missing:
                lines.append("Missing key(s): " + ", ".join(repr(k) for k in missing) + ".")
            raise RuntimeError("\n\t".join(lines))
    old = []
    try:
        for path, tensor in given.items():
            if slots[path] is not None:
                place, name = slots[path]
                old.append((place, name, place[name]))
                place[name] = tensor
        yield
    finally:
        for place, name, tensor in reversed(old):
            place[name] = tensor


def _functional_call(module, parameters_and_buffers, args=None, kwargs=None, *, tie_weights=True, strict=False):
    args = () if args is None else args if isinstance(args, tuple) else (args,)
    with _reparametrize_module(module, parameters_and_buffers, tie_weights, strict):
        return module(*args, **(kwargs or {}))


def functional_call(module, parameters_and_buffers, args=None, kwargs=None, *, tie_weights=True, strict=False):
    """Calls a module with tensors in the place of its own; deprecated name of `func.functional_call`.

    Args:
        module: the module.
        parameters_and_buffers: dictionary of paths and tensors.
        args: arguments, a tuple or one value.
        kwargs: keyword arguments.
        tie_weights: whether tensors that are shared in the module stay shared. Default: True.
        strict: whether the dictionary has to name all parameters and buffers and nothing else. Default: False.
    """
    warnings.warn(
        "`nn.utils.stateless.functional_call` is deprecated. Please use `func.functional_call` instead.",
        FutureWarning,
        stacklevel=2,
    )
    return _functional_call(module, parameters_and_buffers, args, kwargs, tie_weights=tie_weights, strict=strict)
