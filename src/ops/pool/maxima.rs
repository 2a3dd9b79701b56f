//! Maxima of windows, where they lie, and the way back from them.

use super::windows::{Windows, adaptive_sizes, each, planes_of, record_second, times};
use crate::autograd::{self, Saved, engine::grads, record};
use crate::cpu::pool as kernel;
use crate::dtype::DType;
use crate::error::Result;
use crate::ops::args::Args;
use crate::ops::conv::fill_slice;
use crate::shape::{self, Sizes};
use crate::tensor::Tensor;
use smallvec::SmallVec;

/// Adds each element of `g` at its index in a plane of zeros: the gradient of everything that picks maxima.
fn spread(
    g: &Tensor,
    indices: &Tensor,
    n: usize,
    sizes: &[usize],
    x: Option<&Tensor>,
) -> Result<Tensor> {
    let out = Tensor::empty(sizes, g.dtype(), g.device())?;
    let planes = planes_of(&out, n);
    let (data, at) = (g.detach().contiguous()?, indices.contiguous()?);
    crate::dispatch_of!("max_pool_backward", g.dtype(), reals, T => {
        kernel::max_pool_backward(planes, data.as_slice::<T>()?, at.as_slice::<i64>()?, fill_slice::<T>(&out)?)
    });
    let at = indices.clone();
    record_second(
        "MaxPoolWithIndicesBackwardBackward0",
        g,
        x,
        &out,
        move |h| pick(h, &at, n),
    );
    Ok(out)
}

/// The elements of planes of `g` at the indices: the other way around.
fn pick(g: &Tensor, indices: &Tensor, n: usize) -> Result<Tensor> {
    let out = Tensor::empty(indices.sizes(), g.dtype(), g.device())?;
    let planes = planes_of(&out, n);
    let (x, at) = (g.detach().contiguous()?, indices.contiguous()?);
    crate::dispatch_of!("max_unpool_backward", g.dtype(), reals, T => {
        kernel::max_unpool_backward(planes, x.as_slice::<T>()?, at.as_slice::<i64>()?, fill_slice::<T>(&out)?)
            .map_err(|i| bad_index(i, g, n))?
    });
    if autograd::needs_grad(&[g]) {
        let (at, sizes) = (indices.clone(), Sizes::from_slice(g.sizes()));
        record("MaxUnpoolBackwardBackward0", &[g], &[&out], move |h| {
            grads([Some(spread(&h.get(0)?, &at, n, &sizes, None)?)])
        });
    }
    Ok(out)
}

fn bad_index(i: i64, out: &Tensor, n: usize) -> crate::error::Error {
    let space = times(out.sizes()[out.ndim() - n..].iter().map(|&s| s as i64));
    crate::err!(
        Runtime,
        "Found an invalid max index: {i} (output volumes are of size {space})"
    )
}

/// Records a choice of maxima.
pub(super) fn record_choice(
    name: &'static str,
    x: &Tensor,
    out: &Tensor,
    indices: &Tensor,
    n: usize,
) {
    if autograd::needs_grad(&[x]) {
        let (at, saved) = (indices.clone(), Saved::input(x));
        record(name, &[x], &[out, indices], move |g| {
            let x = saved.get(g)?;
            grads([Some(spread(&g.get(0)?, &at, n, x.sizes(), Some(&x))?)])
        });
    }
}

const MAX_NAMES: [&str; 4] = [
    "",
    "SqueezeBackward1",
    "MaxPool2DWithIndicesBackward0",
    "MaxPool3DWithIndicesBackward0",
];

const ADAPTIVE_MAX_NAMES: [&str; 4] = [
    "",
    "SqueezeBackward1",
    "AdaptiveMaxPool2DBackward0",
    "AdaptiveMaxPool3DBackward0",
];

const UNPOOL_NAMES: [&str; 4] = [
    "",
    "SqueezeBackward1",
    "MaxUnpool2DBackward0",
    "MaxUnpool3DBackward0",
];

pub(super) fn max_pool(op: &str, n: usize, a: &Args) -> Result<(Tensor, Tensor)> {
    let x = a.tensor(0);
    x.need_cpu(op)?;
    let w = Windows::new(
        op,
        &x,
        n,
        a.ints(1),
        a.ints(2),
        a.ints(3),
        a.ints(4),
        a.bool(5),
    )?;
    let out = Tensor::empty(&w.sizes, x.dtype(), x.device())?;
    let indices = Tensor::empty(&w.sizes, DType::I64, x.device())?;
    let data = x.detach().contiguous()?;
    crate::dispatch_of!(op, x.dtype(), reals, T => {
        kernel::max_pool(&w.shape, data.as_slice::<T>()?, fill_slice::<T>(&out)?, fill_slice::<i64>(&indices)?)
    });
    record_choice(MAX_NAMES[n], &x, &out, &indices, n);
    Ok((out, indices))
}

