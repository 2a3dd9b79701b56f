//! Tensors read as matrices, and matrices of powers.

use super::*;
use crate::ops::join::cat;

fn check_invertible(what: &str, columns: usize, rows: usize) -> Result<()> {
    crate::check!(
        columns == rows,
        Runtime,
        "Expected self to satisfy the requirement prod(self.shape[{what}:]) == prod(self.shape[:{what}]), but got {columns} \
         != {rows}"
    );
    Ok(())
}

fn product(sizes: &[usize]) -> usize {
    sizes.iter().product()
}

fn tensorinv(a: &Tensor, ind: i64) -> Result<Tensor> {
    crate::check!(
        ind > 0,
        Runtime,
        "Expected a strictly positive integer for 'ind', but got {ind}"
    );
    let (rows, columns) = a.sizes().split_at((ind as usize).min(a.ndim()));
    let n = product(rows);
    check_invertible("ind", product(columns), n)?;
    let mut sizes = Sizes::from_slice(columns);
    sizes.extend_from_slice(rows);
    inverse(&a.reshape_to(&[n, n])?)?.reshape_to(&sizes)
}

fn tensorsolve(a: &Tensor, b: &Tensor, dims: Option<&[i64]>) -> Result<Tensor> {
    let mut a = a.clone();
    if let Some(dims) = dims {
        // These axes go to the end, in this order.
        let moved = shape::wrap_dims(dims, a.ndim())?;
        let mut order: Vec<i64> = (0..a.ndim())
            .filter(|d| !moved.contains(d))
            .map(|d| d as i64)
            .collect();
        order.extend(moved.iter().map(|&d| d as i64));
        a = a.permute(&order)?;
    }
    let n = b.numel();
    let columns = Sizes::from_slice(&a.sizes()[b.ndim().min(a.ndim())..]);
    check_invertible("other.ndim", product(&columns), n)?;
    systems::solve(
        &a.reshape_to(&[n, product(&columns)])?,
        &b.reshape_to(&[n])?,
        true,
    )?
    .reshape_to(&columns)
}

/// Powers 0 to n - 1 of the elements, in a new last axis.
fn powers(x: &Tensor, n: usize) -> Result<Tensor> {
    let x = x.unsqueeze(-1)?;
    let mut sizes = Sizes::from_slice(x.sizes());
    if let Some(last) = sizes.last_mut() {
        *last = n.min(1);
    }
    let ones = Tensor::full(&sizes, 1, x.dtype(), x.device())?;
    if n <= 1 {
        return Ok(ones);
    }
    if let Some(last) = sizes.last_mut() {
        *last = n - 1;
    }
    cat(&[ones, x.expand_to(&sizes)?.cumprod(-1)?], -1)
}

fn vander(x: &Tensor, n: Option<i64>) -> Result<Tensor> {
    let d = x.dtype();
    crate::check!(
        matches!(d, DType::F32 | DType::F64) || d.is_complex() || d.is_integer(),
        Runtime,
        "linalg.vander supports floating point, complex, and integer tensors, but got {}",
        d.scalar_name()
    );
    let x = &if x.ndim() == 0 {
        x.unsqueeze(0)?
    } else {
        x.clone()
    };
    let n = n.unwrap_or(x.sizes().last().copied().unwrap_or(1) as i64);
    crate::check!(n > 1, Runtime, "N must be greater than 1.");
    // Integers of any size have their powers in int64.
    powers(
        &if d.is_integer() {
            x.to_dtype(DType::I64)?
        } else {
            x.clone()
        },
        n as usize,
    )
}

op! {
    /// Returns the inverse of `input` as a map of tensors: of the matrix whose rows are the first `ind` axes.
    ///
    /// Args:
    ///     input: the sizes of the first `ind` axes multiply to the same number as the others.
    ///     ind: at least 1. Default: 2.
    ///
    /// Returns:
    ///     A tensor of size `input.shape[ind:] + input.shape[:ind]`.
    ///
    /// Example:
    ///     >>> torch.linalg.tensorinv(torch.eye(6).reshape(6, 2, 3), ind=1).shape
    ///     torch.Size([2, 3, 6])
    tensorinv, in [LINALG]; out {
        "(Tensor input, int ind=2) -> Tensor" => |a| super::tensorinv(&a.tensor(0), a.int(1)),
    }
}
op! {
    /// Returns the X with `tensordot(input, X, X.ndim) == other`.
    ///
    /// Args:
    ///     input: its first axes are those of `other`.
    ///     other: the right-hand side.
    ///     dims: axes of `input` that are moved to its end first.
    ///
    /// Example:
    ///     >>> torch.linalg.tensorsolve(torch.eye(6).reshape(2, 3, 6), torch.ones(2, 3))
    ///     tensor([1., 1., 1., 1., 1., 1.])
    tensorsolve, in [LINALG]; out {
        "(Tensor input, Tensor other, int[]? dims=None) -> Tensor" =>
            |a| super::tensorsolve(&a.tensor(0), &a.tensor(1), a.opt_ints(2)),
    }
}
op! {
    /// Returns Vandermonde matrices: the powers 0 to N - 1 of the elements of `x` along a new last axis.
    ///
    /// Args:
    ///     x: (*, n).
    ///     N: number of powers. Default: n.
    ///
    /// Example:
    ///     >>> torch.linalg.vander(torch.tensor([1, 2, 3]))
    ///     tensor([[1, 1, 1],
    ///             [1, 2, 4],
    ///             [1, 3, 9]])
    vander, in [LINALG] {
        "(Tensor x, *, int? N=None) -> Tensor" => |a| super::vander(&a.tensor(0), a.opt_int(1)),
    }
}

pub static ROWS: &[&crate::ops::OpDef] = &[&tensorinv::DEF, &tensorsolve::DEF, &vander::DEF];
