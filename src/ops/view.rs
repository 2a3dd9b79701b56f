//! Views: other sizes and strides over the same memory. None of them copies.

use crate::autograd::{self, Grads, engine::grads, record_stateless};
use crate::dtype::DType;
use crate::error::Result;
use crate::shape::{self, Sizes, Strides};
use crate::tensor::{Tensor, ViewKind};
use smallvec::SmallVec;

/// Makes a view and records how its gradient goes back.
///
/// # Safety
/// As `Tensor::from_parts`: every element must lie inside the storage.
pub unsafe fn view(
    x: &Tensor,
    offset: usize,
    sizes: Sizes,
    strides: Strides,
    name: &'static str,
    backward: impl Fn(&Grads) -> Result<Tensor> + 'static,
) -> Tensor {
    // SAFETY: the caller's promise.
    let out = unsafe { x.view_parts(offset, sizes, strides, ViewKind::Plain) };
    if autograd::needs_grad(&[x]) {
        record_stateless(name, &[x], &[&out], move |g| grads([Some(backward(g)?)]));
    }
    out
}

pub fn as_i64(sizes: &[usize]) -> SmallVec<[i64; 6]> {
    sizes.iter().map(|&n| n as i64).collect()
}

impl Tensor {
    /// The same elements in another shape, without copying; an error where that is impossible.
    pub fn view(&self, shape: &[i64]) -> Result<Tensor> {
        let sizes = shape::infer_size(shape, self.numel())?;
        let Some(strides) = shape::view_strides(self.sizes(), self.strides(), &sizes) else {
            crate::bail!(
                Runtime,
                "view size is not compatible with input tensor's size and stride (at least one dimension spans across \
                 two contiguous subspaces). Use .reshape(...) instead."
            );
        };
        Ok(self.view_with(sizes, strides))
    }

    /// The same bytes as elements of another dtype; the last axis shrinks or grows where their sizes differ.
    pub fn view_dtype(&self, dtype: DType) -> Result<Tensor> {
        let (from, to) = (self.dtype().size(), dtype.size());
        let n = self.ndim();
        let mut sizes: Sizes = SmallVec::from_slice(self.sizes());
        let mut strides: Strides = SmallVec::from_slice(self.strides());
        let mut offset = self.offset();
        if self.dtype() == dtype {
            return self.alias();
        }
        if from != to {
            let why = || {
                format!(
                    "to view {} as {} (different element sizes)",
                    self.dtype().scalar_name(),
                    dtype.scalar_name()
                )
            };
            crate::check!(n > 0, Runtime, "self.dim() cannot be 0 {}", why());
            crate::check!(
                strides[n - 1] == 1,
                Runtime,
                "self.stride(-1) must be 1 {}, but got {}",
                why(),
                strides[n - 1]
            );
            if from > to {
                let ratio = from / to;
                sizes[n - 1] *= ratio;
                strides[..n - 1]
                    .iter_mut()
                    .for_each(|s| *s *= ratio as isize);
                offset *= ratio;
            } else {
                let ratio = to / from;
                crate::check!(
                    sizes[n - 1].is_multiple_of(ratio),
                    Runtime,
                    "self.size(-1) must be divisible by {ratio} {}, but got {}",
                    why(),
                    sizes[n - 1]
                );
                crate::check!(
                    offset.is_multiple_of(ratio),
                    Runtime,
                    "self.storage_offset() must be divisible by {ratio} {}, but got {offset}",
                    why()
                );
                for (d, s) in strides[..n - 1].iter_mut().enumerate() {
                    crate::check!(
                        *s % ratio as isize == 0,
                        Runtime,
                        "self.stride({d}) must be divisible by {ratio} {}, but got {s}",
                        why()
                    );
                    *s /= ratio as isize;
                }
                sizes[n - 1] /= ratio;
                offset /= ratio;
            }
        }
        // SAFETY: the same bytes, cut at multiples of the new element size.
        Ok(unsafe { self.view_as_dtype(offset, sizes, strides, dtype, ViewKind::Plain) })
    }

    fn view_with(&self, sizes: Sizes, strides: Strides) -> Tensor {
        let old = as_i64(self.sizes());
        // SAFETY: the strides reach the same elements as before.
        unsafe {
            view(
                self,
                self.offset(),
                sizes,
                strides,
                "ViewBackward0",
                move |g| g.get(0)?.reshape(&old),
            )
        }
    }

