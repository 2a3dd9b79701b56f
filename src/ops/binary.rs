//! Arithmetic of two operands.

use crate::dtype::DType;
use crate::error::Result;
use crate::scalar::Scalar;
use crate::tensor::Tensor;

/// What `alpha` may be for a result of this dtype.
fn check_alpha(promoted: DType, alpha: Scalar) -> Result<()> {
    crate::check!(
        !matches!(alpha, Scalar::Bool(_)) || promoted == DType::Bool,
        Runtime,
        "Boolean alpha only supported for Boolean results."
    );
    crate::check!(
        promoted.is_floating() || promoted.is_complex() || alpha.is_integral(),
        Runtime,
        "For integral input tensors, argument alpha must not be a floating point number."
    );
    crate::check!(
        promoted.is_complex() || !alpha.is_complex(),
        Runtime,
        "For non-complex input tensors, argument alpha must not be a complex number."
    );
    Ok(())
}

fn scalable(_: &[&Tensor], params: &[Scalar], promoted: DType) -> Result<()> {
    params
        .iter()
        .try_for_each(|&alpha| check_alpha(promoted, alpha))
}

fn subtractable(ins: &[&Tensor], params: &[Scalar], promoted: DType) -> Result<()> {
    let bools = ins.iter().filter(|t| t.dtype() == DType::Bool).count();
    crate::check!(
        bools < 2,
        Runtime,
        "Subtraction, the `-` operator, with two bool tensors is not supported. Use the `^` or `logical_xor()` operator \
         instead."
    );
    crate::check!(
        bools == 0,
        Runtime,
        "Subtraction, the `-` operator, with a bool tensor is not supported. If you are trying to invert a mask, use \
         the `~` or `logical_not()` operator instead."
    );
    scalable(ins, params, promoted)
}

pointwise! {
    /// Adds `other`, scaled by `alpha`, to `input`, broadcasting and promoting.
    add(a, b; alpha) -> Promote,
    schema [
        "(Tensor input, Tensor other, *, Scalar alpha=1) -> Tensor",
        "(Tensor input, Scalar other, *, Scalar alpha=1) -> Tensor",
        "(Scalar input, Tensor other, *, Scalar alpha=1) -> Tensor",
        "(Scalar input, Scalar other, *, Scalar alpha=1) -> Tensor",
    ], check scalable, rust add_scaled {
        float = a + alpha * b,
        int = a.wrapping_add(alpha.wrapping_mul(b)),
        bool = a | (alpha & b),
        complex = a + alpha * b,
        wgsl = "a + alpha * b",
        grad a(g) = g,
        grad b(g) = g * alpha.conj(),
    }
}

pointwise! {
    /// Subtracts `other`, scaled by `alpha`, from `input`, broadcasting and promoting.
    sub(a, b; alpha) -> Promote,
    schema [
        "(Tensor input, Tensor other, *, Scalar alpha=1) -> Tensor",
        "(Tensor input, Scalar other, *, Scalar alpha=1) -> Tensor",
        "(Scalar input, Tensor other, *, Scalar alpha=1) -> Tensor",
        "(Scalar input, Scalar other, *, Scalar alpha=1) -> Tensor",
    ], alias ["subtract"], check subtractable, rust sub_scaled {
        float = a - alpha * b,
        int = a.wrapping_sub(alpha.wrapping_mul(b)),
        complex = a - alpha * b,
        wgsl = "a - alpha * b",
        grad a(g) = g,
        grad b(g) = -(g * alpha.conj()),
    }
}

op! {
    /// Subtracts `input`, scaled by `alpha`, from `other`.
    rsub, in [TORCH] {
        "(Tensor input, Tensor other, *, Scalar alpha=1) -> Tensor" => |a| a.tensor(1).sub_scaled(&a.tensor(0), a.scalar(2)),
        "(Tensor input, Scalar other, *, Scalar alpha=1) -> Tensor" =>
            |a| Tensor::wrapped(a.scalar(1))?.sub_scaled(&a.tensor(0), a.scalar(2)),
    }
}

