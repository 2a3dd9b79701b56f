"""Functions that numpy lacks, from their definitions: series, recurrences and integrals in double precision."""

import math
from statistics import NormalDist

import numpy as np

NODES, WEIGHTS = np.polynomial.legendre.leggauss(160)


def vectorised(f):
    return lambda *args: np.vectorize(f, otypes=[np.float64])(*args)


def edges(f):
    """Domain errors of `math` become nan or infinity, as in numpy."""

    def g(*args):
        try:
            return f(*args)
        except ValueError:
            return math.nan
        except OverflowError:
            return math.inf

    return vectorised(g)


erf = edges(math.erf)
erfc = edges(math.erfc)
lgamma = edges(lambda x: math.inf if x <= 0 and x == int(x) else math.lgamma(x))
_normal = NormalDist()


@vectorised
def ndtri(p):
    if p <= 0 or p >= 1:
        return -math.inf if p == 0 else math.inf if p == 1 else math.nan
    return _normal.inv_cdf(p)


def erfinv(x):
    return ndtri((np.asarray(x, float) + 1) / 2) / math.sqrt(2)


def _digamma(x):
    if x <= 0 and x == math.floor(x):
        return -math.inf if x == 0 else math.nan
    if x < 0:
        return _digamma(1 - x) - math.pi / math.tan(math.pi * x)
    total = 0.0
    while x < 12:
        total -= 1 / x
        x += 1
    inverse = 1 / (x * x)
    series = inverse * (1 / 12 - inverse * (1 / 120 - inverse * (1 / 252 - inverse * (1 / 240 - inverse / 132))))
    return total + math.log(x) - 0.5 / x - series


digamma = vectorised(_digamma)


def _zeta(x, q):
    """The Hurwitz zeta function by Euler and Maclaurin's formula, for x > 1 and q > 0."""
    if x == 1:
        return math.inf
    if x < 1 or q <= 0:
        return math.nan
    n = 16
    total = sum((q + k) ** -x for k in range(n))
    a = q + n
    total += a ** (1 - x) / (x - 1) + a**-x / 2
    factor, power = x, a ** (-x - 1)
    bernoulli = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730)
    for k, b in enumerate(bernoulli, 1):
        total += b / math.factorial(2 * k) * factor * power
        factor *= (x + 2 * k - 1) * (x + 2 * k)
        power /= a * a
    return total


zeta = vectorised(_zeta)


def polygamma(n, x):
    return digamma(x) if n == 0 else (-1) ** (n + 1) * math.factorial(n) * zeta(n + 1, x)


def _gammainc(a, x):
    if a < 0 or x < 0:
        return math.nan
    if x == 0:
        return 0.0
    if a == 0:
        return 1.0
    term = total = 1 / a
    for k in range(1, 2000):
        term *= x / (a + k)
        total += term
        if term < total * 1e-17:
            break
    return total * math.exp(a * math.log(x) - x - math.lgamma(a))


gammainc = vectorised(_gammainc)


def _gammaincc(a, x):
    if x < a + 1 or x == 0:
        return 1 - _gammainc(a, x)
    # Lentz's continued fraction, which keeps the digits of a small tail.
    b, tiny = x + 1 - a, 1e-300
    c, d = 1 / tiny, 1 / b
    h = d
    for i in range(1, 2000):
        step = -i * (i - a)
        b += 2
        d = 1 / (step * d + b)
        c = b + step / c
        h *= d * c
    return h * math.exp(a * math.log(x) - x - math.lgamma(a)) if a > 0 else 0.0


gammaincc = vectorised(_gammaincc)


def multigammaln(x, p):
    return p * (p - 1) / 4 * math.log(math.pi) + sum(lgamma(x - j / 2) for j in range(p))


def _integrate(f, low, high):
    half = (high - low) / 2
    return half * float(np.sum(WEIGHTS * f(half * NODES + (high + low) / 2)))


