"""Comparing results and making inputs, for tests."""

import collections.abc
import math

__all__ = ["assert_close", "make_tensor"]

# Default tolerances (rtol, atol) by dtype; other dtypes compare exactly.
_TOLERANCES = {
    "float16": (1e-3, 1e-5),
    "bfloat16": (1.6e-2, 1e-5),
    "float32": (1.3e-6, 1e-5),
    "float64": (1e-7, 1e-7),
    "complex64": (1.3e-6, 1e-5),
    "complex128": (1e-7, 1e-7),
}
_NUMBER_DTYPES = {int: "int64", float: "float64", complex: "complex128"}


class _Mismatch(Exception):
    """A difference, and the way to the item that has it."""

    def __init__(self, message, kind=AssertionError, path=()):
        super().__init__(message)
        self.message, self.kind, self.path = message, kind, path


def assert_close(
    actual,
    expected,
    *,
    allow_subclasses=True,
    rtol=None,
    atol=None,
    equal_nan=False,
    check_device=True,
    check_dtype=True,
    check_layout=True,
    check_stride=False,
    msg=None,
):
    """Asserts that `actual` and `expected` are close: ``|actual - expected| <= atol + rtol * |expected|``.

    Args:
        actual: Tensor, array, number or None, or a sequence or mapping of these.
        expected: The same.
        allow_subclasses (bool): Whether related types may be compared.
        rtol (float): Relative tolerance; None takes the default of the dtype (float32: 1.3e-6).
        atol (float): Absolute tolerance; None takes the default of the dtype (float32: 1e-5).
        equal_nan (bool): Whether nans equal each other.
        check_device (bool): Whether devices have to match.
        check_dtype (bool): Whether dtypes have to match.
        check_layout (bool): Whether layouts have to match.
        check_stride (bool): Whether strides have to match.
        msg (str or callable): Replaces the message, or makes one of the generated message.

    Raises:
        AssertionError: If they differ.
        TypeError: If there is no way to compare such objects.
        ValueError: If only one of `rtol` and `atol` is given.

    Example:
        >>> import rtorch as torch
        >>> torch.testing.assert_close(torch.tensor([1.0]), torch.tensor([1.0 + 1e-7]))
    """
    if (rtol is None) != (atol is None):
        lost = "rtol" if rtol is None else "atol"
        raise ValueError(f"Both 'rtol' and 'atol' must be either specified or omitted, but got no {lost}.")
    checks = {"device": check_device, "dtype": check_dtype, "layout": check_layout, "stride": check_stride}
    error = None
    try:
        _compare(actual, expected, allow_subclasses, (rtol, atol), equal_nan, checks)
    except _Mismatch as found:
        message = found.message
        if found.path:
            message += f"\n\nThe failure occurred for item {''.join(f'[{step!r}]' for step in found.path)}"
        if msg is not None and found.kind is AssertionError:
            message = msg(message) if callable(msg) else msg
        error = found.kind(message)
    if error is not None:
        raise error


def _is_array(x):
    return type(x).__module__ == "numpy" and hasattr(x, "__array__")


def _related(actual, expected, allow_subclasses):
    a, b = type(actual), type(expected)
    return a is b or (allow_subclasses and (issubclass(a, b) or issubclass(b, a)))


def _number(x):
    """A Python number for a Python or numpy one, or None."""
    if _is_array(x) and hasattr(x, "item") and not hasattr(x, "__len__"):
        x = x.item()
    elif _is_array(x) and getattr(x, "shape", None) == () and type(x).__name__ != "ndarray":
        x = x.item()
    return x if isinstance(x, (bool, int, float, complex)) else None


