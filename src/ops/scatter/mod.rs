//! Reading and writing at positions an index tensor gives along one axis: gather, scatter and their folds.

use super::args::Args;
use crate::autograd::{self, Grads, Saved, engine::grads, record, record_not_differentiable};
use crate::cpu::index::{self as kernel, Fold, shown};
use crate::dtype::DType;
use crate::error::Result;
use crate::scalar::Scalar;
use crate::shape::{self, Sizes};
use crate::tensor::Tensor;
use smallvec::SmallVec;

mod flat;
mod reduce;

pub use flat::{put, take};
pub use reduce::{Reduce, scatter_reduce};

/// The index as int64, detached.
fn long(op: &str, index: &Tensor) -> Result<Tensor> {
    crate::check!(
        matches!(index.dtype(), DType::I64 | DType::I32) || index.numel() == 0,
        Runtime,
        "{op}(): Expected dtype int32/int64 for index"
    );
    index.detach().to_dtype(DType::I64)
}

/// The tensor with at least one axis, over the same memory.
pub fn at_least_1d(t: &Tensor) -> Result<Tensor> {
    if t.ndim() > 0 {
        Ok(t.clone())
    } else {
        autograd::no_grad(|| t.detach().reshape(&[1]))
    }
}

/// A number as a 0-d tensor of `dtype`, if the dtype has room for it.
pub fn number_of(value: Scalar, dtype: DType) -> Result<Tensor> {
    let real = value.to_complex().re;
    // Negative numbers wrap around in unsigned types.
    let fits = match dtype {
        DType::U8 => real.abs() <= u8::MAX as f64,
        DType::I8 => (i8::MIN as f64..=i8::MAX as f64).contains(&real),
        DType::I16 => (i16::MIN as f64..=i16::MAX as f64).contains(&real),
        DType::I32 => (i32::MIN as f64..=i32::MAX as f64).contains(&real),
        DType::I64 => (i64::MIN as f64..=i64::MAX as f64).contains(&real),
        DType::U16 => real.abs() <= u16::MAX as f64,
        DType::U32 => real.abs() <= u32::MAX as f64,
        DType::U64 => real.abs() <= u64::MAX as f64,
        DType::F16 => !real.is_finite() || real.abs() <= 65504.0,
        DType::F32 | DType::BF16 => !real.is_finite() || real.abs() <= f32::MAX as f64,
        _ => true,
    };
    let whole = dtype.is_complex() || dtype == DType::Bool || value.to_complex().im == 0.0;
    crate::check!(
        fits && whole,
        Runtime,
        "value cannot be converted to type {} without overflow",
        dtype.c_name()
    );
    Tensor::scalar(value, dtype)
}

/// Zero where `mask` holds.
pub fn zeroed(t: &Tensor, mask: &Tensor) -> Result<Tensor> {
    mask.where_(&Tensor::wrapped(0)?, t)
}

/// A device checks on its own: what is out of bounds there reads zero and writes nothing.
fn in_bounds(index: &Tensor, dim: usize, n: usize) -> Result<()> {
    if !index.device().is_cpu() {
        return Ok(());
    }
    kernel::check_bounds(index, 0, n, |i| {
        crate::err!(
            Runtime,
            "index {i} is out of bounds for dimension {dim} with size {n}"
        )
    })
}

fn take_along(x: &Tensor, d: usize, at: &Tensor, out: &Tensor) -> Result<()> {
    #[cfg(feature = "gpu")]
    if !x.device().is_cpu() {
        return crate::gpu::by_index("gather", crate::gpu::Move::Gather, x, d, at, out);
    }
    x.need_cpu("gather")?;
    kernel::gather(x, d, at, out);
    Ok(())
}

