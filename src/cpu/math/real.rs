//! The trait [`Real`] and its two implementations.

use std::fmt::Debug;
use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

use super::{erf, exp, inverse, log, pow, trig};

/// A floating-point element the CPU kernels compute on: `f32` or `f64`.
///
/// Values at infinities, NaN and signed zeros are those of C99; `maximum`, `remainder`, `floor_divide` and `sign`
/// follow PyTorch where C has no such function.
pub trait Real:
    Copy
    + Debug
    + Default
    + PartialEq
    + PartialOrd
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
    + DivAssign
    + Send
    + Sync
    + 'static
{
    const ZERO: Self;
    const ONE: Self;
    const TWO: Self;
    const HALF: Self;
    const INFINITY: Self;
    const NEG_INFINITY: Self;
    const NAN: Self;
    const EPSILON: Self;
    const MAX: Self;
    const MIN: Self;
    /// The smallest positive normal value.
    const MIN_POSITIVE: Self;
    const PI: Self;
    const FRAC_PI_2: Self;
    const E: Self;
    const LN_2: Self;
    const LN_10: Self;
    const LOG2_E: Self;
    const LOG10_E: Self;
    const SQRT_2: Self;
    const FRAC_1_SQRT_2: Self;
    const FRAC_2_SQRT_PI: Self;

    /// The nearest value to `x`.
    fn from_f64(x: f64) -> Self;
    /// The nearest value to `x`.
    fn from_f32(x: f32) -> Self;
    fn to_f64(self) -> f64;
    fn to_f32(self) -> f32;

    fn exp(self) -> Self;
    fn exp2(self) -> Self;
    /// `exp(self) - 1` without cancellation near zero.
    fn exp_m1(self) -> Self;
    fn ln(self) -> Self;
    fn log2(self) -> Self;
    fn log10(self) -> Self;
    /// `ln(1 + self)` without cancellation near zero.
    fn ln_1p(self) -> Self;
    /// C's `pow`, special cases included.
    fn powf(self, y: Self) -> Self;
    fn sqrt(self) -> Self;

    fn sin(self) -> Self;
    fn cos(self) -> Self;
    fn tan(self) -> Self;
    fn asin(self) -> Self;
    fn acos(self) -> Self;
    fn atan(self) -> Self;
    /// The angle of the point `(x, self)`.
    fn atan2(self, x: Self) -> Self;
    fn sinh(self) -> Self;
    fn cosh(self) -> Self;
    fn tanh(self) -> Self;
    fn asinh(self) -> Self;
    fn acosh(self) -> Self;
    fn atanh(self) -> Self;
    /// `1 / (1 + exp(-self))`.
    fn sigmoid(self) -> Self;
    fn erf(self) -> Self;
    fn erfc(self) -> Self;

    fn abs(self) -> Self;
    fn floor(self) -> Self;
    fn ceil(self) -> Self;
    fn trunc(self) -> Self;
    /// The nearest integer, halves to even.
    fn round_even(self) -> Self;
    /// The magnitude of `self` with the sign bit of `sign`.
    fn copysign(self, sign: Self) -> Self;
    /// `self * a + b`, rounded once.
    fn mul_add(self, a: Self, b: Self) -> Self;
    fn hypot(self, y: Self) -> Self;
    /// C's `fmod`: the sign of the dividend.
    fn fmod(self, y: Self) -> Self;
    fn is_nan(self) -> bool;
    fn is_inf(self) -> bool;
    fn is_finite(self) -> bool;
    /// Whether the sign bit is set (true for -0.0).
    fn is_sign_negative(self) -> bool;

    /// `if cond { a } else { b }`, for code meant to become a blend.
    #[inline(always)]
    fn select(cond: bool, a: Self, b: Self) -> Self {
        if cond { a } else { b }
    }

    #[inline(always)]
    fn recip(self) -> Self {
        Self::ONE / self
    }

    #[inline(always)]
    fn rsqrt(self) -> Self {
        Self::ONE / self.sqrt()
    }

    #[inline(always)]
    fn square(self) -> Self {
        self * self
    }

    /// The fraction that `trunc` leaves, with the sign of `self`.
    #[inline(always)]
    fn frac(self) -> Self {
        self - self.trunc()
    }

    /// The larger value; NaN if either is NaN.
    #[inline(always)]
    fn maximum(self, y: Self) -> Self {
        // A comparison with NaN is false, so the first test lets NaN in `y` fall to `y`; the second catches `self`.
        let larger = Self::select(self >= y, self, y);
        Self::select(self.is_nan(), self, larger)
    }

    /// The smaller value; NaN if either is NaN.
    #[inline(always)]
    fn minimum(self, y: Self) -> Self {
        let smaller = Self::select(self <= y, self, y);
        Self::select(self.is_nan(), self, smaller)
    }

    /// The larger value; the other one if one is NaN.
    #[inline(always)]
    fn fmax(self, y: Self) -> Self {
        let larger = Self::select(self >= y, self, y);
        Self::select(y.is_nan(), self, larger)
    }

    /// The smaller value; the other one if one is NaN.
    #[inline(always)]
    fn fmin(self, y: Self) -> Self {
        let smaller = Self::select(self <= y, self, y);
        Self::select(y.is_nan(), self, smaller)
    }

    /// `self` held in `[low, high]`; NaN stays NaN.
    #[inline(always)]
    fn clamp(self, low: Self, high: Self) -> Self {
        let x = Self::select(self < low, low, self);
        Self::select(x > high, high, x)
    }

    /// -1, 0 or 1; 0 for NaN.
    #[inline(always)]
    fn sign(self) -> Self {
        let positive = Self::select(self > Self::ZERO, Self::ONE, Self::ZERO);
        let negative = Self::select(self < Self::ZERO, Self::ONE, Self::ZERO);
        positive - negative
    }

    /// The remainder with the sign of the divisor, as Python's `%`.
    #[inline(always)]
    fn remainder(self, y: Self) -> Self {
        let r = self.fmod(y);
        let other_sign = (r < Self::ZERO) != (y < Self::ZERO);
        Self::select(other_sign & (r != Self::ZERO), r + y, r)
    }

    /// The quotient rounded down, consistent with [`Real::remainder`], as Python's `//`.
    ///
    /// `floor(self / y)` would be wrong where the division rounds up to an integer (1 // 0.1 is 9). A zero divisor
    /// gives what `/` gives.
    #[inline(always)]
    fn floor_divide(self, y: Self) -> Self {
        let r = self.fmod(y);
        let other_sign = (r < Self::ZERO) != (y < Self::ZERO);
        // `self - r` is a multiple of `y` up to rounding, so the quotient is an integer up to rounding.
        let q = (self - r) / y;
        let q = Self::select(other_sign & (r != Self::ZERO), q - Self::ONE, q);
        let low = q.floor();
        let whole = Self::select(q - low > Self::HALF, low + Self::ONE, low);
        let signed_zero = Self::ZERO.copysign(self / y);
        let result = Self::select(q == Self::ZERO, signed_zero, whole);
        Self::select(y == Self::ZERO, self / y, result)
    }
}

