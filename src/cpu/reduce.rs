//! Folding axes away: one driver for every reduction, and the folds.
//!
//! A fold says how a partial result starts, takes an element, joins another partial result, and becomes the answer.
//! The driver owns the rest: it walks strided input without copying it, keeps 32 partial results side by side so that
//! the loops vectorise, and joins blocks in a tree that depends on the sizes alone, never on the threads.

use crate::cpu::math::Real;
use crate::cpu::vector::{Work, run, run_parallel};
use crate::iter::{GRAIN, SendPtr};
use crate::list;
use crate::tensor::Tensor;
use num_complex::Complex;
use smallvec::{Array, SmallVec};
use std::marker::PhantomData;

/// How many elements become one.
pub trait Fold: Copy + Send + Sync {
    type In: Copy + Send + Sync;
    type Acc: Copy + Send + Sync;
    type Out: Copy;
    /// The partial result of no elements.
    fn start(&self) -> Self::Acc;
    /// Takes in the element at position `i` of the reduced axes.
    fn step(&self, acc: Self::Acc, x: Self::In, i: usize) -> Self::Acc;
    /// Joins the partial results of two runs, the earlier one first.
    fn merge(&self, a: Self::Acc, b: Self::Acc) -> Self::Acc;
    /// The answer for `n` elements.
    fn finish(&self, acc: Self::Acc, n: usize) -> Self::Out;
}

/// Partial results side by side in one run.
const LANES: usize = 32;
/// Elements folded in lanes before the lanes are joined: bounds the rounding error of long sums.
const BLOCK: usize = 4096;
/// Elements of a run that threads may share out.
const CHUNK: usize = 16 * BLOCK;
/// Neighbouring outputs folded together when the reduced axis is strided.
const TILE: usize = 64;
/// Rows of a tile folded one after another before they join the tree.
const TILE_ROWS: usize = 128;

/// Joins partial results of equal weight pairwise as they come, like the bits of a counter. `S` says how many entries
/// live on the stack.
struct Cascade<S: Array> {
    stack: SmallVec<S>,
    count: usize,
}

impl<S: Array> Cascade<S>
where
    S::Item: Copy,
{
    #[inline(always)]
    fn new() -> Self {
        Cascade {
            stack: SmallVec::new(),
            count: 0,
        }
    }
    #[inline(always)]
    fn push(&mut self, mut acc: S::Item, merge: impl Fn(S::Item, S::Item) -> S::Item) {
        let mut k = self.count;
        while k & 1 == 1 {
            if let Some(left) = self.stack.pop() {
                acc = merge(left, acc);
            }
            k >>= 1;
        }
        self.stack.push(acc);
        self.count += 1;
    }
    #[inline(always)]
    fn finish(mut self, merge: impl Fn(S::Item, S::Item) -> S::Item) -> Option<S::Item> {
        let mut acc = self.stack.pop()?;
        while let Some(left) = self.stack.pop() {
            acc = merge(left, acc);
        }
        Some(acc)
    }
}

/// Folds up to `BLOCK` elements that lie `stride` apart.
#[inline(always)]
unsafe fn block<F: Fold>(f: &F, x: *const F::In, n: usize, stride: isize, first: usize) -> F::Acc {
    // SAFETY: the caller's promise: `n` elements `stride` apart from `x` on.
    unsafe {
        if n < LANES {
            let mut acc = f.start();
            for i in 0..n {
                acc = f.step(acc, *x.offset(i as isize * stride), first + i);
            }
            return acc;
        }
        let mut lanes = [f.start(); LANES];
        let mut i = 0;
        if stride == 1 {
            while i + LANES <= n {
                for (l, acc) in lanes.iter_mut().enumerate() {
                    *acc = f.step(*acc, *x.add(i + l), first + i + l);
                }
                i += LANES;
            }
        } else {
            while i + LANES <= n {
                for (l, acc) in lanes.iter_mut().enumerate() {
                    *acc = f.step(*acc, *x.offset((i + l) as isize * stride), first + i + l);
                }
                i += LANES;
            }
        }
        for l in 0..n - i {
            lanes[l] = f.step(
                lanes[l],
                *x.offset((i + l) as isize * stride),
                first + i + l,
            );
        }
        let mut w = LANES / 2;
        while w > 0 {
            for l in 0..w {
                lanes[l] = f.merge(lanes[l], lanes[l + w]);
            }
            w /= 2;
        }
        lanes[0]
    }
}

