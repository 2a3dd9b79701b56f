"""What one small call costs, in nanoseconds, and beside PyTorch where it is installed.

    python benches/overhead.py [--match add] [--seconds 0.2]

Both libraries run in one process and take turns, so that a machine whose speed drifts slows both alike.
"""

import argparse
import importlib
import re
import statistics
import time

CALLS = {}


def call(setup):
    CALLS[setup.__name__] = setup
    return setup


@call
def add_4(T):
    a, b = T.ones(4), T.ones(4)
    return lambda: a + b


@call
def add_scalar_4(T):
    a = T.ones(4)
    return lambda: a + 1.5


@call
def add_in_place_4(T):
    a, b = T.zeros(4), T.ones(4)
    return lambda: a.add_(b)


@call
def add_out_4(T):
    a, b, out = T.ones(4), T.ones(4), T.empty(4)
    return lambda: T.add(a, b, out=out)


@call
def relu_method_4(T):
    a = T.ones(4)
    return lambda: a.relu()


@call
def sum_dim_4x4(T):
    a = T.ones(4, 4)
    return lambda: a.sum(dim=1)


@call
def matmul_4x4(T):
    a, b = T.ones(4, 4), T.ones(4, 4)
    return lambda: a @ b


@call
def reshape_16(T):
    a = T.ones(16)
    return lambda: a.reshape(4, 4)


@call
def transpose_4x4(T):
    a = T.ones(4, 4)
    return lambda: a.transpose(0, 1)


@call
def index_row(T):
    a = T.ones(4, 4)
    return lambda: a[1]


@call
def item(T):
    a = T.ones(())
    return lambda: a.item()


@call
def shape(T):
    a = T.ones(4, 4)
    return lambda: a.shape


@call
def zeros_4(T):
    return lambda: T.zeros(4)


@call
def mul_with_grad_4(T):
    a, b = T.ones(4, requires_grad=True), T.ones(4)
    return lambda: a * b


@call
def backward_of_three_ops(T):
    a = T.ones(4, requires_grad=True)
    return lambda: ((a * 2) + a).sum().backward()


@call
def linear_4_4(T):
    layer, x = T.nn.Linear(4, 4), T.ones(1, 4)
    return lambda: layer(x)


def time_once(f, seconds):
    """Nanoseconds a call, over about `seconds`."""
    count, spent = 1, 0.0
    while spent < seconds / 10:
        count *= 2
        start = time.perf_counter()
        for _ in range(count):
            f()
        spent = time.perf_counter() - start
    count = max(1, int(count * seconds / spent))
    start = time.perf_counter()
    for _ in range(count):
        f()
    return 1e9 * (time.perf_counter() - start) / count


def libraries(names):
    found = {}
    for name in names:
        try:
            found[name] = importlib.import_module(name)
            importlib.import_module(f"{name}.nn")
        except ImportError:
            print(f"{name} is not installed; without it")
    for library in found.values():
        library.set_num_threads(1)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--match", default="", help="only calls whose name matches this regular expression")
    parser.add_argument("--seconds", type=float, default=0.1, help="per call, library and turn")
    parser.add_argument("--turns", type=int, default=3)
    args = parser.parse_args()

    both = libraries(("rtorch", "torch"))
    print(f"{'call':<24}" + "".join(f"{name + ' ns':>12}" for name in both) + ("   ratio" if len(both) == 2 else ""))
    ratios = []
    for name, setup in CALLS.items():
        if not re.search(args.match, name):
            continue
        calls = [setup(T) for T in both.values()]
        turns = [[time_once(f, args.seconds) for f in calls] for _ in range(args.turns)]
        line = f"{name:<24}" + "".join(f"{statistics.median(t):>12.0f}" for t in zip(*turns))
        if len(both) == 2:
            ratios.append(statistics.median(torch / ours for ours, torch in turns))
            line += f"{ratios[-1]:>8.2f}"
        print(line, flush=True)
    if ratios:
        print(f"{'geometric mean':<48}{statistics.geometric_mean(ratios):>8.2f}")


if __name__ == "__main__":
    main()
