"""Differentiable functions with a backward of their own."""

import functools

import rtorch
from rtorch import _C

__all__ = ["Function", "FunctionCtx", "InplaceFunction", "once_differentiable"]


class FunctionCtx:
    """What the forward of a `Function` hands to its backward; any attribute may be set on it."""

    to_save = None
    materialize_grads = True
    needs_input_grad: tuple = ()
    dirty_tensors: tuple = ()
    non_differentiable: tuple = ()
    _saved = None

    def save_for_backward(self, *tensors):
        """Saves tensors for backward, where `saved_tensors` returns them, checked for in-place changes.

        Args:
            *tensors: inputs, outputs or other tensors, or None.

        Raises:
            TypeError: if something else than a tensor or None is given.
        """
        for i, t in enumerate(tensors):
            if t is not None and not isinstance(t, rtorch.Tensor):
                raise TypeError(
                    f"save_for_backward can only save variables, but argument {i} is of type {type(t).__name__}"
                )
        self.to_save = tensors

    def save_for_forward(self, *tensors):
        """Accepted for compatibility: there is no forward mode."""

    def mark_dirty(self, *tensors):
        """Says which inputs the forward changes in place; they have to be outputs."""
        self.dirty_tensors = tensors

    def mark_non_differentiable(self, *tensors):
        """Says which outputs have no gradient."""
        self.non_differentiable = tensors

    def set_materialize_grads(self, value: bool):
        """Says whether missing gradients of outputs come as zeros (the default) or as None."""
        self.materialize_grads = value

    @property
    def saved_tensors(self):
        """The saved tensors, in the order of `save_for_backward`."""
        if self._saved is None:
            return self.to_save or ()
        return tuple(None if handle is None else handle.unpack() for handle in self._saved)

    def name(self) -> str:
        """The name of the node."""
        return type(self).__name__


class Function:
    """Base class of differentiable functions; a subclass defines `forward` and `backward` and is called by `apply`.

    Example::

        >>> class Exp(rtorch.autograd.Function):
        ...     @staticmethod
        ...     def forward(ctx, x):
        ...         y = x.exp()
        ...         ctx.save_for_backward(y)
        ...         return y
        ...     @staticmethod
        ...     def backward(ctx, grad):
        ...         (y,) = ctx.saved_tensors
        ...         return grad * y
        >>> x = rtorch.zeros(1, requires_grad=True)
        >>> Exp.apply(x).backward()
        >>> x.grad
        tensor([1.])
    """

    _ctx_class = FunctionCtx

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        cls._ctx_class = type(cls.__name__ + "Backward", (FunctionCtx,), {"_forward_cls": cls})

    @staticmethod
    def forward(*args, **kwargs):
        """Computes the outputs: `forward(ctx, *args)`, or `forward(*args)` beside a `setup_context`."""
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def setup_context(ctx, inputs, output):
        """Prepares `ctx` after a `forward` that does not take it."""
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx, *grad_outputs):
        """Maps the gradients of the outputs to those of all arguments of `forward` (None where there is none)."""
        raise NotImplementedError(
            "You must implement either the backward or vjp method for "
            "your custom autograd.Function to use it with backward mode AD."
        )

    vjp = backward

    @staticmethod
    def jvp(ctx, *grad_inputs):
        """Forward mode, which does not exist here."""
        raise NotImplementedError("You must implement the jvp function for custom autograd.Function.")

    @classmethod
    def apply(cls, *args):
        """Runs `forward` and records this function as what made its outputs.

        Args:
            *args: the arguments of `forward`; tensors among them may require gradients.

        Returns:
            What `forward` returned.
        """
        ctx = cls._ctx_class()
        ctx.needs_input_grad = tuple(isinstance(a, rtorch.Tensor) and a.requires_grad for a in args)
        recorded = _C.is_grad_enabled() and any(ctx.needs_input_grad)
        with rtorch.no_grad():
            if cls.setup_context is Function.setup_context:
                raw = cls.forward(ctx, *args)
            else:
                raw = cls.forward(*args)
                cls.setup_context(ctx, args, raw)
            outputs, saved = _own_outputs(ctx, args, raw, recorded)
        if recorded:
            _record(cls, ctx, args, outputs, saved)
        return outputs if isinstance(raw, tuple) else outputs[0]


