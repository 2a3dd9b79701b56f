//! Random tensors: PyTorch's CPU streams, bit for bit.

use super::args::GeneratorHandle;
use crate::random::Generator;
use crate::tensor::Tensor;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

mod law;
mod new;
mod sample;

pub use law::Law;

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
    &new::rand::DEF,
    &new::randn::DEF,
    &new::randint::DEF,
    &new::rand_like::DEF,
    &new::randn_like::DEF,
    &new::randint_like::DEF,
    &new::randperm::DEF,
    &sample::normal::DEF,
    &sample::bernoulli::DEF,
    &sample::bernoulli_::DEF,
    &sample::multinomial::DEF,
    &sample::poisson::DEF,
    &sample::binomial::DEF,
    &sample::_standard_gamma::DEF,
    &sample::_sample_dirichlet::DEF,
    &uniform_::DEF,
    &normal_::DEF,
    &log_normal_::DEF,
    &exponential_::DEF,
    &geometric_::DEF,
    &cauchy_::DEF,
    &random_::DEF,
];
