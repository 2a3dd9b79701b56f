"""The GPU: any vendor's, through Vulkan, Metal or DirectX 12.

Tensors live on it as on any device: ``x.to("gpu")``, ``rtorch.zeros(3, device="gpu")``. Work is recorded and runs in
order while Python goes on; reading a value waits for it. What a device can hold is in `get_device_properties`: float32,
int32 and bool always, float16 and int64 where its shaders have them, float64 never.
"""

import contextlib
import os
from types import SimpleNamespace

from rtorch import _C

_native = getattr(_C, "_gpu", None)


def _device():
    """Returns the native module, or raises where this build has none."""
    if _native is None:
        raise RuntimeError("this build of rtorch has no GPU backend; build it with the cargo feature 'gpu'")
    return _native


def _index(device=None):
    """Returns the index of a device given as an int, a string, a device or None.

    Raises:
        ValueError: `device` is not a gpu.
        RuntimeError: There is no gpu of this index.
    """
    if device is None:
        return 0
    if not isinstance(device, int):
        device = _C.device(device)
        if device.type != "gpu":
            raise ValueError(f"Expected a gpu device, but got: {device}")
        device = device.index or 0
    if not 0 <= device < max(device_count(), 1):
        raise RuntimeError(f"gpu error: invalid device ordinal: {device}, but {device_count()} gpu is in use")
    return device


def is_available():
    """Returns whether a GPU can be used.

    Adapters that compute on the processor count only with ``RTORCH_GPU_ALLOW_CPU=1``.

    Example:
        >>> isinstance(rtorch.gpu.is_available(), bool)
        True
    """
    return _native is not None and _native.is_available()


def device_count():
    """Returns the number of GPUs that can be used: 1, the fastest, or 0.

    Example:
        >>> rtorch.gpu.device_count() in (0, 1)
        True
    """
    return int(is_available())


def current_device():
    """Returns the index of the GPU that ``"gpu"`` stands for.

    Example:
        >>> rtorch.gpu.current_device()
        0
    """
    return 0


def set_device(device):
    """Selects the GPU that ``"gpu"`` stands for; there is only one.

    Args:
        device (int, str or device): Its index or name.

    Raises:
        RuntimeError: There is no such GPU.
    """
    _index(device)


@contextlib.contextmanager
def device(device):
    """Returns a context in which ``"gpu"`` stands for the given GPU.

    Args:
        device (int, str or device): Its index or name.
    """
    _index(device)
    yield


def get_device_name(device=None):
    """Returns the name that the driver gives the GPU.

    Args:
        device (int, str or device, optional): Which GPU. Default: the current one.

    Raises:
        RuntimeError: There is no GPU.
    """
    _index(device)
    return _device().properties()["name"]


def get_device_properties(device=None):
    """Returns what the GPU is and can do.

    Args:
        device (int, str or device, optional): Which GPU. Default: the current one.

    Returns:
        A namespace of ``name``, ``driver``, ``software`` (it computes on the processor), ``float16`` and ``int64``
        (it holds these dtypes) and ``max_tensor_bytes``.

    Raises:
        RuntimeError: There is no GPU.
    """
    _index(device)
    return SimpleNamespace(**_device().properties())


def is_initialized():
    """Returns whether the GPU has been opened."""
    return is_available()


def synchronize(device=None):
    """Waits until all work given to the GPU is done.

    Args:
        device (int, str or device, optional): Which GPU. Default: the current one.

    Raises:
        RuntimeError: There is no GPU, or its driver reported a failure.
    """
    _index(device)
    _device().synchronize()


def empty_cache():
    """Gives the driver back the memory that no tensor uses."""
    if is_available():
        _device().empty_cache()


def memory_stats(device=None):
    """Returns the pool's figures in bytes: held by tensors and taken from the driver, now and at most.

    Args:
        device (int, str or device, optional): Which GPU. Default: the current one.

    Raises:
        RuntimeError: There is no GPU.
    """
    _index(device)
    return _device().memory_stats()


def memory_allocated(device=None):
    """Returns the bytes that tensors hold on the GPU."""
    return memory_stats(device)["allocated_bytes.current"]


def max_memory_allocated(device=None):
    """Returns the most bytes that tensors have held on the GPU at once."""
    return memory_stats(device)["allocated_bytes.peak"]


def memory_reserved(device=None):
    """Returns the bytes that the pool has taken from the driver."""
    return memory_stats(device)["reserved_bytes.current"]


def max_memory_reserved(device=None):
    """Returns the most bytes that the pool has taken from the driver."""
    return memory_stats(device)["reserved_bytes.peak"]


def reset_peak_memory_stats(device=None):
    """Lets the peak figures start from the present ones."""
    _index(device)
    _device().reset_peak_memory_stats()


def manual_seed(seed):
    """Seeds the GPU's random numbers; without a GPU nothing happens.

    Args:
        seed (int): Taken modulo 2**64.
    """
    if _native is not None:
        _native.manual_seed(int(seed) % 2**64)


def manual_seed_all(seed):
    """Seeds the random numbers of every GPU.

    Args:
        seed (int): Taken modulo 2**64.
    """
    manual_seed(seed)


def seed():
    """Seeds the GPU's random numbers from the system's entropy."""
    manual_seed(int.from_bytes(os.urandom(8), "little"))


def initial_seed():
    """Returns the seed of the GPU's random numbers."""
    return _device().initial_seed()


def get_rng_state(device="gpu"):
    """Returns the state of the GPU's random numbers as a uint8 tensor.

    Args:
        device (int, str or device): Which GPU.
    """
    _index(device)
    return _C.tensor(list(_device().get_rng_state()), dtype=_C.uint8)


def set_rng_state(state, device="gpu"):
    """Restores the state of the GPU's random numbers.

    Args:
        state (Tensor): What `get_rng_state` returned.
        device (int, str or device): Which GPU.
    """
    _index(device)
    _device().set_rng_state(bytes(state.tolist()))


__all__ = [
    "current_device",
    "device",
    "device_count",
    "empty_cache",
    "get_device_name",
    "get_device_properties",
    "get_rng_state",
    "initial_seed",
    "is_available",
    "is_initialized",
    "manual_seed",
    "manual_seed_all",
    "max_memory_allocated",
    "max_memory_reserved",
    "memory_allocated",
    "memory_reserved",
    "memory_stats",
    "reset_peak_memory_stats",
    "seed",
    "set_device",
    "set_rng_state",
    "synchronize",
]
