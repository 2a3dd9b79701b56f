//! Triangular systems, Cholesky and QR.

use super::systems::{check_solve, same_batch};
use super::*;

/// `t^-1 b` for triangular matrices of one batch with `b`.
pub(super) fn triangular_matrices(
    t: &Tensor,
    b: &Tensor,
    upper: bool,
    unit: bool,
) -> Result<Tensor> {
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
pub(super) fn cholesky_with_infos(a: &Tensor, upper: bool) -> Result<(Tensor, Vec<i32>)> {
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

pub(super) fn cholesky_solve(b: &Tensor, l: &Tensor, upper: bool) -> Result<Tensor> {
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
    let out = autograd::no_grad(|| -> Result<Tensor> {
        let (l, b) = (l.detach(), b.detach());
        let (lower, upper) = if upper {
            (adjoint(&l)?, l)
        } else {
            (l.clone(), adjoint(&l)?)
        };
        let half = triangular_matrices(&lower, &b, false, false)?;
        triangular_matrices(&upper, &half, true, false)
    })?;
    if autograd::needs_grad(&[&l, &b]) {
        let (sl, sx) = (Saved::input(&l), Saved::output(&out, 0));
        record("CholeskySolveBackward0", &[&b, &l], &[&out], move |g| {
            let (l, x) = (sl.get(g)?, sx.get(g)?);
            let to_b = cholesky_solve(&g.get(0)?, &l, upper)?;
            let to_l = g.when(1, || {
                let one = to_b.matmul(&adjoint(&x)?)?;
                let both = one.add(&adjoint(&one)?)?;
                if upper {
                    l.matmul(&both)?
                } else {
                    both.matmul(&l)?
                }
                .neg()
            })?;
            grads([Some(to_b), to_l])
        });
    }
    Ok(out)
}

/// Q and R, either all of Q or as many columns as the smaller side; no history.
pub(super) fn qr_data(a: &Tensor, complete: bool) -> Result<(Tensor, Tensor)> {
    let (m, n) = (a.size(-2)?, a.size(-1)?);
    let k = if complete { m } else { m.min(n) };
    let x = widened(a)?;
    let q = Tensor::empty(&with_tail(a, &[m, k]), x.dtype(), x.device())?;
    let r = Tensor::zeros(&with_tail(a, &[k, n]), x.dtype(), x.device())?;
    in_field!(a.dtype(), F => {
        let mut work = crate::list::copied(x.as_slice::<F>()?)?;
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
pub(super) fn qr_gradient(q: &Tensor, r: &Tensor, gq: &Tensor, gr: &Tensor) -> Result<Tensor> {
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
            grads([Some(crate::ops::join::cat(&[left, q.matmul(&gv)?], -1)?)])
        });
    }
    if mode == "r" {
        return Ok((Tensor::empty(&[0], a.dtype(), a.device())?, r));
    }
    Ok((q, r))
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
    triangular_solve, in [TORCH, METHOD]; out {
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
        "(Tensor input, *, bool upper=False) -> Tensor" => |a| super::cholesky("linalg.cholesky", &a.tensor(0), a.bool(1)),
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
        "(Tensor input, *, bool upper=False, bool check_errors=False) -> (Tensor L, Tensor info)" => |a| {
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

pub static ROWS: &[&crate::ops::OpDef] = &[
    &solve_triangular::DEF,
    &triangular_solve::DEF,
    &cholesky::DEF,
    &cholesky__::DEF,
    &cholesky_ex::DEF,
    &cholesky_solve::DEF,
    &cholesky_inverse::DEF,
    &qr::DEF,
    &qr__::DEF,
];
