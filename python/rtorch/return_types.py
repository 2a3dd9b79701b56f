"""The named tuples that ops with several results return, such as `torch.return_types.max`."""

_classes = {}


class _Result(tuple):
    """A tuple whose items have names."""

    __slots__ = ()
    _fields = ()

    def __repr__(self):
        items = ",\n".join(f"{name}={value!r}" for name, value in zip(self._fields, self))
        return f"torch.return_types.{type(self).__name__}(\n{items})"

    def __reduce__(self):
        return (_make, (type(self).__name__, list(self._fields), tuple(self)))


def _make(name, fields, values):
    """Returns the values as an instance of the result class of this name."""
    key = (name, *fields)
    cls = _classes.get(key)
    if cls is None:
        items = {field: property(lambda self, i=i: tuple.__getitem__(self, i)) for i, field in enumerate(fields)}
        cls = type(name, (_Result,), {"__slots__": (), "_fields": tuple(fields), "__module__": __name__, **items})
        cls.n_fields = cls.n_sequence_fields = len(fields)
        cls.n_unnamed_fields = 0
        _classes[key] = cls
        globals().setdefault(name, cls)
    return tuple.__new__(cls, values)
