//! Kernels of classification losses over (rows, classes, inner) in row-major order.

use super::math::Real;
use super::parallel::for_range;
use crate::iter::SendPtr;
use crate::list;

/// Positions handled together where the classes are not adjacent in memory.
const WIDE: usize = 64;

/// Logarithm of the sum of exponentials over the classes.
pub fn log_sum_exp<R: Real>(x: &[R], out: &mut [R], classes: usize, inner: usize) {
    if classes == 0 || inner == 0 {
        out.fill(R::NEG_INFINITY);
        return;
    }
    let (rows, dst) = (out.len() / inner, SendPtr(out.as_mut_ptr() as *mut u8));
    for_range(
        rows,
        (crate::iter::GRAIN / (classes * inner)).max(1),
        |from, to| {
            for row in from..to {
                // SAFETY: `out` holds `rows * inner` elements and threads own disjoint rows.
                let out = unsafe {
                    std::slice::from_raw_parts_mut(dst.of::<R>().add(row * inner), inner)
                };
                let x = &x[row * classes * inner..(row + 1) * classes * inner];
                if inner == 1 {
                    out[0] = row_log_sum_exp(x);
                } else {
                    for start in (0..inner).step_by(WIDE) {
                        strided_log_sum_exp(
                            x,
                            &mut out[start..(start + WIDE).min(inner)],
                            inner,
                            start,
                        );
                    }
                }
            }
        },
    );
}

/// The shift that keeps exponentials in range; an infinite maximum shifts nothing.
#[inline(always)]
fn finite<R: Real>(m: R) -> R {
    if m.is_finite() || m.is_nan() {
        m
    } else {
        R::ZERO
    }
}

fn row_log_sum_exp<R: Real>(x: &[R]) -> R {
    let mut lanes = [R::NEG_INFINITY; 8];
    let chunks = x.chunks_exact(8);
    let rest = chunks.remainder();
    for c in chunks {
        for (m, &v) in lanes.iter_mut().zip(c) {
            *m = R::select(v > *m, v, *m);
        }
    }
    let shift = finite(
        lanes
            .iter()
            .chain(rest)
            .fold(R::NEG_INFINITY, |m, &v| R::select(v > m, v, m)),
    );
    let mut sums = [R::ZERO; 8];
    let chunks = x.chunks_exact(8);
    for c in chunks {
        for (s, &v) in sums.iter_mut().zip(c) {
            *s += (v - shift).exp();
        }
    }
    let mut sum = R::ZERO;
    for s in sums {
        sum += s;
    }
    for &v in rest {
        sum += (v - shift).exp();
    }
    sum.ln() + shift
}

fn strided_log_sum_exp<R: Real>(x: &[R], out: &mut [R], inner: usize, start: usize) {
    let n = out.len();
    let mut shift = [R::NEG_INFINITY; WIDE];
    for c in x.chunks_exact(inner) {
        for (m, &v) in shift.iter_mut().zip(&c[start..start + n]) {
            *m = R::select(v > *m, v, *m);
        }
    }
    shift.iter_mut().for_each(|m| *m = finite(*m));
    out.fill(R::ZERO);
    for c in x.chunks_exact(inner) {
        for ((s, &m), &v) in out.iter_mut().zip(&shift).zip(&c[start..start + n]) {
            *s += (v - m).exp();
        }
    }
    for (s, &m) in out.iter_mut().zip(&shift) {
        *s = s.ln() + m;
    }
}

/// Class targets: one class per position, negative where the position does not count.
pub struct Targets {
    pub rows: usize,
    pub classes: usize,
    pub inner: usize,
    pub index: Vec<i64>,
    /// Factors per class.
    pub weight: Option<Vec<f64>>,
    /// Share of the uniform distribution in the target.
    pub smoothing: f64,
}

impl Targets {
    #[inline]
    fn weight(&self, class: usize) -> f64 {
        self.weight.as_ref().map_or(1.0, |w| w[class])
    }

    /// The weight of the target of each position, 0 where it does not count.
    pub fn weights(&self) -> impl ExactSizeIterator<Item = f64> + '_ {
        self.index
            .iter()
            .map(|&t| if t < 0 { 0.0 } else { self.weight(t as usize) })
    }

    /// The sum of the target distribution of each position times the class weights.
    pub fn totals(&self) -> Vec<f64> {
        let spread: f64 =
            (0..self.classes).map(|c| self.weight(c)).sum::<f64>() / self.classes.max(1) as f64;
        let each = self
            .weights()
            .map(|w| (1.0 - self.smoothing) * w + self.smoothing * spread);
        let mut totals: Vec<f64> = list::held(list::collected(each));
        totals
            .iter_mut()
            .zip(&self.index)
            .filter(|(_, t)| **t < 0)
            .for_each(|(w, _)| *w = 0.0);
        totals
    }

    /// For each position that counts: its place in (rows, inner), where its classes start, its class and its weight.
    fn each(&self, mut f: impl FnMut(usize, usize, usize, f64)) {
        for (i, &t) in self.index.iter().enumerate() {
            if t >= 0 {
                let (row, at) = (i / self.inner, i % self.inner);
                f(
                    i,
                    row * self.classes * self.inner + at,
                    t as usize,
                    self.weight(t as usize),
                );
            }
        }
    }

    /// `out[n, l] = sum_c q[n, c, l] x[n, c, l]` for the target distribution q times the class weights.
    pub fn pick<R: Real>(&self, x: &[R], out: &mut [R]) {
        out.fill(R::ZERO);
        let (sure, share) = (
            1.0 - self.smoothing,
            self.smoothing / self.classes.max(1) as f64,
        );
        self.each(|i, start, class, weight| {
            out[i] = R::from_f64(sure * weight) * x[start + class * self.inner];
            if self.smoothing > 0.0 {
                let mut sum = R::ZERO;
                for c in 0..self.classes {
                    sum += R::from_f64(self.weight(c)) * x[start + c * self.inner];
                }
                out[i] += R::from_f64(share) * sum;
            }
        });
    }

    /// `out[n, c, l] += q[n, c, l] g[n, l]`, the transpose of `pick`.
    pub fn place<R: Real>(&self, g: &[R], out: &mut [R]) {
        let (sure, share) = (
            1.0 - self.smoothing,
            self.smoothing / self.classes.max(1) as f64,
        );
        self.each(|i, start, class, weight| {
            out[start + class * self.inner] += R::from_f64(sure * weight) * g[i];
            if self.smoothing > 0.0 {
                for c in 0..self.classes {
                    out[start + c * self.inner] += R::from_f64(share * self.weight(c)) * g[i];
                }
            }
        });
    }
}
