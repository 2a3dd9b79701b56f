//! Putting the elements of rows in order: by integer keys that sort as the elements do.

use crate::cpu::parallel::for_range;
use crate::error::Result;
use crate::iter::{GRAIN, SendPtr};
use crate::list;
use half::{bf16, f16};

/// An element with an unsigned key in its order. Zeros of both signs are equal; NaN is larger than everything.
pub trait Key: Copy + Send + Sync + PartialEq {
    /// The key of NaN, where there is one.
    const NAN: Option<u64>;
    /// Whether keys need more than 32 bits.
    const WIDE: bool;
    fn key(self) -> u64;
}

macro_rules! int_key {
    ($($T:ty: $U:ty),*) => { $(impl Key for $T {
        const NAN: Option<u64> = None;
        const WIDE: bool = size_of::<$T>() > 4;
        #[inline(always)]
        fn key(self) -> u64 {
            // The smallest value becomes 0.
            (self as $U).wrapping_sub(<$T>::MIN as $U) as u64
        }
    })* };
}
int_key!(u8: u8, i8: u8, i16: u16, i32: u32, i64: u64, u16: u16, u32: u32, u64: u64);

impl Key for bool {
    const NAN: Option<u64> = None;
    const WIDE: bool = false;
    #[inline(always)]
    fn key(self) -> u64 {
        self as u64
    }
}

macro_rules! float_key {
    ($($T:ty: $U:ty),*) => { $(impl Key for $T {
        const NAN: Option<u64> = Some(<$U>::MAX as u64);
        const WIDE: bool = size_of::<$T>() > 4;
        #[inline(always)]
        fn key(self) -> u64 {
            const TOP: $U = 1 << (<$U>::BITS - 1);
            if self != self {
                return <$U>::MAX as u64;
            }
            let bits: $U = self.to_bits();
            let bits = if bits == TOP { 0 } else { bits };
            (if bits & TOP != 0 { !bits } else { bits | TOP }) as u64
        }
    })* };
}
float_key!(f32: u32, f64: u64, f16: u16, bf16: u16);

/// A key with the position it came from, in one integer: sorting these is stable.
pub trait Entry: Copy + Ord + Send {
    fn new(key: u64, at: usize) -> Self;
    fn at(self) -> usize;
    fn key(self) -> u64;
}

impl Entry for u64 {
    #[inline(always)]
    fn new(key: u64, at: usize) -> u64 {
        key << 32 | at as u64
    }
    #[inline(always)]
    fn at(self) -> usize {
        (self & 0xffff_ffff) as usize
    }
    #[inline(always)]
    fn key(self) -> u64 {
        self >> 32
    }
}

impl Entry for u128 {
    #[inline(always)]
    fn new(key: u64, at: usize) -> u128 {
        (key as u128) << 64 | at as u128
    }
    #[inline(always)]
    fn at(self) -> usize {
        self as u64 as usize
    }
    #[inline(always)]
    fn key(self) -> u64 {
        (self >> 64) as u64
    }
}

/// Which positions of a row are wanted.
#[derive(Clone, Copy, Debug)]
pub enum Rank {
    /// All, in order.
    Sort { descending: bool },
    /// The `k` largest or smallest, in order.
    Top { k: usize, largest: bool },
    /// The one that `k` others precede.
    Kth { k: usize },
    /// The lower median; the first NaN if there is one.
    Median,
    /// The lower median of what is not NaN.
    NanMedian,
    /// The last position of the most frequent value, the smallest of several.
    Mode,
}

impl Rank {
    /// Positions per row of `n`.
    pub fn yields(self, n: usize) -> usize {
        match self {
            Rank::Sort { .. } => n,
            Rank::Top { k, .. } => k,
            _ => 1,
        }
    }

    fn inverted(self) -> bool {
        matches!(
            self,
            Rank::Sort { descending: true } | Rank::Top { largest: true, .. }
        )
    }

