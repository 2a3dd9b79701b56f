//! Softmax and its relatives.

use super::minmax::by_dim;
use crate::autograd::{self, Saved, engine::grads, record};
use crate::cpu::rows::{self, Block};
use crate::dtype::DType;
use crate::error::Result;
use crate::shape;
use crate::tensor::Tensor;

fn block(x: &Tensor, d: usize) -> Block {
    let (outer, n, inner) = by_dim(x, d);
    Block { outer, n, inner }
}

/// Detached, contiguous and in the dtype the loops compute in.
fn prepared(x: &Tensor) -> Result<Tensor> {
    autograd::no_grad(|| x.detach().to_dtype(x.dtype().compute())?.contiguous())
}

impl Tensor {
    /// Softmax along `dim`, or its logarithm.
    pub fn softmax_of(&self, log: bool, dim: i64, dtype: Option<DType>) -> Result<Tensor> {
        let d = shape::wrap_dim(dim, self.ndim())?;
        let x = &self.to_dtype(dtype.unwrap_or(self.dtype()))?;
        if !x.device().is_cpu() {
            return composite(log, x, d);
        }
        let source = prepared(x)?;
        let out = Tensor::empty(x.sizes(), source.dtype(), x.device())?;
        let block = block(x, d);
        if x.numel() > 0 || !x.dtype().is_floating() {
            let (from, to) = (source.data_ptr(), out.data_ptr());
            match source.dtype() {
                // SAFETY: both hold the block's elements, of this dtype.
                DType::F32 => unsafe { rows::softmax::<f32>(log, block, from, to) },
                // SAFETY: as above.
                DType::F64 => unsafe { rows::softmax::<f64>(log, block, from, to) },
                d => crate::bail!(
                    NotImplemented,
                    "\"{}_lastdim_kernel_impl\" not implemented for '{}'",
                    if log { "log_softmax" } else { "softmax" },
                    d.scalar_name()
                ),
            }
        }
        let out = autograd::no_grad(|| out.to_dtype(x.dtype()))?;
        if autograd::needs_grad(&[x]) {
            let ys = Saved::output(&out, 0);
            let name = if log {
                "LogSoftmaxBackward0"
            } else {
                "SoftmaxBackward0"
            };
            record(name, &[x], &[&out], move |g| {
                grads([Some(backward(log, &g.get(0)?, &ys.get(g)?, d)?)])
            });
        }
        Ok(out)
    }

    pub fn softmax(&self, dim: i64) -> Result<Tensor> {
        self.softmax_of(false, dim, None)
    }
    pub fn log_softmax(&self, dim: i64) -> Result<Tensor> {
        self.softmax_of(true, dim, None)
    }
}

/// What softmax means, for devices without a kernel of its own.
fn composite(log: bool, x: &Tensor, d: usize) -> Result<Tensor> {
    let along: &[usize] = if x.ndim() == 0 { &[] } else { &[d] };
    let shifted = x.sub(&autograd::no_grad(|| x.amax(along, true))?)?;
    let e = shifted.exp()?;
    let sum = e.sum_dims(along, true)?;
    if log {
        shifted.sub(&sum.log()?)
    } else {
        e.div(&sum)
    }
}

/// The gradient through softmax from that of its result `y`.
fn backward(log: bool, g: &Tensor, y: &Tensor, d: usize) -> Result<Tensor> {
    g.need_cpu("softmax_backward")?;
    let (gs, ys) = (prepared(g)?, prepared(y)?);
    crate::check!(
        gs.dtype() == ys.dtype() && g.sizes() == y.sizes(),
        Runtime,
        "_softmax_backward_data: expected grad_output and output of the same dtype and shape"
    );
    let out = Tensor::empty(g.sizes(), gs.dtype(), g.device())?;
    let (a, b, c) = (gs.data_ptr(), ys.data_ptr(), out.data_ptr());
    match gs.dtype() {
        // SAFETY: all three hold the block's elements, of this dtype.
        DType::F32 => unsafe { rows::softmax_backward::<f32>(log, block(g, d), a, b, c) },
        // SAFETY: as above.
        DType::F64 => unsafe { rows::softmax_backward::<f64>(log, block(g, d), a, b, c) },
        d => crate::bail!(
            NotImplemented,
            "\"softmax_backward\" not implemented for '{}'",
            d.scalar_name()
        ),
    }
    let out = autograd::no_grad(|| out.to_dtype(g.dtype()))?;
    if autograd::needs_grad(&[g, y]) {
        let (gs, ys) = (Saved::input(g), Saved::input(y));
        record(
            if log {
                "LogSoftmaxBackwardDataBackward0"
            } else {
                "SoftmaxBackwardDataBackward0"
            },
            &[g, y],
            &[&out],
            move |v| {
                let (g, y, v0) = (gs.get(v)?, ys.get(v)?, v.get(0)?);
                let along: &[usize] = if g.ndim() == 0 { &[] } else { &[d] };
                if log {
                    // g - exp(y) sum(g)
                    let p = y.exp()?;
                    let to_g = v.when(0, || v0.sub(&v0.mul(&p)?.sum_dims(along, true)?))?;
                    let to_y = v.when(1, || v0.mul(&p)?.mul(&g.sum_dims(along, true)?)?.neg())?;
                    return grads([to_g, to_y]);
                }
                // y (g - sum(g y)): its Jacobian in g is symmetric.
                let to_g = v.when(0, || backward(false, &v0, &y, d))?;
                let to_y = v.when(1, || {
                    let inner = g.mul(&y)?.sum_dims(along, true)?;
                    let outer = v0.mul(&y)?.sum_dims(along, true)?;
                    v0.mul(&g)?.sub(&v0.mul(&inner)?)?.sub(&g.mul(&outer)?)
                })?;
                grads([to_g, to_y])
            },
        );
    }
    Ok(out)
}

