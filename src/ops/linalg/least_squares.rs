//! Pseudo-inverses and least squares.

use super::norms::{number, tolerance};
use super::*;

/// The pseudo-inverse of matrices, the sizes of their singular values, and which of these count.
struct Inverse {
    out: Tensor,
    values: Tensor,
    counted: Tensor,
}

/// Singular values at most `max(atol, rtol * largest)` count as zero; no history.
fn pinv_data(
    a: &Tensor,
    atol: Option<&Tensor>,
    rtol: Option<&Tensor>,
    hermitian: bool,
) -> Result<Inverse> {
    let (m, n) = (a.size(-2)?, a.size(-1)?);
    if a.numel() == 0 {
        let k = with_tail(a, &[m.min(n)]);
        return Ok(Inverse {
            out: Tensor::zeros(&with_tail(a, &[n, m]), a.dtype(), a.device())?,
            values: Tensor::zeros(&k, a.dtype().to_real(), a.device())?,
            counted: Tensor::zeros(&k, DType::Bool, a.device())?,
        });
    }
    let (u, s, vh) = if hermitian {
        let (l, v) = decompose::eigh("linalg.eigh", a, "L")?;
        let vh = adjoint(&v)?;
        (v, l, vh)
    } else {
        svd(a, false)?
    };
    let values = s.abs()?;
    let counted = values.gt(&tolerance(&values, (m, n), atol, rtol)?.unsqueeze(-1)?)?;
    let inverse = counted
        .where_(&s.reciprocal()?, &Tensor::wrapped(0i64)?)?
        .to_dtype(a.dtype())?;
    let out = columns_by(&adjoint(&vh)?, &inverse)?.matmul(&adjoint(&u)?)?;
    Ok(Inverse {
        out,
        values,
        counted,
    })
}

/// The pseudo-inverse.
fn pinv(
    a: &Tensor,
    atol: Option<&Tensor>,
    rtol: Option<&Tensor>,
    hermitian: bool,
) -> Result<Tensor> {
    crate::check!(
        a.ndim() >= 2 && (matches!(a.dtype(), DType::F32 | DType::F64) || a.dtype().is_complex()),
        Runtime,
        "linalg.pinv({}{{{}}}): expected a tensor with 2 or more dimensions of float, double, cfloat or cdouble types",
        a.dtype().scalar_name(),
        shape::list(a.sizes())
    );
    a.need_cpu("linalg.pinv")?;
    if hermitian {
        check_square("linalg.eigh", a)?;
    }
    Ok(pinv_recorded(a, atol, rtol, hermitian)?.out)
}

fn pinv_recorded(
    a: &Tensor,
    atol: Option<&Tensor>,
    rtol: Option<&Tensor>,
    hermitian: bool,
) -> Result<Inverse> {
    let made = autograd::no_grad(|| pinv_data(&a.detach(), atol, rtol, hermitian))?;
    if autograd::needs_grad(&[a]) {
        let (sa, sp) = (Saved::input(a), Saved::output(&made.out, 0));
        record("LinalgPinvBackward0", &[a], &[&made.out], move |g| {
            let (a, p, g) = (sa.get(g)?, sp.get(g)?, g.get(0)?);
            let (ph, gh) = (adjoint(&p)?, adjoint(&g)?);
            let main = ph.matmul(&g)?.matmul(&ph)?;
            // What lies outside of the ranges of A and of its adjoint.
            let left = gh.matmul(&p)?.matmul(&ph)?;
            let left = left.sub(&a.matmul(&p)?.matmul(&left)?)?;
            let right = ph.matmul(&p)?.matmul(&gh)?;
            let right = right.sub(&right.matmul(&p)?.matmul(&a)?)?;
            grads([Some(left.add(&right)?.sub(&main)?)])
        });
    }
    Ok(made)
}

const LSTSQ: &str = "torch.linalg.lstsq";

