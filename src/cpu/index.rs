//! Kernels that move, add and fold elements at positions an index gives.
//!
//! Indices are int64 and were checked against the sizes before a kernel runs.

use crate::cpu::parallel;
use crate::error::{Error, Result};
use crate::iter::{GRAIN, Loop, SendPtr};
use crate::scalar::Element;
use crate::shape;
use crate::tensor::Tensor;
use half::{bf16, f16};
use num_complex::Complex;
use smallvec::SmallVec;

/// How elements that meet at one position become one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fold {
    Sum,
    Prod,
    Max,
    Min,
}

/// Folds in a type's own arithmetic: integers wrap, half types round once a step, NaN wins.
pub trait Combine: Element {
    fn plus(self, other: Self) -> Self;
    fn times(self, other: Self) -> Self;
    fn largest(self, other: Self) -> Self;
    fn smallest(self, other: Self) -> Self;
    /// The element that changes nothing.
    fn neutral(fold: Fold) -> Self;
    #[inline(always)]
    fn fold(self, fold: Fold, other: Self) -> Self {
        match fold {
            Fold::Sum => self.plus(other),
            Fold::Prod => self.times(other),
            Fold::Max => self.largest(other),
            Fold::Min => self.smallest(other),
        }
    }
}

macro_rules! combine_int {
    ($($T:ty),*) => { $(impl Combine for $T {
        #[inline(always)]
        fn plus(self, o: $T) -> $T { self.wrapping_add(o) }
        #[inline(always)]
        fn times(self, o: $T) -> $T { self.wrapping_mul(o) }
        #[inline(always)]
        fn largest(self, o: $T) -> $T { self.max(o) }
        #[inline(always)]
        fn smallest(self, o: $T) -> $T { self.min(o) }
        fn neutral(fold: Fold) -> $T {
            match fold { Fold::Sum => 0, Fold::Prod => 1, Fold::Max => <$T>::MIN, Fold::Min => <$T>::MAX }
        }
    })* };
}
combine_int!(u8, i8, i16, i32, i64, u16, u32, u64);

impl Combine for bool {
    #[inline(always)]
    fn plus(self, o: bool) -> bool {
        self | o
    }
    #[inline(always)]
    fn times(self, o: bool) -> bool {
        self & o
    }
    #[inline(always)]
    fn largest(self, o: bool) -> bool {
        self | o
    }
    #[inline(always)]
    fn smallest(self, o: bool) -> bool {
        self & o
    }
    fn neutral(fold: Fold) -> bool {
        matches!(fold, Fold::Prod | Fold::Min)
    }
}

macro_rules! combine_float {
    ($($T:ty, $add:expr, $mul:expr, $from:expr);*) => { $(impl Combine for $T {
        #[inline(always)]
        fn plus(self, o: $T) -> $T { let f: fn($T, $T) -> $T = $add; f(self, o) }
        #[inline(always)]
        fn times(self, o: $T) -> $T { let f: fn($T, $T) -> $T = $mul; f(self, o) }
        #[inline(always)]
        fn largest(self, o: $T) -> $T { if self >= o || self.is_nan() { self } else { o } }
        #[inline(always)]
        fn smallest(self, o: $T) -> $T { if self <= o || self.is_nan() { self } else { o } }
        fn neutral(fold: Fold) -> $T {
            let from: fn(f32) -> $T = $from;
            from(match fold {
                Fold::Sum => 0.0, Fold::Prod => 1.0, Fold::Max => f32::NEG_INFINITY, Fold::Min => f32::INFINITY,
            })
        }
    })* };
}
combine_float!(
    f32, |a, b| a + b, |a, b| a * b, |x| x;
    f64, |a, b| a + b, |a, b| a * b, |x| x as f64;
    f16, |a, b| f16::from_f32(a.to_f32() + b.to_f32()), |a, b| f16::from_f32(a.to_f32() * b.to_f32()), f16::from_f32;
    bf16, |a, b| bf16::from_f32(a.to_f32() + b.to_f32()), |a, b| bf16::from_f32(a.to_f32() * b.to_f32()), bf16::from_f32
);

macro_rules! combine_complex {
    ($($T:ty),*) => { $(impl Combine for Complex<$T> {
        #[inline(always)]
        fn plus(self, o: Self) -> Self { self + o }
        #[inline(always)]
        fn times(self, o: Self) -> Self { self * o }
        // Complex numbers have no order; callers refuse them before.
        fn largest(self, _: Self) -> Self { self }
        fn smallest(self, _: Self) -> Self { self }
        fn neutral(fold: Fold) -> Self {
            Complex::new(if fold == Fold::Prod { 1.0 } else { 0.0 }, 0.0)
        }
    })* };
}
combine_complex!(f32, f64);

