//! Elements and axes repeated.

use super::axes::flatten;
use crate::autograd::{self, engine::grads, record_stateless};
use crate::dtype::DType;
use crate::error::Result;
use crate::list;
use crate::ops::view::as_i64;
use crate::shape::{self, Sizes};
use crate::tensor::Tensor;
use smallvec::SmallVec;

/// Sizes with axes of size one in front until there are `ndim`.
fn padded(sizes: &[i64], ndim: usize) -> SmallVec<[i64; 6]> {
    let mut out: SmallVec<[i64; 6]> = SmallVec::from_elem(1, ndim.saturating_sub(sizes.len()));
    out.extend_from_slice(sizes);
    out
}

/// Sizes in which axis `d` is the pair (repeats, size).
fn pairs(sizes: &[usize], repeats: &[usize]) -> Sizes {
    repeats
        .iter()
        .zip(sizes)
        .flat_map(|(&r, &n)| [r, n])
        .collect()
}

fn repeat(x: &Tensor, repeats: &[i64]) -> Result<Tensor> {
    crate::check!(
        repeats.len() >= x.ndim(),
        Runtime,
        "Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor"
    );
    let own: Sizes = padded(&as_i64(x.sizes()), repeats.len())
        .iter()
        .map(|&n| n as usize)
        .collect();
    let total: SmallVec<[i64; 6]> = own
        .iter()
        .zip(repeats)
        .map(|(&n, &r)| (n as i64).saturating_mul(r))
        .collect();
    if let Some(bad) = total.iter().find(|&&n| n < 0) {
        crate::bail!(
            Runtime,
            "Trying to create tensor with negative dimension {bad}: {}",
            shape::list(&total)
        );
    }
    let repeats: Sizes = repeats.iter().map(|&r| r.max(0) as usize).collect();
    let sizes: Sizes = total.iter().map(|&n| n as usize).collect();
    let out = Tensor::empty(&sizes, x.dtype(), x.device())?;
    if out.numel() > 0 {
        autograd::no_grad(|| {
            let ones: Sizes = SmallVec::from_elem(1, own.len());
            out.reshape_to(&pairs(&own, &repeats))?
                .write_from(&x.reshape_to(&pairs(&own, &ones))?)
        })?;
    }
    if autograd::needs_grad(&[x]) {
        let back: Sizes = SmallVec::from_slice(x.sizes());
        record_stateless("RepeatBackward0", &[x], &[&out], move |g| {
            let dims: SmallVec<[usize; 5]> = (0..own.len()).map(|d| 2 * d).collect();
            let g = g
                .get(0)?
                .reshape_to(&pairs(&own, &repeats))?
                .sum_dims(&dims, false)?;
            grads([Some(g.reshape_to(&back)?)])
        });
    }
    Ok(out)
}

/// The positions `0, 0, 1, 1, 1, ...` that counts stand for.
fn repeat_positions(repeats: &Tensor, output_size: Option<i64>) -> Result<Tensor> {
    crate::check!(
        repeats.ndim() == 1,
        Runtime,
        "repeat_interleave only accept 1D vector as repeat"
    );
    crate::check!(
        matches!(repeats.dtype(), DType::I64 | DType::I32),
        NotImplemented,
        "\"repeat_interleave_cpu\" not implemented for '{}'",
        repeats.dtype().scalar_name()
    );
    let counts = repeats.to_vec::<i64>()?;
    crate::check!(
        counts.iter().all(|&c| c >= 0),
        Runtime,
        "repeats can not be negative"
    );
    let total: i64 = counts.iter().fold(0, |a: i64, &b| a.saturating_add(b));
    crate::check!(
        output_size.is_none_or(|n| n == total),
        Runtime,
        "allocated size does not match required size: output_size is {}, the repeats add up to {total}",
        output_size.unwrap_or(0)
    );
    let n = shape::numel(&[total as usize])?;
    let mut out: Vec<i64> = list::with_room(n)?;
    for (i, &c) in counts.iter().enumerate() {
        out.extend(std::iter::repeat_n(i as i64, c as usize));
    }
    let out = Tensor::from_slice(&out)?.to_dtype(repeats.dtype())?;
    out.to_device(repeats.device())
}

