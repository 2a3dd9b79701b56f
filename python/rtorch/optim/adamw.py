"""AdamW."""

from .adam import Adam


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2017).

    As `Adam`, but `p *= 1 - lr * weight_decay` comes before the step and the gradient stays free of the decay.

    Args:
        params: tensors, `(name, tensor)` pairs, or dicts defining parameter groups.
        lr: the learning rate, a float or a tensor of one element.
        betas: the decay rates of the running averages of the gradient and of its square.
        eps: added to the denominator.
        weight_decay: the factor of the decay.
        amsgrad: divide by the largest average seen so far.
        maximize: ascend instead of descend.
        foreach, fused, capturable: accepted for compatibility; the one implementation is always chosen.
        differentiable: let gradients flow through the step.

    Raises:
        ValueError: if a value is out of its range.

    Example::

        >>> w = rtorch.ones(2, requires_grad=True)
        >>> rtorch.optim.AdamW([w]).defaults["decoupled_weight_decay"]
        True
    """

    def __init__(
        self,
        params,
        lr=1e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=1e-2,
        amsgrad=False,
        *,
        maximize=False,
        foreach=None,
        capturable=False,
        differentiable=False,
        fused=None,
    ):
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            foreach=foreach,
            maximize=maximize,
            capturable=capturable,
            differentiable=differentiable,
            fused=fused,
            decoupled_weight_decay=True,
        )

    def __setstate__(self, state):
        super().__setstate__(state)
        # The decay of AdamW is decoupled whatever checkpoint was loaded.
        for group in self.param_groups:
            group["decoupled_weight_decay"] = True
