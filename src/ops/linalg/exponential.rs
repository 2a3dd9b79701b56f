//! The exponential of matrices.

use super::*;
use crate::ops::join::cat;

fn check(a: &Tensor) -> Result<()> {
    let op = "linalg.matrix_exp";
    crate::check!(
        a.ndim() >= 2,
        Runtime,
        "{op}: The input tensor A must have at least 2 dimensions."
    );
    crate::check!(
        a.dtype().is_differentiable(),
        Runtime,
        "{op}: Expected a floating point or complex tensor as input. Got {}",
        a.dtype().scalar_name()
    );
    let (m, n) = (a.size(-2)?, a.size(-1)?);
    crate::check!(
        m == n,
        Runtime,
        "{op}: A must be batches of square matrices, but they are {m} by {n} matrices"
    );
    a.need_cpu(op)
}

fn matrix_exp(a: &Tensor) -> Result<Tensor> {
    check(a)?;
    let n = a.size(-1)?;
    let out = autograd::no_grad(|| -> Result<Tensor> {
        let x = widened(a)?.clone_data()?.contiguous()?;
        in_field!(a.dtype(), F => {
            for m in fill_slice::<F>(&x)?.chunks_exact_mut((n * n).max(1)) {
                kernel::exponential::exponential(m, n);
            }
        });
        x.to_dtype(a.dtype())
    })?;
    if autograd::needs_grad(&[a]) {
        let saved = Saved::input(a);
        record("LinalgMatrixExpBackward0", &[a], &[&out], move |g| {
            // The exponential of [[A^H, G], [0, A^H]] has the derivative of the adjoint in the direction of G top right.
            let (ah, grad) = (adjoint(&saved.get(g)?)?, g.get(0)?);
            let zero = autograd::no_grad(|| Tensor::zeros(ah.sizes(), ah.dtype(), ah.device()))?;
            let top = cat(&[ah.clone(), grad], -1)?;
            let both = cat(&[top, cat(&[zero, ah], -1)?], -2)?;
            let n = n as i64;
            grads([Some(matrix_exp(&both)?.narrow(-2, 0, n)?.narrow(-1, n, n)?)])
        });
    }
    Ok(out)
}

op! {
    /// Returns the exponential of square matrices, the sum of `A^k / k!`.
    ///
    /// Args:
    ///     input: of size (*, n, n).
    ///
    /// Computed by scaling and squaring (Higham, The Scaling and Squaring Method for the Matrix Exponential Revisited).
    ///
    /// Example:
    ///     >>> torch.linalg.matrix_exp(torch.zeros(2, 2))
    ///     tensor([[1., 0.],
    ///             [0., 1.]])
    matrix_exp, in [LINALG, TORCH, METHOD] {
        "(Tensor input) -> Tensor" => |a| super::matrix_exp(&a.tensor(0)),
    }
}

pub static ROWS: &[&crate::ops::OpDef] = &[&matrix_exp::DEF];