    /// The same elements in another shape: a view where possible, else a copy.
    pub fn reshape(&self, shape: &[i64]) -> Result<Tensor> {
        let sizes = shape::infer_size(shape, self.numel())?;
        self.reshape_to(&sizes)
    }

    /// As `reshape` with every size known.
    pub fn reshape_to(&self, sizes: &[usize]) -> Result<Tensor> {
        match shape::view_strides(self.sizes(), self.strides(), sizes) {
            Some(strides) => Ok(self.view_with(SmallVec::from_slice(sizes), strides)),
            None => {
                let t = self.clone_recorded(crate::ops::args::MemoryFormat::Contiguous)?;
                let n = shape::numel(sizes)?;
                crate::check!(
                    n == t.numel(),
                    Runtime,
                    "shape '{}' is invalid for input of size {}",
                    shape::list(sizes),
                    t.numel()
                );
                let old = as_i64(t.sizes());
                // SAFETY: a contiguous tensor seen with as many contiguous elements.
                Ok(unsafe {
                    view(
                        &t,
                        t.offset(),
                        SmallVec::from_slice(sizes),
                        shape::contiguous_strides(sizes),
                        "UnsafeViewBackward0",
                        move |g| g.get(0)?.reshape(&old),
                    )
                })
            }
        }
    }

    /// Broadcasts to `sizes`; -1 keeps a size.
    pub fn expand(&self, sizes: &[i64]) -> Result<Tensor> {
        crate::check!(
            sizes.len() >= self.ndim(),
            Runtime,
            "expand(torch.{}Tensor{{{}}}, size={}): the number of sizes provided ({}) must be greater or equal to the \
             number of dimensions in the tensor ({})",
            self.dtype().scalar_name(),
            shape::list(self.sizes()),
            shape::list(sizes),
            sizes.len(),
            self.ndim()
        );
        let lead = sizes.len() - self.ndim();
        let mut target = Sizes::new();
        for (i, &s) in sizes.iter().enumerate() {
            target.push(match s {
                -1 if i >= lead => self.sizes()[i - lead],
                -1 => crate::bail!(
                    Runtime,
                    "The expanded size of the tensor (-1) isn't allowed in a leading, non-existing dimension {i}"
                ),
                s if s < 0 => crate::bail!(Runtime, "expand: negative size {s} at dimension {i}"),
                s => s as usize,
            });
        }
        self.expand_to(&target)
    }

    pub fn expand_to(&self, sizes: &[usize]) -> Result<Tensor> {
        crate::check!(
            sizes.len() >= self.ndim(),
            Runtime,
            "expand: the number of sizes provided ({}) must be greater or equal to the number of dimensions in the \
             tensor ({})",
            sizes.len(),
            self.ndim()
        );
        let lead = sizes.len() - self.ndim();
        let mut strides: Strides = SmallVec::from_elem(0, sizes.len());
        for d in 0..self.ndim() {
            let (have, want) = (self.sizes()[d], sizes[d + lead]);
            if have == want {
                strides[d + lead] = self.strides()[d];
            } else {
                crate::check!(
                    have == 1,
                    Runtime,
                    "The expanded size of the tensor ({want}) must match the existing size ({have}) at non-singleton \
                     dimension {}.  Target sizes: {}.  Tensor sizes: {}",
                    d + lead,
                    shape::list(sizes),
                    shape::list(self.sizes())
                );
            }
        }
        shape::numel(sizes)?;
        // The engine sums broadcast gradients to the input's sizes.
        // SAFETY: axes of size one repeat their only element.
        Ok(unsafe {
            view(
                self,
                self.offset(),
                SmallVec::from_slice(sizes),
                strides,
                "ExpandBackward0",
                |g| g.get(0),
            )
        })
    }

    pub fn permute(&self, dims: &[i64]) -> Result<Tensor> {
        crate::check!(
            dims.len() == self.ndim(),
            Runtime,
            "permute(sparse_coo): number of dimensions in the tensor input does not match the length of the desired \
             ordering of dimensions i.e. input.dim() = {} is not equal to len(dims) = {}",
            self.ndim(),
            dims.len()
        );
        let mut order: SmallVec<[usize; 5]> = SmallVec::new();
        for &d in dims {
            let d = shape::wrap_dim(d, self.ndim())?;
            crate::check!(
                !order.contains(&d),
                Runtime,
                "permute(): duplicate dims are not allowed."
            );
            order.push(d);
        }
        let mut inverse: SmallVec<[i64; 6]> = SmallVec::from_elem(0, order.len());
        for (i, &d) in order.iter().enumerate() {
            inverse[d] = i as i64;
        }
        let sizes = order.iter().map(|&d| self.sizes()[d]).collect();
        let strides = order.iter().map(|&d| self.strides()[d]).collect();
        // SAFETY: the same elements with axes in another order.
        Ok(unsafe {
            view(
                self,
                self.offset(),
                sizes,
                strides,
                "PermuteBackward0",
                move |g| g.get(0)?.permute(&inverse),
            )
        })
    }

