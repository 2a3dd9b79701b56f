"""What a row of the op database is: an op, its sample inputs, and what its results have to be."""

import hashlib

import numpy as np

import rtorch as torch
from rtorch import nn

FLOATS = (torch.float32, torch.float64)
HALVES = (torch.float16, torch.bfloat16)
COMPLEX = (torch.complex64, torch.complex128)
INTEGERS = (torch.uint8, torch.int32, torch.int64)
# Letters as rows write them: "fhcib" is everything.
KINDS = {"f": FLOATS, "h": HALVES, "c": COMPLEX, "i": INTEGERS, "b": (torch.bool,), "d": (torch.float64,)}
UNSIGNED = (torch.uint8, torch.uint16, torch.uint32, torch.uint64)
TOLERANCES = {
    torch.float16: (2e-3, 1e-3),
    torch.bfloat16: (1.6e-2, 1e-2),
    torch.float32: (2e-6, 1e-5),
    torch.float64: (1e-9, 1e-9),
    torch.complex64: (4e-6, 1e-5),
    torch.complex128: (1e-9, 1e-9),
}
SPACES = ("", "nn.functional", "linalg", "special", "fft", "Tensor", "_C")


class Sample:
    """One call: its arguments."""

    def __init__(self, *args, **kwargs):
        self.args, self.kwargs = args, kwargs

    def map(self, f):
        """The same call with every tensor replaced by `f(tensor)`."""

        def go(value):
            if isinstance(value, torch.Tensor):
                return f(value)
            if isinstance(value, (list, tuple)) and not isinstance(value, torch.Size):
                return type(value)(go(v) for v in value)
            return value

        # A list: the positional arguments come first also when `f` counts.
        return Sample(*[go(v) for v in self.args], **{k: go(v) for k, v in self.kwargs.items()})

    def tensors(self):
        found = []
        self.map(lambda t: found.append(t) or t)
        return found

    def __repr__(self):
        def show(value):
            if isinstance(value, torch.Tensor):
                return f"{str(value.dtype).rsplit('.')[-1]}{list(value.shape)}"
            if isinstance(value, (list, tuple)):
                return "[" + ", ".join(show(v) for v in value) + "]"
            return repr(value)

        parts = [show(v) for v in self.args] + [f"{k}={show(v)}" for k, v in self.kwargs.items()]
        return "(" + ", ".join(parts) + ")"


