"""Datasets, samplers and loaders."""

import collections

import numpy as np
import pytest

import rtorch as torch
from rtorch.utils import data


class Squares(data.Dataset):
    def __len__(self):
        return 10

    def __getitem__(self, i):
        return torch.tensor(i), i * i


class Stream(data.IterableDataset):
    def __iter__(self):
        assert data.get_worker_info() is None
        return iter(range(7))


class Failing(data.Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, i):
        raise KeyError(f"item {i}")


def test_tensor_dataset():
    x, y = torch.arange(6).reshape(3, 2), torch.arange(3)
    d = data.TensorDataset(x, y)
    assert len(d) == 3 and d[1][0].tolist() == [2, 3] and d[1][1].item() == 1
    with pytest.raises(AssertionError, match="Size mismatch between tensors"):
        data.TensorDataset(x, torch.arange(2))


def test_datasets_of_datasets():
    d = data.ConcatDataset([Squares(), Squares()])
    assert len(d) == 20 and d[13][1] == 9 and d[-1][1] == 81
    assert (Squares() + Squares())[10][1] == 0
    assert [v[1] for v in data.Subset(Squares(), [3, 1])] == [9, 1]
    a, b = data.random_split(Squares(), [7, 3], generator=torch.Generator().manual_seed(0))
    assert sorted(a.indices + b.indices) == list(range(10))
    assert [len(p) for p in data.random_split(Squares(), [0.5, 0.3, 0.2])] == [5, 3, 2]
    with pytest.raises(ValueError, match="Sum of input lengths does not equal the length of the input dataset!"):
        data.random_split(Squares(), [1, 2])


def test_batches():
    loader = data.DataLoader(Squares(), batch_size=4)
    batches = list(loader)
    assert len(loader) == 3 and [len(b[0]) for b in batches] == [4, 4, 2]
    assert torch.cat([b[1] for b in batches]).tolist() == [i * i for i in range(10)]
    assert len(data.DataLoader(Squares(), batch_size=4, drop_last=True)) == 2
    assert len(list(data.DataLoader(Squares(), batch_size=None))) == 10


def test_streams():
    loader = data.DataLoader(Stream(), batch_size=2)
    assert sorted(torch.cat(list(loader)).tolist()) == list(range(7))
    with pytest.raises(TypeError, match="has no len"):
        len(loader)


def test_errors_of_items_pass_through():
    with pytest.raises(KeyError, match="item 0"):
        list(data.DataLoader(Failing()))


def test_worker_processes_are_refused_by_name():
    with pytest.raises(NotImplementedError, match="use num_workers=0"):
        list(data.DataLoader(Squares(), num_workers=2))


def test_shuffle_is_pytorchs():
    torch.manual_seed(0)
    loader = data.DataLoader(Squares(), batch_size=5, shuffle=True)
    assert [b[0].tolist() for b in loader] == [[6, 7, 1, 4, 2], [0, 9, 8, 3, 5]]
    assert [
        b[0].tolist()
        for b in data.DataLoader(Squares(), batch_size=10, shuffle=True, generator=torch.Generator().manual_seed(1))
    ] == [[4, 6, 9, 2, 3, 1, 0, 7, 8, 5]]


def test_samplers():
    assert list(data.SequentialSampler(range(3))) == [0, 1, 2]
    assert sorted(data.RandomSampler(range(5))) == [0, 1, 2, 3, 4]
    assert len(list(data.RandomSampler(range(3), replacement=True, num_samples=9))) == 9
    assert list(data.BatchSampler(range(5), 2, False)) == [[0, 1], [2, 3], [4]]
    assert list(data.BatchSampler(range(5), 2, True)) == [[0, 1], [2, 3]]
    assert set(data.WeightedRandomSampler([0.0, 1.0, 0.0], 5)) == {1}
    assert sorted(data.SubsetRandomSampler([4, 2])) == [2, 4]
    with pytest.raises(ValueError, match="sampler option is mutually exclusive with shuffle"):
        data.DataLoader(Squares(), shuffle=True, sampler=data.SequentialSampler(range(3)))


def test_collation():
    Point = collections.namedtuple("Point", "x y")
    batch = data.default_collate([{"a": 1, "b": Point(1.5, "s")}, {"a": 2, "b": Point(2.5, "t")}])
    assert batch["a"].tolist() == [1, 2] and batch["b"].x.dtype is torch.float64 and tuple(batch["b"].y) == ("s", "t")
    assert data.default_collate([np.ones(2), np.zeros(2)]).shape == (2, 2)
    assert data.default_collate([b"x", b"y"]) == [b"x", b"y"]
    with pytest.raises(
        RuntimeError, match=r"stack expects each tensor to be equal size, but got \[2\] at entry 0 and \[3\] at entry 1"
    ):
        data.default_collate([torch.ones(2), torch.ones(3)])
    with pytest.raises(
        TypeError, match="default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found"
    ):
        data.default_collate([object()])
    loader = data.DataLoader(Squares(), batch_size=5, collate_fn=len)
    assert list(loader) == [5, 5]
