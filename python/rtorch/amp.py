"""Automatic mixed precision: the switched-off forms that scripts pass through."""

import contextlib


class autocast(contextlib.ContextDecorator):
    """A block in which ops would choose their precision; only `enabled=False` is supported.

    Raises:
        NotImplementedError: when it is entered enabled: convert the model instead, `model.bfloat16()`.
    """

    def __init__(self, device_type="cpu", dtype=None, enabled=True, cache_enabled=None):
        self.device_type, self.dtype, self.enabled = device_type, dtype, enabled

    def __enter__(self):
        if self.enabled:
            raise NotImplementedError(
                "autocast is not supported yet; pass enabled=False, or convert the model: model.bfloat16()"
            )
        return self

    def __exit__(self, *exc):
        return False


class GradScaler:
    """Scales losses against underflow in float16; with `enabled=False` every call passes through.

    Raises:
        NotImplementedError: when it is enabled.
    """

    def __init__(self, device="cuda", init_scale=65536.0, growth_factor=2.0, backoff_factor=0.5, growth_interval=2000,
                 enabled=True):  # fmt: skip
        if enabled:
            raise NotImplementedError("GradScaler is not supported yet; pass enabled=False")

    def scale(self, outputs):
        """Returns `outputs`."""
        return outputs

    def unscale_(self, optimizer):
        """Does nothing."""

    def step(self, optimizer, *args, **kwargs):
        """Steps the optimizer."""
        return optimizer.step(*args, **kwargs)

    def update(self, new_scale=None):
        """Does nothing."""

    def is_enabled(self):
        """Returns False."""
        return False

    def get_scale(self):
        """Returns 1."""
        return 1.0

    def state_dict(self):
        """Returns an empty dict."""
        return {}

    def load_state_dict(self, state_dict):
        """Does nothing."""
