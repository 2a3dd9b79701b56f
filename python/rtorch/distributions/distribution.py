"""What all distributions share: shapes, checks, and how samples are asked for."""

from numbers import Number

import rtorch
from rtorch._size import Size

__all__ = ["Distribution"]


def broadcast_all(*values):
    """Returns the values as tensors of one shape; numbers take the dtype of the tensors among them."""
    if not all(isinstance(v, (Number, rtorch.Tensor)) for v in values):
        raise ValueError(
            "Input arguments must all be instances of Number, torch.Tensor or objects implementing __torch_function__."
        )
    first = next((v for v in values if isinstance(v, rtorch.Tensor)), None)
    options = {"dtype": rtorch.get_default_dtype() if first is None else first.dtype}
    if first is not None:
        options["device"] = first.device
    tensors = [v if isinstance(v, rtorch.Tensor) else rtorch.tensor(v, **options) for v in values]
    shape = rtorch.broadcast_shapes(*(t.shape for t in tensors))
    return [t.expand(shape) for t in tensors]


class Distribution:
    """A probability distribution over tensors.

    Args:
        batch_shape: shape of the independent distributions.
        event_shape: shape of one value.
        validate_args: whether parameters and values are checked. Default: True.
    """

    has_rsample = False
    has_enumerate_support = False
    arg_constraints = {}
    support = None
    _validate_args = __debug__

    @staticmethod
    def set_default_validate_args(value):
        """Sets whether distributions check their arguments unless told otherwise."""
        if value not in (True, False):
            raise ValueError("the default is True or False")
        Distribution._validate_args = value

    def __init__(self, batch_shape=(), event_shape=(), validate_args=None):
        self._batch_shape = Size(batch_shape)
        self._event_shape = Size(event_shape)
        if validate_args is not None:
            self._validate_args = validate_args
        if not self._validate_args:
            return
        for name, constraint in self.arg_constraints.items():
            if name in self.__dict__:
                self._check_parameter(name, constraint)

    def _check_parameter(self, name, constraint):
        value = getattr(self, name)
        valid = constraint.check(value)
        if not bool(valid.all()):
            raise ValueError(
                f"Expected parameter {name} ({type(value).__name__} of shape {tuple(value.shape)}) of distribution "
                f"{self!r} to satisfy the constraint {constraint!r}, but found invalid values:\n{value}"
            )

    def _validate_sample(self, value):
        if not isinstance(value, rtorch.Tensor):
            raise ValueError("The value argument to log_prob must be a Tensor")
        if not self._validate_args or self.support is None:
            return
        if not bool(self.support.check(value).all()):
            raise ValueError(
                f"Expected value argument ({type(value).__name__} of shape {tuple(value.shape)}) to be within the "
                f"support ({self.support!r}) of the distribution {self!r}, but found invalid values:\n{value}"
            )

    @property
    def batch_shape(self):
        """Shape of the independent distributions."""
        return self._batch_shape

    @property
    def event_shape(self):
        """Shape of one value."""
        return self._event_shape

    @property
    def mean(self):
        """The expected value."""
        raise NotImplementedError

    @property
    def variance(self):
        """The variance."""
        raise NotImplementedError

    @property
    def stddev(self):
        """The standard deviation."""
        return self.variance.sqrt()

    def sample(self, sample_shape=()):
        """Draws values (sample_shape + batch_shape + event_shape) without gradients."""
        with rtorch.no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape=()):
        """Draws values as a differentiable function of the parameters, where that is possible."""
        raise NotImplementedError

    def log_prob(self, value):
        """Returns the logarithm of the density or probability at `value`."""
        raise NotImplementedError

    def entropy(self):
        """Returns the entropy in nats."""
        raise NotImplementedError

    def perplexity(self):
        """Returns the exponential of the entropy."""
        return self.entropy().exp()

    def _extended_shape(self, sample_shape=()):
        return Size(tuple(sample_shape) + tuple(self._batch_shape) + tuple(self._event_shape))

    def __repr__(self):
        names = [n for n in self.arg_constraints if n in self.__dict__]
        parts = [
            f"{n}: {self.__dict__[n] if self.__dict__[n].numel() == 1 else self.__dict__[n].size()}" for n in names
        ]
        return f"{type(self).__name__}({', '.join(parts)})"
