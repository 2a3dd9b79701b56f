"""Every generic check over every row of opdb: values, layouts, forms, gradients, errors."""

import math

import numpy as np
import pytest

import opdb
import rtorch as torch
from opdb.row import HALVES, TOLERANCES

# Numpy says so of means of nothing.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

TABLE = {}
for _entry in torch._C.op_table():
    TABLE.setdefault(_entry["name"], []).append(_entry)

ROWS = [row for row in opdb.ROWS if not row.via and row.function() is not None]


def cases(choose):
    """(row, dtype) of the rows that exist; one name may have several rows."""
    seen, found = {}, []
    for row in ROWS:
        for dtype in choose(row):
            label = f"{row.name}-{str(dtype).rsplit('.')[-1]}"
            seen[label] = seen.get(label, 0) + 1
            found.append(pytest.param(row, dtype, id=label if seen[label] == 1 else f"{label}-{seen[label]}"))
    return pytest.mark.parametrize("row, dtype", found)


def first(row):
    return row.all_dtypes()[:1]


def leaves(value):
    if isinstance(value, (tuple, list)) and not isinstance(value, torch.Size):
        return [leaf for v in value for leaf in leaves(v)]
    return [value]


def check_close(got, want, dtype, tol=None, what=""):
    """Compares a tensor or number with what numpy says, in the tolerance of the dtype."""
    if isinstance(got, torch.Tensor):
        assert tuple(got.shape) == np.shape(want), f"{what}: shape {tuple(got.shape)}, expected {np.shape(want)}"
        precision = min(
            (d for d in (dtype, got.dtype) if d in TOLERANCES), key=lambda d: -TOLERANCES[d][0], default=None
        )
        values = opdb.array(got)
        want = np.asarray(want)
        if values.dtype.kind in "iub" and want.dtype.kind != values.dtype.kind:
            # Integer results wrap, bool ones are truths.
            want = want.astype(values.dtype)
        if got.dtype in (torch.uint8, torch.int8, torch.int16, torch.int32) and want.dtype.kind == "i":
            want = want.astype(str(got.dtype).rsplit(".")[-1]).astype(np.int64)
    else:
        values, precision = got, dtype if dtype in TOLERANCES else None
    rtol, atol = TOLERANCES.get(precision, (0, 0))
    if tol is not None and precision is not None:
        scale = 1 if precision not in (torch.float64, torch.complex128) else 1e-3
        rtol, atol = max(rtol, tol[0] * scale), max(atol, tol[1] * scale)
    if precision in HALVES:
        # Sums and products of a few rounded steps.
        atol = max(atol, 4 * atol * float(np.max(np.abs(want), initial=0, where=np.isfinite(want))))
    np.testing.assert_allclose(values, want, rtol=rtol, atol=atol, err_msg=what)


def check_same(a, b, what, rtol=1e-5, atol=1e-6):
    """Two results of ours agree, in dtype and shape as well."""
    one, two = leaves(a), leaves(b)
    assert len(one) == len(two), what
    for x, y in zip(one, two):
        if not isinstance(x, torch.Tensor):
            assert x == y or (x != x and y != y), what
            continue
        assert x.dtype == y.dtype and x.shape == y.shape, f"{what}: {x.dtype} {x.shape} and {y.dtype} {y.shape}"
        if x.dtype in HALVES:
            rtol, atol = 2e-2, 2e-2
        np.testing.assert_allclose(opdb.array(x), opdb.array(y), rtol=rtol, atol=atol, err_msg=what)


def check_values(row, sample, dtype):
    """One call against the reference, leaving its arguments as they were."""
    f, what = row.function(), f"{row}{sample}"
    before = [t.clone() for t in sample.tensors()]
    want = None if row.ref is None else opdb.expected(row, sample)
    result = f(*sample.args, **sample.kwargs)
    if not (row.name.endswith("_") and not row.name.endswith("__")):
        for t, old in zip(sample.tensors(), before):
            check_same(t.detach(), old, f"{what} modified its input", 0, 0)
    if row.check is not None:
        row.check(result, sample)
    if row.ref is None:
        assert row.check is not None, f"{row} checks nothing"
        return result
    if isinstance(want, (tuple, list)) and isinstance(result, (tuple, list)) and not isinstance(result, torch.Size):
        assert len(result) >= len(want), f"{what}: {len(result)} results, expected {len(want)}"
        gives = row.gives if isinstance(row.gives, tuple) else (row.gives,) * len(want)
        for r, w, g in zip(result, want, gives):
            check_close(r, w, dtype, row.tol, what)
            kind = row.result_dtype(g, sample)
            assert kind is None or r.dtype == kind, f"{what}: {r.dtype}, expected {kind}"
        return result
    if not isinstance(result, torch.Tensor):
        if isinstance(want, (bool, tuple, list)):
            assert (tuple(result) if isinstance(want, tuple) else result) == want, what
        else:
            check_close(result, want, dtype, row.tol, what)
        return result
    check_close(result, want, dtype, row.tol, what)
    kind = row.result_dtype(row.gives, sample)
    assert kind is None or result.dtype == kind, f"{what}: {result.dtype}, expected {kind}"
    return result


