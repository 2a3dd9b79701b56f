//! Random tensors: PyTorch's CPU streams, bit for bit.

use super::args::{Args, GeneratorHandle, MemoryFormat};
use super::create::Options;
use crate::autograd::{
    self, Grads, Node, engine::grads, record_not_differentiable, record_stateless,
};
use crate::device::Device;
use crate::dtype::{DType, default_dtype};
use crate::error::Result;
use crate::random::{self, Generator, Real};
use crate::shape::{self, Sizes};
use crate::tensor::Tensor;
use smallvec::SmallVec;
use std::rc::Rc;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

static DEFAULT: OnceLock<GeneratorHandle> = OnceLock::new();

/// The generator that random functions use when none is given; its seed differs from process to process.
pub fn default_generator() -> GeneratorHandle {
    DEFAULT
        .get_or_init(|| {
            let mut g = Generator::default();
            g.seed();
            Arc::new(Mutex::new(g))
        })
        .clone()
}

/// Runs a block with `$T` bound to a floating type; other dtypes are refused in the name of the kernel.
macro_rules! reals {
    ($name:literal, $dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            DType::F16 => {
                type $T = half::f16;
                $body
            }
            DType::BF16 => {
                type $T = half::bf16;
                $body
            }
            DType::F32 => {
                type $T = f32;
                $body
            }
            DType::F64 => {
                type $T = f64;
                $body
            }
            d => crate::bail!(
                NotImplemented,
                "\"{}\" not implemented for '{}'",
                $name,
                d.scalar_name()
            ),
        }
    };
}
pub(super) use reals;

/// As `reals!` for every dtype but the complex ones.
macro_rules! numbers {
    ($name:literal, $dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            DType::Bool => { type $T = bool; $body }
            DType::U8 => { type $T = u8; $body }
            DType::I8 => { type $T = i8; $body }
            DType::I16 => { type $T = i16; $body }
            DType::I32 => { type $T = i32; $body }
            DType::I64 => { type $T = i64; $body }
            DType::U16 => { type $T = u16; $body }
            DType::U32 => { type $T = u32; $body }
            DType::U64 => { type $T = u64; $body }
            d => reals!($name, d, $T => $body),
        }
    };
}

/// The elements of a contiguous CPU tensor that nothing else reads while they are written.
#[allow(clippy::mut_from_ref)]
pub(super) fn elements<T>(t: &Tensor) -> &mut [T] {
    // SAFETY: callers pass contiguous CPU tensors of dtype T, and use one slice of a tensor at a time.
    unsafe { std::slice::from_raw_parts_mut(t.data_ptr() as *mut T, t.numel()) }
}

/// Runs `f` with the generator given, or the default one.
pub(super) fn with_generator<R>(
    handle: Option<GeneratorHandle>,
    f: impl FnOnce(&mut Generator) -> R,
) -> R {
    let handle = handle.unwrap_or_else(default_generator);
    let mut g = handle.lock().unwrap_or_else(PoisonError::into_inner);
    f(&mut g)
}

/// Calls `f` with a contiguous vector that stands for the tensor's elements in memory order.
fn in_memory_order(t: &Tensor, f: impl FnOnce(&Tensor) -> Result<()>) -> Result<()> {
    autograd::no_grad(|| {
        if t.device().is_cpu() && t.is_dense() && t.strides().iter().all(|&s| s >= 0) {
            return f(&t.detach().as_strided(&[t.numel()], &[1], t.offset())?);
        }
        // Drawn on the host in the same order, then moved.
        let host = Tensor::empty_strided(t.sizes(), &t.dense_strides(), t.dtype(), Device::Cpu)?;
        f(&host.as_strided(&[t.numel()], &[1], 0)?)?;
        t.write_from(&host)
    })
}

/// A distribution and its parameters, checked.
#[derive(Clone, Copy)]
pub enum Law {
    Uniform(f64, f64),
    Normal(f64, f64),
    LogNormal(f64, f64),
    Exponential(f64),
    Geometric(f64),
    Cauchy(f64, f64),
    Bernoulli(f64),
    /// Every integer of the type.
    Random,
    /// Integers from the first number up to but without the second; without the second, to the end of the type.
    RandomFrom(i64, Option<i64>),
}

/// C's name of a dtype, as bounds messages have it.
fn c_name(d: DType) -> &'static str {
    match d {
        DType::Bool => "bool",
        DType::U8 => "unsigned char",
        DType::I8 => "signed char",
        DType::I16 => "short",
        DType::I32 => "int",
        DType::I64 => "long",
        DType::U16 => "unsigned short",
        DType::U32 => "unsigned int",
        DType::U64 => "unsigned long",
        DType::F16 => "c10::Half",
        DType::BF16 => "c10::BFloat16",
        DType::F32 => "float",
        DType::F64 => "double",
        DType::C64 => "c10::complex<float>",
        DType::C128 => "c10::complex<double>",
    }
}

