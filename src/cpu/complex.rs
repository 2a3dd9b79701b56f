//! Elementary functions of a complex argument.
//!
//! Values at infinities, NaN, signed zeros and on branch cuts are those of C99's annex G. Everything is computed in
//! double precision; single precision is converted at either end, which keeps intermediate results from overflowing
//! and makes its results right to the last bit nearly everywhere. The inverse functions follow W. Kahan, "Branch cuts
//! for complex elementary functions" (1987).

use std::f64::consts::{FRAC_PI_2, LN_2, LOG2_E, LOG10_E};

use num_complex::Complex;

use super::math::Real;

type C = Complex<f64>;

/// `i z`, exactly.
fn turned(z: C) -> C {
    C::new(-z.im, z.re)
}

/// `-i z`, exactly.
fn turned_back(z: C) -> C {
    C::new(z.im, -z.re)
}

mod double {
    use super::*;

    /// `scale e^z`, with the exponential in two factors so that it overflows no earlier than the result.
    fn polar_exp(z: C, scale: f64) -> C {
        let (cosine, sine) = (Real::cos(z.im), Real::sin(z.im));
        if z.re.abs() < 700.0 {
            let e = Real::exp(z.re) * scale;
            return C::new(e * cosine, e * sine);
        }
        let root = Real::exp(z.re * 0.5);
        C::new(root * scale * cosine * root, root * scale * sine * root)
    }

    pub fn exp(z: C) -> C {
        if z.im == 0.0 {
            return C::new(Real::exp(z.re), z.im);
        }
        if !z.im.is_finite() {
            if z.re == f64::NEG_INFINITY {
                return C::new(0.0, 0.0);
            }
            if z.re == f64::INFINITY {
                return C::new(z.re, f64::NAN);
            }
        }
        polar_exp(z, 1.0)
    }

    pub fn exp2(z: C) -> C {
        exp(C::new(z.re * LN_2, z.im * LN_2))
    }

    pub fn exp_m1(z: C) -> C {
        if z.im == 0.0 {
            return C::new(Real::exp_m1(z.re), z.im);
        }
        if !z.re.is_finite() || !z.im.is_finite() || z.re > 700.0 {
            let e = exp(z);
            return C::new(e.re - 1.0, e.im);
        }
        // e^x cos y - 1 = (e^x - 1) cos y - 2 sin^2(y / 2).
        let half = Real::sin(0.5 * z.im);
        let re = Real::exp_m1(z.re).mul_add(Real::cos(z.im), -2.0 * half * half);
        C::new(re, Real::exp(z.re) * Real::sin(z.im))
    }

    pub fn abs(z: C) -> f64 {
        libm::hypot(z.re, z.im)
    }

    /// `ln |z|`.
    fn ln_abs(z: C) -> f64 {
        let (x, y) = (z.re.abs(), z.im.abs());
        let (large, small) = if x > y { (x, y) } else { (y, x) };
        if large > 0.5 && large < 2.0 {
            // Around the unit circle |z| - 1 cancels: take |z|^2 - 1, with the rounding errors of the squares.
            let (l, s) = (large * large, small * small);
            let lost = large.mul_add(large, -l) + small.mul_add(small, -s);
            return 0.5 * Real::ln_1p(l - 1.0 + s + lost);
        }
        if large > 1e300 && large < f64::INFINITY {
            return Real::ln(libm::hypot(x * 0.25, y * 0.25)) + 2.0 * LN_2;
        }
        Real::ln(libm::hypot(x, y))
    }

    pub fn ln(z: C) -> C {
        C::new(ln_abs(z), libm::atan2(z.im, z.re))
    }

    pub fn log2(z: C) -> C {
        let w = ln(z);
        C::new(w.re * LOG2_E, w.im * LOG2_E)
    }

    pub fn log10(z: C) -> C {
        let w = ln(z);
        C::new(w.re * LOG10_E, w.im * LOG10_E)
    }

