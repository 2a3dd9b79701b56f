"""Calls with every kind of wrong argument end in a value or an ordinary exception.

The calls are made in a process of its own, with bounded memory, from samples of opdb that are changed at random. A call
that kills the process, or takes too long, is named and the next process goes on after it.

    python tests/test_fuzz.py SEED SECONDS        runs by itself and prints what it finds
"""

import os
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SEED = 20240601
SECONDS = 40
CALL_SECONDS = 20
MEMORY = 4 << 30
CRASHES = 12

HERE = Path(__file__).parent
INTEGERS = [0, 1, -1, 2, 3, -2, 7, 64, 2**31 - 1, -(2**31), 2**32 + 1, 2**62, 2**63 - 1, -(2**63), 2**64]
ODD = [None, "x", "", 1.5, True, [], [1], (2, 3), {}, b"x", float("nan"), 1j, object()]
FLOATS = [0.0, -0.0, 1.0, -1.0, 1e308, -1e308, 5e-324, 1e30, float("nan"), float("inf"), -float("inf")]


class Fuzz:
    def __init__(self, seed):
        import opdb
        import rtorch as torch

        self.opdb, self.torch = opdb, torch
        self.seed, self.random = seed, random.Random(seed)
        self.dtypes = [
            torch.float32,
            torch.float64,
            torch.float16,
            torch.bfloat16,
            torch.complex64,
            torch.int64,
            torch.int32,
            torch.uint8,
            torch.int8,
            torch.bool,
        ]
        self.rows, self.entries = {}, {}
        for entry in torch._C.op_table():
            self.entries.setdefault(entry["name"], []).append(entry)
        for row in opdb.ROWS:
            if not row.via and row.name in self.entries and row.function() is not None:
                self.rows.setdefault(row.name, []).append(row)
        self.names = sorted(self.entries)
        self.drawn = {}

    def pick(self, values):
        return values[self.random.randrange(len(values))]

    # Arguments.

    def tensor(self, like=None):
        torch, choice = self.torch, self.random.randrange(12)
        shape = tuple(like.shape) if like is not None else (2, 3)
        dtype = like.dtype if like is not None else torch.float32
        if choice == 0:
            return torch.empty((0,), dtype=dtype)
        if choice == 1:
            return torch.ones((), dtype=self.pick(self.dtypes))
        if choice == 2:
            return torch.ones(self.pick([(1,), (2, 3), (3, 2), (1, 0, 2), (2, 1, 3, 1), (5,), (1,) * 12]), dtype=dtype)
        if choice == 3:
            return torch.ones(shape, dtype=self.pick(self.dtypes))
        if choice == 4 and shape:
            return torch.ones((*shape[:-1], 2 * shape[-1]), dtype=dtype)[..., ::2]
        if choice == 5:
            return torch.ones((), dtype=dtype).expand(shape)
        if choice == 6:
            return torch.full(shape, self.pick(FLOATS), dtype=torch.float32)
        if choice == 7:
            return torch.full(shape, self.pick([-1, 2**31, 2**63 - 1, -(2**63), 5, 100]), dtype=torch.int64)
        if choice == 8:
            return torch.ones(shape, dtype=torch.float64).requires_grad_()
        if choice == 9:
            return torch.zeros(shape, dtype=dtype)
        if choice == 10:
            return torch.ones((3, 2), dtype=dtype).t()
        return self.pick(ODD + INTEGERS)

    def value(self, old):
        """Something else in the place of `old`."""
        if isinstance(old, self.torch.Tensor):
            return self.tensor(old)
        if self.random.random() < 0.2:
            return self.pick([*ODD, self.tensor()])
        if isinstance(old, bool):
            return self.pick([not old, None, 2, "x"])
        if isinstance(old, int):
            return self.pick(INTEGERS)
        if isinstance(old, float):
            return self.pick(FLOATS + INTEGERS)
        if isinstance(old, (list, tuple)):
            new = list(old)
            what = self.random.randrange(6)
            if what == 0:
                new = []
            elif what == 1:
                new = new * self.pick([2, 3, 70])
            elif what == 2 and new:
                new.pop(self.random.randrange(len(new)))
            elif what == 3:
                new = [self.pick(INTEGERS) for _ in range(self.random.randrange(4))]
            elif new:
                i = self.random.randrange(len(new))
                new[i] = self.value(new[i])
            return type(old)(new)
        return self.pick([*ODD, *INTEGERS])

    def from_schema(self, entry):
        """Arguments of the declared types, for ops that have no samples."""
        schema = self.pick(entry["schemas"])
        torch = self.torch
        kinds = {
            "Tensor": lambda: torch.ones(2, 3),
            "Tensor?": lambda: None,
            "int": lambda: 1,
            "float": lambda: 0.5,
            "bool": lambda: False,
            "str": lambda: "ij",
            "Scalar": lambda: 2,
            "Tensor[]": lambda: [torch.ones(2, 3), torch.ones(2, 3)],
        }
        args = []
        inside = schema[schema.index("(") + 1 : schema.rindex("->")].rstrip(" )")
        for part in re.split(r",\s*(?![^\[]*\])", inside):
            if part.strip().startswith("*"):
                break
            kind = re.split(r"\s+", part.strip())[0]
            if kind.startswith("int["):
                args.append([1, 1])
            elif kind in kinds:
                args.append(kinds[kind]())
            elif kind.endswith("?"):
                args.append(None)
            elif kind:
                args.append(1)
        return args, {}

    def call(self, name):
        """A function, its arguments, and the line that shows them."""
        entry = self.pick(self.entries[name])
        rows = self.rows.get(name)
        if rows:
            row = self.pick(rows)
            dtype = self.pick(row.all_dtypes())
            key = id(row), dtype
            if key not in self.drawn:
                self.drawn[key] = row.draw(dtype)
            if not self.drawn[key]:
                return None, [], {}, name
            sample = self.pick(self.drawn[key]).map(lambda t: t.detach().clone())
            args, kwargs, f = list(sample.args), dict(sample.kwargs), row.function()
        else:
            args, kwargs = self.from_schema(entry)
            f = self.opdb.find(name)
        shown = name
        form = self.random.random()
        if entry["inplace"] and form < 0.2:
            other = self.opdb.find(f"{name}_")
            f, shown = (other, f"{name}_") if other is not None else (f, name)
        elif entry["out"] and form < 0.35:
            kwargs["out"] = self.tensor()
        for _ in range(self.random.randrange(0, 3)):
            what = self.random.randrange(10)
            if what < 7 and args:
                i = self.random.randrange(len(args))
                args[i] = self.value(args[i])
            elif what == 7 and args:
                args.pop(self.random.randrange(len(args)))
            elif what == 8:
                args.append(self.pick([*ODD, *INTEGERS]))
            elif kwargs:
                k = self.pick(sorted(kwargs))
                kwargs[k] = self.value(kwargs[k])
            else:
                kwargs[self.pick(["dim", "dtype", "nonsense", "keepdim", "out"])] = self.pick(ODD)
        return f, args, kwargs, f"{shown}{self.opdb.Sample(*args, **kwargs)!r}"

    def use(self, result):
        """What is returned can be read, and differentiated where it says so."""
        torch = self.torch
        found = result if isinstance(result, (tuple, list)) else (result,)
        for r in found:
            if isinstance(r, torch.Tensor) and r.numel() < 10_000:
                r.detach().clone()
                if r.requires_grad and self.random.random() < 0.5:
                    r.sum().backward()

    def run(self, until, log, start=0):
        """Calls until the time is over; each is in the log before it is made. What is wrong is printed."""
        import faulthandler

        faulthandler.enable()
        count, index = 0, start
        while time.monotonic() < until:
            name = self.names[index % len(self.names)]
            self.random.seed(f"{self.seed} {index}")
            index += 1
            try:
                f, args, kwargs, shown = self.call(name)
            except (RuntimeError, MemoryError, OverflowError, AttributeError):
                # A sample could not be made.
                continue
            if f is None:
                continue
            os.pwrite(log, f"{index}\t{shown[:1500]}\n".encode(errors="replace").ljust(1600), 0)
            faulthandler.dump_traceback_later(CALL_SECONDS, exit=True)
            try:
                self.use(f(*args, **kwargs))
            except Exception as e:
                if "internal error" in str(e):
                    print(f"INTERNAL\t{shown}\t{str(e)[:300]}", flush=True)
            except BaseException as e:
                print(f"ESCAPED\t{shown}\t{type(e).__name__}: {str(e)[:300]}", flush=True)
            faulthandler.cancel_dump_traceback_later()
            count += 1
        print(f"CALLS\t{count}", flush=True)


