//! Comparisons, extremes of two operands and closeness.

use crate::autograd;
use crate::error::Result;
use crate::scalar::Scalar;
use crate::tensor::Tensor;

macro_rules! comparison {
    ($name:ident, $doc:literal, [$($alias:literal)?], $wgsl:literal, |$a:ident, $b:ident| $e:expr $(, complex $complex:expr)?) => {
        pointwise! {
            #[doc = $doc]
            $name(a, b) -> Bool,
            schema [
                "(Tensor input, Tensor other) -> Tensor",
                "(Tensor input, Scalar other) -> Tensor"
            ]
            $(, alias [$alias])? {
                float = { let ($a, $b) = (a, b); $e },
                int = { let ($a, $b) = (a, b); $e },
                bool = { let ($a, $b) = (a, b); $e },
                $(complex = { let ($a, $b) = (a, b); $complex },)?
                wgsl = $wgsl,
            }
        }
    };
}

comparison!(eq, " Returns whether `input` equals `other`, elementwise.", [], "eq(a, b)", |a, b| a == b, complex a == b);
comparison!(ne, " Returns whether `input` differs from `other`, elementwise.", ["not_equal"], "ne(a, b)", |a, b| a != b, complex a != b);
comparison!(
    lt,
    " Returns whether `input` is less than `other`, elementwise.",
    ["less"],
    "a < b",
    |a, b| a < b
);
comparison!(
    le,
    " Returns whether `input` is at most `other`, elementwise.",
    ["less_equal"],
    "a <= b",
    |a, b| a <= b
);
comparison!(
    gt,
    " Returns whether `input` is greater than `other`, elementwise.",
    ["greater"],
    "a > b",
    |a, b| a > b
);
comparison!(
    ge,
    " Returns whether `input` is at least `other`, elementwise.",
    ["greater_equal"],
    "a >= b",
    |a, b| a >= b
);

macro_rules! extreme {
    (
        $name:ident, $doc:literal, $text:literal, $float:ident, $int:expr, $bool:expr, $wgsl:expr, $check:ident,
        |$a:ident, $b:ident, $g:ident| $first:expr, $second:expr
    ) => {
        fn $check(_: &[&Tensor], _: &[Scalar], promoted: crate::dtype::DType) -> Result<()> {
            crate::check!(
                !promoted.is_complex(),
                Runtime,
                concat!($text, " not implemented for complex tensors.")
            );
            Ok(())
        }
        pointwise! {
            #[doc = $doc]
            $name(a, b) -> Promote, in_place no, check $check {
                float = a.$float(b),
                int = $int(a, b),
                bool = $bool(a, b),
                wgsl = $wgsl,
                grad a(g; a, b) = { let ($a, $b, $g) = (a, b, g); $first },
                grad b(g; a, b) = { let ($a, $b, $g) = (a, b, g); $second },
            }
        }
    };
}

/// At a tie both operands get half of the gradient.
fn shared(
    g: &autograd::Term,
    a: &autograd::Term,
    b: &autograd::Term,
    wins: autograd::Term,
) -> autograd::Term {
    let tie = a.eq(b);
    autograd::Term::select(&tie, &(g * 0.5), g).masked(&wins)
}

extreme!(
    maximum,
    " Returns the larger of `input` and `other`, elementwise; NaN where either is NaN.",
    "maximum",
    maximum,
    Ord::max,
    |a: bool, b: bool| a | b,
    "max(a, b)",
    real_maximum,
    |a, b, g| shared(g, a, b, a.lt(b).logical_not()),
    shared(g, a, b, b.lt(a).logical_not())
);
extreme!(
    minimum,
    " Returns the smaller of `input` and `other`, elementwise; NaN where either is NaN.",
    "minimum",
    minimum,
    Ord::min,
    |a: bool, b: bool| a & b,
    "min(a, b)",
    real_minimum,
    |a, b, g| shared(g, a, b, a.gt(b).logical_not()),
    shared(g, a, b, b.gt(a).logical_not())
);
extreme!(
    fmax,
    " Returns the larger of `input` and `other`, elementwise; where one is NaN the other.",
    "fmax",
    fmax,
    Ord::max,
    |a: bool, b: bool| a | b,
    "max(a, b)",
    real_fmax,
    |a, b, g| g.masked(&a.ge(b).logical_or(&b.isnan())),
    g.masked(&a.ge(b).logical_or(&b.isnan()).logical_not())
);
extreme!(
    fmin,
    " Returns the smaller of `input` and `other`, elementwise; where one is NaN the other.",
    "fmin",
    fmin,
    Ord::min,
    |a: bool, b: bool| a & b,
    "min(a, b)",
    real_fmin,
    |a, b, g| g.masked(&a.le(b).logical_or(&b.isnan())),
    g.masked(&a.le(b).logical_or(&b.isnan()).logical_not())
);

