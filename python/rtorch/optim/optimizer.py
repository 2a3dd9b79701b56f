"""The base class of all optimizers: parameter groups, state, hooks and their serialisation."""

import functools
import warnings
from collections import OrderedDict, defaultdict
from collections.abc import Iterable
from copy import deepcopy
from itertools import chain
from typing import Any

import rtorch

from ..utils.hooks import add_hook


class _Required:
    """The default of an argument that every parameter group has to give itself."""

    def __repr__(self):
        return "<required parameter>"


required = _Required()

_global_pre_hooks: dict = OrderedDict()
_global_post_hooks: dict = OrderedDict()

_HOOK_TABLES = (
    "_optimizer_step_pre_hooks",
    "_optimizer_step_post_hooks",
    "_optimizer_state_dict_pre_hooks",
    "_optimizer_state_dict_post_hooks",
    "_optimizer_load_state_dict_pre_hooks",
    "_optimizer_load_state_dict_post_hooks",
)


def register_optimizer_step_pre_hook(hook):
    """Registers `hook(optimizer, args, kwargs)` to run before the step of every optimizer."""
    return add_hook(_global_pre_hooks, hook)


def register_optimizer_step_post_hook(hook):
    """Registers `hook(optimizer, args, kwargs)` to run after the step of every optimizer."""
    return add_hook(_global_post_hooks, hook)


def _hooked_step(func):
    """Wraps a `step` so that the step hooks run around it."""

    @functools.wraps(func)
    def step(self, *args, **kwargs):
        pre, post = self._optimizer_step_pre_hooks, self._optimizer_step_post_hooks
        if pre or _global_pre_hooks:
            for hook in chain(_global_pre_hooks.values(), pre.values()):
                result = hook(self, args, kwargs)
                if result is not None:
                    if not (isinstance(result, tuple) and len(result) == 2):
                        raise RuntimeError(
                            f"{func} must return None or a tuple of (new_args, new_kwargs), but got {result}."
                        )
                    args, kwargs = result
        out = func(self, *args, **kwargs)
        if post or _global_post_hooks:
            for hook in chain(post.values(), _global_post_hooks.values()):
                hook(self, args, kwargs)
        return out

    step.hooked = True
    return step


