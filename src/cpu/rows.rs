//! Rows that are normalised as a whole: softmax and its gradient.
//!
//! A block is (outer, n, inner) and contiguous; a row runs along `n`. Where `inner` is 1 a row is one run of memory,
//! else `TILE` neighbouring rows go down together.

use crate::cpu::math::Real;
use crate::cpu::vector::{Work, run_parallel};
use crate::iter::{GRAIN, SendPtr};

const LANES: usize = 32;
const TILE: usize = 32;

/// Folds a run in lanes.
#[inline(always)]
fn lanes<T: Real>(
    n: usize,
    start: T,
    step: impl Fn(T, usize) -> T,
    merge: impl Fn(T, T) -> T,
) -> T {
    let mut acc = [start; LANES];
    let mut i = 0;
    while i + LANES <= n {
        for (l, a) in acc.iter_mut().enumerate() {
            *a = step(*a, i + l);
        }
        i += LANES;
    }
    for (l, a) in acc[..n - i].iter_mut().enumerate() {
        *a = step(*a, i + l);
    }
    let mut w = LANES / 2;
    while w > 0 {
        for l in 0..w {
            acc[l] = merge(acc[l], acc[l + w]);
        }
        w /= 2;
    }
    acc[0]
}

#[inline(always)]
fn larger<T: Real>(a: T, b: T) -> T {
    if a > b || a.is_nan() { a } else { b }
}

/// The geometry of a block.
#[derive(Clone, Copy)]
pub struct Block {
    pub outer: usize,
    pub n: usize,
    pub inner: usize,
}

impl Block {
    fn tiles(&self) -> usize {
        self.inner.div_ceil(TILE)
    }
    /// Items of work and how many of them a thread takes at least.
    fn shares(&self) -> (usize, usize) {
        let width = self.inner.min(TILE);
        (
            self.outer * self.tiles(),
            (GRAIN / 4 / (self.n * width).max(1)).max(1),
        )
    }
    /// Where tile `t` begins, how wide it is.
    #[inline(always)]
    fn tile(&self, t: usize) -> (usize, usize) {
        let (o, c) = (t / self.tiles(), (t % self.tiles()) * TILE);
        (o * self.n * self.inner + c, TILE.min(self.inner - c))
    }
}

struct Softmax<T, const LOG: bool> {
    block: Block,
    x: SendPtr,
    out: SendPtr,
    of: std::marker::PhantomData<T>,
}

impl<T: Real, const LOG: bool> Work for Softmax<T, LOG> {
    #[inline(always)]
    fn run(&self, from: usize, to: usize) {
        let (n, inner) = (self.block.n, self.block.inner);
        for t in from..to {
            let (at, m) = self.block.tile(t);
            // SAFETY: rows and tiles stay inside the two blocks; each is written once.
            unsafe {
                let (x, y) = (
                    self.x.of::<T>().add(at) as *const T,
                    self.out.of::<T>().add(at),
                );
                if inner == 1 {
                    let top = lanes(n, T::NEG_INFINITY, |a, i| larger(a, *x.add(i)), larger);
                    if LOG {
                        let sum =
                            lanes(n, T::ZERO, |a, i| a + (*x.add(i) - top).exp(), |a, b| a + b)
                                .ln();
                        for i in 0..n {
                            *y.add(i) = (*x.add(i) - top) - sum;
                        }
                    } else {
                        for i in 0..n {
                            *y.add(i) = (*x.add(i) - top).exp();
                        }
                        let scale = T::ONE / lanes(n, T::ZERO, |a, i| a + *y.add(i), |a, b| a + b);
                        for i in 0..n {
                            *y.add(i) = *y.add(i) * scale;
                        }
                    }
                    continue;
                }
                let (mut top, mut sum) = ([T::NEG_INFINITY; TILE], [T::ZERO; TILE]);
                for j in 0..n {
                    for k in 0..m {
                        top[k] = larger(top[k], *x.add(j * inner + k));
                    }
                }
                for j in 0..n {
                    for k in 0..m {
                        let e = (*x.add(j * inner + k) - top[k]).exp();
                        sum[k] += e;
                        if !LOG {
                            *y.add(j * inner + k) = e;
                        }
                    }
                }
                for s in sum.iter_mut() {
                    *s = if LOG { s.ln() } else { T::ONE / *s };
                }
                for j in 0..n {
                    for k in 0..m {
                        let p = j * inner + k;
                        *y.add(p) = if LOG {
                            (*x.add(p) - top[k]) - sum[k]
                        } else {
                            *y.add(p) * sum[k]
                        };
                    }
                }
            }
        }
    }
}

