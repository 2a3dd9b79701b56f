"""The engine: graphs, modes, hooks, views and changes in place, errors, Python functions, memory."""

import gc
import resource
import sys
import weakref

import pytest

import rtorch as torch
from rtorch.utils.checkpoint import checkpoint


def leaf(*values):
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


def test_gradients_accumulate_and_reset():
    x = leaf(1.0, 2.0)
    (x * x).sum().backward()
    (x * 3).sum().backward()
    assert x.grad.tolist() == [5.0, 7.0]
    x.grad = None
    (x * 2).sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]


def test_a_second_backward_needs_retain_graph():
    x = leaf(2.0)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.tolist() == [8.0]
    with pytest.raises(RuntimeError, match="Trying to backward through the graph a second time"):
        y.backward()


def test_create_graph():
    x = leaf(3.0)
    (g,) = torch.autograd.grad((x**3).sum(), x, create_graph=True)
    assert g.requires_grad
    (gg,) = torch.autograd.grad(g.sum(), x, create_graph=True)
    (ggg,) = torch.autograd.grad(gg.sum(), x)
    assert (g.item(), gg.item(), ggg.item()) == (27.0, 18.0, 6.0)


def test_grad_leaves_grad_alone():
    x, w = leaf(1.0), leaf(2.0)
    (g,) = torch.autograd.grad((x * w).sum(), [w])
    assert g.tolist() == [1.0] and x.grad is None and w.grad is None


def test_unused_inputs():
    x, unused = leaf(1.0), leaf(2.0)
    with pytest.raises(RuntimeError, match="appears to not have been used in the graph"):
        torch.autograd.grad((x * 2).sum(), [x, unused])
    g = torch.autograd.grad((x * 2).sum(), [x, unused], allow_unused=True)
    assert g[0].tolist() == [2.0] and g[1] is None
    g = torch.autograd.grad((x * 2).sum(), [x, unused], materialize_grads=True)
    assert g[1].tolist() == [0.0]


@pytest.mark.parametrize(
    "call, text",
    [
        (
            lambda: torch.ones(2).sum().backward(),
            "element 0 of tensors does not require grad and does not have a grad_fn",
        ),
        (lambda: (leaf(1.0, 2.0) * 2).backward(), "grad can be implicitly created only for scalar outputs"),
        (lambda: (leaf(1.0, 2.0) * 2).backward(torch.ones(3, dtype=torch.float64)), "Mismatch in shape: grad_output"),
        (
            lambda: torch.ones(2, dtype=torch.int64, requires_grad=True),
            "Only Tensors of floating point and complex dtype can require gradients",
        ),
        (
            lambda: torch.ones(2, dtype=torch.int64).requires_grad_(),
            "can only change requires_grad|[Oo]nly Tensors of floating point",
        ),
        (lambda: (leaf(1.0) * 2).requires_grad_(False), "you can only change requires_grad flags of leaf variables"),
        (
            lambda: leaf(1.0).numpy(),
            r"Can't call numpy\(\) on Tensor that requires grad. Use tensor.detach\(\).numpy\(\) instead.",
        ),
        (lambda: leaf(1.0).add_(1), "a leaf Variable that requires grad is being used in an in-place operation"),
        (
            lambda: leaf(1.0, 2.0)[0:1].add_(1),
            "a view of a leaf Variable that requires grad is being used in an in-place operation",
        ),
        (lambda: leaf(1.0, 2.0).unbind()[0].add_(1), "is a view and is being modified inplace|a view of a leaf"),
    ],
)
def test_errors(call, text):
    with pytest.raises(RuntimeError, match=text):
        call()


def test_a_changed_saved_tensor_is_found():
    x = leaf(1.0, 2.0)
    y = x.exp()
    y.mul_(2)
    with pytest.raises(
        RuntimeError,
        match="has been modified by an inplace operation.*is at version 1; expected version 0",
    ):
        y.sum().backward()


