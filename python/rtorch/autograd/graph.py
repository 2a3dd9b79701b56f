"""Hooks on the graph."""

import threading

import rtorch
from rtorch import _C

__all__ = ["register_multi_grad_hook", "save_on_cpu", "saved_tensors_hooks"]


class saved_tensors_hooks:
    """Packs the tensors that operations save for backward, while the context lasts.

    `pack_hook` gets each tensor that is saved and returns anything; `unpack_hook` gets that in backward and returns a
    tensor of the same value. Contexts nest; the innermost one counts. The hooks are called without recording.

    Args:
        pack_hook: from a tensor to any object.
        unpack_hook: from that object to a tensor.

    Raises:
        TypeError: in backward, if `unpack_hook` does not return a tensor.

    Example::

        >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
        >>> with torch.autograd.graph.saved_tensors_hooks(lambda t: t.tolist(), torch.tensor):
        ...     y = (x * x).sum()
        >>> y.backward()
        >>> x.grad
        tensor([2., 4.])
    """

    def __init__(self, pack_hook, unpack_hook):
        self.pack_hook, self.unpack_hook = pack_hook, unpack_hook

    def __enter__(self):
        _C._push_saved_tensors_hooks(self.pack_hook, self.unpack_hook)

    def __exit__(self, *exc):
        _C._pop_saved_tensors_hooks()


class save_on_cpu(saved_tensors_hooks):
    """Keeps the tensors that operations save in the memory of the CPU, and brings them back for backward.

    Args:
        pin_memory: accepted; there is no pinned memory.
        device_type: accepted for compatibility.
    """

    def __init__(self, pin_memory: bool = False, device_type: str = "cuda"):
        super().__init__(lambda t: (t.device, t.cpu()), lambda packed: packed[1].to(packed[0]))


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
