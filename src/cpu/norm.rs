//! Kernels of normalisations: statistics of sets of elements, and their application.

use super::math::Real;
use super::parallel::for_range;
use crate::iter::{GRAIN, SendPtr};
use crate::list;

/// The input seen as (outer, repeat, groups, channels, run) in row-major order. Each (repeat, group) is one set with a
/// mean and a deviation of its own; each (group, channel) has a weight and a bias of its own.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    pub outer: usize,
    pub repeat: usize,
    pub groups: usize,
    pub channels: usize,
    pub run: usize,
}

/// What is taken away from the elements of a set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Statistics {
    /// Mean and deviation of the set.
    Full,
    /// The root mean square alone.
    Scale,
    /// Numbers that do not depend on the input.
    Fixed,
}

/// Elements added in the element type before the sum goes on in float64.
const BLOCK: usize = 1024;
/// Most partial sums of weights' gradients.
const PARTS: usize = 64;

impl Layout {
    pub fn sets(&self) -> usize {
        self.repeat * self.groups
    }
    pub fn inner(&self) -> usize {
        self.channels * self.run
    }
    /// Elements per set.
    pub fn count(&self) -> usize {
        self.outer * self.inner()
    }
    pub fn sizes(&self) -> [usize; 5] {
        [
            self.outer,
            self.repeat,
            self.groups,
            self.channels,
            self.run,
        ]
    }
    /// Sets that one thread takes at least.
    fn grain(&self) -> usize {
        (GRAIN / self.count().max(1)).max(1)
    }
    /// The ranges of memory of one set.
    fn parts(&self, set: usize) -> impl Iterator<Item = std::ops::Range<usize>> + '_ {
        let (sets, inner) = (self.sets(), self.inner());
        (0..self.outer).map(move |o| (o * sets + set) * inner..(o * sets + set + 1) * inner)
    }
}

/// Sums `f` of the elements in blocks: short sums in the element type, the total in float64.
#[inline(always)]
fn sum_of<R: Real>(n: usize, f: impl Fn(usize) -> R) -> f64 {
    let mut total = 0.0;
    let mut start = 0;
    while start < n {
        let end = (start + BLOCK).min(n);
        let mut lanes = [R::ZERO; 16];
        let whole = start + (end - start) / 16 * 16;
        let mut i = start;
        while i < whole {
            for (k, l) in lanes.iter_mut().enumerate() {
                *l += f(i + k);
            }
            i += 16;
        }
        for i in whole..end {
            lanes[i - whole] += f(i);
        }
        total += lanes.iter().map(|l| l.to_f64()).sum::<f64>();
        start = end;
    }
    total
}

/// Mean and biased variance of every set; without `center` the mean is 0 and the variance the mean square.
pub fn moments<R: Real>(x: &[R], layout: &Layout, center: bool) -> (Vec<R>, Vec<R>) {
    let sets = layout.sets();
    let (mut mean, mut var) = (
        list::held(list::filled(sets, R::ZERO)),
        list::held(list::filled(sets, R::ZERO)),
    );
    let (m, v) = (
        SendPtr(mean.as_mut_ptr() as *mut u8),
        SendPtr(var.as_mut_ptr() as *mut u8),
    );
    let count = layout.count() as f64;
    for_range(sets, layout.grain(), |from, to| {
        for set in from..to {
            let sum: f64 = if center {
                layout
                    .parts(set)
                    .map(|r| {
                        let x = &x[r];
                        sum_of(x.len(), |i| x[i])
                    })
                    .sum()
            } else {
                0.0
            };
            let mean = R::from_f64(if center { sum / count } else { 0.0 });
            let squares: f64 = layout
                .parts(set)
                .map(|r| {
                    let x = &x[r];
                    sum_of(x.len(), |i| (x[i] - mean) * (x[i] - mean))
                })
                .sum();
            // SAFETY: both vectors have one element per set and threads own disjoint sets.
            unsafe {
                m.of::<R>().add(set).write(mean);
                v.of::<R>().add(set).write(R::from_f64(squares / count));
            }
        }
    });
    (mean, var)
}

