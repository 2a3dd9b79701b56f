//! Activation functions of neural networks. Those that training runs most have their derivative as one fused row.

use crate::cpu::special;
use crate::dtype::DType;
use crate::error::Result;
use crate::ops::Pointwise;
use crate::ops::args::Args;
use crate::scalar::Scalar;
use crate::tensor::Tensor;

/// Runs an elementwise row on the first argument, over it where `in_place`.
fn activate(
    a: &Args,
    row: &'static Pointwise,
    params: &[Scalar],
    in_place: bool,
) -> Result<Tensor> {
    let x = a.tensor(0);
    if in_place {
        row.call_in_place(&[&x], params)
    } else {
        row.call(&[&x], params)
    }
}

/// The arguments from the second on as numbers.
fn numbers<const N: usize>(a: &Args) -> [Scalar; N] {
    std::array::from_fn(|i| a.scalar(i + 1))
}

/// The row in `torch.nn.functional` of an elementwise activation: its parameters, then `inplace`.
macro_rules! functional {
    ($name:ident, [$($space:ident),+], $row:ident, $count:literal, $doc:literal, $schema:literal $(; $flag:ident)?) => {
        op! {
            #[doc = $doc]
            $name, in [$($space),+] $(; $flag)? {
                $schema => |a| activate(a, &$row::POINTWISE, &numbers::<$count>(a), a.bool($count + 1)),
            }
        }
    };
}

fn rectifiable(_: &[&Tensor], _: &[Scalar], promoted: DType) -> Result<()> {
    crate::check!(
        promoted != DType::Bool,
        Runtime,
        "Boolean inputs not supported for relu"
    );
    crate::check!(
        !promoted.is_complex(),
        NotImplemented,
        "clamp is not supported for complex types"
    );
    Ok(())
}

pointwise! {
    /// Returns the elements of `input` where they are positive and 0 elsewhere.
    relu(x) -> Promote, check rectifiable {
        float = R::select((x > R::ZERO) | x.is_nan(), x, R::ZERO),
        int = if x > I::ZERO { x } else { I::ZERO },
        wgsl = "max(x, 0)",
        grad x(g; out) = g.threshold_backward(out, 0),
    }
}
functional!(relu__, [NN], relu, 0, " Returns the elements of `input` where they are positive and 0 elsewhere.",
    "(Tensor input, bool inplace=False) -> Tensor"; in_place);

pointwise! {
    /// `g` where `x` exceeds the threshold, 0 elsewhere.
    _threshold_backward(g, x; threshold) -> Promote,
    schema ["(Tensor grad_output, Tensor input, Scalar threshold) -> Tensor"], in [PRIVATE], in_place no,
    rust threshold_backward {
        float = R::select(x <= threshold, R::ZERO, g),
        int = if x <= threshold { I::ZERO } else { g },
        wgsl = "select(g, 0, x <= threshold)",
        grad g(h; x) = h.threshold_backward(x, threshold),
        grad x(h) = h.zeros_like(),
    }
}

pointwise! {
    /// Returns the elements of `input` where they exceed `threshold` and `value` elsewhere.
    threshold(x; threshold, value) -> Promote,
    schema ["(Tensor input, Scalar threshold, Scalar value) -> Tensor"], in [TORCH] {
        float = R::select(x <= threshold, value, x),
        int = if x <= threshold { value } else { x },
        wgsl = "select(x, value, x <= threshold)",
        grad x(g; x) = g.threshold_backward(x, threshold),
    }
}
functional!(
    threshold__,
    [NN],
    threshold,
    2,
    " Returns the elements of `input` where they exceed `threshold` and `value` elsewhere.",
    "(Tensor input, Scalar threshold, Scalar value, bool inplace=False) -> Tensor"
);
op! {
    /// Sets the elements that do not exceed `threshold` to `value`.
    threshold_, in [TORCH, NN] {
        "(Tensor input, Scalar threshold, Scalar value) -> Tensor" =>
            |a| activate(a, &threshold::POINTWISE, &numbers::<2>(a), true),
    }
}

