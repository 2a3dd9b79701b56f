"""Trades compute for memory: activations are dropped in forward and computed again in backward."""

import contextlib
import warnings

import rtorch

__all__ = ["checkpoint", "checkpoint_sequential", "noop_context_fn", "set_checkpoint_early_stop"]

_early_stop = True


class CheckpointError(RuntimeError):
    """The recomputation did not give what the forward gave."""


def noop_context_fn():
    """The default of `context_fn`: two contexts that do nothing."""
    return contextlib.nullcontext(), contextlib.nullcontext()


@contextlib.contextmanager
def set_checkpoint_early_stop(enable: bool):
    """Accepted for compatibility: the recomputation always runs to its end.

    Args:
        enable: whether to stop early.
    """
    global _early_stop
    before, _early_stop = _early_stop, enable
    try:
        yield
    finally:
        _early_stop = before


def _tensors_in(value):
    """The tensors within nested tuples, lists and dicts."""
    if isinstance(value, rtorch.Tensor):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _tensors_in(item)
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from _tensors_in(item)


def _replace(value, tensors):
    """`value` with its tensors replaced, in order, by those of an iterator."""
    if isinstance(value, rtorch.Tensor):
        return next(tensors)
    if isinstance(value, dict):
        return {key: _replace(item, tensors) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(_replace(item, tensors) for item in value))
    if isinstance(value, (tuple, list)):
        return type(value)(_replace(item, tensors) for item in value)
    return value


class _Recompute(rtorch.autograd.Function):
    """Runs a function without a graph, and with one again when its gradient is asked for.

    The tensors among the arguments come in as inputs of their own, so that nested containers work as well.
    """

    @staticmethod
    def forward(ctx, call, state, *tensors):
        ctx.call, ctx.state = call, state
        ctx.requires_grad = [t.requires_grad for t in tensors]
        if state.preserve:
            state.rng = rtorch.get_rng_state()
        ctx.save_for_backward(*tensors)
        with rtorch.no_grad():
            out = call(tensors)
        state.structure = out
        flat = list(_tensors_in(out))
        # The node needs outputs of its own: an input that is handed through would be attached twice.
        given = {id(t) for t in tensors}
        flat = tuple(t.view_as(t) if id(t) in given else t for t in flat)
        ctx.mark_non_differentiable(*(t for t in flat if not (t.is_floating_point() or t.is_complex())))
        return flat

    @staticmethod
    def backward(ctx, *grads):
        state = ctx.state
        inputs = []
        for tensor, needed in zip(ctx.saved_tensors, ctx.requires_grad):
            inputs.append(tensor.detach().requires_grad_(needed))
        with contextlib.ExitStack() as stack:
            if state.preserve:
                now = rtorch.get_rng_state()
                stack.callback(rtorch.set_rng_state, now)
                rtorch.set_rng_state(state.rng)
            stack.enter_context(rtorch.enable_grad())
            stack.enter_context(state.recompute_context)
            flat = list(_tensors_in(ctx.call(inputs)))
        if len(flat) != len(grads):
            raise CheckpointError(
                "torch.utils.checkpoint: A different number of tensors was saved during the original forward and "
                f"recomputation. Forward: {len(grads)}, recomputation: {len(flat)}. "
                "The function must do the same every time it is called."
            )
        for was, is_now in zip(state.metadata, flat):
            if state.check and was != _metadata(is_now):
                raise CheckpointError(
                    "torch.utils.checkpoint: Recomputed values for the following tensors have different metadata than "
                    f"during the forward pass.\nsaved metadata: {was}\nrecomputed metadata: {_metadata(is_now)}"
                )
        pairs = [(out, g) for out, g in zip(flat, grads) if g is not None and out.requires_grad]
        if not pairs:
            raise RuntimeError("none of output has requires_grad=True, this checkpoint() is not necessary")
        # Parameters that the function closes over get their gradients here, as they are no inputs of this node.
        rtorch.autograd.backward([out for out, _ in pairs], [g for _, g in pairs])
        return (None, None, *(t.grad if needed else None for t, needed in zip(inputs, ctx.requires_grad)))


def _metadata(tensor):
    return {"shape": tuple(tensor.shape), "dtype": tensor.dtype, "device": tensor.device}


class _State:
    """What the forward leaves for the backward."""

    __slots__ = ("check", "metadata", "preserve", "recompute_context", "rng", "structure")

    def __init__(self, preserve, check, recompute_context):
        self.preserve, self.check, self.recompute_context = preserve, check, recompute_context
        self.metadata, self.structure, self.rng = [], None, None


