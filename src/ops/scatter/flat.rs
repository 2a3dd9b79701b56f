//! `take` and `put`: positions in the flattened tensor.

use super::gather;
use crate::autograd::{self, Grads, Saved, engine::grads, record};
use crate::cpu::index as kernel;
use crate::dtype::DType;
use crate::error::Result;
use crate::shape::{self, Sizes};
use crate::tensor::Tensor;
use smallvec::SmallVec;

fn flat_index(op: &str, index: &Tensor) -> Result<Tensor> {
    crate::check!(
        index.dtype() == DType::I64,
        Runtime,
        "{op}: Expected a long tensor for index, but got {}",
        index.dtype().scalar_name()
    );
    index.detach().contiguous()
}

fn flat_bounds(index: &Tensor, n: usize) -> Result<()> {
    kernel::check_bounds(index, -(n as i64), n, |i| {
        crate::err!(
            Index,
            "out of range: tried to access index {i} on a tensor of {n} elements."
        )
    })
}

/// The elements at positions of the flattened tensor.
pub fn take(x: &Tensor, index: &Tensor) -> Result<Tensor> {
    x.need_cpu("take")?;
    let at = autograd::no_grad(|| flat_index("take()", index))?;
    let n = x.numel();
    crate::check!(
        n > 0 || at.numel() == 0,
        Index,
        "take(): tried to take from an empty tensor"
    );
    flat_bounds(&at, n)?;
    let out = Tensor::empty(at.sizes(), x.dtype(), x.device())?;
    let positions = at.as_slice::<i64>()?;
    crate::dispatch_size!(x.dtype(), T => {
        let (src, dst) = (x.data_ptr() as *const T, out.data_ptr() as *mut T);
        for (k, &i) in positions.iter().enumerate() {
            let i = if i < 0 { i + n as i64 } else { i } as usize;
            let o = if x.is_contiguous() { i as isize } else { kernel::element_offset(x, i) };
            // SAFETY: the position was checked against the number of elements.
            unsafe { *dst.add(k) = *src.offset(o) };
        }
    });
    if autograd::needs_grad(&[x]) {
        let sizes: Sizes = SmallVec::from_slice(x.sizes());
        let saved = Saved::input(index);
        record("TakeBackward0", &[x], &[&out], move |g: &Grads| {
            let (g0, index) = (g.get(0)?, saved.get(g)?);
            grads([Some(put(
                &Tensor::zeros(&sizes, g0.dtype(), g0.device())?,
                &index,
                &g0,
                true,
            )?)])
        });
    }
    Ok(out)
}

/// A copy of `x` with values written at, or added to, positions of the flattened tensor.
pub fn put(x: &Tensor, index: &Tensor, source: &Tensor, accumulate: bool) -> Result<Tensor> {
    x.need_cpu("put_")?;
    let at = autograd::no_grad(|| flat_index("put_()", index))?;
    crate::check!(
        x.dtype() == source.dtype(),
        Runtime,
        "put_(): self and source expected to have the same dtype, but got self.dtype = {} and source.dtype = {}",
        x.dtype().scalar_name(),
        source.dtype().scalar_name()
    );
    crate::check!(
        source.numel() == at.numel(),
        Index,
        "put_(): Expected source and index to have the same number of elements, but got source.numel() = {}, \
         index.numel() = {}",
        source.numel(),
        at.numel()
    );
    let n = x.numel();
    crate::check!(
        n > 0 || at.numel() == 0,
        Index,
        "put_(): tried to put elements into an empty tensor"
    );
    flat_bounds(&at, n)?;
    let out = x.clone_data()?;
    let values = autograd::no_grad(|| source.detach().contiguous())?;
    let positions = at.as_slice::<i64>()?;
    crate::dispatch!(x.dtype(), T => {
        use kernel::Combine;
        let (src, dst) = (values.data_ptr() as *const T, out.data_ptr() as *mut T);
        for (k, &i) in positions.iter().enumerate() {
            let i = if i < 0 { i + n as i64 } else { i } as usize;
            let o = if out.is_contiguous() { i as isize } else { kernel::element_offset(&out, i) };
            // SAFETY: the position was checked against the number of elements; there is a value for each.
            unsafe {
                let (p, v) = (dst.offset(o), *src.add(k));
                *p = if accumulate { (*p).plus(v) } else { v };
            }
        }
    });
    if autograd::needs_grad(&[x, source]) {
        let sizes: Sizes = SmallVec::from_slice(source.sizes());
        let saved = Saved::input(index);
        record("PutBackward0", &[x, source], &[&out], move |g: &Grads| {
            let (g0, index) = (g.get(0)?, saved.get(g)?);
            let to_x = g.when(0, || {
                if accumulate {
                    return Ok(g0.clone());
                }
                put(
                    &g0,
                    &index,
                    &Tensor::zeros(index.sizes(), g0.dtype(), g0.device())?,
                    false,
                )
            })?;
            let to_source = g.when(1, || take(&g0, &index)?.reshape_to(&sizes))?;
            grads([to_x, to_source])
        });
    }
    Ok(out)
}

