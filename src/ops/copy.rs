//! Moving values: clone, contiguous, casts, device transfers, fills and writes into existing tensors.

use super::args::MemoryFormat;
use crate::autograd::{self, engine::grads, record_stateless};
use crate::device::Device;
use crate::dtype::DType;
use crate::error::Result;
use crate::iter;
use crate::scalar::Scalar;
use crate::shape;
use crate::tensor::Tensor;
use smallvec::SmallVec;

/// Strides of a tensor of these sizes in a memory format; `None` for plain row-major order.
pub fn format_strides(sizes: &[usize], format: MemoryFormat) -> Result<Option<shape::Strides>> {
    let order: &[usize] = match (format, sizes.len()) {
        (MemoryFormat::Contiguous | MemoryFormat::Preserve, _) => return Ok(None),
        (MemoryFormat::ChannelsLast, 4) => &[0, 2, 3, 1],
        (MemoryFormat::ChannelsLast3d, 5) => &[0, 2, 3, 4, 1],
        (MemoryFormat::ChannelsLast, _) => {
            crate::bail!(
                Runtime,
                "required rank 4 tensor to use channels_last format"
            )
        }
        (MemoryFormat::ChannelsLast3d, _) => {
            crate::bail!(
                Runtime,
                "required rank 5 tensor to use channels_last_3d format"
            )
        }
    };
    let mut strides: shape::Strides = SmallVec::from_elem(1, sizes.len());
    let mut step = 1;
    for &d in order.iter().rev() {
        strides[d] = step;
        step *= sizes[d].max(1) as isize;
    }
    Ok(Some(strides))
}

impl Tensor {
    /// Copies values into this tensor's memory; no history, no version.
    pub fn write_from(&self, src: &Tensor) -> Result<()> {
        if self.device().is_cpu() && src.device().is_cpu() {
            iter::copy_cpu(self, src);
            return Ok(());
        }
        #[cfg(feature = "gpu")]
        return crate::gpu::copy(self, src);
        #[cfg(not(feature = "gpu"))]
        crate::bail!(Runtime, "this build of rtorch has no GPU backend")
    }

    /// Sets every element; no history, no version.
    pub fn fill(&self, value: Scalar) -> Result<()> {
        if self.device().is_cpu() {
            iter::fill_cpu(self, value);
            return Ok(());
        }
        #[cfg(feature = "gpu")]
        return crate::gpu::fill(self, value);
        #[cfg(not(feature = "gpu"))]
        crate::bail!(Runtime, "this build of rtorch has no GPU backend")
    }

    pub fn zero_fill(&self) -> Result<()> {
        self.fill(Scalar::Int(0))
    }

    /// A copy without history, keeping the order of axes of a dense tensor.
    pub fn clone_data(&self) -> Result<Tensor> {
        let out = self.empty_like(self.dtype())?;
        out.write_from(self)?;
        Ok(out)
    }

    /// A differentiable copy in plain row-major order or as dense as this one.
    pub fn clone_recorded(&self, format: MemoryFormat) -> Result<Tensor> {
        let out = match format {
            MemoryFormat::Preserve => self.empty_like(self.dtype())?,
            f => match format_strides(self.sizes(), f)? {
                None => Tensor::empty(self.sizes(), self.dtype(), self.device())?,
                Some(s) => Tensor::empty_strided(self.sizes(), &s, self.dtype(), self.device())?,
            },
        };
        out.write_from(self)?;
        if autograd::needs_grad(&[self]) {
            record_stateless("CloneBackward0", &[self], &[&out], |g| grads([g.opt(0)]));
        }
        Ok(out)
    }

    /// A differentiable copy.
    pub fn clone_data_recorded(&self) -> Result<Tensor> {
        self.clone_recorded(MemoryFormat::Preserve)
    }

    /// This tensor if it is contiguous, else a contiguous copy.
    pub fn contiguous(&self) -> Result<Tensor> {
        if self.is_contiguous() {
            Ok(self.clone())
        } else {
            self.clone_recorded(MemoryFormat::Contiguous)
        }
    }

    /// This tensor, or a copy of another dtype.
    pub fn to_dtype(&self, dtype: DType) -> Result<Tensor> {
        if self.dtype() == dtype {
            Ok(self.clone())
        } else {
            self.to_options(Some(dtype), None, false, None)
        }
    }

    /// This tensor, or a copy on another device.
    pub fn to_device(&self, device: Device) -> Result<Tensor> {
        if self.device() == device {
            Ok(self.clone())
        } else {
            self.to_options(None, Some(device), false, None)
        }
    }

