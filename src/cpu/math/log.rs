//! The logarithm family.
//!
//! `x = 2^k m` with `m` in `[sqrt(1/2), sqrt(2))`, found by integer arithmetic on the bits. In single precision
//! `ln(1 + f)` is a polynomial in `f = m - 1`; in double `2 atanh(s)` with `s = f / (2 + f)`.

use super::exp::{LN2_HI, LN2_HI_F32, LN2_LO, LN2_LO_F32};

/// The bits of sqrt(1/2), the lower end of the interval that holds `m`.
const SQRT_HALF_F32: u32 = 0x3f35_04f3;
const SQRT_HALF: u64 = 0x3fe6_a09e_667f_3bcd;

/// `(k, m - 1)` of a positive finite value.
#[inline(always)]
fn split_f32(x: f32) -> (f32, f32) {
    let subnormal = x < f32::MIN_POSITIVE;
    // 2^25 lifts every subnormal into the normal range.
    let lifted = if subnormal { x * 33_554_432.0 } else { x };
    let shift = if subnormal { -25.0 } else { 0.0 };
    let bits = lifted.to_bits().wrapping_sub(SQRT_HALF_F32);
    let k = ((bits as i32) >> 23) as f32 + shift;
    let m = f32::from_bits((bits & 0x007f_ffff).wrapping_add(SQRT_HALF_F32));
    (k, m - 1.0)
}

/// `(k, m)` of a positive finite value.
#[inline(always)]
pub(super) fn split_f64(x: f64) -> (f64, f64) {
    let subnormal = x < f64::MIN_POSITIVE;
    // 2^54 lifts every subnormal into the normal range.
    let lifted = if subnormal {
        x * 18_014_398_509_481_984.0
    } else {
        x
    };
    let shift = if subnormal { -54.0 } else { 0.0 };
    let bits = lifted.to_bits().wrapping_sub(SQRT_HALF);
    // The quotient is shifted to be positive and read as the low bits of a float, as AVX2 has neither an arithmetic
    // shift nor a conversion of 64-bit lanes. Only the exponent field counts, and 1024 < 2^11 keeps it from wrapping.
    let field = bits.wrapping_add(1024 << 52) >> 52;
    let k =
        f64::from_bits(field | 0x4330_0000_0000_0000) - (4_503_599_627_370_496.0 + 1024.0) + shift;
    let m = f64::from_bits((bits & 0x000f_ffff_ffff_ffff).wrapping_add(SQRT_HALF));
    (k, m)
}

/// The logarithm's values where `x` is not positive and finite: `y` is the result elsewhere.
#[inline(always)]
fn edges_f32(x: f32, y: f32) -> f32 {
    let y = if x < f32::INFINITY { y } else { x };
    let y = if x == 0.0 { f32::NEG_INFINITY } else { y };
    if x < 0.0 { f32::NAN } else { y }
}

#[inline(always)]
fn edges_f64(x: f64, y: f64) -> f64 {
    let y = if x < f64::INFINITY { y } else { x };
    let y = if x == 0.0 { f64::NEG_INFINITY } else { y };
    if x < 0.0 { f64::NAN } else { y }
}

/// `ln(1 + f) - f` on the interval.
#[inline(always)]
fn tail_f32(f: f32) -> f32 {
    let p = horner!(f; 0.3333333, -0.24999997, 0.20000716, -0.16667803, 0.14249058, -0.12425687, 0.1168542,
        -0.11479734, 0.06971612);
    let z = f * f;
    z * f.mul_add(p, -0.5)
}

/// `2 atanh(s) = 2s + s z R(z)` with `z = s^2`, written so that `f` enters exactly: returns `ln(1 + f) - f`.
///
/// With `f = m - 1` and `s = f / (2 + f)`, `2s = f - s f`, and `s f = f^2 / 2 - s f^2 / 2`.
#[inline(always)]
fn tail_f64(f: f64) -> f64 {
    let s = f / (2.0 + f);
    let z = s * s;
    let r = horner!(z; 0.666666666666667, 0.3999999999989322, 0.28571428628810996, 0.22222210674238516,
        0.18182922513515942, 0.15330617306743305, 0.1463003136412286);
    let half_square = 0.5 * f * f;
    s * z.mul_add(r, half_square) - half_square
}

