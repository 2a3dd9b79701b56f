//! Factorizations of matrices and what follows from them: solving, inverting, determinants, and their gradients.
//!
//! Kernels run in double precision on each matrix of a batch and results are rounded to the input's dtype.

use super::conv::fill_slice;
use super::triangle::{Half, triangle};
use crate::autograd::{self, Saved, engine::grads, record};
use crate::cpu::linalg::{self as kernel, Field};
use crate::dtype::DType;
use crate::error::Result;
use crate::ops::args::Value;
use crate::scalar::{Element, Scalar};
use crate::shape::{self, Sizes};
use crate::tensor::Tensor;
use smallvec::SmallVec;

type C = num_complex::Complex<f64>;

/// The double-precision dtype a kernel runs in.
fn wide(d: DType) -> DType {
    if d.is_complex() {
        DType::C128
    } else {
        DType::F64
    }
}

pub(super) fn check_matrix(op: &str, a: &Tensor) -> Result<()> {
    crate::check!(
        a.ndim() >= 2,
        Runtime,
        "{op}: The input tensor A must have at least 2 dimensions."
    );
    crate::check!(
        a.dtype().is_floating() || a.dtype().is_complex(),
        Runtime,
        "{op}: Expected a floating point or complex tensor as input. Got {}",
        a.dtype().scalar_name()
    );
    crate::check!(
        !matches!(a.dtype(), DType::F16 | DType::BF16),
        Runtime,
        "{op}: Low precision dtypes not supported. Got {}",
        a.dtype().scalar_name()
    );
    a.need_cpu(op)
}

pub(super) fn check_square(op: &str, a: &Tensor) -> Result<()> {
    check_matrix(op, a)?;
    let (m, n) = (a.size(-2)?, a.size(-1)?);
    crate::check!(
        m == n,
        Runtime,
        "{op}: A must be batches of square matrices, but they are {m} by {n} matrices"
    );
    Ok(())
}

/// Sizes with the last two axes replaced.
fn with_tail(a: &Tensor, tail: &[usize]) -> Sizes {
    let mut s: Sizes = SmallVec::from_slice(&a.sizes()[..a.ndim() - 2]);
    s.extend_from_slice(tail);
    s
}

/// Wide contiguous copies of operands and results, walked matrix by matrix.
fn widened(t: &Tensor) -> Result<Tensor> {
    t.detach().to_dtype(wide(t.dtype()))?.contiguous()
}

/// Runs `$body` with `$F` bound to the field of a dtype.
macro_rules! in_field {
    ($dtype:expr, $F:ident => $body:expr) => {
        if $dtype.is_complex() {
            type $F = C;
            $body
        } else {
            type $F = f64;
            $body
        }
    };
}

/// The conjugate transpose.
pub(super) fn adjoint(t: &Tensor) -> Result<Tensor> {
    t.transpose(-2, -1)?.conj()
}

/// The diagonal matrix of the last axis applied from the right: scales columns.
fn columns_by(t: &Tensor, d: &Tensor) -> Result<Tensor> {
    t.mul(&d.unsqueeze(-2)?)
}

fn rows_by(t: &Tensor, d: &Tensor) -> Result<Tensor> {
    t.mul(&d.unsqueeze(-1)?)
}

/// An identity matrix like the square part of `t`.
pub(super) fn identity(n: usize, t: &Tensor) -> Result<Tensor> {
    let out = Tensor::zeros(&[n, n], t.dtype(), t.device())?;
    out.as_strided(&[n], &[n as isize + 1], 0)?
        .fill(Scalar::Int(1))?;
    Ok(out)
}

pub(super) fn failed(op: &str, batched: bool, at: usize, what: String) -> crate::error::Error {
    let batch = if batched {
        format!(" (Batch element {at}):")
    } else {
        String::new()
    };
    crate::err!(LinAlg, "{op}:{batch} {what}")
}

fn singular(info: i32) -> String {
    format!(
        "The diagonal element {info} is zero, the inversion could not be completed because the input matrix is singular."
    )
}

fn infos(sizes: &[usize], v: &[i32]) -> Result<Tensor> {
    Tensor::from_slice_shaped(v, sizes)
}

// ---- LU

struct Lu {
    /// L below, U on and above the diagonal; in the wide dtype.
    packed: Tensor,
    /// Row exchanges, from 1.
    pivots: Tensor,
    infos: Vec<i32>,
}

fn lu_data(a: &Tensor) -> Result<Lu> {
    let (m, n) = (a.size(-2)?, a.size(-1)?);
    let k = m.min(n);
    let packed = widened(a)?;
    let packed = if packed.dtype() == a.dtype() {
        packed.clone_data()?.contiguous()?
    } else {
        packed
    };
    let pivots = Tensor::empty(&with_tail(a, &[k])[..a.ndim() - 1], DType::I32, a.device())?;
    let count: usize = a.sizes()[..a.ndim() - 2].iter().product();
    let mut infos = vec![0; count];
    in_field!(a.dtype(), F => {
        let (x, p) = (fill_slice::<F>(&packed)?, fill_slice::<i32>(&pivots)?);
        for i in 0..count {
            infos[i] = kernel::lu(&mut x[i * m * n..(i + 1) * m * n], m, n, &mut p[i * k..(i + 1) * k]);
        }
        p.iter_mut().for_each(|p| *p += 1);
    });
    Ok(Lu {
        packed,
        pivots,
        infos,
    })
}

/// Row i of the result is row `order[i]` of the input.
fn order_of(pivots: &[i32], m: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..m).collect();
    for (i, &p) in pivots.iter().enumerate() {
        order.swap(i, (p - 1).max(0) as usize);
    }
    order
}

/// Solves from a factorization, for right-hand sides of the same batch; no history.
fn lu_solve_data(lu: &Lu, b: &Tensor) -> Result<Tensor> {
    let (n, k) = (b.size(-2)?, b.size(-1)?);
    let rhs = widened(b)?;
    let out = Tensor::empty(rhs.sizes(), rhs.dtype(), rhs.device())?;
    let count = rhs.sizes()[..rhs.ndim() - 2].iter().product::<usize>();
    in_field!(rhs.dtype(), F => {
        let (f, p) = (lu.packed.as_slice::<F>()?, lu.pivots.as_slice::<i32>()?);
        let (src, dst) = (rhs.as_slice::<F>()?, fill_slice::<F>(&out)?);
        for i in 0..count {
            let f = &f[i * n * n..(i + 1) * n * n];
            let x = &mut dst[i * n * k..(i + 1) * n * k];
            for (to, from) in order_of(&p[i * n..(i + 1) * n], n).into_iter().enumerate() {
                x[to * k..(to + 1) * k].copy_from_slice(&src[(i * n + from) * k..(i * n + from + 1) * k]);
            }
            kernel::solve_triangular(f, n, x, k, false, true);
            kernel::solve_triangular(f, n, x, k, true, false);
        }
    });
    out.to_dtype(b.dtype())
}

