//! Whole slices of an axis at positions a vector gives: `index_select` and its writing relatives.

use super::scatter::{
    Reduce, at_least_1d, gather, in_place, number_of, scatter_add, scatter_reduce, target,
};
use crate::autograd::{self, Grads, Saved, engine::grads, record};
use crate::cpu::index::{self as kernel, Combine};
use crate::dtype::DType;
use crate::error::Result;
use crate::scalar::Scalar;
use crate::shape::{self, Sizes};
use crate::tensor::Tensor;
use smallvec::SmallVec;

/// The index as contiguous int64.
fn vector(index: &Tensor) -> Result<Tensor> {
    autograd::no_grad(|| index.detach().to_dtype(DType::I64)?.contiguous())
}

/// A copy without history in plain row-major order.
fn contiguous_copy(x: &Tensor) -> Result<Tensor> {
    let out = Tensor::empty(x.sizes(), x.dtype(), x.device())?;
    out.write_from(x)?;
    Ok(out)
}

fn is_index(index: &Tensor) -> bool {
    matches!(index.dtype(), DType::I64 | DType::I32)
}

/// The slices `index` names along `dim`.
pub fn index_select(x: &Tensor, dim: i64, index: &Tensor) -> Result<Tensor> {
    x.same_device(index)?;
    crate::check!(
        index.ndim() <= 1,
        Index,
        "index_select(): Index is supposed to be a vector"
    );
    crate::check!(
        is_index(index),
        Runtime,
        "index_select(): Expected dtype int32 or int64 for index"
    );
    let d = shape::wrap_dim(dim, x.ndim())?;
    crate::check!(
        x.ndim() > 0 || index.numel() == 1,
        Runtime,
        "index_select(): Index to scalar can have only 1 value, got {} value(s)",
        index.numel()
    );
    let at = vector(index)?;
    let x1 = at_least_1d(x)?;
    if at.device().is_cpu() {
        kernel::check_bounds(&at, 0, x1.sizes()[d], |_| {
            crate::err!(Index, "index out of range in self")
        })?;
    }
    let mut sizes: Sizes = SmallVec::from_slice(x.sizes());
    if let Some(n) = sizes.get_mut(d) {
        *n = at.numel();
    }
    let out = Tensor::empty(&sizes, x.dtype(), x.device())?;
    if !x.device().is_cpu() {
        return autograd::no_grad(|| -> Result<()> {
            out.write_from(&gather(
                &x1,
                d as i64,
                &along(&at, d, &at_least_1d(&out)?)?,
            )?)
        })
        .and_then(|()| record_select(x, d, index, out));
    }
    if out.numel() > 0 {
        let out1 = at_least_1d(&out)?;
        // SAFETY: sizes agree apart from `d`, where the indices were checked; only `out` is written.
        crate::dispatch_size!(x.dtype(), T => unsafe {
            kernel::slices::<T>(&out1, &x1, d, at.as_slice::<i64>()?, true, |o, x| *o = *x)
        });
    }
    record_select(x, d, index, out)
}

/// A vector index along `d`, repeated to the sizes of `like`.
fn along(at: &Tensor, d: usize, like: &Tensor) -> Result<Tensor> {
    let lone: Sizes = (0..like.ndim())
        .map(|k| if k == d { at.numel() } else { 1 })
        .collect();
    at.reshape_to(&lone)?.expand_to(like.sizes())
}

fn record_select(x: &Tensor, d: usize, index: &Tensor, out: Tensor) -> Result<Tensor> {
    if autograd::needs_grad(&[x]) {
        let sizes: Sizes = SmallVec::from_slice(x.sizes());
        let saved = Saved::input(index);
        record("IndexSelectBackward0", &[x], &[&out], move |g: &Grads| {
            let (g0, index) = (g.get(0)?, saved.get(g)?);
            let zeros = Tensor::zeros(&sizes, g0.dtype(), g0.device())?;
            grads([Some(index_add(
                &zeros,
                d as i64,
                &index,
                &g0,
                Scalar::Int(1),
            )?)])
        });
    }
    Ok(out)
}

