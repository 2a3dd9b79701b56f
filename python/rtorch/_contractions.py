"""Contractions whose arguments do not fit a fixed signature: einsum, tensordot, chain_matmul."""

from rtorch import _C

__all__ = ["chain_matmul", "einsum", "tensordot"]


def _subscripts(labels):
    out = []
    for label in labels:
        if label is Ellipsis:
            out.append("...")
        elif isinstance(label, int) and 0 <= label < 52:
            out.append(chr(ord("A") + label) if label < 26 else chr(ord("a") + label - 26))
        else:
            raise ValueError("einsum(): subscript in subscript list is not within the valid range [0, 52)")
    return "".join(out)


def einsum(*args):
    """Sums products of elements over the axes that an equation names.

    Args:
        equation: subscripts of the operands, and after ``->`` those of the result, such as ``"ij,jk->ik"``. Subscripts
            that the result lacks are summed; ``...`` stands for the axes that no subscript covers.
        operands: the tensors. Alternatively every operand is followed by a list of ints as its subscripts, and a last
            list gives those of the result.

    Raises:
        RuntimeError: if the equation does not fit the operands.

    Example::

        >>> rtorch.einsum("ij->i", rtorch.ones(2, 3))
        tensor([3., 3.])
    """
    if len(args) < 2:
        raise ValueError(
            "einsum(): must specify the equation string and at least one operand, or at least one operand and its "
            "subscripts list"
        )
    if isinstance(args[0], _C.Tensor):
        operands, labels = args[::2], args[1::2]
        if len(args) % 2:
            operands = operands[:-1]
        equation = ",".join(_subscripts(s) for s in labels)
        if len(args) % 2:
            equation += "->" + _subscripts(args[-1])
    else:
        equation, operands = args[0], args[1:]
    if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = operands[0]
    return _C._einsum(equation, list(operands))


def tensordot(a, b, dims=2, out=None):
    """Contracts axes of two tensors.

    Args:
        a, b: the tensors.
        dims: how many of the last axes of `a` are contracted with the first of `b`, or two lists of axes.
        out: where the result goes.

    Example::

        >>> rtorch.tensordot(rtorch.ones(2, 3), rtorch.ones(3, 4), dims=1).shape
        torch.Size([2, 4])
    """
    if isinstance(dims, _C.Tensor):
        dims = dims.item() if dims.numel() == 1 else dims.tolist()
    if isinstance(dims, (list, tuple)):
        if len(dims) == 1:
            dims = dims[0]
    if isinstance(dims, (list, tuple)):
        first, second = (list(d) if isinstance(d, (list, tuple)) else [int(d)] for d in dims)
    else:
        if dims < 0:
            raise RuntimeError(f"tensordot expects dims >= 0, but got dims={dims}")
        if dims > min(a.dim(), b.dim()):
            raise RuntimeError(f"tensordot expects dims < ndim_a or ndim_b, but got dims={dims}")
        first, second = list(range(-dims, 0)), list(range(dims))
    if out is None:
        return _C._tensordot(a, b, first, second)
    return _C._tensordot(a, b, first, second, out=out)


def chain_matmul(*matrices, out=None):
    """Multiplies matrices in the order that needs the fewest multiplications.

    Args:
        matrices: two or more matrices that fit.
        out: where the result goes.
    """
    if len(matrices) == 1 and isinstance(matrices[0], (list, tuple)):
        matrices = matrices[0]
    if out is None:
        return _C._chain_matmul(list(matrices))
    return _C._chain_matmul(list(matrices), out=out)