/// `a^-1 b` for matrices b of the same batch; the infos of the factorization beside it.
fn solve_matrices(a: &Tensor, b: &Tensor) -> Result<(Tensor, Vec<i32>)> {
    let lu = lu_data(a)?;
    let out = lu_solve_data(&lu, b)?;
    if autograd::needs_grad(&[a, b]) {
        let (sa, sx) = (Saved::input(a), Saved::output(&out, 0));
        record("LinalgSolveExBackward0", &[a, b], &[&out], move |g| {
            let (a, x) = (sa.get(g)?, sx.get(g)?);
            let to_b = solve_matrices(&adjoint(&a)?, &g.get(0)?)?.0;
            let to_a = g.when(0, || to_b.matmul(&adjoint(&x)?)?.neg())?;
            grads([to_a, g.when(1, || Ok(to_b))?])
        });
    }
    Ok((out, lu.infos))
}

/// Whether `b` holds vectors rather than matrices, by PyTorch's rule.
fn is_vectors(a: &Tensor, b: &Tensor) -> bool {
    b.ndim() == 1 || (b.ndim() + 1 == a.ndim() && b.sizes() == &a.sizes()[..a.ndim() - 1])
}

/// Expands the batch axes of both operands to one another.
fn same_batch(a: &Tensor, b: &Tensor) -> Result<(Tensor, Tensor)> {
    let batch = shape::broadcast(&a.sizes()[..a.ndim() - 2], &b.sizes()[..b.ndim() - 2])?;
    let to = |t: &Tensor| {
        let mut s = batch.clone();
        s.extend_from_slice(&t.sizes()[t.ndim() - 2..]);
        t.expand_to(&s)
    };
    Ok((to(a)?, to(b)?))
}

fn check_solve(op: &str, a: &Tensor, b: &Tensor, left: bool) -> Result<()> {
    crate::check!(
        a.dtype() == b.dtype(),
        Runtime,
        "{op}: Expected A and B to have the same dtype, but found A of type {} and B of type {} instead",
        a.dtype().scalar_name(),
        b.dtype().scalar_name()
    );
    let n = a.size(-1)?;
    let fits = if left {
        b.size(-2)? == n
    } else {
        b.size(-1)? == n
    };
    crate::check!(
        fits,
        Runtime,
        "{op}: Incompatible shapes of A and B for the equation {} ({}x{} and {}x{})",
        if left { "AX = B" } else { "XA = B" },
        a.size(-2)?,
        n,
        b.size(-2)?,
        b.size(-1)?
    );
    Ok(())
}

/// The solution, the infos and the batch sizes of the infos.
pub fn solve_with_infos(a: &Tensor, b: &Tensor, left: bool) -> Result<(Tensor, Tensor)> {
    check_square("linalg.solve", a)?;
    let vectors = is_vectors(a, b);
    crate::check!(
        left || !vectors,
        Runtime,
        "linalg.solve: Vector broadcasting of the left hand side is not supported for left=False."
    );
    let b = if vectors { b.unsqueeze(-1)? } else { b.clone() };
    crate::check!(
        b.ndim() >= 2,
        Runtime,
        "linalg.solve: The input tensor B must have at least 2 dimensions."
    );
    check_solve("linalg.solve", a, &b, left)?;
    let (a, b) = same_batch(a, &b)?;
    let (x, info) = if left {
        solve_matrices(&a, &b)?
    } else {
        let (x, info) = solve_matrices(&a.transpose(-2, -1)?, &b.transpose(-2, -1)?)?;
        (x.transpose(-2, -1)?, info)
    };
    let info = infos(&a.sizes()[..a.ndim() - 2], &info)?;
    let x = if vectors {
        x.squeeze_dims(&[x.ndim() - 1])?
    } else {
        x
    };
    Ok((x, info))
}

pub fn solve(a: &Tensor, b: &Tensor, left: bool) -> Result<Tensor> {
    let (x, info) = solve_with_infos(a, b, left)?;
    if let Some(i) = info.as_slice::<i32>()?.iter().position(|&i| i != 0) {
        return Err(failed(
            "torch.linalg.solve",
            a.ndim() > 2,
            i,
            "The solver failed because the input matrix is singular.".into(),
        ));
    }
    Ok(x)
}

fn inverse_with_infos(a: &Tensor) -> Result<(Tensor, Vec<i32>)> {
    let n = a.size(-1)?;
    let lu = lu_data(a)?;
    let eye = identity(n, a)?.expand_to(a.sizes())?;
    let out = lu_solve_data(&lu, &eye)?;
    if autograd::needs_grad(&[a]) {
        let saved = Saved::output(&out, 0);
        record("LinalgInvExBackward0", &[a], &[&out], move |g| {
            let x = adjoint(&saved.get(g)?)?;
            grads([Some(x.matmul(&g.get(0)?.matmul(&x)?)?.neg()?)])
        });
    }
    Ok((out, lu.infos))
}

/// The inverse, with an error for a singular matrix.
pub fn inverse(a: &Tensor) -> Result<Tensor> {
    check_square("linalg.inv", a)?;
    let (out, infos) = inverse_with_infos(a)?;
    match infos.iter().position(|&i| i != 0) {
        Some(i) => Err(failed("linalg.inv", a.ndim() > 2, i, singular(infos[i]))),
        None => Ok(out),
    }
}

/// (sign, logarithm of the absolute value, determinant) of every matrix, without history.
fn determinants(a: &Tensor) -> Result<[Tensor; 3]> {
    let n = a.size(-1)?;
    let lu = lu_data(a)?;
    let batch: Sizes = SmallVec::from_slice(&a.sizes()[..a.ndim() - 2]);
    let sign = Tensor::empty(&batch, wide(a.dtype()), a.device())?;
    let log = Tensor::empty(&batch, DType::F64, a.device())?;
    let det = Tensor::empty(&batch, wide(a.dtype()), a.device())?;
    in_field!(a.dtype(), F => {
        let (f, p) = (lu.packed.as_slice::<F>()?, lu.pivots.as_slice::<i32>()?);
        let (sign, log, det) = (fill_slice::<F>(&sign)?, fill_slice::<f64>(&log)?, fill_slice::<F>(&det)?);
        for i in 0..det.len() {
            let mut s = F::real(1.0);
            let (mut d, mut l) = (F::real(1.0), 0.0);
            for k in 0..n {
                let u = f[i * n * n + k * n + k];
                if p[i * n + k] as usize != k + 1 {
                    s = -s;
                    d = -d;
                }
                d *= u;
                let r = u.abs();
                l += r.ln();
                s = if r == 0.0 { F::real(0.0) } else { s * (u / F::real(r)) };
            }
            (sign[i], log[i], det[i]) = (s, l, d);
        }
    });
    Ok([
        sign.to_dtype(a.dtype())?,
        log.to_dtype(a.dtype().to_real())?,
        det.to_dtype(a.dtype())?,
    ])
}