    pub fn ln_1p(z: C) -> C {
        let shifted = C::new(1.0 + z.re, z.im);
        if z.re.abs() > 0.5 || z.im.abs() > 0.5 || z.re.is_nan() || z.im.is_nan() {
            return ln(shifted);
        }
        // |1 + z|^2 - 1 = 2x + x^2 + y^2.
        let excess = z.re.mul_add(2.0 + z.re, z.im * z.im);
        // The sum of zeros loses the sign of z's.
        let re = if excess == 0.0 {
            z.re
        } else {
            0.5 * Real::ln_1p(excess)
        };
        C::new(re, libm::atan2(z.im, shifted.re))
    }

    pub fn sqrt(z: C) -> C {
        if z.re == 0.0 && z.im == 0.0 {
            return C::new(0.0, z.im);
        }
        if z.im.is_infinite() {
            return C::new(f64::INFINITY, z.im);
        }
        if z.re.is_infinite() {
            let other = if z.im.is_nan() { f64::NAN } else { 0.0 };
            return if z.re > 0.0 {
                C::new(z.re, other.copysign(z.im))
            } else {
                C::new(other, f64::INFINITY.copysign(z.im))
            };
        }
        // Out of reach of overflow and of subnormals: 2^-2 and 2^108 have the roots 2^-1 and 2^54.
        let size = z.re.abs().max(z.im.abs());
        let (factor, back) = if size > 1e300 {
            (0.25, 2.0)
        } else if size < 1e-280 {
            (3.2451855365842673e32, 5.551115123125783e-17)
        } else {
            (1.0, 1.0)
        };
        let (x, y) = (z.re * factor, z.im * factor);
        let root = (0.5 * (x.abs() + libm::hypot(x, y))).sqrt();
        let other = 0.5 * y.abs() / root;
        let (re, im) = if x >= 0.0 {
            (root, other)
        } else {
            (other, root)
        };
        if x.is_nan() || y.is_nan() {
            return C::new(f64::NAN, f64::NAN);
        }
        C::new(re * back, (im * back).copysign(z.im))
    }

    pub fn rsqrt(z: C) -> C {
        div(C::new(1.0, 0.0), sqrt(z))
    }

    /// R. L. Smith's division (Comm. ACM 5, 1962): scaled by the larger part of the divisor. A zero divisor divides
    /// each part by zero.
    pub fn div(a: C, b: C) -> C {
        let (x, y) = (b.re.abs(), b.im.abs());
        if x >= y {
            if x == 0.0 && y == 0.0 {
                return C::new(a.re / x, a.im / y);
            }
            let ratio = b.im / b.re;
            let scale = 1.0 / (b.re + b.im * ratio);
            C::new((a.re + a.im * ratio) * scale, (a.im - a.re * ratio) * scale)
        } else {
            let ratio = b.re / b.im;
            let scale = 1.0 / (b.re * ratio + b.im);
            C::new((a.re * ratio + a.im) * scale, (a.im * ratio - a.re) * scale)
        }
    }

    pub fn recip(z: C) -> C {
        div(C::new(1.0, 0.0), z)
    }

    pub fn square(z: C) -> C {
        let cross = z.re * z.im;
        C::new(z.re * z.re - z.im * z.im, cross + cross)
    }

    pub fn mul(a: C, b: C) -> C {
        C::new(a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re)
    }

