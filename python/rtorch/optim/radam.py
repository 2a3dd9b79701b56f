"""RAdam."""

from .optimizer import (
    ParameterwiseOptimizer,
    check_betas,
    check_lr,
    check_not_negative,
    number,
    scalar_state,
    zeros_state,
)


class RAdam(ParameterwiseOptimizer):
    """Rectified Adam (Liu et al., 2019).

    While the length `rho` of the approximated moving average is at most 5 the step is plain momentum; after that it is
    Adam's, times the rectification term of the paper.

    Args:
        params: tensors, `(name, tensor)` pairs, or dicts defining parameter groups.
        lr: the learning rate, a float or a tensor of one element.
        betas: the decay rates of the running averages of the gradient and of its square.
        eps: added to the denominator.
        weight_decay: the factor of an L2 penalty, or of the decay if `decoupled_weight_decay`.
        decoupled_weight_decay: shrink the parameters instead of adding to the gradient.
        foreach, capturable: accepted for compatibility; the one implementation is always chosen.
        maximize: ascend instead of descend.
        differentiable: let gradients flow through the step.

    Raises:
        ValueError: if a value is out of its range.

    Example::

        >>> w = rtorch.ones(2, requires_grad=True)
        >>> rtorch.optim.RAdam([w]).defaults["lr"]
        0.001
    """

    def __init__(
        self,
        params,
        lr=1e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=0,
        decoupled_weight_decay=False,
        *,
        foreach=None,
        maximize=False,
        capturable=False,
        differentiable=False,
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
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "decoupled_weight_decay": decoupled_weight_decay,
                "differentiable": differentiable,
            },
        )

    def _init_state(self, group, p):
        return {"step": scalar_state(), "exp_avg": zeros_state(p), "exp_avg_sq": zeros_state(p)}

    def _update(self, group, p, grad, state):
        beta1, beta2 = group["betas"]
        lr, weight_decay = number(group["lr"]), group["weight_decay"]
        exp_avg, exp_avg_sq = state["exp_avg"], state["exp_avg_sq"]
        state["step"].add_(1)
        step = state["step"].item()
        if weight_decay != 0:
            if group["decoupled_weight_decay"]:
                p.mul_(1 - lr * weight_decay)
            else:
                grad = grad.add(p, alpha=weight_decay)
        exp_avg.lerp_(grad, 1 - beta1)
        exp_avg_sq.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        correction1, correction2 = 1 - beta1**step, 1 - beta2**step
        update = exp_avg / correction1 * lr
        limit = 2 / (1 - beta2) - 1
        rho = limit - 2 * step * (beta2**step) / correction2
        if rho > 5.0:
            rectification = ((rho - 4) * (rho - 2) * limit / ((limit - 4) * (limit - 2) * rho)) ** 0.5
            adaptive = (correction2**0.5) / exp_avg_sq.sqrt().add(group["eps"])
            update = update * adaptive * rectification
        p.add_(update, alpha=-1.0)