    /// `x.to(...)`.
    pub fn to_options(
        &self,
        dtype: Option<DType>,
        device: Option<Device>,
        copy: bool,
        format: Option<MemoryFormat>,
    ) -> Result<Tensor> {
        let dtype = dtype.unwrap_or(self.dtype());
        let device = device.unwrap_or(self.device());
        let format = format.unwrap_or(MemoryFormat::Preserve);
        if dtype == self.dtype() && device == self.device() && !copy {
            return match format_strides(self.sizes(), format)? {
                Some(s) if s.as_slice() != self.strides() => self.clone_recorded(format),
                _ => Ok(self.clone()),
            };
        }
        let strides = match format {
            MemoryFormat::Preserve if self.is_contiguous() => None,
            MemoryFormat::Preserve => Some(self.dense_strides()),
            f => format_strides(self.sizes(), f)?,
        };
        let out = match strides {
            None => Tensor::empty(self.sizes(), dtype, device)?,
            Some(s) => Tensor::empty_strided(self.sizes(), &s, dtype, device)?,
        };
        out.write_from(self)?;
        if dtype.is_differentiable() && autograd::needs_grad(&[self]) {
            let (from, home) = (self.dtype(), self.device());
            record_stateless("ToCopyBackward0", &[self], &[&out], move |g| {
                let g = g.get(0)?;
                let g = if g.dtype().is_complex() && !from.is_complex() {
                    g.real()?
                } else {
                    g
                };
                grads([Some(g.to_options(Some(from), Some(home), false, None)?)])
            });
        }
        Ok(out)
    }

    /// `self.copy_(src)`: broadcasts, casts and records.
    pub fn copy_(&self, src: &Tensor) -> Result<Tensor> {
        let grad = autograd::needs_grad(&[self, src]);
        autograd::inplace::check(self, grad)?;
        let fits =
            shape::broadcast(self.sizes(), src.sizes()).is_ok_and(|s| s.as_slice() == self.sizes());
        if !fits {
            shape::broadcast(self.sizes(), src.sizes())?;
            crate::bail!(
                Runtime,
                "output with shape {} doesn't match the broadcast shape {}",
                shape::list(self.sizes()),
                shape::list(&shape::broadcast(self.sizes(), src.sizes())?)
            );
        }
        // Writing a tensor over itself through overlapping views needs a copy in between.
        let overlapping = self.storage().same(src.storage()) && !self.same(src);
        let held = if overlapping {
            autograd::no_grad(|| src.clone_data())?
        } else {
            src.clone()
        };
        self.write_from(&held)?;
        self.bump();
        if grad && self.dtype().is_differentiable() {
            let source = src.to_dtype(self.dtype())?;
            let source = if source.sizes() == self.sizes() {
                source
            } else {
                source.expand_to(self.sizes())?
            };
            if self.view_of().is_some() || source.gradient_edge().is_some() {
                if self.view_of().is_none() {
                    let node = autograd::Node::new(
                        "CopyBackwards",
                        &[self, &source],
                        false,
                        std::rc::Rc::new(|g: &autograd::Grads| {
                            let zero = g.when(0, || {
                                let t = g.get(0)?;
                                Tensor::zeros(t.sizes(), t.dtype(), t.device())
                            })?;
                            grads([zero, g.opt(0)])
                        }),
                    );
                    node.add_output(self);
                    self.set_grad_fn(node, 0);
                } else {
                    autograd::inplace::adopt(self, &source);
                }
            } else {
                self.clear_grad_fn();
            }
        }
        Ok(self.clone())
    }

    /// Takes over the values and the history of `result`, which has this tensor's sizes and dtype.
    pub fn overwrite(&self, result: &Tensor) -> Result<Tensor> {
        self.write_from(result)?;
        self.bump();
        if autograd::is_grad_enabled() && (result.requires_grad() || self.requires_grad()) {
            autograd::inplace::adopt(self, result);
        }
        Ok(self.clone())
    }

    /// `self.fill_(value)`.
    pub fn fill_(&self, value: Scalar) -> Result<Tensor> {
        let grad = autograd::needs_grad(&[self]);
        autograd::inplace::check(self, grad)?;
        self.fill(value)?;
        self.bump();
        if grad {
            match self.view_of() {
                None => self.clear_grad_fn(),
                Some(_) => {
                    let constant = Tensor::full(self.sizes(), value, self.dtype(), self.device())?;
                    autograd::inplace::adopt(self, &constant);
                }
            }
        }
        Ok(self.clone())
    }

    pub fn zero_(&self) -> Result<Tensor> {
        self.fill_(Scalar::Int(0))
    }

