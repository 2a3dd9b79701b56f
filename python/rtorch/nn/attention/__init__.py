"""The choice of a kernel for `functional.scaled_dot_product_attention`."""

import enum
from contextlib import contextmanager

__all__ = ["SDPBackend", "sdpa_kernel"]


class SDPBackend(enum.IntEnum):
    """Names of attention kernels; there is one kernel, which serves for all of them."""

    ERROR = -1
    MATH = 0
    FLASH_ATTENTION = 1
    EFFICIENT_ATTENTION = 2
    CUDNN_ATTENTION = 3
    OVERRIDEABLE = 4


@contextmanager
def sdpa_kernel(backends, set_priority=False):
    """Allows only some kernels within the context; the one kernel there is serves for all of them.

    Args:
        backends: an `SDPBackend` or a list of them.
        set_priority: accepted.

    Raises:
        TypeError: `backends` is something else.
    """
    listed = [backends] if isinstance(backends, SDPBackend) else backends
    if not isinstance(listed, (list, tuple)) or not all(isinstance(b, SDPBackend) for b in listed):
        raise TypeError("Backend must be an instance of SDPBackend or a list of SDPBackend instances")
    yield {}
