"""Handles that take a registered hook away again."""

import itertools
import weakref

_ids = itertools.count()


class RemovableHandle:
    """A handle on an entry of a table of hooks; `remove()`, or leaving a `with` block, takes the entry away."""

    def __init__(self, table):
        self._table = weakref.ref(table)
        self.id = next(_ids)

    def remove(self) -> None:
        table = self._table()
        if table is not None:
            table.pop(self.id, None)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.remove()
