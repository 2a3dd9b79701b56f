//! The element types that random fills write, and how each converts a drawn value.

use half::{bf16, f16};

/// How `random_()` without bounds draws for a type: the word size, and the modulus (0 means that all bits stay).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unbounded {
    pub wide: bool,
    pub modulus: u64,
}

/// A type that a fill can write.
pub trait Element: Copy {
    /// The rule of `random_()` without bounds.
    const UNBOUNDED: Unbounded;
    /// Bits of the significand of a floating type; 0 for the others.
    const SIGNIFICAND: u32 = 0;
    /// The largest value of the type, or the largest i64 if that is smaller.
    const MAX_I64: i64;

    fn from_f64(value: f64) -> Self;
    fn from_i64(value: i64) -> Self;
    fn from_bool(value: bool) -> Self;
    /// The value as an integer, for rounding a bound to the type.
    fn to_i64(self) -> i64;
}

/// A floating element type.
pub trait Real: Element + PartialEq {
    /// Whether arithmetic is done in f64. All other types compute in f32 and round once at the end.
    const WIDE: bool;
    fn from_f32(value: f32) -> Self;
    fn to_f64(self) -> f64;
    /// The smallest positive normal value.
    const TINY: f64;
    /// The largest value below one.
    const BELOW_ONE: f64;
}

macro_rules! integer {
    ($($t:ty, $wide:expr, $modulus:expr, $max:expr;)*) => {$(
        impl Element for $t {
            const UNBOUNDED: Unbounded = Unbounded { wide: $wide, modulus: $modulus };
            const MAX_I64: i64 = $max;
            #[inline(always)]
            fn from_f64(value: f64) -> Self { value as i64 as $t }
            #[inline(always)]
            fn from_i64(value: i64) -> Self { value as $t }
            #[inline(always)]
            fn from_bool(value: bool) -> Self { value as $t }
            #[inline(always)]
            fn to_i64(self) -> i64 { self as i64 }
        }
    )*};
}

integer! {
    u8, false, 1 << 8, u8::MAX as i64;
    i8, false, 1 << 7, i8::MAX as i64;
    i16, false, 1 << 15, i16::MAX as i64;
    i32, false, 1 << 31, i32::MAX as i64;
    i64, true, 1 << 63, i64::MAX;
    u16, false, 1 << 16, u16::MAX as i64;
    u32, false, 1 << 32, u32::MAX as i64;
    u64, true, 0, i64::MAX;
}

impl Element for bool {
    const UNBOUNDED: Unbounded = Unbounded {
        wide: false,
        modulus: 2,
    };
    const MAX_I64: i64 = 1;
    #[inline(always)]
    fn from_f64(value: f64) -> Self {
        value != 0.0
    }
    #[inline(always)]
    fn from_i64(value: i64) -> Self {
        value != 0
    }
    #[inline(always)]
    fn from_bool(value: bool) -> Self {
        value
    }
    #[inline(always)]
    fn to_i64(self) -> i64 {
        self as i64
    }
}

macro_rules! real {
    ($($t:ty, $wide:expr, $digits:expr, $max:expr, $tiny:expr, |$a:ident| $from32:expr, |$b:ident| $from64:expr, |$c:ident| $to64:expr;)*) => {$(
        impl Element for $t {
            const UNBOUNDED: Unbounded = Unbounded { wide: $wide, modulus: (1 << $digits) + 1 };
            const SIGNIFICAND: u32 = $digits;
            const MAX_I64: i64 = $max;
            #[inline(always)]
            fn from_f64($b: f64) -> Self { $from64 }
            #[inline(always)]
            fn from_i64(value: i64) -> Self {
                if $wide { Self::from_f64(value as f64) } else { Self::from_f32(value as f32) }
            }
            #[inline(always)]
            fn from_bool(value: bool) -> Self { Self::from_f32(value as u8 as f32) }
            #[inline(always)]
            fn to_i64(self) -> i64 {
                let value = self.to_f64();
                // Out of range is the smallest integer, which is what the conversion instruction returns.
                if value < 9_223_372_036_854_775_808.0 { value as i64 } else { i64::MIN }
            }
        }
        impl Real for $t {
            const WIDE: bool = $wide;
            const TINY: f64 = $tiny;
            const BELOW_ONE: f64 = 1.0 - 1.0 / (1u64 << $digits) as f64;
            #[inline(always)]
            fn from_f32($a: f32) -> Self { $from32 }
            #[inline(always)]
            fn to_f64(self) -> f64 { let $c = self; $to64 }
        }
    )*};
}

// Half types round twice from f64 (first to f32), as a conversion through the compute type does.
real! {
    f64, true, 53, i64::MAX, f64::MIN_POSITIVE, |v| v as f64, |v| v, |v| v;
    f32, false, 24, i64::MAX, f32::MIN_POSITIVE as f64, |v| v, |v| v as f32, |v| v as f64;
    f16, false, 11, 65504, 6.103_515_625e-5, |v| f16::from_f32(v), |v| f16::from_f32(v as f32), |v| v.to_f64();
    bf16, false, 8, i64::MAX, f32::MIN_POSITIVE as f64, |v| bf16::from_f32(v), |v| bf16::from_f32(v as f32), |v| v.to_f64();
}
