"""Distributions over integers and categories."""

import rtorch

from . import constraints
from .distribution import Distribution, broadcast_all

__all__ = ["Bernoulli", "Categorical", "Geometric", "OneHotCategorical", "Poisson"]


def _exactly_one(probs, logits):
    if (probs is None) == (logits is None):
        raise ValueError("Either `probs` or `logits` must be specified, but not both.")


def _inside(probs):
    eps = rtorch.finfo(probs.dtype).eps
    return probs.clamp(min=eps, max=1 - eps)


class Bernoulli(Distribution):
    """One with probability `probs`, or with log odds `logits`; else zero."""

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.boolean

    def __init__(self, probs=None, logits=None, validate_args=None):
        _exactly_one(probs, logits)
        name = "probs" if logits is None else "logits"
        (value,) = broadcast_all(probs if logits is None else logits)
        self.__dict__[name] = value
        super().__init__(value.shape, validate_args=validate_args)

    def __getattr__(self, name):
        if name == "probs":
            return rtorch.sigmoid(self.__dict__["logits"])
        if name == "logits":
            p = _inside(self.__dict__["probs"])
            return rtorch.log(p) - rtorch.log1p(-p)
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    @property
    def mean(self):
        return self.probs

    @property
    def variance(self):
        return self.probs * (1 - self.probs)

    def sample(self, sample_shape=()):
        with rtorch.no_grad():
            return rtorch.bernoulli(self.probs.expand(self._extended_shape(sample_shape)))

    def log_prob(self, value):
        self._validate_sample(value)
        logits, value = broadcast_all(self.logits, value)
        return -rtorch.nn.functional.binary_cross_entropy_with_logits(logits, value, reduction="none")

    def entropy(self):
        return rtorch.nn.functional.binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none")


class Categorical(Distribution):
    """Indices of categories with weights `probs` or unnormalised log probabilities `logits`, along the last axis."""

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}

    def __init__(self, probs=None, logits=None, validate_args=None):
        _exactly_one(probs, logits)
        given = probs if logits is None else logits
        if given.dim() < 1:
            name = "probs" if logits is None else "logits"
            raise ValueError(f"`{name}` parameter must be at least one-dimensional.")
        if logits is None:
            self.__dict__["probs"] = probs / probs.sum(-1, keepdim=True)
        else:
            self.__dict__["logits"] = logits - logits.logsumexp(-1, keepdim=True)
        self._num_events = given.shape[-1]
        self.support = constraints.integer_interval(0, self._num_events - 1)
        super().__init__(given.shape[:-1], validate_args=validate_args)

    def __getattr__(self, name):
        if name == "probs":
            return rtorch.softmax(self.__dict__["logits"], -1)
        if name == "logits":
            return rtorch.log(_inside(self.__dict__["probs"]))
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    @property
    def mode(self):
        return self.probs.argmax(-1)

    def sample(self, sample_shape=()):
        count = 1
        for n in sample_shape:
            count *= n
        with rtorch.no_grad():
            rows = self.probs.reshape(-1, self._num_events)
            return rtorch.multinomial(rows, count, True).t().reshape(self._extended_shape(sample_shape))

    def log_prob(self, value):
        self._validate_sample(value)
        value = value.long().unsqueeze(-1)
        shape = rtorch.broadcast_shapes(value.shape[:-1], self.logits.shape[:-1])
        logits = self.logits.expand(tuple(shape) + (self._num_events,))
        return logits.gather(-1, value.expand(tuple(shape) + (1,))).squeeze(-1)

    def entropy(self):
        low = rtorch.finfo(self.logits.dtype).min
        return -(rtorch.clamp(self.logits, min=low) * self.probs).sum(-1)


class Geometric(Distribution):
    """The number of failures before the first success of probability `probs`."""

    arg_constraints = {"probs": constraints.unit_interval}
    support = constraints.nonnegative_integer

    def __init__(self, probs=None, logits=None, validate_args=None):
        _exactly_one(probs, logits)
        (value,) = broadcast_all(probs if logits is None else logits)
        self.probs = value if logits is None else rtorch.sigmoid(value)
        super().__init__(self.probs.shape, validate_args=validate_args)

    @property
    def mean(self):
        return 1.0 / self.probs - 1.0

    @property
    def variance(self):
        return (1.0 / self.probs - 1.0) / self.probs

    def sample(self, sample_shape=()):
        with rtorch.no_grad():
            u = rtorch.rand(self._extended_shape(sample_shape), dtype=self.probs.dtype, device=self.probs.device)
            u = u.clamp(min=rtorch.finfo(self.probs.dtype).tiny)
            return (u.log() / (-self.probs).log1p()).floor()

    def log_prob(self, value):
        self._validate_sample(value)
        value, probs = broadcast_all(value, self.probs)
        return rtorch.xlogy(value, 1 - probs) + probs.log()


class OneHotCategorical(Distribution):
    """Vectors with a one at a drawn category."""

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    support = constraints.one_hot

    def __init__(self, probs=None, logits=None, validate_args=None):
        self._categorical = Categorical(probs, logits)
        shape = self._categorical.batch_shape
        super().__init__(shape, (self._categorical._num_events,), validate_args=validate_args)

    @property
    def probs(self):
        """Probabilities of the categories."""
        return self._categorical.probs

    @property
    def logits(self):
        """Log probabilities of the categories."""
        return self._categorical.logits

    @property
    def mean(self):
        return self.probs

    @property
    def variance(self):
        return self.probs * (1 - self.probs)

    def sample(self, sample_shape=()):
        index = self._categorical.sample(sample_shape)
        return rtorch.nn.functional.one_hot(index, self._categorical._num_events).to(self.probs.dtype)

    def log_prob(self, value):
        self._validate_sample(value)
        return self._categorical.log_prob(value.max(-1)[1])

    def entropy(self):
        return self._categorical.entropy()


class Poisson(Distribution):
    """The Poisson distribution of rate `rate`."""

    arg_constraints = {"rate": constraints.nonnegative}
    support = constraints.nonnegative_integer

    def __init__(self, rate, validate_args=None):
        (self.rate,) = broadcast_all(rate)
        super().__init__(self.rate.shape, validate_args=validate_args)

    @property
    def mean(self):
        return self.rate

    @property
    def variance(self):
        return self.rate

    def sample(self, sample_shape=()):
        with rtorch.no_grad():
            return rtorch.poisson(self.rate.expand(self._extended_shape(sample_shape)))

    def log_prob(self, value):
        self._validate_sample(value)
        rate, value = broadcast_all(self.rate, value)
        return rtorch.xlogy(value, rate) - rate - (value + 1).lgamma()
