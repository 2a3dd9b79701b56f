"""A sampler that gives each of several processes its share of a dataset."""

import math

import rtorch

from .sampler import Sampler


class DistributedSampler(Sampler):
    """The share of one process of a dataset; all shares have the same length.

    Call `set_epoch` before each epoch, or every epoch has the same order.

    Args:
        dataset: the dataset.
        num_replicas: the number of processes.
        rank: the number of this process, from 0.
        shuffle: shuffle, by a generator seeded with `seed` plus the epoch.
        seed: the seed; the same in all processes.
        drop_last: leave samples out so that the shares are equal, instead of repeating some.

    Raises:
        ValueError: if `rank` is out of range, or `num_replicas` or `rank` is missing.

    Example::

        >>> ds = rtorch.utils.data.DistributedSampler(range(5), num_replicas=2, rank=1, shuffle=False)
        >>> list(ds)
        [1, 3, 0]
    """

    def __init__(self, dataset, num_replicas=None, rank=None, shuffle=True, seed=0, drop_last=False):
        if num_replicas is None or rank is None:
            raise ValueError(
                "Default process group has not been initialized, please make sure to call init_process_group. "
                "rtorch has no process groups: give num_replicas and rank."
            )
        if rank >= num_replicas or rank < 0:
            raise ValueError(f"Invalid rank {rank}, rank should be in the interval [0, {num_replicas - 1}]")
        self.dataset = dataset
        self.num_replicas = num_replicas
        self.rank = rank
        self.epoch = 0
        self.drop_last = drop_last
        count = len(dataset)
        self.num_samples = count // num_replicas if drop_last else math.ceil(count / num_replicas)
        self.total_size = self.num_samples * num_replicas
        self.shuffle = shuffle
        self.seed = seed

    def __iter__(self):
        count = len(self.dataset)
        if self.shuffle:
            generator = rtorch.Generator()
            generator.manual_seed(self.seed + self.epoch)
            order = rtorch.randperm(count, generator=generator).tolist()
        else:
            order = list(range(count))
        if not self.drop_last and order:
            order = (order * math.ceil(self.total_size / count))[: self.total_size]
        return iter(order[self.rank : self.total_size : self.num_replicas])

    def __len__(self):
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """Sets the epoch, on which the order depends when shuffling."""
        self.epoch = epoch