/// Softmax, or its logarithm, along the rows of a block.
///
/// # Safety
/// Both pointers hold the block's elements.
pub unsafe fn softmax<T: Real>(log: bool, block: Block, x: *mut u8, out: *mut u8) {
    let (items, grain) = block.shares();
    let (x, out, of) = (SendPtr(x), SendPtr(out), std::marker::PhantomData);
    if log {
        run_parallel(&Softmax::<T, true> { block, x, out, of }, items, grain)
    } else {
        run_parallel(&Softmax::<T, false> { block, x, out, of }, items, grain)
    }
}

struct Backward<T, const LOG: bool> {
    block: Block,
    g: SendPtr,
    y: SendPtr,
    out: SendPtr,
    of: std::marker::PhantomData<T>,
}

impl<T: Real, const LOG: bool> Work for Backward<T, LOG> {
    #[inline(always)]
    fn run(&self, from: usize, to: usize) {
        let (n, inner) = (self.block.n, self.block.inner);
        let weight = |g: T, y: T| if LOG { g } else { g * y };
        let slope = |g: T, y: T, sum: T| {
            if LOG {
                g - y.exp() * sum
            } else {
                (g - sum) * y
            }
        };
        for t in from..to {
            let (at, m) = self.block.tile(t);
            // SAFETY: rows and tiles stay inside the three blocks; each is written once.
            unsafe {
                let (g, y) = (
                    self.g.of::<T>().add(at) as *const T,
                    self.y.of::<T>().add(at) as *const T,
                );
                let out = self.out.of::<T>().add(at);
                if inner == 1 {
                    let sum = lanes(
                        n,
                        T::ZERO,
                        |a, i| a + weight(*g.add(i), *y.add(i)),
                        |a, b| a + b,
                    );
                    for i in 0..n {
                        *out.add(i) = slope(*g.add(i), *y.add(i), sum);
                    }
                    continue;
                }
                let mut sum = [T::ZERO; TILE];
                for j in 0..n {
                    for k in 0..m {
                        let p = j * inner + k;
                        sum[k] += weight(*g.add(p), *y.add(p));
                    }
                }
                for j in 0..n {
                    for k in 0..m {
                        let p = j * inner + k;
                        *out.add(p) = slope(*g.add(p), *y.add(p), sum[k]);
                    }
                }
            }
        }
    }
}

/// The gradient of `softmax` from the gradient and the value of its result.
///
/// # Safety
/// The pointers hold the block's elements.
pub unsafe fn softmax_backward<T: Real>(
    log: bool,
    block: Block,
    g: *mut u8,
    y: *mut u8,
    out: *mut u8,
) {
    let (items, grain) = block.shares();
    let (g, y, out, of) = (
        SendPtr(g),
        SendPtr(y),
        SendPtr(out),
        std::marker::PhantomData,
    );
    if log {
        run_parallel(
            &Backward::<T, true> {
                block,
                g,
                y,
                out,
                of,
            },
            items,
            grain,
        )
    } else {
        run_parallel(
            &Backward::<T, false> {
                block,
                g,
                y,
                out,
                of,
            },
            items,
            grain,
        )
    }
}