macro_rules! real {
    ($t:ident, $to_f64:expr, $to_f32:expr, $from_f64:expr, $from_f32:expr;
     $($name:ident($($arg:ident),*) = $path:expr;)*) => {
        impl Real for $t {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const TWO: Self = 2.0;
            const HALF: Self = 0.5;
            const INFINITY: Self = $t::INFINITY;
            const NEG_INFINITY: Self = $t::NEG_INFINITY;
            const NAN: Self = $t::NAN;
            const EPSILON: Self = $t::EPSILON;
            const MAX: Self = $t::MAX;
            const MIN: Self = $t::MIN;
            const MIN_POSITIVE: Self = $t::MIN_POSITIVE;
            const PI: Self = std::$t::consts::PI;
            const FRAC_PI_2: Self = std::$t::consts::FRAC_PI_2;
            const E: Self = std::$t::consts::E;
            const LN_2: Self = std::$t::consts::LN_2;
            const LN_10: Self = std::$t::consts::LN_10;
            const LOG2_E: Self = std::$t::consts::LOG2_E;
            const LOG10_E: Self = std::$t::consts::LOG10_E;
            const SQRT_2: Self = std::$t::consts::SQRT_2;
            const FRAC_1_SQRT_2: Self = std::$t::consts::FRAC_1_SQRT_2;
            const FRAC_2_SQRT_PI: Self = std::$t::consts::FRAC_2_SQRT_PI;

            #[inline(always)]
            fn from_f64(x: f64) -> Self { $from_f64(x) }
            #[inline(always)]
            fn from_f32(x: f32) -> Self { $from_f32(x) }
            #[inline(always)]
            fn to_f64(self) -> f64 { $to_f64(self) }
            #[inline(always)]
            fn to_f32(self) -> f32 { $to_f32(self) }
            #[inline(always)]
            fn is_nan(self) -> bool { $t::is_nan(self) }
            #[inline(always)]
            fn is_inf(self) -> bool { $t::is_infinite(self) }
            #[inline(always)]
            fn is_finite(self) -> bool { $t::is_finite(self) }
            #[inline(always)]
            fn is_sign_negative(self) -> bool { $t::is_sign_negative(self) }
            #[inline(always)]
            fn fmod(self, y: Self) -> Self { self % y }
            #[inline(always)]
            fn mul_add(self, a: Self, b: Self) -> Self { $t::mul_add(self, a, b) }
            #[inline(always)]
            fn sqrt(self) -> Self { $t::sqrt(self) }
            #[inline(always)]
            fn abs(self) -> Self { $t::abs(self) }
            #[inline(always)]
            fn floor(self) -> Self { $t::floor(self) }
            #[inline(always)]
            fn ceil(self) -> Self { $t::ceil(self) }
            #[inline(always)]
            fn trunc(self) -> Self { $t::trunc(self) }
            #[inline(always)]
            fn round_even(self) -> Self { $t::round_ties_even(self) }
            #[inline(always)]
            fn copysign(self, sign: Self) -> Self { $t::copysign(self, sign) }
            $(
                #[inline(always)]
                fn $name(self $(, $arg: Self)*) -> Self { ($path)(self $(, $arg)*) }
            )*
        }
    };
}

