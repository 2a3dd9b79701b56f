"""Jacobians, Hessians and their products with vectors."""

import rtorch

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]


def _as_tuple(value, what, where):
    """`value` as a tuple of tensors, and whether it was one."""
    was_tuple = isinstance(value, tuple)
    items = value if was_tuple else (value,)
    for i, item in enumerate(items):
        if not isinstance(item, rtorch.Tensor):
            if was_tuple:
                raise TypeError(
                    f"The {what} given to {where} must be either a Tensor or a tuple of Tensors but the value at "
                    f"index {i} has type {type(item)}."
                )
            raise TypeError(
                f"The {what} given to {where} must be either a Tensor or a tuple of Tensors but the given {what} has "
                f"type {type(item)}."
            )
    return items, was_tuple


def _prepare(inputs, create_graph):
    """Inputs of their own in the graph: views of the given ones if the result shall depend on them."""
    prepared = []
    for x in inputs:
        if create_graph and x.requires_grad:
            prepared.append(x.view_as(x))
        else:
            prepared.append(x.detach().requires_grad_(True))
    return tuple(prepared)


def _finish(results, create_graph):
    return tuple(r if create_graph else r.detach() for r in results)


def _unpack(results, was_tuple):
    return results if was_tuple else results[0]


def _check_vector(v, like, is_tuple):
    if len(v) != len(like):
        if is_tuple:
            raise RuntimeError(f"v is a tuple of invalid length: should be {len(like)} but got {len(v)}.")
        raise RuntimeError("The given v should contain a single Tensor.")
    for i, (a, b) in enumerate(zip(v, like)):
        if a.shape != b.shape:
            entry = f"Entry {i} in " if is_tuple else ""
            raise RuntimeError(f"{entry}v has invalid size: should be {b.shape} but got {a.shape}.")


def _outputs(func, inputs, where, strict):
    outputs, was_tuple = _as_tuple(func(*inputs), "outputs of the user-provided function", where)
    if strict:
        for i, out in enumerate(outputs):
            if not out.requires_grad:
                raise RuntimeError(
                    f"Output {i} of the user-provided function does not require gradients. The outputs must be "
                    "computed in a differentiable manner from the input when running in strict mode."
                )
    return outputs, was_tuple


def _grad(outputs, inputs, cotangents, create_graph, strict, where, retain=None):
    """The gradients, with zeros where there are none; in strict mode that raises."""
    pairs = [(o, c) for o, c in zip(outputs, cotangents) if o.requires_grad]
    if pairs:
        outs, cots = zip(*pairs)
        grads = rtorch.autograd.grad(
            outs, inputs, cots, allow_unused=True, create_graph=create_graph, retain_graph=retain
        )
    else:
        grads = (None,) * len(inputs)
    filled = []
    for i, (grad, x) in enumerate(zip(grads, inputs)):
        if grad is None:
            if strict:
                raise RuntimeError(
                    f"The output of the user-provided function is independent of input {i}. This is not allowed in "
                    f"strict mode ({where})."
                )
            grad = rtorch.zeros_like(x)
        elif strict and create_graph and not grad.requires_grad:
            raise RuntimeError(
                f"The jacobian of the user-provided function with respect to input {i} is independent of the input. "
                "This is not allowed in strict mode when create_graph=True."
            )
        filled.append(grad)
    return filled


def _vectors(v, like, was_tuple, name):
    """The given vectors, checked, or ones if the values have one element each."""
    if v is None:
        if len(like) != 1 or like[0].numel() != 1:
            raise RuntimeError(
                "The vector v can only be None if the input to the user-provided function is a single Tensor with a single "
                "element."
                if name == "input"
                else "The vector v can only be None if the user-provided function returns a single Tensor with a single "
                "element."
            )
        return (rtorch.ones_like(like[0]),)
    v, v_tuple = _as_tuple(v, "v", "the function")
    _check_vector(v, like, v_tuple)
    return v


