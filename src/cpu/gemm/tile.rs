//! The register tile, written once for every vector type.

#![allow(clippy::needless_range_loop)] // one index runs over registers and addresses alike

use crate::cpu::element::Acc;

/// One product of a tile: `C[m x cols] = alpha * A[m x k] * B[k x cols] + beta * C`. The columns of B and C are adjacent.
pub struct Tile<T> {
    pub k: usize,
    pub a: *const T,
    /// Steps of A between rows and along k. A packed A ignores them: its rows are adjacent.
    pub a_steps: (isize, isize),
    pub b: *const T,
    /// Step of B along k.
    pub b_step: isize,
    pub cols: usize,
    pub c: *mut T,
    /// Step of C between rows.
    pub c_step: isize,
    pub alpha: T,
    pub beta: T,
}

pub type TileFn<T> = unsafe fn(&Tile<T>);

/// A vector register of `N` elements. The methods are unsafe because they may need instructions the machine lacks;
/// only the shells of `kernel.rs`, which are chosen after detection, use them.
pub trait Lanes: Copy {
    type Elem: Acc;
    type Mask: Copy;
    const N: usize;
    unsafe fn zero() -> Self;
    unsafe fn splat(x: Self::Elem) -> Self;
    unsafe fn load(p: *const Self::Elem) -> Self;
    unsafe fn store(self, p: *mut Self::Elem);
    /// The mask of the first `n` lanes, `n <= N`.
    unsafe fn mask(n: usize) -> Self::Mask;
    /// The lanes of the mask; memory behind the others is not touched.
    unsafe fn load_masked(p: *const Self::Elem, mask: Self::Mask) -> Self;
    unsafe fn store_masked(self, p: *mut Self::Elem, mask: Self::Mask);
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn mul(self, other: Self) -> Self;
    /// `a * b + self`
    unsafe fn fma(self, a: Self, b: Self) -> Self;
    /// Hints that `p` is used soon.
    #[inline(always)]
    unsafe fn prefetch(_p: *const Self::Elem) {}
}

/// The product of one tile of `M` rows and `NV` vectors, the last of which may be part of a vector.
///
/// Every element is one chain of multiply-adds in the order of k whatever `M`, `NV` and `PACKED` are, so where tiles
/// begin never shows in a result.
///
/// # Safety
/// The pointers reach all elements the tile names; a packed B is padded to whole vectors; the machine has the
/// instructions of `V`.
#[inline(always)]
pub unsafe fn tile<V: Lanes, const M: usize, const NV: usize, const PACKED: bool>(
    t: &Tile<V::Elem>,
) {
    // SAFETY: the caller's promise covers every address: rows below M, k steps below t.k, columns below t.cols, and
    // the masks keep the last vector inside t.cols.
    unsafe {
        let last = V::mask(t.cols - (NV - 1) * V::N);
        let mut acc = [[V::zero(); NV]; M];
        if PACKED {
            for i in 0..M {
                V::prefetch(t.c.offset(i as isize * t.c_step));
                V::prefetch(t.c.offset(i as isize * t.c_step + ((NV - 1) * V::N) as isize));
            }
        }
        let (row, step) = if PACKED { (1, M as isize) } else { t.a_steps };
        let b_step = if PACKED {
            (NV * V::N) as isize
        } else {
            t.b_step
        };
        let (mut a, mut b) = (t.a, t.b);
        for _ in 0..t.k {
            let mut bv = [V::zero(); NV];
            for j in 0..NV {
                bv[j] = if PACKED || j + 1 < NV {
                    V::load(b.add(j * V::N))
                } else {
                    V::load_masked(b.add(j * V::N), last)
                };
            }
            if PACKED {
                V::prefetch(b.wrapping_add(8 * NV * V::N));
                if NV > 1 {
                    V::prefetch(b.wrapping_add(8 * NV * V::N + V::N));
                }
            }
            for i in 0..M {
                let x = V::splat(*a.offset(i as isize * row));
                for j in 0..NV {
                    acc[i][j] = acc[i][j].fma(x, bv[j]);
                }
            }
            a = a.wrapping_offset(step);
            b = b.wrapping_offset(b_step);
        }
        let (one, zero) = (V::Elem::ONE, V::Elem::ZERO);
        if t.alpha != one {
            let alpha = V::splat(t.alpha);
            acc.iter_mut().flatten().for_each(|v| *v = v.mul(alpha));
        }
        let beta = V::splat(t.beta);
        for i in 0..M {
            for j in 0..NV {
                let c = t.c.offset(i as isize * t.c_step).add(j * V::N);
                let whole = j + 1 < NV || t.cols == NV * V::N;
                let mut v = acc[i][j];
                if t.beta != zero {
                    let old = if whole {
                        V::load(c)
                    } else {
                        V::load_masked(c, last)
                    };
                    v = if t.beta == one {
                        v.add(old)
                    } else {
                        v.fma(old, beta)
                    };
                }
                if whole {
                    v.store(c)
                } else {
                    v.store_masked(c, last)
                }
            }
        }
    }
}

