//! Elementary functions on `f32` and `f64`.
//!
//! Everything a kernel row calls goes through [`Real`]. Its methods are `#[inline(always)]`, so a loop inside a
//! `#[target_feature]` shell takes them in and the vectoriser turns them into full-width lane code. They are written
//! without branches and calls for that purpose; only `fmod`, and what rests on it, stays scalar.
//!
//! `sin`, `cos` and `tan` in double precision look constants up in a table. The vectoriser gathers from it only where
//! it can see that the destination is other memory: a buffer on the stack, or a `&mut` slice.
//!
//! `mul_add` is a single instruction in every shell with FMA and a library call in one without: results are the same
//! to the bit on every machine, and a machine without FMA is slow.
//!
//! On a *concrete* `f32` or `f64`, `x.exp()` means the standard library's function, which does not vectorise. Call
//! these from generic code, or as `Real::exp(x)`.
//!
//! Polynomial coefficients interpolate the stated function at Chebyshev nodes of the stated interval, computed with
//! 60 digits, and are within a factor of two of the best polynomial of that degree.

/// `c0 + x * (c1 + x * (c2 + ...))` by Horner's rule with fused steps.
macro_rules! horner {
    ($x:expr; $c:expr) => { $c };
    ($x:expr; $c:expr, $($rest:expr),+) => { ($x).mul_add(horner!($x; $($rest),+), $c) };
}

mod erf;
mod exp;
mod inverse;
mod log;
mod pow;
mod real;
mod trig;

pub use erf::erfcx_f64;
pub use real::Real;

#[cfg(test)]
mod tests {
    use super::Real;

    /// The largest distance to `reference`, in units of `reference`'s last place in the precision of `T`.
    fn worst<T: Real>(
        arguments: impl Iterator<Item = f64>,
        f: fn(T) -> T,
        reference: fn(f64) -> f64,
    ) -> f64 {
        arguments
            .map(T::from_f64)
            .map(|x| {
                let want = reference(x.to_f64());
                (f(x).to_f64() - want).abs()
                    / (want.abs().max(T::MIN_POSITIVE.to_f64()) * T::EPSILON.to_f64())
            })
            .fold(0.0, f64::max)
    }

    fn sweep(low: f64, high: f64) -> impl Iterator<Item = f64> {
        (0..=4000).map(move |i| low + (high - low) * i as f64 / 4000.0)
    }

    fn both(
        low: f64,
        high: f64,
        narrow: fn(f32) -> f32,
        wide: fn(f64) -> f64,
        reference: fn(f64) -> f64,
    ) {
        let error = worst(sweep(low, high), narrow, reference);
        assert!(error < 1.6, "{error} in f32");
        let error = worst(sweep(low, high), wide, reference);
        assert!(error < 4.0, "{error} in f64");
    }

    #[test]
    fn close_to_the_reference() {
        both(-87.0, 88.0, Real::exp, Real::exp, libm::exp);
        both(-87.0, 88.0, Real::exp2, Real::exp2, libm::exp2);
        both(-20.0, 80.0, Real::exp_m1, Real::exp_m1, libm::expm1);
        both(1e-4, 30.0, Real::ln, Real::ln, libm::log);
        both(1e-4, 30.0, Real::log2, Real::log2, libm::log2);
        both(1e-4, 30.0, Real::log10, Real::log10, libm::log10);
        both(-0.999, 30.0, Real::ln_1p, Real::ln_1p, libm::log1p);
        both(-30.0, 30.0, Real::sin, Real::sin, libm::sin);
        both(-30.0, 30.0, Real::cos, Real::cos, libm::cos);
        both(-30.0, 30.0, Real::tan, Real::tan, libm::tan);
        both(-80.0, 80.0, Real::sinh, Real::sinh, libm::sinh);
        both(-80.0, 80.0, Real::cosh, Real::cosh, libm::cosh);
        both(-20.0, 20.0, Real::tanh, Real::tanh, libm::tanh);
        both(-6.0, 6.0, Real::erf, Real::erf, libm::erf);
        both(-6.0, 6.0, Real::erfc, Real::erfc, libm::erfc);
        both(-1.0, 1.0, Real::asin, Real::asin, libm::asin);
        both(-1.0, 1.0, Real::acos, Real::acos, libm::acos);
        both(-50.0, 50.0, Real::atan, Real::atan, libm::atan);
        both(-50.0, 50.0, Real::asinh, Real::asinh, libm::asinh);
        both(1.0, 50.0, Real::acosh, Real::acosh, libm::acosh);
        both(-0.999, 0.999, Real::atanh, Real::atanh, libm::atanh);
    }

