//! Extremes with their positions, and reading elements at positions along one axis.

use super::reduce::{self, Dims, Kind, axes, check_nonempty, one_axis, reduced_sizes};
use crate::autograd::{self, engine::grads, record};
use crate::dtype::DType;
use crate::error::Result;
use crate::ops::args::Value;
use crate::ops::index::add_elements;
use crate::ops::scatter::{gather, scatter_add};
use crate::shape::{self, Sizes};
use crate::tensor::Tensor;
use smallvec::SmallVec;

/// A contiguous tensor seen as (outer, n, inner) around an axis.
pub fn by_dim(x: &Tensor, d: usize) -> (usize, usize, usize) {
    if x.ndim() == 0 {
        return (1, 1, 1);
    }
    let s = x.sizes();
    (s[..d].iter().product(), s[d], s[d + 1..].iter().product())
}

/// Sizes with axis `d` set to `n`; a 0-d tensor stays 0-d.
pub fn resized(sizes: &[usize], d: usize, n: usize) -> Sizes {
    let mut out: Sizes = SmallVec::from_slice(sizes);
    if let Some(s) = out.get_mut(d) {
        *s = n;
    }
    out
}

/// The elements of `x` at the positions `at` along axis `d`, recorded under `name`. `at` has the axes of `x`; with
/// `drop` the result loses the axis.
pub fn pick(name: &'static str, x: &Tensor, d: usize, at: &Tensor, drop: bool) -> Result<Tensor> {
    let sizes = if drop && x.ndim() > 0 {
        reduced_sizes(at.sizes(), &[d], false)
    } else {
        SmallVec::from_slice(at.sizes())
    };
    let out = Tensor::empty(&sizes, x.dtype(), x.device())?;
    let source = autograd::no_grad(|| x.detach().contiguous())?;
    let positions = autograd::no_grad(|| at.detach().contiguous())?;
    if !x.device().is_cpu() {
        let taken =
            autograd::no_grad(|| gather(&source, d as i64, &positions)?.reshape_to(&sizes))?;
        record_pick(name, x, d, positions, drop, &taken);
        return Ok(taken);
    }
    let ((outer, n, inner), (_, k, _)) = (by_dim(x, d), by_dim(at, d));
    let index = positions.as_slice::<i64>()?;
    crate::check!(
        index.iter().all(|&i| (i as usize) < n),
        Index,
        "{name}: position out of range"
    );
    crate::dispatch_size!(x.dtype(), T => {
        let (src, dst) = (source.data_ptr() as *const T, out.data_ptr() as *mut T);
        for o in 0..outer {
            for j in 0..k {
                for i in 0..inner {
                    let p = (o * k + j) * inner + i;
                    // SAFETY: positions were checked against `n`; `p` runs over the result once.
                    unsafe { dst.add(p).write(*src.add((o * n + index[p] as usize) * inner + i)) };
                }
            }
        }
    });
    record_pick(name, x, d, positions, drop, &out);
    Ok(out)
}

fn record_pick(
    name: &'static str,
    x: &Tensor,
    d: usize,
    positions: Tensor,
    drop: bool,
    out: &Tensor,
) {
    if autograd::needs_grad(&[x]) {
        let full: Sizes = SmallVec::from_slice(x.sizes());
        record(name, &[x], &[out], move |g| {
            let grad = g.get(0)?;
            let grad = if drop {
                grad.reshape_to(positions.sizes())?
            } else {
                grad
            };
            grads([Some(spread(&grad, d, &positions, &full)?)])
        });
    }
}

