//! Random numbers.
mod choice;
mod distributions;
mod element;
mod generator;
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
