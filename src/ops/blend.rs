//! Choosing and mixing: where, masked_fill, clamp, lerp, and multiply-adds of three operands.

use crate::dtype::DType;
use crate::error::Result;
use crate::ops::args::Value;
use crate::scalar::Scalar;
use crate::tensor::Tensor;

fn is_mask(ins: &[&Tensor], _: &[Scalar], _: DType) -> Result<()> {
    crate::check!(
        matches!(ins[0].dtype(), DType::Bool | DType::U8),
        Runtime,
        "where expected condition to be a boolean tensor, but got a tensor with dtype {}",
        ins[0].dtype().scalar_name()
    );
    Ok(())
}

pointwise! {
    /// Chooses `input` where `condition` holds and `other` elsewhere.
    _where(condition, a, b) -> Promote, schema [
        "(Tensor condition, Tensor input, Tensor other) -> Tensor",
    ], in [PRIVATE], in_place no, masked true, check is_mask, rust where_ {
        float = R::select(condition != R::ZERO, a, b),
        int = if condition != I::ZERO { a } else { b },
        bool = if condition { a } else { b },
        complex = if condition.is_zero() { b } else { a },
        wgsl = "select(b, a, condition)",
        grad a(g; condition) = g.masked(condition),
        grad b(g; condition) = g.masked(&condition.logical_not()),
    }
}

fn number(a: &crate::ops::args::Args, i: usize) -> Result<Tensor> {
    match a.opt_tensor(i) {
        Some(t) => Ok(t.clone()),
        None => Tensor::wrapped(a.scalar(i)),
    }
}

op! {
    /// Chooses `input` where `condition` holds and `other` elsewhere; `where(condition)` gives the indices of the
    /// elements that are not zero, one tensor per dimension.
    r#where, in [TORCH]; out {
        "(Tensor condition, Tensor input, Tensor other) -> Tensor" => |a| a.tensor(0).where_(&number(a, 1)?, &number(a, 2)?),
        "(Tensor condition, Scalar input, Tensor other) -> Tensor" => |a| a.tensor(0).where_(&number(a, 1)?, &number(a, 2)?),
        "(Tensor condition, Tensor input, Scalar other) -> Tensor" => |a| a.tensor(0).where_(&number(a, 1)?, &number(a, 2)?),
        "(Tensor condition, Scalar input, Scalar other) -> Tensor" => |a| a.tensor(0).where_(&number(a, 1)?, &number(a, 2)?),        "(Tensor condition) -> Tensor[]" => |a| crate::ops::mask::nonzero_tuple(&a.tensor(0)),
    }
}

op! {
    /// Chooses elements of this tensor where `condition` holds and of `other` elsewhere.
    where__, in [METHOD] {
        "(Tensor input, Tensor condition, Tensor other) -> Tensor" => |a| a.tensor(1).where_(&a.tensor(0), &number(a, 2)?),
        "(Tensor input, Tensor condition, Scalar other) -> Tensor" => |a| a.tensor(1).where_(&a.tensor(0), &number(a, 2)?),
    }
}

/// Whether a number of this kind has a value in `dtype`.
fn check_fits(value: DType, dtype: DType) -> Result<()> {
    crate::check!(
        !value.is_complex() || dtype.is_complex(),
        Runtime,
        "value cannot be converted to type {} without overflow",
        dtype.name()
    );
    Ok(())
}

fn masked_fill_of(x: &Tensor, mask: &Tensor, value: &Tensor) -> Result<Tensor> {
    crate::check!(
        value.ndim() == 0,
        Runtime,
        "masked_fill_ only supports a 0-dimensional value tensor, but got tensor with {} dimension(s).",
        value.ndim()
    );
    crate::check!(
        mask.dtype() == DType::Bool,
        Runtime,
        "masked_fill_ only supports boolean masks, but got mask with dtype {}",
        mask.dtype().name()
    );
    check_fits(value.dtype(), x.dtype())?;
    let value = value.to_dtype(x.dtype())?.to_device(x.device())?;
    mask.where_(&value, x)
}

op! {
    /// Sets the elements of `input` to `value` where `mask` holds.
    masked_fill, in [TORCH, METHOD]; in_place {
        "(Tensor input, Tensor mask, Tensor value) -> Tensor" => |a| masked_fill_of(&a.tensor(0), &a.tensor(1), &a.tensor(2)),
        "(Tensor input, Tensor mask, Scalar value) -> Tensor" =>
            |a| masked_fill_of(&a.tensor(0), &a.tensor(1), &Tensor::wrapped(a.scalar(2))?),
    }
}

