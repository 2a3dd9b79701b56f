//! Normal fills. Contiguous runs of 16 values or more are transformed in groups of 16 (8 pairs of uniforms);
//! everything else draws pair by pair from the generator.

use super::element::{Element, Real};
use super::generator::Generator;
use super::{BATCH, multiversion, unit_f32, unit_f64};

/// Values in one group: the first half holds the radius draws, the second half the angles.
const GROUP: usize = 16;
const LANES: usize = GROUP / 2;

/// Fills a contiguous buffer with normal values.
///
/// Fewer than 16 values take the pairwise path of [`normal_scalar`]. From 16 values on the cached normal of the
/// generator is neither used nor changed, and a length that is no multiple of 16 draws 16 further uniforms with
/// which the last 16 values are written again.
pub fn normal<T: Real>(generator: &mut Generator, out: &mut [T], mean: f64, std: f64) {
    if out.len() < GROUP {
        return normal_scalar(generator, out, mean, std);
    }
    let whole = out.len() / GROUP * GROUP;
    let tail = out.len() - GROUP;
    groups(generator, &mut out[..whole], mean, std);
    if whole != out.len() {
        if T::SIGNIFICAND >= <f32 as Element>::SIGNIFICAND {
            // These types are drawn in place, every slot first, so the incomplete group has used its uniforms too;
            // the half types go through a buffer of one group and have not.
            let mut dropped = [0u32; 2 * GROUP];
            let words = (out.len() - whole) * if T::WIDE { 2 } else { 1 };
            generator.fill_words(&mut dropped[..words]);
        }
        groups(generator, &mut out[tail..], mean, std);
    }
}

/// Fills `out` with normal values drawn pair by pair in f64, through the generator's cached second value.
/// This is the path of short and of non-contiguous tensors.
pub fn normal_scalar<T: Element>(generator: &mut Generator, out: &mut [T], mean: f64, std: f64) {
    for slot in out {
        *slot = T::from_f64(shifted(generator.normal_f64(), mean, std));
    }
}

/// Fills `out` with `exp` of normal values. Always pairwise, whatever the length.
pub fn log_normal<T: Element>(generator: &mut Generator, out: &mut [T], mean: f64, std: f64) {
    for slot in out {
        *slot = T::from_f64(shifted(generator.normal_f64(), mean, std).exp());
    }
}

#[inline(always)]
fn shifted(value: f64, mean: f64, std: f64) -> f64 {
    value.mul_add(std, mean)
}

/// Transforms whole groups; the length of `out` is a multiple of 16.
fn groups<T: Real>(generator: &mut Generator, out: &mut [T], mean: f64, std: f64) {
    let mut words = [0u32; BATCH];
    if T::WIDE {
        let mut values = [0f64; GROUP];
        for chunk in out.chunks_mut(BATCH / 2) {
            let words = &mut words[..2 * chunk.len()];
            generator.fill_words(words);
            for (slots, words) in chunk
                .chunks_exact_mut(GROUP)
                .zip(words.chunks_exact(2 * GROUP))
            {
                for (value, pair) in values.iter_mut().zip(words.chunks_exact(2)) {
                    *value = unit_f64((pair[0] as u64) << 32 | pair[1] as u64);
                }
                box_muller_f64(&mut values, mean, std);
                for (slot, &value) in slots.iter_mut().zip(&values) {
                    *slot = T::from_f64(value);
                }
            }
        }
    } else {
        let mut values = [0f32; BATCH];
        for chunk in out.chunks_mut(BATCH) {
            let (words, values) = (&mut words[..chunk.len()], &mut values[..chunk.len()]);
            generator.fill_words(words);
            box_muller_f32(words, values, mean as f32, std as f32);
            for (slot, &value) in chunk.iter_mut().zip(values.iter()) {
                *slot = T::from_f32(value);
            }
        }
    }
}

fn box_muller_f64(values: &mut [f64; GROUP], mean: f64, std: f64) {
    for lane in 0..LANES {
        let radius = (-2.0 * (1.0 - values[lane]).ln()).sqrt();
        let theta = 2.0 * std::f64::consts::PI * values[lane + LANES];
        values[lane] = (radius * theta.cos()).mul_add(std, mean);
        values[lane + LANES] = (radius * theta.sin()).mul_add(std, mean);
    }
}

