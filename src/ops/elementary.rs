//! Exponentials, logarithms, roots, trigonometric and hyperbolic functions.

pointwise! {
    /// Returns a new tensor with the exponential of the elements of `input`.
    exp(x) -> Float {
        float = x.exp(),
        complex = x.exp(),
        wgsl = "exp(x)",
        grad x(g; out) = g * out.conj(),
    }
}

pointwise! {
    /// Returns two to the power of the elements of `input`.
    exp2(x) -> Float, alias ["special.exp2"] {
        float = x.exp2(),
        complex = x.exp2(),
        wgsl = "exp2(x)",
        grad x(g; out) = g * out.conj() * std::f64::consts::LN_2,
    }
}

pointwise! {
    /// Returns the exponential of the elements of `input` minus one, exact near zero.
    expm1(x) -> Float, alias ["special.expm1"] {
        float = x.exp_m1(),
        complex = x.exp_m1(),
        wgsl = "expm1(x)",
        grad x(g; out) = g * (out + 1.0).conj(),
    }
}

pointwise! {
    /// Returns the natural logarithm of the elements of `input`.
    log(x) -> Float {
        float = x.ln(),
        complex = x.ln(),
        wgsl = "log(x)",
        grad x(g; x) = g / x.conj(),
    }
}

pointwise! {
    /// Returns the logarithm to base 2 of the elements of `input`.
    log2(x) -> Float {
        float = x.log2(),
        complex = x.log2(),
        wgsl = "log2(x)",
        grad x(g; x) = g / (x.conj() * std::f64::consts::LN_2),
    }
}

pointwise! {
    /// Returns the logarithm to base 10 of the elements of `input`.
    log10(x) -> Float {
        float = x.log10(),
        complex = x.log10(),
        wgsl = "log10(x)",
        grad x(g; x) = g / (x.conj() * std::f64::consts::LN_10),
    }
}

pointwise! {
    /// Returns the natural logarithm of one plus the elements of `input`, exact near zero.
    log1p(x) -> Float, alias ["special.log1p"] {
        float = x.ln_1p(),
        complex = x.ln_1p(),
        wgsl = "log1p(x)",
        grad x(g; x) = g / (x + 1.0).conj(),
    }
}

pointwise! {
    /// Returns the square root of the elements of `input`; NaN for negative numbers.
    sqrt(x) -> Float {
        float = x.sqrt(),
        complex = x.sqrt(),
        wgsl = "sqrt(x)",
        grad x(g; out) = g / (out * 2.0).conj(),
    }
}

pointwise! {
    /// Returns the reciprocal of the square root of the elements of `input`.
    rsqrt(x) -> Float {
        float = x.rsqrt(),
        complex = x.rsqrt(),
        wgsl = "rsqrt(x)",
        grad x(g; out) = g * out.pow_scalar(3).conj() * -0.5,
    }
}

pointwise! {
    /// Returns one divided by the elements of `input`.
    reciprocal(x) -> Float {
        float = x.recip(),
        complex = x.recip(),
        wgsl = "div(1.0, x)",
        grad x(g; out) = -(g * (out * out).conj()),
    }
}

pointwise! {
    /// Returns the sine of the elements of `input`, in radians.
    sin(x) -> Float {
        float = x.sin(),
        complex = x.sin(),
        wgsl = "sin(x)",
        grad x(g; x) = g * x.cos().conj(),
    }
}

pointwise! {
    /// Returns the cosine of the elements of `input`, in radians.
    cos(x) -> Float {
        float = x.cos(),
        complex = x.cos(),
        wgsl = "cos(x)",
        grad x(g; x) = -(g * x.sin().conj()),
    }
}

pointwise! {
    /// Returns the tangent of the elements of `input`, in radians.
    tan(x) -> Float {
        float = x.tan(),
        complex = x.tan(),
        wgsl = "tan(x)",
        grad x(g; out) = g * (out * out + 1.0).conj(),
    }
}

pointwise! {
    /// Returns the angle in radians whose sine is each element of `input`.
    asin(x) -> Float, alias ["arcsin"] {
        float = x.asin(),
        complex = x.asin(),
        wgsl = "asin(x)",
        grad x(g; x) = g * (1.0 - x * x).rsqrt().conj(),
    }
}

pointwise! {
    /// Returns the angle in radians whose cosine is each element of `input`.
    acos(x) -> Float, alias ["arccos"] {
        float = x.acos(),
        complex = x.acos(),
        wgsl = "acos(x)",
        grad x(g; x) = -(g * (1.0 - x * x).rsqrt().conj()),
    }
}