/// The smallest and largest value of a dtype.
fn limits(d: DType) -> (f64, f64) {
    match d {
        DType::Bool => (0.0, 1.0),
        DType::U8 => (0.0, u8::MAX as f64),
        DType::I8 => (i8::MIN as f64, i8::MAX as f64),
        DType::I16 => (i16::MIN as f64, i16::MAX as f64),
        DType::I32 => (i32::MIN as f64, i32::MAX as f64),
        DType::I64 => (i64::MIN as f64, i64::MAX as f64),
        DType::U16 => (0.0, u16::MAX as f64),
        DType::U32 => (0.0, u32::MAX as f64),
        DType::U64 => (0.0, u64::MAX as f64),
        DType::F16 => (-65504.0, 65504.0),
        DType::BF16 => (half::bf16::MIN.to_f64(), half::bf16::MAX.to_f64()),
        DType::F32 | DType::C64 => (f32::MIN as f64, f32::MAX as f64),
        DType::F64 | DType::C128 => (f64::MIN, f64::MAX),
    }
}

fn check_limit(what: &str, v: f64, d: DType) -> Result<()> {
    let (lo, hi) = limits(d);
    crate::check!(
        v >= lo && v <= hi,
        Runtime,
        "{what} is out of bounds for {}",
        c_name(d)
    );
    Ok(())
}

