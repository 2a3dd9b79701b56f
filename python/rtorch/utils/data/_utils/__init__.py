"""How samples become batches."""

from . import collate

__all__ = ["collate"]