def vjp(func, inputs, v=None, create_graph=False, strict=False):
    """Returns the outputs of `func` and the product of `v` with its Jacobian.

    Args:
        func: maps tensors to a tensor or a tuple of tensors.
        inputs: a tensor or a tuple of tensors.
        v: tensors of the shapes of the outputs; may be left out for one output of one element.
        create_graph: record the computation, for further derivatives.
        strict: raise if an output does not depend on an input, instead of giving zeros.

    Returns:
        The outputs, and products of the shapes of the inputs.

    Example::

        >>> rtorch.autograd.functional.vjp(lambda t: t * t, rtorch.ones(2), rtorch.ones(2))[1]
        tensor([2., 2.])
    """
    with rtorch.enable_grad():
        inputs, in_tuple = _as_tuple(inputs, "inputs", "vjp")
        inputs = _prepare(inputs, create_graph)
        outputs, out_tuple = _outputs(func, inputs, "vjp", strict)
        v = _vectors(v, outputs, out_tuple, "output")
        products = _grad(outputs, inputs, v, create_graph, strict, "vjp")
    return (
        _unpack(_finish(outputs, create_graph), out_tuple),
        _unpack(_finish(products, create_graph), in_tuple),
    )


def jvp(func, inputs, v=None, create_graph=False, strict=False):
    """Returns the outputs of `func` and the product of its Jacobian with `v`, by backward twice.

    Args:
        func: maps tensors to a tensor or a tuple of tensors.
        inputs: a tensor or a tuple of tensors.
        v: tensors of the shapes of the inputs; may be left out for one input of one element.
        create_graph: record the computation, for further derivatives.
        strict: raise if an output does not depend on an input, instead of giving zeros.

    Returns:
        The outputs, and products of the shapes of the outputs.

    Example::

        >>> rtorch.autograd.functional.jvp(lambda t: t * t, rtorch.ones(2), rtorch.ones(2))[1]
        tensor([2., 2.])
    """
    with rtorch.enable_grad():
        inputs, in_tuple = _as_tuple(inputs, "inputs", "jvp")
        inputs = _prepare(inputs, create_graph)
        v = _vectors(v, inputs, in_tuple, "input")
        outputs, out_tuple = _outputs(func, inputs, "jvp", strict)
        # The product with the transpose is linear in its cotangent; its own transpose is the product sought.
        cotangents = tuple(rtorch.zeros_like(o, requires_grad=True) for o in outputs)
        pulled = _grad(outputs, inputs, cotangents, True, strict, "jvp")
        products = _grad(pulled, cotangents, v, create_graph, False, "jvp")
    return (
        _unpack(_finish(outputs, create_graph), out_tuple),
        _unpack(_finish(products, create_graph), out_tuple),
    )


def jacobian(func, inputs, create_graph=False, strict=False, vectorize=False, strategy="reverse-mode"):
    """Returns the Jacobian of `func`.

    Args:
        func: maps tensors to a tensor or a tuple of tensors.
        inputs: a tensor or a tuple of tensors.
        create_graph: record the computation, for further derivatives.
        strict: raise if an output does not depend on an input, instead of giving zeros.
        vectorize: accepted for compatibility.
        strategy: "reverse-mode", or "forward-mode" with `vectorize`, which gives the same.

    Returns:
        A tensor of shape `(*output.shape, *input.shape)`; tuples of such, outermost for the outputs, where tuples went
        in or came out.

    Example::

        >>> rtorch.autograd.functional.jacobian(lambda t: t * t, rtorch.ones(2))
        tensor([[2., 0.],
                [0., 2.]])
    """
    if strategy not in ("reverse-mode", "forward-mode"):
        raise AssertionError(f'Expected strategy to be either "forward-mode" or "reverse-mode". Got: {strategy}')
    if strategy == "forward-mode" and not vectorize:
        raise NotImplementedError(
            'Computing Jacobian with strategy="forward-mode" without vectorize=True is not supported; '
            'use strategy="reverse-mode".'
        )
    with rtorch.enable_grad():
        inputs, in_tuple = _as_tuple(inputs, "inputs", "jacobian")
        inputs = _prepare(inputs, create_graph)
        outputs, out_tuple = _outputs(func, inputs, "jacobian", strict)
        result = []
        for out in outputs:
            rows = []
            for k in range(out.numel()):
                unit = rtorch.zeros(out.numel(), dtype=out.dtype, device=out.device)
                unit[k] = 1
                rows.append(
                    _grad((out,), inputs, (unit.reshape(out.shape),), create_graph, strict, "jacobian", retain=True)
                )
            blocks = [
                rtorch.stack([row[i] for row in rows]).reshape(*out.shape, *x.shape)
                if rows
                else rtorch.zeros((*out.shape, *x.shape), dtype=out.dtype, device=out.device)
                for i, x in enumerate(inputs)
            ]
            result.append(_unpack(_finish(blocks, create_graph), in_tuple))
    return _unpack(tuple(result), out_tuple)


