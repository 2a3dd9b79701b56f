//! Sine, cosine and tangent on the full range.
//!
//! The reduction multiplies by `2 / pi` modulo 4, as Payne and Hanek (1983) do: a power of two is taken out of a large
//! `x` until what is left is an integer with few bits, and that power goes into the constant, where every whole
//! multiple of 4 quadrants can be dropped beforehand.

use std::f64::consts::{FRAC_PI_2, FRAC_PI_4};

use super::exp::ROUND;

/// 2 / pi as a binary fraction.
const TWO_OVER_PI: [u64; 20] = [
    0xa2f9836e4e441529,
    0xfc2757d1f534ddc0,
    0xdb6295993c439041,
    0xfe5163abdebbc561,
    0xb7246e3a424dd2e0,
    0x06492eea09d1921c,
    0xfe1deb1cb129a73e,
    0xe88235f52ebb4484,
    0xe99c7026b45f7e41,
    0x3991d639835339f4,
    0x9c845f8bbdf9283b,
    0x1ff897ffde05980f,
    0xef2f118b5a0a6d1f,
    0x6d367ecf27cb09b7,
    0x4f463f669e5fea2d,
    0x7527bac7ebe5f17b,
    0x3d0739f78a5292ea,
    0x6bfb5fb11f8d5d08,
    0x56033046fc7b6bab,
    0xf0cfbc209af4361d,
];

/// Bits `first..first + 50` behind the point of 2 / pi as an integer; bits before the point are zero.
const fn window(first: i64) -> u64 {
    let mut value = 0;
    let mut i = 0;
    while i < 50 {
        let at = first + i;
        let bit = if at < 0 {
            0
        } else {
            TWO_OVER_PI[(at / 64) as usize] >> (63 - at % 64) & 1
        };
        value = value << 1 | bit;
        i += 1;
    }
    value
}

/// `2^exponent` in the normal range.
const fn power(exponent: i64) -> f64 {
    f64::from_bits(((1023 + exponent) as u64) << 52)
}

/// `2^shift * 2 / pi` modulo 4 in three parts of 50 bits.
const fn quadrants(shift: i64) -> [f64; 3] {
    [
        window(shift - 2) as f64 * power(-48),
        window(shift + 48) as f64 * power(-98),
        window(shift + 98) as f64 * power(-148),
    ]
}

/// The exponent's excess over 52 is at most 971.
const LARGEST_SHIFT: usize = 971;

/// [`quadrants`] for every shift, the fourth place empty so that a row is addressed by a shift.
static QUADRANTS: [f64; 4 * (LARGEST_SHIFT + 1)] = {
    let mut table = [0.0; 4 * (LARGEST_SHIFT + 1)];
    let mut shift = 0;
    while shift <= LARGEST_SHIFT {
        let [a, b, c] = quadrants(shift as i64);
        table[4 * shift] = a;
        table[4 * shift + 1] = b;
        table[4 * shift + 2] = c;
        shift += 1;
    }
    table
};

/// An angle as a quadrant (its two low bits count) and what is left, a pair in `[-pi/4, pi/4]`.
struct Reduced {
    quadrant: u64,
    r: f64,
    low: f64,
}

/// `n` modulo 4 as an integer, for an integral `n`.
#[inline(always)]
fn modulo_4(n: f64) -> f64 {
    (n * 0.25).floor().mul_add(-4.0, n)
}

#[inline(always)]
fn reduce_f64(x: f64) -> Reduced {
    let bits = x.to_bits();
    let exponent = (bits >> 52 & 0x7ff) as i32 - (1023 + 52);
    let shift = exponent.clamp(0, LARGEST_SHIFT as i32) as u64;
    let scaled = f64::from_bits(bits.wrapping_sub(shift << 52));
    let row = shift as usize * 4;
    let (c0, c1, c2) = (QUADRANTS[row], QUADRANTS[row + 1], QUADRANTS[row + 2]);
    let n = (scaled * c0).round_ties_even();
    let first = scaled.mul_add(c0, -n);
    let second = scaled * c1;
    let second_low = scaled.mul_add(c1, -second);
    // The sum of the two with its rounding error (Knuth's two-sum).
    let sum = first + second;
    let part = sum - first;
    let lost = (first - (sum - part)) + (second - part);
    let m = sum.round_ties_even();
    let turn = sum - m;
    let turn_low = lost + scaled.mul_add(c2, second_low);
    let r = turn * FRAC_PI_2;
    let r_low =
        turn.mul_add(FRAC_PI_2, -r) + turn_low.mul_add(FRAC_PI_2, turn * 6.123233995736766e-17);
    // The low part can be large where the quadrants nearly cancel. `x * 0` is NaN for infinities and NaN, else zero.
    let whole = r + r_low;
    let r_low = r - whole + r_low;
    let r = whole + x * 0.0;
    // Small angles as they are: exact, and with the sign of zero.
    let small = x.abs() < FRAC_PI_4;
    let quadrant = (modulo_4(n) + m + ROUND).to_bits();
    Reduced {
        quadrant: if small { 0 } else { quadrant },
        r: if small { x } else { r },
        low: if small { 0.0 } else { r_low },
    }
}

/// The pair of constants for each range of single-precision exponents. Past 2^53 a value has 24 bits and 2^30 goes
/// out of it at a time, so it stays an integer.
const RANGES_F32: [[f64; 3]; 4] = [quadrants(0), quadrants(30), quadrants(60), quadrants(90)];

