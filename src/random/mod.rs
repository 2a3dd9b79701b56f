//! PyTorch's random streams, bit for bit: the host generator, the fills that draw from it, and Philox for devices.
//!
//! # Order of elements
//! A fill of a tensor with no input (`uniform_`, `random_`, `bernoulli_(p)`, `exponential_` ...) visits memory order
//! when the tensor is dense, and otherwise its dimensions sorted by falling stride; the logical order does not count.
//! So a transposed tensor is filled as its storage lies. Functions that read a tensor of parameters into a fresh
//! contiguous result (`bernoulli(p)`, `poisson`, `rrelu`, gamma, binomial) visit logical order.
//!
//! # Which function draws what
//! | Function | Draws |
//! |---|---|
//! | `rand`, `rand_like`, `uniform_` | [`uniform`]; complex: the real view, (re, im) in turn |
//! | `randn`, `normal_`, `randn_like` | [`normal`] if contiguous, else [`normal_scalar`]; complex: real view, std / sqrt 2 |
//! | `normal(mean, std)` with a tensor | [`normal`] with 0 and 1 into the broadcast shape, times std, plus mean |
//! | `log_normal_` | [`log_normal`], whatever the length |
//! | `randint`, `randint_like`, `random_(from, to)` | [`random_from`] with `to - from`; floating types first take [`representable_bounds`] |
//! | `random_()`, `random_(-2**63, None)` | [`random`], [`random_full`] |
//! | `randperm`, `random_split`, `SubsetRandomSampler` | [`permutation`] |
//! | `bernoulli_(p)`, `bernoulli(x, p)` | [`bernoulli`] |
//! | `bernoulli(p)`, `bernoulli_(tensor)` | [`bernoulli_each`], by the type of `p` |
//! | `dropout` | [`bernoulli`] of 1 - p in the type and layout of the input, divided by 1 - p, times the input. No draw if p is 0 or 1 or not training |
//! | `dropout1d/2d/3d`, `feature_*` | the same on a noise of shape (N, C, 1 ...) |
//! | `alpha_dropout` | [`bernoulli`] of 1 - p; b = (noise - 1) * (s a) + s a p; input * (noise * a) + b |
//! | `rrelu` in training | [`Generator::uniform_between`] for each element <= 0, in f64, bounds and result rounded to the compute type |
//! | `gumbel_softmax` | [`exponential`] of rate 1, then -log |
//! | `multinomial` with replacement | [`multinomial`] per row |
//! | `multinomial` without, or one sample | [`exponential`] of rate 1 in the type of p, then the top entries of p / q (argmax for one) |
//! | `poisson`, `binomial`, `_standard_gamma`, `_sample_dirichlet` | [`poisson`], [`binomial`], [`standard_gamma`], [`dirichlet`] |
//! | `WeightedRandomSampler` | `multinomial` of the weights as f64 |
//! | `DataLoader` iteration | one [`Generator::random64`] modulo 2^63 (base seed); with `shuffle` a second one seeds a fresh generator for [`permutation`]. With a generator of its own, that one gives the base seed and the permutation |
//! | `RandomSampler(replacement)` | a seed as above, then `randint` in blocks of 32, and the rest |
//!
//! Fills use the cached second normal only in [`normal_scalar`], [`log_normal`] and the gamma family.

mod choice;
mod distributions;
mod element;
mod generator;
#[cfg(test)]
mod golden;
mod mt19937;
mod normal;
pub mod philox;
mod rejection;

pub use choice::{multinomial, permutation};
pub use distributions::{
    bernoulli, bernoulli_each, cauchy, exponential, geometric, random, random_from, random_full,
    representable_bounds, uniform,
};
pub use element::{Element, Real, Unbounded};
pub use generator::{DEFAULT_SEED, Generator, STATE_BYTES, StateError};
pub use mt19937::Mt19937;
pub use normal::{log_normal, normal, normal_scalar};
pub use rejection::{binomial, dirichlet, poisson, standard_gamma};

/// Words drawn and converted at a time: 4 KiB, so that a batch and its values stay in the nearest cache.
/// A multiple of 32, which keeps the groups of 16 normal values whole for both word sizes.
const BATCH: usize = 1024;

/// The low 24 bits of a word as a number in [0, 1).
#[inline(always)]
fn unit_f32(word: u32) -> f32 {
    (word & 0x00ff_ffff) as i32 as f32 * (1.0 / 16_777_216.0)
}

/// The low 53 bits of a word as a number in [0, 1).
#[inline(always)]
fn unit_f64(word: u64) -> f64 {
    (word & ((1 << 53) - 1)) as f64 * (1.0 / 9_007_199_254_740_992.0)
}

/// Compiles a function a second time for AVX2 with fused multiply-add and picks the version at run time.
/// `mul_add` is the same number in both; without the instruction it is a slow call.
macro_rules! multiversion {
    ($(#[$attribute:meta])* fn $name:ident($($argument:ident: $type:ty),* $(,)?) $body:block) => {
        $(#[$attribute])*
        fn $name($($argument: $type),*) {
            #[inline(always)]
            fn portable($($argument: $type),*) $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma")]
                fn lanes($($argument: $type),*) {
                    portable($($argument),*)
                }
                if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
                    // SAFETY: the processor has the features that the function was compiled for.
                    return unsafe { lanes($($argument),*) };
                }
            }
            portable($($argument),*)
        }
    };
}
use multiversion;
