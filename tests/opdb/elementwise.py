"""Rows of elementwise ops."""

import math

import numpy as np

import rtorch as torch

from . import mathematics as m
from .row import Error, op
from .row import Sample as S
from .samples import SHAPES, binary, calls, given, unary

ALL = "fhcib"
REAL = "fhib"


def ufunc(names, ref, low=None, high=None, **rest):
    op(names, ref, unary(low, high), **{"dtypes": ALL, "gives": "float", **rest})


ufunc("exp", np.exp)
ufunc("exp2", np.exp2)
ufunc("expm1", np.expm1)
ufunc("log", np.log, 0.1, 4)
ufunc("log10", np.log10, 0.1, 4)
ufunc("log2", np.log2, 0.1, 4)
ufunc("log1p", np.log1p, -0.9, 4)
ufunc("sqrt", np.sqrt, 0.1, 4)
ufunc("rsqrt", lambda x: 1 / np.sqrt(x), 0.1, 4)
ufunc("reciprocal", lambda x: 1 / x)
ufunc("sin", np.sin)
ufunc("cos", np.cos)
ufunc("tan", np.tan, -1.2, 1.2)
ufunc("asin", np.arcsin, -0.9, 0.9)
ufunc("acos", np.arccos, -0.9, 0.9)
ufunc("atan", np.arctan, -0.9, 0.9)
ufunc("sinh", np.sinh)
ufunc("cosh", np.cosh)
ufunc("tanh", np.tanh)
ufunc("asinh", np.arcsinh)
ufunc("acosh", np.arccosh, 1.1, 4)
ufunc("atanh", np.arctanh, -0.9, 0.9)
ufunc("sigmoid", m.sigmoid)
ufunc("erf", m.erf, dtypes=REAL)
ufunc("erfc", m.erfc, dtypes=REAL)
ufunc("erfinv", m.erfinv, -0.9, 0.9, dtypes=REAL)
ufunc("lgamma", m.lgamma, dtypes=REAL, tol=(1e-5, 1e-5))
ufunc("digamma", m.digamma, 0.2, 6, dtypes=REAL, tol=(1e-5, 1e-5))
ufunc("i0", m.bessel_i(0), dtypes=REAL)
ufunc("sinc", np.sinc, tol=(1e-5, 1e-5))
ufunc("neg", np.negative, dtypes="fhci", gives="same")
ufunc("positive", lambda x: x, dtypes="fhci", gives="same")
ufunc("abs", np.abs, dtypes="fhci", gives="real", gradgrad=False)
ufunc("sign", np.sign, dtypes="fhi", gives="same")
ufunc("sgn", np.sign, dtypes="fhci", gives="same")
ufunc("signbit", lambda x: x < 0, dtypes=REAL, gives="bool", grad=False)
ufunc("square", lambda x: x * x, dtypes="fhci", gives="same")
ufunc("floor", np.floor, dtypes="fhi", gives="same")
ufunc("ceil", np.ceil, dtypes="fhi", gives="same")
ufunc("trunc", np.trunc, dtypes="fhi", gives="same")
ufunc("frac", lambda x: x - np.trunc(x), dtypes="fh", gives="same")
ufunc("deg2rad", np.deg2rad, dtypes=REAL)
ufunc("rad2deg", np.rad2deg, dtypes=REAL, tol=(1e-5, 1e-5))
ufunc("angle", np.angle, gives=None, gradgrad=False)
ufunc("real", np.real, dtypes="fhc", gives="real", forms=False)
ufunc("imag", np.imag, dtypes="c", gives="real", forms=False)
ufunc("conj_physical", np.conj, gives="same")
ufunc("conj resolve_conj resolve_neg", lambda x: x, dtypes="fhi", gives="same", forms=False)
ufunc("logical_not", np.logical_not, gives="bool", grad=False)
ufunc("bitwise_not", np.bitwise_not, dtypes="ib", gives="same", grad=False)
op(
    "round",
    lambda x, decimals=0: np.round(x, decimals),
    lambda make: iter(
        [S(make(3, 4)), S(make(0))] + ([S(make(5), decimals=2)] if make.dtype in (torch.float32, torch.float64) else [])
    ),
    dtypes="fhi",
)
op("round", np.round, given(lambda make: make.tensor([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 0.2])), dtypes="fh", grad=False)


