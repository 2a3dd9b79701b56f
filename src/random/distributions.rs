//! Fills that use a fixed number of draws per element: uniform, integer, Bernoulli, exponential, geometric, Cauchy.

use super::element::{Element, Real};
use super::generator::Generator;
use super::{BATCH, multiversion, unit_f32, unit_f64};

/// Ranges from here on are drawn from 64 bits, because the remainder of 32 would be visibly skewed.
const WIDE_RANGE: u64 = 1 << 28;

/// Calls `convert` with the 32-bit words of each part of `out`.
fn with_words<T>(
    generator: &mut Generator,
    out: &mut [T],
    mut convert: impl FnMut(&[u32], &mut [T]),
) {
    let mut words = [0u32; BATCH];
    for chunk in out.chunks_mut(BATCH) {
        let words = &mut words[..chunk.len()];
        generator.fill_words(words);
        convert(words, chunk);
    }
}

/// Calls `convert` with the 64-bit words of each part of `out`.
fn with_wide_words<T>(
    generator: &mut Generator,
    out: &mut [T],
    mut convert: impl FnMut(&[u64], &mut [T]),
) {
    let mut words = [0u32; BATCH];
    let mut wide = [0u64; BATCH / 2];
    for chunk in out.chunks_mut(BATCH / 2) {
        let words = &mut words[..2 * chunk.len()];
        generator.fill_words(words);
        let wide = &mut wide[..chunk.len()];
        join(words, wide);
        convert(wide, chunk);
    }
}

multiversion! {
    fn join(words: &[u32], out: &mut [u64]) {
        for (slot, pair) in out.iter_mut().zip(words.chunks_exact(2)) {
            *slot = (pair[0] as u64) << 32 | pair[1] as u64;
        }
    }
}

/// Writes `value(u)` for a 53-bit uniform `u` per element.
fn map_unit<T: Element>(generator: &mut Generator, out: &mut [T], value: impl Fn(f64) -> f64) {
    with_wide_words(generator, out, |words, out| {
        for (slot, &word) in out.iter_mut().zip(words) {
            *slot = T::from_f64(value(unit_f64(word)));
        }
    });
}

/// Uniform values in [from, to). f64 draws 64 bits per element, all other types 32.
pub fn uniform<T: Real>(generator: &mut Generator, out: &mut [T], from: f64, to: f64) {
    // Rounding can reach the open end of the interval; such a value becomes the closed end.
    let (low, high) = (T::from_f64(from), T::from_f64(to));
    if T::WIDE {
        with_wide_words(generator, out, |words, out| {
            let mut values = [0f64; BATCH / 2];
            let values = &mut values[..out.len()];
            spread_f64(words, values, from, to);
            for (slot, &value) in out.iter_mut().zip(values.iter()) {
                let value = T::from_f64(value);
                *slot = if value == high { low } else { value };
            }
        });
    } else {
        with_words(generator, out, |words, out| {
            let mut values = [0f32; BATCH];
            let values = &mut values[..out.len()];
            spread_f32(words, values, from as f32, to as f32);
            for (slot, &value) in out.iter_mut().zip(values.iter()) {
                let value = T::from_f32(value);
                *slot = if value == high { low } else { value };
            }
        });
    }
}

multiversion! {
    fn spread_f32(words: &[u32], out: &mut [f32], from: f32, to: f32) {
        let span = to - from;
        for (slot, &word) in out.iter_mut().zip(words) {
            *slot = unit_f32(word).mul_add(span, from);
        }
    }
}

multiversion! {
    fn spread_f64(words: &[u64], out: &mut [f64], from: f64, to: f64) {
        let span = to - from;
        for (slot, &word) in out.iter_mut().zip(words) {
            *slot = unit_f64(word).mul_add(span, from);
        }
    }
}

/// Integers `base + draw % range`, as `randint` and `random_(from, to)` draw them. `range` is at least 1.
pub fn random_from<T: Element>(generator: &mut Generator, out: &mut [T], base: i64, range: u64) {
    let range = range.max(1);
    let convert = |rest: u64| T::from_i64((rest as i64).wrapping_add(base));
    if range >= WIDE_RANGE {
        with_wide_words(generator, out, |words, out| {
            for (slot, &word) in out.iter_mut().zip(words) {
                *slot = convert(word % range);
            }
        });
    } else {
        let range = range as u32;
        let mut rests = [0u32; BATCH];
        with_words(generator, out, |words, out| {
            let rests = &mut rests[..out.len()];
            remainders(words, rests, range);
            for (slot, &rest) in out.iter_mut().zip(rests.iter()) {
                *slot = convert(rest as u64);
            }
        });
    }
}

multiversion! {
    /// `word % range`. The f64 quotient of two 32-bit integers never rounds across an integer, so its floor is the
    /// integer quotient; unlike the integer division it runs in lanes.
    fn remainders(words: &[u32], out: &mut [u32], range: u32) {
        let divisor = range as f64;
        for (slot, &word) in out.iter_mut().zip(words) {
            let word = word as f64;
            *slot = (word - (word / divisor).floor() * divisor) as i32 as u32;
        }
    }
}

