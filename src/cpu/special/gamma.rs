//! The gamma function's family: logarithm, derivatives, incomplete integrals, and the Hurwitz zeta function.

use std::f64::consts::PI;

use super::super::math::Real;

/// `ln |gamma(x)|`; infinite at the poles.
pub fn lgamma(x: f64) -> f64 {
    if x == f64::NEG_INFINITY {
        f64::INFINITY
    } else {
        libm::lgamma(x)
    }
}

/// The logarithmic derivative of the gamma function; NaN at the negative poles, infinite with the opposite sign at
/// zero.
pub fn digamma(x: f64) -> f64 {
    if x == 0.0 {
        return f64::INFINITY.copysign(-x);
    }
    if x < 0.0 {
        if x.trunc() == x {
            return f64::NAN;
        }
        // DLMF 5.5.4, with the angle reduced before it is multiplied by pi.
        return digamma(1.0 - x) - PI / (PI * x.fract()).tan();
    }
    // Up by the recurrence (DLMF 5.5.2) to where the asymptotic series (5.11.2) has full precision.
    let (mut x, mut sum) = (x, 0.0);
    while x < 10.0 {
        sum -= 1.0 / x;
        x += 1.0;
    }
    // B_2k / (2k).
    let z = 1.0 / (x * x);
    let terms = [
        0.08333333333333333,
        -0.008333333333333333,
        0.003968253968253968,
        -0.004166666666666667,
        0.007575757575757576,
        -0.021092796092796094,
        0.08333333333333333,
        -0.4432598039215686,
    ];
    let series = terms.iter().rev().fold(0.0, |s: f64, &c| s.mul_add(z, c)) * z;
    sum + (x.ln() - 0.5 / x - series)
}

/// The derivative of [`digamma`].
pub fn trigamma(x: f64) -> f64 {
    if x == 0.0 {
        return f64::INFINITY;
    }
    if x < 0.5 {
        // DLMF 5.15.6.
        let sine = (PI * x).sin();
        return PI * PI / (sine * sine) - trigamma(1.0 - x);
    }
    let (mut x, mut sum) = (x, 0.0);
    while x < 10.0 {
        sum += 1.0 / (x * x);
        x += 1.0;
    }
    // DLMF 5.15.8: 1/x + 1/(2 x^2) + sum of B_2k / x^(2k + 1).
    let z = 1.0 / (x * x);
    let terms = [
        0.16666666666666666,
        -0.03333333333333333,
        0.023809523809523808,
        -0.03333333333333333,
        0.07575757575757576,
        -0.2531135531135531,
        1.1666666666666667,
        -7.092156862745098,
    ];
    let series = terms.iter().rev().fold(0.0, |s: f64, &c| s.mul_add(z, c)) * z;
    sum + (1.0 + 0.5 / x + series) / x
}

/// The `n`-th derivative of [`digamma`], `(-1)^(n+1) n! zeta(n + 1, x)` (DLMF 25.11.12).
pub fn polygamma(n: u32, x: f64) -> f64 {
    match n {
        0 => digamma(x),
        1 => trigamma(x),
        _ => {
            let n = n as f64;
            let sign = if n % 2.0 == 0.0 { -1.0 } else { 1.0 };
            // libm's tgamma is exact for small factorials and infinite for large ones.
            sign * libm::tgamma(n + 1.0) * zeta(n + 1.0, x)
        }
    }
}

/// `(2k)! / B_2k`.
const EULER_MACLAURIN: [f64; 12] = [
    12.0,
    -720.0,
    30240.0,
    -1209600.0,
    47900160.0,
    -1892437580.3183792,
    74724249600.0,
    -2950130727918.164,
    116467828143500.67,
    -4597978722407473.0,
    1.8152105401943546e17,
    -7.166165256175667e18,
];

