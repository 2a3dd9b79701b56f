"""The digits that come with the package."""

import pytest

import rtorch as torch
from rtorch.vision import OpticalDigits, digits


def test_shapes_and_ranges():
    images, labels = digits()
    assert images.shape == (1797, 1, 8, 8) and images.dtype == torch.float32
    assert labels.shape == (1797,) and labels.dtype == torch.int64
    assert images.min().item() == 0 and images.max().item() == 1
    assert labels.unique().tolist() == list(range(10))
    assert images[0, 0, 0].mul(16).tolist() == [0, 0, 5, 13, 9, 1, 0, 0] and labels[:5].tolist() == [0, 1, 2, 3, 4]


def test_a_fifth_of_each_digit_is_held_back():
    counts = {s: digits(s)[1].bincount(minlength=10) for s in ("train", "test", "all")}
    assert torch.equal(counts["train"] + counts["test"], counts["all"])
    assert torch.equal(counts["test"], counts["all"] // 5)


def test_callers_do_not_share_memory():
    digits("test")[0].zero_()
    assert digits("test")[0].sum().item() > 0


def test_unknown_split():
    with pytest.raises(ValueError, match="'train', 'test' or 'all', but got 'valid'"):
        digits("valid")


def test_dataset():
    data = OpticalDigits(train=False, transform=lambda x: x.flatten(), target_transform=lambda y: y + 10)
    image, label = data[0]
    assert image.shape == (64,) and label == digits("test")[1][0].item() + 10
    assert len(data) == 355 and "355 images, test" in repr(data)
    with pytest.raises(IndexError):
        data[355]
