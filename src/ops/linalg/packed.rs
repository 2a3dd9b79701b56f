//! The LU factorization in packed form.

use super::systems::*;
use super::*;

/// The packed factors, the pivots and the infos.
pub(super) fn lu_factor(a: &Tensor, pivot: bool) -> Result<(Tensor, Tensor, Vec<i32>)> {
    crate::check!(
        pivot,
        Runtime,
        "linalg.lu_factor: LU without pivoting is not implemented on the CPU"
    );
    check_matrix("torch.lu_factor", a)?;
    let m = a.size(-2)?;
    let lu = lu_data(a)?;
    let packed = lu.packed.to_dtype(a.dtype())?;
    if autograd::needs_grad(&[a]) {
        let (saved, pivots) = (Saved::output(&packed, 0), lu.pivots.clone());
        record(
            "LinalgLuFactorExBackward0",
            &[a],
            &[&packed, &lu.pivots],
            move |g| {
                let f = saved.get(g)?;
                let p = permutation(&pivots, m, &f)?;
                grads([Some(p.matmul(&lu_gradient(&f, &g.get(0)?)?)?)])
            },
        );
    }
    Ok((packed, lu.pivots, lu.infos))
}

/// The unit lower and the upper triangle of a packed square matrix.
fn triangles(f: &Tensor) -> Result<(Tensor, Tensor)> {
    let l = triangle(f, -1, Half::Lower)?.add(&identity(f.size(-1)?, f)?)?;
    Ok((l, triangle(f, 0, Half::Upper)?))
}

/// The gradient of P^T A through its packed factors.
fn lu_gradient(f: &Tensor, grad: &Tensor) -> Result<Tensor> {
    let (m, n) = (f.size(-2)? as i64, f.size(-1)? as i64);
    let k = m.min(n);
    let corner = |t: &Tensor| t.narrow(-2, 0, k)?.narrow(-1, 0, k);
    let (l, u) = triangles(&corner(f)?)?;
    let (mut gl, mut gu) = (
        triangle(&corner(grad)?, -1, Half::Lower)?,
        triangle(&corner(grad)?, 0, Half::Upper)?,
    );
    let lh = adjoint(&l)?;
    // x @ u^-H
    let over_u = |x: &Tensor| adjoint(&triangular_matrices(&u, &adjoint(x)?, true, false)?);
    let mut rest = None;
    if m < n {
        // The columns to the right are L times those of U.
        let part = |t: &Tensor| t.narrow(-1, k, n - k);
        let to_right = triangular_matrices(&lh, &part(grad)?, true, true)?;
        let lower = to_right.matmul(&adjoint(&part(f)?)?)?;
        gl = gl.sub(&triangle(&lower, -1, Half::Lower)?)?;
        rest = Some((to_right, -1));
    } else if m > n {
        // The rows below are those of L times U.
        let part = |t: &Tensor| t.narrow(-2, k, m - k);
        let to_below = over_u(&part(grad)?)?;
        let upper = adjoint(&part(f)?)?.matmul(&to_below)?;
        gu = gu.sub(&triangle(&upper, 0, Half::Upper)?)?;
        rest = Some((to_below, -2));
    }
    let lower = triangle(&lh.matmul(&gl)?, -1, Half::Lower)?;
    let upper = triangle(&gu.matmul(&adjoint(&u)?)?, 0, Half::Upper)?;
    let left = triangular_matrices(&lh, &lower.add(&upper)?, true, true)?;
    let square = over_u(&left)?;
    match rest {
        Some((rest, dim)) => crate::ops::join::cat(&[square, rest], dim),
        None => Ok(square),
    }
}

/// An error for a zero on the diagonal of U.
fn check_infos(op: &str, a: &Tensor, infos: &[i32]) -> Result<()> {
    let Some(at) = infos.iter().position(|&i| i != 0) else {
        return Ok(());
    };
    let (batch, i) = (
        if a.ndim() > 2 {
            format!(" (Batch element {at}):")
        } else {
            String::new()
        },
        infos[at],
    );
    crate::bail!(
        Runtime,
        "{op}:{batch} U[{i},{i}] is zero and using it on lu_solve would result in a division by zero. If you still want to \
         perform the factorization, consider calling linalg.lu(A, pivot) or linalg.lu_factor_ex(A, pivot)"
    )
}

const SOLVE: &str = "linalg.lu_solve";