/// The solution of least norm, the squared residuals, the ranks and the singular values.
fn lstsq(a: &Tensor, b: &Tensor, rcond: Option<f64>, driver: Option<&str>) -> Result<Value> {
    crate::check!(
        a.ndim() >= 2,
        Runtime,
        "{LSTSQ}: input must have at least 2 dimensions."
    );
    crate::check!(
        b.ndim() >= 1,
        Runtime,
        "{LSTSQ}: other must have at least 1 dimension."
    );
    crate::check!(
        a.dtype() == b.dtype(),
        Runtime,
        "{LSTSQ}: Expected input and other to have the same dtype, but got input's dtype {} and other's dtype {}",
        a.dtype().scalar_name(),
        b.dtype().scalar_name()
    );
    crate::check!(
        a.ndim() >= b.ndim() && a.ndim() - b.ndim() <= 1,
        Runtime,
        "{LSTSQ}: input.dim() must be greater or equal to other.dim() and (input.dim() - other.dim()) <= 1"
    );
    let vectors = a.ndim() > b.ndim();
    let (m, n) = (a.size(-2)?, a.size(-1)?);
    let at = if vectors { -1 } else { -2 };
    crate::check!(
        b.size(at)? == m,
        Runtime,
        "{LSTSQ}: input.size(-2) should match other.size({at})"
    );
    let driver = driver.unwrap_or("gelsy");
    crate::check!(
        matches!(driver, "gels" | "gelsy" | "gelsd" | "gelss"),
        Runtime,
        "{LSTSQ}: parameter `driver` should be one of (gels, gelsy, gelsd, gelss)"
    );
    crate::check!(
        matches!(a.dtype(), DType::F32 | DType::F64) || a.dtype().is_complex(),
        Runtime,
        "This function doesn't handle types other than float and double"
    );
    a.need_cpu(LSTSQ)?;
    let dtype = a.dtype();
    let epsilon = if dtype.to_real() == DType::F64 {
        f64::EPSILON
    } else {
        f64::from(f32::EPSILON)
    };
    let rtol = match rcond {
        // Negative values ask for LAPACK's own choice, the epsilon.
        Some(r) if r < 0.0 => epsilon,
        Some(r) => r,
        None => epsilon * m.max(n) as f64,
    };
    let (rtol, atol) = (number(Some(rtol))?, number(Some(0.0))?);
    // In double precision, so that no accuracy is lost to the pseudo-inverse.
    let wide_a = a.to_dtype(wide(dtype))?;
    let wide_b = b.to_dtype(wide(dtype))?;
    let right = if vectors {
        wide_b.unsqueeze(-1)?
    } else {
        wide_b
    };
    let (left, right) = systems::same_batch(&wide_a, &right)?;
    let Inverse {
        out: inverse,
        values: s,
        counted,
    } = pinv_recorded(&left, atol.as_ref(), rtol.as_ref(), false)?;
    let x = inverse.matmul(&right)?;
    let ranks = counted.sum_with(&[counted.ndim() - 1], false, Some(DType::I64))?;
    let full = ranks.as_slice::<i64>()?.iter().all(|&r| r as usize == n);
    let real = dtype.to_real();
    let residuals = if m > n && driver != "gelsy" && (full || driver == "gels") {
        let rest = left.matmul(&x)?.sub(&right)?.abs()?;
        let rest = rest.mul(&rest)?;
        rest.sum_dims(&[rest.ndim() - 2], false)?.to_dtype(real)?
    } else {
        // A part of the solution, so that gradients of nothing may be asked for.
        x.reshape(&[-1])?.narrow(0, 0, 0)?.abs()?.to_dtype(real)?
    };
    let x = x.to_dtype(dtype)?.named("LinalgLstsqBackward0");
    let x = if vectors {
        x.squeeze_dims(&[x.ndim() - 1])?
    } else {
        x
    };
    let ranks = if driver == "gels" {
        Tensor::empty(&[0], DType::I64, a.device())?
    } else {
        ranks
    };
    let s = if matches!(driver, "gelsd" | "gelss") {
        s.to_dtype(real)?
    } else {
        Tensor::empty(&[0], real, a.device())?
    };
    Ok(named(
        "linalg_lstsq",
        &["solution", "residuals", "rank", "singular_values"],
        vec![x, residuals, ranks, s],
    ))
}

