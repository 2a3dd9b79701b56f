"""Saving and loading of checkpoints in PyTorch's format, which are data and never code."""

import os
import pathlib

from rtorch import _C

__all__ = [
    "add_safe_globals",
    "clear_safe_globals",
    "get_safe_globals",
    "load",
    "safe_globals",
    "save",
]

# Dotted name -> class or function that may be called while loading.
_safe_globals = {}


def _dotted(entry):
    """The name and the object of an entry: an object, or a pair of object and name."""
    if isinstance(entry, tuple):
        thing, name = entry
        return name, thing
    return f"{entry.__module__}.{entry.__qualname__}", entry


def add_safe_globals(safe_globals):
    """Allows classes and functions to be called while a checkpoint is loaded.

    Args:
        safe_globals (list): Classes or functions, or pairs ``(object, "dotted.name")``.

    Example:
        >>> import rtorch as torch, fractions
        >>> torch.serialization.add_safe_globals([fractions.Fraction])
        >>> torch.serialization.clear_safe_globals()
    """
    _safe_globals.update(_dotted(entry) for entry in safe_globals)


def get_safe_globals():
    """Returns the list of allowed classes and functions.

    Example:
        >>> import rtorch as torch
        >>> torch.serialization.get_safe_globals()
        []
    """
    return list(_safe_globals.values())


def clear_safe_globals():
    """Forgets all allowed classes and functions.

    Example:
        >>> import rtorch as torch
        >>> torch.serialization.clear_safe_globals()
    """
    _safe_globals.clear()


class safe_globals:
    """Allows classes and functions for a block; takes the argument of `add_safe_globals`.

    Example:
        >>> import rtorch as torch, fractions
        >>> with torch.serialization.safe_globals([fractions.Fraction]):
        ...     len(torch.serialization.get_safe_globals())
        1
    """

    def __init__(self, safe_globals):
        self.entries = safe_globals

    def __enter__(self):
        self.saved = dict(_safe_globals)
        add_safe_globals(self.entries)
        return self

    def __exit__(self, *exc):
        _safe_globals.clear()
        _safe_globals.update(self.saved)


def _no_pickle_module(pickle_module):
    if pickle_module is None:
        return
    import pickle

    if pickle_module is not pickle:
        raise ValueError(
            "pickle_module is not supported: checkpoints are written and read as data, without a pickle module. "
            "Leave the argument out."
        )


def save(obj, f, pickle_module=None, pickle_protocol=2, _use_new_zipfile_serialization=True):
    """Saves an object to a file that PyTorch and this library load.

    Tensors that share memory share it again after loading.

    Args:
        obj: Tensors, numbers, strings, None, and lists, tuples, sets and dictionaries of them.
        f (str, os.PathLike or file object): Where to; a file object needs ``write``.
        pickle_module: Only for the signature's sake; the standard module or None.
        pickle_protocol (int): Only for the signature's sake; the format of protocol 2 is written.

    Raises:
        pickle.PicklingError: If `obj` holds something that is not data, such as a module.
        RuntimeError: If the parent directory does not exist.

    Example:
        >>> import rtorch as torch, io
        >>> buffer = io.BytesIO()
        >>> torch.save({"weight": torch.ones(2)}, buffer)
        >>> _ = buffer.seek(0)
        >>> torch.load(buffer)
        {'weight': tensor([1., 1.])}
    """
    _no_pickle_module(pickle_module)
    if isinstance(f, (str, os.PathLike)):
        path = os.fspath(f)
        parent = pathlib.Path(path).parent
        if not parent.is_dir():
            raise RuntimeError(f"Parent directory {parent} does not exist.")
        # The folder inside of the container has the file's name, as PyTorch writes it.
        _C._save_archive(path, pathlib.Path(path).stem or "archive", obj)
    elif hasattr(f, "write"):
        f.write(_C._save_archive(None, "archive", obj))
    else:
        raise AttributeError(f"expected 'f' to be a string, path or file object with 'write', got {type(f)}")


class _Stand:
    """A storage as a `map_location` function sees it: it can say where it is and where it wants to be."""

    def __init__(self, device):
        self.device = device

    def cpu(self):
        return self.to("cpu")

    def cuda(self, device=None):
        return self.to("cuda" if device is None else f"cuda:{device}")

    def to(self, device=None, **kwargs):
        import rtorch as torch

        return _Stand(torch.device(kwargs.get("device", device)))


def _placer(map_location):
    """A function from a storage's location tag to the device it goes to."""
    import rtorch as torch

    def usual(tag):
        try:
            return torch.device(tag)
        except RuntimeError as error:
            kind = tag.split(":")[0].upper()
            raise RuntimeError(
                f"Attempting to deserialize object on a {kind} device, which is not available here. Use torch.load "
                "with map_location=torch.device('cpu') to map your storages to the CPU."
            ) from error

    if map_location is None:
        return usual
    if isinstance(map_location, dict):
        return lambda tag: usual(str(map_location.get(tag, tag)))
    if isinstance(map_location, (str, torch.device)):
        device = torch.device(map_location)
        return lambda tag: device
    if callable(map_location):

        def place(tag):
            result = map_location(_Stand(torch.device("cpu")), tag)
            return usual(tag) if result is None else result.device

        return place
    raise TypeError(f"map_location must be a device, a string, a dict or a function, got {type(map_location).__name__}")


def load(f, map_location=None, pickle_module=None, *, weights_only=None, mmap=None, **pickle_load_args):
    """Loads an object that was saved with `save` or with PyTorch's.

    No code of the checkpoint is ever run, whatever `weights_only` says; classes beyond plain data have to be allowed
    with `add_safe_globals`.

    Args:
        f (str, os.PathLike or file object): Where from; a file object needs ``read``.
        map_location (torch.device, str, dict or callable): Where tensors go: a device for all, a dictionary from saved
            to wanted locations, or a function of storage and location. None restores the saved locations.
        pickle_module: Only for the signature's sake; the standard module or None.
        weights_only (bool): Only for the signature's sake.
        mmap (bool): Only for the signature's sake; needs `f` to be a path.

    Raises:
        pickle.UnpicklingError: If the file needs a class that is not allowed, or is no checkpoint.
        RuntimeError: If the file is damaged.

    Example:
        >>> import rtorch as torch, io
        >>> buffer = io.BytesIO()
        >>> torch.save([1, torch.tensor(2.5)], buffer)
        >>> _ = buffer.seek(0)
        >>> torch.load(buffer)
        [1, tensor(2.5000)]
    """
    _no_pickle_module(pickle_module)
    if isinstance(f, (str, os.PathLike)):
        path = os.fspath(f)
        # Raises Python's own errors for what is missing or must not be read.
        with open(path, "rb"):
            pass
        source = path
    elif hasattr(f, "read"):
        if mmap:
            raise ValueError("f must be a file path in order to use the mmap argument")
        source = bytes(f.read())
    else:
        raise AttributeError(f"expected 'f' to be a string, path or file object with 'read', got {type(f)}")
    return _C._load_archive(source, _placer(map_location), dict(_safe_globals))