/// Zeros of `sizes` with the elements of `g` added at the positions `at` along axis `d`.
pub fn spread(g: &Tensor, d: usize, at: &Tensor, sizes: &[usize]) -> Result<Tensor> {
    let out = Tensor::zeros(sizes, g.dtype(), g.device())?;
    if !g.device().is_cpu() {
        return scatter_add(&out, d as i64, at, g);
    }
    let source = autograd::no_grad(|| g.detach().contiguous())?;
    let ((outer, n, inner), (_, k, _)) = (by_dim(&out, d), by_dim(at, d));
    let index = at.as_slice::<i64>()?;
    crate::dispatch!(g.dtype(), T => {
        let (src, dst) = (source.data_ptr() as *const T, out.data_ptr() as *mut T);
        for o in 0..outer {
            for j in 0..k {
                for i in 0..inner {
                    let p = (o * k + j) * inner + i;
                    // SAFETY: `pick` checked the positions against this axis; `p` is inside `g`.
                    unsafe {
                        let q = dst.add((o * n + index[p] as usize) * inner + i);
                        *q = add_elements(*q, *src.add(p));
                    }
                }
            }
        }
    });
    if autograd::needs_grad(&[g]) {
        let at = at.clone();
        record("ScatterAddBackward0", &[g], &[&out], move |gg| {
            grads([Some(pick("GatherBackward0", &gg.get(0)?, d, &at, false)?)])
        });
    }
    Ok(out)
}

/// The positions of extremes along an axis, which stays with size one.
fn positions(min: bool, x: &Tensor, d: usize) -> Result<Tensor> {
    let dims: &[usize] = if x.ndim() == 0 { &[] } else { &[d] };
    reduce::reduce(
        if min { Kind::ArgMin } else { Kind::ArgMax },
        &x.detach(),
        dims,
        true,
    )
}

/// A result and its positions without the reduced axis.
pub fn with_positions(
    name: &'static str,
    node: &'static str,
    x: &Tensor,
    d: usize,
    at: Tensor,
    keepdim: bool,
) -> Result<Value> {
    let values = pick(node, x, d, &at, !keepdim)?;
    let at = if keepdim || x.ndim() == 0 {
        at
    } else {
        at.reshape_to(&reduced_sizes(at.sizes(), &[d], false))?
    };
    Ok(Value::Named(name, &["values", "indices"], vec![values, at]))
}

fn no_complex(op: &str, x: &Tensor) -> Result<()> {
    crate::check!(
        !x.dtype().is_complex(),
        Runtime,
        "{op}(): does not support complex input"
    );
    Ok(())
}

fn no_loop(kernel: &str, x: &Tensor) -> Result<()> {
    crate::check!(
        !x.dtype().is_complex(),
        NotImplemented,
        "\"{kernel}\" not implemented for '{}'",
        x.dtype().scalar_name()
    );
    Ok(())
}

/// `max` and `min` over an axis.
fn extreme(min: bool, x: &Tensor, dim: i64, keepdim: bool) -> Result<Value> {
    let (name, node) = if min {
        ("min", "MinBackward0")
    } else {
        ("max", "MaxBackward0")
    };
    no_complex(name, x)?;
    let d = shape::wrap_dim(dim, x.ndim())?;
    if x.ndim() > 0 {
        check_nonempty(name, x, &[d], true)?;
    }
    with_positions(name, node, x, d, positions(min, x, d)?, keepdim)
}

fn whole_extreme(min: bool, x: &Tensor) -> Result<Tensor> {
    let (name, node) = if min {
        ("min", "MinBackward1")
    } else {
        ("max", "MaxBackward1")
    };
    no_loop(if min { "min_all" } else { "max_all" }, x)?;
    check_nonempty(name, x, &[], false)?;
    x.extreme(min, &axes(None, x.ndim())?, false, node)
}

fn arg_extreme(min: bool, x: &Tensor, dim: Option<i64>, keepdim: bool) -> Result<Tensor> {
    let op = if min { "argmin" } else { "argmax" };
    no_complex(op, x)?;
    crate::check!(
        x.dtype() != DType::Bool,
        Runtime,
        "{op}(): does not support bool input"
    );
    let dims: Dims = match dim {
        Some(d) => one_axis(x, d)?,
        None => axes(None, x.ndim())?,
    };
    crate::check!(
        x.numel() > 0 || dim.is_some(),
        Index,
        "{op}(): Expected reduction dim to be specified for input.numel() == 0."
    );
    check_nonempty(op, x, &dims, true)?;
    reduce::reduce(
        if min { Kind::ArgMin } else { Kind::ArgMax },
        x,
        &dims,
        keepdim,
    )
}

