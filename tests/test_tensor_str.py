"""How tensors print; the expected texts are PyTorch's."""

import pytest

import rtorch as torch

INF, NAN = float("inf"), float("nan")


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([], "tensor([])"),
        ([1.0, -2.0], "tensor([ 1., -2.])"),
        ([1.5, NAN], "tensor([1.5000,    nan])"),
        ([0.0, INF], "tensor([0., inf])"),
        ([1.0, 1000.0], "tensor([   1., 1000.])"),
        ([1.0, 1001.0], "tensor([1.0000e+00, 1.0010e+03])"),
        ([0.0, 1e-5], "tensor([0.0000e+00, 1.0000e-05])"),
        ([1.5 + 2j], "tensor([1.5000+2.j])"),
        ([True, False], "tensor([ True, False])"),
        ([-1, 20], "tensor([-1, 20])"),
    ],
)
def test_forms_of_numbers(values, text):
    assert repr(torch.tensor(values)) == text


def test_suffixes():
    assert repr(torch.zeros(2, 0)) == "tensor([], size=(2, 0))"
    assert repr(torch.zeros(1, dtype=torch.int32)) == "tensor([0], dtype=torch.int32)"
    assert repr(torch.ones(1, requires_grad=True)) == "tensor([1.], requires_grad=True)"
    assert repr(torch.ones(1, requires_grad=True) + 1) == "tensor([2.], grad_fn=<AddBackward0>)"
    assert repr(torch.nn.Parameter(torch.ones(1))) == "Parameter containing:\ntensor([1.], requires_grad=True)"


def test_summary_and_wrapping():
    assert repr(torch.arange(1001)) == "tensor([   0,    1,    2,  ...,  998,  999, 1000])"
    # All-zero tensors count a width of one, so that 24 fit.
    assert repr(torch.zeros(25)).splitlines()[1] == "        0.])"


def test_options_are_restored():
    torch.set_printoptions(precision=2, sci_mode=True)
    assert repr(torch.tensor([1.5])) == "tensor([1.50e+00])"
    torch.set_printoptions(profile="default")
    assert repr(torch.tensor([1.5])) == "tensor([1.5000])"
    with pytest.raises(ValueError, match="profile"):
        torch.set_printoptions(profile="tall")


def test_format_of_single_numbers():
    assert f"{torch.tensor(3.14159):.2f}" == "3.14"
    with pytest.raises(TypeError):
        format(torch.zeros(2), ".2f")
