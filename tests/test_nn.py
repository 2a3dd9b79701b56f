"""Modules: their bookkeeping, and what layers compute; numbers recorded from PyTorch with the same seed."""

import collections
import copy

import pytest

import rtorch as torch
from rtorch import nn
from rtorch.nn import functional as F

GOLDEN = {
    "Linear": ([[2, 4]], [0.98743417], [15.2142, 8.0]),
    "Bilinear": ([[2, 4]], [-0.60492554], [22.299584, 8.0]),
    "Conv1d": ([[2, 3, 4]], [0.12263153], [17.579215, 24.0]),
    "Conv2d": ([[2, 6, 5, 5]], [-11.928171], [419.95414, 300.0]),
    "Conv2d reflect": ([[2, 3, 5, 5]], [12.272589], [741.63996, 150.0]),
    "Conv3d": ([[1, 2, 2, 2, 2]], [-0.51700518], [37.11397, 16.0]),
    "ConvTranspose2d": ([[1, 3, 10, 10]], [10.097339], [205.49561, 300.0]),
    "BatchNorm2d": ([[2, 3, 4, 4]], [-0.90955807], [7.4583444e-07, 96.0]),
    "LayerNorm": ([[2, 3, 4]], [-0.12196738], [13.243508, 24.0]),
    "RMSNorm": ([[2, 4]], [1.4901474], [4.0175413]),
    "GroupNorm": ([[2, 4, 3]], [-0.15995111], [2.0694805, 24.0]),
    "InstanceNorm1d": ([[2, 3, 5]], [-0.070250405], [3.3451028e-07, 30.0]),
    "Embedding": ([[2, 2, 3]], [-2.7284956], [9.0]),
    "EmbeddingBag": ([[2, 3]], [-2.8381969], [12.0]),
    "PReLU": ([[2, 3]], [0.089327581], [1.3091847]),
    "RNN": (
        [[5, 2, 4], [2, 2, 4]],
        [-0.29604321, 0.33259833],
        [23.711303, 14.345098, 16.198349, 16.198348, 34.470323, 31.313336, 40.632024, 40.632024],
    ),
    "RNN relu": ([[2, 5, 4], [1, 2, 4]], [9.762783, 3.8737759], [62.735825, 35.891106, 30.436838, 30.436839]),
    "LSTM": (
        [[5, 2, 8], [4, 2, 4], [4, 2, 4]],
        [1.3908779, -0.16232206, -0.49623581],
        [
            9.2557338,
            2.3744461,
            6.8605635,
            6.8605635,
            17.535437,
            2.8847118,
            10.017779,
            10.017779,
            15.541211,
            12.397495,
            28.43146,
            28.43146,
            18.399055,
            20.037629,
            31.937249,
            31.937249,
        ],
    ),
    "LSTM projected": (
        [[5, 2, 2], [1, 2, 2], [1, 2, 4]],
        [0.69946539, 0.11909443, -0.52293281],
        [7.0058519, 0.69304228, 5.5943613, 5.5943613, 6.2548432],
    ),
    "GRU": ([[2, 5, 4], [1, 2, 4]], [-2.54391, -0.99838961], [30.434687, 20.341825, 32.563315, 18.300695]),
    "LSTMCell": ([[2, 4], [2, 4]], [-0.11228167, -0.35922056], [4.3001465, 0.0, 5.4169858, 5.4169858]),
    "GRUCell": ([[2, 4]], [-0.23357604], [6.5758191, 0.0, 3.7294646, 2.2306932]),
    "MultiheadAttention": ([[2, 3, 4], [2, 3, 3]], [-2.6258379, 3.1581902], [32.640919, 15.882839, 37.736907, 24.0]),
    "TransformerEncoderLayer": (
        [[3, 2, 4]],
        [0.50699847],
        [
            2.424763e-07,
            1.3497261e-07,
            2.2066874e-07,
            2.1585315e-07,
            2.3997736e-07,
            6.2996036e-08,
            2.3733539e-07,
            1.7881393e-07,
            2.1493507e-07,
            2.2780437e-07,
            12.266621,
            24.0,
        ],
    ),
    "TransformerDecoderLayer": (
        [[3, 2, 4]],
        [-0.28182626],
        [
            2.3894368e-08,
            1.591885e-08,
            2.8323915e-08,
            4.3352691e-08,
            6.2926434e-08,
            2.6333078e-08,
            2.6226264e-08,
            2.7357596e-08,
            2.0272453e-07,
            6.1772483e-08,
            2.5600638e-07,
            5.9604645e-08,
            2.2949687e-08,
            2.9383474e-08,
            1.2547233e-07,
            8.7412592e-08,
            8.0479116,
            24.0,
        ],
    ),
    "Transformer": (
        [[3, 2, 4]],
        [0.25841196],
        [
            3.7286606e-08,
            2.5024371e-08,
            4.5551711e-08,
            3.6687769e-08,
            3.0228799e-08,
            9.5719652e-09,
            5.2124761e-08,
            2.102448e-08,
            7.0447921e-09,
            2.3585379e-08,
            1.8087954e-08,
            2.8442538e-08,
            2.7697112e-08,
            3.7270698e-08,
            1.6483509e-07,
            7.9189555e-08,
            4.1844206e-08,
            6.5243456e-08,
            1.3002841e-07,
            4.8734377e-08,
            3.7134063e-08,
            4.5004811e-08,
            1.6199078e-07,
            5.7902857e-08,
            1.8069012e-07,
            5.9235515e-08,
            1.5819665e-08,
            4.5905356e-08,
            1.7894719e-08,
            4.2134409e-08,
            2.5646112e-07,
            5.9604645e-08,
            11.199057,
            24.0,
        ],
    ),
    "Sequential": ([[2, 2]], [-0.060275603], [9.0960063, 0.81025681, 35.923391, 4.0]),
    "Dropout": ([[2, 4]], [0.053154595], [17.353818, 8.0]),
    "weight_norm": ([[2, 4]], [0.98743417], [8.0, 3.4776401, 11.548482]),
    "spectral_norm": ([[2, 4]], [1.2639079], [8.0, 13.622429]),
    "AdaptiveLogSoftmax": ([[3], []], [-5.11868, 2.3701346], [4.9953463, 0.15954953, 0.49277879, 0.0, 0.0]),
}


