//! Reading and writing at positions an index tensor gives along one axis: gather, scatter and their folds, `take`
//! and `put`.

use super::args::Args;
use crate::autograd::{self, Grads, Saved, engine::grads, record, record_not_differentiable};
use crate::cpu::index::{self as kernel, Fold, shown};
use crate::dtype::DType;
use crate::error::Result;
use crate::scalar::Scalar;
use crate::shape::{self, Sizes};
use crate::tensor::Tensor;
use smallvec::SmallVec;

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
    let (name, fits) = match dtype {
        DType::U8 => ("uint8_t", real.abs() <= u8::MAX as f64),
        DType::I8 => ("int8_t", (i8::MIN as f64..=i8::MAX as f64).contains(&real)),
        DType::I16 => (
            "int16_t",
            (i16::MIN as f64..=i16::MAX as f64).contains(&real),
        ),
        DType::I32 => ("int", (i32::MIN as f64..=i32::MAX as f64).contains(&real)),
        DType::I64 => (
            "int64_t",
            (i64::MIN as f64..=i64::MAX as f64).contains(&real),
        ),
        DType::U16 => ("uint16_t", real.abs() <= u16::MAX as f64),
        DType::U32 => ("uint32_t", real.abs() <= u32::MAX as f64),
        DType::U64 => ("uint64_t", real.abs() <= u64::MAX as f64),
        DType::F16 => ("at::Half", !real.is_finite() || real.abs() <= 65504.0),
        DType::F32 | DType::BF16 => ("float", !real.is_finite() || real.abs() <= f32::MAX as f64),
        _ => ("double", true),
    };
    let whole = dtype.is_complex() || dtype == DType::Bool || value.to_complex().im == 0.0;
    crate::check!(
        fits && whole,
        Runtime,
        "value cannot be converted to type {name} without overflow"
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

/// The reductions of `scatter_reduce` and `index_reduce`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Reduce {
    Sum,
    Prod,
    Mean,
    Max,
    Min,
}

impl Reduce {
    fn of(name: &str) -> Option<Reduce> {
        Some(match name {
            "sum" => Reduce::Sum,
            "prod" => Reduce::Prod,
            "mean" => Reduce::Mean,
            "amax" => Reduce::Max,
            "amin" => Reduce::Min,
            _ => return None,
        })
    }
    fn fold(self) -> Fold {
        match self {
            Reduce::Sum | Reduce::Mean => Fold::Sum,
            Reduce::Prod => Fold::Prod,
            Reduce::Max => Fold::Max,
            Reduce::Min => Fold::Min,
        }
    }
}

/// How many elements meet at each position, at least one.
fn meeting(x: &Tensor, d: usize, at: &Tensor, include_self: bool) -> Result<Tensor> {
    autograd::no_grad(|| {
        let ones = Tensor::full(at.sizes(), 1, x.dtype(), x.device())?;
        let start = Tensor::full(x.sizes(), include_self, x.dtype(), x.device())?;
        scatter_data(&start, d, at, &ones, Some(Fold::Sum))?;
        start
            .eq(&Tensor::wrapped(0)?)?
            .where_(&Tensor::wrapped(1)?, &start)
    })
}

fn quotient(sum: &Tensor, count: &Tensor) -> Result<Tensor> {
    if !sum.dtype().is_integral() {
        return sum.div(count);
    }
    let (s, c) = (sum.to_vec::<i64>()?, count.to_vec::<i64>()?);
    let q: Vec<i64> = s
        .iter()
        .zip(&c)
        .map(|(s, c)| s.div_euclid((*c).max(1)))
        .collect();
    Tensor::from_slice_shaped(&q, sum.sizes())?.to_dtype(sum.dtype())
}

