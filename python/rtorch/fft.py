"""Discrete Fourier transforms, under PyTorch's names."""

from rtorch._C._fft import *  # noqa: F403
