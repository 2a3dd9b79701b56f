//! The LU factorization in packed form.

use super::systems::*;
use super::*;

/// The packed factors and the pivots, with history for square matrices.
pub(super) fn lu_factor(a: &Tensor) -> Result<(Tensor, Tensor, Vec<i32>)> {
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
pub(super) fn lu_gradient(
    p: &Tensor,
    l: &Tensor,
    u: &Tensor,
    gl: &Tensor,
    gu: &Tensor,
) -> Result<Tensor> {
    let lower = triangle(&adjoint(l)?.matmul(gl)?, -1, Half::Lower)?;
    let upper = triangle(&gu.matmul(&adjoint(u)?)?, 0, Half::Upper)?;
    let left = triangular_matrices(&adjoint(l)?, &lower.add(&upper)?, true, true)?;
    // left @ u^-H, then the rows back in their order.
    let both = adjoint(&triangular_matrices(u, &adjoint(&left)?, true, false)?)?;
    p.matmul(&both)
}

/// The matrices P of A = P L U.
pub(super) fn permutation(pivots: &Tensor, m: usize, like: &Tensor) -> Result<Tensor> {
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
pub(super) fn unpack(packed: &Tensor, pivots: &Tensor) -> Result<[Tensor; 3]> {
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

pub static ROWS: &[&crate::ops::OpDef] = &[
    &lu_factor::DEF,
    &lu_factor_ex::DEF,
    &lu::DEF,
    &lu_unpack::DEF,
    &lu_solve::DEF,
];
