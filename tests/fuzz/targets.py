"""What is called: each target draws calls that would work, and changes them."""

import inspect
import io
import operator
import re

import numpy as np
import opdb

import rtorch as torch
from rtorch import nn

from .values import DTYPES, INTEGERS, Sub, show, show_call


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
        if re.search(r"input|tensor|^x$|^y$|weight|target|other|^self|matrix|value|key|query|^A$|^B$|mat|vec|bias", name):
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


IMAGE, SIGNAL, CUBE, TABLE = (2, 4, 6, 6), (2, 4, 9), (1, 4, 5, 5, 5), (3, 4)
WHOLE = "whole"
# Constructor arguments and the shapes that forward takes; WHOLE is a tensor of integers.
MODULES = {
    "Linear": ((4, 3), TABLE),
    "Bilinear": ((4, 4, 2), TABLE, TABLE),
    "Conv1d": ((4, 2, 3), SIGNAL),
    "Conv2d": ((4, 2, 3), IMAGE),
    "Conv3d": ((4, 2, 2), CUBE),
    "ConvTranspose1d": ((4, 2, 3), SIGNAL),
    "ConvTranspose2d": ((4, 2, 3), IMAGE),
    "ConvTranspose3d": ((4, 2, 2), CUBE),
    "LazyConv2d": ((2, 3), IMAGE),
    "LazyLinear": ((2,), TABLE),
    "Fold": (((4, 4), (2, 2)), (1, 8, 9)),
    "Unfold": (((2, 2),), IMAGE),
    "MaxPool1d": ((2,), SIGNAL),
    "MaxPool2d": ((2,), IMAGE),
    "MaxPool3d": ((2,), CUBE),
    "AvgPool1d": ((2,), SIGNAL),
    "AvgPool2d": ((2,), IMAGE),
    "AvgPool3d": ((2,), CUBE),
    "LPPool2d": ((2, 2), IMAGE),
    "FractionalMaxPool2d": ((2, 3), IMAGE),
    "FractionalMaxPool3d": ((2, 3), CUBE),
    "AdaptiveAvgPool2d": ((3,), IMAGE),
    "AdaptiveMaxPool2d": ((3,), IMAGE),
    "AdaptiveMaxPool3d": ((3,), CUBE),
    "MaxUnpool2d": ((2,), IMAGE, WHOLE),
    "BatchNorm1d": ((4,), SIGNAL),
    "BatchNorm2d": ((4,), IMAGE),
    "BatchNorm3d": ((4,), CUBE),
    "InstanceNorm2d": ((4,), IMAGE),
    "LazyBatchNorm2d": ((), IMAGE),
    "GroupNorm": ((2, 4), IMAGE),
    "LayerNorm": ((4,), TABLE),
    "RMSNorm": ((4,), TABLE),
    "LocalResponseNorm": ((2,), IMAGE),
    "RNN": ((4, 3, 2), (5, 2, 4)),
    "LSTM": ((4, 3), (5, 2, 4)),
    "GRU": ((4, 3), (5, 2, 4)),
    "RNNCell": ((4, 3), TABLE),
    "LSTMCell": ((4, 3), TABLE),
    "GRUCell": ((4, 3), TABLE),
    "Embedding": ((5, 3), WHOLE),
    "EmbeddingBag": ((5, 3), WHOLE),
    "MultiheadAttention": ((4, 2), (5, 2, 4), (5, 2, 4), (5, 2, 4)),
    "TransformerEncoderLayer": ((4, 2, 8), (5, 2, 4)),
    "TransformerDecoderLayer": ((4, 2, 8), (5, 2, 4), (3, 2, 4)),
    "Transformer": ((4, 2, 1, 1, 8), (5, 2, 4), (3, 2, 4)),
    "Softmax": ((1,), TABLE),
    "GLU": ((), TABLE),
    "PReLU": ((4,), TABLE),
    "RReLU": ((), TABLE),
    "Threshold": ((0.1, 2.0), TABLE),
    "Hardtanh": ((), TABLE),
    "Softplus": ((), TABLE),
    "Dropout2d": ((0.5,), IMAGE),
    "AlphaDropout": ((0.5,), TABLE),
    "Upsample": (((8, 8),), IMAGE),
    "PixelShuffle": ((2,), IMAGE),
    "PixelUnshuffle": ((2,), IMAGE),
    "ChannelShuffle": ((2,), IMAGE),
    "ReflectionPad2d": ((1,), IMAGE),
    "ReplicationPad3d": ((1,), CUBE),
    "ConstantPad1d": ((1, 0.5), SIGNAL),
    "CircularPad2d": ((1,), IMAGE),
    "ZeroPad2d": ((1,), IMAGE),
    "Flatten": ((), IMAGE),
    "Unflatten": ((1, (2, 2)), TABLE),
    "CosineSimilarity": ((), TABLE, TABLE),
    "PairwiseDistance": ((), TABLE, TABLE),
    "AdaptiveLogSoftmaxWithLoss": ((4, 9, (2, 5)), TABLE, WHOLE),
    "CrossEntropyLoss": ((), TABLE, WHOLE),
    "NLLLoss": ((), TABLE, WHOLE),
    "MSELoss": ((), TABLE, TABLE),
    "L1Loss": ((), TABLE, TABLE),
    "HuberLoss": ((), TABLE, TABLE),
    "BCELoss": ((), TABLE, TABLE),
    "BCEWithLogitsLoss": ((), TABLE, TABLE),
    "KLDivLoss": ((), TABLE, TABLE),
    "PoissonNLLLoss": ((), TABLE, TABLE),
    "GaussianNLLLoss": ((), TABLE, TABLE, TABLE),
    "CTCLoss": ((), (9, 3, 4), (3, 2), WHOLE, WHOLE),
    "MultiMarginLoss": ((), TABLE, WHOLE),
    "MultiLabelMarginLoss": ((), (3,), WHOLE),
    "MultiLabelSoftMarginLoss": ((), TABLE, TABLE),
    "CosineEmbeddingLoss": ((), TABLE, TABLE, WHOLE),
    "MarginRankingLoss": ((), (3,), (3,), (3,)),
    "TripletMarginLoss": ((), TABLE, TABLE, TABLE),
    "HingeEmbeddingLoss": ((), TABLE, TABLE),
    "LinearCrossEntropyLoss": ((4, 5), TABLE, WHOLE),
}