def _scalar(func, where):
    """`func`, with a check that it returns a single tensor of one element."""

    def checked(*inputs):
        out = func(*inputs)
        if not isinstance(out, rtorch.Tensor):
            raise RuntimeError(f"The function given to {where} should return a single Tensor")
        if out.numel() != 1:
            raise RuntimeError(f"The Tensor returned by the function given to {where} should contain a single element")
        return out.reshape(())

    return checked


def hessian(func, inputs, create_graph=False, strict=False, vectorize=False, outer_jacobian_strategy="reverse-mode"):
    """Returns the Hessian of a function with one output of one element.

    Args:
        func: maps tensors to a tensor of one element.
        inputs: a tensor or a tuple of tensors.
        create_graph: record the computation, for further derivatives.
        strict: raise if the output does not depend on an input, instead of giving zeros.
        vectorize: accepted for compatibility.
        outer_jacobian_strategy: see `jacobian`.

    Returns:
        A tensor of shape `(*input.shape, *input.shape)`, or a tuple of tuples of such.

    Example::

        >>> rtorch.autograd.functional.hessian(lambda t: (t**3).sum(), rtorch.ones(2))
        tensor([[6., 0.],
                [0., 6.]])
    """
    _, in_tuple = _as_tuple(inputs, "inputs", "hessian")
    scalar = _scalar(func, "hessian")

    def gradient(*values):
        values = tuple(x.view_as(x) for x in values)
        grads = jacobian(scalar, values, create_graph=True)
        return grads if in_tuple else grads[0]

    return jacobian(gradient, inputs, create_graph, strict, vectorize=vectorize, strategy=outer_jacobian_strategy)


def vhp(func, inputs, v=None, create_graph=False, strict=False):
    """Returns the output of a scalar function and the product of `v` with its Hessian.

    Args:
        func: maps tensors to a tensor of one element.
        inputs: a tensor or a tuple of tensors.
        v: tensors of the shapes of the inputs; may be left out for one input of one element.
        create_graph: record the computation, for further derivatives.
        strict: raise if the output does not depend on an input, instead of giving zeros.

    Returns:
        The output, and products of the shapes of the inputs.

    Example::

        >>> rtorch.autograd.functional.vhp(lambda t: (t**3).sum(), rtorch.ones(2), rtorch.ones(2))[1]
        tensor([6., 6.])
    """
    with rtorch.enable_grad():
        inputs, in_tuple = _as_tuple(inputs, "inputs", "vhp")
        inputs = _prepare(inputs, create_graph)
        v = _vectors(v, inputs, in_tuple, "input")
        (output,), _ = _outputs(_scalar(func, "vhp"), inputs, "vhp", strict)
        gradients = _grad((output,), inputs, (rtorch.ones_like(output),), True, strict, "vhp")
        products = _grad(gradients, inputs, v, create_graph, strict, "vhp")
    return _finish((output,), create_graph)[0], _unpack(_finish(products, create_graph), in_tuple)


def hvp(func, inputs, v=None, create_graph=False, strict=False):
    """Returns the output of a scalar function and the product of its Hessian with `v`.

    A Hessian is symmetric, so this is `vhp`, which takes one backward less.

    Args:
        func: maps tensors to a tensor of one element.
        inputs: a tensor or a tuple of tensors.
        v: tensors of the shapes of the inputs; may be left out for one input of one element.
        create_graph: record the computation, for further derivatives.
        strict: raise if the output does not depend on an input, instead of giving zeros.

    Returns:
        The output, and products of the shapes of the inputs.

    Example::

        >>> rtorch.autograd.functional.hvp(lambda t: (t**3).sum(), rtorch.ones(2), rtorch.ones(2))[1]
        tensor([6., 6.])
    """
    return vhp(func, inputs, v, create_graph, strict)