@vectorised
def erfcx(x):
    if x < 10:
        return math.exp(x * x) * math.erfc(x)
    return sum((-1) ** k * math.prod(range(1, 2 * k, 2)) / (2 * x * x) ** k for k in range(8)) / (
        x * math.sqrt(math.pi)
    )


@vectorised
def log_ndtr(x):
    return math.log(math.erfc(-x / math.sqrt(2)) / 2)


def bessel_j(n):
    return vectorised(lambda x: _integrate(lambda t: np.cos(n * t - x * np.sin(t)), 0, math.pi) / math.pi)


def bessel_y(n):
    def f(x):
        if x <= 0:
            return -math.inf if x == 0 else math.nan
        waves = _integrate(lambda t: np.sin(x * np.sin(t) - n * t), 0, math.pi)
        top = math.asinh(60 / x) + 1

        def tail(t):
            return (np.exp(n * t) + (-1) ** n * np.exp(-n * t)) * np.exp(-x * np.sinh(t))

        pieces = np.linspace(0, top, 9)
        return (waves - sum(_integrate(tail, a, b) for a, b in zip(pieces, pieces[1:]))) / math.pi

    return vectorised(f)


def bessel_i(n, scaled=False):
    def f(x):
        shift = abs(x) if scaled else 0
        return _integrate(lambda t: np.exp(x * np.cos(t) - shift) * np.cos(n * t), 0, math.pi) / math.pi

    return vectorised(f)


def bessel_k(n, scaled=False):
    def f(x):
        if x <= 0:
            return math.inf if x == 0 else math.nan
        shift = x if scaled else 0
        pieces = np.linspace(0, math.acosh(1 + 60 / x) + 1, 9)
        return sum(
            _integrate(lambda t: np.exp(shift - x * np.cosh(t)) * np.cosh(n * t), a, b)
            for a, b in zip(pieces, pieces[1:])
        )

    return vectorised(f)


@vectorised
def airy_ai(x):
    """Maclaurin's series: exact enough for |x| < 4."""
    first, second = 1.0, x
    sums = [first, second]
    for k in range(1, 60):
        first *= x**3 / ((3 * k - 1) * (3 * k))
        second *= x**3 / ((3 * k) * (3 * k + 1))
        sums[0] += first
        sums[1] += second
    return sums[0] / (3 ** (2 / 3) * math.gamma(2 / 3)) - sums[1] / (3 ** (1 / 3) * math.gamma(1 / 3))


def polynomial(first, step):
    """Orthogonal polynomials: p0 = 1, p1 = first(x), p[k + 1] = step(k, x, p[k], p[k - 1])."""

    def f(x, n):
        n = int(n)
        if n < 0:
            return 0.0
        before, now = 1.0, first(x)
        for k in range(1, n):
            before, now = now, step(k, x, now, before)
        return now if n else 1.0

    return vectorised(f)


def chebyshev(first, shifted=False):
    def move(x):
        return 2 * x - 1 if shifted else x

    return polynomial(lambda x: first(move(x)), lambda k, x, p, q: 2 * move(x) * p - q)


hermite_h = polynomial(lambda x: 2 * x, lambda k, x, p, q: 2 * x * p - 2 * k * q)
hermite_he = polynomial(lambda x: x, lambda k, x, p, q: x * p - k * q)
laguerre = polynomial(lambda x: 1 - x, lambda k, x, p, q: ((2 * k + 1 - x) * p - k * q) / (k + 1))
legendre = polynomial(lambda x: x, lambda k, x, p, q: ((2 * k + 1) * x * p - k * q) / (k + 1))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x, axis):
    e = np.exp(x - x.max(axis=axis, keepdims=True, initial=-np.inf))
    return e / e.sum(axis=axis, keepdims=True)


def logsumexp(x, axis, keepdims=False):
    top = np.max(x, axis=axis, keepdims=True, initial=-np.inf)
    top = np.where(np.isfinite(top), top, 0)
    out = np.log(np.sum(np.exp(x - top), axis=axis, keepdims=True)) + top
    return out if keepdims else np.squeeze(out, axis=axis)