/// What `index_add` and `index_reduce` ask; the axis.
fn check_source(op: &str, x: &Tensor, dim: i64, index: &Tensor, source: &Tensor) -> Result<usize> {
    x.same_device(index)?;
    x.same_device(source)?;
    let d = shape::wrap_dim(dim, x.ndim())?;
    let count = at_least_1d(index)?.sizes()[0];
    crate::check!(
        index.ndim() <= 1,
        Index,
        "{op}_(): Index is supposed to be a vector, but got dim: {} with type: {} and size: {}",
        index.ndim(),
        index.dtype().scalar_name(),
        kernel::shown(index)
    );
    crate::check!(
        is_index(index),
        Runtime,
        "{op}_(): Expected dtype int32/int64 for index but got: {}",
        index.dtype().scalar_name()
    );
    crate::check!(
        x.dtype() == source.dtype(),
        Runtime,
        "{op}_(): self ({}) and source ({}) must have the same scalar type",
        x.dtype().scalar_name(),
        source.dtype().scalar_name()
    );
    crate::check!(
        source.ndim() == 0 || d < source.ndim(),
        Runtime,
        "{op}_(): Indexing dim {d} is out of bounds of the source tensor with dim {}",
        source.ndim()
    );
    let given = source.sizes().get(d).copied().unwrap_or(1);
    crate::check!(
        count == given,
        Runtime,
        "{op}_(): Number of indices ({count}) should be equal to source.size(dim): ({given}), for dim: {d}"
    );
    crate::check!(
        x.ndim() == 0 && source.ndim() <= 1
            || kernel::same_but(x.sizes(), source.sizes(), d)
            || source.ndim() == 0 && x.ndim() == 1,
        Runtime,
        "source tensor shape must match self tensor shape, excluding the specified dimension. Got self.shape = {} \
         source.shape = {}",
        kernel::shown(x),
        kernel::shown(source)
    );
    Ok(d)
}

/// `x` with `alpha * source` added slice by slice.
pub fn index_add(
    x: &Tensor,
    dim: i64,
    index: &Tensor,
    source: &Tensor,
    alpha: Scalar,
) -> Result<Tensor> {
    index_add_to(x, dim, index, source, alpha, false)
}

fn index_add_to(
    x: &Tensor,
    dim: i64,
    index: &Tensor,
    source: &Tensor,
    alpha: Scalar,
    over: bool,
) -> Result<Tensor> {
    let d = check_source("index_add", x, dim, index, source)?;
    let at = vector(index)?;
    let out = if over {
        target(x, true)?
    } else {
        contiguous_copy(x)?
    };
    let out1 = at_least_1d(&out)?;
    let n = out1.sizes()[d];
    if at.device().is_cpu() {
        kernel::check_bounds(&at, 0, n, |i| {
            crate::err!(
                Runtime,
                "index {i} is out of bounds for dimension {d} with size {n}"
            )
        })?;
    }
    if !x.device().is_cpu() {
        autograd::no_grad(|| -> Result<()> {
            let src = at_least_1d(&source.detach())?;
            let src = if alpha == Scalar::Int(1) {
                src
            } else {
                src.mul_scalar(alpha)?
            };
            out1.write_from(&scatter_add(&out1, d as i64, &along(&at, d, &src)?, &src)?)
        })?;
    } else if at.numel() > 0 && out.numel() > 0 {
        let factor = number_of(alpha, x.dtype())?;
        let plain = alpha == Scalar::Int(1);
        let half = x.dtype().compute() != x.dtype();
        let positions = at.as_slice::<i64>()?;
        autograd::no_grad(|| -> Result<()> {
            let src = at_least_1d(&source.detach())?;
            // Half types add in float32 and round once.
            let (sum, src) = if half {
                (out1.to_dtype(DType::F32)?, src.to_dtype(DType::F32)?)
            } else {
                (out1.clone(), src)
            };
            let factor = factor.to_dtype(sum.dtype())?;
            crate::dispatch!(sum.dtype(), T => {
                let alpha = factor.as_slice::<T>()?[0];
                // SAFETY: sizes agree apart from `d`, where the indices were checked; one thread adds.
                unsafe {
                    if plain {
                        kernel::slices::<T>(&src, &sum, d, positions, false, |s, o| *o = (*o).plus(*s));
                    } else {
                        kernel::slices::<T>(&src, &sum, d, positions, false, |s, o| *o = (*o).plus(alpha.times(*s)));
                    }
                }
            });
            if half { out1.write_from(&sum) } else { Ok(()) }
        })?;
    }
    if autograd::needs_grad(&[x, source]) {
        let sizes: Sizes = SmallVec::from_slice(source.sizes());
        let saved = Saved::input(index);
        record(
            "IndexAddBackward0",
            &[x, source],
            &[&out],
            move |g: &Grads| {
                let (g0, index) = (g.get(0)?, saved.get(g)?);
                let to_source = g.when(1, || {
                    let part = index_select(&g0, d as i64, &index)?.reshape_to(&sizes)?;
                    if alpha == Scalar::Int(1) {
                        Ok(part)
                    } else {
                        part.mul_scalar(alpha.conj())
                    }
                })?;
                grads([g.needs(0).then(|| g0.clone()), to_source])
            },
        );
    }
    Ok(out)
}

