//! New tensors.

use super::args::{Args, MemoryFormat};
use crate::device::Device;
use crate::dtype::{DType, default_dtype};
use crate::error::Result;
use crate::scalar::Scalar;
use crate::shape;
use crate::tensor::Tensor;

thread_local! {
    static DEFAULT_DEVICE: std::cell::Cell<Device> = const { std::cell::Cell::new(Device::Cpu) };
}

/// The device of new tensors.
pub fn default_device() -> Device {
    DEFAULT_DEVICE.with(|d| d.get())
}

pub fn set_default_device(device: Device) {
    DEFAULT_DEVICE.with(|d| d.set(device));
}

/// The options every creation function ends with: dtype, layout, device, pin_memory, requires_grad from position `at` on.
pub struct Options {
    pub dtype: Option<DType>,
    pub device: Device,
    pub requires_grad: bool,
}

impl Options {
    pub fn at(a: &Args, at: usize) -> Options {
        Options {
            dtype: a.dtype(at),
            device: a.device(at + 2).unwrap_or_else(default_device),
            requires_grad: a.bool(at + 4),
        }
    }
    pub fn finish(&self, t: Tensor) -> Result<Tensor> {
        if self.requires_grad {
            crate::check!(
                t.dtype().is_differentiable(),
                Runtime,
                "Only Tensors of floating point and complex dtype can require gradients"
            );
            t.set_requires_grad(true)?;
        }
        Ok(t)
    }
}

/// A constant tensor of the sizes at position 0.
fn constant(op: &str, a: &Args, value: Option<i64>) -> Result<Tensor> {
    let o = Options::at(a, 1);
    let sizes = shape::sizes_of(op, a.ints(0))?;
    let dtype = o.dtype.unwrap_or_else(default_dtype);
    o.finish(match value {
        Some(v) => Tensor::full(&sizes, v, dtype, o.device)?,
        None => Tensor::empty(&sizes, dtype, o.device)?,
    })
}

/// A constant tensor like the one at position 0.
fn constant_like(a: &Args, value: Option<Scalar>, at: usize) -> Result<Tensor> {
    let x = a.tensor(0);
    let dtype = a.dtype(at).unwrap_or(x.dtype());
    let device = a.device(at + 2).unwrap_or(x.device());
    let format = a.memory_format(at + 5).unwrap_or(MemoryFormat::Preserve);
    let t = match format {
        MemoryFormat::Preserve if !x.is_contiguous() => {
            Tensor::empty_strided(x.sizes(), &x.dense_strides(), dtype, device)?
        }
        f => match crate::ops::copy::format_strides(x.sizes(), f)? {
            Some(s) => Tensor::empty_strided(x.sizes(), &s, dtype, device)?,
            None => Tensor::empty(x.sizes(), dtype, device)?,
        },
    };
    if let Some(v) = value {
        v.check_fits(dtype)?;
        t.fill(v)?;
    }
    if a.bool(at + 4) {
        t.set_requires_grad(true)?;
    }
    Ok(t)
}

