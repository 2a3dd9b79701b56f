"""The base class of all neural network modules."""

from collections import OrderedDict

import rtorch
from rtorch import Tensor

from ..parameter import Buffer, Parameter
from .failure import explain
from .hooks import (
    EVERY,
    RemovableHandle,  # noqa: F401
    add_hook,
    call_with_hooks,
    register_module_backward_hook,
    register_module_buffer_registration_hook,
    register_module_forward_hook,
    register_module_forward_pre_hook,
    register_module_full_backward_hook,
    register_module_full_backward_pre_hook,
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)
from .state import StateMixin, _IncompatibleKeys  # noqa: F401

__all__ = [
    "Module",
    "register_module_backward_hook",
    "register_module_buffer_registration_hook",
    "register_module_forward_hook",
    "register_module_forward_pre_hook",
    "register_module_full_backward_hook",
    "register_module_full_backward_pre_hook",
    "register_module_module_registration_hook",
    "register_module_parameter_registration_hook",
]

_HOOK_DICTS = (
    "_backward_pre_hooks",
    "_backward_hooks",
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_state_dict_hooks",
    "_state_dict_pre_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
)


def _addindent(text, spaces):
    lines = text.split("\n")
    return ("\n" + " " * spaces).join(lines)


def _typename(value):
    if isinstance(value, Tensor):
        return value.type()
    cls = value if isinstance(value, type) else type(value)
    name = cls.__qualname__
    return name if cls.__module__ in ("builtins", None) else f"{cls.__module__}.{name}"


def _parse_to(args, kwargs):
    """Sorts out the arguments of `to` -> (device, dtype, non_blocking, memory_format)."""
    device = kwargs.get("device")
    dtype = kwargs.get("dtype")
    non_blocking = kwargs.get("non_blocking", False)
    unknown = set(kwargs) - {"device", "dtype", "non_blocking", "copy", "memory_format", "tensor", "other"}
    if unknown:
        raise TypeError(f"to() got an unexpected keyword argument '{sorted(unknown)[0]}'")
    rest = list(args)
    like = kwargs.get("tensor", kwargs.get("other"))
    if rest and isinstance(rest[0], Tensor):
        like = rest.pop(0)
    if like is not None:
        device, dtype = like.device, like.dtype
    else:
        if rest and not isinstance(rest[0], (rtorch.dtype, bool)):
            given = rest.pop(0)
            device = None if given is None else rtorch.device(given)
        if rest and (rest[0] is None or isinstance(rest[0], rtorch.dtype)):
            dtype = rest.pop(0)
    if rest and isinstance(rest[0], bool):
        non_blocking = rest.pop(0)
    if rest and isinstance(rest[0], bool):  # copy: a module always converts in place
        rest.pop(0)
    if rest:
        names = ", ".join(type(a).__name__ for a in args)
        raise TypeError(
            f"to() received an invalid combination of arguments - got ({names}), but expected one of: "
            "(device, dtype, non_blocking), (dtype, non_blocking) or (tensor, non_blocking)"
        )
    return device, dtype, non_blocking, kwargs.get("memory_format")


