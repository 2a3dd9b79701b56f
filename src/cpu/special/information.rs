//! Logarithms arranged for probabilities: entropies, odds, and sums in the log domain.

use super::super::math::Real;

/// `-x ln x`; 0 at zero and minus infinity for negative `x`.
#[inline(always)]
pub fn entr<T: Real>(x: T) -> T {
    let y = -x * x.ln();
    let y = T::select(x == T::ZERO, T::ZERO, y);
    T::select(x < T::ZERO, T::NEG_INFINITY, y)
}

/// `x ln y`; 0 where `x` is zero, whatever `y` is except NaN.
#[inline(always)]
pub fn xlogy<T: Real>(x: T, y: T) -> T {
    let product = x * y.ln();
    T::select(y.is_nan(), y, T::select(x == T::ZERO, T::ZERO, product))
}

/// `x ln(1 + y)`; 0 where `x` is zero, whatever `y` is except NaN.
#[inline(always)]
pub fn xlog1py<T: Real>(x: T, y: T) -> T {
    let product = x * y.ln_1p();
    T::select(y.is_nan(), y, T::select(x == T::ZERO, T::ZERO, product))
}

/// `sin(pi x) / (pi x)`; 1 at zero.
#[inline(always)]
pub fn sinc<T: Real>(x: T) -> T {
    let angle = T::PI * x;
    T::select(x == T::ZERO, T::ONE, angle.sin() / angle)
}

/// The log odds `ln(x / (1 - x))`; NaN outside `[0, 1]`.
#[inline(always)]
pub fn logit<T: Real>(x: T) -> T {
    (x / (T::ONE - x)).ln()
}

/// [`logit`] of `x` held in `[eps, 1 - eps]`.
#[inline(always)]
pub fn logit_clamped<T: Real>(x: T, eps: T) -> T {
    logit(x.clamp(eps, T::ONE - eps))
}

/// `ln(1 / (1 + e^-x))` without overflow on either side.
#[inline(always)]
pub fn log_sigmoid<T: Real>(x: T) -> T {
    let negative = T::select(x > T::ZERO, T::ZERO, x);
    negative - (-x.abs()).exp().ln_1p()
}

/// `ln(1 + e^(beta x)) / beta`, and `x` itself where `beta x` exceeds `threshold`.
#[inline(always)]
pub fn softplus<T: Real>(x: T, beta: T, threshold: T) -> T {
    let scaled = x * beta;
    T::select(scaled > threshold, x, scaled.exp().ln_1p() / beta)
}

/// `ln(e^x + e^y)` without overflow.
#[inline(always)]
pub fn logaddexp<T: Real>(x: T, y: T) -> T {
    let sum = x.maximum(y) + (-(x - y).abs()).exp().ln_1p();
    // Equal infinities have no difference.
    T::select(x.is_inf() & (x == y), x, sum)
}

/// `log2(2^x + 2^y)` without overflow.
#[inline(always)]
pub fn logaddexp2<T: Real>(x: T, y: T) -> T {
    let sum = x.maximum(y) + (-(x - y).abs()).exp2().ln_1p() * T::LOG2_E;
    T::select(x.is_inf() & (x == y), x, sum)
}
