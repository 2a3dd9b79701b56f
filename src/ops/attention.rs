//! Scaled dot-product attention and the softmax it needs.

use super::conv::fill_slice;
use crate::autograd::{self, Saved, engine::grads, record};
use crate::cpu::math::Real;
use crate::cpu::parallel::for_range;
use crate::dtype::DType;
use crate::error::Result;
use crate::shape::Sizes;
use crate::tensor::Tensor;
use smallvec::SmallVec;

/// Exponentials of a row over their sum; zeros for a row of nothing but minus infinity.
fn softmax_row<R: Real + std::ops::AddAssign>(x: &[R], y: &mut [R]) {
    let mut top = f64::NEG_INFINITY;
    for v in x {
        let v = v.to_f64();
        // A NaN stays the maximum, so that the row becomes NaN.
        if v > top || v.is_nan() {
            top = v;
        }
    }
    if top == f64::NEG_INFINITY {
        return y.fill(R::from_f64(0.0));
    }
    let top = R::from_f64(top);
    let mut sum = R::from_f64(0.0);
    for (y, x) in y.iter_mut().zip(x) {
        *y = (*x - top).exp();
        sum += *y;
    }
    for y in y.iter_mut() {
        *y /= sum;
    }
}

/// The softmax over the last axis, zero where every element is minus infinity.
fn safe_softmax(x: &Tensor) -> Result<Tensor> {
    let out = Tensor::empty(x.sizes(), x.dtype(), x.device())?;
    let data = x.detach().contiguous()?;
    let len = x.size(-1)?;
    let rows = x.numel() / len.max(1);
    macro_rules! run {
        ($T:ty) => {{
            let (x, y) = (
                data.as_slice::<$T>()?,
                crate::cpu::gemm::Shared(fill_slice::<$T>(&out)?.as_mut_ptr()),
            );
            for_range(rows, (1 << 13) / len.max(1) + 1, |from, to| {
                let y = &y;
                for r in from..to {
                    // SAFETY: rows lie in the result and are dealt out to threads.
                    let y = unsafe { std::slice::from_raw_parts_mut(y.0.add(r * len), len) };
                    softmax_row(&x[r * len..(r + 1) * len], y);
                }
            });
        }};
    }
    match x.dtype() {
        DType::F32 => run!(f32),
        DType::F64 => run!(f64),
        d => crate::bail!(
            NotImplemented,
            "\"softmax\" not implemented for '{}'",
            d.scalar_name()
        ),
    }
    if autograd::needs_grad(&[x]) {
        let saved = Saved::output(&out, 0);
        record("SafeSoftmaxBackward0", &[x], &[&out], move |g| {
            let (grad, y) = (g.get(0)?, saved.get(g)?);
            let weighted = grad.mul(&y)?;
            let last = weighted.ndim().saturating_sub(1);
            grads([Some(
                weighted.sub(&y.mul(&weighted.sum_dims(&[last], true)?)?)?,
            )])
        });
    }
    Ok(out)
}

/// Whether key j may be seen by query i: no key after the query.
fn causal_mask(queries: usize, keys: usize) -> Result<Tensor> {
    let t = Tensor::empty(&[queries, keys], DType::Bool, crate::device::Device::Cpu)?;
    for (at, seen) in fill_slice::<bool>(&t)?.iter_mut().enumerate() {
        *seen = at % keys <= at / keys;
    }
    Ok(t)
}

/// Each head of keys and values serves `times` heads of queries.
fn repeat_heads(t: &Tensor, times: usize) -> Result<Tensor> {
    if times == 1 {
        return Ok(t.clone());
    }
    let at = t.ndim() - 2;
    let mut sizes: Sizes = SmallVec::from_slice(t.sizes());
    sizes.insert(at, times);
    let wide = t.unsqueeze(at as i64)?.expand_to(&sizes)?;
    sizes.remove(at);
    sizes[at - 1] *= times;
    wide.reshape_to(&sizes)
}

#[derive(Clone, Copy)]
pub struct Options {
    pub dropout: f64,
    pub causal: bool,
    pub scale: Option<f64>,
    pub grouped: bool,
}

