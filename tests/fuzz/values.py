"""Wrong arguments: odd tensors, extreme numbers, and objects that break their promises."""

import decimal
import fractions

import numpy as np

import rtorch as torch

INTEGERS = [0, 1, -1, 2, 3, -2, 7, 64, 1000, 2**31 - 1, 2**31, -(2**31), 2**32 + 1, 2**40]
INTEGERS += [2**62, 2**63 - 1, -(2**63), 2**63, 2**64, -(2**63) - 1, 10**30]
FLOATS = [0.0, -0.0, 0.5, 1.0, -1.0, 1e308, -1e308, 5e-324, 1e30, 1e-30, 2.0**63, float("nan"), float("inf")]
FLOATS += [-float("inf")]
STRINGS = ["", "x", "mean", "none", "ij,jk->ik", "...", "\u00e9\u4e2d", "\ud800", "a\0b", "%s{}", "z" * 5000, "cpu:99"]
DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.complex64, torch.complex128, torch.bool]
DTYPES += [torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.uint16, torch.uint32, torch.uint64]
SHAPES = [(), (0,), (1,), (5,), (2, 3), (3, 2), (1, 0, 2), (2, 1, 3, 1), (0, 2**40), (1,) * 12, (1,) * 65, (17, 9)]


class Broken(Exception):
    """What the objects below raise."""


def raises(self, *_):
    raise Broken(type(self).__name__)


class BadIndex:
    __index__ = __int__ = raises


class BadFloat:
    __float__ = __complex__ = __bool__ = raises


class BadLength:
    __len__ = raises

    def __getitem__(self, i):
        return 1


class LongLength(list):
    """Says that it has more items than it gives."""

    def __len__(self):
        return 2**62


class ShortLength(list):
    def __len__(self):
        return 1


class Endless:
    """A sequence of three whose items are such sequences."""

    def __len__(self):
        return 3

    def __getitem__(self, i):
        if i >= 3:
            raise IndexError
        return self


class BadIterator:
    def __iter__(self):
        yield 1
        raise Broken("in the middle")


class BadArray:
    __array__ = raises


class LyingArray:
    def __array__(self, *_, **__):
        return "no array"


class LyingInterface:
    __array_interface__ = {"shape": (2**40,), "typestr": "<f4", "data": None, "version": 3}


class BadDLPack:
    def __dlpack__(self, **_):
        return 3

    def __dlpack_device__(self):
        return (1, 0)


class BadFunction:
    __torch_function__ = classmethod(raises)


class Shrinking(list):
    """Loses its items while they are read."""

    def __getitem__(self, i):
        self.clear()
        return super().__getitem__(i)

    def __iter__(self):
        for item in list.__iter__(self):
            yield item
            self.clear()


class BadName(str):
    __hash__ = __eq__ = raises


class Sub(torch.Tensor):
    """A subclass without anything of its own."""


