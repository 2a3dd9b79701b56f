//! Factorizations of matrices and what follows from them: solving, inverting, determinants, and their gradients.
//!
//! Kernels run in double precision on each matrix of a batch and results are rounded to the input's dtype.

pub mod decompose;
pub mod exponential;
pub mod factor;
pub mod householder;
pub mod ldl;
pub mod least_squares;
pub mod norms;
pub mod packed;
pub mod systems;
pub mod tensors;

use super::conv::fill_slice;
use super::triangle::{Half, triangle};
use crate::autograd::{self, Saved, engine::grads, record};
use crate::cpu::linalg::{self as kernel, Field};
use crate::dtype::DType;
use crate::error::Result;
use crate::ops::args::Value;
use crate::scalar::{Element, Scalar};
use crate::shape::{self, Sizes};
use crate::tensor::Tensor;
use smallvec::SmallVec;

pub(super) use decompose::svd;
use factor::triangular_matrices;
pub(super) use systems::inverse;

type C = num_complex::Complex<f64>;

/// The double-precision dtype a kernel runs in.
fn wide(d: DType) -> DType {
    if d.is_complex() {
        DType::C128
    } else {
        DType::F64
    }
}

pub(super) fn check_matrix(op: &str, a: &Tensor) -> Result<()> {
    crate::check!(
        a.ndim() >= 2,
        Runtime,
        "{op}: The input tensor A must have at least 2 dimensions."
    );
    crate::check!(
        a.dtype().is_floating() || a.dtype().is_complex(),
        Runtime,
        "{op}: Expected a floating point or complex tensor as input. Got {}",
        a.dtype().scalar_name()
    );
    crate::check!(
        !matches!(a.dtype(), DType::F16 | DType::BF16),
        Runtime,
        "{op}: Low precision dtypes not supported. Got {}",
        a.dtype().scalar_name()
    );
    a.need_cpu(op)
}

pub(super) fn check_square(op: &str, a: &Tensor) -> Result<()> {
    check_matrix(op, a)?;
    let (m, n) = (a.size(-2)?, a.size(-1)?);
    crate::check!(
        m == n,
        Runtime,
        "{op}: A must be batches of square matrices, but they are {m} by {n} matrices"
    );
    Ok(())
}

/// Sizes with the last two axes replaced.
fn with_tail(a: &Tensor, tail: &[usize]) -> Sizes {
    let mut s: Sizes = SmallVec::from_slice(&a.sizes()[..a.ndim() - 2]);
    s.extend_from_slice(tail);
    s
}

/// Wide contiguous copies of operands and results, walked matrix by matrix.
fn widened(t: &Tensor) -> Result<Tensor> {
    t.detach().to_dtype(wide(t.dtype()))?.contiguous()
}

/// Runs `$body` with `$F` bound to the field of a dtype.
macro_rules! in_field {
    ($dtype:expr, $F:ident => $body:expr) => {
        if $dtype.is_complex() {
            type $F = C;
            $body
        } else {
            type $F = f64;
            $body
        }
    };
}
use in_field;

/// The conjugate transpose.
pub(super) fn adjoint(t: &Tensor) -> Result<Tensor> {
    t.transpose(-2, -1)?.conj()
}

/// The diagonal matrix of the last axis applied from the right: scales columns.
fn columns_by(t: &Tensor, d: &Tensor) -> Result<Tensor> {
    t.mul(&d.unsqueeze(-2)?)
}

fn rows_by(t: &Tensor, d: &Tensor) -> Result<Tensor> {
    t.mul(&d.unsqueeze(-1)?)
}

/// An identity matrix like the square part of `t`.
pub(super) fn identity(n: usize, t: &Tensor) -> Result<Tensor> {
    let out = Tensor::zeros(&[n, n], t.dtype(), t.device())?;
    out.as_strided(&[n], &[n as isize + 1], 0)?
        .fill(Scalar::Int(1))?;
    Ok(out)
}

pub(super) fn failed(op: &str, batched: bool, at: usize, what: String) -> crate::error::Error {
    let batch = if batched {
        format!(" (Batch element {at}):")
    } else {
        String::new()
    };
    crate::err!(LinAlg, "{op}:{batch} {what}")
}

fn singular(info: i32) -> String {
    format!(
        "The diagonal element {info} is zero, the inversion could not be completed because the input matrix is singular."
    )
}

fn infos(sizes: &[usize], v: &[i32]) -> Result<Tensor> {
    Tensor::from_slice_shaped(v, sizes)
}

fn named(name: &'static str, fields: &'static [&'static str], v: Vec<Tensor>) -> Value {
    Value::Named(name, fields, v)
}
