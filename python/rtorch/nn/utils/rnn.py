"""Sequences of different lengths: padded, or packed for the recurrent layers."""

from collections import namedtuple
from collections.abc import Iterable

import rtorch
from rtorch import Tensor

__all__ = [
    "PackedSequence",
    "invert_permutation",
    "pack_padded_sequence",
    "pack_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpack_sequence",
    "unpad_sequence",
]

_Packed = namedtuple("PackedSequence", ["data", "batch_sizes", "sorted_indices", "unsorted_indices"])
_Packed.__new__.__defaults__ = (None, None)


class PackedSequence(_Packed):
    """Sequences of different lengths, one step of all of them after the other; made by `pack_padded_sequence`.

    Args:
        data: the elements, (sum of lengths, *).
        batch_sizes: number of sequences at each step, int64 on the CPU.
        sorted_indices: order of the sequences by length.
        unsorted_indices: the order back.
    """

    def __new__(cls, data, batch_sizes=None, sorted_indices=None, unsorted_indices=None):
        if batch_sizes is not None:
            if batch_sizes.device.type != "cpu":
                raise ValueError(
                    "batch_sizes should always be on CPU. Instances of PackedSequence should never be created "
                    "manually. They should be instantiated by functions like pack_sequence and pack_padded_sequences "
                    "in nn.utils.rnn."
                )
        else:
            if not isinstance(data, (list, tuple)) or len(data) != 2:
                raise AssertionError("Expected data to be a list or tuple of length 2")
            data, batch_sizes = data
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def pin_memory(self):
        """Returns the sequences with their data in pinned memory."""
        return self._mapped(lambda t: t.pin_memory(), self.batch_sizes)

    def _mapped(self, function, batch_sizes=None):
        indices = [None if i is None else function(i) for i in (self.sorted_indices, self.unsorted_indices)]
        return type(self)(function(self.data), self.batch_sizes if batch_sizes is None else batch_sizes, *indices)

    def to(self, *args, **kwargs):
        """Moves or casts the data as `Tensor.to` does; the indices follow to the device."""
        data = self.data.to(*args, **kwargs)
        if data is self.data:
            return self
        move = {k: v for k, v in kwargs.items() if k in ("non_blocking", "copy")}
        indices = [
            None if i is None else i.to(data.device, **move) for i in (self.sorted_indices, self.unsorted_indices)
        ]
        return type(self)(data, self.batch_sizes, *indices)

    def cpu(self):
        """Moves the data to the CPU."""
        return self.to(device="cpu")

    def cuda(self, *args, **kwargs):
        """Moves the data to a device, as `Tensor.cuda` does."""
        return self._mapped(lambda t: t.cuda(*args, **kwargs))

    def double(self):
        """Casts the data to float64."""
        return self.to(dtype=rtorch.float64)

    def float(self):
        """Casts the data to float32."""
        return self.to(dtype=rtorch.float32)

    def half(self):
        """Casts the data to float16."""
        return self.to(dtype=rtorch.float16)

    def long(self):
        """Casts the data to int64."""
        return self.to(dtype=rtorch.int64)

    def int(self):
        """Casts the data to int32."""
        return self.to(dtype=rtorch.int32)

    @property
    def is_cuda(self):
        """Whether the data is on a CUDA device."""
        return self.data.is_cuda

    def is_pinned(self):
        """Whether the data is in pinned memory."""
        return self.data.is_pinned()


def invert_permutation(permutation):
    """Returns the inverse of a permutation (N), int64; None for None."""
    if permutation is None:
        return None
    output = rtorch.empty_like(permutation)
    return output.scatter_(
        0, permutation, rtorch.arange(0, permutation.numel(), dtype=permutation.dtype, device=permutation.device)
    )


def pack_padded_sequence(input, lengths, batch_first=False, enforce_sorted=True):
    """Packs a padded batch.

    Args:
        input: (T, B, *), or (B, T, *) when batch_first.
        lengths: lengths of the sequences, a list or an int64 tensor (B) on the CPU.
        batch_first: whether the batch is dimension 0. Default: False.
        enforce_sorted: whether the lengths have to decrease; else the sequences are sorted. Default: True.
    """
    if not isinstance(lengths, Tensor):
        lengths = rtorch.tensor(list(lengths), dtype=rtorch.int64)
    lengths = lengths.to(rtorch.int64).cpu()
    sorted_indices = None
    if not enforce_sorted:
        lengths, sorted_indices = rtorch.sort(lengths, descending=True)
        sorted_indices = sorted_indices.to(input.device)
        input = input.index_select(0 if batch_first else 1, sorted_indices)
    steps = input.transpose(0, 1) if batch_first else input
    sizes = lengths.tolist()
    if not sizes or input.numel() == 0:
        raise RuntimeError("Cannot pack empty tensors.")
    if len(sizes) != steps.size(1):
        raise RuntimeError(
            f"Expected `len(lengths)` to be equal to batch_size, but got {len(sizes)} (batch_size={steps.size(1)})"
        )
    if min(sizes) <= 0:
        raise RuntimeError(
            "Length of all samples has to be greater than 0, but found an element in 'lengths' that is <= 0"
        )
    if any(a < b for a, b in zip(sizes, sizes[1:])):
        raise RuntimeError(
            "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You can pass "
            "`enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to sidestep this requirement."
        )
    if sizes[0] > steps.size(0):
        raise RuntimeError(
            f"Expected the lengths to be at most the {steps.size(0)} steps of the input, but found {sizes[0]}"
        )
    # Between two lengths the batch size stays the same: one slice for each distinct length.
    pieces, batch_sizes, start = [], [], 0
    for count in range(len(sizes), 0, -1):
        end = sizes[count - 1]
        if end > start:
            pieces.append(steps[start:end, :count].reshape((end - start) * count, *steps.shape[2:]))
            batch_sizes += [count] * (end - start)
            start = end
    data = rtorch.cat(pieces)
    return PackedSequence(data, rtorch.tensor(batch_sizes, dtype=rtorch.int64), sorted_indices, None)


