//! What elementwise rows may use on complex numbers.

use crate::scalar::Element;
use num_complex::Complex;
use std::ops::{Add, Div, Mul, Neg, Sub};

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
    fn conj(self) -> Self;
    /// The modulus as a real-valued complex number.
    fn modulus(self) -> Self;
    fn is_zero(self) -> bool;
    fn is_nan(self) -> bool;
    fn is_inf(self) -> bool;
    fn exp(self) -> Self;
    fn ln(self) -> Self;
    fn sqrt(self) -> Self;
    fn sin(self) -> Self;
    fn cos(self) -> Self;
    fn tan(self) -> Self;
    fn sinh(self) -> Self;
    fn cosh(self) -> Self;
    fn tanh(self) -> Self;
    fn asin(self) -> Self;
    fn acos(self) -> Self;
    fn atan(self) -> Self;
    fn asinh(self) -> Self;
    fn acosh(self) -> Self;
    fn atanh(self) -> Self;
    fn powc(self, e: Self) -> Self;
}

macro_rules! complex_lane {
    ($($T:ty),*) => { $(impl ComplexLane for Complex<$T> {
        #[inline(always)]
        fn new(re: f64, im: f64) -> Self { Complex::new(re as $T, im as $T) }
        #[inline(always)]
        fn conj(self) -> Self { Complex::conj(&self) }
        #[inline(always)]
        fn modulus(self) -> Self { Complex::new(self.re.hypot(self.im), 0.0) }
        #[inline(always)]
        fn is_zero(self) -> bool { self.re == 0.0 && self.im == 0.0 }
        #[inline(always)]
        fn is_nan(self) -> bool { self.re.is_nan() || self.im.is_nan() }
        #[inline(always)]
        fn is_inf(self) -> bool { self.re.is_infinite() || self.im.is_infinite() }
        fn exp(self) -> Self { Complex::exp(self) }
        fn ln(self) -> Self { Complex::ln(self) }
        fn sqrt(self) -> Self { Complex::sqrt(self) }
        fn sin(self) -> Self { Complex::sin(self) }
        fn cos(self) -> Self { Complex::cos(self) }
        fn tan(self) -> Self { Complex::tan(self) }
        fn sinh(self) -> Self { Complex::sinh(self) }
        fn cosh(self) -> Self { Complex::cosh(self) }
        fn tanh(self) -> Self { Complex::tanh(self) }
        fn asin(self) -> Self { Complex::asin(self) }
        fn acos(self) -> Self { Complex::acos(self) }
        fn atan(self) -> Self { Complex::atan(self) }
        fn asinh(self) -> Self { Complex::asinh(self) }
        fn acosh(self) -> Self { Complex::acosh(self) }
        fn atanh(self) -> Self { Complex::atanh(self) }
        fn powc(self, e: Self) -> Self { Complex::powc(self, e) }
    })* };
}
complex_lane!(f32, f64);
