//! Views by sizes and strides, and gradients written back to where a view's elements lie.

use super::view;
use crate::autograd::{self, engine::grads, record_stateless};
use crate::error::Result;
use crate::shape::{self, Sizes, Strides};
use crate::tensor::Tensor;
use smallvec::SmallVec;

impl Tensor {
    /// Any geometry over this tensor's storage, checked against its bounds. Strides may be negative.
    pub fn as_strided(&self, sizes: &[usize], strides: &[isize], offset: usize) -> Result<Tensor> {
        crate::check!(
            sizes.len() == strides.len(),
            Runtime,
            "mismatch in length of strides and shape: got {} sizes and {} strides",
            sizes.len(),
            strides.len()
        );
        let n = shape::numel(sizes)?;
        let (lo, hi) = shape::extent(sizes, strides);
        let room = (self.storage().bytes() / self.dtype().size()) as isize;
        crate::check!(
            n == 0
                || (lo.saturating_add(offset as isize) >= 0
                    && hi.saturating_add(offset as isize) <= room),
            Runtime,
            "setStorage: sizes {}, strides {}, storage offset {offset}, and itemsize {} requiring a storage size of {} \
             are out of bounds for storage of size {}",
            shape::list(sizes),
            shape::list(strides),
            self.dtype().size(),
            hi.saturating_add(offset as isize)
                .saturating_mul(self.dtype().size() as isize),
            self.storage().bytes()
        );
        let start = offset as isize - self.offset() as isize;
        let (old_sizes, old_strides): (Sizes, Strides) = (
            SmallVec::from_slice(self.sizes()),
            SmallVec::from_slice(self.strides()),
        );
        let (new_sizes, new_strides): (Sizes, Strides) =
            (SmallVec::from_slice(sizes), SmallVec::from_slice(strides));
        // SAFETY: the extent was checked against the storage.
        Ok(unsafe {
            view(
                self,
                offset,
                new_sizes.clone(),
                new_strides.clone(),
                "AsStridedBackward0",
                move |g| {
                    as_strided_backward(
                        &g.get(0)?,
                        &old_sizes,
                        &old_strides,
                        &new_sizes,
                        &new_strides,
                        start,
                    )
                },
            )
        })
    }

    /// As `as_strided` with the numbers a user gives; the offset defaults to this tensor's.
    pub fn as_strided_by(
        &self,
        sizes: &[i64],
        strides: &[i64],
        offset: Option<i64>,
    ) -> Result<Tensor> {
        let sizes = shape::sizes_of("as_strided", sizes)?;
        let strides: Strides = strides.iter().map(|&s| s as isize).collect();
        let offset = offset.unwrap_or(self.offset() as i64);
        crate::check!(
            offset >= 0,
            Runtime,
            "Tensor: invalid storage offset {offset}"
        );
        self.as_strided(&sizes, &strides, offset as usize)
    }

    /// A view of a diagonal of two axes, as a new last axis.
    pub fn diagonal(&self, offset: i64, dim1: i64, dim2: i64) -> Result<Tensor> {
        let (a, b) = (
            shape::wrap_dim(dim1, self.ndim())?,
            shape::wrap_dim(dim2, self.ndim())?,
        );
        crate::check!(
            a != b,
            Runtime,
            "diagonal dimensions cannot be identical {dim1}, {dim2}"
        );
        let (rows, columns) = (self.sizes()[a] as i64, self.sizes()[b] as i64);
        let len = if offset >= 0 {
            rows.min(columns.saturating_sub(offset))
        } else {
            columns.min(rows.saturating_add(offset))
        }
        .max(0);
        let mut start = self.offset() as isize;
        if len > 0 {
            start += if offset >= 0 {
                self.strides()[b] * offset as isize
            } else {
                self.strides()[a] * (-offset) as isize
            };
        }
        let keep = |d: &usize| *d != a && *d != b;
        let mut sizes: Sizes = (0..self.ndim())
            .filter(keep)
            .map(|d| self.sizes()[d])
            .collect();
        let mut strides: Strides = (0..self.ndim())
            .filter(keep)
            .map(|d| self.strides()[d])
            .collect();
        sizes.push(len as usize);
        strides.push(self.strides()[a].wrapping_add(self.strides()[b]));
        let old: Sizes = SmallVec::from_slice(self.sizes());
        // SAFETY: the diagonal's `len` elements lie inside both axes.
        Ok(unsafe {
            view(
                self,
                start as usize,
                sizes,
                strides,
                "DiagonalBackward0",
                move |g| diagonal_backward(&g.get(0)?, &old, offset, a as i64, b as i64),
            )
        })
    }

    /// As `as_strided` with the offset relative to this tensor's first element.
    pub fn as_strided_at(
        &self,
        sizes: &[usize],
        strides: &[isize],
        start: isize,
    ) -> Result<Tensor> {
        let offset = self.offset() as isize + start;
        crate::check!(
            offset >= 0,
            Runtime,
            "as_strided: negative storage offset {offset}"
        );
        self.as_strided(sizes, strides, offset as usize)
    }
}

