"""Linear algebra, under PyTorch's names."""

from rtorch._C._linalg import *  # noqa: F403
from rtorch._errors import LinAlgError

_LinAlgError = LinAlgError
