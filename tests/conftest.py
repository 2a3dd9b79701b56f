"""What every test shares: fixed seeds, and a device where one is to be had."""

import os

# Before the first import of rtorch: a software adapter will do for tests.
os.environ.setdefault("RTORCH_GPU_ALLOW_CPU", "1")

import pytest

import rtorch


@pytest.fixture(autouse=True)
def seeded():
    """Tests do not depend on their order: same seed, default dtype and gradient mode for each."""
    rtorch.manual_seed(0)
    yield
    rtorch.set_default_dtype(rtorch.float32)
    rtorch.set_grad_enabled(True)


def _adapter_missing():
    """Why the device cannot be used, or None."""
    try:
        rtorch.ones(1, device="gpu")
    except Exception as e:
        return f"{type(e).__name__}: {e}"
    return None


@pytest.fixture(scope="session")
def gpu():
    """The device; a test that asks for it skips where there is none."""
    reason = _adapter_missing()
    if reason:
        pytest.skip(f"no graphics adapter: {reason}")
    return rtorch.device("gpu")


def pytest_runtest_setup(item):
    if item.get_closest_marker("gpu"):
        reason = _adapter_missing()
        if reason:
            pytest.skip(f"no graphics adapter: {reason}")
