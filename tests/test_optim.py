"""Optimizers and schedules: the way of the parameters as recorded from PyTorch, state, groups and errors."""

import copy
import math

import pytest

import rtorch as torch
from rtorch import optim

GOLDEN = {
    "('SGD', dict(lr=0.02))": [0.6168318, -0.2035953, 0.2254528, 0.1400021, 0.487583, -0.4885056],
    "('SGD', dict(lr=0.02, momentum=0.9, weight_decay=0.1))": [
        -0.007028486,
        1.122137,
        -0.1825118,
        -1.36707,
        0.7339472,
        -0.2514768,
    ],
    "('SGD', dict(lr=0.02, momentum=0.9, nesterov=True))": [
        0.05922094,
        0.1695626,
        -0.08740349,
        -0.1565397,
        0.6701723,
        -0.245895,
    ],
    "('SGD', dict(lr=0.02, momentum=0.5, dampening=0.1, maximize=True))": [
        2.182006,
        -16.22843,
        1.475235,
        32.01106,
        -0.4030393,
        -2.345523,
    ],
    "('Adam', dict(lr=0.1))": [0.4420879, -1.405006, -0.02497044, 2.403234, 0.8130553, -0.1064105],
    "('Adam', dict(lr=0.1, amsgrad=True, weight_decay=0.1))": [
        0.4411488,
        -1.405007,
        -0.02546495,
        2.403234,
        0.8069376,
        -0.1066689,
    ],
    "('AdamW', dict(lr=0.1))": [0.4379271, -1.394656, -0.02603891, 2.386883, 0.8093109, -0.1038518],
    "('AdamW', dict(lr=0.1, amsgrad=True, maximize=True))": [
        1.595959,
        -2.589074,
        1.098089,
        3.582521,
        -0.3025777,
        -1.297168,
    ],
    "('NAdam', dict(lr=0.1))": [0.6003473, -1.537566, 0.1367233, 2.53173, 0.6506703, -0.2419287],
    "('RAdam', dict(lr=0.1))": [8.757922e-05, -0.9498761, -0.1000271, 1.776761, 0.6703392, -0.27773],
    "('Adamax', dict(lr=0.1))": [0.5335922, -1.438126, 0.07208015, 2.426829, 0.7167537, -0.1461127],
    "('Adadelta', dict(lr=1.0))": [0.9803395, -1.980205, 0.4803944, 2.98019, 0.3195904, -0.6802145],
    "('Adagrad', dict(lr=0.1, lr_decay=0.1))": [0.7262101, -1.698739, 0.2407317, 2.696106, 0.5545472, -0.4006595],
    "('RMSprop', dict(lr=0.01, momentum=0.5, centered=True))": [
        0.4978628,
        -1.384446,
        0.0632344,
        2.374124,
        0.7146722,
        -0.09220593,
    ],
    "('RMSprop', dict(lr=0.01, weight_decay=0.1))": [0.6862035, -1.646971, 0.208294, 2.643115, 0.5807072, -0.3502797],
    "('Rprop', dict(lr=0.1))": [0.2558399, -1.007008, 0.04959998, 2.007008, 0.7503999, 0.2929921],
    "('ASGD', dict(lr=0.02))": [0.6168247, -0.2035937, 0.2254504, 0.1400015, 0.487577, -0.4884999],
    "('Adafactor', dict(lr=0.1))": [0.1669209, -1.17162, 0.1495233, 2.131517, 0.42362, -0.4141378],
    "('LBFGS', dict(lr=0.5, max_iter=3))": [0.09522924, 0.007767663, 0.09212334, -0.01617384, 0.2972548, -0.02420841],
    "('LBFGS', dict(max_iter=4, line_search_fn='strong_wolfe'))": [
        2.565576e-06,
        -8.950478e-07,
        8.968886e-06,
        -1.102129e-06,
        1.67159e-05,
        -1.251054e-05,
    ],
    "('Muon', dict(lr=0.1))": [0.42285, -1.678191, 0.1685404, 2.471687, 0.3, -0.7],
}

