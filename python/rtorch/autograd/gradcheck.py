"""Compares gradients with finite differences.

Complex tensors are treated as pairs of reals throughout: the gradient of a real function is
`dL/dRe(x) + i dL/dIm(x)`, so both sides are real Jacobians.
"""

import warnings

import rtorch

__all__ = ["GradcheckError", "gradcheck", "gradgradcheck"]


class GradcheckError(RuntimeError):
    """A gradient is wrong."""


def _tensors(value):
    if isinstance(value, rtorch.Tensor):
        return (value,)
    return tuple(v for v in value if isinstance(v, rtorch.Tensor)) if isinstance(value, (tuple, list)) else ()


def _is_float(t):
    return t.is_floating_point() or t.is_complex()


def _real(t):
    """The elements of `t` as a flat vector of reals."""
    t = t.detach()
    return rtorch.view_as_real(t.resolve_conj()).reshape(-1) if t.is_complex() else t.reshape(-1)


def _from_real(values, like):
    """A tensor like `like` from a flat vector of reals."""
    values = values.to(like.real.dtype if like.is_complex() else like.dtype)
    if like.is_complex():
        return rtorch.view_as_complex(values.reshape(*like.shape, 2).contiguous())
    return values.reshape(like.shape)


def _differentiable(outputs):
    return tuple(o for o in _tensors(outputs) if _is_float(o) and o.requires_grad)


def _values(func, inputs, chosen):
    """The flat values of the chosen outputs, without a graph."""
    outputs = [o for o in _tensors(func(*inputs)) if _is_float(o)]
    return [_real(outputs[i]).clone() for i in chosen]


def _shifted(inputs, i, delta):
    """The inputs, with `delta` (flat, real) added to input `i`."""
    moved = _from_real(_real(inputs[i]) + delta, inputs[i]).requires_grad_(inputs[i].requires_grad)
    if inputs[i].stride() != moved.stride():
        # The memory layout is part of what is tested.
        laid_out = rtorch.empty_like(inputs[i], memory_format=rtorch.preserve_format, requires_grad=False)
        laid_out.copy_(moved.detach())
        moved = laid_out.requires_grad_(inputs[i].requires_grad)
    return (*inputs[:i], moved, *inputs[i + 1 :])


def _numerical(func, inputs, i, chosen, eps, direction):
    """Central differences of the chosen outputs along `direction` of input `i`."""
    plus = _values(func, _shifted(inputs, i, direction * eps), chosen)
    minus = _values(func, _shifted(inputs, i, direction * -eps), chosen)
    return [(a - b) / (2 * eps) for a, b in zip(plus, minus)]


def _pull(output, inputs, cotangent):
    """The flat gradients of one output for a flat cotangent; zeros where there is none."""
    grads = rtorch.autograd.grad(output, inputs, _from_real(cotangent, output), retain_graph=True, allow_unused=True)
    for grad, x in zip(grads, inputs):
        if grad is not None and grad.shape != x.shape:
            raise GradcheckError("Analytical gradient has incorrect size")
    return grads, [
        rtorch.zeros_like(_real(x)) if grad is None else _real(grad.to(x.dtype)) for grad, x in zip(grads, inputs)
    ]


def _unit(count, k, like):
    unit = rtorch.zeros(count, dtype=like.dtype, device=like.device)
    unit[k] = 1
    return unit


def _mismatch(o, i, numerical, analytical, note=""):
    return GradcheckError(
        f"Jacobian mismatch for output {o} with respect to input {i},\n"
        f"numerical:{numerical}\nanalytical:{analytical}\n{note}"
    )