def special_values(make):
    yield S(make.tensor([0.0, -0.0, 1.5, math.inf, -math.inf, math.nan]))
    yield S(make(3, 4))
    yield S(make(0, 2))


for _name, _ref in {"isnan": np.isnan, "isinf": np.isinf, "isfinite": np.isfinite}.items():
    op(_name, _ref, special_values, dtypes="fhc", gives="bool", grad=False)
op("isposinf", lambda x: x == np.inf, special_values, dtypes="fh", gives="bool", grad=False)
op("isneginf", lambda x: x == -np.inf, special_values, dtypes="fh", gives="bool", grad=False)
op("isreal", np.isreal, unary(), dtypes=ALL, gives="bool", grad=False)
op(
    "nan_to_num",
    lambda x, nan=0.0, posinf=None, neginf=None: np.nan_to_num(x, nan=nan, posinf=posinf, neginf=neginf),
    lambda make: iter(
        [
            S(make.tensor([1.5, math.inf, -math.inf, math.nan]), 0.5, posinf=2.0, neginf=-3.0),
            S(make(2, 3)),
            S(make.tensor([math.nan, 4.0]), nan=1.0),
        ]
    ),
    dtypes="fh",
)

# torch.special
ufunc(
    "entr",
    lambda x: np.where(x > 0, -x * np.log(np.where(x > 0, x, 1)), np.where(x == 0, 0, -np.inf)),
    0.1,
    3,
    dtypes=REAL,
)
ufunc("i0e", m.bessel_i(0, scaled=True), dtypes=REAL)
ufunc("i1", m.bessel_i(1), dtypes=REAL)
ufunc("i1e", m.bessel_i(1, scaled=True), dtypes=REAL)
ufunc("erfcx", m.erfcx, dtypes="fib", tol=(1e-5, 1e-5), high=3, low=-2)
ufunc("ndtr", lambda x: m.erfc(-x / math.sqrt(2)) / 2, dtypes=REAL)
ufunc("log_ndtr", m.log_ndtr, dtypes="f", tol=(1e-5, 1e-5))
ufunc("ndtri", m.ndtri, 0.05, 0.95, dtypes="f")
_BESSEL = dict(dtypes="f", grad=False, tol=(2e-4, 2e-4))
ufunc("bessel_j0", m.bessel_j(0), **_BESSEL)
ufunc("bessel_j1", m.bessel_j(1), **_BESSEL)
ufunc("bessel_y0", m.bessel_y(0), 0.1, 9, **_BESSEL)
ufunc("bessel_y1", m.bessel_y(1), 0.1, 9, **_BESSEL)
ufunc("modified_bessel_i0", m.bessel_i(0), **_BESSEL)
ufunc("modified_bessel_i1", m.bessel_i(1), **_BESSEL)
ufunc("modified_bessel_k0", m.bessel_k(0), 0.1, 9, **_BESSEL)
ufunc("modified_bessel_k1", m.bessel_k(1), 0.1, 9, **_BESSEL)
ufunc("scaled_modified_bessel_k0", m.bessel_k(0, True), 0.1, 9, **_BESSEL)
ufunc("scaled_modified_bessel_k1", m.bessel_k(1, True), 0.1, 9, **_BESSEL)
ufunc("spherical_bessel_j0", lambda x: np.sin(x) / x, 0.1, 9, **_BESSEL)
ufunc("airy_ai", m.airy_ai, -3, 3, **_BESSEL)


def degrees(low=-1, high=1):
    def draw(make):
        yield S(make(2, 5, low=low, high=high), torch.arange(5).to(make.dtype))
        yield S(make(7, low=low, high=high), torch.tensor(3).to(make.dtype))
        yield S(make(4, low=low, high=high), 6)
        yield S(make(0), 2)

    return draw


_POLYNOMIAL = dict(dtypes="f", grad=False, gives="float", tol=(1e-4, 1e-4))
for _kind, _first in {
    "t": lambda x: x,
    "u": lambda x: 2 * x,
    "v": lambda x: 2 * x - 1,
    "w": lambda x: 2 * x + 1,
}.items():
    op(f"chebyshev_polynomial_{_kind}", m.chebyshev(_first), degrees(), **_POLYNOMIAL)
    op(f"shifted_chebyshev_polynomial_{_kind}", m.chebyshev(_first, True), degrees(0.05, 0.95), **_POLYNOMIAL)
