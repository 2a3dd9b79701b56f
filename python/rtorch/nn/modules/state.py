"""The part of a module that writes and reads state dictionaries."""

from collections import OrderedDict, namedtuple
from collections.abc import Mapping

import rtorch
from rtorch import Tensor

from ..parameter import Parameter, is_lazy
from .hooks import add_hook

__all__ = ["StateMixin"]

_EXTRA_STATE_KEY_SUFFIX = "_extra_state"


class _IncompatibleKeys(namedtuple("IncompatibleKeys", ["missing_keys", "unexpected_keys"])):
    __slots__ = ()

    def __repr__(self):
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return super().__repr__()

    __str__ = __repr__


class _WithModule:
    """A hook that gets the module as its first argument, bound late so that a copied module passes itself."""

    def __init__(self, hook, with_module=True):
        self.hook = hook
        self.with_module = with_module

    def __call__(self, module, *args):
        return self.hook(module, *args) if self.with_module else self.hook(*args)


def _quoted(keys):
    return ", ".join(f'"{key}"' for key in keys)


def _prefix_fix(missing, unexpected):
    """The fix for keys that differ from the model's by a common prefix, else None."""
    if not missing or not unexpected:
        return None
    missing = set(missing)
    head = unexpected[0].split(".", 1)[0] + "."
    stripped = [key[len(head) :] for key in unexpected if key.startswith(head)]
    if stripped and any(key in missing for key in stripped):
        return (
            f"fix: the keys of the checkpoint start with {head!r}: load "
            f"{{k.removeprefix({head!r}): v for k, v in state_dict.items()}}."
        )
    head = next(iter(missing)).split(".", 1)[0] + "."
    if any(head + key in missing for key in unexpected):
        return (
            f"fix: the keys of the checkpoint lack {head!r}: load {{{head!r} + k: v for k, v in state_dict.items()}}."
        )
    return None


