//! Distances and similarities of vectors.

use super::reduce::{as_rows, reduced_sizes};
use super::{index, loss::work};
use crate::autograd::{self, Term};
use crate::error::Result;
use crate::list;
use crate::shape;
use crate::tensor::Tensor;

pointwise! {
    /// Returns the square root; its slope at 0 counts as 0.
    safe_root(x) -> Float, in [PRIVATE], in_place no {
        float = x.sqrt(),
        wgsl = "sqrt(x)",
        grad x(g; out) = (g * 0.5 / out).masked(&out.not_equal_to(0.0)),
    }
}
pointwise! {
    /// Returns `|input| ^ p`; its slope at 0 counts as 0.
    abs_power(x; p) -> Float, schema ["(Tensor input, Scalar p) -> Tensor"], in [PRIVATE], in_place no {
        float = x.abs().powf(p),
        grad x(g; x) = (g * x.signed_power(p.to_f64() - 1.0) * p).masked(&x.not_equal_to(0.0)),
    }
}
pointwise! {
    /// Returns `sign(input) |input| ^ p`; its slope at 0 counts as 0.
    signed_power(x; p) -> Float, schema ["(Tensor input, Scalar p) -> Tensor"], in [PRIVATE], in_place no {
        float = R::select(x == R::ZERO, R::ZERO, x.abs().powf(p).copysign(x)),
        grad x(g; x) = (g * x.abs_power(p.to_f64() - 1.0) * p).masked(&x.not_equal_to(0.0)),
    }
}

/// The p-norm over one axis.
pub fn p_norm(x: &Tensor, p: f64, dim: i64, keepdim: bool) -> Result<Tensor> {
    if x.dtype().is_complex() {
        return p_norm(&x.abs()?, p, dim, keepdim);
    }
    if x.dtype().compute() != x.dtype() {
        return p_norm(&x.to_dtype(x.dtype().compute())?, p, dim, keepdim)?.to_dtype(x.dtype());
    }
    let d = shape::wrap_dim(dim, x.ndim())?;
    let dims: &[usize] = if x.ndim() == 0 { &[] } else { &[d] };
    if p == 2.0 {
        return x.mul(x)?.sum_dims(dims, keepdim)?.safe_root();
    }
    if p == 1.0 {
        return x.abs()?.sum_dims(dims, keepdim);
    }
    if p == 0.0 {
        // The number of nonzero elements: flat wherever it has a slope.
        let count = autograd::no_grad(|| {
            x.detach()
                .ne(&Tensor::wrapped(0.0)?)?
                .to_dtype(x.dtype())?
                .sum_dims(dims, keepdim)
        })?;
        return count.add(&x.mul_scalar(0.0)?.sum_dims(dims, keepdim)?);
    }
    if p.is_infinite() {
        let share = autograd::no_grad(|| extreme_share(&x.detach(), dims, p > 0.0))?;
        return x.mul(&share)?.sum_dims(dims, keepdim);
    }
    x.abs_power(p)?.sum_dims(dims, keepdim)?.abs_power(1.0 / p)
}

/// Factors that pick the elements of largest (or smallest) magnitude, evenly where several tie, with their sign: the
/// sum of their products with `x` is that magnitude.
fn extreme_share(x: &Tensor, dims: &[usize], largest: bool) -> Result<Tensor> {
    let magnitude = work(&x.abs()?)?;
    let (rows, count, len) = as_rows(&magnitude, dims)?;
    let kept = reduced_sizes(x.sizes(), dims, true);
    let extreme = crate::dispatch_real!(rows.dtype(), T => {
        let values = rows.as_slice::<T>()?;
        let best = |row: &[T]| row.iter().copied().fold(row.first().copied().unwrap_or_default(), |m, v| {
            if v.is_nan() || (largest && v > m) || (!largest && v < m) { v } else { m }
        });
        let found: Vec<T> = list::collected((0..count).map(|r| best(&values[r * len..(r + 1) * len])))?;
        Tensor::from_slice_shaped(&found, &kept)?
    });
    let ties = magnitude.eq(&extreme)?.to_dtype(x.dtype())?;
    x.sign()?.mul(&ties)?.div(&ties.sum_dims(dims, true)?)
}

/// A value that is at least `low` whose gradient passes also below it.
fn floored(t: &Tensor, low: f64) -> Result<Tensor> {
    let lift = autograd::no_grad(|| {
        let t = t.detach();
        t.clamp_min(&Tensor::wrapped(low)?)?.sub(&t)
    })?;
    t.add(&lift)
}

pub fn cosine_similarity(a: &Tensor, b: &Tensor, dim: i64, eps: f64) -> Result<Tensor> {
    let dtype = crate::dtype::promote_types(a.dtype(), b.dtype())?;
    crate::check!(
        dtype.is_floating(),
        Runtime,
        "expected common dtype to be floating point, yet common dtype is {}",
        dtype.scalar_name()
    );
    let sizes = shape::broadcast(a.sizes(), b.sizes())?;
    let (a, b) = (
        a.to_dtype(dtype)?.expand_to(&sizes)?,
        b.to_dtype(dtype)?.expand_to(&sizes)?,
    );
    let d = shape::wrap_dim(dim, sizes.len())?;
    let unit = |t: &Tensor| t.div(&floored(&p_norm(t, 2.0, dim, true)?, eps)?);
    let product = unit(&a)?.mul(&unit(&b)?)?;
    if sizes.is_empty() {
        Ok(product)
    } else {
        product.sum_dims(&[d], false)
    }
}