@cases(lambda row: row.all_dtypes())
def test_values(row, dtype):
    samples = row.draw(dtype)
    assert samples or row.errors, f"{row} has no samples"
    for sample in samples:
        result = check_values(row, sample, dtype)
        if row.view:
            check_view(row, sample, result)


def check_view(row, sample, result):
    """Same memory, and the strides that numpy's view of such memory has."""
    x = sample.tensors()[0]
    shared = result is x or result._base is x or result.data_ptr() == x.data_ptr()
    assert shared, f"{row}{sample} is no view"
    if result.numel() == 0 or x.is_complex() or result.is_complex():
        return
    plain = x.detach().numpy()
    seen = row.ref(plain, *(opdb.array(a) for a in sample.args[1:]), **sample.kwargs)
    if np.shares_memory(plain, seen):
        want = [s // seen.itemsize for s, n in zip(seen.strides, seen.shape) if n > 1]
        assert [s for s, n in zip(result.stride(), result.shape) if n > 1] == want, f"{row}{sample}: strides"
    if x.dtype != torch.bool:
        marked = result.detach().reshape(-1)[:1].clone() + 1
        index = (0,) * result.dim()
        result.detach()[index] = marked[0]
        assert float(marked[0]) in x.detach().reshape(-1).tolist(), f"{row}{sample} does not write through"


def every_second(t):
    """The same elements, every second one of a larger tensor."""
    if t.dim() == 0:
        return t.unsqueeze(0).expand(2)[1]
    big = torch.empty([n * 2 for n in t.shape], dtype=t.dtype)
    big.fill_(1)
    part = big
    for d in range(t.dim()):
        part = part.as_strided(
            [n // 2 if i == d else n for i, n in enumerate(part.shape)],
            [s * 2 if i == d else s for i, s in enumerate(part.stride())],
        )
    return part.copy_(t)


def offset(t):
    """The same elements, not at the start of their memory."""
    big = torch.empty(t.numel() + 3, dtype=t.dtype)
    big.fill_(1)
    return big.as_strided(t.shape, torch.empty(t.shape).stride(), 3).copy_(t)


def transposed(t):
    """The same elements with dims in reverse order in memory."""
    return t.permute(tuple(range(t.dim()))[::-1]).clone().contiguous().permute(tuple(range(t.dim()))[::-1])


def expanded(t):
    """Other elements: the first along the first dim, repeated without copies."""
    return t.narrow(0, 0, 1).expand(t.shape) if t.dim() and t.shape[0] else t


LAYOUTS = {"every_second": every_second, "offset": offset, "transposed": transposed}


@cases(lambda row: () if row.random or not row.layouts else first(row))
def test_layouts(row, dtype):
    """What the memory looks like does not change the result."""
    f = row.function()
    for sample in row.draw(dtype):
        want = f(*sample.args, **sample.kwargs)
        for name, layout in LAYOUTS.items():
            other = sample.map(layout)
            check_same(f(*other.args, **other.kwargs), want, f"{row}{sample} {name}", 1e-4, 1e-5)


@cases(lambda row: () if row.random or not row.layouts or row.check else first(row))
def test_expanded(row, dtype):
    f = row.function()
    for sample in row.draw(dtype)[:4]:
        if any(t.dtype in (torch.int64, torch.bool) and t.dtype != dtype for t in sample.tensors()):
            continue
        one = sample.map(lambda t: expanded(t) if t.is_floating_point() else t)
        dense = one.map(lambda t: t.clone(memory_format=torch.contiguous_format))
        try:
            want = f(*dense.args, **dense.kwargs)
        except RuntimeError:
            # A matrix of equal rows has no inverse.
            continue
        if all(bool(torch.isfinite(w).all()) for w in leaves(want) if isinstance(w, torch.Tensor)):
            check_same(f(*one.args, **one.kwargs), want, f"{row}{sample} expanded", 1e-3, 1e-4)


def entries(row):
    """The op's lines of the table, where it is the one that the row means."""
    if not row.forms or row.random:
        return []
    place = row.space or "torch"
    return [e for e in TABLE.get(row.name, []) if row.space is None or place in e["spaces"]]


@cases(lambda row: first(row) if any("Tensor" in e["spaces"] for e in entries(row)) else ())
def test_method(row, dtype):
    f = row.function()
    for sample in row.draw(dtype):
        if sample.args and isinstance(sample.args[0], torch.Tensor):
            method = getattr(sample.args[0], row.name)
            check_same(method(*sample.args[1:], **sample.kwargs), f(*sample.args, **sample.kwargs), f"{row}{sample}")


@cases(lambda row: first(row) if any(e["inplace"] for e in entries(row)) else ())
def test_in_place(row, dtype):
    f = row.function()
    inplace = getattr(torch.Tensor, f"{row.name}_", None)
    if inplace is None:
        inplace = opdb.find(f"{row.name}_")
    if inplace is None and row.space == "nn.functional":
        # Activations without a name of their own in place take a flag.
        def inplace(*args, **kwargs):
            return f(*args, **kwargs, inplace=True)

    assert inplace is not None, f"{row.name}_ is missing"
    for sample in row.draw(dtype):
        want, x = f(*sample.args, **sample.kwargs), sample.args[0]
        if not isinstance(want, torch.Tensor) or want.shape != x.shape or not torch.can_cast(want.dtype, x.dtype):
            continue
        mine = x.clone()
        memory, version = mine.data_ptr(), mine._version
        result = inplace(mine, *sample.args[1:], **sample.kwargs)
        assert result is mine and mine.data_ptr() == memory, f"{row}_{sample} moved"
        assert mine._version > version, f"{row}_{sample} did not count the change"
        check_same(mine, want.to(x.dtype), f"{row}_{sample}")


# These compute in the dtype of out=.
DTYPE_OF_OUT = ("sum", "nansum", "prod", "cumsum", "cumprod")


@cases(lambda row: first(row) if any(e["out"] for e in entries(row)) else ())
def test_out(row, dtype):
    f = row.function()
    for sample in row.draw(dtype):
        want = f(*sample.args, **sample.kwargs)
        many = isinstance(want, tuple)
        if not all(isinstance(w, torch.Tensor) for w in leaves(want)):
            continue
        for sized in (True, False):
            outs = tuple(torch.empty_like(w) if sized else torch.empty(0, dtype=w.dtype) for w in leaves(want))
            try:
                result = f(*sample.args, **sample.kwargs, out=outs if many else outs[0])
            except TypeError:
                # An overload without out=, such as max of everything.
                break
            for r, o in zip(leaves(result), outs):
                assert r is o or r.data_ptr() == o.data_ptr(), f"{row}{sample} out= is not returned"
            check_same(outs if many else outs[0], want, f"{row}{sample} out=")
        else:
            if not many and want.numel() and want.dtype.is_floating_point and row.name not in DTYPE_OF_OUT:
                with pytest.raises((RuntimeError, TypeError)):
                    f(*sample.args, **sample.kwargs, out=torch.empty(want.shape, dtype=torch.int32))
            return


# A composite of complex numbers has gradients too; others are checked in the real ones.
def gradient_dtypes(row):
    if not row.grad or row.random:
        return ()
    return (torch.float64,) if torch.float64 in row.all_dtypes() else ()


def complex_gradient_dtypes(row):
    return (torch.complex128,) if row.grad and not row.random and "c" in row.dtypes else ()


def differentiable(row, sample):
    """The call as a function of the tensors that have gradients, and those tensors."""
    keep = set()
    for position, value in enumerate(sample.args):
        if position in row.constants:
            keep |= {id(t) for t in opdb.Sample(value).tensors()}
    for name, value in sample.kwargs.items():
        if name in row.constants:
            keep |= {id(t) for t in opdb.Sample(value).tensors()}
    inputs = []
    for t in sample.tensors():
        if (t.is_floating_point() or t.is_complex()) and id(t) not in keep and not any(t is i for i in inputs):
            inputs.append(t)
    inputs = [t.detach().clone().requires_grad_() for t in inputs]
    order = [t for t in sample.tensors()]
    ids = []
    for t in order:
        if (t.is_floating_point() or t.is_complex()) and id(t) not in keep and id(t) not in ids:
            ids.append(id(t))

    def call(*tensors):
        if row.through is not None:
            tensors = (row.through(tensors[0]), *tensors[1:])
        swap = dict(zip(ids, tensors))
        s = sample.map(lambda t: swap.get(id(t), t))
        result = row.function()(*s.args, **s.kwargs)
        return tuple(
            r for r in leaves(result) if isinstance(r, torch.Tensor) and (r.is_floating_point() or r.is_complex())
        )

    return call, inputs


def gradient_samples(row, dtype, most, count):
    """The smaller samples, and of those some that differ in kind."""
    found = []
    for sample in row.draw(dtype):
        elements = sum(t.numel() for t in sample.tensors() if t.dtype == dtype)
        whole = all(t.numel() for t in sample.tensors())
        if (
            whole
            and 0 < elements <= most
            and not any(
                math.isnan(v) or math.isinf(v)
                for t in sample.tensors()
                if t.dtype == torch.float64
                for v in t.reshape(-1).tolist()
            )
        ):
            found.append(sample)
    step = max(1, len(found) // count)
    return found[::step][: count + 1]


def check_gradients(row, dtype, check, most, count, **options):
    samples = gradient_samples(row, dtype, most, count)
    for sample in samples:
        call, inputs = differentiable(row, sample)
        if inputs:
            try:
                check(call, inputs, **options)
            except Exception as e:
                raise AssertionError(f"{row}{sample}: {type(e).__name__}: {e}") from e


@cases(gradient_dtypes)
def test_gradcheck(row, dtype):
    check_gradients(row, dtype, torch.autograd.gradcheck, 60, 4, eps=1e-6, atol=1e-5, rtol=1e-4)
    check_gradients(row, dtype, torch.autograd.gradcheck, 300, 8, eps=1e-6, atol=1e-4, rtol=1e-3, fast_mode=True)


@cases(complex_gradient_dtypes)
def test_gradcheck_complex(row, dtype):
    check_gradients(row, dtype, torch.autograd.gradcheck, 24, 2, eps=1e-6, atol=1e-5, rtol=1e-4)


@cases(lambda row: gradient_dtypes(row) if row.gradgrad else ())
def test_gradgradcheck(row, dtype):
    check_gradients(row, dtype, torch.autograd.gradgradcheck, 60, 3, eps=1e-6, atol=1e-4, rtol=1e-3, fast_mode=True)


@pytest.mark.parametrize(
    "row, error",
    [pytest.param(row, error, id=f"{row.name}-{i}") for row in ROWS for i, error in enumerate(row.errors)],
)
def test_error(row, error):
    dtype = row.all_dtypes()[0]
    sample = error.call(opdb.Make(dtype, row.name))
    sample = (
        sample if isinstance(sample, opdb.Sample) else opdb.Sample(*sample if isinstance(sample, tuple) else (sample,))
    )
    with pytest.raises(error.kind, match=error.text.replace("()", r"\(\)") if "\\(" not in error.text else error.text):
        row.function()(*sample.args, **sample.kwargs)


def test_via_names_a_row():
    checked = {row.name for row in opdb.ROWS if not row.via}
    assert not [row for row in opdb.ROWS if row.via and row.via not in checked]


def test_rows_exist():
    """A row whose op is nowhere checks nothing."""
    missing = {row.name for row in opdb.ROWS if not row.via and row.function() is None}
    assert not missing


# The checks themselves can fail.
def wrong(**change):
    good = dict(ref=np.exp, samples=lambda make: iter([opdb.Sample(make(2, 3))]), dtypes="f")
    return opdb.Row("exp", **{**good, **change})


@pytest.mark.parametrize(
    "row",
    [
        wrong(ref=lambda x: np.exp(x) * (1 + 1e-4)),
        wrong(ref=lambda x: np.exp(x).ravel()),
        wrong(gives="int64"),
        wrong(ref=None),
        wrong(ref=None, check=lambda r, s: np.testing.assert_array_equal(r.numpy(), 0)),
    ],
    ids=["value", "shape", "dtype", "nothing", "check"],
)
def test_a_wrong_row_fails(row):
    with pytest.raises(AssertionError):
        check_values(row, row.draw(torch.float32)[0], torch.float32)


def test_a_changed_input_fails():
    row = wrong()
    row.function = lambda: lambda x: x.neg_().neg_().exp_()
    with pytest.raises(AssertionError, match="modified its input"):
        check_values(row, row.draw(torch.float32)[0], torch.float32)


def test_a_wrong_gradient_fails():
    row = wrong()
    row.function = lambda: lambda x: x.exp() + x.detach()
    with pytest.raises(AssertionError, match="Jacobian|gradcheck|Gradcheck|gradients"):
        check_gradients(row, torch.float64, torch.autograd.gradcheck, 60, 4)
    row.function = lambda: lambda x: x.exp() * x.detach() * x
    with pytest.raises(AssertionError):
        check_gradients(row, torch.float64, torch.autograd.gradgradcheck, 60, 4, fast_mode=True)
