"""Data loading, checkpointing and what else surrounds training."""

from . import checkpoint, data, dlpack

__all__ = ["checkpoint", "data", "dlpack"]