fn both_extremes(x: &Tensor, dim: Option<i64>, keepdim: bool) -> Result<Value> {
    no_loop("aminmax_cpu", x)?;
    let dims: Dims = match dim {
        Some(d) => one_axis(x, d)?,
        None => axes(None, x.ndim())?,
    };
    if x.numel() == 0 && dim.is_none() {
        crate::bail!(
            Runtime,
            "aminmax(): cannot compute aminmax over an empty dimension as the operation has no identity."
        );
    }
    for &d in &dims {
        crate::check!(
            x.sizes()[d] != 0,
            Index,
            "aminmax: Expected reduction dim {d} to have non-zero size."
        );
    }
    let min = x.extreme(true, &dims, keepdim, "AminmaxBackward0")?;
    let max = x.extreme(false, &dims, keepdim, "AminmaxBackward0")?;
    Ok(Value::Named("aminmax", &["min", "max"], vec![min, max]))
}

op! {
    /// Returns the largest element of `input`; over `dim` the largest elements and their positions; or the elementwise
    /// maximum with another tensor.
    max, in [TORCH, METHOD]; out {
        "(Tensor input) -> Tensor" => |a| whole_extreme(false, &a.tensor(0)).map(Value::Tensor),
        // Before the axis: a 0-d integer tensor would pass for one.
        "(Tensor input, Tensor other) -> Tensor" => |a| a.tensor(0).maximum(&a.tensor(1)).map(Value::Tensor),
        "(Tensor input, int dim, bool keepdim=False) -> (Tensor values, Tensor indices)" =>
            |a| extreme(false, &a.tensor(0), a.int(1), a.bool(2)),
    }
}
op! {
    /// Returns the smallest element of `input`; over `dim` the smallest elements and their positions; or the elementwise
    /// minimum with another tensor.
    min, in [TORCH, METHOD]; out {
        "(Tensor input) -> Tensor" => |a| whole_extreme(true, &a.tensor(0)).map(Value::Tensor),
        // Before the axis: a 0-d integer tensor would pass for one.
        "(Tensor input, Tensor other) -> Tensor" => |a| a.tensor(0).minimum(&a.tensor(1)).map(Value::Tensor),
        "(Tensor input, int dim, bool keepdim=False) -> (Tensor values, Tensor indices)" =>
            |a| extreme(true, &a.tensor(0), a.int(1), a.bool(2)),
    }
}
op! {
    /// Returns the position of the first largest element of `input`, over `dim` if given.
    argmax, in [TORCH, METHOD]; out {
        "(Tensor input, int? dim=None, bool keepdim=False) -> Tensor" =>
            |a| arg_extreme(false, &a.tensor(0), a.opt_int(1), a.bool(2)),
    }
}
op! {
    /// Returns the position of the first smallest element of `input`, over `dim` if given.
    argmin, in [TORCH, METHOD]; out {
        "(Tensor input, int? dim=None, bool keepdim=False) -> Tensor" =>
            |a| arg_extreme(true, &a.tensor(0), a.opt_int(1), a.bool(2)),
    }
}
op! {
    /// Returns the smallest and the largest elements of `input`, over `dim` if given.
    aminmax, in [TORCH, METHOD]; out {
        "(Tensor input, *, int? dim=None, bool keepdim=False) -> (Tensor min, Tensor max)" =>
            |a| both_extremes(&a.tensor(0), a.opt_int(1), a.bool(2)),
    }
}

pub static ROWS: &[&crate::ops::OpDef] = &[
    &max::DEF,
    &min::DEF,
    &argmax::DEF,
    &argmin::DEF,
    &aminmax::DEF,
];