/// The tensor and axis that `repeat_interleave` works on: without an axis, the elements in a row.
fn along(x: &Tensor, dim: Option<i64>) -> Result<(Tensor, usize)> {
    let (x, d) = match dim {
        None => (flatten(x, 0, -1)?, 0),
        Some(d) => (x.clone(), shape::wrap_dim(d, x.ndim())?),
    };
    let x = if x.ndim() == 0 {
        x.reshape_to(&[1])?
    } else {
        x
    };
    Ok((x, d))
}

fn repeat_interleave_by(
    x: &Tensor,
    repeats: &Tensor,
    dim: Option<i64>,
    output_size: Option<i64>,
) -> Result<Tensor> {
    let scalar = x.ndim() == 0 && dim.is_some();
    let (x, d) = along(x, dim)?;
    crate::check!(
        repeats.ndim() <= 1,
        Runtime,
        "repeats must be 0-dim or 1-dim tensor"
    );
    let repeats = repeats.detach();
    let repeats = if repeats.numel() == 1 {
        repeats.reshape(&[1])?.expand_to(&[x.sizes()[d]])?
    } else {
        repeats
    };
    crate::check!(
        repeats.numel() == x.sizes()[d],
        Runtime,
        "repeats must have the same size as input along dim, but got repeats.size(0) = {} and input.size({d}) = {}",
        repeats.numel(),
        x.sizes()[d]
    );
    let at = repeat_positions(&repeats, output_size)?;
    let out = crate::ops::axis_index::index_select(&x, d as i64, &at)?;
    if scalar && out.numel() == 1 {
        out.reshape_to(&[])
    } else {
        Ok(out)
    }
}

fn repeat_interleave_evenly(
    x: &Tensor,
    repeats: i64,
    dim: Option<i64>,
    output_size: Option<i64>,
) -> Result<Tensor> {
    crate::check!(repeats >= 0, Runtime, "Repeats must be non-negative");
    let (x, d) = along(x, dim)?;
    let total = (x.sizes()[d] as i64).saturating_mul(repeats);
    crate::check!(
        output_size.is_none_or(|n| n == total),
        Runtime,
        "repeat_interleave: Invalid output_size, expected {total} but got {}",
        output_size.unwrap_or(0)
    );
    let mut sizes: Sizes = SmallVec::from_slice(x.sizes());
    sizes.insert(d + 1, repeats as usize);
    let wide = x
        .unsqueeze(d as i64 + 1)?
        .expand_to(&sizes)?
        .clone_recorded(crate::ops::args::MemoryFormat::Contiguous)?;
    sizes.remove(d + 1);
    sizes[d] = total as usize;
    wide.reshape_to(&sizes)
}
op! {
    /// Returns copies of `input` laid side by side, `repeats[d]` of them along axis `d`; extra repeats make new axes in front.
    repeat__, in [METHOD] {
        "(Tensor input, int[] repeats) -> Tensor" => |a| repeat(&a.tensor(0), a.ints(1)),
    }
}
op! {
    /// As `Tensor.repeat`, with missing repeats taken as one.
    tile, in [TORCH, METHOD] {
        "(Tensor input, int[] dims) -> Tensor" => |a| { let t = a.tensor(0); repeat(&t, &padded(a.ints(1), t.ndim())) },
    }
}
op! {
    /// Returns every element repeated `repeats` times, along `dim` or, without it, of all elements in a row.
    ///
    /// Example::
    ///
    ///     >>> torch.repeat_interleave(torch.tensor([1, 2]), 2)
    ///     tensor([1, 1, 2, 2])
    repeat_interleave, in [TORCH, METHOD] {
        "(Tensor input, Tensor repeats, int? dim=None, *, int? output_size=None) -> Tensor" =>
            |a| repeat_interleave_by(&a.tensor(0), &a.tensor(1), a.opt_int(2), a.opt_int(3)),
        "(Tensor input, int repeats, int? dim=None, *, int? output_size=None) -> Tensor" =>
            |a| repeat_interleave_evenly(&a.tensor(0), a.int(1), a.opt_int(2), a.opt_int(3)),
        "(Tensor repeats, *, int? output_size=None) -> Tensor" => |a| repeat_positions(&a.tensor(0), a.opt_int(1)),
    }
}

pub static ROWS: &[&crate::ops::OpDef] = &[&repeat__::DEF, &tile::DEF, &repeat_interleave::DEF];