fn holdable(_: &[&Tensor], params: &[Scalar], promoted: DType) -> Result<()> {
    crate::check!(
        promoted != DType::Bool,
        Runtime,
        "Bool inputs not supported for hardtanh"
    );
    crate::check!(
        !promoted.is_complex(),
        NotImplemented,
        "clamp is not supported for complex types"
    );
    crate::check!(
        promoted.is_signed() || params.iter().all(|p| p.to_f64() >= 0.0),
        Runtime,
        "cannot do hardtanh on an unsigned type with negative limits"
    );
    crate::check!(
        params[0].to_f64() <= params[1].to_f64(),
        Value,
        "min_val cannot be greater than max_val"
    );
    Ok(())
}

pointwise! {
    /// Holds `input` between two numbers.
    _hardtanh(x; min_val, max_val) -> Promote, schema ["(Tensor input, Scalar min_val=-1, Scalar max_val=1) -> Tensor"],
    in [PRIVATE], check holdable, rust hardtanh {
        float = x.clamp(min_val, max_val),
        int = Ord::min(Ord::max(x, min_val), max_val),
        wgsl = "clamp(x, min_val, max_val)",
        grad x(g; x) = g.hardtanh_backward(x, min_val, max_val),
    }
}

pointwise! {
    /// `g` where `x` lies strictly between two numbers, 0 elsewhere.
    _hardtanh_backward(g, x; min_val, max_val) -> Promote,
    schema ["(Tensor grad_output, Tensor input, Scalar min_val, Scalar max_val) -> Tensor"], in [PRIVATE], in_place no,
    rust hardtanh_backward {
        float = R::select((x <= min_val) | (x >= max_val), R::ZERO, g),
        wgsl = "select(g, 0, x <= min_val || x >= max_val)",
        grad g(h; x) = h.hardtanh_backward(x, min_val, max_val),
        grad x(h) = h.zeros_like(),
    }
}
functional!(hardtanh, [NN], _hardtanh, 2, " Holds the elements of `input` between `min_val` and `max_val`.",
    "(Tensor input, Scalar min_val=-1.0, Scalar max_val=1.0, bool inplace=False) -> Tensor"; in_place);
op! {
    /// Holds the elements of `input` between 0 and 6.
    relu6, in [NN]; in_place {
        "(Tensor input, bool inplace=False) -> Tensor" =>
            |a| activate(a, &_hardtanh::POINTWISE, &[Scalar::Int(0), Scalar::Int(6)], a.bool(1)),
    }
}

pointwise! {
    /// `input` where it is positive, elsewhere scaled by `negative_slope`.
    _leaky_relu(x; slope) -> Promote, schema ["(Tensor input, Scalar negative_slope=0.01) -> Tensor"], in [PRIVATE],
    rust leaky_relu {
        float = R::select(x > R::ZERO, x, x * slope),
        wgsl = "select(x * slope, x, x > 0)",
        grad x(g; x) = g.leaky_relu_backward(x, slope),
    }
}

pointwise! {
    /// `g` where `x` is positive, elsewhere scaled by the slope.
    _leaky_relu_backward(g, x; slope) -> Promote,
    schema ["(Tensor grad_output, Tensor input, Scalar negative_slope) -> Tensor"], in [PRIVATE], in_place no,
    rust leaky_relu_backward {
        float = R::select(x > R::ZERO, g, g * slope),
        wgsl = "select(g * slope, g, x > 0)",
        grad g(h; x) = h.leaky_relu_backward(x, slope),
        grad x(h) = h.zeros_like(),
    }
}
functional!(leaky_relu, [NN], _leaky_relu, 1,
    " Returns the elements of `input` where they are positive, elsewhere scaled by `negative_slope`.",
    "(Tensor input, Scalar negative_slope=0.01, bool inplace=False) -> Tensor"; in_place);

pointwise! {
    /// `scale * x` where `x` is positive, elsewhere `scale * alpha * (exp(input_scale * x) - 1)`.
    _elu(x; alpha, scale, input_scale) -> Promote,
    schema ["(Tensor input, Scalar alpha=1, Scalar scale=1, Scalar input_scale=1) -> Tensor"], in [PRIVATE], rust elu {
        float = R::select(x < R::ZERO, (x * input_scale).exp_m1() * (alpha * scale), x * scale),
        wgsl = "select(x * scale, expm1(x * input_scale) * alpha * scale, x < 0)",
        grad x(g; x) = g.elu_backward(x, alpha, scale, input_scale),
    }
}