/// Folds `src` into a copy of `x` where the index says.
#[allow(clippy::too_many_arguments)]
pub fn scatter_reduce(
    name: &'static str,
    x: &Tensor,
    dim: i64,
    index: &Tensor,
    src: &Tensor,
    reduce: Reduce,
    include_self: bool,
) -> Result<Tensor> {
    let (d, at) = check_scatter(x, dim, index, Some(src))?;
    crate::check!(
        !x.dtype().is_complex() || matches!(reduce, Reduce::Sum | Reduce::Prod | Reduce::Mean),
        NotImplemented,
        "\"scatter_reduce\" not implemented for '{}'",
        x.dtype().scalar_name()
    );
    crate::check!(
        x.dtype() != DType::Bool || reduce != Reduce::Mean,
        NotImplemented,
        "\"scatter_gather_tensor_cpu_reduce_mean\" not implemented for 'Bool'"
    );
    let out = autograd::no_grad(|| -> Result<Tensor> {
        let half = x.dtype().compute() != x.dtype();
        let x = x.detach();
        let (start, src) = if half {
            (x.to_dtype(DType::F32)?, src.to_dtype(DType::F32)?)
        } else {
            (x.clone_data()?, src.clone())
        };
        if !include_self {
            scatter_data(
                &start,
                d,
                &at,
                &kernel::neutral(start.dtype(), reduce.fold())?.expand_to(at.sizes())?,
                None,
            )?;
        }
        scatter_data(&start, d, &at, &src, Some(reduce.fold()))?;
        let out = if reduce == Reduce::Mean {
            quotient(&start, &meeting(&start, d, &at, include_self)?)?
        } else {
            start
        };
        out.to_dtype(x.dtype())
    })?;
    let out = if out.same(x) { out.clone_data()? } else { out };
    if autograd::needs_grad(&[x, src]) {
        let (sx, si, ss) = (Saved::input(x), Saved::input(index), Saved::input(src));
        let so = Saved::output(&out, 0);
        record(name, &[x, src], &[&out], move |g: &Grads| {
            let (g0, x, index, src, out) =
                (g.get(0)?, sx.get(g)?, si.get(g)?, ss.get(g)?, so.get(g)?);
            let (to_x, to_src) =
                reduce_backward(&g0, &x, dim, &index, &src, &out, reduce, include_self)?;
            let to_x = if include_self {
                to_x
            } else {
                scatter_number(&to_x, dim, &index, Scalar::Int(0), false)?
            };
            grads([
                g.needs(0).then_some(to_x),
                g.needs(1)
                    .then(|| fit_source(to_src, src.sizes()))
                    .transpose()?,
            ])
        });
    }
    Ok(out)
}

/// Gradients of the start and of the source, both as if the start took part.
#[allow(clippy::too_many_arguments)]
fn reduce_backward(
    g: &Tensor,
    x: &Tensor,
    dim: i64,
    index: &Tensor,
    src: &Tensor,
    out: &Tensor,
    reduce: Reduce,
    include_self: bool,
) -> Result<(Tensor, Tensor)> {
    let zero = Tensor::wrapped(0)?;
    let one = Tensor::wrapped(1)?;
    // Only the part of the source the index covers takes part.
    let used = {
        let mut s = src.clone();
        if s.ndim() == index.ndim() {
            for (k, &n) in index.sizes().iter().enumerate() {
                if s.sizes()[k] != n {
                    s = s.narrow(k as i64, 0, n as i64)?;
                }
            }
        } else {
            s = s.reshape_to(index.sizes())?;
        }
        s
    };
    Ok(match reduce {
        Reduce::Sum => (g.clone(), gather(g, dim, index)?),
        Reduce::Mean => {
            let d = shape::wrap_dim(dim, x.ndim())?;
            let share = g.div(&meeting(x, d, &long("scatter", index)?, include_self)?)?;
            let to_src = gather(&share, dim, index)?;
            (share, to_src)
        }
        Reduce::Max | Reduce::Min => {
            // Ties share the gradient.
            let own = x.eq(out)?.to_dtype(x.dtype())?;
            let theirs = used.eq(&gather(out, dim, index)?)?.to_dtype(x.dtype())?;
            let share = g.div(&scatter_add(&own, dim, index, &theirs)?)?;
            (share.mul(&own)?, gather(&share, dim, index)?.mul(&theirs)?)
        }
        Reduce::Prod => {
            // The product of the others: by division, and without the element itself where it is zero.
            let flat = x.eq(&zero)?;
            let x1 = flat.where_(&one, x)?;
            let rest = scatter_reduce(
                "ScatterReduceBackward0",
                &x1,
                dim,
                index,
                src,
                Reduce::Prod,
                include_self,
            )?;
            let to_x = g.mul(&rest)?.div(&x1)?;
            let none = used.eq(&zero)?;
            let zeros = Tensor::zeros(x.sizes(), x.dtype(), x.device())?;
            let holes = gather(
                &scatter_add(&zeros, dim, index, &none.to_dtype(x.dtype())?)?,
                dim,
                index,
            )?;
            let lone = none.mul(&holes.eq(&one)?)?;
            let filled = lone.where_(&one, &used)?;
            let without = scatter_reduce(
                "ScatterReduceBackward0",
                x,
                dim,
                index,
                &filled,
                Reduce::Prod,
                include_self,
            )?;
            let alone = gather(&g.mul(&without)?, dim, index)?;
            let divided = gather(&g.mul(out)?, dim, index)?.div(&none.where_(&one, &used)?)?;
            (to_x, lone.where_(&alone, &divided)?)
        }
    })
}