op("hermite_polynomial_h", m.hermite_h, degrees(), **_POLYNOMIAL)
op("hermite_polynomial_he", m.hermite_he, degrees(), **_POLYNOMIAL)
op("laguerre_polynomial_l", m.laguerre, degrees(), **_POLYNOMIAL)
op("legendre_polynomial_p", m.legendre, degrees(), **_POLYNOMIAL)
op("zeta", m.zeta, binary(1.3, 5, 0.5, 4), gives="float", tol=(1e-5, 1e-5), constants=(0,), gradgrad=True)
op("gammainc igamma", m.gammainc, binary(0.3, 5, 0.2, 6), gives="same", tol=(1e-4, 1e-5), constants=(0,))
op("gammaincc igammac", m.gammaincc, binary(0.3, 5, 0.2, 6), gives="same", tol=(1e-4, 1e-5), constants=(0,))
op(
    "polygamma",
    m.polygamma,
    lambda make: (S(n, make(*shape, low=0.3, high=5)) for n in (0, 1, 2, 3) for shape in ((), (2, 3))),
    gives="float",
    tol=(1e-4, 1e-4),
    forms=False,
)
op("mvlgamma multigammaln", m.multigammaln, calls((1,), (3,), low=1.6, high=6), gives="float", tol=(1e-5, 1e-5))
op(
    "logit",
    lambda x, eps=None: np.log((y := x if eps is None else np.clip(x, eps, 1 - eps)) / (1 - y)),
    calls((), (0.05,), dict(eps=0.2), shapes=((), (3, 4)), low=0.06, high=0.94),
    gives="float",
    dtypes="fh",
)
op("xlogy", lambda x, y: np.where(x == 0, 0, x * np.log(y)), binary(0.2, 3, numbers=(2.5,)), gives="float", dtypes=REAL)
op(
    "xlog1py",
    lambda x, y: np.where(x == 0, 0, x * np.log1p(y)),
    binary(0.2, 3, numbers=(2.5,)),
    gives="float",
    dtypes=REAL,
)

# Arithmetic.


def scaled(ref):
    return lambda a, b, alpha=1: ref(a, alpha * b)


def scaled_samples(make):
    yield from binary(numbers=(2,))(make)
    if make.dtype is not torch.bool:
        yield S(make(2, 3), make(3), alpha=2)
        yield S(make(4), 3, alpha=2)
        if make.floating:
            yield S(make(2, 3), make(2, 3), alpha=-0.5)


op(
    "add",
    lambda a, b, alpha=1: np.logical_or(a, b) if a.dtype == bool and not isinstance(b, int) else a + alpha * b,
    lambda make: binary()(make) if make.dtype is torch.bool else scaled_samples(make),
    dtypes=ALL,
    errors=[
        Error(
            lambda make: S(make(2, 3), make(2, 4)),
            RuntimeError,
            r"The size of tensor a \(3\) must match the size of tensor b \(4\) at non-singleton dimension 1",
        )
    ],
)
op(
    "sub",
    scaled(np.subtract),
    scaled_samples,
    dtypes="fhci",
    errors=[Error(lambda make: S(make.mask(2), make.mask(2)), RuntimeError, "Subtraction, the `-` operator")],
)
op("rsub", lambda a, b, alpha=1: b - alpha * a, scaled_samples, dtypes="fhci")
op(
    "mul",
    np.multiply,
    binary(numbers=(2,)),
    dtypes=ALL,
    gives=None,
    errors=[
        Error(lambda make: S(make(2), make(3)), RuntimeError, "The size of tensor a"),
        Error(lambda make: S(make(2), "x"), TypeError, "mul()"),
    ],
)


def divide(a, b, rounding_mode=None):
    q = np.true_divide(a, b)
    return np.floor(q) if rounding_mode == "floor" else np.trunc(q) if rounding_mode == "trunc" else q


def division(*modes):
    def draw(make):
        numbers = (2.5,) if make.floating else (2,)
        for mode in modes:
            kw = {} if mode == "" else {"rounding_mode": mode}
            yield from binary(low2=1, high2=4, numbers=numbers, **kw)(make)

    return draw