pointwise! {
    /// The gradient of `_elu`.
    _elu_backward(g, x; alpha, scale, input_scale) -> Promote,
    schema ["(Tensor grad_output, Tensor input, Scalar alpha, Scalar scale, Scalar input_scale) -> Tensor"], in [PRIVATE],
    in_place no, rust elu_backward {
        float = g * R::select(x <= R::ZERO, (x * input_scale).exp() * (alpha * scale * input_scale), scale),
        wgsl = "g * select(scale, exp(x * input_scale) * alpha * scale * input_scale, x <= 0)",
        grad g(h; x) = h.elu_backward(x, alpha, scale, input_scale),
        grad x(h; g, x) = {
            let factor = alpha.to_f64() * scale.to_f64() * input_scale.to_f64() * input_scale.to_f64();
            let below = x.map(|x| x.clamp_max(&Tensor::wrapped(0)?));
            (h * g * (below * input_scale).exp() * factor).masked(&x.at_most(0))
        },
    }
}
op! {
    /// Returns `input` where it is positive, elsewhere `alpha * (exp(input) - 1)`.
    elu, in [NN]; in_place {
        "(Tensor input, Scalar alpha=1.0, bool inplace=False) -> Tensor" =>
            |a| activate(a, &_elu::POINTWISE, &[a.scalar(1), Scalar::Int(1), Scalar::Int(1)], a.bool(2)),
    }
}

/// Scale and alpha that keep mean 0 and variance 1 (Klambauer et al., "Self-normalizing neural networks", 2017).
const SELU_SCALE: f64 = 1.050_700_987_355_480_5;
const SELU_ALPHA: f64 = 1.673_263_242_354_377_3;

op! {
    /// Returns the self-normalizing exponential linear unit of `input`.
    selu, in [TORCH, NN]; in_place {
        "(Tensor input, bool inplace=False) -> Tensor" => |a| {
            let params = [Scalar::Float(SELU_ALPHA), Scalar::Float(SELU_SCALE), Scalar::Int(1)];
            activate(a, &_elu::POINTWISE, &params, a.bool(1))
        },
    }
}

op! {
    /// Returns `max(0, x) + min(0, alpha * (exp(x / alpha) - 1))` for the elements of `input`.
    celu, in [TORCH, NN]; in_place {
        "(Tensor input, Scalar alpha=1.0, bool inplace=False) -> Tensor" => |a| {
            let alpha = a.scalar(1).to_f64();
            crate::check!(alpha != 0.0, Runtime, "ZeroDivisionError: alpha cannot be 0 for CELU");
            let params = [Scalar::Float(alpha), Scalar::Int(1), Scalar::Float(1.0 / alpha)];
            activate(a, &_elu::POINTWISE, &params, a.bool(2))
        },
    }
}

pointwise! {
    /// `x * sigmoid(x)`.
    _silu(x) -> Promote, in [PRIVATE], rust silu {
        float = x * x.sigmoid(),
        complex = x * x.sigmoid(),
        wgsl = "x * sigmoid(x)",
        grad x(g; x) = if x.is_complex() {
            let s = x.sigmoid();
            g * (&s * (x * (1.0 - &s) + 1.0)).conj()
        } else {
            g.silu_backward(x)
        },
    }
}

pointwise! {
    /// The gradient of `_silu`.
    _silu_backward(g, x) -> Promote, in [PRIVATE], in_place no, rust silu_backward {
        float = {
            let s = x.sigmoid();
            g * s * (R::ONE + x * (R::ONE - s))
        },
        wgsl = "g * sigmoid(x) * (1.0 + x * (1.0 - sigmoid(x)))",
        grad g(h; x) = h.silu_backward(x),
        grad x(h; g, x) = {
            let s = x.sigmoid();
            h * g * &s * (1.0 - &s) * (x * (1.0 - &s * 2.0) + 2.0)
        },
    }
}
functional!(silu, [NN], _silu, 0, " Returns `x * sigmoid(x)` for the elements of `input`.",
    "(Tensor input, bool inplace=False) -> Tensor"; in_place);

/// `tanh(softplus(x))` without overflow: with `n = e^x`, `(n^2 + 2n) / (n^2 + 2n + 2)`.
#[inline(always)]
fn mish_gate<R: crate::cpu::math::Real>(x: R) -> R {
    let n = x.exp();
    let m = n * (n + R::TWO);
    R::select(x > R::from_f64(20.0), R::ONE, m / (m + R::TWO))
}