def parts():
    """Each layer, and what it is called with."""
    return {
        "Linear": (lambda: nn.Linear(3, 4), [lambda: torch.randn(2, 3)]),
        "Bilinear": (lambda: nn.Bilinear(3, 2, 4), [lambda: torch.randn(2, 3), lambda: torch.randn(2, 2)]),
        "Conv1d": (lambda: nn.Conv1d(2, 3, 3, stride=2), [lambda: torch.randn(2, 2, 9)]),
        "Conv2d": (lambda: nn.Conv2d(4, 6, 3, padding=1, groups=2), [lambda: torch.randn(2, 4, 5, 5)]),
        "Conv2d reflect": (
            lambda: nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect"),
            [lambda: torch.randn(2, 2, 5, 5)],
        ),
        "Conv3d": (lambda: nn.Conv3d(1, 2, 2), [lambda: torch.randn(1, 1, 3, 3, 3)]),
        "ConvTranspose2d": (
            lambda: nn.ConvTranspose2d(2, 3, 3, stride=2, output_padding=1),
            [lambda: torch.randn(1, 2, 4, 4)],
        ),
        "BatchNorm2d": (lambda: nn.BatchNorm2d(3), [lambda: torch.randn(2, 3, 4, 4)]),
        "LayerNorm": (lambda: nn.LayerNorm([3, 4]), [lambda: torch.randn(2, 3, 4)]),
        "RMSNorm": (lambda: nn.RMSNorm(4), [lambda: torch.randn(2, 4)]),
        "GroupNorm": (lambda: nn.GroupNorm(2, 4), [lambda: torch.randn(2, 4, 3)]),
        "InstanceNorm1d": (lambda: nn.InstanceNorm1d(3, affine=True), [lambda: torch.randn(2, 3, 5)]),
        "Embedding": (lambda: nn.Embedding(5, 3, padding_idx=0), [lambda: torch.tensor([[0, 1], [4, 1]])]),
        "EmbeddingBag": (lambda: nn.EmbeddingBag(5, 3, mode="sum"), [lambda: torch.tensor([[0, 1], [4, 1]])]),
        "PReLU": (lambda: nn.PReLU(3), [lambda: torch.randn(2, 3)]),
        "RNN": (lambda: nn.RNN(3, 4, num_layers=2), [lambda: torch.randn(5, 2, 3)]),
        "RNN relu": (lambda: nn.RNN(3, 4, nonlinearity="relu", batch_first=True), [lambda: torch.randn(2, 5, 3)]),
        "LSTM": (lambda: nn.LSTM(3, 4, num_layers=2, bidirectional=True), [lambda: torch.randn(5, 2, 3)]),
        "LSTM projected": (lambda: nn.LSTM(3, 4, proj_size=2), [lambda: torch.randn(5, 2, 3)]),
        "GRU": (lambda: nn.GRU(3, 4, batch_first=True), [lambda: torch.randn(2, 5, 3)]),
        "LSTMCell": (lambda: nn.LSTMCell(3, 4), [lambda: torch.randn(2, 3)]),
        "GRUCell": (lambda: nn.GRUCell(3, 4), [lambda: torch.randn(2, 3)]),
        "MultiheadAttention": (
            lambda: nn.MultiheadAttention(4, 2, batch_first=True),
            [lambda: torch.randn(2, 3, 4)] * 3,
        ),
        "TransformerEncoderLayer": (
            lambda: nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0),
            [lambda: torch.randn(3, 2, 4)],
        ),
        "TransformerDecoderLayer": (
            lambda: nn.TransformerDecoderLayer(4, 2, 8, dropout=0.0),
            [lambda: torch.randn(3, 2, 4)] * 2,
        ),
        "Transformer": (lambda: nn.Transformer(4, 2, 1, 1, 8, dropout=0.0), [lambda: torch.randn(3, 2, 4)] * 2),
        "Sequential": (
            lambda: nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(18, 2)),
            [lambda: torch.randn(2, 1, 8, 8)],
        ),
        "Dropout": (lambda: nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5)), [lambda: torch.randn(2, 3)]),
        "weight_norm": (lambda: nn.utils.parametrizations.weight_norm(nn.Linear(3, 4)), [lambda: torch.randn(2, 3)]),
        "spectral_norm": (
            lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(3, 4)),
            [lambda: torch.randn(2, 3)],
        ),
        "AdaptiveLogSoftmax": (
            lambda: nn.AdaptiveLogSoftmaxWithLoss(4, 10, [3, 6]),
            [lambda: torch.randn(3, 4), lambda: torch.tensor([0, 4, 9])],
        ),
    }


