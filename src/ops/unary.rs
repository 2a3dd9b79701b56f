//! Sign, magnitude, rounding and tests of one operand.

use crate::dtype::DType;
use crate::error::Result;
use crate::scalar::Scalar;
use crate::tensor::Tensor;

const BOOL_NEGATION: &str = "Negation, the `-` operator, on a bool tensor is not supported. If you are trying to invert a mask, use the `~` or \
     `logical_not()` operator instead.";

fn negatable(_: &[&Tensor], _: &[Scalar], promoted: DType) -> Result<()> {
    crate::check!(promoted != DType::Bool, Runtime, "{BOOL_NEGATION}");
    Ok(())
}

pointwise! {
    /// Returns a new tensor with the negative of the elements of `input`.
    neg(x) -> Promote, alias ["negative"], check negatable {
        float = -x,
        int = x.wrapping_neg(),
        complex = -x,
        wgsl = "-x",
        wgsl_int = "0 - x",
        grad x(g) = -g,
    }
}

fn positivable(_: &[&Tensor], _: &[Scalar], promoted: DType) -> Result<()> {
    crate::check!(
        promoted != DType::Bool,
        Runtime,
        "The `+` operator, on a bool tensor is not supported."
    );
    Ok(())
}

op! {
    /// Returns `input` itself; bool tensors are refused.
    positive, in [TORCH, METHOD] {
        "(Tensor input) -> Tensor" => |a| {
            let x = a.tensor(0);
            positivable(&[&x], &[], x.dtype())?;
            Ok(x)
        },
    }
}

pointwise! {
    /// Returns the absolute value of the elements of `input`; of complex numbers the modulus.
    abs(x) -> Real, alias ["absolute"] {
        float = x.abs(),
        int = x.wrapping_abs(),
        complex = x.modulus(),
        wgsl = "abs(x)",
        grad x(g; x) = g * x.sgn(),
    }
}

impl Tensor {
    /// The square of the elements; bools count as integers.
    pub fn square(&self) -> Result<Tensor> {
        self.pow(&Tensor::wrapped(2)?)
    }
}

op! {
    /// Returns the square of the elements of `input`.
    square, in [TORCH, METHOD]; out, in_place {
        "(Tensor input) -> Tensor" => |a| a.tensor(0).square(),
    }
}

fn real_sign(_: &[&Tensor], _: &[Scalar], promoted: DType) -> Result<()> {
    crate::check!(
        !promoted.is_complex(),
        NotImplemented,
        "Unlike NumPy, torch.sign is not intended to support complex numbers. Please use torch.sgn instead."
    );
    Ok(())
}

pointwise! {
    /// Returns -1, 0 or 1 after the sign of the elements of `input`.
    sign(x) -> Promote, check real_sign {
        float = x.sign(),
        int = x.signum(),
        bool = x,
        wgsl = "sign(x)",
        wgsl_int = "select(select(x - x, x / x, x > (x - x)), (x - x) - (x / x), x < (x - x))",
        grad x(g) = g.zeros_like(),
    }
}

pointwise! {
    /// Returns the sign of the elements of `input`; of complex numbers the number of modulus one in their direction.
    sgn(x) -> Promote {
        float = x.sign(),
        int = x.signum(),
        bool = x,
        complex = x.sgn(),
        wgsl = "sign(x)",
        wgsl_int = "select(select(x - x, x / x, x > (x - x)), (x - x) - (x / x), x < (x - x))",
        grad x(g; x, out) = if x.is_complex() {
            // The part of g along the direction of x does not change it.
            let along = (g.conj() * out).real() * out;
            ((g - along) / x.abs()).masked(&x.not_equal_to(0.0))
        } else {
            g.zeros_like()
        },
    }
}

fn real_signbit(_: &[&Tensor], _: &[Scalar], promoted: DType) -> Result<()> {
    crate::check!(
        !promoted.is_complex(),
        NotImplemented,
        "signbit is not implemented for complex tensors."
    );
    Ok(())
}

pointwise! {
    /// Returns whether the sign bit of each element of `input` is set; true for -0.0.
    signbit(x) -> Bool, in_place no, check real_signbit {
        float = x.is_sign_negative(),
        int = x < I::ZERO,
        bool = false,
    }
}

macro_rules! real_only {
    ($check:ident, $name:literal) => {
        fn $check(_: &[&Tensor], _: &[Scalar], promoted: DType) -> Result<()> {
            crate::check!(
                !promoted.is_complex(),
                NotImplemented,
                concat!($name, " is not supported for complex inputs")
            );
            Ok(())
        }
    };
}
macro_rules! real_angles {
    ($check:ident, $name:literal) => {
        fn $check(_: &[&Tensor], _: &[Scalar], promoted: DType) -> Result<()> {
            crate::check!(
                !promoted.is_complex(),
                Runtime,
                concat!($name, " is not supported for complex tensors.")
            );
            Ok(())
        }
    };
}
real_angles!(real_deg2rad, "deg2rad");
real_angles!(real_rad2deg, "rad2deg");
real_only!(real_floor, "floor");
real_only!(real_ceil, "ceil");
real_only!(real_trunc, "trunc");
real_only!(real_round, "round");

pointwise! {
    /// Returns the largest integer at most each element of `input`.
    floor(x) -> Promote, check real_floor {
        float = x.floor(),
        int = x,
        wgsl = "floor(x)",
        wgsl_int = "x",
        grad x(g) = g.zeros_like(),
    }
}

pointwise! {
    /// Returns the smallest integer at least each element of `input`.
    ceil(x) -> Promote, check real_ceil {
        float = x.ceil(),
        int = x,
        wgsl = "ceil(x)",
        wgsl_int = "x",
        grad x(g) = g.zeros_like(),
    }
}