pointwise! {
    /// Multiplies `input` by `other`, broadcasting and promoting.
    mul(a, b) -> Promote,
    schema [
        "(Tensor input, Tensor other) -> Tensor",
        "(Tensor input, Scalar other) -> Tensor",
        "(Scalar input, Tensor other) -> Tensor",
        "(Scalar input, Scalar other) -> Tensor",
    ], alias ["multiply"] {
        float = a * b,
        int = a.wrapping_mul(b),
        bool = a & b,
        complex = a * b,
        wgsl = "a * b",
        grad a(g; b) = g * b.conj(),
        grad b(g; a) = g * a.conj(),
    }
}

pointwise! {
    /// Divides `input` by `other` elementwise; integers divide as floats.
    true_divide(a, b) -> Float,
    schema [
        "(Tensor input, Tensor other) -> Tensor",
        "(Tensor input, Scalar other) -> Tensor",
        "(Scalar input, Tensor other) -> Tensor",
        "(Scalar input, Scalar other) -> Tensor",
    ], alias ["Tensor.__div__"], rust div {
        float = a / b,
        complex = a.quotient(b),
        wgsl = "div(a, b)",
        grad a(g; b) = g / b.conj(),
        grad b(g; b, out) = -(g * (out / b).conj()),
    }
}

op! {
    /// Divides `other` by this tensor.
    __rdiv__, in [METHOD] {
        "(Tensor input, Tensor other) -> Tensor" => |a| a.tensor(1).div(&a.tensor(0)),
        "(Tensor input, Scalar other) -> Tensor" => |a| Tensor::wrapped(a.scalar(1))?.div(&a.tensor(0)),
    }
}

pointwise! {
    /// The quotient of `input` and `other` rounded towards zero.
    _div_trunc(a, b) -> Promote, in [PRIVATE], in_place no, rust div_trunc {
        float = (a / b).trunc(),
        int = a.div_trunc(b),
        wgsl = "trunc(div(a, b))",
        wgsl_int = "a / b",
        grad a(g) = g.zeros_like(),
        grad b(g) = g.zeros_like(),
    }
}

pointwise! {
    /// The quotient of `input` and `other` rounded down.
    _div_floor(a, b) -> Promote, in [PRIVATE], in_place no, rust div_floor {
        float = a.floor_divide(b),
        int = a.div_floor(b),
        wgsl = "floor_div(a, b)",
        grad a(g) = g.zeros_like(),
        grad b(g) = g.zeros_like(),
    }
}

fn divided(a: &Tensor, b: &Tensor, mode: Option<&str>) -> Result<Tensor> {
    match mode {
        None => a.div(b),
        Some("trunc") => a.div_trunc(b),
        Some("floor") => a.div_floor(b),
        Some(other) => {
            crate::bail!(
                Runtime,
                "div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '{other}'"
            )
        }
    }
}

op! {
    /// Divides `input` by `other` elementwise.
    ///
    /// Args:
    ///     rounding_mode: None divides integers as floats; `'trunc'` rounds towards zero and `'floor'` down, and keep
    ///         integers.
    div__, in [TORCH, METHOD], alias ["divide"]; out, in_place {
        "(Tensor input, Tensor other, *, str? rounding_mode=None) -> Tensor" =>
            |a| divided(&a.tensor(0), &a.tensor(1), a.opt_str(2)),
        "(Tensor input, Scalar other, *, str? rounding_mode=None) -> Tensor" =>
            |a| divided(&a.tensor(0), &Tensor::wrapped(a.scalar(1))?, a.opt_str(2)),
        "(Scalar input, Tensor other, *, str? rounding_mode=None) -> Tensor" =>
            |a| divided(&Tensor::wrapped(a.scalar(0))?, &a.tensor(1), a.opt_str(2)),
        "(Scalar input, Scalar other, *, str? rounding_mode=None) -> Tensor" =>
            |a| divided(&Tensor::wrapped(a.scalar(0))?, &Tensor::wrapped(a.scalar(1))?, a.opt_str(2)),
    }
}

