//! Matrix products: one kernel call for any strides and batch axes, and the public ops around it.

use crate::autograd::{self, Saved, engine::grads, record};
use crate::cpu::element::Element as Summed;
use crate::cpu::gemm::{Batch, gemm, gemm_batched};
use crate::dtype::DType;
use crate::error::Result;
use crate::scalar::Scalar;
use crate::shape::{self, Sizes, Strides};
use crate::tensor::Tensor;
use smallvec::SmallVec;

/// Runs a block with `$T` bound to an element type that has products, or returns PyTorch's error.
macro_rules! dispatch_product {
    ($what:expr, $dtype:expr, $T:ident => $body:expr) => {{
        use $crate::dtype::DType as D;
        match $dtype {
            D::U8 => {
                type $T = u8;
                $body
            }
            D::I8 => {
                type $T = i8;
                $body
            }
            D::I16 => {
                type $T = i16;
                $body
            }
            D::I32 => {
                type $T = i32;
                $body
            }
            D::I64 => {
                type $T = i64;
                $body
            }
            D::F16 => {
                type $T = half::f16;
                $body
            }
            D::BF16 => {
                type $T = half::bf16;
                $body
            }
            D::F32 => {
                type $T = f32;
                $body
            }
            D::F64 => {
                type $T = f64;
                $body
            }
            D::C64 => {
                type $T = num_complex::Complex<f32>;
                $body
            }
            D::C128 => {
                type $T = num_complex::Complex<f64>;
                $body
            }
            d => $crate::bail!(
                NotImplemented,
                "\"{}\" not implemented for '{}'",
                $what,
                d.scalar_name()
            ),
        }
    }};
}
pub(crate) use dispatch_product;

/// One operand: a matrix with steps between rows and between columns, and batch axes before them.
struct Mat<'a> {
    t: &'a Tensor,
    rows: usize,
    cols: usize,
    steps: (isize, isize),
    batch: &'a [usize],
    batch_strides: &'a [isize],
}