def child(seed, seconds, path, start):
    import resource
    import warnings

    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    log = os.open(path, os.O_RDWR | os.O_CREAT)
    Fuzz(seed).run(time.monotonic() + seconds, log, start)


def hunt(seed, seconds):
    """The number of calls made, and what went wrong."""
    end, start, calls, found = time.monotonic() + seconds, 0, 0, []
    with tempfile.TemporaryDirectory() as folder:
        log = os.path.join(folder, "log")
        while (left := end - time.monotonic()) > 1 and len(found) < CRASHES:
            done = subprocess.run(
                [sys.executable, __file__, "child", str(seed), str(left), log, str(start)],
                capture_output=True,
                text=True,
                errors="replace",
                timeout=seconds + 4 * CALL_SECONDS,
                cwd=HERE,
                env={**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), *filter(None, sys.path)])},
            )
            for line in done.stdout.splitlines():
                kind, _, rest = line.partition("\t")
                if kind == "CALLS":
                    calls += int(rest)
                elif kind in ("INTERNAL", "ESCAPED"):
                    found.append(f"{kind} {rest}")
            if done.returncode == 0:
                break
            if not os.path.exists(log) or ("Traceback (most recent call last)" in done.stderr and done.returncode == 1):
                raise RuntimeError(done.stderr[-3000:])
            index, _, shown = Path(log).read_text(errors="replace").splitlines()[0].partition("\t")
            why = "timed out" if "Timeout" in done.stderr else f"exit {done.returncode}: {done.stderr[:200]!r}"
            found.append(f"DIED {shown.strip()} ({why})")
            calls += int(index) - start
            start = int(index)
    return calls, found


