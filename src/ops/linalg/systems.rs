//! Linear systems, inverses and determinants, from the LU factorization.

use super::*;

pub(super) struct Lu {
    /// L below, U on and above the diagonal; in the wide dtype.
    pub(super) packed: Tensor,
    /// Row exchanges, from 1.
    pub(super) pivots: Tensor,
    pub(super) infos: Vec<i32>,
}

pub(super) fn lu_data(a: &Tensor) -> Result<Lu> {
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
pub(super) fn order_of(pivots: &[i32], m: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..m).collect();
    for (i, &p) in pivots.iter().enumerate() {
        order.swap(i, (p - 1).max(0) as usize);
    }
    order
}

/// Solves from a factorization, for right-hand sides of the same batch; no history.
pub(super) fn lu_solve_data(lu: &Lu, b: &Tensor) -> Result<Tensor> {
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
pub(super) fn solve_matrices(a: &Tensor, b: &Tensor) -> Result<(Tensor, Vec<i32>)> {
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
pub(super) fn is_vectors(a: &Tensor, b: &Tensor) -> bool {
    b.ndim() == 1 || (b.ndim() + 1 == a.ndim() && b.sizes() == &a.sizes()[..a.ndim() - 1])
}

/// Expands the batch axes of both operands to one another.
pub(super) fn same_batch(a: &Tensor, b: &Tensor) -> Result<(Tensor, Tensor)> {
    let batch = shape::broadcast(&a.sizes()[..a.ndim() - 2], &b.sizes()[..b.ndim() - 2])?;
    let to = |t: &Tensor| {
        let mut s = batch.clone();
        s.extend_from_slice(&t.sizes()[t.ndim() - 2..]);
        t.expand_to(&s)
    };
    Ok((to(a)?, to(b)?))
}

pub(super) fn check_solve(op: &str, a: &Tensor, b: &Tensor, left: bool) -> Result<()> {
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

pub(super) fn inverse_with_infos(a: &Tensor) -> Result<(Tensor, Vec<i32>)> {
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
pub(super) fn determinants(a: &Tensor) -> Result<[Tensor; 3]> {
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
pub(super) fn cofactors(a: &Tensor, det: &Tensor) -> Result<Tensor> {
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
        let others = crate::ops::join::stack(&others, -1)?;
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

pub static ROWS: &[&crate::ops::OpDef] = &[
    &solve::DEF,
    &solve_ex::DEF,
    &inv::DEF,
    &inv_ex::DEF,
    &det::DEF,
    &slogdet::DEF,
    &slogdet__::DEF,
    &logdet::DEF,
];