op("div divide", divide, division("", None), dtypes=ALL, gives="float")
op("true_divide", divide, division(""), dtypes=ALL, gives="float", forms=False)
op(
    "div divide",
    divide,
    division("floor", "trunc"),
    dtypes="fhi",
    gives="same",
    errors=[
        Error(lambda make: S(make(2), make(2), rounding_mode="up"), RuntimeError, "rounding_mode to be one of"),
        Error(
            lambda make: S(torch.tensor([1, 2]), torch.tensor([0, 1]), rounding_mode="floor"),
            RuntimeError,
            "ZeroDivisionError",
        ),
    ],
)
op("floor_divide", np.floor_divide, binary(low2=1, high2=4, numbers=(2,)), dtypes="fhi", grad=False)
op("remainder", np.remainder, binary(low2=1, high2=4, numbers=(3,)), dtypes="fhi", tol=(1e-5, 1e-5))
op("fmod", np.fmod, binary(low2=1, high2=4, numbers=(3,)), dtypes="fhi", tol=(1e-5, 1e-5))
op(
    "pow",
    lambda a, b: np.power(a, b),
    lambda make: iter(
        [*binary(0.3, 2.5, 0 if not make.floating else -2, 3)(make)]
        + [S(make(2, 3, low=0.3, high=3), n) for n in (0, 1, 2, 3, *((0.5, -1, -2.5) if make.floating else ()))]
        + [S(2, make(5, low=0, high=4))]
    ),
    dtypes="fhci",
    tol=(1e-5, 1e-5),
    forms=False,
    errors=[
        Error(
            lambda make: S(torch.tensor([2, 3]), -1),
            RuntimeError,
            "Integers to negative integer powers are not allowed",
        )
    ],
)
op(
    "float_power",
    np.float_power,
    binary(0.3, 2.5, 0, 3, numbers=(2,)),
    dtypes="fi",
    gives=torch.float64,
    forms=False,
)
for _name, _ref in dict(
    eq=np.equal, ne=np.not_equal, lt=np.less, le=np.less_equal, gt=np.greater, ge=np.greater_equal
).items():
    op(_name, _ref, binary(numbers=(2,)), dtypes=ALL if _name in ("eq", "ne") else REAL, gives="bool", grad=False)
for _name in ("and", "or", "xor"):
    op(f"logical_{_name}", getattr(np, f"logical_{_name}"), binary(), dtypes=ALL, gives="bool", grad=False)
    op(f"bitwise_{_name}", getattr(np, f"bitwise_{_name}"), binary(numbers=(1,)), dtypes="ib", gives=None, grad=False)
    op(
        f"__{_name}__",
        getattr(np, f"bitwise_{_name}"),
        binary(numbers=(1,)),
        dtypes="ib",
        gives=None,
        grad=False,
        space="Tensor",
        forms=False,
    )
for _name, _ref in {"left": np.left_shift, "right": np.right_shift}.items():
    op(
        f"bitwise_{_name}_shift __{_name[0]}shift__",
        _ref,
        binary(0, 9, 0, 3, numbers=(2,)),
        dtypes="i",
        grad=False,
        forms=False,
    )
op("maximum", np.maximum, binary(), dtypes=REAL)
op("minimum", np.minimum, binary(), dtypes=REAL)
op("fmax", np.fmax, binary(), dtypes=REAL)
op("fmin", np.fmin, binary(), dtypes=REAL)
op("atan2", np.arctan2, binary(), dtypes=REAL, gives="float")
op("hypot", np.hypot, binary(), dtypes="fh")
op("copysign", np.copysign, binary(numbers=(-2,)), dtypes="fh", gives="float", constants=(1,), gradgrad=False)
op(
    "nextafter",
    None,
    binary(broadcast=False),
    grad=False,
    check=lambda r, s: np.testing.assert_array_equal(r.numpy(), np.nextafter(s.args[0].numpy(), s.args[1].numpy())),
)
op("heaviside", np.heaviside, binary(), dtypes="fhi", grad=False)
op("logaddexp", np.logaddexp, binary(), dtypes="fh")
op("logaddexp2", np.logaddexp2, binary(), dtypes="fh")
op("gcd", np.gcd, binary(), dtypes="i", grad=False)
op("lcm", np.lcm, binary(), dtypes="i", grad=False)
op(
    "ldexp",
    lambda a, b: a * np.exp2(b),
    given(
        lambda make: (make(2, 3), torch.tensor([1, -2, 3])),
        lambda make: (make(4), torch.tensor(2)),
        lambda make: (make(0), torch.tensor(2)),
    ),
    dtypes="f",
)
op(
    "isclose",
    lambda a, b, rtol=1e-5, atol=1e-8, equal_nan=False: np.isclose(a, b, rtol, atol, equal_nan),
    given(
        lambda make: (make.tensor([1.0, 2.0, 3.0]), make.tensor([1.0, 2.5, 3.0])),
        lambda make: S(make.tensor([1.0, math.nan]), make.tensor([1.1, math.nan]), rtol=0.2, equal_nan=True),
        lambda make: S(make.tensor([1.0, 2.0]), make.tensor([1.4, 1.0]), atol=0.5, rtol=0.0),
    ),
    gives="bool",
    grad=False,
)
op(
    "allclose",
    lambda a, b, rtol=1e-5, atol=1e-8, equal_nan=False: bool(np.allclose(a, b, rtol, atol, equal_nan)),
    given(
        lambda make: (make.tensor([1.0, 2.0, 3.0]), make.tensor([1.0, 2.5, 3.0])),
        lambda make: (make.tensor([1.0]), make.tensor([1.0])),
        lambda make: S(make.tensor([1.0, math.nan]), make.tensor([1.1, math.nan]), rtol=0.2, equal_nan=True),
    ),
    gives=None,
    grad=False,
)
op(
    "equal",
    lambda a, b: bool(np.array_equal(a, b)),
    given(
        lambda make: (make(2, 3), make(2, 3)), lambda make: (make.tensor([1, 2]),) * 2, lambda make: (make(2), make(3))
    ),
    dtypes=ALL,
    gives=None,
    grad=False,
)