/// `x` with the slices of `source` in place of those the index names.
pub fn index_copy(
    x: &Tensor,
    dim: i64,
    index: &Tensor,
    source: &Tensor,
    over: bool,
) -> Result<Tensor> {
    x.need_cpu("index_copy_")?;
    let d = shape::wrap_dim(dim, x.ndim())?;
    crate::check!(
        index.ndim() <= 1,
        Index,
        "index_copy_(): Index should have dimension 1 or 0 (got {})",
        index.ndim()
    );
    let count = index.numel();
    crate::check!(
        source.ndim() > 0 || count == 1,
        Index,
        "index_copy_(): When source is scalar, index should have one element (got {count})"
    );
    crate::check!(
        source.ndim() == x.ndim() || source.ndim() == 0 || x.ndim() == 0,
        Index,
        "index_copy_(): When source and destination are not scalars, their dimensionality must match. Source \
         dimensionality ({}), destination dimensionality ({})",
        source.ndim(),
        x.ndim()
    );
    crate::check!(
        index.dtype() == DType::I64,
        Runtime,
        "index_copy_(): Expected a long tensor for index, but got {}",
        index.dtype().scalar_name()
    );
    crate::check!(
        x.dtype() == source.dtype(),
        Runtime,
        "index_copy_(): self and source expected to have the same dtype, but got (self) {} and (source) {}",
        x.dtype().scalar_name(),
        source.dtype().scalar_name()
    );
    let slice = |t: &Tensor| -> Vec<usize> {
        (0..t.ndim())
            .filter(|&k| k != d)
            .map(|k| t.sizes()[k])
            .collect()
    };
    let (to, from) = (slice(x), slice(source));
    if to != from {
        let words = |v: &[usize]| {
            v.iter()
                .map(|n| n.to_string())
                .collect::<Vec<_>>()
                .join(" ")
        };
        crate::bail!(
            Runtime,
            "index_copy_(): Source/destination tensor must have same slice shapes. Destination slice shape: {} at \
             dimension {d} and source slice shape: {} at dimension 0.",
            words(&to),
            words(&from)
        );
    }
    let given = source.sizes().get(d).copied().unwrap_or(1);
    crate::check!(
        count == given,
        Index,
        "index_copy_(): Number of indices ({count}) should be equal to source.size(dim) ({given})"
    );
    let at = vector(index)?;
    let out = if over {
        target(x, true)?
    } else {
        contiguous_copy(x)?
    };
    let out1 = at_least_1d(&out)?;
    let n = out1.sizes()[d];
    kernel::check_bounds(&at, 0, n, |i| {
        crate::err!(
            Index,
            "index_copy_(): index {i} is out of bounds for dimension {d} with size {n}"
        )
    })?;
    if count > 0 && out.numel() > 0 {
        let src = at_least_1d(&source.detach())?;
        // SAFETY: sizes agree apart from `d`, where the indices were checked; one thread writes.
        crate::dispatch_size!(x.dtype(), T => unsafe {
            kernel::slices::<T>(&src, &out1, d, at.as_slice::<i64>()?, false, |s, o| *o = *s)
        });
    }
    if autograd::needs_grad(&[x, source]) {
        let sizes: Sizes = SmallVec::from_slice(source.sizes());
        let saved = Saved::input(index);
        record(
            "IndexCopyBackward0",
            &[x, source],
            &[&out],
            move |g: &Grads| {
                let (g0, index) = (g.get(0)?, saved.get(g)?);
                let to_x = g.when(0, || {
                    index_fill(&g0, d as i64, &index, &Tensor::scalar(0, g0.dtype())?)
                })?;
                let to_source = g.when(1, || {
                    index_select(&g0, d as i64, &index)?.reshape_to(&sizes)
                })?;
                grads([to_x, to_source])
            },
        );
    }
    Ok(out)
}