/// `out[i, j] = x[index[i, j], j]` for `dim` 0.
pub fn gather(x: &Tensor, dim: i64, index: &Tensor) -> Result<Tensor> {
    x.same_device(index)?;
    let d = shape::wrap_dim(dim, x.ndim())?;
    let at = long("gather", index)?;
    let out = Tensor::empty(at.sizes(), x.dtype(), x.device())?;
    if at.numel() > 0 {
        let (x1, at1) = (at_least_1d(x)?, at_least_1d(&at)?);
        crate::check!(
            x1.ndim() == at1.ndim(),
            Runtime,
            "Index tensor must have the same number of dimensions as input tensor"
        );
        for k in (0..x1.ndim()).filter(|&k| k != d) {
            crate::check!(
                at1.sizes()[k] <= x1.sizes()[k],
                Runtime,
                "Size does not match at dimension {k} expected index {} to be no larger than self {} apart from \
                 dimension {d}",
                shown(&at),
                shown(x)
            );
        }
        in_bounds(&at, d, x1.sizes()[d])?;
        take_along(&x1, d, &at1, &at_least_1d(&out)?)?;
    }
    if autograd::needs_grad(&[x]) {
        let sizes: Sizes = SmallVec::from_slice(x.sizes());
        let saved = Saved::input(index);
        record("GatherBackward0", &[x], &[&out], move |g: &Grads| {
            let (g0, index) = (g.get(0)?, saved.get(g)?);
            grads([Some(scatter_add(
                &Tensor::zeros(&sizes, g0.dtype(), g0.device())?,
                d as i64,
                &index,
                &g0,
            )?)])
        });
    }
    Ok(out)
}

/// What all scatters ask of their arguments; the axis and the index as int64.
fn check_scatter(
    x: &Tensor,
    dim: i64,
    index: &Tensor,
    src: Option<&Tensor>,
) -> Result<(usize, Tensor)> {
    x.same_device(index)?;
    if let Some(s) = src {
        x.same_device(s)?;
    }
    let d = shape::wrap_dim(dim, x.ndim())?;
    let at = long("scatter", index)?;
    if let Some(s) = src {
        crate::check!(
            s.dtype() == x.dtype(),
            Runtime,
            "scatter(): Expected self.dtype to be equal to src.dtype"
        );
    }
    if at.numel() == 0 {
        return Ok((d, at));
    }
    let (xs, is) = (at_least_1d(x)?, at_least_1d(&at)?);
    crate::check!(
        xs.ndim() == is.ndim(),
        Runtime,
        "Index tensor must have the same number of dimensions as self tensor"
    );
    let small = (0..xs.ndim()).all(|k| k == d || is.sizes()[k] <= xs.sizes()[k]);
    if let Some(s) = src {
        let ss = at_least_1d(s)?;
        crate::check!(
            ss.ndim() == is.ndim(),
            Runtime,
            "Index tensor must have the same number of dimensions as src tensor"
        );
        crate::check!(
            small && is.sizes().iter().zip(ss.sizes()).all(|(i, s)| i <= s),
            Runtime,
            "Expected index {} to be no larger than self {} apart from dimension {d} and to be no larger size than src {}",
            shown(&at),
            shown(x),
            shown(s)
        );
    } else {
        crate::check!(
            small,
            Runtime,
            "Expected index {} to be no larger than self {} apart from dimension {d}",
            shown(&at),
            shown(x)
        );
    }
    in_bounds(&at, d, xs.sizes()[d])?;
    Ok((d, at))
}

