//! Distributions whose number of draws depends on the values drawn, and choices among categories.

use super::element::Real;
use super::generator::Generator;
use crate::list;

/// Standard gamma value of shape `alpha` (Marsaglia and Tsang, "A simple method for generating gamma variables",
/// 2000). Shapes below one use the value for `alpha + 1` times a power of a uniform.
fn gamma<T: Real>(generator: &mut Generator, alpha: T) -> f64 {
    let mut alpha = alpha.to_f64();
    let mut scale = 1.0;
    if alpha < 1.0 {
        if alpha == 0.0 {
            return 0.0;
        }
        scale = (1.0 - generator.uniform_f64()).powf(rounded::<T>(1.0 / alpha));
        alpha = rounded::<T>(alpha + 1.0);
    }
    // The constants are those of single precision, whatever the type of the shape.
    let d = rounded::<T>(alpha - (1.0f32 / 3.0) as f64);
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let (x, y) = loop {
            let x = generator.normal_f64();
            let y = 1.0 + c * x;
            if y > 0.0 || y.is_nan() {
                break (x, y);
            }
        };
        let v = y * y * y;
        let u = 1.0 - generator.uniform_f64();
        let square = x * x;
        if u < 1.0 - 0.0331f32 as f64 * square * square
            || u.ln() < 0.5 * square + d * (1.0 - v + v.ln())
            || v.is_nan()
        {
            return scale * d * v;
        }
    }
}

/// Standard gamma values, one per shape in `alpha`; at least the smallest normal value of the type.
pub fn standard_gamma<T: Real>(generator: &mut Generator, out: &mut [T], alpha: &[T]) {
    for (slot, alpha) in out.iter_mut().zip(alpha) {
        let value = T::from_f64(gamma(generator, *alpha));
        *slot = if value.to_f64() < T::TINY {
            T::from_f64(T::TINY)
        } else {
            value
        };
    }
}

/// Dirichlet values: each run of `categories` elements of `alpha` gives one point of the simplex.
pub fn dirichlet<T: Real>(
    generator: &mut Generator,
    out: &mut [T],
    alpha: &[T],
    categories: usize,
) {
    if categories == 0 {
        return;
    }
    // All gamma values come before the first division, but that does not change the order of draws.
    let mut gammas = list::held(list::filled(categories, 0f64));
    for (out, alpha) in out.chunks_mut(categories).zip(alpha.chunks(categories)) {
        for (slot, alpha) in gammas.iter_mut().zip(alpha) {
            *slot = gamma(generator, alpha.to_f64()).max(f64::MIN_POSITIVE);
        }
        let total = lane_sum(&gammas);
        for (slot, gamma) in out.iter_mut().zip(&gammas) {
            let value = T::from_f64(gamma / total).to_f64();
            *slot = T::from_f64(value.max(T::TINY).min(T::BELOW_ONE));
        }
    }
}

/// The sum of a row in the order that decides the last bit of its quotients: 4 accumulators of 4 lanes each take
/// 16 values a turn, the first accumulator takes the quads left over, and the values after those come before the lanes.
fn lane_sum(row: &[f64]) -> f64 {
    const FLUSH: usize = 16;
    let mut levels = [[0f64; 16]; 4];
    let add = |sums: &mut [f64; 16], values: &[f64; 16]| {
        for (sum, value) in sums.iter_mut().zip(values) {
            *sum += value;
        }
    };
    let (blocks, rest) = row.as_chunks::<16>();
    for (i, block) in blocks.iter().enumerate() {
        add(&mut levels[0], block);
        // Each level empties into the next one after 16 turns, so that long rows lose less to rounding.
        let mut turns = i + 1;
        for level in 1..levels.len() {
            if turns % FLUSH != 0 {
                break;
            }
            turns /= FLUSH;
            let full = std::mem::replace(&mut levels[level - 1], [0.0; 16]);
            add(&mut levels[level], &full);
        }
    }
    let [mut sums, upper @ ..] = levels;
    for level in &upper {
        add(&mut sums, level);
    }
    let mut lanes: [[f64; 4]; 4] =
        std::array::from_fn(|i| std::array::from_fn(|j| sums[4 * i + j]));
    let (quads, tail) = rest.as_chunks::<4>();
    for quad in quads {
        for (lane, value) in lanes[0].iter_mut().zip(quad) {
            *lane += value;
        }
    }
    let [mut total, others @ ..] = lanes;
    for other in others {
        for (lane, value) in total.iter_mut().zip(other) {
            *lane += value;
        }
    }
    tail.iter()
        .chain(&total)
        .fold(0.0, |sum, value| sum + value)
}

