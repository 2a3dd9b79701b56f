//! Values taken apart into mantissa and exponent, and neighbours.

use super::super::math::Real;

/// Access to a value's place in the floating-point grid.
pub trait Parts: Real {
    /// `(m, e)` with `self = m 2^e` and `|m|` in `[1/2, 1)`; zeros, infinities and NaN with exponent 0.
    fn frexp(self) -> (Self, i32);
    /// The next value from `self` towards `to`; `to` if they are equal, NaN if either is.
    fn nextafter(self, to: Self) -> Self;
}

macro_rules! parts {
    ($t:ident, $frexp:path) => {
        impl Parts for $t {
            fn frexp(self) -> (Self, i32) {
                if self == 0.0 || !$t::is_finite(self) {
                    return (self, 0);
                }
                $frexp(self)
            }

            fn nextafter(self, to: Self) -> Self {
                if $t::is_nan(self) || $t::is_nan(to) {
                    self + to
                } else if self < to {
                    self.next_up()
                } else if self > to {
                    self.next_down()
                } else {
                    to
                }
            }
        }
    };
}

parts!(f32, libm::frexpf);
parts!(f64, libm::frexp);

/// `x 2^e`, by a multiplication: an exponent beyond the type's range gives an infinity or zero factor.
#[inline(always)]
pub fn ldexp<T: Real>(x: T, e: T) -> T {
    x * e.exp2()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taken_apart() {
        assert_eq!(Parts::frexp(30.0f64), (0.9375, 5));
        assert_eq!(Parts::frexp(f32::from_bits(1)), (0.5, -148));
        assert_eq!(Parts::frexp(f64::INFINITY), (f64::INFINITY, 0));
        assert_eq!(Parts::frexp(0.0f32), (0.0, 0));
    }

    #[test]
    fn neighbours() {
        assert_eq!(Parts::nextafter(0.0f64, 1.0), f64::from_bits(1));
        assert_eq!(Parts::nextafter(0.0f64, -1.0), -f64::from_bits(1));
        assert!(Parts::nextafter(0.0f64, -0.0).is_sign_negative());
        assert_eq!(Parts::nextafter(f32::INFINITY, 0.0), f32::MAX);
        assert!(Parts::nextafter(f32::NAN, 0.0).is_nan());
    }
}
