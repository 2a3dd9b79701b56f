//! Matrix products and the public ops around them.

use crate::autograd::{self, Saved, engine::grads, record};
use crate::error::Result;
use crate::shape::{self, Sizes};
use crate::tensor::Tensor;
use added::{batched, check_mv};
use operand::{
    Mat, ONE, ZERO, check_inner, check_same_dtype, column_major, grad_left, grad_right, multiply,
};
use smallvec::SmallVec;

mod added;
mod linear;
mod operand;

impl Tensor {
    /// The product of two matrices.
    pub fn mm(&self, other: &Tensor) -> Result<Tensor> {
        crate::check!(self.ndim() == 2, Runtime, "self must be a matrix");
        crate::check!(other.ndim() == 2, Runtime, "mat2 must be a matrix");
        let (a, b) = (Mat::of(self), Mat::of(other));
        check_inner(&a, &b)?;
        check_same_dtype(self, other)?;
        let out = Tensor::empty(&[a.rows, b.cols], self.dtype(), self.device())?;
        multiply("addmm_impl_cpu_", &a, &b, &[], &out, ONE, ZERO)?;
        if autograd::needs_grad(&[self, other]) {
            let (a, b) = (Saved::input(self), Saved::input(other));
            let columns = (column_major(self), column_major(other));
            record("MmBackward0", &[self, other], &[&out], move |g| {
                let grad = g.get(0)?;
                grads([
                    g.when(0, || grad_left(&grad, &b.get(g)?, columns.0))?,
                    g.when(1, || grad_right(&grad, &a.get(g)?, columns.1))?,
                ])
            });
        }
        Ok(out)
    }

    /// The products of two batches of matrices.
    pub fn bmm(&self, other: &Tensor) -> Result<Tensor> {
        crate::check!(self.ndim() == 3, Runtime, "batch1 must be a 3D tensor");
        crate::check!(other.ndim() == 3, Runtime, "batch2 must be a 3D tensor");
        let out = batched(self, other, None, ONE, ZERO)?;
        if autograd::needs_grad(&[self, other]) {
            let (a, b) = (Saved::input(self), Saved::input(other));
            record("BmmBackward0", &[self, other], &[&out], move |g| {
                let grad = g.get(0)?;
                grads([
                    g.when(0, || grad.bmm(&b.get(g)?.transpose(1, 2)?.conj()?))?,
                    g.when(1, || a.get(g)?.transpose(1, 2)?.conj()?.bmm(&grad))?,
                ])
            });
        }
        Ok(out)
    }

    /// The product of a matrix and a vector.
    pub fn mv(&self, vec: &Tensor) -> Result<Tensor> {
        check_mv(1, self, vec)?;
        let out_dtype = vec.dtype();
        crate::check!(
            self.dtype() == vec.dtype(),
            Runtime,
            "addmv input tensors must have the same dtype, but got {}, {}, and {}",
            out_dtype.scalar_name(),
            self.dtype().scalar_name(),
            vec.dtype().scalar_name()
        );
        let (a, x) = (Mat::of(self), Mat::column(vec));
        crate::check!(
            a.cols == x.rows,
            Runtime,
            "size mismatch, got input ({}), mat ({}x{}), vec ({})",
            a.rows,
            a.rows,
            a.cols,
            x.rows
        );
        let out = Tensor::empty(&[a.rows], self.dtype(), self.device())?;
        multiply("addmv_impl_cpu", &a, &x, &[], &out, ONE, ZERO)?;
        if autograd::needs_grad(&[self, vec]) {
            let (a, x) = (Saved::input(self), Saved::input(vec));
            record("MvBackward0", &[self, vec], &[&out], move |g| {
                let grad = g.get(0)?;
                grads([
                    g.when(0, || grad.outer(&x.get(g)?.conj()?))?,
                    g.when(1, || a.get(g)?.t()?.conj()?.mv(&grad))?,
                ])
            });
        }
        Ok(out)
    }

    /// The sum of products of two vectors.
    pub fn dot(&self, other: &Tensor) -> Result<Tensor> {
        let out = dot_data(self, other)?;
        if autograd::needs_grad(&[self, other]) {
            let (a, b) = (Saved::input(self), Saved::input(other));
            record("DotBackward0", &[self, other], &[&out], move |g| {
                let grad = g.get(0)?;
                grads([
                    g.when(0, || grad.mul(&b.get(g)?.conj()?))?,
                    g.when(1, || grad.mul(&a.get(g)?.conj()?))?,
                ])
            });
        }
        Ok(out)
    }