op! {
    /// Returns a tensor like `input` with every element set to `value`, a number or a 0-d tensor.
    fill__, in [TORCH] {
        "(Tensor input, Scalar value) -> Tensor" => |a| a.tensor(0).clone_data_recorded()?.fill_(a.scalar(1)),
        "(Tensor input, Tensor value) -> Tensor" => |a| {
            let value = a.tensor(1);
            crate::check!(
                value.ndim() == 0,
                Runtime,
                "fill only supports 0-dimension value tensor but got tensor with {} dimensions.",
                value.ndim()
            );
            a.tensor(0).clone_data_recorded()?.copy_(&value)
        },
    }
}

fn clampable(_: &[&Tensor], _: &[Scalar], promoted: DType) -> Result<()> {
    crate::check!(
        !promoted.is_complex(),
        NotImplemented,
        "clamp is not supported for complex types"
    );
    Ok(())
}

pointwise! {
    /// Holds `input` between `min` and `max`; NaN stays NaN.
    _clamp(x, low, high) -> Promote, schema ["(Tensor input, Tensor min, Tensor max) -> Tensor"], in [PRIVATE],
    in_place no, check clampable, rust clamp_tensors {
        float = {
            let held = R::select(x.is_nan() | (x >= low), x, low);
            R::select(held.is_nan() | (held <= high), held, high)
        },
        int = Ord::min(Ord::max(x, low), high),
        wgsl = "min(max(x, low), high)",
        grad x(g; x, low, high) = g.masked(&x.ge(low).logical_and(&x.le(high))),
        grad low(g; x, low, high) = g.masked(&low.lt(high).logical_and(&x.lt(low))),
        grad high(g; x, low, high) = g.masked(&x.gt(high).logical_or(&high.lt(low))),
    }
}

pointwise! {
    /// Holds `input` at or above `min`; NaN stays NaN.
    clamp_min(x, low) -> Promote, schema [
        "(Tensor input, Tensor min) -> Tensor",
        "(Tensor input, Scalar min) -> Tensor",
    ], check clampable {
        float = R::select(x.is_nan() | (x >= low), x, low),
        int = Ord::max(x, low),
        bool = x | low,
        wgsl = "max(x, low)",
        grad x(g; x, low) = g.masked(&x.ge(low)),
        grad low(g; x, low) = g.masked(&x.lt(low)),
    }
}

pointwise! {
    /// Holds `input` at or below `max`; NaN stays NaN.
    clamp_max(x, high) -> Promote, schema [
        "(Tensor input, Tensor max) -> Tensor",
        "(Tensor input, Scalar max) -> Tensor",
    ], check clampable {
        float = R::select(x.is_nan() | (x <= high), x, high),
        int = Ord::min(x, high),
        bool = x & high,
        wgsl = "min(x, high)",
        grad x(g; x, high) = g.masked(&x.le(high)),
        grad high(g; x, high) = g.masked(&x.gt(high)),
    }
}

impl Tensor {
    /// Holds the elements between bounds that may be missing.
    pub fn clamp(&self, min: Option<&Tensor>, max: Option<&Tensor>) -> Result<Tensor> {
        match (min, max) {
            (Some(min), Some(max)) => self.clamp_tensors(min, max),
            (Some(min), None) => self.clamp_min(min),
            (None, Some(max)) => self.clamp_max(max),
            (None, None) => {
                crate::bail!(
                    Runtime,
                    "torch.clamp: At least one of 'min' or 'max' must not be None"
                )
            }
        }
    }
}

fn clamp_of(a: &crate::ops::args::Args) -> Result<Tensor> {
    let bound = |i: usize| {
        if a.given(i) {
            number(a, i).map(Some)
        } else {
            Ok(None)
        }
    };
    a.tensor(0).clamp(bound(1)?.as_ref(), bound(2)?.as_ref())
}

op! {
    /// Holds the elements of `input` between `min` and `max`; either may be left out.
    clamp, in [TORCH, METHOD], alias ["clip"]; out, in_place {
        "(Tensor input, Tensor? min=None, Tensor? max=None) -> Tensor" => clamp_of,
        "(Tensor input, Scalar? min=None, Scalar? max=None) -> Tensor" => clamp_of,
    }
}