pub type DotFn<T> = unsafe fn(usize, *const T, &[*const T; 4], &mut [T; 4]);

/// The most elements of a vector register.
const WIDEST: usize = 16;

/// `sums[q] = sum_p x[p] * columns[q][p]` for `p < k` and the first `COLS` columns.
///
/// Each sum is kept in `NV` vectors, which are added lane by lane and then as a tree.
///
/// # Safety
/// All k elements can be read, and the machine has the instructions of `V`.
#[inline(always)]
pub unsafe fn dot<V: Lanes, const COLS: usize, const NV: usize>(
    k: usize,
    x: *const V::Elem,
    columns: &[*const V::Elem; 4],
    sums: &mut [V::Elem; 4],
) {
    // SAFETY: every address is below k; the mask keeps the last vector there too.
    unsafe {
        let mut acc = [[V::zero(); NV]; COLS];
        let mut p = 0;
        while p + NV * V::N <= k {
            for v in 0..NV {
                let x = V::load(x.add(p + v * V::N));
                for q in 0..COLS {
                    acc[q][v] = acc[q][v].fma(x, V::load(columns[q].add(p + v * V::N)));
                }
            }
            p += NV * V::N;
        }
        while p < k {
            let mask = V::mask((k - p).min(V::N));
            let x = V::load_masked(x.add(p), mask);
            for q in 0..COLS {
                acc[q][0] = acc[q][0].fma(x, V::load_masked(columns[q].add(p), mask));
            }
            p += V::N;
        }
        for q in 0..COLS {
            let mut sum = acc[q][0];
            for v in 1..NV {
                sum = sum.add(acc[q][v]);
            }
            let mut parts = [V::Elem::ZERO; WIDEST];
            sum.store(parts.as_mut_ptr());
            let mut half = V::N / 2;
            while half > 0 {
                for l in 0..half {
                    parts[l] = parts[l].add(parts[l + half]);
                }
                half /= 2;
            }
            sums[q] = parts[0];
        }
    }
}

/// A vector in plain Rust, left to the compiler to place in registers.
#[derive(Clone, Copy)]
pub struct Plain<T, const LANES: usize>([T; LANES]);

impl<T: Acc, const LANES: usize> Lanes for Plain<T, LANES> {
    type Elem = T;
    type Mask = usize;
    const N: usize = LANES;
    #[inline(always)]
    unsafe fn zero() -> Self {
        Plain([T::ZERO; LANES])
    }
    #[inline(always)]
    unsafe fn splat(x: T) -> Self {
        Plain([x; LANES])
    }
    #[inline(always)]
    unsafe fn load(p: *const T) -> Self {
        // SAFETY: the caller gives LANES readable elements; arrays have their alignment.
        unsafe { Plain(*p.cast()) }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut T) {
        // SAFETY: the caller gives LANES writable elements.
        unsafe { *p.cast() = self.0 }
    }
    #[inline(always)]
    unsafe fn mask(n: usize) -> usize {
        n
    }
    #[inline(always)]
    unsafe fn load_masked(p: *const T, n: usize) -> Self {
        let mut v = [T::ZERO; LANES];
        for (i, v) in v.iter_mut().enumerate().take(n) {
            // SAFETY: the caller gives n readable elements.
            *v = unsafe { *p.add(i) };
        }
        Plain(v)
    }
    #[inline(always)]
    unsafe fn store_masked(self, p: *mut T, n: usize) {
        for (i, v) in self.0.iter().enumerate().take(n) {
            // SAFETY: the caller gives n writable elements.
            unsafe { *p.add(i) = *v };
        }
    }
    #[inline(always)]
    unsafe fn add(mut self, other: Self) -> Self {
        self.0
            .iter_mut()
            .zip(other.0)
            .for_each(|(s, o)| *s = s.add(o));
        self
    }
    #[inline(always)]
    unsafe fn mul(mut self, other: Self) -> Self {
        self.0
            .iter_mut()
            .zip(other.0)
            .for_each(|(s, o)| *s = s.mul(o));
        self
    }
    #[inline(always)]
    unsafe fn fma(mut self, a: Self, b: Self) -> Self {
        self.0
            .iter_mut()
            .zip(a.0)
            .zip(b.0)
            .for_each(|((s, a), b)| *s = s.fma(a, b));
        self
    }
}
