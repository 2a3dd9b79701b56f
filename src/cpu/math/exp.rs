//! The exponential family.
//!
//! `x = n ln 2 + r` with `|r| <= ln(2) / 2`, then `e^r = 1 + r + r^2 q(r)` and a scale by `2^n`. The scale is applied
//! in two factors, so that `n` may leave the exponent's range at either end and the result rounds once into the
//! subnormals.

use std::f32::consts::LOG2_E as LOG2_E_F32;
use std::f64::consts::{LN_2, LOG2_E};

/// ln 2 in two parts; the high one has trailing zeros, so that its product with an exponent is exact.
pub(super) const LN2_HI_F32: f32 = 0.693_145_75;
pub(super) const LN2_LO_F32: f32 = 1.428_606_8e-6;
pub(super) const LN2_HI: f64 = 0.6931471805598903;
pub(super) const LN2_LO: f64 = 5.497923018708371e-14;

/// Adding this rounds to an integer and leaves that integer in the low bits.
const ROUND_F32: f32 = 12_582_912.0;
pub(super) const ROUND: f64 = 6_755_399_441_055_744.0;

/// `y * 2^n` for the `n` in the low bits of `shifted`, an integer plus `ROUND_F32`.
#[inline(always)]
fn scale_f32(y: f32, shifted: f32) -> f32 {
    let n = (shifted.to_bits() as i32).wrapping_sub(ROUND_F32.to_bits() as i32);
    let half = n >> 1;
    let rest = n.wrapping_sub(half);
    let power = |k: i32| f32::from_bits((k.wrapping_add(127) as u32) << 23);
    y * power(half) * power(rest)
}

/// `y * 2^n` for the `n` in the low bits of `shifted`, an integer plus `ROUND`.
#[inline(always)]
pub(super) fn scale_f64(y: f64, shifted: f64) -> f64 {
    let n = (shifted.to_bits() as i64).wrapping_sub(ROUND.to_bits() as i64);
    // An arithmetic shift of 64-bit lanes is missing from AVX2, so halve a positive number instead.
    let half = ((n.wrapping_add(4096) as u64) >> 1) as i64 - 2048;
    let rest = n.wrapping_sub(half);
    y * power_of_two(half) * power_of_two(rest)
}

#[inline(always)]
fn power_of_two(k: i64) -> f64 {
    f64::from_bits((k.wrapping_add(1023) as u64) << 52)
}

/// `q` in `e^r = 1 + r + r^2 q(r)`.
#[inline(always)]
fn tail_f32(r: f32) -> f32 {
    horner!(r; 0.5, 0.16666667, 0.041666456, 0.0083333105, 0.0013934541, 0.0001989198)
}

#[inline(always)]
fn tail_f64(r: f64) -> f64 {
    horner!(r; 0.5, 0.16666666666666669, 0.04166666666662064, 0.008333333333329793, 0.0013888888918939168,
        0.00019841269864380513, 2.4801518641395993e-05, 2.75572664186123e-06, 2.7621338669142925e-07,
        2.510134692835034e-08)
}

/// `low` and `high` as bounds that let NaN through.
#[inline(always)]
fn bound_f32(x: f32, low: f32, high: f32) -> f32 {
    let x = if x < low { low } else { x };
    if x > high { high } else { x }
}

#[inline(always)]
pub(super) fn bound_f64(x: f64, low: f64, high: f64) -> f64 {
    let x = if x < low { low } else { x };
    if x > high { high } else { x }
}