class Modules:
    """A module is made and called; its arguments, its input, or a parameter of it are changed."""

    def __init__(self):
        self.names = [name for name in MODULES if hasattr(nn, name)]

    def draw(self, v, index):
        name = self.names[index % len(self.names)]
        args, *shapes = MODULES[name]
        args, kwargs = list(args), {}
        inputs = [torch.tensor([1, 0, 2]) if s is WHOLE else torch.ones(s) for s in shapes]
        cls, what = getattr(nn, name), v.random.randrange(3)
        if what:
            for p in inspect.signature(cls).parameters.values():
                if p.default is not p.empty and v.random.random() < 0.2:
                    kwargs[p.name] = v.value(p.default)
            if v.random.random() < 0.5:
                v.change(args, kwargs)
        if what != 1:
            v.change(inputs, {})
        odd = v.tensor() if v.random.random() < 0.2 else None

        def run(args, inputs, kwargs):
            module = cls(*args, **kwargs)
            repr(module)
            if odd is not None:
                for parameter in module.parameters():
                    parameter.data = odd
            return module(*inputs)

        return Call(run, [args, inputs, kwargs], {}, f"nn.{name}")


class Indexing:
    """x[i], x[i] = v and what goes with them."""

    def one(self, v):
        kind = v.random.randrange(10)
        if kind < 3:
            return v.pick([*INTEGERS, 0, 1, -1])
        if kind < 5:
            return slice(*[v.pick([None, None, 1, -1, 2, *INTEGERS]) for _ in range(3)])
        if kind < 6:
            return v.pick([None, ..., True, False])
        if kind < 8:
            shape = v.pick([(), (1,), (2,), (2, 3), (0,), (2, 1), (3, 2, 1)])
            return torch.full(shape, v.pick([0, 1, -1, 5, 2**62]), dtype=torch.int64).to(v.pick(DTYPES))
        if kind < 9:
            return [v.pick([0, 1, -1, 7, True]) for _ in range(v.random.randrange(4))]
        return v.odd()

    def draw(self, v, index):
        x = v.tensor(torch.ones(v.pick([(2, 3), (3, 2, 4), (), (0, 3), (5,)]), dtype=v.pick(DTYPES)))
        if not isinstance(x, torch.Tensor):
            return None
        i = self.one(v) if v.random.random() < 0.4 else tuple(self.one(v) for _ in range(v.random.randrange(5)))
        if v.random.random() < 0.03:
            i = (i,) * 70
        if index % 3 == 0:
            return Call(operator.getitem, [x, i], {}, "getitem")
        if index % 3 == 1:
            return Call(operator.setitem, [x, i, v.pick([1, 0.5, torch.ones(2), torch.ones(3, 2), v.odd()])], {}, "setitem")
        i = i if isinstance(i, tuple) else (i,)
        f = v.pick(["index_put", "index_put_", "index_select", "index_add", "index_fill", "take", "put_", "gather", "index_copy_"])
        args = {"index_put": [i, torch.ones(())], "index_put_": [i, torch.ones(()), v.pick([True, False])]}
        rest = args.get(f) or [v.pick([0, 1, -1, 9]), v.tensor(torch.ones(2, dtype=torch.int64)), v.tensor(x)][f in ("take", "put_") :]
        return Call(getattr(torch.Tensor, f), [x, *rest], {}, f)