def _compare(actual, expected, allow_subclasses, tolerances, equal_nan, checks):
    import rtorch as torch

    def inner(a, b, step):
        try:
            _compare(a, b, allow_subclasses, tolerances, equal_nan, checks)
        except _Mismatch as found:
            found.path = (step, *found.path)
            raise

    text = (str, bytes)
    if (
        isinstance(actual, collections.abc.Sequence)
        and isinstance(expected, collections.abc.Sequence)
        and not isinstance(actual, text)
        and not isinstance(expected, text)
    ):
        if len(actual) != len(expected):
            raise _Mismatch(f"The length of the sequences mismatch: {len(actual)} != {len(expected)}")
        for i, (a, b) in enumerate(zip(actual, expected)):
            inner(a, b, i)
        return
    if isinstance(actual, collections.abc.Mapping) and isinstance(expected, collections.abc.Mapping):
        missing = [k for k in expected if k not in actual]
        extra = [k for k in actual if k not in expected]
        if missing or extra:
            raise _Mismatch(
                "The keys of the mappings do not match:\n"
                f"Missing keys in the actual mapping: {sorted(missing, key=str)}\n"
                f"Additional keys in the actual mapping: {sorted(extra, key=str)}"
            )
        for key in expected:
            inner(actual[key], expected[key], key)
        return
    if actual is None or expected is None:
        if actual is not expected:
            raise _Mismatch(f"None mismatch: {actual} is not {expected}")
        return
    numbers = _number(actual), _number(expected)
    if isinstance(numbers[0], bool) and isinstance(numbers[1], bool):
        if numbers[0] is not numbers[1]:
            raise _Mismatch(f"Booleans mismatch: {numbers[0]} is not {numbers[1]}")
        return
    if None not in numbers and not isinstance(numbers[0], bool) and not isinstance(numbers[1], bool):
        _compare_numbers(*numbers, tolerances, equal_nan, checks["dtype"])
        return
    tensors = isinstance(actual, torch.Tensor) and isinstance(expected, torch.Tensor)
    arrays = _is_array(actual) and _is_array(expected)
    if not (tensors or arrays) or not _related(actual, expected, allow_subclasses):
        raise _Mismatch(
            f"No comparison pair was able to handle inputs of type {type(actual)} and {type(expected)}.", TypeError
        )
    _compare_tensors(torch.as_tensor(actual), torch.as_tensor(expected), tolerances, equal_nan, checks)


def _resolve(tolerances, *dtypes):
    """The tolerances given, or the widest default of the dtypes."""
    if tolerances[0] is not None:
        return tolerances
    defaults = [_TOLERANCES.get(d, (0.0, 0.0)) for d in dtypes]
    return max(d[0] for d in defaults), max(d[1] for d in defaults)


def _allowed(tolerance, exact):
    return "" if exact else f" (up to {tolerance} allowed)"


def _compare_numbers(actual, expected, tolerances, equal_nan, check_dtype):
    if check_dtype and type(actual) is not type(expected):
        raise _Mismatch(f"The (d)types do not match: {type(actual)} != {type(expected)}.")
    rtol, atol = _resolve(tolerances, _NUMBER_DTYPES[type(actual)], _NUMBER_DTYPES[type(expected)])
    _check_scalar(actual, expected, rtol, atol, equal_nan)


def _check_scalar(actual, expected, rtol, atol, equal_nan):
    if actual == expected or (equal_nan and actual != actual and expected != expected):
        return
    difference = abs(actual - expected)
    size = abs(expected)
    if math.isfinite(difference) and math.isfinite(size) and difference <= atol + rtol * size:
        return
    exact = rtol == 0 and atol == 0
    relative = math.inf if expected == 0 else difference / size
    raise _Mismatch(
        f"Scalars are not {'equal' if exact else 'close'}!\n\nExpected {expected} but got {actual}.\n"
        f"Absolute difference: {difference}{_allowed(atol, exact)}\n"
        f"Relative difference: {relative}{_allowed(rtol, exact)}"
    )


def _compare_tensors(actual, expected, tolerances, equal_nan, checks):
    import rtorch as torch

    def attribute(name, a, b, check=True):
        if check and a != b:
            raise _Mismatch(f"The values for attribute '{name}' do not match: {a} != {b}.")

    attribute("shape", actual.shape, expected.shape)
    attribute("layout", actual.layout, expected.layout, checks["layout"])
    attribute("device", actual.device, expected.device, checks["device"])
    attribute("dtype", actual.dtype, expected.dtype, checks["dtype"])
    attribute("stride()", actual.stride(), expected.stride(), checks["stride"])
    names = [str(t.dtype).rsplit(".", 1)[-1] for t in (actual, expected)]
    rtol, atol = _resolve(tolerances, *names)
    with torch.no_grad():
        actual, expected = actual.detach().to("cpu"), expected.detach().to("cpu")
        if actual.dim() == 0:
            _check_scalar(actual.item(), expected.item(), rtol, atol, equal_nan)
            return
        if actual.dtype != expected.dtype:
            common = torch.promote_types(actual.dtype, expected.dtype)
            actual, expected = actual.to(common), expected.to(common)
        if not (actual.dtype.is_floating_point or actual.dtype.is_complex) and actual.dtype != torch.int64:
            if actual.dtype == torch.uint64 and torch.equal(actual, expected):
                return
            # Differences of unsigned integers would wrap.
            actual, expected = actual.to(torch.int64), expected.to(torch.int64)
        matches = torch.isclose(actual, expected, rtol=rtol, atol=atol, equal_nan=equal_nan)
        if matches.all():
            return
        _raise_tensor(actual, expected, matches, rtol, atol)