/// `e^(x + low)` before scaling, and the shifted exponent. `x` must be bounded.
#[inline(always)]
fn reduced_f64(x: f64, low: f64) -> (f64, f64) {
    let shifted = x.mul_add(LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = n.mul_add(-LN2_HI, x);
    let r = n.mul_add(-LN2_LO, r) + low;
    ((r * r).mul_add(tail_f64(r), r) + 1.0, shifted)
}

#[inline(always)]
pub(super) fn exp_f32(x: f32) -> f32 {
    // e^-104 is below half the least subnormal and e^89 above the largest value.
    let x = bound_f32(x, -104.0, 89.0);
    let shifted = x.mul_add(LOG2_E_F32, ROUND_F32);
    let n = shifted - ROUND_F32;
    let r = n.mul_add(-LN2_HI_F32, x);
    let r = n.mul_add(-LN2_LO_F32, r);
    let y = (r * r).mul_add(tail_f32(r), r) + 1.0;
    scale_f32(y, shifted)
}

#[inline(always)]
pub(super) fn exp_f64(x: f64) -> f64 {
    exp_sum(x, 0.0)
}

/// `e^(x + low)` for a `low` far smaller than `x`.
#[inline(always)]
pub(super) fn exp_sum(x: f64, low: f64) -> f64 {
    let (y, shifted) = reduced_f64(bound_f64(x, -746.0, 710.0), low);
    scale_f64(y, shifted)
}

#[inline(always)]
pub(super) fn exp2_f32(x: f32) -> f32 {
    let x = bound_f32(x, -151.0, 129.0);
    let shifted = x + ROUND_F32;
    let r = (x - (shifted - ROUND_F32)) * std::f32::consts::LN_2;
    scale_f32((r * r).mul_add(tail_f32(r), r) + 1.0, shifted)
}

#[inline(always)]
pub(super) fn exp2_f64(x: f64) -> f64 {
    let x = bound_f64(x, -1076.0, 1025.0);
    let shifted = x + ROUND;
    let r = (x - (shifted - ROUND)) * LN_2;
    scale_f64((r * r).mul_add(tail_f64(r), r) + 1.0, shifted)
}

/// `2^x` for `|x| < 1000` to 3e-10, which single precision rounds correctly nearly always.
#[inline(always)]
pub(super) fn exp2_for_f32(x: f64) -> f64 {
    let shifted = x + ROUND;
    let r = (x - (shifted - ROUND)) * LN_2;
    let q = horner!(r; 0.5000000014286223, 0.16666666682534356, 0.04166645680967788, 0.008333310024225292,
        0.0013934541928270264, 0.0001989198131397769);
    let y = (r * r).mul_add(q, r) + 1.0;
    let n = (shifted.to_bits() as i64).wrapping_sub(ROUND.to_bits() as i64);
    y * power_of_two(n)
}

#[inline(always)]
pub(super) fn exp_m1_f64(x: f64) -> f64 {
    // e^709.9 is infinite already, and its exponent is the last one whose half fits.
    let b = bound_f64(x, -40.0, 709.9);
    let shifted = b.mul_add(LOG2_E, ROUND);
    let n = shifted - ROUND;
    let hi = n.mul_add(-LN2_HI, b);
    let r = n.mul_add(-LN2_LO, hi);
    // What the last step rounded off: it counts where the result is about as small as r.
    let low = n.mul_add(-LN2_LO, hi - r);
    let p = (r * r).mul_add(tail_f64(r), low) + r;
    // Half the result, so that 2^n stays finite up to the end of the range.
    let k = (shifted.to_bits() as i64).wrapping_sub(ROUND.to_bits() as i64);
    let scale = power_of_two(k - 1);
    let y = p.mul_add(scale, scale - 0.5) * 2.0;
    // The sum loses the sign of zero and, below this bound, only ever returns its argument.
    if x.abs() < 1e-17 { x } else { y }
}

#[inline(always)]
pub(super) fn sinh_f64(x: f64) -> f64 {
    let a = x.abs();
    let small = if a > 20.0 { 20.0 } else { a };
    let e = exp_m1_f64(small);
    let below = 0.5 * (e + e / (e + 1.0));
    let y = if a > 20.0 { half_exp(a) } else { below };
    y.copysign(x)
}

#[inline(always)]
pub(super) fn cosh_f64(x: f64) -> f64 {
    let h = half_exp(x.abs());
    h + 0.25 / h
}

/// `e^x / 2`, finite wherever the quotient is.
#[inline(always)]
fn half_exp(x: f64) -> f64 {
    let (y, shifted) = reduced_f64(bound_f64(x, -746.0, 711.0), 0.0);
    scale_f64(y, shifted - 1.0)
}

/// Below this, `tanh` in single precision is an odd polynomial; above, a quotient without cancellation.
const TANH_SPLIT: f32 = 0.625;

#[inline(always)]
pub(super) fn tanh_f32(x: f32) -> f32 {
    let a = x.abs();
    let z = a * a;
    let p =
        horner!(z; -0.33333334, 0.13333304, -0.053959258, 0.021768918, -0.008343945, 0.0022927448);
    let near = (z * p).mul_add(a, a);
    let far = 1.0 - 2.0 / (exp_f32(a + a) + 1.0);
    let y = if a < TANH_SPLIT { near } else { far };
    y.copysign(x)
}

#[inline(always)]
pub(super) fn tanh_f64(x: f64) -> f64 {
    let a = x.abs();
    let t = exp_m1_f64(bound_f64(a + a, 0.0, 80.0));
    let y = t / (t + 2.0);
    // Doubling a subnormal is exact, so only the quotient rounds; NaN goes through every step.
    y.copysign(x)
}

/// From the side where the exponential is small, so that nothing overflows and the left tail keeps its digits.
#[inline(always)]
pub(super) fn sigmoid_f32(x: f32) -> f32 {
    let e = exp_f32(-x.abs());
    (if x < 0.0 { e } else { 1.0 }) / (1.0 + e)
}

#[inline(always)]
pub(super) fn sigmoid_f64(x: f64) -> f64 {
    let e = exp_f64(-x.abs());
    (if x < 0.0 { e } else { 1.0 }) / (1.0 + e)
}
