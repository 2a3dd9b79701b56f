//! Elementwise ops of two and three operands.

use crate::error::Result;
use crate::scalar::Scalar;
use crate::tensor::Tensor;

pointwise! {
    /// Adds `other`, scaled by `alpha`, to `input`, broadcasting and promoting.
    add(a, b; alpha) -> Promote,
    schema [
        "(Tensor input, Tensor other, *, Scalar alpha=1) -> Tensor",
        "(Tensor input, Scalar other, *, Scalar alpha=1) -> Tensor",
        "(Scalar input, Tensor other, *, Scalar alpha=1) -> Tensor",
        "(Scalar input, Scalar other, *, Scalar alpha=1) -> Tensor",
    ], rust add_scaled {
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
    ], alias ["subtract"], rust sub_scaled {
        float = a - alpha * b,
        int = a.wrapping_sub(alpha.wrapping_mul(b)),
        complex = a - alpha * b,
        wgsl = "a - alpha * b",
        grad a(g) = g,
        grad b(g) = -(g * alpha.conj()),
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
    ], rust div {
        float = a / b,
        complex = a / b,
        wgsl = "div(a, b)",
        grad a(g; b) = g / b.conj(),
        grad b(g; b, out) = -(g * (out / b).conj()),
    }
}

pointwise! {
    /// Raises `input` to the power of `exponent`, elementwise.
    pow(a, b) -> Promote,
    schema [
        "(Tensor input, Tensor exponent) -> Tensor",
        "(Tensor input, Scalar exponent) -> Tensor",
        "(Scalar input, Tensor exponent) -> Tensor",
    ] {
        float = a.powf(b),
        int = Int::pow(a, b),
        complex = a.powc(b),
        wgsl = "pow(a, b)",
        grad a(g; a, b) = {
            let slope = g * (b * a.pow(&(b - 1.0))).conj();
            slope.masked(&b.not_equal_to(0.0))
        },
        grad b(g; a, b, out) = {
            let slope = g * (out * a.map(|a| a.log())).conj();
            // 0 to any power that is not negative stays 0.
            let flat = a.equals(0.0).zip(&b.at_least_real(0.0), |x, y| x.logical_and(y));
            slope.masked(&flat.map(|m| m.logical_not()))
        },
    }
}

macro_rules! comparison {
    ($name:ident, $doc:literal, $alias:literal, $wgsl:literal, |$a:ident, $b:ident| $e:expr, |$c:ident, $d:ident| $complex:expr) => {
        pointwise! {
            #[doc = $doc]
            $name(a, b) -> Bool,
            schema ["(Tensor input, Tensor other) -> Tensor", "(Tensor input, Scalar other) -> Tensor"],
            alias [$alias] {
                float = { let ($a, $b) = (a, b); $e },
                int = { let ($a, $b) = (a, b); $e },
                bool = { let ($a, $b) = (a, b); $e },
                complex = { let ($c, $d) = (a, b); $complex },
                wgsl = $wgsl,
            }
        }
    };
    ($name:ident, $doc:literal, $alias:literal, $wgsl:literal, |$a:ident, $b:ident| $e:expr) => {
        pointwise! {
            #[doc = $doc]
            $name(a, b) -> Bool,
            schema ["(Tensor input, Tensor other) -> Tensor", "(Tensor input, Scalar other) -> Tensor"],
            alias [$alias] {
                float = { let ($a, $b) = (a, b); $e },
                int = { let ($a, $b) = (a, b); $e },
                bool = { let ($a, $b) = (a, b); $e },
                wgsl = $wgsl,
            }
        }
    };
}

comparison!(eq, " Returns whether `input` equals `other`, elementwise.", "__eq_elementwise", "eq(a, b)", |a, b| a == b, |a, b| a == b);
comparison!(ne, " Returns whether `input` differs from `other`, elementwise.", "not_equal", "ne(a, b)", |a, b| a != b, |a, b| a != b);
comparison!(lt, " Returns whether `input` is less than `other`, elementwise.", "less", "a < b", |a, b| a < b);
comparison!(le, " Returns whether `input` is at most `other`, elementwise.", "less_equal", "a <= b", |a, b| a <= b);
comparison!(gt, " Returns whether `input` is greater than `other`, elementwise.", "greater", "a > b", |a, b| a > b);
comparison!(ge, " Returns whether `input` is at least `other`, elementwise.", "greater_equal", "a >= b", |a, b| a >= b);

pointwise! {
    /// Chooses `input` where `condition` holds and `other` elsewhere.
    r#where(condition, a, b) -> Promote, schema [
        "(Tensor condition, Tensor input, Tensor other) -> Tensor",
        "(Tensor condition, Scalar input, Tensor other) -> Tensor",
        "(Tensor condition, Tensor input, Scalar other) -> Tensor",
        "(Tensor condition, Scalar input, Scalar other) -> Tensor",
    ], in [TORCH], in_place no, masked true, rust where_ {
        float = R::select(condition != R::from_f64(0.0), a, b),
        int = if condition != I::ZERO { a } else { b },
        bool = if condition { a } else { b },
        complex = if condition.is_zero() { b } else { a },
        wgsl = "select(b, a, condition)",
        grad a(g; condition) = g.masked(condition),
        grad b(g; condition) = condition.zip(&g.zeros_like(), |m, z| m.where_(z, g.0.as_ref().map_err(|e| e.clone())?)),
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
        crate::autograd::no_grad(|| add::POINTWISE.call_in_place(&[self, other], &[Scalar::Int(1)])).map(|_| ())
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
    &add::DEF, &sub::DEF, &mul::DEF, &true_divide::DEF, &pow::DEF, &eq::DEF, &ne::DEF, &lt::DEF, &le::DEF, &gt::DEF, &ge::DEF,
    &r#where::DEF,
];
