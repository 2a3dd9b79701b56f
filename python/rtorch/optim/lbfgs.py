"""L-BFGS."""

import rtorch

from .optimizer import Optimizer, check_lr, number


def cubic_minimum(a, b, bounds=None):
    """The minimum, within bounds, of the cubic through two points `(x, value, slope)`.

    Nocedal and Wright, Numerical Optimization, 2nd edition, equation 3.59; the middle where it has no minimum.
    """
    if a[0] > b[0]:
        a, b = b, a
    (x1, f1, g1), (x2, f2, g2) = a, b
    low, high = bounds if bounds is not None else (x1, x2)
    d1 = g1 + g2 - 3 * (f1 - f2) / (x1 - x2)
    square = d1**2 - g1 * g2
    if square < 0:
        return (low + high) / 2.0
    d2 = square**0.5
    at = x2 - (x2 - x1) * ((g2 + d2 - d1) / (g2 - g1 + 2 * d2))
    return min(max(at, low), high)


class _Point:
    """A trial step: its length, the loss, the gradient and the slope along the direction."""

    __slots__ = ("t", "loss", "grad", "slope")

    def __init__(self, t, loss, grad, slope):
        self.t, self.loss, self.grad, self.slope = t, loss, grad, slope

    def at(self):
        return self.t, self.loss, self.slope


def strong_wolfe(evaluate, t, direction, start, c1=1e-4, c2=0.9, tolerance=1e-9, max_trials=25):
    """A step length that satisfies the strong Wolfe conditions (Nocedal and Wright, algorithms 3.5 and 3.6).

    Args:
        evaluate: maps a step length to `(loss, flat gradient)`.
        t: the first step length to try.
        direction: the flat search direction.
        start: the `_Point` with t = 0.
        c1, c2: the constants of the sufficient decrease and of the curvature condition.
        tolerance: the shortest bracket, times the largest element of the direction.
        max_trials: the largest number of trials before the bracket is shrunk.

    Returns:
        The chosen `_Point` and the number of evaluations.
    """
    size = direction.abs().max()
    evals = 0

    def try_step(t):
        nonlocal evals
        loss, grad = evaluate(t)
        evals += 1
        return _Point(t, loss, grad, grad.dot(direction))

    def decreases(point):
        return point.loss <= start.loss + c1 * point.t * start.slope

    # First a bracket: two steps between which a good one lies.
    previous, point = start, try_step(t)
    trials, bracket, done = 0, None, False
    while trials < max_trials:
        if not decreases(point) or (trials > 1 and point.loss >= previous.loss):
            bracket = [previous, point]
            break
        if abs(point.slope) <= -c2 * start.slope:
            bracket, done = [point], True
            break
        if point.slope >= 0:
            bracket = [previous, point]
            break
        longest = point.t * 10
        shortest = point.t + 0.01 * (point.t - previous.t)
        t = cubic_minimum(previous.at(), point.at(), (shortest, longest))
        previous, point = point, try_step(t)
        trials += 1
    if bracket is None:
        bracket = [start, point]

    # Then shrink it. `low` is the better end.
    stalled = False
    low, high = (0, 1) if bracket[0].loss <= bracket[-1].loss else (1, 0)
    while not done and trials < max_trials:
        if abs(bracket[1].t - bracket[0].t) * size < tolerance:
            break
        t = cubic_minimum(bracket[0].at(), bracket[1].at())
        ends = sorted(p.t for p in bracket)
        margin = 0.1 * (ends[1] - ends[0])
        if min(ends[1] - t, t - ends[0]) < margin:
            # Twice close to an end, or at an end: step away from it.
            if stalled or t >= ends[1] or t <= ends[0]:
                t = ends[1] - margin if abs(t - ends[1]) < abs(t - ends[0]) else ends[0] + margin
                stalled = False
            else:
                stalled = True
        else:
            stalled = False
        point = try_step(t)
        trials += 1
        if not decreases(point) or point.loss >= bracket[low].loss:
            bracket[high] = point
            low, high = (0, 1) if bracket[0].loss <= bracket[1].loss else (1, 0)
        else:
            if abs(point.slope) <= -c2 * start.slope:
                done = True
            elif point.slope * (bracket[high].t - bracket[low].t) >= 0:
                bracket[high] = bracket[low]
            bracket[low] = point
    return bracket[low if len(bracket) > 1 else 0], evals