def flat(result):
    return [
        t
        for r in (result if isinstance(result, tuple) else (result,))
        for t in (flat(r) if isinstance(r, tuple) else [r])
    ]


@pytest.mark.parametrize("name", GOLDEN)
def test_golden(name):
    torch.manual_seed(42)
    build, inputs = parts()[name]
    module = build()
    x = [i() for i in inputs]
    outs = flat(module(*x))
    sum(o.sum() for o in outs if o.is_floating_point()).backward()
    shapes, sums, grads = GOLDEN[name]
    assert [list(o.shape) for o in outs] == shapes
    got = [float((o.detach().double() * torch.arange(1, o.numel() + 1).reshape(o.shape)).mean()) for o in outs]
    assert got == pytest.approx(sums, rel=2e-4, abs=2e-4)
    got = [float(p.grad.double().abs().sum()) for p in module.parameters() if p.grad is not None]
    assert got == pytest.approx(grads, rel=2e-4, abs=2e-4)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(2, 3)
        self.norm = nn.BatchNorm1d(3)
        self.rest = nn.Sequential(collections.OrderedDict(act=nn.ReLU(), drop=nn.Dropout(0.5), last=nn.Linear(3, 1)))
        self.register_buffer("scale", torch.ones(1))
        self.register_buffer("hidden", torch.zeros(1), persistent=False)
        self.shared = self.first.weight

    def forward(self, x):
        return self.rest(self.norm(self.first(x))) * self.scale


def test_state_dict():
    net = Net()
    names = list(net.state_dict())
    assert names == [
        "shared", "scale", "first.weight", "first.bias", "norm.weight", "norm.bias", "norm.running_mean",
        "norm.running_var", "norm.num_batches_tracked", "rest.last.weight", "rest.last.bias",
    ]  # fmt: skip
    other = Net()
    assert str(other.load_state_dict(net.state_dict())) == "<All keys matched successfully>"
    assert torch.equal(other.first.weight, net.first.weight)
    state = net.state_dict()
    state["extra"] = state.pop("scale")
    with pytest.raises(
        RuntimeError,
        match=r'for Net:\n\tMissing key\(s\) in state_dict: "scale". \n\tUnexpected key\(s\) in state_dict: "extra"',
    ):
        other.load_state_dict(state)
    result = other.load_state_dict(state, strict=False)
    assert result.missing_keys == ["scale"] and result.unexpected_keys == ["extra"]
    state = net.state_dict()
    state["first.bias"] = torch.ones(9)
    with pytest.raises(
        RuntimeError,
        match=r"size mismatch for first.bias: copying a param with shape torch.Size\(\[9\]\) from checkpoint",
    ):
        other.load_state_dict(state)


