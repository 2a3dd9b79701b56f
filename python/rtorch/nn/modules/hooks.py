"""Hooks of modules: the hooks that apply to all modules, and hooks around a module's backward."""

import warnings
from collections import OrderedDict

import rtorch
from rtorch import Tensor

from ...utils.hooks import RemovableHandle, add_hook

__all__ = [
    "BackwardHook",
    "RemovableHandle",
    "register_module_backward_hook",
    "register_module_buffer_registration_hook",
    "register_module_forward_hook",
    "register_module_forward_pre_hook",
    "register_module_full_backward_hook",
    "register_module_full_backward_pre_hook",
    "register_module_module_registration_hook",
    "register_module_parameter_registration_hook",
]


class GlobalHooks:
    """The hooks that run for every module; `active` is the one thing a plain call looks at."""

    def __init__(self):
        self.forward_pre = OrderedDict()
        self.forward = OrderedDict()
        self.forward_with_kwargs = OrderedDict()
        self.forward_always_called = OrderedDict()
        self.backward_pre = OrderedDict()
        self.backward = OrderedDict()
        self.is_full_backward = None
        self.buffer_registration = OrderedDict()
        self.module_registration = OrderedDict()
        self.parameter_registration = OrderedDict()
        # Stays true once a hook was set: finding that all of them are gone again is left to the slow path.
        self.active = False


EVERY = GlobalHooks()


def register_module_buffer_registration_hook(hook):
    """Runs `hook(module, name, buffer)` whenever any module registers a buffer; its result replaces the buffer."""
    return add_hook(EVERY.buffer_registration, hook)


def register_module_module_registration_hook(hook):
    """Runs `hook(module, name, submodule)` whenever any module registers a submodule; its result replaces it."""
    return add_hook(EVERY.module_registration, hook)


def register_module_parameter_registration_hook(hook):
    """Runs `hook(module, name, parameter)` whenever any module registers a parameter; its result replaces it."""
    return add_hook(EVERY.parameter_registration, hook)


def register_module_forward_pre_hook(hook):
    """Runs `hook(module, args)` before the forward of every module."""
    EVERY.active = True
    return add_hook(EVERY.forward_pre, hook)


def register_module_forward_hook(hook, *, with_kwargs=False, always_call=False):
    """Runs `hook(module, args, output)` after the forward of every module.

    Args:
        hook: the callable; a result other than None replaces the output.
        with_kwargs: whether the hook also gets the keyword arguments, after `args`.
        always_call: whether the hook runs even when the forward raises.
    """
    EVERY.active = True
    marks = [
        d for d, on in ((EVERY.forward_with_kwargs, with_kwargs), (EVERY.forward_always_called, always_call)) if on
    ]
    return add_hook(EVERY.forward, hook, (EVERY.forward_with_kwargs, EVERY.forward_always_called), marks)


def register_module_backward_hook(hook):
    """Runs `hook(module, grad_input, grad_output)` in the backward of every module, the form that is not full."""
    if EVERY.is_full_backward is True:
        raise RuntimeError(
            "Cannot use both regular backward hooks and full backward hooks as a global Module hook. "
            "Please use only one of them."
        )
    EVERY.is_full_backward = False
    EVERY.active = True
    return add_hook(EVERY.backward, hook)


def register_module_full_backward_pre_hook(hook):
    """Runs `hook(module, grad_output)` before the gradients of every module are computed."""
    EVERY.active = True
    return add_hook(EVERY.backward_pre, hook)


def register_module_full_backward_hook(hook):
    """Runs `hook(module, grad_input, grad_output)` when the gradients of every module's inputs are known."""
    if EVERY.is_full_backward is False:
        raise RuntimeError(
            "Cannot use both regular backward hooks and full backward hooks as a global Module hook. "
            "Please use only one of them."
        )
    EVERY.is_full_backward = True
    EVERY.active = True
    return add_hook(EVERY.backward, hook)


_boundary = None


