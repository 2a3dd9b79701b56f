"""Data loading, checkpointing, hooks and what else surrounds training."""

import importlib

__all__ = ["checkpoint", "data", "dlpack", "hooks"]


def __getattr__(name):
    # Modules need `hooks` alone; the rest is imported when it is first used.
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