/// Solves from packed factors; differentiable.
fn lu_solve(f: &Tensor, pivots: &Tensor, b: &Tensor, left: bool, adjoined: bool) -> Result<Tensor> {
    check_square("torch.linalg.lu_solve", f)?;
    crate::check!(
        b.ndim() >= 2,
        Runtime,
        "{SOLVE}: The input tensor B must have at least 2 dimensions."
    );
    crate::check!(
        f.dtype() == b.dtype(),
        Runtime,
        "{SOLVE}: Expected LU and B to have the same dtype, but found LU of type {} and B of type {} instead",
        f.dtype().scalar_name(),
        b.dtype().scalar_name()
    );
    check_solve(SOLVE, f, b, left)?;
    let n = f.size(-1)?;
    crate::check!(
        pivots.dtype() == DType::I32,
        Runtime,
        "{SOLVE}: pivots should be a Tensor of scalar type torch.int32"
    );
    crate::check!(
        pivots.ndim() > 0 && pivots.size(-1)? == n,
        Runtime,
        "{SOLVE}: Number of pivots per batch should be same as the dimension of the matrix"
    );
    check_pivots(f, pivots)?;
    if !left {
        // X A = B is A^H X^H = B^H.
        return adjoint(&lu_solve(f, pivots, &adjoint(b)?, true, !adjoined)?);
    }
    let p = permutation(pivots, n, f)?;
    let (p, _) = same_batch(&p, b)?;
    let (f, b) = same_batch(f, b)?;
    if adjoined {
        let fh = adjoint(&f)?;
        let x = triangular_matrices(&fh, &b, false, false)?;
        p.matmul(&triangular_matrices(&fh, &x, true, true)?)
    } else {
        let x = triangular_matrices(&f, &adjoint(&p)?.matmul(&b)?, false, true)?;
        triangular_matrices(&f, &x, true, false)
    }
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

fn check_pivots(packed: &Tensor, pivots: &Tensor) -> Result<()> {
    let m = packed.size(-2)?;
    let in_range = pivots
        .to_vec::<i32>()?
        .iter()
        .all(|&p| p >= 1 && p as usize <= m);
    crate::check!(
        in_range,
        Runtime,
        "torch.lu_unpack: LU_pivots must lie between 1 and {m}"
    );
    Ok(())
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
    check_pivots(packed, pivots)?;
    let l = triangle(&packed.narrow(-1, 0, k as i64)?, -1, Half::Lower)?;
    let eye = Tensor::zeros(&[m, k], packed.dtype(), packed.device())?;
    eye.as_strided(&[k], &[k as isize + 1], 0)?
        .fill(Scalar::Int(1))?;
    let u = triangle(&packed.narrow(-2, 0, k as i64)?, 0, Half::Upper)?;
    Ok([permutation(pivots, m, packed)?, l.add(&eye)?, u])
}

op! {
    /// Returns L and U in one matrix and the row exchanges that lead to them.
    ///
    /// Args:
    ///     A: of size (*, m, n).
    ///     pivot: has to be True on the CPU.
    ///
    /// Raises:
    ///     RuntimeError: if the diagonal of U has a zero.
    ///
    /// Example:
    ///     >>> torch.linalg.lu_factor(torch.tensor([[2.0, 1.0], [4.0, 3.0]])).pivots
    ///     tensor([2, 2], dtype=torch.int32)
    lu_factor, in [LINALG]; out {
        "(Tensor A, *, bool pivot=True) -> (Tensor LU, Tensor pivots)" => |a| {
            let x = a.tensor(0);
            let (f, p, info) = super::lu_factor(&x, a.bool(1))?;
            check_infos("torch.linalg.lu_factor", &x, &info)?;
            Ok(named("linalg_lu_factor", &["LU", "pivots"], vec![f, p]))
        },
    }
}
op! {
    /// As `lu_factor`, returning the first zero on the diagonal of U (from 1, or 0) instead of raising.
    ///
    /// Example:
    ///     >>> torch.linalg.lu_factor_ex(torch.zeros(2, 2)).info
    ///     tensor(1, dtype=torch.int32)
    lu_factor_ex, in [LINALG]; out {
        "(Tensor A, *, bool pivot=True, bool check_errors=False) -> (Tensor LU, Tensor pivots, Tensor info)" => |a| {
            let x = a.tensor(0);
            let (f, p, info) = super::lu_factor(&x, a.bool(1))?;
            if a.bool(2) {
                check_infos("torch.linalg.lu_factor_ex", &x, &info)?;
            }
            let info = infos(&x.sizes()[..x.ndim() - 2], &info)?;
            Ok(named("linalg_lu_factor_ex", &["LU", "pivots", "info"], vec![f, p, info]))
        },
    }
}
op! {
    /// Returns L and U in one matrix and the row exchanges; `linalg.lu_factor` in its older form.
    ///
    /// Args:
    ///     input: of size (*, m, n).
    ///     pivot: has to be True on the CPU.
    ///     get_infos: whether to return the first zeros on the diagonals of U (from 1, or 0) too.
    ///
    /// Example:
    ///     >>> torch.lu(torch.tensor([[2.0, 1.0], [4.0, 3.0]]))[1]
    ///     tensor([2, 2], dtype=torch.int32)
    lu__, in [TORCH, METHOD]; out {
        "(Tensor input, bool pivot=True, bool get_infos=False) -> (Tensor LU, Tensor pivots)" => |a| {
            let x = a.tensor(0);
            crate::check!(
                x.ndim() >= 2,
                Runtime,
                "torch.lu_factor: Expected tensor with 2 or more dimensions. Got size: {} instead",
                shape::list(x.sizes())
            );
            let (f, p, info) = super::lu_factor(&x, a.bool(1))?;
            if !a.bool(2) {
                return Ok(Value::Tuple(vec![f, p]));
            }
            let info = infos(&x.sizes()[..x.ndim() - 2], &info)?;
            Ok(named("_lu_with_info", &["LU", "pivots", "info"], vec![f, p, info]))
        },
    }
}
op! {
    /// Returns P, L and U with `A = P L U`.
    ///
    /// Args:
    ///     A: of size (*, m, n).
    ///     pivot: has to be True on the CPU.
    ///
    /// Example:
    ///     >>> torch.linalg.lu(torch.tensor([[2.0, 1.0], [4.0, 3.0]])).L
    ///     tensor([[1.0000, 0.0000],
    ///             [0.5000, 1.0000]])
    lu, in [LINALG]; out {
        "(Tensor A, *, bool pivot=True) -> (Tensor P, Tensor L, Tensor U)" => |a| {
            let (f, p, _) = super::lu_factor(&a.tensor(0), a.bool(1))?;
            Ok(named("linalg_lu", &["P", "L", "U"], unpack(&f, &p)?.into()))
        },
    }
}
op! {
    /// Returns P, L and U from the packed form that `lu_factor` returns.
    ///
    /// Args:
    ///     LU_data: (*, m, n).
    ///     LU_pivots: (*, min(m, n)), int32.
    ///     unpack_data: False returns L and U without elements.
    ///     unpack_pivots: False returns P without elements.
    lu_unpack, in [TORCH]; out {
        "(Tensor LU_data, Tensor LU_pivots, bool unpack_data=True, bool unpack_pivots=True) -> (Tensor P, Tensor L, Tensor U)" => |a| {
            let [mut p, mut l, mut u] = unpack(&a.tensor(0), &a.tensor(1))?;
            let none = || Tensor::empty(&[0], a.tensor(0).dtype(), a.tensor(0).device());
            if !a.bool(2) {
                (l, u) = (none()?, none()?);
            }
            if !a.bool(3) {
                p = none()?;
            }
            Ok(named("lu_unpack", &["P", "L", "U"], vec![p, l, u]))
        },
    }
}
op! {
    /// Solves `A X = B`, or `X A = B` with `left=False`, from the packed form that `lu_factor` returns.
    ///
    /// Args:
    ///     LU, pivots: (*, n, n) and (*, n).
    ///     B: (*, n, k), or (*, k, n) with `left=False`.
    ///     adjoint: whether to solve with the adjoint of A.
    ///
    /// Example:
    ///     >>> factors = torch.linalg.lu_factor(torch.tensor([[2.0, 0.0], [0.0, 4.0]]))
    ///     >>> torch.linalg.lu_solve(*factors, torch.ones(2, 1))
    ///     tensor([[0.5000],
    ///             [0.2500]])
    lu_solve, in [LINALG]; out {
        "(Tensor LU, Tensor pivots, Tensor B, *, bool left=True, bool adjoint=False) -> Tensor" =>
            |a| super::lu_solve(&a.tensor(0), &a.tensor(1), &a.tensor(2), a.bool(3), a.bool(4)),
    }
}
op! {
    /// Solves `A X = input` from the packed form that `lu` returns.
    ///
    /// Example:
    ///     >>> torch.lu_solve(torch.ones(2, 1), *torch.lu(torch.tensor([[2.0, 0.0], [0.0, 4.0]])))
    ///     tensor([[0.5000],
    ///             [0.2500]])
    lu_solve__, in [TORCH, METHOD]; out {
        "(Tensor input, Tensor LU_data, Tensor LU_pivots) -> Tensor" =>
            |a| super::lu_solve(&a.tensor(1), &a.tensor(2), &a.tensor(0), true, false),
    }
}

pub static ROWS: &[&crate::ops::OpDef] = &[
    &lu_factor::DEF,
    &lu_factor_ex::DEF,
    &lu__::DEF,
    &lu::DEF,
    &lu_unpack::DEF,
    &lu_solve::DEF,
    &lu_solve__::DEF,
];
