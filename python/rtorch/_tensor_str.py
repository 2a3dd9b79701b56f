"""The text of a tensor, as PyTorch prints it.

The rules, found by looking at what PyTorch prints:

- Numbers of one tensor share one form and are padded on the left to one width. Where all finite values are whole,
  floats print without decimals (``1.``). Scientific form is taken when the largest magnitude exceeds 1e8 or a thousand
  times the smallest nonzero one, or when fractional values go below 1e-4. Zeros, infinities and nans have no say.
- The parts of a complex number have a form each; the imaginary part carries its sign and no padding.
- Beyond ``threshold`` elements only ``edgeitems`` at both ends of each dimension are printed, and only these decide
  the form.
- Rows wrap so that they end before ``linewidth``; suffixes (``dtype=``, ``grad_fn=``) move to a new line likewise.
"""

import contextlib
import dataclasses
import math

__all__ = ["get_printoptions", "printoptions", "set_printoptions"]


@dataclasses.dataclass
class _Options:
    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


PRINT_OPTS = _Options()

_PROFILES = {
    "default": {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80},
    "short": {"precision": 2, "threshold": 1000, "edgeitems": 2, "linewidth": 80},
    "full": {"precision": 4, "threshold": math.inf, "edgeitems": 3, "linewidth": 80},
}

# Classes that print as "tensor(...)"; others print under their own name.
_PLAIN_CLASSES = {"Tensor", "Parameter", "Buffer"}


def set_printoptions(precision=None, threshold=None, edgeitems=None, linewidth=None, profile=None, sci_mode=None):
    """Sets how tensors are printed.

    Args:
        precision (int): Digits behind the decimal point (4).
        threshold (int): Number of elements above which a tensor is summarised (1000).
        edgeitems (int): Elements at both ends of each dimension of a summary (3).
        linewidth (int): Characters per line (80).
        profile (str): ``default``, ``short`` or ``full``: values for the four above.
        sci_mode (bool): Scientific form always (True), never (False) or by the values (None).

    Raises:
        ValueError: If there is no such profile.

    Example:
        >>> import rtorch as torch
        >>> torch.set_printoptions(precision=2)
        >>> torch.tensor([1.12345])
        tensor([1.12])
        >>> torch.set_printoptions(profile="default")
    """
    if profile is not None:
        if profile not in _PROFILES:
            raise ValueError(f"unknown profile {profile!r}: expected 'default', 'short' or 'full'")
        vars(PRINT_OPTS).update(_PROFILES[profile])
    given = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    vars(PRINT_OPTS).update({name: value for name, value in given.items() if value is not None})
    # Unlike the others, None is a choice here.
    PRINT_OPTS.sci_mode = sci_mode


def get_printoptions():
    """Returns the options of `set_printoptions` as a dictionary.

    Example:
        >>> import rtorch as torch
        >>> torch._tensor_str.get_printoptions()["precision"]
        4
    """
    return dataclasses.asdict(PRINT_OPTS)


@contextlib.contextmanager
def printoptions(**kwargs):
    """Sets print options for a block; takes the arguments of `set_printoptions`.

    Example:
        >>> import rtorch as torch
        >>> with torch._tensor_str.printoptions(precision=1):
        ...     print(torch.tensor([0.25]))
        tensor([0.2])
    """
    saved = get_printoptions()
    kwargs.setdefault("sci_mode", saved["sci_mode"])
    set_printoptions(**kwargs)
    try:
        yield
    finally:
        vars(PRINT_OPTS).update(saved)


def _float_format(values):
    """The function that prints each of these floats; padding comes later."""
    magnitudes = [abs(v) for v in values if v != 0 and math.isfinite(v)]
    whole = all(m == math.floor(m) for m in magnitudes)
    scientific = PRINT_OPTS.sci_mode
    if not magnitudes:
        # Nothing there that the option could apply to.
        scientific = False
    elif scientific is None:
        low, high = min(magnitudes), max(magnitudes)
        # Divided, as a product could overflow or vanish.
        scientific = high > 1e8 or high / low > 1000 or (not whole and low < 1e-4)
    if scientific:
        spec = f".{PRINT_OPTS.precision}e"
    elif whole:
        return lambda v: f"{v:.0f}." if math.isfinite(v) else f"{v}"
    else:
        spec = f".{PRINT_OPTS.precision}f"
    return lambda v: format(v, spec)


def _texts(values, kind):
    """The strings of all elements, padded, and the width that line breaking counts with."""
    if kind == "complex":
        real, width = _texts([v.real for v in values], "float")
        imag, more = _texts([v.imag for v in values], "float")
        imag = [i.lstrip() for i in imag]
        return [f"{r}{'' if i[0] in '+-' else '+'}{i}j" for r, i in zip(real, imag)], width + more + 1
    if kind == "float":
        texts = list(map(_float_format(values), values))
        # Zeros, infinities and nans do not widen the columns, even where they do not fit.
        widths = [len(t) for t, v in zip(texts, values) if v != 0 and math.isfinite(v)]
    else:
        texts = list(map(str, values))
        widths = list(map(len, texts))
    width = max(widths, default=1)
    return [t.rjust(width) for t in texts], width