/// Folds any number of elements that lie `stride` apart.
#[inline(always)]
unsafe fn chunk<F: Fold>(f: &F, x: *const F::In, n: usize, stride: isize, first: usize) -> F::Acc {
    // SAFETY: parts of the caller's run.
    unsafe {
        if n <= BLOCK {
            return block(f, x, n, stride, first);
        }
        let mut tree: Cascade<[F::Acc; 24]> = Cascade::new();
        let mut i = 0;
        while i < n {
            let m = BLOCK.min(n - i);
            tree.push(
                block(f, x.offset(i as isize * stride), m, stride, first + i),
                |a, b| f.merge(a, b),
            );
            i += m;
        }
        tree.finish(|a, b| f.merge(a, b)).unwrap_or(f.start())
    }
}

#[derive(Clone, Copy)]
struct Axis {
    n: usize,
    stride: isize,
    /// Stride in the output; 0 for reduced axes.
    out: isize,
}

/// Offsets of a sequence of positions: evenly spaced, or listed.
struct Walk {
    n: usize,
    stride: isize,
    table: Option<Vec<isize>>,
}

impl Walk {
    /// The positions of these axes, the innermost first.
    fn new(axes: &[Axis], stride: impl Fn(&Axis) -> isize) -> Walk {
        match axes {
            [] => Walk {
                n: 1,
                stride: 0,
                table: None,
            },
            [a] => Walk {
                n: a.n,
                stride: stride(a),
                table: None,
            },
            _ => {
                let count = axes.iter().map(|a| a.n).product();
                let mut table: Vec<isize> = list::held(list::with_room(count));
                table.push(0);
                for a in axes {
                    let s = stride(a);
                    let have = table.len();
                    for i in 1..a.n as isize {
                        for k in 0..have {
                            table.push(table[k] + i * s);
                        }
                    }
                }
                Walk {
                    n: table.len(),
                    stride: 0,
                    table: Some(table),
                }
            }
        }
    }
    #[inline(always)]
    fn at(&self, i: usize) -> isize {
        match &self.table {
            None => i as isize * self.stride,
            Some(t) => t[i],
        }
    }
}

/// Merges axes that follow each other in memory; the innermost first.
fn collapse(mut axes: SmallVec<[Axis; 5]>) -> SmallVec<[Axis; 5]> {
    axes.sort_by_key(|a| a.stride.abs());
    let mut out: SmallVec<[Axis; 5]> = SmallVec::new();
    for a in axes {
        if let Some(last) = out.last_mut()
            && a.stride == last.stride * last.n as isize
            && a.out == last.out * last.n as isize
        {
            last.n *= a.n;
            continue;
        }
        out.push(a);
    }
    out
}

/// Every output by itself: runs of elements, one or more per output.
struct Rows<'a, F: Fold> {
    f: &'a F,
    x: SendPtr,
    out: SendPtr,
    kept: &'a Walk,
    kept_out: &'a Walk,
    outer: &'a Walk,
    n: usize,
    stride: isize,
}

impl<F: Fold> Rows<'_, F> {
    fn chunks(&self) -> usize {
        self.n.div_ceil(CHUNK).max(1)
    }
    /// Partial result of one chunk of one run of output `r`.
    #[inline(always)]
    fn unit(&self, r: usize, u: usize, chunks: usize) -> F::Acc {
        let (o, c) = (u / chunks, u % chunks);
        let from = c * CHUNK;
        let m = CHUNK.min(self.n - from);
        let at = self.kept.at(r) + self.outer.at(o) + from as isize * self.stride;
        // SAFETY: the walks and the run stay inside the tensor they were made from.
        unsafe {
            chunk(
                self.f,
                self.x.of::<F::In>().offset(at),
                m,
                self.stride,
                o * self.n + from,
            )
        }
    }
    #[inline(always)]
    fn write(&self, r: usize, acc: F::Acc) {
        let value = self.f.finish(acc, self.n * self.outer.n);
        // SAFETY: `r` is below the number of outputs, each written once.
        unsafe {
            self.out
                .of::<F::Out>()
                .offset(self.kept_out.at(r))
                .write(value)
        };
    }
}

