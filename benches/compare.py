"""Times larger work in rtorch, beside PyTorch where it is installed.

    python benches/compare.py [--match matmul] [--threads 2] [--seconds 0.5]

The two libraries take turns in one process; a ratio above 1 means that rtorch is faster.
"""

import argparse
import re
import statistics

from overhead import libraries, time_once

WORK = {}


def work(setup):
    WORK[setup.__name__] = setup
    return setup


def unary(name, n):
    def setup(T):
        x = T.rand(n) + 0.5
        f = getattr(T, name)
        return lambda: f(x)

    WORK[f"{name}_{n}"] = setup


for _name in ("exp", "log", "tanh", "sqrt", "sin"):
    unary(_name, 1_000_000)


@work
def add_1000000(T):
    a, b = T.rand(1_000_000), T.rand(1_000_000)
    return lambda: a + b


@work
def add_broadcast_1000x1000(T):
    a, b = T.rand(1000, 1000), T.rand(1000)
    return lambda: a + b


@work
def add_transposed_1000x1000(T):
    a, b = T.rand(1000, 1000), T.rand(1000, 1000)
    return lambda: a + b.t()


@work
def sum_1000x1000(T):
    a = T.rand(1000, 1000)
    return lambda: a.sum(dim=0)


@work
def softmax_256x1000(T):
    a = T.rand(256, 1000)
    return lambda: a.softmax(dim=1)


@work
def matmul_512(T):
    a, b = T.rand(512, 512), T.rand(512, 512)
    return lambda: a @ b


@work
def conv2d_8x32x28x28(T):
    layer, x = T.nn.Conv2d(32, 64, 3, padding=1), T.rand(8, 32, 28, 28)
    return lambda: layer(x)


@work
def sort_100000(T):
    a = T.rand(100_000)
    return lambda: a.sort()


@work
def gather_rows_10000x64(T):
    a, i = T.rand(10_000, 64), T.randint(10_000, (10_000,))
    return lambda: a[i]


@work
def mlp_step_64x784(T):
    net = T.nn.Sequential(T.nn.Linear(784, 128), T.nn.ReLU(), T.nn.Linear(128, 10))
    x, y = T.rand(64, 784), T.randint(10, (64,))
    optimizer = T.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    criterion = T.nn.CrossEntropyLoss()

    def step():
        optimizer.zero_grad()
        criterion(net(x), y).backward()
        optimizer.step()

    return step


@work
def lstm_step_64x16x128(T):
    net, x = T.nn.LSTM(64, 128, 2), T.rand(64, 16, 64)
    optimizer = T.optim.Adam(net.parameters())

    def step():
        optimizer.zero_grad()
        net(x)[0].square().mean().backward()
        optimizer.step()

    return step


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--match", default="", help="only work whose name matches this regular expression")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=0.3, help="per workload, library and turn")
    parser.add_argument("--turns", type=int, default=3)
    args = parser.parse_args()

    both = libraries(("rtorch", "torch"))
    for library in both.values():
        library.set_num_threads(args.threads)
    print(f"{'work':<28}" + "".join(f"{name + ' ms':>12}" for name in both) + ("   ratio" if len(both) == 2 else ""))
    for name, setup in WORK.items():
        if not re.search(args.match, name):
            continue
        calls = [setup(T) for T in both.values()]
        turns = [[time_once(f, args.seconds) / 1e6 for f in calls] for _ in range(args.turns)]
        line = f"{name:<28}" + "".join(f"{statistics.median(t):>12.3f}" for t in zip(*turns))
        if len(both) == 2:
            line += f"{statistics.median(torch / ours for ours, torch in turns):>8.2f}"
        print(line, flush=True)


if __name__ == "__main__":
    main()
