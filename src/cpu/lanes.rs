//! What elementwise rows may use on complex numbers.

use super::complex;
use crate::scalar::Element;
use num_complex::Complex;
use std::ops::{Add, Div, Mul, Neg, Sub};

macro_rules! complex_lanes {
    ($($name:ident)*) => {
        /// A complex lane: arithmetic and the elementary functions.
        pub trait ComplexLane:
            Element
            + Add<Output = Self>
            + Sub<Output = Self>
            + Mul<Output = Self>
            + Div<Output = Self>
            + Neg<Output = Self>
        {
            fn new(re: f64, im: f64) -> Self;
            fn re(self) -> f64;
            fn im(self) -> f64;
            fn conj(self) -> Self;
            /// The modulus as a real-valued complex number.
            fn modulus(self) -> Self;
            /// The angle from the positive real axis as a real-valued complex number.
            fn angle(self) -> Self;
            fn is_zero(self) -> bool;
            fn is_nan(self) -> bool;
            fn is_inf(self) -> bool;
            fn is_finite(self) -> bool;
            /// `self / o`, safe from overflow of intermediate results.
            fn quotient(self, o: Self) -> Self;
            fn powc(self, e: Self) -> Self;
            $(fn $name(self) -> Self;)*
        }
        complex_lanes!(@of f32 [$($name)*]);
        complex_lanes!(@of f64 [$($name)*]);
    };
    (@of $T:ty [$($name:ident)*]) => {
        impl ComplexLane for Complex<$T> {
            #[inline(always)]
            fn new(re: f64, im: f64) -> Self { Complex::new(re as $T, im as $T) }
            #[inline(always)]
            fn re(self) -> f64 { self.re as f64 }
            #[inline(always)]
            fn im(self) -> f64 { self.im as f64 }
            #[inline(always)]
            fn conj(self) -> Self { Complex::conj(&self) }
            #[inline(always)]
            fn modulus(self) -> Self { Complex::new(complex::abs(self), 0.0) }
            #[inline(always)]
            fn angle(self) -> Self { Complex::new(complex::angle(self), 0.0) }
            #[inline(always)]
            fn is_zero(self) -> bool { self.re == 0.0 && self.im == 0.0 }
            #[inline(always)]
            fn is_nan(self) -> bool { self.re.is_nan() || self.im.is_nan() }
            #[inline(always)]
            fn is_inf(self) -> bool { self.re.is_infinite() || self.im.is_infinite() }
            #[inline(always)]
            fn is_finite(self) -> bool { self.re.is_finite() && self.im.is_finite() }
            fn quotient(self, o: Self) -> Self { complex::div(self, o) }
            fn powc(self, e: Self) -> Self { complex::powc(self, e) }
            $(fn $name(self) -> Self { complex::$name(self) })*
        }
    };
}

complex_lanes! {
    exp ln sqrt sin cos tan sinh cosh tanh asin acos atan asinh acosh atanh
    exp2 exp_m1 log2 log10 ln_1p rsqrt recip sgn square sigmoid
}
