"""Averaged stochastic gradient descent."""

import rtorch

from .optimizer import (
    ParameterwiseOptimizer,
    check_lr,
    check_not_negative,
    number,
    scalar_dtype,
    scalar_state,
    zeros_state,
)


class ASGD(ParameterwiseOptimizer):
    """Averaged stochastic gradient descent (Polyak and Juditsky, 1992).

    The state `ax` holds the average of the parameters from step `t0` on.

    Args:
        params: tensors, `(name, tensor)` pairs, or dicts defining parameter groups.
        lr: the learning rate, a float or a tensor of one element.
        lambd: the decay of the parameters.
        alpha: the power with which the step size decays.
        t0: the step at which averaging starts.
        weight_decay: the factor of an L2 penalty.
        foreach, capturable: accepted for compatibility; the one implementation is always chosen.
        maximize: ascend instead of descend.
        differentiable: let gradients flow through the step.

    Raises:
        ValueError: if a value is out of its range.

    Example::

        >>> w = rtorch.ones(2, requires_grad=True)
        >>> rtorch.optim.ASGD([w]).defaults["alpha"]
        0.75
    """

    def __init__(
        self,
        params,
        lr=1e-2,
        lambd=1e-4,
        alpha=0.75,
        t0=1e6,
        weight_decay=0,
        foreach=None,
        maximize=False,
        differentiable=False,
        capturable=False,
    ):
        check_lr(lr)
        check_not_negative(weight_decay=weight_decay)
        super().__init__(
            params,
            {
                "lr": lr,
                "lambd": lambd,
                "alpha": alpha,
                "t0": t0,
                "weight_decay": weight_decay,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "capturable": capturable,
            },
        )

    def _init_state(self, group, p):
        eta = rtorch.as_tensor(number(group["lr"]), dtype=scalar_dtype())
        return {"step": scalar_state(), "eta": eta, "mu": scalar_state(1.0), "ax": zeros_state(p)}

    def _update(self, group, p, grad, state):
        lr, lambd = number(group["lr"]), group["lambd"]
        eta, mu, average = state["eta"], state["mu"], state["ax"]
        state["step"].add_(1)
        step = state["step"].item()
        if group["weight_decay"] != 0:
            grad = grad.add(p, alpha=group["weight_decay"])
        p.mul_(1 - lambd * eta.item())
        p.add_(grad, alpha=-eta.item())
        if mu.item() == 1:
            average.copy_(p)
        else:
            average.add_(p.sub(average).mul_(mu.item()))
        with rtorch.no_grad():
            eta.fill_(lr / ((1 + lambd * lr * step) ** group["alpha"]))
            mu.fill_(1 / max(1, step - group["t0"]))