/// The transpose of the matrix of cofactors, conjugated: the derivative of the determinant, also where it is zero.
fn cofactors(a: &Tensor, det: &Tensor) -> Result<Tensor> {
    let any_zero = autograd::no_grad(|| {
        let zero = det.detach().eq(&Tensor::wrapped(0.0)?)?;
        zero.any()?.item()
    })?;
    if any_zero.to_bool() {
        // det(U) det(V)^H times the products of all singular values but one.
        let (u, s, vh) = svd(a, false)?;
        let n = s.size(-1)?;
        let mut others = Vec::with_capacity(n);
        for i in 0..n {
            let mut product: Option<Tensor> = None;
            for j in (0..n).filter(|&j| j != i) {
                let v = s.select(-1, j as i64)?;
                product = Some(match product {
                    None => v,
                    Some(p) => p.mul(&v)?,
                });
            }
            others.push(match product {
                Some(p) => p,
                None => Tensor::full(&s.sizes()[..s.ndim() - 1], 1, s.dtype(), s.device())?,
            });
        }
        let others = super::join::stack(&others, -1)?;
        let turn = determinants(&u)?[2].mul(&determinants(&vh)?[2])?.conj()?;
        return columns_by(&u, &others)?
            .matmul(&vh)?
            .mul(&turn.unsqueeze(-1)?.unsqueeze(-1)?);
    }
    let n = a.size(-1)?;
    let eye = identity(n, a)?.expand_to(a.sizes())?;
    let (inverse, _) = solve_matrices(&adjoint(a)?, &eye)?;
    inverse.mul(&det.conj()?.unsqueeze(-1)?.unsqueeze(-1)?)
}

pub fn det(a: &Tensor) -> Result<Tensor> {
    check_square("linalg.det", a)?;
    let [_, _, out] = determinants(a)?;
    if autograd::needs_grad(&[a]) {
        let (sa, so) = (Saved::input(a), Saved::output(&out, 0));
        record("LinalgDetBackward0", &[a], &[&out], move |g| {
            let scale = g.get(0)?.unsqueeze(-1)?.unsqueeze(-1)?;
            grads([Some(cofactors(&sa.get(g)?, &so.get(g)?)?.mul(&scale)?)])
        });
    }
    Ok(out)
}

pub fn slogdet(a: &Tensor) -> Result<(Tensor, Tensor)> {
    check_square("linalg.slogdet", a)?;
    let [sign, log, _] = determinants(a)?;
    if autograd::needs_grad(&[a]) {
        let (sa, ss) = (Saved::input(a), Saved::output(&sign, 0));
        record("LinalgSlogdetBackward0", &[a], &[&sign, &log], move |g| {
            let a = sa.get(g)?;
            let mut scale = g.get(1)?;
            if a.dtype().is_complex() {
                // A change of phase comes from the imaginary part of the trace.
                let turn = g.get(0)?.conj()?.mul(&ss.get(g)?)?.imag()?;
                let i = Tensor::wrapped(Scalar::Complex(0.0, 1.0))?;
                scale = scale
                    .to_dtype(a.dtype())?
                    .sub(&turn.to_dtype(a.dtype())?.mul(&i)?)?;
            }
            let n = a.size(-1)?;
            let eye = identity(n, &a)?.expand_to(a.sizes())?;
            let (inverse, _) = solve_matrices(&adjoint(&a)?, &eye)?;
            grads([Some(inverse.mul(&scale.unsqueeze(-1)?.unsqueeze(-1)?)?)])
        });
    }
    Ok((sign, log))
}

// ---- Triangular and Cholesky

/// `t^-1 b` for triangular matrices of one batch with `b`.
fn triangular_matrices(t: &Tensor, b: &Tensor, upper: bool, unit: bool) -> Result<Tensor> {
    let (n, k) = (b.size(-2)?, b.size(-1)?);
    let (f, rhs) = (widened(t)?, widened(b)?);
    let out = Tensor::empty(rhs.sizes(), rhs.dtype(), rhs.device())?;
    out.write_from(&rhs)?;
    in_field!(rhs.dtype(), F => {
        let (f, x) = (f.as_slice::<F>()?, fill_slice::<F>(&out)?);
        for i in 0..x.len() / (n * k).max(1) {
            kernel::solve_triangular(&f[i * n * n..(i + 1) * n * n], n, &mut x[i * n * k..(i + 1) * n * k], k, upper, unit);
        }
    });
    let out = out.to_dtype(b.dtype())?;
    if autograd::needs_grad(&[t, b]) {
        let (st, sx) = (Saved::input(t), Saved::output(&out, 0));
        record(
            "LinalgSolveTriangularBackward0",
            &[t, b],
            &[&out],
            move |g| {
                let (t, x) = (st.get(g)?, sx.get(g)?);
                let to_b = triangular_matrices(&adjoint(&t)?, &g.get(0)?, !upper, unit)?;
                let to_t = g.when(0, || {
                    let full = to_b.matmul(&adjoint(&x)?)?.neg()?;
                    let k = unit as i64;
                    if upper {
                        triangle(&full, k, Half::Upper)
                    } else {
                        triangle(&full, -k, Half::Lower)
                    }
                })?;
                grads([to_t, g.when(1, || Ok(to_b))?])
            },
        );
    }
    Ok(out)
}

pub fn solve_triangular(
    a: &Tensor,
    b: &Tensor,
    upper: bool,
    left: bool,
    unit: bool,
) -> Result<Tensor> {
    check_square("linalg.solve_triangular", a)?;
    crate::check!(
        b.ndim() >= 2,
        Runtime,
        "linalg.solve_triangular: The input tensor B must have at least 2 dimensions."
    );
    check_solve("linalg.solve_triangular", a, b, left)?;
    let (a, b) = same_batch(a, b)?;
    if left {
        return triangular_matrices(&a, &b, upper, unit);
    }
    triangular_matrices(&a.transpose(-2, -1)?, &b.transpose(-2, -1)?, !upper, unit)?
        .transpose(-2, -1)
}

