"""Handles that take a registered hook away again."""

import weakref
from collections import OrderedDict

__all__ = ["RemovableHandle"]


class RemovableHandle:
    """A key that removes one hook from the dictionaries it was entered in; a context manager that does so at exit.

    Args:
        hooks_dict: dictionary of hooks, keyed by handle id.
        extra_dict: dictionary, or list of dictionaries, that may hold the same id.
    """

    next_id = 0

    def __init__(self, hooks_dict, *, extra_dict=None):
        if extra_dict is None:
            extra_dict = []
        elif isinstance(extra_dict, dict):
            extra_dict = [extra_dict]
        self.hooks_dict_ref = weakref.ref(hooks_dict)
        self.extra_dict_ref = tuple(weakref.ref(d) for d in extra_dict)
        self.id = RemovableHandle.next_id
        RemovableHandle.next_id += 1

    def remove(self):
        """Removes the hook; does nothing when it is gone already."""
        for ref in (self.hooks_dict_ref, *self.extra_dict_ref):
            hooks = ref()
            if hooks is not None:
                hooks.pop(self.id, None)

    def __getstate__(self):
        return self.hooks_dict_ref(), self.id, tuple(ref() for ref in self.extra_dict_ref)

    def __setstate__(self, state):
        # A dictionary that is gone is replaced by an empty one, so that remove() stays harmless.
        self.hooks_dict_ref = weakref.ref(OrderedDict() if state[0] is None else state[0])
        self.id = state[1]
        self.extra_dict_ref = tuple(weakref.ref(OrderedDict() if d is None else d) for d in state[2])
        RemovableHandle.next_id = max(RemovableHandle.next_id, self.id + 1)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        self.remove()


def add_hook(hooks, hook, extra=(), flagged=(), prepend=False):
    """Enters `hook` in `hooks`, and its id in each dictionary of `flagged`.

    Args:
        hooks: the dictionary to enter the hook in.
        hook: the callable.
        extra: dictionaries that removing the handle has to clear as well.
        flagged: those of `extra` that mark this hook.
        prepend: whether the hook runs before those already there.
    """
    handle = RemovableHandle(hooks, extra_dict=list(extra))
    hooks[handle.id] = hook
    for marks in flagged:
        marks[handle.id] = True
    if prepend:
        hooks.move_to_end(handle.id, last=False)
    return handle
