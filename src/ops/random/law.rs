//! Distributions with numbers for parameters: checked for a dtype, and drawn into a tensor in PyTorch's order.

use super::{elements, with_generator};
use crate::autograd::{self, Grads, Node, engine::grads};
use crate::device::Device;
use crate::dtype::DType;
use crate::error::Result;
use crate::ops::args::GeneratorHandle;
use crate::random::{self, Generator};
use crate::tensor::Tensor;
use std::rc::Rc;

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

/// The smallest and largest value of a dtype.
pub(super) fn limits(d: DType) -> (f64, f64) {
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
        d.native_name()
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
                crate::dispatch_of!("check_uniform_bounds", d.to_real(), floats, _T => ());
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
                    d.native_name()
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
                crate::dispatch_of!("check_uniform_bounds", d, floats, T => random::uniform::<T>(g, elements(t), from, to))
            }
            Law::Normal(mean, std) => crate::dispatch_of!("normal_kernel_cpu", d, floats, T => {
                if plain { random::normal::<T>(g, elements(t), mean, std) } else { random::normal_scalar::<T>(g, elements(t), mean, std) }
            }),
            Law::LogNormal(mean, std) => {
                crate::dispatch_of!("log_normal_cpu", d, floats, T => random::log_normal::<T>(g, elements(t), mean, std))
            }
            Law::Exponential(rate) => {
                crate::dispatch_of!("exponential_cpu", d, floats, T => random::exponential::<T>(g, elements(t), rate))
            }
            Law::Cauchy(median, sigma) => {
                crate::dispatch_of!("cauchy_cpu", d, floats, T => random::cauchy::<T>(g, elements(t), median, sigma))
            }
            Law::Geometric(p) => {
                crate::check!(
                    d != DType::Bool,
                    NotImplemented,
                    "\"geometric_cpu\" not implemented for 'Bool'"
                );
                crate::dispatch_of!("geometric_cpu", d, ordered, T => random::geometric::<T>(g, elements(t), p))
            }
            Law::Bernoulli(p) => {
                crate::dispatch_of!("bernoulli_scalar_cpu_", d, ordered, T => random::bernoulli::<T>(g, elements(t), p))
            }
            Law::Random => {
                crate::dispatch_of!("random_kernel_cpu", d, ordered, T => random::random::<T>(g, elements(t)))
            }
            Law::RandomFrom(i64::MIN, None) => {
                crate::dispatch_of!("random_kernel_cpu", d, ordered, T => random::random_full::<T>(g, elements(t)))
            }
            Law::RandomFrom(from, to) => {
                crate::dispatch_of!("random_kernel_cpu", d, ordered, T => {
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
                })
            }
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
pub(super) fn forget(t: &Tensor, name: &'static str) -> Result<()> {
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

pub(super) fn zeros_of(g: &Grads) -> Result<Tensor> {
    let g = g.get(0)?;
    Tensor::zeros(g.sizes(), g.dtype(), g.device())
}
