//! Complex numbers and pairs of reals as views of each other.

use crate::autograd::{self, engine::grads, record_stateless};
use crate::dtype::DType;
use crate::error::Result;
use crate::shape::{Sizes, Strides};
use crate::tensor::{Tensor, ViewKind};
use smallvec::SmallVec;

impl Tensor {
    /// The real part: a view of a complex tensor, the tensor itself otherwise.
    pub fn real(&self) -> Result<Tensor> {
        if !self.dtype().is_complex() {
            Ok(self.clone())
        } else {
            self.view_as_real()?.select(-1, 0)
        }
    }

    pub fn imag(&self) -> Result<Tensor> {
        crate::check!(
            self.dtype().is_complex(),
            Runtime,
            "imag is not implemented for tensors with non-complex dtypes."
        );
        self.view_as_real()?.select(-1, 1)
    }

    /// A complex tensor as pairs of reals in a new last axis; a view.
    pub fn view_as_real(&self) -> Result<Tensor> {
        crate::check!(
            self.dtype().is_complex(),
            Runtime,
            "view_as_real is only supported for complex tensors"
        );
        let mut sizes: Sizes = SmallVec::from_slice(self.sizes());
        let mut strides: Strides = self.strides().iter().map(|s| s * 2).collect();
        sizes.push(2);
        strides.push(1);
        // SAFETY: every complex element is two reals.
        let out = unsafe {
            self.view_as_dtype(
                self.offset() * 2,
                sizes,
                strides,
                self.dtype().to_real(),
                ViewKind::Plain,
            )
        };
        if autograd::needs_grad(&[self]) {
            record_stateless("ViewAsRealBackward0", &[self], &[&out], |g| {
                grads([Some(g.get(0)?.contiguous()?.view_as_complex()?)])
            });
        }
        Ok(out)
    }

    /// Pairs of reals in the last axis as complex numbers; a view.
    pub fn view_as_complex(&self) -> Result<Tensor> {
        let dtype = match self.dtype() {
            DType::F32 => DType::C64,
            DType::F64 => DType::C128,
            d => crate::bail!(
                Runtime,
                "view_as_complex is only supported for half, float and double tensors, but got a tensor of scalar type: {}",
                d.scalar_name()
            ),
        };
        let n = self.ndim();
        crate::check!(
            n > 0,
            Runtime,
            "Input tensor must have one or more dimensions"
        );
        crate::check!(
            self.sizes()[n - 1] == 2,
            Runtime,
            "Tensor must have a last dimension of size 2"
        );
        crate::check!(
            self.strides()[n - 1] == 1,
            Runtime,
            "Tensor must have a last dimension with stride 1"
        );
        crate::check!(
            self.strides()[..n - 1].iter().all(|s| s % 2 == 0),
            Runtime,
            "Tensor must have a stride divisible by 2 for all but last dimension"
        );
        crate::check!(
            self.offset().is_multiple_of(2),
            Runtime,
            "Tensor must have a storage_offset divisible by 2"
        );
        let sizes = SmallVec::from_slice(&self.sizes()[..n - 1]);
        let strides = self.strides()[..n - 1].iter().map(|s| s / 2).collect();
        // SAFETY: the last axis holds the two parts of one number; strides and offset are even.
        let out = unsafe {
            self.view_as_dtype(self.offset() / 2, sizes, strides, dtype, ViewKind::Plain)
        };
        if autograd::needs_grad(&[self]) {
            record_stateless("ViewAsComplexBackward0", &[self], &[&out], |g| {
                grads([Some(g.get(0)?.contiguous()?.view_as_real()?)])
            });
        }
        Ok(out)
    }
}
op! {
    /// Returns a complex tensor's numbers as pairs of reals in a new last axis, without copying.
    view_as_real, in [TORCH] {
        "(Tensor input) -> Tensor" => |a| a.tensor(0).view_as_real(),
    }
}
op! {
    /// Returns pairs of reals in the last axis as complex numbers, without copying.
    view_as_complex, in [TORCH] {
        "(Tensor input) -> Tensor" => |a| a.tensor(0).view_as_complex(),
    }
}
op! {
    /// Returns the real part: a view of a complex tensor, `input` itself otherwise.
    real, in [TORCH] {
        "(Tensor input) -> Tensor" => |a| a.tensor(0).real(),
    }
}
op! {
    /// Returns a view of the imaginary part of a complex tensor.
    imag, in [TORCH] {
        "(Tensor input) -> Tensor" => |a| a.tensor(0).imag(),
    }
}
