//! Running results along an axis of a contiguous (outer, n, inner) block.

use crate::cpu::parallel::for_range;
use crate::iter::{GRAIN, SendPtr};

/// Lines walked side by side.
const TILE: usize = 64;

/// Writes, for every line, the state after each element: `state = step(state, element, position)`.
///
/// # Safety
/// `out` has room for as many elements as `x` has.
pub unsafe fn scan<T, A, O>(
    x: &[T],
    n: usize,
    inner: usize,
    out: *mut O,
    start: A,
    step: impl Fn(A, T, usize) -> A + Sync,
    finish: impl Fn(A) -> O + Sync,
) where
    T: Copy + Sync,
    A: Copy + Sync,
    O: Copy,
{
    if x.is_empty() {
        return;
    }
    let outer = x.len() / (n * inner);
    let tiles = inner.div_ceil(TILE);
    let out = SendPtr(out as *mut u8);
    let width = TILE.min(inner);
    for_range(outer * tiles, (GRAIN / (n * width)).max(1), |from, to| {
        for t in from..to {
            let (o, c) = (t / tiles, (t % tiles) * TILE);
            let m = TILE.min(inner - c);
            let mut state = [start; TILE];
            for j in 0..n {
                let at = (o * n + j) * inner + c;
                let row = &x[at..at + m];
                for (k, (s, &v)) in state[..m].iter_mut().zip(row).enumerate() {
                    *s = step(*s, v, j);
                    // SAFETY: the same position as in `x`, written once.
                    unsafe { out.of::<O>().add(at + k).write(finish(*s)) };
                }
            }
        }
    });
}

/// `log(exp(a) + exp(b))` without overflow.
pub fn log_add_exp(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() {
        return f64::NAN;
    }
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    if low == high && high.is_infinite() {
        high
    } else {
        high + (low - high).exp().ln_1p()
    }
}
