//! Integer arithmetic as PyTorch's kernels do it: it wraps, and division by zero is reported, not undefined.

use crate::scalar::Element;
use std::ops::{BitAnd, BitOr, BitXor, Not};
use std::sync::atomic::{AtomicBool, Ordering};

static DIVIDED_BY_ZERO: AtomicBool = AtomicBool::new(false);

#[cold]
fn note_division_by_zero() {
    DIVIDED_BY_ZERO.store(true, Ordering::Relaxed);
}

/// Whether a kernel divided an integer by zero since the last question.
#[inline]
pub fn take_division_by_zero() -> bool {
    DIVIDED_BY_ZERO.load(Ordering::Relaxed) && DIVIDED_BY_ZERO.swap(false, Ordering::Relaxed)
}

/// What elementwise rows may use on integers.
pub trait Int:
    Element
    + Ord
    + BitAnd<Output = Self>
    + BitOr<Output = Self>
    + BitXor<Output = Self>
    + Not<Output = Self>
{
    const ZERO: Self;
    const ONE: Self;
    const BITS: u32;
    const SIGNED: bool;
    fn wrapping_add(self, o: Self) -> Self;
    fn wrapping_sub(self, o: Self) -> Self;
    fn wrapping_mul(self, o: Self) -> Self;
    fn wrapping_neg(self) -> Self;
    fn wrapping_abs(self) -> Self;
    fn signum(self) -> Self;
    /// Rounds towards zero.
    fn div_trunc(self, o: Self) -> Self;
    /// Rounds down.
    fn div_floor(self, o: Self) -> Self;
    /// The sign of the dividend (C).
    fn rem_trunc(self, o: Self) -> Self;
    /// The sign of the divisor (Python).
    fn rem_floor(self, o: Self) -> Self;
    /// Shifts beyond the width give 0, or -1 for negative numbers to the right.
    fn shl(self, o: Self) -> Self;
    fn shr(self, o: Self) -> Self;
    /// A negative exponent gives 0, save for bases 1 and -1.
    fn pow(self, e: Self) -> Self;
    fn gcd(self, o: Self) -> Self;
    fn lcm(self, o: Self) -> Self;
    fn to_i64(self) -> i64;
}

macro_rules! int {
    ($($T:ty, $signed:literal);*) => { $(impl Int for $T {
        const ZERO: $T = 0;
        const ONE: $T = 1;
        const BITS: u32 = <$T>::BITS;
        const SIGNED: bool = $signed;
        #[inline(always)]
        fn wrapping_add(self, o: $T) -> $T { <$T>::wrapping_add(self, o) }
        #[inline(always)]
        fn wrapping_sub(self, o: $T) -> $T { <$T>::wrapping_sub(self, o) }
        #[inline(always)]
        fn wrapping_mul(self, o: $T) -> $T { <$T>::wrapping_mul(self, o) }
        #[inline(always)]
        fn wrapping_neg(self) -> $T { <$T>::wrapping_neg(self) }
        #[inline(always)]
        #[allow(unused_comparisons)]
        fn wrapping_abs(self) -> $T { if self < 0 { <$T>::wrapping_neg(self) } else { self } }
        #[inline(always)]
        #[allow(unused_comparisons)]
        fn signum(self) -> $T { if self > 0 { 1 } else if self < 0 { (0 as $T).wrapping_sub(1) } else { 0 } }
        #[inline(always)]
        fn div_trunc(self, o: $T) -> $T {
            if o == 0 { note_division_by_zero(); return 0; }
            <$T>::wrapping_div(self, o)
        }
        #[inline(always)]
        #[allow(unused_comparisons)]
        fn div_floor(self, o: $T) -> $T {
            if o == 0 { note_division_by_zero(); return 0; }
            let q = <$T>::wrapping_div(self, o);
            if $signed && (<$T>::wrapping_rem(self, o) != 0) && ((self < 0) != (o < 0)) { q.wrapping_sub(1) } else { q }
        }
        #[inline(always)]
        fn rem_trunc(self, o: $T) -> $T {
            if o == 0 { note_division_by_zero(); return 0; }
            <$T>::wrapping_rem(self, o)
        }
        #[inline(always)]
        #[allow(unused_comparisons)]
        fn rem_floor(self, o: $T) -> $T {
            if o == 0 { note_division_by_zero(); return 0; }
            let r = <$T>::wrapping_rem(self, o);
            if r != 0 && ((r < 0) != (o < 0)) { r.wrapping_add(o) } else { r }
        }
        #[inline(always)]
        #[allow(unused_comparisons)]
        fn shl(self, o: $T) -> $T {
            if o < 0 || o as u64 >= Self::BITS as u64 { 0 } else { self << (o as u32) }
        }
        #[inline(always)]
        #[allow(unused_comparisons)]
        fn shr(self, o: $T) -> $T {
            if o < 0 || o as u64 >= Self::BITS as u64 { if self < 0 { (0 as $T).wrapping_sub(1) } else { 0 } }
            else { self >> (o as u32) }
        }
        #[allow(unused_comparisons)]
        fn pow(self, e: $T) -> $T {
            if e < 0 {
                return if self == 1 { 1 } else if $signed && self == (0 as $T).wrapping_sub(1) {
                    if e & 1 == 0 { 1 } else { self }
                } else { 0 };
            }
            let (mut base, mut e, mut out) = (self, e, 1 as $T);
            while e != 0 {
                if e & 1 != 0 { out = out.wrapping_mul(base); }
                base = base.wrapping_mul(base);
                e >>= 1;
            }
            out
        }
        fn gcd(self, o: $T) -> $T {
            let (mut a, mut b) = (Int::wrapping_abs(self), Int::wrapping_abs(o));
            while b != 0 { (a, b) = (b, <$T>::wrapping_rem(a, b)); }
            a
        }
        fn lcm(self, o: $T) -> $T {
            let g = Int::gcd(self, o);
            if g == 0 { 0 } else { Int::wrapping_abs(<$T>::wrapping_mul(<$T>::wrapping_div(self, g), o)) }
        }
        #[inline(always)]
        fn to_i64(self) -> i64 { self as i64 }
    })* };
}
int!(u8, false; i8, true; i16, true; i32, true; i64, true; u16, false; u32, false; u64, false);
