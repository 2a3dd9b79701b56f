//! The factorization L D L^T of symmetric matrices that need not be positive.

use super::systems::same_batch;
use super::*;

const FACTOR: &str = "torch.linalg.ldl_factor_ex";

/// L below and D on the diagonal and in the blocks of two, the row exchanges, and the infos.
fn factor(a: &Tensor, hermitian: bool) -> Result<(Tensor, Tensor, Vec<i32>)> {
    crate::check!(
        !matches!(a.dtype(), DType::F16 | DType::BF16),
        NotImplemented,
        "\"ldl_factor_kernel_cpu\" not implemented for '{}'",
        a.dtype().scalar_name()
    );
    check_square(FACTOR, a)?;
    let n = a.size(-1)?;
    let pivots = Tensor::empty(&a.sizes()[..a.ndim() - 1], DType::I32, a.device())?;
    let mut infos = vec![0; a.sizes()[..a.ndim() - 2].iter().product()];
    let ld = autograd::no_grad(|| -> Result<Tensor> {
        let x = widened(a)?.clone_data()?.contiguous()?;
        let hermitian = hermitian && a.dtype().is_complex();
        in_field!(a.dtype(), F => {
            let p = fill_slice::<i32>(&pivots)?;
            for (i, x) in fill_slice::<F>(&x)?.chunks_exact_mut((n * n).max(1)).enumerate() {
                infos[i] = kernel::ldl::factor(x, n, &mut p[i * n..(i + 1) * n], hermitian);
            }
        });
        x.to_dtype(a.dtype())
    })?;
    if autograd::needs_grad(&[a]) {
        autograd::record_not_differentiable("linalg_ldl_factor_ex", &[a], &[&ld]);
    }
    Ok((ld, pivots, infos))
}

fn check_infos(op: &str, a: &Tensor, infos: &[i32]) -> Result<()> {
    match infos.iter().position(|&i| i != 0) {
        Some(i) => Err(failed(
            op,
            a.ndim() > 2,
            i,
            format!(
                "The factorization has been completed, but the block diagonal matrix D is exactly singular (its element {} \
                 is zero), and division by zero will occur if it is used to solve a system of equations.",
                infos[i]
            ),
        )),
        None => Ok(()),
    }
}

const SOLVE: &str = "torch.linalg.ldl_solve";

fn solve(ld: &Tensor, pivots: &Tensor, b: &Tensor, hermitian: bool) -> Result<Tensor> {
    check_square(SOLVE, ld)?;
    let (n, rows, columns) = (ld.size(-1)?, b.size(-2)?, b.size(-1)?);
    crate::check!(
        b.dtype() == ld.dtype(),
        Runtime,
        "Expected b and A to have the same dtype, but found b of type {} and A of type {} instead.",
        b.dtype().scalar_name(),
        ld.dtype().scalar_name()
    );
    crate::check!(
        rows == n,
        Runtime,
        "Incompatible matrix sizes for {SOLVE}: each A matrix is {n} by {n} but each b matrix is {rows} by {columns}"
    );
    crate::check!(
        pivots.dtype().is_integer(),
        Runtime,
        "{SOLVE}: Expected pivots to be integers. Got {}",
        pivots.dtype().scalar_name()
    );
    crate::check!(
        *pivots.sizes() == ld.sizes()[..ld.ndim() - 1],
        Runtime,
        "{SOLVE}: Expected LD.shape[:-1] and pivots.shape to be the same, but got pivots with shape {} instead",
        shape::list(pivots.sizes())
    );
    let out = autograd::no_grad(|| -> Result<Tensor> {
        let (f, x) = same_batch(&ld.detach(), &b.detach())?;
        let mut sizes = Sizes::from_slice(&f.sizes()[..f.ndim() - 2]);
        sizes.push(n);
        let p = pivots
            .to_dtype(DType::I32)?
            .expand_to(&sizes)?
            .contiguous()?;
        let in_range = p
            .as_slice::<i32>()?
            .iter()
            .all(|p| p.unsigned_abs() as usize <= n && *p != 0);
        crate::check!(
            in_range,
            Runtime,
            "{SOLVE}: pivots must lie between 1 and {n} or between -{n} and -1"
        );
        let (f, x) = (widened(&f)?, widened(&x)?.clone_data()?.contiguous()?);
        let hermitian = hermitian && ld.dtype().is_complex();
        in_field!(ld.dtype(), F => {
            let (f, p) = (f.as_slice::<F>()?, p.as_slice::<i32>()?);
            for (i, x) in fill_slice::<F>(&x)?.chunks_exact_mut((n * columns).max(1)).enumerate() {
                let p = &p[i * n..(i + 1) * n];
                kernel::ldl::solve(&f[i * n * n..(i + 1) * n * n], n, p, x, columns, hermitian);
            }
        });
        x.to_dtype(b.dtype())
    })?;
    if autograd::needs_grad(&[ld, b]) {
        autograd::record_not_differentiable("linalg_ldl_solve", &[ld, b], &[&out]);
    }
    Ok(out)
}

