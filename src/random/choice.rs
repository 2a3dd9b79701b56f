//! Permutations and draws from categories.

use super::element::{Element, Real};
use super::generator::Generator;
use crate::list;

/// Longest permutation that 32-bit draws shuffle; beyond it their remainders would be skewed.
const NARROW_PERMUTATION: usize = (u32::MAX / 20) as usize;

/// A random permutation of `0..out.len()`.
pub fn permutation<T: Element>(generator: &mut Generator, out: &mut [T]) {
    for (i, slot) in out.iter_mut().enumerate() {
        *slot = T::from_i64(i as i64);
    }
    let count = out.len();
    if count < NARROW_PERMUTATION {
        let mut words = [0u32; super::BATCH];
        let last = count.saturating_sub(1);
        for start in (0..last).step_by(words.len()) {
            let used = words.len().min(last - start);
            generator.fill_words(&mut words[..used]);
            for (i, &word) in (start..).zip(&words[..used]) {
                out.swap(i, i + (word % (count - i) as u32) as usize);
            }
        }
    } else {
        for i in 1..count {
            out.swap(i, (generator.random64() % (i as u64 + 1)) as usize);
        }
    }
}

/// Categories drawn with replacement from one row of weights: a 64-bit draw each, looked up in the running sums
/// of the weights, which are kept in the element type (f32 for the half types).
///
/// A draw without replacement, or a single one, is not made here: it takes the largest `count` entries of
/// `weights / q`, where `q` is [`super::exponential`] of rate 1 in the type of the weights.
pub fn multinomial<T: Real>(generator: &mut Generator, out: &mut [i64], weights: &[T]) {
    let round = |value: f64| if T::WIDE { value } else { value as f32 as f64 };
    let mut sums = list::held(list::with_room(weights.len()));
    let mut sum = 0.0;
    for weight in weights {
        sum = round(sum + weight.to_f64());
        sums.push(sum);
    }
    if sum > 0.0 {
        for slot in &mut sums {
            *slot = round(*slot / sum);
        }
    }
    for slot in out {
        let u = generator.uniform_f64();
        *slot = sums.partition_point(|&sum| sum < u) as i64;
    }
}