SCHEDULES = {
    "s.StepLR(opt, 3, 0.5)": [0.5, 0.5, 0.25, 0.25, 0.25, 0.125, 0.125, 0.125, 0.0625, 0.0625, 0.0625, 0.03125],
    "s.MultiStepLR(opt, [2, 5], 0.1)": [0.5, 0.05, 0.05, 0.05, 0.005, 0.005, 0.005, 0.005, 0.005, 0.005, 0.005, 0.005],
    "s.ExponentialLR(opt, 0.9)": [
        0.45,
        0.405,
        0.3645,
        0.32805,
        0.295245,
        0.2657205,
        0.23914845,
        0.215233605,
        0.193710245,
        0.17433922,
        0.156905298,
        0.141214768,
    ],
    "s.ConstantLR(opt, 0.3, 4)": [0.15, 0.15, 0.15, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5],
    "s.LinearLR(opt, 0.2, 1.0, 6)": [
        0.166666667,
        0.233333333,
        0.3,
        0.366666667,
        0.433333333,
        0.5,
        0.5,
        0.5,
        0.5,
        0.5,
        0.5,
        0.5,
    ],
    "s.CosineAnnealingLR(opt, 8, 0.01)": [
        0.481350485,
        0.428241161,
        0.348757441,
        0.255,
        0.161242559,
        0.0817588386,
        0.0286495145,
        0.01,
        0.0286495145,
        0.0817588386,
        0.161242559,
        0.255,
    ],
    "s.CosineAnnealingWarmRestarts(opt, 3, 2)": [
        0.375,
        0.125,
        0.5,
        0.466506351,
        0.375,
        0.25,
        0.125,
        0.0334936491,
        0.5,
        0.491481457,
        0.466506351,
        0.426776695,
    ],
    "s.LambdaLR(opt, lambda e: 1 / (1 + e))": [
        0.25,
        0.166666667,
        0.125,
        0.1,
        0.0833333333,
        0.0714285714,
        0.0625,
        0.0555555556,
        0.05,
        0.0454545455,
        0.0416666667,
        0.0384615385,
    ],
    "s.MultiplicativeLR(opt, lambda e: 0.8)": [
        0.4,
        0.32,
        0.256,
        0.2048,
        0.16384,
        0.131072,
        0.1048576,
        0.08388608,
        0.067108864,
        0.0536870912,
        0.042949673,
        0.0343597384,
    ],
    "s.PolynomialLR(opt, 8, 2.0)": [
        0.3828125,
        0.28125,
        0.1953125,
        0.125,
        0.0703125,
        0.03125,
        0.0078125,
        0.0,
        0.0,
        0.0,
        0.0,
        0.0,
    ],
    "s.OneCycleLR(opt, 1.0, total_steps=12)": [
        0.349789654,
        0.879285159,
        0.994415435,
        0.93301297,
        0.811745654,
        0.647378998,
        0.462637103,
        0.283060998,
        0.13347753,
        0.0345669874,
        4e-06,
        0.0345669874,
    ],
    "s.CyclicLR(opt, 0.1, 1.0, 3)": [0.4, 0.7, 1.0, 0.7, 0.4, 0.1, 0.4, 0.7, 1.0, 0.7, 0.4, 0.1],
    "s.CyclicLR(opt, 0.1, 1.0, 2, 4, mode='exp_range', gamma=0.9)": [
        0.505,
        0.829,
        0.592075,
        0.395245,
        0.23286025,
        0.1,
        0.315233605,
        0.487420489,
        0.36150883,
        0.256905298,
        0.170607384,
        0.1,
    ],
    "s.ReduceLROnPlateau(opt, patience=1, factor=0.5)": [
        0.5,
        0.5,
        0.5,
        0.5,
        0.5,
        0.25,
        0.25,
        0.125,
        0.125,
        0.0625,
        0.0625,
        0.03125,
    ],
    "s.SequentialLR(opt, [s.ConstantLR(opt, 0.1, 3), s.ExponentialLR(opt, 0.9)], [3])": [
        0.05,
        0.05,
        0.5,
        0.45,
        0.405,
        0.3645,
        0.32805,
        0.295245,
        0.2657205,
        0.23914845,
        0.215233605,
        0.193710245,
    ],
    "s.ChainedScheduler([s.ConstantLR(opt, 0.1, 3), s.ExponentialLR(opt, 0.9)])": [
        0.045,
        0.0405,
        0.3645,
        0.32805,
        0.295245,
        0.2657205,
        0.23914845,
        0.215233605,
        0.193710245,
        0.17433922,
        0.156905298,
        0.141214768,
    ],
}


def walk(name, kwargs, steps=6):
    """Two parameters, after some steps down a bowl that is not round."""
    a = torch.tensor([[1.0, -2.0], [0.5, 3.0]], requires_grad=True)
    b = torch.tensor([0.3, -0.7], requires_grad=True)
    params = [a] if name == "Muon" else [a, b]
    opt = getattr(optim, name)(params, **kwargs)

    def closure():
        opt.zero_grad()
        loss = ((a * torch.tensor([1.0, 3.0])) ** 2).sum() + (b - a.sum(0)).pow(2).sum()
        loss.backward()
        return loss

    for _ in range(steps):
        if name == "LBFGS":
            opt.step(closure)
        else:
            closure()
            opt.step()
    return [*a.detach().reshape(-1).tolist(), *b.detach().tolist()], opt