def _own_outputs(ctx, args, raw, recorded):
    """The outputs, as tensors of their own where the forward handed an input through, and what is to be saved."""
    inputs = {id(a) for a in args if isinstance(a, rtorch.Tensor)}
    dirty = {id(t) for t in ctx.dirty_tensors}
    fixed = {id(t) for t in ctx.non_differentiable}
    raw = raw if isinstance(raw, tuple) else (raw,)
    if not dirty <= {id(t) for t in raw}:
        raise RuntimeError(
            "Some elements marked as dirty during the forward method were not returned as output. "
            "The inputs that are modified inplace must all be outputs of the Function."
        )
    if recorded and any(id(t) in inputs and t.requires_grad and t.is_leaf for t in ctx.dirty_tensors):
        raise RuntimeError("a leaf Variable that requires grad has been used in an in-place operation.")
    renamed, outputs, non_differentiable = {}, [], set()
    for i, t in enumerate(raw):
        if isinstance(t, rtorch.Tensor):
            own = t
            if id(t) not in dirty and (id(t) in inputs or t.requires_grad):
                own = t.detach()
                if id(t) not in inputs:
                    renamed[id(t)] = own
            if id(t) in fixed or not (t.is_floating_point() or t.is_complex()):
                non_differentiable.add(i)
            t = own
        outputs.append(t)
    ctx.non_differentiable = non_differentiable
    saved = None if ctx.to_save is None else tuple(renamed.get(id(t), t) for t in ctx.to_save)
    return tuple(outputs), saved


def _record(cls, ctx, args, outputs, saved):
    """Attaches one node to the differentiable outputs."""
    attached = [i for i, t in enumerate(outputs) if isinstance(t, rtorch.Tensor) and i not in ctx.non_differentiable]
    # The shapes for missing gradients; the outputs themselves would keep the node alive.
    like = [(tuple(t.shape), t.dtype, t.device) if isinstance(t, rtorch.Tensor) else None for t in outputs]
    is_tensor = [isinstance(a, rtorch.Tensor) for a in args]
    name = type(ctx).__name__
    custom_vjp = cls.vjp is not Function.vjp
    if custom_vjp and cls.backward is not Function.backward:
        raise RuntimeError(
            "Implementing both 'backward' and 'vjp' for a custom Function is not allowed. "
            "You should only implement one of them."
        )
    formula = cls.vjp if custom_vjp else cls.backward

    def backward(grads):
        given = [None] * len(like)
        for i, grad in zip(attached, grads):
            given[i] = grad
        if ctx.materialize_grads:
            for i, meta in enumerate(like):
                if given[i] is None and meta is not None:
                    given[i] = rtorch.zeros(meta[0], dtype=meta[1], device=meta[2])
        result = formula(ctx, *given)
        if not isinstance(result, tuple):
            result = tuple(result) if isinstance(result, list) else (result,)
        count = len(is_tensor)
        if len(result) > count and all(g is None for g in result[count:]):
            result = result[:count]
        if len(result) != count:
            raise RuntimeError(
                f"function {name} returned an incorrect number of gradients (expected {count}, got {len(result)})"
            )
        for i, (grad, tensor) in enumerate(zip(result, is_tensor)):
            if grad is None:
                continue
            if not tensor:
                raise RuntimeError(
                    f"function {name} returned a gradient different than None at position {i + 1}, "
                    "but the corresponding forward input was not a Variable"
                )
            if not isinstance(grad, rtorch.Tensor):
                raise RuntimeError(f"expected Variable or None (got {type(grad).__name__})")
        return tuple(grad for grad, tensor in zip(result, is_tensor) if tensor)

    if attached:
        _C._attach_python_node(
            [outputs[i] for i in attached],
            [a for a in args if isinstance(a, rtorch.Tensor)],
            backward,
            name,
        )
    own = {id(t) for t in outputs}
    if saved is not None:
        ctx._saved = tuple(None if t is None else _C._save_variable(t, id(t) in own) for t in saved)
    # What the forward was given is not needed any more, and would keep tensors alive.
    ctx.to_save, ctx.dirty_tensors = None, ()


class InplaceFunction(Function):
    """A `Function` with an `inplace` flag, as older code derives from it."""

    def __init__(self, inplace=False):
        super().__init__()
        self.inplace = inplace


def once_differentiable(fn):
    """Marks a `backward` that cannot be differentiated itself: a second derivative then raises instead of being wrong.

    Args:
        fn: the `backward`.
    """

    def refuse(grads):
        raise RuntimeError("trying to differentiate twice a function that was marked with @once_differentiable")

    @functools.wraps(fn)
    def wrapper(ctx, *args):
        with rtorch.no_grad():
            outputs = fn(ctx, *args)
        if not rtorch.is_grad_enabled():
            return outputs
        inputs = [a for a in args if isinstance(a, rtorch.Tensor) and a.requires_grad]
        if not inputs:
            return outputs
        many = isinstance(outputs, tuple)
        results = [t.detach() if isinstance(t, rtorch.Tensor) else t for t in (outputs if many else (outputs,))]
        targets = [t for t in results if isinstance(t, rtorch.Tensor)]
        if targets:
            _C._attach_python_node(targets, inputs, refuse, "DelayedError")
        return tuple(results) if many else results[0]

    return wrapper