/// `gather` with the other axes broadcast, or over the flattened tensors.
fn take_along_dim(x: &Tensor, index: &Tensor, dim: Option<i64>) -> Result<Tensor> {
    crate::check!(
        index.dtype() == DType::I64,
        Runtime,
        "torch.take_along_dim(): dtype of indices should be Long but got {}",
        index.dtype().scalar_name()
    );
    let Some(dim) = dim else {
        return gather(&x.reshape(&[-1])?, 0, &index.reshape(&[-1])?);
    };
    crate::check!(
        x.ndim() == index.ndim(),
        Runtime,
        "torch.take_along_dim(): input and indices should have the same number of dimensions, but got {} dimensions for \
         input, and {} dimensions for indices",
        x.ndim(),
        index.ndim()
    );
    let d = shape::wrap_dim(dim, x.ndim())?;
    if x.ndim() == 0 {
        return gather(x, dim, index);
    }
    let (mut xs, mut is): (Sizes, Sizes) = (
        SmallVec::from_slice(x.sizes()),
        SmallVec::from_slice(index.sizes()),
    );
    xs[d] = 1;
    is[d] = 1;
    let mut full = shape::broadcast(&xs, &is)?;
    full[d] = x.sizes()[d];
    let wide = x.expand_to(&full)?;
    full[d] = index.sizes()[d];
    let at = index.expand_to(&full)?;
    // Indices count from the end where they are negative.
    let n = wide.sizes()[d] as i64;
    let below = at.lt(&Tensor::wrapped(0)?)?;
    let at = if below.any()?.item()?.to_bool() {
        below.where_(&at.add(&Tensor::wrapped(n)?)?, &at)?
    } else {
        at
    };
    gather(&wide, d as i64, &at)
}
op! {
    /// Returns the elements at positions of the flattened `input`; the result has the shape of the index.
    take, in [TORCH, METHOD]; out {
        "(Tensor input, Tensor index) -> Tensor" => |a| take(&a.tensor(0), &a.tensor(1)),
    }
}
op! {
    /// Returns a copy of `input` with `source` written at, or with `accumulate` added to, positions of the flattened tensor.
    put, in [TORCH, METHOD]; in_place {
        "(Tensor input, Tensor index, Tensor source, bool accumulate=False) -> Tensor" =>
            |a| put(&a.tensor(0), &a.tensor(1), &a.tensor(2), a.bool(3)),
    }
}
op! {
    /// Gathers along `dim` with the other axes broadcast; without `dim` from the flattened tensor.
    take_along_dim, in [TORCH, METHOD]; out {
        "(Tensor input, Tensor indices, int? dim=None) -> Tensor" =>
            |a| take_along_dim(&a.tensor(0), &a.tensor(1), a.opt_int(2)),
    }
}