    /// The sum of products of a conjugated vector and a vector.
    pub fn vdot(&self, other: &Tensor) -> Result<Tensor> {
        self.conj()?.dot(other)
    }

    /// All products of an element of each of two vectors.
    pub fn outer(&self, other: &Tensor) -> Result<Tensor> {
        crate::check!(
            self.ndim() == 1,
            Runtime,
            "outer: Expected 1-D argument self, but got {}-D",
            self.ndim()
        );
        crate::check!(
            other.ndim() == 1,
            Runtime,
            "outer: Expected 1-D argument vec2, but got {}-D",
            other.ndim()
        );
        self.unsqueeze(1)?.mul(other)
    }

    /// `torch.matmul`: dot, matrix and batched products by the ranks of the operands.
    pub fn matmul(&self, other: &Tensor) -> Result<Tensor> {
        let (a, b) = (self, other);
        crate::check!(
            a.ndim() > 0 && b.ndim() > 0,
            Runtime,
            "both arguments to matmul need to be at least 1D, but they are {}D and {}D",
            a.ndim(),
            b.ndim()
        );
        match (a.ndim(), b.ndim()) {
            (1, 1) => a.dot(b),
            (2, 1) => a.mv(b),
            (2, 2) => a.mm(b),
            (1, 2) => a.unsqueeze(0)?.mm(b)?.squeeze_dims(&[0]),
            (1, _) => products(&a.unsqueeze(0)?, b)?.squeeze_dims(&[b.ndim() - 2]),
            (_, 1) => {
                let k = a.sizes()[a.ndim() - 1];
                let rows = if k == 0 { 0 } else { a.numel() / k };
                crate::check!(
                    k == b.numel(),
                    Runtime,
                    "size mismatch, got input ({rows}), mat ({rows}x{k}), vec ({})",
                    b.numel()
                );
                products(a, &b.unsqueeze(1)?)?.squeeze_dims(&[a.ndim() - 1])
            }
            _ => products(a, b),
        }
    }
}

fn dot_data(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    crate::check!(
        a.ndim() == 1 && b.ndim() == 1,
        Runtime,
        "1D tensors expected, but got {}D and {}D tensors",
        a.ndim(),
        b.ndim()
    );
    crate::check!(
        a.dtype() == b.dtype(),
        Runtime,
        "dot : expected both vectors to have same dtype, but found {} and {}",
        a.dtype().scalar_name(),
        b.dtype().scalar_name()
    );
    crate::check!(
        a.numel() == b.numel(),
        Runtime,
        "inconsistent tensor size, expected tensor {} and src {} to have the same number of elements, but got {} and {} \
         elements respectively",
        shape::list(a.sizes()),
        shape::list(b.sizes()),
        a.numel(),
        b.numel()
    );
    let out = Tensor::empty(&[], a.dtype(), a.device())?;
    multiply(
        "dot",
        &Mat::column(a).transposed(),
        &Mat::column(b),
        &[],
        &out,
        ONE,
        ZERO,
    )?;
    Ok(out)
}

/// The product over the last two axes of operands of which one has three or more, batch axes broadcast.
fn products(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    if b.ndim() == 2
        && let Some(left) = Mat::folded(a)
    {
        let right = Mat::of(b);
        check_inner(&left, &right)?;
        check_same_dtype(a, b)?;
        let mut sizes: Sizes = SmallVec::from_slice(a.sizes());
        let last = sizes.len() - 1;
        sizes[last] = right.cols;
        let out = Tensor::empty(&sizes, a.dtype(), a.device())?;
        multiply("addmm_impl_cpu_", &left, &right, &[], &out, ONE, ZERO)?;
        record_products(a, b, &out);
        return Ok(out);
    }
    let (left, right) = (Mat::of(a), Mat::of(b));
    let batch = shape::broadcast(left.batch, right.batch)?;
    if b.ndim() == 2 {
        check_inner(&left, &right)?;
    }
    let count: usize = batch.iter().product();
    crate::check!(
        left.cols == right.rows,
        Runtime,
        "Expected size for first two dimensions of batch2 tensor to be: [{count}, {}] but got: [{count}, {}].",
        left.cols,
        right.rows
    );
    crate::check!(
        a.dtype() == b.dtype(),
        Runtime,
        "expected scalar type {} but found {}",
        a.dtype().scalar_name(),
        b.dtype().scalar_name()
    );
    let mut sizes = batch.clone();
    sizes.extend([left.rows, right.cols]);
    let out = Tensor::empty(&sizes, a.dtype(), a.device())?;
    multiply("bmm", &left, &right, &batch, &out, ONE, ZERO)?;
    record_products(a, b, &out);
    Ok(out)
}