def test_walking():
    net = Net()
    assert [n for n, _ in net.named_parameters()] == [
        "shared",
        "first.bias",
        "norm.weight",
        "norm.bias",
        "rest.last.weight",
        "rest.last.bias",
    ]
    assert len(list(net.named_parameters(remove_duplicate=False))) == 7
    assert [n for n, _ in net.named_children()] == ["first", "norm", "rest"]
    assert [n for n, _ in net.named_modules()] == ["", "first", "norm", "rest", "rest.act", "rest.drop", "rest.last"]
    assert [n for n, _ in net.named_buffers()] == [
        "scale",
        "hidden",
        "norm.running_mean",
        "norm.running_var",
        "norm.num_batches_tracked",
    ]
    assert net.get_submodule("rest.last") is net.rest.last and net.get_parameter("first.bias") is net.first.bias
    assert net.rest[0] is net.rest.act and len(net.rest) == 3


def test_modes_and_freezing():
    net = Net().eval()
    assert not net.rest.drop.training and not net.training
    x = torch.randn(4, 2)
    assert torch.equal(net(x), net(x))
    net.train()
    assert net.rest.drop.training
    net.requires_grad_(False)
    assert not any(p.requires_grad for p in net.parameters())
    net.apply(lambda m: m.reset_parameters() if isinstance(m, nn.Linear) else None)


def test_zero_grad():
    layer = nn.Linear(2, 1)
    layer(torch.ones(1, 2)).sum().backward()
    layer.zero_grad()
    assert layer.weight.grad is None


def test_conversion():
    net = Net().double()
    assert net.first.weight.dtype is torch.float64 and net.norm.num_batches_tracked.dtype is torch.int64
    net.to(torch.float32)
    assert net.scale.dtype is torch.float32
    parameter = net.first.weight
    net.half()
    assert net.first.weight is parameter and parameter.dtype is torch.float16


def test_hooks():
    layer, seen = nn.Linear(2, 2), []
    handles = [
        layer.register_forward_pre_hook(lambda m, args: seen.append("pre") or (args[0] * 2,)),
        layer.register_forward_hook(lambda m, args, out: seen.append("post") or out + 1),
        layer.register_full_backward_hook(lambda m, gi, go: seen.append("backward")),
    ]
    x = torch.ones(1, 2, requires_grad=True)
    y = layer(x)
    torch.testing.assert_close(y, F.linear(x * 2, layer.weight, layer.bias) + 1)
    y.sum().backward()
    assert seen == ["pre", "post", "backward"]
    for h in handles:
        h.remove()
    layer(x).sum().backward()
    assert len(seen) == 3


def test_setting_attributes():
    net = Net()
    with pytest.raises(TypeError, match="cannot assign 'torch.FloatTensor' as parameter 'bias'"):
        net.first.bias = torch.ones(3)
    with pytest.raises(AttributeError, match=r"cannot assign module before Module.__init__\(\) call"):

        class Early(nn.Module):
            def __init__(self):
                self.layer = nn.Linear(1, 1)

        Early()
    with pytest.raises(AttributeError, match="'Net' object has no attribute 'nothing'"):
        net.nothing  # noqa: B018
    net.first.bias = None
    assert "first.bias" not in net.state_dict()
    del net.rest
    assert not hasattr(net, "rest")


def test_repr():
    assert repr(nn.Sequential(nn.Linear(2, 3), nn.Conv2d(1, 2, 3, padding=1), nn.Dropout(0.1))) == (
        "Sequential(\n  (0): Linear(in_features=2, out_features=3, bias=True)\n"
        "  (1): Conv2d(1, 2, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))\n"
        "  (2): Dropout(p=0.1, inplace=False)\n)"
    )


def test_containers():
    modules = nn.ModuleList([nn.Linear(1, 1), nn.ReLU()])
    modules.append(nn.Tanh())
    modules.insert(0, nn.Identity())
    assert len(modules) == 4 and isinstance(modules[-1], nn.Tanh) and isinstance(modules[1:3], nn.ModuleList)
    named = nn.ModuleDict({"a": nn.ReLU()})
    named["b"] = nn.Tanh()
    assert list(named) == ["a", "b"] and "a" in named
    parameters = nn.ParameterList([torch.ones(1), torch.zeros(2)])
    assert [p.requires_grad for p in parameters] == [True, True]
    assert list(nn.ParameterDict({"w": torch.ones(1)}).state_dict()) == ["w"]


