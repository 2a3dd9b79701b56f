"""What a tensor is to Python: protocols, operators, attributes, conversion, construction."""

import copy
import math
import operator
import pickle

import numpy as np
import pytest

import rtorch as torch


def test_length_iteration_membership():
    x = torch.arange(6).reshape(3, 2)
    assert len(x) == 3 and [r.tolist() for r in x] == [[0, 1], [2, 3], [4, 5]]
    a, b, c = x
    assert b.tolist() == [2, 3]
    assert 4 in x and 9 not in x
    assert [r.tolist() for r in reversed(x)] == [[4, 5], [2, 3], [0, 1]]
    with pytest.raises(TypeError, match=r"len\(\) of a 0-d tensor"):
        len(torch.tensor(1))
    with pytest.raises(TypeError, match="iteration over a 0-d tensor"):
        iter(torch.tensor(1))


def test_numbers():
    assert int(torch.tensor(3.9)) == 3 and float(torch.tensor(2)) == 2.0 and complex(torch.tensor(1.5)) == 1.5
    assert operator.index(torch.tensor(4)) == 4 and [10, 20][torch.tensor(1)] == 20 and "ab" * torch.tensor(2) == "abab"
    assert math.floor(torch.tensor(2.5)) == 2 and math.ceil(torch.tensor(2.5)) == 3
    assert bool(torch.tensor([1])) and not torch.tensor(0.0)
    with pytest.raises(RuntimeError, match="Boolean value of Tensor with more than one value is ambiguous"):
        bool(torch.ones(2))
    with pytest.raises(RuntimeError, match="Boolean value of Tensor with no values is ambiguous"):
        bool(torch.ones(0))
    with pytest.raises(ValueError, match="only one element tensors can be converted to Python scalars"):
        float(torch.ones(2))
    with pytest.raises(TypeError, match="only integer tensors of a single element can be converted to an index"):
        operator.index(torch.tensor(1.0))


OPERATORS = [
    "add",
    "sub",
    "mul",
    "truediv",
    "floordiv",
    "mod",
    "pow",
    "and_",
    "or_",
    "xor",
    "lshift",
    "rshift",
    "lt",
    "le",
    "gt",
    "ge",
    "eq",
    "ne",
]


@pytest.mark.parametrize("name", OPERATORS)
def test_operators(name):
    f = getattr(operator, name)
    a, b = np.array([5, 9, 6]), np.array([2, 4, 3])
    x, y = torch.from_numpy(a.copy()), torch.from_numpy(b.copy())
    np.testing.assert_allclose(f(x, y).numpy(), f(a, b), rtol=1e-6)
    np.testing.assert_allclose(f(x, 2).numpy(), f(a, 2), rtol=1e-6)
    np.testing.assert_allclose(f(7, y).numpy(), f(7, b), rtol=1e-6)
    inplace = (
        getattr(operator, f"i{name.rstrip('_')}", None) if name not in ("lt", "le", "gt", "ge", "eq", "ne") else None
    )
    if inplace and name != "truediv":
        z = x.clone()
        same = z
        z = inplace(z, y)
        assert z is same
        np.testing.assert_array_equal(z.numpy(), f(a, b))