fn one_kind(ins: &[&Tensor], _: &[Scalar], _: DType) -> Result<()> {
    crate::check!(
        !ins[0].dtype().is_integral(),
        NotImplemented,
        "\"lerp_kernel_scalar\" not implemented for '{}'",
        ins[0].dtype().scalar_name()
    );
    for (name, t) in ["end", "weight"]
        .iter()
        .zip(&ins[1..])
        .filter(|(_, t)| !t.is_wrapped())
    {
        crate::check!(
            t.dtype() == ins[0].dtype(),
            Runtime,
            "expected dtype {} for `{name}` but got dtype {}",
            ins[0].dtype().scalar_name().to_lowercase(),
            t.dtype().scalar_name().to_lowercase()
        );
    }
    Ok(())
}

pointwise! {
    /// Interpolates linearly: `input + weight * (end - input)`.
    lerp(start, end, weight) -> Promote, schema [
        "(Tensor input, Tensor end, Tensor weight) -> Tensor",
        "(Tensor input, Tensor end, Scalar weight) -> Tensor",
    ], check one_kind {
        // From the nearer end, so that weight 1 gives `end` exactly.
        float = {
            let step = end - start;
            R::select(weight.abs() < R::HALF, weight * step + start, end - step * (R::ONE - weight))
        },
        complex = {
            let step = end - start;
            if weight.modulus().re() < 0.5 { weight * step + start } else { end - step * (C::new(1.0, 0.0) - weight) }
        },
        wgsl = "mix(start, end, weight)",
        grad start(g; weight) = g * (1.0 - weight).conj(),
        grad end(g; weight) = g * weight.conj(),
        grad weight(g; start, end) = g * (end - start).conj(),
    }
}

pointwise! {
    /// Adds `value * tensor1 * tensor2` to `input`.
    addcmul(x, tensor1, tensor2; value) -> Promote,
    schema ["(Tensor input, Tensor tensor1, Tensor tensor2, *, Scalar value=1) -> Tensor"] {
        float = x + value * tensor1 * tensor2,
        int = x.wrapping_add(value.wrapping_mul(tensor1).wrapping_mul(tensor2)),
        complex = x + value * tensor1 * tensor2,
        wgsl = "x + value * tensor1 * tensor2",
        grad x(g) = g,
        grad tensor1(g; tensor2) = g * (tensor2 * value).conj(),
        grad tensor2(g; tensor1) = g * (tensor1 * value).conj(),
    }
}

fn not_integral(ins: &[&Tensor], _: &[Scalar], _: DType) -> Result<()> {
    crate::check!(
        !(ins[1].dtype().is_integral() && ins[2].dtype().is_integral()),
        Runtime,
        "Integer division with addcdiv is no longer supported, and in a future  release addcdiv will perform a true \
         division of tensor1 and tensor2. Use (input + value * torch.trunc(tensor1 / tensor2)).to(input.dtype) or \
         (input + value * (tensor1 / tensor2)) instead."
    );
    Ok(())
}

pointwise! {
    /// Adds `value * tensor1 / tensor2` to `input`.
    addcdiv(x, tensor1, tensor2; value) -> Promote,
    schema ["(Tensor input, Tensor tensor1, Tensor tensor2, *, Scalar value=1) -> Tensor"], check not_integral {
        float = x + value * tensor1 / tensor2,
        complex = x + (value * tensor1).quotient(tensor2),
        wgsl = "x + value * tensor1 / tensor2",
        grad x(g) = g,
        grad tensor1(g; tensor2) = g * (1.0 / tensor2 * value).conj(),
        grad tensor2(g; tensor1, tensor2) = -(g * (tensor1 * value / (tensor2 * tensor2)).conj()),
    }
}

/// The value that stands for NaN or an infinity.
fn finite(dtype: DType, given: Option<f64>, default: f64) -> Scalar {
    let limit = match dtype {
        DType::F16 => 65504.0,
        DType::BF16 => f64::from(f32::from_bits(0x7f7f_0000)),
        DType::F32 | DType::C64 => f64::from(f32::MAX),
        _ => f64::MAX,
    };
    Scalar::Float(given.unwrap_or(default * limit))
}