def test_deepcopy_is_apart():
    net = Net()
    other = copy.deepcopy(net)
    assert other.shared is other.first.weight
    with torch.no_grad():
        other.first.weight.zero_()
    assert bool((net.first.weight != 0).any())


def test_batch_norm_keeps_statistics():
    layer = nn.BatchNorm1d(2, momentum=0.5)
    x = torch.tensor([[1.0, 2.0], [3.0, 6.0]])
    layer(x)
    assert layer.running_mean.tolist() == [1.0, 2.0] and layer.running_var.tolist() == [1.5, 4.5]
    assert layer.num_batches_tracked.item() == 1
    layer.eval()
    layer(x)
    assert layer.num_batches_tracked.item() == 1


def test_packed_sequences():
    rnn = nn.utils.rnn
    sequences = [torch.arange(3.0), torch.arange(5.0), torch.arange(1.0)]
    padded = rnn.pad_sequence(sequences, batch_first=True, padding_value=-1)
    assert padded.tolist()[0] == [0, 1, 2, -1, -1]
    packed = rnn.pack_sequence(sequences, enforce_sorted=False)
    assert packed.batch_sizes.tolist() == [3, 2, 2, 1, 1] and packed.sorted_indices.tolist() == [1, 0, 2]
    back, lengths = rnn.pad_packed_sequence(packed, batch_first=True, padding_value=-1)
    assert torch.equal(back, padded) and lengths.tolist() == [3, 5, 1]


def test_clipping():
    p = nn.Parameter(torch.tensor([3.0, 4.0]))
    p.grad = torch.tensor([3.0, 4.0])
    assert nn.utils.clip_grad_norm_([p], 1.0).item() == 5.0
    torch.testing.assert_close(p.grad, torch.tensor([0.6, 0.8]))
    nn.utils.clip_grad_value_([p], 0.7)
    assert p.grad.tolist() == pytest.approx([0.6, 0.7])


def test_vectors():
    net = nn.Linear(2, 2)
    v = nn.utils.parameters_to_vector(net.parameters())
    nn.utils.vector_to_parameters(v * 0, net.parameters())
    assert float(net.weight.abs().sum()) == 0


def test_shape_errors_name_what_was_given():
    with pytest.raises(RuntimeError, match=r"mat1 and mat2 shapes cannot be multiplied \(1x3 and 2x1\)"):
        nn.Linear(2, 1)(torch.ones(1, 3))
    with pytest.raises(RuntimeError, match="to have 3 channels, but got 1 channels instead"):
        nn.Conv2d(3, 1, 1)(torch.ones(1, 1, 2, 2))
    with pytest.raises(ValueError, match="expected 2D or 3D input"):
        nn.BatchNorm1d(2)(torch.ones(2))


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN", "relu"])
def test_recurrent_gradients(kind, backwards):
    """The pass over the whole sequence gives the gradients of recorded steps, which `create_graph` takes."""
    torch.manual_seed(0)
    options = {"nonlinearity": "relu"} if kind == "relu" else {}
    net = getattr(nn, "RNN" if kind == "relu" else kind)(3, 5, 2, bidirectional=backwards, **options).double()
    states = [torch.randn(4 if backwards else 2, 4, 5, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    hx = tuple(states) if kind == "LSTM" else states[0]
    x = torch.randn(7, 4, 3, dtype=torch.float64, requires_grad=True)
    inputs = [x, *states[: 2 if kind == "LSTM" else 1], *net.parameters()]

    def total():
        out, last = net(x, hx)
        results = (out, *(last if isinstance(last, tuple) else (last,)))
        return sum((t * torch.arange(t.numel(), dtype=t.dtype).cos().view(t.shape)).sum() for t in results)

    fast = torch.autograd.grad(total(), inputs)
    recorded = torch.autograd.grad(total(), inputs, create_graph=True)
    for a, b in zip(fast, recorded, strict=True):
        torch.testing.assert_close(a, b.detach(), rtol=1e-12, atol=1e-12)
    if kind != "relu":
        (again,) = torch.autograd.grad(recorded[0].sum(), x)
        assert again.isfinite().all() and again.abs().sum() > 0


def test_a_changed_recurrent_output_is_noticed():
    out, _ = nn.GRU(2, 3)(torch.ones(4, 1, 2, requires_grad=True))
    out.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.sum().backward()
