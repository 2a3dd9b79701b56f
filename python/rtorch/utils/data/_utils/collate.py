"""Turns a list of samples into a batch."""

import collections.abc
import copy
import re

import rtorch

_TEXT_DTYPE = re.compile(r"[SaUO]")
_ERROR = "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found {}"


def _is_numpy(value):
    # numpy need not be imported to tell that something is not from it.
    return type(value).__module__ == "numpy"


def _is_namedtuple(value):
    return isinstance(value, tuple) and hasattr(value, "_fields")


def _rebuild(original, values):
    """A sequence like `original` with other values; a list if its type cannot be rebuilt."""
    try:
        if isinstance(original, collections.abc.MutableSequence):
            clone = copy.copy(original)
            for i, value in enumerate(values):
                clone[i] = value
            return clone
        return type(original)(values)
    except TypeError:
        return list(values)


def _rebuild_mapping(original, items):
    """A mapping like `original` with other values; a dict if its type cannot be rebuilt."""
    try:
        if isinstance(original, collections.abc.MutableMapping):
            clone = copy.copy(original)
            clone.update(items)
            return clone
        return type(original)(items)
    except TypeError:
        return items


def default_convert(data):
    """Turns numpy arrays within `data` into tensors and leaves all else as it is.

    Args:
        data: an array, a tensor, or mappings and sequences of such.

    Example::

        >>> rtorch.utils.data.default_convert({"a": 1})
        {'a': 1}
    """
    if isinstance(data, rtorch.Tensor):
        return data
    if _is_numpy(data):
        dtype = getattr(data, "dtype", None)
        if dtype is None or _TEXT_DTYPE.search(dtype.str):
            return data
        return rtorch.as_tensor(data)
    if isinstance(data, collections.abc.Mapping):
        return _rebuild_mapping(data, {key: default_convert(value) for key, value in data.items()})
    if _is_namedtuple(data):
        return type(data)(*(default_convert(value) for value in data))
    if isinstance(data, tuple):
        return [default_convert(value) for value in data]
    if isinstance(data, collections.abc.Sequence) and not isinstance(data, (str, bytes)):
        return _rebuild(data, [default_convert(value) for value in data])
    return data


def collate_tensor_fn(batch, *, collate_fn_map=None):
    """Stacks tensors."""
    return rtorch.stack(batch, 0)


def collate_numpy_array_fn(batch, *, collate_fn_map=None):
    """Stacks numpy arrays as tensors."""
    if _TEXT_DTYPE.search(batch[0].dtype.str):
        raise TypeError(_ERROR.format(batch[0].dtype))
    return rtorch.stack([rtorch.as_tensor(b) for b in batch], 0)


def collate_numpy_scalar_fn(batch, *, collate_fn_map=None):
    """Makes a tensor of numpy scalars, in their dtype."""
    return rtorch.as_tensor(batch)


def collate_float_fn(batch, *, collate_fn_map=None):
    """Makes a float64 tensor of floats."""
    return rtorch.tensor(batch, dtype=rtorch.float64)


def collate_int_fn(batch, *, collate_fn_map=None):
    """Makes a tensor of ints or bools."""
    return rtorch.tensor(batch)


def collate_str_fn(batch, *, collate_fn_map=None):
    """Leaves strings in their list."""
    return batch


# In the order in which they are tried; a user may add types of their own.
default_collate_fn_map = {
    rtorch.Tensor: collate_tensor_fn,
    float: collate_float_fn,
    int: collate_int_fn,
    str: collate_str_fn,
    bytes: collate_str_fn,
}


def collate(batch, *, collate_fn_map=None):
    """Turns a list of samples into a batch, by functions for the types of the innermost elements.

    Args:
        batch: a list of samples of the same structure.
        collate_fn_map: a dict of types, or tuples of types, to `fn(batch, *, collate_fn_map)`.

    Raises:
        TypeError: if no function fits.
        RuntimeError: if sequences have different lengths.
    """
    elem = batch[0]
    kind = type(elem)
    if collate_fn_map is not None:
        if kind in collate_fn_map:
            return collate_fn_map[kind](batch, collate_fn_map=collate_fn_map)
        if _is_numpy(elem) and hasattr(elem, "dtype"):
            if kind.__name__ == "ndarray":
                return collate_numpy_array_fn(batch, collate_fn_map=collate_fn_map)
            if not _TEXT_DTYPE.search(elem.dtype.str):
                return collate_numpy_scalar_fn(batch, collate_fn_map=collate_fn_map)
        for key, fn in collate_fn_map.items():
            if isinstance(elem, key):
                return fn(batch, collate_fn_map=collate_fn_map)
    if isinstance(elem, collections.abc.Mapping):
        return _rebuild_mapping(
            elem, {key: collate([d[key] for d in batch], collate_fn_map=collate_fn_map) for key in elem}
        )
    if isinstance(elem, collections.abc.Sequence):
        if not _is_namedtuple(elem) and any(len(other) != len(elem) for other in batch):
            raise RuntimeError("each element in list of batch should be of equal size")
        columns = [collate(column, collate_fn_map=collate_fn_map) for column in zip(*batch)]
        if _is_namedtuple(elem):
            return kind(*columns)
        return columns if isinstance(elem, tuple) else _rebuild(elem, columns)
    raise TypeError(_ERROR.format(kind))


def default_collate(batch):
    """Turns a list of samples into a batch: tensors are stacked, numbers become tensors, containers keep their form.

    Args:
        batch: a list of samples of the same structure.

    Raises:
        TypeError: if a sample holds something else than tensors, numpy arrays, numbers, strings, mappings or sequences.

    Example::

        >>> rtorch.utils.data.default_collate([{"a": 1}, {"a": 2}])
        {'a': tensor([1, 2])}
    """
    return collate(batch, collate_fn_map=default_collate_fn_map)