pointwise! {
    /// `x * tanh(softplus(x))`.
    _mish(x) -> Promote, in [PRIVATE], rust mish {
        float = x * mish_gate(x),
        wgsl = "x * tanh(log1p(exp(min(x, 30.0))))",
        grad x(g; x) = g.mish_backward(x),
    }
}

pointwise! {
    /// The gradient of `_mish`.
    _mish_backward(g, x) -> Promote, in [PRIVATE], in_place no, rust mish_backward {
        float = {
            let t = mish_gate(x);
            g * (t + x * x.sigmoid() * (R::ONE - t * t))
        },
        wgsl = "g * (tanh(log1p(exp(min(x, 30.0)))) + x * sigmoid(x) * (1.0 - tanh(log1p(exp(min(x, 30.0)))) * tanh(log1p(exp(min(x, 30.0))))))",
        grad g(h; x) = h.mish_backward(x),
        grad x(h; g, x) = {
            let s = x.sigmoid();
            let t = x.softplus(1, 20).tanh();
            h * g * &s * (1.0 - &t * &t) * (x * (1.0 - &s - &t * &s * 2.0) + 2.0)
        },
    }
}
functional!(mish, [NN], _mish, 0, " Returns `x * tanh(softplus(x))` for the elements of `input`.",
    "(Tensor input, bool inplace=False) -> Tensor"; in_place);

pointwise! {
    /// Returns `log(1 + exp(beta * x)) / beta` for the elements of `input`, and `x` where `beta * x > threshold`.
    softplus(x; beta, threshold) -> Promote, schema ["(Tensor input, Scalar beta=1, Scalar threshold=20) -> Tensor"],
    in [NN], in_place no {
        float = special::softplus(x, beta, threshold),
        wgsl = "select(log1p(exp(x * beta)) / beta, x, x * beta > threshold)",
        grad x(g; x) = g.softplus_backward(x, beta, threshold),
    }
}

pointwise! {
    /// The gradient of `softplus`.
    _softplus_backward(g, x; beta, threshold) -> Promote,
    schema ["(Tensor grad_output, Tensor input, Scalar beta, Scalar threshold) -> Tensor"], in [PRIVATE], in_place no,
    rust softplus_backward {
        float = R::select(x * beta > threshold, g, g * (x * beta).sigmoid()),
        wgsl = "select(g * sigmoid(x * beta), g, x * beta > threshold)",
        grad g(h; x) = h.softplus_backward(x, beta, threshold),
        grad x(h; g, x) = {
            let scaled = x * beta;
            let s = scaled.sigmoid();
            (h * g * &s * (1.0 - &s) * beta).masked(&scaled.at_most(threshold))
        },
    }
}

pointwise! {
    /// `x * Phi(x)` with the cumulative distribution of the normal distribution.
    _gelu(x) -> Promote, in [PRIVATE], rust gelu {
        float = R::HALF * x * (R::ONE + (x * R::FRAC_1_SQRT_2).erf()),
        wgsl = "0.5 * x * (1.0 + erf(x * 0.7071067811865476))",
        grad x(g; x) = g.gelu_backward(x),
    }
}

pointwise! {
    /// The gradient of `_gelu`.
    _gelu_backward(g, x) -> Promote, in [PRIVATE], in_place no, rust gelu_backward {
        float = {
            let cdf = R::HALF * (R::ONE + (x * R::FRAC_1_SQRT_2).erf());
            // The density of the normal distribution is 1 / sqrt(2 pi) exp(-x^2 / 2).
            let density = R::HALF * R::FRAC_2_SQRT_PI * R::FRAC_1_SQRT_2 * (x * x * -R::HALF).exp();
            g * (cdf + x * density)
        },
        wgsl = "g * (0.5 * (1.0 + erf(x * 0.7071067811865476)) + x * 0.3989422804014327 * exp(-0.5 * x * x))",
        grad g(h; x) = h.gelu_backward(x),
        grad x(h; g, x) = {
            let scale = 0.5 * std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2;
            let square = x * x;
            h * g * (&square * -0.5).exp() * (2.0 - &square) * scale
        },
    }
}

/// sqrt(2 / pi) and the cubic coefficient of Hendrycks and Gimpel, "Gaussian error linear units" (2016).
const GELU_SCALE: f64 = std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2;
const GELU_CUBIC: f64 = 0.044715;

