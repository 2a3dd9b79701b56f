"""Adadelta."""

from .optimizer import ParameterwiseOptimizer, check_lr, check_not_negative, number, scalar_state, zeros_state


class Adadelta(ParameterwiseOptimizer):
    """Adadelta (Zeiler, 2012).

    Each step does `v = rho * v + (1 - rho) * g * g`, `d = sqrt(u + eps) / sqrt(v + eps) * g`,
    `u = rho * u + (1 - rho) * d * d` and `p -= lr * d`.

    Args:
        params: tensors, `(name, tensor)` pairs, or dicts defining parameter groups.
        lr: the factor of the update, a float or a tensor of one element.
        rho: the decay rate of both running averages.
        eps: added under the roots.
        weight_decay: the factor of an L2 penalty.
        foreach, capturable: accepted for compatibility; the one implementation is always chosen.
        maximize: ascend instead of descend.
        differentiable: let gradients flow through the step.

    Raises:
        ValueError: if a value is out of its range.

    Example::

        >>> w = rtorch.ones(2, requires_grad=True)
        >>> rtorch.optim.Adadelta([w]).defaults["rho"]
        0.9
    """

    def __init__(
        self,
        params,
        lr=1.0,
        rho=0.9,
        eps=1e-6,
        weight_decay=0,
        foreach=None,
        *,
        capturable=False,
        maximize=False,
        differentiable=False,
    ):
        check_lr(lr)
        if not 0.0 <= rho <= 1.0:
            raise ValueError(f"Invalid rho value: {rho}")
        check_not_negative(eps=eps, weight_decay=weight_decay)
        super().__init__(
            params,
            {
                "lr": lr,
                "rho": rho,
                "eps": eps,
                "weight_decay": weight_decay,
                "maximize": maximize,
                "capturable": capturable,
                "foreach": foreach,
                "differentiable": differentiable,
            },
        )

    def _init_state(self, group, p):
        return {"step": scalar_state(), "square_avg": zeros_state(p), "acc_delta": zeros_state(p)}

    def _update(self, group, p, grad, state):
        rho, eps = group["rho"], group["eps"]
        square_avg, acc_delta = state["square_avg"], state["acc_delta"]
        state["step"].add_(1)
        if group["weight_decay"] != 0:
            grad = grad.add(p, alpha=group["weight_decay"])
        square_avg.mul_(rho).addcmul_(grad, grad, value=1 - rho)
        delta = acc_delta.add(eps).sqrt_().div_(square_avg.add(eps).sqrt_()).mul_(grad)
        acc_delta.mul_(rho).addcmul_(delta, delta, value=1 - rho)
        p.add_(delta, alpha=-number(group["lr"]))