real! {
    f32, |x| x as f64, |x| x, |x| x as f32, |x| x;
    exp() = exp::exp_f32;
    exp2() = exp::exp2_f32;
    exp_m1() = |x: f32| exp::exp_m1_f64(x as f64) as f32;
    ln() = log::ln_f32;
    log2() = log::log2_f32;
    log10() = log::log10_f32;
    ln_1p() = |x: f32| log::ln_1p_f64(x as f64) as f32;
    powf(y) = pow::pow_f32;
    sin() = trig::sin_f32;
    cos() = trig::cos_f32;
    tan() = trig::tan_f32;
    asin() = inverse::asin_f32;
    acos() = inverse::acos_f32;
    atan() = inverse::atan_f32;
    atan2(x) = inverse::atan2_f32;
    sinh() = |x: f32| exp::sinh_f64(x as f64) as f32;
    cosh() = |x: f32| exp::cosh_f64(x as f64) as f32;
    tanh() = exp::tanh_f32;
    asinh() = |x: f32| inverse::asinh_f64(x as f64) as f32;
    acosh() = |x: f32| inverse::acosh_f64(x as f64) as f32;
    atanh() = |x: f32| inverse::atanh_f64(x as f64) as f32;
    sigmoid() = exp::sigmoid_f32;
    erf() = erf::erf_f32;
    erfc() = |x: f32| erf::erfc_f64(x as f64) as f32;
    hypot(y) = inverse::hypot_f32;
}

real! {
    f64, |x| x, |x| x as f32, |x| x, |x| x as f64;
    exp() = exp::exp_f64;
    exp2() = exp::exp2_f64;
    exp_m1() = exp::exp_m1_f64;
    ln() = log::ln_f64;
    log2() = log::log2_f64;
    log10() = log::log10_f64;
    ln_1p() = log::ln_1p_f64;
    powf(y) = pow::pow_f64;
    sin() = trig::sin_f64;
    cos() = trig::cos_f64;
    tan() = trig::tan_f64;
    asin() = inverse::asin_f64;
    acos() = inverse::acos_f64;
    atan() = inverse::atan_f64;
    atan2(x) = inverse::atan2_f64;
    sinh() = exp::sinh_f64;
    cosh() = exp::cosh_f64;
    tanh() = exp::tanh_f64;
    asinh() = inverse::asinh_f64;
    acosh() = inverse::acosh_f64;
    atanh() = inverse::atanh_f64;
    sigmoid() = exp::sigmoid_f64;
    erf() = erf::erf_f64;
    erfc() = erf::erfc_f64;
    hypot(y) = inverse::hypot_f64;
}
