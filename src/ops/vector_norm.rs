//! Vector norms and what is made of them.

use super::linalg::norms::{Order, matrix_norm};
use super::reduce::{self, Kind, Shape, axes};
use crate::autograd::{self, Saved, engine::grads, record};
use crate::dtype::DType;
use crate::error::Result;
use crate::scalar::Scalar;
use crate::shape;
use crate::tensor::Tensor;

/// How PyTorch's messages write an order.
fn shown(p: f64) -> String {
    if p.is_infinite() {
        if p > 0.0 { "inf" } else { "-inf" }.to_string()
    } else {
        format!("{p}")
    }
}

fn check_input(x: &Tensor, dtype: Option<DType>) -> Result<()> {
    crate::check!(
        x.dtype().is_differentiable(),
        Runtime,
        "linalg.vector_norm: Expected a floating point or complex tensor as input. Got {}",
        x.dtype().scalar_name()
    );
    if let Some(d) = dtype {
        crate::check!(
            d.is_differentiable(),
            Runtime,
            "linalg.vector_norm: dtype should be floating point or complex, but got {}",
            d.scalar_name()
        );
        crate::check!(
            d.is_complex() == x.dtype().is_complex(),
            Runtime,
            "linalg.vector_norm: dtype should be {} for {} inputs, but got {}",
            if x.dtype().is_complex() {
                "complex"
            } else {
                "real"
            },
            if x.dtype().is_complex() {
                "complex"
            } else {
                "real"
            },
            d.scalar_name()
        );
    }
    Ok(())
}

impl Tensor {
    /// `sum(|x|^p)^(1/p)` over axes, and its limits for 0 and the infinities.
    pub fn vector_norm(
        &self,
        p: f64,
        dims: Option<&[i64]>,
        keepdim: bool,
        dtype: Option<DType>,
    ) -> Result<Tensor> {
        check_input(self, dtype)?;
        let x = self.to_dtype(dtype.unwrap_or(self.dtype()))?;
        let at = axes(dims, x.ndim())?;
        if x.numel() == 0 && (p < 0.0 || p == f64::INFINITY) {
            let all = dims.is_none_or(|d| d.is_empty());
            crate::check!(
                !all,
                Runtime,
                "linalg.vector_norm cannot compute the {} norm on an empty tensor because the operation does not have an identity",
                shown(p)
            );
            for &d in &at {
                crate::check!(
                    x.sizes()[d] != 0,
                    Runtime,
                    "linalg.vector_norm cannot compute the {} norm on the dimension {d}because this dimension is empty and \
                     the operation does not have an identity",
                    shown(p)
                );
            }
        }
        let x = &if x.dtype().is_complex() { x.abs()? } else { x };
        let out = reduce::reduce(Kind::Norm(p), x, &at, keepdim)?;
        if autograd::needs_grad(&[x]) {
            let s = Shape::of(x, &at, keepdim);
            let (xs, ys) = (Saved::input(x), Saved::output(&out, 0));
            record("LinalgVectorNormBackward0", &[x], &[&out], move |g| {
                if p == 0.0 {
                    return grads([None]);
                }
                let (grad, y) = (s.restore(&g.get(0)?)?, s.restore(&ys.get(g)?)?);
                grads([Some(slope(&grad, &xs.get(g)?, &y, p, &s)?)])
            });
        }
        Ok(out)
    }
}

/// The gradient of a norm `y` of `x`; zero where the norm has a kink.
fn slope(g: &Tensor, x: &Tensor, y: &Tensor, p: f64, s: &Shape) -> Result<Tensor> {
    let (zero, one) = (Tensor::wrapped(0i64)?, Tensor::wrapped(1i64)?);
    if p == 1.0 {
        return g.mul(&x.sgn()?);
    }
    if p == 2.0 {
        let none = autograd::no_grad(|| y.eq(&zero))?;
        // Divide by 1 there, so that no infinity meets the zero.
        return none.where_(&zero, &g.mul(x)?.div(&none.where_(&one, y)?)?);
    }
    if p.is_infinite() {
        let (hit, count) = autograd::no_grad(|| -> Result<(Tensor, Tensor)> {
            let size = x.abs()?;
            let hit = size
                .eq(y)?
                .logical_or(&size.isnan()?.logical_and(&y.isnan()?)?)?;
            let count = hit.sum_with(&s.dims, true, Some(x.dtype()))?;
            Ok((hit, count))
        })?;
        return hit.where_(&g.div(&count)?.mul(&x.sgn()?)?, &zero);
    }
    let at_zero = autograd::no_grad(|| x.eq(&zero))?;
    let no_norm = autograd::no_grad(|| y.eq(&zero))?;
    let power = Tensor::wrapped(p - 1.0)?;
    let size = at_zero.where_(&one, &x.abs()?)?;
    let ratio = size.div(&no_norm.where_(&one, y)?)?.pow(&power)?;
    at_zero
        .logical_or(&no_norm)?
        .where_(&zero, &g.mul(&x.sgn()?)?.mul(&ratio)?)
}