/// Runs a scatter into `out`, whose memory is its own.
fn scatter_data(
    out: &Tensor,
    d: usize,
    at: &Tensor,
    src: &Tensor,
    fold: Option<Fold>,
) -> Result<()> {
    if at.numel() == 0 {
        return Ok(());
    }
    let (out, at, src) = (
        at_least_1d(out)?,
        at_least_1d(at)?,
        at_least_1d(&src.detach())?,
    );
    #[cfg(feature = "gpu")]
    if !out.device().is_cpu() {
        use crate::gpu::{Move, by_index};
        let mut src = src;
        for k in 0..src.ndim() {
            src = src.strided_slice(k, 0, at.sizes()[k] as i64, 1)?;
        }
        return match fold {
            None => by_index("scatter", Move::Scatter, &out, d, &at, &src),
            Some(Fold::Sum) => by_index("scatter_add", Move::Add, &out, d, &at, &src),
            Some(_) => out.need_cpu("scatter_reduce"),
        };
    }
    out.need_cpu("scatter")?;
    match fold {
        None => kernel::scatter(&out, d, &at, &src),
        Some(f) if out.dtype().compute() != out.dtype() => {
            // Half types fold in float32 and round once.
            let wide = out.to_dtype(DType::F32)?;
            kernel::scatter_fold(&wide, d, &at, &src.to_dtype(DType::F32)?, f);
            out.write_from(&wide)?;
        }
        Some(f) => kernel::scatter_fold(&out, d, &at, &src, f),
    }
    Ok(())
}

/// Gradients of `src` elements the index does not reach are zero.
fn fit_source(g: Tensor, sizes: &[usize]) -> Result<Tensor> {
    let mut g = g;
    if g.ndim() != sizes.len() {
        return g.reshape_to(sizes);
    }
    for d in 0..sizes.len() {
        if g.sizes()[d] != sizes[d] {
            let mut full: Sizes = SmallVec::from_slice(g.sizes());
            full[d] = sizes[d];
            g = super::view::slice_backward(&g, &full, d, 0, 1)?;
        }
    }
    Ok(g)
}

/// What an op writes to: a copy, or the tensor's own memory where it runs in place.
pub fn target(x: &Tensor, over: bool) -> Result<Tensor> {
    if over { Ok(x.detach()) } else { x.clone_data() }
}

/// Whether two dense tensors share elements.
fn meets(a: &Tensor, b: &Tensor) -> bool {
    let span = |t: &Tensor| {
        let start = t.offset() * t.dtype().size();
        (start, start + t.numel() * t.dtype().size())
    };
    let ((a0, a1), (b0, b1)) = (span(a), span(b));
    a.storage().same(b.storage()) && a.is_dense() && b.is_dense() && a0 < b1 && b0 < a1
}

/// Runs `f(x, over)` in place: over the memory of `x` where no gradient and no shared memory forbids it.
pub fn in_place(
    x: &Tensor,
    others: &[&Tensor],
    f: impl Fn(&Tensor, bool) -> Result<Tensor>,
) -> Result<Tensor> {
    let grad = autograd::needs_grad(&[x]) || autograd::needs_grad(others);
    autograd::inplace::check(x, grad)?;
    crate::check!(
        !others.iter().any(|t| meets(x, t)),
        Runtime,
        "unsupported operation: some elements of the input tensor and the written-to tensor refer to a single memory \
         location. Please clone() the tensor before performing the operation."
    );
    if !grad && x.device().is_cpu() && !others.iter().any(|t| t.storage().same(x.storage())) {
        f(x, true)?;
        x.bump();
        return Ok(x.clone());
    }
    let before = if grad {
        autograd::inplace::original(x)?
    } else {
        x.clone()
    };
    x.overwrite(&f(&before, false)?)
}

/// A copy of `x` with the elements of `src` written where the index says.
pub fn scatter(x: &Tensor, dim: i64, index: &Tensor, src: &Tensor, over: bool) -> Result<Tensor> {
    let (d, at) = check_scatter(x, dim, index, Some(src))?;
    let out = target(x, over)?;
    autograd::no_grad(|| scatter_data(&out, d, &at, src, None))?;
    if autograd::needs_grad(&[x, src]) {
        let sizes: Sizes = SmallVec::from_slice(src.sizes());
        let saved = Saved::input(index);
        record("ScatterBackward0", &[x, src], &[&out], move |g: &Grads| {
            let (g0, index) = (g.get(0)?, saved.get(g)?);
            let to_x = g.when(0, || {
                scatter_number(&g0, dim, &index, Scalar::Int(0), false)
            })?;
            let to_src = g.when(1, || fit_source(gather(&g0, dim, &index)?, &sizes))?;
            grads([to_x, to_src])
        });
    }
    Ok(out)
}

