//! Special functions: error function, gamma and beta families, information, distributions. `torch.special` names them
//! all; those that `torch` had first keep both names.

use crate::cpu::special;
use crate::dtype::DType;
use crate::error::Result;
use crate::scalar::Scalar;
use crate::tensor::Tensor;
use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI, PI};

/// A gradient that does not exist.
fn no_derivative(what: &str) -> crate::autograd::Term {
    crate::autograd::Term(Err(crate::err!(
        Runtime,
        "the derivative for '{what}' is not implemented."
    )))
}

pointwise! {
    /// Returns the error function of the elements of `input`.
    erf(x) -> Float, alias ["special.erf"] {
        float = x.erf(),
        wgsl = "erf(x)",
        grad x(g; x) = g * (-(x * x)).exp() * FRAC_2_SQRT_PI,
    }
}

pointwise! {
    /// Returns one minus the error function of the elements of `input`, exact for large ones.
    erfc(x) -> Float, alias ["special.erfc"] {
        float = x.erfc(),
        wgsl = "erfc(x)",
        grad x(g; x) = g * (-(x * x)).exp() * -FRAC_2_SQRT_PI,
    }
}

pointwise! {
    /// Returns `exp(x ** 2) * erfc(x)` for the elements of `input`.
    erfcx(x) -> Float, in [SPECIAL], in_place no {
        float = R::from_f64(special::erfcx(x.to_f64())),
        grad x(g; x, out) = (x * out * 2.0 - FRAC_2_SQRT_PI) * g,
    }
}

pointwise! {
    /// Returns the inverse of the error function at the elements of `input`; NaN outside [-1, 1].
    erfinv(x) -> Float, alias ["special.erfinv"] {
        float = R::from_f64(special::erfinv(x.to_f64())),
        grad x(g; out) = g * (out * out).exp() * (1.0 / FRAC_2_SQRT_PI),
    }
}

pointwise! {
    /// Returns the natural logarithm of the absolute value of the gamma function at the elements of `input`.
    lgamma(x) -> Float, alias ["special.gammaln"] {
        float = R::from_f64(special::lgamma(x.to_f64())),
        grad x(g; x) = g * x.digamma(),
    }
}

pointwise! {
    /// Returns the logarithmic derivative of the gamma function at the elements of `input`.
    digamma(x) -> Float, alias ["special.digamma", "special.psi"] {
        float = R::from_f64(special::digamma(x.to_f64())),
        grad x(g; x) = g * x.polygamma_of(1),
    }
}

pointwise! {
    /// The `n`-th derivative of the digamma function.
    _polygamma(x; n) -> Float, schema ["(Tensor input, Scalar n) -> Tensor"], in [PRIVATE], in_place no,
    rust polygamma_of {
        float = R::from_f64(special::polygamma(n.to_f64() as u32, x.to_f64())),
        grad x(g; x) = g * x.polygamma_of(n.to_i64().saturating_add(1)),
    }
}

fn polygamma_at(n: i64, x: &Tensor) -> Result<Tensor> {
    crate::check!(
        n >= 0,
        Runtime,
        "polygamma(n, x) does not support negative n."
    );
    x.polygamma_of(n.min(i64::from(u32::MAX)))
}

op! {
    /// Returns the `n`-th derivative of the digamma function at the elements of `input`.
    polygamma, in [TORCH, SPECIAL]; out {
        "(int n, Tensor input) -> Tensor" => |a| polygamma_at(a.int(0), &a.tensor(1)),
    }
}

op! {
    /// Returns the `n`-th derivative of the digamma function at the elements of this tensor.
    polygamma__, in [METHOD]; in_place {
        "(Tensor input, int n) -> Tensor" => |a| polygamma_at(a.int(1), &a.tensor(0)),
    }
}

fn dimensional(_: &[&Tensor], params: &[Scalar], promoted: DType) -> Result<()> {
    crate::check!(
        promoted != DType::Bool,
        Runtime,
        "The input tensor may not be a boolean tensor."
    );
    crate::check!(
        params[0].to_i64() >= 1,
        Runtime,
        "p has to be greater than or equal to 1"
    );
    // One term per dimension: a bound keeps a slip from running for hours.
    crate::check!(
        params[0].to_i64() <= 1_000_000,
        Runtime,
        "p is too large: got {}",
        params[0].to_i64()
    );
    crate::check!(
        !promoted.is_complex(),
        NotImplemented,
        "\"mvlgamma\" not implemented for '{}'",
        promoted.scalar_name()
    );
    Ok(())
}

