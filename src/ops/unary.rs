//! Elementwise ops of one operand.


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
    /// Returns a new tensor with the negative of the elements of `input`.
    neg(x) -> Promote, alias ["negative"] {
        float = -x,
        int = x.wrapping_neg(),
        complex = -x,
        wgsl = "-x",
        wgsl_int = "0 - x",
        grad x(g) = -g,
    }
}

pointwise! {
    /// Returns a new tensor with the hyperbolic tangent of the elements of `input`.
    tanh(x) -> Float, in [TORCH, METHOD, NN] {
        float = x.tanh(),
        complex = x.tanh(),
        wgsl = "tanh(x)",
        grad x(g; out) = g * (1.0 - out * out).conj(),
    }
}

pointwise! {
    /// Returns the natural logarithm of the elements of `input`.
    log(x) -> Float {
        float = x.ln(),
        complex = x.ln(),
        wgsl = "log(x)",
        grad x(g; x) = g / x.conj() ,
    }
}

pointwise! {
    /// Returns whether each element of `input` is zero.
    logical_not(x) -> Bool {
        float = x == R::from_f64(0.0),
        int = x == I::ZERO,
        bool = !x,
        complex = x.is_zero(),
        wgsl = "x == 0",
    }
}

pointwise! {
    /// Returns whether both `input` and `other` are nonzero, elementwise.
    logical_and(a, b) -> Bool {
        float = a != R::from_f64(0.0) && b != R::from_f64(0.0),
        int = a != I::ZERO && b != I::ZERO,
        bool = a && b,
        complex = !a.is_zero() && !b.is_zero(),
        wgsl = "a != 0 && b != 0",
    }
}

pointwise! {
    /// Returns whether each element of `input` is NaN.
    isnan(x) -> Bool {
        float = x.is_nan(),
        int = false,
        bool = false,
        complex = x.is_nan(),
        wgsl = "isnan(x)",
        wgsl_int = "false",
    }
}

pub static ROWS: &[&crate::ops::OpDef] = &[&exp::DEF, &neg::DEF, &tanh::DEF, &isnan::DEF, &log::DEF, &logical_not::DEF, &logical_and::DEF, &conj_physical::DEF];

impl crate::tensor::Tensor {
    /// The complex conjugate; real tensors are returned as they are.
    pub fn conj(&self) -> crate::error::Result<crate::tensor::Tensor> {
        if self.dtype().is_complex() { self.conj_physical() } else { Ok(self.clone()) }
    }
}

pointwise! {
    /// Returns the complex conjugate of the elements of `input`; real tensors are copied.
    conj_physical(x) -> Promote {
        float = x,
        int = x,
        bool = x,
        complex = x.conj(),
        wgsl = "x",
        grad x(g) = g.conj(),
    }
}