op! {
    /// Returns a tensor of zeros with the given sizes.
    zeros, in [TORCH]; out {
        "(int[] size, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=False, bool? requires_grad=False) -> Tensor" =>
            |a| constant("zeros", a, Some(0)),
    }
}
op! {
    /// Returns a tensor of ones with the given sizes.
    ones, in [TORCH]; out {
        "(int[] size, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=False, bool? requires_grad=False) -> Tensor" =>
            |a| constant("ones", a, Some(1)),
    }
}
op! {
    /// Returns a tensor of the given sizes with arbitrary contents.
    empty, in [TORCH]; out {
        "(int[] size, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=False, bool? requires_grad=False, MemoryFormat? memory_format=None) -> Tensor" => |a| {
            let o = Options::at(a, 1);
            let sizes = shape::sizes_of("empty", a.ints(0))?;
            let dtype = o.dtype.unwrap_or_else(default_dtype);
            o.finish(match crate::ops::copy::format_strides(&sizes, a.memory_format(6).unwrap_or(MemoryFormat::Contiguous))? {
                None => Tensor::empty(&sizes, dtype, o.device)?,
                Some(s) => Tensor::empty_strided(&sizes, &s, dtype, o.device)?,
            })
        },
    }
}
op! {
    /// Returns a tensor of the given sizes filled with `fill_value`, whose kind decides the dtype.
    full, in [TORCH]; out {
        "(int[] size, Scalar fill_value, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=False, bool? requires_grad=False) -> Tensor" => |a| {
            let o = Options::at(a, 2);
            let sizes = shape::sizes_of("full", a.ints(0))?;
            let v = a.scalar(1);
            let dtype = o.dtype.unwrap_or_else(|| natural_dtype(v));
            v.check_fits(dtype)?;
            o.finish(Tensor::full(&sizes, v, dtype, o.device)?)
        },
    }
}
op! {
    /// Returns zeros like `input`.
    zeros_like, in [TORCH] {
        "(Tensor input, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=False, bool? requires_grad=False, MemoryFormat? memory_format=None) -> Tensor" =>
            |a| constant_like(a, Some(Scalar::Int(0)), 1),
    }
}
op! {
    /// Returns ones like `input`.
    ones_like, in [TORCH] {
        "(Tensor input, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=False, bool? requires_grad=False, MemoryFormat? memory_format=None) -> Tensor" =>
            |a| constant_like(a, Some(Scalar::Int(1)), 1),
    }
}
op! {
    /// Returns an uninitialised tensor like `input`.
    empty_like, in [TORCH] {
        "(Tensor input, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=False, bool? requires_grad=False, MemoryFormat? memory_format=None) -> Tensor" =>
            |a| constant_like(a, None, 1),
    }
}
op! {
    /// Returns a tensor like `input` filled with `fill_value`.
    full_like, in [TORCH] {
        "(Tensor input, Scalar fill_value, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=False, bool? requires_grad=False, MemoryFormat? memory_format=None) -> Tensor" =>
            |a| constant_like(a, Some(a.scalar(1)), 2),
    }
}

/// The dtype a number alone asks for.
pub fn natural_dtype(v: Scalar) -> DType {
    match v.dtype() {
        DType::F64 => default_dtype(),
        DType::C128 => default_dtype().to_complex(),
        d => d,
    }
}

/// The options of a `new_*` method, which default to those of the tensor at position 0.
fn like(a: &Args, at: usize) -> Options {
    let x = a.tensor(0);
    Options {
        dtype: Some(a.dtype(at).unwrap_or(x.dtype())),
        device: a.device(at + 2).unwrap_or(x.device()),
        requires_grad: a.bool(at + 4),
    }
}

/// A new tensor of the sizes at position 1, with the options of the tensor at position 0.
fn new_constant(op: &str, a: &Args, value: Option<Scalar>, at: usize) -> Result<Tensor> {
    let o = like(a, at);
    let sizes = shape::sizes_of(op, a.ints(1))?;
    let dtype = o.dtype.unwrap_or_else(default_dtype);
    let t = Tensor::empty(&sizes, dtype, o.device)?;
    if let Some(v) = value {
        v.check_fits(dtype)?;
        t.fill(v)?;
    }
    o.finish(t)
}

fn strided(a: &Args, first: usize, o: Options) -> Result<Tensor> {
    let (sizes, strides) = (a.ints(first), a.ints(first + 1));
    crate::check!(
        sizes.len() == strides.len(),
        Runtime,
        "dimensionality of sizes ({}) must match dimensionality of strides ({})",
        sizes.len(),
        strides.len()
    );
    let n = shape::sizes_of("empty_strided", sizes)?;
    crate::check!(
        strides.iter().all(|&s| s >= 0),
        Runtime,
        "Storage size calculation overflowed with sizes={} and strides={}",
        shape::list(sizes),
        shape::list(strides)
    );
    let s: shape::Strides = strides.iter().map(|&s| s as isize).collect();
    o.finish(Tensor::empty_strided(
        &n,
        &s,
        o.dtype.unwrap_or_else(default_dtype),
        o.device,
    )?)
}