impl<'a> Mat<'a> {
    /// The last two axes.
    fn of(t: &'a Tensor) -> Mat<'a> {
        let n = t.ndim() - 2;
        let (z, s) = (t.sizes(), t.strides());
        Mat {
            t,
            rows: z[n],
            cols: z[n + 1],
            steps: (s[n], s[n + 1]),
            batch: &z[..n],
            batch_strides: &s[..n],
        }
    }

    /// The last axis as a column, all before it as batch.
    fn column(t: &'a Tensor) -> Mat<'a> {
        let n = t.ndim() - 1;
        let (z, s) = (t.sizes(), t.strides());
        Mat {
            t,
            rows: z[n],
            cols: 1,
            steps: (s[n], 1),
            batch: &z[..n],
            batch_strides: &s[..n],
        }
    }

    fn transposed(self) -> Mat<'a> {
        Mat {
            rows: self.cols,
            cols: self.rows,
            steps: (self.steps.1, self.steps.0),
            ..self
        }
    }

    /// All axes before the last as rows, where one step leads through them.
    fn folded(t: &'a Tensor) -> Option<Mat<'a>> {
        let k = *t.sizes().last()?;
        let rows = if k == 0 {
            t.sizes()[..t.ndim() - 1].iter().product()
        } else {
            t.numel() / k
        };
        let n = t.ndim() - 1;
        let step = if t.is_contiguous() {
            k as isize
        } else {
            shape::view_strides(&t.sizes()[..n], &t.strides()[..n], &[rows])?[0]
        };
        Some(Mat {
            t,
            rows,
            cols: k,
            steps: (step, t.strides()[n]),
            batch: &[],
            batch_strides: &[],
        })
    }

    /// The same elements as a tensor, for devices that read tensors.
    #[cfg(feature = "gpu")]
    fn tensor(&self) -> Tensor {
        let mut sizes: Sizes = SmallVec::from_slice(self.batch);
        let mut strides: Strides = SmallVec::from_slice(self.batch_strides);
        sizes.extend([self.rows, self.cols]);
        strides.extend([self.steps.0, self.steps.1]);
        let t = self.t.detach();
        // SAFETY: the axes were read off the tensor, so they reach the same elements.
        unsafe { t.view_parts(t.offset(), sizes, strides, crate::tensor::ViewKind::Plain) }
    }

    /// Batch strides against the result's batch axes: zero where this operand is repeated.
    fn strides_in(&self, batch: &[usize]) -> Strides {
        let lead = batch.len() - self.batch.len();
        (0..batch.len())
            .map(|d| {
                if d < lead || self.batch[d - lead] == 1 {
                    0
                } else {
                    self.batch_strides[d - lead]
                }
            })
            .collect()
    }
}

/// `out = alpha * a @ b + beta * out` over the batch axes `batch`; `out` is contiguous, [.., rows of a, columns of b].
fn multiply(
    what: &str,
    a: &Mat,
    b: &Mat,
    batch: &[usize],
    out: &Tensor,
    alpha: Scalar,
    beta: Scalar,
) -> Result<()> {
    a.t.same_device(b.t)?;
    #[cfg(feature = "gpu")]
    if !out.device().is_cpu() {
        let mut sizes: Sizes = SmallVec::from_slice(batch);
        sizes.extend([a.rows, b.cols]);
        let to = out.detach().reshape_to(&sizes)?;
        let added = if beta.to_f64() == 0.0 {
            None
        } else {
            Some(out.clone_data()?.reshape_to(&sizes)?)
        };
        return crate::gpu::matmul(
            what,
            &to,
            &a.tensor(),
            &b.tensor(),
            added.as_ref(),
            alpha,
            beta,
        );
    }
    let (m, n, k) = (a.rows, b.cols, a.cols);
    dispatch_product!(what, out.dtype(), T => {
        type Sum = <T as Summed>::Acc;
        let (alpha, beta) = (alpha.to::<Sum>(), beta.to::<Sum>());
        let (pa, pb, pc) = (a.t.data_ptr() as *const T, b.t.data_ptr() as *const T, out.data_ptr() as *mut T);
        let steps = (n as isize, 1);
        if batch.is_empty() {
            // SAFETY: the operands were made from tensors of these sizes; `out` is new memory or a private copy.
            unsafe { gemm(m, n, k, alpha, pa, a.steps, pb, b.steps, beta, pc, steps) };
            return Ok(());
        }
        let (sa, sb) = (a.strides_in(batch), b.strides_in(batch));
        // The innermost axes that both operands walk with one step are one batch.
        let mut inner = batch.len() - 1;
        let mut count = batch[inner];
        while inner > 0
            && sa[inner - 1] == sa[inner] * batch[inner] as isize
            && sb[inner - 1] == sb[inner] * batch[inner] as isize
        {
            inner -= 1;
            count *= batch[inner];
        }
        let last = batch.len() - 1;
        let outer: usize = batch[..inner].iter().product();
        let size = m * n;
        for i in 0..outer {
            let (mut rest, mut oa, mut ob) = (i, 0isize, 0isize);
            for d in (0..inner).rev() {
                let at = (rest % batch[d]) as isize;
                rest /= batch[d];
                oa += at * sa[d];
                ob += at * sb[d];
            }
            let step = Batch { count, a_step: sa[last], b_step: sb[last], c_step: size as isize };
            // SAFETY: as above; every batch index lies inside the operands.
            unsafe {
                gemm_batched(
                    step, m, n, k, alpha, pa.wrapping_offset(oa), a.steps, pb.wrapping_offset(ob), b.steps, beta,
                    pc.wrapping_add(i * count * size), steps,
                )
            };
        }
        Ok(())
    })
}

const ONE: Scalar = Scalar::Int(1);
const ZERO: Scalar = Scalar::Int(0);

/// The C++ name of a dtype, as some of PyTorch's messages print it.
pub(crate) fn c_name(d: DType) -> &'static str {
    match d {
        DType::Bool => "bool",
        DType::U8 => "unsigned char",
        DType::I8 => "signed char",
        DType::I16 => "short int",
        DType::I32 => "int",
        DType::I64 => "long int",
        DType::U16 => "unsigned short",
        DType::U32 => "unsigned int",
        DType::U64 => "unsigned long",
        DType::F16 => "c10::Half",
        DType::BF16 => "c10::BFloat16",
        DType::F32 => "float",
        DType::F64 => "double",
        DType::C64 => "c10::complex<float>",
        DType::C128 => "c10::complex<double>",
    }
}

fn check_inner(a: &Mat, b: &Mat) -> Result<()> {
    crate::check!(
        a.cols == b.rows,
        Runtime,
        "mat1 and mat2 shapes cannot be multiplied ({}x{} and {}x{})",
        a.rows,
        a.cols,
        b.rows,
        b.cols
    );
    Ok(())
}

fn check_same_dtype(a: &Tensor, b: &Tensor) -> Result<()> {
    crate::check!(
        a.dtype() == b.dtype(),
        Runtime,
        "expected m1 and m2 to have the same dtype, but got: {} != {}",
        c_name(a.dtype()),
        c_name(b.dtype())
    );
    Ok(())
}

/// A number that scales a product must fit its dtype: no imaginary part for a real one.
fn check_factor(x: Scalar, dtype: DType) -> Result<()> {
    crate::check!(
        dtype.is_complex() || !matches!(x, Scalar::Complex(_, im) if im != 0.0),
        Runtime,
        "value cannot be converted to type {} without overflow",
        c_name(dtype)
    );
    Ok(())
}

/// Whether columns are adjacent in memory: then a gradient of this layout is made through its transpose.
fn column_major(t: &Tensor) -> bool {
    t.ndim() == 2 && t.strides()[0] == 1 && t.strides()[1] >= t.sizes()[0].max(2) as isize
}

/// `g @ b^H`, the gradient of the left factor, laid out as the factor was.
fn grad_left(g: &Tensor, b: &Tensor, like_columns: bool) -> Result<Tensor> {
    let b = b.conj()?;
    if like_columns {
        b.mm(&g.t()?)?.t()
    } else {
        g.mm(&b.t()?)
    }
}

/// `a^H @ g`, the gradient of the right factor.
fn grad_right(g: &Tensor, a: &Tensor, like_columns: bool) -> Result<Tensor> {
    let a = a.conj()?;
    if like_columns {
        g.t()?.mm(&a)?.t()
    } else {
        a.t()?.mm(g)
    }
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
            c_name(self.dtype()),
            c_name(batch1.dtype()),
            c_name(batch2.dtype())
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

    /// `self @ weight^T + bias` over the last axis.
    pub fn linear(&self, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
        let plain_bias = bias.is_none_or(|b| b.ndim() == 1);
        if weight.ndim() != 2 || self.ndim() == 0 || !plain_bias {
            let Some(bias) = bias else {
                return self.matmul(&weight.t()?);
            };
            crate::check!(
                weight.ndim() == 2,
                Runtime,
                "mat2 must be a matrix, got {}-D tensor",
                weight.ndim()
            );
            return if self.ndim() == 2 {
                bias.addmm(self, &weight.t()?, ONE, ONE)
            } else {
                self.matmul(&weight.t()?)?.add(bias)
            };
        }
        let made;
        let (x, a) = match Mat::folded(self) {
            Some(a) => (self, a),
            None => {
                made = self.contiguous()?;
                let Some(a) = Mat::folded(&made) else {
                    return made.matmul(&weight.t()?);
                };
                (&made, a)
            }
        };
        let b = Mat::of(weight).transposed();
        check_inner(&a, &b)?;
        match bias {
            Some(bias) => check_added(bias, x, weight)?,
            None => check_same_dtype(x, weight)?,
        }
        let mut sizes: Sizes = SmallVec::from_slice(x.sizes());
        let last = sizes.len() - 1;
        sizes[last] = b.cols;
        let out = Tensor::empty(&sizes, x.dtype(), x.device())?;
        if let Some(bias) = bias {
            if bias.numel() != b.cols {
                // The sizes PyTorch's message names are those of the folded product.
                bias.expand_to(&[a.rows, b.cols])?;
            }
            out.write_from(bias)?;
        }
        let beta = if bias.is_some() { ONE } else { ZERO };
        multiply("addmm_impl_cpu_", &a, &b, &[], &out, ONE, beta)?;
        let absent = weight;
        if autograd::needs_grad(&[bias.unwrap_or(absent), x, weight]) {
            let (rows, k, n) = (a.rows as i64, a.cols as i64, b.cols as i64);
            let (xs, ws) = (Saved::input(x), Saved::input(weight));
            let backward = move |g: &autograd::Grads,
                                 first: usize|
                  -> Result<(Option<Tensor>, Option<Tensor>, Tensor)> {
                let grad = g.get(0)?;
                let flat = if grad.ndim() == 2 {
                    grad.clone()
                } else {
                    grad.reshape(&[rows, n])?
                };
                let to_x = g.when(first, || {
                    let w = ws.get(g)?.conj()?;
                    let flat = flat.mm(&w)?;
                    let mut sizes: SmallVec<[usize; 5]> = SmallVec::from_slice(grad.sizes());
                    let last = sizes.len() - 1;
                    sizes[last] = k as usize;
                    flat.reshape_to(&sizes)
                })?;
                let to_weight = g.when(first + 1, || {
                    let x = xs.get(g)?.conj()?;
                    let x = if x.ndim() == 2 {
                        x
                    } else {
                        x.reshape(&[rows, k])?
                    };
                    flat.t()?.mm(&x)
                })?;
                Ok((to_x, to_weight, flat))
            };
            match bias {
                Some(bias) => {
                    let name = if x.ndim() == 2 {
                        "AddmmBackward0"
                    } else {
                        "ViewBackward0"
                    };
                    record(name, &[bias, x, weight], &[&out], move |g| {
                        let (to_x, to_weight, flat) = backward(g, 1)?;
                        grads([g.when(0, || flat.sum_dims(&[0], false))?, to_x, to_weight])
                    });
                }
                None => {
                    let name = match x.ndim() {
                        1 => "SqueezeBackward4",
                        2 => "MmBackward0",
                        _ => "UnsafeViewBackward0",
                    };
                    record(name, &[x, weight], &[&out], move |g| {
                        let (to_x, to_weight, _) = backward(g, 0)?;
                        grads([to_x, to_weight])
                    });
                }
            }
        }
        Ok(out)
    }
}

fn scaled_by(t: &Tensor, x: Scalar) -> Result<Tensor> {
    if x.to_complex() == ONE.to_complex() {
        Ok(t.clone())
    } else {
        t.mul_scalar(x)
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

fn check_mv(input: usize, mat: &Tensor, vec: &Tensor) -> Result<()> {
    crate::check!(
        mat.ndim() == 2 && vec.ndim() == 1,
        Runtime,
        "vector + matrix @ vector expected, got {input}, {}, {}",
        mat.ndim(),
        vec.ndim()
    );
    Ok(())
}

fn check_added(input: &Tensor, mat1: &Tensor, mat2: &Tensor) -> Result<()> {
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
fn batched(
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
op! {
    /// Applies an affine map to the last axis: `input @ weight.T + bias`.
    ///
    /// Args:
    ///     input: of size (*, in_features).
    ///     weight: of size (out_features, in_features) or (in_features).
    ///     bias: of size (out_features) or ().
    linear, in [NN] {
        "(Tensor input, Tensor weight, Tensor? bias=None) -> Tensor" =>
            |a| a.tensor(0).linear(&a.tensor(1), a.opt_tensor(2)),
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
    &addmm::DEF,
    &addmv::DEF,
    &baddbmm::DEF,
    &addbmm::DEF,
    &addr::DEF,
    &linear::DEF,
];