def deep(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


def endless_list():
    value = [1]
    value.append(value)
    return value


# Each makes a new value, so that a call that changes its argument leaves the next ones alone.
ODD = [
    lambda: None,
    lambda: True,
    lambda: [],
    lambda: [1],
    lambda: (2, 3),
    lambda: {},
    lambda: {"a": 1},
    lambda: {1, 2},
    lambda: b"x",
    lambda: bytearray(8),
    lambda: memoryview(b"abcdefgh"),
    lambda: 1j,
    lambda: complex(float("nan"), float("inf")),
    lambda: object(),
    lambda: ...,
    lambda: NotImplemented,
    lambda: int,
    lambda: len,
    lambda: lambda *a: a,
    lambda: range(2**62),
    lambda: range(3),
    lambda: slice(None),
    lambda: slice(2**63, "x", 0),
    lambda: (i for i in range(3)),
    lambda: fractions.Fraction(1, 3),
    lambda: decimal.Decimal("1e400"),
    lambda: np.float32(2),
    lambda: np.int64(-1),
    lambda: np.uint64(2**64 - 1),
    lambda: np.bool_(True),
    lambda: np.ones((2, 3)),
    lambda: np.ones((2, 3))[::-1],
    lambda: np.array([None, "x"], dtype=object),
    lambda: np.array(["a", "b"]),
    lambda: np.datetime64("2020-01-01"),
    lambda: torch.float64,
    lambda: torch.strided,
    lambda: torch.channels_last,
    lambda: torch.device("cpu"),
    lambda: torch.Generator(),
    lambda: torch.Size([2, 3]),
    lambda: torch,
    lambda: torch.nn.Linear(2, 2),
    BadIndex,
    BadFloat,
    BadLength,
    lambda: LongLength([1, 2]),
    lambda: ShortLength([1, 2, 3]),
    Endless,
    BadIterator,
    BadArray,
    LyingArray,
    LyingInterface,
    BadDLPack,
    BadFunction,
    lambda: Shrinking([1, 2, 3]),
    lambda: BadName("x"),
    lambda: deep(80),
    lambda: deep(50_000),
    endless_list,
]


class Values:
    """Draws wrong arguments from one stream of random numbers."""

    def __init__(self, random):
        self.random = random

    def pick(self, values):
        return values[self.random.randrange(len(values))]

    def odd(self):
        kind = self.random.randrange(10)
        if kind < 4:
            return self.pick(ODD)()
        if kind < 6:
            return self.pick(INTEGERS)
        if kind < 7:
            return self.pick(FLOATS)
        if kind < 8:
            return self.pick(STRINGS)
        if kind < 9:
            return [self.odd() for _ in range(self.random.randrange(4))]
        return self.tensor()

    def tensor(self, like=None):
        """A tensor that is not as `like` in one respect."""
        shape = tuple(like.shape) if like is not None else self.pick(SHAPES)
        dtype = like.dtype if like is not None else self.pick(DTYPES)
        return self.pick(TENSORS)(self, shape, dtype)

    def dtype_tensor(self, shape):
        return torch.ones(shape, dtype=self.pick(DTYPES))

    def value(self, old):
        """Something else in the place of `old`."""
        if isinstance(old, torch.Tensor):
            return self.tensor(old) if self.random.random() < 0.85 else self.odd()
        if self.random.random() < 0.25:
            return self.odd()
        if isinstance(old, bool):
            return self.pick([not old, None, 2, "x"])
        if isinstance(old, int):
            return self.pick([*INTEGERS, old + 1, old - 1, -old, old * 1000])
        if isinstance(old, float):
            return self.pick(FLOATS + INTEGERS)
        if isinstance(old, str):
            return self.pick(STRINGS)
        if isinstance(old, torch.dtype):
            return self.pick(DTYPES)
        if isinstance(old, dict) and old:
            return {**old, self.pick(sorted(old, key=str)): self.odd()}
        if isinstance(old, (list, tuple)):
            return self.changed_list(old)
        return self.odd()

    def changed_list(self, old):
        new, what = list(old), self.random.randrange(7)
        if what == 0:
            new = []
        elif what == 1:
            new = new * self.pick([2, 3, 70])
        elif what == 2 and new:
            new.pop(self.random.randrange(len(new)))
        elif what == 3:
            new = [self.pick(INTEGERS) for _ in range(self.random.randrange(4))]
        elif what == 4:
            new.insert(self.random.randrange(len(new) + 1), self.odd())
        elif new:
            i = self.random.randrange(len(new))
            new[i] = self.value(new[i])
        try:
            return type(old)(new)
        except Exception:
            return new

    def change(self, args, kwargs, names=("dim", "dtype", "out", "keepdim", "generator", "nonsense")):
        """Changes a call's arguments in place, in up to three respects."""
        for _ in range(self.pick([0, 1, 1, 1, 2, 2, 3])):
            what = self.random.randrange(10)
            if what < 6 and args:
                i = self.random.randrange(len(args))
                args[i] = self.value(args[i])
            elif what == 6 and args:
                args.pop(self.random.randrange(len(args)))
            elif what == 7:
                args.insert(self.random.randrange(len(args) + 1), self.odd())
            elif kwargs and what < 9:
                k = self.pick(sorted(kwargs))
                kwargs[k] = self.value(kwargs[k])
            else:
                kwargs[self.pick(names)] = self.odd()


def overlapping(v, shape, dtype):
    return torch.as_strided(torch.ones(64, dtype=dtype), [min(n, 2) for n in shape], [1] * len(shape))


def read_only(v, shape, dtype):
    a = np.ones([min(n, 8) for n in shape][:20], dtype=np.float32)
    a.setflags(write=False)
    return torch.from_numpy(a)


def inference(v, shape, dtype):
    with torch.inference_mode():
        return torch.ones(shape, dtype=dtype)


# What a tensor is changed to, given the drawing, and the shape and dtype to keep.
TENSORS = [
    lambda v, shape, dtype: torch.empty((0,), dtype=dtype),
    lambda v, shape, dtype: v.dtype_tensor(()),
    lambda v, shape, dtype: torch.ones(v.pick(SHAPES), dtype=dtype),
    lambda v, shape, dtype: v.dtype_tensor(shape),
    lambda v, shape, dtype: torch.ones((*shape, 2), dtype=dtype)[..., 0],
    lambda v, shape, dtype: torch.ones((), dtype=dtype).expand(shape),
    lambda v, shape, dtype: torch.full(shape, v.pick(FLOATS), dtype=torch.float32),
    lambda v, shape, dtype: torch.full(shape, v.pick([-1, 2**31, 2**63 - 1, -(2**63), 5, 100]), dtype=torch.int64),
    lambda v, shape, dtype: torch.full(shape, v.pick(FLOATS), dtype=torch.float64).requires_grad_(),
    lambda v, shape, dtype: torch.zeros(shape, dtype=dtype),
    lambda v, shape, dtype: torch.ones((*shape[:-1], 2 * shape[-1]) if shape else (2, 2), dtype=dtype),
    lambda v, shape, dtype: torch.ones(shape[1:], dtype=dtype),
    lambda v, shape, dtype: torch.ones((1, *shape), dtype=dtype),
    lambda v, shape, dtype: torch.ones(shape[::-1], dtype=dtype),
    lambda v, shape, dtype: torch.ones(shape, dtype=dtype).requires_grad_() * 2,
    lambda v, shape, dtype: torch.ones(1, dtype=dtype).expand(v.pick([2**20, 2**24]), 2),
    lambda v, shape, dtype: torch.ones(shape, dtype=dtype, device="meta"),
    lambda v, shape, dtype: torch.nn.Parameter(torch.ones(shape)),
    lambda v, shape, dtype: torch.ones(shape).as_subclass(Sub),
    overlapping,
    read_only,
    inference,
]


def show(value, depth=0):
    """A line that shows a call's argument, whatever it is."""
    if isinstance(value, torch.Tensor):
        flags = "".join(f for f, on in (("g", value.requires_grad), ("s", not value.is_contiguous())) if on)
        return f"{str(value.dtype).rsplit('.')[-1]}{flags}{list(value.shape)}"
    if type(value) in (list, tuple) and depth < 4:
        return "[" + ", ".join([show(v, depth + 1) for v in value[:8]]) + "]"
    if isinstance(value, (int, float, complex, type(None), slice, torch.dtype, np.generic)):
        return repr(value)
    if type(value) is str:
        return ascii(value[:40])
    if type(value) is dict:
        return "{" + ", ".join(f"{k}: {show(v, depth + 1)}" for k, v in value.items()) + "}"
    return f"<{type(value).__name__}>"


def show_call(name, args, kwargs):
    return f"{name}({', '.join([show(v) for v in args] + [f'{k}={show(v)}' for k, v in kwargs.items()])})"
