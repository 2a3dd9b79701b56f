//! Discrete Fourier transforms of rows.

use super::parallel::for_range;
use crate::iter::{GRAIN, SendPtr};
use num_complex::Complex;
use rustfft::{FftDirection, FftNum, FftPlanner};

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
