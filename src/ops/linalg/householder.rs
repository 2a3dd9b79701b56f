//! Products of the reflections `I - tau v v^H` that a QR factorization leaves.

use super::*;

/// What messages call a dtype that a kernel does not take.
fn check_dtype(kernel: &str, a: &Tensor) -> Result<()> {
    crate::check!(
        matches!(a.dtype(), DType::F32 | DType::F64) || a.dtype().is_complex(),
        NotImplemented,
        "\"{kernel}\" not implemented for '{}'",
        a.dtype().scalar_name()
    );
    a.need_cpu(kernel)
}

/// The factor's sizes against those of the vectors.
fn check_batch(op: &str, a: &Tensor, tau: &Tensor) -> Result<()> {
    crate::check!(
        tau.ndim() + 1 == a.ndim(),
        Runtime,
        "{op}: Expected tau to have one dimension less than input, but got tau.ndim equal to {} and input.ndim is equal \
         to {}",
        tau.ndim(),
        a.ndim()
    );
    let batch = &tau.sizes()[..tau.ndim() - 1];
    crate::check!(
        *batch == a.sizes()[..a.ndim() - 2],
        Runtime,
        "{op}: Expected batch dimensions of tau to be equal to input.shape[:-2], but got {}",
        shape::list(batch)
    );
    Ok(())
}

/// Vector k of the reflections, (*, m, 1): zeros, a one, and what is stored below.
fn vector(a: &Tensor, k: i64) -> Result<Tensor> {
    let m = a.size(-2)? as i64;
    let below = a.narrow(-1, k, 1)?.narrow(-2, k + 1, m - k - 1)?;
    let top = autograd::no_grad(|| -> Result<Tensor> {
        let top = Tensor::zeros(&with_tail(a, &[k as usize + 1, 1]), a.dtype(), a.device())?;
        top.narrow(-2, k, 1)?.fill(Scalar::Int(1))?;
        Ok(top)
    })?;
    crate::ops::join::cat(&[top.detach(), below], -2)
}

/// Applies the product H_1 ... H_k, or its adjoint, to `c` from the left; differentiable.
fn reflect_all(a: &Tensor, tau: &Tensor, c: &Tensor, adjoined: bool) -> Result<Tensor> {
    let k = tau.size(-1)? as i64;
    let mut out = c.clone();
    for i in 0..k {
        let i = if adjoined { i } else { k - 1 - i };
        let v = vector(a, i)?;
        let t = tau.narrow(-1, i, 1)?.unsqueeze(-1)?;
        let t = if adjoined { t.conj()? } else { t };
        out = out.sub(&v.matmul(&adjoint(&v)?.matmul(&out)?)?.mul(&t)?)?;
    }
    Ok(out)
}

/// The first columns of the identity, as many as the vectors have.
fn start(a: &Tensor) -> Result<Tensor> {
    let (m, n) = (a.size(-2)?, a.size(-1)?);
    let out = Tensor::zeros(&[m, n], a.dtype(), a.device())?;
    out.as_strided(&[m.min(n)], &[n as isize + 1], 0)?
        .fill(Scalar::Int(1))?;
    out.expand_to(a.sizes())
}

const PRODUCT: &str = "torch.linalg.householder_product";

