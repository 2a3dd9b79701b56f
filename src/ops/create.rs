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
        MemoryFormat::Preserve if !x.is_contiguous() => Tensor::empty_strided(x.sizes(), &x.dense_strides(), dtype, device)?,
        f => match crate::ops::copy::format_strides(x.sizes(), f)? {
            Some(s) => Tensor::empty_strided(x.sizes(), &s, dtype, device)?,
            None => Tensor::empty(x.sizes(), dtype, device)?,
        },
    };
    if let Some(v) = value {
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

/// The number of steps from `start` to `end`.
fn arange_len(start: Scalar, end: Scalar, step: Scalar) -> Result<usize> {
    let (s, e, d) = (start.to_f64(), end.to_f64(), step.to_f64());
    crate::check!(d != 0.0, Runtime, "step must be nonzero");
    crate::check!(s.is_finite() && e.is_finite(), Runtime, "unsupported range: {s} -> {e}");
    crate::check!(
        (d > 0.0 && e >= s) || (d < 0.0 && e <= s),
        Runtime,
        "upper bound and lower bound inconsistent with step sign"
    );
    let n = match (start, end, step) {
        (Scalar::Int(s), Scalar::Int(e), Scalar::Int(d)) => {
            let span = (e as i128 - s as i128).unsigned_abs();
            let d = (d as i128).unsigned_abs();
            span.div_ceil(d) as f64
        }
        _ => ((e - s) / d).ceil(),
    };
    crate::check!(n >= 0.0 && n < 9.0e18, Runtime, "invalid size, possible overflow?");
    Ok(n as usize)
}

fn arange_of(start: Scalar, end: Scalar, step: Scalar, o: Options) -> Result<Tensor> {
    let integral = [start, end, step].iter().all(|s| s.is_integral());
    let dtype = o.dtype.unwrap_or(if integral { DType::I64 } else { default_dtype() });
    let n = arange_len(start, end, step)?;
    let t = Tensor::empty(&[n], dtype, Device::Cpu)?;
    crate::check!(!dtype.is_complex() && dtype != DType::Bool, NotImplemented, "\"arange_cpu\" not implemented for '{}'", dtype.scalar_name());
    let exact = dtype.is_integer();
    crate::dispatch!(dtype, T => {
        use crate::scalar::Element;
        let p = t.data_ptr() as *mut T;
        for i in 0..n {
            let v = if exact {
                T::from_scalar(Scalar::Int(start.to_i64().wrapping_add(step.to_i64().wrapping_mul(i as i64))))
            } else {
                T::from_f64(start.to_f64() + step.to_f64() * i as f64)
            };
            // SAFETY: `t` holds `n` elements of T.
            unsafe { p.add(i).write(v) };
        }
    });
    o.finish(t.to_device(o.device)?)
}

op! {
    /// Returns the values from `start` up to but without `end` in steps of `step`.
    arange, in [TORCH]; out {
        "(Scalar end, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=False, bool? requires_grad=False) -> Tensor" =>
            |a| arange_of(Scalar::Int(0), a.scalar(0), Scalar::Int(1), Options::at(a, 1)),
        "(Scalar start, Scalar end, Scalar step=1, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=False, bool? requires_grad=False) -> Tensor" =>
            |a| arange_of(a.scalar(0), a.scalar(1), a.scalar(2), Options::at(a, 3)),
    }
}

pub static ROWS: &[&crate::ops::OpDef] = &[
    &zeros::DEF, &ones::DEF, &empty::DEF, &full::DEF, &zeros_like::DEF, &ones_like::DEF, &empty_like::DEF,
    &full_like::DEF, &arange::DEF,
];
