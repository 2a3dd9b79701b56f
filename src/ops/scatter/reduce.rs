//! `scatter` with a reduction: sums, products, means and extremes of what meets at a position.

use super::{check_scatter, fit_source, gather, long, scatter_add, scatter_data, scatter_number};
use crate::autograd::{self, Grads, Saved, engine::grads, record};
use crate::cpu::index::{self as kernel, Fold};
use crate::dtype::DType;
use crate::error::Result;
use crate::scalar::Scalar;
use crate::shape;
use crate::tensor::Tensor;

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
