"""Window functions: weights that fade a stretch of a signal in and out.

All are symmetric by default; `sym=False` gives a period, for spectra. Formulas: F. J. Harris, "On the Use of Windows
for Harmonic Analysis with the Discrete Fourier Transform", Proc. IEEE 66 (1978).
"""

import math

import rtorch as torch

__all__ = [
    "bartlett",
    "blackman",
    "cosine",
    "exponential",
    "gaussian",
    "general_cosine",
    "general_hamming",
    "hamming",
    "hann",
    "kaiser",
    "nuttall",
]


def _window(name, M, sym, options, formula, checks=()):
    """Returns `formula(positions, M - 1)`; a periodic window is a longer symmetric one without its end."""
    dtype = options["dtype"] or torch.get_default_dtype()
    if M < 0:
        raise ValueError(f"{name} requires non-negative window length, got M={M}")
    if options["layout"] is not torch.strided:
        raise ValueError(f"{name} is implemented for strided tensors only, got: {options['layout']}")
    if dtype not in (torch.float32, torch.float64):
        raise ValueError(f"{name} expects float32 or float64 dtypes, got: {dtype}")
    for wrong, message in checks:
        if wrong:
            raise ValueError(message)
    device, requires_grad = options["device"], options["requires_grad"]
    if M < 2:
        return torch.ones((M,), dtype=dtype, device=device, requires_grad=requires_grad)
    last = M - 1 if sym else M
    n = torch.arange(M, dtype=torch.float64)
    return formula(n, last).to(device=device, dtype=dtype).requires_grad_(requires_grad)


def _options(dtype, layout, device, requires_grad):
    return {"dtype": dtype, "layout": layout, "device": device, "requires_grad": requires_grad}


def _cosines(name, M, a, sym, options):
    if not isinstance(a, (list, tuple)):
        raise TypeError("Coefficients must be a list/tuple")
    if not a:
        raise ValueError("Coefficients cannot be empty")

    def formula(n, last):
        return sum((-1) ** k * w * torch.cos(n * (2 * math.pi * k / last)) for k, w in enumerate(a)) + 0 * n

    return _window(name, M, sym, options, formula)


def exponential(
    M, *, center=None, tau=1.0, sym=True, dtype=None, layout=torch.strided, device=None, requires_grad=False
):
    """Returns `exp(-|n - center| / tau)`, by default around the middle.

    Args:
        M: the number of values.
        center: the position of the peak; only a periodic window may set it.
        tau: how slowly the weights fall.
        sym: symmetric, or one period for spectra.

    Raises:
        ValueError: `M` is negative, `tau` is not positive, or `center` is given for a symmetric window.
    """
    checks = (
        (tau <= 0, f"Tau must be positive, got: {tau} instead."),
        (sym and center is not None, "Center must be None for symmetric windows"),
    )

    def formula(n, last):
        middle = last / 2 if center is None else center
        return torch.exp(-torch.abs(n - middle) / tau)

    return _window("exponential", M, sym, _options(dtype, layout, device, requires_grad), formula, checks)


def cosine(M, *, sym=True, dtype=None, layout=torch.strided, device=None, requires_grad=False):
    """Returns half a period of a sine: `sin(pi (n + 1/2) / M)`."""

    def formula(n, last):
        return torch.sin((n + 0.5) * (math.pi / (last + 1)))

    return _window("cosine", M, sym, _options(dtype, layout, device, requires_grad), formula)


def gaussian(M, *, std=1.0, sym=True, dtype=None, layout=torch.strided, device=None, requires_grad=False):
    """Returns a bell curve with the standard deviation `std` around the middle.

    Raises:
        ValueError: `M` is negative or `std` is not positive.
    """
    checks = ((std <= 0, f"Standard deviation must be positive, got: {std} instead."),)

    def formula(n, last):
        return torch.exp(-0.5 * ((n - last / 2) / std) ** 2)

    return _window("gaussian", M, sym, _options(dtype, layout, device, requires_grad), formula, checks)


def kaiser(M, *, beta=12.0, sym=True, dtype=None, layout=torch.strided, device=None, requires_grad=False):
    """Returns `I0(beta sqrt(1 - (2 n / (M - 1) - 1)^2)) / I0(beta)`.

    Raises:
        ValueError: `M` or `beta` is negative.
    """
    checks = ((beta < 0, f"beta must be non-negative, got: {beta} instead."),)

    def formula(n, last):
        x = n * (2 / last) - 1
        scale = torch.tensor(float(beta), dtype=torch.float64)
        return torch.i0(beta * torch.sqrt(torch.clamp(1 - x * x, min=0))) / torch.i0(scale)

    return _window("kaiser", M, sym, _options(dtype, layout, device, requires_grad), formula, checks)


def hamming(M, *, sym=True, dtype=None, layout=torch.strided, device=None, requires_grad=False):
    """Returns `0.54 - 0.46 cos(2 pi n / (M - 1))`."""
    return _cosines("hamming", M, [0.54, 0.46], sym, _options(dtype, layout, device, requires_grad))


def hann(M, *, sym=True, dtype=None, layout=torch.strided, device=None, requires_grad=False):
    """Returns `0.5 - 0.5 cos(2 pi n / (M - 1))`."""
    return _cosines("hann", M, [0.5, 0.5], sym, _options(dtype, layout, device, requires_grad))


def blackman(M, *, sym=True, dtype=None, layout=torch.strided, device=None, requires_grad=False):
    """Returns `0.42 - 0.5 cos(2 pi n / (M - 1)) + 0.08 cos(4 pi n / (M - 1))`."""
    return _cosines("blackman", M, [0.42, 0.5, 0.08], sym, _options(dtype, layout, device, requires_grad))


def bartlett(M, *, sym=True, dtype=None, layout=torch.strided, device=None, requires_grad=False):
    """Returns a triangle from zero to one and back."""

    def formula(n, last):
        return 1 - torch.abs(n * (2 / last) - 1)

    return _window("bartlett", M, sym, _options(dtype, layout, device, requires_grad), formula)


def general_cosine(M, *, a, sym=True, dtype=None, layout=torch.strided, device=None, requires_grad=False):
    """Returns a sum of cosines with alternating signs: `sum_k (-1)^k a[k] cos(2 pi k n / (M - 1))`.

    Raises:
        TypeError: `a` is not a list or tuple.
        ValueError: `a` is empty, or `M` is negative.
    """
    return _cosines("general_cosine", M, a, sym, _options(dtype, layout, device, requires_grad))


def general_hamming(M, *, alpha=0.54, sym=True, dtype=None, layout=torch.strided, device=None, requires_grad=False):
    """Returns `alpha - (1 - alpha) cos(2 pi n / (M - 1))`."""
    return _cosines("general_hamming", M, [alpha, 1.0 - alpha], sym, _options(dtype, layout, device, requires_grad))


def nuttall(M, *, sym=True, dtype=None, layout=torch.strided, device=None, requires_grad=False):
    """Returns Nuttall's minimal four-term window."""
    a = [0.3635819, 0.4891775, 0.1365995, 0.0106411]
    return _cosines("nuttall", M, a, sym, _options(dtype, layout, device, requires_grad))
