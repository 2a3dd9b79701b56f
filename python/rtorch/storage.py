"""PyTorch's storage objects: a tensor's memory seen as one flat piece."""

from rtorch import _C


class UntypedStorage:
    """A tensor's memory as bytes."""

    def __init__(self, tensor):
        self._tensor = tensor.detach()

    def _flat(self):
        t = self._tensor
        return t.as_strided((self.nbytes() // t.element_size(),), (1,), 0)

    def nbytes(self) -> int:
        """Returns the number of bytes."""
        return _C._storage_extent(self._tensor)[1]

    def data_ptr(self) -> int:
        """Returns the address of the first byte."""
        return self._flat().data_ptr()

    @property
    def device(self):
        """Where the memory lives."""
        return self._tensor.device

    size = nbytes
    __len__ = nbytes

    def __eq__(self, other):
        return isinstance(other, UntypedStorage) and _C._storage_extent(self._tensor) == _C._storage_extent(
            other._tensor
        )

    def __hash__(self):
        return _C._storage_extent(self._tensor)[0]

    _cdata = property(__hash__)


class TypedStorage(UntypedStorage):
    """A tensor's memory as elements of its dtype."""

    def size(self) -> int:
        """Returns the number of elements."""
        return self.nbytes() // self._tensor.element_size()

    __len__ = size

    @property
    def dtype(self):
        """The element type."""
        return self._tensor.dtype

    def tolist(self):
        """Returns the elements as Python numbers."""
        return self._flat().tolist()

    def __getitem__(self, i):
        return self._flat()[i].item()

    def __setitem__(self, i, value):
        self._flat()[i] = value

    def __iter__(self):
        return iter(self.tolist())

    def untyped(self):
        """Returns the memory as bytes."""
        return UntypedStorage(self._tensor)