impl Law {
    fn name(self) -> &'static str {
        match self {
            Law::Uniform(..) => "UniformBackward0",
            Law::Normal(..) => "NormalBackward0",
            Law::LogNormal(..) => "LogNormalBackward0",
            Law::Exponential(..) => "ExponentialBackward0",
            Law::Geometric(..) => "GeometricBackward0",
            Law::Cauchy(..) => "CauchyBackward0",
            Law::Bernoulli(..) => "BernoulliBackward2",
            Law::RandomFrom(0, Some(_)) => "RandomBackward1",
            Law::RandomFrom(..) => "RandomBackward0",
            Law::Random => "RandomBackward2",
        }
    }

    fn check(self, d: DType) -> Result<()> {
        match self {
            Law::Uniform(from, to) => {
                reals!("check_uniform_bounds", d.to_real(), _T => ());
                check_limit("from", from, d)?;
                check_limit("to", to, d)?;
                crate::check!(
                    from <= to,
                    Runtime,
                    "uniform_ expects to return a [from, to) range, but found from={from} > to={to}"
                );
                crate::check!(
                    to - from <= limits(d).1,
                    Runtime,
                    "uniform_ expects to-from <= std::numeric_limits<{}>::max(), but found to={to} and from={from} which \
                     result in to-from to exceed the limit",
                    d.scalar_name()
                );
            }
            Law::Normal(_, std) => {
                crate::check!(
                    std >= 0.0,
                    Runtime,
                    "normal expects std >= 0.0, but found std {std}"
                )
            }
            Law::LogNormal(_, std) => {
                crate::check!(
                    std > 0.0,
                    Runtime,
                    "log_normal_ expects std > 0.0, but found std={std}"
                )
            }
            Law::Exponential(rate) => {
                crate::check!(
                    d.is_floating(),
                    Runtime,
                    "Exponential distribution is a continuous probability distribution. dtype must be a floating point \
                     but you specified {}",
                    d.scalar_name()
                );
                crate::check!(
                    rate > 0.0,
                    Runtime,
                    "exponential_ expects lambda > 0.0, but found lambda={rate}"
                );
            }
            Law::Geometric(p) => {
                crate::check!(
                    p > 0.0 && p < 1.0,
                    Runtime,
                    "geometric_ expects p to be in (0, 1), but got p={p}"
                )
            }
            Law::Cauchy(_, sigma) => {
                crate::check!(
                    d.is_floating(),
                    Runtime,
                    "Cauchy distribution is a continuous probability distribution. dtype must be a floating point but \
                     you specified {}",
                    c_name(d)
                );
                crate::check!(
                    sigma > 0.0,
                    Runtime,
                    "cauchy_ expects sigma > 0.0, but found sigma={sigma}"
                );
            }
            Law::Bernoulli(p) => crate::check!(
                (0.0..=1.0).contains(&p),
                Runtime,
                "bernoulli_ expects p to be in [0, 1], but got p={p}"
            ),
            Law::RandomFrom(from, to) => {
                if let Some(to) = to {
                    crate::check!(
                        from < to,
                        Runtime,
                        "random_ expects 'from' to be less than 'to', but got from={from} >= to={to}"
                    );
                }
                crate::check!(
                    !d.is_complex(),
                    Runtime,
                    "check_random_bounds handles only integral, floating-point and boolean types"
                );
                check_limit("from", from as f64, d)?;
                if let Some(to) = to {
                    check_limit("to - 1", (to as i128 - 1) as f64, d)?;
                }
            }
            Law::Random => {}
        }
        Ok(())
    }

    /// Draws into a contiguous vector; `plain` tells whether the tensor it stands for is contiguous.
    fn draw(self, g: &mut Generator, flat: &Tensor, plain: bool) -> Result<()> {
        let d = flat.dtype();
        if d.is_complex() {
            // Real and imaginary parts in turn, as the memory lies.
            let real = flat.view_as_real()?.reshape(&[-1])?;
            return match self {
                Law::Uniform(..) => self.draw(g, &real, plain),
                Law::Normal(mean, std) => {
                    Law::Normal(0.0, std / std::f64::consts::SQRT_2).draw(g, &real, plain)?;
                    if mean != 0.0 {
                        flat.write_from(&flat.add_number(mean)?)
                    } else {
                        Ok(())
                    }
                }
                _ => self.draw_real(g, flat, plain),
            };
        }
        self.draw_real(g, flat, plain)
    }

    fn draw_real(self, g: &mut Generator, t: &Tensor, plain: bool) -> Result<()> {
        let d = t.dtype();
        match self {
            Law::Uniform(from, to) => {
                reals!("check_uniform_bounds", d, T => random::uniform::<T>(g, elements(t), from, to))
            }
            Law::Normal(mean, std) => reals!("normal_kernel_cpu", d, T => {
                if plain { random::normal::<T>(g, elements(t), mean, std) } else { random::normal_scalar::<T>(g, elements(t), mean, std) }
            }),
            Law::LogNormal(mean, std) => {
                reals!("log_normal_cpu", d, T => random::log_normal::<T>(g, elements(t), mean, std))
            }
            Law::Exponential(rate) => {
                reals!("exponential_cpu", d, T => random::exponential::<T>(g, elements(t), rate))
            }
            Law::Cauchy(median, sigma) => {
                reals!("cauchy_cpu", d, T => random::cauchy::<T>(g, elements(t), median, sigma))
            }
            Law::Geometric(p) => {
                crate::check!(
                    d != DType::Bool,
                    NotImplemented,
                    "\"geometric_cpu\" not implemented for 'Bool'"
                );
                numbers!("geometric_cpu", d, T => random::geometric::<T>(g, elements(t), p))
            }
            Law::Bernoulli(p) => {
                numbers!("bernoulli_scalar_cpu_", d, T => random::bernoulli::<T>(g, elements(t), p))
            }
            Law::Random => {
                numbers!("random_kernel_cpu", d, T => random::random::<T>(g, elements(t)))
            }
            Law::RandomFrom(i64::MIN, None) => {
                numbers!("random_kernel_cpu", d, T => random::random_full::<T>(g, elements(t)))
            }
            Law::RandomFrom(from, to) => numbers!("random_kernel_cpu", d, T => {
                use random::Element;
                let digits = <T as Element>::SIGNIFICAND;
                let (low, range) = match to {
                    Some(to) => {
                        let (low, high) = random::representable_bounds::<T>(from, to);
                        crate::check!(
                            low < high,
                            Runtime,
                            "random_ expects 'from' casted to dtype to be less than 'to' casted to dtype, but got \
                             from={low} >= to={high}"
                        );
                        (low, high.wrapping_sub(low) as u64)
                    }
                    None => {
                        let last = if digits > 0 { 1i64 << digits } else { <T as Element>::MAX_I64 };
                        let (low, _) = random::representable_bounds::<T>(from, last);
                        (low, (last.wrapping_sub(low) as u64).wrapping_add(1))
                    }
                };
                random::random_from::<T>(g, elements(t), low, range)
            }),
        }
        Ok(())
    }

    /// Draws from the device's own stream.
    #[cfg(feature = "gpu")]
    fn fill_on_device(self, t: &Tensor) -> Result<()> {
        use crate::gpu::{Law as There, random};
        let name = match self {
            Law::Uniform(..) => "uniform_",
            Law::Normal(..) => "normal_",
            Law::LogNormal(..) => "log_normal_",
            Law::Exponential(..) => "exponential_",
            Law::Geometric(..) => "geometric_",
            Law::Cauchy(..) => "cauchy_",
            Law::Bernoulli(..) => "bernoulli_",
            Law::Random | Law::RandomFrom(..) => "random_",
        };
        let integers = matches!(self, Law::Bernoulli(..) | Law::RandomFrom(..));
        crate::check!(
            integers || t.dtype().is_floating(),
            NotImplemented,
            "\"{name}\" not implemented for '{}' on {}",
            t.dtype().scalar_name(),
            t.device()
        );
        let fresh = |law| {
            let out = Tensor::empty(t.sizes(), t.dtype(), t.device())?;
            random(name, &out, law)?;
            Ok::<_, crate::error::Error>(out)
        };
        match self {
            Law::Uniform(low, high) => random(name, t, There::Uniform { low, high }),
            Law::Normal(mean, std) => random(name, t, There::Normal { mean, std }),
            Law::LogNormal(mean, std) => t.write_from(&fresh(There::Normal { mean, std })?.exp()?),
            Law::Exponential(rate) => {
                // Never zero, so that a logarithm may follow.
                let tiny = f64::from(f32::MIN_POSITIVE);
                let u = fresh(There::Uniform {
                    low: 0.0,
                    high: 1.0,
                })?;
                t.write_from(&u.neg()?.log1p()?.div_scalar(-rate)?.add_number(tiny)?)
            }
            Law::Bernoulli(p) => random(name, t, There::Bernoulli { p }),
            Law::RandomFrom(low, Some(high))
                if !t.dtype().is_floating() && (high as i128 - low as i128) < (1i128 << 32) =>
            {
                random(
                    name,
                    t,
                    There::Integers {
                        low,
                        count: (high - low) as u32,
                    },
                )
            }
            _ => t.need_cpu(name),
        }
    }

    /// Fills a tensor's memory; no history, no version.
    pub fn fill(self, t: &Tensor, generator: Option<GeneratorHandle>) -> Result<()> {
        self.check(t.dtype())?;
        #[cfg(feature = "gpu")]
        if !t.device().is_cpu() {
            crate::check!(
                generator.is_none(),
                Runtime,
                "Expected a 'gpu' device type for generator but found 'cpu'"
            );
            return autograd::no_grad(|| self.fill_on_device(&t.detach()));
        }
        let plain = t.is_contiguous();
        with_generator(generator, |g| {
            in_memory_order(t, |flat| self.draw(g, flat, plain))
        })
    }

    /// Over a tensor, whose history ends here.
    pub fn fill_in_place(self, t: &Tensor, generator: Option<GeneratorHandle>) -> Result<Tensor> {
        let grad = autograd::needs_grad(&[t]);
        autograd::inplace::check(t, grad)?;
        self.fill(t, generator)?;
        t.bump();
        if grad {
            forget(t, self.name())?;
        }
        Ok(t.clone())
    }
}

