"""What is not one call of an op: indexing, operators, derivatives, optimizers, files and the like."""

import inspect
import io
import operator

import numpy as np

import rtorch as torch
from rtorch import nn

from .ops import Call
from .values import DTYPES, INTEGERS, Sub


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
            return Call(
                operator.setitem, [x, i, v.pick([1, 0.5, torch.ones(2), torch.ones(3, 2), v.odd()])], {}, "setitem"
            )
        i = i if isinstance(i, tuple) else (i,)
        f = v.pick(
            [
                "index_put",
                "index_put_",
                "index_select",
                "index_add",
                "index_fill",
                "take",
                "put_",
                "gather",
                "index_copy_",
            ]
        )
        args = {"index_put": [i, torch.ones(())], "index_put_": [i, torch.ones(()), v.pick([True, False])]}
        rest = (
            args.get(f)
            or [v.pick([0, 1, -1, 9]), v.tensor(torch.ones(2, dtype=torch.int64)), v.tensor(x)][f in ("take", "put_") :]
        )
        return Call(getattr(torch.Tensor, f), [x, *rest], {}, f)


class Operators:
    """Python's own operations on tensors."""

    TWO = (
        "add sub mul truediv floordiv mod pow matmul and_ or_ xor lshift rshift eq lt ge iadd imul ipow contains divmod"
    ).split()
    ONE = [
        len,
        bool,
        int,
        float,
        complex,
        hash,
        iter,
        list,
        str,
        repr,
        abs,
        operator.neg,
        operator.invert,
        operator.index,
    ]
    ONE += [
        round,
        reversed,
        np.asarray,
        torch.Tensor.tolist,
        torch.Tensor.item,
        torch.Tensor.__reduce_ex__,
        dir,
        memoryview,
    ]

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
        a = np.ones(
            v.pick([(2, 3), (), (0, 2), (4,), (2, 3, 4)]),
            dtype=v.pick("? b H i Q e f d g F D G O U3 S2 M8[s] >f4 >i8".split()),
        )
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
            f, args = (
                v.pick(["tensor", "as_tensor", "asarray", "Tensor", "LongTensor", "Size", "scalar_tensor"]),
                [self.nested(v)],
            )
        elif kind == 1:
            f, args = (
                v.pick(["tensor", "as_tensor", "asarray", "from_numpy", "from_dlpack", "FloatTensor"]),
                [self.array(v)],
            )
        elif kind == 2:
            f, args = (
                "frombuffer",
                [v.pick([b"", b"abcdefgh", bytearray(16), np.ones(3), memoryview(bytearray(8))[::2], v.odd()])],
            )
            kwargs = {"dtype": v.pick(DTYPES), "count": v.pick([-1, 1, *INTEGERS]), "offset": v.pick([0, 1, *INTEGERS])}
            return Call(torch.frombuffer, args, kwargs, f)
        elif kind == 3:
            f, args = (
                v.pick(
                    ["zeros", "empty", "full", "ones", "rand", "randint", "arange", "linspace", "eye", "empty_strided"]
                ),
                [],
            )
            args = [v.pick([*INTEGERS, 2.5, (2, 3)]) for _ in range(v.pick([1, 1, 2, 3]))]
            if v.random.random() < 0.5:
                args = [tuple(v.pick(INTEGERS) for _ in range(v.random.randrange(4))) for _ in args]
        else:
            f, args = (
                v.pick(
                    ["as_strided", "Tensor.resize_", "Tensor.set_", "Tensor.new_empty", "Tensor.expand", "Tensor.view"]
                ),
                [],
            )
            args = [
                v.tensor(torch.ones(2, 3)),
                *[[v.pick(INTEGERS) for _ in range(v.random.randrange(4))] for _ in range(2)],
            ]
            args += [v.pick(INTEGERS)] if v.random.random() < 0.5 else []
        kwargs = {"dtype": v.pick([*DTYPES, v.odd()])} if v.random.random() < 0.3 else {}
        if v.random.random() < 0.2:
            v.change(args, kwargs)
        return Call(operator.attrgetter(f)(torch), args, kwargs, f)


class Backward:
    """Derivatives with odd gradients, and derivatives of derivatives."""

    def draw(self, v, index):
        x = torch.ones(v.pick([(2, 3), (), (0,)]), dtype=v.pick(DTYPES[:6])).requires_grad_()
        y = v.pick(
            [
                lambda x: x * x,
                lambda x: x.sum(),
                lambda x: x.exp().expand(3, *x.shape),
                lambda x: x.detach(),
                torch.unbind,
            ]
        )
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
        self.classes = [
            c for _, c in inspect.getmembers(torch.optim, inspect.isclass) if c is not torch.optim.Optimizer
        ]

    def draw(self, v, index):
        cls = self.classes[index % len(self.classes)]
        kwargs = {}
        for p in inspect.signature(cls).parameters.values():
            if p.default is not p.empty and v.random.random() < 0.25:
                kwargs[p.name] = v.value(p.default)
        shape = v.pick([(2, 3), (), (0, 3), (4, 1, 2)])
        parameters = [torch.ones(shape, dtype=v.pick(DTYPES[:5])).requires_grad_() for _ in range(2)]
        gradient = v.tensor(torch.ones(shape)) if v.random.random() < 0.5 else None
        if gradient is not None:
            # A search with a wrong gradient takes as many steps as it is told.
            kwargs.pop("max_iter", None)
        if v.random.random() < 0.2:
            parameters = v.odd()

        def run(parameters, kwargs, gradient):
            optimizer = cls(parameters, **kwargs)
            for p in parameters:
                if gradient is not None and v.random.random() < 0.5:
                    p.grad = gradient
                elif isinstance(p, torch.Tensor):
                    p.grad = torch.ones_like(p)

            def closure():
                loss = sum((p * p).sum() for p in parameters)
                if gradient is None:
                    optimizer.zero_grad()
                    loss.backward()
                return loss

            for _ in range(2):
                optimizer.step(closure)
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
            equation = (
                equation[:at]
                + v.pick(["", ".", ",", "->", "i", "Z", "...", "\u00e9"])
                + equation[at + v.pick([0, 1]) :]
            )
        tensors = [
            v.tensor(torch.ones(v.pick([(2, 2), (2, 3), (3,), (2, 2, 2)]))) for _ in range(v.random.randrange(4))
        ]
        if index % 4 == 0:
            return Call(torch.device, [equation], {}, "device")
        return Call(torch.einsum, [equation, *tensors], {}, "einsum")


class Matrices:
    """Linear algebra on singular matrices and on numbers that are none."""

    NAMES = (
        "inv solve det slogdet cholesky qr svd svdvals eig eigh eigvals eigvalsh lstsq lu lu_factor matrix_rank pinv "
        "cond matrix_exp matrix_power ldl_factor solve_triangular inv_ex cholesky_ex norm matrix_norm multi_dot "
        "householder_product"
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