def test_a_changed_view_counts_for_its_base():
    x = leaf(1.0, 2.0)
    y = x * 1
    z = y * y
    y[0:1].zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.sum().backward()


def test_changes_of_views_reach_the_base():
    x, w = leaf(1.0, 2.0, 3.0), leaf(5.0)
    y = x * 2
    y[1:2].mul_(w)
    assert y.grad_fn.name().endswith("CopySlices")
    (y * y).sum().backward()
    assert x.grad.tolist() == [8.0, 400.0, 24.0]
    assert w.grad.tolist() == [160.0]


def test_changes_of_the_base_reach_views():
    x = leaf(1.0, 2.0)
    y = x * 1
    v = y[:1]
    y.mul_(3)
    v.sum().backward()
    assert v.tolist() == [3.0] and x.grad.tolist() == [3.0, 0.0]


def test_writing_by_index():
    x, value = leaf(1.0, 2.0, 3.0), leaf(9.0)
    y = x.clone()
    y[1] = value[0]
    y.sum().backward()
    assert y.tolist() == [1.0, 9.0, 3.0]
    assert x.grad.tolist() == [1.0, 0.0, 1.0] and value.grad.tolist() == [1.0]


def test_in_place_keeps_history():
    x = leaf(2.0)
    y = x * 3
    y.add_(1).pow_(2)
    y.sum().backward()
    assert x.grad.tolist() == [42.0]
    assert y.grad_fn.name() == "PowBackward0"


def test_no_grad_forms():
    x = leaf(1.0)
    with torch.no_grad():
        assert not (x * 2).requires_grad and not torch.is_grad_enabled()
        with torch.enable_grad():
            assert (x * 2).requires_grad
    assert torch.is_grad_enabled()

    @torch.no_grad()
    def f():
        return x * 2

    assert not f().requires_grad
    with torch.set_grad_enabled(False):
        assert not (x * 2).requires_grad
    torch.set_grad_enabled(False)
    assert not (x * 2).requires_grad
    torch.set_grad_enabled(True)
    with pytest.raises(ValueError), torch.no_grad():
        raise ValueError
    assert torch.is_grad_enabled()


def test_no_grad_generator():
    x = leaf(1.0)

    @torch.no_grad()
    def f():
        yield (x * 2).requires_grad
        yield (x * 2).requires_grad

    g = f()
    assert next(g) is False and torch.is_grad_enabled()
    assert next(g) is False


def test_inference_mode():
    x = leaf(1.0)
    with torch.inference_mode():
        y = x * 2
        assert y.is_inference() and not y.requires_grad
    assert not torch.is_inference_mode_enabled()
    with pytest.raises(RuntimeError, match="Inference tensors cannot be saved for backward"):
        x * y
    x + y
    with pytest.raises(RuntimeError, match="Inplace update to inference tensor outside InferenceMode is not allowed"):
        y.add_(1)


def test_detach():
    x = leaf(1.0, 2.0)
    d = (x * 2).detach()
    assert not d.requires_grad and d.grad_fn is None and d.is_leaf
    d.zero_()
    y = x * 3
    y.detach_()
    assert not y.requires_grad
    assert x.data.requires_grad is False
    x.data[0] = 7
    assert x[0].item() == 7 and x._version == 0


def test_hooks_on_tensors():
    x, seen = leaf(1.0), []
    y = x * 2
    h = y.register_hook(lambda g: seen.append(g.item()) or g * 10)
    x.register_hook(lambda g: seen.append(g.item()))
    y.sum().backward(retain_graph=True)
    assert seen == [1.0, 20.0] and x.grad.item() == 20.0
    h.remove()
    x.grad = None
    y.sum().backward()
    assert x.grad.item() == 2.0
    with pytest.raises(RuntimeError, match="cannot register a hook on a tensor that doesn't require gradient"):
        torch.ones(1).register_hook(print)


