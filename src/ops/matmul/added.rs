//! Products added to a tensor: `beta * input + alpha * product`.

use super::operand::{Mat, ONE, ZERO, check_inner, column_major, grad_left, grad_right, multiply};
use crate::autograd::{self, Saved, engine::grads, record};
use crate::dtype::DType;
use crate::error::Result;
use crate::scalar::Scalar;
use crate::tensor::Tensor;

/// A number that scales a product must fit its dtype: no imaginary part for a real one.
fn check_factor(x: Scalar, dtype: DType) -> Result<()> {
    crate::check!(
        dtype.is_complex() || !matches!(x, Scalar::Complex(_, im) if im != 0.0),
        Runtime,
        "value cannot be converted to type {} without overflow",
        dtype.native_name()
    );
    Ok(())
}

fn scaled(t: Tensor, x: Scalar) -> Result<Tensor> {
    if x.to_complex() == ONE.to_complex() {
        Ok(t)
    } else {
        t.mul_scalar(x.conj())
    }
}

/// `input` laid out as the start of a sum: a copy of it broadcast to `sizes`, nothing where `beta` is zero.
fn start(input: &Tensor, sizes: &[usize], beta: Scalar) -> Result<Tensor> {
    let expanded = input.detach().expand_to(sizes)?;
    let out = Tensor::empty(sizes, input.dtype(), input.device())?;
    if beta.to_complex() != ZERO.to_complex() {
        out.write_from(&expanded)?;
    }
    Ok(out)
}

impl Tensor {
    /// `beta * self + alpha * mat1 @ mat2`.
    pub fn addmm(
        &self,
        mat1: &Tensor,
        mat2: &Tensor,
        beta: Scalar,
        alpha: Scalar,
    ) -> Result<Tensor> {
        crate::check!(
            mat1.ndim() == 2,
            Runtime,
            "mat1 must be a matrix, got {}-D tensor",
            mat1.ndim()
        );
        crate::check!(
            mat2.ndim() == 2,
            Runtime,
            "mat2 must be a matrix, got {}-D tensor",
            mat2.ndim()
        );
        let (a, b) = (Mat::of(mat1), Mat::of(mat2));
        check_inner(&a, &b)?;
        check_added(self, mat1, mat2)?;
        check_factor(alpha, self.dtype())?;
        check_factor(beta, self.dtype())?;
        let out = start(self, &[a.rows, b.cols], beta)?;
        multiply("addmm_impl_cpu_", &a, &b, &[], &out, alpha, beta)?;
        if autograd::needs_grad(&[self, mat1, mat2]) {
            let (a, b) = (Saved::input(mat1), Saved::input(mat2));
            let columns = (column_major(mat1), column_major(mat2));
            record("AddmmBackward0", &[self, mat1, mat2], &[&out], move |g| {
                let grad = g.get(0)?;
                grads([
                    g.when(0, || scaled(grad.clone(), beta))?,
                    g.when(1, || {
                        scaled(grad_left(&grad, &b.get(g)?, columns.0)?, alpha)
                    })?,
                    g.when(2, || {
                        scaled(grad_right(&grad, &a.get(g)?, columns.1)?, alpha)
                    })?,
                ])
            });
        }
        Ok(out)
    }

    /// `beta * self + alpha * mat @ vec`.
    pub fn addmv(&self, mat: &Tensor, vec: &Tensor, beta: Scalar, alpha: Scalar) -> Result<Tensor> {
        crate::check!(
            self.ndim() <= 1,
            Runtime,
            "vector + matrix @ vector expected, got {}, {}, {}",
            self.ndim(),
            mat.ndim(),
            vec.ndim()
        );
        check_mv(self.ndim(), mat, vec)?;
        let (a, x) = (Mat::of(mat), Mat::column(vec));
        crate::check!(
            a.cols == x.rows && (self.numel() == a.rows || self.numel() == 1),
            Runtime,
            "size mismatch, got input ({}), mat ({}x{}), vec ({})",
            self.numel(),
            a.rows,
            a.cols,
            x.rows
        );
        crate::check!(
            self.dtype() == mat.dtype() && mat.dtype() == vec.dtype(),
            Runtime,
            "addmv input tensors must have the same dtype, but got {}, {}, and {}",
            self.dtype().scalar_name(),
            mat.dtype().scalar_name(),
            vec.dtype().scalar_name()
        );
        check_factor(alpha, self.dtype())?;
        check_factor(beta, self.dtype())?;
        let out = start(self, &[a.rows], beta)?;
        multiply("addmv_impl_cpu", &a, &x, &[], &out, alpha, beta)?;
        if autograd::needs_grad(&[self, mat, vec]) {
            let (a, x) = (Saved::input(mat), Saved::input(vec));
            record("AddmvBackward0", &[self, mat, vec], &[&out], move |g| {
                let grad = g.get(0)?;
                grads([
                    g.when(0, || scaled(grad.clone(), beta))?,
                    g.when(1, || scaled(grad.outer(&x.get(g)?.conj()?)?, alpha))?,
                    g.when(2, || scaled(a.get(g)?.t()?.conj()?.mv(&grad)?, alpha))?,
                ])
            });
        }
        Ok(out)
    }