class Operators:
    """Python's own operations on tensors."""

    TWO = "add sub mul truediv floordiv mod pow matmul and_ or_ xor lshift rshift eq lt ge iadd imul ipow contains divmod".split()
    ONE = [len, bool, int, float, complex, hash, iter, list, str, repr, abs, operator.neg, operator.invert, operator.index]
    ONE += [round, reversed, np.asarray, torch.Tensor.tolist, torch.Tensor.item, torch.Tensor.__reduce_ex__, dir, memoryview]

    def draw(self, v, index):
        x = v.tensor(torch.ones(v.pick([(2, 3), (), (3,)]), dtype=v.pick(DTYPES)))
        if index % 3 == 0:
            f = v.pick(self.ONE)
            if isinstance(x, torch.Tensor) and x.numel() > 10**6:
                return None
            return Call(f, [x], {}, getattr(f, "__name__", "?"))
        name = v.pick(self.TWO)
        pair = [x, v.odd()] if v.random.random() < 0.7 else [v.odd(), x]
        if v.random.random() < 0.3:
            pair = [x, v.tensor(torch.ones(3, 2))]
        return Call(divmod if name == "divmod" else getattr(operator, name), pair, {}, name)


class Making:
    """Tensors from what is not a tensor: lists, arrays, buffers, storages, and their exchange formats."""

    def array(self, v):
        a = np.ones(v.pick([(2, 3), (), (0, 2), (4,), (2, 3, 4)]), dtype=v.pick("? b H i Q e f d g F D G O U3 S2 M8[s] >f4 >i8".split()))
        kind = v.random.randrange(7)
        if kind == 0:
            a = a[::-1] if a.ndim else a
        elif kind == 1:
            a = np.broadcast_to(a, (3, *a.shape))
        elif kind == 2:
            a = np.lib.stride_tricks.as_strided(a, strides=[s + 1 for s in a.strides])[..., :1] if a.ndim else a
        elif kind == 3:
            a.setflags(write=False)
        elif kind == 4:
            a = a.T
        elif kind == 5:
            a = np.zeros(2, dtype=[("a", "f4"), ("b", "i8")])["b"]
        return a

    def nested(self, v, depth=0):
        if depth > 3 or v.random.random() < 0.3:
            return v.pick([1, 2.5, True, 1j, v.odd(), torch.ones(()), torch.ones(2)])
        return [self.nested(v, depth + 1) for _ in range(v.random.randrange(4))]

    def draw(self, v, index):
        kind = index % 5
        if kind == 0:
            f, args = v.pick(["tensor", "as_tensor", "asarray", "Tensor", "LongTensor", "Size", "scalar_tensor"]), [self.nested(v)]
        elif kind == 1:
            f, args = v.pick(["tensor", "as_tensor", "asarray", "from_numpy", "from_dlpack", "FloatTensor"]), [self.array(v)]
        elif kind == 2:
            f, args = "frombuffer", [v.pick([b"", b"abcdefgh", bytearray(16), np.ones(3), memoryview(bytearray(8))[::2], v.odd()])]
            kwargs = {"dtype": v.pick(DTYPES), "count": v.pick([-1, 1, *INTEGERS]), "offset": v.pick([0, 1, *INTEGERS])}
            return Call(torch.frombuffer, args, kwargs, f)
        elif kind == 3:
            f, args = v.pick(["zeros", "empty", "full", "ones", "rand", "randint", "arange", "linspace", "eye", "empty_strided"]), []
            args = [v.pick([*INTEGERS, 2.5, (2, 3)]) for _ in range(v.pick([1, 1, 2, 3]))]
            if v.random.random() < 0.5:
                args = [tuple(v.pick(INTEGERS) for _ in range(v.random.randrange(4))) for _ in args]
        else:
            f, args = v.pick(["as_strided", "Tensor.resize_", "Tensor.set_", "Tensor.new_empty", "Tensor.expand", "Tensor.view"]), []
            args = [v.tensor(torch.ones(2, 3)), *[[v.pick(INTEGERS) for _ in range(v.random.randrange(4))] for _ in range(2)]]
            args += [v.pick(INTEGERS)] if v.random.random() < 0.5 else []
        kwargs = {"dtype": v.pick([*DTYPES, v.odd()])} if v.random.random() < 0.3 else {}
        if v.random.random() < 0.2:
            v.change(args, kwargs)
        return Call(operator.attrgetter(f)(torch), args, kwargs, f)


