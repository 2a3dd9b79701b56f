"""The op database: one row for each op, from which test_ops.py and test_fuzz.py derive their checks."""

# Importing a family adds its rows.
from . import (  # noqa: F401
    elementwise,
    indexing,
    internal,
    layers,
    layout,
    linear,
    losses,
    reductions,
)
from .row import ROWS, Error, Make, Row, Sample, array, expected, find

__all__ = ["ROWS", "Error", "Make", "Row", "Sample", "array", "expected", "find"]
