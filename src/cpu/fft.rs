//! Discrete Fourier transforms of rows.

use super::parallel::for_range;
use crate::iter::{GRAIN, SendPtr};
use crate::list;
use num_complex::Complex;
use rustfft::{FftDirection, FftNum, FftPlanner};

/// Rows for whose plan memory may not suffice: factors at each level, and what a length that is no power of two is
/// stretched to.
const LARGE: usize = 1 << 20;

/// Transforms every row of `n` elements in place and multiplies by `scale`.
pub fn transform_rows<R: FftNum>(data: &mut [Complex<R>], n: usize, forward: bool, scale: R) {
    if n == 0 || data.is_empty() {
        return;
    }
    let direction = if forward {
        FftDirection::Forward
    } else {
        FftDirection::Inverse
    };
    if n >= LARGE {
        // The planner aborts where it finds no memory: ask for what it takes before it does.
        drop(list::held(list::with_room::<Complex<R>>(8 * n)));
    }
    let plan = FftPlanner::<R>::new().plan_fft(n, direction);
    let (rows, ptr) = (data.len() / n, SendPtr(data.as_mut_ptr() as *mut u8));
    for_range(rows, (GRAIN / n).max(1), |from, to| {
        // SAFETY: blocks of rows are disjoint parts of `data`.
        let block = unsafe {
            std::slice::from_raw_parts_mut(ptr.of::<Complex<R>>().add(from * n), (to - from) * n)
        };
        plan.process(block);
        if !scale.is_one() {
            block
                .iter_mut()
                .for_each(|v| *v = Complex::new(v.re * scale, v.im * scale));
        }
    });
}