/// The axis `nn.functional` takes where none is given.
fn implied(x: &Tensor) -> i64 {
    if matches!(x.ndim(), 0 | 1 | 3) { 0 } else { 1 }
}

op! {
    /// Returns `exp(x) / sum(exp(x))` along `dim`: numbers between 0 and 1 that sum to 1.
    softmax, in [TORCH, METHOD, SPECIAL]; out {
        "(Tensor input, int dim, ScalarType? dtype=None) -> Tensor" => |a| a.tensor(0).softmax_of(false, a.int(1), a.dtype(2)),
    }
}
op! {
    /// Returns the logarithm of softmax along `dim`, computed without overflow.
    log_softmax, in [TORCH, METHOD, SPECIAL]; out {
        "(Tensor input, int dim, ScalarType? dtype=None) -> Tensor" => |a| a.tensor(0).softmax_of(true, a.int(1), a.dtype(2)),
    }
}
op! {
    /// Returns the gradient of softmax from that of its result.
    _softmax_backward_data, in [TORCH]; out {
        "(Tensor grad_output, Tensor output, int dim, ScalarType input_dtype) -> Tensor" => |a| {
            let g = a.tensor(0);
            let d = shape::wrap_dim(a.int(2), g.ndim())?;
            backward(false, &g, &a.tensor(1), d)?.to_dtype(a.dtype(3).unwrap_or(g.dtype()))
        },
    }
}
op! {
    /// Returns the gradient of log_softmax from that of its result.
    _log_softmax_backward_data, in [TORCH]; out {
        "(Tensor grad_output, Tensor output, int dim, ScalarType input_dtype) -> Tensor" => |a| {
            let g = a.tensor(0);
            let d = shape::wrap_dim(a.int(2), g.ndim())?;
            backward(true, &g, &a.tensor(1), d)?.to_dtype(a.dtype(3).unwrap_or(g.dtype()))
        },
    }
}

pub static ROWS: &[&crate::ops::OpDef] = &[
    &softmax::DEF,
    &log_softmax::DEF,
    &_softmax_backward_data::DEF,
    &_log_softmax_backward_data::DEF,
];

/// The rows of `nn.functional`, where `dim` may be left out.
pub mod functional {
    use super::*;

    op! {
        /// Returns `exp(x) / sum(exp(x))` along `dim`: numbers between 0 and 1 that sum to 1.
        softmax, in [NN] {
            "(Tensor input, int? dim=None, int _stacklevel=3, ScalarType? dtype=None) -> Tensor" =>
                |a| { let x = a.tensor(0); x.softmax_of(false, a.opt_int(1).unwrap_or(implied(&x)), a.dtype(3)) },
        }
    }
    op! {
        /// Returns the logarithm of softmax along `dim`, computed without overflow.
        log_softmax, in [NN] {
            "(Tensor input, int? dim=None, int _stacklevel=3, ScalarType? dtype=None) -> Tensor" =>
                |a| { let x = a.tensor(0); x.softmax_of(true, a.opt_int(1).unwrap_or(implied(&x)), a.dtype(3)) },
        }
    }
    op! {
        /// Returns softmax of `-input` along `dim`.
        softmin, in [NN] {
            "(Tensor input, int? dim=None, int _stacklevel=3, ScalarType? dtype=None) -> Tensor" =>
                |a| { let x = a.tensor(0); x.neg()?.softmax_of(false, a.opt_int(1).unwrap_or(implied(&x)), a.dtype(3)) },
        }
    }

    pub static ROWS: &[&crate::ops::OpDef] = &[&softmax::DEF, &log_softmax::DEF, &softmin::DEF];
}
