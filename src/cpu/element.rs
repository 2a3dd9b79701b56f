//! What the matrix, convolution and pooling kernels ask of an element type.

use half::{bf16, f16};
use num_complex::Complex;

/// A type tensors hold, with the type its sums are kept in.
pub trait Element: Copy + Send + Sync + PartialEq + 'static {
    /// `f32` for the half types, the type itself otherwise.
    type Acc: Acc;
    fn to_acc(self) -> Self::Acc;
    fn from_acc(acc: Self::Acc) -> Self;
}

/// A type sums are kept in. Integers wrap.
pub trait Acc: Element<Acc = Self> {
    const ZERO: Self;
    const ONE: Self;
    fn add(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    /// Quotient by a count; integers round towards zero.
    fn div_count(self, count: i64) -> Self;
    /// `a * b + self`, with one rounding where the target rounds once without a library call.
    #[inline(always)]
    fn fma(self, a: Self, b: Self) -> Self {
        a.mul(b).add(self)
    }
}

/// An element with an order, for maxima.
pub trait Ordered: Element {
    /// The value no other is less than.
    const LOWEST: Self;
    fn is_nan(self) -> bool;
    fn greater(self, other: Self) -> bool;
}

/// True where a fused multiply-add is one instruction of the baseline target.
const FUSED: bool = cfg!(any(target_arch = "aarch64", target_feature = "fma"));

macro_rules! own_acc {
    ($($t:ty),*) => {$(
        impl Element for $t {
            type Acc = $t;
            #[inline(always)]
            fn to_acc(self) -> $t {
                self
            }
            #[inline(always)]
            fn from_acc(acc: $t) -> $t {
                acc
            }
        }
    )*};
}
own_acc!(
    f32,
    f64,
    i8,
    i16,
    i32,
    i64,
    u8,
    u16,
    u32,
    u64,
    Complex<f32>,
    Complex<f64>
);

macro_rules! float {
    ($($t:ty),*) => {$(
        impl Acc for $t {
            const ZERO: $t = 0.0;
            const ONE: $t = 1.0;
            #[inline(always)]
            fn add(self, other: $t) -> $t {
                self + other
            }
            #[inline(always)]
            fn mul(self, other: $t) -> $t {
                self * other
            }
            #[inline(always)]
            fn div_count(self, count: i64) -> $t {
                self / count as $t
            }
            #[inline(always)]
            fn fma(self, a: $t, b: $t) -> $t {
                if FUSED { a.mul_add(b, self) } else { a * b + self }
            }
        }
    )*};
}
float!(f32, f64);

/// The value of a half, by selects that vectorise and without subnormal arithmetic.
#[inline(always)]
fn f16_value(h: f16) -> f32 {
    let bits = u32::from(h.to_bits());
    let (sign, exponent, rest) = ((bits & 0x8000) << 16, bits & 0x7c00, bits & 0x7fff);
    let small = ((bits & 0x3ff) as i32 as f32 * f32::from_bits((127 - 24) << 23)).to_bits();
    let bias = if exponent == 0x7c00 {
        (255 - 31) << 23
    } else {
        (127 - 15) << 23
    };
    let normal = (rest << 13) + bias;
    f32::from_bits(sign | if exponent == 0 { small } else { normal })
}

macro_rules! half_type {
    ($($t:ty, $value:expr);*) => {$(
        impl Element for $t {
            type Acc = f32;
            #[inline(always)]
            fn to_acc(self) -> f32 {
                $value(self)
            }
            #[inline(always)]
            fn from_acc(acc: f32) -> $t {
                <$t>::from_f32(acc)
            }
        }
    )*};
}
half_type!(f16, f16_value; bf16, |x: bf16| f32::from_bits(u32::from(x.to_bits()) << 16));

/// The order of floating types, in which NaN has no place.
macro_rules! ordered_float {
    ($($t:ty),*) => {$(
        impl Ordered for $t {
            const LOWEST: $t = <$t>::NEG_INFINITY;
            #[inline(always)]
            fn is_nan(self) -> bool {
                <$t>::is_nan(self)
            }
            #[inline(always)]
            fn greater(self, other: $t) -> bool {
                self > other
            }
        }
    )*};
}
ordered_float!(f16, bf16, f32, f64);

macro_rules! integer {
    ($($t:ty),*) => {$(
        impl Acc for $t {
            const ZERO: $t = 0;
            const ONE: $t = 1;
            #[inline(always)]
            fn add(self, other: $t) -> $t {
                self.wrapping_add(other)
            }
            #[inline(always)]
            fn mul(self, other: $t) -> $t {
                self.wrapping_mul(other)
            }
            /// A count that is zero or that the type cannot hold gives zero.
            #[inline(always)]
            fn div_count(self, count: i64) -> $t {
                <$t>::try_from(count).ok().and_then(|c| self.checked_div(c)).unwrap_or(0)
            }
        }
        impl Ordered for $t {
            const LOWEST: $t = <$t>::MIN;
            #[inline(always)]
            fn is_nan(self) -> bool {
                false
            }
            #[inline(always)]
            fn greater(self, other: $t) -> bool {
                self > other
            }
        }
    )*};
}
integer!(i8, i16, i32, i64, u8, u16, u32, u64);

macro_rules! complex {
    ($($t:ty),*) => {$(
        impl Acc for Complex<$t> {
            const ZERO: Self = Complex { re: 0.0, im: 0.0 };
            const ONE: Self = Complex { re: 1.0, im: 0.0 };
            #[inline(always)]
            fn add(self, other: Self) -> Self {
                Complex { re: self.re + other.re, im: self.im + other.im }
            }
            #[inline(always)]
            fn mul(self, other: Self) -> Self {
                Complex {
                    re: self.re * other.re - self.im * other.im,
                    im: self.re * other.im + self.im * other.re,
                }
            }
            #[inline(always)]
            fn div_count(self, count: i64) -> Self {
                Complex { re: self.re / count as $t, im: self.im / count as $t }
            }
        }
    )*};
}
complex!(f32, f64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_values_are_exact() {
        for bits in 0..=u16::MAX {
            let (h, b) = (f16::from_bits(bits), bf16::from_bits(bits));
            assert!(h.to_acc() == h.to_f32() || (h.is_nan() && h.to_acc().is_nan()));
            assert!(b.to_acc() == b.to_f32() || (b.is_nan() && b.to_acc().is_nan()));
        }
    }
}