/// The values no longer depend on what they were: gradients of the past are zero.
fn forget(t: &Tensor, name: &'static str) -> Result<()> {
    match t.view_of() {
        None => {
            let node = Node::new(
                name,
                &[t],
                false,
                Rc::new(|g: &Grads| grads([Some(zeros_of(g)?)])),
            );
            node.add_output(t);
            t.set_grad_fn(node, 0);
        }
        Some(_) => autograd::inplace::adopt(t, &t.detach()),
    }
    Ok(())
}

fn zeros_of(g: &Grads) -> Result<Tensor> {
    let g = g.get(0)?;
    Tensor::zeros(g.sizes(), g.dtype(), g.device())
}

// ---- new tensors

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
fn factory(a: &Args, at: usize, law: Law, dtype: DType) -> Result<Tensor> {
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
        f => match super::copy::format_strides(x.sizes(), f)? {
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
        match dtype {
            DType::U8 => "uint8_t",
            DType::I8 => "int8_t",
            DType::I16 => "int16_t",
            DType::I32 => "int",
            d => c_name(d),
        }
    );
    let t = Tensor::empty(&sizes, dtype, Device::Cpu)?;
    with_generator(generator, |g| -> Result<()> {
        numbers!("randperm", dtype, T => random::permutation::<T>(g, elements(&t)));
        Ok(())
    })?;
    o.finish(t.to_device(o.device)?)
}

