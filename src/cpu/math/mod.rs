//! Elementary functions on `f32` and `f64`.
//!
//! Everything a kernel row calls goes through [`Real`]. Its methods are `#[inline(always)]`, so a loop inside a
//! `#[target_feature]` shell takes them in and the vectoriser turns them into full-width lane code. The hot ones are
//! written without branches, calls or tables for that purpose; the rest calls `libm`.
//!
//! `mul_add` is a single instruction in every shell with FMA and a library call in one without: results are the same
//! to the bit on every machine, and a machine without FMA is slow.
//!
//! On a *concrete* `f32` or `f64`, `x.exp()` means the standard library's function, which does not vectorise. Call
//! these from generic code, or as `Real::exp(x)`.

mod real;

pub use real::Real;