    pub fn transpose(&self, a: i64, b: i64) -> Result<Tensor> {
        let (i, j) = (
            shape::wrap_dim(a, self.ndim())?,
            shape::wrap_dim(b, self.ndim())?,
        );
        let mut sizes: Sizes = SmallVec::from_slice(self.sizes());
        let mut strides: Strides = SmallVec::from_slice(self.strides());
        if self.ndim() > 0 {
            sizes.swap(i, j);
            strides.swap(i, j);
        }
        // SAFETY: the same elements with two axes swapped.
        Ok(unsafe {
            view(
                self,
                self.offset(),
                sizes,
                strides,
                "TransposeBackward0",
                move |g| g.get(0)?.transpose(i as i64, j as i64),
            )
        })
    }

    /// The 2-d transpose; fewer dimensions are left alone.
    pub fn t(&self) -> Result<Tensor> {
        crate::check!(
            self.ndim() <= 2,
            Runtime,
            "t() expects a tensor with <= 2 dimensions, but self is {}D",
            self.ndim()
        );
        if self.ndim() < 2 {
            self.alias()
        } else {
            self.named_view("TBackward0", |x| x.transpose(0, 1), |g| g.t())
        }
    }

    /// A view that another view op makes, under its own name in the graph.
    fn named_view(
        &self,
        name: &'static str,
        make: impl FnOnce(&Tensor) -> Result<Tensor>,
        backward: impl Fn(&Tensor) -> Result<Tensor> + 'static,
    ) -> Result<Tensor> {
        let shaped = autograd::no_grad(|| make(self))?;
        // SAFETY: the same elements as the view just made.
        Ok(unsafe {
            view(
                self,
                shaped.offset(),
                SmallVec::from_slice(shaped.sizes()),
                SmallVec::from_slice(shaped.strides()),
                name,
                move |g| backward(&g.get(0)?),
            )
        })
    }

    /// A view of everything.
    pub fn alias(&self) -> Result<Tensor> {
        // SAFETY: the tensor's own geometry.
        Ok(unsafe {
            view(
                self,
                self.offset(),
                SmallVec::from_slice(self.sizes()),
                SmallVec::from_slice(self.strides()),
                "AliasBackward0",
                |g| g.get(0),
            )
        })
    }

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

    pub fn unsqueeze(&self, dim: i64) -> Result<Tensor> {
        let d = shape::wrap_dim(dim, self.ndim() + 1)?;
        let mut sizes: Sizes = SmallVec::from_slice(self.sizes());
        let mut strides: Strides = SmallVec::from_slice(self.strides());
        let stride = if d < sizes.len() {
            (sizes[d] as isize).wrapping_mul(strides[d])
        } else {
            1
        };
        sizes.insert(d, 1);
        strides.insert(d, stride);
        // SAFETY: one more axis of size one.
        Ok(unsafe {
            view(
                self,
                self.offset(),
                sizes,
                strides,
                "UnsqueezeBackward0",
                move |g| g.get(0)?.squeeze_dims(&[d]),
            )
        })
    }

    /// Removes the given axes where they have size one.
    pub fn squeeze_dims(&self, dims: &[usize]) -> Result<Tensor> {
        self.squeeze_as(dims, "SqueezeBackward0")
    }