class Backward:
    """Derivatives with odd gradients, and derivatives of derivatives."""

    def draw(self, v, index):
        x = torch.ones(v.pick([(2, 3), (), (0,)]), dtype=v.pick(DTYPES[:6])).requires_grad_()
        y = v.pick([lambda x: x * x, lambda x: x.sum(), lambda x: x.exp().expand(3, *x.shape), lambda x: x.detach(), torch.unbind])
        gradient = v.pick([v.tensor(torch.ones(2, 3)), v.odd(), [v.odd(), v.odd()]])
        kwargs = {"create_graph": v.pick([True, False, v.odd()]), "retain_graph": v.pick([True, None, v.odd()])}
        if v.random.random() < 0.3:
            kwargs[v.pick(["inputs", "allow_unused", "is_grads_batched", "materialize_grads"])] = v.odd()

        def hooked(x, gradient, kwargs):
            z = y(x)
            if v.random.random() < 0.3 and isinstance(z, torch.Tensor) and z.requires_grad:
                z.register_hook(lambda g: gradient)
            if index % 2:
                return torch.autograd.grad(z, x, gradient, **kwargs)
            return torch.autograd.backward(z, gradient, **kwargs)

        return Call(hooked, [x, gradient, kwargs], {}, "backward")


class Optimizers:
    """Steps with odd hyperparameters and gradients."""

    def __init__(self):
        self.classes = [c for _, c in inspect.getmembers(torch.optim, inspect.isclass) if c is not torch.optim.Optimizer]

    def draw(self, v, index):
        cls = self.classes[index % len(self.classes)]
        kwargs = {}
        for p in inspect.signature(cls).parameters.values():
            if p.default is not p.empty and v.random.random() < 0.25:
                kwargs[p.name] = v.value(p.default)
        shape = v.pick([(2, 3), (), (0, 3), (4, 1, 2)])
        parameters = [torch.ones(shape, dtype=v.pick(DTYPES[:5])).requires_grad_() for _ in range(2)]
        gradient = v.tensor(torch.ones(shape)) if v.random.random() < 0.5 else None
        if v.random.random() < 0.2:
            parameters = v.odd()

        def run(parameters, kwargs, gradient):
            optimizer = cls(parameters, **kwargs)
            for p in parameters:
                if gradient is not None and v.random.random() < 0.5:
                    p.grad = gradient
                elif isinstance(p, torch.Tensor):
                    p.grad = torch.ones_like(p)
            for _ in range(2):
                optimizer.step(lambda: sum((p * p).sum() for p in parameters))
            optimizer.zero_grad()
            optimizer.load_state_dict(optimizer.state_dict())

        return Call(run, [parameters, kwargs, gradient], {}, f"optim.{cls.__name__}")


class Files:
    """Checkpoints with bytes lost or changed."""

    def __init__(self):
        from rtorch import safetensors

        table = {"a": torch.ones(2, 3), "b": torch.arange(5), "c": torch.ones(3, dtype=torch.bfloat16)}
        buffer = io.BytesIO()
        torch.save({**table, "n": [1, "x", None, {"k": 2.5}], "p": nn.Linear(2, 2).state_dict()}, buffer)
        self.zip, self.tensors = buffer.getvalue(), safetensors.save(table)
        old = io.BytesIO()
        try:
            torch.save(table, old, _use_new_zipfile_serialization=False)
        except Exception:
            old = buffer
        self.old, self.read_tensors = old.getvalue(), safetensors.load

    def draw(self, v, index):
        kind = index % 3
        data = bytearray([self.zip, self.tensors, self.old][kind])
        for _ in range(v.pick([1, 1, 2, 5, 30])):
            at = v.random.randrange(len(data) or 1)
            what = v.random.randrange(5)
            if what == 0:
                del data[at:]
            elif what == 1:
                del data[at : at + v.pick([1, 4, 64])]
            elif what == 2:
                data[at:at] = bytes(v.pick([1, 8, 100]))
            elif data:
                at = at if what == 3 else min(at, v.random.randrange(300))
                data[at % len(data)] = v.random.randrange(256)
        if kind == 1:
            return Call(self.read_tensors, [bytes(data)], {}, f"safetensors.load {len(data)}")
        weights_only = v.pick([True, True, False])
        return Call(torch.load, [io.BytesIO(data)], {"weights_only": weights_only}, f"load {len(data)}")


