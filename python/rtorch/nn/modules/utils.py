"""What families of modules share: arguments that are one number or one per dimension, and their descriptions."""

import inspect
from collections.abc import Iterable
from itertools import repeat

__all__ = []


def _ntuple(n, name):
    def parse(value):
        return tuple(value) if isinstance(value, Iterable) else tuple(repeat(value, n))

    parse.__name__ = name
    return parse


_single = _ntuple(1, "_single")
_pair = _ntuple(2, "_pair")
_triple = _ntuple(3, "_triple")
_quadruple = _ntuple(4, "_quadruple")


# More layers than this would take longer to make than anyone waits, and more memory than there is.
_MOST_LAYERS = 1 << 14


def _check_layers(count):
    if count > _MOST_LAYERS:
        raise RuntimeError(f"can't allocate memory for {count} layers; at most {_MOST_LAYERS} can be stacked")


def _reverse_repeat_tuple(values, n):
    return tuple(v for v in reversed(values) for _ in range(n))


def args_of_base(cls):
    """Completes the docstring of a class with the `Args` of the base that describes them for its whole family."""
    doc = inspect.cleandoc(cls.__doc__ or "")
    for base in cls.__mro__[1:]:
        _, found, args = inspect.cleandoc(base.__dict__.get("__doc__") or "").partition("\n\nArgs:\n")
        if found:
            summary, example, rest = doc.partition("\n\nExample")
            cls.__doc__ = f"{summary}{found}{args}{example}{rest}"
            break
    return cls
