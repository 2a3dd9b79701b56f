//! Elementary functions on `f32` and `f64`.
//!
//! Everything a kernel row calls goes through [`Real`]. Its methods are `#[inline(always)]`, so a loop inside a
//! `#[target_feature]` shell takes them in and the vectoriser turns them into full-width lane code. The hot ones are
//! written without branches and calls for that purpose; the rest calls `libm`.
//!
//! `mul_add` is a single instruction in every shell with FMA and a library call in one without: results are the same
//! to the bit on every machine, and a machine without FMA is slow.
//!
//! On a *concrete* `f32` or `f64`, `x.exp()` means the standard library's function, which does not vectorise. Call
//! these from generic code, or as `Real::exp(x)`.
//!
//! Polynomial coefficients interpolate the stated function at Chebyshev nodes of the stated interval, computed with
//! 60 digits, and are within a factor of two of the best polynomial of that degree.

/// `c0 + x * (c1 + x * (c2 + ...))` by Horner's rule with fused steps.
macro_rules! horner {
    ($x:expr; $c:expr) => { $c };
    ($x:expr; $c:expr, $($rest:expr),+) => { ($x).mul_add(horner!($x; $($rest),+), $c) };
}

mod erf;
mod exp;
mod log;
mod pow;
mod real;
mod trig;

pub use erf::erfcx_f64;
pub use real::Real;