def _lengths(batch_sizes):
    """The lengths of the sequences, in decreasing order."""
    return [sum(1 for size in batch_sizes if size > i) for i in range(batch_sizes[0])]


def pad_packed_sequence(sequence, batch_first=False, padding_value=0.0, total_length=None):
    """Inverts `pack_padded_sequence`.

    Args:
        sequence: the `PackedSequence`.
        batch_first: whether the batch is dimension 0 of the result. Default: False.
        padding_value: fills the steps after the end of a sequence. Default: 0.
        total_length: number of steps of the result. Default: the longest sequence.

    Returns:
        The padded batch and the lengths, int64.
    """
    batch_sizes = sequence.batch_sizes.tolist()
    longest = len(batch_sizes)
    if total_length is not None:
        if total_length < longest:
            raise ValueError(
                "Expected total_length to be at least the length of the longest sequence in input, but got "
                f"total_length={total_length} and max sequence length being {longest}"
            )
        longest = total_length
    data = sequence.data
    steps = []
    for step, piece in zip(batch_sizes, data.split(batch_sizes)):
        missing = batch_sizes[0] - step
        if missing:
            piece = rtorch.cat([piece, piece.new_full((missing, *data.shape[1:]), padding_value)])
        steps.append(piece)
    padded = rtorch.stack(steps)
    if longest > len(batch_sizes):
        extra = data.new_full((longest - len(batch_sizes), batch_sizes[0], *data.shape[1:]), padding_value)
        padded = rtorch.cat([padded, extra])
    lengths = rtorch.tensor(_lengths(batch_sizes), dtype=rtorch.int64)
    if batch_first:
        padded = padded.transpose(0, 1)
    order = sequence.unsorted_indices
    if order is not None:
        return padded.index_select(0 if batch_first else 1, order), lengths[order.cpu()]
    return padded, lengths


def pad_sequence(sequences, batch_first=False, padding_value=0.0, padding_side="right"):
    """Stacks sequences of different lengths, filled up to the longest.

    Args:
        sequences: list of tensors (L, *).
        batch_first: whether the batch is dimension 0 of the result. Default: False.
        padding_value: fills what is missing. Default: 0.
        padding_side: "right" or "left". Default: "right".

    Example:
        >>> import rtorch as torch
        >>> torch.nn.utils.rnn.pad_sequence([torch.ones(2), torch.ones(1)], batch_first=True)
        tensor([[1., 1.],
                [1., 0.]])
    """
    if not isinstance(sequences, Iterable):
        raise RuntimeError(
            f"pad_sequence: Expected iterable for input sequences, but got arg of type: {type(sequences)}"
        )
    sequences = list(sequences.unbind(0) if isinstance(sequences, Tensor) else sequences)
    if padding_side not in ("left", "right"):
        raise RuntimeError(f"Expected padding_side to be one of left or right, but got {padding_side}.")
    if not sequences:
        raise RuntimeError("received an empty list of sequences")
    longest = max(s.size(0) for s in sequences)
    rows = []
    for s in sequences:
        missing = longest - s.size(0)
        if missing:
            fill = s.new_full((missing, *s.shape[1:]), padding_value)
            s = rtorch.cat([s, fill] if padding_side == "right" else [fill, s])
        rows.append(s)
    return rtorch.stack(rows, 0 if batch_first else 1)


def unpad_sequence(padded_sequences, lengths, batch_first=False):
    """Inverts `pad_sequence`: returns the list of sequences.

    Args:
        padded_sequences: (T, B, *), or (B, T, *) when batch_first.
        lengths: lengths of the sequences, int64 tensor (B).
        batch_first: whether the batch is dimension 0. Default: False.
    """
    if not batch_first:
        padded_sequences = padded_sequences.transpose(0, 1)
    return [padded_sequences[i, :length] for i, length in enumerate(lengths.tolist())]


def pack_sequence(sequences, enforce_sorted=True):
    """Packs a list of sequences (L, *).

    Args:
        sequences: list of tensors.
        enforce_sorted: whether the lengths have to decrease; else the sequences are sorted. Default: True.
    """
    lengths = rtorch.tensor([v.size(0) for v in sequences], dtype=rtorch.int64)
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences):
    """Inverts `pack_sequence`: returns the list of sequences."""
    return unpad_sequence(*pad_packed_sequence(packed_sequences, batch_first=True), batch_first=True)