fn householder_product(a: &Tensor, tau: &Tensor) -> Result<Tensor> {
    crate::check!(
        a.ndim() >= 2,
        Runtime,
        "{PRODUCT}: input must have at least 2 dimensions."
    );
    let (m, n) = (a.size(-2)?, a.size(-1)?);
    crate::check!(
        m >= n,
        Runtime,
        "{PRODUCT}: input.shape[-2] must be greater than or equal to input.shape[-1]"
    );
    crate::check!(
        tau.ndim() == 0 || n >= tau.size(-1)?,
        Runtime,
        "{PRODUCT}: input.shape[-1] must be greater than or equal to tau.shape[-1]"
    );
    check_batch(PRODUCT, a, tau)?;
    crate::check!(
        a.dtype() == tau.dtype(),
        Runtime,
        "{PRODUCT}: tau dtype {} does not match input dtype {}",
        tau.dtype().scalar_name(),
        a.dtype().scalar_name()
    );
    check_dtype("orgqr_cpu", a)?;
    if autograd::needs_grad(&[a, tau]) {
        return Ok(
            reflect_all(a, tau, &start(a)?, false)?.named("LinalgHouseholderProductBackward0")
        );
    }
    let (x, t) = (widened(a)?, widened(tau)?);
    let q = Tensor::empty(a.sizes(), x.dtype(), a.device())?;
    let k = tau.size(-1)?;
    in_field!(a.dtype(), F => {
        let (x, t) = (x.as_slice::<F>()?, t.as_slice::<F>()?);
        for (i, q) in fill_slice::<F>(&q)?.chunks_exact_mut((m * n).max(1)).enumerate() {
            kernel::unreflect(&x[i * m * n..(i + 1) * m * n], m, n, &t[i * k..(i + 1) * k], n, q);
        }
    });
    q.to_dtype(a.dtype())
}

fn geqrf(a: &Tensor) -> Result<(Tensor, Tensor)> {
    crate::check!(
        a.ndim() >= 2,
        Runtime,
        "torch.geqrf: input must have at least 2 dimensions."
    );
    check_dtype("geqrf_cpu", a)?;
    let (m, n) = (a.size(-2)?, a.size(-1)?);
    let k = m.min(n);
    let (out, tau) = autograd::no_grad(|| -> Result<(Tensor, Tensor)> {
        let x = widened(a)?.clone_data()?.contiguous()?;
        let tau = Tensor::zeros(&with_tail(a, &[k]), x.dtype(), x.device())?;
        in_field!(a.dtype(), F => {
            let tau = fill_slice::<F>(&tau)?;
            for (i, x) in fill_slice::<F>(&x)?.chunks_exact_mut((m * n).max(1)).enumerate() {
                kernel::reflect(x, m, n, &mut tau[i * k..(i + 1) * k]);
            }
        });
        Ok((x.to_dtype(a.dtype())?, tau.to_dtype(a.dtype())?))
    })?;
    if autograd::needs_grad(&[a]) {
        autograd::record_not_differentiable("geqrf", &[a], &[&out, &tau]);
    }
    Ok((out, tau))
}

const ORMQR: &str = "torch.ormqr";

fn ormqr(a: &Tensor, tau: &Tensor, c: &Tensor, left: bool, transpose: bool) -> Result<Tensor> {
    crate::check!(
        a.ndim() >= 2,
        Runtime,
        "{ORMQR}: input must have at least 2 dimensions."
    );
    crate::check!(
        c.ndim() >= 2,
        Runtime,
        "{ORMQR}: other must have at least 2 dimensions."
    );
    let (name, along) = if left {
        ("other.shape[-2]", c.size(-2)?)
    } else {
        ("other.shape[-1]", c.size(-1)?)
    };
    let (m, n) = (a.size(-2)?, a.size(-1)?);
    crate::check!(
        tau.ndim() == 0 || tau.size(-1)? <= along,
        Runtime,
        "{ORMQR}: {name} must be greater than or equal to tau.shape[-1]"
    );
    crate::check!(
        along == m,
        Runtime,
        "{ORMQR}: {name} must be equal to input.shape[-2]"
    );
    crate::check!(
        tau.ndim() == 0 || tau.size(-1)? == along.min(n),
        Runtime,
        "{ORMQR}: tau.shape[-1] must be equal to min({name}, input.shape[-1])"
    );
    check_batch(ORMQR, a, tau)?;
    crate::check!(
        c.ndim() == a.ndim(),
        Runtime,
        "{ORMQR}: Expected other to have the same number of dimensions as input, but got other.ndim equal to {} and \
         input.ndim is equal to {}",
        c.ndim(),
        a.ndim()
    );
    let batch = &c.sizes()[..c.ndim() - 2];
    crate::check!(
        *batch == a.sizes()[..a.ndim() - 2],
        Runtime,
        "{ORMQR}: Expected batch dimensions of other to be equal to input.shape[:-2], but got {}",
        shape::list(batch)
    );
    for (name, t) in [("tau", tau), ("other", c)] {
        crate::check!(
            t.dtype() == a.dtype(),
            Runtime,
            "{ORMQR}: Expected input and {name} to have the same dtype, but input has dtype {} and {name} has dtype {}",
            a.dtype().scalar_name(),
            t.dtype().scalar_name()
        );
    }
    check_dtype("ormqr_cpu", a)?;
    let differentiable = autograd::needs_grad(&[a, tau, c]);
    let wide = |t: &Tensor| {
        if differentiable {
            Ok(t.clone())
        } else {
            widened(t)
        }
    };
    let (x, t, b) = (wide(a)?, wide(tau)?, wide(c)?);
    let out = if left {
        reflect_all(&x, &t, &b, transpose)?
    } else {
        // C Q is the adjoint of Q^H C^H.
        adjoint(&reflect_all(&x, &t, &adjoint(&b)?, !transpose)?)?.contiguous()?
    };
    if differentiable {
        return Ok(out.named("OrmqrBackward0"));
    }
    out.to_dtype(a.dtype())
}