def _edges(tensor, edge):
    """The tensor without what a summary leaves out."""
    import rtorch as torch

    for dim, size in enumerate(tensor.shape):
        if size > 2 * edge:
            tensor = torch.cat((tensor.narrow(dim, 0, edge), tensor.narrow(dim, size - edge, edge)), dim)
    return tensor


def _layout(texts, width, shape, indent, edge):
    """Arranges element strings in brackets. `shape` is the full shape; `edge` is None unless summarised."""
    texts = iter(texts)

    def cut(size):
        return edge is not None and size > 2 * edge

    def row(size, indent):
        items = [next(texts) for _ in range(2 * edge if cut(size) else size)]
        if cut(size):
            items.insert(edge, " ...")
        per_line = max(1, (PRINT_OPTS.linewidth - indent) // (width + 2))
        lines = [", ".join(items[i : i + per_line]) for i in range(0, len(items), per_line)]
        return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"

    def block(dim, indent):
        size = shape[dim]
        if dim == len(shape) - 1:
            return row(size, indent)
        parts = [block(dim + 1, indent + 1) for _ in range(2 * edge if cut(size) else size)]
        if cut(size):
            parts.insert(edge, "...")
        between = "," + "\n" * (len(shape) - 1 - dim) + " " * (indent + 1)
        return "[" + between.join(parts) + "]"

    return block(0, indent) if shape else next(texts)


def _kind(dtype):
    if dtype.is_complex:
        return "complex"
    return "float" if dtype.is_floating_point else "other"


def _contents(tensor, indent):
    """What stands between the parentheses before the suffixes."""
    shape = tuple(tensor.shape)
    edge = PRINT_OPTS.edgeitems if shape and tensor.numel() > PRINT_OPTS.threshold else None
    if edge is not None:
        if edge <= 0:
            return "[...]"
        tensor = _edges(tensor, edge)
    values = tensor.reshape(-1).tolist()
    texts, width = _texts(values, _kind(tensor.dtype))
    return _layout(texts, width, shape, indent, edge)


def _grad_suffix(tensor):
    try:
        node = tensor.grad_fn
    except RuntimeError:
        # A view whose base was changed in a way that leaves it without a gradient.
        return "grad_fn=<Invalid>"
    if node is None:
        return "requires_grad=True" if tensor.requires_grad else None
    name = type(node).__name__
    if name in ("Node", "CppFunction"):
        name = node.name().rsplit("::", 1)[-1]
    return f"grad_fn=<{name}>"


def _str(self, *, tensor_contents=None):
    """Returns the text of a tensor; `tensor_contents` replaces its values.

    Example:
        >>> import rtorch as torch
        >>> torch._tensor_str._str(torch.tensor([1, 2]))
        'tensor([1, 2])'
    """
    import rtorch as torch

    name = type(self).__name__
    prefix = "tensor(" if name in _PLAIN_CLASSES else f"{name}("
    dtype, default = self.dtype, torch.get_default_dtype()
    device = str(self.device)
    values = self.detach()
    suffixes = []
    size = f"size={tuple(self.shape)}"
    usual = (default, torch.int64, torch.bool, torch.complex128 if default == torch.float64 else torch.complex64)
    if device != "cpu":
        suffixes.append(f"device='{device}'")
    if tensor_contents is not None:
        contents = tensor_contents
    elif device == "meta":
        contents = "..."
        suffixes.append(size)
    elif self.numel() == 0:
        contents = "[]"
        if self.dim() != 1:
            suffixes.append(size)
        # Brackets without an element say nothing about the dtype.
        usual = (default,)
    else:
        contents = _contents(values, len(prefix))
        if PRINT_OPTS.edgeitems == 0:
            suffixes.append(size)
    if dtype not in usual:
        suffixes.append(f"dtype={dtype}")
    grad = _grad_suffix(self)
    if grad is not None:
        suffixes.append(grad)

    text = prefix + contents
    # Two more than the last line holds, for the comma and the closing parenthesis.
    used = len(text) - text.rfind("\n") + 1
    for suffix in suffixes:
        if used + len(suffix) + 2 > PRINT_OPTS.linewidth:
            text += ",\n" + " " * len(prefix) + suffix
            used = len(prefix) + len(suffix)
        else:
            text += ", " + suffix
            used += len(suffix) + 2
    return text + ")"


def _format(self, spec):
    """Returns ``format(self, spec)``: that of the number for tensors without dimensions.

    Raises:
        TypeError: If `spec` is given for a tensor with dimensions.

    Example:
        >>> import rtorch as torch
        >>> f"{torch.tensor(3.14159):.2f}"
        '3.14'
    """
    if self.dim() == 0 and type(self).__name__ == "Tensor" and str(self.device) != "meta":
        return format(self.item(), spec)
    return object.__format__(self, spec)
