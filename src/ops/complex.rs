//! Complex numbers: parts, conjugates, angles and how to make them.

use crate::autograd::{self, engine::grads, record_stateless};
use crate::dtype::DType;
use crate::error::Result;
use crate::tensor::Tensor;

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

impl Tensor {
    /// The complex conjugate; real tensors are returned as they are.
    pub fn conj(&self) -> Result<Tensor> {
        if self.dtype().is_complex() {
            self.conj_physical()
        } else {
            Ok(self.clone())
        }
    }
}

op! {
    /// Returns the complex conjugate of the elements of `input`; real tensors are returned as they are.
    conj, in [TORCH, METHOD] {
        "(Tensor input) -> Tensor" => |a| a.tensor(0).conj(),
    }
}

pointwise! {
    /// Returns the angle of the elements of `input` in radians: of real numbers 0 or pi.
    angle(x) -> RealFloat, in_place no {
        float = R::select(x.is_nan(), x, R::select(x < R::ZERO, R::PI, R::ZERO)),
        complex = x.angle(),
        grad x(g; x) = if x.is_complex() {
            let turned = x * crate::scalar::Scalar::Complex(0.0, 1.0);
            (g * turned / (x * x.conj()).real()).masked(&x.not_equal_to(0.0))
        } else {
            g.zeros_like()
        },
    }
}

fn check_parts(real: &Tensor, imag: &Tensor) -> Result<()> {
    let ok = |t: &Tensor| matches!(t.dtype(), DType::F16 | DType::F32 | DType::F64);
    crate::check!(
        ok(real) && ok(imag),
        Runtime,
        "Expected both inputs to be Half, Float or Double tensors but got {} and {}",
        real.dtype().scalar_name(),
        imag.dtype().scalar_name()
    );
    crate::check!(
        real.dtype() == imag.dtype(),
        Runtime,
        "Expected object of scalar type {} but got scalar type {} for second argument",
        real.dtype().scalar_name(),
        imag.dtype().scalar_name()
    );
    Ok(())
}

impl Tensor {
    /// `real + i imag`.
    pub fn complex(&self, imag: &Tensor) -> Result<Tensor> {
        let real = self;
        check_parts(real, imag)?;
        let sizes = crate::shape::broadcast(real.sizes(), imag.sizes())?;
        real.same_device(imag)?;
        let out = Tensor::empty(&sizes, real.dtype().to_complex(), real.device())?;
        autograd::no_grad(|| -> Result<()> {
            let parts = out.view_as_real()?;
            parts.select(-1, 0)?.write_from(&real.expand_to(&sizes)?)?;
            parts.select(-1, 1)?.write_from(&imag.expand_to(&sizes)?)
        })?;
        // The views above made a record of the base; the result starts without one.
        let out = out.detach();
        if autograd::needs_grad(&[real, imag]) {
            record_stateless("ComplexBackward0", &[real, imag], &[&out], |g| {
                let real = g.when(0, || g.get(0)?.real())?;
                let imag = g.when(1, || g.get(0)?.imag())?;
                grads([real, imag])
            });
        }
        Ok(out)
    }
}

op! {
    /// Returns a complex tensor of the real parts `real` and the imaginary parts `imag`.
    complex, in [TORCH]; out {
        "(Tensor real, Tensor imag) -> Tensor" => |a| a.tensor(0).complex(&a.tensor(1)),
    }
}

op! {
    /// Returns a complex tensor of the moduli `abs` and the angles `angle` in radians.
    polar, in [TORCH]; out {
        "(Tensor abs, Tensor angle) -> Tensor" => |a| {
            let (abs, angle) = (a.tensor(0), a.tensor(1));
            check_parts(&abs, &angle)?;
            abs.mul(&angle.cos()?)?.complex(&abs.mul(&angle.sin()?)?)
        },
    }
}

pub static ROWS: &[&crate::ops::OpDef] = &[
    &conj_physical::DEF,
    &conj::DEF,
    &angle::DEF,
    &complex::DEF,
    &polar::DEF,
];