/// Refuses an index with an element outside `low..n`; `bad` says how.
pub fn check_bounds(index: &Tensor, low: i64, n: usize, bad: impl Fn(i64) -> Error) -> Result<()> {
    let n = n as i64;
    let check = |i: i64| {
        if i < low || i >= n {
            Err(bad(i))
        } else {
            Ok(())
        }
    };
    if index.is_contiguous() {
        return index.as_slice::<i64>()?.iter().try_for_each(|&i| check(i));
    }
    let lines = Lines::new(
        index.sizes(),
        index.ndim().saturating_sub(1),
        [index.strides()],
    );
    let p = index.data_ptr() as *const i64;
    let mut found = Ok(());
    lines.each(0, lines.count(), |[base]| {
        for k in 0..lines.len as isize {
            // SAFETY: offsets of elements of the index.
            let i = unsafe { *p.offset(base + k * lines.step[0]) };
            if found.is_ok() {
                found = check(i);
            }
        }
    });
    found
}

/// The positions of all axes but one, as element offsets into `K` operands.
pub struct Lines<const K: usize> {
    sizes: SmallVec<[usize; 5]>,
    strides: SmallVec<[[isize; K]; 5]>,
    /// Elements of a line and their distance in each operand.
    pub len: usize,
    pub step: [isize; K],
}

impl<const K: usize> Lines<K> {
    /// Lines along `dim` of `sizes`; a 0-d shape is one line of one element.
    pub fn new(sizes: &[usize], dim: usize, strides: [&[isize]; K]) -> Self {
        let at = |d: usize| std::array::from_fn(|k| strides[k].get(d).copied().unwrap_or(0));
        let others = (0..sizes.len()).filter(|&d| d != dim);
        Lines {
            sizes: others.clone().map(|d| sizes[d]).collect(),
            strides: others.map(at).collect(),
            len: sizes.get(dim).copied().unwrap_or(1),
            step: at(dim),
        }
    }

    /// How many lines there are.
    pub fn count(&self) -> usize {
        self.sizes.iter().product()
    }

    /// Calls `f` with the first offsets of the lines `from..to`.
    pub fn each(&self, from: usize, to: usize, mut f: impl FnMut([isize; K])) {
        let n = self.sizes.len();
        let mut index: SmallVec<[usize; 5]> = SmallVec::from_elem(0, n);
        let mut rest = from;
        for d in (0..n).rev() {
            index[d] = rest % self.sizes[d].max(1);
            rest /= self.sizes[d].max(1);
        }
        let mut base = [0isize; K];
        for (s, &i) in self.strides.iter().zip(&index) {
            for k in 0..K {
                base[k] += s[k] * i as isize;
            }
        }
        for _ in from..to {
            f(base);
            for d in (0..n).rev() {
                index[d] += 1;
                for k in 0..K {
                    base[k] += self.strides[d][k];
                }
                if index[d] < self.sizes[d] {
                    break;
                }
                for k in 0..K {
                    base[k] -= self.strides[d][k] * self.sizes[d] as isize;
                }
                index[d] = 0;
            }
        }
    }
}

/// `out[.., i, ..] = x[.., index[.., i, ..], ..]`: `out` has the sizes of the index.
pub fn gather(x: &Tensor, dim: usize, index: &Tensor, out: &Tensor) {
    let lines = Lines::new(
        index.sizes(),
        dim,
        [x.strides(), index.strides(), out.strides()],
    );
    let grain = (GRAIN / lines.len.max(1)).max(1);
    let (src, at, dst) = (
        SendPtr(x.data_ptr()),
        SendPtr(index.data_ptr()),
        SendPtr(out.data_ptr()),
    );
    let along = x.strides().get(dim).copied().unwrap_or(0);
    crate::dispatch_size!(x.dtype(), T => parallel::for_range(lines.count(), grain, |from, to| {
        lines.each(from, to, |[xo, io, oo]| {
            for k in 0..lines.len as isize {
                // SAFETY: positions of the index are positions of `out`; indices were checked; lines are disjoint.
                unsafe {
                    let i = *at.of::<i64>().offset(io + k * lines.step[1]) as isize;
                    *dst.of::<T>().offset(oo + k * lines.step[2]) = *src.of::<T>().offset(xo + i * along);
                }
            }
        })
    }));
}

/// Calls `f(element of out at the index, element of src)` for every position of the index.
///
/// # Safety
/// Indices are inside `dim` of `out`; `out` and `src` hold elements of `T`; the index fits in both elsewhere.
unsafe fn scattered<T>(
    out: &Tensor,
    dim: usize,
    index: &Tensor,
    src: &Tensor,
    mut f: impl FnMut(&mut T, &T),
) {
    let lines = Lines::new(
        index.sizes(),
        dim,
        [out.strides(), index.strides(), src.strides()],
    );
    let (dst, at, from) = (
        out.data_ptr() as *mut T,
        index.data_ptr() as *const i64,
        src.data_ptr() as *const T,
    );
    let along = out.strides().get(dim).copied().unwrap_or(0);
    lines.each(0, lines.count(), |[oo, io, so]| {
        for k in 0..lines.len as isize {
            // SAFETY: the caller's promise.
            unsafe {
                let i = *at.offset(io + k * lines.step[1]) as isize;
                f(
                    &mut *dst.offset(oo + i * along),
                    &*from.offset(so + k * lines.step[2]),
                );
            }
        }
    });
}

