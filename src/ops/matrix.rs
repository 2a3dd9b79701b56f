//! What is made of products of matrices: powers, chains, cross products.

use super::einsum::chain;
use super::linalg::{check_square, identity, inverse};
use crate::autograd::{self, engine::grads};
use crate::error::Result;
use crate::ops::join::stack;
use crate::shape;
use crate::tensor::Tensor;

/// A matrix times itself, by repeated squaring.
fn power(a: &Tensor, n: i64) -> Result<Tensor> {
    check_square("linalg.matrix_power", a)?;
    if n == 0 {
        let out =
            autograd::no_grad(|| identity(a.size(-1)?, a)?.expand_to(a.sizes())?.contiguous())?;
        if autograd::needs_grad(&[a]) {
            let sizes = shape::Sizes::from_slice(a.sizes());
            autograd::record_stateless("CopyBackwards", &[a], &[&out], move |g| {
                let g = g.get(0)?;
                grads([Some(Tensor::zeros(&sizes, g.dtype(), g.device())?)])
            });
        }
        return Ok(out);
    }
    let mut square = if n < 0 { inverse(a)? } else { a.clone() };
    let mut left = n.unsigned_abs();
    let mut out: Option<Tensor> = None;
    loop {
        if left & 1 == 1 {
            out = Some(match out {
                None => square.clone(),
                Some(o) => o.matmul(&square)?,
            });
        }
        left >>= 1;
        match out {
            Some(o) if left == 0 => {
                return if n == 1 {
                    o.clone_data_recorded()
                } else {
                    Ok(o)
                };
            }
            _ => square = square.matmul(&square)?,
        }
    }
}

/// Products of two or more matrices in the cheapest order; the ends may be vectors.
fn multi_dot(tensors: &[Tensor]) -> Result<Tensor> {
    let n = tensors.len();
    crate::check!(
        n >= 2,
        Runtime,
        "multi_dot(): expected at least 2 tensors but got {n}"
    );
    let mut t: Vec<Tensor> = tensors.to_vec();
    for (i, t) in t.iter().enumerate() {
        let end = i == 0 || i == n - 1;
        crate::check!(
            t.ndim() == 2 || (end && t.ndim() == 1),
            Runtime,
            "multi_dot(): {} tensor must be {} but got {}D",
            if i == 0 {
                "the first".to_string()
            } else if end {
                "the last".to_string()
            } else {
                format!("tensor {i}")
            },
            if end { "1D or 2D" } else { "2D" },
            t.ndim()
        );
    }
    let (first, last) = (t[0].ndim() == 1, t[n - 1].ndim() == 1);
    if first {
        t[0] = t[0].unsqueeze(0)?;
    }
    if last {
        t[n - 1] = t[n - 1].unsqueeze(1)?;
    }
    for i in 1..n {
        crate::check!(
            t[i - 1].sizes()[1] == t[i].sizes()[0],
            Runtime,
            "multi_dot(): tensors {} and {i} with shapes {} and {} cannot be multiplied",
            i - 1,
            shape::list(t[i - 1].sizes()),
            shape::list(t[i].sizes())
        );
    }
    let mut out = chain(&t)?;
    if last {
        out = out.squeeze_dims(&[out.ndim() - 1])?;
    }
    if first {
        out.squeeze_dims(&[0])
    } else {
        Ok(out)
    }
}

fn cross(a: &Tensor, b: &Tensor, dim: i64) -> Result<Tensor> {
    crate::check!(
        a.ndim() == b.ndim(),
        Runtime,
        "linalg.cross: inputs must have the same number of dimensions."
    );
    let (x, y) = (a.size(dim)?, b.size(dim)?);
    crate::check!(
        x == 3 && y == 3,
        Runtime,
        "linalg.cross: inputs dimension {dim} must have length 3. Got {x} and {y}"
    );
    let part = |t: &Tensor, i: i64| t.select(dim, i);
    let term = |i: i64, j: i64| -> Result<Tensor> {
        part(a, i)?
            .mul(&part(b, j)?)?
            .sub(&part(a, j)?.mul(&part(b, i)?)?)
    };
    let wrapped = shape::wrap_dim(dim, a.ndim())?;
    stack(&[term(1, 2)?, term(2, 0)?, term(0, 1)?], wrapped as i64)
}

fn vecdot(a: &Tensor, b: &Tensor, dim: i64) -> Result<Tensor> {
    crate::check!(
        a.dtype() == b.dtype(),
        Runtime,
        "linalg.vecdot: Expected x and y to have the same dtype, but found x of type {} and y of type {} instead",
        a.dtype().scalar_name(),
        b.dtype().scalar_name()
    );
    crate::check!(
        a.dtype().is_differentiable(),
        Runtime,
        "linalg.vecdot: Expected a floating point or complex tensor as input. Got {}",
        a.dtype().scalar_name()
    );
    let product = a.conj()?.mul(b)?;
    let d = shape::wrap_dim(dim, product.ndim())?;
    if product.ndim() == 0 {
        return Ok(product);
    }
    product.sum_dims(&[d], false)
}

op! {
    /// Returns the n-th power of square matrices; negative powers invert.
    matrix_power, in [LINALG, TORCH, METHOD]; out {
        "(Tensor input, int n) -> Tensor" => |a| power(&a.tensor(0), a.int(1)),
    }
}
op! {
    /// Multiplies two or more matrices in the order that needs the fewest multiplications; the ends may be vectors.
    multi_dot, in [LINALG]; out {
        "(Tensor[] tensors) -> Tensor" => |a| super::multi_dot(a.tensors(0)),
    }
}
op! {
    /// Returns the cross product of vectors of length three along `dim`.
    cross, in [LINALG]; out {
        "(Tensor input, Tensor other, *, int dim=-1) -> Tensor" => |a| super::cross(&a.tensor(0), &a.tensor(1), a.int(2)),
    }
}
op! {
    /// Returns the cross product of vectors of length three, along the first axis of that size unless `dim` is given.
    cross__, in [TORCH, METHOD]; out {
        "(Tensor input, Tensor other, int? dim=None) -> Tensor" => |a| {
            let x = a.tensor(0);
            let dim = match (a.opt_int(2), x.sizes().iter().position(|&n| n == 3)) {
                (Some(d), _) => d,
                (None, Some(d)) => d as i64,
                (None, None) => crate::bail!(Runtime, "no dimension of size 3 in input"),
            };
            super::cross(&x, &a.tensor(1), dim)
        },
    }
}
op! {
    /// Returns the sums of products of the conjugate of `x` with `y` along an axis.
    vecdot, in [LINALG]; out {
        "(Tensor x, Tensor y, *, int dim=-1) -> Tensor" => |a| super::vecdot(&a.tensor(0), &a.tensor(1), a.int(2)),
    }
}

#[rustfmt::skip]
pub static ROWS: &[&crate::ops::OpDef] = &[
    &matrix_power::DEF, &multi_dot::DEF, &cross::DEF, &cross__::DEF, &vecdot::DEF,
];