    /// [`mul`], with the infinities that it turns into NaN recovered as annex G.5.1 of C99 has it.
    fn mul_recovered(a: C, b: C) -> C {
        let plain = mul(a, b);
        if !(plain.re.is_nan() && plain.im.is_nan()) {
            return plain;
        }
        let is_infinite = |z: C| z.re.is_infinite() || z.im.is_infinite();
        // An infinity becomes a direction; what is NaN beside one counts as zero.
        let direction = |v: f64| {
            if v.is_infinite() {
                1.0f64.copysign(v)
            } else {
                0.0f64.copysign(v)
            }
        };
        let boxed = |z: C| C::new(direction(z.re), direction(z.im));
        let zeroed = |v: f64| if v.is_nan() { 0.0f64.copysign(v) } else { v };
        let cleaned = |z: C| C::new(zeroed(z.re), zeroed(z.im));
        let overflowed = [a.re * b.re, a.im * b.im, a.re * b.im, a.im * b.re]
            .into_iter()
            .any(f64::is_infinite);
        let (a, b) = match (is_infinite(a), is_infinite(b)) {
            (true, true) => (boxed(a), boxed(b)),
            (true, false) => (boxed(a), cleaned(b)),
            (false, true) => (cleaned(a), boxed(b)),
            (false, false) if overflowed => (cleaned(a), cleaned(b)),
            (false, false) => return plain,
        };
        let product = mul(a, b);
        C::new(f64::INFINITY * product.re, f64::INFINITY * product.im)
    }

    pub fn powc(z: C, w: C) -> C {
        exp(mul_recovered(w, ln(z)))
    }

    pub fn sgn(z: C) -> C {
        if z.re == 0.0 && z.im == 0.0 {
            return C::new(0.0, 0.0);
        }
        let size = abs(z);
        C::new(z.re / size, z.im / size)
    }

    pub fn sigmoid(z: C) -> C {
        let e = exp(C::new(-z.re, -z.im));
        recip(C::new(1.0 + e.re, e.im))
    }

    pub fn sinh(z: C) -> C {
        let C { re: x, im: y } = z;
        if y == 0.0 {
            return C::new(Real::sinh(x), y);
        }
        if !y.is_finite() {
            let re = if x == 0.0 || x.is_infinite() {
                x
            } else {
                f64::NAN
            };
            return C::new(re, f64::NAN);
        }
        if x.abs() > 700.0 {
            let w = polar_exp(C::new(x.abs(), y), 0.5);
            return C::new(if x < 0.0 { -w.re } else { w.re }, w.im);
        }
        C::new(Real::sinh(x) * Real::cos(y), Real::cosh(x) * Real::sin(y))
    }

    pub fn cosh(z: C) -> C {
        let C { re: x, im: y } = z;
        if y == 0.0 {
            // The product of the signs, also at infinity, where the product of the values is NaN.
            return C::new(Real::cosh(x), if x.is_nan() { y } else { y * x.signum() });
        }
        if !y.is_finite() {
            let re = if x.is_infinite() {
                f64::INFINITY
            } else {
                f64::NAN
            };
            return C::new(re, if x == 0.0 { x } else { f64::NAN });
        }
        if x.abs() > 700.0 {
            let w = polar_exp(C::new(x.abs(), y), 0.5);
            return C::new(w.re, if x < 0.0 { -w.im } else { w.im });
        }
        C::new(Real::cosh(x) * Real::cos(y), Real::sinh(x) * Real::sin(y))
    }

    pub fn tanh(z: C) -> C {
        let C { re: x, im: y } = z;
        if y == 0.0 {
            return C::new(Real::tanh(x), y);
        }
        if x.is_infinite() {
            let zero = if y.is_finite() {
                (Real::sin(y) * Real::cos(y)) * 0.0
            } else {
                0.0f64.copysign(y)
            };
            return C::new(1.0f64.copysign(x), zero);
        }
        if !y.is_finite() {
            return C::new(if x == 0.0 { x } else { f64::NAN }, f64::NAN);
        }
        if x.abs() > 22.0 {
            // 1 / cosh^2 x is 4 e^-2|x| to the last bit.
            let e = Real::exp(-x.abs());
            return C::new(
                1.0f64.copysign(x),
                4.0 * Real::sin(y) * Real::cos(y) * e * e,
            );
        }
        let tangent = Real::tan(y);
        let beta = tangent.mul_add(tangent, 1.0);
        let s = Real::sinh(x);
        let denominator = (beta * s).mul_add(s, 1.0);
        C::new(
            beta * Real::cosh(x) * s / denominator,
            tangent / denominator,
        )
    }