@pytest.mark.parametrize("case", GOLDEN)
def test_golden(case):
    name, kwargs = eval(case)
    # Muon orthogonalises in bfloat16.
    slack = 1e-2 if name == "Muon" else 1e-4
    assert walk(name, kwargs)[0] == pytest.approx(GOLDEN[case], rel=slack, abs=slack / 10)


def rates(text):
    p = torch.nn.Parameter(torch.ones(1))
    opt = optim.SGD([p], lr=0.5, momentum=0.9)
    schedule = eval(text, {"s": optim.lr_scheduler, "opt": opt, "math": math})
    found = []
    for i in range(12):
        opt.step()
        schedule.step(*([1.0 / (1 + min(i, 3))] if "Plateau" in text else []))
        found.append(opt.param_groups[0]["lr"])
    return found


@pytest.mark.parametrize("text", SCHEDULES)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_schedule(text):
    assert rates(text) == pytest.approx(SCHEDULES[text], rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad"])
def test_state_goes_on_where_it_was(name):
    kwargs = dict(lr=0.1, momentum=0.9) if name == "SGD" else dict(lr=0.1)
    together, _ = walk(name, kwargs, 4)
    a = torch.tensor([1.0, 2.0], requires_grad=True)
    opt = getattr(optim, name)([a], **kwargs)

    def step(p, o):
        o.zero_grad()
        (p**2).sum().backward()
        o.step()

    step(a, opt)
    b = a.detach().clone().requires_grad_()
    other = getattr(optim, name)([b], **kwargs)
    other.load_state_dict(copy.deepcopy(opt.state_dict()))
    step(a, opt)
    step(b, other)
    assert torch.equal(a, b) and len(together) == 6


def test_groups():
    a, b = torch.ones(1, requires_grad=True), torch.ones(1, requires_grad=True)
    opt = optim.SGD([{"params": [a]}, {"params": [b], "lr": 0.5}], lr=0.1)
    (a + b).sum().backward()
    opt.step()
    assert a.item() == pytest.approx(0.9) and b.item() == 0.5
    c = torch.ones(1, requires_grad=True)
    opt.add_param_group({"params": c, "lr": 1.0})
    assert [g["lr"] for g in opt.param_groups] == [0.1, 0.5, 1.0]
    with pytest.raises(ValueError, match="some parameters appear in more than one parameter group"):
        opt.add_param_group({"params": [a]})


def test_zero_grad():
    a = torch.ones(1, requires_grad=True)
    opt = optim.SGD([a], lr=0.1)
    a.sum().backward()
    opt.zero_grad(set_to_none=False)
    assert a.grad.item() == 0
    opt.zero_grad()
    assert a.grad is None
    opt.step()
    assert a.item() == 1.0


@pytest.mark.parametrize(
    "make, kind, text",
    [
        (lambda: optim.SGD([], lr=0.1), ValueError, "optimizer got an empty parameter list"),
        (lambda: optim.SGD([torch.ones(1, requires_grad=True)], lr=-1), ValueError, "Invalid learning rate: -1"),
        (
            lambda: optim.Adam([torch.ones(1, requires_grad=True)], betas=(1.0, 0.9)),
            ValueError,
            "Invalid beta parameter at index 0: 1.0",
        ),
        (
            lambda: optim.SGD([torch.ones(1, requires_grad=True) * 2], lr=0.1),
            ValueError,
            "can't optimize a non-leaf Tensor",
        ),
        (
            lambda: optim.SGD(torch.ones(1, requires_grad=True), lr=0.1),
            TypeError,
            "params argument given to the optimizer should be an iterable of Tensors or dicts, but got",
        ),
        (
            lambda: optim.SGD([torch.ones(1, requires_grad=True)], lr=0.1, nesterov=True),
            ValueError,
            "Nesterov momentum requires a momentum and zero dampening",
        ),
    ],
)
def test_errors(make, kind, text):
    with pytest.raises(kind, match=text):
        make()


def test_the_order_of_steps_is_watched():
    opt = optim.SGD([torch.ones(1, requires_grad=True)], lr=0.1)
    schedule = optim.lr_scheduler.StepLR(opt, 1)
    with pytest.warns(UserWarning, match=r"`lr_scheduler.step\(\)` before `optimizer.step\(\)`"):
        schedule.step()


def test_closure_gives_the_loss():
    a = torch.ones(1, requires_grad=True)
    opt = optim.SGD([a], lr=0.1)

    def closure():
        opt.zero_grad()
        loss = (a * 2).sum()
        loss.backward()
        return loss

    assert opt.step(closure).item() == 2.0


def test_averages():
    model = torch.nn.Linear(1, 1, bias=False)
    average = optim.swa_utils.AveragedModel(model)
    for value in (1.0, 3.0):
        with torch.no_grad():
            model.weight.fill_(value)
        average.update_parameters(model)
    assert average.module.weight.item() == 2.0