/// `normal` with a tensor among its parameters.
fn normal_of(
    mean: &Tensor,
    std: &Tensor,
    like: &Tensor,
    generator: Option<GeneratorHandle>,
    name: &'static str,
) -> Result<Tensor> {
    crate::check!(
        !mean.dtype().is_complex() || !autograd::needs_grad(&[mean, std]),
        Runtime,
        "normal does not support automatic differentiation for outputs with complex dtype."
    );
    crate::check!(
        !std.dtype().is_complex(),
        Runtime,
        "normal expects standard deviation to be non-complex"
    );
    let out = autograd::no_grad(|| -> Result<Tensor> {
        if std.is_wrapped() {
            let s = std.item()?.to_f64();
            crate::check!(
                s >= 0.0,
                Runtime,
                "normal expects std >= 0.0, but found std {s}"
            );
        } else {
            let low = std
                .detach()
                .lt(&Tensor::wrapped(0)?)?
                .any()?
                .item()?
                .to_bool();
            crate::check!(!low, Runtime, "normal expects all elements of std >= 0.0");
        }
        let sizes = shape::broadcast(mean.sizes(), std.sizes())?;
        let t = Tensor::empty(&sizes, like.dtype(), like.device())?;
        Law::Normal(0.0, 1.0).fill(&t, generator)?;
        let d = t.dtype();
        t.mul(&std.detach())?
            .to_dtype(d)?
            .add(&mean.detach())?
            .to_dtype(d)
    })?;
    if autograd::needs_grad(&[mean, std]) {
        let sizes: [Sizes; 2] = [
            SmallVec::from_slice(mean.sizes()),
            SmallVec::from_slice(std.sizes()),
        ];
        let dtypes = [mean.dtype(), std.dtype()];
        record_stateless(name, &[mean, std], &[&out], move |g| {
            let zeros = |i: usize| g.when(i, || Tensor::zeros(&sizes[i], dtypes[i], Device::Cpu));
            grads([zeros(0)?, zeros(1)?])
        });
    }
    Ok(out)
}

/// Records that a draw does not depend on its parameters smoothly: their gradients are zero.
fn record_zero(name: &'static str, x: &Tensor, out: &Tensor) {
    if autograd::needs_grad(&[x]) {
        record_stateless(name, &[x], &[out], |g| grads([Some(zeros_of(g)?)]));
    }
}

fn contiguous_data(x: &Tensor) -> Result<Tensor> {
    autograd::no_grad(|| x.detach().to_device(Device::Cpu)?.contiguous())
}

/// One (true) with the probability each element of `p` gives, into a contiguous tensor.
fn bernoulli_into(out: &Tensor, p: &Tensor, generator: Option<GeneratorHandle>) -> Result<()> {
    let p = contiguous_data(p)?;
    with_generator(generator, |g| {
        reals!("bernoulli_tensor_cpu_p_", p.dtype(), P => {
            let p = p.as_slice::<P>()?;
            let valid = p.iter().all(|&v| (0.0..=1.0).contains(&v.to_f64()));
            crate::check!(valid, Runtime, "Expected p_in >= 0 && p_in <= 1 to be true, but got false. Give probabilities between 0 and 1");
            numbers!("bernoulli_tensor_cpu_self_", out.dtype(), T => random::bernoulli_each::<T, P>(g, elements(out), p))
        });
        Ok(())
    })
}

fn bernoulli(p: &Tensor, generator: Option<GeneratorHandle>) -> Result<Tensor> {
    let out = Tensor::empty(p.sizes(), p.dtype(), Device::Cpu)?;
    bernoulli_into(&out, p, generator)?;
    let out = out.to_device(p.device())?;
    record_zero("BernoulliBackward0", p, &out);
    Ok(out)
}

fn bernoulli_tensor_(t: &Tensor, p: &Tensor, generator: Option<GeneratorHandle>) -> Result<Tensor> {
    let grad = autograd::needs_grad(&[t]);
    autograd::inplace::check(t, grad)?;
    // Axes in the order they lie in memory.
    let strides = t.dense_strides();
    let mut order: SmallVec<[i64; 6]> = (0..t.ndim() as i64).collect();
    order.sort_by_key(|&d| std::cmp::Reverse(strides[d as usize]));
    autograd::no_grad(|| -> Result<()> {
        let target = t.detach().permute(&order)?;
        let out = Tensor::empty(target.sizes(), t.dtype(), Device::Cpu)?;
        bernoulli_into(
            &out,
            &p.detach().expand_to(t.sizes())?.permute(&order)?,
            generator,
        )?;
        target.write_from(&out)
    })?;
    t.bump();
    if grad {
        forget(t, "BernoulliBackward1")?;
    }
    Ok(t.clone())
}