class _Check:
    """One check: the function, its inputs and the tolerances."""

    def __init__(self, func, inputs, eps, atol, rtol, nondet_tol):
        self.func, self.inputs = func, inputs
        self.eps, self.atol, self.rtol, self.nondet_tol = eps, atol, rtol, nondet_tol
        self.at = [i for i, x in enumerate(inputs) if isinstance(x, rtorch.Tensor) and x.requires_grad]
        self.wrt = [inputs[i] for i in self.at]

    def run(self, check_undefined_grad, check_grad_dtypes, fast):
        raw = _tensors(self.func(*self.inputs))
        floats = [o for o in raw if _is_float(o)]
        self.chosen = [k for k, o in enumerate(floats) if o.requires_grad]
        self.outputs = [floats[k] for k in self.chosen]
        if not self.outputs:
            for i in self.at:
                count = _real(self.inputs[i]).numel()
                direction = rtorch.ones_like(_real(self.inputs[i]))
                for diff in _numerical(self.func, self.inputs, i, range(len(floats)), self.eps, direction):
                    if count and not rtorch.all(diff == 0):
                        raise GradcheckError("Numerical gradient for function expected to be zero")
            return
        if fast:
            self._fast()
        else:
            self._slow()
        if check_grad_dtypes:
            self._check_dtypes()
        if check_undefined_grad and len(self.outputs) > 1:
            self._check_undefined()

    def _slow(self):
        numerical = []
        for i in self.at:
            flat = _real(self.inputs[i])
            columns = [
                _numerical(self.func, self.inputs, i, self.chosen, self.eps, _unit(flat.numel(), k, flat))
                for k in range(flat.numel())
            ]
            numerical.append(columns)
        for o, output in enumerate(self.outputs):
            size = _real(output).numel()
            for again in (False, True):
                rows = [_pull(output, self.wrt, _unit(size, k, _real(output)))[1] for k in range(size)]
                if again:
                    self._compare_runs(before, rows)
                before = rows
            for n, i in enumerate(self.at):
                count = _real(self.inputs[i]).numel()
                if size == 0 or count == 0:
                    continue
                analytical = rtorch.stack([row[n] for row in rows], dim=1)
                expected = rtorch.stack([column[o] for column in numerical[n]], dim=0).to(analytical.dtype)
                if not rtorch.allclose(analytical, expected, self.rtol, self.atol):
                    raise _mismatch(o, i, expected, analytical)

    def _compare_runs(self, first, second):
        for a, b in zip(first, second):
            for x, y in zip(a, b):
                if not rtorch.allclose(x, y, rtol=0.0, atol=self.nondet_tol, equal_nan=True):
                    raise GradcheckError(
                        "Backward is not reentrant, i.e., running backward with same input and grad_output multiple "
                        "times gives different values, although analytical gradient matches numerical gradient. The "
                        f"tolerance for nondeterminism was {self.nondet_tol}."
                    )

    def _fast(self):
        # One random direction each way stands for the whole Jacobian: u' J v, by differences and by backward.
        generator = rtorch.Generator()
        generator.manual_seed(0)

        def unit_vector(flat):
            v = rtorch.randn(flat.numel(), generator=generator, dtype=rtorch.float64).to(flat.dtype)
            return v / v.norm() if flat.numel() else v

        directions = [unit_vector(_real(x)) for x in self.wrt]
        cotangents = [unit_vector(_real(o)) for o in self.outputs]
        for n, i in enumerate(self.at):
            if not directions[n].numel():
                continue
            diffs = _numerical(self.func, self.inputs, i, self.chosen, self.eps, directions[n])
            for o, output in enumerate(self.outputs):
                if not cotangents[o].numel():
                    continue
                expected = diffs[o].dot(cotangents[o].to(diffs[o].dtype))
                rows = _pull(output, self.wrt, cotangents[o])[1]
                self._compare_runs([rows], [_pull(output, self.wrt, cotangents[o])[1]])
                analytical = rows[n].dot(directions[n])
                slack = self.atol * float(directions[n].abs().sum() * cotangents[o].abs().sum())
                if not rtorch.allclose(analytical, expected.to(analytical.dtype), self.rtol, slack):
                    raise _mismatch(
                        o, i, expected, analytical, "The above quantities are projections, as fast_mode=True.\n"
                    )

    def _check_dtypes(self):
        for output in self.outputs:
            grads, _ = _pull(output, self.wrt, rtorch.ones_like(_real(output)))
            for grad, x in zip(grads, self.wrt):
                if grad is not None and grad.dtype != x.dtype:
                    raise GradcheckError(f"Gradient has dtype {grad.dtype}, but the input has dtype {x.dtype}")

    def _check_undefined(self):
        """The gradient of one output has to be the same whether those of the others are missing or zero."""
        outputs = self.func(*self.inputs)
        outputs = _differentiable(outputs)
        for k in range(len(outputs)):
            ones = [rtorch.ones_like(o) if j == k else rtorch.zeros_like(o) for j, o in enumerate(outputs)]
            options = {"retain_graph": True, "allow_unused": True}
            full = rtorch.autograd.grad(outputs, self.wrt, ones, **options)
            try:
                alone = rtorch.autograd.grad(outputs[k], self.wrt, ones[k], **options)
            except RuntimeError as error:
                raise GradcheckError(
                    "Expected backward function to handle undefined output grads. Please look at 'Notes about "
                    "undefined output gradients' in 'tools/autograd/derivatives.yaml'. "
                    f"It raised: {error}"
                ) from error
            for a, b in zip(full, alone):
                a = rtorch.zeros(()) if a is None else a
                b = rtorch.zeros_like(a) if b is None else b
                if not rtorch.allclose(a.to(b.dtype), b, equal_nan=True):
                    raise GradcheckError(
                        "Expected backward function to handle undefined output grads: the gradients differ from those "
                        f"with zeros for output {k}"
                    )