class Make:
    """Makes inputs of one dtype, the same for the same name each time."""

    def __init__(self, dtype, name=""):
        self.dtype = dtype
        self.rng = np.random.default_rng(int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "little"))
        self.floating = dtype.is_floating_point or dtype.is_complex

    def __call__(self, *shape, low=None, high=None, dtype=None):
        """Random elements in [low, high]; without bounds, floats keep away from 0, where many ops have a kink."""
        dtype = dtype or self.dtype
        if dtype is torch.bool:
            return self.tensor(self.rng.random(shape) < 0.5, dtype)
        if not (dtype.is_floating_point or dtype.is_complex):
            least = 0 if dtype in UNSIGNED else -9
            low, high = least if low is None else max(low, least), 9 if high is None else high
            return self.tensor(self.rng.integers(int(np.ceil(low)), int(np.floor(high)) + 1, shape), dtype)
        values = self._real(shape, low, high)
        if dtype.is_complex:
            values = values + 1j * self._real(shape, low, high)
        return self.tensor(values, dtype)

    def _real(self, shape, low, high):
        if low is not None:
            return self.rng.uniform(low, high, shape)
        values = self.rng.uniform(0.07, 2.6, shape)
        return np.where(self.rng.random(shape) < 0.5, values, -values)

    def tensor(self, values, dtype=None):
        # A copy, so that no two samples share memory.
        return torch.from_numpy(np.array(values)).to(dtype or self.dtype).clone()

    def distinct(self, *shape):
        """No two elements are closer than finite differences reach."""
        count = int(np.prod(shape))
        if self.dtype is torch.bool:
            return self(*shape)
        values = self.rng.permutation(count).reshape(shape) - (0 if self.dtype in UNSIGNED else count // 2)
        if self.floating:
            values = values * 0.37 + 0.11
        return self.tensor(values)

    def index(self, *shape, high, low=0):
        return self.tensor(self.rng.integers(low, high, shape), torch.int64)

    def mask(self, *shape):
        return self(*shape, dtype=torch.bool)

    def spd(self, n, *batch):
        """A well-conditioned symmetric (Hermitian) positive definite matrix."""
        a = array(self(*batch, n, n))
        return self.tensor(a @ a.conj().swapaxes(-1, -2) / n + np.eye(n))

    def regular(self, n, *batch):
        """A well-conditioned matrix."""
        return self.tensor(array(self(*batch, n, n, low=-1, high=1)) + 2 * np.eye(n))


class Error:
    """A call that has to raise."""

    def __init__(self, call, kind, text):
        self.call, self.kind, self.text = call, kind, text


class Row:
    def __init__(
        self,
        name,
        ref=None,
        samples=None,
        *,
        dtypes="f",
        gives="same",
        grad=True,
        gradgrad=None,
        tol=None,
        check=None,
        space=None,
        errors=(),
        view=False,
        random=False,
        via=None,
        forms=True,
        layouts=True,
        constants=(),
        through=None,
    ):
        """
        Args:
            ref: The same function of numpy arrays (floats and complex in double precision); may return a tuple.
            samples: A generator of `Sample`s, given a `Make`.
            dtypes: Letters of `KINDS`.
            gives: Dtype of the result: same, float, bool, int64, sum (int64 for integers), real, None (not checked),
                a dtype, or a tuple of these.
            grad: Whether it has a derivative; gradgrad: a second one (as `grad` when None).
            tol: (rtol, atol) for float32, scaled for others.
            check: Instead of `ref`: a function of the result and the sample, asserting.
            space: Module to find it in, where two have the name.
            errors: `Error`s.
            view: The result shares memory with the first argument, in numpy's strides.
            random: The values are random.
            via: Name of the public op that checks a private one.
            forms: Whether method, in-place and out= forms are compared with the function.
            layouts: Whether other memory layouts have to give the same values.
            constants: Positions or names of arguments that have no derivative.
            through: What makes an input of the kind that the gradient assumes of any first tensor.
        """
        self.name, self.ref, self.samples, self.dtypes, self.gives = name, ref, samples, dtypes, gives
        self.grad = grad
        self.gradgrad = grad if gradgrad is None else gradgrad
        self.tol, self.check, self.space, self.errors, self.view = tol, check, space, errors, view
        self.random, self.via, self.forms, self.layouts, self.constants = random, via, forms, layouts, constants
        self.through = through

    def __repr__(self):
        return f"{self.space}.{self.name}" if self.space else self.name

    def function(self):
        """The op, or None where this build has no such op."""
        return find(self.name, self.space)

    def all_dtypes(self):
        return [dtype for kind in self.dtypes for dtype in KINDS[kind]]

    def draw(self, dtype):
        return list(self.samples(Make(dtype, self.name)))

    def result_dtype(self, gives, sample):
        if gives is None or isinstance(gives, torch.dtype):
            return gives
        if gives in ("bool", "int64"):
            return getattr(torch, gives)
        first = sample.tensors()[0].dtype
        exact = not (first.is_floating_point or first.is_complex)
        if gives == "float":
            return torch.get_default_dtype() if exact else first
        if gives == "sum":
            return torch.int64 if exact else first
        if gives == "real":
            return {torch.complex64: torch.float32, torch.complex128: torch.float64}.get(first, first)
        assert gives == "same", gives
        return first


def find(name, space=None):
    for place in SPACES if space is None else (space,):
        home = torch if not place else torch._C if place == "_C" else torch.Tensor if place == "Tensor" else None
        if home is None:
            home = nn.functional if place == "nn.functional" else getattr(torch, place, None)
        if home is not None and hasattr(home, name):
            return getattr(home, name)
    return None


def array(value):
    """A tensor as numpy computes the reference from it: in double precision, with the same strides."""
    if not isinstance(value, torch.Tensor):
        return value
    t = value.detach().resolve_conj()
    if t.dtype in HALVES:
        t = t.to(torch.float32)
    values = t.numpy()
    wide = {"f": np.float64, "c": np.complex128, "i": np.int64, "u": np.int64}.get(values.dtype.kind)
    # order="K" keeps what a transposed tensor looks like.
    return values.astype(wide, order="K") if wide else values.copy(order="K")


def expected(row, sample):
    """What numpy says."""
    wide = {}

    def go(value):
        if isinstance(value, torch.Tensor):
            # Functions of floats take numpy's integers for floats, but its bools for half floats.
            number = value.to(torch.int64) if row.gives == "float" and value.dtype == torch.bool else value
            return wide.setdefault(id(value), array(number))
        return type(value)(go(v) for v in value) if isinstance(value, (list, tuple)) else value

    with np.errstate(all="ignore"):
        return row.ref(*(go(v) for v in sample.args), **{k: go(v) for k, v in sample.kwargs.items()})


ROWS = []


def op(name, ref=None, samples=None, **rest):
    """Adds rows, one for each of the names separated by blanks."""
    for one in name.split():
        ROWS.append(Row(one, ref, samples, **rest))


def private(names, via):
    """Adds rows for private ops that the public op `via` is made of."""
    for name in names.split():
        ROWS.append(Row(name, via=via))