/// The Cholesky factor and the infos.
fn cholesky_with_infos(a: &Tensor, upper: bool) -> Result<(Tensor, Vec<i32>)> {
    let n = a.size(-1)?;
    // Only one triangle is read.
    let made = autograd::no_grad(|| {
        widened(&if upper {
            adjoint(&a.detach())?
        } else {
            a.detach()
        })?
        .clone_data()
    })?
    .contiguous()?;
    let mut infos = vec![0; a.sizes()[..a.ndim() - 2].iter().product()];
    in_field!(a.dtype(), F => {
        let x = fill_slice::<F>(&made)?;
        for (i, info) in infos.iter_mut().enumerate() {
            *info = kernel::cholesky(&mut x[i * n * n..(i + 1) * n * n], n);
        }
    });
    let factor = autograd::no_grad(|| -> Result<Tensor> {
        let l = made.to_dtype(a.dtype())?;
        if upper { adjoint(&l) } else { Ok(l) }
    })?;
    if autograd::needs_grad(&[a]) {
        let saved = Saved::output(&factor, 0);
        record("LinalgCholeskyExBackward0", &[a], &[&factor], move |g| {
            let (grad, f) = (g.get(0)?, saved.get(g)?);
            let (l, gl) = if upper {
                (adjoint(&f)?, adjoint(&grad)?)
            } else {
                (f, grad)
            };
            // The lower triangle with half of the diagonal.
            let phi = triangle(&adjoint(&l)?.matmul(&gl)?, 0, Half::Lower)?;
            let phi = phi.add(&adjoint(&triangle(&phi, -1, Half::Lower)?)?)?;
            let lh = adjoint(&l)?;
            let half = triangular_matrices(&lh, &phi, true, false)?;
            // half @ l^-1, as the solution from the right.
            let full = adjoint(&triangular_matrices(&lh, &adjoint(&half)?, true, false)?)?;
            grads([Some(full.add(&adjoint(&full)?)?.mul_scalar(0.25)?)])
        });
    }
    Ok((factor, infos))
}

pub fn cholesky(op: &str, a: &Tensor, upper: bool) -> Result<Tensor> {
    check_square(op, a)?;
    let (l, infos) = cholesky_with_infos(a, upper)?;
    match infos.iter().position(|&i| i != 0) {
        Some(i) => Err(failed(
            op,
            a.ndim() > 2,
            i,
            format!(
                "The factorization could not be completed because the input is not positive-definite (the leading minor of \
                 order {} is not positive-definite).",
                infos[i]
            ),
        )),
        None => Ok(l),
    }
}

fn cholesky_solve(b: &Tensor, l: &Tensor, upper: bool) -> Result<Tensor> {
    crate::check!(
        b.ndim() >= 2,
        Runtime,
        "b should have at least 2 dimensions, but has {} dimensions instead",
        b.ndim()
    );
    crate::check!(
        l.ndim() >= 2,
        Runtime,
        "u should have at least 2 dimensions, but has {} dimensions instead",
        l.ndim()
    );
    check_square("cholesky_solve", l)?;
    check_solve("cholesky_solve", l, b, true)?;
    let (l, b) = same_batch(l, b)?;
    let (first, second) = (
        if upper { adjoint(&l)? } else { l.clone() },
        if upper { l } else { adjoint(&l)? },
    );
    triangular_matrices(
        &second,
        &triangular_matrices(&first, &b, false, false)?,
        true,
        false,
    )
}

// ---- QR

/// Q and R, either all of Q or as many columns as the smaller side; no history.
fn qr_data(a: &Tensor, complete: bool) -> Result<(Tensor, Tensor)> {
    let (m, n) = (a.size(-2)?, a.size(-1)?);
    let k = if complete { m } else { m.min(n) };
    let x = widened(a)?;
    let q = Tensor::empty(&with_tail(a, &[m, k]), x.dtype(), x.device())?;
    let r = Tensor::zeros(&with_tail(a, &[k, n]), x.dtype(), x.device())?;
    in_field!(a.dtype(), F => {
        let mut work = x.as_slice::<F>()?.to_vec();
        let (q, r) = (fill_slice::<F>(&q)?, fill_slice::<F>(&r)?);
        let mut tau = vec![F::real(0.0); m.min(n)];
        let count: usize = a.sizes()[..a.ndim() - 2].iter().product();
        for i in 0..count {
            let w = &mut work[i * m * n..(i + 1) * m * n];
            kernel::reflect(w, m, n, &mut tau);
            for row in 0..k.min(m) {
                for col in row..n {
                    r[(i * k + row) * n + col] = w[row * n + col];
                }
            }
            if k > 0 {
                kernel::unreflect(w, m, n, &tau, k, &mut q[i * m * k..(i + 1) * m * k]);
            }
        }
    });
    Ok((q.to_dtype(a.dtype())?, r.to_dtype(a.dtype())?))
}

/// The gradient through A = QR with at least as many rows as columns.
fn qr_gradient(q: &Tensor, r: &Tensor, gq: &Tensor, gr: &Tensor) -> Result<Tensor> {
    let m = r.matmul(&adjoint(gr)?)?.sub(&adjoint(gq)?.matmul(q)?)?;
    let low = triangle(&m, -1, Half::Lower)?;
    let diagonal = m.diagonal(0, -2, -1)?.real()?.to_dtype(m.dtype())?;
    let eye = identity(m.size(-1)?, &m)?;
    let sym = low
        .add(&adjoint(&low)?)?
        .add(&columns_by(&eye, &diagonal)?)?;
    let right = gq.add(&q.matmul(&sym)?)?;
    // right @ r^-H
    adjoint(&triangular_matrices(r, &adjoint(&right)?, true, false)?)
}

pub fn qr(a: &Tensor, mode: &str) -> Result<(Tensor, Tensor)> {
    check_matrix("linalg.qr", a)?;
    crate::check!(
        matches!(mode, "reduced" | "r" | "complete"),
        Runtime,
        "qr received unrecognized mode '{mode}' but expected one of 'reduced' (default), 'r', or 'complete'"
    );
    let (m, n) = (a.size(-2)?, a.size(-1)?);
    let (q, r) = qr_data(a, mode == "complete")?;
    if autograd::needs_grad(&[a]) {
        let (sa, sq, sr) = (Saved::input(a), Saved::output(&q, 0), Saved::output(&r, 1));
        let mode = mode.to_string();
        record("LinalgQrBackward0", &[a], &[&q, &r], move |g| {
            crate::check!(
                mode != "r",
                Runtime,
                "The derivative of linalg.qr depends on Q, which is not computed when mode='r'. Please use \
                 linalg.qr(A, mode='reduced') if you are going to require differentiation through Q."
            );
            crate::check!(
                mode != "complete" || m <= n,
                Runtime,
                "The QR decomposition is not differentiable when mode='complete' and nrows > ncols."
            );
            let (q, r, gq, gr) = (sq.get(g)?, sr.get(g)?, g.get(0)?, g.get(1)?);
            if m >= n {
                return grads([Some(qr_gradient(&q, &r, &gq, &gr)?)]);
            }
            // A = [X Y] = Q [U V] with U square.
            let (w, rest) = (m as i64, (n - m) as i64);
            let (u, gu, gv) = (
                r.narrow(-1, 0, w)?,
                gr.narrow(-1, 0, w)?,
                gr.narrow(-1, w, rest)?,
            );
            let y = sa.get(g)?.narrow(-1, w, rest)?;
            let left = qr_gradient(&q, &u, &gq.add(&y.matmul(&adjoint(&gv)?)?)?, &gu)?;
            grads([Some(super::join::cat(&[left, q.matmul(&gv)?], -1)?)])
        });
    }
    if mode == "r" {
        return Ok((Tensor::empty(&[0], a.dtype(), a.device())?, r));
    }
    Ok((q, r))
}