/// The Hurwitz zeta function, the sum of `(q + k)^-x`, by the Euler-Maclaurin formula (DLMF 25.11.5 and 2.10.1).
///
/// Infinite at `x = 1` and where `q` is an integer below one; NaN for `x < 1`, and for negative `q` with `x` no integer.
pub fn zeta(x: f64, q: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    if x < 1.0 {
        return f64::NAN;
    }
    if q <= 0.0 {
        if q.floor() == q {
            return f64::INFINITY;
        }
        if x.floor() != x {
            return f64::NAN;
        }
    }
    let mut sum = q.powf(-x);
    let (mut at, mut term) = (q, 0.0);
    let mut count = 0;
    while count < 9 || at <= 9.0 {
        count += 1;
        at += 1.0;
        term = at.powf(-x);
        sum += term;
        if (term / sum).abs() < f64::EPSILON / 2.0 {
            return sum;
        }
    }
    sum += term * at / (x - 1.0) - 0.5 * term;
    // x (x + 1) ... (x + 2k) at^-(x + 2k + 1) over (2k)! / B_2k.
    let (mut rising, mut k) = (1.0, 0.0);
    for divisor in EULER_MACLAURIN {
        rising *= x + k;
        term /= at;
        let correction = rising * term / divisor;
        sum += correction;
        if (correction / sum).abs() < f64::EPSILON / 2.0 {
            break;
        }
        rising *= x + k + 1.0;
        term /= at;
        k += 2.0;
    }
    sum
}

/// The regularised lower incomplete gamma function `P(a, x)`; NaN for a negative argument and at `(0, 0)`.
pub fn igamma(a: f64, x: f64) -> f64 {
    match incomplete_edge(a, x) {
        Some(lower) => lower,
        None => incomplete(a, x).0,
    }
}

/// The regularised upper incomplete gamma function `Q(a, x)`, the complement of [`igamma`].
pub fn igammac(a: f64, x: f64) -> f64 {
    match incomplete_edge(a, x) {
        Some(lower) => 1.0 - lower,
        None => incomplete(a, x).1,
    }
}

/// `P(a, x)` on the boundary of the quarter plane.
fn incomplete_edge(a: f64, x: f64) -> Option<f64> {
    if a < 0.0 || x < 0.0 {
        Some(f64::NAN)
    } else if a == 0.0 {
        Some(if x > 0.0 { 1.0 } else { f64::NAN })
    } else if x == 0.0 {
        Some(0.0)
    } else if a.is_infinite() {
        Some(if x.is_infinite() { f64::NAN } else { 0.0 })
    } else if x.is_infinite() {
        Some(1.0)
    } else if a.is_nan() || x.is_nan() {
        Some(f64::NAN)
    } else {
        None
    }
}

/// Above this, the transition around `x = a` is wider than the series and the fraction can cross in a few steps.
const UNIFORM_FROM: f64 = 1e4;

/// `(P, Q)` for positive finite arguments, the smaller one computed and the other one its complement.
fn incomplete(a: f64, x: f64) -> (f64, f64) {
    if a > UNIFORM_FROM && (x - a).abs() < 0.05 * a {
        let upper = upper_uniform(a, x);
        return if x > a {
            (1.0 - upper, upper)
        } else {
            (lower_uniform(a, x), upper)
        };
    }
    if x <= 1.1 && x < a + 1.0 {
        let lower = lower_series(a, x);
        let upper = if lower < 0.5 {
            1.0 - lower
        } else {
            upper_series(a, x)
        };
        return (lower, upper);
    }
    if x < a + 1.0 {
        let lower = lower_series(a, x);
        (lower, 1.0 - lower)
    } else {
        let upper = upper_fraction(a, x);
        (1.0 - upper, upper)
    }
}

/// `ln(1 + u) - u`, without cancellation for small `u`: with `s = u / (2 + u)` it is `2 atanh(s) - u`, and
/// `2s - u = -u s`.
fn ln_1p_minus(u: f64) -> f64 {
    if u.abs() > 0.5 {
        return u.ln_1p() - u;
    }
    let s = u / (2.0 + u);
    let z = s * s;
    // |s| <= 1/3: 17 terms.
    let tail = (1..18)
        .rev()
        .fold(0.0, |sum: f64, k| sum.mul_add(z, 2.0 / (2 * k + 1) as f64));
    s.mul_add(-u, s * z * tail)
}

/// `ln gamma(a) - ((a - 1/2) ln a - a + ln(2 pi) / 2)` for `a >= 10` (DLMF 5.11.1).
fn stirling(a: f64) -> f64 {
    let z = 1.0 / (a * a);
    let terms = [
        0.08333333333333333,
        -0.002777777777777778,
        0.0007936507936507937,
        -0.0005952380952380953,
        0.0008417508417508417,
        -0.0019175269175269176,
        0.00641025641025641,
        -0.029550653594771242,
    ];
    terms.iter().rev().fold(0.0, |s: f64, &c| s.mul_add(z, c)) / a
}