def _check_inputs(inputs):
    if not any(isinstance(x, rtorch.Tensor) and x.requires_grad for x in inputs):
        raise ValueError(
            "gradcheck expects at least one input tensor to require gradient, but none of them have requires_grad=True."
        )
    for i, x in enumerate(inputs):
        if not (isinstance(x, rtorch.Tensor) and x.requires_grad):
            continue
        if x.dtype not in (rtorch.float64, rtorch.complex128):
            warnings.warn(
                f"Input #{i} requires gradient and is not a double precision floating point or complex. "
                "This check will likely fail if all the inputs are not of double precision floating point or complex. ",
                stacklevel=3,
            )
        if any(stride == 0 and size > 1 for stride, size in zip(x.stride(), x.shape)):
            raise RuntimeError(
                f"The {i}th input has a dimension with stride 0. gradcheck only supports inputs that are "
                "non-overlapping to be able to compute the numerical gradients correctly. "
                "You should call .contiguous on the input before passing it to gradcheck."
            )


def _refuse(**options):
    for name, value in options.items():
        if value:
            raise NotImplementedError(f"{name}=True needs forward mode or vmap, which rtorch's gradcheck does not use")


def gradcheck(
    func,
    inputs,
    *,
    eps=1e-6,
    atol=1e-5,
    rtol=1e-3,
    raise_exception=True,
    nondet_tol=0.0,
    check_undefined_grad=True,
    check_grad_dtypes=False,
    check_batched_grad=False,
    check_batched_forward_grad=False,
    check_forward_ad=False,
    check_backward_ad=True,
    fast_mode=False,
    masked=None,
) -> bool:
    """Compares the gradients of `func` with central differences.

    Args:
        func: maps the inputs to a tensor or a tuple of tensors.
        inputs: a tensor or a tuple; those that require gradients are checked, best in float64.
        eps: the step of the differences.
        atol, rtol: the tolerances.
        raise_exception: raise, instead of returning False, when a gradient is wrong.
        nondet_tol: by how much two runs of backward may differ.
        check_undefined_grad: check that missing gradients of outputs count as zeros.
        check_grad_dtypes: check that gradients have the dtype of the inputs.
        check_batched_grad, check_batched_forward_grad, check_forward_ad: have to be False.
        check_backward_ad: whether to check backward at all.
        fast_mode: compare one random projection instead of the whole Jacobian.
        masked: accepted for compatibility.

    Returns:
        Whether all gradients are right.

    Raises:
        GradcheckError: if one is not.

    Example::

        >>> x = rtorch.ones(2, dtype=rtorch.float64, requires_grad=True)
        >>> rtorch.autograd.gradcheck(lambda t: (t * t).sum(), x)
        True
    """
    _refuse(
        check_forward_ad=check_forward_ad,
        check_batched_grad=check_batched_grad,
        check_batched_forward_grad=check_batched_forward_grad,
    )
    inputs = (inputs,) if isinstance(inputs, rtorch.Tensor) else tuple(inputs)
    try:
        _check_inputs(inputs)
        if check_backward_ad:
            check = _Check(func, inputs, eps, atol, rtol, nondet_tol)
            check.run(check_undefined_grad, check_grad_dtypes, fast_mode)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(
    func,
    inputs,
    grad_outputs=None,
    *,
    eps=1e-6,
    atol=1e-5,
    rtol=1e-3,
    gen_non_contig_grad_outputs=False,
    raise_exception=True,
    nondet_tol=0.0,
    check_undefined_grad=True,
    check_grad_dtypes=False,
    check_batched_grad=False,
    check_fwd_over_rev=False,
    check_rev_over_rev=True,
    fast_mode=False,
    masked=False,
) -> bool:
    """Compares the second derivatives of `func` with central differences of its gradients.

    Args:
        func: maps the inputs to a tensor or a tuple of tensors.
        inputs: a tensor or a tuple; those that require gradients are checked, best in float64.
        grad_outputs: the cotangents of the first backward (default: random ones).
        gen_non_contig_grad_outputs: make random cotangents non-contiguous.
        eps, atol, rtol, raise_exception, nondet_tol, check_undefined_grad, check_grad_dtypes, check_batched_grad,
            fast_mode, masked: see `gradcheck`.
        check_fwd_over_rev: has to be False.
        check_rev_over_rev: whether to check at all.

    Returns:
        Whether all second derivatives are right.

    Raises:
        GradcheckError: if one is not.
    """
    _refuse(check_fwd_over_rev=check_fwd_over_rev)
    inputs = (inputs,) if isinstance(inputs, rtorch.Tensor) else tuple(inputs)
    if grad_outputs is None:
        made = []
        for out in _differentiable(func(*inputs)):
            grad = rtorch.randn(out.shape, dtype=out.dtype if _is_double(out) else rtorch.float64)
            grad = grad.to(dtype=out.dtype, device=out.device)
            if gen_non_contig_grad_outputs:
                grad = rtorch.stack([grad, grad], dim=-1)[..., 0]
            made.append(grad.detach().requires_grad_(True))
        grad_outputs = tuple(made)
    else:
        grad_outputs = _tensors(grad_outputs)
    count = len(inputs)
    at = [i for i, x in enumerate(inputs) if isinstance(x, rtorch.Tensor) and x.requires_grad]

    def first_order(*args):
        values, cotangents = args[:count], args[count:]
        values = tuple(v.view_as(v) if i in at else v for i, v in enumerate(values))
        wrt = [values[i] for i in at if values[i].requires_grad]
        outputs = _differentiable(func(*values))
        grads = rtorch.autograd.grad(outputs, wrt, cotangents, create_graph=True, allow_unused=True)
        return tuple(g for g in grads if g is not None)

    return gradcheck(
        first_order,
        (*inputs, *grad_outputs),
        eps=eps,
        atol=atol,
        rtol=rtol,
        raise_exception=raise_exception,
        nondet_tol=nondet_tol,
        check_undefined_grad=check_undefined_grad,
        check_grad_dtypes=check_grad_dtypes,
        check_batched_grad=check_batched_grad,
        check_backward_ad=check_rev_over_rev,
        fast_mode=fast_mode,
        masked=masked,
    )


def _is_double(t):
    return t.dtype in (rtorch.float64, rtorch.complex128)
