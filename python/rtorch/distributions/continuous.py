"""Distributions over real numbers and vectors of them."""

import math

import rtorch
from rtorch import _C

from . import constraints
from .distribution import Distribution, broadcast_all

__all__ = [
    "Beta",
    "Cauchy",
    "Chi2",
    "Dirichlet",
    "Exponential",
    "Gamma",
    "Gumbel",
    "Laplace",
    "LogNormal",
    "Normal",
    "StudentT",
    "Uniform",
    "Weibull",
]

_EULER = 0.57721566490153286060


class _LocationScale(Distribution):
    """A distribution moved by `loc` and stretched by `scale`."""

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.real
    has_rsample = True

    def __init__(self, loc, scale, validate_args=None):
        self.loc, self.scale = broadcast_all(loc, scale)
        super().__init__(self.loc.shape, validate_args=validate_args)

    def _new(self, sample_shape):
        return rtorch.empty(self._extended_shape(sample_shape), dtype=self.loc.dtype, device=self.loc.device)


class Normal(_LocationScale):
    """The normal distribution with mean `loc` and standard deviation `scale`.

    Example::

        >>> rtorch.distributions.Normal(0.0, 1.0).log_prob(rtorch.tensor(0.0))
        tensor(-0.9189)
    """

    @property
    def mean(self):
        return self.loc

    @property
    def mode(self):
        return self.loc

    @property
    def stddev(self):
        return self.scale

    @property
    def variance(self):
        return self.scale.pow(2)

    def sample(self, sample_shape=()):
        shape = self._extended_shape(sample_shape)
        with rtorch.no_grad():
            return rtorch.normal(self.loc.expand(shape), self.scale.expand(shape))

    def rsample(self, sample_shape=()):
        return self.loc + self._new(sample_shape).normal_() * self.scale

    def log_prob(self, value):
        self._validate_sample(value)
        return -((value - self.loc) ** 2) / (2 * self.variance) - self.scale.log() - math.log(math.sqrt(2 * math.pi))

    def cdf(self, value):
        """Returns the probability of values up to `value`."""
        self._validate_sample(value)
        return 0.5 * (1 + rtorch.erf((value - self.loc) / (self.scale * math.sqrt(2))))

    def icdf(self, value):
        """Returns the number below which a share of `value` lies."""
        return self.loc + self.scale * rtorch.erfinv(2 * value - 1) * math.sqrt(2)

    def entropy(self):
        return 0.5 + 0.5 * math.log(2 * math.pi) + self.scale.log()


class LogNormal(_LocationScale):
    """The distribution of numbers whose logarithm is normal with mean `loc` and standard deviation `scale`."""

    support = constraints.positive

    @property
    def base_dist(self):
        """The distribution of the logarithm."""
        return Normal(self.loc, self.scale, validate_args=False)

    @property
    def mean(self):
        return (self.loc + self.scale.pow(2) / 2).exp()

    @property
    def variance(self):
        square = self.scale.pow(2)
        return square.expm1() * (2 * self.loc + square).exp()

    def sample(self, sample_shape=()):
        with rtorch.no_grad():
            return self.base_dist.sample(sample_shape).exp()

    def rsample(self, sample_shape=()):
        return self.base_dist.rsample(sample_shape).exp()

    def log_prob(self, value):
        self._validate_sample(value)
        return self.base_dist.log_prob(value.log()) - value.log()

    def entropy(self):
        return self.base_dist.entropy() + self.loc


class Laplace(_LocationScale):
    """The Laplace distribution, two exponentials back to back."""

    @property
    def mean(self):
        return self.loc

    @property
    def variance(self):
        return 2 * self.scale.pow(2)

    def rsample(self, sample_shape=()):
        eps = rtorch.finfo(self.loc.dtype).eps
        u = self._new(sample_shape).uniform_(eps - 1, 1)
        return self.loc - self.scale * u.sign() * rtorch.log1p(-u.abs())

    def log_prob(self, value):
        self._validate_sample(value)
        return -rtorch.log(2 * self.scale) - rtorch.abs(value - self.loc) / self.scale

    def cdf(self, value):
        """Returns the probability of values up to `value`."""
        self._validate_sample(value)
        away = value - self.loc
        return 0.5 - 0.5 * away.sign() * rtorch.expm1(-away.abs() / self.scale)

    def entropy(self):
        return 1 + rtorch.log(2 * self.scale)


class Gumbel(_LocationScale):
    """The Gumbel distribution of largest values."""

    @property
    def mean(self):
        return self.loc + self.scale * _EULER

    @property
    def variance(self):
        return (math.pi / math.sqrt(6) * self.scale).pow(2)

    def rsample(self, sample_shape=()):
        info = rtorch.finfo(self.loc.dtype)
        u = info.tiny + rtorch.rand(self._extended_shape(sample_shape), dtype=self.loc.dtype) * (
            1 - info.eps - info.tiny
        )
        return self.loc - self.scale * (-u.log()).log()

    def log_prob(self, value):
        self._validate_sample(value)
        y = (self.loc - value) / self.scale
        return y - y.exp() - self.scale.log()

    def entropy(self):
        return self.scale.log() + (1 + _EULER)


