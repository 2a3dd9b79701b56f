"""What numbers a dtype can hold: `torch.finfo` and `torch.iinfo`."""

from rtorch import _C

# Bits of the dtype, of its significand without the leading one, and of its exponent; decimal digits it keeps.
_FLOATS = {
    "float16": (16, 10, 5, 3),
    "bfloat16": (16, 7, 8, 2),
    "float32": (32, 23, 8, 6),
    "float64": (64, 52, 11, 15),
}
_REAL = {"complex64": "float32", "complex128": "float64"}


def _name(function, dtype):
    if dtype is float:
        dtype = _C.float64
    elif dtype is int:
        dtype = _C.int64
    if not isinstance(dtype, _C.dtype):
        kind = type(dtype).__name__
        raise TypeError(f"{function}(): argument 'type' (position 1) must be torch.dtype, not {kind}")
    return str(dtype).rsplit(".", 1)[-1]


class _Info:
    __slots__ = ()

    def __setattr__(self, name, value):
        raise AttributeError(f"attribute '{name}' of 'torch.{type(self).__name__}' objects is not writable")

    def __eq__(self, other):
        if type(other) is not type(self):
            return NotImplemented
        return self.dtype == other.dtype

    __hash__ = None


class finfo(_Info):
    """The numeric properties of a floating-point dtype; of its parts for a complex one.

    Args:
        type: the dtype (default: the default dtype).

    Raises:
        TypeError: the dtype is not a floating-point one.

    Example::

        >>> rtorch.finfo(rtorch.float16).max
        65504.0
    """

    __module__ = "rtorch"
    __slots__ = ("bits", "dtype", "eps", "max", "min", "resolution", "smallest_normal", "tiny")

    def __init__(self, type=None):
        name = _name("finfo", _C.get_default_dtype() if type is None else type)
        name = _REAL.get(name, name)
        if name not in _FLOATS:
            raise TypeError(
                "torch.finfo() requires a floating point input type. Use torch.iinfo to handle 'torch.finfo'"
            )
        bits, fraction, exponent, digits = _FLOATS[name]
        top = 2 ** (exponent - 1) - 1
        largest = (2.0 - 2.0**-fraction) * 2.0**top
        smallest = 2.0 ** (1 - top)
        values = (bits, name, 2.0**-fraction, largest, -largest, float(f"1e-{digits}"), smallest, smallest)
        for field, value in zip(self.__slots__, values):
            object.__setattr__(self, field, value)

    def __repr__(self):
        fields = ("resolution", "min", "max", "eps", "smallest_normal", "tiny")
        numbers = ", ".join(f"{field}={getattr(self, field):g}" for field in fields)
        return f"finfo({numbers}, dtype={self.dtype})"


class iinfo(_Info):
    """The range of an integer dtype.

    Args:
        type: the dtype.

    Raises:
        TypeError: the dtype is not an integer one.

    Example::

        >>> rtorch.iinfo(rtorch.int8).max
        127
    """

    __module__ = "rtorch"
    __slots__ = ("bits", "dtype", "max", "min")

    def __init__(self, type):
        name = _name("iinfo", type)
        if name in _FLOATS or name in _REAL:
            raise TypeError("torch.iinfo() requires an integer input type. Use torch.finfo to handle 'torch.iinfo'")
        if name == "bool":
            raise TypeError("torch.bool is not supported by torch.iinfo")
        signed = name.startswith("int")
        bits = int(name.removeprefix("int" if signed else "uint"))
        low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
        for field, value in zip(self.__slots__, (bits, name, high, low)):
            object.__setattr__(self, field, value)

    def __repr__(self):
        return f"iinfo(min={self.min:g}, max={self.max:g}, dtype={self.dtype})"