/// A copy of `x` with a number written where the index says.
pub fn scatter_number(
    x: &Tensor,
    dim: i64,
    index: &Tensor,
    value: Scalar,
    over: bool,
) -> Result<Tensor> {
    let (d, at) = check_scatter(x, dim, index, None)?;
    let out = target(x, over)?;
    autograd::no_grad(|| {
        scatter_data(
            &out,
            d,
            &at,
            &number_of(value, x.dtype())?.expand_to(at.sizes())?,
            None,
        )
    })?;
    if autograd::needs_grad(&[x]) {
        let saved = Saved::input(index);
        record("ScatterBackward1", &[x], &[&out], move |g: &Grads| {
            let (g0, index) = (g.get(0)?, saved.get(g)?);
            grads([Some(scatter_number(
                &g0,
                dim,
                &index,
                Scalar::Int(0),
                false,
            )?)])
        });
    }
    Ok(out)
}

/// `scatter` with `reduce`, which has no derivative.
fn scatter_old_reduce(
    x: &Tensor,
    dim: i64,
    index: &Tensor,
    src: &Tensor,
    reduce: &str,
    over: bool,
) -> Result<Tensor> {
    let fold = match reduce {
        "add" => Fold::Sum,
        "multiply" => Fold::Prod,
        _ => crate::bail!(Runtime, "reduce argument must be either add or multiply."),
    };
    let (d, at) = check_scatter(x, dim, index, Some(src))?;
    let out = target(x, over)?;
    autograd::no_grad(|| scatter_data(&out, d, &at, src, Some(fold)))?;
    if autograd::needs_grad(&[x, src]) {
        record_not_differentiable("scatter", &[x, src], &[&out]);
    }
    Ok(out)
}

/// A copy of `x` with the elements of `src` added where the index says.
pub fn scatter_add(x: &Tensor, dim: i64, index: &Tensor, src: &Tensor) -> Result<Tensor> {
    scatter_add_to(x, dim, index, src, false)
}

fn scatter_add_to(
    x: &Tensor,
    dim: i64,
    index: &Tensor,
    src: &Tensor,
    over: bool,
) -> Result<Tensor> {
    let (d, at) = check_scatter(x, dim, index, Some(src))?;
    let out = target(x, over)?;
    autograd::no_grad(|| scatter_data(&out, d, &at, src, Some(Fold::Sum)))?;
    if autograd::needs_grad(&[x, src]) {
        let sizes: Sizes = SmallVec::from_slice(src.sizes());
        let saved = Saved::input(index);
        record(
            "ScatterAddBackward0",
            &[x, src],
            &[&out],
            move |g: &Grads| {
                let (g0, index) = (g.get(0)?, saved.get(g)?);
                let to_src = g.when(1, || fit_source(gather(&g0, dim, &index)?, &sizes))?;
                grads([g.needs(0).then(|| g0.clone()), to_src])
            },
        );
    }
    Ok(out)
}

/// `scatter` of a tensor or a number, written or reduced, as the arguments say.
fn scatter_row(x: &Tensor, a: &Args, over: bool) -> Result<Tensor> {
    let (dim, index) = (a.int(1), a.tensor(2));
    match (a.opt_tensor(3), a.opt_str(4)) {
        (Some(src), None) => scatter(x, dim, &index, src, over),
        (None, None) => scatter_number(x, dim, &index, a.scalar(3), over),
        (Some(src), Some(reduce)) => scatter_old_reduce(x, dim, &index, src, reduce, over),
        (None, Some(reduce)) => {
            let src = number_of(a.scalar(3), x.dtype())?.expand_to(index.sizes())?;
            scatter_old_reduce(x, dim, &index, &src, reduce, over)
        }
    }
}