fn reduce_of(name: &str) -> Result<Reduce> {
    Reduce::of(name).ok_or_else(|| {
        crate::err!(
            Runtime,
            "reduce argument must be either sum, prod, mean, amax or amin, got {name}"
        )
    })
}

// ---- positions in the flattened tensor

fn flat_index(op: &str, index: &Tensor) -> Result<Tensor> {
    crate::check!(
        index.dtype() == DType::I64,
        Runtime,
        "{op}: Expected a long tensor for index, but got {}",
        index.dtype().scalar_name()
    );
    index.detach().contiguous()
}

fn flat_bounds(index: &Tensor, n: usize) -> Result<()> {
    kernel::check_bounds(index, -(n as i64), n, |i| {
        crate::err!(
            Index,
            "out of range: tried to access index {i} on a tensor of {n} elements."
        )
    })
}

/// The elements at positions of the flattened tensor.
pub fn take(x: &Tensor, index: &Tensor) -> Result<Tensor> {
    x.need_cpu("take")?;
    let at = autograd::no_grad(|| flat_index("take()", index))?;
    let n = x.numel();
    crate::check!(
        n > 0 || at.numel() == 0,
        Index,
        "take(): tried to take from an empty tensor"
    );
    flat_bounds(&at, n)?;
    let out = Tensor::empty(at.sizes(), x.dtype(), x.device())?;
    let positions = at.as_slice::<i64>()?;
    crate::dispatch_size!(x.dtype(), T => {
        let (src, dst) = (x.data_ptr() as *const T, out.data_ptr() as *mut T);
        for (k, &i) in positions.iter().enumerate() {
            let i = if i < 0 { i + n as i64 } else { i } as usize;
            let o = if x.is_contiguous() { i as isize } else { kernel::element_offset(x, i) };
            // SAFETY: the position was checked against the number of elements.
            unsafe { *dst.add(k) = *src.offset(o) };
        }
    });
    if autograd::needs_grad(&[x]) {
        let sizes: Sizes = SmallVec::from_slice(x.sizes());
        let saved = Saved::input(index);
        record("TakeBackward0", &[x], &[&out], move |g: &Grads| {
            let (g0, index) = (g.get(0)?, saved.get(g)?);
            grads([Some(put(
                &Tensor::zeros(&sizes, g0.dtype(), g0.device())?,
                &index,
                &g0,
                true,
            )?)])
        });
    }
    Ok(out)
}

/// A copy of `x` with values written at, or added to, positions of the flattened tensor.
pub fn put(x: &Tensor, index: &Tensor, source: &Tensor, accumulate: bool) -> Result<Tensor> {
    x.need_cpu("put_")?;
    let at = autograd::no_grad(|| flat_index("put_()", index))?;
    crate::check!(
        x.dtype() == source.dtype(),
        Runtime,
        "put_(): self and source expected to have the same dtype, but got self.dtype = {} and source.dtype = {}",
        x.dtype().scalar_name(),
        source.dtype().scalar_name()
    );
    crate::check!(
        source.numel() == at.numel(),
        Index,
        "put_(): Expected source and index to have the same number of elements, but got source.numel() = {}, \
         index.numel() = {}",
        source.numel(),
        at.numel()
    );
    let n = x.numel();
    crate::check!(
        n > 0 || at.numel() == 0,
        Index,
        "put_(): tried to put elements into an empty tensor"
    );
    flat_bounds(&at, n)?;
    let out = x.clone_data()?;
    let values = autograd::no_grad(|| source.detach().contiguous())?;
    let positions = at.as_slice::<i64>()?;
    crate::dispatch!(x.dtype(), T => {
        use kernel::Combine;
        let (src, dst) = (values.data_ptr() as *const T, out.data_ptr() as *mut T);
        for (k, &i) in positions.iter().enumerate() {
            let i = if i < 0 { i + n as i64 } else { i } as usize;
            let o = if out.is_contiguous() { i as isize } else { kernel::element_offset(&out, i) };
            // SAFETY: the position was checked against the number of elements; there is a value for each.
            unsafe {
                let (p, v) = (dst.offset(o), *src.add(k));
                *p = if accumulate { (*p).plus(v) } else { v };
            }
        }
    });
    if autograd::needs_grad(&[x, source]) {
        let sizes: Sizes = SmallVec::from_slice(source.sizes());
        let saved = Saved::input(index);
        record("PutBackward0", &[x, source], &[&out], move |g: &Grads| {
            let (g0, index) = (g.get(0)?, saved.get(g)?);
            let to_x = g.when(0, || {
                if accumulate {
                    return Ok(g0.clone());
                }
                put(
                    &g0,
                    &index,
                    &Tensor::zeros(index.sizes(), g0.dtype(), g0.device())?,
                    false,
                )
            })?;
            let to_source = g.when(1, || take(&g0, &index)?.reshape_to(&sizes))?;
            grads([to_x, to_source])
        });
    }
    Ok(out)
}