/// `1 / sqrt(var + eps)`
pub fn reciprocal_deviation<R: Real>(var: &[R], eps: f64) -> Vec<R> {
    let each = var
        .iter()
        .map(|v| R::from_f64(1.0 / (v.to_f64() + eps).sqrt()));
    list::held(list::collected(each))
}

/// `out = (x - mean) rstd weight + bias`
pub fn apply<R: Real>(
    x: &[R],
    layout: &Layout,
    mean: &[R],
    rstd: &[R],
    weight: Option<&[R]>,
    bias: Option<&[R]>,
    out: &mut [R],
) {
    let dst = SendPtr(out.as_mut_ptr() as *mut u8);
    let Layout {
        groups,
        channels,
        run,
        ..
    } = *layout;
    for_range(layout.sets(), layout.grain(), |from, to| {
        for set in from..to {
            let (mean, rstd, first) = (mean[set], rstd[set], set % groups * channels);
            for r in layout.parts(set) {
                // SAFETY: `out` is as long as `x`; sets are disjoint and each is written by one thread.
                let out =
                    unsafe { std::slice::from_raw_parts_mut(dst.of::<R>().add(r.start), r.len()) };
                let x = &x[r];
                if run == 1 && channels > 1 {
                    let plain = out.iter_mut().zip(x);
                    match (weight, bias) {
                        (Some(w), Some(b)) => {
                            let (w, b) = (&w[first..first + channels], &b[first..first + channels]);
                            plain
                                .zip(w)
                                .zip(b)
                                .for_each(|(((o, &x), &w), &b)| *o = (x - mean) * rstd * w + b);
                        }
                        (Some(w), None) => plain
                            .zip(&w[first..first + channels])
                            .for_each(|((o, &x), &w)| *o = (x - mean) * rstd * w),
                        (None, Some(b)) => plain
                            .zip(&b[first..first + channels])
                            .for_each(|((o, &x), &b)| *o = (x - mean) * rstd + b),
                        (None, None) => plain.for_each(|(o, &x)| *o = (x - mean) * rstd),
                    }
                    continue;
                }
                for c in 0..channels {
                    let scale = rstd * weight.map_or(R::ONE, |w| w[first + c]);
                    let shift = bias.map_or(R::ZERO, |b| b[first + c]);
                    let at = c * run..(c + 1) * run;
                    out[at.clone()]
                        .iter_mut()
                        .zip(&x[at])
                        .for_each(|(o, &x)| *o = (x - mean) * scale + shift);
                }
            }
        }
    });
}

/// The gradient of `apply` with respect to its input, through the statistics where they depend on it.
pub fn input_gradient<R: Real>(
    g: &[R],
    x: &[R],
    layout: &Layout,
    mean: &[R],
    rstd: &[R],
    weight: Option<&[R]>,
    statistics: Statistics,
    out: &mut [R],
) {
    let dst = SendPtr(out.as_mut_ptr() as *mut u8);
    let Layout {
        groups,
        channels,
        run,
        ..
    } = *layout;
    let count = layout.count() as f64;
    for_range(layout.sets(), layout.grain(), |from, to| {
        for set in from..to {
            let (mean, rstd, first) = (mean[set], rstd[set], set % groups * channels);
            let (mut sum, mut dot) = (0.0, 0.0);
            if statistics != Statistics::Fixed {
                for r in layout.parts(set) {
                    let (g, x) = (&g[r.clone()], &x[r]);
                    if run == 1 && channels > 1 {
                        match weight {
                            Some(w) => {
                                let w = &w[first..first + channels];
                                sum += sum_of(channels, |i| g[i] * w[i]);
                                dot += sum_of(channels, |i| g[i] * w[i] * (x[i] - mean));
                            }
                            None => {
                                sum += sum_of(channels, |i| g[i]);
                                dot += sum_of(channels, |i| g[i] * (x[i] - mean));
                            }
                        }
                        continue;
                    }
                    for c in 0..channels {
                        let w = weight.map_or(1.0, |w| w[first + c].to_f64());
                        let (g, x) = (&g[c * run..(c + 1) * run], &x[c * run..(c + 1) * run]);
                        sum += w * sum_of(run, |i| g[i]);
                        dot += w * sum_of(run, |i| g[i] * (x[i] - mean));
                    }
                }
            }
            let away = R::from_f64(if statistics == Statistics::Full {
                sum / count
            } else {
                0.0
            });
            let along = R::from_f64(dot * rstd.to_f64() * rstd.to_f64() / count);
            for r in layout.parts(set) {
                // SAFETY: `out` is as long as `x`; sets are disjoint and each is written by one thread.
                let out =
                    unsafe { std::slice::from_raw_parts_mut(dst.of::<R>().add(r.start), r.len()) };
                let (g, x) = (&g[r.clone()], &x[r]);
                if run == 1 && channels > 1 {
                    let plain = out.iter_mut().zip(g).zip(x);
                    match weight {
                        Some(w) => plain.zip(&w[first..first + channels]).for_each(
                            |(((o, &g), &x), &w)| {
                                *o = rstd * (g * w - away - (x - mean) * along);
                            },
                        ),
                        None => plain
                            .for_each(|((o, &g), &x)| *o = rstd * (g - away - (x - mean) * along)),
                    }
                    continue;
                }
                for c in 0..channels {
                    let w = weight.map_or(R::ONE, |w| w[first + c]);
                    let at = c * run..(c + 1) * run;
                    out[at.clone()]
                        .iter_mut()
                        .zip(&g[at.clone()])
                        .zip(&x[at])
                        .for_each(|((o, &g), &x)| {
                            *o = rstd * (g * w - away - (x - mean) * along);
                        });
                }
            }
        }
    });
}