pointwise! {
    /// Returns the logarithm of the multivariate gamma function of dimension `p` at the elements of `input`.
    mvlgamma(x; p) -> Float, schema ["(Tensor input, int p) -> Tensor"], alias ["special.multigammaln"],
    check dimensional {
        float = {
            let (x, p) = (x.to_f64(), p.to_f64());
            let mut sum = p * (p - 1.0) / 4.0 * PI.ln();
            let mut i = 0.0;
            while i < p {
                sum += special::lgamma(x - i / 2.0);
                i += 1.0;
            }
            R::from_f64(sum)
        },
        grad x(g; x) = {
            let sum = (1..p.to_i64()).fold(x.digamma(), |sum, i| sum + (x - i as f64 / 2.0).digamma());
            g * sum
        },
    }
}

pointwise! {
    /// Returns the regularized lower incomplete gamma function of order `input` at `other`.
    igamma(a, b) -> Promote, alias ["special.gammainc"] {
        float = R::from_f64(special::igamma(a.to_f64(), b.to_f64())),
        grad a(g) = no_derivative("igamma: input"),
        grad b(g; a, b) = g * ((a - 1.0) * b.log() - b - a.lgamma()).exp(),
    }
}

pointwise! {
    /// Returns the regularized upper incomplete gamma function of order `input` at `other`.
    igammac(a, b) -> Promote, alias ["special.gammaincc"] {
        float = R::from_f64(special::igammac(a.to_f64(), b.to_f64())),
        grad a(g) = no_derivative("igammac: input"),
        grad b(g; a, b) = -(g * ((a - 1.0) * b.log() - b - a.lgamma()).exp()),
    }
}

pointwise! {
    /// Returns the Hurwitz zeta function of exponent `input` and offset `other`.
    zeta(a, b) -> Float, numbers both, in [SPECIAL], in_place no {
        float = R::from_f64(special::zeta(a.to_f64(), b.to_f64())),
        grad a(g) = no_derivative("zeta"),
        grad b(g; a, b) = -(g * a * (a + 1.0).zeta(b)),
    }
}

pointwise! {
    /// Returns the modified Bessel function of the first kind of order 0 at the elements of `input`.
    i0(x) -> Float, alias ["special.i0"] {
        float = R::from_f64(special::i0(x.to_f64())),
        grad x(g; x) = g * x.i1(),
    }
}

pointwise! {
    /// Returns `exp(-|x|)` times the modified Bessel function of the first kind of order 0.
    i0e(x) -> Float, in [SPECIAL], in_place no {
        float = R::from_f64(special::i0e(x.to_f64())),
        grad x(g; x, out) = g * (x.i1e() - x.sgn() * out),
    }
}

/// `f / x`, and its limit 1/2 at zero, where `f` has slope 1/2.
fn over(f: &crate::autograd::Term, x: &crate::autograd::Term) -> crate::autograd::Term {
    let zero = x.equals(0);
    let half = crate::autograd::Term::from(Tensor::wrapped(0.5));
    let safe =
        crate::autograd::Term::select(&zero, &crate::autograd::Term::from(Tensor::wrapped(1)), x);
    crate::autograd::Term::select(&zero, &half, &(f / safe))
}

pointwise! {
    /// Returns the modified Bessel function of the first kind of order 1 at the elements of `input`.
    i1(x) -> Float, in [SPECIAL], in_place no {
        float = R::from_f64(special::i1(x.to_f64())),
        grad x(g; x, out) = g * (x.i0() - over(out, x)),
    }
}

pointwise! {
    /// Returns `exp(-|x|)` times the modified Bessel function of the first kind of order 1.
    i1e(x) -> Float, in [SPECIAL], in_place no {
        float = R::from_f64(special::i1e(x.to_f64())),
        grad x(g; x, out) = g * (x.i0e() - out * x.sgn() - over(out, x)),
    }
}

pointwise! {
    /// Returns `sin(pi x) / (pi x)` for the elements of `input`, 1 at zero.
    sinc(x) -> Float, alias ["special.sinc"] {
        float = special::sinc(x),
        complex = if x.is_zero() {
            C::new(1.0, 0.0)
        } else {
            let angle = x * C::new(PI, 0.0);
            angle.sin().quotient(angle)
        },
        grad x(g; x) = {
            let angle = x * PI;
            g * ((angle.cos() * &angle - angle.sin()) / (angle * x)).masked(&x.not_equal_to(0)).conj()
        },
    }
}

