"""Modules on several devices: here there is one, and the wrapper keeps the names of its checkpoints."""

from ..modules.module import Module

__all__ = ["DataParallel", "data_parallel"]


class DataParallel(Module):
    """Runs a module; parameters are named `module.*` as in checkpoints of programs for several devices.

    Args:
        module: the module.
        device_ids: at most one device.
        output_device: accepted.
        dim: dimension of the batch; accepted. Default: 0.

    Raises:
        ValueError: more than one device is asked for.
    """

    def __init__(self, module, device_ids=None, output_device=None, dim=0):
        super().__init__()
        if device_ids is not None and len(device_ids) > 1:
            raise ValueError(f"DataParallel runs on one device, got device_ids={list(device_ids)}")
        self.module = module
        self.device_ids = [] if device_ids is None else list(device_ids)
        self.output_device = output_device
        self.dim = dim

    def forward(self, *inputs, **kwargs):
        """Runs the module."""
        return self.module(*inputs, **kwargs)


def data_parallel(module, inputs, device_ids=None, output_device=None, dim=0, module_kwargs=None):
    """Runs `module` on `inputs`, a tuple or one value.

    Args:
        module: the module.
        inputs: its arguments.
        device_ids: at most one device.
        output_device: accepted.
        dim: dimension of the batch; accepted. Default: 0.
        module_kwargs: its keyword arguments.
    """
    inputs = inputs if isinstance(inputs, tuple) else (inputs,)
    return DataParallel(module, device_ids, output_device, dim)(*inputs, **(module_kwargs or {}))