/// `softmax(q @ k^T * scale + mask) @ v` over the last two axes (Vaswani et al., 2017).
pub fn attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    mask: Option<&Tensor>,
    o: Options,
) -> Result<Tensor> {
    crate::check!(
        q.dtype() == k.dtype() && k.dtype() == v.dtype(),
        Runtime,
        "Expected query, key, and value to have the same dtype, but got query.dtype: {} key.dtype: {} and value.dtype: {} \
         instead.",
        q.dtype().native_name(),
        k.dtype().native_name(),
        v.dtype().native_name()
    );
    crate::check!(
        q.ndim() >= 2 && k.ndim() >= 2 && v.ndim() >= 2,
        Runtime,
        "Expected query, key, and value to all be  at least 2 dimensional, but got query.dim: {} key.dim: {} and value.dim: {} \
         instead.",
        q.ndim(),
        k.ndim(),
        v.ndim()
    );
    crate::check!(
        (0.0..=1.0).contains(&o.dropout),
        Runtime,
        "dropout probability has to be between 0 and 1, but got {}",
        o.dropout
    );
    if let Some(m) = mask {
        crate::check!(
            m.dtype() == DType::Bool || m.dtype() == DType::F32 || m.dtype() == q.dtype(),
            Runtime,
            "Expected attn_mask dtype to be bool or float or to match query dtype, but got attn_mask.dtype: {} and  \
             query.dtype: {} instead.",
            m.dtype().native_name(),
            q.dtype().native_name()
        );
    }
    crate::check!(
        q.dtype().is_floating(),
        NotImplemented,
        "\"scaled_dot_product_attention\" not implemented for '{}'",
        q.dtype().scalar_name()
    );
    // Halves are summed and exponentiated in float32 and rounded once, at the end.
    let dtype = q.dtype();
    let compute = dtype.compute();
    let (q, mut k, mut v) = (
        q.to_dtype(compute)?,
        k.to_dtype(compute)?,
        v.to_dtype(compute)?,
    );
    if o.grouped {
        let heads = |t: &Tensor| {
            if t.ndim() >= 3 {
                t.sizes()[t.ndim() - 3]
            } else {
                1
            }
        };
        for t in [&mut k, &mut v] {
            let (many, few) = (heads(&q), heads(t));
            crate::check!(
                few > 0 && many % few == 0,
                Runtime,
                "Number of heads in key and value must divide the number of heads in query, got {few} and {many}"
            );
            *t = repeat_heads(t, many / few)?;
        }
    }
    let scale = o.scale.unwrap_or(1.0 / (q.size(-1)? as f64).sqrt());
    let mut scores = q.mul_scalar(scale)?.matmul(&k.transpose(-2, -1)?)?;
    let hidden = Tensor::wrapped(f64::NEG_INFINITY)?;
    if o.causal {
        scores = causal_mask(q.size(-2)?, k.size(-2)?)?.where_(&scores, &hidden)?;
    }
    if let Some(m) = mask {
        scores = if m.dtype() == DType::Bool {
            m.where_(&scores, &hidden)?
        } else {
            scores.add(&m.to_dtype(compute)?)?
        };
    }
    let weights = super::dropout::dropped(&safe_softmax(&scores)?, o.dropout)?;
    weights.matmul(&v)?.to_dtype(dtype)
}

op! {
    /// Returns averages of values, weighted by the softmax of the products of queries with keys.
    ///
    /// Args:
    ///     query: of size (..., L, E).
    ///     key: of size (..., S, E).
    ///     value: of size (..., S, Ev).
    ///     attn_mask: broadcasts to (..., L, S); bool: what takes part; float: added to the products.
    ///     dropout_p: probability with which a weight is dropped.
    ///     is_causal: no query sees a key after it.
    ///     scale: factor of the products; by default 1 / sqrt(E).
    ///     enable_gqa: a head of keys and values may serve several heads of queries.
    scaled_dot_product_attention, in [NN] {
        "(Tensor query, Tensor key, Tensor value, Tensor? attn_mask=None, float dropout_p=0.0, bool is_causal=False, *, float? scale=None, bool enable_gqa=False) -> Tensor" => |a| {
            let o = Options { dropout: a.float(4), causal: a.bool(5), scale: a.opt_float(6), grouped: a.bool(7) };
            attention(&a.tensor(0), &a.tensor(1), &a.tensor(2), a.opt_tensor(3), o)
        },
    }
}

pub static ROWS: &[&crate::ops::OpDef] = &[&scaled_dot_product_attention::DEF];