    /// `beta * self + alpha * batch1 @ batch2` for every matrix of the batches.
    pub fn baddbmm(
        &self,
        batch1: &Tensor,
        batch2: &Tensor,
        beta: Scalar,
        alpha: Scalar,
    ) -> Result<Tensor> {
        crate::check!(batch1.ndim() == 3, Runtime, "batch1 must be a 3D tensor");
        crate::check!(batch2.ndim() == 3, Runtime, "batch2 must be a 3D tensor");
        crate::check!(
            self.dtype() == batch1.dtype() && self.dtype() == batch2.dtype(),
            Runtime,
            "Input dtypes must be the same, got: input {}, batch1: {}, batch2: {}",
            self.dtype().native_name(),
            batch1.dtype().native_name(),
            batch2.dtype().native_name()
        );
        check_factor(alpha, self.dtype())?;
        check_factor(beta, self.dtype())?;
        let out = batched(batch1, batch2, Some(self), alpha, beta)?;
        if autograd::needs_grad(&[self, batch1, batch2]) {
            let (a, b) = (Saved::input(batch1), Saved::input(batch2));
            record(
                "BaddbmmBackward0",
                &[self, batch1, batch2],
                &[&out],
                move |g| {
                    let grad = g.get(0)?;
                    grads([
                        g.when(0, || scaled(grad.clone(), beta))?,
                        g.when(1, || {
                            scaled(grad.bmm(&b.get(g)?.transpose(1, 2)?.conj()?)?, alpha)
                        })?,
                        g.when(2, || {
                            scaled(a.get(g)?.transpose(1, 2)?.conj()?.bmm(&grad)?, alpha)
                        })?,
                    ])
                },
            );
        }
        Ok(out)
    }

    /// `beta * self + alpha * sum of batch1 @ batch2` over the batch.
    pub fn addbmm(
        &self,
        batch1: &Tensor,
        batch2: &Tensor,
        beta: Scalar,
        alpha: Scalar,
    ) -> Result<Tensor> {
        crate::check!(batch1.ndim() == 3, Runtime, "batch1 must be a 3D tensor");
        crate::check!(batch2.ndim() == 3, Runtime, "batch2 must be a 3D tensor");
        let (a, b) = (batch1.sizes(), batch2.sizes());
        crate::check!(
            a[0] == b[0],
            Runtime,
            "batch1 and batch2 must have same number of batches, got {} and {}",
            a[0],
            b[0]
        );
        crate::check!(
            a[2] == b[1],
            Runtime,
            "Incompatible matrix sizes for bmm ({}x{} and {}x{})",
            a[1],
            a[2],
            b[1],
            b[2]
        );
        // The sum over the batch is one product with the batch and the inner axis as one.
        let (rows, cols, inner) = (a[1] as i64, b[2] as i64, (a[0] * a[2]) as i64);
        let left = batch1.transpose(0, 1)?.reshape(&[rows, inner])?;
        let right = batch2.reshape(&[inner, cols])?;
        self.addmm(&left, &right, beta, alpha)
    }

    /// `beta * self + alpha * outer(vec1, vec2)`.
    pub fn addr(
        &self,
        vec1: &Tensor,
        vec2: &Tensor,
        beta: Scalar,
        alpha: Scalar,
    ) -> Result<Tensor> {
        for (name, v) in [("vec1", vec1), ("vec2", vec2)] {
            crate::check!(
                v.ndim() == 1,
                Runtime,
                "addr: Expected 1-D argument {name}, but got {}-D",
                v.ndim()
            );
        }
        let sizes = [vec1.numel(), vec2.numel()];
        let integral =
            self.dtype().is_integral() && vec1.dtype().is_integral() && vec2.dtype().is_integral();
        for (name, x) in [("beta", beta), ("alpha", alpha)] {
            crate::check!(
                !integral || x.is_integral(),
                Runtime,
                "For integral input tensors, argument {name} must not be a floating point number."
            );
        }
        let factor = |x: Scalar| {
            if self.dtype() == DType::Bool {
                Scalar::Bool(x.to_bool())
            } else {
                x
            }
        };
        let product = vec1.unsqueeze(1)?.mul(vec2)?;
        let input = self.expand_to(&sizes)?;
        if beta.to_complex() == ZERO.to_complex() {
            let dtype = crate::dtype::promote_types(self.dtype(), product.dtype())?;
            return product.mul_scalar(factor(alpha))?.to_dtype(dtype);
        }
        scaled_by(&input, factor(beta))?.add_scaled(&product, factor(alpha))
    }
}

