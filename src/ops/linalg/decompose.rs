//! Eigenvalues of Hermitian matrices and singular values.

use super::*;

/// Divides by differences of the last axis, with zeros on the diagonal.
pub(super) fn over_differences(t: &Tensor, values: &Tensor) -> Result<Tensor> {
    let e = values.unsqueeze(-2)?.sub(&values.unsqueeze(-1)?)?;
    let eye = identity(values.size(-1)?, values)?;
    // Ones on the diagonal keep the quotient finite there; it is masked after.
    let safe = e.add(&eye)?;
    let mask = eye.eq(&Tensor::wrapped(0.0)?)?;
    mask.where_(&t.div(&safe)?, &Tensor::wrapped(0i64)?)
}

pub(super) fn diagonal_matrix(d: &Tensor, like: &Tensor) -> Result<Tensor> {
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
        let mut work = crate::list::copied(x.as_slice::<F>()?)?;
        let (l, v) = (fill_slice::<f64>(&values)?, fill_slice::<F>(&vectors)?);
        for i in 0..work.len() / (n * n).max(1) {
            let w = &mut work[i * n * n..(i + 1) * n * n];
            if w.iter().any(|x| !x.abs().is_finite()) {
                l[i * n..(i + 1) * n].fill(f64::NAN);
                v[i * n * n..(i + 1) * n * n].fill(F::real(f64::NAN));
                continue;
            }
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
                    // Only rotations keep the vectors orthonormal.
                    let turn = vh.matmul(&gv)?;
                    let turn = turn.sub(&adjoint(&turn)?)?.mul_scalar(0.5)?;
                    inner = inner.add(&over_differences(&turn, &l)?)?;
                }
                grads([Some(v.matmul(&inner)?.matmul(&vh)?)])
            },
        );
    }
    Ok((values, vectors))
}

