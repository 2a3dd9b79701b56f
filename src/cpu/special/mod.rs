//! Special functions with PyTorch's values at the edges.
//!
//! Functions on `f64` alone serve single precision by a cast on either side, which also rounds better. Those that are
//! a line of elementary functions, and recurrences whose rounding one may want to follow, are generic over
//! [`Real`](super::math::Real). Formula numbers are those of the NIST Digital Library of Mathematical Functions
//! (DLMF, <https://dlmf.nist.gov>).

mod airy;
mod bessel;
mod gamma;
mod information;
mod integer;
mod normal;
mod parts;
mod polynomial;

pub use airy::airy_ai;
pub use bessel::{
    bessel_j0, bessel_j1, bessel_y0, bessel_y1, i0, i0e, i1, i1e, modified_bessel_k0,
    modified_bessel_k1, scaled_modified_bessel_k0, scaled_modified_bessel_k1, spherical_bessel_j0,
};
pub use gamma::{digamma, igamma, igammac, lgamma, polygamma, trigamma, zeta};
pub use information::{
    entr, log_sigmoid, logaddexp, logaddexp2, logit, logit_clamped, sinc, softplus, xlog1py, xlogy,
};
pub use integer::{Integer, gcd, lcm};
pub use normal::{erfcx, erfinv, log_ndtr, ndtr, ndtri};
pub use parts::{Parts, ldexp};
pub use polynomial::{
    chebyshev_polynomial_t, chebyshev_polynomial_u, chebyshev_polynomial_v, chebyshev_polynomial_w,
    hermite_polynomial_h, hermite_polynomial_he, laguerre_polynomial_l, legendre_polynomial_p,
    shifted_chebyshev_polynomial_t, shifted_chebyshev_polynomial_u, shifted_chebyshev_polynomial_v,
    shifted_chebyshev_polynomial_w,
};

/// The Chebyshev sum `c0 + c1 T1(t) + c2 T2(t) + ...` by Clenshaw's recurrence (DLMF 3.11.15).
fn chebyshev_sum(t: f64, coefficients: &[f64]) -> f64 {
    let (mut b1, mut b2) = (0.0, 0.0);
    for &c in coefficients.iter().skip(1).rev() {
        (b1, b2) = ((2.0 * t).mul_add(b1, c - b2), b1);
    }
    coefficients
        .first()
        .map_or(0.0, |c0| t.mul_add(b1, c0 - b2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(got: f64, want: f64) {
        assert!(
            (got - want).abs() <= 1e-14 * want.abs(),
            "{got} is not {want}"
        );
    }

    // Values of the tables in DLMF and Abramowitz and Stegun, to 16 digits.
    #[test]
    fn tabulated_values() {
        near(digamma(1.0), -0.577_215_664_901_532_9);
        near(trigamma(1.0), 1.644_934_066_848_226_4);
        near(polygamma(2, 1.0), -2.404_113_806_319_188_6);
        near(zeta(2.0, 1.0), 1.644_934_066_848_226_4);
        near(erfinv(0.5), 0.476_936_276_204_469_9);
        near(ndtri(1e-300), -37.047_096_299_361_2);
        near(erfcx(1.0), 0.427_583_576_155_807_03);
        near(i0(1.0), 1.266_065_877_752_008_3);
        near(i1(10.0), 2_670.988_303_701_254_6);
        near(modified_bessel_k0(1.0), 0.421_024_438_240_708_33);
        near(modified_bessel_k1(5.0), 0.004_044_613_445_452_164);
        near(bessel_j0(1.0), 0.765_197_686_557_966_6);
        near(bessel_j1(10.0), 0.043_472_746_168_861_44);
        near(bessel_y0(1.0), 0.088_256_964_215_676_96);
        near(bessel_y1(10.0), 0.249_015_424_206_953_9);
        near(airy_ai(0.0), 0.355_028_053_887_817_2);
        near(airy_ai(-10.0), 0.040_241_238_486_443_19);
        near(igamma(1.0, 1.0), 0.632_120_558_828_557_7);
        near(igammac(0.5, 4.0), 0.004_677_734_981_047_266);
    }

    #[test]
    fn complements_meet() {
        for a in [1e-8, 0.3, 5.0, 200.0, 9_999.0, 10_001.0, 1e7] {
            for scale in [0.5f64, 0.96, 1.0, 1.04, 1.5] {
                let sum = igamma(a, a * scale) + igammac(a, a * scale);
                assert!((sum - 1.0).abs() < 1e-12, "{sum} at a = {a}");
            }
        }
    }

    #[test]
    fn edges() {
        assert_eq!(digamma(0.0), f64::NEG_INFINITY);
        assert!(digamma(-2.0).is_nan());
        assert_eq!(erfinv(-1.0), f64::NEG_INFINITY);
        assert!(erfinv(1.5).is_nan());
        assert!(igamma(0.0, 0.0).is_nan());
        assert_eq!(xlogy(0.0, f64::INFINITY), 0.0);
        assert!(xlogy(0.0, f64::NAN).is_nan());
        assert_eq!(entr(-1.0f32), f32::NEG_INFINITY);
        assert_eq!(
            logaddexp(f64::NEG_INFINITY, f64::NEG_INFINITY),
            f64::NEG_INFINITY
        );
        assert_eq!(bessel_y0(0.0), f64::NEG_INFINITY);
        assert_eq!(hermite_polynomial_h(0.5, -1.0), 0.0);
        assert_eq!(chebyshev_polynomial_v(-1.0, 3.0), -7.0);
        assert_eq!(legendre_polynomial_p(0.5, 2.0), -0.125);
    }
}