pointwise! {
    /// `_gelu` with the distribution approximated by a hyperbolic tangent.
    _gelu_tanh(x) -> Promote, in [PRIVATE], rust gelu_tanh {
        float = {
            let inner = R::from_f64(GELU_SCALE) * (x + R::from_f64(GELU_CUBIC) * x * x * x);
            R::HALF * x * (R::ONE + inner.tanh())
        },
        wgsl = "0.5 * x * (1.0 + tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)))",
        grad x(g; x) = g.gelu_tanh_backward(x),
    }
}

pointwise! {
    /// The gradient of `_gelu_tanh`.
    _gelu_tanh_backward(g, x) -> Promote, in [PRIVATE], in_place no, rust gelu_tanh_backward {
        float = {
            let cubic = R::from_f64(GELU_CUBIC) * x * x;
            let t = (R::from_f64(GELU_SCALE) * (x + cubic * x)).tanh();
            let slope = R::from_f64(GELU_SCALE) * (R::ONE + R::from_f64(3.0) * cubic);
            g * R::HALF * (R::ONE + t + x * (R::ONE - t * t) * slope)
        },
        wgsl = "0.5 * g * (1.0 + tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)) + x * (1.0 - tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)) * tanh(0.7978845608028654 * (x + 0.044715 * x * x * x))) * 0.7978845608028654 * (1.0 + 0.134145 * x * x))",
        grad g(h; x) = h.gelu_tanh_backward(x),
        grad x(h; g, x) = {
            let square = x * x;
            let t = ((&square * GELU_CUBIC + 1.0) * x * GELU_SCALE).tanh();
            let slope = (&square * (3.0 * GELU_CUBIC) + 1.0) * GELU_SCALE;
            let bend = x * (6.0 * GELU_CUBIC * GELU_SCALE);
            h * g * (1.0 - &t * &t) * (&slope * 2.0 + x * (bend - &t * &slope * &slope * 2.0)) * 0.5
        },
    }
}

op! {
    /// Returns the Gaussian error linear unit `x * Phi(x)` of `input`.
    ///
    /// Args:
    ///     approximate: `'none'` for the distribution itself, `'tanh'` for an approximation by a hyperbolic tangent.
    gelu, in [NN]; out {
        "(Tensor input, *, str approximate='none') -> Tensor" => |a| match a.str(1) {
            "none" => a.tensor(0).gelu(),
            "tanh" => a.tensor(0).gelu_tanh(),
            _ => crate::bail!(Runtime, "approximate argument must be either none or tanh."),
        },
    }
}

pointwise! {
    /// `min(max(x + 3, 0), 6) / 6`.
    _hardsigmoid(x) -> Promote, in [PRIVATE], rust hardsigmoid {
        float = (x + R::from_f64(3.0)).clamp(R::ZERO, R::from_f64(6.0)) / R::from_f64(6.0),
        wgsl = "clamp(x + 3.0, 0.0, 6.0) / 6.0",
        grad x(g; x) = g.hardtanh_backward(x, -3, 3) * (1.0 / 6.0),
    }
}
functional!(hardsigmoid, [NN], _hardsigmoid, 0, " Returns `min(max(x + 3, 0), 6) / 6` for the elements of `input`.",
    "(Tensor input, bool inplace=False) -> Tensor"; in_place);

pointwise! {
    /// `x * min(max(x + 3, 0), 6) / 6`.
    _hardswish(x) -> Promote, in [PRIVATE], rust hardswish {
        float = x * (x + R::from_f64(3.0)).clamp(R::ZERO, R::from_f64(6.0)) / R::from_f64(6.0),
        wgsl = "x * clamp(x + 3.0, 0.0, 6.0) / 6.0",
        grad x(g; x) = g.hardswish_backward(x),
    }
}

pointwise! {
    /// The gradient of `_hardswish`.
    _hardswish_backward(g, x) -> Promote, in [PRIVATE], in_place no, rust hardswish_backward {
        float = {
            let three = R::from_f64(3.0);
            R::select(x <= -three, R::ZERO, R::select(x < three, g * (x / three + R::HALF), g))
        },
        wgsl = "select(select(g, g * (x / 3.0 + 0.5), x < 3.0), 0.0, x <= -3.0)",
        grad g(h; x) = h.hardswish_backward(x),
        grad x(h; g, x) = (h * g).hardtanh_backward(x, -3, 3) * (1.0 / 3.0),
    }
}
functional!(hardswish, [NN], _hardswish, 0, " Returns `x * min(max(x + 3, 0), 6) / 6` for the elements of `input`.",
    "(Tensor input, bool inplace=False) -> Tensor"; in_place);