# Clamping, blending, choosing.


def clip(x, min=None, max=None):
    x = x if min is None else np.maximum(x, min)
    return x if max is None else np.minimum(x, max)


def clamp_samples(make):
    for shape in ((), (2, 3), (67,), (0,)):
        yield S(make(*shape), 1, 3)
        yield S(make(*shape), min=2)
        yield S(make(*shape), max=1)
    yield S(make(2, 3), make(3), make(2, 1))
    yield S(make(2, 3), min=make(2, 3))


op(
    "clamp clip",
    clip,
    clamp_samples,
    dtypes="fhi",
    errors=[Error(lambda make: S(make(2)), RuntimeError, "At least one of 'min' or 'max' must not be None")],
)
op("clamp_min", np.maximum, binary(numbers=(1,)), dtypes="fhi")
op("clamp_max", np.minimum, binary(numbers=(1,)), dtypes="fhi")
op(
    "lerp",
    lambda a, b, w: a + w * (b - a),
    given(
        lambda make: (make(2, 3), make(2, 3), 0.3),
        lambda make: (make(2, 1), make(3), 0.75),
        lambda make: (make(67), make(67), make(67)),
        lambda make: (make(), make(3), make(2, 1)),
    ),
    dtypes="fhc",
    forms=False,
)
op(
    "addcmul",
    lambda x, a, b, value=1: x + value * a * b,
    given(
        lambda make: (make(2, 3), make(2, 3), make(2, 3)),
        lambda make: S(make(2, 3), make(3), make(2, 1), value=2),
        lambda make: (make(), make(), make()),
    ),
    dtypes="fhci",
)
op(
    "addcdiv",
    lambda x, a, b, value=1: x + value * a / b,
    given(
        lambda make: (make(2, 3), make(2, 3), make(2, 3, low=1, high=3)),
        lambda make: S(make(2, 3), make(3), make(2, 1, low=1, high=3), value=0.5),
    ),
    dtypes="fhc",
)
op(
    "where",
    lambda c, a, b: np.where(c, a, b),
    lambda make: (
        S(make.mask(*c), make(*a), make(*b))
        for c, a, b in (((2, 3),) * 3, ((3,), (2, 1), ()), ((), (2, 2), (2, 2)), ((0,), (0,), (0,)))
    ),
    dtypes=ALL,
    gives=None,
    forms=False,
)
op(
    "where",
    lambda c: tuple(np.nonzero(c)),
    unary(shapes=((2, 3), (4,))),
    dtypes="fib",
    gives=None,
    grad=False,
    forms=False,
)
op(
    "masked_fill",
    lambda x, mask, value: np.where(mask, np.asarray(value, x.dtype), x),
    given(
        lambda make: (make(2, 3), make.mask(2, 3), 1),
        lambda make: (make(2, 3), make.mask(3), 0),
        lambda make: (make(4), make.mask(4), make()),
        lambda make: (make(), make.mask(), 1),
        lambda make: (make(0), make.mask(0), 1),
    ),
    dtypes=ALL,
    errors=[
        Error(lambda make: S(make(2), torch.tensor([1, 0]), 1), RuntimeError, "only supports boolean masks"),
    ],
)
op("complex", lambda a, b: a + 1j * b, binary(broadcast=True), gives=None)
op("polar", lambda r, t: r * np.exp(1j * t), binary(0.2, 3), gives=None)
op("frexp", lambda x: np.frexp(x), unary(), dtypes="f", gives=("same", torch.int32), grad=False)