impl<F: Fold> Work for Rows<'_, F> {
    #[inline(always)]
    fn run(&self, from: usize, to: usize) {
        let chunks = self.chunks();
        let units = chunks * self.outer.n;
        for r in from..to {
            if units == 1 {
                self.write(r, self.unit(r, 0, 1));
                continue;
            }
            let mut tree: Cascade<[F::Acc; 24]> = Cascade::new();
            for u in 0..units {
                tree.push(self.unit(r, u, chunks), |a, b| self.f.merge(a, b));
            }
            let acc = tree
                .finish(|a, b| self.f.merge(a, b))
                .unwrap_or(self.f.start());
            self.write(r, acc);
        }
    }
}

/// The units of few long outputs, shared out over threads.
struct Units<'a, F: Fold> {
    rows: &'a Rows<'a, F>,
    partial: SendPtr,
}

impl<F: Fold> Work for Units<'_, F> {
    #[inline(always)]
    fn run(&self, from: usize, to: usize) {
        let chunks = self.rows.chunks();
        let units = chunks * self.rows.outer.n;
        for k in from..to {
            let acc = self.rows.unit(k / units, k % units, chunks);
            // SAFETY: the buffer has a place for every unit of every output.
            unsafe { self.partial.of::<F::Acc>().add(k).write(acc) };
        }
    }
}

/// Neighbouring outputs together, walking down strided axes.
struct Tiles<'a, F: Fold> {
    f: &'a F,
    x: SendPtr,
    out: SendPtr,
    rows: &'a Walk,
    width: usize,
    out_stride: isize,
    outer: &'a Walk,
    outer_out: &'a Walk,
}

impl<F: Fold> Work for Tiles<'_, F> {
    #[inline(always)]
    fn run(&self, from: usize, to: usize) {
        let per = self.width.div_ceil(TILE);
        for t in from..to {
            let (o, c) = (t / per, (t % per) * TILE);
            let m = TILE.min(self.width - c);
            let base = self
                .x
                .of::<F::In>()
                .wrapping_offset(self.outer.at(o) + c as isize);
            let join = |a: [F::Acc; TILE], b: [F::Acc; TILE]| {
                let mut a = a;
                for k in 0..TILE {
                    a[k] = self.f.merge(a[k], b[k]);
                }
                a
            };
            let mut tree: Cascade<[[F::Acc; TILE]; 1]> = Cascade::new();
            let mut r = 0;
            while r < self.rows.n {
                let end = (r + TILE_ROWS).min(self.rows.n);
                let mut acc = [self.f.start(); TILE];
                for i in r..end {
                    let p = base.wrapping_offset(self.rows.at(i));
                    // SAFETY: `m` neighbouring elements of row `i` from the tile's first column on.
                    unsafe {
                        if m == TILE {
                            for (k, a) in acc.iter_mut().enumerate() {
                                *a = self.f.step(*a, *p.add(k), i);
                            }
                        } else {
                            for (k, a) in acc[..m].iter_mut().enumerate() {
                                *a = self.f.step(*a, *p.add(k), i);
                            }
                        }
                    }
                }
                tree.push(acc, join);
                r = end;
            }
            let acc = tree.finish(join).unwrap_or([self.f.start(); TILE]);
            let out = self
                .out
                .of::<F::Out>()
                .wrapping_offset(self.outer_out.at(o) + c as isize * self.out_stride);
            for (k, &a) in acc[..m].iter().enumerate() {
                // SAFETY: the output of column `c + k`, written once.
                unsafe {
                    out.offset(k as isize * self.out_stride)
                        .write(self.f.finish(a, self.rows.n))
                };
            }
        }
    }
}

