//! Greatest common divisors and least common multiples.

/// An integer element: what [`gcd`] and [`lcm`] need of it.
pub trait Integer: Copy + PartialEq + 'static {
    const ZERO: Self;
    /// The remainder, 0 where the division overflows; `divisor` is not zero.
    fn remainder(self, divisor: Self) -> Self;
    /// The quotient, wrapping where it overflows; `divisor` is not zero.
    fn quotient(self, divisor: Self) -> Self;
    /// The absolute value; the most negative value is its own.
    fn magnitude(self) -> Self;
    fn times(self, other: Self) -> Self;
}

macro_rules! signed {
    ($($t:ident)*) => { $(
        impl Integer for $t {
            const ZERO: Self = 0;
            fn remainder(self, divisor: Self) -> Self { self.wrapping_rem(divisor) }
            fn quotient(self, divisor: Self) -> Self { self.wrapping_div(divisor) }
            fn magnitude(self) -> Self { self.wrapping_abs() }
            fn times(self, other: Self) -> Self { self.wrapping_mul(other) }
        }
    )* };
}

macro_rules! unsigned {
    ($($t:ident)*) => { $(
        impl Integer for $t {
            const ZERO: Self = 0;
            fn remainder(self, divisor: Self) -> Self { self % divisor }
            fn quotient(self, divisor: Self) -> Self { self / divisor }
            fn magnitude(self) -> Self { self }
            fn times(self, other: Self) -> Self { self.wrapping_mul(other) }
        }
    )* };
}

signed!(i8 i16 i32 i64);
unsigned!(u8 u16 u32 u64);

/// The greatest common divisor, non-negative; `gcd(0, 0)` is 0. Euclid's algorithm.
pub fn gcd<T: Integer>(a: T, b: T) -> T {
    let (mut a, mut b) = (a.magnitude(), b.magnitude());
    while b != T::ZERO {
        (a, b) = (b, a.remainder(b));
    }
    // A remainder takes the sign of the dividend, which only the most negative value can still have.
    a.magnitude()
}

/// The least common multiple, non-negative unless it wraps; 0 if either argument is.
pub fn lcm<T: Integer>(a: T, b: T) -> T {
    let divisor = gcd(a, b);
    if divisor == T::ZERO {
        return T::ZERO;
    }
    a.quotient(divisor).times(b).magnitude()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn divisors_and_multiples() {
        assert_eq!(gcd(-4i64, 6), 2);
        assert_eq!(gcd(0i32, -5), 5);
        assert_eq!(gcd(i64::MIN, i64::MIN), i64::MIN);
        assert_eq!(gcd(i64::MIN, -1), 1);
        assert_eq!(gcd(12u8, 18), 6);
        assert_eq!(lcm(-4i64, 6), 12);
        assert_eq!(lcm(0i64, 0), 0);
        assert_eq!(lcm(0i64, -5), 0);
    }
}