op! {
    /// Returns the Moore-Penrose inverse.
    ///
    /// Args:
    ///     input: of size (*, m, n).
    ///     atol, rtol: singular values at most `max(atol, rtol * largest)` count as zero; numbers, or a tensor with one for
    ///         each matrix. Default: 0, and the dtype's epsilon times max(m, n) unless `atol` is above 0.
    ///     rcond: another name of `rtol`.
    ///     hermitian: computes from the eigenvalues of symmetric or Hermitian matrices, reading the lower triangle.
    ///
    /// Example:
    ///     >>> torch.linalg.pinv(torch.tensor([[2.0, 0.0], [0.0, 0.0]]))
    ///     tensor([[0.5000, 0.0000],
    ///             [0.0000, 0.0000]])
    pinv, in [LINALG]; out {
        "(Tensor input, *, float? atol=None, float? rtol=None, bool hermitian=False) -> Tensor" => |a| {
            let (atol, rtol) = (number(a.opt_float(1))?, number(a.opt_float(2))?);
            super::pinv(&a.tensor(0), atol.as_ref(), rtol.as_ref(), a.bool(3))
        },
        "(Tensor input, *, Tensor? atol=None, Tensor? rtol=None, bool hermitian=False) -> Tensor" =>
            |a| super::pinv(&a.tensor(0), a.opt_tensor(1), a.opt_tensor(2), a.bool(3)),
        "(Tensor input, float rcond, bool hermitian=False) -> Tensor" => |a| {
            let (atol, rtol) = (number(Some(0.0))?, number(a.opt_float(1))?);
            super::pinv(&a.tensor(0), atol.as_ref(), rtol.as_ref(), a.bool(2))
        },
        "(Tensor input, Tensor rcond, bool hermitian=False) -> Tensor" =>
            |a| super::pinv(&a.tensor(0), number(Some(0.0))?.as_ref(), a.opt_tensor(1), a.bool(2)),
    }
}
op! {
    /// Returns the Moore-Penrose inverse; `linalg.pinv` has more options.
    ///
    /// Args:
    ///     rcond: singular values at most this times the largest count as zero.
    pinverse, in [TORCH, METHOD] {
        "(Tensor input, float rcond=1e-15) -> Tensor" => |a| {
            let (atol, rtol) = (number(Some(0.0))?, number(a.opt_float(1))?);
            super::pinv(&a.tensor(0), atol.as_ref(), rtol.as_ref(), false)
        },
    }
}
op! {
    /// Returns the X that minimizes the norm of `input X - b`, and the smallest of them where there are several.
    ///
    /// Args:
    ///     input: (*, m, n).
    ///     b: (*, m, k), or (*, m) for one right-hand side.
    ///     rcond: singular values at most this times the largest count as zero. Default: the dtype's epsilon times
    ///         max(m, n).
    ///     driver: "gels", "gelsy" (default), "gelsd" or "gelss"; one method serves all, but results differ in what they
    ///         contain.
    ///
    /// Returns:
    ///     solution; residuals, the squared norms of `input X - b`, empty with "gelsy" or unless m > n and the rank is n;
    ///     rank, empty with "gels"; singular_values, with "gelsd" and "gelss".
    ///
    /// Example:
    ///     >>> torch.linalg.lstsq(torch.tensor([[1.0], [1.0]]), torch.tensor([[1.0], [3.0]])).solution
    ///     tensor([[2.]])
    lstsq, in [LINALG]; out {
        "(Tensor input, Tensor b, float? rcond=None, *, str? driver=None) -> (Tensor solution, Tensor residuals, Tensor rank, Tensor singular_values)" =>
            |a| super::lstsq(&a.tensor(0), &a.tensor(1), a.opt_float(2), a.opt_str(3)),
    }
}

pub static ROWS: &[&crate::ops::OpDef] = &[&pinv::DEF, &pinverse::DEF, &lstsq::DEF];
