"""Adafactor."""

import rtorch

from .optimizer import ParameterwiseOptimizer, number, scalar_state


class Adafactor(ParameterwiseOptimizer):
    """Adafactor (Shazeer and Stern, 2018): second moments of matrices are kept as the product of a row and a column.

    Args:
        params: tensors, `(name, tensor)` pairs, or dicts defining parameter groups; not complex.
        lr: the largest relative step size, a float or a tensor of one element.
        beta2_decay: the exponent of the decay rate of the running average of the squared gradient, at most 0.
        eps: added to the squared gradient (None: the smallest that the dtype can tell from 1), and the smallest
            scale of the parameters.
        d: the threshold at which updates are clipped.
        weight_decay: the factor of the decay.
        foreach: accepted for compatibility; the one implementation is always chosen.
        maximize: ascend instead of descend.

    Raises:
        ValueError: if a value is out of its range.

    Example::

        >>> w = rtorch.ones(2, 3, requires_grad=True)
        >>> opt = rtorch.optim.Adafactor([w])
        >>> w.sum().backward()
        >>> opt.step()
        >>> opt.state[w]["row_var"].shape, opt.state[w]["col_var"].shape
        (torch.Size([2, 1]), torch.Size([1, 3]))
    """

    def __init__(
        self,
        params,
        lr=1e-2,
        beta2_decay=-0.8,
        eps=(None, 1e-3),
        d=1.0,
        weight_decay=0.0,
        *,
        foreach=None,
        maximize=False,
    ):
        if isinstance(lr, rtorch.Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        if not 0.0 <= lr:
            raise ValueError(f"Learning rate should be >= 0 but is: {lr}")
        if not 0.0 >= beta2_decay:
            raise ValueError(f"beta2_decay should be <= 0 but is: {beta2_decay}")
        if eps[0] is not None and not 0.0 <= eps[0]:
            raise ValueError(f"epsilon1 should be >= 0 but is: {eps[0]}")
        if not 0.0 <= eps[1]:
            raise ValueError(f"epsilon2 should be >= 0 but is: {eps[1]}")
        if not 1.0 <= d:
            raise ValueError(f"Clipping threshold d should be >= 1 but is: {d}")
        if not 0.0 <= weight_decay:
            raise ValueError(f"weight_decay should be >= 0 but is: {weight_decay}")
        super().__init__(
            params,
            {
                "lr": lr,
                "beta2_decay": beta2_decay,
                "eps": eps,
                "d": d,
                "weight_decay": weight_decay,
                "foreach": foreach,
                "maximize": maximize,
            },
        )

    def _init_state(self, group, p):
        if p.is_complex():
            raise RuntimeError("Adafactor does not support complex parameters")
        if p.dim() > 1:
            return {
                "step": scalar_state(),
                "row_var": p.new_zeros((*p.shape[:-1], 1)),
                "col_var": p.new_zeros((*p.shape[:-2], 1, p.shape[-1])),
            }
        return {"step": scalar_state(), "variance": rtorch.zeros_like(p, memory_format=rtorch.preserve_format)}

    def _update(self, group, p, grad, state):
        lr, weight_decay = number(group["lr"]), group["weight_decay"]
        eps1, eps2 = group["eps"]
        if eps1 is None:
            eps1 = rtorch.finfo(p.dtype).eps
        state["step"].add_(1)
        step = state["step"].item()
        new_share = step ** group["beta2_decay"]
        rho = min(lr, 1 / (step**0.5))
        scale = max(eps2, p.norm(2).item() / (p.numel() ** 0.5)) * rho
        if weight_decay != 0:
            p.mul_(1 - lr * weight_decay)
        if grad.dim() > 1:
            row, column = state["row_var"], state["col_var"]
            row.lerp_(grad.norm(dim=-1, keepdim=True).square_().div_(grad.size(-1)), new_share)
            column.lerp_(grad.norm(dim=-2, keepdim=True).square_().div_(grad.size(-2)), new_share)
            variance = (row @ column).div_(row.mean(dim=-2, keepdim=True).clamp_(min=eps1))
        else:
            variance = state["variance"]
            variance.lerp_(grad.square(), new_share)
            variance = variance.clone()
        update = variance.clamp_(min=eps1 * eps1).rsqrt_().mul_(grad)
        clip = max(1.0, update.norm(2).item() / ((update.numel() ** 0.5) * group["d"]))
        p.add_(update, alpha=-scale / clip)