pub fn pairwise_distance(
    a: &Tensor,
    b: &Tensor,
    p: f64,
    eps: f64,
    keepdim: bool,
) -> Result<Tensor> {
    p_norm(&a.sub(b)?.add_number(eps)?, p, -1, keepdim)
}

fn normalize(x: &Tensor, p: f64, dim: i64, eps: f64) -> Result<Tensor> {
    crate::check!(
        x.dtype().is_differentiable(),
        Runtime,
        "linalg.vector_norm: Expected a floating point or complex tensor as input. Got {}",
        x.dtype().scalar_name()
    );
    x.div(&p_norm(x, p, dim, true)?.clamp_min(&Tensor::wrapped(eps)?)?)
}

/// Above this many rows Euclidean distances come from a matrix product, unless the caller decides.
const PRODUCT_ROWS: usize = 25;

fn cdist(a: &Tensor, b: &Tensor, p: f64, mode: Option<&str>) -> Result<Tensor> {
    for (name, t) in [("X1", a), ("X2", b)] {
        crate::check!(
            t.dtype().is_floating(),
            Runtime,
            "cdist only supports floating-point dtypes, {name} got: {}",
            t.dtype().scalar_name()
        );
        crate::check!(
            t.ndim() >= 2,
            Runtime,
            "cdist only supports at least 2D tensors, {name} got: {}D",
            t.ndim()
        );
    }
    let columns = [a.size(-1)?, b.size(-1)?];
    crate::check!(
        columns[0] == columns[1],
        Runtime,
        "X1 and X2 must have the same number of columns. X1: {} X2: {}",
        columns[0],
        columns[1]
    );
    crate::check!(
        a.dtype() == b.dtype(),
        Runtime,
        "expected scalar type {} but found {}",
        a.dtype().scalar_name(),
        b.dtype().scalar_name()
    );
    crate::check!(
        p >= 0.0,
        Runtime,
        "cdist only supports non-negative p values"
    );
    let rows = [a.size(-2)?, b.size(-2)?];
    let product = match mode {
        None | Some("use_mm_for_euclid_dist_if_necessary") => {
            rows.iter().any(|&n| n > PRODUCT_ROWS)
        }
        Some("use_mm_for_euclid_dist") => true,
        Some("donot_use_mm_for_euclid_dist") => false,
        Some(other) => crate::bail!(Value, "{other} is not a valid value for compute_mode"),
    };
    if p == 2.0 && product && columns[0] > 0 {
        // |a - b|^2 = |a|^2 + |b|^2 - 2 a.b
        let square = |t: &Tensor| t.mul(t)?.sum_dims(&[t.ndim() - 1], false);
        let cross = a.matmul(&b.transpose(-2, -1)?)?.mul_scalar(-2.0)?;
        let sum = square(a)?
            .unsqueeze(-1)?
            .add(&square(b)?.unsqueeze(-2)?)?
            .add(&cross)?;
        return sum.clamp_min(&Tensor::wrapped(0.0)?)?.safe_root();
    }
    p_norm(&a.unsqueeze(-2)?.sub(&b.unsqueeze(-3)?)?, p, -1, false)
}

fn pdist(x: &Tensor, p: f64) -> Result<Tensor> {
    crate::check!(
        x.ndim() == 2,
        Runtime,
        "pdist only supports 2D tensors, got: {}D",
        x.ndim()
    );
    crate::check!(
        x.dtype().is_floating(),
        Runtime,
        "pdist only supports floating-point dtypes"
    );
    crate::check!(
        p >= 0.0,
        Runtime,
        "pdist only supports non-negative p values"
    );
    let n = x.sizes()[0] as i64;
    let pairs = (x.sizes()[0] as u128 * x.sizes()[0].saturating_sub(1) as u128 / 2)
        .min(usize::MAX as u128) as usize;
    let (mut first, mut second) = (list::with_room(pairs)?, list::with_room(pairs)?);
    for i in 0..n {
        for j in i + 1..n {
            first.push(i);
            second.push(j);
        }
    }
    let rows = |i: &[i64]| index::index(x, &[(0, Tensor::from_slice(i)?)]);
    p_norm(&rows(&first)?.sub(&rows(&second)?)?, p, 1, false)
}

