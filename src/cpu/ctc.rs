//! Connectionist temporal classification (Graves et al., 2006), in logarithms.

use super::parallel::for_range;
use crate::iter::SendPtr;
use crate::list;

/// One batch: log-probabilities (time, batch, classes) and the labels of each element.
pub struct Batch<'a> {
    pub log_probs: &'a [f64],
    pub classes: usize,
    /// Steps that count, per element.
    pub lengths: &'a [usize],
    pub labels: &'a [Vec<usize>],
    pub blank: usize,
}

fn log_add(a: f64, b: f64) -> f64 {
    let (high, low) = if a > b { (a, b) } else { (b, a) };
    if high == f64::NEG_INFINITY {
        high
    } else {
        high + (low - high).exp().ln_1p()
    }
}

impl Batch<'_> {
    fn count(&self) -> usize {
        self.lengths.len()
    }

    /// The class at place `s` of the labels with blanks around and between them.
    fn class(&self, n: usize, s: usize) -> usize {
        if s.is_multiple_of(2) {
            self.blank
        } else {
            self.labels[n][s / 2]
        }
    }

    /// Whether a path may come to place `s` from two places before.
    fn skips(&self, n: usize, s: usize) -> bool {
        s % 2 == 1 && s >= 3 && self.labels[n][s / 2] != self.labels[n][s / 2 - 1]
    }

    fn log_prob(&self, t: usize, n: usize, class: usize) -> f64 {
        self.log_probs[(t * self.count() + n) * self.classes + class]
    }

    /// Log-probabilities of all beginnings of paths, (time, places).
    fn forward(&self, n: usize) -> Vec<f64> {
        let (steps, places) = (self.lengths[n], 2 * self.labels[n].len() + 1);
        let mut alpha = list::held(list::filled(steps * places, f64::NEG_INFINITY));
        for t in 0..steps {
            for s in 0..places {
                let from = if t == 0 {
                    if s < 2 { 0.0 } else { f64::NEG_INFINITY }
                } else {
                    let before = &alpha[(t - 1) * places..t * places];
                    let mut sum = before[s];
                    if s >= 1 {
                        sum = log_add(sum, before[s - 1]);
                    }
                    if self.skips(n, s) {
                        sum = log_add(sum, before[s - 2]);
                    }
                    sum
                };
                alpha[t * places + s] = from + self.log_prob(t, n, self.class(n, s));
            }
        }
        alpha
    }

    /// Log-probabilities of all ends of paths, the step itself included, (time, places).
    fn backward(&self, n: usize) -> Vec<f64> {
        let (steps, places) = (self.lengths[n], 2 * self.labels[n].len() + 1);
        let mut beta = list::held(list::filled(steps * places, f64::NEG_INFINITY));
        for t in (0..steps).rev() {
            for s in 0..places {
                let to = if t + 1 == steps {
                    if s + 2 >= places {
                        0.0
                    } else {
                        f64::NEG_INFINITY
                    }
                } else {
                    let after = &beta[(t + 1) * places..(t + 2) * places];
                    let mut sum = after[s];
                    if s + 1 < places {
                        sum = log_add(sum, after[s + 1]);
                    }
                    if s + 2 < places && self.skips(n, s + 2) {
                        sum = log_add(sum, after[s + 2]);
                    }
                    sum
                };
                beta[t * places + s] = to + self.log_prob(t, n, self.class(n, s));
            }
        }
        beta
    }

    /// The negative log likelihood of an element.
    fn loss_of(&self, n: usize) -> f64 {
        let places = 2 * self.labels[n].len() + 1;
        if self.lengths[n] == 0 {
            return if places == 1 { 0.0 } else { f64::INFINITY };
        }
        let alpha = self.forward(n);
        let last = &alpha[alpha.len() - places..];
        -(if places > 1 {
            log_add(last[places - 1], last[places - 2])
        } else {
            last[0]
        })
    }

    pub fn losses(&self) -> Vec<f64> {
        let mut out = list::held(list::filled(self.count(), 0.0));
        let dst = SendPtr(out.as_mut_ptr() as *mut u8);
        for_range(self.count(), 1, |from, to| {
            for n in from..to {
                // SAFETY: one element per element of the batch; threads own disjoint ones.
                unsafe { dst.of::<f64>().add(n).write(self.loss_of(n)) };
            }
        });
        out
    }

    /// The gradient with respect to what the log-softmax was taken of, times `g` per element: (time, batch, classes).
    pub fn gradient(&self, losses: &[f64], g: &[f64], zero_infinity: bool) -> Vec<f64> {
        let (count, classes) = (self.count(), self.classes);
        let mut out = list::held(list::filled(self.log_probs.len(), 0.0));
        let dst = SendPtr(out.as_mut_ptr() as *mut u8);
        for_range(count, 1, |from, to| {
            let mut through = list::held(list::filled(classes, f64::NEG_INFINITY));
            for n in from..to {
                if zero_infinity && losses[n] == f64::INFINITY {
                    continue;
                }
                let (alpha, beta) = (self.forward(n), self.backward(n));
                let places = 2 * self.labels[n].len() + 1;
                for t in 0..self.lengths[n] {
                    through.fill(f64::NEG_INFINITY);
                    for s in 0..places {
                        let c = self.class(n, s);
                        through[c] =
                            log_add(through[c], alpha[t * places + s] + beta[t * places + s]);
                    }
                    for (c, sum) in through.iter().enumerate() {
                        let p = self.log_prob(t, n, c);
                        let value = (p.exp() - (sum + losses[n] - p).exp()) * g[n];
                        // SAFETY: each element of the batch owns its rows of (time, batch, classes).
                        unsafe {
                            dst.of::<f64>()
                                .add((t * count + n) * classes + c)
                                .write(value)
                        };
                    }
                }
            }
        });
        out
    }
}