// ---- Eigenvalues and singular values

/// Divides by differences of the last axis, with zeros on the diagonal.
fn over_differences(t: &Tensor, values: &Tensor) -> Result<Tensor> {
    let e = values.unsqueeze(-2)?.sub(&values.unsqueeze(-1)?)?;
    let eye = identity(values.size(-1)?, values)?;
    // Ones on the diagonal keep the quotient finite there; it is masked after.
    let safe = e.add(&eye)?;
    let mask = eye.eq(&Tensor::wrapped(0.0)?)?;
    mask.where_(&t.div(&safe)?, &Tensor::wrapped(0i64)?)
}

fn diagonal_matrix(d: &Tensor, like: &Tensor) -> Result<Tensor> {
    columns_by(&identity(d.size(-1)?, like)?, &d.to_dtype(like.dtype())?)
}

pub fn eigh(op: &str, a: &Tensor, uplo: &str) -> Result<(Tensor, Tensor)> {
    check_square(op, a)?;
    let lower = match uplo {
        "L" | "l" => true,
        "U" | "u" => false,
        _ => crate::bail!(
            Runtime,
            "Expected UPLO argument to be 'L' or 'U', but got {uplo}"
        ),
    };
    let n = a.size(-1)?;
    let x = widened(a)?;
    let values = Tensor::empty(&a.sizes()[..a.ndim() - 1], DType::F64, a.device())?;
    let vectors = Tensor::empty(a.sizes(), x.dtype(), a.device())?;
    in_field!(a.dtype(), F => {
        let mut work = x.as_slice::<F>()?.to_vec();
        let (l, v) = (fill_slice::<f64>(&values)?, fill_slice::<F>(&vectors)?);
        for i in 0..work.len() / (n * n).max(1) {
            let w = &mut work[i * n * n..(i + 1) * n * n];
            for r in 0..n {
                w[r * n + r] = F::real(w[r * n + r].re());
                for c in 0..r {
                    if lower { w[c * n + r] = w[r * n + c].conj() } else { w[r * n + c] = w[c * n + r].conj() }
                }
            }
            kernel::eigh(w, n, &mut l[i * n..(i + 1) * n], &mut v[i * n * n..(i + 1) * n * n]);
        }
    });
    let (values, vectors) = (
        values.to_dtype(a.dtype().to_real())?,
        vectors.to_dtype(a.dtype())?,
    );
    if autograd::needs_grad(&[a]) {
        let (sl, sv) = (Saved::output(&values, 0), Saved::output(&vectors, 1));
        record(
            "LinalgEighBackward0",
            &[a],
            &[&values, &vectors],
            move |g| {
                let (l, v) = (sl.get(g)?, sv.get(g)?);
                let vh = adjoint(&v)?;
                let mut inner = diagonal_matrix(&g.get(0)?, &v)?;
                if let Some(gv) = g.opt(1) {
                    inner = inner.add(&over_differences(&vh.matmul(&gv)?, &l)?)?;
                }
                grads([Some(v.matmul(&inner)?.matmul(&vh)?)])
            },
        );
    }
    Ok((values, vectors))
}

/// U, S and V^H; all of U and V with `full`.
pub fn svd(a: &Tensor, full: bool) -> Result<(Tensor, Tensor, Tensor)> {
    check_matrix("linalg.svd", a)?;
    let (m, n) = (a.size(-2)?, a.size(-1)?);
    let k = m.min(n);
    let tall = m >= n;
    let (rows, cols) = if tall { (m, n) } else { (n, m) };
    let x = autograd::no_grad(|| {
        widened(&if tall {
            a.detach()
        } else {
            adjoint(&a.detach())?
        })
    })?;
    let wide_u = if full { rows } else { k };
    let left = Tensor::empty(&with_tail(a, &[rows, wide_u]), x.dtype(), x.device())?;
    let right = Tensor::empty(&with_tail(a, &[cols, cols]), x.dtype(), x.device())?;
    let values = Tensor::empty(&with_tail(a, &[k]), DType::F64, x.device())?;
    in_field!(a.dtype(), F => {
        let mut work = x.as_slice::<F>()?.to_vec();
        let (u, v, s) = (fill_slice::<F>(&left)?, fill_slice::<F>(&right)?, fill_slice::<f64>(&values)?);
        let count: usize = a.sizes()[..a.ndim() - 2].iter().product();
        for i in 0..count {
            let w = &mut work[i * rows * cols..(i + 1) * rows * cols];
            if k > 0 {
                kernel::svd(w, rows, cols, &mut s[i * k..(i + 1) * k], &mut v[i * cols * cols..(i + 1) * cols * cols]);
            }
            let u = &mut u[i * rows * wide_u..(i + 1) * rows * wide_u];
            u.fill(F::real(0.0));
            for r in 0..rows {
                u[r * wide_u..r * wide_u + k].copy_from_slice(&w[r * cols..r * cols + k]);
            }
            kernel::complete(u, rows, wide_u, k);
        }
    });
    let (left, right) = (left.to_dtype(a.dtype())?, right.to_dtype(a.dtype())?);
    let s = values.to_dtype(a.dtype().to_real())?;
    let (u, vh) = autograd::no_grad(|| -> Result<(Tensor, Tensor)> {
        if tall {
            Ok((left, adjoint(&right)?))
        } else {
            Ok((right, adjoint(&left)?))
        }
    })?;
    if autograd::needs_grad(&[a]) {
        let saved = (
            Saved::output(&u, 0),
            Saved::output(&s, 1),
            Saved::output(&vh, 2),
        );
        record("LinalgSvdBackward0", &[a], &[&u, &s, &vh], move |g| {
            let (u, s, vh) = (saved.0.get(g)?, saved.1.get(g)?, saved.2.get(g)?);
            let k = k as i64;
            let (u, vh) = (u.narrow(-1, 0, k)?, vh.narrow(-2, 0, k)?);
            let gu = g.opt(0).map(|t| t.narrow(-1, 0, k)).transpose()?;
            let gvh = g.opt(2).map(|t| t.narrow(-2, 0, k)).transpose()?;
            let wide_s = s.to_dtype(u.dtype())?;
            let mut inner = diagonal_matrix(&g.get(1)?, &u)?;
            let squares = s.mul(&s)?;
            let skew = |t: &Tensor| -> Result<Tensor> { t.sub(&adjoint(t)?) };
            if let Some(gu) = &gu {
                let x = skew(&adjoint(&u)?.matmul(gu)?)?;
                inner = inner.add(&columns_by(&over_differences(&x, &squares)?, &wide_s)?)?;
                if u.dtype().is_complex() {
                    let d = x.diagonal(0, -2, -1)?.div(&wide_s.mul_scalar(2.0)?)?;
                    inner = inner.add(&diagonal_matrix(&d, &u)?)?;
                }
            }
            if let Some(gvh) = &gvh {
                let x = skew(&vh.matmul(&adjoint(gvh)?)?)?;
                inner = inner.add(&rows_by(&over_differences(&x, &squares)?, &wide_s)?)?;
            }
            let mut out = u.matmul(&inner)?.matmul(&vh)?;
            if let (Some(gu), true) = (&gu, m > n) {
                let free = gu.sub(&u.matmul(&adjoint(&u)?.matmul(gu)?)?)?;
                out = out.add(&columns_by(&free, &wide_s.reciprocal()?)?.matmul(&vh)?)?;
            }
            if let (Some(gvh), true) = (&gvh, m < n) {
                let free = gvh.sub(&gvh.matmul(&adjoint(&vh)?)?.matmul(&vh)?)?;
                out = out.add(&columns_by(&u, &wide_s.reciprocal()?)?.matmul(&free)?)?;
            }
            grads([Some(out)])
        });
    }
    Ok((u, s, vh))
}