def _boundary_class():
    # Made at first use: autograd is not imported for programs without backward hooks.
    global _boundary
    if _boundary is None:

        class BackwardHookFunction(rtorch.autograd.Function):
            """The identity, whose backward hands all gradients to one callback at once."""

            @staticmethod
            def forward(ctx, callback, *tensors):
                ctx.callback = callback
                ctx.set_materialize_grads(False)
                ctx.mark_non_differentiable(*[t for t in tensors if not t.requires_grad])
                return tuple(t.view_as(t) for t in tensors)

            @staticmethod
            def backward(ctx, *grads):
                return (None, *ctx.callback(grads))

        _boundary = BackwardHookFunction
    return _boundary


class BackwardHook:
    """Runs a module's full backward hooks, between the gradients of its outputs and those of its inputs.

    Args:
        module: the module.
        user_hooks: callables `hook(module, grad_input, grad_output)`.
        user_pre_hooks: callables `hook(module, grad_output)`.
    """

    def __init__(self, module, user_hooks, user_pre_hooks):
        self.module = module
        self.user_hooks = user_hooks
        self.user_pre_hooks = user_pre_hooks
        self.grad_outputs = None
        self.inputs = None  # (positions of the tensors, number of arguments)
        self.outputs = None

    def _cut(self, values, callback):
        """Puts the identity on the tensors of a tuple -> (new tuple, positions or None)."""
        positions = [i for i, v in enumerate(values) if isinstance(v, Tensor)]
        if not rtorch.is_grad_enabled() or not any(values[i].requires_grad for i in positions):
            return values, None
        needs = [values[i].requires_grad for i in positions]

        def of_needed(grads):
            return callback([grad if need else None for grad, need in zip(grads, needs)])

        new = _boundary_class().apply(of_needed, *[values[i] for i in positions])
        if len(new) == 0:
            raise RuntimeError("Cannot set Module backward hook for a Module with no input Tensors.")
        values = list(values)
        for i, tensor in zip(positions, new):
            values[i] = tensor
        return tuple(values), positions

    @staticmethod
    def _spread(grads, positions, count):
        full = [None] * count
        for i, grad in zip(positions, grads):
            full[i] = grad
        return tuple(full)

    def setup_input_hook(self, args):
        """Marks the inputs of the forward; to be called on its positional arguments."""
        new, positions = self._cut(args, self._input_grads)
        if positions is not None:
            self.inputs = (positions, len(args))
        else:
            self.n_inputs = len(args)
        return new

    def setup_output_hook(self, output):
        """Marks the outputs of the forward; to be called on a tensor or a tuple of tensors."""
        single = not isinstance(output, tuple)
        values = (output,) if single else output
        new, positions = self._cut(values, self._output_grads)
        if positions is not None:
            self.outputs = (positions, len(values))
        if single:
            return new[0]
        if type(output) is not tuple and new is not output:  # a named tuple keeps its type
            return output._make(new) if hasattr(output, "_make") else type(output)(new)
        return new

    def _output_grads(self, grads):
        positions, count = self.outputs
        grads = self._spread(grads, positions, count)
        for hook in self.user_pre_hooks:
            result = hook(self.module, grads)
            if result is None:
                continue
            result = result if isinstance(result, tuple) else (result,)
            if len(result) != count:
                raise RuntimeError(
                    "Backward pre hook returned an invalid number of grad_output, "
                    f"got {len(result)}, but expected {count}"
                )
            grads = result
        self.grad_outputs = grads
        if self.inputs is None:
            none = (None,) * self.n_inputs
            for hook in self.user_hooks:
                result = hook(self.module, none, grads)
                if result is not None and not (isinstance(result, tuple) and all(r is None for r in result)):
                    raise RuntimeError(
                        "Backward hook for Modules where no input requires gradient should always return None or "
                        "None for all gradients."
                    )
            self.grad_outputs = None
        return [grads[i] for i in positions]

    def _input_grads(self, grads):
        if self.grad_outputs is None:
            # The backward reached the inputs without going through the outputs: there is nothing to report.
            return grads
        positions, count = self.inputs
        grads = self._spread(grads, positions, count)
        for hook in self.user_hooks:
            result = hook(self.module, grads, self.grad_outputs)
            if result is None:
                continue
            result = result if isinstance(result, tuple) else (result,)
            if len(result) != count:
                raise RuntimeError(
                    f"Backward hook returned an invalid number of grad_input, got {len(result)}, but expected {count}"
                )
            grads = result
        self.grad_outputs = None
        return [grads[i] for i in positions]


