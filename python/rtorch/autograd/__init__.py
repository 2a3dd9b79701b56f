"""Automatic differentiation."""

import warnings

import rtorch
from rtorch import _C

from . import anomaly_mode, function, functional, grad_mode, graph
from .anomaly_mode import detect_anomaly, set_detect_anomaly
from .function import Function
from .grad_mode import enable_grad, inference_mode, no_grad, set_grad_enabled
from .gradcheck import gradcheck, gradgradcheck
from .variable import Variable

__all__ = [
    "Function",
    "Variable",
    "anomaly_mode",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "function",
    "functional",
    "grad",
    "grad_mode",
    "gradcheck",
    "gradgradcheck",
    "graph",
    "inference_mode",
    "no_grad",
    "set_detect_anomaly",
    "set_grad_enabled",
]


def _make_grads(outputs, grads):
    """The cotangents: checked where given, ones where left out."""
    if len(outputs) != len(grads):
        raise RuntimeError(f"got {len(outputs)} tensors and {len(grads)} gradients")
    made = []
    for i, (out, grad) in enumerate(zip(outputs, grads)):
        if isinstance(grad, rtorch.Tensor):
            if grad.shape != out.shape:
                raise RuntimeError(
                    f"Mismatch in shape: grad_output[{i}] has a shape of {grad.shape} and output[{i}] has a shape of "
                    f"{out.shape}."
                )
            if grad.is_complex() != out.is_complex():
                raise RuntimeError(
                    "For complex Tensors, both grad_output and output are required to have the same dtype. Mismatch in "
                    f"dtype: grad_output[{i}] has a dtype of {grad.dtype} and output[{i}] has a dtype of {out.dtype}."
                )
            made.append(grad)
        elif grad is not None:
            raise TypeError("gradients can be either Tensors or None, but got " + type(grad).__name__)
        elif out.requires_grad:
            if out.numel() != 1:
                raise RuntimeError("grad can be implicitly created only for scalar outputs")
            if not out.is_floating_point():
                raise RuntimeError(f"grad can be implicitly created only for real scalar outputs but got {out.dtype}")
            made.append(rtorch.ones_like(out, memory_format=rtorch.preserve_format))
        else:
            made.append(None)
    return tuple(made)


def _as_tuple(value):
    if isinstance(value, rtorch.Tensor):
        return (value,)
    return tuple(value)


def _cotangents(outputs, grads):
    if grads is None:
        grads = (None,) * len(outputs)
    return _make_grads(outputs, _as_tuple(grads))


def _check_recorded(outputs):
    for i, out in enumerate(outputs):
        if not out.requires_grad:
            raise RuntimeError(f"element {i} of tensors does not require grad and does not have a grad_fn")


def backward(
    tensors,
    grad_tensors=None,
    retain_graph=None,
    create_graph=False,
    grad_variables=None,
    inputs=None,
) -> None:
    """Adds the gradients of `tensors` to the `.grad` of the leaves.

    Args:
        tensors: a tensor or a sequence of tensors.
        grad_tensors: the gradients of `tensors`; may be left out for tensors of one element.
        retain_graph: keep the graph for another backward (default: `create_graph`).
        create_graph: record the backward, for higher derivatives.
        grad_variables: the old name of `grad_tensors`.
        inputs: the only tensors whose `.grad` to change.

    Raises:
        RuntimeError: if a tensor does not require gradients, or shapes do not fit.

    Example::

        >>> x = rtorch.ones(2, requires_grad=True)
        >>> rtorch.autograd.backward((x * 3).sum())
        >>> x.grad.tolist()
        [3.0, 3.0]
    """
    if grad_variables is not None:
        warnings.warn("`grad_variables` is deprecated. Use `grad_tensors` instead.", FutureWarning, stacklevel=2)
        if grad_tensors is not None:
            raise RuntimeError(
                "`grad_tensors` and `grad_variables` (deprecated) arguments both passed to `backward()`. "
                "Please only use `grad_tensors`."
            )
        grad_tensors = grad_variables
    if inputs is not None:
        inputs = tuple(inputs.values()) if isinstance(inputs, dict) else _as_tuple(inputs)
        if not inputs:
            raise RuntimeError("`inputs` argument to `backward()` cannot be empty.")
    tensors = _as_tuple(tensors)
    grads = _cotangents(tensors, grad_tensors)
    _check_recorded(tensors)
    if retain_graph is None:
        retain_graph = create_graph
    _C._run_backward(tensors, grads, retain_graph, create_graph, inputs, True, True)


