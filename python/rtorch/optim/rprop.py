"""Resilient backpropagation."""

import rtorch

from .optimizer import ParameterwiseOptimizer, check_lr, number, scalar_state, zeros_state


class Rprop(ParameterwiseOptimizer):
    """Resilient backpropagation (Riedmiller and Braun, 1993).

    A step size per element grows while the sign of the gradient stays and shrinks when it changes.

    Args:
        params: tensors, `(name, tensor)` pairs, or dicts defining parameter groups.
        lr: the initial step size, a float or a tensor of one element.
        etas: the factors of decrease and of increase.
        step_sizes: the smallest and the largest step size.
        capturable, foreach: accepted for compatibility; the one implementation is always chosen.
        maximize: ascend instead of descend.
        differentiable: let gradients flow through the step.

    Raises:
        ValueError: if a value is out of its range.

    Example::

        >>> w = rtorch.ones(2, requires_grad=True)
        >>> rtorch.optim.Rprop([w]).defaults["etas"]
        (0.5, 1.2)
    """

    def __init__(
        self,
        params,
        lr=1e-2,
        etas=(0.5, 1.2),
        step_sizes=(1e-6, 50),
        *,
        capturable=False,
        foreach=None,
        maximize=False,
        differentiable=False,
    ):
        check_lr(lr)
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ValueError(f"Invalid eta values: {etas[0]}, {etas[1]}")
        super().__init__(
            params,
            {
                "lr": lr,
                "etas": etas,
                "step_sizes": step_sizes,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "capturable": capturable,
            },
        )

    def _init_state(self, group, p):
        lr = number(group["lr"])
        if p.is_complex():
            # The parts of a complex number have a step size each.
            lr = complex(lr, lr)
        return {
            "step": scalar_state(),
            "prev": zeros_state(p),
            "step_size": rtorch.full_like(p, lr, requires_grad=False),
        }

    def _update(self, group, p, grad, state):
        shrink, grow = group["etas"]
        smallest, largest = group["step_sizes"]
        previous, step_size = state["prev"], state["step_size"]
        state["step"].add_(1)
        agreement = grad.mul(previous).sign()
        factor = rtorch.where(agreement > 0, grow, rtorch.where(agreement < 0, shrink, 1.0)).to(step_size.dtype)
        step_size.mul_(factor).clamp_(smallest, largest)
        # After a change of sign the element stays where it is, and the next step starts afresh.
        grad = grad.masked_fill(agreement < 0, 0)
        p.addcmul_(grad.sign(), step_size, value=-1)
        previous.copy_(grad)