def test_no_call_kills_the_process():
    calls, found = hunt(SEED, SECONDS)
    assert not found, "\n".join(found)
    assert calls > 1000, f"only {calls} calls were made"


def test_a_crash_is_found(tmp_path, monkeypatch):
    """The hunt itself can fail: it names the call at which a process died."""
    script = tmp_path / "dies.py"
    script.write_text(
        "import os, sys\n"
        "log = os.open(sys.argv[4], os.O_RDWR | os.O_CREAT)\n"
        "os.pwrite(log, b'1\\tboom(1)'.ljust(1600), 0)\n"
        "print('INTERNAL\\tother(2)\\tinternal error', flush=True)\n"
        "os.abort()\n"
    )
    monkeypatch.setitem(globals(), "__file__", str(script))
    monkeypatch.setitem(globals(), "CRASHES", 1)
    _, found = hunt(0, 5)
    assert any("boom(1)" in f for f in found) and any("other(2)" in f for f in found)


if __name__ == "__main__":
    if sys.argv[1] == "child":
        child(sys.argv[2], float(sys.argv[3]), sys.argv[4], int(sys.argv[5]))
    else:
        CRASHES = 1000
        made, wrong = hunt(sys.argv[1], float(sys.argv[2]))
        print("\n".join(wrong))
        print(f"{made} calls, {len(wrong)} findings")
