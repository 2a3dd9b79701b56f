"""Special functions, under PyTorch's names."""

from rtorch._C._special import *  # noqa: F403