/// Folds `dims` of a CPU tensor into `out`, which holds the kept axes' results in row-major order.
///
/// # Safety
/// `x` holds elements of `F::In`, `out` has room for an `F::Out` per kept position.
pub unsafe fn fold<F: Fold>(f: F, x: &Tensor, dims: &[usize], out: *mut u8) {
    let count: usize = dims.iter().map(|&d| x.sizes()[d]).product();
    let outputs: usize = (0..x.ndim())
        .filter(|d| !dims.contains(d))
        .map(|d| x.sizes()[d])
        .product();
    if outputs == 0 {
        return;
    }
    let (src, dst) = (SendPtr(x.data_ptr()), SendPtr(out));
    let (mut kept, mut reduced): (SmallVec<[Axis; 5]>, SmallVec<[Axis; 5]>) =
        (SmallVec::new(), SmallVec::new());
    if count > 0 && outputs == 1 && x.is_contiguous() {
        reduced.push(Axis {
            n: count,
            stride: 1,
            out: 0,
        });
    } else if count > 0 {
        let mut step = outputs as isize;
        for d in 0..x.ndim() {
            let (n, stride) = (x.sizes()[d], x.strides()[d]);
            if dims.contains(&d) {
                if n != 1 {
                    reduced.push(Axis { n, stride, out: 0 });
                }
            } else {
                step /= n as isize;
                if n != 1 {
                    kept.push(Axis {
                        n,
                        stride,
                        out: step,
                    });
                }
            }
        }
        kept = collapse(kept);
        reduced = collapse(reduced);
    } else {
        kept.push(Axis {
            n: outputs,
            stride: 0,
            out: 1,
        });
        reduced.push(Axis {
            n: 0,
            stride: 1,
            out: 0,
        });
    }
    let inner = reduced.first().copied().unwrap_or(Axis {
        n: 1,
        stride: 1,
        out: 0,
    });
    let columns = kept
        .first()
        .filter(|k| k.stride == 1 && k.n > 1 && (inner.stride != 1 || inner.n == 1))
        .copied();
    if let Some(column) = columns {
        let rows = Walk::new(&reduced, |a| a.stride);
        let (outer, outer_out) = (
            Walk::new(&kept[1..], |a| a.stride),
            Walk::new(&kept[1..], |a| a.out),
        );
        let tiles = Tiles {
            f: &f,
            x: src,
            out: dst,
            rows: &rows,
            width: column.n,
            out_stride: column.out,
            outer: &outer,
            outer_out: &outer_out,
        };
        let items = outer.n * column.n.div_ceil(TILE);
        return run_parallel(&tiles, items, (GRAIN / (TILE * count)).max(1));
    }
    let outer = Walk::new(reduced.get(1..).unwrap_or(&[]), |a| a.stride);
    let (kept_in, kept_out) = (Walk::new(&kept, |a| a.stride), Walk::new(&kept, |a| a.out));
    let rows = Rows {
        f: &f,
        x: src,
        out: dst,
        kept: &kept_in,
        kept_out: &kept_out,
        outer: &outer,
        n: inner.n,
        stride: inner.stride,
    };
    let units = rows.chunks() * outer.n;
    let threads = if count.saturating_mul(outputs) <= GRAIN {
        1
    } else {
        crate::cpu::parallel::num_threads()
    };
    if threads == 1 {
        return run(&rows, 0, outputs);
    }
    if outputs < 4 * threads && units > 1 {
        let mut partial: Vec<F::Acc> = list::held(list::with_room(outputs * units));
        let work = Units {
            rows: &rows,
            partial: SendPtr(partial.as_mut_ptr() as *mut u8),
        };
        run_parallel(
            &work,
            outputs * units,
            (GRAIN / inner.n.clamp(1, CHUNK)).max(1),
        );
        // SAFETY: every unit has written its place.
        unsafe { partial.set_len(outputs * units) };
        for (r, accs) in partial.chunks_exact(units).enumerate() {
            let mut tree: Cascade<[F::Acc; 24]> = Cascade::new();
            for &a in accs {
                tree.push(a, |a, b| f.merge(a, b));
            }
            rows.write(r, tree.finish(|a, b| f.merge(a, b)).unwrap_or(f.start()));
        }
        return;
    }
    run_parallel(&rows, outputs, (GRAIN / count.max(1)).max(1));
}

/// A type that sums and products are kept in. Integers wrap.
pub trait Number: Copy + Send + Sync {
    const ZERO: Self;
    const ONE: Self;
    fn plus(self, o: Self) -> Self;
    fn times(self, o: Self) -> Self;
    /// The quotient by a count.
    fn over(self, n: usize) -> Self;
}

