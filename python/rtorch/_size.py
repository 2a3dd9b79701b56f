"""`torch.Size`: the sizes of a tensor."""

import math


class Size(tuple):
    """The sizes of a tensor: a tuple of ints that knows how many elements they make.

    Example::

        >>> rtorch.Size([2, 3]).numel()
        6
    """

    __slots__ = ()
    __module__ = "rtorch"

    def __new__(cls, sizes=()):
        items = []
        for i, n in enumerate(sizes):
            if type(n) is not int:
                if isinstance(n, bool) or not hasattr(n, "__index__"):
                    raise TypeError(f"torch.Size() takes an iterable of 'int' (item {i} is '{type(n).__name__}')")
                n = n.__index__()
            items.append(n)
        return tuple.__new__(cls, items)

    def numel(self) -> int:
        """Returns the number of elements."""
        return math.prod(self)

    def __repr__(self):
        return f"torch.Size([{', '.join(map(str, self))}])"

    __str__ = __repr__

    def __getitem__(self, key):
        item = tuple.__getitem__(self, key)
        return Size(item) if isinstance(key, slice) else item

    def __add__(self, other):
        if not isinstance(other, tuple):
            return NotImplemented
        return Size(tuple(self) + tuple(other))

    def __radd__(self, other):
        if not isinstance(other, tuple):
            return NotImplemented
        return Size(tuple(other) + tuple(self))

    def __mul__(self, n):
        return Size(tuple(self) * n)

    __rmul__ = __mul__

    def __reduce__(self):
        return (Size, (tuple(self),))