pointwise! {
    /// Returns `log(sigmoid(x))` for the elements of `input`, without overflow.
    logsigmoid(x) -> Promote, in [NN], in_place no {
        float = special::log_sigmoid(x),
        wgsl = "min(x, 0.0) - log1p(exp(-abs(x)))",
        grad x(g; x) = g * (-x).sigmoid(),
    }
}

op! {
    /// Returns `x / (1 + |x|)` for the elements of `input`.
    softsign, in [NN] {
        "(Tensor input) -> Tensor" => |a| {
            let x = a.tensor(0);
            x.div(&x.abs()?.add_number(1)?)
        },
    }
}

op! {
    /// Returns `x - tanh(x)` for the elements of `input`.
    tanhshrink, in [NN] {
        "(Tensor input) -> Tensor" => |a| {
            let x = a.tensor(0);
            x.sub(&x.tanh()?)
        },
    }
}

fn shrinkable(_: &[&Tensor], params: &[Scalar], promoted: DType) -> Result<()> {
    let lambd = params[0].to_f64();
    crate::check!(
        !promoted.is_floating() || lambd >= 0.0,
        Runtime,
        "lambda must be in range [0, 3.40282e+38] for input dtype {}, but found {lambd}",
        promoted.scalar_name()
    );
    Ok(())
}

pointwise! {
    /// Moves the elements of `input` towards 0 by `lambd`, and to 0 where they are nearer.
    softshrink(x; lambd) -> Promote, schema ["(Tensor input, Scalar lambd=0.5) -> Tensor"], in [NN], in_place no,
    check shrinkable {
        // The product keeps NaN.
        float = R::select(x > lambd, x - lambd, R::select(x < -lambd, x + lambd, x * R::ZERO)),
        wgsl = "select(select(0.0, x + lambd, x < -lambd), x - lambd, x > lambd)",
        grad x(g; x) = g.shrink_backward(x, lambd),
    }
}

pointwise! {
    /// Returns the elements of `input` that lie outside `[-lambd, lambd]` and 0 for the others.
    hardshrink(x; lambd) -> Promote, schema ["(Tensor input, Scalar lambd=0.5) -> Tensor"], in [TORCH, METHOD, NN],
    in_place no {
        float = R::select((x >= -lambd) & (x <= lambd), R::ZERO, x),
        wgsl = "select(x, 0.0, x >= -lambd && x <= lambd)",
        grad x(g; x) = g.shrink_backward(x, lambd),
    }
}

pointwise! {
    /// `g` where `x` lies outside `[-lambd, lambd]`, 0 elsewhere.
    _shrink_backward(g, x; lambd) -> Promote, schema ["(Tensor grad_output, Tensor input, Scalar lambd) -> Tensor"],
    in [PRIVATE], in_place no, rust shrink_backward {
        float = R::select((x >= -lambd) & (x <= lambd), R::ZERO, g),
        wgsl = "select(g, 0.0, x >= -lambd && x <= lambd)",
        grad g(h; x) = h.shrink_backward(x, lambd),
        grad x(h) = h.zeros_like(),
    }
}

pointwise! {
    /// `x` where it is positive, elsewhere times `weight`.
    _prelu(x, weight) -> Promote, schema ["(Tensor input, Tensor weight) -> Tensor"], in [PRIVATE], in_place no,
    rust prelu_kernel {
        float = R::select(x > R::ZERO, x, x * weight),
        wgsl = "select(x * weight, x, x > 0)",
        grad x(g; x, weight) = g.prelu_backward(x, weight),
        grad weight(g; x) = (g * x).masked(&x.at_most(0)),
    }
}

pointwise! {
    /// `g` where `x` is positive, elsewhere times `weight`.
    _prelu_backward(g, x, weight) -> Promote, schema ["(Tensor grad_output, Tensor input, Tensor weight) -> Tensor"],
    in [PRIVATE], in_place no, rust prelu_backward {
        float = R::select(x > R::ZERO, g, g * weight),
        wgsl = "select(g * weight, g, x > 0)",
        grad g(h; x, weight) = h.prelu_backward(x, weight),
        grad x(h) = h.zeros_like(),
        grad weight(h; g, x) = (h * g).masked(&x.at_most(0)),
    }
}

