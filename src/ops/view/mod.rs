//! Views: other sizes and strides over the same memory. None of them copies.

use crate::autograd::{self, Grads, engine::grads, record_stateless};
use crate::dtype::DType;
use crate::error::Result;
use crate::shape::{self, Sizes, Strides};
use crate::tensor::{Tensor, ViewKind};
use smallvec::SmallVec;

mod parts;
mod slice;
mod strided;

pub use slice::{select_backward, slice_backward};
pub use strided::{as_strided_backward, diagonal_backward};

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
    &slice::select::DEF,
    &slice::narrow::DEF,
    &unsqueeze::DEF,
    &squeeze::DEF,
    &strided::as_strided::DEF,
    &parts::view_as_real::DEF,
    &parts::view_as_complex::DEF,
    &parts::real::DEF,
    &parts::imag::DEF,
];
