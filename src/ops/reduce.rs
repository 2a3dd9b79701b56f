//! Reductions over axes.

use crate::autograd::{self, engine::grads, record_stateless};
use crate::cpu::reduce::{self, Fold};
use crate::dtype::DType;
use crate::error::Result;
use crate::shape::{self, Sizes};
use crate::tensor::Tensor;
use smallvec::SmallVec;

/// The axes to reduce: all of them where the list is missing or empty.
pub fn axes(dims: Option<&[i64]>, ndim: usize) -> Result<SmallVec<[usize; 5]>> {
    match dims {
        Some(d) if !d.is_empty() => {
            let mut d = shape::wrap_dims(d, ndim)?;
            // A 0-d tensor has one virtual axis.
            d.retain(|&mut d| d < ndim);
            Ok(d)
        }
        _ => Ok((0..ndim).collect()),
    }
}

/// Sizes after reducing `dims`.
pub fn reduced_sizes(sizes: &[usize], dims: &[usize], keepdim: bool) -> Sizes {
    (0..sizes.len())
        .filter_map(|d| match (dims.contains(&d), keepdim) {
            (false, _) => Some(sizes[d]),
            (true, true) => Some(1),
            (true, false) => None,
        })
        .collect()
}

/// Broadcasts a reduced gradient or result back over the axes it lost.
pub fn unreduce(g: &Tensor, sizes: &[usize], dims: &[usize], keepdim: bool) -> Result<Tensor> {
    let mut g = g.clone();
    if !keepdim {
        let kept: Vec<i64> =
            (0..sizes.len()).map(|d| if dims.contains(&d) { 1 } else { sizes[d] as i64 }).collect();
        g = g.reshape(&kept)?;
    }
    g.expand_to(sizes)
}

/// The input seen as rows to fold: reduced axes last, contiguous.
pub fn as_rows(x: &Tensor, dims: &[usize]) -> Result<(Tensor, usize, usize)> {
    let order: SmallVec<[i64; 6]> = (0..x.ndim())
        .filter(|d| !dims.contains(d))
        .chain((0..x.ndim()).filter(|d| dims.contains(d)))
        .map(|d| d as i64)
        .collect();
    let len: usize = dims.iter().map(|&d| x.sizes()[d]).product();
    let rows: usize = (0..x.ndim()).filter(|d| !dims.contains(d)).map(|d| x.sizes()[d]).product();
    let t = autograd::no_grad(|| x.detach().permute(&order)?.contiguous())?;
    Ok((t, rows, len))
}

/// Folds the axes `dims` of `x` into `out` where both live.
fn fold(kind: Fold, x: &Tensor, dims: &[usize], out: &Tensor) -> Result<()> {
    #[cfg(feature = "gpu")]
    if !x.device().is_cpu() {
        return match kind {
            Fold::Sum => crate::gpu::fold("sum", crate::gpu::Fold::Sum, x, dims, out),
            Fold::Any => crate::gpu::fold("any", crate::gpu::Fold::Any, x, dims, out),
        };
    }
    reduce::fold(kind, x, dims, out)
}

impl Tensor {
    /// Sums over axes into `dtype` (default: int64 for integers, else the input's).
    pub fn sum_with(&self, dims: &[usize], keepdim: bool, dtype: Option<DType>) -> Result<Tensor> {
        let dtype = dtype.unwrap_or(if self.dtype().is_integral() { DType::I64 } else { self.dtype() });
        let x = self.to_dtype(dtype)?;
        let sizes = reduced_sizes(x.sizes(), dims, keepdim);
        let out = Tensor::empty(&sizes, dtype, x.device())?;
        fold(Fold::Sum, &x, dims, &out)?;
        if autograd::needs_grad(&[&x]) {
            let full: Sizes = SmallVec::from_slice(x.sizes());
            let dims: SmallVec<[usize; 5]> = SmallVec::from_slice(dims);
            let name = if dims.len() == full.len() && !keepdim { "SumBackward0" } else { "SumBackward1" };
            record_stateless(name, &[&x], &[&out], move |g| {
                grads([Some(unreduce(&g.get(0)?, &full, &dims, keepdim)?)])
            });
        }
        Ok(out)
    }

    pub fn sum_dims(&self, dims: &[usize], keepdim: bool) -> Result<Tensor> {
        self.sum_with(dims, keepdim, Some(self.dtype()))
    }

    /// The sum of all elements.
    pub fn sum_all(&self) -> Result<Tensor> {
        self.sum_with(&(0..self.ndim()).collect::<SmallVec<[usize; 5]>>(), false, None)
    }

    /// Sums broadcast axes until the sizes are `sizes`.
    pub fn sum_to(&self, sizes: &[usize]) -> Result<Tensor> {
        if self.sizes() == sizes {
            return Ok(self.clone());
        }
        let lead = self.ndim().saturating_sub(sizes.len());
        let dims: SmallVec<[usize; 5]> = (0..self.ndim())
            .filter(|&d| d < lead || (sizes[d - lead] == 1 && self.sizes()[d] != 1))
            .collect();
        let summed = if dims.is_empty() { self.clone() } else { self.sum_dims(&dims, true)? };
        if lead > 0 { summed.reshape_to(sizes) } else { Ok(summed) }
    }

    /// Whether any element is true.
    pub fn any(&self) -> Result<Tensor> {
        let dims: SmallVec<[usize; 5]> = (0..self.ndim()).collect();
        let out = Tensor::empty(&[], DType::Bool, self.device())?;
        fold(Fold::Any, &self.detach().to_dtype(DType::Bool)?, &dims, &out)?;
        Ok(out)
    }

    pub fn mean_dims(&self, dims: &[usize], keepdim: bool) -> Result<Tensor> {
        let n: usize = dims.iter().map(|&d| self.sizes()[d]).product();
        self.sum_dims(dims, keepdim)?.div_scalar(n as f64)
    }
}

op! {
    /// Returns the sum of the elements of `input`, over `dim` if given. Integers sum in int64.
    sum, in [TORCH, METHOD]; out {
        "(Tensor input, *, ScalarType? dtype=None) -> Tensor" => |a| {
            let t = a.tensor(0);
            t.sum_with(&axes(None, t.ndim())?, false, a.dtype(1))
        },
        "(Tensor input, int[1]? dim, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor" => |a| {
            let t = a.tensor(0);
            t.sum_with(&axes(a.opt_ints(1), t.ndim())?, a.bool(2), a.dtype(3))
        },
    }
}

pub static ROWS: &[&crate::ops::OpDef] = &[&sum::DEF];