pointwise! {
    /// Returns the angle in radians whose tangent is each element of `input`.
    atan(x) -> Float, alias ["arctan"] {
        float = x.atan(),
        complex = x.atan(),
        wgsl = "atan(x)",
        grad x(g; x) = g / (x * x + 1.0).conj(),
    }
}

pointwise! {
    /// Returns the hyperbolic sine of the elements of `input`.
    sinh(x) -> Float {
        float = x.sinh(),
        complex = x.sinh(),
        wgsl = "sinh(x)",
        grad x(g; x) = g * x.cosh().conj(),
    }
}

pointwise! {
    /// Returns the hyperbolic cosine of the elements of `input`.
    cosh(x) -> Float {
        float = x.cosh(),
        complex = x.cosh(),
        wgsl = "cosh(x)",
        grad x(g; x) = g * x.sinh().conj(),
    }
}

pointwise! {
    /// Returns a new tensor with the hyperbolic tangent of the elements of `input`.
    tanh(x) -> Float, in [TORCH, METHOD, NN] {
        float = x.tanh(),
        complex = x.tanh(),
        wgsl = "tanh(x)",
        grad x(g; out) = if out.is_complex() { g * (1.0 - out * out).conj() } else { g.tanh_backward(out) },
    }
}

pointwise! {
    /// Returns the inverse hyperbolic sine of the elements of `input`.
    asinh(x) -> Float, alias ["arcsinh"] {
        float = x.asinh(),
        complex = x.asinh(),
        wgsl = "asinh(x)",
        grad x(g; x) = g * (x * x + 1.0).rsqrt().conj(),
    }
}

pointwise! {
    /// Returns the inverse hyperbolic cosine of the elements of `input`; NaN below one.
    acosh(x) -> Float, alias ["arccosh"] {
        float = x.acosh(),
        complex = x.acosh(),
        wgsl = "acosh(x)",
        grad x(g; x) = g * if x.is_complex() { (x - 1.0).rsqrt() * (x + 1.0).rsqrt() } else { (x * x - 1.0).rsqrt() }.conj(),
    }
}

pointwise! {
    /// Returns the inverse hyperbolic tangent of the elements of `input`; NaN outside [-1, 1].
    atanh(x) -> Float, alias ["arctanh"] {
        float = x.atanh(),
        complex = x.atanh(),
        wgsl = "atanh(x)",
        grad x(g; x) = g / (1.0 - x * x).conj(),
    }
}

pointwise! {
    /// Returns `1 / (1 + exp(-x))` for the elements of `input`.
    sigmoid(x) -> Float, in [TORCH, METHOD, NN], alias ["special.expit"] {
        float = x.sigmoid(),
        complex = x.sigmoid(),
        wgsl = "sigmoid(x)",
        grad x(g; out) = if out.is_complex() { g * ((1.0 - out) * out).conj() } else { g.sigmoid_backward(out) },
    }
}

pointwise! {
    /// The gradient of the sigmoid with result `y`.
    _sigmoid_backward(g, y) -> Promote, in [PRIVATE], in_place no, rust sigmoid_backward {
        float = g * (R::ONE - y) * y,
        wgsl = "g * (1.0 - y) * y",
        grad g(h; y) = h.sigmoid_backward(y),
        grad y(h; g, y) = h * g * (1.0 - y * 2.0),
    }
}

pointwise! {
    /// The gradient of the hyperbolic tangent with result `y`.
    _tanh_backward(g, y) -> Promote, in [PRIVATE], in_place no, rust tanh_backward {
        float = g * (R::ONE - y * y),
        wgsl = "g * (1.0 - y * y)",
        grad g(h; y) = h.tanh_backward(y),
        grad y(h; g, y) = h * g * y * -2.0,
    }
}

pub static ROWS: &[&crate::ops::OpDef] = &[
    &exp::DEF,
    &exp2::DEF,
    &expm1::DEF,
    &log::DEF,
    &log2::DEF,
    &log10::DEF,
    &log1p::DEF,
    &sqrt::DEF,
    &rsqrt::DEF,
    &reciprocal::DEF,
    &sin::DEF,
    &cos::DEF,
    &tan::DEF,
    &asin::DEF,
    &acos::DEF,
    &atan::DEF,
    &sinh::DEF,
    &cosh::DEF,
    &tanh::DEF,
    &asinh::DEF,
    &acosh::DEF,
    &atanh::DEF,
    &sigmoid::DEF,
    &_sigmoid_backward::DEF,
    &_tanh_backward::DEF,
];
