//! Differences along axes: `diff` and numerical derivatives.

use super::args::Value;
use super::join::cat;
use crate::dtype::DType;
use crate::error::Result;
use crate::scalar::Scalar;
use crate::shape;
use crate::tensor::Tensor;

/// One difference of neighbours along an axis; for bool, whether they differ.
fn step(x: &Tensor, dim: i64) -> Result<Tensor> {
    let n = x.size(dim)? as i64 - 1;
    let (after, before) = (x.narrow(dim, 1, n)?, x.narrow(dim, 0, n)?);
    if x.dtype() == DType::Bool {
        after.logical_xor(&before)
    } else {
        after.sub(&before)
    }
}

fn check_joined(x: &Tensor, with: &Tensor, dim: usize) -> Result<()> {
    crate::check!(
        with.ndim() == x.ndim(),
        Runtime,
        "diff expects prepend or append to be the same dimension as input"
    );
    for (i, (&a, &b)) in x.sizes().iter().zip(with.sizes()).enumerate() {
        crate::check!(
            i == dim || a == b,
            Runtime,
            "diff expects the shape of tensor to prepend or append to match that of input except along the differencing \
             dimension; input.size({i}) = {a}, but got tensor.size({i}) = {b}"
        );
    }
    Ok(())
}

fn diff(
    x: &Tensor,
    n: i64,
    dim: i64,
    prepend: Option<&Tensor>,
    append: Option<&Tensor>,
) -> Result<Tensor> {
    crate::check!(
        x.ndim() > 0,
        Runtime,
        "diff expects input to be at least one-dimensional"
    );
    crate::check!(n >= 0, Runtime, "order must be non-negative but got {n}");
    let d = shape::wrap_dim(dim, x.ndim())?;
    let mut parts = Vec::with_capacity(3);
    for t in [prepend, Some(x), append].into_iter().flatten() {
        check_joined(x, t, d)?;
        parts.push(t.clone());
    }
    if n == 0 {
        return x.clone_data_recorded();
    }
    let dim = d as i64;
    let mut out = if parts.len() == 1 {
        x.clone()
    } else {
        cat(&parts, dim)?
    };
    let most = out.sizes()[d] as i64;
    if n >= most {
        return out.narrow(dim, 0, 0)?.clone_data_recorded();
    }
    for _ in 0..n {
        out = step(&out, dim)?;
    }
    Ok(out)
}

/// How far apart the samples along one axis are.
enum Spacing {
    Even(Scalar),
    At(Tensor),
}

/// The derivative along one axis: second order inside, of order `edge` at the ends.
fn slope(x: &Tensor, d: usize, spacing: &Spacing, edge: i64) -> Result<Tensor> {
    let (dim, n) = (d as i64, x.sizes()[d] as i64);
    let at = |i: i64, len: i64| x.narrow(dim, i, len);
    let [first, middle, last] = match spacing {
        Spacing::Even(h) => {
            let h = Tensor::wrapped(*h)?;
            let end = |near: i64, next: i64, far: i64| -> Result<Tensor> {
                if edge == 1 {
                    return at(near.max(next), 1)?.sub(&at(near.min(next), 1)?)?.div(&h);
                }
                let sign = if near < next { 1.0 } else { -1.0 };
                at(near, 1)?
                    .mul_scalar(-1.5 * sign)?
                    .add(&at(next, 1)?.mul_scalar(2.0 * sign)?)?
                    .sub(&at(far, 1)?.mul_scalar(0.5 * sign)?)?
                    .div(&h)
            };
            let middle = at(2, n - 2)?
                .sub(&at(0, n - 2)?)?
                .div(&h)?
                .mul_scalar(0.5)?;
            [end(0, 1, 2)?, middle, end(n - 1, n - 2, n - 3)?]
        }
        Spacing::At(places) => {
            let steps = diff(places, 1, -1, None, None)?;
            let m = steps.sizes()[0] as i64;
            let mut sizes = vec![1i64; x.ndim()];
            sizes[d] = -1;
            let steps = steps.reshape(&sizes)?;
            let one = |i: i64| steps.narrow(dim, i, 1);
            // The parabola through three points that are a and b apart, differentiated.
            let three = |a: &Tensor,
                         b: &Tensor,
                         weights: [Tensor; 3],
                         from: i64,
                         len: i64|
             -> Result<Tensor> {
                let both = a.add(b)?;
                let [l, c, r] = weights;
                let (l, c, r) = (
                    l.div(&a.mul(&both)?)?,
                    c.div(&a.mul(b)?)?,
                    r.div(&b.mul(&both)?)?,
                );
                l.mul(&at(from, len)?)?
                    .add(&c.mul(&at(from + 1, len)?)?)?
                    .add(&r.mul(&at(from + 2, len)?)?)
            };
            let middle = {
                let (a, b) = (steps.narrow(dim, 0, m - 1)?, steps.narrow(dim, 1, m - 1)?);
                three(&a, &b, [b.neg()?, b.sub(&a)?, a.clone()], 0, n - 2)?
            };
            let (first, last) = if edge == 1 {
                (
                    at(1, 1)?.sub(&at(0, 1)?)?.div(&one(0)?)?,
                    at(n - 1, 1)?.sub(&at(n - 2, 1)?)?.div(&one(m - 1)?)?,
                )
            } else {
                let (a, b) = (one(0)?, one(1)?);
                let start = [a.mul_scalar(2.0)?.add(&b)?.neg()?, a.add(&b)?, a.neg()?];
                let first = three(&a, &b, start, 0, 1)?;
                let (a, b) = (one(m - 2)?, one(m - 1)?);
                let end = [b.clone(), a.add(&b)?.neg()?, b.mul_scalar(2.0)?.add(&a)?];
                (first, three(&a, &b, end, n - 3, 1)?)
            };
            [first, middle, last]
        }
    };
    cat(&[first, middle, last], dim)
}