class Module(StateMixin):
    """Base class for all neural network modules: a tree of parameters, buffers and submodules with a `forward`.

    A subclass calls `super().__init__()`, assigns parameters and modules as attributes, and defines `forward`.

    Example:
        >>> import rtorch as torch
        >>> class Net(torch.nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.fc = torch.nn.Linear(2, 3)
        ...     def forward(self, x):
        ...         return self.fc(x).relu()
        >>> Net()(torch.zeros(4, 2)).shape
        torch.Size([4, 3])
    """

    dump_patches = False
    call_super_init = False

    _version = 1
    _compiled_call_impl = None
    # Turns true with the first forward or backward hook: a call without hooks looks at this and nothing else.
    _hooked = False

    def __init__(self, *args, **kwargs):
        if not self.call_super_init:
            if kwargs:
                raise TypeError(
                    f"{type(self).__name__}.__init__() got an unexpected keyword argument '{next(iter(kwargs))}'"
                )
            if args:
                raise TypeError(
                    f"{type(self).__name__}.__init__() takes 1 positional argument but {len(args) + 1} were given"
                )
        # Straight into the dictionary: none of these names goes through the checks of __setattr__.
        d = self.__dict__
        d["training"] = True
        d["_parameters"] = {}
        d["_buffers"] = {}
        d["_non_persistent_buffers_set"] = set()
        d["_is_full_backward_hook"] = None
        for name in _HOOK_DICTS:
            d[name] = OrderedDict()
        d["_modules"] = {}
        if self.call_super_init:
            super().__init__(*args, **kwargs)

    def forward(self, *input):
        """Computes the output; every subclass overrides it."""
        raise NotImplementedError(f'Module [{type(self).__name__}] is missing the required "forward" function')

    # ---- the call

    def __call__(self, *args, **kwargs):
        try:
            if self._hooked or EVERY.active:
                return call_with_hooks(self, args, kwargs)
            return self.forward(*args, **kwargs)
        except Exception as error:
            explain(error, self, args, kwargs)
            raise

    _call_impl = __call__
    _wrapped_call_impl = __call__

    def _slow_forward(self, *input, **kwargs):
        return self.forward(*input, **kwargs)

    def compile(self, *args, **kwargs):
        """Does nothing: every call already runs compiled kernels."""

    # ---- attributes

    def __getattr__(self, name):
        d = self.__dict__
        if "_parameters" in d:
            found = d["_parameters"]
            if name in found:
                return found[name]
            found = d["_modules"]
            if name in found:
                return found[name]
            found = d["_buffers"]
            if name in found:
                return found[name]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __setattr__(self, name, value):
        d = self.__dict__
        params = d.get("_parameters")
        if isinstance(value, Parameter):
            if params is None:
                raise AttributeError("cannot assign parameters before Module.__init__() call")
            self._forget(name, "__dict__", "_buffers", "_modules", "_non_persistent_buffers_set")
            self.register_parameter(name, value)
            return
        if params is not None and name in params:
            if value is not None:
                raise TypeError(
                    f"cannot assign '{_typename(value)}' as parameter '{name}' (torch.nn.Parameter or None expected)"
                )
            self.register_parameter(name, value)
            return
        modules = d.get("_modules")
        if isinstance(value, Module):
            if modules is None:
                raise AttributeError("cannot assign module before Module.__init__() call")
            self._forget(name, "__dict__", "_parameters", "_buffers", "_non_persistent_buffers_set")
            self._enter_module(name, value)
            return
        if modules is not None and name in modules:
            if value is not None:
                raise TypeError(
                    f"cannot assign '{_typename(value)}' as child module '{name}' (torch.nn.Module or None expected)"
                )
            self._enter_module(name, value)
            return
        buffers = d.get("_buffers")
        if (buffers is not None and name in buffers) or isinstance(value, Buffer):
            if value is not None and not isinstance(value, Tensor):
                raise TypeError(
                    f"cannot assign '{_typename(value)}' as buffer '{name}' "
                    "(torch.nn.Buffer, torch.Tensor or None expected)"
                )
            if buffers is None:
                raise AttributeError("cannot assign buffer before Module.__init__() call")
            if isinstance(value, Buffer):
                self._forget(name, "__dict__", "_parameters", "_modules")
                self.register_buffer(name, value, value.persistent)
                return
            for hook in EVERY.buffer_registration.values():
                changed = hook(self, name, value)
                value = value if changed is None else changed
            buffers[name] = value
            return
        object.__setattr__(self, name, value)

    def _forget(self, name, *places):
        for place in places:
            found = self.__dict__ if place == "__dict__" else self.__dict__[place]
            if name in found:
                found.discard(name) if isinstance(found, set) else found.__delitem__(name)

    def _enter_module(self, name, module):
        for hook in EVERY.module_registration.values():
            changed = hook(self, name, module)
            module = module if changed is None else changed
        self._modules[name] = module

    def __delattr__(self, name):
        if name in self._parameters:
            del self._parameters[name]
        elif name in self._buffers:
            del self._buffers[name]
            self._non_persistent_buffers_set.discard(name)
        elif name in self._modules:
            del self._modules[name]
        else:
            super().__delattr__(name)

    def __dir__(self):
        names = {*dir(type(self)), *self.__dict__, *self._parameters, *self._modules, *self._buffers}
        return sorted(n for n in names if not n[:1].isdigit())

    def __getstate__(self):
        return self.__dict__.copy()

    def __setstate__(self, state):
        self.__dict__.update(state)
        for name in _HOOK_DICTS:
            self.__dict__.setdefault(name, OrderedDict())
        self.__dict__.setdefault("_non_persistent_buffers_set", set())
        self.__dict__.setdefault("_is_full_backward_hook", None)

    # ---- registration

    def _check_name(self, kind, name, taken):
        if not isinstance(name, str):
            raise TypeError(f"{kind} name should be a string. Got {_typename(name)}")
        if hasattr(self, name) and name not in taken:
            raise KeyError(f"attribute '{name}' already exists")
        if "." in name:
            raise KeyError(f'{kind} name can\'t contain "."' + (f", got: {name}" if kind == "module" else ""))
        if name == "":
            raise KeyError(f'{kind} name can\'t be empty string ""')

    def register_buffer(self, name, tensor, persistent=True):
        """Adds a tensor that is state but no parameter, such as a running mean.

        Args:
            name: attribute name, without dots.
            tensor: the tensor, or None for a buffer that is not used.
            persistent: whether it is part of `state_dict`. Default: True.
        """
        if "_buffers" not in self.__dict__:
            raise AttributeError("cannot assign buffer before Module.__init__() call")
        self._check_name("buffer", name, self._buffers)
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"cannot assign '{_typename(tensor)}' object to buffer '{name}' (torch Tensor or None required)"
            )
        for hook in EVERY.buffer_registration.values():
            changed = hook(self, name, tensor)
            tensor = tensor if changed is None else changed
        self._buffers[name] = tensor
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def register_parameter(self, name, param):
        """Adds a parameter.

        Args:
            name: attribute name, without dots.
            param: the parameter (a leaf), or None for one that is not used.
        """
        if "_parameters" not in self.__dict__:
            raise AttributeError("cannot assign parameter before Module.__init__() call")
        self._check_name("parameter", name, self._parameters)
        if param is not None:
            if not isinstance(param, Parameter):
                raise TypeError(
                    f"cannot assign '{_typename(param)}' object to parameter '{name}' "
                    "(torch.nn.Parameter or None required)"
                )
            if param.grad_fn is not None:
                raise ValueError(
                    f"Cannot assign non-leaf Tensor to parameter '{name}'. "
                    "Model parameters must be created explicitly. "
                    f"To express '{name}' as a function of another Tensor, compute the value in the forward() method."
                )
            for hook in EVERY.parameter_registration.values():
                changed = hook(self, name, param)
                param = param if changed is None else changed
        self._parameters[name] = param

    def add_module(self, name, module):
        """Adds a submodule under `name`; None enters a placeholder."""
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"{_typename(module)} is not a Module subclass")
        self._check_name("module", name, self._modules)
        self._enter_module(name, module)

    def register_module(self, name, module):
        """Alias of `add_module`."""
        self.add_module(name, module)

    # ---- look-up by path

    def _step(self, module, name):
        if not hasattr(module, name):
            raise AttributeError(f"{type(module).__name__} has no attribute `{name}`")
        found = getattr(module, name)
        if not isinstance(found, Module):
            raise AttributeError(f"`{name}` is not an nn.Module")
        return found

    def get_submodule(self, target):
        """Returns the submodule at a path such as "layers.0.fc"; "" is the module itself.

        Raises:
            AttributeError: the path does not lead to a module.
        """
        module = self
        if target:
            for name in target.split("."):
                module = self._step(module, name)
        return module

    def set_submodule(self, target, module, strict=False):
        """Puts `module` at a path; with `strict` there has to be a module already.

        Raises:
            ValueError: the path is empty, or `module` is no module.
            AttributeError: the path does not lead to a module.
        """
        if target == "":
            raise ValueError("Cannot set the submodule without a target name!")
        if not isinstance(module, Module):
            raise ValueError(f"`module` is not an nn.Module, found {type(module)}")
        path, _, name = target.rpartition(".")
        parent = self.get_submodule(path)
        if strict or hasattr(parent, name):
            self._step(parent, name)
        setattr(parent, name, module)

    def get_parameter(self, target):
        """Returns the parameter at a path such as "layers.0.weight"."""
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if not hasattr(module, name):
            raise AttributeError(f"{type(module).__name__} has no attribute `{name}`")
        found = getattr(module, name)
        if not isinstance(found, Parameter):
            raise AttributeError(f"`{name}` is not an nn.Parameter")
        return found

    def get_buffer(self, target):
        """Returns the buffer at a path such as "norm.running_mean"."""
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if not hasattr(module, name):
            raise AttributeError(f"{type(module).__name__} has no attribute `{name}`")
        if name not in module._buffers:
            raise AttributeError(f"`{name}` is not a buffer")
        return module._buffers[name]

    # ---- iteration

    def _named_members(self, get_members_fn, prefix="", recurse=True, remove_duplicate=True):
        seen = set()
        modules = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate) if recurse else [(prefix, self)]
        for path, module in modules:
            for name, value in get_members_fn(module):
                if value is None or value in seen:
                    continue
                if remove_duplicate:
                    seen.add(value)
                yield (f"{path}.{name}" if path else name), value

    def parameters(self, recurse=True):
        """Iterates over the parameters, each once; with `recurse` those of submodules too."""
        for _, param in self.named_parameters(recurse=recurse):
            yield param

    def named_parameters(self, prefix="", recurse=True, remove_duplicate=True):
        """Iterates over pairs of path and parameter."""
        yield from self._named_members(lambda m: m._parameters.items(), prefix, recurse, remove_duplicate)

    def buffers(self, recurse=True):
        """Iterates over the buffers, each once; with `recurse` those of submodules too."""
        for _, buf in self.named_buffers(recurse=recurse):
            yield buf

    def named_buffers(self, prefix="", recurse=True, remove_duplicate=True):
        """Iterates over pairs of path and buffer."""
        yield from self._named_members(lambda m: m._buffers.items(), prefix, recurse, remove_duplicate)

    def children(self):
        """Iterates over the immediate submodules, each once."""
        for _, module in self.named_children():
            yield module

    def named_children(self):
        """Iterates over pairs of name and immediate submodule."""
        seen = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def modules(self, remove_duplicate=True):
        """Iterates over this module and all below it, parents first."""
        for _, module in self.named_modules(remove_duplicate=remove_duplicate):
            yield module

    def named_modules(self, memo=None, prefix="", remove_duplicate=True):
        """Iterates over pairs of path and module, parents first.

        Args:
            memo: set of modules already yielded.
            prefix: put in front of every path. Default: "".
            remove_duplicate: whether a module that occurs several times is yielded once. Default: True.
        """
        if memo is None:
            memo = set()
        if self not in memo:
            if remove_duplicate:
                memo.add(self)
            yield prefix, self
            for name, module in self._modules.items():
                if module is not None:
                    yield from module.named_modules(memo, f"{prefix}.{name}" if prefix else name, remove_duplicate)

    # ---- mode and conversion

    def train(self, mode=True):
        """Switches this module and all below it to training (or evaluation) mode."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self):
        """Switches to evaluation mode: `train(False)`."""
        return self.train(False)

    def requires_grad_(self, requires_grad=True):
        """Sets `requires_grad` of all parameters."""
        for param in self.parameters():
            param.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none=True):
        """Drops the gradients of all parameters, or fills them with zeros."""
        for param in self.parameters():
            if param.grad is not None:
                if set_to_none:
                    param.grad = None
                else:
                    if param.grad.grad_fn is not None:
                        param.grad.detach_()
                    else:
                        param.grad.requires_grad_(False)
                    param.grad.zero_()

    def apply(self, fn):
        """Calls `fn` on every submodule, children first, and on the module itself."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def _apply(self, fn, recurse=True):
        """Replaces the memory of every parameter, gradient and buffer by `fn` of it; the objects stay the same."""
        if recurse:
            for module in self.children():
                module._apply(fn)
        for name, param in self._parameters.items():
            if param is None:
                continue
            grad = param.grad
            with rtorch.no_grad():
                changed = fn(param.data)
            try:
                param.data = changed
            except RuntimeError:
                # Memory of another kind (to or from "meta") cannot be put under the same object.
                self._parameters[name] = param = Parameter(changed, param.requires_grad)
            if grad is not None:
                with rtorch.no_grad():
                    changed = fn(grad)
                # The old gradient does not fit a parameter of another dtype any more, so it is detached first.
                param.grad = None
                param.grad = changed.requires_grad_(grad.requires_grad)
        for name, buf in self._buffers.items():
            if buf is not None:
                self._buffers[name] = self._apply_to_buffer(fn, buf)
        return self

    @staticmethod
    def _apply_to_buffer(fn, buf):
        if type(buf) is Tensor:
            return fn(buf)
        with rtorch.no_grad():
            buf.data = fn(buf.data)
        return buf

    def to(self, *args, **kwargs):
        """Moves and casts parameters and buffers in place.

        Args:
            device: the device wanted.
            dtype: a floating point or complex dtype; integer tensors keep theirs.
            tensor: a tensor whose device and dtype are taken.
            non_blocking: passed on to the copies. Default: False.
            memory_format: memory format of tensors with 4 and 5 dimensions (keyword only).

        Raises:
            TypeError: `dtype` is neither floating point nor complex.
        """
        device, dtype, non_blocking, memory_format = _parse_to(args, kwargs)
        if dtype is not None and not (dtype.is_floating_point or dtype.is_complex):
            raise TypeError(
                f"nn.Module.to only accepts floating point or complex dtypes, but got desired dtype={dtype}"
            )

        def convert(t):
            options = {}
            if device is not None:
                options["device"] = device
            if dtype is not None and (t.is_floating_point() or t.is_complex()):
                options["dtype"] = dtype
            if memory_format is not None and t.dim() in (4, 5):
                options["memory_format"] = memory_format
            return t.to(non_blocking=non_blocking, **options) if options else t

        return self._apply(convert)

    def _cast(self, dtype):
        return self._apply(lambda t: t.to(dtype) if t.is_floating_point() else t)

    def float(self):
        """Casts floating point parameters and buffers to float32."""
        return self._cast(rtorch.float32)

    def double(self):
        """Casts floating point parameters and buffers to float64."""
        return self._cast(rtorch.float64)

    def half(self):
        """Casts floating point parameters and buffers to float16."""
        return self._cast(rtorch.float16)

    def bfloat16(self):
        """Casts floating point parameters and buffers to bfloat16."""
        return self._cast(rtorch.bfloat16)

    def type(self, dst_type):
        """Casts all parameters and buffers to `dst_type`."""
        return self._apply(lambda t: t.type(dst_type))

    def cpu(self):
        """Moves parameters and buffers to the CPU."""
        return self._apply(lambda t: t.cpu())

    def cuda(self, device=None):
        """Moves parameters and buffers to a device, as `Tensor.cuda` does."""
        return self._apply(lambda t: t.cuda(device))

    def to_empty(self, *, device, recurse=True):
        """Gives parameters and buffers uninitialised memory on `device`."""
        return self._apply(lambda t: rtorch.empty_like(t, device=device), recurse=recurse)

    def share_memory(self):
        """Moves parameters and buffers to shared memory, as `Tensor.share_memory_` does."""
        return self._apply(lambda t: t.share_memory_())

    # ---- hooks

    def _hook(self, hooks, hook, extra=(), flagged=(), prepend=False):
        self.__dict__["_hooked"] = True
        return add_hook(hooks, hook, extra, flagged, prepend)

    def register_forward_pre_hook(self, hook, *, prepend=False, with_kwargs=False):
        """Runs `hook(module, args)` before `forward`; a result other than None replaces the arguments.

        Args:
            hook: the callable.
            prepend: whether it runs before the hooks already there. Default: False.
            with_kwargs: whether it is `hook(module, args, kwargs)` and may return both. Default: False.
        """
        marks = [self._forward_pre_hooks_with_kwargs]
        return self._hook(self._forward_pre_hooks, hook, marks, marks if with_kwargs else (), prepend)

    def register_forward_hook(self, hook, *, prepend=False, with_kwargs=False, always_call=False):
        """Runs `hook(module, args, output)` after `forward`; a result other than None replaces the output.

        Args:
            hook: the callable.
            prepend: whether it runs before the hooks already there. Default: False.
            with_kwargs: whether it is `hook(module, args, kwargs, output)`. Default: False.
            always_call: whether it runs even when the forward raises. Default: False.
        """
        kw, always = self._forward_hooks_with_kwargs, self._forward_hooks_always_called
        flagged = [d for d, on in ((kw, with_kwargs), (always, always_call)) if on]
        return self._hook(self._forward_hooks, hook, [kw, always], flagged, prepend)

    def register_backward_hook(self, hook):
        """Runs `hook(module, grad_input, grad_output)` at the module's last operation; use the full form instead."""
        self._choose_backward_hooks(False)
        return self._hook(self._backward_hooks, hook)

    def register_full_backward_hook(self, hook, prepend=False):
        """Runs `hook(module, grad_input, grad_output)` when the gradients of the module's inputs are known.

        Args:
            hook: the callable; a result other than None replaces `grad_input`.
            prepend: whether it runs before the hooks already there. Default: False.
        """
        self._choose_backward_hooks(True)
        return self._hook(self._backward_hooks, hook, prepend=prepend)

    def register_full_backward_pre_hook(self, hook, prepend=False):
        """Runs `hook(module, grad_output)` before the module's gradients are computed.

        Args:
            hook: the callable; a result other than None replaces `grad_output`.
            prepend: whether it runs before the hooks already there. Default: False.
        """
        return self._hook(self._backward_pre_hooks, hook, prepend=prepend)

    def _choose_backward_hooks(self, full):
        if self._is_full_backward_hook is (not full):
            raise RuntimeError(
                "Cannot use both regular backward hooks and full backward hooks on a single Module. "
                "Please use only one of them."
            )
        self._is_full_backward_hook = full

    # ---- printing

    def _get_name(self):
        return type(self).__name__

    def extra_repr(self):
        """Returns what is printed between the parentheses; subclasses override it."""
        return ""

    def __repr__(self):
        extra = self.extra_repr()
        extra_lines = extra.split("\n") if extra else []
        child_lines = [f"({name}): {_addindent(repr(module), 2)}" for name, module in self._modules.items()]
        body = ""
        if len(extra_lines) == 1 and not child_lines:
            body = extra_lines[0]
        elif extra_lines or child_lines:
            body = "\n  " + "\n  ".join(extra_lines + child_lines) + "\n"
        return f"{self._get_name()}({body})"