op! {
    /// Returns the factorization `L D L^T` (or `L D L^H`) of symmetric (Hermitian) matrices in compact form.
    ///
    /// Args:
    ///     input: (*, n, n); the lower triangle is read.
    ///     hermitian: whether complex matrices are Hermitian rather than symmetric. Default: False.
    ///
    /// Returns:
    ///     LD, with L below the diagonal and the blocks of D, and the row exchanges, as LAPACK's `sytrf` stores them.
    ///
    /// Raises:
    ///     LinAlgError: if D is singular.
    ///
    /// Example:
    ///     >>> torch.linalg.ldl_factor(torch.tensor([[4.0, 2.0], [2.0, 3.0]])).LD
    ///     tensor([[4.0000, 0.0000],
    ///             [0.5000, 2.0000]])
    ldl_factor, in [LINALG]; out {
        "(Tensor input, *, bool hermitian=False) -> (Tensor LD, Tensor pivots)" => |a| {
            let x = a.tensor(0);
            let (ld, pivots, infos) = factor(&x, a.bool(1))?;
            check_infos("torch.linalg.ldl_factor", &x, &infos)?;
            Ok(named("linalg_ldl_factor", &["LD", "pivots"], vec![ld, pivots]))
        },
    }
}
op! {
    /// As `ldl_factor`, returning where D is singular (from 1, or 0) instead of raising.
    ///
    /// Example:
    ///     >>> torch.linalg.ldl_factor_ex(torch.zeros(2, 2)).info
    ///     tensor(1, dtype=torch.int32)
    ldl_factor_ex, in [LINALG]; out {
        "(Tensor input, *, bool hermitian=False, bool check_errors=False) -> (Tensor LD, Tensor pivots, Tensor info)" => |a| {
            let x = a.tensor(0);
            let (ld, pivots, info) = factor(&x, a.bool(1))?;
            if a.bool(2) {
                check_infos("torch.linalg.ldl_factor_ex", &x, &info)?;
            }
            let info = infos(&x.sizes()[..x.ndim() - 2], &info)?;
            Ok(named("linalg_ldl_factor_ex", &["LD", "pivots", "info"], vec![ld, pivots, info]))
        },
    }
}
op! {
    /// Solves `A X = B` from what `ldl_factor` returns.
    ///
    /// Args:
    ///     LD, pivots: (*, n, n) and (*, n).
    ///     B: (*, n, k).
    ///     hermitian: as given to `ldl_factor`.
    ///
    /// Example:
    ///     >>> a = torch.tensor([[4.0, 2.0], [2.0, 3.0]])
    ///     >>> torch.linalg.ldl_solve(*torch.linalg.ldl_factor(a), torch.tensor([[8.0], [8.0]]))
    ///     tensor([[1.],
    ///             [2.]])
    ldl_solve, in [LINALG]; out {
        "(Tensor LD, Tensor pivots, Tensor B, *, bool hermitian=False) -> Tensor" =>
            |a| solve(&a.tensor(0), &a.tensor(1), &a.tensor(2), a.bool(3)),
    }
}

#[rustfmt::skip]
pub static ROWS: &[&crate::ops::OpDef] = &[&ldl_factor::DEF, &ldl_factor_ex::DEF, &ldl_solve::DEF];