class Optimizer:
    """Base class of all optimizers.

    Args:
        params: an iterable of tensors, of `(name, tensor)` pairs, or of dicts that define parameter groups.
        defaults: the options a parameter group has when it does not give its own.

    Raises:
        TypeError: if `params` is a tensor, or holds something that is not a tensor.
        ValueError: if `params` is empty, or a parameter occurs in two groups or is not a leaf.

    Example::

        >>> w = rtorch.ones(2, requires_grad=True)
        >>> len(rtorch.optim.SGD([w], lr=0.1).param_groups)
        1
    """

    def __init__(self, params, defaults: dict[str, Any]):
        self.defaults = defaults
        self._reset_hooks()
        if isinstance(params, rtorch.Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, but got "
                + params.type()
            )
        self.state: defaultdict = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def _reset_hooks(self):
        for name in _HOOK_TABLES:
            setattr(self, name, OrderedDict())
        # Hooks belong to `step` as the class defines it, so the class is patched, once.
        cls = type(self)
        if not getattr(cls.step, "hooked", False):
            cls.step = _hooked_step(cls.step)

    def __getstate__(self):
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state):
        self.__dict__.update(state)
        if _HOOK_TABLES[0] not in self.__dict__:
            self._reset_hooks()
        # A checkpoint of an earlier version may lack options that were added since, and may hold plain step counts.
        for group in self.param_groups:
            for name, value in self.defaults.items():
                if value is not required:
                    group.setdefault(name, value)
        for entry in self.state.values():
            if isinstance(entry, dict) and isinstance(entry.get("step"), (int, float)) and self._tensor_steps:
                entry["step"] = rtorch.tensor(float(entry["step"]), dtype=scalar_dtype())

    # Whether this class keeps its step counts as tensors.
    _tensor_steps = True

    def __repr__(self):
        lines = [type(self).__name__ + " ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if key != "params"]
        return "\n".join(lines) + "\n)"

    # ---- hooks
    def register_step_pre_hook(self, hook):
        """Registers `hook(optimizer, args, kwargs) -> None | (args, kwargs)` to run before `step`."""
        return add_hook(self._optimizer_step_pre_hooks, hook)

    def register_step_post_hook(self, hook):
        """Registers `hook(optimizer, args, kwargs)` to run after `step`."""
        return add_hook(self._optimizer_step_post_hooks, hook)

    def register_state_dict_pre_hook(self, hook, prepend: bool = False):
        """Registers `hook(optimizer)` to run before `state_dict`."""
        return add_hook(self._optimizer_state_dict_pre_hooks, hook, prepend=prepend)

    def register_state_dict_post_hook(self, hook, prepend: bool = False):
        """Registers `hook(optimizer, state_dict) -> state_dict | None` to run after `state_dict`."""
        return add_hook(self._optimizer_state_dict_post_hooks, hook, prepend=prepend)

    def register_load_state_dict_pre_hook(self, hook, prepend: bool = False):
        """Registers `hook(optimizer, state_dict) -> state_dict | None` to run before `load_state_dict`."""
        return add_hook(self._optimizer_load_state_dict_pre_hooks, hook, prepend=prepend)

    def register_load_state_dict_post_hook(self, hook, prepend: bool = False):
        """Registers `hook(optimizer)` to run after `load_state_dict`."""
        return add_hook(self._optimizer_load_state_dict_post_hooks, hook, prepend=prepend)

    # ---- serialisation
    def state_dict(self) -> dict[str, Any]:
        """Returns the state and the parameter groups, with parameters replaced by their position.

        Returns:
            A dict with the entries `state` (position to state) and `param_groups` (a list of dicts).
        """
        for hook in self._optimizer_state_dict_pre_hooks.values():
            hook(self)
        position: dict[int, int] = {}
        groups = []
        for group in self.param_groups:
            packed = {key: value for key, value in group.items() if key != "params"}
            packed["params"] = [position.setdefault(id(p), len(position)) for p in group["params"]]
            groups.append(packed)
        state = {(position[id(k)] if isinstance(k, rtorch.Tensor) else k): v for k, v in self.state.items()}
        result = {"state": state, "param_groups": groups}
        for hook in self._optimizer_state_dict_post_hooks.values():
            replaced = hook(self, result)
            if replaced is not None:
                result = replaced
        return result

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores what `state_dict` returned, cast to the dtypes and devices of this optimizer's parameters.

        Args:
            state_dict: the result of `state_dict` of an optimizer with groups of the same sizes.

        Raises:
            ValueError: if the number or the sizes of the groups differ.
        """
        state_dict = state_dict.copy()
        for hook in self._optimizer_load_state_dict_pre_hooks.values():
            replaced = hook(self, state_dict)
            if replaced is not None:
                state_dict = replaced
        own = self.param_groups
        saved = deepcopy(state_dict["param_groups"])
        if len(own) != len(saved):
            raise ValueError("loaded state dict has a different number of parameter groups")
        if any(len(a["params"]) != len(b["params"]) for a, b in zip(own, saved)):
            raise ValueError(
                "loaded state dict contains a parameter group that doesn't match the size of optimizer's group"
            )
        by_id, options = {}, {}
        for mine, theirs in zip(own, saved):
            for key, p in zip(theirs["params"], mine["params"]):
                by_id[key] = p
                options[key] = theirs
        state: defaultdict = defaultdict(dict)
        for key, value in state_dict["state"].items():
            if key in by_id:
                state[by_id[key]] = _cast_state(value, by_id[key], options[key])
            else:
                state[key] = value
        for mine, theirs in zip(own, saved):
            theirs["params"] = mine["params"]
            if "param_names" in mine and "param_names" not in theirs:
                theirs["param_names"] = mine["param_names"]
        self.__setstate__({"state": state, "param_groups": saved})
        for hook in self._optimizer_load_state_dict_post_hooks.values():
            hook(self)

    # ---- use
    def zero_grad(self, set_to_none: bool = True) -> None:
        """Resets the gradients of all parameters.

        Args:
            set_to_none: drop the gradients (the default) instead of filling them with zeros.
        """
        if set_to_none:
            for group in self.param_groups:
                for p in group["params"]:
                    p.grad = None
            return
        for group in self.param_groups:
            for p in group["params"]:
                grad = p.grad
                if grad is not None:
                    if grad.grad_fn is not None:
                        grad.detach_()
                    else:
                        grad.requires_grad_(False)
                    grad.zero_()

    def step(self, closure=None):
        """Performs one optimization step; each optimizer defines its own.

        Args:
            closure: re-evaluates the model and returns the loss.
        """
        raise NotImplementedError(f"{type(self).__name__} has to define step()")

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Adds a group of parameters with options of its own.

        Args:
            param_group: a dict with the entry `params` (a tensor, an ordered collection of tensors, or of
                `(name, tensor)` pairs) and any option to override.

        Raises:
            TypeError: if `param_group` is not a dict, or its `params` are a set or hold something else than tensors.
            ValueError: if a parameter is not a leaf, lacks a required option or is in another group already.
        """
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        params = param_group["params"]
        if isinstance(params, rtorch.Tensor):
            params = [params]
        elif isinstance(params, set):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections, "
                "but the ordering of tensors in sets will change between runs. Please use a list instead."
            )
        params = list(params)
        named = [isinstance(p, tuple) for p in params]
        if any(named):
            if not all(named):
                raise ValueError("all optimizer params should be with/without names. Some param names are missing")
            # The order of the keys is part of what state_dict() shows.
            param_group["params"] = [p for _, p in params]
            param_group["param_names"] = [name for name, _ in params]
        else:
            param_group["params"] = params
        for p in param_group["params"]:
            if not isinstance(p, rtorch.Tensor):
                raise TypeError(f"optimizer can only optimize Tensors, but one of the params is {_type_name(p)}")
            if not self.defaults.get("differentiable") and not (p.is_leaf or p.retains_grad):
                raise ValueError("can't optimize a non-leaf Tensor")
        for name, default in self.defaults.items():
            if default is required and name not in param_group:
                raise ValueError(f"parameter group didn't specify a value of required optimization parameter {name}")
            param_group.setdefault(name, default)
        ids = {id(p) for p in param_group["params"]}
        if len(ids) != len(param_group["params"]):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters; in future, this will cause an error; "
                "see github.com/pytorch/pytorch/issues/40967 for more information",
                stacklevel=3,
            )
        if any(id(p) in ids for group in self.param_groups for p in group["params"]):
            raise ValueError("some parameters appear in more than one parameter group")
        if self.param_groups and ("param_names" in param_group) != ("param_names" in self.param_groups[0]):
            with_or_without = "with" if "param_names" in param_group else "without"
            raise ValueError(
                "all optimizer param groups should be with/without names. "
                f"cannot add param group {with_or_without} names to the optimizer"
            )
        self.param_groups.append(param_group)