multiversion! {
    /// Writes the normal values of whole groups of random words.
    fn box_muller_f32(words: &[u32], out: &mut [f32], mean: f32, std: f32) {
        let groups = out.chunks_exact_mut(GROUP).zip(words.chunks_exact(GROUP));
        for (out, words) in groups {
            let mut cosines = [0f32; LANES];
            let mut sines = [0f32; LANES];
            for lane in 0..LANES {
                let radius = (-2.0 * log(1.0 - unit_f32(words[lane]))).sqrt();
                let (sin, cos) = sin_cos(std::f32::consts::TAU * unit_f32(words[lane + LANES]));
                cosines[lane] = (radius * cos).mul_add(std, mean);
                sines[lane] = (radius * sin).mul_add(std, mean);
            }
            out[..LANES].copy_from_slice(&cosines);
            out[LANES..].copy_from_slice(&sines);
        }
    }
}

// The two functions below are the Cephes single precision logarithm and sine. Which products are fused with the
// addition that follows is part of the stream: another grouping changes the last bit of about one value in 100.

#[allow(clippy::excessive_precision)]
const LOG: [f32; 9] = [
    7.0376836292e-2,
    -1.1514610310e-1,
    1.1676998740e-1,
    -1.2420140846e-1,
    1.4249322787e-1,
    -1.6668057665e-1,
    2.0000714765e-1,
    -2.4999993993e-1,
    3.3333331174e-1,
];
/// ln 2 in two parts; the larger one is exact in few bits.
const LN2_LOW: f32 = -2.121_944_4e-4;
const LN2_HIGH: f32 = 0.693_359_4;

/// Natural logarithm of a normal positive number.
#[inline(always)]
fn log(value: f32) -> f32 {
    let bits = value.to_bits();
    let mut exponent = ((bits >> 23) as i32 - 126) as f32;
    let mantissa = f32::from_bits((bits & 0x007f_ffff) | 0x3f00_0000);
    let mut x = mantissa - 1.0;
    if mantissa < std::f32::consts::FRAC_1_SQRT_2 {
        exponent -= 1.0;
        x += mantissa;
    }
    let square = x * x;
    let mut y = LOG[0];
    for &term in &LOG[1..] {
        y = y.mul_add(x, term);
    }
    y *= x;
    y = y.mul_add(square, exponent * LN2_LOW);
    y = (-square).mul_add(0.5, y);
    exponent.mul_add(LN2_HIGH, x + y)
}

/// Pi/4 in three parts, negated.
#[allow(clippy::excessive_precision)]
const QUARTER: [f32; 3] = [
    -0.78515625,
    -2.4187564849853515625e-4,
    -3.77489497744594108e-8,
];
const OCTANTS_PER_RADIAN: f32 = 1.273_239_5;
#[allow(clippy::excessive_precision)]
const SIN: [f32; 3] = [-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1];
#[allow(clippy::excessive_precision)]
const COS: [f32; 3] = [
    2.443315711809948e-5,
    -1.388731625493765e-3,
    4.166664568298827e-2,
];

/// Sine and cosine of an angle in [0, 2 pi].
#[inline(always)]
fn sin_cos(angle: f32) -> (f32, f32) {
    let octant = ((angle * OCTANTS_PER_RADIAN) as i32 + 1) & !1;
    let steps = octant as f32;
    let mut x = angle;
    for part in QUARTER {
        x = steps.mul_add(part, x);
    }
    let square = x * x;
    let mut even = COS[0].mul_add(square, COS[1]).mul_add(square, COS[2]) * square;
    even = even.mul_add(square, -(square * 0.5)) + 1.0;
    let odd = SIN[0].mul_add(square, SIN[1]).mul_add(square, SIN[2]) * square;
    let odd = odd.mul_add(x, x);
    let (sin, cos) = if octant & 2 == 0 {
        (odd, even)
    } else {
        (even, odd)
    };
    let sin_sign = ((octant & 4) as u32) << 29;
    let cos_sign = ((!(octant - 2) & 4) as u32) << 29;
    (
        f32::from_bits(sin.to_bits() ^ sin_sign),
        f32::from_bits(cos.to_bits() ^ cos_sign),
    )
}