# Activations.


def activation(names, ref, *more, **rest):
    """Called with no further argument and with each of `more`."""
    given_more = calls((), *more, shapes=((), (3, 4), (131,), (0,))) if more else unary(shapes=SHAPES)
    op(names, ref, given_more, **{"dtypes": "fh", "space": "nn.functional", **rest})


activation("relu", lambda x: np.maximum(x, 0), dtypes="fhi")
activation("relu6", lambda x: np.clip(x, 0, 6))
activation("sigmoid", m.sigmoid, dtypes="fhc")
activation("tanh", np.tanh, dtypes="fhc")
activation("elu", lambda x, alpha=1.0: np.where(x > 0, x, alpha * np.expm1(x)), (0.5,), gradgrad=True)
activation("celu", lambda x, alpha=1.0: np.where(x > 0, x, alpha * np.expm1(x / alpha)), (0.5,))
activation("selu", lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x)))
activation("leaky_relu", lambda x, s=0.01: np.where(x > 0, x, s * x), (0.2,))
activation("hardtanh", lambda x, low=-1.0, high=1.0: np.clip(x, low, high), (-2.0, 0.5))
activation("hardsigmoid", lambda x: np.clip(x + 3, 0, 6) / 6, gradgrad=False)
activation("hardswish", lambda x: x * np.clip(x + 3, 0, 6) / 6)
activation("hardshrink", lambda x, lambd=0.5: np.where(np.abs(x) > lambd, x, 0), (1.0,))
activation("softshrink", lambda x, lambd=0.5: np.sign(x) * np.maximum(np.abs(x) - lambd, 0), (1.0,))
activation("tanhshrink", lambda x: x - np.tanh(x))
activation("softsign", lambda x: x / (1 + np.abs(x)), gradgrad=False)
activation(
    "softplus",
    lambda x, beta=1.0, threshold=20.0: np.where(x * beta > threshold, x, np.log1p(np.exp(x * beta)) / beta),
    (2.0,),
    (1.0, 1.0),
)
activation("logsigmoid", lambda x: np.log(m.sigmoid(x)))
activation("silu", lambda x: x * m.sigmoid(x))
activation("mish", lambda x: x * np.tanh(np.log1p(np.exp(x))))
activation(
    "gelu",
    lambda x, approximate="none": (
        x * 0.5 * (1 + m.erf(x / math.sqrt(2)))
        if approximate == "none"
        else x * 0.5 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    ),
    dict(approximate="tanh"),
    errors=[Error(lambda make: S(make(2), approximate="x"), RuntimeError, "approximate argument must be either")],
)
op(
    "threshold",
    lambda x, t, v: np.where(x > t, x, np.asarray(v, x.dtype)),
    calls((1, 2), shapes=((), (3, 4), (0,))),
    dtypes="fhi",
    space="nn.functional",
)
op(
    "glu",
    lambda x, dim=-1: np.split(x, 2, dim)[0] * m.sigmoid(np.split(x, 2, dim)[1]),
    given(lambda make: make(2, 6), lambda make: (make(4, 3), 0), lambda make: S(make(2, 4, 3), dim=1)),
    dtypes="fh",
    errors=[Error(lambda make: S(make(3)), RuntimeError, "Halving dimension must be even")],
)
op(
    "prelu",
    lambda x, w: np.where(x > 0, x, (w if w.size == 1 else w.reshape((1, -1) + (1,) * (x.ndim - 2))) * x),
    given(lambda make: (make(2, 3, 4), make(3)), lambda make: (make(5), make(1)), lambda make: (make(2, 3), make(3))),
    dtypes="fh",
)
op(
    "rrelu",
    lambda x, *a, **k: np.where(x > 0, x, x * (1 / 8 + 1 / 3) / 2),
    unary(shapes=((3, 4), (7,))),
    dtypes="f",
    forms=False,
)