fn scaled_by(t: &Tensor, x: Scalar) -> Result<Tensor> {
    if x.to_complex() == ONE.to_complex() {
        Ok(t.clone())
    } else {
        t.mul_scalar(x)
    }
}

pub(super) fn check_mv(input: usize, mat: &Tensor, vec: &Tensor) -> Result<()> {
    crate::check!(
        mat.ndim() == 2 && vec.ndim() == 1,
        Runtime,
        "vector + matrix @ vector expected, got {input}, {}, {}",
        mat.ndim(),
        vec.ndim()
    );
    Ok(())
}

pub(super) fn check_added(input: &Tensor, mat1: &Tensor, mat2: &Tensor) -> Result<()> {
    let differ = |name: &str, a: DType, b: DType| {
        crate::err!(
            Runtime,
            "{name} and mat2 must have the same dtype, but got {} and {}",
            a.scalar_name(),
            b.scalar_name()
        )
    };
    if input.dtype() != mat2.dtype() {
        return Err(differ("self", input.dtype(), mat2.dtype()));
    }
    if mat1.dtype() != mat2.dtype() {
        return Err(differ("mat1", mat1.dtype(), mat2.dtype()));
    }
    Ok(())
}

/// Three-dimensional products, added to `input` where there is one.
pub(super) fn batched(
    a: &Tensor,
    b: &Tensor,
    input: Option<&Tensor>,
    alpha: Scalar,
    beta: Scalar,
) -> Result<Tensor> {
    let (x, y) = (a.sizes(), b.sizes());
    let sizes = [x[0], x[1], y[2]];
    let out = match input {
        Some(t) => start(t, &sizes, beta)?,
        None => Tensor::empty(&sizes, a.dtype(), a.device())?,
    };
    crate::check!(
        x[0] == y[0] && x[2] == y[1],
        Runtime,
        "Expected size for first two dimensions of batch2 tensor to be: [{}, {}] but got: [{}, {}].",
        x[0],
        x[2],
        y[0],
        y[1]
    );
    crate::check!(
        a.dtype() == b.dtype(),
        Runtime,
        "expected scalar type {} but found {}",
        a.dtype().scalar_name(),
        b.dtype().scalar_name()
    );
    multiply("bmm", &Mat::of(a), &Mat::of(b), &x[..1], &out, alpha, beta)?;
    Ok(out)
}
op! {
    /// Returns `beta * input + alpha * mat1 @ mat2`; with `beta=0` nothing of `input` but its shape counts.
    addmm, in [TORCH, METHOD]; out, in_place {
        "(Tensor input, Tensor mat1, Tensor mat2, *, Scalar beta=1, Scalar alpha=1) -> Tensor" =>
            |a| a.tensor(0).addmm(&a.tensor(1), &a.tensor(2), a.scalar(3), a.scalar(4)),
    }
}
op! {
    /// Returns `beta * input + alpha * mat @ vec`.
    addmv, in [TORCH, METHOD]; out, in_place {
        "(Tensor input, Tensor mat, Tensor vec, *, Scalar beta=1, Scalar alpha=1) -> Tensor" =>
            |a| a.tensor(0).addmv(&a.tensor(1), &a.tensor(2), a.scalar(3), a.scalar(4)),
    }
}
op! {
    /// Returns `beta * input + alpha * batch1 @ batch2` for the matrices of two batches.
    baddbmm, in [TORCH, METHOD]; out, in_place {
        "(Tensor input, Tensor batch1, Tensor batch2, *, Scalar beta=1, Scalar alpha=1) -> Tensor" =>
            |a| a.tensor(0).baddbmm(&a.tensor(1), &a.tensor(2), a.scalar(3), a.scalar(4)),
    }
}
op! {
    /// Returns `beta * input + alpha * (sum over the batch of batch1 @ batch2)`.
    addbmm, in [TORCH, METHOD]; out, in_place {
        "(Tensor input, Tensor batch1, Tensor batch2, *, Scalar beta=1, Scalar alpha=1) -> Tensor" =>
            |a| a.tensor(0).addbmm(&a.tensor(1), &a.tensor(2), a.scalar(3), a.scalar(4)),
    }
}
op! {
    /// Returns `beta * input + alpha * outer(vec1, vec2)`.
    addr, in [TORCH, METHOD]; out, in_place {
        "(Tensor input, Tensor vec1, Tensor vec2, *, Scalar beta=1, Scalar alpha=1) -> Tensor" =>
            |a| a.tensor(0).addr(&a.tensor(1), &a.tensor(2), a.scalar(3), a.scalar(4)),
    }
}