def checkpoint(
    function,
    *args,
    use_reentrant=None,
    context_fn=noop_context_fn,
    determinism_check="default",
    debug=False,
    early_stop=True,
    **kwargs,
):
    """Runs `function` without keeping its activations; they are computed again in backward.

    Args:
        function: what to run; it has to do the same when called again.
        *args: its arguments.
        use_reentrant: accepted for compatibility; True warns if no argument requires a gradient.
        context_fn: returns two context managers, for the forward and for the recomputation (not with
            `use_reentrant=True`).
        determinism_check: "default" compares shapes and dtypes of the outputs, "none" does not.
        debug, early_stop: accepted for compatibility.
        **kwargs: keyword arguments of `function`; `preserve_rng_state=False` lets the recomputation draw new random
            numbers.

    Returns:
        What `function` returned.

    Raises:
        ValueError: for keyword arguments that `use_reentrant=True` does not take.
        CheckpointError: in backward, if the recomputation gives something else.

    Example::

        >>> x = rtorch.ones(2, requires_grad=True)
        >>> y = rtorch.utils.checkpoint.checkpoint(lambda t: (t * t).sum(), x, use_reentrant=False)
        >>> y.backward()
        >>> x.grad.tolist()
        [2.0, 2.0]
    """
    if use_reentrant is None:
        warnings.warn(
            "torch.utils.checkpoint: the use_reentrant parameter should be passed explicitly. "
            "Starting in PyTorch 2.9, calling checkpoint without use_reentrant will raise an exception. "
            "use_reentrant=False is recommended, but if you need to preserve the current default behavior, you can "
            "pass use_reentrant=True.",
            stacklevel=2,
        )
        use_reentrant = True
    preserve = kwargs.pop("preserve_rng_state", True)
    if use_reentrant:
        if kwargs:
            raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
        if context_fn is not noop_context_fn or debug is not False:
            raise ValueError("Passing `context_fn` or `debug` is only supported when use_reentrant=False.")
    if determinism_check not in ("default", "none"):
        raise ValueError(f"determinism_check should be one of ('default', 'none') but got {determinism_check}")
    tensors = list(_tensors_in((args, kwargs)))
    if use_reentrant and rtorch.is_grad_enabled() and not any(t.requires_grad for t in tensors):
        warnings.warn("None of the inputs have requires_grad=True. Gradients will be None", stacklevel=2)
    forward_context, recompute_context = context_fn()
    if not rtorch.is_grad_enabled():
        with forward_context:
            return function(*args, **kwargs)

    def call(inputs):
        new_args, new_kwargs = _replace((args, kwargs), iter(inputs))
        return function(*new_args, **new_kwargs)

    if not use_reentrant and not any(t.requires_grad for t in tensors):
        # Only what the function closes over may need a gradient; an anchor makes the node part of the graph.
        tensors.append(rtorch.empty(0, requires_grad=True))
    state = _State(preserve, determinism_check == "default", recompute_context)
    with forward_context:
        flat = _Recompute.apply(call, state, *tensors)
    if isinstance(flat, rtorch.Tensor):
        flat = (flat,)
    state.metadata = [_metadata(t) for t in flat]
    out, state.structure = state.structure, None
    return _replace(out, iter(flat))


def checkpoint_sequential(functions, segments, input, use_reentrant=None, **kwargs):
    """Runs functions one after the other, in segments of which all but the last are checkpointed.

    Args:
        functions: a `Sequential`, or a list of functions of one argument.
        segments: the number of segments.
        input: the input of the first function.
        use_reentrant: see `checkpoint`.
        **kwargs: `preserve_rng_state`, see `checkpoint`.

    Returns:
        What the last function returned.

    Raises:
        ValueError: for unknown keyword arguments.
    """
    if use_reentrant is None:
        warnings.warn(
            "torch.utils.checkpoint.checkpoint_sequential: the use_reentrant parameter should be passed explicitly. "
            "use_reentrant=False is recommended, but if you need to preserve the current default behavior, you can "
            "pass use_reentrant=True.",
            stacklevel=2,
        )
        use_reentrant = True
    preserve = kwargs.pop("preserve_rng_state", True)
    if kwargs:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
    if isinstance(functions, rtorch.nn.Sequential):
        functions = list(functions.children())

    def run(first, last):
        def segment(value):
            for fn in functions[first:last]:
                value = fn(value)
            return value

        return segment

    length = len(functions) // segments
    at = 0
    for _ in range(segments - 1):
        input = checkpoint(run(at, at + length), input, use_reentrant=use_reentrant, preserve_rng_state=preserve)
        at += length
    return run(at, len(functions))(input)