pointwise! {
    /// The log odds of `input` held in `[eps, 1 - eps]`; a negative `eps` leaves it as it is.
    _logit(x; eps) -> Float, schema ["(Tensor input, Scalar eps) -> Tensor"], in [PRIVATE], in_place no, rust logit {
        float = if eps < R::ZERO { special::logit(x) } else { special::logit_clamped(x, eps) },
        grad x(g; x) = g.logit_backward(x, eps),
    }
}

pointwise! {
    /// The gradient of `logit`: NaN, or 0 with `eps >= 0`, where the function is not defined or clamped.
    _logit_backward(g, x; eps) -> Promote, schema ["(Tensor grad_output, Tensor input, Scalar eps) -> Tensor"],
    in [PRIVATE], in_place no, rust logit_backward {
        float = {
            let clamped = eps >= R::ZERO;
            let (low, outside) = if clamped { (eps, R::ZERO) } else { (R::ZERO, R::NAN) };
            let slope = g / (x * (R::ONE - x));
            R::select(x >= low, R::select(x <= R::ONE - low, slope, outside), outside)
        },
        grad g(h; x) = h.logit_backward(x, eps),
        grad x(h; g, x) = h * g.logit_backward(x, eps) * (x * 2.0 - 1.0) / (x * (1.0 - x)),
    }
}

op! {
    /// Returns the log odds `log(x / (1 - x))` of the elements of `input`.
    ///
    /// Args:
    ///     eps: if given, `input` is held in `[eps, 1 - eps]` first.
    logit, in [TORCH, METHOD, SPECIAL]; out, in_place {
        "(Tensor input, float? eps=None) -> Tensor" => |a| a.tensor(0).logit(a.opt_float(1).unwrap_or(-1.0)),
    }
}

pointwise! {
    /// Returns the area under the standard normal density up to the elements of `input`.
    ndtr(x) -> Float, in [SPECIAL], in_place no {
        float = R::from_f64(special::ndtr(x.to_f64())),
        grad x(g; x) = g * (x * x * -0.5).exp() * (0.5 * FRAC_2_SQRT_PI * FRAC_1_SQRT_2),
    }
}

pointwise! {
    /// Returns the point up to which the area under the standard normal density is each element of `input`.
    ndtri(x) -> Float, in [SPECIAL], in_place no {
        float = R::from_f64(special::ndtri(x.to_f64())),
        grad x(g; out) = g * (out * out * 0.5).exp() * (2.0 * PI).sqrt(),
    }
}

pointwise! {
    /// Returns the logarithm of the area under the standard normal density up to the elements of `input`.
    log_ndtr(x) -> Float, in [SPECIAL], in_place no {
        float = R::from_f64(special::log_ndtr(x.to_f64())),
        grad x(g; x) = g / (x * -FRAC_1_SQRT_2).erfcx() * (FRAC_2_SQRT_PI * FRAC_1_SQRT_2),
    }
}

pointwise! {
    /// Returns the entropy `-x log(x)` of the elements of `input`; 0 at zero, minus infinity below.
    entr(x) -> Float, in [SPECIAL], in_place no {
        float = special::entr(x),
        grad x(g; x) = -(g * (x.log() + 1.0)),
    }
}

pointwise! {
    /// Returns `input * log(other)`; 0 where `input` is 0 unless `other` is NaN.
    xlogy(a, b) -> Float, numbers both, alias ["special.xlogy"] {
        float = special::xlogy(a, b),
        wgsl = "select(a * log(b), 0.0, a == 0.0 && !isnan(b))",
        grad a(g; a, b) = (g * b.log()).masked(&a.equals(0).logical_and(&b.at_most(0)).logical_not()),
        grad b(g; a, b) = g * a / b,
    }
}

pointwise! {
    /// Returns `input * log(1 + other)`; 0 where `input` is 0 unless `other` is NaN.
    xlog1py(a, b) -> Float, numbers both, in [SPECIAL], in_place no {
        float = special::xlog1py(a, b),
        wgsl = "select(a * log1p(b), 0.0, a == 0.0 && !isnan(b))",
        grad a(g; a, b) = (g * b.log1p()).masked(&a.equals(0).logical_and(&b.at_most(-1)).logical_not()),
        grad b(g; a, b) = g * a / (b + 1.0),
    }
}