/// Divides by a power of the average square over a window of channels.
fn local_response_norm(x: &Tensor, size: i64, alpha: f64, beta: f64, k: f64) -> Result<Tensor> {
    crate::check!(
        x.ndim() >= 3,
        Value,
        "Expected 3D or higher dimensionality                          input (got {} dimensions)",
        x.ndim()
    );
    crate::check!(
        size > 0,
        Runtime,
        "kernel size should be greater than zero, but got kH: {size} kW: 1"
    );
    if x.numel() == 0 {
        return Ok(x.clone());
    }
    let mut pad = vec![0; 2 * (x.ndim() - 1)];
    let at = pad.len() - 2;
    (pad[at], pad[at + 1]) = (size / 2, (size - 1) / 2);
    let squares = super::pad::constant_pad(&x.mul(x)?, &pad, 0i64.into())?;
    let channels = x.sizes()[1] as i64;
    let mut sum = squares.narrow(1, 0, channels)?;
    for shift in 1..size {
        sum = sum.add(&squares.narrow(1, shift, channels)?)?;
    }
    // Integers are averaged as integers.
    let window = Tensor::wrapped(size)?;
    let average = if sum.dtype().is_integral() {
        sum.floor_divide(&window)?
    } else {
        sum.div(&window)?
    };
    let scale = Term::from(average) * alpha + k;
    (Term::from(x) / scale.pow_scalar(beta)).0
}

op! {
    /// Computes the cosine of the angle between vectors along an axis.
    ///
    /// Args:
    ///     x1: vectors.
    ///     x2: vectors; broadcasts with `x1`.
    ///     dim: the axis. Default: 1.
    ///     eps: least length to divide by. Default: 1e-8.
    cosine_similarity, in [NN, TORCH] {
        "(Tensor x1, Tensor x2, int dim=1, float eps=1e-8) -> Tensor" =>
            |a| cosine_similarity(&a.tensor(0), &a.tensor(1), a.int(2), a.float(3)),
    }
}
op! {
    /// Computes the p-norm of `x1 - x2 + eps` over the last axis.
    ///
    /// Args:
    ///     x1: vectors, (N, D) or (D).
    ///     x2: vectors; broadcasts with `x1`.
    ///     p: the norm. Default: 2.
    ///     eps: added to the difference. Default: 1e-6.
    ///     keepdim: whether the last axis stays with size 1. Default: False.
    pairwise_distance, in [NN, TORCH] {
        "(Tensor x1, Tensor x2, float p=2.0, float eps=1e-6, bool keepdim=False) -> Tensor" =>
            |a| pairwise_distance(&a.tensor(0), &a.tensor(1), a.float(2), a.float(3), a.bool(4)),
    }
}
op! {
    /// Computes the p-norm distance of every pair of rows of two batches of matrices.
    ///
    /// Args:
    ///     x1: (..., P, M).
    ///     x2: (..., R, M).
    ///     p: the norm, at least 0. Default: 2.
    ///     compute_mode: whether Euclidean distances come from a matrix product:
    ///         "use_mm_for_euclid_dist_if_necessary" (above 25 rows), "use_mm_for_euclid_dist" or
    ///         "donot_use_mm_for_euclid_dist".
    ///
    /// Returns:
    ///     (..., P, R).
    cdist, in [TORCH] {
        "(Tensor x1, Tensor x2, float p=2.0, str? compute_mode='use_mm_for_euclid_dist_if_necessary') -> Tensor" =>
            |a| cdist(&a.tensor(0), &a.tensor(1), a.float(2), a.opt_str(3)),
    }
}
op! {
    /// Computes the p-norm distance of every pair of rows.
    ///
    /// Args:
    ///     input: (N, M).
    ///     p: the norm, at least 0. Default: 2.
    ///
    /// Returns:
    ///     (N (N - 1) / 2), the pairs (0, 1), (0, 2), ...
    pdist, in [NN, TORCH] {
        "(Tensor input, float p=2.0) -> Tensor" => |a| pdist(&a.tensor(0), a.float(1)),
    }
}
op! {
    /// Divides vectors along an axis by their p-norm, at least `eps`.
    ///
    /// Args:
    ///     input: the vectors.
    ///     p: the norm. Default: 2.
    ///     dim: the axis. Default: 1.
    ///     eps: least norm to divide by. Default: 1e-12.
    normalize, in [NN]; out {
        "(Tensor input, float p=2.0, int dim=1, float eps=1e-12) -> Tensor" =>
            |a| normalize(&a.tensor(0), a.float(1), a.int(2), a.float(3)),
    }
}
op! {
    /// Normalises over a window of neighbouring channels (Krizhevsky et al., 2012).
    ///
    /// Args:
    ///     input: (N, C, ...).
    ///     size: channels in the window.
    ///     alpha: factor of the average square. Default: 1e-4.
    ///     beta: exponent. Default: 0.75.
    ///     k: added to the average. Default: 1.
    local_response_norm, in [NN] {
        "(Tensor input, int size, float alpha=1e-4, float beta=0.75, float k=1.0) -> Tensor" =>
            |a| local_response_norm(&a.tensor(0), a.int(1), a.float(2), a.float(3), a.float(4)),
    }
}

pub static ROWS: &[&crate::ops::OpDef] = &[
    &safe_root::DEF,
    &abs_power::DEF,
    &signed_power::DEF,
    &cosine_similarity::DEF,
    &pairwise_distance::DEF,
    &cdist::DEF,
    &pdist::DEF,
    &normalize::DEF,
    &local_response_norm::DEF,
];