/// `gather` with the other axes broadcast, or over the flattened tensors.
fn take_along_dim(x: &Tensor, index: &Tensor, dim: Option<i64>) -> Result<Tensor> {
    crate::check!(
        index.dtype() == DType::I64,
        Runtime,
        "torch.take_along_dim(): dtype of indices should be Long but got {}",
        index.dtype().scalar_name()
    );
    let Some(dim) = dim else {
        return gather(&x.reshape(&[-1])?, 0, &index.reshape(&[-1])?);
    };
    crate::check!(
        x.ndim() == index.ndim(),
        Runtime,
        "torch.take_along_dim(): input and indices should have the same number of dimensions, but got {} dimensions for \
         input, and {} dimensions for indices",
        x.ndim(),
        index.ndim()
    );
    let d = shape::wrap_dim(dim, x.ndim())?;
    if x.ndim() == 0 {
        return gather(x, dim, index);
    }
    let (mut xs, mut is): (Sizes, Sizes) = (
        SmallVec::from_slice(x.sizes()),
        SmallVec::from_slice(index.sizes()),
    );
    xs[d] = 1;
    is[d] = 1;
    let mut full = shape::broadcast(&xs, &is)?;
    full[d] = x.sizes()[d];
    let wide = x.expand_to(&full)?;
    full[d] = index.sizes()[d];
    let at = index.expand_to(&full)?;
    // Indices count from the end where they are negative.
    let n = wide.sizes()[d] as i64;
    let below = at.lt(&Tensor::wrapped(0)?)?;
    let at = if below.any()?.item()?.to_bool() {
        below.where_(&at.add(&Tensor::wrapped(n)?)?, &at)?
    } else {
        at
    };
    gather(&wide, d as i64, &at)
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
op! {
    /// Returns a copy of `input` into which `src` is reduced at the positions the index gives along `dim`.
    ///
    /// Args:
    ///     reduce: "sum", "prod", "mean", "amax" or "amin".
    ///     include_self: whether the elements of `input` take part. Default: True.
    scatter_reduce__, in [TORCH, METHOD]; out, in_place {
        "(Tensor input, int dim, Tensor index, Tensor src, str reduce, *, bool include_self=True) -> Tensor" => |a| {
            scatter_reduce("ScatterReduceBackward0", &a.tensor(0), a.int(1), &a.tensor(2), &a.tensor(3), reduce_of(a.str(4))?, a.bool(5))
        },
    }
}
op! {
    /// Returns the elements at positions of the flattened `input`; the result has the shape of the index.
    take, in [TORCH, METHOD]; out {
        "(Tensor input, Tensor index) -> Tensor" => |a| take(&a.tensor(0), &a.tensor(1)),
    }
}
op! {
    /// Returns a copy of `input` with `source` written at, or with `accumulate` added to, positions of the flattened tensor.
    put, in [TORCH, METHOD]; in_place {
        "(Tensor input, Tensor index, Tensor source, bool accumulate=False) -> Tensor" =>
            |a| put(&a.tensor(0), &a.tensor(1), &a.tensor(2), a.bool(3)),
    }
}
op! {
    /// Gathers along `dim` with the other axes broadcast; without `dim` from the flattened tensor.
    take_along_dim, in [TORCH, METHOD]; out {
        "(Tensor input, Tensor indices, int? dim=None) -> Tensor" =>
            |a| take_along_dim(&a.tensor(0), &a.tensor(1), a.opt_int(2)),
    }
}

pub static ROWS: &[&crate::ops::OpDef] = &[
    &gather::DEF,
    &scatter::DEF,
    &scatter_::DEF,
    &scatter_add::DEF,
    &scatter_add_::DEF,
    &scatter_reduce__::DEF,
    &take::DEF,
    &put::DEF,
    &take_along_dim::DEF,
];