def _type_name(value):
    cls = type(value)
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"


def _cast_state(value, param, group, key=None):
    """Casts loaded state to the dtype and device of its parameter; a step count keeps its own dtype."""
    if isinstance(value, rtorch.Tensor):
        if key == "step":
            if group.get("capturable") or group.get("fused"):
                return value.to(dtype=rtorch.float32, device=param.device)
            return value
        if param.is_floating_point():
            return value.to(dtype=param.dtype, device=param.device)
        return value.to(device=param.device)
    if isinstance(value, dict):
        return {k: _cast_state(v, param, group, k) for k, v in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
        return type(value)(_cast_state(v, param, group) for v in value)
    return value


def scalar_dtype():
    """The dtype of step counts: float64 where that is the default dtype, else float32."""
    return rtorch.float64 if rtorch.get_default_dtype() == rtorch.float64 else rtorch.float32


def scalar_state(value: float = 0.0):
    """A 0-dimensional tensor for a step count or another scalar of an optimizer's state."""
    return rtorch.tensor(value, dtype=scalar_dtype())


def zeros_state(p):
    """Zeros with the shape, dtype and memory layout of `p`."""
    return rtorch.zeros_like(p, memory_format=rtorch.preserve_format)


def number(value):
    """`value` as a Python number; tensors (a tensor learning rate, say) are read."""
    return value.item() if isinstance(value, rtorch.Tensor) else value


def check_lr(lr):
    """Raises ValueError unless `lr` is a number, or a tensor of one element, that is not negative."""
    if isinstance(lr, rtorch.Tensor) and lr.numel() != 1:
        raise ValueError("Tensor lr must be 1-element")
    if not 0.0 <= lr:
        raise ValueError(f"Invalid learning rate: {lr}")


def check_not_negative(**values):
    """Raises ValueError for the first negative value, named by its keyword as the message shall name it."""
    for name, value in values.items():
        if not 0.0 <= value:
            name = {"eps": "epsilon"}.get(name, name)
            raise ValueError(f"Invalid {name} value: {value}")


def check_betas(betas):
    """Raises ValueError unless both coefficients lie in [0, 1)."""
    for i in (0, 1):
        if not 0.0 <= betas[i] < 1.0:
            raise ValueError(f"Invalid beta parameter at index {i}: {betas[i]}")


def check_fused(defaults):
    """Raises for the combinations of implementation flags that exclude each other."""
    if defaults["fused"]:
        if defaults["differentiable"]:
            raise RuntimeError("`fused` does not support `differentiable`")
        if defaults["foreach"]:
            raise RuntimeError("`fused` and `foreach` cannot be `True` together.")


class ParameterwiseOptimizer(Optimizer):
    """An optimizer that treats every parameter by itself.

    A subclass defines `_init_state` and `_update`, which work on tensors of any dtype and layout. It may define
    `_fused_step`, one call of the core for all parameters of a group, for which `_update` is the specification.
    """

    def _init_state(self, group, p) -> dict:
        """The state of parameter `p` before its first step."""
        raise NotImplementedError

    def _update(self, group, p, grad, state) -> None:
        """Updates `p` and the tensors in `state` in place."""
        raise NotImplementedError

    def _fused_step(self, group, params, grads) -> bool:
        """Updates all parameters in one call; False if that is not possible, and then nothing was touched."""
        return False

    # Whether complex parameters are handled as pairs of reals.
    _complex_as_real = True

    def step(self, closure=None):
        """Performs one optimization step.

        Args:
            closure: re-evaluates the model and returns the loss; it runs with gradients enabled.

        Returns:
            What `closure` returned, else None.
        """
        loss = None
        if closure is not None:
            with rtorch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            params, grads = [], []
            for p in group["params"]:
                grad = p.grad
                if grad is not None:
                    params.append(p)
                    grads.append(grad)
            if not params:
                continue
            differentiable = group.get("differentiable", False)
            if not differentiable and self._fused_step(group, params, grads):
                continue
            with rtorch.set_grad_enabled(differentiable and rtorch.is_grad_enabled()):
                for p, grad in zip(params, grads):
                    self._step_one(group, p, grad)
        return loss

    def _states(self, group, params):
        """The states of `params`, made where they are missing."""
        table = self.state
        states = []
        for p in params:
            state = table[p]
            if not state:
                with rtorch.no_grad():
                    state.update(self._init_state(group, p))
            states.append(state)
        return states

    def _step_one(self, group, p, grad):
        if grad.is_sparse:
            raise RuntimeError(f"{type(self).__name__} does not support sparse gradients")
        state = self._states(group, (p,))[0]
        if group.get("maximize", False):
            grad = -grad
        if self._complex_as_real and p.is_complex():
            p, grad = rtorch.view_as_real(p), rtorch.view_as_real(grad)
            state = {
                k: rtorch.view_as_real(v) if isinstance(v, rtorch.Tensor) and v.is_complex() else v
                for k, v in state.items()
            }
        self._update(group, p, grad, state)