/// Every 64-bit pattern, as `random_(-2**63, None)` draws them.
pub fn random_full<T: Element>(generator: &mut Generator, out: &mut [T]) {
    with_wide_words(generator, out, |words, out| {
        for (slot, &word) in out.iter_mut().zip(words) {
            *slot = T::from_i64(word as i64);
        }
    });
}

/// `random_()` without bounds: integers from 0 to the type's largest, or to 2^digits for floating types.
pub fn random<T: Element>(generator: &mut Generator, out: &mut [T]) {
    let rule = T::UNBOUNDED;
    let convert = |word: u64| {
        T::from_i64(match rule.modulus {
            0 => word as i64,
            modulus => (word % modulus) as i64,
        })
    };
    if rule.wide {
        with_wide_words(generator, out, |words, out| {
            for (slot, &word) in out.iter_mut().zip(words) {
                *slot = convert(word);
            }
        });
    } else {
        with_words(generator, out, |words, out| {
            for (slot, &word) in out.iter_mut().zip(words) {
                *slot = convert(word as u64);
            }
        });
    }
}

/// The bounds of `random_(from, to)` moved inside `[from, to)` to values that a floating type holds exactly.
/// Types without a significand keep theirs.
pub fn representable_bounds<T: Element>(from: i64, to: i64) -> (i64, i64) {
    if T::SIGNIFICAND == 0 {
        return (from, to);
    }
    let step = |magnitude: u64| {
        1i64 << (magnitude.max(1).ilog2() + 1)
            .saturating_sub(T::SIGNIFICAND)
            .min(62)
    };
    let (mut low, mut high) = (from, to);
    let above = T::from_i64(from.wrapping_add(1)).to_i64();
    if above < from {
        low = above.wrapping_add(step(from.wrapping_add(1).unsigned_abs()));
    }
    let below = T::from_i64(to.wrapping_sub(1)).to_i64();
    if below >= to {
        high = below.wrapping_sub(step(to.wrapping_sub(1).unsigned_abs()));
    }
    (low, high)
}

/// One (true) with probability `p`: `bernoulli_(p)` with a number, and dropout. One 64-bit draw per element.
pub fn bernoulli<T: Element>(generator: &mut Generator, out: &mut [T], p: f64) {
    // A 53-bit uniform is below p exactly if its integer numerator is below p * 2^53 rounded up.
    let threshold = (p * (1u64 << 53) as f64).ceil() as u64;
    let mut hits = [false; BATCH / 2];
    with_wide_words(generator, out, |words, out| {
        let hits = &mut hits[..out.len()];
        below(words, hits, threshold);
        for (slot, &hit) in out.iter_mut().zip(hits.iter()) {
            *slot = T::from_bool(hit);
        }
    });
}

multiversion! {
    fn below(words: &[u64], out: &mut [bool], threshold: u64) {
        for (slot, &word) in out.iter_mut().zip(words) {
            *slot = word & ((1 << 53) - 1) < threshold;
        }
    }
}

/// One (true) with a probability per element. f64 probabilities take a 64-bit draw, all others a 32-bit one.
pub fn bernoulli_each<T: Element, P: Real>(generator: &mut Generator, out: &mut [T], p: &[P]) {
    let mut rest = p;
    let mut next = |count: usize| {
        let (head, tail) = rest.split_at(count.min(rest.len()));
        rest = tail;
        head
    };
    if P::WIDE {
        with_wide_words(generator, out, |words, out| {
            let p = next(out.len());
            for ((slot, &word), p) in out.iter_mut().zip(words).zip(p) {
                *slot = T::from_bool(unit_f64(word) < p.to_f64());
            }
        });
    } else {
        with_words(generator, out, |words, out| {
            let p = next(out.len());
            for ((slot, &word), p) in out.iter_mut().zip(words).zip(p) {
                *slot = T::from_bool(unit_f32(word) < p.to_f64() as f32);
            }
        });
    }
}

/// Exponential values of rate `lambda`. One 64-bit draw per element.
pub fn exponential<T: Real>(generator: &mut Generator, out: &mut [T], lambda: f64) {
    let scale = -1.0 / lambda;
    map_unit(generator, out, |u| scale * (-u).ln_1p());
}

/// Trials up to and including the first success of probability `p`. One 64-bit draw per element.
pub fn geometric<T: Element>(generator: &mut Generator, out: &mut [T], p: f64) {
    let log_failure = (-p).ln_1p();
    map_unit(generator, out, |u| (u.ln() / log_failure).ceil());
}

/// Cauchy values. One 64-bit draw per element.
pub fn cauchy<T: Real>(generator: &mut Generator, out: &mut [T], median: f64, sigma: f64) {
    map_unit(generator, out, |u| {
        sigma.mul_add((std::f64::consts::PI * (u - 0.5)).tan(), median)
    });
}