fn check_driver(driver: Option<&str>) -> Result<()> {
    crate::check!(
        driver.is_none(),
        Runtime,
        "torch.linalg.svd: keyword argument `driver=` is only supported on CUDA inputs with cuSOLVER backend. Leave it out"
    );
    Ok(())
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
        let mut work = crate::list::copied(x.as_slice::<F>()?)?;
        let (u, v, s) = (fill_slice::<F>(&left)?, fill_slice::<F>(&right)?, fill_slice::<f64>(&values)?);
        let count: usize = a.sizes()[..a.ndim() - 2].iter().product();
        for i in 0..count {
            let w = &mut work[i * rows * cols..(i + 1) * rows * cols];
            if w.iter().any(|x| !x.abs().is_finite()) {
                return Err(failed(
                    "linalg.svd",
                    a.ndim() > 2,
                    i,
                    "The algorithm failed to converge because the input matrix contained non-finite values.".into(),
                ));
            }
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

/// Eigenvalues, and eigenvectors as columns where asked for, in complex double precision.
fn eig_data(op: &str, a: &Tensor, with_vectors: bool) -> Result<(Tensor, Option<Tensor>)> {
    let n = a.size(-1)?;
    let x = widened(a)?;
    let values = Tensor::empty(&a.sizes()[..a.ndim() - 1], DType::C128, a.device())?;
    let vectors = Tensor::empty(
        if with_vectors { a.sizes() } else { &[0] },
        DType::C128,
        a.device(),
    )?;
    in_field!(a.dtype(), F => {
        let mut work = crate::list::copied(x.as_slice::<F>()?)?;
        let finite = work.iter().all(|x| x.abs().is_finite());
        crate::check!(finite, Runtime, "torch.{op}: input tensor should not contain infs or NaNs.");
        let (l, v) = (fill_slice::<C>(&values)?, fill_slice::<C>(&vectors)?);
        for (i, w) in work.chunks_exact_mut((n * n).max(1)).enumerate() {
            let v = with_vectors.then(|| &mut v[i * n * n..(i + 1) * n * n]);
            if !kernel::eig::eig(w, n, &mut l[i * n..(i + 1) * n], v) {
                return Err(failed(
                    op,
                    a.ndim() > 2,
                    i,
                    "The algorithm failed to converge because the input matrix is ill-conditioned.".into(),
                ));
            }
        }
    });
    let dtype = a.dtype().to_complex();
    let vectors = with_vectors.then(|| vectors.to_dtype(dtype)).transpose()?;
    Ok((values.to_dtype(dtype)?, vectors))
}

fn check_eig(op: &str, a: &Tensor) -> Result<()> {
    crate::check!(
        !matches!(a.dtype(), DType::F16 | DType::BF16),
        NotImplemented,
        "\"linalg_eig_out_cpu\" not implemented for '{}'",
        a.dtype().scalar_name()
    );
    check_square(op, a)
}

/// Refuses losses that change with the phases of the eigenvectors, which mean nothing.
fn check_phases(turn: &Tensor) -> Result<()> {
    let turns = turn.detach().imag()?.to_vec::<f64>()?;
    crate::check!(
        turns.iter().all(|t| t.abs() <= 1e-2),
        Runtime,
        "linalg_eig_backward: The eigenvectors in the complex case are specified up to multiplication by e^{{i phi}}. The \
         specified loss function depends on this quantity, so it is ill-defined."
    );
    Ok(())
}

/// Eigenvalues and eigenvectors of general matrices.
fn eig(op: &str, a: &Tensor) -> Result<(Tensor, Tensor)> {
    check_eig(op, a)?;
    let (values, vectors) = eig_data(op, a, true)?;
    let vectors = match vectors {
        Some(v) => v,
        None => crate::bail!(Runtime, "{op}: no eigenvectors"),
    };
    if autograd::needs_grad(&[a]) {
        let (sl, sv) = (Saved::output(&values, 0), Saved::output(&vectors, 1));
        let real = !a.dtype().is_complex();
        record("LinalgEigBackward0", &[a], &[&values, &vectors], move |g| {
            let (l, v) = (sl.get(g)?, sv.get(g)?);
            let vh = adjoint(&v)?;
            let mut inner = diagonal_matrix(&g.get(0)?, &v)?;
            if let Some(gv) = g.opt(1) {
                let along = vh.matmul(&gv)?;
                let diagonal = along.diagonal(0, -2, -1)?;
                check_phases(&diagonal)?;
                // Unit length takes away what lies along the vectors themselves.
                let length = columns_by(&vh.matmul(&v)?, &diagonal.real()?.to_dtype(v.dtype())?)?;
                inner = inner.add(&over_differences(&along.sub(&length)?, &l.conj()?)?)?;
            }
            let out = systems::solve_matrices(&vh, &inner.matmul(&vh)?)?.0;
            grads([Some(if real { out.real()? } else { out })])
        });
    }
    Ok((values, vectors))
}

fn eigvals(a: &Tensor) -> Result<Tensor> {
    if autograd::needs_grad(&[a]) {
        return Ok(eig("linalg.eigvals", a)?.0);
    }
    check_eig("linalg.eigvals", a)?;
    Ok(eig_data("linalg.eigvals", a, false)?.0)
}

op! {
    /// Returns the eigenvalues, ascending, and the eigenvectors of Hermitian matrices; reads one triangle.
    eigh, in [LINALG]; out {
        "(Tensor input, str UPLO=\"L\") -> (Tensor eigenvalues, Tensor eigenvectors)" => |a| {
            let (l, v) = super::eigh("linalg.eigh", &a.tensor(0), a.str(1))?;
            Ok(named("linalg_eigh", &["eigenvalues", "eigenvectors"], vec![l, v]))
        },
    }
}
op! {
    /// Returns the eigenvalues of Hermitian matrices, ascending; reads one triangle.
    eigvalsh, in [LINALG]; out {
        "(Tensor input, str UPLO=\"L\") -> Tensor" => |a| Ok(super::eigh("linalg.eigvalsh", &a.tensor(0), a.str(1))?.0),
    }
}
op! {
    /// Returns the singular value decomposition `A = U diag(S) Vh`, S descending.
    ///
    /// Args:
    ///     A: of size (*, m, n).
    ///     full_matrices: whether U and Vh are square.
    ///     driver: has to be None on the CPU.
    svd, in [LINALG]; out {
        "(Tensor A, bool full_matrices=True, *, str? driver=None) -> (Tensor U, Tensor S, Tensor Vh)" => |a| {
            check_driver(a.opt_str(2))?;
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
        "(Tensor A, *, str? driver=None) -> Tensor" => |a| {
            check_driver(a.opt_str(1))?;
            Ok(super::svd(&a.tensor(0), false)?.1)
        },
    }
}

op! {
    /// Returns the eigenvalues and eigenvectors of square matrices, `A V = V diag(L)`.
    ///
    /// Args:
    ///     input: of size (*, n, n); real matrices also have complex results.
    ///
    /// Returns:
    ///     eigenvalues, (*, n), in no particular order, and eigenvectors of length 1 as columns, (*, n, n).
    ///
    /// Raises:
    ///     RuntimeError: if an element is infinite or NaN.
    ///
    /// Example:
    ///     >>> torch.linalg.eig(torch.tensor([[2.0, 0.0], [0.0, 3.0]])).eigenvalues
    ///     tensor([2.+0.j, 3.+0.j])
    eig, in [LINALG]; out {
        "(Tensor input) -> (Tensor eigenvalues, Tensor eigenvectors)" => |a| {
            let (l, v) = super::eig("linalg.eig", &a.tensor(0))?;
            Ok(named("linalg_eig", &["eigenvalues", "eigenvectors"], vec![l, v]))
        },
    }
}
op! {
    /// Returns the eigenvalues of square matrices, complex and in no particular order.
    ///
    /// Example:
    ///     >>> torch.linalg.eigvals(torch.tensor([[0.0, -1.0], [1.0, 0.0]]))
    ///     tensor([0.+1.j, 0.-1.j])
    eigvals, in [LINALG]; out {
        "(Tensor input) -> Tensor" => |a| super::eigvals(&a.tensor(0)),
    }
}

pub static ROWS: &[&crate::ops::OpDef] = &[
    &eigh::DEF,
    &eigvalsh::DEF,
    &svd::DEF,
    &svd__::DEF,
    &svdvals::DEF,
    &eig::DEF,
    &eigvals::DEF,
];
