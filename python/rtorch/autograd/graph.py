"""Hooks on the graph."""

import threading

import rtorch

__all__ = ["register_multi_grad_hook"]


class _Handles:
    """Handles that are removed together."""

    def __init__(self, handles):
        self._handles = tuple(handles)

    def remove(self) -> None:
        for handle in self._handles:
            handle.remove()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.remove()


def register_multi_grad_hook(tensors, fn, *, mode="all"):
    """Calls `fn` when the gradients of tensors have been computed.

    With "all", `fn` gets a list with the gradient, or None, of each tensor, once all that were expected have come; a
    backward that does not reach every tensor must not be mixed with ones that do. With "any", `fn` gets the first one.

    Args:
        tensors: the tensors, which have to require gradients.
        fn: the hook.
        mode: "all" or "any".

    Returns:
        A handle with `remove()`.

    Raises:
        ValueError: if `mode` is unknown.
    """
    if mode not in ("all", "any"):
        raise ValueError(f"Expects mode to be one of ('all', 'any') but got {mode}")
    tensors = tuple(tensors)
    lock = threading.Lock()
    arrived: dict = {}

    def hook_for(i):
        def hook(grad):
            with lock:
                first = not arrived
                arrived[i] = grad
                complete = len(arrived) == len(tensors)
                grads = [arrived.get(k) for k in range(len(tensors))] if complete else None
                if complete:
                    arrived.clear()
            if mode == "any":
                if first:
                    fn(grad)
            elif grads is not None:
                fn(grads)

        return hook

    if any(not isinstance(t, rtorch.Tensor) for t in tensors):
        raise TypeError("register_multi_grad_hook expects tensors")
    return _Handles(t.register_hook(hook_for(i)) for i, t in enumerate(tensors))