pub(super) fn adaptive_max_pool(op: &str, n: usize, a: &Args) -> Result<(Tensor, Tensor)> {
    let x = a.tensor(0);
    x.need_cpu(op)?;
    let s = adaptive_sizes(op, n, &x, a.ints(1))?;
    let out = Tensor::empty(&s.2, x.dtype(), x.device())?;
    let indices = Tensor::empty(&s.2, DType::I64, x.device())?;
    let data = x.detach().contiguous()?;
    let planes = planes_of(&x, n);
    crate::dispatch_of!(op, x.dtype(), floats, T => {
        if out.numel() > 0 {
            kernel::adaptive_max_pool(
                planes, s.0, s.1, data.as_slice::<T>()?, fill_slice::<T>(&out)?, fill_slice::<i64>(&indices)?,
            )
        }
    });
    record_choice(ADAPTIVE_MAX_NAMES[n], &x, &out, &indices, n);
    Ok((out, indices))
}

pub(super) fn max_unpool(n: usize, a: &Args) -> Result<Tensor> {
    let (x, indices) = (a.tensor(0), a.tensor(1));
    x.need_cpu("max_unpool")?;
    let op = format!("max_unpool{n}d");
    let kernel = each(&op, "kernel_size", a.ints(2), n)?;
    let stride = if a.ints(3).is_empty() {
        kernel.clone()
    } else {
        each(&op, "stride", a.ints(3), n)?
    };
    let padding = each(&op, "padding", a.ints(4), n)?;
    crate::check!(
        indices.dtype() == DType::I64,
        Runtime,
        "elements in indices should be type int64 but got: {}",
        indices.dtype().scalar_name()
    );
    crate::check!(
        x.ndim() == n + 1 || x.ndim() == n + 2,
        Runtime,
        "Input to max_unpooling{n}d should be a {}d or {}d Tensor, but got a tensor with {} dimensions.",
        n + 1,
        n + 2,
        x.ndim()
    );
    crate::check!(
        x.sizes() == indices.sizes(),
        Runtime,
        "Expected shape of indices to be same as that of the input tensor ({}) but got indices tensor with shape: {}",
        shape::list(x.sizes()),
        shape::list(indices.sizes())
    );
    let lead = x.ndim() - n;
    let usual: Vec<i64> = (0..n)
        .map(|d| (x.sizes()[lead + d] as i64 - 1) * stride[d] - 2 * padding[d] + kernel[d])
        .collect();
    let out: Vec<i64> = match a.opt_ints(5) {
        None => usual,
        Some(v) => {
            crate::check!(
                v.len() == n || v.len() == n + 2 || v.len() == x.ndim(),
                Value,
                "output_size should be a sequence containing {n} or {} elements, but it has a length of '{}'",
                n + 2,
                v.len()
            );
            let v = &v[v.len() - n..];
            for d in 0..n {
                let (lo, hi) = (usual[d] - stride[d], usual[d] + stride[d]);
                crate::check!(
                    lo < v[d] && v[d] < hi,
                    Value,
                    "invalid output_size \"{}\" (dim {d} must be between {lo} and {hi})",
                    shape::list(v).replace('[', "(").replace(']', ")")
                );
            }
            v.to_vec()
        }
    };
    let mut sizes: Sizes = SmallVec::from_slice(&x.sizes()[..lead]);
    sizes.extend_from_slice(&shape::sizes_of(&op, &out)?);
    let to = Tensor::zeros(&sizes, x.dtype(), x.device())?;
    let planes = planes_of(&to, n);
    let (data, at) = (x.detach().contiguous()?, indices.contiguous()?);
    crate::dispatch_of!("max_unpooling", x.dtype(), reals, T => {
        kernel::max_unpool(planes, data.as_slice::<T>()?, at.as_slice::<i64>()?, fill_slice::<T>(&to)?)
            .map_err(|i| bad_index(i, &to, n))?
    });
    if autograd::needs_grad(&[&x]) {
        record(UNPOOL_NAMES[n], &[&x], &[&to], move |g| {
            grads([Some(pick(&g.get(0)?, &at, n)?)])
        });
    }
    Ok(to)
}
