//! New tensors of random numbers.

use super::law::{Law, limits};
use super::{elements, with_generator};
use crate::device::Device;
use crate::dtype::{DType, default_dtype};
use crate::error::Result;
use crate::ops::args::{Args, GeneratorHandle, MemoryFormat};
use crate::ops::create::Options;
use crate::random;
use crate::shape::{self, Sizes};
use crate::tensor::Tensor;

fn sizes_of(sizes: &[i64]) -> Result<Sizes> {
    for &s in sizes {
        crate::check!(
            s >= 0,
            Runtime,
            "Trying to create tensor with negative dimension {s}: {}",
            shape::list(sizes)
        );
    }
    Ok(sizes.iter().map(|&s| s as usize).collect())
}

/// A new tensor: sizes at `at`, generator after it, options after that.
pub(super) fn factory(a: &Args, at: usize, law: Law, dtype: DType) -> Result<Tensor> {
    let o = Options::at(a, at + 2);
    let t = Tensor::empty(&sizes_of(a.ints(at))?, o.dtype.unwrap_or(dtype), o.device)?;
    law.fill(&t, a.generator(at + 1))?;
    o.finish(t)
}

/// A new tensor like the first argument: generator at `at`, options and memory format after it.
fn factory_like(a: &Args, at: usize, law: Law) -> Result<Tensor> {
    let x = a.tensor(0);
    let o = Options::at(a, at + 1);
    let dtype = o.dtype.unwrap_or(x.dtype());
    let device = a.device(at + 3).unwrap_or(x.device());
    let t = match a.memory_format(at + 6).unwrap_or(MemoryFormat::Preserve) {
        MemoryFormat::Preserve if !x.is_contiguous() => {
            Tensor::empty_strided(x.sizes(), &x.dense_strides(), dtype, device)?
        }
        f => match crate::ops::copy::format_strides(x.sizes(), f)? {
            Some(s) => Tensor::empty_strided(x.sizes(), &s, dtype, device)?,
            None => Tensor::empty(x.sizes(), dtype, device)?,
        },
    };
    law.fill(&t, a.generator(at))?;
    o.finish(t)
}

fn randperm(n: i64, generator: Option<GeneratorHandle>, o: Options) -> Result<Tensor> {
    let sizes = sizes_of(&[n])?;
    let dtype = o.dtype.unwrap_or(DType::I64);
    crate::check!(
        dtype != DType::Bool && !dtype.is_complex(),
        NotImplemented,
        "\"randperm\" not implemented for '{}'",
        dtype.scalar_name()
    );
    let top = match dtype {
        DType::F16 => 2049.0,
        DType::BF16 => 257.0,
        DType::F32 => 16_777_217.0,
        DType::F64 => 9_007_199_254_740_993.0,
        d => limits(d).1,
    };
    crate::check!(
        n as f64 <= top,
        Runtime,
        "value cannot be converted to type {} without overflow",
        dtype.c_name()
    );
    let t = Tensor::empty(&sizes, dtype, Device::Cpu)?;
    with_generator(generator, |g| -> Result<()> {
        crate::dispatch_of!("randperm", dtype, ordered, T => random::permutation::<T>(g, elements(&t)));
        Ok(())
    })?;
    o.finish(t.to_device(o.device)?)
}
op! {
    /// Returns uniform random numbers from [0, 1).
    ///
    /// Args:
    ///     size: ints or a tuple of ints.
    ///     generator: the source of random numbers. Default: the default generator.
    rand, in [TORCH]; out {
        "(int[] size, *, Generator? generator=None, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=False, bool? requires_grad=False) -> Tensor" =>
            |a| factory(a, 0, Law::Uniform(0.0, 1.0), default_dtype()),
    }
}
op! {
    /// Returns random numbers from the standard normal distribution.
    ///
    /// Args:
    ///     size: ints or a tuple of ints.
    ///     generator: the source of random numbers. Default: the default generator.
    randn, in [TORCH]; out {
        "(int[] size, *, Generator? generator=None, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=False, bool? requires_grad=False) -> Tensor" =>
            |a| factory(a, 0, Law::Normal(0.0, 1.0), default_dtype()),
    }
}
op! {
    /// Returns random integers from `low` (default 0) up to but without `high`, int64 unless a dtype is given.
    randint, in [TORCH]; out {
        "(int high, int[] size, *, Generator? generator=None, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=False, bool? requires_grad=False) -> Tensor" =>
            |a| factory(a, 1, Law::RandomFrom(0, Some(a.int(0))), DType::I64),
        "(int low, int high, int[] size, *, Generator? generator=None, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=False, bool? requires_grad=False) -> Tensor" =>
            |a| factory(a, 2, Law::RandomFrom(a.int(0), Some(a.int(1))), DType::I64),
    }
}
op! {
    /// Returns uniform random numbers from [0, 1) like `input` in shape, dtype and device.
    rand_like, in [TORCH] {
        "(Tensor input, *, Generator? generator=None, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=False, bool? requires_grad=False, MemoryFormat? memory_format=None) -> Tensor" =>
            |a| factory_like(a, 1, Law::Uniform(0.0, 1.0)),
    }
}
op! {
    /// Returns random numbers from the standard normal distribution like `input` in shape, dtype and device.
    randn_like, in [TORCH] {
        "(Tensor input, *, Generator? generator=None, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=False, bool? requires_grad=False, MemoryFormat? memory_format=None) -> Tensor" =>
            |a| factory_like(a, 1, Law::Normal(0.0, 1.0)),
    }
}
op! {
    /// Returns random integers from `low` (default 0) up to but without `high`, like `input` in shape, dtype and device.
    randint_like, in [TORCH] {
        "(Tensor input, int high, *, Generator? generator=None, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=False, bool? requires_grad=False, MemoryFormat? memory_format=None) -> Tensor" =>
            |a| factory_like(a, 2, Law::RandomFrom(0, Some(a.int(1)))),
        "(Tensor input, int low, int high, *, Generator? generator=None, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=False, bool? requires_grad=False, MemoryFormat? memory_format=None) -> Tensor" =>
            |a| factory_like(a, 3, Law::RandomFrom(a.int(1), Some(a.int(2)))),
    }
}
op! {
    /// Returns a random permutation of the integers from 0 to n - 1.
    randperm, in [TORCH]; out {
        "(int n, *, Generator? generator=None, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=False, bool? requires_grad=False) -> Tensor" =>
            |a| randperm(a.int(0), a.generator(1), Options::at(a, 2)),
    }
}