pointwise! {
    /// Divides `input` by `other` elementwise and rounds down.
    floor_divide(a, b) -> Promote,
    schema [
        "(Tensor input, Tensor other) -> Tensor",
        "(Tensor input, Scalar other) -> Tensor",
        "(Scalar input, Tensor other) -> Tensor",
    ] {
        float = a.floor_divide(b),
        int = a.div_floor(b),
        wgsl = "floor_div(a, b)",
    }
}

pointwise! {
    /// Returns the remainder of `input` divided by `other`, with the sign of `other`, as Python's `%`.
    remainder(a, b) -> Promote, numbers both {
        float = a.remainder(b),
        int = a.rem_floor(b),
        wgsl = "remainder(a, b)",
        grad a(g) = g,
        grad b(g; a, b) = -(g * a.div_floor(b)),
    }
}

pointwise! {
    /// Returns the remainder of `input` divided by `other`, with the sign of `input`, as C's `fmod`.
    fmod(a, b) -> Promote, numbers right {
        float = a.fmod(b),
        int = a.rem_trunc(b),
        wgsl = "fmod(a, b)",
        grad a(g) = g,
        grad b(g; a, b) = -(g * a.div_trunc(b)),
    }
}

/// Integers have no inverses.
fn integer_exponent(ins: &[&Tensor], _: &[Scalar], promoted: DType) -> Result<()> {
    if promoted.is_integral() && ins[1].is_wrapped() {
        crate::check!(
            ins[1].item()?.to_i64() >= 0,
            Runtime,
            "Integers to negative integer powers are not allowed."
        );
    }
    Ok(())
}

/// Powers of numbers near those that have a quicker way than a logarithm and an exponential.
fn constant_exponent(_: &[&Tensor], params: &[Scalar], promoted: DType) -> Result<()> {
    crate::check!(
        !promoted.is_integral() || params.iter().all(|e| e.to_i64() >= 0),
        Runtime,
        "Integers to negative integer powers are not allowed."
    );
    Ok(())
}

pointwise! {
    /// `input` to a constant power.
    _pow_constant(x; exponent) -> Promote, schema ["(Tensor input, Scalar exponent) -> Tensor"], in [PRIVATE],
    in_place no, check constant_exponent, rust pow_constant {
        float = {
            let e = exponent;
            if e == R::TWO {
                x * x
            } else if e == R::HALF {
                x.sqrt()
            } else if e == R::from_f64(3.0) {
                x * x * x
            } else if e == R::ONE {
                x
            } else if e == -R::ONE {
                x.recip()
            } else if e == -R::TWO {
                (x * x).recip()
            } else if e == -R::HALF {
                x.rsqrt()
            } else {
                x.powf(e)
            }
        },
        int = Int::pow(x, exponent),
        bool = x | !exponent,
        complex = if exponent.im() == 0.0 && exponent.re() == 2.0 {
            x.square()
        } else if exponent.is_zero() {
            C::new(1.0, 0.0)
        } else if exponent.im() == 0.0 && exponent.re() == 0.5 {
            x.sqrt()
        } else {
            x.powc(exponent)
        },
        wgsl = "pow(x, exponent)",
        grad x(g; x) = if exponent.to_complex() == num_complex::Complex::new(0.0, 0.0) {
            g.zeros_like()
        } else {
            let less = match exponent {
                Scalar::Complex(re, im) => Scalar::Complex(re - 1.0, im),
                e if e.is_integral() => Scalar::Int(e.to_i64().wrapping_sub(1)),
                e => Scalar::Float(e.to_f64() - 1.0),
            };
            g * (x.pow_scalar(less) * exponent).conj()
        },
    }
}