class Cauchy(_LocationScale):
    """The Cauchy distribution with median `loc` and half width `scale`; it has no mean."""

    @property
    def mean(self):
        return rtorch.full(self._extended_shape(), math.nan, dtype=self.loc.dtype, device=self.loc.device)

    @property
    def variance(self):
        return rtorch.full(self._extended_shape(), math.inf, dtype=self.loc.dtype, device=self.loc.device)

    def rsample(self, sample_shape=()):
        return self.loc + self._new(sample_shape).cauchy_() * self.scale

    def log_prob(self, value):
        self._validate_sample(value)
        return -math.log(math.pi) - self.scale.log() - (((value - self.loc) / self.scale) ** 2).log1p()

    def cdf(self, value):
        """Returns the probability of values up to `value`."""
        self._validate_sample(value)
        return rtorch.atan((value - self.loc) / self.scale) / math.pi + 0.5

    def entropy(self):
        return math.log(4 * math.pi) + self.scale.log()


class Uniform(Distribution):
    """The uniform distribution on [low, high)."""

    has_rsample = True

    def __init__(self, low, high, validate_args=None):
        self.low, self.high = broadcast_all(low, high)
        self.arg_constraints = {"low": constraints.less_than(self.high), "high": constraints.greater_than(self.low)}
        self.support = constraints.interval(self.low, self.high)
        super().__init__(self.low.shape, validate_args=validate_args)

    @property
    def mean(self):
        return (self.high + self.low) / 2

    @property
    def variance(self):
        return (self.high - self.low).pow(2) / 12

    def rsample(self, sample_shape=()):
        u = rtorch.rand(self._extended_shape(sample_shape), dtype=self.low.dtype, device=self.low.device)
        return self.low + u * (self.high - self.low)

    def log_prob(self, value):
        self._validate_sample(value)
        inside = ((self.low <= value) & (self.high > value)).to(self.low.dtype)
        return inside.log() - rtorch.log(self.high - self.low)

    def cdf(self, value):
        """Returns the probability of values up to `value`."""
        self._validate_sample(value)
        return ((value - self.low) / (self.high - self.low)).clamp(min=0, max=1)

    def entropy(self):
        return rtorch.log(self.high - self.low)


class Exponential(Distribution):
    """The exponential distribution of rate `rate`."""

    arg_constraints = {"rate": constraints.positive}
    support = constraints.nonnegative
    has_rsample = True

    def __init__(self, rate, validate_args=None):
        (self.rate,) = broadcast_all(rate)
        super().__init__(self.rate.shape, validate_args=validate_args)

    @property
    def mean(self):
        return self.rate.reciprocal()

    @property
    def variance(self):
        return self.rate.pow(-2)

    def rsample(self, sample_shape=()):
        shape = self._extended_shape(sample_shape)
        return rtorch.empty(shape, dtype=self.rate.dtype, device=self.rate.device).exponential_() / self.rate

    def log_prob(self, value):
        self._validate_sample(value)
        return self.rate.log() - self.rate * value

    def cdf(self, value):
        """Returns the probability of values up to `value`."""
        self._validate_sample(value)
        return 1 - rtorch.exp(-self.rate * value)

    def entropy(self):
        return 1.0 - self.rate.log()


class Gamma(Distribution):
    """The gamma distribution of shape `concentration` and rate `rate`."""

    arg_constraints = {"concentration": constraints.positive, "rate": constraints.positive}
    support = constraints.nonnegative

    def __init__(self, concentration, rate, validate_args=None):
        self.concentration, self.rate = broadcast_all(concentration, rate)
        super().__init__(self.concentration.shape, validate_args=validate_args)

    @property
    def mean(self):
        return self.concentration / self.rate

    @property
    def variance(self):
        return self.concentration / self.rate.pow(2)

    def sample(self, sample_shape=()):
        shape = self._extended_shape(sample_shape)
        with rtorch.no_grad():
            value = _C._standard_gamma(self.concentration.expand(shape)) / self.rate.expand(shape)
            return value.clamp(min=rtorch.finfo(value.dtype).tiny)

    def log_prob(self, value):
        self._validate_sample(value)
        a, b = self.concentration, self.rate
        return rtorch.xlogy(a, b) + rtorch.xlogy(a - 1, value) - b * value - rtorch.lgamma(a)

    def entropy(self):
        a = self.concentration
        return a - self.rate.log() + rtorch.lgamma(a) + (1.0 - a) * rtorch.digamma(a)


class Chi2(Gamma):
    """The distribution of the sum of `df` squared standard normal numbers."""

    arg_constraints = {"df": constraints.positive}

    def __init__(self, df, validate_args=None):
        (self.df,) = broadcast_all(df)
        super().__init__(0.5 * self.df, 0.5, validate_args=validate_args)