/// Functions that PyTorch has no derivative of either.
macro_rules! of_one {
    ($($name:ident $function:ident $doc:literal;)*) => { $(
        pointwise! {
            #[doc = $doc]
            $name(x) -> Float, in [SPECIAL], in_place no {
                float = R::from_f64(special::$function(x.to_f64())),
            }
        }
    )* };
}
of_one! {
    airy_ai airy_ai " Returns the Airy function Ai at the elements of `input`.";
    bessel_j0 bessel_j0 " Returns the Bessel function of the first kind of order 0 at the elements of `input`.";
    bessel_j1 bessel_j1 " Returns the Bessel function of the first kind of order 1 at the elements of `input`.";
    bessel_y0 bessel_y0 " Returns the Bessel function of the second kind of order 0 at the elements of `input`.";
    bessel_y1 bessel_y1 " Returns the Bessel function of the second kind of order 1 at the elements of `input`.";
    modified_bessel_i0 i0 " Returns the modified Bessel function of the first kind of order 0 at the elements of `input`.";
    modified_bessel_i1 i1 " Returns the modified Bessel function of the first kind of order 1 at the elements of `input`.";
    modified_bessel_k0 modified_bessel_k0 " Returns the modified Bessel function of the second kind of order 0 at the elements of `input`.";
    modified_bessel_k1 modified_bessel_k1 " Returns the modified Bessel function of the second kind of order 1 at the elements of `input`.";
    scaled_modified_bessel_k0 scaled_modified_bessel_k0 " Returns `exp(x)` times the modified Bessel function of the second kind of order 0.";
    scaled_modified_bessel_k1 scaled_modified_bessel_k1 " Returns `exp(x)` times the modified Bessel function of the second kind of order 1.";
    spherical_bessel_j0 spherical_bessel_j0 " Returns the spherical Bessel function of the first kind of order 0 at the elements of `input`.";
}

/// Polynomials of a variable and a degree.
macro_rules! polynomials {
    ($($name:ident $doc:literal;)*) => { $(
        pointwise! {
            #[doc = $doc]
            $name(a, b) -> Float, schema [
                "(Tensor input, Tensor n) -> Tensor",
                "(Tensor input, Scalar n) -> Tensor",
                "(Scalar input, Tensor n) -> Tensor"
            ], in [SPECIAL], in_place no {
                float = special::$name(a, b),
            }
        }
    )* };
}
polynomials! {
    chebyshev_polynomial_t " Returns the Chebyshev polynomial of the first kind of degree `n` at `input`.";
    chebyshev_polynomial_u " Returns the Chebyshev polynomial of the second kind of degree `n` at `input`.";
    chebyshev_polynomial_v " Returns the Chebyshev polynomial of the third kind of degree `n` at `input`.";
    chebyshev_polynomial_w " Returns the Chebyshev polynomial of the fourth kind of degree `n` at `input`.";
    shifted_chebyshev_polynomial_t " Returns the shifted Chebyshev polynomial of the first kind of degree `n` at `input`.";
    shifted_chebyshev_polynomial_u " Returns the shifted Chebyshev polynomial of the second kind of degree `n` at `input`.";
    shifted_chebyshev_polynomial_v " Returns the shifted Chebyshev polynomial of the third kind of degree `n` at `input`.";
    shifted_chebyshev_polynomial_w " Returns the shifted Chebyshev polynomial of the fourth kind of degree `n` at `input`.";
    hermite_polynomial_h " Returns the physicist's Hermite polynomial of degree `n` at `input`.";
    hermite_polynomial_he " Returns the probabilist's Hermite polynomial of degree `n` at `input`.";
    laguerre_polynomial_l " Returns the Laguerre polynomial of degree `n` at `input`.";
    legendre_polynomial_p " Returns the Legendre polynomial of degree `n` at `input`.";
}

/// The neighbour of a half-precision number, as bits: magnitudes are in the order of their bit patterns.
fn neighbour(from: u16, up: bool) -> u16 {
    match (from & 0x7fff, from >> 15 == 1) {
        (0, _) => {
            if up {
                1
            } else {
                0x8001
            }
        }
        (_, negative) => {
            if negative == up {
                from - 1
            } else {
                from + 1
            }
        }
    }
}

