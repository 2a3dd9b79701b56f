"""Finding the operation whose gradient is not a number."""

import warnings

from rtorch import _C

__all__ = ["detect_anomaly", "set_detect_anomaly"]


class set_detect_anomaly:
    """Switches anomaly detection on or off, at once and, as a context manager, until its end.

    Args:
        mode: whether to detect.
        check_nan: accepted for compatibility; the core decides what is checked.
    """

    def __init__(self, mode: bool, check_nan: bool = True):
        self.prev = _C.is_anomaly_enabled()
        _C._set_anomaly_enabled(mode)

    def __enter__(self):
        pass

    def __exit__(self, *exc):
        _C._set_anomaly_enabled(self.prev)


class detect_anomaly:
    """Detects anomalies within its context: errors in backward name the forward operation, and nan raises.

    Args:
        check_nan: accepted for compatibility; the core decides what is checked.
    """

    def __init__(self, check_nan: bool = True):
        warnings.warn(
            "Anomaly Detection has been enabled. This mode will increase the runtime and should only be enabled for "
            "debugging.",
            stacklevel=2,
        )

    def __enter__(self):
        self.prev = _C.is_anomaly_enabled()
        _C._set_anomaly_enabled(True)

    def __exit__(self, *exc):
        _C._set_anomaly_enabled(self.prev)