fn multinomial(
    p: &Tensor,
    count: i64,
    replacement: bool,
    generator: Option<GeneratorHandle>,
) -> Result<Tensor> {
    crate::check!(
        p.ndim() == 1 || p.ndim() == 2,
        Runtime,
        "prob_dist must be 1 or 2 dim"
    );
    crate::check!(
        p.dtype().is_floating(),
        Runtime,
        "multinomial only supports floating-point dtypes for input, got: {}",
        p.dtype().scalar_name()
    );
    crate::check!(count > 0, Runtime, "cannot sample n_sample <= 0 samples");
    let n = p.sizes()[p.ndim() - 1];
    let k = count as usize;
    crate::check!(
        replacement || k <= n,
        Runtime,
        "cannot sample n_sample > prob_dist.size(-1) samples without replacement"
    );
    crate::check!(
        n <= 1 << 24,
        Runtime,
        "number of categories cannot exceed 2^24"
    );
    let rows = if p.ndim() == 2 { p.sizes()[0] } else { 1 };
    let mut sizes: Sizes = SmallVec::from_slice(p.sizes());
    sizes[p.ndim() - 1] = k;
    let out = Tensor::empty(&sizes, DType::I64, Device::Cpu)?;
    let weights = contiguous_data(p)?;
    with_generator(generator, |g| -> Result<()> {
        reals!("multinomial", weights.dtype(), T => {
            let w = weights.as_slice::<T>()?;
            let drawn = elements::<i64>(&out);
            let valid = w.iter().all(|v| v.to_f64() >= 0.0 && v.to_f64().is_finite());
            crate::check!(valid, Runtime, "probability tensor contains either `inf`, `nan` or element < 0");
            for row in w.chunks(n.max(1)).take(rows) {
                let sum: f64 = row.iter().map(|v| v.to_f64()).sum();
                crate::check!(sum > 0.0, Runtime, "invalid multinomial distribution (sum of probabilities <= 0)");
            }
            if replacement && k > 1 {
                for (row, out) in w.chunks(n.max(1)).zip(drawn.chunks_mut(k)) {
                    random::multinomial::<T>(g, out, row);
                }
            } else {
                let mut q = vec![<T as random::Element>::from_f64(0.0); w.len()];
                random::exponential::<T>(g, &mut q, 1.0);
                for ((row, q), out) in w.chunks(n.max(1)).zip(q.chunks(n.max(1))).zip(drawn.chunks_mut(k)) {
                    let score: Vec<f64> = row.iter().zip(q)
                        .map(|(p, q)| <T as random::Element>::from_f64(p.to_f64() / q.to_f64()).to_f64())
                        .collect();
                    let mut order: Vec<usize> = (0..n).collect();
                    order.sort_by(|&a, &b| score[b].total_cmp(&score[a]));
                    for (slot, i) in out.iter_mut().zip(order) {
                        *slot = i as i64;
                    }
                }
            }
        });
        Ok(())
    })?;
    out.to_device(p.device())
}

fn poisson(rate: &Tensor, generator: Option<GeneratorHandle>) -> Result<Tensor> {
    let out = Tensor::empty(rate.sizes(), rate.dtype(), Device::Cpu)?;
    let rates = contiguous_data(rate)?;
    with_generator(generator, |g| -> Result<()> {
        reals!("poisson_cpu", rates.dtype(), T => {
            let rates = rates.as_slice::<T>()?;
            crate::check!(
                rates.iter().all(|r| r.to_f64() >= 0.0),
                Runtime,
                "invalid Poisson rate, expected rate to be non-negative"
            );
            random::poisson::<T>(g, elements(&out), rates)
        });
        Ok(())
    })?;
    let out = out.to_device(rate.device())?;
    record_zero("PoissonBackward0", rate, &out);
    Ok(out)
}

fn binomial(count: &Tensor, prob: &Tensor, generator: Option<GeneratorHandle>) -> Result<Tensor> {
    for (t, what) in [(count, "count"), (prob, "prob")] {
        crate::check!(
            t.dtype().is_floating(),
            Value,
            "binomial only supports floating-point dtypes for {what}, got: {}",
            t.dtype().scalar_name()
        );
    }
    let dtype = crate::dtype::promote_types(count.dtype(), prob.dtype())?;
    let sizes = shape::broadcast(count.sizes(), prob.sizes())?;
    let out = Tensor::empty(&sizes, dtype, Device::Cpu)?;
    let fit = |t: &Tensor| -> Result<Tensor> {
        autograd::no_grad(|| contiguous_data(&t.detach().expand_to(&sizes)?.to_dtype(dtype)?))
    };
    let (n, p) = (fit(count)?, fit(prob)?);
    with_generator(generator, |g| -> Result<()> {
        reals!("binomial_cpu", dtype, T => random::binomial::<T>(g, elements(&out), n.as_slice::<T>()?, p.as_slice::<T>()?));
        Ok(())
    })?;
    let out = out.to_device(count.device())?;
    if autograd::needs_grad(&[count, prob]) {
        record_not_differentiable("binomial", &[count, prob], &[&out]);
    }
    Ok(out)
}