op! {
    /// Returns the first n columns of the product of k reflections `I - tau[i] v[i] v[i]^H`.
    ///
    /// Args:
    ///     input: (*, m, n) with m >= n; column i holds `v[i]` below its diagonal, above which `v[i]` is zero and on which
    ///         it is one.
    ///     tau: (*, k) with k <= n.
    ///
    /// Example:
    ///     >>> a, tau = torch.geqrf(torch.eye(2))
    ///     >>> torch.linalg.householder_product(a, tau)
    ///     tensor([[1., 0.],
    ///             [0., 1.]])
    householder_product, in [LINALG]; out {
        "(Tensor input, Tensor tau) -> Tensor" => |a| super::householder_product(&a.tensor(0), &a.tensor(1)),
    }
}
op! {
    /// Returns the first columns of the product of reflections; another name of `linalg.householder_product`.
    orgqr, in [TORCH, METHOD]; out {
        "(Tensor input, Tensor input2) -> Tensor" => |a| super::householder_product(&a.tensor(0), &a.tensor(1)),
    }
}
op! {
    /// Returns the QR factorization in the form in which LAPACK leaves it.
    ///
    /// Args:
    ///     input: (*, m, n).
    ///
    /// Returns:
    ///     a, with R on and above the diagonal and the vectors of the reflections below, and the factors tau of the
    ///     reflections, (*, min(m, n)).
    ///
    /// Example:
    ///     >>> torch.geqrf(torch.tensor([[3.0], [4.0]])).tau
    ///     tensor([1.6000])
    geqrf, in [TORCH, METHOD]; out {
        "(Tensor input) -> (Tensor a, Tensor tau)" => |a| {
            let (x, tau) = super::geqrf(&a.tensor(0))?;
            Ok(named("geqrf", &["a", "tau"], vec![x, tau]))
        },
    }
}
op! {
    /// Multiplies `other` by the product Q of reflections, as `geqrf` returns them, without forming Q.
    ///
    /// Args:
    ///     input: (*, mn, k), the vectors of the reflections.
    ///     tau: (*, min(mn, k)), their factors.
    ///     other: (*, m, n).
    ///     left: whether Q stands on the left. Default: True.
    ///     transpose: whether to multiply by the adjoint of Q. Default: False.
    ///
    /// Example:
    ///     >>> a, tau = torch.geqrf(torch.eye(2))
    ///     >>> torch.ormqr(a, tau, torch.ones(2, 1))
    ///     tensor([[1.],
    ///             [1.]])
    ormqr, in [TORCH, METHOD]; out {
        "(Tensor input, Tensor tau, Tensor other, bool left=True, bool transpose=False) -> Tensor" =>
            |a| super::ormqr(&a.tensor(0), &a.tensor(1), &a.tensor(2), a.bool(3), a.bool(4)),
    }
}

#[rustfmt::skip]
pub static ROWS: &[&crate::ops::OpDef] = &[&householder_product::DEF, &orgqr::DEF, &geqrf::DEF, &ormqr::DEF];