/// `torch.norm` with its names for orders.
fn named_norm(
    x: &Tensor,
    p: Option<&str>,
    dims: Option<&[i64]>,
    keepdim: bool,
    dtype: Option<DType>,
) -> Result<Tensor> {
    match p {
        None | Some("fro") => {
            if let Some(d) = dims.filter(|d| d.len() > 2) {
                crate::bail!(
                    Runtime,
                    "linalg.matrix_norm: dim must be a 2-tuple. Got {}",
                    d.iter()
                        .map(|d| d.to_string())
                        .collect::<Vec<_>>()
                        .join(" ")
                );
            }
            x.vector_norm(2.0, dims, keepdim, dtype)
        }
        Some("nuc") => {
            let all: Vec<i64> = (0..x.ndim() as i64).collect();
            matrix_norm(x, Order::Name("nuc"), dims.unwrap_or(&all), keepdim, dtype)
        }
        Some(p) => crate::bail!(Runtime, "linalg.matrix_norm: Order {p} not supported."),
    }
}

fn dist(a: &Tensor, b: &Tensor, p: f64) -> Result<Tensor> {
    let d = a.sub(b)?;
    let d = if d.dtype().is_integral() {
        d.to_dtype(crate::dtype::default_dtype())?
    } else {
        d
    };
    d.vector_norm(p, None, false, None)
}

fn renorm(x: &Tensor, p: f64, dim: i64, max: Scalar) -> Result<Tensor> {
    crate::check!(p > 0.0, Runtime, "renorm: non-positive-norm not supported");
    crate::check!(
        max.to_f64() >= 0.0,
        Runtime,
        "renorm: expected maxnorm to be >= 0 but got {}",
        max.to_f64()
    );
    crate::check!(
        x.ndim() > 1,
        Runtime,
        "renorm: input needs at least 2 dimensions, got {} dimensions",
        x.ndim()
    );
    let d = shape::wrap_dim(dim, x.ndim())?;
    let others: Vec<i64> = (0..x.ndim())
        .filter(|&k| k != d)
        .map(|k| k as i64)
        .collect();
    let norm = x.vector_norm(p, Some(&others), true, None)?;
    let long = autograd::no_grad(|| norm.gt(&Tensor::wrapped(max)?))?;
    // The small number keeps a norm that underflows from dividing by zero.
    let scale = long.where_(
        &Tensor::wrapped(max)?.div(&norm.add_number(1e-7)?)?,
        &Tensor::wrapped(1i64)?,
    )?;
    x.mul(&scale)
}

op! {
    /// Returns the `ord`-norm of `input` seen as a vector, over `dim` if given.
    vector_norm, in [LINALG]; out {
        "(Tensor input, Scalar ord=2, int[1]? dim=None, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor" =>
            |a| a.tensor(0).vector_norm(a.scalar(1).to_f64(), a.opt_ints(2), a.bool(3), a.dtype(4)),
    }
}
op! {
    /// Returns the norm of `input` over `dim`: of order `p`, or the Frobenius norm.
    norm, in [TORCH, METHOD]; out {
        "(Tensor input, Scalar p, int[1]? dim=None, bool keepdim=False, ScalarType? dtype=None) -> Tensor" =>
            |a| a.tensor(0).vector_norm(a.scalar(1).to_f64(), a.opt_ints(2), a.bool(3), a.dtype(4)),
        "(Tensor input, str? p='fro', int[1]? dim=None, bool keepdim=False, ScalarType? dtype=None) -> Tensor" =>
            |a| named_norm(&a.tensor(0), a.opt_str(1), a.opt_ints(2), a.bool(3), a.dtype(4)),
    }
}
op! {
    /// Returns the `p`-norm of `input - other`.
    dist, in [TORCH, METHOD] {
        "(Tensor input, Tensor other, Scalar p=2) -> Tensor" => |a| dist(&a.tensor(0), &a.tensor(1), a.scalar(2).to_f64()),
    }
}
op! {
    /// Scales the slices of `input` along `dim` whose `p`-norm exceeds `maxnorm` down to it.
    renorm, in [TORCH, METHOD]; out, in_place {
        "(Tensor input, Scalar p, int dim, Scalar maxnorm) -> Tensor" =>
            |a| renorm(&a.tensor(0), a.scalar(1).to_f64(), a.int(2), a.scalar(3)),
    }
}

pub static ROWS: &[&crate::ops::OpDef] = &[&vector_norm::DEF, &norm::DEF, &dist::DEF, &renorm::DEF];
