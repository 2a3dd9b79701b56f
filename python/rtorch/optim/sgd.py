"""Stochastic gradient descent with momentum."""

import rtorch

from .optimizer import ParameterwiseOptimizer, check_fused, check_lr, check_not_negative, number


class SGD(ParameterwiseOptimizer):
    """Stochastic gradient descent, with momentum after Sutskever et al. (2013).

    With gradient `g` and momentum `m`, each step does `b = m * b + (1 - dampening) * g` and `p -= lr * b`
    (`p -= lr * (g + m * b)` with `nesterov`).

    Args:
        params: tensors, `(name, tensor)` pairs, or dicts defining parameter groups.
        lr: the learning rate, a float or a tensor of one element.
        momentum: the momentum factor.
        dampening: how much the newest gradient is damped in the momentum.
        weight_decay: the factor of an L2 penalty.
        nesterov: use Nesterov momentum.
        maximize: ascend instead of descend.
        foreach, fused: accepted for compatibility; the one implementation is always chosen.
        differentiable: let gradients flow through the step.

    Raises:
        ValueError: if a value is out of its range.

    Example::

        >>> w = rtorch.ones(2, requires_grad=True)
        >>> opt = rtorch.optim.SGD([w], lr=0.5)
        >>> w.sum().backward()
        >>> opt.step()
        >>> w.tolist()
        [0.5, 0.5]
    """

    _complex_as_real = False

    def __init__(
        self,
        params,
        lr=1e-3,
        momentum=0,
        dampening=0,
        weight_decay=0,
        nesterov=False,
        *,
        maximize=False,
        foreach=None,
        differentiable=False,
        fused=None,
    ):
        check_lr(lr)
        check_not_negative(momentum=momentum, weight_decay=weight_decay)
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
            "foreach": foreach,
            "differentiable": differentiable,
            "fused": fused,
        }
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        check_fused(defaults)
        super().__init__(params, defaults)

    def _states(self, group, params):
        # Without momentum there is no state, not even an empty entry; `_update` makes the buffer.
        return [{}] * len(params)

    def _fused_step(self, group, params, grads):
        momentum = group["momentum"]
        options = (
            float(group["lr"]),
            float(momentum),
            float(group["dampening"]),
            float(group["weight_decay"]),
            bool(group["nesterov"]),
            bool(group["maximize"]),
        )
        if momentum == 0:
            return rtorch._C._fused_sgd(params, grads, [], [], *options)
        buffers, new = [], []
        state = self.state
        for p in params:
            buffer = state[p].get("momentum_buffer")
            if buffer is None:
                new.append(len(buffers))
                buffer = rtorch.empty_like(p, requires_grad=False)
            buffers.append(buffer)
        if not rtorch._C._fused_sgd(params, grads, buffers, new, *options):
            return False
        for i in new:
            state[params[i]]["momentum_buffer"] = buffers[i]
        return True

    def _update(self, group, p, grad, state):
        weight_decay, momentum, lr = group["weight_decay"], group["momentum"], group["lr"]
        through_lr = group["differentiable"] and isinstance(lr, rtorch.Tensor) and lr.requires_grad
        if weight_decay != 0:
            grad = grad.add(p, alpha=number(weight_decay))
        if momentum != 0:
            state = self.state[p]
            buffer = state.get("momentum_buffer")
            if buffer is None:
                buffer = grad.clone() if group["differentiable"] else grad.detach().clone()
                state["momentum_buffer"] = buffer
            else:
                buffer.mul_(momentum).add_(grad, alpha=1 - group["dampening"])
            grad = grad.add(buffer, alpha=momentum) if group["nesterov"] else buffer
        if through_lr:
            p.addcmul_(grad, lr, value=-1)
        else:
            p.add_(grad, alpha=-number(lr))