/// The gradient of `as_strided`: zeros laid out like the base, into which the view's gradients are added at the
/// addresses they came from. Overlapping elements add up.
pub fn as_strided_backward(
    g: &Tensor,
    base_sizes: &[usize],
    base_strides: &[isize],
    sizes: &[usize],
    strides: &[isize],
    start: isize,
) -> Result<Tensor> {
    let (sizes0, strides0): (Vec<usize>, Vec<isize>) = (sizes.to_vec(), strides.to_vec());
    let (base_sizes0, base_strides0) = (base_sizes.to_vec(), base_strides.to_vec());
    let (lo, hi) = shape::extent(base_sizes, base_strides);
    let (vlo, vhi) = shape::extent(sizes, strides);
    let (lo, hi) = (lo.min(vlo + start), hi.max(vhi + start));
    let out = autograd::no_grad(|| -> Result<Tensor> {
        let flat = Tensor::zeros(&[(hi - lo) as usize], g.dtype(), g.device())?;
        // Axes of stride zero first sum, so that the rest are distinct addresses wherever the view is not unusual.
        let mut g = g.clone();
        let mut strides = strides.to_vec();
        for d in (0..strides.len()).rev() {
            if strides[d] == 0 && g.sizes()[d] > 1 {
                g = g.sum_dims(&[d], true)?;
                strides[d] = 1;
            }
        }
        let overlap = {
            let mut axes: Vec<(isize, usize)> = strides
                .iter()
                .copied()
                .zip(g.sizes().iter().copied())
                .filter(|a| a.1 > 1)
                .collect();
            axes.iter_mut().for_each(|a| a.0 = a.0.abs());
            axes.sort_unstable();
            let mut reach = 0isize;
            axes.iter().any(|&(s, n)| {
                let bad = s <= reach;
                reach += s * (n as isize - 1);
                bad
            })
        };
        let begin = (start - lo).max(0) as usize;
        if overlap {
            g.need_cpu("as_strided_backward")?;
            scatter_add_strided(&flat, &g, &strides, begin)?;
        } else {
            flat.as_strided(g.sizes(), &strides, begin)?
                .write_from(&g)?;
        }
        flat.as_strided(base_sizes, base_strides, (-lo).max(0) as usize)
    })?;
    let out = out.data_alias();
    if autograd::needs_grad(&[g]) {
        record_stateless("AsStridedBackwardBackward0", &[g], &[&out], move |gg| {
            // What the view shows outside the base is zero.
            let flat = as_strided_backward(
                &gg.get(0)?,
                &[(hi - lo) as usize],
                &[1],
                &base_sizes0,
                &base_strides0,
                -lo,
            )?;
            grads([Some(flat.as_strided_at(&sizes0, &strides0, start - lo)?)])
        });
    }
    Ok(out)
}

/// Adds every element of `g` to `flat[begin + index . strides]`, one after another.
fn scatter_add_strided(flat: &Tensor, g: &Tensor, strides: &[isize], begin: usize) -> Result<()> {
    let g = g.contiguous()?;
    crate::dispatch!(g.dtype(), T => {
        let (src, dst) = (g.data_ptr() as *const T, flat.data_ptr() as *mut T);
        let sizes = g.sizes();
        let mut index = vec![0usize; sizes.len()];
        for i in 0..g.numel() {
            let at: isize = begin as isize + index.iter().zip(strides).map(|(&i, &s)| i as isize * s).sum::<isize>();
            // SAFETY: `at` is inside the extent for which `flat` was made, `i` inside `g`.
            unsafe {
                let sum = crate::ops::index::add_elements(*dst.offset(at), *src.add(i));
                *dst.offset(at) = sum;
            }
            for d in (0..sizes.len()).rev() {
                index[d] += 1;
                if index[d] < sizes[d] {
                    break;
                }
                index[d] = 0;
            }
        }
    });
    Ok(())
}

/// Zeros of `sizes` with `g` on a diagonal of two axes.
pub fn diagonal_backward(
    g: &Tensor,
    sizes: &[usize],
    offset: i64,
    dim1: i64,
    dim2: i64,
) -> Result<Tensor> {
    let out = autograd::no_grad(|| -> Result<Tensor> {
        let out = Tensor::zeros(sizes, g.dtype(), g.device())?;
        out.diagonal(offset, dim1, dim2)?.write_from(g)?;
        Ok(out)
    })?;
    if autograd::needs_grad(&[g]) {
        record_stateless("DiagonalBackwardBackward0", &[g], &[&out], move |gg| {
            grads([Some(gg.get(0)?.diagonal(offset, dim1, dim2)?)])
        });
    }
    Ok(out)
}
op! {
    /// Returns a view with any sizes and strides over the storage of `input`. Bounds are checked.
    as_strided, in [TORCH, METHOD] {
        "(Tensor input, int[] size, int[] stride, int? storage_offset=None) -> Tensor" =>
            |a| a.tensor(0).as_strided_by(a.ints(1), a.ints(2), a.opt_int(3)),
    }
}
