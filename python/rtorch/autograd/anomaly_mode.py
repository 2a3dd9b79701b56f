"""Finding the operation whose gradient is not a number."""

import warnings

from rtorch import _C

__all__ = ["detect_anomaly", "set_detect_anomaly"]


class _Mode:
    """The mode that held when it was made, to go back to."""

    def __init__(self):
        self.prev = (_C.is_anomaly_enabled(), _C.is_anomaly_check_nan_enabled())

    def __exit__(self, *exc):
        _C._set_anomaly_enabled(*self.prev)


class set_detect_anomaly(_Mode):
    """Switches anomaly detection on or off, at once and, as a context manager, until its end.

    Args:
        mode: whether to detect.
        check_nan: whether a gradient that holds nan is an error.
    """

    def __init__(self, mode: bool, check_nan: bool = True):
        super().__init__()
        _C._set_anomaly_enabled(mode, check_nan)

    def __enter__(self):
        pass


class detect_anomaly(_Mode):
    """Detects anomalies within its context.

    A backward that fails warns with the traceback of the forward call that made the node, and a gradient that holds
    nan is an error. Both cost time.

    Args:
        check_nan: whether a gradient that holds nan is an error.

    Example::

        >>> x = torch.tensor(-1.0, requires_grad=True)
        >>> with torch.autograd.detect_anomaly():
        ...     x.sqrt().backward()
        Traceback (most recent call last):
            ...
        RuntimeError: Function 'SqrtBackward0' returned nan values in its 0th output.
    """

    def __init__(self, check_nan: bool = True):
        super().__init__()
        self.check_nan = check_nan
        warnings.warn(
            "Anomaly Detection has been enabled. This mode will increase the runtime and should only be enabled for "
            "debugging.",
            stacklevel=2,
        )

    def __enter__(self):
        _C._set_anomaly_enabled(True, self.check_nan)