/// Poisson value of rate `lambda`: products of uniforms below 10, transformed rejection (Hoermann, 1993) above.
fn poisson_one(generator: &mut Generator, lambda: f64) -> i64 {
    if lambda == 0.0 {
        return 0;
    }
    if lambda < 10.0 {
        let stop = (-lambda).exp();
        let mut product = 1.0;
        let mut count = 0;
        loop {
            product *= generator.uniform_f64();
            if product <= stop || product.is_nan() {
                return count;
            }
            count += 1;
        }
    }
    let root = lambda.sqrt();
    let log_lambda = lambda.ln();
    let b = 0.931 + 2.53 * root;
    let a = -0.059 + 0.02483 * b;
    let inverse_alpha = 1.1239 + 1.1328 / (b - 3.4);
    let inside = 0.9277 - 3.6224 / (b - 2.0);
    loop {
        let u = generator.uniform_f64() - 0.5;
        let v = generator.uniform_f64();
        let us = 0.5 - u.abs();
        let k = ((2.0 * a / us + b) * u + lambda + 0.43).floor();
        let count = k as i64;
        if us >= 0.07 && v <= inside {
            return count;
        }
        if count < 0 || (us < 0.013 && v > us) {
            continue;
        }
        let accept = v.ln() + inverse_alpha.ln() - (a / (us * us) + b).ln();
        if accept <= -lambda + count as f64 * log_lambda - libm::lgamma(count as f64 + 1.0)
            || lambda.is_nan()
        {
            return count;
        }
    }
}

/// Poisson values, one per rate.
pub fn poisson<T: Real>(generator: &mut Generator, out: &mut [T], rates: &[T]) {
    for (slot, rate) in out.iter_mut().zip(rates) {
        *slot = T::from_i64(poisson_one(generator, rate.to_f64()));
    }
}

/// Successes among `count` trials of probability `p`, one per pair of elements.
pub fn binomial<T: Real>(generator: &mut Generator, out: &mut [T], count: &[T], p: &[T]) {
    for ((slot, count), p) in out.iter_mut().zip(count).zip(p) {
        let (count, p) = (count.to_f64(), p.to_f64());
        let value = if count <= 0.0 || p <= 0.0 {
            0.0
        } else if count.is_nan() || p.is_nan() {
            // No number of steps would reach it.
            f64::NAN
        } else if p >= 1.0 {
            count
        } else if p <= 0.5 {
            binomial_half::<T>(generator, count, p)
        } else {
            count - binomial_half::<T>(generator, count, rounded::<T>(1.0 - p))
        };
        *slot = T::from_f64(value);
    }
}

/// A step that is computed in the element type itself. One operation in f64 and a rounding is the same.
fn rounded<T: Real>(value: f64) -> f64 {
    T::from_f64(value).to_f64()
}

/// The binomial sampler for `p` up to one half: gaps between successes when few are expected, otherwise the
/// transformed rejection of Hoermann, "The generation of binomial random variates", 1993.
fn binomial_half<T: Real>(generator: &mut Generator, count: f64, p: f64) -> f64 {
    let expected = rounded::<T>(count * p);
    if expected >= 10.0 {
        return binomial_rejection::<T>(generator, count, p, expected);
    }
    let log_failure = if T::WIDE {
        (-p).ln_1p()
    } else {
        rounded::<T>((-p as f32).ln_1p() as f64)
    };
    let mut position = 0.0;
    let mut successes = 0.0;
    loop {
        position += (generator.uniform_f64().ln() / log_failure).ceil();
        if position > count || position.is_nan() {
            return successes;
        }
        successes += 1.0;
    }
}

fn binomial_rejection<T: Real>(
    generator: &mut Generator,
    count: f64,
    p: f64,
    expected: f64,
) -> f64 {
    let q = rounded::<T>(1.0 - p);
    let deviation = rounded::<T>(rounded::<T>(expected * q).sqrt());
    let b = 1.15 + 2.53 * deviation;
    let a = -0.0873 + 0.0248 * b + 0.01 * p;
    let c = expected + 0.5;
    let inside = 0.92 - 4.2 / b;
    let odds = rounded::<T>(p / q);
    let alpha = (2.83 + 5.1 / b) * deviation;
    let trials = rounded::<T>(count + 1.0);
    let mode = rounded::<T>(trials * p).floor();
    loop {
        let u = generator.uniform_f64() - 0.5;
        let v = generator.uniform_f64();
        let us = 0.5 - u.abs();
        let k = rounded::<T>(((2.0 * a / us + b) * u + c).floor());
        if k < 0.0 || k > count {
            continue;
        }
        if us >= 0.07 && v <= inside {
            return k;
        }
        let v = (v * alpha / (a / (us * us) + b)).ln();
        let failures = rounded::<T>(rounded::<T>(count - k) + 1.0);
        let mode_failures = count - mode + 1.0;
        let bound = (mode + 0.5) * ((mode + 1.0) / (odds * mode_failures)).ln()
            + trials * (mode_failures / failures).ln()
            + (k + 0.5) * (odds * failures / rounded::<T>(k + 1.0)).ln()
            + stirling_error(mode)
            + stirling_error(count - mode)
            - stirling_error(k)
            - stirling_error(rounded::<T>(count - k));
        if v <= bound || bound.is_nan() {
            return k;
        }
    }
}

/// ln k! less Stirling's formula: tabulated for the first values, then three terms of the series.
fn stirling_error(k: f64) -> f64 {
    const FIRST: [f64; 10] = [
        0.0810614667953272,
        0.0413406959554092,
        0.0276779256849983,
        0.02079067210376509,
        0.0166446911898211,
        0.0138761288230707,
        0.0118967099458917,
        0.0104112652619720,
        0.00925546218271273,
        0.00833056343336287,
    ];
    if let Some(&value) = FIRST.get(k.max(0.0) as usize) {
        return value;
    }
    let square = (k + 1.0) * (k + 1.0);
    (1.0 / 12.0 - (1.0 / 360.0 - 1.0 / 1260.0 / square) / square) / (k + 1.0)
}