pointwise! {
    /// `input` to the power of `exponent`.
    _pow(a, b) -> Promote, schema [
        "(Tensor input, Tensor exponent) -> Tensor",
        "(Scalar input, Tensor exponent) -> Tensor",
    ], in [PRIVATE], in_place no, check integer_exponent, rust pow_tensor {
        float = a.powf(b),
        int = Int::pow(a, b),
        complex = if b.is_zero() { C::new(1.0, 0.0) } else { a.powc(b) },
        wgsl = "pow(a, b)",
        grad a(g; a, b) = {
            let slope = g * (b * a.pow(&(b - 1.0))).conj();
            slope.masked(&b.not_equal_to(0.0))
        },
        grad b(g; a, b, out) = {
            let slope = g * (out * a.map(|a| a.log())).conj();
            // 0 to any power that is not negative stays 0.
            let flat = a.equals(0.0).logical_and(&b.at_least_real(0.0));
            slope.masked(&flat.logical_not())
        },
    }
}

impl Tensor {
    /// `self` to the power of `exponent`, elementwise.
    pub fn pow(&self, exponent: &Tensor) -> Result<Tensor> {
        if !exponent.is_wrapped() || exponent.requires_grad() {
            return self.pow_tensor(exponent);
        }
        // A number: it takes part in promotion, then the exponent is the same for all elements.
        let e = exponent.item()?;
        let mut kind = crate::dtype::ResultType::default();
        kind.add(self.dtype(), self.ndim(), self.is_wrapped())?;
        kind.add(exponent.dtype(), 0, true)?;
        self.to_dtype(kind.get()?)?.pow_constant(e)
    }
}

impl crate::autograd::Term {
    pub fn pow(&self, exponent: &crate::autograd::Term) -> crate::autograd::Term {
        self.zip(exponent, |a, b| a.pow(b))
    }
}

op! {
    /// Raises `input` to the power of `exponent`, elementwise.
    pow__, in [TORCH, METHOD]; out, in_place {
        "(Tensor input, Tensor exponent) -> Tensor" => |a| a.tensor(0).pow(&a.tensor(1)),
        "(Tensor input, Scalar exponent) -> Tensor" => |a| a.tensor(0).pow(&Tensor::wrapped(a.scalar(1))?),
        "(Scalar input, Tensor exponent) -> Tensor" => |a| Tensor::wrapped(a.scalar(0))?.pow(&a.tensor(1)),
    }
}

/// The dtype `float_power` computes in.
fn double_of(ins: &[&Tensor]) -> DType {
    if ins.iter().any(|t| t.dtype().is_complex()) {
        DType::C128
    } else {
        DType::F64
    }
}

fn float_power_of(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let wide = double_of(&[a, b]);
    let widen = |t: &Tensor| {
        if t.is_wrapped() {
            Ok(t.clone())
        } else {
            t.to_dtype(wide)
        }
    };
    // One operand is a tensor of the wide dtype, which decides.
    widen(a)?.pow(&widen(b)?)
}

fn float_power_into(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let wide = double_of(&[a, b]);
    crate::check!(
        a.dtype() == wide,
        Runtime,
        "the base given to float_power_ has dtype {} but the operation's result requires dtype {}",
        a.dtype().scalar_name(),
        wide.scalar_name()
    );
    crate::autograd::inplace::check(a, crate::autograd::needs_grad(&[a, b]))?;
    a.overwrite(&float_power_of(&crate::autograd::inplace::original(a)?, b)?)
}

op! {
    /// Raises this tensor, which is of double precision, to the power of `exponent` in place.
    float_power_, in [METHOD] {
        "(Tensor input, Tensor exponent) -> Tensor" => |a| float_power_into(&a.tensor(0), &a.tensor(1)),
        "(Tensor input, Scalar exponent) -> Tensor" =>
            |a| float_power_into(&a.tensor(0), &Tensor::wrapped(a.scalar(1))?),
    }
}