class StateMixin:
    """`state_dict`, `load_state_dict` and their hooks, for `Module`."""

    def get_extra_state(self):
        """Returns what `state_dict` stores beside parameters and buffers; to be overridden with `set_extra_state`."""
        raise RuntimeError("get_extra_state() has no default: override it together with set_extra_state().")

    def set_extra_state(self, state):
        """Takes back what `get_extra_state` returned; called by `load_state_dict`."""
        raise RuntimeError("set_extra_state() has no default: override it together with get_extra_state().")

    def _register_state_dict_hook(self, hook):
        if getattr(hook, "_from_public_api", False):
            raise RuntimeError(
                "Cannot register the same function as the state dict post hook that was previously registered via "
                "register_state_dict_post_hook"
            )
        return add_hook(self._state_dict_hooks, hook)

    def register_state_dict_post_hook(self, hook):
        """Runs `hook(module, state_dict, prefix, local_metadata)` after `state_dict`; it may change the dict."""
        hook._from_public_api = True
        return add_hook(self._state_dict_hooks, hook)

    def register_state_dict_pre_hook(self, hook):
        """Runs `hook(module, prefix, keep_vars)` before `state_dict`."""
        return add_hook(self._state_dict_pre_hooks, hook)

    def _register_load_state_dict_pre_hook(self, hook, with_module=False):
        return add_hook(self._load_state_dict_pre_hooks, _WithModule(hook, with_module))

    def register_load_state_dict_pre_hook(self, hook):
        """Runs a hook before this module takes its entries of a state dict.

        Args:
            hook: `hook(module, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)`.
        """
        return self._register_load_state_dict_pre_hook(hook, with_module=True)

    def register_load_state_dict_post_hook(self, hook):
        """Runs `hook(module, incompatible_keys)` after `load_state_dict`; it may change the keys in place."""
        return add_hook(self._load_state_dict_post_hooks, hook)

    def _has_extra_state(self):
        return getattr(type(self), "get_extra_state", None) is not StateMixin.get_extra_state

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        """Enters this module's own parameters, persistent buffers and extra state in `destination`."""
        for name, param in self._parameters.items():
            if param is not None:
                destination[prefix + name] = param if keep_vars or is_lazy(param) else param.detach()
        for name, buf in self._buffers.items():
            if buf is not None and name not in self._non_persistent_buffers_set:
                destination[prefix + name] = buf if keep_vars or is_lazy(buf) else buf.detach()
        if self._has_extra_state():
            destination[prefix + _EXTRA_STATE_KEY_SUFFIX] = self.get_extra_state()

    def state_dict(self, *args, destination=None, prefix="", keep_vars=False):
        """Returns an ordered dictionary with all parameters and persistent buffers; they share memory with the module.

        Args:
            destination: dictionary to fill in place of a new one.
            prefix: put in front of every key. Default: "".
            keep_vars: whether the entries stay attached to the autograd graph. Default: False.

        Example:
            >>> import rtorch as torch
            >>> list(torch.nn.Linear(2, 3).state_dict())
            ['weight', 'bias']
        """
        if args:  # the positional form is deprecated
            destination = args[0]
            prefix = args[1] if len(args) > 1 and prefix == "" else prefix
            keep_vars = args[2] if len(args) > 2 and keep_vars is False else keep_vars
        if destination is None:
            destination = OrderedDict()
            destination._metadata = OrderedDict()
        local_metadata = {"version": self._version}
        if hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]] = local_metadata
        for hook in self._state_dict_pre_hooks.values():
            hook(self, prefix, keep_vars)
        self._save_to_state_dict(destination, prefix, keep_vars)
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(destination=destination, prefix=prefix + name + ".", keep_vars=keep_vars)
        for hook in self._state_dict_hooks.values():
            result = hook(self, destination, prefix, local_metadata)
            if getattr(hook, "_from_public_api", False):
                if result is not None:
                    raise RuntimeError("state_dict post-hook must return None")
            elif result is not None:
                destination = result
        return destination

    def _load_from_state_dict(
        self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
    ):
        """Copies this module's own entries of `state_dict`; what does not fit is added to the three lists."""
        for hook in self._load_state_dict_pre_hooks.values():
            hook(self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)
        persistent = {k: v for k, v in self._buffers.items() if k not in self._non_persistent_buffers_set}
        local = {k: v for k, v in {**self._parameters, **persistent}.items() if v is not None}
        assign = local_metadata.get("assign_to_params_buffers", False)
        for name, own in local.items():
            key = prefix + name
            if key not in state_dict:
                if strict:
                    missing_keys.append(key)
                continue
            given = state_dict[key]
            if not isinstance(given, Tensor):
                error_msgs.append(
                    f'While copying the parameter named "{key}", expected torch.Tensor or Tensor-like object from '
                    f"checkpoint but received {type(given)}"
                )
                continue
            if is_lazy(own) or is_lazy(given):
                if is_lazy(own) and is_lazy(given):
                    continue
            # Checkpoints of old versions hold a scalar as one element.
            elif own.dim() == 0 and given.dim() == 1 and len(given) == 1:
                given = given[0]
            try:
                own_shape, given_shape = (given.shape if is_lazy(own) else own.shape), given.shape
                if own_shape != given_shape:
                    error_msgs.append(
                        f"size mismatch for {key}: copying a param with shape {given_shape} from checkpoint, "
                        f"the shape in current model is {own_shape}."
                    )
                    continue
                with rtorch.no_grad():
                    if assign:
                        if isinstance(own, Parameter):
                            if isinstance(given, Parameter):
                                given = given.requires_grad_(own.requires_grad)
                            else:
                                given = Parameter(given, requires_grad=own.requires_grad)
                        setattr(self, name, given)
                    else:
                        if is_lazy(own):
                            own.materialize(given.shape)
                            own = self._parameters[name] if name in self._parameters else self._buffers[name]
                        own.copy_(given)
            except Exception as error:
                shape = "unknown" if is_lazy(own) else own.shape
                error_msgs.append(
                    f'While copying the parameter named "{key}", whose dimensions in the model are {shape} and whose '
                    f"dimensions in the checkpoint are {given.shape}, an exception occurred : {error.args}."
                )
        extra_key = prefix + _EXTRA_STATE_KEY_SUFFIX
        if self._has_extra_state():
            if extra_key in state_dict:
                self.set_extra_state(state_dict[extra_key])
            elif strict:
                missing_keys.append(extra_key)
        elif strict and extra_key in state_dict:
            unexpected_keys.append(extra_key)
        if strict:
            for key in state_dict:
                if key.startswith(prefix) and key != extra_key:
                    head, dot, _ = key[len(prefix) :].partition(".")
                    if head not in (self._modules if dot else local):
                        unexpected_keys.append(key)

    def load_state_dict(self, state_dict, strict=True, assign=False):
        """Copies parameters and buffers from a dictionary that `state_dict` made.

        Args:
            state_dict: mapping from names to tensors; shapes must match, dtypes and devices are converted.
            strict: whether the keys must be exactly those of this module. Default: True.
            assign: whether the tensors of `state_dict` replace the module's own, keeping their dtype and device,
                in place of being copied into them. Default: False.

        Returns:
            A named tuple of `missing_keys` and `unexpected_keys`.

        Raises:
            RuntimeError: keys (when strict) or shapes do not match.

        Example:
            >>> import rtorch as torch
            >>> m = torch.nn.Linear(2, 3)
            >>> m.load_state_dict(m.state_dict())
            <All keys matched successfully>
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
        missing_keys, unexpected_keys, error_msgs = [], [], []
        metadata = getattr(state_dict, "_metadata", None)
        state_dict = OrderedDict(state_dict)
        if metadata is not None:
            state_dict._metadata = metadata

        def load(module, local_state, prefix=""):
            local_metadata = {} if metadata is None else metadata.get(prefix[:-1], {})
            if assign:
                local_metadata["assign_to_params_buffers"] = assign
            module._load_from_state_dict(
                local_state, prefix, local_metadata, True, missing_keys, unexpected_keys, error_msgs
            )
            for name, child in module._modules.items():
                if child is not None:
                    inner = prefix + name + "."
                    load(child, {k: v for k, v in local_state.items() if k.startswith(inner)}, inner)
            keys = _IncompatibleKeys(missing_keys, unexpected_keys)
            for hook in module._load_state_dict_post_hooks.values():
                if hook(module, keys) is not None:
                    raise AssertionError(
                        "Hooks registered with ``register_load_state_dict_post_hook`` are not expected to return new "
                        "values, if incompatible_keys need to be modified, it should be done inplace."
                    )

        load(self, state_dict)
        if strict:
            if unexpected_keys:
                error_msgs.insert(0, f"Unexpected key(s) in state_dict: {_quoted(unexpected_keys)}. ")
            if missing_keys:
                error_msgs.insert(0, f"Missing key(s) in state_dict: {_quoted(missing_keys)}. ")
            fix = _prefix_fix(missing_keys, unexpected_keys)
            if fix is not None:
                error_msgs.append(fix)
        if error_msgs:
            listed = "\n\t".join(error_msgs)
            raise RuntimeError(f"Error(s) in loading state_dict for {type(self).__name__}:\n\t{listed}")
        return _IncompatibleKeys(missing_keys, unexpected_keys)
