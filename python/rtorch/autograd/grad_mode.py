"""Context managers, that are decorators as well, which switch the recording of gradients on and off."""

import functools
import inspect

from rtorch import _C

__all__ = ["enable_grad", "inference_mode", "no_grad", "set_grad_enabled"]


class ContextDecorator:
    """A context manager whose instances also wrap functions and generators."""

    def clone(self):
        """A fresh instance with the same arguments, so that a wrapped function may call itself."""
        return type(self)()

    def __call__(self, func):
        if inspect.isgeneratorfunction(func):
            return self._wrap_generator(func)

        @functools.wraps(func)
        def wrapped(*args, **kwargs):
            with self.clone():
                return func(*args, **kwargs)

        return wrapped

    def _wrap_generator(self, func):
        # The mode holds while the generator runs and not while its caller does.
        @functools.wraps(func)
        def wrapped(*args, **kwargs):
            generator = func(*args, **kwargs)
            resume, value = generator.send, None
            try:
                while True:
                    with self.clone():
                        item = resume(value)
                    try:
                        resume, value = generator.send, (yield item)
                    except GeneratorExit:
                        raise
                    except BaseException as error:
                        resume, value = generator.throw, error
            except StopIteration as stop:
                return stop.value
            finally:
                with self.clone():
                    generator.close()

        return wrapped

    def __enter__(self):
        raise NotImplementedError

    def __exit__(self, *exc):
        raise NotImplementedError


class _Bare(ContextDecorator):
    """A mode without arguments, for which `@mode` and `@mode()` mean the same."""

    def __new__(cls, func=None):
        mode = super().__new__(cls)
        return mode if func is None else mode(func)

    _mode = True

    def __enter__(self):
        self.prev = _C.is_grad_enabled()
        _C._set_grad_enabled(self._mode)

    def __exit__(self, *exc):
        _C._set_grad_enabled(self.prev)


class no_grad(_Bare):
    """Switches the recording of gradients off.

    Example::

        >>> x = rtorch.ones(1, requires_grad=True)
        >>> with rtorch.no_grad():
        ...     y = x * 2
        >>> y.requires_grad
        False
    """

    _mode = False


class enable_grad(_Bare):
    """Switches the recording of gradients on, within `no_grad` say.

    Example::

        >>> with rtorch.no_grad(), rtorch.enable_grad():
        ...     rtorch.is_grad_enabled()
        True
    """


class set_grad_enabled(ContextDecorator):
    """Switches the recording of gradients on or off, at once and, as a context manager, until its end.

    Args:
        mode: whether to record.

    Example::

        >>> with rtorch.set_grad_enabled(False):
        ...     rtorch.is_grad_enabled()
        False
    """

    def __init__(self, mode: bool):
        self.prev = _C.is_grad_enabled()
        self.mode = mode
        _C._set_grad_enabled(mode)

    def clone(self):
        return type(self)(self.mode)

    def __call__(self, func):
        # As a decorator it is to hold in the function only.
        _C._set_grad_enabled(self.prev)
        return super().__call__(func)

    def __enter__(self):
        _C._set_grad_enabled(self.mode)

    def __exit__(self, *exc):
        _C._set_grad_enabled(self.prev)

    def __repr__(self):
        return f"{type(self).__name__}(mode={self.mode})"


class inference_mode(ContextDecorator):
    """Switches recording off and makes tensors that can never take part in it, which is cheaper still.

    Args:
        mode: whether to switch it on; False leaves it for the extent of the context.

    Example::

        >>> with rtorch.inference_mode():
        ...     rtorch.ones(1).is_inference()
        True
    """

    def __new__(cls, mode=True):
        context = super().__new__(cls)
        if isinstance(mode, bool):
            return context
        context.mode = True
        return context(mode)

    def __init__(self, mode: bool = True):
        self.mode = mode

    def clone(self):
        return type(self)(self.mode)

    def __enter__(self):
        self.prev = _C.is_inference_mode_enabled(), _C.is_grad_enabled()
        _C._set_inference_mode(self.mode)
        _C._set_grad_enabled(not self.mode)

    def __exit__(self, *exc):
        inference, grad = self.prev
        _C._set_inference_mode(inference)
        _C._set_grad_enabled(grad)
