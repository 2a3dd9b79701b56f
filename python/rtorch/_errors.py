"""Exception classes of the core that Python has no name for."""


class LinAlgError(RuntimeError):
    """A matrix without the property an algorithm needs, such as a singular one."""

    __module__ = "rtorch.linalg"


class OutOfMemoryError(RuntimeError):
    """A device has no memory left."""

    __module__ = "rtorch"