def test_more_operators():
    x = torch.tensor([1.0, -2.0])
    assert (-x).tolist() == [-1.0, 2.0] and (+x).tolist() == [1.0, -2.0] and abs(x).tolist() == [1.0, 2.0]
    assert (~torch.tensor([True, False])).tolist() == [False, True] and (x @ x).item() == 5.0
    assert (2 - x).tolist() == [1.0, 4.0] and (2**x).tolist() == [2.0, 0.25] and (1 / x).tolist() == [1.0, -0.5]
    assert (5 // torch.tensor([2, 3])).tolist() == [2, 1] and (5 % torch.tensor([2, 3])).tolist() == [1, 2]
    with pytest.raises(TypeError):
        x + "a"
    with pytest.raises(TypeError):
        x @ 2


def test_identity_is_the_hash():
    x, y = torch.ones(1), torch.ones(1)
    assert hash(x) != hash(y) and {x: 1}[x] == 1 and len({x, y, x}) == 2


def test_attributes():
    x = torch.ones(2, 3, 4, dtype=torch.float64)
    assert x.shape == (2, 3, 4) == x.size() and isinstance(x.shape, torch.Size) and x.ndim == x.dim() == 3
    assert x.dtype is torch.float64 and x.device == torch.device("cpu") and x.layout is torch.strided
    assert x.itemsize == 8 and x.nbytes == 192 and x.numel() == x.nelement() == 24
    assert x.mT.shape == (2, 4, 3) and x[0].T.shape == (4, 3) and x[0].H.shape == (4, 3)
    assert x.stride() == (12, 4, 1) and x.stride(-1) == 1 and x[1].storage_offset() == 12
    assert x.is_contiguous() and not x.transpose(0, 1).is_contiguous()
    assert not x.is_sparse and not x.is_cuda and x.is_leaf and x.grad is None and not x.requires_grad
    assert torch.equal(x.real, x)
    assert x.type() == "torch.DoubleTensor"


def test_user_attributes_and_subclasses():
    x = torch.ones(2)
    x.note = "mine"
    assert x.note == "mine"
    with pytest.raises(AttributeError):
        x.nothing  # noqa: B018

    class Mine(torch.Tensor):
        pass

    y = torch.ones(2).as_subclass(Mine)
    assert isinstance(y, Mine) and isinstance(y, torch.Tensor) and y.tolist() == [1.0, 1.0]


def test_copies():
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    y = copy.deepcopy(x)
    assert y is not x and y.requires_grad and y.data_ptr() != x.data_ptr()
    assert copy.copy(x).data_ptr() == x.data_ptr()
    pair = copy.deepcopy([x, x])
    assert pair[0] is pair[1]
    with pytest.raises(RuntimeError, match="Only Tensors created explicitly by the user"):
        copy.deepcopy(x * 2)
    z = pickle.loads(pickle.dumps(x))
    assert torch.equal(z, x) and z.requires_grad


def test_numpy_shares_memory():
    a = np.arange(6, dtype=np.float32).reshape(2, 3)
    x = torch.from_numpy(a)
    a[0, 0] = 9
    assert x[0, 0].item() == 9
    x[1, 1] = 8
    assert a[1, 1] == 8
    b = x.t().numpy()
    assert b.shape == (3, 2) and np.shares_memory(a, b)
    assert np.asarray(x).dtype == np.float32 and np.add(x, 1)[0, 0] == 10
    assert torch.tensor(a).data_ptr() != x.data_ptr() and torch.as_tensor(a).data_ptr() == x.data_ptr()
    assert torch.from_numpy(a[:, ::2]).stride() == (3, 2)
    with pytest.raises((TypeError, ValueError)):
        torch.from_numpy(np.array(["a"]))


@pytest.mark.parametrize(
    "name",
    ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64", "complex64", "complex128"],
)
def test_numpy_dtypes(name):
    a = np.array([0, 1, 1]).astype(name)
    x = torch.from_numpy(a)
    assert x.dtype is getattr(torch, name) and x.numpy().dtype == a.dtype
    assert x.tolist() == a.tolist()


def test_dlpack():
    x = torch.arange(4.0)
    y = torch.from_dlpack(x)
    y[0] = 7
    assert x[0].item() == 7
    assert np.from_dlpack(x).tolist() == [7.0, 1.0, 2.0, 3.0]
    assert torch.from_dlpack(np.arange(3)).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "data, dtype",
    [
        (True, torch.bool),
        (1, torch.int64),
        (1.5, torch.float32),
        (1j, torch.complex64),
        ([], torch.float32),
        ([1, 2.5], torch.float32),
        ([True, 2], torch.int64),
        ([[1], [2]], torch.int64),
        (np.float64(2.0), torch.float64),
        (np.array([1, 2], dtype=np.int16), torch.int16),
        (range(3), torch.int64),
        ([torch.tensor(1.5), 2], torch.float32),
    ],
)
def test_dtype_of_data(data, dtype):
    assert torch.tensor(data).dtype is dtype


