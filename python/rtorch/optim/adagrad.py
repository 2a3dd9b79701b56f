"""Adagrad."""

import rtorch

from .optimizer import ParameterwiseOptimizer, check_fused, check_lr, check_not_negative, number, scalar_state


class Adagrad(ParameterwiseOptimizer):
    """Adagrad (Duchi, Hazan and Singer, 2011).

    Each step does `s += g * g` and `p -= lr / (1 + (t - 1) * lr_decay) * g / (sqrt(s) + eps)`.

    Args:
        params: tensors, `(name, tensor)` pairs, or dicts defining parameter groups.
        lr: the learning rate, a float or a tensor of one element.
        lr_decay: how fast the learning rate decays.
        weight_decay: the factor of an L2 penalty.
        initial_accumulator_value: what the sum of squares starts from.
        eps: added to the denominator.
        foreach, fused: accepted for compatibility; the one implementation is always chosen.
        maximize: ascend instead of descend.
        differentiable: let gradients flow through the step.

    Raises:
        ValueError: if a value is out of its range.

    Example::

        >>> w = rtorch.ones(2, requires_grad=True)
        >>> opt = rtorch.optim.Adagrad([w], lr=0.5)
        >>> w.sum().backward()
        >>> opt.step()
        >>> [round(v, 4) for v in w.tolist()]
        [0.5, 0.5]
    """

    def __init__(
        self,
        params,
        lr=1e-2,
        lr_decay=0,
        weight_decay=0,
        initial_accumulator_value=0,
        eps=1e-10,
        foreach=None,
        *,
        maximize=False,
        differentiable=False,
        fused=None,
    ):
        check_lr(lr)
        check_not_negative(
            lr_decay=lr_decay,
            weight_decay=weight_decay,
            initial_accumulator_value=initial_accumulator_value,
            eps=eps,
        )
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "eps": eps,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "fused": fused,
        }
        check_fused(defaults)
        super().__init__(params, defaults)
        # Unlike the other optimizers, the state exists from the start, so that it can be shared between processes.
        for group in self.param_groups:
            self._states(group, group["params"])

    def share_memory(self):
        """Moves the state tensors to shared memory."""
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p]["sum"].share_memory_()

    def _init_state(self, group, p):
        start = group["initial_accumulator_value"]
        if p.is_complex():
            start = complex(start, start)
        return {
            "step": scalar_state(),
            "sum": rtorch.full_like(p, start, memory_format=rtorch.preserve_format, requires_grad=False),
        }

    def _fused_step(self, group, params, grads):
        states = self._states(group, params)
        return rtorch._C._fused_adagrad(
            params,
            grads,
            [s["sum"] for s in states],
            [s["step"] for s in states],
            float(group["lr"]),
            float(group["lr_decay"]),
            float(group["eps"]),
            float(group["weight_decay"]),
            bool(group["maximize"]),
        )

    def _update(self, group, p, grad, state):
        total = state["sum"]
        state["step"].add_(1)
        if group["weight_decay"] != 0:
            grad = grad.add(p, alpha=group["weight_decay"])
        rate = number(group["lr"]) / (1 + (state["step"].item() - 1) * group["lr_decay"])
        total.addcmul_(grad, grad, value=1)
        p.addcdiv_(grad, total.sqrt().add_(group["eps"]), value=-rate)