/// `x^a e^-x / gamma(a)`.
fn prefactor(a: f64, x: f64) -> f64 {
    if a < 10.0 {
        return if a < 1e-3 || x > 700.0 {
            (a * x.ln() - x - lgamma(a)).exp()
        } else {
            x.powf(a) * (-x).exp() / libm::tgamma(a)
        };
    }
    // Relative to the maximum at x = a, so that no large logarithms cancel.
    let u = (x - a) / a;
    (a / (2.0 * PI)).sqrt() * (a * ln_1p_minus(u) - stirling(a)).exp()
}

/// DLMF 8.11.4: the sum of `x^n / (a (a + 1) ... (a + n))`.
fn lower_series(a: f64, x: f64) -> f64 {
    let (mut term, mut sum, mut n) = (1.0, 1.0, a);
    for _ in 0..10_000 {
        n += 1.0;
        term *= x / n;
        sum += term;
        if term < sum * (f64::EPSILON / 4.0) {
            break;
        }
    }
    prefactor(a, x) * sum / a
}

/// `1 - P` for small `x` by the alternating series DLMF 8.7.3, whose leading terms cancel in closed form.
fn upper_series(a: f64, x: f64) -> f64 {
    let (mut power, mut sum) = (1.0, 0.0);
    for n in 1..60 {
        power *= -x / n as f64;
        let term = power / (a + n as f64);
        sum += term;
        if term.abs() < f64::EPSILON / 4.0 * sum.abs() {
            break;
        }
    }
    let exponent = a * x.ln() - ln_gamma_1p(a);
    -exponent.exp_m1() - exponent.exp() * a * sum
}

/// `ln gamma(1 + a)`, by its Taylor series near zero (DLMF 5.7.3).
fn ln_gamma_1p(a: f64) -> f64 {
    if a > 1e-3 {
        return lgamma(1.0 + a);
    }
    // Euler's constant, then zeta(k) / k.
    let terms = [
        -0.5772156649015329,
        0.8224670334241132,
        -0.40068563438653143,
        0.27058080842778454,
        -0.207385551028674,
    ];
    terms.iter().rev().fold(0.0, |s: f64, &c| s.mul_add(a, c)) * a
}

/// DLMF 8.9.2 by the modified Lentz method (Numerical Recipes, section 6.2).
fn upper_fraction(a: f64, x: f64) -> f64 {
    let tiny = f64::MIN_POSITIVE / f64::EPSILON;
    let mut b = x + 1.0 - a;
    let mut c = 1.0 / tiny;
    let mut d = 1.0 / b;
    let mut fraction = d;
    for i in 1..10_000 {
        let i = i as f64;
        let numerator = -i * (i - a);
        b += 2.0;
        let lifted = |v: f64| if v.abs() < tiny { tiny } else { v };
        d = 1.0 / lifted(numerator.mul_add(d, b));
        c = lifted(b + numerator / c);
        fraction *= d * c;
        if (d * c - 1.0).abs() < f64::EPSILON {
            break;
        }
    }
    prefactor(a, x) * fraction
}

/// The remainder and the deviation of Temme's uniform expansion (DLMF 8.12.3 to 8.12.12), whose coefficients are
/// given as their Taylor series in `eta`; `a` is large and `x` near it.
fn uniform(a: f64, x: f64) -> (f64, f64) {
    let u = (x - a) / a;
    let eta = (-2.0 * ln_1p_minus(u)).sqrt().copysign(u);
    let c0 = [
        -1.0 / 3.0,
        1.0 / 12.0,
        -2.0 / 135.0,
        1.0 / 864.0,
        1.0 / 2835.0,
        -139.0 / 777600.0,
        1.0 / 25515.0,
    ];
    let c1 = [-1.0 / 540.0, -1.0 / 288.0, 1.0 / 378.0, -77.0 / 77760.0];
    let series = |c: &[f64]| c.iter().rev().fold(0.0, |s: f64, &k| s.mul_add(eta, k));
    let c2 = 25.0 / 6048.0;
    let sum = series(&c0) + (series(&c1) + c2 / a) / a;
    let remainder = (-0.5 * a * eta * eta).exp() / (2.0 * PI * a).sqrt() * sum;
    (remainder, eta * (0.5 * a).sqrt())
}

fn upper_uniform(a: f64, x: f64) -> f64 {
    let (remainder, deviation) = uniform(a, x);
    0.5 * Real::erfc(deviation) + remainder
}

fn lower_uniform(a: f64, x: f64) -> f64 {
    let (remainder, deviation) = uniform(a, x);
    0.5 * Real::erfc(-deviation) - remainder
}
