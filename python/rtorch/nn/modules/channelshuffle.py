"""Exchanging channels between groups."""

from .. import functional as F
from .module import Module

__all__ = ["ChannelShuffle"]


class ChannelShuffle(Module):
    """Interleaves the groups of channels of (N, C, ...) (Zhang et al., 2017).

    Args:
        groups: number of groups.
    """

    __constants__ = ["groups"]

    def __init__(self, groups):
        super().__init__()
        self.groups = groups

    def forward(self, input):
        """Interleaves the channels of `input`."""
        return F.channel_shuffle(input, self.groups)

    def extra_repr(self):
        """Returns the number of groups."""
        return f"groups={self.groups}"