def test_post_accumulate_hook():
    x, seen = leaf(1.0), []
    h = x.register_post_accumulate_grad_hook(lambda t: seen.append(t.grad.item()))
    (x * 2).sum().backward()
    h.remove()
    (x * 2).sum().backward()
    assert seen == [2.0]


def test_retain_grad():
    x = leaf(1.0)
    y = x * 2
    y.retain_grad()
    (y * 3).sum().backward()
    assert y.grad.item() == 3.0 and y.retains_grad
    z = x * 2
    (z * 3).sum().backward()
    with pytest.warns(UserWarning, match="The .grad attribute of a Tensor that is not a leaf"):
        assert z.grad is None


def test_nodes():
    x = leaf(1.0)
    y = (x * 2).exp()
    assert y.grad_fn.name() == "ExpBackward0" and repr(y).endswith("grad_fn=<ExpBackward0>)")
    node, index = y.grad_fn.next_functions[0]
    assert node.name() == "MulBackward0" and index == 0
    assert type(node.next_functions[0][0]).__name__ == "AccumulateGrad"
    assert node.next_functions[0][0].variable is x
    with pytest.raises(AttributeError, match="has no attribute 'variable'"):
        _ = node.variable
    assert node.next_functions[1] == (None, 0)
    assert x.grad_fn is None and x.is_leaf and not y.is_leaf


@pytest.mark.parametrize(
    "call, name",
    [
        (lambda x: x + 1, "AddBackward0"),
        (lambda x: x - 1, "SubBackward0"),
        (lambda x: x / 2, "DivBackward0"),
        (lambda x: -x, "NegBackward0"),
        (lambda x: x @ x, "DotBackward0"),
        (lambda x: x.sum(), "SumBackward0"),
        (lambda x: x.sum(0), "SumBackward1"),
        (lambda x: x.mean(), "MeanBackward0"),
        (lambda x: x.view(2, 1), "ViewBackward0"),
        (lambda x: x[0], "SelectBackward0"),
        (lambda x: x[:1], "SliceBackward0"),
        (lambda x: x.unsqueeze(0), "UnsqueezeBackward0"),
        (lambda x: x.view(1, 2).t(), "TBackward0"),
        (lambda x: x.relu(), "ReluBackward0"),
        (lambda x: x.softmax(0), "SoftmaxBackward0"),
        (lambda x: torch.cat([x, x]), "CatBackward0"),
        (lambda x: torch.stack([x, x]), "StackBackward0"),
        (lambda x: x.clone(), "CloneBackward0"),
        (lambda x: x.to(torch.float32), "ToCopyBackward0"),
        (lambda x: x.max(), "MaxBackward1"),
        (lambda x: x.max(0).values, "MaxBackward0"),
        (lambda x: x[torch.tensor([0])], "IndexBackward0"),
        (lambda x: x.expand(2, 2), "ExpandBackward0"),
        (lambda x: x.view(1, 2) @ x.view(2, 1), "MmBackward0"),
        (lambda x: torch.nn.functional.mse_loss(x, x.detach()), "MseLossBackward0"),
    ],
)
def test_grad_fn_names(call, name):
    assert call(leaf(1.0, 2.0)).grad_fn.name() == name


def test_nodes_are_of_types_with_their_names():
    x = leaf(1.0)
    y = (x * 2).exp()
    assert type(y.grad_fn).__name__ == "ExpBackward0"
    assert type(y.grad_fn.next_functions[0][0].next_functions[0][0]).__name__ == "AccumulateGrad"


class Scale(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, factor):
        ctx.save_for_backward(x)
        ctx.factor = factor
        return x * factor

    @staticmethod
    def backward(ctx, g):
        assert ctx.needs_input_grad == (True, False)
        (x,) = ctx.saved_tensors
        assert x.shape == g.shape
        return g * ctx.factor, None


