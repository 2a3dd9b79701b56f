"""Reading and writing by index: numpy says what is right, except where PyTorch differs."""

import numpy as np
import pytest

import rtorch as torch

BASE = np.arange(60, dtype=np.float32).reshape(3, 4, 5)
I = np.array([2, 0, 1])
MASK = BASE % 3 == 0
READS = {
    "int": 1,
    "negative": -1,
    "pair": (1, 2),
    "all": (1, 2, 3),
    "slice": slice(1, 3),
    "open slice": slice(None),
    "step": slice(0, 3, 2),
    "beyond": slice(1, 100),
    "empty": slice(2, 1),
    "negative slice": slice(-2, None),
    "ellipsis": Ellipsis,
    "ellipsis last": (Ellipsis, 0),
    "ellipsis first": (0, Ellipsis),
    "ellipsis middle": (0, Ellipsis, 1),
    "none": None,
    "none inside": (slice(None), None, 1),
    "none last": (Ellipsis, None),
    "empty tuple": (),
    "array": I,
    "list": [0, 2],
    "pair of arrays": (I, I),
    "array and int": (I, 1),
    "array and slice": (I, slice(1, 3)),
    "slice and array": (slice(None), I),
    "apart": (I, slice(None), I),
    "broadcast": (I[:, None], I[None, :]),
    "negative array": np.array([-1, -3]),
    "matrix": np.array([[0, 1], [2, 0]]),
    "mask": MASK,
    "row mask": np.array([True, False, True]),
    "mask and int": (np.array([True, False, True]), 1),
    "mask of two dims": MASK[:, :, 0],
    "mask last": (Ellipsis, np.array([True, False, True, False, True])),
    "no array": np.array([], dtype=np.int64),
    "none and array": (None, I),
    "true": True,
    "false": False,
    "everything": (slice(0, 1), None, slice(None, None, 2), I),
}


def ours(index):
    """The same index with tensors for arrays."""
    if isinstance(index, tuple):
        return tuple(ours(i) for i in index)
    return torch.from_numpy(index.copy()) if isinstance(index, np.ndarray) else index


@pytest.mark.parametrize("name", READS)
def test_read(name):
    index = READS[name]
    want = BASE[index]
    for x in (torch.from_numpy(BASE.copy()), torch.from_numpy(BASE.transpose(2, 1, 0).copy()).permute(2, 1, 0)):
        got = x[ours(index)]
        assert got.shape == want.shape
        np.testing.assert_array_equal(got.numpy(), want)


@pytest.mark.parametrize("name", READS)
def test_write(name):
    index = READS[name]
    for value in (7.0, "sized"):
        want, got = BASE.copy(), torch.from_numpy(BASE.copy())
        new = np.arange(want[index].size, dtype=np.float32).reshape(want[index].shape) if value == "sized" else value
        if "array" in name or name in ("matrix", "broadcast", "apart") and value == "sized":
            new = 7.0
        want[index] = new
        got[ours(index)] = torch.from_numpy(np.asarray(new, dtype=np.float32)) if value == "sized" else new
        np.testing.assert_array_equal(got.numpy(), want)


@pytest.mark.parametrize("name", READS)
def test_gradient(name):
    x = torch.from_numpy(BASE.astype(np.float64)).requires_grad_()
    picked = x[ours(READS[name])]
    (picked * 2).sum().backward()
    want = np.zeros(BASE.shape)
    np.add.at(want, READS[name], 2.0)
    np.testing.assert_array_equal(x.grad.numpy(), want)


@pytest.mark.parametrize("name", ["int", "pair", "slice", "step", "ellipsis", "none", "everything"])
def test_views_share_memory(name):
    index = READS[name]
    x = torch.from_numpy(BASE.copy())
    basic = name != "everything"
    x[ours(index)].fill_(-1)
    assert bool((x == -1).any()) == basic


@pytest.mark.parametrize(
    "index, kind, text",
    [
        (3, IndexError, "index 3 is out of bounds for dimension 0 with size 3"),
        (-4, IndexError, "index -4 is out of bounds for dimension 0 with size 3"),
        ((0, 0, 0, 0), IndexError, "too many indices for tensor of dimension 3"),
        (slice(0, 3, -1), ValueError, "step must be greater than zero"),
        (slice(0, 3, 0), ValueError, "step (must be greater than|cannot be) zero"),
        (torch.tensor([3]), IndexError, "index 3 is out of bounds for dimension 0 with size 3"),
        (
            torch.tensor([True, False]),
            IndexError,
            r"The shape of the mask \[2\] at index 0 does not match the shape of the indexed tensor \[3, 4, 5\]",
        ),
        (torch.tensor([1.0]), IndexError, "tensors used as indices must be long, int, byte or bool tensors"),
        (
            (torch.tensor([0, 1]), torch.tensor([0, 1, 2])),
            IndexError,
            r"shape mismatch: indexing tensors could not be broadcast together with shapes \[2\], \[3\]",
        ),
        (1.5, (TypeError, IndexError), "only integers, slices"),
        ("x", (TypeError, IndexError), "only integers, slices|too many indices|str"),
    ],
)
def test_errors(index, kind, text):
    x = torch.from_numpy(BASE.copy())
    with pytest.raises(kind, match=text):
        x[index]


def test_write_errors():
    x = torch.zeros(3, 4)
    with pytest.raises(
        RuntimeError,
        match=r"expand\(torch.FloatTensor\{\[3\]\}|The expanded size of the tensor \(4\) must match|shape mismatch",
    ):
        x[0] = torch.ones(3)
    with pytest.raises(RuntimeError, match="shape mismatch: value tensor of shape"):
        x[torch.tensor([0, 1])] = torch.ones(3, 4)
    with pytest.raises(IndexError, match="invalid index of a 0-dim tensor"):
        torch.tensor(1)[0]


def test_types_of_results_and_values():
    x = torch.arange(6).reshape(2, 3)
    assert x[0, 1].dim() == 0 and x[torch.tensor(1)].tolist() == [3, 4, 5]
    x[0] = 2.7
    assert x[0].tolist() == [2, 2, 2]
    x[:, 0] = torch.tensor([1.9, 2.9])
    assert x[:, 0].tolist() == [1, 2]
    x[x > 2] = 0
    assert x.tolist() == [[1, 2, 2], [2, 0, 0]]
    assert x[torch.tensor([0, 1], dtype=torch.uint8).bool()].shape == (1, 3)
    assert x[np.int64(1)].tolist() == [2, 0, 0]
    assert x[[True, False]].shape == (1, 3)


def test_in_place_operators_write_back():
    x = torch.zeros(3)
    x[1] += 2
    x[torch.tensor([0, 0])] += 1
    x[x == 2] *= 5
    assert x.tolist() == [1.0, 10.0, 0.0]


def test_accumulating():
    x = torch.zeros(3)
    x.index_put_((torch.tensor([0, 0, 2]),), torch.tensor([1.0, 2.0, 3.0]), accumulate=True)
    assert x.tolist() == [3.0, 0.0, 3.0]
    x.index_add_(0, torch.tensor([1, 1]), torch.tensor([1.0, 1.0]))
    assert x.tolist() == [3.0, 2.0, 3.0]