fn prelu_of(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    crate::check!(
        x.dtype() == weight.dtype(),
        Runtime,
        "prelu: Type promoting not supported. Got {} and {}",
        x.dtype().scalar_name(),
        weight.dtype().scalar_name()
    );
    crate::check!(
        weight.ndim() <= 1,
        Runtime,
        "prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = {}",
        weight.ndim()
    );
    if weight.numel() == 1 {
        return x.prelu_kernel(&if x.ndim() == 0 {
            weight.reshape(&[])?
        } else {
            weight.clone()
        });
    }
    crate::check!(x.ndim() > 0, Runtime, "Not allow zero-dim input tensor.");
    let channels = if x.ndim() > 1 { x.sizes()[1] } else { 1 };
    crate::check!(
        channels == weight.numel(),
        Runtime,
        "Mismatch of parameter numbers and input channel size. Found parameter numbers = {} and channel size = {channels}.",
        weight.numel()
    );
    let mut shape = vec![1i64; x.ndim()];
    shape[1] = channels as i64;
    x.prelu_kernel(&weight.reshape(&shape)?)
}

op! {
    /// Returns the elements of `input` where they are positive, elsewhere scaled by `weight`.
    ///
    /// Args:
    ///     weight: one slope, or one per channel (dimension 1).
    prelu, in [TORCH, METHOD, NN] {
        "(Tensor input, Tensor weight) -> Tensor" => |a| prelu_of(&a.tensor(0), &a.tensor(1)),
    }
}

op! {
    /// Splits `input` into halves along `dim` and returns the first times the sigmoid of the second.
    glu, in [NN] {
        "(Tensor input, int dim=-1) -> Tensor" => |a| {
            let x = a.tensor(0);
            crate::check!(x.ndim() > 0, Runtime, "glu does not support scalars because halving size must be even");
            crate::check!(
                x.dtype().is_floating(),
                NotImplemented,
                "\"glu_cpu\" not implemented for '{}'",
                x.dtype().scalar_name()
            );
            let dim = crate::shape::wrap_dim(a.int(1), x.ndim())?;
            let n = x.sizes()[dim];
            crate::check!(n % 2 == 0, Runtime, "Halving dimension must be even, but dimension {dim} is size {n}");
            let half = (n / 2) as i64;
            let (value, gate) = (x.narrow(dim as i64, 0, half)?, x.narrow(dim as i64, half, half)?);
            value.mul(&gate.sigmoid()?)
        },
    }
}

pub static ROWS: &[&crate::ops::OpDef] = &[
    &relu::DEF,
    &relu__::DEF,
    &_threshold_backward::DEF,
    &threshold::DEF,
    &threshold__::DEF,
    &threshold_::DEF,
    &_hardtanh::DEF,
    &_hardtanh_backward::DEF,
    &hardtanh::DEF,
    &relu6::DEF,
    &_leaky_relu::DEF,
    &_leaky_relu_backward::DEF,
    &leaky_relu::DEF,
    &_elu::DEF,
    &_elu_backward::DEF,
    &elu::DEF,
    &selu::DEF,
    &celu::DEF,
    &_silu::DEF,
    &_silu_backward::DEF,
    &silu::DEF,
    &_mish::DEF,
    &_mish_backward::DEF,
    &mish::DEF,
    &softplus::DEF,
    &_softplus_backward::DEF,
    &_gelu::DEF,
    &_gelu_backward::DEF,
    &_gelu_tanh::DEF,
    &_gelu_tanh_backward::DEF,
    &gelu::DEF,
    &_hardsigmoid::DEF,
    &hardsigmoid::DEF,
    &_hardswish::DEF,
    &_hardswish_backward::DEF,
    &hardswish::DEF,
    &logsigmoid::DEF,
    &softsign::DEF,
    &tanhshrink::DEF,
    &softshrink::DEF,
    &hardshrink::DEF,
    &_shrink_backward::DEF,
    &_prelu::DEF,
    &_prelu_backward::DEF,
    &prelu::DEF,
    &glu::DEF,
];