def test_function():
    x = leaf(1.0, 2.0)
    y = Scale.apply(x, 3.0)
    assert y.grad_fn.name() == "ScaleBackward"
    y.sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]
    assert torch.autograd.gradcheck(lambda t: Scale.apply(t, 2.0), [leaf(1.0, 2.0)])
    assert torch.autograd.gradgradcheck(lambda t: Scale.apply(t * t, 2.0), [leaf(1.0, 2.0)])


def test_function_with_setup_context():
    class Cube(torch.autograd.Function):
        @staticmethod
        def forward(x):
            return x**3, x.sign()

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(*inputs)
            ctx.mark_non_differentiable(output[1])

        @staticmethod
        def backward(ctx, g, _):
            (x,) = ctx.saved_tensors
            return 3 * x * x * g

    x = leaf(2.0)
    y, sign = Cube.apply(x)
    assert y.requires_grad and not sign.requires_grad
    (g,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    g.sum().backward()
    assert g.item() == 12.0 and x.grad.item() == 12.0


def test_function_marks_dirty():
    class Double(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            x.mul_(2)
            ctx.mark_dirty(x)
            return x

        @staticmethod
        def backward(ctx, g):
            return g * 2

    x = leaf(1.0)
    y = x * 3
    z = Double.apply(y)
    assert z is y and z.item() == 6.0
    z.sum().backward()
    assert x.grad.item() == 6.0


def test_once_differentiable():
    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(ctx, g):
            return 2 * ctx.saved_tensors[0] * g

    x = leaf(3.0)
    (g,) = torch.autograd.grad((Square.apply(x) * x).sum(), x, create_graph=True)
    assert g.item() == 27.0
    with pytest.raises(RuntimeError, match="marked with @once_differentiable"):
        g.sum().backward()


def test_function_returns_the_wrong_number():
    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx, a, b):
            return a + b

        @staticmethod
        def backward(ctx, g):
            return g

    with pytest.raises(
        RuntimeError, match=r"function WrongBackward returned an incorrect number of gradients \(expected 2, got 1\)"
    ):
        Wrong.apply(leaf(1.0), leaf(1.0)).sum().backward()


def test_function_error_passes_through():
    class Broken(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, g):
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        Broken.apply(leaf(1.0)).sum().backward()


def test_missing_gradients_are_zeros_or_none():
    seen = []

    class Two(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, materialize):
            ctx.set_materialize_grads(materialize)
            return x * 1, x * 2

        @staticmethod
        def backward(ctx, a, b):
            seen.append(b if b is None else b.tolist())
            return a, None

    for materialize in (True, False):
        Two.apply(leaf(1.0), materialize)[0].sum().backward()
    assert seen == [[0.0], None]


@pytest.mark.parametrize("use_reentrant", [True, False])
def test_checkpoint(use_reentrant):
    calls = []

    def block(x, w):
        calls.append(1)
        return (x * w).sin()

    x, w = leaf(0.5, 1.0), leaf(2.0, 3.0)
    block(x, w).sum().backward()
    want = x.grad.clone(), w.grad.clone()
    x.grad = w.grad = None
    checkpoint(block, x, w, use_reentrant=use_reentrant).sum().backward()
    assert torch.equal(x.grad, want[0]) and torch.equal(w.grad, want[1]) and len(calls) == 3


def test_checkpoint_repeats_dropout():
    x = torch.ones(100, requires_grad=True)
    y = checkpoint(lambda t: torch.nn.functional.dropout(t, 0.5), x, use_reentrant=False)
    y.sum().backward()
    assert torch.equal(x.grad, y.detach())


def test_saved_tensor_hooks():
    packed = []

    def pack(t):
        packed.append(t.shape)
        return t.tolist()

    x = leaf(1.0, 2.0)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda v: torch.tensor(v, dtype=torch.float64)):
        y = x.sin()
    y.sum().backward()
    assert packed == [(2,)]
    torch.testing.assert_close(x.grad, x.detach().cos())


