"""NAdam."""

from .optimizer import (
    ParameterwiseOptimizer,
    check_betas,
    check_lr,
    check_not_negative,
    number,
    scalar_state,
    zeros_state,
)


class NAdam(ParameterwiseOptimizer):
    """Adam with Nesterov momentum (Dozat, 2016).

    The momentum at step t is `mu(t) = beta1 * (1 - 0.96 ** (t * momentum_decay) / 2)`.

    Args:
        params: tensors, `(name, tensor)` pairs, or dicts defining parameter groups.
        lr: the learning rate, a float or a tensor of one element.
        betas: the decay rates of the running averages of the gradient and of its square.
        eps: added to the denominator.
        weight_decay: the factor of an L2 penalty, or of the decay if `decoupled_weight_decay`.
        momentum_decay: how fast the momentum approaches `beta1`.
        decoupled_weight_decay: shrink the parameters instead of adding to the gradient.
        foreach, capturable: accepted for compatibility; the one implementation is always chosen.
        maximize: ascend instead of descend.
        differentiable: let gradients flow through the step.

    Raises:
        ValueError: if a value is out of its range.

    Example::

        >>> w = rtorch.ones(2, requires_grad=True)
        >>> rtorch.optim.NAdam([w]).defaults["momentum_decay"]
        0.004
    """

    def __init__(
        self,
        params,
        lr=2e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=0,
        momentum_decay=4e-3,
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
        check_not_negative(weight_decay=weight_decay, momentum_decay=momentum_decay)
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "momentum_decay": momentum_decay,
                "decoupled_weight_decay": decoupled_weight_decay,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
            },
        )

    def _init_state(self, group, p):
        return {
            "step": scalar_state(),
            "mu_product": scalar_state(1.0),
            "exp_avg": zeros_state(p),
            "exp_avg_sq": zeros_state(p),
        }

    def _update(self, group, p, grad, state):
        beta1, beta2 = group["betas"]
        lr, weight_decay, decay = number(group["lr"]), group["weight_decay"], group["momentum_decay"]
        exp_avg, exp_avg_sq = state["exp_avg"], state["exp_avg_sq"]
        state["step"].add_(1)
        step = state["step"].item()
        if weight_decay != 0:
            if group["decoupled_weight_decay"]:
                p.mul_(1 - lr * weight_decay)
            else:
                grad = grad.add(p, alpha=weight_decay)
        mu = beta1 * (1.0 - 0.5 * (0.96 ** (step * decay)))
        mu_next = beta1 * (1.0 - 0.5 * (0.96 ** ((step + 1) * decay)))
        state["mu_product"].mul_(mu)
        product = state["mu_product"].item()
        exp_avg.lerp_(grad, 1 - beta1)
        exp_avg_sq.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        denom = exp_avg_sq.div(1 - beta2**step).sqrt().add(group["eps"])
        p.addcdiv_(grad, denom, value=-lr * (1.0 - mu) / (1.0 - product))
        p.addcdiv_(exp_avg, denom, value=(-lr * mu_next) / (1.0 - product * mu_next))
