"""Muon."""

import math

import rtorch

from .optimizer import ParameterwiseOptimizer, number, zeros_state


def orthogonalize(matrix, coefficients, steps: int, eps: float):
    """The nearest semi-orthogonal matrix, approximately, by a quintic Newton-Schulz iteration in bfloat16.

    Args:
        matrix: a 2-D tensor.
        coefficients: `(a, b, c)` of the polynomial `a x + b x^3 + c x^5`.
        steps: the number of iterations, below 100.
        eps: the smallest norm to divide by.

    Returns:
        A bfloat16 tensor of the same shape.
    """
    if steps >= 100:
        raise ValueError("Number of steps must be less than 100 for computational efficiency")
    if matrix.dim() != 2:
        raise ValueError("Input tensor gradient must be a 2D matrix")
    if len(coefficients) != 3:
        raise ValueError("Coefficients must be a tuple of exactly 3 values")
    a, b, c = coefficients
    x = matrix.bfloat16()
    tall = matrix.size(0) > matrix.size(1)
    if tall:
        x = x.T
    x = x.div(x.norm().clamp(min=eps))
    for _ in range(steps):
        gram = x @ x.T
        x = rtorch.addmm(x, rtorch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if tall else x


class Muon(ParameterwiseOptimizer):
    """Muon (Jordan et al., 2024): momentum whose matrix is orthogonalised before it is applied.

    Args:
        params: 2-D tensors, `(name, tensor)` pairs, or dicts defining parameter groups.
        lr: the learning rate.
        weight_decay: the factor of the decoupled decay.
        momentum: the momentum factor.
        nesterov: use Nesterov momentum.
        ns_coefficients: the coefficients of the Newton-Schulz polynomial.
        eps: the smallest norm to divide by.
        ns_steps: the number of Newton-Schulz iterations.
        adjust_lr_fn: how the learning rate follows the shape: "original" (or None), or "match_rms_adamw".

    Raises:
        ValueError: if a value is out of its range, or a parameter is not 2-D.

    Example::

        >>> w = rtorch.eye(2, requires_grad=True)
        >>> rtorch.optim.Muon([w]).defaults["ns_steps"]
        5
    """

    def __init__(
        self,
        params,
        lr=1e-3,
        weight_decay=0.1,
        momentum=0.95,
        nesterov=True,
        ns_coefficients=(3.4445, -4.7750, 2.0315),
        eps=1e-7,
        ns_steps=5,
        adjust_lr_fn=None,
    ):
        if isinstance(lr, rtorch.Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        if not 0.0 <= lr:
            raise ValueError(f"Learning rate should be >= 0 but is: {lr}")
        if not 0.0 <= momentum:
            raise ValueError(f"momentum should be >= 0 but is: {momentum}")
        if not 0.0 <= weight_decay:
            raise ValueError(f"weight decay should be >= 0 but is: {weight_decay}")
        if adjust_lr_fn not in (None, "original", "match_rms_adamw"):
            raise ValueError(f"Adjust learning rate function {adjust_lr_fn} is not supported")
        super().__init__(
            params,
            {
                "lr": lr,
                "weight_decay": weight_decay,
                "momentum": momentum,
                "nesterov": nesterov,
                "ns_coefficients": ns_coefficients,
                "eps": eps,
                "ns_steps": ns_steps,
                "adjust_lr_fn": adjust_lr_fn,
            },
        )
        for group in self.param_groups:
            for p in group["params"]:
                if p.dim() != 2:
                    raise ValueError(
                        f"Muon only supports 2D parameters whereas we found a parameter with size: {p.size()}"
                    )

    def _init_state(self, group, p):
        if p.is_complex():
            raise RuntimeError("Muon does not support complex parameters")
        return {"momentum_buffer": zeros_state(p)}

    def _update(self, group, p, grad, state):
        lr, momentum = number(group["lr"]), group["momentum"]
        buffer = state["momentum_buffer"]
        buffer.lerp_(grad, 1 - momentum)
        update = grad.lerp(buffer, momentum) if group["nesterov"] else buffer
        update = orthogonalize(update, group["ns_coefficients"], group["ns_steps"], group["eps"])
        rows, columns = p.shape
        if group["adjust_lr_fn"] == "match_rms_adamw":
            adjusted = lr * 0.2 * math.sqrt(max(rows, columns))
        else:
            adjusted = lr * math.sqrt(max(1, rows / columns))
        p.mul_(1 - lr * group["weight_decay"])
        p.add_(update, alpha=-adjusted)
