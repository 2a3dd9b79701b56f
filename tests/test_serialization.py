"""Checkpoints: what is saved comes back, shared memory stays shared, and damaged or foreign files raise."""

import collections
import copy
import io
import pickle

import pytest

import rtorch as torch


def round_trip(obj):
    buffer = io.BytesIO()
    torch.save(obj, buffer)
    buffer.seek(0)
    return torch.load(buffer)


def test_plain_data_comes_back_with_its_types():
    obj = collections.OrderedDict(
        numbers=(0, -1, 2**40, -(2**70), 2.5, 1 + 2j, True, None),
        text="héé",
        raw=b"\x00\xff",
        nested={"list": [[], [1, (2, {3})]]},
        size=torch.Size([2, 3]),
        dtype=torch.bfloat16,
        device=torch.device("cpu"),
    )
    back = round_trip(obj)
    assert back == obj
    assert type(back) is collections.OrderedDict and type(back["size"]) is torch.Size


@pytest.mark.parametrize("name", ["bool", "uint8", "int64", "float16", "bfloat16", "float32", "complex64", "uint16"])
def test_tensors_of_every_kind(name):
    dtype = getattr(torch, name)
    value = torch.tensor([0, 1, 1]).to(dtype)
    back = round_trip(value)
    assert back.dtype == dtype
    assert back.tolist() == value.tolist()


def test_views_share_memory_after_loading():
    base = torch.arange(12.0).reshape(3, 4)
    a, b = round_trip([base.t(), base[1:, 1:3]])
    assert a.stride() == (1, 4) and b.storage_offset() == 5
    b.fill_(-1)
    assert a.tolist()[1] == [1.0, -1.0, -1.0]


def test_parameters_and_the_metadata_of_a_state_dict():
    module = torch.nn.Linear(2, 3)
    back = round_trip({"p": module.weight, "state": module.state_dict()})
    assert isinstance(back["p"], torch.nn.Parameter) and back["p"].requires_grad
    assert back["state"]._metadata == module.state_dict()._metadata
    module.load_state_dict(back["state"])


def test_shared_cyclic_and_deep_lists():
    inner = [1]
    cyclic = [inner, inner]
    cyclic.append(cyclic)
    back = round_trip(cyclic)
    assert back[0] is back[1] and back[2] is back
    deep = []
    for _ in range(50_000):
        deep = [deep]
    back, depth = round_trip(deep), 0
    while back:
        back, depth = back[0], depth + 1
    assert depth == 50_000


def test_objects_that_are_no_data_are_refused():
    with pytest.raises(pickle.PicklingError, match="state_dict"):
        torch.save(torch.nn.Linear(1, 1), io.BytesIO())


class Evil:
    def __reduce__(self):
        return print, ("executed",)


def test_a_checkpoint_never_runs_code(capsys):
    import zipfile

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as z:
        z.writestr("archive/data.pkl", pickle.dumps(Evil(), 2))
        z.writestr("archive/version", "3\n")
    for weights_only in (True, False):
        buffer.seek(0)
        with pytest.raises(pickle.UnpicklingError, match="Unsupported global: GLOBAL __builtin__.print"):
            torch.load(buffer, weights_only=weights_only)
    assert capsys.readouterr().out == ""


def test_damage_is_noticed(tmp_path):
    path = tmp_path / "x.pt"
    torch.save(torch.arange(100.0), path)
    good = path.read_bytes()
    for cut in (1, 100, len(good) // 2, len(good) - 1):
        path.write_bytes(good[:cut])
        with pytest.raises((RuntimeError, pickle.UnpicklingError)):
            torch.load(path)
    at = good.index(torch.arange(100.0).numpy().tobytes())
    path.write_bytes(good[: at + 9] + b"\x55" + good[at + 10 :])
    with pytest.raises(RuntimeError, match="CRC-32"):
        torch.load(path)
    with pytest.raises(FileNotFoundError):
        torch.load(tmp_path / "missing.pt")


def test_pickle_and_copy_keep_sharing():
    base = torch.arange(6.0)
    for again in (lambda x: pickle.loads(pickle.dumps(x)), copy.deepcopy):
        a, b = again([base[:3], base[2:]])
        a[2] = -1
        assert b[0] == -1 and base[2] == 2


def test_safetensors_round_trip(tmp_path):
    from rtorch import safetensors

    tensors = {"w": torch.ones(2, 3), "n": torch.tensor(3), "h": torch.tensor([1.5, 2]).to(torch.bfloat16)}
    safetensors.save_file(tensors, tmp_path / "x.safetensors", {"format": "pt"})
    back = safetensors.load_file(tmp_path / "x.safetensors")
    assert {k: v.tolist() for k, v in back.items()} == {k: v.tolist() for k, v in tensors.items()}
    with pytest.raises(ValueError, match="share memory"):
        safetensors.save({"a": tensors["w"], "b": tensors["w"].t()})
    with pytest.raises(ValueError, match="deserializing header"):
        safetensors.load(b"\xff" * 64)