fn scatter_in_place(a: &Args) -> Result<Tensor> {
    let index = a.tensor(2);
    let src = a.opt_tensor(3).unwrap_or(&index);
    in_place(&a.tensor(0), &[&index, src], |x, over| {
        scatter_row(x, a, over)
    })
}
op! {
    /// Gathers values along an axis: `out[i][j] = input[index[i][j]][j]` for `dim` 0.
    ///
    /// Args:
    ///     input: the tensor to read.
    ///     dim: the axis the index runs along.
    ///     index: int64, with as many dimensions as `input` and no larger apart from `dim`.
    ///     sparse_grad: accepted; gradients are dense.
    ///
    /// Example:
    ///
    ///     >>> rtorch.gather(rtorch.tensor([[1, 2], [3, 4]]), 1, rtorch.tensor([[0, 0], [1, 0]]))
    ///     tensor([[1, 1],
    ///             [4, 3]])
    gather, in [TORCH, METHOD]; out {
        "(Tensor input, int dim, Tensor index, *, bool sparse_grad=False) -> Tensor" =>
            |a| gather(&a.tensor(0), a.int(1), &a.tensor(2)),
    }
}
op! {
    /// Returns a copy of `input` with `src`, a tensor or a number, written at the positions the index gives along `dim`.
    ///
    /// Args:
    ///     input: the tensor to copy.
    ///     dim: the axis the index runs along.
    ///     index: int64, no larger than `src` nor, apart from `dim`, than `input`.
    ///     src: values of the dtype of `input`, or a number.
    ///     reduce: "add" or "multiply" instead of writing. Default: write.
    scatter, in [TORCH, METHOD]; out {
        "(Tensor input, int dim, Tensor index, Tensor src) -> Tensor" => |a| scatter_row(&a.tensor(0), a, false),
        "(Tensor input, int dim, Tensor index, Scalar value) -> Tensor" => |a| scatter_row(&a.tensor(0), a, false),
        "(Tensor input, int dim, Tensor index, Tensor src, *, str reduce) -> Tensor" =>
            |a| scatter_row(&a.tensor(0), a, false),
        "(Tensor input, int dim, Tensor index, Scalar value, *, str reduce) -> Tensor" =>
            |a| scatter_row(&a.tensor(0), a, false),
    }
}
op! {
    /// Writes `src`, a tensor or a number, at the positions the index gives along `dim`.
    scatter_, in [METHOD] {
        "(Tensor input, int dim, Tensor index, Tensor src) -> Tensor" => |a| scatter_in_place(a),
        "(Tensor input, int dim, Tensor index, Scalar value) -> Tensor" => |a| scatter_in_place(a),
        "(Tensor input, int dim, Tensor index, Tensor src, *, str reduce) -> Tensor" => |a| scatter_in_place(a),
        "(Tensor input, int dim, Tensor index, Scalar value, *, str reduce) -> Tensor" => |a| scatter_in_place(a),
    }
}
op! {
    /// Returns a copy of `input` with the elements of `src` added at the positions the index gives along `dim`.
    scatter_add, in [TORCH, METHOD]; out {
        "(Tensor input, int dim, Tensor index, Tensor src) -> Tensor" =>
            |a| scatter_add(&a.tensor(0), a.int(1), &a.tensor(2), &a.tensor(3)),
    }
}
op! {
    /// Adds the elements of `src` at the positions the index gives along `dim`.
    scatter_add_, in [METHOD] {
        "(Tensor input, int dim, Tensor index, Tensor src) -> Tensor" => |a| {
            let (index, src) = (a.tensor(2), a.tensor(3));
            in_place(&a.tensor(0), &[&index, &src], |x, over| scatter_add_to(x, a.int(1), &index, &src, over))
        },
    }
}

pub static ROWS: &[&crate::ops::OpDef] = &[
    &gather::DEF,
    &scatter::DEF,
    &scatter_::DEF,
    &scatter_add::DEF,
    &scatter_add_::DEF,
    &reduce::scatter_reduce__::DEF,
    &flat::take::DEF,
    &flat::put::DEF,
    &flat::take_along_dim::DEF,
];