    pub fn sin(z: C) -> C {
        turned_back(sinh(turned(z)))
    }

    pub fn cos(z: C) -> C {
        cosh(turned(z))
    }

    pub fn tan(z: C) -> C {
        turned_back(tanh(turned(z)))
    }

    pub fn asinh(z: C) -> C {
        let C { re: x, im: y } = z;
        if x.is_nan() || y.is_nan() {
            if x.is_infinite() {
                return C::new(x, f64::NAN);
            }
            if y.is_infinite() {
                return C::new(f64::INFINITY, f64::NAN);
            }
            return C::new(f64::NAN, if y == 0.0 { y } else { f64::NAN });
        }
        if x.is_infinite() || y.is_infinite() {
            return C::new(
                f64::INFINITY.copysign(x),
                libm::atan2(y.abs(), x.abs()).copysign(y),
            );
        }
        // Kahan's formula for the arc sine of i z: the roots are those of 1 - i z and 1 + i z.
        let minus = sqrt(C::new(1.0 + y, -x));
        let plus = sqrt(C::new(1.0 - y, x));
        let re = libm::asinh((minus.re * plus.im - minus.im * plus.re).copysign(x));
        let im = libm::atan2(y, minus.re * plus.re - minus.im * plus.im);
        C::new(re, im)
    }

    pub fn acos(z: C) -> C {
        let C { re: x, im: y } = z;
        if x.is_nan() || y.is_nan() {
            if x.is_infinite() {
                return C::new(f64::NAN, f64::NEG_INFINITY);
            }
            if y.is_infinite() {
                return C::new(f64::NAN, -y);
            }
            return C::new(if x == 0.0 { FRAC_PI_2 } else { f64::NAN }, f64::NAN);
        }
        if x.is_infinite() || y.is_infinite() {
            return C::new(libm::atan2(y.abs(), x), -f64::INFINITY.copysign(y));
        }
        let minus = sqrt(C::new(1.0 - x, -y));
        let plus = sqrt(C::new(1.0 + x, y));
        let im = libm::asinh((plus.re * minus.im - plus.im * minus.re).copysign(-y));
        C::new(2.0 * libm::atan2(minus.re, plus.re), im)
    }

    pub fn acosh(z: C) -> C {
        let w = acos(z);
        // The imaginary part has the sign opposite to that of z's; acosh takes z's sign and a positive real part.
        C::new(
            w.im.abs(),
            if z.im.is_nan() {
                w.re
            } else {
                w.re.copysign(z.im)
            },
        )
    }

    pub fn atanh(z: C) -> C {
        let C { re: x, im: y } = z;
        if x.is_nan() || y.is_nan() {
            let re = if x.is_infinite() || x == 0.0 || y.is_infinite() {
                0.0f64.copysign(x)
            } else {
                f64::NAN
            };
            let im = if y.is_infinite() {
                FRAC_PI_2.copysign(y)
            } else if y == 0.0 {
                y
            } else {
                f64::NAN
            };
            return C::new(re, im);
        }
        if x.abs() > 1e150 || y.abs() > 1e150 {
            // atanh(z) = 1 / z + i pi / 2 up to 1e-300 and less.
            let re = if x.is_infinite() || y.is_infinite() {
                0.0
            } else {
                recip(z).re
            };
            return C::new(re.abs().copysign(x), FRAC_PI_2.copysign(y));
        }
        let a = x.abs();
        let below = 1.0 - a;
        // ln |1 + z| - ln |1 - z| with the quotient of the squares written as 1 + 4x / |1 - z|^2.
        let re = 0.25 * Real::ln_1p(4.0 * a / below.mul_add(below, y * y));
        let im = 0.5 * libm::atan2(2.0 * y, below * (1.0 + a) - y * y);
        C::new(re.copysign(x), im)
    }

    pub fn asin(z: C) -> C {
        turned_back(asinh(turned(z)))
    }

    pub fn atan(z: C) -> C {
        turned_back(atanh(turned(z)))
    }
}