class StudentT(_LocationScale):
    """Student's t distribution of `df` degrees of freedom."""

    arg_constraints = {"df": constraints.positive, "loc": constraints.real, "scale": constraints.positive}
    has_rsample = False

    def __init__(self, df, loc=0.0, scale=1.0, validate_args=None):
        self.df, loc, scale = broadcast_all(df, loc, scale)
        self._chi2 = Chi2(self.df, validate_args=validate_args)
        super().__init__(loc, scale, validate_args=validate_args)

    @property
    def mean(self):
        return rtorch.where(self.df > 1, self.loc, math.nan)

    @property
    def variance(self):
        known = self.scale.pow(2) * self.df / (self.df - 2)
        return rtorch.where(self.df > 2, known, rtorch.where(self.df > 1, math.inf, math.nan))

    def sample(self, sample_shape=()):
        with rtorch.no_grad():
            normal = self._new(sample_shape).normal_()
            return self.loc + self.scale * (normal * (self._chi2.sample(sample_shape) / self.df).rsqrt())

    def log_prob(self, value):
        self._validate_sample(value)
        y = (value - self.loc) / self.scale
        half = 0.5 * (self.df + 1.0)
        norm = (
            self.scale.log()
            + 0.5 * (self.df.log() + math.log(math.pi))
            + rtorch.lgamma(0.5 * self.df)
            - rtorch.lgamma(half)
        )
        return -half * rtorch.log1p(y**2 / self.df) - norm


class Weibull(Distribution):
    """The Weibull distribution, an exponential number to the power of `1 / concentration`."""

    arg_constraints = {"scale": constraints.positive, "concentration": constraints.positive}
    support = constraints.positive
    has_rsample = True

    def __init__(self, scale, concentration, validate_args=None):
        self.scale, self.concentration = broadcast_all(scale, concentration)
        super().__init__(self.scale.shape, validate_args=validate_args)

    @property
    def mean(self):
        return self.scale * rtorch.exp(rtorch.lgamma(1 + self.concentration.reciprocal()))

    @property
    def variance(self):
        inverse = self.concentration.reciprocal()
        square = rtorch.exp(2 * rtorch.lgamma(1 + inverse))
        return self.scale.pow(2) * (rtorch.exp(rtorch.lgamma(1 + 2 * inverse)) - square)

    def rsample(self, sample_shape=()):
        shape = self._extended_shape(sample_shape)
        base = rtorch.empty(shape, dtype=self.scale.dtype, device=self.scale.device).exponential_()
        return base.pow(self.concentration.reciprocal()) * self.scale

    def log_prob(self, value):
        self._validate_sample(value)
        c, y = self.concentration, value / self.scale
        return c.log() - self.scale.log() + (c - 1) * y.log() - y.pow(c)

    def entropy(self):
        inverse = self.concentration.reciprocal()
        return _EULER * (1 - inverse) + rtorch.log(self.scale * inverse) + 1


class Dirichlet(Distribution):
    """The Dirichlet distribution over vectors that sum to one."""

    arg_constraints = {"concentration": constraints.positive_vector}
    support = constraints.simplex

    def __init__(self, concentration, validate_args=None):
        if concentration.dim() < 1:
            raise ValueError("`concentration` parameter must be at least one-dimensional.")
        self.concentration = concentration
        super().__init__(concentration.shape[:-1], concentration.shape[-1:], validate_args=validate_args)

    @property
    def mean(self):
        return self.concentration / self.concentration.sum(-1, True)

    @property
    def variance(self):
        total = self.concentration.sum(-1, True)
        return self.concentration * (total - self.concentration) / (total.pow(2) * (total + 1))

    def sample(self, sample_shape=()):
        with rtorch.no_grad():
            return _C._sample_dirichlet(self.concentration.expand(self._extended_shape(sample_shape)))

    def log_prob(self, value):
        self._validate_sample(value)
        a = self.concentration
        return rtorch.xlogy(a - 1.0, value).sum(-1) + rtorch.lgamma(a.sum(-1)) - rtorch.lgamma(a).sum(-1)


class Beta(Distribution):
    """The beta distribution on [0, 1]."""

    arg_constraints = {"concentration1": constraints.positive, "concentration0": constraints.positive}
    support = constraints.unit_interval

    def __init__(self, concentration1, concentration0, validate_args=None):
        pair = rtorch.stack(broadcast_all(concentration1, concentration0), -1)
        self._dirichlet = Dirichlet(pair, validate_args=validate_args)
        super().__init__(self._dirichlet.batch_shape, validate_args=validate_args)

    @property
    def concentration1(self):
        """Weight of values near one."""
        return self._dirichlet.concentration[..., 0]

    @property
    def concentration0(self):
        """Weight of values near zero."""
        return self._dirichlet.concentration[..., 1]

    @property
    def mean(self):
        return self.concentration1 / (self.concentration1 + self.concentration0)

    @property
    def variance(self):
        total = self.concentration1 + self.concentration0
        return self.concentration1 * self.concentration0 / (total.pow(2) * (total + 1))

    def sample(self, sample_shape=()):
        return self._dirichlet.sample(sample_shape)[..., 0]

    def log_prob(self, value):
        self._validate_sample(value)
        return self._dirichlet.log_prob(rtorch.stack([value, 1.0 - value], -1))