fn standard_gamma(alpha: &Tensor, generator: Option<GeneratorHandle>) -> Result<Tensor> {
    let out = Tensor::empty(alpha.sizes(), alpha.dtype(), Device::Cpu)?;
    let shapes = contiguous_data(alpha)?;
    with_generator(generator, |g| -> Result<()> {
        reals!("gamma_cpu", alpha.dtype(), T => random::standard_gamma::<T>(g, elements(&out), shapes.as_slice::<T>()?));
        Ok(())
    })?;
    if autograd::needs_grad(&[alpha]) {
        record_not_differentiable("_standard_gamma", &[alpha], &[&out]);
    }
    Ok(out)
}

fn dirichlet(alpha: &Tensor, generator: Option<GeneratorHandle>) -> Result<Tensor> {
    let out = Tensor::empty(alpha.sizes(), alpha.dtype(), Device::Cpu)?;
    let shapes = contiguous_data(alpha)?;
    let categories = alpha.sizes().last().copied().unwrap_or(1);
    with_generator(generator, |g| -> Result<()> {
        reals!("dirichlet", alpha.dtype(), T => random::dirichlet::<T>(g, elements(&out), shapes.as_slice::<T>()?, categories));
        Ok(())
    })?;
    if autograd::needs_grad(&[alpha]) {
        record_not_differentiable("_sample_dirichlet", &[alpha], &[&out]);
    }
    Ok(out)
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
op! {
    /// Returns normal random numbers with a mean and a standard deviation per element, or of a given size.
    ///
    /// Args:
    ///     mean: a tensor, or a number if `std` is a tensor or a size is given.
    ///     std: a tensor or a number. Default: 1.
    ///     size: shape of the result where both are numbers.
    normal, in [TORCH]; out {
        "(Tensor mean, Tensor std, *, Generator? generator=None) -> Tensor" => |a| {
            let (m, s) = (a.tensor(0), a.tensor(1));
            normal_of(&m, &s, &m, a.generator(2), "NormalBackward3")
        },
        "(Tensor mean, float std=1, *, Generator? generator=None) -> Tensor" => |a| {
            let m = a.tensor(0);
            normal_of(&m, &Tensor::wrapped(a.float(1))?, &m, a.generator(2), "NormalBackward1")
        },
        "(float mean, Tensor std, *, Generator? generator=None) -> Tensor" => |a| {
            let s = a.tensor(1);
            normal_of(&Tensor::wrapped(a.float(0))?, &s, &s, a.generator(2), "NormalBackward2")
        },
        "(float mean, float std, int[] size, *, Generator? generator=None, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=False, bool? requires_grad=False) -> Tensor" =>
            |a| factory(a, 2, Law::Normal(a.float(0), a.float(1)), default_dtype()),
    }
}
op! {
    /// Returns ones with the probabilities `input` gives, or with probability `p` in the shape of `input`; zeros elsewhere.
    bernoulli, in [TORCH, METHOD]; out {
        "(Tensor input, *, Generator? generator=None) -> Tensor" => |a| bernoulli(&a.tensor(0), a.generator(1)),
        "(Tensor input, float p, *, Generator? generator=None) -> Tensor" => |a| {
            let x = a.tensor(0);
            let t = x.empty_like(x.dtype())?;
            Law::Bernoulli(a.float(1)).fill(&t, a.generator(2))?;
            Ok(t)
        },
    }
}
op! {
    /// Fills this tensor with ones of probability `p`, a number or a tensor, and zeros.
    bernoulli_, in [METHOD] {
        "(Tensor input, Tensor p, *, Generator? generator=None) -> Tensor" =>
            |a| bernoulli_tensor_(&a.tensor(0), &a.tensor(1), a.generator(2)),
        "(Tensor input, float p=0.5, *, Generator? generator=None) -> Tensor" =>
            |a| Law::Bernoulli(a.float(1)).fill_in_place(&a.tensor(0), a.generator(2)),
    }
}
op! {
    /// Returns indices drawn from the categories whose weights the rows of `input` give.
    ///
    /// Args:
    ///     input: weights (categories) or (rows, categories), not negative.
    ///     num_samples: draws per row.
    ///     replacement: whether a category may come more than once. Default: False.
    multinomial, in [TORCH, METHOD]; out {
        "(Tensor input, int num_samples, bool replacement=False, *, Generator? generator=None) -> Tensor" =>
            |a| multinomial(&a.tensor(0), a.int(1), a.bool(2), a.generator(3)),
    }
}
op! {
    /// Returns Poisson numbers with the rates `input` gives.
    poisson, in [TORCH] {
        "(Tensor input, Generator? generator=None) -> Tensor" => |a| poisson(&a.tensor(0), a.generator(1)),
    }
}
op! {
    /// Returns how many of `count` trials of probability `prob` succeed.
    binomial, in [TORCH] {
        "(Tensor count, Tensor prob, Generator? generator=None) -> Tensor" =>
            |a| binomial(&a.tensor(0), &a.tensor(1), a.generator(2)),
    }
}
op! {
    /// Returns gamma numbers of scale one with the shapes `input` gives.
    _standard_gamma, in [TORCH] {
        "(Tensor input, Generator? generator=None) -> Tensor" => |a| standard_gamma(&a.tensor(0), a.generator(1)),
    }
}
op! {
    /// Returns Dirichlet vectors whose concentrations the last axis of `input` gives.
    _sample_dirichlet, in [TORCH] {
        "(Tensor input, Generator? generator=None) -> Tensor" => |a| dirichlet(&a.tensor(0), a.generator(1)),
    }
}
op! {
    /// Fills this tensor with uniform random numbers from [from, to).
    uniform_, in [METHOD] {
        "(Tensor input, float from=0, float to=1, *, Generator? generator=None) -> Tensor" =>
            |a| Law::Uniform(a.float(1), a.float(2)).fill_in_place(&a.tensor(0), a.generator(3)),
    }
}
op! {
    /// Fills this tensor with normal random numbers.
    normal_, in [METHOD] {
        "(Tensor input, float mean=0, float std=1, *, Generator? generator=None) -> Tensor" =>
            |a| Law::Normal(a.float(1), a.float(2)).fill_in_place(&a.tensor(0), a.generator(3)),
    }
}
op! {
    /// Fills this tensor with numbers whose logarithm is normal.
    log_normal_, in [METHOD] {
        "(Tensor input, float mean=1, float std=2, *, Generator? generator=None) -> Tensor" =>
            |a| Law::LogNormal(a.float(1), a.float(2)).fill_in_place(&a.tensor(0), a.generator(3)),
    }
}
op! {
    /// Fills this tensor with exponential random numbers of rate `lambd`.
    exponential_, in [METHOD] {
        "(Tensor input, float lambd=1, *, Generator? generator=None) -> Tensor" =>
            |a| Law::Exponential(a.float(1)).fill_in_place(&a.tensor(0), a.generator(2)),
    }
}
op! {
    /// Fills this tensor with the number of trials of probability `p` up to the first success.
    geometric_, in [METHOD] {
        "(Tensor input, float p, *, Generator? generator=None) -> Tensor" =>
            |a| Law::Geometric(a.float(1)).fill_in_place(&a.tensor(0), a.generator(2)),
    }
}
op! {
    /// Fills this tensor with Cauchy random numbers.
    cauchy_, in [METHOD] {
        "(Tensor input, float median=0, float sigma=1, *, Generator? generator=None) -> Tensor" =>
            |a| Law::Cauchy(a.float(1), a.float(2)).fill_in_place(&a.tensor(0), a.generator(3)),
    }
}
op! {
    /// Fills this tensor with random integers: of the whole type, below `to`, or from `from` on.
    random_, in [METHOD] {
        "(Tensor input, *, Generator? generator=None) -> Tensor" =>
            |a| Law::Random.fill_in_place(&a.tensor(0), a.generator(1)),
        "(Tensor input, int to, *, Generator? generator=None) -> Tensor" =>
            |a| Law::RandomFrom(0, Some(a.int(1))).fill_in_place(&a.tensor(0), a.generator(2)),
        "(Tensor input, int from, int? to, *, Generator? generator=None) -> Tensor" =>
            |a| Law::RandomFrom(a.int(1), a.opt_int(2)).fill_in_place(&a.tensor(0), a.generator(3)),
    }
}

pub static ROWS: &[&crate::ops::OpDef] = &[
    &rand::DEF,
    &randn::DEF,
    &randint::DEF,
    &rand_like::DEF,
    &randn_like::DEF,
    &randint_like::DEF,
    &randperm::DEF,
    &normal::DEF,
    &bernoulli::DEF,
    &bernoulli_::DEF,
    &multinomial::DEF,
    &poisson::DEF,
    &binomial::DEF,
    &_standard_gamma::DEF,
    &_sample_dirichlet::DEF,
    &uniform_::DEF,
    &normal_::DEF,
    &log_normal_::DEF,
    &exponential_::DEF,
    &geometric_::DEF,
    &cauchy_::DEF,
    &random_::DEF,
];