    #[test]
    fn large_angles() {
        for exponent in 3..127 {
            let x = 1.7f64 * 2f64.powi(exponent);
            assert!(
                (Real::sin(x as f32) as f64 - libm::sin(x as f32 as f64)).abs() < 1e-6,
                "2^{exponent}"
            );
        }
        for exponent in 3..1023 {
            let x = 1.7f64 * 2f64.powi(exponent);
            assert!((Real::sin(x) - libm::sin(x)).abs() < 4e-16, "2^{exponent}");
            assert!((Real::cos(x) - libm::cos(x)).abs() < 4e-16, "2^{exponent}");
        }
    }

    const EDGES: [f64; 17] = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        2.0,
        -2.0,
        0.5,
        -0.5,
        3.0,
        -3.0,
        2.5,
        -2.5,
        1e30,
        -1e30,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
    ];

    fn same(a: f64, b: f64) -> bool {
        a == b && a.is_sign_negative() == b.is_sign_negative()
            || a.is_nan() && b.is_nan()
            || a.is_finite() && b.is_finite() && (a - b).abs() <= 1e-6 * b.abs() && b != 0.0
    }

    #[test]
    fn powers_at_the_edges() {
        for x in EDGES {
            for y in EDGES {
                let want = libm::pow(x, y);
                assert!(
                    same(Real::powf(x, y), want),
                    "{x}^{y} is {}, not {want}",
                    Real::powf(x, y)
                );
                let (x, y) = (x as f32, y as f32);
                let want = libm::powf(x, y) as f64;
                assert!(
                    same(Real::powf(x, y) as f64, want),
                    "{x}^{y} is {}, not {want}",
                    Real::powf(x, y)
                );
            }
        }
    }

    #[test]
    fn functions_at_the_edges() {
        type Function = fn(f64) -> f64;
        let functions: [(Function, Function); 21] = [
            (Real::exp, libm::exp),
            (Real::exp2, libm::exp2),
            (Real::exp_m1, libm::expm1),
            (Real::ln, libm::log),
            (Real::log2, libm::log2),
            (Real::log10, libm::log10),
            (Real::ln_1p, libm::log1p),
            (Real::sin, libm::sin),
            (Real::cos, libm::cos),
            (Real::tan, libm::tan),
            (Real::sinh, libm::sinh),
            (Real::cosh, libm::cosh),
            (Real::tanh, libm::tanh),
            (Real::erf, libm::erf),
            (Real::erfc, libm::erfc),
            (Real::asin, libm::asin),
            (Real::acos, libm::acos),
            (Real::atan, libm::atan),
            (Real::asinh, libm::asinh),
            (Real::acosh, libm::acosh),
            (Real::atanh, libm::atanh),
        ];
        for (at, (f, reference)) in functions.into_iter().enumerate() {
            for x in EDGES.into_iter().chain([5e-324, -5e-324, 1e-310]) {
                assert!(
                    same(f(x), reference(x)),
                    "function {at} at {x}: {} is not {}",
                    f(x),
                    reference(x)
                );
            }
        }
    }

    #[test]
    fn division_like_python() {
        assert_eq!(Real::floor_divide(1.0f64, 0.1), 9.0);
        assert_eq!(Real::floor_divide(-1.0f64, f64::INFINITY), -1.0);
        assert_eq!(Real::floor_divide(-5.0f32, 0.0), f32::NEG_INFINITY);
        assert_eq!(Real::remainder(-1.0f64, 3.0), 2.0);
        assert_eq!(
            Real::remainder(1.0f64, f64::NEG_INFINITY),
            f64::NEG_INFINITY
        );
        assert!(Real::remainder(0.0f64, 0.0).is_nan());
    }

    #[test]
    fn larger_and_smaller() {
        assert!(Real::maximum(f32::NAN, 1.0).is_nan() && Real::maximum(1.0, f32::NAN).is_nan());
        assert!(Real::minimum(f64::NAN, 1.0).is_nan() && Real::minimum(1.0, f64::NAN).is_nan());
        assert_eq!(Real::fmax(f64::NAN, 1.0), 1.0);
        assert_eq!(Real::fmin(1.0, f32::NAN), 1.0);
        assert_eq!(Real::sign(f64::NAN), 0.0);
    }
}