def grad(
    outputs,
    inputs,
    grad_outputs=None,
    retain_graph=None,
    create_graph=False,
    only_inputs=True,
    allow_unused=None,
    is_grads_batched=False,
    materialize_grads=False,
):
    """Returns the gradients of `outputs` with respect to `inputs`.

    Args:
        outputs: a tensor or a sequence of tensors.
        inputs: a tensor, a sequence of tensors, or a dict of tensors.
        grad_outputs: the gradients of `outputs`; may be left out for tensors of one element.
        retain_graph: keep the graph for another backward (default: `create_graph`).
        create_graph: record the backward, for higher derivatives.
        only_inputs: deprecated, has to be True.
        allow_unused: return None for inputs that no output depends on, instead of raising.
        is_grads_batched: the first dimension of `grad_outputs` counts separate gradients.
        materialize_grads: return zeros for inputs that no output depends on.

    Returns:
        A tuple of tensors, or a dict of tensors if `inputs` is one.

    Raises:
        RuntimeError: if a tensor does not require gradients, shapes do not fit, or an input is unused.

    Example::

        >>> x = rtorch.ones(2, requires_grad=True)
        >>> rtorch.autograd.grad((x * 3).sum(), x)
        (tensor([3., 3.]),)
    """
    if materialize_grads and allow_unused is False:
        raise ValueError(
            "Expected allow_unused to be True or not passed when materialize_grads=True, "
            f"but got: allow_unused={allow_unused}."
        )
    if allow_unused is None:
        allow_unused = materialize_grads
    if not only_inputs:
        warnings.warn(
            "only_inputs argument is deprecated and is ignored now (defaults to True)", FutureWarning, stacklevel=2
        )
    outputs = _as_tuple(outputs)
    keys = None
    if isinstance(inputs, dict):
        keys, inputs = list(inputs), tuple(inputs.values())
    else:
        inputs = _as_tuple(inputs)
    if not inputs:
        raise RuntimeError("`inputs` argument to `grad()` cannot be empty.")
    if retain_graph is None:
        retain_graph = create_graph
    if is_grads_batched:
        batches = (None,) * len(outputs) if grad_outputs is None else _as_tuple(grad_outputs)
        result = _batched(outputs, inputs, batches, retain_graph, create_graph, allow_unused)
    else:
        grads = _cotangents(outputs, grad_outputs)
        _check_recorded(outputs)
        result = _C._run_backward(outputs, grads, retain_graph, create_graph, inputs, allow_unused, False)
    if materialize_grads:
        result = tuple(
            rtorch.zeros_like(p, requires_grad=create_graph) if g is None else g for g, p in zip(result, inputs)
        )
    return result if keys is None else dict(zip(keys, result))


def _batched(outputs, inputs, batches, retain_graph, create_graph, allow_unused):
    """The gradients for each of a batch of cotangents, stacked."""
    _check_recorded(outputs)
    counts = {b.shape[0] if b.dim() > 0 else None for b in batches if b is not None}
    if len(counts) != 1 or None in counts:
        raise ValueError(
            "is_grads_batched=True needs grad_outputs whose first dimension is the same for all, "
            f"but got the sizes {sorted(map(str, counts))}"
        )
    count = counts.pop()
    rows = []
    for i in range(count):
        grads = _make_grads(outputs, tuple(None if b is None else b[i] for b in batches))
        keep = retain_graph or i + 1 < count
        rows.append(_C._run_backward(outputs, grads, keep, create_graph, inputs, allow_unused, False))
    return tuple(None if any(g is None for g in column) else rtorch.stack(column) for column in zip(*rows))
