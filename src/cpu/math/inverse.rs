//! Inverse trigonometric and hyperbolic functions, and the hypotenuse.
//!
//! Single precision is computed in double with shorter polynomials.

use std::f64::consts::{FRAC_PI_2, LN_2, PI};

use super::log::ln_1p_f64;

/// What pi / 2 has beyond double precision.
const FRAC_PI_2_LOW: f64 = 6.123233995736766e-17;

/// `atan(t)` on `[0, 1]`.
#[inline(always)]
fn atan_unit(t: f64) -> f64 {
    let z = t * t;
    let p = horner!(z; -0.3333333333333333, 0.1999999999999992, -0.14285714285701234, 0.11111111110268297, -0.0909090906193528, 0.07692307078827029, -0.06666657934573768, 0.058822644167764455, -0.052624922290256566, 0.04758080083637737, -0.043306538430667715, 0.03938687540797818, -0.03527133106685351, 0.030330719265759684, -0.02419134581009845, 0.017183981722067778, -0.010412153260321116, 0.005140912856722705, -0.001961255427157231, 0.0005376839297359795, -9.371186344980018e-05, 7.767624330222636e-06);
    (z * p).mul_add(t, t)
}

/// [`atan_unit`] to 1e-9.
#[inline(always)]
fn atan_unit_for_f32(t: f64) -> f64 {
    let z = t * t;
    let p = horner!(z; -0.33333333293301176, 0.19999990275947271, -0.1428531796390729, 0.11104706788644086, -0.09036742342070074, 0.07417496964298229, -0.05760716083123495, 0.03832744598300562, -0.019261081322719302, 0.006207254533759523, -0.000936299471945721);
    (z * p).mul_add(t, t)
}

/// `asin(t)` on `[0, 1/2]`.
#[inline(always)]
fn asin_half(t: f64) -> f64 {
    let z = t * t;
    let p = horner!(z; 0.16666666666666666, 0.07500000000000119, 0.04464285714255019, 0.030381944475693704, 0.022372157435623815, 0.017352816768546477, 0.013963775787848059, 0.01156651182189177, 0.00962140274733868, 0.00932210150111452, 0.003035007172615201, 0.019579201619999292, -0.019277545928924788, 0.029635026263750575);
    (z * p).mul_add(t, t)
}

/// [`asin_half`] to 1e-9.
#[inline(always)]
fn asin_half_for_f32(t: f64) -> f64 {
    let z = t * t;
    let p = horner!(z; 0.16666666686147094, 0.07499992383419403, 0.04464767521711883, 0.030268919101069484, 0.023613714221919088, 0.010566947821325393, 0.030985460400031715);
    (z * p).mul_add(t, t)
}

#[inline(always)]
fn atan_with(x: f64, unit: impl Fn(f64) -> f64) -> f64 {
    let a = x.abs();
    let large = a > 1.0;
    let p = unit(if large { 1.0 / a } else { a });
    let y = if large {
        FRAC_PI_2 - (p - FRAC_PI_2_LOW)
    } else {
        p
    };
    y.copysign(x)
}

#[inline(always)]
fn atan2_with(y: f64, x: f64, unit: impl Fn(f64) -> f64) -> f64 {
    let (a, b) = (x.abs(), y.abs());
    let steep = b > a;
    let (large, small) = if steep { (b, a) } else { (a, b) };
    let t = small / large;
    // 0 / 0 and inf / inf; the comparison leaves NaN as it is.
    let t = if large == 0.0 { 0.0 } else { t };
    let t = if small == f64::INFINITY { 1.0 } else { t };
    let p = unit(t);
    let p = if steep {
        FRAC_PI_2 - (p - FRAC_PI_2_LOW)
    } else {
        p
    };
    let p = if x.is_sign_negative() {
        PI - (p - 2.0 * FRAC_PI_2_LOW)
    } else {
        p
    };
    let p = if x.is_nan() | y.is_nan() { f64::NAN } else { p };
    p.copysign(y)
}