/// The derivatives along the axes asked for; `spacing` has one entry, or one for each axis.
fn gradient(
    x: &Tensor,
    spacing: Vec<Spacing>,
    scalar: bool,
    dims: Option<&[i64]>,
    edge: i64,
) -> Result<Value> {
    let axes: Vec<usize> = match dims {
        Some(d) => shape::wrap_dims(d, x.ndim())?.to_vec(),
        None => (0..x.ndim()).collect(),
    };
    crate::check!(
        x.dtype() != DType::U8,
        Runtime,
        "torch.gradient does not support uint8 input."
    );
    if !scalar {
        match dims {
            Some(d) => crate::check!(
                spacing.len() == d.len(),
                Runtime,
                "torch.gradient expected spacing to be unspecified, a scalar or it's spacing and dim arguments to have the \
                 same length, but got a spacing argument of length {} and a dim argument of length {}.",
                spacing.len(),
                d.len()
            ),
            None => crate::check!(
                spacing.len() == x.ndim(),
                Runtime,
                "torch.gradient expected spacing to be unspecified, a scalar, or a list of length equal to 'self.dim() = {}', \
                 since dim argument was not given, but got a list of length {}",
                x.ndim(),
                spacing.len()
            ),
        }
    }
    for s in &spacing {
        if let Spacing::At(t) = s {
            crate::check!(
                t.ndim() == 1,
                Runtime,
                "torch.gradient expected each element of spacing to have one dimension, but got an element with {} dimensions!",
                t.ndim()
            );
        }
    }
    crate::check!(
        edge == 1 || edge == 2,
        Runtime,
        "torch.gradient only supports edge_order=1 and edge_order=2."
    );
    for &d in &axes {
        crate::check!(
            x.sizes()[d] as i64 > edge,
            Runtime,
            "torch.gradient expected each dimension size to be at least edge_order+1"
        );
    }
    let mut out = Vec::with_capacity(axes.len());
    for (i, &d) in axes.iter().enumerate() {
        let h = &spacing[if scalar { 0 } else { i }];
        if let Spacing::At(t) = h {
            crate::check!(
                t.sizes()[0] == x.sizes()[d],
                Runtime,
                "The size of tensor a ({}) must match the size of tensor b ({}) at non-singleton dimension {d}. Give as many \
                 coordinates as the axis has elements",
                x.sizes()[d] as i64 - 2,
                t.sizes()[0] as i64 - 2
            );
        }
        out.push(slope(x, d, h, edge)?);
    }
    Ok(Value::Tuple(out))
}

op! {
    /// Returns the n-th differences of neighbours along an axis, `out[i] = input[i + 1] - input[i]`.
    ///
    /// Args:
    ///     input: at least one-dimensional; of bool elements the result says whether neighbours differ.
    ///     n: how often to take differences. Default: 1.
    ///     dim: the axis. Default: the last.
    ///     prepend, append: put before and after `input` along `dim` first.
    ///
    /// Example:
    ///     >>> torch.diff(torch.tensor([1, 3, 2]))
    ///     tensor([ 2, -1])
    diff, in [TORCH, METHOD]; out {
        "(Tensor input, int n=1, int dim=-1, Tensor? prepend=None, Tensor? append=None) -> Tensor" =>
            |a| super::diff(&a.tensor(0), a.int(1), a.int(2), a.opt_tensor(3), a.opt_tensor(4)),
    }
}
op! {
    /// Estimates the derivative of sampled values along axes, by central differences inside and one-sided ones at the ends.
    ///
    /// Args:
    ///     input: the samples.
    ///     spacing: distance of samples: one number, a list with a number for each axis, or a list of tensors with the
    ///         coordinates of the samples. Default: 1.
    ///     dim: the axes. Default: all.
    ///     edge_order: order of accuracy at the ends, 1 or 2.
    ///
    /// Returns:
    ///     A tuple with one tensor for each axis.
    ///
    /// Example:
    ///     >>> torch.gradient(torch.tensor([1.0, 4.0, 9.0, 16.0]))
    ///     (tensor([3., 4., 6., 7.]),)
    gradient, in [TORCH] {
        "(Tensor input, *, Scalar? spacing=None, int[1]? dim=None, int edge_order=1) -> Tensor[]" => |a| {
            let h = a.opt_scalar(1).unwrap_or(Scalar::Int(1));
            super::gradient(&a.tensor(0), vec![Spacing::Even(h)], true, a.opt_ints(2), a.int(3))
        },
        "(Tensor input, *, Tensor[] spacing, int[1]? dim=None, int edge_order=1) -> Tensor[]" => |a| {
            let at = a.tensors(1).iter().map(|t| Spacing::At(t.clone())).collect();
            super::gradient(&a.tensor(0), at, false, a.opt_ints(2), a.int(3))
        },
        "(Tensor input, *, Scalar[] spacing, int[1]? dim=None, int edge_order=1) -> Tensor[]" => |a| {
            let at = a.scalars(1).iter().map(|&h| Spacing::Even(h)).collect();
            super::gradient(&a.tensor(0), at, false, a.opt_ints(2), a.int(3))
        },
    }
}

pub static ROWS: &[&crate::ops::OpDef] = &[&diff::DEF, &gradient::DEF];
