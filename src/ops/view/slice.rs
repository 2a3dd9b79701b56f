//! Parts of an axis as views: one index, every n-th index, a run of them.

use super::view;
use crate::autograd::{self, engine::grads, record_stateless};
use crate::error::Result;
use crate::shape::{self, Sizes, Strides};
use crate::tensor::Tensor;
use smallvec::SmallVec;

impl Tensor {
    /// One index of an axis, which disappears.
    pub fn select(&self, dim: i64, index: i64) -> Result<Tensor> {
        crate::check!(
            self.ndim() > 0,
            Index,
            "select() cannot be applied to a 0-dim tensor."
        );
        let d = shape::wrap_dim(dim, self.ndim())?;
        let n = self.sizes()[d] as i64;
        crate::check!(
            index >= -n && index < n,
            Index,
            "select(): index {index} out of range for tensor of size {} at dimension {d}",
            shape::list(self.sizes())
        );
        let i = if index < 0 { index + n } else { index };
        let mut sizes: Sizes = SmallVec::from_slice(self.sizes());
        let mut strides: Strides = SmallVec::from_slice(self.strides());
        sizes.remove(d);
        let stride = strides.remove(d);
        let offset = (self.offset() as isize + stride * i as isize) as usize;
        let old: Sizes = SmallVec::from_slice(self.sizes());
        // SAFETY: `i` is inside the axis.
        Ok(unsafe {
            view(self, offset, sizes, strides, "SelectBackward0", move |g| {
                let g = g.get(0)?;
                select_backward(&g, &old, d as i64, i)
            })
        })
    }

    /// `self[start:end:step]` along an axis. A negative step is a view too.
    pub fn slice(
        &self,
        dim: i64,
        start: Option<i64>,
        end: Option<i64>,
        step: i64,
    ) -> Result<Tensor> {
        crate::check!(
            self.ndim() > 0,
            Runtime,
            "slice() cannot be applied to a 0-dim tensor."
        );
        crate::check!(step > 0, Runtime, "slice step must be positive");
        let d = shape::wrap_dim(dim, self.ndim())?;
        let n = self.sizes()[d] as i64;
        let clamp = |i: i64| if i < 0 { (i + n).max(0) } else { i.min(n) };
        let start = clamp(start.unwrap_or(0));
        let end = clamp(end.unwrap_or(i64::MAX)).max(start);
        let len = if end > start {
            (end - start - 1) / step + 1
        } else {
            0
        };
        self.strided_slice(d, start, len, step)
    }

    /// `len` elements of an axis from `start` on, which may be walked backwards.
    pub fn strided_slice(&self, d: usize, start: i64, len: i64, step: i64) -> Result<Tensor> {
        let mut sizes: Sizes = SmallVec::from_slice(self.sizes());
        let mut strides: Strides = SmallVec::from_slice(self.strides());
        let offset = if len > 0 {
            (self.offset() as isize + strides[d] * start as isize) as usize
        } else {
            self.offset()
        };
        sizes[d] = len as usize;
        strides[d] = strides[d].wrapping_mul(step as isize);
        let old: Sizes = SmallVec::from_slice(self.sizes());
        // SAFETY: start and start + (len - 1) * step are inside the axis.
        Ok(unsafe {
            view(self, offset, sizes, strides, "SliceBackward0", move |g| {
                let g = g.get(0)?;
                slice_backward(&g, &old, d, start, step)
            })
        })
    }

    /// `len` elements of an axis from `start` on.
    pub fn narrow(&self, dim: i64, start: i64, len: i64) -> Result<Tensor> {
        crate::check!(
            self.ndim() > 0,
            Runtime,
            "narrow() cannot be applied to a 0-dim tensor."
        );
        let d = shape::wrap_dim(dim, self.ndim())?;
        let n = self.sizes()[d] as i64;
        crate::check!(len >= 0, Runtime, "narrow(): length must be non-negative.");
        crate::check!(
            -n <= start && start <= n,
            Index,
            "start out of range (expected to be in range of [{}, {n}], but got {start})",
            -n
        );
        let start = if start < 0 { start + n } else { start };
        crate::check!(
            start <= n - len,
            Runtime,
            "start ({start}) + length ({len}) exceeds dimension size ({n})."
        );
        self.strided_slice(d, start, len, 1)
    }
}

/// Zeros of `sizes` with `g` at one index of an axis.
pub fn select_backward(g: &Tensor, sizes: &[usize], dim: i64, index: i64) -> Result<Tensor> {
    let out = autograd::no_grad(|| -> Result<Tensor> {
        let out = Tensor::zeros(sizes, g.dtype(), g.device())?;
        out.select(dim, index)?.write_from(g)?;
        Ok(out)
    })?;
    if autograd::needs_grad(&[g]) {
        record_stateless("SelectBackwardBackward0", &[g], &[&out], move |gg| {
            grads([Some(gg.get(0)?.select(dim, index)?)])
        });
    }
    Ok(out)
}

/// Zeros of `sizes` with `g` at every `step`-th index of an axis.
pub fn slice_backward(
    g: &Tensor,
    sizes: &[usize],
    dim: usize,
    start: i64,
    step: i64,
) -> Result<Tensor> {
    let len = g.sizes()[dim] as i64;
    let out = autograd::no_grad(|| -> Result<Tensor> {
        let out = Tensor::zeros(sizes, g.dtype(), g.device())?;
        out.strided_slice(dim, start, len, step)?.write_from(g)?;
        Ok(out)
    })?;
    if autograd::needs_grad(&[g]) {
        record_stateless("SliceBackwardBackward0", &[g], &[&out], move |gg| {
            grads([Some(gg.get(0)?.strided_slice(dim, start, len, step)?)])
        });
    }
    Ok(out)
}
op! {
    /// Returns a view of one index of an axis.
    select, in [TORCH, METHOD] {
        "(Tensor input, int dim, int index) -> Tensor" => |a| a.tensor(0).select(a.int(1), a.int(2)),
    }
}
op! {
    /// Returns a view of `length` elements of an axis from `start` on.
    narrow, in [TORCH, METHOD] {
        "(Tensor input, int dim, int start, int length) -> Tensor" => |a| a.tensor(0).narrow(a.int(1), a.int(2), a.int(3)),
        "(Tensor input, int dim, Tensor start, int length) -> Tensor" => |a| {
            let s = a.tensor(2);
            crate::check!(s.ndim() == 0 && s.dtype().is_integral(), Runtime, "start must be an 0-dim integral Tensor.");
            a.tensor(0).narrow(a.int(1), s.item()?.to_i64(), a.int(3))
        },
    }
}