def test_construction_errors():
    with pytest.raises(ValueError, match="expected sequence of length 2 at dim 1 \\(got 1\\)"):
        torch.tensor([[1, 2], [3]])
    with pytest.raises((TypeError, ValueError), match="too many dimensions 'str'|new\\(\\): invalid data type 'str'"):
        torch.tensor(["a"])
    with pytest.raises((RuntimeError, ValueError, TypeError, OverflowError)):
        torch.tensor(2**70)
    with pytest.raises(RuntimeError, match="Could not infer dtype of (dict|object)"):
        torch.tensor(object())


def test_legacy_constructors():
    assert torch.Tensor(2, 3).shape == (2, 3) and torch.Tensor([1, 2]).dtype is torch.float32
    assert torch.FloatTensor([1.5]).tolist() == [1.5] and torch.LongTensor([1, 2]).dtype is torch.int64
    assert torch.ones(2).new_tensor([1, 2]).dtype is torch.float32
    assert torch.ones(2, dtype=torch.int32).new_zeros(3).dtype is torch.int32


def test_to():
    x = torch.ones(2)
    assert x.to(torch.float32) is x and x.to("cpu") is x and x.to(x) is x
    assert x.to(torch.float64).dtype is torch.float64 and x.to("cpu", torch.int64).dtype is torch.int64
    assert x.to(torch.float32, copy=True) is not x
    assert x.to(torch.ones(1, dtype=torch.float16)).dtype is torch.float16
    assert x.type(torch.int32).dtype is torch.int32 and x.type("torch.LongTensor").dtype is torch.int64
    assert x.cpu() is x and x.double().float().dtype is torch.float32


def test_default_dtype():
    torch.set_default_dtype(torch.float64)
    assert torch.ones(1).dtype is torch.float64 and torch.tensor(1.5).dtype is torch.float64
    assert (torch.tensor([1]) / 2).dtype is torch.float64


@pytest.mark.parametrize(
    "a, b, dtype",
    [
        (torch.ones(2, dtype=torch.int32), 1.5, torch.float32),
        (torch.ones(2, dtype=torch.float16), 1.5, torch.float16),
        (torch.ones(2, dtype=torch.float16), torch.tensor(1.5, dtype=torch.float64), torch.float16),
        (torch.ones(2, dtype=torch.float32), torch.ones(2, dtype=torch.float64), torch.float64),
        (torch.ones(2, dtype=torch.uint8), torch.ones(2, dtype=torch.int8), torch.int16),
        (torch.ones(2, dtype=torch.bool), 2, torch.int64),
        (torch.ones(2, dtype=torch.bool), True, torch.bool),
        (torch.ones(2, dtype=torch.bfloat16), torch.ones(2, dtype=torch.float16), torch.float32),
        (torch.ones(2, dtype=torch.float64), 1j, torch.complex128),
        (torch.ones(2, dtype=torch.int64), torch.ones((), dtype=torch.float32), torch.float32),
    ],
)
def test_promotion(a, b, dtype):
    assert (a * b).dtype is dtype and torch.result_type(a, b) is dtype


def test_size():
    s = torch.Size([2, 3])
    assert s.numel() == 6 and s == (2, 3) and s + (4,) == (2, 3, 4) and repr(s) == "torch.Size([2, 3])"
    assert isinstance(s[:1], torch.Size) and isinstance(s + torch.Size([1]), torch.Size)


