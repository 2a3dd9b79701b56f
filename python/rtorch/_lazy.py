"""Submodules that are imported when they are first used, so that `import rtorch` is quick."""

import importlib

_MODULES = frozenset(
    "amp autograd backends cuda distributed distributions fft gpu jit linalg multiprocessing nn optim "
    "overrides random return_types safetensors serialization signal special storage testing utils vision".split()
)
# Names that live in a submodule and are reached from the top.
_HOMES = {
    "load": "serialization",
    "save": "serialization",
    "set_printoptions": "_tensor_str",
    "get_rng_state": "random",
    "set_rng_state": "random",
    "seed": "random",
    "initial_seed": "random",
    "fork_rng": "random",
    "autocast": "amp",
    "finfo": "_dtype_info",
    "iinfo": "_dtype_info",
}


def attribute(name):
    """Finds a name of the package that was not imported at the start."""
    if name in _MODULES:
        try:
            return importlib.import_module(f"rtorch.{name}")
        except ModuleNotFoundError as e:
            if e.name != f"rtorch.{name}":
                raise
    home = _HOMES.get(name)
    if home is not None:
        import rtorch

        value = getattr(importlib.import_module(f"rtorch.{home}"), name)
        setattr(rtorch, name, value)
        return value
    raise AttributeError(f"module 'rtorch' has no attribute '{name}'")