    /// As `squeeze_dims`, under a name of its own in the graph.
    fn squeeze_as(&self, dims: &[usize], name: &'static str) -> Result<Tensor> {
        let keep = |d: usize| !(dims.contains(&d) && self.sizes()[d] == 1);
        let sizes: Sizes = (0..self.ndim())
            .filter(|&d| keep(d))
            .map(|d| self.sizes()[d])
            .collect();
        let strides: Strides = (0..self.ndim())
            .filter(|&d| keep(d))
            .map(|d| self.strides()[d])
            .collect();
        let old = as_i64(self.sizes());
        // SAFETY: only axes of size one are dropped.
        Ok(unsafe {
            view(self, self.offset(), sizes, strides, name, move |g| {
                g.get(0)?.reshape(&old)
            })
        })
    }

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
    /// Returns the same elements in another shape or, with a dtype, the same bytes as other elements; never copies.
    view__, in [METHOD] {
        "(Tensor input, int[] size) -> Tensor" => |a| a.tensor(0).view(a.ints(1)),
        "(Tensor input, ScalarType dtype) -> Tensor" => |a| { let t = a.tensor(0); t.view_dtype(a.dtype(1).unwrap_or(t.dtype())) },
    }
}
op! {
    /// Returns a view with the sizes of `other`.
    view_as, in [METHOD] {
        "(Tensor input, Tensor other) -> Tensor" => |a| a.tensor(0).view(&as_i64(a.tensor(1).sizes())),
    }
}
op! {
    /// Returns the same elements in the sizes of `other`.
    reshape_as, in [METHOD] {
        "(Tensor input, Tensor other) -> Tensor" => |a| a.tensor(0).reshape(&as_i64(a.tensor(1).sizes())),
    }
}
op! {
    /// Broadcasts to the sizes of `other` without copying.
    expand_as, in [METHOD] {
        "(Tensor input, Tensor other) -> Tensor" => |a| a.tensor(0).expand(&as_i64(a.tensor(1).sizes())),
    }
}
op! {
    /// Returns the same elements in another shape: a view where possible, else a copy. One size may be -1.
    reshape, in [TORCH, METHOD] {
        "(Tensor input, int[] shape) -> Tensor" => |a| a.tensor(0).reshape(a.ints(1)),
    }
}
op! {
    /// Broadcasts axes of size one to `size` without copying; -1 keeps a size.
    expand, in [METHOD] {
        "(Tensor input, int[] size, *, bool implicit=False) -> Tensor" => |a| a.tensor(0).expand(a.ints(1)),
    }
}
op! {
    /// Returns a view with the axes in the order `dims`.
    permute, in [TORCH, METHOD] {
        "(Tensor input, int[] dims) -> Tensor" => |a| a.tensor(0).permute(a.ints(1)),
    }
}
op! {
    /// Returns a view with two axes swapped.
    transpose, in [TORCH, METHOD], alias ["swapdims"] {
        "(Tensor input, int dim0, int dim1) -> Tensor" => |a| a.tensor(0).transpose(a.int(1), a.int(2)),
    }
}
op! {
    /// Returns the transpose of a 2-d tensor; tensors of fewer dimensions as they are.
    t, in [TORCH, METHOD] {
        "(Tensor input) -> Tensor" => |a| a.tensor(0).t(),
    }
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
op! {
    /// Returns a view with an axis of size one inserted at `dim`.
    unsqueeze, in [TORCH, METHOD] {
        "(Tensor input, int dim) -> Tensor" => |a| a.tensor(0).unsqueeze(a.int(1)),
    }
}
op! {
    /// Returns a view without the axes of size one, or without those of `dim` that have it.
    squeeze, in [TORCH, METHOD] {
        "(Tensor input) -> Tensor" => |a| { let t = a.tensor(0); t.squeeze_dims(&(0..t.ndim()).collect::<Vec<_>>()) },
        "(Tensor input, int dim) -> Tensor" => |a| { let t = a.tensor(0); let d = shape::wrap_dim(a.int(1), t.ndim())?; t.squeeze_as(&[d], "SqueezeBackward1") },
        "(Tensor input, int[] dim) -> Tensor" => |a| { let t = a.tensor(0); t.squeeze_as(&shape::wrap_dims(a.ints(1), t.ndim())?, "SqueezeBackward2") },
    }
}
op! {
    /// Returns a view with any sizes and strides over the storage of `input`. Bounds are checked.
    as_strided, in [TORCH, METHOD] {
        "(Tensor input, int[] size, int[] stride, int? storage_offset=None) -> Tensor" =>
            |a| a.tensor(0).as_strided_by(a.ints(1), a.ints(2), a.opt_int(3)),
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

pub static ROWS: &[&crate::ops::OpDef] = &[
    &view__::DEF,
    &view_as::DEF,
    &reshape_as::DEF,
    &expand_as::DEF,
    &reshape::DEF,
    &expand::DEF,
    &permute::DEF,
    &transpose::DEF,
    &t::DEF,
    &select::DEF,
    &narrow::DEF,
    &unsqueeze::DEF,
    &squeeze::DEF,
    &as_strided::DEF,
    &view_as_real::DEF,
    &view_as_complex::DEF,
    &real::DEF,
    &imag::DEF,
];
