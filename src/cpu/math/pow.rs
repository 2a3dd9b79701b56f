//! `pow` with C's special cases.
//!
//! Single precision goes through double. Double needs `y ln x` to about 65 bits, since an error there is multiplied
//! by up to 745: the logarithm is summed as an unevaluated pair, with products split by FMA (Dekker 1971).

use super::exp::{LN2_HI, LN2_LO, bound_f64, exp_sum, exp2_for_f32};
use super::log::{log2_for_f32, split_f64};

/// `ln x` of a positive finite value as a sum of two.
#[inline(always)]
fn ln_pair(x: f64) -> (f64, f64) {
    let (k, m) = split_f64(x);
    let f = m - 1.0;
    let d = m + 1.0;
    let d_low = m - (d - 1.0);
    let s = f / d;
    let s_low = (-s).mul_add(d_low, (-s).mul_add(d, f)) / d;
    let z = s * s;
    let z_low = s.mul_add(s, -z) + 2.0 * s * s_low;
    let cube = z * s;
    let cube_low = z.mul_add(s, -cube) + z.mul_add(s_low, z_low * s);
    // The second term, 2/3 s^3, still counts beyond the 53rd bit; the rest does not.
    let term = cube * (2.0 / 3.0);
    let term_low =
        cube.mul_add(2.0 / 3.0, -term) + cube_low * (2.0 / 3.0) + cube * 3.700743415417188e-17;
    let tail = horner!(z; 0.4, 0.28571428571429425, 0.22222222221620758, 0.18181818343316186, 0.15384594120121542,
        0.13334850282759755, 0.11705021562768049, 0.11735818898320548)
        * (cube * z);
    let (sum, lost) = fast_sum(k * LN2_HI, 2.0 * s);
    let (sum, lost2) = fast_sum(sum, term);
    let low = lost + lost2 + (k.mul_add(LN2_LO, 2.0 * s_low) + term_low) + tail;
    fast_sum(sum, low)
}

/// `a + b` and its rounding error, for `|a| >= |b|` or `a == 0` (Dekker 1971).
#[inline(always)]
fn fast_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    (sum, b - (sum - a))
}

/// `|x|^y` for finite nonzero `x` and any `y`.
#[inline(always)]
fn magnitude_f64(x: f64, y: f64) -> f64 {
    let (ln, ln_low) = ln_pair(x.abs());
    let p = y * ln;
    let p_low = y.mul_add(ln, -p) + y * ln_low;
    // Past these bounds the result is 0 or infinite, and the low part may be infinite or NaN.
    let b = bound_f64(p, -750.0, 750.0);
    exp_sum(b, if b == p { p_low } else { 0.0 })
}

#[inline(always)]
fn magnitude_f32(x: f32, y: f32) -> f32 {
    let p = y as f64 * log2_for_f32(x.abs() as f64);
    exp2_for_f32(bound_f64(p, -200.0, 200.0)) as f32
}

macro_rules! pow {
    ($name:ident, $t:ident, $magnitude:ident) => {
        #[inline(always)]
        pub(super) fn $name(x: $t, y: $t) -> $t {
            let integral = y.trunc() == y;
            let half = y * 0.5;
            // An infinite y is even: half of it equals its own truncation.
            let odd = integral & (half.trunc() != half);
            let a = x.abs();
            let y_inf = y.abs() == $t::INFINITY;
            let general = $magnitude(x, y);
            // Bases 0 and infinity, and infinite exponents, give 0 or infinity: which, depends on whether the base's
            // logarithm and the exponent have the same sign.
            let extreme = if (a > 1.0) == (y > 0.0) {
                $t::INFINITY
            } else {
                0.0
            };
            let at_extreme = (a == 0.0) | (a == $t::INFINITY) | y_inf;
            let r = if at_extreme { extreme } else { general };
            let r = if (a == 1.0) & y_inf { 1.0 } else { r };
            let r = if (x < 0.0) & !integral & (a != $t::INFINITY) {
                $t::NAN
            } else {
                r
            };
            let r = if odd { r.copysign(x) } else { r };
            let r = if x.is_nan() | y.is_nan() { x + y } else { r };
            if (x == 1.0) | (y == 0.0) { 1.0 } else { r }
        }
    };
}

pow!(pow_f32, f32, magnitude_f32);
pow!(pow_f64, f64, magnitude_f64);
