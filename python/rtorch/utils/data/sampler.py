"""Samplers: in which order the samples of a dataset are drawn."""

import itertools
from typing import Generic, TypeVar

import rtorch

T_co = TypeVar("T_co", covariant=True)


class Sampler(Generic[T_co]):
    """Base class of samplers; a subclass defines `__iter__`, and `__len__` where the length is known."""

    def __iter__(self):
        raise NotImplementedError(f"{type(self).__name__} has to define __iter__()")


def _check_count(name, value):
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise ValueError(f"{name} should be a positive integer value, but got {name}={value}")


def draw_seed(generator=None) -> int:
    """One draw of 63 bits, with which an iterator or a sampler seeds a generator of its own."""
    return int(rtorch.empty((), dtype=rtorch.int64).random_(generator=generator).item())


class SequentialSampler(Sampler[int]):
    """All indices in order.

    Args:
        data_source: what has a length.
    """

    def __init__(self, data_source):
        self.data_source = data_source

    def __iter__(self):
        return iter(range(len(self.data_source)))

    def __len__(self):
        return len(self.data_source)


class RandomSampler(Sampler[int]):
    """Indices at random.

    Without a generator, each iteration seeds one of its own with one draw from the global generator.

    Args:
        data_source: what has a length.
        replacement: draw with replacement.
        num_samples: the number of draws (default: the length).
        generator: the generator to draw from.

    Raises:
        TypeError: if `replacement` is not a bool.
        ValueError: if `num_samples` is not a positive int.
    """

    # How many indices one call draws with replacement; the order of the draws depends on it.
    _BLOCK = 32

    def __init__(self, data_source, replacement=False, num_samples=None, generator=None):
        self.data_source = data_source
        self.replacement = replacement
        self._num_samples = num_samples
        self.generator = generator
        if not isinstance(replacement, bool):
            raise TypeError(f"replacement should be a boolean value, but got replacement={replacement}")
        _check_count("num_samples", self.num_samples)

    @property
    def num_samples(self) -> int:
        """The number of draws: as given, or the present length of the data."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def __iter__(self):
        n = len(self.data_source)
        generator = self.generator
        if generator is None:
            generator = rtorch.Generator()
            generator.manual_seed(draw_seed())
        if self.replacement:
            for _ in range(self.num_samples // self._BLOCK):
                yield from rtorch.randint(high=n, size=(self._BLOCK,), dtype=rtorch.int64, generator=generator).tolist()
            rest = self.num_samples % self._BLOCK
            yield from rtorch.randint(high=n, size=(rest,), dtype=rtorch.int64, generator=generator).tolist()
        else:
            for _ in range(self.num_samples // n):
                yield from rtorch.randperm(n, generator=generator).tolist()
            yield from rtorch.randperm(n, generator=generator).tolist()[: self.num_samples % n]

    def __len__(self):
        return self.num_samples


class SubsetRandomSampler(Sampler[int]):
    """Given indices in random order.

    Args:
        indices: the indices.
        generator: the generator to draw from (default: the global one).
    """

    def __init__(self, indices, generator=None):
        self.indices = indices
        self.generator = generator

    def __iter__(self):
        for i in rtorch.randperm(len(self.indices), generator=self.generator).tolist():
            yield self.indices[i]

    def __len__(self):
        return len(self.indices)


class WeightedRandomSampler(Sampler[int]):
    """Indices at random, with given probabilities.

    Args:
        weights: the weights, a sequence; they need not sum to 1.
        num_samples: the number of draws.
        replacement: draw with replacement.
        generator: the generator to draw from (default: the global one).

    Raises:
        ValueError: if an argument has the wrong type or range.
    """

    def __init__(self, weights, num_samples, replacement=True, generator=None):
        _check_count("num_samples", num_samples)
        if not isinstance(replacement, bool):
            raise ValueError(f"replacement should be a boolean value, but got replacement={replacement}")
        weights = rtorch.as_tensor(weights, dtype=rtorch.float64)
        if weights.dim() != 1:
            raise ValueError(f"weights should be a 1d sequence but given weights have shape {tuple(weights.shape)}")
        self.weights = weights
        self.num_samples = num_samples
        self.replacement = replacement
        self.generator = generator

    def __iter__(self):
        yield from rtorch.multinomial(
            self.weights, self.num_samples, self.replacement, generator=self.generator
        ).tolist()

    def __len__(self):
        return self.num_samples


class BatchSampler(Sampler[list]):
    """Groups the indices of another sampler into batches.

    Args:
        sampler: the sampler, or any iterable.
        batch_size: the number of indices in a batch.
        drop_last: leave out a last batch that is not full.

    Raises:
        ValueError: if an argument has the wrong type or range.

    Example::

        >>> list(rtorch.utils.data.BatchSampler(range(5), 2, False))
        [[0, 1], [2, 3], [4]]
    """

    def __init__(self, sampler, batch_size, drop_last):
        _check_count("batch_size", batch_size)
        if not isinstance(drop_last, bool):
            raise ValueError(f"drop_last should be a boolean value, but got drop_last={drop_last}")
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last

    def __iter__(self):
        indices = iter(self.sampler)
        while batch := list(itertools.islice(indices, self.batch_size)):
            if len(batch) == self.batch_size or not self.drop_last:
                yield batch

    def __len__(self):
        count = len(self.sampler)
        return count // self.batch_size if self.drop_last else -(-count // self.batch_size)