macro_rules! number {
    ($($T:ty: $zero:expr, $one:expr, |$a:ident, $b:ident| $plus:expr, $times:expr, $over:expr;)*) => { $(impl Number for $T {
        const ZERO: $T = $zero;
        const ONE: $T = $one;
        #[inline(always)]
        fn plus(self, o: $T) -> $T { let ($a, $b) = (self, o); $plus }
        #[inline(always)]
        fn times(self, o: $T) -> $T { let ($a, $b) = (self, o); $times }
        #[inline(always)]
        fn over(self, n: usize) -> $T { let over: fn($T, usize) -> $T = $over; over(self, n) }
    })* };
}
number! {
    f32: 0.0, 1.0, |a, b| a + b, a * b, |a, n| a / n as f32;
    f64: 0.0, 1.0, |a, b| a + b, a * b, |a, n| a / n as f64;
    i64: 0, 1, |a, b| a.wrapping_add(b), a.wrapping_mul(b), |a, n| a.checked_div(n as i64).unwrap_or(0);
    Complex<f32>: Complex { re: 0.0, im: 0.0 }, Complex { re: 1.0, im: 0.0 }, |a, b| a + b, a * b, |a, n| a / n as f32;
    Complex<f64>: Complex { re: 0.0, im: 0.0 }, Complex { re: 1.0, im: 0.0 }, |a, b| a + b, a * b, |a, n| a / n as f64;
}

/// Something with an order in which NaN can be told apart.
pub trait Ranked: Copy + Send + Sync + PartialOrd {
    const LOW: Self;
    const HIGH: Self;
    fn is_nan(self) -> bool;
}

macro_rules! ranked {
    ($($T:ty: $low:expr, $high:expr, |$x:ident| $nan:expr;)*) => { $(impl Ranked for $T {
        const LOW: $T = $low;
        const HIGH: $T = $high;
        #[inline(always)]
        fn is_nan(self) -> bool { let $x = self; $nan }
    })* };
}
ranked! {
    f32: f32::NEG_INFINITY, f32::INFINITY, |x| f32::is_nan(x);
    f64: f64::NEG_INFINITY, f64::INFINITY, |x| f64::is_nan(x);
    i64: i64::MIN, i64::MAX, |_x| false;
}