def _raise_tensor(actual, expected, matches, rtol, atol):
    import rtorch as torch

    exact = rtol == 0 and atol == 0
    total = matches.numel()
    wrong = total - int(matches.sum())

    def worst(values):
        values = torch.where(matches, torch.zeros_like(values), values).reshape(-1)
        at = int(values.argmax())
        index, rest = [], at
        for size in reversed(actual.shape):
            rest, i = divmod(rest, size)
            index.append(i)
        return f"{values[at].item()} at index {tuple(reversed(index))}"

    difference = (actual - expected).abs()
    relative = difference / expected.abs()
    raise _Mismatch(
        f"Tensor-likes are not {'equal' if exact else 'close'}!\n\n"
        f"Mismatched elements: {wrong} / {total} ({wrong / total:.1%})\n"
        f"Greatest absolute difference: {worst(difference)}{_allowed(atol, exact)}\n"
        f"Greatest relative difference: {worst(relative)}{_allowed(rtol, exact)}"
    )


def make_tensor(
    *shape,
    dtype,
    device,
    low=None,
    high=None,
    requires_grad=False,
    noncontiguous=False,
    exclude_zero=False,
    memory_format=None,
):
    """Returns a tensor of uniform random values in ``[low, high)``.

    Args:
        shape (ints or one sequence): The shape.
        dtype (torch.dtype): The dtype.
        device (str or torch.device): The device.
        low (float): Least value; by default -9, or 0 for unsigned dtypes and bool.
        high (float): Bound above; by default 9 for floating dtypes, 10 for integers, 2 for bool.
        requires_grad (bool): Whether the tensor asks for a gradient.
        noncontiguous (bool): Whether the tensor has gaps, where it has more than one element.
        exclude_zero (bool): Whether zeros are replaced by the smallest positive number.
        memory_format (torch.memory_format): The memory format.

    Raises:
        ValueError: If the bounds make no sense or the other arguments exclude each other.

    Example:
        >>> import rtorch as torch
        >>> torch.testing.make_tensor(2, 3, dtype=torch.float32, device="cpu").shape
        torch.Size([2, 3])
    """
    import rtorch as torch

    if len(shape) == 1 and isinstance(shape[0], collections.abc.Sequence):
        shape = tuple(shape[0])
    floating = dtype.is_floating_point or dtype.is_complex
    if requires_grad and not floating:
        raise ValueError(
            f"`requires_grad=True` is not supported for boolean and integral dtypes, but got dtype={dtype}"
        )
    if noncontiguous and memory_format is not None:
        raise ValueError(
            "The parameters `noncontiguous` and `memory_format` are mutually exclusive, but got "
            f"noncontiguous={noncontiguous} and memory_format={memory_format}"
        )
    low, high = _bounds(torch, dtype, low, high)
    # One column in two is kept, which leaves the gaps.
    made = (*shape[:-1], 2 * shape[-1]) if noncontiguous and shape and math.prod(shape) > 1 else shape
    if floating:
        result = torch.empty(made, dtype=dtype, device=device)
        flat = torch.view_as_real(result) if dtype.is_complex else result
        flat.uniform_(low, high)
    else:
        result = torch.randint(low, high, made, dtype=dtype, device=device)
    if made != shape:
        result = result[..., 1::2]
    if exclude_zero:
        smallest = torch.finfo(dtype).tiny if floating else 1
        result[result == 0] = smallest
    if memory_format is not None:
        result = result.clone(memory_format=memory_format)
    return result.requires_grad_() if requires_grad else result


def _bounds(torch, dtype, low, high):
    """The bounds, with defaults, inside of what the dtype can hold."""
    if dtype == torch.bool:
        defaults, least, most = (0, 2), 0, 2
    elif dtype.is_floating_point or dtype.is_complex:
        info = torch.finfo(dtype)
        defaults, least, most = (-9, 9), info.min, info.max
    else:
        info = torch.iinfo(dtype)
        # `high` is exclusive; beyond 64 bits there is nothing to draw from.
        defaults, least, most = (0 if info.min == 0 else -9, 10), info.min, min(info.max + 1, 2**63 - 1)
    low = defaults[0] if low is None else low
    high = defaults[1] if high is None else high
    if low != low or high != high:
        raise ValueError(f"`low` and `high` cannot be NaN, but got low={low} and high={high}")
    # A floating interval of one point is a constant; integers have nothing to draw from it.
    if low > high or (low == high and isinstance(least, int)):
        raise ValueError(f"`low` must be less than `high`, but got {low} >= {high}")
    low, high = min(max(low, least), most), min(max(high, least), most)
    if isinstance(least, int):
        low, high = math.ceil(low), math.ceil(high)
    return low, high
