"""Data sets that ship with the package, so that a first program needs no download.

The digits are "Optical Recognition of Handwritten Digits" by E. Alpaydin and C. Kaynak (1998), UCI Machine Learning
Repository, https://doi.org/10.24432/C50P49, under CC BY 4.0; `data/NOTICE` says how the file was made.
"""

import gzip
from functools import cache
from pathlib import Path

import rtorch
from rtorch.utils.data import Dataset

__all__ = ["OpticalDigits", "digits"]

_FILE = Path(__file__).parent / "data" / "digits.bin.gz"
_SIDE = 8
_BRIGHTEST = 16
_CLASSES = 10
_HELD_BACK = 5


@cache
def _rows():
    """All images with their labels: uint8 of shape (1797, 65)."""
    raw = bytearray(gzip.decompress(_FILE.read_bytes()))
    return rtorch.frombuffer(raw, dtype=rtorch.uint8).view(-1, _SIDE * _SIDE + 1)


@cache
def _split(name):
    """The row numbers of a split: every fifth image of each digit is held back for `test`."""
    if name not in ("train", "test", "all"):
        raise ValueError(f"split should be 'train', 'test' or 'all', but got {name!r}")
    seen = [0] * _CLASSES
    chosen = []
    for i, label in enumerate(_rows()[:, -1].tolist()):
        seen[label] += 1
        held_back = seen[label] % _HELD_BACK == 0
        if name == "all" or held_back == (name == "test"):
            chosen.append(i)
    return rtorch.tensor(chosen)


def digits(split="all"):
    """Returns images of handwritten digits and their labels.

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI, CC BY 4.0.

    Args:
        split (str): ``"train"`` (1,442 images), ``"test"`` (355 images: every fifth of each digit) or ``"all"``.

    Returns:
        A pair of tensors: images, float32 of shape (N, 1, 8, 8) in [0, 1], and labels, int64 of shape (N,).

    Raises:
        ValueError: for another split.

    Example::

        >>> from rtorch.vision import digits
        >>> images, labels = digits("test")
        >>> images.shape, labels[:5]
        (torch.Size([355, 1, 8, 8]), tensor([5, 0, 9, 8, 7]))
    """
    rows = _rows()[_split(split)]
    images = rows[:, :-1].to(rtorch.float32).div_(_BRIGHTEST).view(-1, 1, _SIDE, _SIDE)
    return images, rows[:, -1].to(rtorch.int64)


class OpticalDigits(Dataset):
    """Images of handwritten digits, 8 x 8 pixels, as a map-style dataset.

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI, CC BY 4.0.

    Args:
        train (bool): four fifths of the images to train on, or the held-back fifth.
        transform (callable, optional): applied to an image, a float32 tensor of shape (1, 8, 8) in [0, 1].
        target_transform (callable, optional): applied to a label, an int.

    Example::

        >>> from rtorch.vision import OpticalDigits
        >>> data = OpticalDigits(train=False)
        >>> image, label = data[0]
        >>> len(data), image.shape, label
        (355, torch.Size([1, 8, 8]), 5)
    """

    classes = tuple(str(i) for i in range(_CLASSES))

    def __init__(self, train=True, transform=None, target_transform=None):
        self.train = train
        self.transform = transform
        self.target_transform = target_transform
        self.data, self.targets = digits("train" if train else "test")

    def __len__(self):
        return len(self.targets)

    def __getitem__(self, index):
        image, label = self.data[index], self.targets[index].item()
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            label = self.target_transform(label)
        return image, label

    def __repr__(self):
        return f"{type(self).__name__}({len(self)} images, {'train' if self.train else 'test'})"