fn same_dtype(a: &Tensor, b: &Tensor) -> Result<()> {
    crate::check!(
        a.dtype() == b.dtype(),
        Runtime,
        "{} did not match {}",
        a.dtype().scalar_name(),
        b.dtype().scalar_name()
    );
    Ok(())
}

/// `|a - b| <= atol + rtol * |b|`, elementwise.
fn isclose_of(a: &Tensor, b: &Tensor, rtol: f64, atol: f64, equal_nan: bool) -> Result<Tensor> {
    same_dtype(a, b)?;
    crate::check!(
        rtol >= 0.0,
        Runtime,
        "rtol must be greater than or equal to zero, but got {rtol}"
    );
    crate::check!(
        atol >= 0.0,
        Runtime,
        "atol must be greater than or equal to zero, but got {atol}"
    );
    autograd::no_grad(|| {
        let (a, b) = (a.detach(), b.detach());
        let mut close = a.eq(&b)?;
        if equal_nan && (a.dtype().is_floating() || a.dtype().is_complex()) {
            close = close.logical_or(&a.isnan()?.logical_and(&b.isnan()?)?)?;
        }
        if rtol == 0.0 && atol == 0.0 {
            return Ok(close);
        }
        // Integers and bools compare in the default dtype, so that differences do not wrap.
        let (a, b) = match a.dtype().is_integral() {
            true => (
                a.to_dtype(crate::dtype::default_dtype())?,
                b.to_dtype(crate::dtype::default_dtype())?,
            ),
            false => (a, b),
        };
        let allowed = b.mul_scalar(rtol)?.abs()?.add_number(atol)?;
        let error = a.sub(&b)?.abs()?;
        close.logical_or(&error.isfinite()?.logical_and(&error.le(&allowed)?)?)
    })
}

op! {
    /// Returns whether `|input - other| <= atol + rtol * |other|`, elementwise.
    ///
    /// Args:
    ///     equal_nan: whether NaN is close to NaN.
    isclose, in [TORCH, METHOD] {
        "(Tensor input, Tensor other, float rtol=1e-05, float atol=1e-08, bool equal_nan=False) -> Tensor" =>
            |a| isclose_of(&a.tensor(0), &a.tensor(1), a.float(2), a.float(3), a.bool(4)),
    }
}

/// Whether every element is true.
fn holds(t: &Tensor) -> Result<bool> {
    Ok(!t.logical_not()?.any()?.item()?.to_bool())
}

op! {
    /// Returns whether all elements of `input` and `other` are close, as `isclose` has it.
    allclose, in [TORCH, METHOD] {
        "(Tensor input, Tensor other, float rtol=1e-05, float atol=1e-08, bool equal_nan=False) -> bool" =>
            |a| holds(&isclose_of(&a.tensor(0), &a.tensor(1), a.float(2), a.float(3), a.bool(4))?),
    }
}

op! {
    /// Returns whether `input` and `other` have the same size and equal elements.
    equal, in [TORCH, METHOD] {
        "(Tensor input, Tensor other) -> bool" => |a| {
            let (x, y) = (a.tensor(0), a.tensor(1));
            if x.sizes() != y.sizes() {
                return Ok(false);
            }
            holds(&autograd::no_grad(|| x.detach().eq(&y.detach()))?)
        },
    }
}

pub static ROWS: &[&crate::ops::OpDef] = &[
    &eq::DEF,
    &ne::DEF,
    &lt::DEF,
    &le::DEF,
    &gt::DEF,
    &ge::DEF,
    &maximum::DEF,
    &minimum::DEF,
    &fmax::DEF,
    &fmin::DEF,
    &isclose::DEF,
    &allclose::DEF,
    &equal::DEF,
];