fn nextafter_of(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    use crate::cpu::special::Parts;
    use half::{bf16, f16};
    let mut kind = crate::dtype::ResultType::default();
    for t in [a, b] {
        kind.add(t.dtype(), t.ndim(), t.is_wrapped())?;
    }
    let dtype = kind.get()?;
    a.need_cpu("nextafter")?;
    b.need_cpu("nextafter")?;
    let sizes = crate::shape::broadcast(a.sizes(), b.sizes())?;
    let prepared = |t: &Tensor| {
        crate::autograd::no_grad(|| t.detach().to_dtype(dtype)?.expand_to(&sizes)?.contiguous())
    };
    let (x, y) = (prepared(a)?, prepared(b)?);
    macro_rules! of {
        ($T:ty, $next:expr) => {{
            let next: fn($T, $T) -> $T = $next;
            let values: Vec<$T> = x
                .as_slice::<$T>()?
                .iter()
                .zip(y.as_slice::<$T>()?)
                .map(|(&a, &b)| next(a, b))
                .collect();
            Tensor::from_slice_shaped(&values, &sizes)?
        }};
    }
    macro_rules! of_half {
        ($T:ty) => {
            of!($T, |a, b| if a.is_nan() || b.is_nan() {
                <$T>::NAN
            } else if a == b {
                b
            } else {
                <$T>::from_bits(neighbour(a.to_bits(), a < b))
            })
        };
    }
    let out = match dtype {
        DType::F32 => of!(f32, Parts::nextafter),
        DType::F64 => of!(f64, Parts::nextafter),
        DType::F16 => of_half!(f16),
        DType::BF16 => of_half!(bf16),
        d => crate::bail!(
            NotImplemented,
            "\"nextafter_cpu\" not implemented for '{}'",
            d.scalar_name()
        ),
    };
    if crate::autograd::needs_grad(&[a, b]) {
        // A step along the grid moves with `a`, and does not depend on how far `b` is.
        crate::autograd::record_stateless("NextafterBackward0", &[a, b], &[&out], |g| {
            let flat = g.when(1, || {
                Tensor::zeros(g.get(0)?.sizes(), g.get(0)?.dtype(), g.get(0)?.device())
            })?;
            crate::autograd::engine::grads([g.opt(0), flat])
        });
    }
    Ok(out)
}

op! {
    /// Returns the next floating-point number after `input` towards `other`, elementwise.
    nextafter, in [TORCH, METHOD]; out, in_place {
        "(Tensor input, Tensor other) -> Tensor" => |a| nextafter_of(&a.tensor(0), &a.tensor(1)),
    }
}

pub static ROWS: &[&crate::ops::OpDef] = &[
    &erf::DEF,
    &erfc::DEF,
    &erfcx::DEF,
    &erfinv::DEF,
    &lgamma::DEF,
    &digamma::DEF,
    &_polygamma::DEF,
    &polygamma::DEF,
    &polygamma__::DEF,
    &mvlgamma::DEF,
    &igamma::DEF,
    &igammac::DEF,
    &zeta::DEF,
    &i0::DEF,
    &i0e::DEF,
    &i1::DEF,
    &i1e::DEF,
    &sinc::DEF,
    &_logit::DEF,
    &_logit_backward::DEF,
    &logit::DEF,
    &ndtr::DEF,
    &ndtri::DEF,
    &log_ndtr::DEF,
    &entr::DEF,
    &xlogy::DEF,
    &xlog1py::DEF,
    &airy_ai::DEF,
    &bessel_j0::DEF,
    &bessel_j1::DEF,
    &bessel_y0::DEF,
    &bessel_y1::DEF,
    &modified_bessel_i0::DEF,
    &modified_bessel_i1::DEF,
    &modified_bessel_k0::DEF,
    &modified_bessel_k1::DEF,
    &scaled_modified_bessel_k0::DEF,
    &scaled_modified_bessel_k1::DEF,
    &spherical_bessel_j0::DEF,
    &chebyshev_polynomial_t::DEF,
    &chebyshev_polynomial_u::DEF,
    &chebyshev_polynomial_v::DEF,
    &chebyshev_polynomial_w::DEF,
    &shifted_chebyshev_polynomial_t::DEF,
    &shifted_chebyshev_polynomial_u::DEF,
    &shifted_chebyshev_polynomial_v::DEF,
    &shifted_chebyshev_polynomial_w::DEF,
    &hermite_polynomial_h::DEF,
    &hermite_polynomial_he::DEF,
    &laguerre_polynomial_l::DEF,
    &legendre_polynomial_p::DEF,
    &nextafter::DEF,
];
