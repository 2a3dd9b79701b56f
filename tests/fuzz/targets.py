"""What is called. Each target draws calls that would work, and changes them."""

from . import protocols
from .modules import Modules
from .ops import Names, Ops


def all_targets():
    """The ops, which get every second call, and what shares the others."""
    ops = Ops()
    names, modules = Names(), Modules()
    rest = [
        names,
        modules,
        protocols.Indexing(),
        protocols.Operators(),
        protocols.Making(),
        protocols.Backward(),
        protocols.Optimizers(),
        protocols.Files(),
        protocols.Equations(),
        protocols.Matrices(),
        protocols.Printing(),
        protocols.Subclasses(ops),
    ]
    # Names and modules are many: they have a second turn.
    return ops, [*rest, names, modules]
