"""Adamax."""

import rtorch

from .optimizer import (
    ParameterwiseOptimizer,
    check_betas,
    check_lr,
    check_not_negative,
    number,
    scalar_state,
    zeros_state,
)


class Adamax(ParameterwiseOptimizer):
    """Adamax, the variant of Adam based on the infinity norm (Kingma and Ba, 2014).

    Each step does `m = lerp(m, g, 1 - beta1)`, `u = max(beta2 * u, |g| + eps)` and
    `p -= lr / (1 - beta1 ** t) * m / u`.

    Args:
        params: tensors, `(name, tensor)` pairs, or dicts defining parameter groups.
        lr: the learning rate, a float or a tensor of one element.
        betas: the decay rates of the running average and of the norm.
        eps: added to the magnitude of the gradient.
        weight_decay: the factor of an L2 penalty.
        foreach, capturable: accepted for compatibility; the one implementation is always chosen.
        maximize: ascend instead of descend.
        differentiable: let gradients flow through the step.

    Raises:
        ValueError: if a value is out of its range.

    Example::

        >>> w = rtorch.ones(2, requires_grad=True)
        >>> rtorch.optim.Adamax([w]).defaults["lr"]
        0.002
    """

    def __init__(
        self,
        params,
        lr=2e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=0,
        foreach=None,
        *,
        maximize=False,
        differentiable=False,
        capturable=False,
    ):
        check_lr(lr)
        check_not_negative(eps=eps)
        check_betas(betas)
        check_not_negative(weight_decay=weight_decay)
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "capturable": capturable,
            },
        )

    def _init_state(self, group, p):
        return {"step": scalar_state(), "exp_avg": zeros_state(p), "exp_inf": zeros_state(p)}

    def _update(self, group, p, grad, state):
        beta1, beta2 = group["betas"]
        exp_avg, exp_inf = state["exp_avg"], state["exp_inf"]
        state["step"].add_(1)
        if group["weight_decay"] != 0:
            grad = grad.add(p, alpha=group["weight_decay"])
        exp_avg.lerp_(grad, 1 - beta1)
        exp_inf.copy_(rtorch.maximum(exp_inf * beta2, grad.abs().add_(group["eps"])))
        rate = number(group["lr"]) / (1 - beta1 ** state["step"].item())
        p.addcdiv_(exp_avg, exp_inf, value=-rate)
