"""Image data that comes with the package."""

from rtorch.vision.datasets import OpticalDigits, digits

__all__ = ["OpticalDigits", "digits"]