class Equations:
    """einsum's equations and what else is spelt in strings."""

    def draw(self, v, index):
        letters = "".join(v.pick(list("ijkab.,->. AZ\u00e9{0")) for _ in range(v.random.randrange(12)))
        equation = v.pick(["ij,jk->ik", "...i,i...->...", "ii->i", "i,j,k->ijk", "bij,bjk->bik", letters, letters])
        if v.random.random() < 0.5 and equation:
            at = v.random.randrange(len(equation))
            equation = equation[:at] + v.pick(["", ".", ",", "->", "i", "Z", "...", "\u00e9"]) + equation[at + v.pick([0, 1]) :]
        tensors = [v.tensor(torch.ones(v.pick([(2, 2), (2, 3), (3,), (2, 2, 2)]))) for _ in range(v.random.randrange(4))]
        if index % 4 == 0:
            return Call(torch.device, [equation], {}, "device")
        return Call(torch.einsum, [equation, *tensors], {}, "einsum")


class Matrices:
    """Linear algebra on singular matrices and on numbers that are none."""

    NAMES = (
        "inv solve det slogdet cholesky qr svd svdvals eig eigh eigvals eigvalsh lstsq lu lu_factor matrix_rank pinv cond "
        "matrix_exp matrix_power ldl_factor solve_triangular inv_ex cholesky_ex norm matrix_norm multi_dot householder_product"
    ).split()

    def draw(self, v, index):
        name = self.NAMES[index % len(self.NAMES)]
        f = getattr(torch.linalg, name, None)
        n, dtype = v.pick([0, 1, 2, 5, 40]), v.pick([torch.float32, torch.float64, torch.complex64, torch.float16])
        fill = v.pick([0.0, 1.0, float("nan"), float("inf"), 1e30, 1e-30, 1e38])
        a = torch.full((*v.pick([(), (2,), (0,)]), n, v.pick([n, n, n + 1])), fill, dtype=torch.float64).to(dtype)
        if n and v.random.random() < 0.5:
            a = a + torch.eye(*a.shape[-2:]).to(dtype)
        args = [a]
        if name in ("solve", "lstsq", "solve_triangular"):
            args.append(a)
        elif name == "matrix_power":
            args.append(v.pick([2, -1, 2**62, -(2**63)]))
        elif name == "multi_dot":
            args = [[a, a, a]]
        if v.random.random() < 0.4:
            v.change(args, {})
        return None if f is None else Call(f, args, {}, f"linalg.{name}")


class Printing:
    """Texts of odd tensors."""

    def draw(self, v, index):
        x = v.tensor(torch.ones(v.pick([(2, 3), (), (1001,), (40, 40)]), dtype=v.pick(DTYPES)))
        if isinstance(x, torch.Tensor):
            if x.device.type != "meta" and x.numel() and v.random.random() < 0.5 and x.dtype.is_floating_point:
                x = x.detach().clone()
                x.view(-1)[0] = v.pick([float("nan"), float("inf"), 1e30, 1e-30])
            return Call(v.pick([repr, str, "{}".format, lambda x: f"{x:.3f}"]), [x], {}, "repr")
        return None


class Subclasses:
    """Ops on a subclass and on objects that answer for themselves."""

    def __init__(self, ops):
        self.ops = ops

    def draw(self, v, index):
        name = v.pick(self.ops.names)
        f, args, kwargs = self.ops.sample(name, v)
        if f is None:
            return None
        args = [a.as_subclass(Sub) if isinstance(a, torch.Tensor) and v.random.random() < 0.7 else a for a in args]
        v.change(args, kwargs)
        return Call(f, args, kwargs, f"Sub {name}")


def all_targets():
    """Each target with its share of the calls."""
    ops = Ops()
    rest = [Names(), Modules(), Indexing(), Operators(), Making(), Backward(), Optimizers(), Files(), Equations(), Matrices()]
    return ops, [*rest, Printing(), Subclasses(ops), Names(), Modules()]


__all__ = ["Call", "all_targets", "show"]