/// The quadrant and the rest to about 2^-48.
#[inline(always)]
fn reduce_f32(x: f32) -> (u32, f32) {
    let x = x as f64;
    let a = x.abs();
    let [[a0, a1, _], [b0, b1, _], [c0, c1, _], [d0, d1, _]] = RANGES_F32;
    let (over1, over2, over3) = (a >= power(53), a >= power(83), a >= power(113));
    let c = if over1 { b0 } else { a0 };
    let c = if over2 { c0 } else { c };
    let c = if over3 { d0 } else { c };
    let low = if over1 { b1 } else { a1 };
    let low = if over2 { c1 } else { low };
    let low = if over3 { d1 } else { low };
    let scale = if over1 { power(-30) } else { 1.0 };
    let scale = if over2 { power(-60) } else { scale };
    let scale = if over3 { power(-90) } else { scale };
    let scaled = x * scale;
    let n = (scaled * c).round_ties_even();
    let turn = scaled.mul_add(low, scaled.mul_add(c, -n));
    let m = turn.round_ties_even();
    let r = (turn - m) * FRAC_PI_2;
    ((modulo_4(n) + m + ROUND).to_bits() as u32, r as f32)
}

#[inline(always)]
fn sine_f32(r: f32) -> f32 {
    let z = r * r;
    let p = horner!(z; -0.16666667, 0.008333332, -0.00019840083, 2.7249314e-06);
    (z * p).mul_add(r, r)
}

#[inline(always)]
fn cosine_f32(r: f32) -> f32 {
    let z = r * r;
    let p = horner!(z; 0.041666668, -0.0013888888, 2.4800596e-05, -2.7300447e-07);
    z.mul_add(z.mul_add(p, -0.5), 1.0)
}

/// `sin(r + low)`.
#[inline(always)]
fn sine_f64(r: f64, low: f64) -> f64 {
    let z = r * r;
    let p = horner!(z; -0.16666666666666666, 0.008333333333330925, -0.00019841269836722418, 2.7557316083816333e-06,
        -2.5051127944010316e-08, 1.5917848524580534e-10);
    // The derivative 1 - z/2 is close enough for a low part of 2^-53.
    let correction = (-0.5 * z).mul_add(low, low);
    (z * p).mul_add(r, correction) + r
}

/// `cos(r + low)`.
#[inline(always)]
fn cosine_f64(r: f64, low: f64) -> f64 {
    let z = r * r;
    let p = horner!(z; 0.041666666666666664, -0.0013888888888887382, 2.480158729874307e-05, -2.755731726000882e-07,
        2.0876143827990713e-09, -1.138245677791886e-11);
    let half = 0.5 * z;
    let w = 1.0 - half;
    // What 1 - z/2 rounded off goes in with the small terms.
    w + ((1.0 - w - half) + (z * z).mul_add(p, -r * low))
}

#[inline(always)]
pub(super) fn sin_f32(x: f32) -> f32 {
    let (quadrant, r) = reduce_f32(x);
    let y = if quadrant & 1 == 0 {
        sine_f32(r)
    } else {
        cosine_f32(r)
    };
    let y = f32::from_bits(y.to_bits() ^ (quadrant & 2) << 30);
    // Zero keeps its sign and a subnormal its value.
    if x.abs() < 1e-5 { x } else { y }
}

#[inline(always)]
pub(super) fn cos_f32(x: f32) -> f32 {
    let (quadrant, r) = reduce_f32(x);
    let y = if quadrant & 1 == 0 {
        cosine_f32(r)
    } else {
        sine_f32(r)
    };
    f32::from_bits(y.to_bits() ^ (quadrant.wrapping_add(1) & 2) << 30)
}

#[inline(always)]
pub(super) fn tan_f32(x: f32) -> f32 {
    let (quadrant, r) = reduce_f32(x);
    let r = r as f64;
    let (s, c) = (sine_f64(r, 0.0), cosine_f64(r, 0.0));
    let even = quadrant & 1 == 0;
    let y = ((if even { s } else { -c }) / (if even { c } else { s })) as f32;
    if x.abs() < 1e-5 { x } else { y }
}

#[inline(always)]
pub(super) fn sin_f64(x: f64) -> f64 {
    let Reduced { quadrant, r, low } = reduce_f64(x);
    let y = if quadrant & 1 == 0 {
        sine_f64(r, low)
    } else {
        cosine_f64(r, low)
    };
    let y = f64::from_bits(y.to_bits() ^ (quadrant & 2) << 62);
    if x.abs() < 1e-9 { x } else { y }
}

#[inline(always)]
pub(super) fn cos_f64(x: f64) -> f64 {
    let Reduced { quadrant, r, low } = reduce_f64(x);
    let y = if quadrant & 1 == 0 {
        cosine_f64(r, low)
    } else {
        sine_f64(r, low)
    };
    f64::from_bits(y.to_bits() ^ (quadrant.wrapping_add(1) & 2) << 62)
}

#[inline(always)]
pub(super) fn tan_f64(x: f64) -> f64 {
    let Reduced { quadrant, r, low } = reduce_f64(x);
    let (s, c) = (sine_f64(r, low), cosine_f64(r, low));
    let even = quadrant & 1 == 0;
    let y = (if even { s } else { -c }) / (if even { c } else { s });
    if x.abs() < 1e-9 { x } else { y }
}
