//! The affine map of the last axis.

use super::added::check_added;
use super::operand::{Mat, ONE, ZERO, check_inner, check_same_dtype, multiply};
use crate::autograd::{self, Saved, engine::grads, record};
use crate::error::Result;
use crate::shape::Sizes;
use crate::tensor::Tensor;
use smallvec::SmallVec;

impl Tensor {
    /// `self @ weight^T + bias` over the last axis.
    pub fn linear(&self, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
        let plain_bias = bias.is_none_or(|b| b.ndim() == 1);
        if weight.ndim() != 2 || self.ndim() == 0 || !plain_bias {
            let Some(bias) = bias else {
                return self.matmul(&weight.t()?);
            };
            crate::check!(
                weight.ndim() == 2,
                Runtime,
                "mat2 must be a matrix, got {}-D tensor",
                weight.ndim()
            );
            return if self.ndim() == 2 {
                bias.addmm(self, &weight.t()?, ONE, ONE)
            } else {
                self.matmul(&weight.t()?)?.add(bias)
            };
        }
        let made;
        let (x, a) = match Mat::folded(self) {
            Some(a) => (self, a),
            None => {
                made = self.contiguous()?;
                let Some(a) = Mat::folded(&made) else {
                    return made.matmul(&weight.t()?);
                };
                (&made, a)
            }
        };
        let b = Mat::of(weight).transposed();
        check_inner(&a, &b)?;
        match bias {
            Some(bias) => check_added(bias, x, weight)?,
            None => check_same_dtype(x, weight)?,
        }
        let mut sizes: Sizes = SmallVec::from_slice(x.sizes());
        let last = sizes.len() - 1;
        sizes[last] = b.cols;
        let out = Tensor::empty(&sizes, x.dtype(), x.device())?;
        if let Some(bias) = bias {
            if bias.numel() != b.cols {
                // The sizes PyTorch's message names are those of the folded product.
                bias.expand_to(&[a.rows, b.cols])?;
            }
            out.write_from(bias)?;
        }
        let beta = if bias.is_some() { ONE } else { ZERO };
        multiply("addmm_impl_cpu_", &a, &b, &[], &out, ONE, beta)?;
        let absent = weight;
        if autograd::needs_grad(&[bias.unwrap_or(absent), x, weight]) {
            let (rows, k, n) = (a.rows as i64, a.cols as i64, b.cols as i64);
            let (xs, ws) = (Saved::input(x), Saved::input(weight));
            let backward = move |g: &autograd::Grads,
                                 first: usize|
                  -> Result<(Option<Tensor>, Option<Tensor>, Tensor)> {
                let grad = g.get(0)?;
                let flat = if grad.ndim() == 2 {
                    grad.clone()
                } else {
                    grad.reshape(&[rows, n])?
                };
                let to_x = g.when(first, || {
                    let w = ws.get(g)?.conj()?;
                    let flat = flat.mm(&w)?;
                    let mut sizes: SmallVec<[usize; 5]> = SmallVec::from_slice(grad.sizes());
                    let last = sizes.len() - 1;
                    sizes[last] = k as usize;
                    flat.reshape_to(&sizes)
                })?;
                let to_weight = g.when(first + 1, || {
                    let x = xs.get(g)?.conj()?;
                    let x = if x.ndim() == 2 {
                        x
                    } else {
                        x.reshape(&[rows, k])?
                    };
                    flat.t()?.mm(&x)
                })?;
                Ok((to_x, to_weight, flat))
            };
            match bias {
                Some(bias) => {
                    let name = if x.ndim() == 2 {
                        "AddmmBackward0"
                    } else {
                        "ViewBackward0"
                    };
                    record(name, &[bias, x, weight], &[&out], move |g| {
                        let (to_x, to_weight, flat) = backward(g, 1)?;
                        grads([g.when(0, || flat.sum_dims(&[0], false))?, to_x, to_weight])
                    });
                }
                None => {
                    let name = match x.ndim() {
                        1 => "SqueezeBackward4",
                        2 => "MmBackward0",
                        _ => "UnsafeViewBackward0",
                    };
                    record(name, &[x, weight], &[&out], move |g| {
                        let (to_x, to_weight, _) = backward(g, 0)?;
                        grads([to_x, to_weight])
                    });
                }
            }
        }
        Ok(out)
    }
}
op! {
    /// Applies an affine map to the last axis: `input @ weight.T + bias`.
    ///
    /// Args:
    ///     input: of size (*, in_features).
    ///     weight: of size (out_features, in_features) or (in_features).
    ///     bias: of size (out_features) or ().
    linear, in [NN] {
        "(Tensor input, Tensor weight, Tensor? bias=None) -> Tensor" =>
            |a| a.tensor(0).linear(&a.tensor(1), a.opt_tensor(2)),
    }
}