fn widened<T: Real>(z: Complex<T>) -> C {
    C::new(z.re.to_f64(), z.im.to_f64())
}

fn narrowed<T: Real>(z: C) -> Complex<T> {
    Complex::new(T::from_f64(z.re), T::from_f64(z.im))
}

macro_rules! functions {
    ($($(#[$doc:meta])* $name:ident($($arg:ident),+);)*) => { $(
        $(#[$doc])*
        pub fn $name<T: Real>($($arg: Complex<T>),+) -> Complex<T> {
            narrowed(double::$name($(widened($arg)),+))
        }
    )* };
}

functions! {
    exp(z);
    /// `2^z`.
    exp2(z);
    /// `e^z - 1` without cancellation near zero.
    exp_m1(z);
    /// The principal logarithm, with the cut along the negative real axis.
    ln(z);
    log2(z);
    log10(z);
    /// `ln(1 + z)` without cancellation near zero.
    ln_1p(z);
    /// The root with a non-negative real part.
    sqrt(z);
    /// `1 / sqrt(z)`.
    rsqrt(z);
    /// `a / b`, safe from overflow of intermediate results.
    div(a, b);
    /// `1 / z`.
    recip(z);
    square(z);
    mul(a, b);
    /// `z^w` as `e^(w ln z)`, which makes `0^0` NaN.
    powc(z, w);
    /// `z / |z|`; 0 at zero.
    sgn(z);
    /// `1 / (1 + e^-z)`.
    sigmoid(z);
    sin(z);
    cos(z);
    tan(z);
    asin(z);
    acos(z);
    atan(z);
    sinh(z);
    cosh(z);
    tanh(z);
    asinh(z);
    acosh(z);
    atanh(z);
}

/// `|z|`; infinite if either part is, even beside NaN.
pub fn abs<T: Real>(z: Complex<T>) -> T {
    T::from_f64(double::abs(widened(z)))
}

/// The angle of `z` from the positive real axis, in `[-pi, pi]`.
pub fn angle<T: Real>(z: Complex<T>) -> T {
    z.im.atan2(z.re)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inverses_undo_functions() {
        let z = C::new(0.3, -0.7);
        for (there, back) in [
            (ln::<f64> as fn(C) -> C, exp::<f64> as fn(C) -> C),
            (asin, sin),
            (acos, cos),
            (atan, tan),
            (asinh, sinh),
            (acosh, cosh),
            (atanh, tanh),
            (sqrt, square),
            (ln_1p, exp_m1),
        ] {
            let w = back(there(z));
            assert!(
                (w.re - z.re).abs() < 1e-15 && (w.im - z.im).abs() < 1e-15,
                "{w} is not {z}"
            );
        }
    }

    #[test]
    fn cuts_follow_the_sign_of_zero() {
        assert_eq!(sqrt(C::new(-4.0, -0.0)), C::new(0.0, -2.0));
        assert_eq!(ln(C::new(-1.0, -0.0)).im, -std::f64::consts::PI);
        assert_eq!(acosh(C::new(-1.0, 0.0)).im, std::f64::consts::PI);
    }

    #[test]
    fn division_does_not_overflow() {
        let huge = Complex::new(1e300, 1e300);
        assert_eq!(div(huge, huge), Complex::new(1.0, 0.0));
        let zeroth = div(Complex::new(1.0f32, 1.0), Complex::new(0.0, 0.0));
        assert!(zeroth.re.is_infinite() && zeroth.im.is_infinite());
    }

    #[test]
    fn exponential_at_infinity() {
        assert_eq!(exp(C::new(f64::NEG_INFINITY, f64::NAN)), C::new(0.0, 0.0));
        assert_eq!(exp(C::new(f64::INFINITY, 0.0)), C::new(f64::INFINITY, 0.0));
        // e^1000 overflows where e^1000 times a tiny sine does not.
        assert!(exp(C::new(710.0, 1e-3)).im.is_finite());
    }
}