/// `x` with a 0-d value in the slices the index names; indices may count from the end.
pub fn index_fill(x: &Tensor, dim: i64, index: &Tensor, value: &Tensor) -> Result<Tensor> {
    x.need_cpu("index_fill_")?;
    crate::check!(
        value.ndim() == 0,
        Runtime,
        "index_fill_ only supports a 0-dimensional value tensor, but got tensor with {} dimension(s).",
        value.ndim()
    );
    crate::check!(
        index.dtype() == DType::I64,
        Index,
        "index_fill_(): Expected dtype int64 for index."
    );
    let d = shape::wrap_dim(dim, x.ndim())?;
    crate::check!(
        index.ndim() <= 1,
        Runtime,
        "Index has to be a vector/scalar"
    );
    crate::check!(
        x.dtype().is_complex() || !value.dtype().is_complex(),
        Runtime,
        "index_fill_(): Converting complex Scalar to non-complex type is not supported"
    );
    let at = vector(index)?;
    let out = x.clone_data()?;
    let out1 = at_least_1d(&out)?;
    let n = out1.sizes()[d];
    kernel::check_bounds(&at, -(n as i64), n, |i| {
        crate::err!(
            Index,
            "index {i} is out of bounds for dimension {d} with size {n}"
        )
    })?;
    if at.numel() > 0 && out.numel() > 0 {
        let positions: Vec<i64> = at
            .as_slice::<i64>()?
            .iter()
            .map(|&i| if i < 0 { i + n as i64 } else { i })
            .collect();
        let mut sizes: Sizes = SmallVec::from_slice(out1.sizes());
        sizes[d] = positions.len();
        let src = autograd::no_grad(|| value.detach().to_dtype(x.dtype())?.expand_to(&sizes))?;
        // SAFETY: sizes agree apart from `d`, where the indices were checked; one thread writes.
        crate::dispatch_size!(x.dtype(), T => unsafe {
            kernel::slices::<T>(&src, &out1, d, &positions, false, |s, o| *o = *s)
        });
    }
    if autograd::needs_grad(&[x, value]) {
        let saved = Saved::input(index);
        let value_dtype = value.dtype();
        record(
            "IndexFillBackward0",
            &[x, value],
            &[&out],
            move |g: &Grads| {
                let (g0, index) = (g.get(0)?, saved.get(g)?);
                let to_x = g.when(0, || {
                    index_fill(&g0, d as i64, &index, &Tensor::scalar(0, g0.dtype())?)
                })?;
                let to_value = g.when(1, || {
                    let n = at_least_1d(&g0)?.sizes()[d] as i64;
                    let mut at: Vec<i64> = index
                        .to_vec::<i64>()?
                        .iter()
                        .map(|&i| if i < 0 { i + n } else { i })
                        .collect();
                    // A slice named twice was filled once.
                    at.sort_unstable();
                    at.dedup();
                    index_select(&g0, d as i64, &Tensor::from_slice(&at)?)?
                        .sum_all()?
                        .to_dtype(value_dtype)
                })?;
                grads([to_x, to_value])
            },
        );
    }
    Ok(out)
}

/// `x` with the slices of `source` reduced into those the index names.
fn index_reduce(
    x: &Tensor,
    dim: i64,
    index: &Tensor,
    source: &Tensor,
    reduce: &str,
    include_self: bool,
) -> Result<Tensor> {
    let reduction = match reduce {
        "prod" => Reduce::Prod,
        "mean" => Reduce::Mean,
        "amax" => Reduce::Max,
        "amin" => Reduce::Min,
        _ => crate::bail!(
            Runtime,
            "index_reduce(): Expected reduce to be one of prod, mean, amax or amin but got {reduce}."
        ),
    };
    let d = check_source("index_reduce", x, dim, index, source)?;
    let at = vector(index)?;
    kernel::check_bounds(&at, 0, at_least_1d(x)?.sizes()[d], |_| {
        crate::err!(Index, "index out of range in self")
    })?;
    // The index repeated over the other axes makes it a scatter.
    let mut lead: Sizes = SmallVec::from_elem(1, source.ndim());
    if let Some(n) = lead.get_mut(d) {
        *n = at.numel();
    }
    let wide = autograd::no_grad(|| at.reshape_to(&lead)?.expand_to(source.sizes()))?;
    scatter_reduce(
        "IndexReduceBackward0",
        x,
        d as i64,
        &wide,
        source,
        reduction,
        include_self,
    )
}

