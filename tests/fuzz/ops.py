"""Ops and every other public callable, as functions and methods."""

import inspect
import operator
import re

import opdb
import rtorch as torch

from .values import show_call


class Call:
    """A function and its arguments; `shown` is the line that names them."""

    def __init__(self, f, args, kwargs, name):
        self.f, self.args, self.kwargs = f, args, kwargs
        self.shown = show_call(name, args, kwargs)


class Ops:
    """The rows of the op database as function, method, in-place form and with out=."""

    def __init__(self):
        self.rows, self.entries, self.drawn = {}, {}, {}
        for entry in torch._C.op_table():
            self.entries.setdefault(entry["name"], []).append(entry)
        for row in opdb.ROWS:
            if not row.via and row.name in self.entries and row.function() is not None:
                self.rows.setdefault(row.name, []).append(row)
        self.names = sorted(self.entries)

    def from_schema(self, entry, v):
        """Arguments of the declared types, for ops that have no samples."""
        schema = v.pick(entry["schemas"])
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

    def sample(self, name, v):
        """A working call of an op: its function, arguments and keywords."""
        rows = self.rows.get(name)
        if not rows:
            return opdb.find(name), *self.from_schema(v.pick(self.entries[name]), v)
        row = v.pick(rows)
        dtype = v.pick(row.all_dtypes())
        key = id(row), dtype
        if key not in self.drawn:
            self.drawn[key] = row.draw(dtype)
        if not self.drawn[key]:
            return None, [], {}
        sample = v.pick(self.drawn[key]).map(lambda t: t.detach().clone())
        return row.function(), list(sample.args), dict(sample.kwargs)

    def draw(self, v, index):
        name = self.names[index % len(self.names)]
        f, args, kwargs = self.sample(name, v)
        if f is None:
            return None
        entry, form = v.pick(self.entries[name]), v.random.random()
        if entry["inplace"] and form < 0.2 and opdb.find(f"{name}_") is not None:
            name = f"{name}_"
            f = opdb.find(name)
        elif form < 0.3 and args and isinstance(args[0], torch.Tensor) and hasattr(args[0], name):
            f, name = getattr(torch.Tensor, name), f"Tensor.{name}"
        elif entry["out"] and form < 0.5:
            kwargs["out"] = v.tensor() if v.random.random() < 0.7 or not args else v.pick(args)
        v.change(args, kwargs)
        return Call(f, args, kwargs, name)


class Names:
    """Every public callable, with arguments guessed from the names of its parameters."""

    HOMES = (
        "nn.functional nn.init nn.utils nn.utils.rnn linalg fft special signal.windows autograd autograd.functional "
        "utils.data distributions optim.lr_scheduler random"
    ).split()
    # They change the process, or wait for something that does not come.
    LEFT_OUT = re.compile(
        r"set_|use_det|manual_seed|^seed|initial_seed|save|load|compile|hub|share_memory|pin_memory|detect_anomaly|export"
        r"|inference_mode|grad_mode|no_grad|enable_grad|seed_all|DataLoader|default_device|get_worker_info|cuda$|gpu$"
    )

    def __init__(self):
        self.found = []
        for path in ("", "Tensor", *self.HOMES):
            try:
                home = operator.attrgetter(path)(torch) if path else torch
            except AttributeError:
                continue
            for name in sorted(set(dir(home))):
                if not name.startswith("_") and not self.LEFT_OUT.search(name) and callable(getattr(home, name, None)):
                    self.found.append((f"{path}.{name}" if path else name, getattr(home, name)))

    def guess(self, name, v):
        if re.search(r"dim|size|num|^n$|^k$|^N$|kernel|stride|padding|count|features|channels|groups|steps", name):
            return v.pick([1, 2, 0, [1], (2, 2)])
        if re.search(
            r"input|tensor|^x$|^y$|weight|target|other|^self|matrix|value|key|query|^A$|^B$|mat|vec|bias", name
        ):
            return torch.ones(v.pick([(2, 3), (3,), (2, 3, 4), (1, 2, 5, 5), (3, 3)]))
        if re.search(r"func|closure|hook|fn$", name):
            return lambda x, *_: x * 2
        if re.search(r"params|tensors|modules|sequences", name):
            return [torch.ones(2, 3).requires_grad_(), torch.ones(2, 3)]
        return v.pick([0.5, 1, True, None, "mean", torch.ones(2, 3)])

    def draw(self, v, index):
        name, f = self.found[index % len(self.found)]
        args, kwargs = [], {}
        try:
            for p in inspect.signature(f).parameters.values():
                if p.kind is p.POSITIONAL_ONLY or p.kind is p.POSITIONAL_OR_KEYWORD and p.default is p.empty:
                    args.append(self.guess(p.name, v))
                elif p.kind is p.KEYWORD_ONLY or p.kind is p.POSITIONAL_OR_KEYWORD and v.random.random() < 0.3:
                    if v.random.random() < 0.4:
                        kwargs[p.name] = v.value(None if p.default is p.empty else p.default)
        except (TypeError, ValueError):
            args = [torch.ones(2, 3), *[v.pick([0, 1, torch.ones(2, 3), 0.5]) for _ in range(v.random.randrange(3))]]
        v.change(args, kwargs)
        return Call(f, args, kwargs, name)
