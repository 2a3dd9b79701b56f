"""How tensors travel through ordinary pickles: `pickle`, `copy`, `multiprocessing`."""

import weakref

from rtorch import _C


class _Storage:
    """The memory behind tensors, pickled once however many tensors view it."""

    def __init__(self, flat):
        self.flat = flat

    def __reduce__(self):
        return _rebuild_storage, (_C._storage_bytes(self.flat.cpu()), str(self.flat.device))


# The pickler tells objects apart by identity, so each storage has one stand-in while one is in use.
_storages = weakref.WeakValueDictionary()


def _storage_of(tensor):
    key = _C._storage_id(tensor)
    storage = _storages.get(key)
    if storage is None:
        storage = _storages[key] = _Storage(_C._storage_view(tensor))
    return storage


def _rebuild_storage(data, device):
    flat = _C._storage_from_bytes(data)
    return _Storage(flat if device == "cpu" else flat.to(device))


def _rebuild_tensor(storage, dtype, offset, size, stride, requires_grad=False):
    tensor = _C._storage_as_tensor(storage.flat, dtype, offset, list(size), list(stride))
    return tensor.requires_grad_() if requires_grad else tensor


def _rebuild_from_type(cls, args, requires_grad, state):
    tensor = _rebuild_tensor(*args)
    if cls is not type(tensor):
        tensor = tensor.as_subclass(cls)
    # Last, as a view of a leaf would be no leaf.
    if requires_grad:
        tensor.requires_grad_()
    if state:
        vars(tensor).update(state)
    return tensor


def _reduce_tensor(self, protocol):
    """Returns what `Tensor.__reduce_ex__` returns: a function and its arguments that make the tensor again."""
    import rtorch as torch

    source = self.detach()
    if any(step < 0 for step in source.stride()):
        source = source.contiguous()
    args = (
        _storage_of(source),
        self.dtype,
        source.storage_offset(),
        tuple(source.shape),
        tuple(source.stride()),
    )
    state = dict(getattr(self, "__dict__", None) or {})
    state.pop("_backward_hooks", None)
    if type(self) is torch.Tensor and not state:
        return _rebuild_tensor, (*args, self.requires_grad)
    return _rebuild_from_type, (type(self), args, self.requires_grad, state)