op! {
    /// Raises `input` to the power of `exponent` in double precision.
    float_power, in [TORCH, METHOD]; out {
        "(Tensor input, Tensor exponent) -> Tensor" => |a| float_power_of(&a.tensor(0), &a.tensor(1)),
        "(Tensor input, Scalar exponent) -> Tensor" => |a| float_power_of(&a.tensor(0), &Tensor::wrapped(a.scalar(1))?),
        "(Scalar input, Tensor exponent) -> Tensor" => |a| float_power_of(&Tensor::wrapped(a.scalar(0))?, &a.tensor(1)),
    }
}

pointwise! {
    /// Returns the angle of the points `(other, input)` from the positive x axis, in `[-pi, pi]`.
    atan2(a, b) -> Float, alias ["arctan2"] {
        float = a.atan2(b),
        wgsl = "atan2(a, b)",
        grad a(g; a, b) = g * (b / (a * a + b * b)).masked(&(a * a + b * b).not_equal_to(0.0)),
        grad b(g; a, b) = -(g * (a / (a * a + b * b)).masked(&(a * a + b * b).not_equal_to(0.0))),
    }
}

pointwise! {
    /// Returns the length of the hypotenuse over the legs `input` and `other`.
    hypot(a, b) -> Promote {
        float = a.hypot(b),
        wgsl = "hypot(a, b)",
        grad a(g; a, out) = g * (a / out),
        grad b(g; b, out) = g * (b / out),
    }
}

pointwise! {
    /// Returns `log(exp(input) + exp(other))` without overflow.
    logaddexp(a, b) -> Promote, in_place no {
        float = crate::cpu::special::logaddexp(a, b),
        complex = {
            let (hi, lo) = if a.re() >= b.re() { (a, b) } else { (b, a) };
            if hi.re().is_infinite() && a.re() == b.re() {
                if hi.re() > 0.0 { (a.exp() + b.exp()).ln() } else { a }
            } else {
                hi + (lo - hi).exp().ln_1p()
            }
        },
        wgsl = "select(max(a, b) + log1p(exp(-abs(a - b))), a, isinf(a) && eq(a, b))",
        grad a(g; a, out) = g * (a - out).exp().conj(),
        grad b(g; b, out) = g * (b - out).exp().conj(),
    }
}

pointwise! {
    /// Returns `log2(2 ** input + 2 ** other)` without overflow.
    logaddexp2(a, b) -> Promote, in_place no {
        float = crate::cpu::special::logaddexp2(a, b),
        grad a(g; a, out) = g * (a - out).exp2(),
        grad b(g; b, out) = g * (b - out).exp2(),
    }
}

pointwise! {
    /// Returns the magnitude of `input` with the sign of `other`.
    copysign(a, b) -> Float, numbers right {
        float = a.copysign(b),
        wgsl = "copysign(a, b)",
        grad a(g; a, out) = (g * (out / a)).masked(&a.not_equal_to(0.0)),
        grad b(g) = g.zeros_like(),
    }
}

fn one_dtype(ins: &[&Tensor], _: &[Scalar], _: DType) -> Result<()> {
    crate::check!(
        ins[0].dtype() == ins[1].dtype(),
        Runtime,
        "heaviside is not yet implemented for tensors with different dtypes."
    );
    crate::check!(
        !ins[0].dtype().is_complex(),
        Runtime,
        "heaviside is not yet implemented for complex tensors."
    );
    Ok(())
}

pointwise! {
    /// Returns 0 where `input` is negative, 1 where it is positive and `values` where it is zero.
    heaviside(a, values) -> Promote, schema ["(Tensor input, Tensor values) -> Tensor"], check one_dtype {
        float = if a == R::ZERO { values } else if a > R::ZERO { R::ONE } else { R::ZERO },
        int = if a == I::ZERO { values } else if a < I::ZERO { I::ZERO } else { I::ONE },
        bool = a | values,
    }
}