pointwise! {
    /// Returns the elements of `input` rounded towards zero.
    trunc(x) -> Promote, alias ["fix"], check real_trunc {
        float = x.trunc(),
        int = x,
        wgsl = "trunc(x)",
        wgsl_int = "x",
        grad x(g) = g.zeros_like(),
    }
}

pointwise! {
    /// Returns what `trunc` leaves of the elements of `input`, with their sign.
    frac(x) -> Promote {
        float = x.frac(),
        wgsl = "frac(x)",
        grad x(g) = g,
    }
}

fn roundable(_: &[&Tensor], params: &[Scalar], promoted: DType) -> Result<()> {
    real_round(&[], params, promoted)?;
    crate::check!(
        !promoted.is_integer() || params.iter().all(|d| d.to_i64() == 0),
        NotImplemented,
        "\"round_cpu\" not implemented for '{}'",
        promoted.scalar_name()
    );
    Ok(())
}

pointwise! {
    /// Returns the elements of `input` rounded to the nearest integer, halves to even.
    ///
    /// Args:
    ///     decimals: places after the point to keep; negative numbers round to tens, hundreds and so on.
    round(x; decimals) -> Promote,
    schema ["(Tensor input, *, int decimals=0) -> Tensor"], alias ["special.round"], check roundable {
        float = {
            let scale = R::from_f64(10f64.powf(decimals.to_f64().abs()));
            if decimals == R::ZERO {
                x.round_even()
            } else if decimals > R::ZERO {
                (x * scale).round_even() / scale
            } else {
                (x / scale).round_even() * scale
            }
        },
        int = x,
        wgsl = "select(select(round(x / pow(10.0, -decimals)) * pow(10.0, -decimals), round(x * pow(10.0, decimals)) / pow(10.0, decimals), decimals > 0.0), round(x), decimals == 0.0)",
        wgsl_int = "x",
        grad x(g) = g.zeros_like(),
    }
}

pointwise! {
    /// Returns whether each element of `input` is NaN.
    isnan(x) -> Bool, in_place no {
        float = x.is_nan(),
        int = false,
        bool = false,
        complex = x.is_nan(),
        wgsl = "isnan(x)",
        wgsl_int = "false",
    }
}

pointwise! {
    /// Returns whether each element of `input` is finite: neither infinite nor NaN.
    isfinite(x) -> Bool, in_place no {
        float = x.is_finite(),
        int = true,
        bool = true,
        complex = x.is_finite(),
        wgsl = "isfinite(x)",
        wgsl_int = "true",
    }
}

pointwise! {
    /// Returns whether each element of `input` is positive or negative infinity.
    isinf(x) -> Bool, in_place no {
        float = x.is_inf(),
        int = false,
        bool = false,
        complex = x.is_inf(),
        wgsl = "isinf(x)",
        wgsl_int = "false",
    }
}

fn real_isposinf(_: &[&Tensor], _: &[Scalar], promoted: DType) -> Result<()> {
    crate::check!(
        !promoted.is_complex(),
        Runtime,
        "isposinf does not support complex inputs."
    );
    Ok(())
}

pointwise! {
    /// Returns whether each element of `input` is positive infinity.
    isposinf(x) -> Bool, in_place no, check real_isposinf {
        float = x == R::INFINITY,
        int = false,
        bool = false,
        wgsl = "isinf(x) && x > 0.0",
        wgsl_int = "false",
    }
}

fn real_isneginf(_: &[&Tensor], _: &[Scalar], promoted: DType) -> Result<()> {
    crate::check!(
        !promoted.is_complex(),
        Runtime,
        "isneginf does not support complex inputs."
    );
    Ok(())
}

pointwise! {
    /// Returns whether each element of `input` is negative infinity.
    isneginf(x) -> Bool, in_place no, check real_isneginf {
        float = x == R::NEG_INFINITY,
        int = false,
        bool = false,
        wgsl = "isinf(x) && x < 0.0",
        wgsl_int = "false",
    }
}

pointwise! {
    /// Returns whether each element of `input` is real: its imaginary part is zero.
    isreal(x) -> Bool, in_place no {
        float = true,
        int = true,
        bool = true,
        complex = x.im() == 0.0,
        wgsl = "true",
    }
}

pointwise! {
    /// Converts the elements of `input` from degrees to radians.
    deg2rad(x) -> Float, check real_deg2rad {
        float = x * R::from_f64(std::f64::consts::PI / 180.0),
        wgsl = "x * 0.017453292519943295",
        grad x(g) = g * (std::f64::consts::PI / 180.0),
    }
}

pointwise! {
    /// Converts the elements of `input` from radians to degrees.
    rad2deg(x) -> Float, check real_rad2deg {
        float = x * R::from_f64(180.0 / std::f64::consts::PI),
        wgsl = "x * 57.29577951308232",
        grad x(g) = g * (180.0 / std::f64::consts::PI),
    }
}

pub static ROWS: &[&crate::ops::OpDef] = &[
    &neg::DEF,
    &positive::DEF,
    &abs::DEF,
    &square::DEF,
    &sign::DEF,
    &sgn::DEF,
    &signbit::DEF,
    &floor::DEF,
    &ceil::DEF,
    &trunc::DEF,
    &frac::DEF,
    &round::DEF,
    &isnan::DEF,
    &isfinite::DEF,
    &isinf::DEF,
    &isposinf::DEF,
    &isneginf::DEF,
    &isreal::DEF,
    &deg2rad::DEF,
    &rad2deg::DEF,
];