def test_dtype_and_device_objects():
    assert repr(torch.float32) == "torch.float32" and torch.float is torch.float32 and torch.long is torch.int64
    assert torch.float32.itemsize == 4 and torch.float32.is_floating_point and not torch.int8.is_floating_point
    assert torch.complex64.is_complex and torch.uint8.is_signed is False
    assert torch.finfo(torch.float16).max == 65504.0 and torch.iinfo(torch.int8).min == -128
    assert str(torch.device("cpu")) == "cpu" and torch.device("cpu").type == "cpu" and torch.device("cpu").index is None
    assert pickle.loads(pickle.dumps(torch.float32)) is torch.float32
    with pytest.raises(RuntimeError, match="Expected one of cpu"):
        torch.device("nonsense")


def test_versions_and_data():
    x = torch.ones(2)
    v = x[:1]
    v.add_(1)
    assert x._version == 1 == v._version
    x.data.mul_(3)
    assert x._version == 1 and x.tolist() == [6.0, 3.0]
    x.data = torch.zeros(5)
    assert x.shape == (5,)


def test_format():
    assert (
        f"{torch.tensor(1.23456):.2f}" == "1.23"
        and f"{torch.tensor(3)}" == "3"
        and f"{torch.ones(1)}" == "tensor([1.])"
    )
    with pytest.raises(TypeError):
        f"{torch.ones(2):.2f}"


def test_out_resizes_and_shares():
    out = torch.empty(0)
    result = torch.add(torch.ones(2), 1, out=out)
    assert result is out and out.tolist() == [2.0, 2.0]
    with pytest.raises(
        RuntimeError, match="result type Float can't be cast to the desired output type (Long|long int)"
    ):
        torch.add(torch.ones(2), 1, out=torch.empty(2, dtype=torch.int64))


def test_in_place_broadcast_and_cast_errors():
    with pytest.raises(RuntimeError, match=r"output with shape \[2\] doesn't match the broadcast shape \[3, 2\]"):
        torch.ones(2).add_(torch.ones(3, 2))
    with pytest.raises(
        RuntimeError, match="result type Float can't be cast to the desired output type (Long|long int)"
    ):
        torch.ones(2, dtype=torch.int64).add_(1.5)
    with pytest.raises(
        RuntimeError,
        match="more than one element of the written-to tensor refers to a single memory location",
    ):
        torch.ones(1).expand(3).add_(1)


def test_storages():
    x = torch.arange(6.0)
    storage = x.untyped_storage()
    assert storage.nbytes() == 24 and storage.data_ptr() == x.data_ptr() == x[2:].untyped_storage().data_ptr()
    assert x.clone().untyped_storage().data_ptr() != x.data_ptr()


def test_overlapping_copies():
    x = torch.arange(5)
    x[1:] = x[:-1].clone()
    assert x.tolist() == [0, 0, 1, 2, 3]


def test_torch_function():
    class Logged(torch.Tensor):
        seen = []

        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            cls.seen.append(func.__name__)
            return super().__torch_function__(func, types, args, kwargs or {})

    x = torch.ones(2).as_subclass(Logged)
    y = torch.exp(x) + 1
    assert isinstance(y, Logged) and Logged.seen[0] == "exp"


def test_resize_keeps_the_number_of_elements():
    x = torch.ones(2, 3)
    with pytest.warns(UserWarning, match="non-inplace resize is deprecated"):
        y = x.resize(3, 2)
    assert y.shape == (3, 2) and y.data_ptr() == x.data_ptr() and x.shape == (2, 3)
    with (
        pytest.warns(UserWarning),
        pytest.raises(RuntimeError, match=r"requested resize to 4x2 \(8 elements in total\)"),
    ):
        x.resize((4, 2))


def test_parts_of_sparse_tensors_are_refused():
    with pytest.raises(RuntimeError, match="values expected sparse tensor layout but got Strided"):
        torch.ones(1).values()
    with pytest.raises(RuntimeError, match="indices expected sparse coordinate tensor layout but got Strided"):
        torch.ones(1).indices()
    assert torch.ones(1).name is None