#[inline(always)]
pub(super) fn ln_f32(x: f32) -> f32 {
    let (k, f) = split_f32(x);
    let low = k.mul_add(LN2_LO_F32, tail_f32(f));
    edges_f32(x, k.mul_add(LN2_HI_F32, low + f))
}

#[inline(always)]
pub(super) fn ln_f64(x: f64) -> f64 {
    let (k, m) = split_f64(x);
    let f = m - 1.0;
    let low = k.mul_add(LN2_LO, tail_f64(f));
    edges_f64(x, k.mul_add(LN2_HI, low + f))
}

#[inline(always)]
pub(super) fn log2_f32(x: f32) -> f32 {
    let (k, f) = split_f32(x);
    let tail = tail_f32(f);
    // f log2(e) in two parts around its leading 1.4375, whose product with f rounds little.
    let low = (f + tail) * 0.005_195_041 + tail * 1.4375;
    edges_f32(x, f.mul_add(1.4375, low) + k)
}

#[inline(always)]
pub(super) fn log2_f64(x: f64) -> f64 {
    let (k, m) = split_f64(x);
    let f = m - 1.0;
    let tail = tail_f64(f);
    edges_f64(
        x,
        scaled_sum(
            f,
            tail,
            std::f64::consts::LOG2_E,
            2.0355273740931033e-17,
            0.0,
        ) + k,
    )
}

#[inline(always)]
pub(super) fn log10_f32(x: f32) -> f32 {
    let (k, f) = split_f32(x);
    let low = k.mul_add(4.605_039e-6, (f + tail_f32(f)) * std::f32::consts::LOG10_E);
    edges_f32(x, k.mul_add(0.301_025_4, low))
}

#[inline(always)]
pub(super) fn log10_f64(x: f64) -> f64 {
    let (k, m) = split_f64(x);
    let f = m - 1.0;
    let tail = tail_f64(f);
    let low = scaled_sum(
        f,
        tail,
        std::f64::consts::LOG10_E,
        1.098319650216765e-17,
        k * 8.241712586023572e-13,
    );
    edges_f64(x, k.mul_add(0.301029995663157, low))
}

/// `(f + tail) * (c + c_low) + low`, rounded about once.
#[inline(always)]
fn scaled_sum(f: f64, tail: f64, c: f64, c_low: f64, low: f64) -> f64 {
    let sum = f + tail;
    let lost = f - sum + tail;
    sum.mul_add(c, lost.mul_add(c, sum.mul_add(c_low, low)))
}

#[inline(always)]
pub(super) fn ln_1p_f64(x: f64) -> f64 {
    let u = 1.0 + x;
    // What the addition rounded off, exact whichever operand is larger.
    let larger = if x > 1.0 { x } else { 1.0 };
    let smaller = if x > 1.0 { 1.0 } else { x };
    let lost = smaller - (u - larger);
    let (k, m) = split_f64(u);
    let f = m - 1.0;
    let low = k.mul_add(LN2_LO, lost / u + tail_f64(f));
    let y = edges_f64(u, k.mul_add(LN2_HI, low + f));
    if x.abs() < 1e-17 { x } else { y }
}

/// `log2(x)` of a positive finite value to 1e-15, for use in single-precision functions.
#[inline(always)]
pub(super) fn log2_for_f32(x: f64) -> f64 {
    let (k, m) = split_f64(x);
    let s = (m - 1.0) / (m + 1.0);
    let z = s * s;
    let r = horner!(z; 0.666666666666618, 0.40000000011787484, 0.28571423954752284, 0.22222882159268573,
        0.18139329084810124, 0.16634817293436976);
    let ln = s.mul_add(2.0, s * z * r);
    ln.mul_add(std::f64::consts::LOG2_E, k)
}