fn record_products(a: &Tensor, b: &Tensor, out: &Tensor) {
    if !autograd::needs_grad(&[a, b]) {
        return;
    }
    let (sa, sb) = (Saved::input(a), Saved::input(b));
    record("UnsafeViewBackward0", &[a, b], &[out], move |g| {
        let grad = g.get(0)?;
        let to_a = g.when(0, || {
            let (a, b) = (sa.get(g)?, sb.get(g)?);
            grad.matmul(&b.transpose(-2, -1)?.conj()?)?
                .sum_to(a.sizes())
        })?;
        let to_b = g.when(1, || {
            let (a, b) = (sa.get(g)?, sb.get(g)?);
            if b.ndim() == 2 {
                // The sum over the batch is part of one product.
                let k = b.sizes()[0] as i64;
                let n = b.sizes()[1] as i64;
                let rows = if n == 0 { 0 } else { grad.numel() as i64 / n };
                let flat = grad.reshape(&[rows, n])?;
                let a = if a.ndim() == 2 {
                    a.expand_to(&{
                        let mut s: Sizes = SmallVec::from_slice(grad.sizes());
                        let last = s.len() - 1;
                        s[last] = k as usize;
                        s
                    })?
                } else {
                    a
                };
                return grad_right(&flat, &a.reshape(&[rows, k])?, false);
            }
            a.transpose(-2, -1)?
                .conj()?
                .matmul(&grad)?
                .sum_to(b.sizes())
        })?;
        grads([to_a, to_b])
    });
}
op! {
    /// Multiplies two matrices.
    ///
    /// Args:
    ///     input: a matrix of size (n, m).
    ///     mat2: a matrix of size (m, p).
    mm, in [TORCH, METHOD]; out {
        "(Tensor input, Tensor mat2) -> Tensor" => |a| a.tensor(0).mm(&a.tensor(1)),
    }
}
op! {
    /// Multiplies the matrices of two batches, (b, n, m) by (b, m, p). Batches are not broadcast; see `matmul`.
    bmm, in [TORCH, METHOD]; out {
        "(Tensor input, Tensor mat2) -> Tensor" => |a| a.tensor(0).bmm(&a.tensor(1)),
    }
}
op! {
    /// Multiplies a matrix of size (n, m) by a vector of size m.
    mv, in [TORCH, METHOD]; out {
        "(Tensor input, Tensor vec) -> Tensor" => |a| a.tensor(0).mv(&a.tensor(1)),
    }
}
op! {
    /// Returns the sum of the products of two vectors' elements.
    dot, in [TORCH, METHOD]; out {
        "(Tensor input, Tensor tensor) -> Tensor" => |a| a.tensor(0).dot(&a.tensor(1)),
    }
}
op! {
    /// Returns the dot product of the conjugate of a vector with a vector.
    vdot, in [TORCH, METHOD]; out {
        "(Tensor input, Tensor other) -> Tensor" => |a| a.tensor(0).vdot(&a.tensor(1)),
    }
}
op! {
    /// Returns all products of an element of `input` with an element of `vec2`.
    outer, in [TORCH, METHOD], alias ["ger"]; out {
        "(Tensor input, Tensor vec2) -> Tensor" => |a| a.tensor(0).outer(&a.tensor(1)),
    }
}
op! {
    /// Multiplies by the ranks of the operands: vectors give their dot product, matrices their product, and axes before
    /// the last two are a batch that broadcasts.
    matmul, in [TORCH, METHOD, LINALG]; out {
        "(Tensor input, Tensor other) -> Tensor" => |a| a.tensor(0).matmul(&a.tensor(1)),
    }
}

pub static ROWS: &[&crate::ops::OpDef] = &[
    &mm::DEF,
    &bmm::DEF,
    &mv::DEF,
    &dot::DEF,
    &vdot::DEF,
    &outer::DEF,
    &matmul::DEF,
    &added::addmm::DEF,
    &added::addmv::DEF,
    &added::baddbmm::DEF,
    &added::addbmm::DEF,
    &added::addr::DEF,
    &linear::linear::DEF,
];