pointwise! {
    /// `nan_to_num` with all three values given.
    _nan_to_num(x; nan, posinf, neginf) -> Promote,
    schema ["(Tensor input, Scalar nan, Scalar posinf, Scalar neginf) -> Tensor"], in [PRIVATE], in_place no,
    rust replace_nonfinite {
        float = R::select(x.is_nan(), nan, R::select(x == R::INFINITY, posinf, R::select(x == R::NEG_INFINITY, neginf, x))),
        int = x,
        bool = x,
        complex = {
            let fixed = |v: f64| {
                if v.is_nan() {
                    nan.re()
                } else if v == f64::INFINITY {
                    posinf.re()
                } else if v == f64::NEG_INFINITY {
                    neginf.re()
                } else {
                    v
                }
            };
            C::new(fixed(x.re()), fixed(x.im()))
        },
        wgsl = "select(select(select(x, neginf, isinf(x) && x < 0.0), posinf, isinf(x) && x > 0.0), nan, isnan(x))",
        wgsl_int = "x",
        grad x(g; x) = g.masked(&x.map(|x| x.isfinite())),
    }
}

op! {
    /// Replaces NaN and infinities in `input`.
    ///
    /// Args:
    ///     nan: stands for NaN, by default 0.
    ///     posinf: stands for infinity, by default the largest finite value of the dtype.
    ///     neginf: stands for minus infinity, by default the lowest finite value of the dtype.
    nan_to_num, in [TORCH, METHOD]; out, in_place {
        "(Tensor input, float? nan=None, float? posinf=None, float? neginf=None) -> Tensor" => |a| {
            let x = a.tensor(0);
            let d = x.dtype();
            x.replace_nonfinite(
                Scalar::Float(a.opt_float(1).unwrap_or(0.0)),
                finite(d, a.opt_float(2), 1.0),
                finite(d, a.opt_float(3), -1.0),
            )
        },
    }
}

/// Mantissas in [1/2, 1) and exponents.
fn frexp_of(x: &Tensor) -> Result<(Tensor, Tensor)> {
    use crate::cpu::special::Parts;
    crate::check!(
        x.dtype().is_floating(),
        Runtime,
        "torch.frexp() only supports floating-point dtypes"
    );
    x.need_cpu("frexp")?;
    let wide = crate::autograd::no_grad(|| {
        x.detach()
            .to_dtype(if x.dtype() == DType::F64 {
                DType::F64
            } else {
                DType::F32
            })?
            .contiguous()
    })?;
    let exponent = Tensor::empty(x.sizes(), DType::I32, x.device())?;
    let out = exponent.data_ptr() as *mut i32;
    let mantissa = Tensor::empty(x.sizes(), wide.dtype(), x.device())?;
    macro_rules! of {
        ($T:ty) => {
            for (i, &v) in wide.as_slice::<$T>()?.iter().enumerate() {
                let (m, e) = Parts::frexp(v);
                // SAFETY: both results were made with one element per element of `x`.
                unsafe {
                    (mantissa.data_ptr() as *mut $T).add(i).write(m);
                    out.add(i).write(e);
                }
            }
        };
    }
    if wide.dtype() == DType::F64 {
        of!(f64)
    } else {
        of!(f32)
    }
    let mantissa = mantissa.to_dtype(x.dtype())?;
    if crate::autograd::needs_grad(&[x]) {
        let e = exponent.clone();
        crate::autograd::record_stateless("FrexpBackward0", &[x], &[&mantissa], move |g| {
            let scale = Tensor::wrapped(2.0)?.pow(&e.neg()?)?;
            crate::autograd::engine::grads([g.when(0, || g.get(0)?.mul(&scale))?])
        });
    }
    Ok((mantissa, exponent))
}

op! {
    /// Takes `input` apart into mantissas in [1/2, 1) and int32 exponents of two.
    frexp, in [TORCH, METHOD]; out {
        "(Tensor input) -> (Tensor mantissa, Tensor exponent)" => |a| {
            let (mantissa, exponent) = frexp_of(&a.tensor(0))?;
            Ok(Value::Named("frexp", &["mantissa", "exponent"], vec![mantissa, exponent]))
        },
    }
}

pub static ROWS: &[&crate::ops::OpDef] = &[
    &_where::DEF,
    &r#where::DEF,
    &where__::DEF,
    &masked_fill::DEF,
    &fill__::DEF,
    &_clamp::DEF,
    &clamp_min::DEF,
    &clamp_max::DEF,
    &clamp::DEF,
    &lerp::DEF,
    &addcmul::DEF,
    &addcdiv::DEF,
    &_nan_to_num::DEF,
    &nan_to_num::DEF,
    &frexp::DEF,
];