/// Uninitialised, with the axes in memory in the given order, outermost first.
fn permuted(a: &Args) -> Result<Tensor> {
    let (sizes, order) = (shape::sizes_of("empty_permuted", a.ints(0))?, a.ints(1));
    crate::check!(
        sizes.len() == order.len(),
        Runtime,
        "Number of dimensions in size does not match the length of the physical_layout; i.e. len(size) = {} is not equal \
         to len(physical_layout) = {}",
        sizes.len(),
        order.len()
    );
    let mut strides: shape::Strides = smallvec::SmallVec::from_elem(0, sizes.len());
    let mut seen = vec![false; sizes.len()];
    let mut step = 1isize;
    for &d in order.iter().rev() {
        crate::check!(
            d >= 0 && (d as usize) < sizes.len(),
            Runtime,
            "Dimension out of range (expected to be between 0 and {}, but got {d} at index 0).  NB: negative dims not \
             currently supported; file an issue if you want it.",
            sizes.len() as i64 - 1
        );
        crate::check!(
            !std::mem::replace(&mut seen[d as usize], true),
            Runtime,
            "Duplicate dim not allowed"
        );
        strides[d as usize] = step;
        step = step.wrapping_mul(sizes[d as usize].max(1) as isize);
    }
    let o = Options::at(a, 2);
    o.finish(Tensor::empty_strided(
        &sizes,
        &strides,
        o.dtype.unwrap_or_else(default_dtype),
        o.device,
    )?)
}

op! {
    /// Returns an uninitialised tensor with the given sizes and strides.
    empty_strided, in [TORCH] {
        "(int[] size, int[] stride, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=False, bool? requires_grad=False) -> Tensor" =>
            |a| strided(a, 0, Options::at(a, 2)),
    }
}
op! {
    /// Returns an uninitialised tensor whose axes lie in memory in the order `physical_layout`, outermost first.
    empty_permuted, in [TORCH] {
        "(int[] size, int[] physical_layout, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=False, bool? requires_grad=False) -> Tensor" =>
            |a| permuted(a),
    }
}
op! {
    /// Returns a 0-d tensor of the default dtype, or of `dtype`.
    scalar_tensor, in [TORCH] {
        "(Scalar s, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=False, bool? requires_grad=False) -> Tensor" => |a| {
            let (o, v) = (Options::at(a, 1), a.scalar(0));
            let dtype = o.dtype.unwrap_or_else(default_dtype);
            v.check_fits(dtype)?;
            o.finish(Tensor::full(&[], v, dtype, o.device)?)
        },
    }
}
op! {
    /// Returns zeros with the tensor's dtype and device.
    new_zeros, in [METHOD] {
        "(Tensor input, int[] size, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=False, bool? requires_grad=False) -> Tensor" =>
            |a| new_constant("new_zeros", a, Some(Scalar::Int(0)), 2),
    }
}
op! {
    /// Returns ones with the tensor's dtype and device.
    new_ones, in [METHOD] {
        "(Tensor input, int[] size, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=False, bool? requires_grad=False) -> Tensor" =>
            |a| new_constant("new_ones", a, Some(Scalar::Int(1)), 2),
    }
}
op! {
    /// Returns an uninitialised tensor with the tensor's dtype and device.
    new_empty, in [METHOD] {
        "(Tensor input, int[] size, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=False, bool? requires_grad=False) -> Tensor" =>
            |a| new_constant("new_empty", a, None, 2),
    }
}
op! {
    /// Returns a tensor filled with `fill_value`, with the tensor's dtype and device.
    new_full, in [METHOD] {
        "(Tensor input, int[] size, Scalar fill_value, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=False, bool? requires_grad=False) -> Tensor" =>
            |a| new_constant("new_full", a, Some(a.scalar(2)), 3),
    }
}
op! {
    /// Returns an uninitialised tensor with the given sizes and strides, and the tensor's dtype and device.
    new_empty_strided, in [METHOD] {
        "(Tensor input, int[] size, int[] stride, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=False, bool? requires_grad=False) -> Tensor" =>
            |a| strided(a, 1, like(a, 3)),
    }
}

pub static ROWS: &[&crate::ops::OpDef] = &[
    &zeros::DEF,
    &ones::DEF,
    &empty::DEF,
    &full::DEF,
    &zeros_like::DEF,
    &ones_like::DEF,
    &empty_like::DEF,
    &full_like::DEF,
    &empty_strided::DEF,
    &empty_permuted::DEF,
    &scalar_tensor::DEF,
    &new_zeros::DEF,
    &new_ones::DEF,
    &new_empty::DEF,
    &new_full::DEF,
    &new_empty_strided::DEF,
];
