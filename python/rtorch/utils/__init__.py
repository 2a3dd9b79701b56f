"""Data loading, checkpointing and what else surrounds training."""

from . import checkpoint, data

__all__ = ["checkpoint", "data"]