/// A fold whose partial result has the type of its elements.
macro_rules! simple_fold {
    ($(#[doc = $doc:literal])+ $Name:ident: $Bound:ident, $start:expr, |$a:ident, $b:ident| $merge:expr) => {
        simple_fold! { $(#[doc = $doc])+ $Name: $Bound, $start, |$a, $b| $merge, |acc, _n| acc }
    };
    ($(#[doc = $doc:literal])+ $Name:ident: $Bound:ident, $start:expr, |$a:ident, $b:ident| $merge:expr,
        |$acc:ident, $n:ident| $finish:expr) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Default)]
        pub struct $Name<T>(PhantomData<T>);
        impl<T: $Bound> Fold for $Name<T> {
            type In = T;
            type Acc = T;
            type Out = T;
            #[inline(always)]
            fn start(&self) -> T { $start }
            #[inline(always)]
            fn step(&self, acc: T, x: T, _: usize) -> T { self.merge(acc, x) }
            #[inline(always)]
            fn merge(&self, $a: T, $b: T) -> T { $merge }
            #[inline(always)]
            fn finish(&self, $acc: T, $n: usize) -> T { $finish }
        }
    };
}
simple_fold! {
    /// The sum.
    Sum: Number, T::ZERO, |a, b| a.plus(b)
}
simple_fold! {
    /// The mean.
    Mean: Number, T::ZERO, |a, b| a.plus(b), |acc, n| acc.over(n)
}
simple_fold! {
    /// The product.
    Prod: Number, T::ONE, |a, b| a.times(b)
}
simple_fold! {
    /// The largest element; NaN if there is one.
    Max: Ranked, T::LOW, |a, b| if a.is_nan() || a > b { a } else { b }
}
simple_fold! {
    /// The smallest element; NaN if there is one.
    Min: Ranked, T::HIGH, |a, b| if a.is_nan() || a < b { a } else { b }
}

/// Whether any byte, or with `ALL` every byte, is nonzero.
#[derive(Clone, Copy, Default)]
pub struct Test<const ALL: bool>;

impl<const ALL: bool> Fold for Test<ALL> {
    type In = u8;
    type Acc = u8;
    type Out = u8;
    #[inline(always)]
    fn start(&self) -> u8 {
        ALL as u8
    }
    #[inline(always)]
    fn step(&self, acc: u8, x: u8, _: usize) -> u8 {
        self.merge(acc, (x != 0) as u8)
    }
    #[inline(always)]
    fn merge(&self, a: u8, b: u8) -> u8 {
        if ALL { a & b } else { a | b }
    }
    #[inline(always)]
    fn finish(&self, acc: u8, _: usize) -> u8 {
        acc
    }
}

/// The position of the first largest element, or with `MIN` smallest; NaN wins.
#[derive(Clone, Copy, Default)]
pub struct Arg<T, const MIN: bool>(PhantomData<T>);

impl<T: Ranked, const MIN: bool> Arg<T, MIN> {
    #[inline(always)]
    fn wins(x: T, than: T) -> bool {
        let ahead = if MIN { x < than } else { x > than };
        (ahead && !than.is_nan()) || (x.is_nan() && !than.is_nan())
    }
}

impl<T: Ranked, const MIN: bool> Fold for Arg<T, MIN> {
    type In = T;
    type Acc = (T, i64);
    type Out = i64;
    #[inline(always)]
    fn start(&self) -> (T, i64) {
        (if MIN { T::HIGH } else { T::LOW }, i64::MAX)
    }
    #[inline(always)]
    fn step(&self, acc: (T, i64), x: T, i: usize) -> (T, i64) {
        if acc.1 == i64::MAX || Self::wins(x, acc.0) {
            (x, i as i64)
        } else {
            acc
        }
    }
    #[inline(always)]
    fn merge(&self, a: (T, i64), b: (T, i64)) -> (T, i64) {
        if a.1 == i64::MAX {
            return b;
        }
        if b.1 == i64::MAX {
            return a;
        }
        let b_wins = Self::wins(b.0, a.0) || (!Self::wins(a.0, b.0) && b.1 < a.1);
        if b_wins { b } else { a }
    }
    #[inline(always)]
    fn finish(&self, acc: (T, i64), _: usize) -> i64 {
        acc.1
    }
}

/// The sum of squared distances from the mean, over `n - correction`; Welford's recurrence in float64.
#[derive(Clone, Copy)]
pub struct Variance<T> {
    pub correction: f64,
    pub of: PhantomData<T>,
}

impl<T: Real> Fold for Variance<T> {
    type In = T;
    /// Count, mean, squared distances.
    type Acc = (f64, f64, f64);
    type Out = T;
    #[inline(always)]
    fn start(&self) -> Self::Acc {
        (0.0, 0.0, 0.0)
    }
    #[inline(always)]
    fn step(&self, (n, mean, m2): Self::Acc, x: T, _: usize) -> Self::Acc {
        let x = x.to_f64();
        let (n, d) = (n + 1.0, x - mean);
        let mean = mean + d / n;
        (n, mean, m2 + d * (x - mean))
    }
    #[inline(always)]
    fn merge(&self, a: Self::Acc, b: Self::Acc) -> Self::Acc {
        let n = a.0 + b.0;
        if b.0 == 0.0 {
            return a;
        }
        let d = b.1 - a.1;
        let share = b.0 / n;
        (n, a.1 + d * share, a.2 + b.2 + d * d * a.0 * share)
    }
    #[inline(always)]
    fn finish(&self, acc: Self::Acc, n: usize) -> T {
        T::from_f64(acc.2 / (n as f64 - self.correction).max(0.0))
    }
}

/// The orders of a vector norm that have a loop of their own.
pub mod order {
    pub const ZERO: u8 = 0;
    pub const ONE: u8 = 1;
    pub const TWO: u8 = 2;
    pub const INF: u8 = 3;
    pub const NEG_INF: u8 = 4;
    pub const ANY: u8 = 5;
}

/// `sum(|x|^p)^(1/p)` and its limits.
#[derive(Clone, Copy)]
pub struct Norm<T, const ORDER: u8> {
    pub p: T,
}

impl<T: Real, const ORDER: u8> Fold for Norm<T, ORDER> {
    type In = T;
    type Acc = T;
    type Out = T;
    #[inline(always)]
    fn start(&self) -> T {
        if ORDER == order::NEG_INF {
            T::INFINITY
        } else {
            T::ZERO
        }
    }
    #[inline(always)]
    fn step(&self, acc: T, x: T, _: usize) -> T {
        let a = if x < T::ZERO { -x } else { x };
        match ORDER {
            order::ZERO => acc + if x != T::ZERO { T::ONE } else { T::ZERO },
            order::ONE => acc + a,
            order::TWO => acc + x * x,
            order::ANY => acc + a.powf(self.p),
            _ => self.merge(acc, a),
        }
    }
    #[inline(always)]
    fn merge(&self, a: T, b: T) -> T {
        match ORDER {
            order::INF => {
                if a.is_nan() || a > b {
                    a
                } else {
                    b
                }
            }
            order::NEG_INF => {
                if a.is_nan() || a < b {
                    a
                } else {
                    b
                }
            }
            _ => a + b,
        }
    }
    #[inline(always)]
    fn finish(&self, acc: T, _: usize) -> T {
        match ORDER {
            order::TWO => acc.sqrt(),
            order::ANY => acc.powf(T::ONE / self.p),
            _ => acc,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(x: &Tensor, dims: &[usize]) -> Vec<i64> {
        let kept: usize = (0..x.ndim())
            .filter(|d| !dims.contains(d))
            .map(|d| x.sizes()[d])
            .product();
        let mut out = vec![-1i64; kept];
        // SAFETY: the tensor holds i64, `out` has room for every kept position.
        unsafe { fold(Sum::<i64>::default(), x, dims, out.as_mut_ptr() as *mut u8) };
        out
    }

    /// The same by walking every element.
    fn slow(x: &Tensor, dims: &[usize]) -> Vec<i64> {
        let kept: Vec<usize> = (0..x.ndim()).filter(|d| !dims.contains(d)).collect();
        let mut out = vec![0i64; kept.iter().map(|&d| x.sizes()[d]).product()];
        let v = x.to_vec::<i64>().unwrap();
        for (i, v) in v.iter().enumerate() {
            let mut rest = i;
            let mut index = vec![0; x.ndim()];
            for d in (0..x.ndim()).rev() {
                (index[d], rest) = (rest % x.sizes()[d], rest / x.sizes()[d]);
            }
            let at = kept.iter().fold(0, |at, &d| at * x.sizes()[d] + index[d]);
            out[at] += v;
        }
        out
    }

    #[test]
    fn every_layout_and_axis_list() {
        let data: Vec<i64> = (0..3 * 70 * 5 * 4).map(|i| i * i % 1009).collect();
        let x = Tensor::from_slice_shaped(&data, &[3, 70, 5, 4]).unwrap();
        let views = [
            x.clone(),
            x.permute(&[2, 0, 3, 1]).unwrap(),
            x.transpose(0, 1).unwrap(),
            x.strided_slice(1, 69, 35, -2).unwrap(),
            x.select(2, 1).unwrap().unsqueeze(0).unwrap(),
        ];
        for v in &views {
            for mask in 0..16usize {
                let dims: Vec<usize> = (0..4).filter(|d| mask >> d & 1 == 1).collect();
                assert_eq!(
                    sums(v, &dims),
                    slow(v, &dims),
                    "{:?} {:?} {dims:?}",
                    v.sizes(),
                    v.strides()
                );
            }
        }
    }

    #[test]
    fn long_runs_do_not_depend_on_threads() {
        let data: Vec<f32> = (0..300_007)
            .map(|i| ((i * 7919) % 10_007) as f32 * 1e-3)
            .collect();
        let x = Tensor::from_slice(&data).unwrap();
        let sum = |threads| {
            crate::cpu::parallel::set_num_threads(threads);
            let mut out = 0f32;
            // SAFETY: one f32 for the one result.
            unsafe {
                fold(
                    Sum::<f32>::default(),
                    &x,
                    &[0],
                    &mut out as *mut f32 as *mut u8,
                )
            };
            out
        };
        let exact: f64 = data.iter().map(|&v| v as f64).sum();
        assert_eq!(sum(1).to_bits(), sum(3).to_bits());
        assert!(((sum(1) as f64) / exact - 1.0).abs() < 1e-6);
    }

    #[test]
    fn positions_prefer_nan_and_the_first() {
        let at = |v: &[f32]| {
            let x = Tensor::from_slice(v).unwrap();
            let mut out = 0i64;
            // SAFETY: one i64 for the one result.
            unsafe {
                fold(
                    Arg::<f32, false>::default(),
                    &x,
                    &[0],
                    &mut out as *mut i64 as *mut u8,
                )
            };
            out
        };
        assert_eq!(at(&[1.0, 3.0, 3.0, 2.0]), 1);
        assert_eq!(at(&[1.0, f32::NAN, 3.0, f32::NAN]), 1);
        let mut long = vec![0.5; 9000];
        long[4500] = 1.0;
        long[8999] = 1.0;
        assert_eq!(at(&long), 4500);
        assert_eq!(at(&[f32::NEG_INFINITY; 40]), 0);
    }
}