/// `asin(|x|)` and `acos(|x|)`: `asin(x) = pi / 2 - 2 asin(sqrt((1 - x) / 2))` above one half (DLMF 4.24).
#[inline(always)]
fn arcs(x: f64, half: impl Fn(f64) -> f64) -> (f64, f64) {
    let a = x.abs();
    let large = a > 0.5;
    let p = half(if large { (0.5 - 0.5 * a).sqrt() } else { a });
    let twice = p + p;
    let sine = if large {
        FRAC_PI_2 - (twice - FRAC_PI_2_LOW)
    } else {
        p
    };
    let cosine = if large {
        twice
    } else {
        FRAC_PI_2 - (p - FRAC_PI_2_LOW)
    };
    (sine, cosine)
}

#[inline(always)]
fn asin_with(x: f64, half: impl Fn(f64) -> f64) -> f64 {
    arcs(x, half).0.copysign(x)
}

#[inline(always)]
fn acos_with(x: f64, half: impl Fn(f64) -> f64) -> f64 {
    let (_, cosine) = arcs(x, half);
    if x < 0.0 {
        PI - (cosine - 2.0 * FRAC_PI_2_LOW)
    } else {
        cosine
    }
}

macro_rules! by_precision {
    ($($narrow:ident $wide:ident = $with:ident($($arg:ident),+; $short:ident, $long:ident);)*) => { $(
        #[inline(always)]
        pub(super) fn $narrow($($arg: f32),+) -> f32 {
            $with($($arg as f64),+, $short) as f32
        }

        #[inline(always)]
        pub(super) fn $wide($($arg: f64),+) -> f64 {
            $with($($arg),+, $long)
        }
    )* };
}

by_precision! {
    atan_f32 atan_f64 = atan_with(x; atan_unit_for_f32, atan_unit);
    atan2_f32 atan2_f64 = atan2_with(y, x; atan_unit_for_f32, atan_unit);
    asin_f32 asin_f64 = asin_with(x; asin_half_for_f32, asin_half);
    acos_f32 acos_f64 = acos_with(x; asin_half_for_f32, asin_half);
}

/// Above this, `x + 1` and `sqrt(x^2 + 1)` are `x` to the last bit, and `ln(2x)` is what is left.
const LINEAR_FROM: f64 = 1e17;

#[inline(always)]
pub(super) fn asinh_f64(x: f64) -> f64 {
    let a = x.abs();
    let linear = a > LINEAR_FROM;
    let square = a * a;
    let small = a + square / (1.0 + (square + 1.0).sqrt());
    let y = ln_1p_f64(if linear { a } else { small }) + if linear { LN_2 } else { 0.0 };
    y.copysign(x)
}

#[inline(always)]
pub(super) fn acosh_f64(x: f64) -> f64 {
    let linear = x > LINEAR_FROM;
    let t = x - 1.0;
    let small = t + t.mul_add(t, t + t).sqrt();
    let y = ln_1p_f64(if linear { x } else { small }) + if linear { LN_2 } else { 0.0 };
    if x < 1.0 { f64::NAN } else { y }
}

#[inline(always)]
pub(super) fn atanh_f64(x: f64) -> f64 {
    let a = x.abs();
    let y = 0.5 * ln_1p_f64((a + a) / (1.0 - a));
    y.copysign(x)
}

#[inline(always)]
pub(super) fn hypot_f32(x: f32, y: f32) -> f32 {
    let (a, b) = (x as f64, y as f64);
    // No square of a single-precision value leaves the range of double.
    let h = a.mul_add(a, b * b).sqrt() as f32;
    let infinite = (x.abs() == f32::INFINITY) | (y.abs() == f32::INFINITY);
    if infinite { f32::INFINITY } else { h }
}

#[inline(always)]
pub(super) fn hypot_f64(x: f64, y: f64) -> f64 {
    let (a, b) = (x.abs(), y.abs());
    let large = if a > b { a } else { b };
    // Powers of two, away from overflow and from subnormal squares.
    let scale = if large > 1e150 {
        2.409919865102884e-181
    } else {
        1.0
    };
    let scale = if large < 1e-140 {
        4.149515568880993e180
    } else {
        scale
    };
    let back = if large > 1e150 {
        4.149515568880993e180
    } else {
        1.0
    };
    let back = if large < 1e-140 {
        2.409919865102884e-181
    } else {
        back
    };
    let (s, t) = (a * scale, b * scale);
    let h = s.mul_add(s, t * t).sqrt() * back;
    let infinite = (a == f64::INFINITY) | (b == f64::INFINITY);
    if infinite { f64::INFINITY } else { h }
}
