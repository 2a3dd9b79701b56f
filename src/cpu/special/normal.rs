//! The error function's relatives and the normal distribution.

use std::f64::consts::{FRAC_1_SQRT_2, SQRT_2};

use super::super::math::{self, Real};

/// `2 / sqrt(pi)`.
const SLOPE: f64 = std::f64::consts::FRAC_2_SQRT_PI;

/// `e^(x^2) erfc(x)`.
pub fn erfcx(x: f64) -> f64 {
    math::erfcx_f64(x)
}

/// Giles' approximation to `erfinv(x)` to about seven digits ("Approximating the erfinv function", GPU Computing
/// Gems 2, 2010, table 1), given `|x|` and `w = -ln(1 - x^2)` for `w < 16`.
fn erfinv_start(x: f64, w: f64) -> f64 {
    let (t, coefficients) = if w < 5.0 {
        let near = [
            2.81022636e-08,
            3.43273939e-07,
            -3.5233877e-06,
            -4.39150654e-06,
            0.00021858087,
            -0.00125372503,
            -0.00417768164,
            0.246640727,
            1.50140941,
        ];
        (w - 2.5, near)
    } else {
        let far = [
            -0.000200214257,
            0.000100950558,
            0.00134934322,
            -0.00367342844,
            0.00573950773,
            -0.0076224613,
            0.00943887047,
            1.00167406,
            2.83297682,
        ];
        (w.sqrt() - 3.0, far)
    };
    coefficients
        .iter()
        .fold(0.0, |sum: f64, &c| sum.mul_add(t, c))
        * x
}

/// The positive `y` with `erfc(y) = q`, for `q` in `(0, 1/2]`.
fn erfc_inverse(q: f64) -> f64 {
    let ln_q = q.ln();
    let w = -(ln_q + (2.0 - q).ln());
    let mut y = if w < 16.0 {
        erfinv_start(1.0 - q, w)
    } else {
        // erfc(y) ~ e^(-y^2) / (y sqrt(pi)), DLMF 7.12.1.
        (-ln_q - 0.5 * (-std::f64::consts::PI * ln_q).ln()).sqrt()
    };
    // Newton's method on ln erfc, which is concave, so that each step brings about twice the digits.
    for _ in 0..3 {
        let scaled = erfcx(y);
        y += (scaled.ln() - y * y - ln_q) * scaled / SLOPE;
    }
    y
}

/// The inverse error function; infinite at -1 and 1, NaN beyond.
pub fn erfinv(x: f64) -> f64 {
    let a = x.abs();
    let y = if a < 0.5 {
        let y = erfinv_start(a, -(-a * a).ln_1p());
        // One step of Halley's method, exact to third order: the second derivative is -2y times the first.
        let step = (Real::erf(y) - a) / (SLOPE * (-y * y).exp());
        y - step / (1.0 + y * step)
    } else if a < 1.0 {
        erfc_inverse(1.0 - a)
    } else if a == 1.0 {
        f64::INFINITY
    } else {
        f64::NAN
    };
    y.copysign(x)
}

/// The normal distribution function.
pub fn ndtr(x: f64) -> f64 {
    0.5 * Real::erfc(-x * FRAC_1_SQRT_2)
}

/// The inverse of [`ndtr`]; infinite at 0 and 1, NaN outside.
pub fn ndtri(p: f64) -> f64 {
    if p == 0.0 {
        f64::NEG_INFINITY
    } else if p == 1.0 {
        f64::INFINITY
    } else if !(p > 0.0 && p < 1.0) {
        f64::NAN
    } else if p < 0.25 {
        -SQRT_2 * erfc_inverse(2.0 * p)
    } else if p > 0.75 {
        SQRT_2 * erfc_inverse(2.0 * (1.0 - p))
    } else {
        SQRT_2 * erfinv(2.0 * p - 1.0)
    }
}

/// The logarithm of [`ndtr`], through [`erfcx`] on the left where `ndtr` itself vanishes.
pub fn log_ndtr(x: f64) -> f64 {
    let t = x * FRAC_1_SQRT_2;
    if x < -1.0 {
        (0.5 * erfcx(-t)).ln() - t * t
    } else {
        (-0.5 * Real::erfc(t)).ln_1p()
    }
}
