"""Adam."""

import rtorch

from .optimizer import (
    ParameterwiseOptimizer,
    check_betas,
    check_fused,
    check_lr,
    check_not_negative,
    number,
    scalar_state,
    zeros_state,
)


class Adam(ParameterwiseOptimizer):
    """Adam (Kingma and Ba, 2014), with AMSGrad (Reddi et al., 2018).

    Each step does `m = lerp(m, g, 1 - beta1)`, `v = beta2 * v + (1 - beta2) * g * g` and
    `p -= lr / (1 - beta1 ** t) * m / (sqrt(v) / sqrt(1 - beta2 ** t) + eps)`.

    Args:
        params: tensors, `(name, tensor)` pairs, or dicts defining parameter groups.
        lr: the learning rate, a float or a tensor of one element.
        betas: the decay rates of the running averages of the gradient and of its square.
        eps: added to the denominator.
        weight_decay: the factor of an L2 penalty, or of the decay if `decoupled_weight_decay`.
        amsgrad: divide by the largest average seen so far.
        maximize: ascend instead of descend.
        foreach, fused, capturable: accepted for compatibility; the one implementation is always chosen.
        differentiable: let gradients flow through the step.
        decoupled_weight_decay: shrink the parameters instead of adding to the gradient, as AdamW does.

    Raises:
        ValueError: if a value is out of its range.

    Example::

        >>> w = rtorch.ones(2, requires_grad=True)
        >>> opt = rtorch.optim.Adam([w], lr=0.1)
        >>> w.sum().backward()
        >>> opt.step()
        >>> [round(v, 4) for v in w.tolist()]
        [0.9, 0.9]
    """

    def __init__(
        self,
        params,
        lr=1e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=0,
        amsgrad=False,
        *,
        foreach=None,
        maximize=False,
        capturable=False,
        differentiable=False,
        fused=None,
        decoupled_weight_decay=False,
    ):
        if isinstance(lr, rtorch.Tensor):
            if foreach and not capturable:
                raise ValueError("lr as a Tensor is not supported for capturable=False and foreach=True")
        check_lr(lr)
        check_not_negative(eps=eps)
        check_betas(betas)
        check_not_negative(weight_decay=weight_decay)
        kinds = [isinstance(b, rtorch.Tensor) for b in betas]
        if any(kinds):
            if not all(kinds):
                raise ValueError("betas must be either both floats or both Tensors")
            for i, beta in enumerate(betas):
                if foreach and not capturable:
                    raise ValueError(f"betas[{i}] as a Tensor is not supported for capturable=False and foreach=True")
                if beta.numel() != 1:
                    raise ValueError(f"Tensor betas[{i}] must be 1-element")
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        check_fused(defaults)
        super().__init__(params, defaults)

    def _init_state(self, group, p):
        state = {"step": scalar_state(), "exp_avg": zeros_state(p), "exp_avg_sq": zeros_state(p)}
        if group["amsgrad"]:
            state["max_exp_avg_sq"] = zeros_state(p)
        return state

    def _fused_step(self, group, params, grads):
        lr = group["lr"]
        beta1, beta2 = group["betas"]
        # A tensor learning rate takes part in float32 arithmetic that the fused kernel does in float64.
        if isinstance(lr, rtorch.Tensor) or isinstance(beta1, rtorch.Tensor):
            return False
        states = self._states(group, params)
        amsgrad = group["amsgrad"]
        return rtorch._C._fused_adam(
            params,
            grads,
            [s["exp_avg"] for s in states],
            [s["exp_avg_sq"] for s in states],
            [s["max_exp_avg_sq"] for s in states] if amsgrad else [],
            [s["step"] for s in states],
            float(lr),
            float(beta1),
            float(beta2),
            float(group["eps"]),
            float(group["weight_decay"]),
            bool(group.get("decoupled_weight_decay", False)),
            bool(group["maximize"]),
        )

    def _update(self, group, p, grad, state):
        lr, eps, weight_decay = group["lr"], group["eps"], group["weight_decay"]
        beta1, beta2 = (number(b) for b in group["betas"])
        exp_avg, exp_avg_sq = state["exp_avg"], state["exp_avg_sq"]
        state["step"].add_(1)
        if weight_decay != 0:
            if group.get("decoupled_weight_decay", False):
                p.mul_(1 - lr * weight_decay)
            else:
                grad = grad.add(p, alpha=weight_decay)
        exp_avg.lerp_(grad, 1 - beta1)
        step = state["step"].item()
        if group["differentiable"]:
            exp_avg_sq.mul_(beta2).add_(grad * grad * (1 - beta2))
        else:
            exp_avg_sq.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        step_size = lr / (1 - beta1**step)
        scale = (1 - beta2**step) ** 0.5
        if group["amsgrad"]:
            largest = state["max_exp_avg_sq"]
            largest.copy_(rtorch.maximum(largest, exp_avg_sq))
            exp_avg_sq = largest
        denom = (exp_avg_sq.sqrt() / scale).add_(eps)
        if isinstance(step_size, rtorch.Tensor) and group["differentiable"]:
            p.sub_(step_size * exp_avg / denom)
        else:
            p.addcdiv_(exp_avg, denom, value=-number(step_size))