/// Writes `src` into `out` where the index says. `src` and `out` share no memory.
pub fn scatter(out: &Tensor, dim: usize, index: &Tensor, src: &Tensor) {
    // SAFETY: the index was checked; both tensors are of one dtype.
    crate::dispatch_size!(out.dtype(), T => unsafe { scattered::<T>(out, dim, index, src, |o, s| *o = *s) });
}

/// Folds `src` into `out` where the index says. `src` and `out` share no memory.
pub fn scatter_fold(out: &Tensor, dim: usize, index: &Tensor, src: &Tensor, fold: Fold) {
    // SAFETY: as in `scatter`.
    crate::dispatch!(out.dtype(), T => unsafe {
        match fold {
            Fold::Sum => scattered::<T>(out, dim, index, src, |o, s| *o = o.plus(*s)),
            _ => scattered::<T>(out, dim, index, src, |o, s| *o = o.fold(fold, *s)),
        }
    });
}

/// The neutral element as a 0-d tensor.
pub fn neutral(dtype: crate::dtype::DType, fold: Fold) -> Result<Tensor> {
    crate::dispatch!(dtype, T => Tensor::from_slice_shaped(&[<T as Combine>::neutral(fold)], &[]))
}

/// Slices of two tensors along `dim`: slice `k` of `a` meets slice `index[k]` of `b`. Calls `f` for every pair of
/// elements. On several threads where `parallel`: only if `f` writes to `a`.
///
/// # Safety
/// Both hold elements of `T` and have equal sizes apart from `dim`; indices are inside `dim` of `b`; `a` has as many
/// slices as there are indices.
pub unsafe fn slices<T>(
    a: &Tensor,
    b: &Tensor,
    dim: usize,
    index: &[i64],
    parallel: bool,
    f: impl Fn(*mut T, *mut T) + Sync,
) {
    let item = size_of::<T>() as isize;
    let stride = |t: &Tensor| t.strides().get(dim).copied().unwrap_or(0);
    let (step_a, step_b) = (stride(a), stride(b));
    let (pa, pb) = (SendPtr(a.data_ptr()), SendPtr(b.data_ptr()));
    let others = |t: &Tensor| -> SmallVec<[isize; 5]> {
        (0..t.ndim())
            .filter(|&d| d != dim)
            .map(|d| t.strides()[d].wrapping_mul(item))
            .collect()
    };
    let sizes: SmallVec<[usize; 5]> = (0..a.ndim())
        .filter(|&d| d != dim)
        .map(|d| a.sizes()[d])
        .collect();
    let count: usize = sizes.iter().product();
    let l = Loop::new(&sizes, &[others(a), others(b)]);
    if l.sizes[0] < 16 && index.len() > l.sizes[0] {
        // Short runs: walk along the index instead.
        let lines = Lines::new(a.sizes(), dim, [a.strides(), b.strides()]);
        let visit = |from: usize, to: usize| {
            lines.each(from, to, |[oa, ob]| {
                for (k, &i) in index.iter().enumerate() {
                    let (x, y) = (oa + k as isize * step_a, ob + i as isize * step_b);
                    f(
                        pa.of::<T>().wrapping_offset(x),
                        pb.of::<T>().wrapping_offset(y),
                    );
                }
            })
        };
        if parallel {
            parallel::for_range(count, (GRAIN / index.len().max(1)).max(1), visit);
        } else {
            visit(0, count);
        }
        return;
    }
    let visit = |from: usize, to: usize| {
        for (k, &i) in (from..to).zip(&index[from..to]) {
            let x = pa.get().wrapping_offset(k as isize * step_a * item);
            let y = pb.get().wrapping_offset(i as isize * step_b * item);
            // SAFETY: both slices lie inside their tensors by the caller's promise.
            unsafe {
                l.run(&[x, y], |p, s, n| {
                    let (x, y) = (p[0] as *mut T, p[1] as *mut T);
                    if s[0] == item && s[1] == item {
                        (0..n).for_each(|i| f(x.wrapping_add(i), y.wrapping_add(i)));
                    } else {
                        let at = |q: *mut T, i: usize, s: isize| {
                            (q as *mut u8).wrapping_offset(i as isize * s) as *mut T
                        };
                        (0..n).for_each(|i| f(at(x, i, s[0]), at(y, i, s[1])));
                    }
                });
            }
        }
    };
    if parallel {
        parallel::for_range(index.len(), (GRAIN / count.max(1)).max(1), visit);
    } else {
        visit(0, index.len());
    }
}

/// Element offsets of all positions of a strided tensor in row-major order.
pub fn element_offset(t: &Tensor, mut i: usize) -> isize {
    let mut at = 0;
    for (&n, &s) in t.sizes().iter().zip(t.strides()).rev() {
        at += (i % n) as isize * s;
        i /= n;
    }
    at
}

/// Whether the sizes agree apart from one axis.
pub fn same_but(a: &[usize], b: &[usize], dim: usize) -> bool {
    a.len() == b.len()
        && a.iter()
            .zip(b)
            .enumerate()
            .all(|(d, (x, y))| d == dim || x == y)
}

/// `[2, 3]`, for messages.
pub fn shown(t: &Tensor) -> String {
    shape::list(t.sizes())
}
