//! Orthogonal polynomials of real argument and integer degree, by their three-term recurrences (DLMF 18.9).
//!
//! A degree is given as a number and truncated; a negative one, NaN or an infinite one gives zero.

use super::super::math::Real;

/// The degree, or none where the polynomial is zero by definition.
fn degree<T: Real>(n: T) -> Option<u64> {
    let n = n.to_f64().trunc();
    // An infinite degree counts as out of range, like NaN.
    (0.0..9.2e18).contains(&n).then_some(n as u64)
}

/// `sign` where `n` is odd, else 1.
fn parity<T: Real>(n: u64) -> T {
    if n.is_multiple_of(2) { T::ONE } else { -T::ONE }
}

fn from_degree<T: Real>(n: u64) -> T {
    T::from_f64(n as f64)
}

/// Runs `p(k + 1) = step(k, p(k), p(k - 1))` from degrees 0 and 1 up to `n`.
fn recur<T: Real>(n: u64, p0: T, p1: T, step: impl Fn(T, T, T) -> T) -> T {
    if n == 0 {
        return p0;
    }
    // A recurrence this long has lost every digit, and would run for minutes an element.
    if n > 1 << 24 {
        return T::NAN;
    }
    let (mut before, mut p) = (p0, p1);
    for k in 1..n {
        // Once NaN, always NaN: no use in running on to a high degree.
        if p.is_nan() {
            break;
        }
        (before, p) = (p, step(from_degree(k), p, before));
    }
    p
}

/// The four kinds of Chebyshev polynomials: they share a recurrence and differ in degree 1, in the values at the ends
/// of the interval, and in the trigonometric form used inside it for higher degrees.
#[derive(Clone, Copy)]
enum Kind {
    T,
    U,
    V,
    W,
}

impl Kind {
    /// The polynomial of degree one.
    fn linear<T: Real>(self, x: T) -> T {
        match self {
            Kind::T => x,
            Kind::U => x + x,
            Kind::V => x + x - T::ONE,
            Kind::W => x + x + T::ONE,
        }
    }

    /// The value at 1 (`right`) or -1.
    fn end<T: Real>(self, n: u64, right: bool) -> T {
        let whole = from_degree::<T>(n);
        let odd_number = whole + whole + T::ONE;
        let size = match (self, right) {
            (Kind::T, _) | (Kind::V, true) | (Kind::W, false) => T::ONE,
            (Kind::U, _) => whole + T::ONE,
            (Kind::V, false) | (Kind::W, true) => odd_number,
        };
        if right { size } else { parity::<T>(n) * size }
    }

    /// The degree above which the trigonometric form is used.
    fn recurrence_limit(self) -> u64 {
        match self {
            Kind::T => 6,
            _ => 8,
        }
    }

    /// DLMF 18.5.1 to 18.5.4. The denominators vanish at the ends of the interval only.
    fn trigonometric<T: Real>(self, x: T, n: u64) -> T {
        let angle = x.acos();
        let whole = from_degree::<T>(n);
        let half = angle * T::HALF;
        let (value, divisor) = match self {
            Kind::T => ((whole * angle).cos(), T::ONE),
            Kind::U => (((whole + T::ONE) * angle).sin(), angle.sin()),
            Kind::V => (((whole + T::HALF) * angle).cos(), half.cos()),
            Kind::W => (((whole + T::HALF) * angle).sin(), half.sin()),
        };
        value / divisor
    }

    fn value<T: Real>(self, x: T, n: T) -> T {
        let Some(n) = degree(n) else {
            return T::ZERO;
        };
        let size = x.abs();
        if size == T::ONE {
            self.end(n, x > T::ZERO)
        } else if n > self.recurrence_limit() && size < T::ONE {
            self.trigonometric(x, n)
        } else {
            recur(n, T::ONE, self.linear(x), |_, p, before| {
                (x + x) * p - before
            })
        }
    }

    /// On `[0, 1]` instead of `[-1, 1]`.
    fn shifted<T: Real>(self, x: T, n: T) -> T {
        // The ends are recognised before 2x - 1 rounds to them.
        let Some(whole) = degree(n) else {
            return T::ZERO;
        };
        if x == T::ONE {
            return self.end(whole, true);
        }
        if x == T::ZERO {
            return self.end(whole, false);
        }
        let y = x + x - T::ONE;
        if whole > Kind::T.recurrence_limit() && y.abs() < T::ONE {
            self.trigonometric(y, whole)
        } else {
            recur(whole, T::ONE, self.linear(y), |_, p, before| {
                (y + y) * p - before
            })
        }
    }
}

macro_rules! chebyshev {
    ($($plain:ident $shifted:ident $kind:ident $text:literal;)*) => { $(
        #[doc = concat!("The Chebyshev polynomial of the ", $text, " kind.")]
        pub fn $plain<T: Real>(x: T, n: T) -> T {
            Kind::$kind.value(x, n)
        }

        #[doc = concat!("The Chebyshev polynomial of the ", $text, " kind in `2x - 1`.")]
        pub fn $shifted<T: Real>(x: T, n: T) -> T {
            Kind::$kind.shifted(x, n)
        }
    )* };
}

chebyshev! {
    chebyshev_polynomial_t shifted_chebyshev_polynomial_t T "first";
    chebyshev_polynomial_u shifted_chebyshev_polynomial_u U "second";
    chebyshev_polynomial_v shifted_chebyshev_polynomial_v V "third";
    chebyshev_polynomial_w shifted_chebyshev_polynomial_w W "fourth";
}

/// The highest degree of a Hermite polynomial that can be finite anywhere of interest: NaN above.
fn hermite_limit<T: Real>() -> u64 {
    // f32 and f64 by their precision.
    if T::EPSILON.to_f64() > 1e-10 {
        128
    } else {
        512
    }
}

/// The physicist's Hermite polynomial.
pub fn hermite_polynomial_h<T: Real>(x: T, n: T) -> T {
    match degree(n) {
        None => T::ZERO,
        Some(n) if n > 1 && n > hermite_limit::<T>() => T::NAN,
        Some(n) => recur(n, T::ONE, x + x, |k, p, before| {
            (x + x) * p - (k + k) * before
        }),
    }
}

/// The probabilist's Hermite polynomial.
pub fn hermite_polynomial_he<T: Real>(x: T, n: T) -> T {
    match degree(n) {
        None => T::ZERO,
        Some(n) if n > 1 && n > hermite_limit::<T>() => T::NAN,
        Some(n) => recur(n, T::ONE, x, |k, p, before| x * p - k * before),
    }
}

/// The Laguerre polynomial.
pub fn laguerre_polynomial_l<T: Real>(x: T, n: T) -> T {
    let Some(n) = degree(n) else {
        return T::ZERO;
    };
    if x == T::ZERO {
        return T::ONE;
    }
    recur(n, T::ONE, T::ONE - x, |k, p, before| {
        ((k + k + T::ONE - x) * p - k * before) / (k + T::ONE)
    })
}

/// The Legendre polynomial.
pub fn legendre_polynomial_p<T: Real>(x: T, n: T) -> T {
    let Some(n) = degree(n) else {
        return T::ZERO;
    };
    if x.abs() == T::ONE {
        return if x > T::ZERO { T::ONE } else { parity(n) };
    }
    recur(n, T::ONE, x, |k, p, before| {
        ((k + k + T::ONE) * x * p - k * before) / (k + T::ONE)
    })
}