def test_saved_tensor_hooks_keep_second_derivatives_and_errors():
    x = leaf(2.0)
    with torch.autograd.graph.save_on_cpu():
        y = x * x * x
    (g,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    (gg,) = torch.autograd.grad(g.sum(), x)
    assert gg.item() == 12
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: t.tolist()):
        y = x.exp().sum()
    with pytest.raises(TypeError, match="unpack_hook expected to be a Tensor but got result of type list"):
        y.backward()

    def refuse(t):
        raise KeyError("no room")

    with torch.autograd.graph.saved_tensors_hooks(refuse, refuse), pytest.raises(KeyError, match="no room"):
        x.exp()
    x.exp().sum().backward()


def test_anomaly_mode_names_the_forward_call():
    x = leaf(-1.0)
    with pytest.warns(UserWarning, match="Anomaly Detection has been enabled"):
        mode = torch.autograd.detect_anomaly(check_nan=True)
    with mode, pytest.warns(UserWarning, match="Error detected in SqrtBackward0(.|\n)*in the_forward_call"):

        def the_forward_call():
            return x.sqrt().sum()

        with pytest.raises(RuntimeError, match="Function 'SqrtBackward0' returned nan values in its 0th output"):
            the_forward_call().backward()
    assert not torch.is_anomaly_enabled()
    with torch.autograd.set_detect_anomaly(True, check_nan=False):
        x.sqrt().sum().backward()


def test_functional():
    x = leaf(1.0, 2.0)
    f = torch.autograd.functional
    assert f.jacobian(lambda t: t * t, x).tolist() == [[2.0, 0.0], [0.0, 4.0]]
    assert f.hessian(lambda t: (t**3).sum(), x).tolist() == [[6.0, 0.0], [0.0, 12.0]]
    assert f.vjp(lambda t: t * t, x, torch.ones(2, dtype=torch.float64))[1].tolist() == [2.0, 4.0]
    assert f.jvp(lambda t: t * t, x, torch.ones(2, dtype=torch.float64))[1].tolist() == [2.0, 4.0]


def test_gradcheck_finds_a_wrong_gradient():
    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * x

        @staticmethod
        def backward(ctx, g):
            return g * 3

    with pytest.raises(RuntimeError, match="Jacobian mismatch"):
        torch.autograd.gradcheck(Wrong.apply, [leaf(1.0, 2.0)])
    assert not torch.autograd.gradcheck(Wrong.apply, [leaf(1.0, 2.0)], raise_exception=False)


def test_gradients_of_mixed_dtypes():
    a = torch.ones(2, dtype=torch.float32, requires_grad=True)
    b = torch.ones(2, dtype=torch.float64, requires_grad=True)
    (a * b).sum().backward()
    assert a.grad.dtype == torch.float32 and b.grad.dtype == torch.float64


def test_backward_into_some_inputs():
    x, w = leaf(1.0), leaf(2.0)
    (x * w).sum().backward(inputs=[w])
    assert x.grad is None and w.grad.item() == 1.0


def test_many_outputs_at_once():
    x = leaf(1.0, 2.0)
    torch.autograd.backward([x.sum(), (x * x).sum()])
    assert x.grad.tolist() == [3.0, 5.0]


def test_a_deep_graph_neither_overflows_nor_leaks():
    def run(steps):
        x = leaf(1.0)
        y = x
        for _ in range(steps):
            y = y + 1
        y.sum().backward()
        assert x.grad.item() == 1.0
        # A graph that is dropped without a backward goes as well.
        y = x
        for _ in range(steps):
            y = y * 1
        del y

    def peak():
        size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return size / (1024 if sys.platform == "linux" else 2**20)

    run(100_000)
    before = peak()
    for _ in range(3):
        run(100_000)
    assert peak() - before < 40, "each graph's memory has to be free for the next"


def test_graphs_free_what_they_hold():
    x = leaf(1.0)
    big = torch.ones(10, dtype=torch.float64)
    gone = weakref.ref(big)
    y = (x * big).sum()
    del big
    y.backward()
    del y
    gc.collect()
    assert gone() is None
