"""PyTorch's `torch.cuda`, for programs that ask it whether there is a GPU.

rtorch has no CUDA backend: `is_available` is False and the device "cuda" is an error that names "gpu". With the
environment variable ``RTORCH_CUDA_ALIAS=1`` "cuda" means "gpu" and this module is `rtorch.gpu`.
"""

import os

from rtorch import gpu as _gpu
from rtorch.gpu import *  # the functions act on the gpu, whose absence they report
from rtorch.gpu import __all__  # the same names


def _alias():
    return os.environ.get("RTORCH_CUDA_ALIAS") == "1"


def is_available():
    """Returns whether "cuda" can be used: only as an alias of "gpu".

    Example:
        >>> rtorch.cuda.is_available()
        False
    """
    return _alias() and _gpu.is_available()


def device_count():
    """Returns the number of devices that "cuda" stands for."""
    return int(is_available())


def is_initialized():
    """Returns whether the device that "cuda" stands for has been opened."""
    return is_available()


def is_bf16_supported(including_emulation=True):
    """Returns whether the device computes with bfloat16: through float32, where it exists."""
    return is_available()