/// The gradients of `apply` with respect to weight and bias, one element per (group, channel).
pub fn parameter_gradients<R: Real>(
    g: &[R],
    x: &[R],
    layout: &Layout,
    mean: &[R],
    rstd: &[R],
) -> (Vec<R>, Vec<R>) {
    let Layout {
        outer,
        repeat,
        groups,
        channels,
        run,
    } = *layout;
    let (rows, params) = (outer * repeat, groups * channels);
    let parts = rows.clamp(1, PARTS);
    let mut partial = list::held(list::filled(parts * params * 2, R::ZERO));
    let dst = SendPtr(partial.as_mut_ptr() as *mut u8);
    let len = params * run;
    for_range(
        parts,
        (GRAIN / (rows.div_ceil(parts) * len).max(1)).max(1),
        |from, to| {
            for part in from..to {
                // SAFETY: each part owns `2 * params` elements of `partial`.
                let sums = unsafe {
                    std::slice::from_raw_parts_mut(dst.of::<R>().add(part * params * 2), params * 2)
                };
                let (gw, gb) = sums.split_at_mut(params);
                for row in part * rows / parts..(part + 1) * rows / parts {
                    let (g, x) = (
                        &g[row * len..(row + 1) * len],
                        &x[row * len..(row + 1) * len],
                    );
                    for group in 0..groups {
                        let set = row % repeat * groups + group;
                        let (mean, rstd) = (mean[set], rstd[set]);
                        let own = group * channels..(group + 1) * channels;
                        if run == 1 {
                            let (g, x) = (&g[own.clone()], &x[own.clone()]);
                            for (((w, b), &g), &x) in
                                gw[own.clone()].iter_mut().zip(&mut gb[own]).zip(g).zip(x)
                            {
                                *w += g * (x - mean) * rstd;
                                *b += g;
                            }
                            continue;
                        }
                        for p in own {
                            let (g, x) = (&g[p * run..(p + 1) * run], &x[p * run..(p + 1) * run]);
                            gw[p] += R::from_f64(sum_of(run, |i| g[i] * (x[i] - mean))) * rstd;
                            gb[p] += R::from_f64(sum_of(run, |i| g[i]));
                        }
                    }
                }
            }
        },
    );
    let total = |at: usize| -> Vec<R> {
        let of = |p: usize| {
            let parts = (0..parts).map(|k| partial[k * params * 2 + at + p].to_f64());
            R::from_f64(parts.sum::<f64>())
        };
        list::held(list::collected((0..params).map(of)))
    };
    (total(0), total(params))
}
