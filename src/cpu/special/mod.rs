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