// ---- LU as users see it

/// The packed factors and the pivots, with history for square matrices.
fn lu_factor(a: &Tensor) -> Result<(Tensor, Tensor, Vec<i32>)> {
    check_matrix("torch.lu_factor", a)?;
    let (m, n) = (a.size(-2)?, a.size(-1)?);
    let lu = lu_data(a)?;
    let packed = lu.packed.to_dtype(a.dtype())?;
    if autograd::needs_grad(&[a]) {
        let (saved, pivots) = (Saved::output(&packed, 0), lu.pivots.clone());
        record(
            "LinalgLuFactorExBackward0",
            &[a],
            &[&packed, &lu.pivots],
            move |g| {
                crate::check!(
                    m == n,
                    Runtime,
                    "derivative for linalg.lu_factor of matrices that are not square is not implemented"
                );
                let (f, grad) = (saved.get(g)?, g.get(0)?);
                let eye = identity(n, &f)?;
                let l = triangle(&f, -1, Half::Lower)?.add(&eye)?;
                let u = triangle(&f, 0, Half::Upper)?;
                let (gl, gu) = (
                    triangle(&grad, -1, Half::Lower)?,
                    triangle(&grad, 0, Half::Upper)?,
                );
                grads([Some(lu_gradient(
                    &permutation(&pivots, n, &f)?,
                    &l,
                    &u,
                    &gl,
                    &gu,
                )?)])
            },
        );
    }
    Ok((packed, lu.pivots, lu.infos))
}

/// The gradient through A = P L U of square matrices.
fn lu_gradient(p: &Tensor, l: &Tensor, u: &Tensor, gl: &Tensor, gu: &Tensor) -> Result<Tensor> {
    let lower = triangle(&adjoint(l)?.matmul(gl)?, -1, Half::Lower)?;
    let upper = triangle(&gu.matmul(&adjoint(u)?)?, 0, Half::Upper)?;
    let left = triangular_matrices(&adjoint(l)?, &lower.add(&upper)?, true, true)?;
    // left @ u^-H, then the rows back in their order.
    let both = adjoint(&triangular_matrices(u, &adjoint(&left)?, true, false)?)?;
    p.matmul(&both)
}

/// The matrices P of A = P L U.
fn permutation(pivots: &Tensor, m: usize, like: &Tensor) -> Result<Tensor> {
    let mut sizes: Sizes = SmallVec::from_slice(&pivots.sizes()[..pivots.ndim() - 1]);
    sizes.extend([m, m]);
    let out = Tensor::zeros(&sizes, like.dtype().to_real(), like.device())?;
    let k = pivots.size(-1)?;
    let p = pivots.contiguous()?;
    let p = p.as_slice::<i32>()?;
    let count = out.numel() / (m * m).max(1);
    crate::dispatch!(out.dtype(), T => {
        let x = fill_slice::<T>(&out)?;
        for i in 0..count {
            for (to, from) in order_of(&p[i * k..(i + 1) * k], m).into_iter().enumerate() {
                x[(i * m + from) * m + to] = T::from_f64(1.0);
            }
        }
    });
    out.to_dtype(like.dtype())
}

/// P, L and U from the packed form; differentiable.
fn unpack(packed: &Tensor, pivots: &Tensor) -> Result<[Tensor; 3]> {
    crate::check!(
        packed.ndim() >= 2 && packed.dtype().is_differentiable(),
        Runtime,
        "torch.lu_unpack: expected LU_data to be floating matrices, got {} of dtype {}",
        shape::list(packed.sizes()),
        packed.dtype().name()
    );
    let (m, n) = (packed.size(-2)?, packed.size(-1)?);
    let k = m.min(n);
    let batch = &packed.sizes()[..packed.ndim() - 2];
    crate::check!(
        pivots.dtype() == DType::I32,
        Runtime,
        "torch.lu_unpack: LU_pivots is expected to be a contiguous tensor of torch.int32 dtype."
    );
    crate::check!(
        pivots.ndim() == packed.ndim() - 1
            && pivots.sizes()[..pivots.ndim() - 1] == *batch
            && pivots.sizes()[pivots.ndim() - 1] == k,
        Runtime,
        "torch.lu_unpack: LU_pivots of shape {} does not belong to LU_data of shape {}",
        shape::list(pivots.sizes()),
        shape::list(packed.sizes())
    );
    let in_range = pivots
        .to_vec::<i32>()?
        .iter()
        .all(|&p| p >= 1 && p as usize <= m);
    crate::check!(
        in_range,
        Runtime,
        "torch.lu_unpack: LU_pivots must lie between 1 and {m}"
    );
    let l = triangle(&packed.narrow(-1, 0, k as i64)?, -1, Half::Lower)?;
    let eye = Tensor::zeros(&[m, k], packed.dtype(), packed.device())?;
    eye.as_strided(&[k], &[k as isize + 1], 0)?
        .fill(Scalar::Int(1))?;
    let u = triangle(&packed.narrow(-2, 0, k as i64)?, 0, Half::Upper)?;
    Ok([permutation(pivots, m, packed)?, l.add(&eye)?, u])
}