def call_with_hooks(module, args, kwargs):
    """The call of a module that may have hooks: pre-hooks, forward, hooks, and the hooks of the backward."""
    backward = list(EVERY.backward.values()) if EVERY.is_full_backward is True else []
    partial = list(EVERY.backward.values()) if EVERY.is_full_backward is False else []
    if module._is_full_backward_hook is True:
        backward.extend(module._backward_hooks.values())
    elif module._is_full_backward_hook is False:
        partial.extend(module._backward_hooks.values())
    backward_pre = [*EVERY.backward_pre.values(), *module._backward_pre_hooks.values()]
    after = [
        (hook, i in EVERY.forward_with_kwargs, i in EVERY.forward_always_called) for i, hook in EVERY.forward.items()
    ]
    called = set()
    result = None
    try:
        for hook in list(EVERY.forward_pre.values()):
            changed = hook(module, args)
            if changed is not None:
                args = changed if isinstance(changed, tuple) else (changed,)
        for i, hook in list(module._forward_pre_hooks.items()):
            if i in module._forward_pre_hooks_with_kwargs:
                changed = hook(module, args, kwargs)
                if changed is None:
                    continue
                if not (isinstance(changed, tuple) and len(changed) == 2):
                    raise RuntimeError(
                        f"forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got {changed}."
                    )
                args, kwargs = changed
            else:
                changed = hook(module, args)
                if changed is not None:
                    args = changed if isinstance(changed, tuple) else (changed,)
        around = None
        if backward or backward_pre:
            around = BackwardHook(module, backward, backward_pre)
            args = around.setup_input_hook(args)
        result = module.forward(*args, **kwargs)
        after = [*after, *_own_forward_hooks(module)]
        for place, (hook, with_kwargs, _) in enumerate(after):
            called.add(place)
            changed = hook(module, args, kwargs, result) if with_kwargs else hook(module, args, result)
            if changed is not None:
                result = changed
        if around is not None:
            if isinstance(result, (Tensor, tuple)):
                result = around.setup_output_hook(result)
            else:
                warnings.warn(
                    "For backward hooks to be called, module output should be a Tensor or a tuple of Tensors "
                    f"but received {type(result)}",
                    stacklevel=3,
                )
        if partial:
            _hook_last_node(module, partial, result)
        return result
    except Exception:
        if len(called) == 0:
            after = [*after[: len(EVERY.forward)], *_own_forward_hooks(module)]
        for place, (hook, with_kwargs, always) in enumerate(after):
            if not always or place in called:
                continue
            try:
                changed = hook(module, args, kwargs, result) if with_kwargs else hook(module, args, result)
                if changed is not None:
                    result = changed
            except Exception as error:
                warnings.warn(
                    "module forward hook with ``always_call=True`` raised an exception that was silenced as another "
                    f"error was raised in forward: {error}",
                    stacklevel=3,
                )
        raise


def _own_forward_hooks(module):
    kwargs, always = module._forward_hooks_with_kwargs, module._forward_hooks_always_called
    return [(hook, i in kwargs, i in always) for i, hook in module._forward_hooks.items()]


def _hook_last_node(module, hooks, result):
    """Attaches hooks of the form that is not full: they see the gradients of the last operation only."""
    value = result
    while not isinstance(value, Tensor):
        if isinstance(value, dict):
            value = next((v for v in value.values() if isinstance(v, Tensor)), None)
        elif isinstance(value, (list, tuple)) and value:
            value = value[0]
        else:
            return
    node = value.grad_fn
    if node is None:
        return
    for hook in hooks:
        node.register_hook(lambda grad_input, grad_output, hook=hook: hook(module, grad_input, grad_output))