    /// For `out=`: a tensor of these sizes with this one's identity; new memory where the old is too small.
    pub fn resized(&self, sizes: &[usize]) -> Result<Tensor> {
        if self.sizes() == sizes {
            return Ok(self.clone());
        }
        let n = shape::numel(sizes)?;
        let room = self.storage().bytes() / self.dtype().size();
        if self.device().is_cpu() && self.offset().checked_add(n).is_some_and(|end| end <= room) {
            // SAFETY: the storage has room for `n` elements from the offset, as just checked.
            let with = unsafe {
                Tensor::from_parts(
                    self.storage().clone(),
                    self.offset(),
                    SmallVec::from_slice(sizes),
                    shape::contiguous_strides(sizes),
                    self.dtype(),
                )
            };
            return Ok(self.replaced(&with));
        }
        let with = Tensor::empty(sizes, self.dtype(), self.device())?;
        if self.device().is_cpu() && self.is_contiguous() {
            let bytes = self.numel().min(n) * self.dtype().size();
            // SAFETY: both hold at least `bytes` bytes; the new memory overlaps nothing.
            unsafe { std::ptr::copy_nonoverlapping(self.data_ptr(), with.data_ptr(), bytes) };
        }
        Ok(self.replaced(&with))
    }
}

op! {
    /// Returns a copy of `input`.
    clone__, in [TORCH, METHOD] {
        "(Tensor input, *, MemoryFormat? memory_format=None) -> Tensor" =>
            |a| a.tensor(0).clone_recorded(a.memory_format(1).unwrap_or(MemoryFormat::Preserve)),
    }
}
op! {
    /// Returns a tensor with the same values in contiguous memory; `input` itself if it already is.
    contiguous, in [METHOD] {
        "(Tensor input, *, MemoryFormat memory_format=contiguous_format) -> Tensor" => |a| {
            let t = a.tensor(0);
            let format = a.memory_format(1).unwrap_or(MemoryFormat::Contiguous);
            match format_strides(t.sizes(), format)? {
                None => t.contiguous(),
                Some(s) if s.as_slice() == t.strides() => Ok(t),
                Some(_) => t.clone_recorded(format),
            }
        },
    }
}
op! {
    /// Converts to another dtype or device, or to those of another tensor; `input` itself if nothing changes.
    to, in [METHOD] {
        "(Tensor input, ScalarType dtype, bool non_blocking=False, bool copy=False, *, MemoryFormat? memory_format=None) -> Tensor" =>
            |a| a.tensor(0).to_options(a.dtype(1), None, a.bool(3), a.memory_format(4)),
        "(Tensor input, Device? device=None, ScalarType? dtype=None, bool non_blocking=False, bool copy=False, *, MemoryFormat? memory_format=None) -> Tensor" =>
            |a| a.tensor(0).to_options(a.dtype(2), a.device(1), a.bool(4), a.memory_format(5)),
        "(Tensor input, Tensor other, bool non_blocking=False, bool copy=False, *, MemoryFormat? memory_format=None) -> Tensor" =>
            |a| { let o = a.tensor(1); a.tensor(0).to_options(Some(o.dtype()), Some(o.device()), a.bool(3), a.memory_format(4)) },
    }
}
op! {
    /// Copies the values of `src`, broadcast and cast, into this tensor.
    copy_, in [METHOD] {
        "(Tensor input, Tensor src, bool non_blocking=False) -> Tensor" => |a| a.tensor(0).copy_(&a.tensor(1)),
        "(Tensor input, Scalar src, bool non_blocking=False) -> Tensor" => |a| a.tensor(0).copy_(&Tensor::wrapped(a.scalar(1))?),
    }
}
op! {
    /// Sets every element to `value`.
    fill_, in [METHOD, TORCH] {
        "(Tensor input, Scalar value) -> Tensor" => |a| a.tensor(0).fill_(a.scalar(1)),
        "(Tensor input, Tensor value) -> Tensor" => |a| {
            let v = a.tensor(1);
            crate::check!(v.ndim() == 0, Runtime, "fill_ only supports 0-dimension value tensor but got tensor with {} dimensions.", v.ndim());
            a.tensor(0).copy_(&v)
        },
    }
}
op! {
    /// Sets every element to zero.
    zero_, in [METHOD, TORCH] {
        "(Tensor input) -> Tensor" => |a| a.tensor(0).zero_(),
    }
}
op! {
    /// Returns a tensor that shares memory with `input` and has no history.
    detach, in [METHOD, TORCH] {
        "(Tensor input) -> Tensor" => |a| {
            Ok(a.tensor(0).detach())
        },
    }
}

pub static ROWS: &[&crate::ops::OpDef] = &[
    &clone__::DEF,
    &contiguous::DEF,
    &to::DEF,
    &copy_::DEF,
    &fill_::DEF,
    &zero_::DEF,
    &detach::DEF,
];
