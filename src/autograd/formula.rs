//! Gradient formulas as arithmetic: a tensor or the first error that happened on the way to it.

use crate::error::Result;
use crate::scalar::Scalar;
use crate::tensor::Tensor;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// A tensor inside a formula. Every operation is a public, differentiable op, so formulas have derivatives too.
#[derive(Clone)]
pub struct Term(pub Result<Tensor>);

impl From<Tensor> for Term {
    fn from(t: Tensor) -> Term {
        Term(Ok(t))
    }
}
impl From<&Tensor> for Term {
    fn from(t: &Tensor) -> Term {
        Term(Ok(t.clone()))
    }
}
impl From<&Term> for Term {
    fn from(t: &Term) -> Term {
        t.clone()
    }
}
impl From<Result<Tensor>> for Term {
    fn from(t: Result<Tensor>) -> Term {
        Term(t)
    }
}

impl Term {
    /// Applies any function of a tensor.
    pub fn map(&self, f: impl FnOnce(&Tensor) -> Result<Tensor>) -> Term {
        Term(match &self.0 {
            Ok(t) => f(t),
            Err(e) => Err(e.clone()),
        })
    }

    /// Applies any function of two tensors.
    pub fn zip(&self, other: &Term, f: impl FnOnce(&Tensor, &Tensor) -> Result<Tensor>) -> Term {
        Term(match (&self.0, &other.0) {
            (Ok(a), Ok(b)) => f(a, b),
            (Err(e), _) | (_, Err(e)) => Err(e.clone()),
        })
    }

    /// The complex conjugate; real tensors are their own.
    pub fn conj(&self) -> Term {
        self.map(|t| t.conj())
    }

    pub fn real(&self) -> Term {
        self.map(|t| t.real())
    }

    pub fn is_complex(&self) -> bool {
        self.0.as_ref().is_ok_and(|t| t.dtype().is_complex())
    }

    /// `self` where `mask`, `other` elsewhere.
    pub fn select(mask: &Term, yes: &Term, no: &Term) -> Term {
        Term(match (&mask.0, &yes.0, &no.0) {
            (Ok(m), Ok(a), Ok(b)) => m.where_(a, b),
            (Err(e), _, _) | (_, Err(e), _) | (_, _, Err(e)) => Err(e.clone()),
        })
    }

    /// Zero where the mask is false: NaN and infinity do not leak through, unlike a product.
    pub fn masked(&self, mask: &Term) -> Term {
        self.zip(mask, |t, m| m.where_(t, &Tensor::wrapped(0i64)?))
    }

    pub fn less_than(&self, x: impl Into<Scalar>) -> Term {
        self.map(|t| t.lt(&Tensor::wrapped(x)?))
    }
    pub fn greater_than(&self, x: impl Into<Scalar>) -> Term {
        self.map(|t| t.gt(&Tensor::wrapped(x)?))
    }
    pub fn at_most(&self, x: impl Into<Scalar>) -> Term {
        self.map(|t| t.le(&Tensor::wrapped(x)?))
    }
    pub fn at_least(&self, x: impl Into<Scalar>) -> Term {
        self.map(|t| t.ge(&Tensor::wrapped(x)?))
    }
    pub fn equals(&self, x: impl Into<Scalar>) -> Term {
        self.map(|t| t.eq(&Tensor::wrapped(x)?))
    }
    pub fn not_equal_to(&self, x: impl Into<Scalar>) -> Term {
        self.map(|t| t.ne(&Tensor::wrapped(x)?))
    }
    /// Whether the real part is at least `x`.
    pub fn at_least_real(&self, x: f64) -> Term {
        self.map(|t| t.real()?.ge(&Tensor::wrapped(x)?))
    }
    pub fn pow_scalar(&self, x: impl Into<Scalar>) -> Term {
        self.map(|t| t.pow(&Tensor::wrapped(x)?))
    }
    pub fn zeros_like(&self) -> Term {
        self.map(|t| Tensor::zeros(t.sizes(), t.dtype(), t.device()))
    }
}

macro_rules! arithmetic {
    ($($Trait:ident $method:ident),*) => { $(
        impl $Trait<&Term> for &Term { type Output = Term; fn $method(self, o: &Term) -> Term { self.zip(o, |a, b| a.$method(b)) } }
        impl $Trait<Term> for &Term { type Output = Term; fn $method(self, o: Term) -> Term { self.zip(&o, |a, b| a.$method(b)) } }
        impl $Trait<&Term> for Term { type Output = Term; fn $method(self, o: &Term) -> Term { self.zip(o, |a, b| a.$method(b)) } }
        impl $Trait<Term> for Term { type Output = Term; fn $method(self, o: Term) -> Term { self.zip(&o, |a, b| a.$method(b)) } }
        arithmetic!(@number $Trait $method f64);
        arithmetic!(@number $Trait $method Scalar);
    )* };
    (@number $Trait:ident $method:ident $N:ty) => {
        impl $Trait<$N> for &Term { type Output = Term; fn $method(self, o: $N) -> Term { self.map(|a| a.$method(&Tensor::wrapped(o)?)) } }
        impl $Trait<$N> for Term { type Output = Term; fn $method(self, o: $N) -> Term { self.map(|a| a.$method(&Tensor::wrapped(o)?)) } }
        impl $Trait<&Term> for $N { type Output = Term; fn $method(self, o: &Term) -> Term { o.map(|b| Tensor::wrapped(self)?.$method(b)) } }
        impl $Trait<Term> for $N { type Output = Term; fn $method(self, o: Term) -> Term { o.map(|b| Tensor::wrapped(self)?.$method(b)) } }
    };
}
arithmetic!(Add add, Sub sub, Mul mul, Div div);

impl Neg for &Term {
    type Output = Term;
    fn neg(self) -> Term {
        self.map(|t| t.neg())
    }
}
impl Neg for Term {
    type Output = Term;
    fn neg(self) -> Term {
        self.map(|t| t.neg())
    }
}
