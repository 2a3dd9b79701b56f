"""The CPU's random streams are PyTorch's: numbers recorded from it."""

import pytest

import rtorch as torch

GOLDEN = {
    "torch.rand(4)": [0.028979242, 0.40189856, 0.25984418, 0.36664134],
    "torch.rand(3, dtype=torch.float64)": [0.23183417, 0.078753861, 0.46640616],
    "torch.rand(20)[15:]": [0.68171108, 0.28367496, 0.65673041, 0.23875582, 0.7312845],
    "torch.randn(5)": [0.046130463, 0.40240282, -1.0115291, 0.21673824, -0.6122731],
    "torch.randn(20)[:5]": [-0.11171857, -0.49659011, 0.1630737, -0.88168776, 0.28909719],
    "torch.randn(3, dtype=torch.float64)": [0.046130462, 0.40240283, -1.0115291],
    "torch.randint(0, 100, (6,))": [75.0, 71.0, 6.0, 65.0, 16.0, 64.0],
    "torch.randint(-5, 2**40, (3,))": [203984850000.0, 166669160000.0, 878765610000.0],
    "torch.randperm(8)": [7.0, 5.0, 2.0, 3.0, 4.0, 6.0, 1.0, 0.0],
    "torch.empty(4).uniform_(-1, 3)": [-0.88408303, 0.60759425, 0.039376736, 0.46656537],
    "torch.empty(4).normal_(2, 0.5)": [2.0230653, 2.2012014, 1.4942354, 2.1083691],
    "torch.empty(4).exponential_(1.5)": [0.17583309, 0.054685351, 0.41874689, 0.35672221],
    "torch.empty(4).geometric_(0.3)": [5.0, 8.0, 3.0, 3.0],
    "torch.empty(4).cauchy_()": [-1.121187, -3.9590228, -0.10593175, -0.27566546],
    "torch.empty(4).log_normal_()": [2.9810064, 6.0787897, 0.35949385, 4.1932516],
    "torch.empty(5).random_(7)": [6.0, 4.0, 0.0, 5.0, 0.0],
    "torch.empty(8).bernoulli_(0.4)": [1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0],
    "torch.bernoulli(torch.full((8,), 0.7))": [1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 1.0, 1.0],
    "torch.normal(1.0, 2.0, (3,))": [1.092261, 1.8048056, -1.0230582],
    "torch.normal(torch.arange(3.0), torch.ones(3))": [0.046130463, 1.4024029, 0.98847091],
    "torch.multinomial(torch.tensor([0.1, 0.5, 0.2, 0.2]), 6, replacement=True)": [1.0, 0.0, 1.0, 1.0, 1.0, 1.0],
    "torch.multinomial(torch.tensor([0.1, 0.5, 0.2, 0.2]), 3)": [1.0, 0.0, 3.0],
    "torch.poisson(torch.full((5,), 4.0))": [1.0, 4.0, 4.0, 4.0, 4.0],
    "torch.rand_like(torch.zeros(3))": [0.028979242, 0.40189856, 0.25984418],
    "torch.randn_like(torch.zeros(3))": [0.046130463, 0.40240282, -1.0115291],
    "torch.nn.functional.dropout(torch.ones(8), 0.5)": [2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0],
    "torch.nn.Linear(2, 2).weight.detach()": [[-0.66612393, -0.13873638], [-0.33963162, -0.18859762]],
    "torch.nn.init.kaiming_normal_(torch.empty(2, 2))": [[0.046130463, 0.40240282], [-1.0115291, 0.21673824]],
    "torch.nn.init.trunc_normal_(torch.empty(4))": [0.046130463, 0.40240282, -1.0115291, 0.21673824],
    "torch.nn.init.orthogonal_(torch.empty(2, 2)).abs()": [[0.045557261, 0.99896163], [0.99896163, 0.045557499]],
}


@pytest.mark.parametrize("call", GOLDEN)
def test_golden(call):
    torch.manual_seed(1234)
    result = eval(call, {"torch": torch})
    want = torch.tensor(GOLDEN[call], dtype=torch.float64)
    torch.testing.assert_close(result.to(torch.float64), want, rtol=1e-5, atol=1e-6)


def test_seed_and_state():
    torch.manual_seed(5)
    first = torch.rand(3)
    state = torch.get_rng_state()
    second = torch.rand(3)
    torch.set_rng_state(state)
    assert torch.equal(torch.rand(3), second)
    torch.manual_seed(5)
    assert torch.equal(torch.rand(3), first)
    assert torch.initial_seed() == 5


def test_generators_are_apart():
    mine = torch.Generator().manual_seed(7)
    torch.manual_seed(0)
    torch.rand(9, generator=mine)
    after = torch.rand(3)
    torch.manual_seed(0)
    assert torch.equal(torch.rand(3), after)
    mine.manual_seed(7)
    again = torch.Generator()
    again.manual_seed(7)
    assert torch.equal(torch.randn(4, generator=mine), torch.randn(4, generator=again))
    assert mine.initial_seed() == 7


def test_fork_rng():
    torch.manual_seed(3)
    with torch.random.fork_rng(devices=[]):
        torch.rand(10)
    inside = torch.rand(2)
    torch.manual_seed(3)
    assert torch.equal(torch.rand(2), inside)


def test_streams_do_not_depend_on_how_many_are_drawn_at_a_time():
    torch.manual_seed(1)
    together = torch.rand(15)
    torch.manual_seed(1)
    assert torch.equal(torch.cat([torch.rand(7), torch.rand(8)]), together)
