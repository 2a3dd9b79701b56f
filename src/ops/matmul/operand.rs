//! Tensors as the matrices of a product, with any strides and batch axes, and the one kernel call for all of them.

use crate::cpu::element::Element as Summed;
use crate::cpu::gemm::{Batch, gemm, gemm_batched};
use crate::error::Result;
use crate::scalar::Scalar;
#[cfg(feature = "gpu")]
use crate::shape::Sizes;
use crate::shape::{self, Strides};
use crate::tensor::Tensor;

/// One operand: a matrix with steps between rows and between columns, and batch axes before them.
pub(super) struct Mat<'a> {
    pub t: &'a Tensor,
    pub rows: usize,
    pub cols: usize,
    pub steps: (isize, isize),
    pub batch: &'a [usize],
    pub batch_strides: &'a [isize],
}

impl<'a> Mat<'a> {
    /// The last two axes.
    pub fn of(t: &'a Tensor) -> Mat<'a> {
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
    pub fn column(t: &'a Tensor) -> Mat<'a> {
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

    pub fn transposed(self) -> Mat<'a> {
        Mat {
            rows: self.cols,
            cols: self.rows,
            steps: (self.steps.1, self.steps.0),
            ..self
        }
    }

    /// All axes before the last as rows, where one step leads through them.
    pub fn folded(t: &'a Tensor) -> Option<Mat<'a>> {
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
    pub fn tensor(&self) -> Tensor {
        let mut sizes = Sizes::from_slice(self.batch);
        let mut strides = Strides::from_slice(self.batch_strides);
        sizes.extend([self.rows, self.cols]);
        strides.extend([self.steps.0, self.steps.1]);
        let t = self.t.detach();
        // SAFETY: the axes were read off the tensor, so they reach the same elements.
        unsafe { t.view_parts(t.offset(), sizes, strides, crate::tensor::ViewKind::Plain) }
    }

    /// Batch strides against the result's batch axes: zero where this operand is repeated.
    pub fn strides_in(&self, batch: &[usize]) -> Strides {
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
pub(super) fn multiply(
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
        let mut sizes = Sizes::from_slice(batch);
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
    crate::dispatch_of!(what, out.dtype(), numbers, T => {
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

pub(super) const ONE: Scalar = Scalar::Int(1);

pub(super) const ZERO: Scalar = Scalar::Int(0);

pub(super) fn check_inner(a: &Mat, b: &Mat) -> Result<()> {
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

pub(super) fn check_same_dtype(a: &Tensor, b: &Tensor) -> Result<()> {
    crate::check!(
        a.dtype() == b.dtype(),
        Runtime,
        "expected m1 and m2 to have the same dtype, but got: {} != {}",
        a.dtype().native_name(),
        b.dtype().native_name()
    );
    Ok(())
}

/// Whether columns are adjacent in memory: then a gradient of this layout is made through its transpose.
pub(super) fn column_major(t: &Tensor) -> bool {
    t.ndim() == 2 && t.strides()[0] == 1 && t.strides()[1] >= t.sizes()[0].max(2) as isize
}

/// `g @ b^H`, the gradient of the left factor, laid out as the factor was.
pub(super) fn grad_left(g: &Tensor, b: &Tensor, like_columns: bool) -> Result<Tensor> {
    let b = b.conj()?;
    if like_columns {
        b.mm(&g.t()?)?.t()
    } else {
        g.mm(&b.t()?)
    }
}

/// `a^H @ g`, the gradient of the right factor.
pub(super) fn grad_right(g: &Tensor, a: &Tensor, like_columns: bool) -> Result<Tensor> {
    let a = a.conj()?;
    if like_columns {
        g.t()?.mm(&a)?.t()
    } else {
        a.t()?.mm(g)
    }
}
