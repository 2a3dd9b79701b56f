"""Named tensors in the safetensors format, without another package."""

import os

from rtorch import _C

__all__ = ["load", "load_file", "save", "save_file"]


def save(tensors, metadata=None):
    """Returns the bytes of a safetensors file.

    Args:
        tensors (dict): Tensors by name.
        metadata (dict): Strings by name.

    Raises:
        ValueError: If two tensors share memory, which the format cannot say.

    Example:
        >>> import rtorch as torch
        >>> from rtorch.safetensors import load, save
        >>> load(save({"x": torch.ones(2)}))
        {'x': tensor([1., 1.])}
    """
    owner = {}
    for name, tensor in tensors.items():
        # Storages without bytes have nothing to share.
        first = owner.setdefault(_C._storage_id(tensor), name) if tensor.numel() else name
        if first != name:
            raise ValueError(
                f"Some tensors share memory: {first!r} and {name!r}. The format stores each tensor on its own; pass "
                f"`tensors[{name!r}].clone()`, or keep only one of them"
            )
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    return _C._save_safetensors(plain, list((metadata or {}).items()))


def save_file(tensors, filename, metadata=None):
    """Writes a safetensors file; for the arguments see `save`.

    Example:
        >>> import rtorch as torch, tempfile
        >>> from rtorch.safetensors import load_file, save_file
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_file({"x": torch.ones(2)}, f"{folder}/x.safetensors")
        ...     load_file(f"{folder}/x.safetensors")
        {'x': tensor([1., 1.])}
    """
    data = save(tensors, metadata)
    with open(filename, "wb") as file:
        file.write(data)


def load(data):
    """Returns the tensors in the bytes of a safetensors file as a dictionary.

    Raises:
        ValueError: If the header is damaged or does not fit the data.

    Example:
        >>> import rtorch as torch
        >>> from rtorch.safetensors import load, save
        >>> load(save({"n": torch.tensor(3)}))
        {'n': tensor(3)}
    """
    return _C._load_safetensors(bytes(data))[0]


def load_file(filename, device="cpu"):
    """Returns the tensors of a safetensors file as a dictionary.

    Args:
        filename (str or os.PathLike): Where from.
        device (torch.device or str): Where the tensors go.

    Raises:
        ValueError: If the header is damaged or does not fit the data.

    Example:
        >>> import rtorch as torch, tempfile
        >>> from rtorch.safetensors import load_file, save_file
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_file({"n": torch.tensor(3)}, f"{folder}/n.safetensors")
        ...     load_file(f"{folder}/n.safetensors")["n"]
        tensor(3)
    """
    tensors = _C._load_safetensors(os.fspath(filename))[0]
    if str(device) == "cpu":
        return tensors
    return {name: tensor.to(device) for name, tensor in tensors.items()}
