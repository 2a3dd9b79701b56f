"""Switches of PyTorch's back ends, accepted so that scripts run unchanged; rtorch has none of these libraries."""

from types import SimpleNamespace


class _Backend(SimpleNamespace):
    """Flags that are remembered and change nothing."""

    def is_available(self) -> bool:
        """Returns whether the back end is part of this build."""
        return self._available

    def is_built(self) -> bool:
        """Returns whether the back end is part of this build."""
        return self._available


cudnn = _Backend(_available=False, enabled=False, benchmark=False, deterministic=True, allow_tf32=False)
cuda = _Backend(_available=False, matmul=SimpleNamespace(allow_tf32=False))
mps = _Backend(_available=False)
mkl = _Backend(_available=False)
mkldnn = _Backend(_available=False, enabled=False)
openmp = _Backend(_available=False)