class LBFGS(Optimizer):
    """L-BFGS (Nocedal and Wright, Numerical Optimization, algorithm 7.4), after minFunc.

    `step` needs a closure that clears the gradients, computes the loss and calls backward. There is one parameter
    group, and its parameters have to share one device.

    Args:
        params: tensors or `(name, tensor)` pairs.
        lr: the step length tried first, a float or a tensor of one element.
        max_iter: the largest number of iterations per step.
        max_eval: the largest number of evaluations per step (default: `max_iter * 5 // 4`).
        tolerance_grad: stop when no element of the gradient is larger.
        tolerance_change: stop when neither the loss nor a parameter changes by more.
        history_size: the number of past updates to keep.
        line_search_fn: None, or "strong_wolfe".

    Raises:
        ValueError: if there is more than one parameter group.

    Example::

        >>> w = rtorch.ones(2, requires_grad=True)
        >>> opt = rtorch.optim.LBFGS([w], line_search_fn="strong_wolfe")
        >>> def closure():
        ...     opt.zero_grad()
        ...     loss = (w - 3).square().sum()
        ...     loss.backward()
        ...     return loss
        >>> _ = opt.step(closure)
        >>> [round(v, 4) for v in w.tolist()]
        [3.0, 3.0]
    """

    _tensor_steps = False

    def __init__(
        self,
        params,
        lr=1,
        max_iter=20,
        max_eval=None,
        tolerance_grad=1e-7,
        tolerance_change=1e-9,
        history_size=100,
        line_search_fn=None,
    ):
        check_lr(lr)
        if max_eval is None:
            max_eval = max_iter * 5 // 4
        super().__init__(
            params,
            {
                "lr": lr,
                "max_iter": max_iter,
                "max_eval": max_eval,
                "tolerance_grad": tolerance_grad,
                "tolerance_change": tolerance_change,
                "history_size": history_size,
                "line_search_fn": line_search_fn,
            },
        )
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")

    @property
    def _params(self):
        return self.param_groups[0]["params"]

    def _flat_grad(self):
        parts = []
        for p in self._params:
            grad = p.new_zeros(p.shape) if p.grad is None else p.grad
            if grad.is_complex():
                grad = rtorch.view_as_real(grad)
            parts.append(grad.reshape(-1))
        return rtorch.cat(parts, 0)

    def _move(self, t, direction):
        """Adds `t * direction` to the parameters."""
        offset = 0
        for p in self._params:
            real = rtorch.view_as_real(p) if p.is_complex() else p
            count = real.numel()
            real.add_(direction[offset : offset + count].view_as(real), alpha=t)
            offset += count

    def _direction(self, state, grad, previous_grad, t, direction, history_size):
        """The next search direction, by the two-loop recursion; updates the history in `state`."""
        dirs, steps, ro = state["old_dirs"], state["old_stps"], state["ro"]
        y = grad.sub(previous_grad)
        s = direction.mul(t)
        curvature = y.dot(s)
        if curvature > 1e-10:
            if len(dirs) == history_size:
                del dirs[0], steps[0], ro[0]
            dirs.append(y)
            steps.append(s)
            ro.append(1.0 / curvature)
            state["H_diag"] = curvature / y.dot(y)
        if state.get("al") is None:
            state["al"] = [None] * history_size
        al = state["al"]
        q = grad.neg()
        for i in reversed(range(len(dirs))):
            al[i] = steps[i].dot(q) * ro[i]
            q.add_(dirs[i], alpha=-number(al[i]))
        r = rtorch.mul(q, state["H_diag"])
        for i in range(len(dirs)):
            r.add_(steps[i], alpha=number(al[i] - dirs[i].dot(r) * ro[i]))
        return r

    def step(self, closure):
        """Performs one optimization step.

        Args:
            closure: clears the gradients, computes the loss, calls backward and returns the loss.

        Returns:
            The loss at the start of the step.
        """
        with rtorch.no_grad():
            return self._step(closure)

    def _step(self, closure):
        group = self.param_groups[0]
        lr, max_iter, max_eval = number(group["lr"]), group["max_iter"], group["max_eval"]
        tolerance_grad, tolerance_change = group["tolerance_grad"], group["tolerance_change"]
        search = group["line_search_fn"]
        # All state is kept with the first parameter, so that it travels with the state dict.
        state = self.state[self._params[0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)

        def evaluate():
            with rtorch.enable_grad():
                return closure()

        first_loss = evaluate()
        loss = float(first_loss)
        evals = 1
        state["func_evals"] += 1
        grad = self._flat_grad()
        if grad.abs().max() <= tolerance_grad:
            return first_loss
        direction, t = state.get("d"), state.get("t")
        previous_grad, previous_loss = state.get("prev_flat_grad"), state.get("prev_loss")

        for iteration in range(1, max_iter + 1):
            state["n_iter"] += 1
            if state["n_iter"] == 1:
                direction = grad.neg()
                state.update(old_dirs=[], old_stps=[], ro=[], H_diag=1)
                t = min(1.0, 1.0 / number(grad.abs().sum())) * lr
            else:
                direction = self._direction(state, grad, previous_grad, t, direction, group["history_size"])
                t = lr
            previous_grad = grad.clone(memory_format=rtorch.contiguous_format)
            previous_loss = loss
            slope = grad.dot(direction)
            if slope > -tolerance_change:
                break
            spent = 0
            small = False
            if search is not None:
                if search != "strong_wolfe":
                    raise RuntimeError("only 'strong_wolfe' is supported")
                origin = [p.clone(memory_format=rtorch.contiguous_format) for p in self._params]

                def restore(origin=origin):
                    for p, saved in zip(self._params, origin):
                        p.copy_(saved)

                def trial(length, direction=direction):
                    self._move(length, direction)
                    value = float(evaluate())
                    gradient = self._flat_grad()
                    restore()
                    return value, gradient

                chosen, spent = strong_wolfe(trial, t, direction, _Point(0, loss, grad, slope))
                loss, grad, t = chosen.loss, chosen.grad, number(chosen.t)
                self._move(t, direction)
                small = bool(grad.abs().max() <= tolerance_grad)
            else:
                self._move(t, direction)
                if iteration != max_iter:
                    # The loss after the last iteration is computed by the next step.
                    loss = float(evaluate())
                    grad = self._flat_grad()
                    small = bool(grad.abs().max() <= tolerance_grad)
                    spent = 1
            evals += spent
            state["func_evals"] += spent
            if (
                iteration == max_iter
                or evals >= max_eval
                or small
                or direction.mul(t).abs().max() <= tolerance_change
                or abs(loss - previous_loss) < tolerance_change
            ):
                break

        state["d"], state["t"] = direction, t
        state["prev_flat_grad"], state["prev_loss"] = previous_grad, previous_loss
        return first_loss
