"""RMSprop."""

import rtorch

from .optimizer import ParameterwiseOptimizer, check_lr, check_not_negative, number, scalar_state, zeros_state


class RMSprop(ParameterwiseOptimizer):
    """RMSprop (Hinton, 2012); with `centered`, the variant of Graves (2013).

    Each step does `v = alpha * v + (1 - alpha) * g * g` and `p -= lr * g / (sqrt(v) + eps)`.

    Args:
        params: tensors, `(name, tensor)` pairs, or dicts defining parameter groups.
        lr: the learning rate, a float or a tensor of one element.
        alpha: the decay rate of the running average of the squared gradient.
        eps: added to the denominator.
        weight_decay: the factor of an L2 penalty.
        momentum: the momentum factor.
        centered: divide by an estimate of the standard deviation of the gradient.
        capturable, foreach: accepted for compatibility; the one implementation is always chosen.
        maximize: ascend instead of descend.
        differentiable: let gradients flow through the step.

    Raises:
        ValueError: if a value is out of its range.

    Example::

        >>> w = rtorch.ones(2, requires_grad=True)
        >>> opt = rtorch.optim.RMSprop([w], lr=0.1, alpha=0.75)
        >>> w.sum().backward()
        >>> opt.step()
        >>> [round(v, 4) for v in w.tolist()]
        [0.8, 0.8]
    """

    def __init__(
        self,
        params,
        lr=1e-2,
        alpha=0.99,
        eps=1e-8,
        weight_decay=0,
        momentum=0,
        centered=False,
        capturable=False,
        foreach=None,
        maximize=False,
        differentiable=False,
    ):
        check_lr(lr)
        check_not_negative(eps=eps, momentum=momentum, weight_decay=weight_decay, alpha=alpha)
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "alpha": alpha,
                "eps": eps,
                "centered": centered,
                "weight_decay": weight_decay,
                "capturable": capturable,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
            },
        )

    def _init_state(self, group, p):
        state = {"step": scalar_state(), "square_avg": zeros_state(p)}
        if group["momentum"] > 0:
            state["momentum_buffer"] = zeros_state(p)
        if group["centered"]:
            state["grad_avg"] = zeros_state(p)
        return state

    def _fused_step(self, group, params, grads):
        states = self._states(group, params)
        return rtorch._C._fused_rmsprop(
            params,
            grads,
            [s["square_avg"] for s in states],
            [s["grad_avg"] for s in states] if group["centered"] else [],
            [s["momentum_buffer"] for s in states] if group["momentum"] > 0 else [],
            [s["step"] for s in states],
            float(group["lr"]),
            float(group["alpha"]),
            float(group["eps"]),
            float(group["weight_decay"]),
            float(group["momentum"]),
            bool(group["maximize"]),
        )

    def _update(self, group, p, grad, state):
        alpha, momentum, lr = group["alpha"], group["momentum"], number(group["lr"])
        square_avg = state["square_avg"]
        state["step"].add_(1)
        if group["weight_decay"] != 0:
            grad = grad.add(p, alpha=group["weight_decay"])
        square_avg.mul_(alpha).addcmul_(grad, grad, value=1 - alpha)
        if group["centered"]:
            grad_avg = state["grad_avg"]
            grad_avg.lerp_(grad, 1 - alpha)
            avg = square_avg.addcmul(grad_avg, grad_avg, value=-1).sqrt_()
        else:
            avg = square_avg.sqrt()
        avg = avg.add(group["eps"])
        if momentum > 0:
            buffer = state["momentum_buffer"]
            buffer.mul_(momentum).addcdiv_(grad, avg)
            p.add_(buffer, alpha=-lr)
        else:
            p.addcdiv_(grad, avg, value=-lr)