op! {
    /// Multiplies `input` by two to the power of `other`.
    ldexp, in [TORCH, METHOD]; out, in_place {
        "(Tensor input, Tensor other) -> Tensor" => |a| {
            let (x, e) = (a.tensor(0), a.tensor(1));
            let two = Tensor::wrapped(2.0)?;
            if !x.dtype().is_floating() || !e.dtype().is_integral() {
                return x.mul(&two.pow(&e)?);
            }
            // Integer exponents leave a floating dtype as it is.
            crate::check!(e.dtype() != DType::Bool, NotImplemented, "\"ldexp_cpu_exp\" not implemented for 'Bool'");
            let wide = if x.dtype() == DType::F64 { DType::F64 } else { DType::F32 };
            x.to_dtype(wide)?.mul(&two.pow(&e.to_dtype(wide)?)?)?.to_dtype(x.dtype())
        },
    }
}

/// The dtype an operation on these operands would have.
fn result_type_of(ins: &[(DType, usize, bool)]) -> Result<DType> {
    let mut kind = crate::dtype::ResultType::default();
    for &(dtype, ndim, wrapped) in ins {
        kind.add(dtype, ndim, wrapped)?;
    }
    kind.get()
}

op! {
    /// Returns the dtype that an operation on the two operands would have.
    result_type, in [TORCH] {
        "(Tensor tensor1, Tensor tensor2) -> ScalarType" => |a| {
            let (x, y) = (a.tensor(0), a.tensor(1));
            result_type_of(&[(x.dtype(), x.ndim(), x.is_wrapped()), (y.dtype(), y.ndim(), y.is_wrapped())])
        },
        "(Tensor tensor, Scalar other) -> ScalarType" => |a| {
            let x = a.tensor(0);
            result_type_of(&[(x.dtype(), x.ndim(), x.is_wrapped()), (a.scalar(1).dtype(), 0, true)])
        },
        "(Scalar scalar, Tensor tensor) -> ScalarType" => |a| {
            let x = a.tensor(1);
            result_type_of(&[(a.scalar(0).dtype(), 0, true), (x.dtype(), x.ndim(), x.is_wrapped())])
        },
        "(Scalar scalar1, Scalar scalar2) -> ScalarType" =>
            |a| result_type_of(&[(a.scalar(0).dtype(), 0, true), (a.scalar(1).dtype(), 0, true)]),
    }
}

impl Tensor {
    /// `self + other`.
    pub fn add(&self, other: &Tensor) -> Result<Tensor> {
        self.add_scaled(other, 1)
    }
    /// `self - other`.
    pub fn sub(&self, other: &Tensor) -> Result<Tensor> {
        self.sub_scaled(other, 1)
    }
    /// Adds into this tensor's memory without recording.
    pub fn add_assign(&self, other: &Tensor) -> Result<()> {
        crate::autograd::no_grad(|| add::POINTWISE.call_in_place(&[self, other], &[Scalar::Int(1)]))
            .map(|_| ())
    }
    /// `self * x`.
    pub fn mul_scalar(&self, x: impl Into<Scalar>) -> Result<Tensor> {
        self.mul(&Tensor::wrapped(x)?)
    }
    /// `self + x`.
    pub fn add_number(&self, x: impl Into<Scalar>) -> Result<Tensor> {
        self.add(&Tensor::wrapped(x)?)
    }
    /// `self / x`.
    pub fn div_scalar(&self, x: impl Into<Scalar>) -> Result<Tensor> {
        self.div(&Tensor::wrapped(x)?)
    }
}

pub static ROWS: &[&crate::ops::OpDef] = &[
    &add::DEF,
    &sub::DEF,
    &rsub::DEF,
    &mul::DEF,
    &true_divide::DEF,
    &div__::DEF,
    &__rdiv__::DEF,
    &_div_trunc::DEF,
    &_div_floor::DEF,
    &floor_divide::DEF,
    &remainder::DEF,
    &fmod::DEF,
    &_pow_constant::DEF,
    &_pow::DEF,
    &pow__::DEF,
    &float_power::DEF,
    &float_power_::DEF,
    &atan2::DEF,
    &hypot::DEF,
    &logaddexp::DEF,
    &logaddexp2::DEF,
    &copysign::DEF,
    &heaviside::DEF,
    &ldexp::DEF,
    &result_type::DEF,
];