    /// Brings the wanted entries to the front.
    fn arrange<E: Entry>(self, row: &mut [E], nan: Option<u64>) {
        let n = row.len();
        match self {
            Rank::Sort { .. } => row.sort_unstable(),
            Rank::Top { k, .. } => {
                if k > 0 && k < n {
                    row.select_nth_unstable(k - 1);
                }
                row[..k].sort_unstable();
            }
            Rank::Kth { k } => {
                row.select_nth_unstable(k);
                row.swap(0, k);
            }
            Rank::Median => match row.iter().position(|e| Some(e.key()) == nan) {
                Some(i) => row.swap(0, i),
                None => Rank::Kth { k: (n - 1) / 2 }.arrange(row, nan),
            },
            Rank::NanMedian => {
                let m = row.iter().filter(|e| Some(e.key()) != nan).count();
                if m > 0 {
                    // NaN sorts last, so the first `m` in order are the numbers.
                    Rank::Kth { k: (m - 1) / 2 }.arrange(row, nan);
                }
            }
            Rank::Mode => {
                row.sort_unstable();
                let (mut best, mut length, mut start) = (0, 0, 0);
                for i in 0..n {
                    if row[i].key() != row[start].key() {
                        start = i;
                    }
                    if i - start + 1 > length {
                        (best, length) = (i, i - start + 1);
                    }
                }
                row.swap(0, best);
            }
        }
    }
}

fn ranked_rows<T: Key, E: Entry>(x: &[T], n: usize, inner: usize, how: Rank, out: SendPtr) {
    let rows = x.len() / n.max(1);
    let k = how.yields(n);
    let flip = if how.inverted() {
        if T::WIDE { u64::MAX } else { 0xffff_ffff }
    } else {
        0
    };
    for_range(rows, (GRAIN / 8 / n.max(1)).max(1), |from, to| {
        let mut row: Vec<E> = list::held(list::with_room(n));
        for r in from..to {
            let (o, i) = (r / inner, r % inner);
            row.clear();
            row.extend((0..n).map(|j| E::new(x[(o * n + j) * inner + i].key() ^ flip, j)));
            how.arrange(&mut row, T::NAN);
            for (j, e) in row[..k].iter().enumerate() {
                // SAFETY: the output holds `k` positions for each row; every row is done once.
                unsafe {
                    out.of::<i64>()
                        .add((o * k + j) * inner + i)
                        .write(e.at() as i64)
                };
            }
        }
    });
}

/// Writes the wanted positions of every row of a contiguous (outer, n, inner) block to (outer, k, inner).
///
/// # Safety
/// `out` has room for them.
pub unsafe fn rank<T: Key>(x: &[T], n: usize, inner: usize, how: Rank, out: *mut i64) {
    let out = SendPtr(out as *mut u8);
    if T::WIDE || n > u32::MAX as usize {
        ranked_rows::<T, u128>(x, n, inner, how, out)
    } else {
        ranked_rows::<T, u64>(x, n, inner, how, out)
    }
}

/// What is left of a list without repeats: where each kept element is, which kept element every one is, how many each.
pub struct Distinct {
    pub first: Vec<usize>,
    pub inverse: Vec<i64>,
    pub counts: Vec<i64>,
}

impl Distinct {
    /// Walks elements in the given order and starts a new group wherever `same` is false for neighbours.
    pub fn walk(order: &[usize], same: impl Fn(usize, usize) -> bool) -> Result<Distinct> {
        let mut out = Distinct {
            first: Vec::new(),
            inverse: list::filled(order.len(), 0)?,
            counts: Vec::new(),
        };
        let mut last = None;
        for &i in order {
            match (last, out.counts.last_mut()) {
                (Some(l), Some(count)) if same(l, i) => *count += 1,
                _ => {
                    list::push(&mut out.first, i)?;
                    list::push(&mut out.counts, 1)?;
                }
            }
            out.inverse[i] = out.first.len() as i64 - 1;
            last = Some(i);
        }
        Ok(out)
    }
}

/// Positions of the elements in ascending order.
pub fn order<T: Key>(x: &[T]) -> Result<Vec<usize>> {
    fn sorted<T: Key, E: Entry>(x: &[T]) -> Result<Vec<usize>> {
        let entries = x.iter().enumerate().map(|(i, v)| E::new(v.key(), i));
        let mut e: Vec<E> = list::collected(entries)?;
        e.sort_unstable();
        list::collected(e.iter().map(|e| e.at()))
    }
    if T::WIDE || x.len() > u32::MAX as usize {
        sorted::<T, u128>(x)
    } else {
        sorted::<T, u64>(x)
    }
}
