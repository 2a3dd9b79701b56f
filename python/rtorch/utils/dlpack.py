"""Sharing memory with other libraries through DLPack."""

from rtorch._functions import from_dlpack

__all__ = ["from_dlpack", "to_dlpack"]


def to_dlpack(tensor):
    """Returns a DLPack capsule over the tensor's memory, which may be consumed once."""
    return tensor.__dlpack__()