op! {
    /// Returns the slices of `input` along `dim` that the vector `index` names.
    ///
    /// Example:
    ///
    ///     >>> rtorch.index_select(rtorch.tensor([[1, 2], [3, 4]]), 1, rtorch.tensor([1]))
    ///     tensor([[2],
    ///             [4]])
    index_select, in [TORCH, METHOD]; out {
        "(Tensor input, int dim, Tensor index) -> Tensor" => |a| index_select(&a.tensor(0), a.int(1), &a.tensor(2)),
    }
}
op! {
    /// Returns a copy of `input` with `alpha * source` added to the slices along `dim` that `index` names.
    index_add, in [TORCH, METHOD]; out {
        "(Tensor input, int dim, Tensor index, Tensor source, *, Scalar alpha=1) -> Tensor" =>
            |a| index_add(&a.tensor(0), a.int(1), &a.tensor(2), &a.tensor(3), a.scalar(4)),
    }
}
op! {
    /// Returns a copy of `input` with the slices of `source` in place of those along `dim` that `index` names.
    index_copy, in [TORCH, METHOD]; out {
        "(Tensor input, int dim, Tensor index, Tensor source) -> Tensor" =>
            |a| index_copy(&a.tensor(0), a.int(1), &a.tensor(2), &a.tensor(3), false),
    }
}
op! {
    /// Adds `alpha * source` to the slices along `dim` that `index` names.
    index_add_, in [METHOD] {
        "(Tensor input, int dim, Tensor index, Tensor source, *, Scalar alpha=1) -> Tensor" => |a| {
            let (index, source) = (a.tensor(2), a.tensor(3));
            in_place(&a.tensor(0), &[&index, &source], |x, over| {
                index_add_to(x, a.int(1), &index, &source, a.scalar(4), over)
            })
        },
    }
}
op! {
    /// Puts the slices of `source` in place of those along `dim` that `index` names.
    index_copy_, in [METHOD] {
        "(Tensor input, int dim, Tensor index, Tensor source) -> Tensor" => |a| {
            let (index, source) = (a.tensor(2), a.tensor(3));
            in_place(&a.tensor(0), &[&index, &source], |x, over| index_copy(x, a.int(1), &index, &source, over))
        },
    }
}
op! {
    /// Returns a copy of `input` with `value` in the slices along `dim` that `index` names.
    index_fill, in [TORCH, METHOD]; out, in_place {
        "(Tensor input, int dim, Tensor index, Tensor value) -> Tensor" =>
            |a| index_fill(&a.tensor(0), a.int(1), &a.tensor(2), &a.tensor(3)),
        "(Tensor input, int dim, Tensor index, Scalar value) -> Tensor" => |a| {
            let v = a.scalar(3);
            let x = a.tensor(0);
            let value = if v.is_complex() { Tensor::wrapped(v)? } else { Tensor::scalar(v, x.dtype())? };
            index_fill(&x, a.int(1), &a.tensor(2), &value)
        },
    }
}
op! {
    /// Returns a copy of `input` with the slices of `source` reduced into those along `dim` that `index` names.
    ///
    /// Args:
    ///     reduce: "prod", "mean", "amax" or "amin".
    ///     include_self: whether the slices of `input` take part. Default: True.
    index_reduce, in [TORCH, METHOD]; out, in_place {
        "(Tensor input, int dim, Tensor index, Tensor source, str reduce, *, bool include_self=True) -> Tensor" =>
            |a| index_reduce(&a.tensor(0), a.int(1), &a.tensor(2), &a.tensor(3), a.str(4), a.bool(5)),
    }
}

pub static ROWS: &[&crate::ops::OpDef] = &[
    &index_select::DEF,
    &index_add::DEF,
    &index_add_::DEF,
    &index_copy::DEF,
    &index_copy_::DEF,
    &index_fill::DEF,
    &index_reduce::DEF,
];
