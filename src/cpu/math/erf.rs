//! The error function and its complements.
//!
//! Double precision: `erf(x) = x + x P(x^2)` on `[-1, 1]`; elsewhere `erfc(x) = e^(-x^2) erfcx(x)` with
//! `(1 + 2x) erfcx(x)` a polynomial in `t = (x - 4) / (x + 4)`, which maps `[0, inf)` to `[-1, 1)` (the substitution
//! of Shepherd and Laframboise, Math. Comp. 36, 1981).

use super::exp::{exp_f32, exp_sum};

/// `e^(x^2) erfc(x)` for `x >= 0`.
#[inline(always)]
fn scaled_complement(x: f64) -> f64 {
    // The quotient tends to 1, and (x - 4) / (x + 4) is NaN at infinity.
    let x = if x > 1e300 { 1e300 } else { x };
    let t = (x - 4.0) / (x + 4.0);
    let p = horner!(t;
        1.2329951186255526, -0.13962111684056228, 0.015379652102619974, 0.06809705425466839, -0.10103906603631811,
        0.09373283499911264, -0.06633036581186061, 0.03716751552633806, -0.016197734062934444, 0.0050319700691018555,
        -0.000757773243596182, -0.000199257152470926, 0.0001506214260937234, -2.4397731147786822e-05,
        -1.1221135683695216e-05, 5.706578307835439e-06, 2.91734284802151e-07, -8.210648034148189e-07,
        7.771940096162521e-08, 1.0631818335184943e-07, -2.0725780936101902e-08, -1.2338734503866224e-08,
        3.2323888685160892e-09, 9.297630889271441e-10, -2.764105663665494e-10);
    p / x.mul_add(2.0, 1.0)
}

/// `erfc(x)` for `x >= 0`, with the square in the exponent carried in two parts.
#[inline(always)]
fn complement(x: f64) -> f64 {
    // erfc(28) is below the least subnormal.
    let x = if x > 28.0 { 28.0 } else { x };
    let square = x * x;
    let low = x.mul_add(x, -square);
    exp_sum(-square, -low) * scaled_complement(x)
}

/// `erf(x) / x - 1` on `[-1, 1]`.
#[inline(always)]
fn near_zero(x: f64) -> f64 {
    let z = x * x;
    horner!(z; 0.1283791670955126, -0.3761263890318375, 0.11283791670954879, -0.026866170645076792,
        0.0052239776248180145, -0.000854832698083379, 0.0001205533111164271, -1.4925595266831182e-05,
        1.6461000484121361e-06, -1.6350312701054618e-07, 1.4659775274046955e-08, -1.1372848856789924e-09,
        5.957176147746114e-11)
}

#[inline(always)]
pub(super) fn erf_f64(x: f64) -> f64 {
    let a = x.abs();
    let near = near_zero(a).mul_add(a, a);
    let far = 1.0 - complement(a);
    let y = if a < 1.0 { near } else { far };
    y.copysign(x)
}

#[inline(always)]
pub(super) fn erfc_f64(x: f64) -> f64 {
    let a = x.abs();
    let c = complement(a);
    let near = 1.0 - near_zero(x).mul_add(x, x);
    let far = if x < 0.0 { 2.0 - c } else { c };
    if a < 0.5 { near } else { far }
}

#[inline(always)]
pub(super) fn erf_f32(x: f32) -> f32 {
    let a = x.abs();
    let z = a * a;
    let p = horner!(z; 0.12837917, -0.37612638, 0.11283782, -0.02686543, 0.0052210316, -0.00084840803,
        0.00011265959, -9.667045e-06);
    let near = p.mul_add(a, a);
    // -ln erfc on [0.95, 4.1]; past 4 the result rounds to 1.
    let b = if a > 4.0 { 4.0 } else { a };
    let l = horner!(b; -0.00030494793, 1.1301696, 0.63193965, 0.10996833, -0.026354667, 0.004735105,
        -0.00059134007, 4.5381574e-05, -1.6015373e-06);
    let far = 1.0 - exp_f32(-l);
    let y = if a < 1.0 { near } else { far };
    y.copysign(x)
}

/// `e^(x^2) erfc(x)`, the scaled complementary error function.
pub fn erfcx_f64(x: f64) -> f64 {
    if x >= 0.0 {
        return scaled_complement(x);
    }
    // erfc(x) = 2 - erfc(-x) on the left; the square is taken in two parts as the result grows like its exponential.
    let square = x * x;
    let low = x.mul_add(x, -square);
    let low = if low.is_finite() { low } else { 0.0 };
    2.0 * exp_sum(square, low) - scaled_complement(-x)
}