fn named(name: &'static str, fields: &'static [&'static str], v: Vec<Tensor>) -> Value {
    Value::Named(name, fields, v)
}

op! {
    /// Solves `A X = B`, or `X A = B` with `left=False`, for square matrices.
    ///
    /// Raises:
    ///     LinAlgError: if A is singular.
    solve, in [LINALG]; out {
        "(Tensor A, Tensor B, *, bool left=True) -> Tensor" => |a| super::solve(&a.tensor(0), &a.tensor(1), a.bool(2)),
    }
}
op! {
    /// As `solve`, returning whether it worked instead of raising.
    solve_ex, in [LINALG]; out {
        "(Tensor A, Tensor B, *, bool left=True, bool check_errors=False) -> (Tensor result, Tensor info)" => |a| {
            if a.bool(3) {
                super::solve(&a.tensor(0), &a.tensor(1), a.bool(2))?;
            }
            let (x, info) = solve_with_infos(&a.tensor(0), &a.tensor(1), a.bool(2))?;
            Ok(named("linalg_solve_ex", &["result", "info"], vec![x, info]))
        },
    }
}
op! {
    /// Returns the inverse of square matrices.
    ///
    /// Raises:
    ///     LinAlgError: if a matrix is singular.
    inv, in [LINALG], alias ["torch.inverse", "Tensor.inverse"]; out {
        "(Tensor A) -> Tensor" => |a| inverse(&a.tensor(0)),
    }
}
op! {
    /// As `inv`, returning whether it worked instead of raising.
    inv_ex, in [LINALG]; out {
        "(Tensor A, *, bool check_errors=False) -> (Tensor inverse, Tensor info)" => |a| {
            let x = a.tensor(0);
            check_square("linalg.inv_ex", &x)?;
            let (out, info) = inverse_with_infos(&x)?;
            if let (true, Some(i)) = (a.bool(1), info.iter().position(|&i| i != 0)) {
                return Err(failed("linalg.inv_ex", x.ndim() > 2, i, singular(info[i])));
            }
            let info = infos(&x.sizes()[..x.ndim() - 2], &info)?;
            Ok(named("linalg_inv_ex", &["inverse", "info"], vec![out, info]))
        },
    }
}
op! {
    /// Returns the determinant of square matrices.
    det, in [LINALG, TORCH, METHOD]; out {
        "(Tensor A) -> Tensor" => |a| super::det(&a.tensor(0)),
    }
}
op! {
    /// Returns sign and logarithm of the absolute value of the determinant.
    slogdet, in [LINALG]; out {
        "(Tensor A) -> (Tensor sign, Tensor logabsdet)" => |a| {
            let (s, l) = super::slogdet(&a.tensor(0))?;
            Ok(named("linalg_slogdet", &["sign", "logabsdet"], vec![s, l]))
        },
    }
}
op! {
    /// Returns sign and logarithm of the absolute value of the determinant.
    slogdet__, in [TORCH, METHOD]; out {
        "(Tensor input) -> (Tensor sign, Tensor logabsdet)" => |a| {
            let (s, l) = super::slogdet(&a.tensor(0))?;
            Ok(named("slogdet", &["sign", "logabsdet"], vec![s, l]))
        },
    }
}
op! {
    /// Returns the logarithm of the determinant, NaN where it is negative.
    logdet, in [TORCH, METHOD] {
        "(Tensor input) -> Tensor" => |a| {
            let (s, l) = super::slogdet(&a.tensor(0))?;
            if s.dtype().is_complex() { l.to_dtype(s.dtype())?.add(&s.log()?) } else { s.log()?.add(&l) }
        },
    }
}
op! {
    /// Solves `A X = B`, or `X A = B` with `left=False`, for triangular matrices; the other triangle is not read.
    solve_triangular, in [LINALG]; out {
        "(Tensor A, Tensor B, *, bool upper, bool left=True, bool unitriangular=False) -> Tensor" =>
            |a| super::solve_triangular(&a.tensor(0), &a.tensor(1), a.bool(2), a.bool(3), a.bool(4)),
    }
}
op! {
    /// Solves `A X = b` for triangular matrices; returns the solution and a copy of A.
    triangular_solve, in [TORCH, METHOD] {
        "(Tensor input, Tensor A, bool upper=True, bool transpose=False, bool unitriangular=False) -> (Tensor solution, Tensor cloned_coefficient)" => |a| {
            let (b, t) = (a.tensor(0), a.tensor(1));
            let copy = t.clone_data_recorded()?;
            let (t, upper) = if a.bool(3) { (t.transpose(-2, -1)?, !a.bool(2)) } else { (t, a.bool(2)) };
            let x = super::solve_triangular(&t, &b, upper, true, a.bool(4))?;
            Ok(named("triangular_solve", &["solution", "cloned_coefficient"], vec![x, copy]))
        },
    }
}
op! {
    /// Returns the Cholesky factor L of Hermitian positive-definite matrices `L L^H`, or its adjoint with `upper`.
    ///
    /// Raises:
    ///     LinAlgError: if a matrix is not positive-definite.
    cholesky, in [LINALG]; out {
        "(Tensor A, *, bool upper=False) -> Tensor" => |a| super::cholesky("linalg.cholesky", &a.tensor(0), a.bool(1)),
    }
}
op! {
    /// Returns the Cholesky factor L of Hermitian positive-definite matrices `L L^H`, or its adjoint with `upper`.
    cholesky__, in [TORCH, METHOD]; out {
        "(Tensor input, bool upper=False) -> Tensor" => |a| super::cholesky("cholesky", &a.tensor(0), a.bool(1)),
    }
}
op! {
    /// As `cholesky`, returning whether it worked instead of raising.
    cholesky_ex, in [LINALG]; out {
        "(Tensor A, *, bool upper=False, bool check_errors=False) -> (Tensor L, Tensor info)" => |a| {
            let x = a.tensor(0);
            check_square("linalg.cholesky_ex", &x)?;
            if a.bool(2) {
                super::cholesky("linalg.cholesky_ex", &x, a.bool(1))?;
            }
            let (l, info) = cholesky_with_infos(&x, a.bool(1))?;
            Ok(named("linalg_cholesky_ex", &["L", "info"], vec![l, infos(&x.sizes()[..x.ndim() - 2], &info)?]))
        },
    }
}
op! {
    /// Solves `A X = input` from the Cholesky factor of A.
    cholesky_solve, in [TORCH, METHOD]; out {
        "(Tensor input, Tensor L, bool upper=False) -> Tensor" =>
            |a| super::cholesky_solve(&a.tensor(0), &a.tensor(1), a.bool(2)),
    }
}
op! {
    /// Returns the inverse of a matrix from its Cholesky factor.
    cholesky_inverse, in [TORCH, METHOD]; out {
        "(Tensor input, bool upper=False) -> Tensor" => |a| {
            let l = a.tensor(0);
            check_square("cholesky_inverse", &l)?;
            let eye = identity(l.size(-1)?, &l)?.expand_to(l.sizes())?;
            super::cholesky_solve(&eye, &l, a.bool(1))
        },
    }
}
op! {
    /// Returns Q with orthonormal columns and upper triangular R, `A = Q R`; mode: "reduced", "complete" or "r".
    qr, in [LINALG]; out {
        "(Tensor A, str mode=\"reduced\") -> (Tensor Q, Tensor R)" => |a| {
            let (q, r) = super::qr(&a.tensor(0), a.str(1))?;
            Ok(named("linalg_qr", &["Q", "R"], vec![q, r]))
        },
    }
}
op! {
    /// Returns Q with orthonormal columns and upper triangular R, `input = Q R`.
    qr__, in [TORCH, METHOD]; out {
        "(Tensor input, bool some=True) -> (Tensor Q, Tensor R)" => |a| {
            let (q, r) = super::qr(&a.tensor(0), if a.bool(1) { "reduced" } else { "complete" })?;
            Ok(named("qr", &["Q", "R"], vec![q, r]))
        },
    }
}
op! {
    /// Returns the eigenvalues, ascending, and the eigenvectors of Hermitian matrices; reads one triangle.
    eigh, in [LINALG]; out {
        "(Tensor A, str UPLO=\"L\") -> (Tensor eigenvalues, Tensor eigenvectors)" => |a| {
            let (l, v) = super::eigh("linalg.eigh", &a.tensor(0), a.str(1))?;
            Ok(named("linalg_eigh", &["eigenvalues", "eigenvectors"], vec![l, v]))
        },
    }
}
op! {
    /// Returns the eigenvalues of Hermitian matrices, ascending; reads one triangle.
    eigvalsh, in [LINALG]; out {
        "(Tensor A, str UPLO=\"L\") -> Tensor" => |a| Ok(super::eigh("linalg.eigvalsh", &a.tensor(0), a.str(1))?.0),
    }
}
op! {
    /// Returns the singular value decomposition `A = U diag(S) Vh`, S descending.
    ///
    /// Args:
    ///     A: of size (*, m, n).
    ///     full_matrices: whether U and Vh are square.
    ///     driver: accepted; one method serves all.
    svd, in [LINALG]; out {
        "(Tensor A, bool full_matrices=True, *, str? driver=None) -> (Tensor U, Tensor S, Tensor Vh)" => |a| {
            let (u, s, vh) = super::svd(&a.tensor(0), a.bool(1))?;
            Ok(named("linalg_svd", &["U", "S", "Vh"], vec![u, s, vh]))
        },
    }
}
op! {
    /// Returns the singular value decomposition `input = U diag(S) V^H`.
    svd__, in [TORCH, METHOD]; out {
        "(Tensor input, bool some=True, bool compute_uv=True) -> (Tensor U, Tensor S, Tensor V)" => |a| {
            let (u, s, vh) = super::svd(&a.tensor(0), !a.bool(1))?;
            Ok(named("svd", &["U", "S", "V"], vec![u, s, adjoint(&vh)?]))
        },
    }
}
op! {
    /// Returns the singular values, descending.
    svdvals, in [LINALG]; out {
        "(Tensor A, *, str? driver=None) -> Tensor" => |a| Ok(super::svd(&a.tensor(0), false)?.1),
    }
}
op! {
    /// Returns L and U in one matrix and the row exchanges that lead to them.
    lu_factor, in [LINALG]; out {
        "(Tensor A, *, bool pivot=True) -> (Tensor LU, Tensor pivots)" => |a| {
            let (f, p, _) = super::lu_factor(&a.tensor(0))?;
            Ok(named("linalg_lu_factor", &["LU", "pivots"], vec![f, p]))
        },
    }
}
op! {
    /// As `lu_factor`, with the first zero pivot of each matrix.
    lu_factor_ex, in [LINALG]; out {
        "(Tensor A, *, bool pivot=True, bool check_errors=False) -> (Tensor LU, Tensor pivots, Tensor info)" => |a| {
            let x = a.tensor(0);
            let (f, p, info) = super::lu_factor(&x)?;
            let info = infos(&x.sizes()[..x.ndim() - 2], &info)?;
            Ok(named("linalg_lu_factor_ex", &["LU", "pivots", "info"], vec![f, p, info]))
        },
    }
}
op! {
    /// Returns P, L and U with `A = P L U`.
    lu, in [LINALG]; out {
        "(Tensor A, *, bool pivot=True) -> (Tensor P, Tensor L, Tensor U)" => |a| {
            let (f, p, _) = super::lu_factor(&a.tensor(0))?;
            Ok(named("linalg_lu", &["P", "L", "U"], unpack(&f, &p)?.into()))
        },
    }
}
op! {
    /// Returns P, L and U from the packed form that `lu_factor` returns.
    lu_unpack, in [TORCH] {
        "(Tensor LU_data, Tensor LU_pivots, bool unpack_data=True, bool unpack_pivots=True) -> (Tensor P, Tensor L, Tensor U)" =>
            |a| Ok(named("lu_unpack", &["P", "L", "U"], unpack(&a.tensor(0), &a.tensor(1))?.into())),
    }
}
op! {
    /// Solves `A X = B`, or `X A = B` with `left=False`, from the packed form that `lu_factor` returns.
    lu_solve, in [LINALG]; out {
        "(Tensor LU, Tensor pivots, Tensor B, *, bool left=True, bool adjoint=False) -> Tensor" => |a| {
            let [p, l, u] = unpack(&a.tensor(0), &a.tensor(1))?;
            let (b, left) = (a.tensor(2), a.bool(3));
            let full = p.matmul(&l)?.matmul(&u)?;
            super::solve(&if a.bool(4) { adjoint(&full)? } else { full }, &b, left)
        },
    }
}

#[rustfmt::skip]
pub static ROWS: &[&crate::ops::OpDef] = &[
    &solve::DEF, &solve_ex::DEF, &inv::DEF, &inv_ex::DEF, &det::DEF, &slogdet::DEF, &slogdet__::DEF, &logdet::DEF,
    &solve_triangular::DEF, &triangular_solve::DEF, &cholesky::DEF, &cholesky__::DEF, &cholesky_ex::DEF,
    &cholesky_solve::DEF, &cholesky_inverse::DEF, &qr::DEF, &qr__::DEF, &eigh::DEF, &eigvalsh::DEF, &svd::DEF,
    &svd__::DEF, &svdvals::DEF, &lu_factor::DEF, &lu_factor_ex::DEF, &lu::DEF, &lu_unpack::DEF, &lu_solve::DEF,
];
