//! Shapes: flattening and moving axes, repeating and reversing them, broadcasting several tensors, in-place views.

use super::join::{cat, stack};
use super::view::{as_i64, as_strided_backward, view};
use crate::autograd::{self, Grads, engine::grads, record_stateless};
use crate::dtype::DType;
use crate::error::Result;
use crate::list;
use crate::shape::{self, Sizes, Strides};
use crate::tensor::Tensor;
use smallvec::SmallVec;

fn flatten(x: &Tensor, start: i64, end: i64) -> Result<Tensor> {
    let (start, end) = (
        shape::wrap_dim(start, x.ndim())?,
        shape::wrap_dim(end, x.ndim())?,
    );
    crate::check!(
        start <= end,
        Runtime,
        "flatten() has invalid args: start_dim cannot come after end_dim"
    );
    if x.ndim() == 0 {
        return x.reshape_to(&[1]);
    }
    if start == end {
        return Ok(x.clone());
    }
    let mut sizes: Sizes = SmallVec::from_slice(&x.sizes()[..start]);
    sizes.push(x.sizes()[start..=end].iter().product());
    sizes.extend_from_slice(&x.sizes()[end + 1..]);
    x.reshape_to(&sizes)
}

fn unflatten(x: &Tensor, dim: i64, sizes: &[i64]) -> Result<Tensor> {
    let d = shape::wrap_dim(dim, x.ndim())?;
    crate::check!(
        !sizes.is_empty(),
        Runtime,
        "unflatten: sizes must be non-empty"
    );
    crate::check!(
        x.ndim() > 0,
        Index,
        "Dimension specified as {dim} but tensor has no dimensions"
    );
    let inner = shape::infer_size(sizes, x.sizes()[d]).map_err(|e| {
        if e.message.starts_with("shape '") {
            crate::err!(
                Runtime,
                "unflatten: Provided sizes {} don't multiply up to the size of dim {d} ({}) in the input tensor",
                shape::list(sizes),
                x.sizes()[d]
            )
        } else {
            e
        }
    })?;
    let mut all = as_i64(&x.sizes()[..d]);
    all.extend(inner.iter().map(|&n| n as i64));
    all.extend(x.sizes()[d + 1..].iter().map(|&n| n as i64));
    x.view(&all)
}

fn movedim(x: &Tensor, from: &[i64], to: &[i64]) -> Result<Tensor> {
    crate::check!(
        from.len() == to.len(),
        Runtime,
        "movedim: Invalid source or destination dims: source ({} dims) should contain the same number of dims as \
         destination ({} dims)",
        shape::list(from),
        shape::list(to)
    );
    let wrap = |dims: &[i64], which: &str| -> Result<SmallVec<[usize; 5]>> {
        let mut out: SmallVec<[usize; 5]> = SmallVec::new();
        for &d in dims {
            let d = shape::wrap_dim(d, x.ndim())?;
            crate::check!(
                !out.contains(&d),
                Runtime,
                "movedim: repeated dim in `{which}` ({})",
                shape::list(dims)
            );
            out.push(d);
        }
        Ok(out)
    };
    let (from, to) = (wrap(from, "source")?, wrap(to, "destination")?);
    if x.ndim() == 0 {
        return x.alias();
    }
    let mut rest = (0..x.ndim()).filter(|d| !from.contains(d));
    let order: SmallVec<[i64; 6]> = (0..x.ndim())
        .filter_map(|d| match to.iter().position(|&t| t == d) {
            Some(i) => Some(from[i]),
            None => rest.next(),
        })
        .map(|d| d as i64)
        .collect();
    x.permute(&order)
}

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
    let out = super::axis_index::index_select(&x, d as i64, &at)?;
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
        .clone_recorded(super::args::MemoryFormat::Contiguous)?;
    sizes.remove(d + 1);
    sizes[d] = total as usize;
    wide.reshape_to(&sizes)
}

/// Reverses axes. The copy keeps the order of axes in memory.
pub fn flip(x: &Tensor, dims: &[i64]) -> Result<Tensor> {
    let axes = shape::wrap_dims(dims, x.ndim())?;
    let out = x.empty_like(x.dtype())?;
    let mut strides: Strides = SmallVec::from_slice(x.strides());
    let mut start = 0;
    for &d in axes.iter().filter(|&&d| d < x.ndim()) {
        start += strides[d] * (x.sizes()[d] as isize - 1).max(0);
        strides[d] = -strides[d];
    }
    if x.numel() > 0 {
        let reversed = autograd::no_grad(|| x.detach().as_strided_at(x.sizes(), &strides, start))?;
        out.write_from(&reversed)?;
    }
    if autograd::needs_grad(&[x]) {
        let dims: SmallVec<[i64; 6]> = SmallVec::from_slice(dims);
        record_stateless("FlipBackward0", &[x], &[&out], move |g| {
            grads([Some(flip(&g.get(0)?, &dims)?)])
        });
    }
    Ok(out)
}

fn roll(x: &Tensor, shifts: &[i64], dims: &[i64]) -> Result<Tensor> {
    crate::check!(!shifts.is_empty(), Runtime, "`shifts` required");
    let flat = dims.is_empty() && shifts.len() == 1;
    crate::check!(
        flat || shifts.len() == dims.len(),
        Runtime,
        "shifts and dimensions must align. shifts: {}, dims:{}",
        shifts.len(),
        dims.len()
    );
    let mut axes: SmallVec<[usize; 5]> = SmallVec::new();
    for &d in dims {
        crate::check!(
            x.ndim() > 0,
            Index,
            "Dimension specified as {d} but tensor has no dimensions"
        );
        axes.push(shape::wrap_dim(d, x.ndim())?);
    }
    let out = autograd::no_grad(|| -> Result<Tensor> {
        let mut y = x.detach();
        if flat {
            y = y.reshape(&[-1])?;
            axes.push(0);
        }
        for (&d, &s) in axes.iter().zip(shifts) {
            let n = y.sizes()[d] as i64;
            if n > 0 && s.rem_euclid(n) != 0 {
                let s = s.rem_euclid(n);
                y = cat(
                    &[y.narrow(d as i64, n - s, s)?, y.narrow(d as i64, 0, n - s)?],
                    d as i64,
                )?;
            }
        }
        let y = y.reshape_to(x.sizes())?;
        // A result of its own, also where nothing moved.
        let shared = y.storage().same(x.storage());
        Ok(if shared {
            y.clone_recorded(super::args::MemoryFormat::Contiguous)?
        } else {
            y.data_alias()
        })
    })?;
    if autograd::needs_grad(&[x]) {
        let back: SmallVec<[i64; 6]> = shifts.iter().map(|s| s.wrapping_neg()).collect();
        let dims: SmallVec<[i64; 6]> = SmallVec::from_slice(dims);
        record_stateless("RollBackward0", &[x], &[&out], move |g| {
            grads([Some(roll(&g.get(0)?, &back, &dims)?)])
        });
    }
    Ok(out)
}

fn rot90(x: &Tensor, k: i64, dims: &[i64]) -> Result<Tensor> {
    crate::check!(
        dims.len() == 2,
        Runtime,
        "expected total rotation dims == 2, but got dims = {}",
        dims.len()
    );
    crate::check!(
        x.ndim() >= 2,
        Runtime,
        "expected total dims >= 2, but got total dims = {}",
        x.ndim()
    );
    let (a, b) = (
        shape::wrap_dim(dims[0], x.ndim())?,
        shape::wrap_dim(dims[1], x.ndim())?,
    );
    crate::check!(
        a != b,
        Runtime,
        "expected rotation dims to be different, but got dim0 = {} and dim1 = {}",
        dims[0],
        dims[1]
    );
    let (a, b) = (a as i64, b as i64);
    let out = autograd::no_grad(|| -> Result<Tensor> {
        match k.rem_euclid(4) {
            1 => flip(x, &[b])?.transpose(a, b),
            2 => flip(x, &[a, b]),
            3 => flip(x, &[a])?.transpose(a, b),
            _ => x.clone_recorded(super::args::MemoryFormat::Contiguous),
        }
    })?
    .data_alias();
    if autograd::needs_grad(&[x]) {
        record_stateless("Rot90Backward0", &[x], &[&out], move |g| {
            grads([Some(rot90(&g.get(0)?, -k, &[a, b])?)])
        });
    }
    Ok(out)
}

/// Windows of `size` elements every `step` along an axis, in a new last axis; a view.
fn unfold(x: &Tensor, dim: i64, size: i64, step: i64) -> Result<Tensor> {
    let d = shape::wrap_dim(dim, x.ndim())?;
    let room = x.sizes().get(d).copied().unwrap_or(1) as i64;
    crate::check!(size >= 0, Runtime, "size is {size} but must be >= 0");
    crate::check!(
        size <= room,
        Runtime,
        "maximum size for tensor at dimension {d} is {room} but size is {size}"
    );
    crate::check!(step > 0, Runtime, "step is {step} but must be > 0");
    let windowed = |sizes: &[usize], strides: &[isize]| -> (Sizes, Strides) {
        let (mut n, mut s): (Sizes, Strides) =
            (SmallVec::from_slice(sizes), SmallVec::from_slice(strides));
        let along = s.get(d).copied().unwrap_or(1);
        if d < n.len() {
            n[d] = ((room - size) / step + 1) as usize;
            s[d] = along.wrapping_mul(step as isize);
        }
        n.push(size as usize);
        s.push(along);
        (n, s)
    };
    let (sizes, strides) = windowed(x.sizes(), x.strides());
    let base: Sizes = SmallVec::from_slice(x.sizes());
    let plain = shape::contiguous_strides(&base);
    let (back_sizes, back_strides) = windowed(&base, &plain);
    // SAFETY: the last window ends inside the axis.
    Ok(unsafe {
        view(x, x.offset(), sizes, strides, "UnfoldBackward0", move |g| {
            as_strided_backward(&g.get(0)?, &base, &plain, &back_sizes, &back_strides, 0)
        })
    })
}

/// The sizes all of the tensors broadcast to.
fn common_sizes(tensors: &[Tensor]) -> Result<Sizes> {
    tensors
        .iter()
        .try_fold(Sizes::new(), |s, t| shape::broadcast(&s, t.sizes()))
}

fn meshgrid(tensors: &[Tensor], indexing: &str) -> Result<Vec<Tensor>> {
    crate::check!(
        !tensors.is_empty(),
        Runtime,
        "meshgrid expects a non-empty TensorList"
    );
    for t in tensors {
        crate::check!(
            t.dtype() == tensors[0].dtype(),
            Runtime,
            "meshgrid expects all tensors to have the same dtype"
        );
        crate::check!(
            t.device() == tensors[0].device(),
            Runtime,
            "meshgrid expects all tensors to have the same device"
        );
    }
    for t in tensors {
        crate::check!(
            t.ndim() <= 1,
            Runtime,
            "torch.meshgrid: Expected 0D or 1D tensor in the tensor list but got: {}D of shape {}",
            t.ndim(),
            shape::list(t.sizes())
        );
    }
    let swap = match indexing {
        "ij" => false,
        "xy" => tensors.len() >= 2,
        other => {
            crate::bail!(
                Runtime,
                "torch.meshgrid: indexing must be one of \"xy\" or \"ij\", but received: {other}"
            )
        }
    };
    let mut order: SmallVec<[usize; 5]> = (0..tensors.len()).collect();
    if swap {
        order.swap(0, 1);
    }
    let sizes: Sizes = order.iter().map(|&i| tensors[i].numel()).collect();
    let mut grids = Vec::with_capacity(tensors.len());
    for (axis, &i) in order.iter().enumerate() {
        let mut own: SmallVec<[i64; 6]> = SmallVec::from_elem(1, sizes.len());
        own[axis] = sizes[axis] as i64;
        grids.push(tensors[i].view(&own)?.expand_to(&sizes)?);
    }
    if swap {
        // The first two grids were made in swapped order, over swapped axes.
        grids.swap(0, 1);
    }
    Ok(grids)
}

fn need_vector(t: &Tensor) -> Result<()> {
    crate::check!(
        t.ndim() == 1,
        Runtime,
        "Expect a 1D vector, but got shape {}",
        shape::list(t.sizes())
    );
    Ok(())
}

fn cartesian_prod(tensors: &[Tensor]) -> Result<Tensor> {
    for t in tensors {
        need_vector(t)?;
    }
    if let [one] = tensors {
        return Ok(one.clone());
    }
    let columns = meshgrid(tensors, "ij")?
        .iter()
        .map(|g| g.reshape(&[-1]))
        .collect::<Result<Vec<_>>>()?;
    stack(&columns, 1)
}

fn combinations(x: &Tensor, r: i64, replace: bool) -> Result<Tensor> {
    need_vector(x)?;
    crate::check!(r >= 0, Runtime, "Expect a non-negative number, but got {r}");
    if r == 0 {
        return Tensor::empty(&[0], x.dtype(), x.device());
    }
    let (n, r) = (x.numel() as i64, r as usize);
    // How many there are: C(n, r), or C(n + r - 1, r) with replacement; inexact where it is too many anyway.
    let from = if replace { n + r as i64 - 1 } else { n };
    let count = (0..r.min((from - r as i64).max(0) as usize)).fold(1.0f64, |c, k| {
        c * (from as f64 - k as f64) / (k as f64 + 1.0)
    });
    let entries = shape::numel(&[count as usize, r])?;
    let mut rows: Vec<i64> = list::with_room(entries)?;
    let mut pick: Vec<i64> = if replace {
        list::filled(r, 0)?
    } else {
        list::collected((0..r).map(|i| i as i64))?
    };
    let room = |i: usize| if replace { n - 1 } else { n - (r - i) as i64 };
    let mut more = n > 0 && (replace || r as i64 <= n);
    while more {
        rows.extend_from_slice(&pick);
        // The last position that can still advance; those after it restart behind it.
        more = match (0..r).rev().find(|&i| pick[i] < room(i)) {
            Some(i) => {
                pick[i] += 1;
                for k in i + 1..r {
                    pick[k] = pick[k - 1] + !replace as i64;
                }
                true
            }
            None => false,
        };
    }
    super::axis_index::index_select(x, 0, &Tensor::from_slice(&rows)?)?
        .reshape(&[(rows.len() / r) as i64, r as i64])
}

fn atleast(x: &Tensor, ndim: usize) -> Result<Tensor> {
    match (ndim, x.ndim()) {
        (n, have) if have >= n => Ok(x.clone()),
        (n, 0) => x.reshape(&SmallVec::<[i64; 6]>::from_elem(1, n)),
        (2, _) => x.unsqueeze(0),
        (_, 1) => x.unsqueeze(0)?.unsqueeze(2),
        _ => x.unsqueeze(2),
    }
}

fn all_atleast(tensors: &[Tensor], ndim: usize) -> Result<Vec<Tensor>> {
    tensors.iter().map(|t| atleast(t, ndim)).collect()
}

fn stacked(op: &str, tensors: &[Tensor], ndim: usize, dim: i64) -> Result<Tensor> {
    crate::check!(
        !tensors.is_empty(),
        Runtime,
        "{op} expects a non-empty TensorList"
    );
    cat(&all_atleast(tensors, ndim)?, dim)
}

fn hstack_of(op: &str, tensors: &[Tensor]) -> Result<Tensor> {
    let dim = tensors.first().is_some_and(|t| t.ndim() > 1) as i64;
    stacked(op, tensors, 1, dim)
}

fn column_stack_of(tensors: &[Tensor]) -> Result<Tensor> {
    let columns = tensors
        .iter()
        .map(|t| {
            if t.ndim() <= 1 {
                t.reshape(&[t.numel() as i64, 1])
            } else {
                Ok(t.clone())
            }
        })
        .collect::<Result<Vec<_>>>()?;
    hstack_of("column_stack", &columns)
}

fn block_diag_of(tensors: &[Tensor]) -> Result<Tensor> {
    if tensors.is_empty() {
        return Tensor::empty(
            &[1, 0],
            crate::dtype::default_dtype(),
            super::create::default_device(),
        );
    }
    let mut result = crate::dtype::ResultType::default();
    for (i, t) in tensors.iter().enumerate() {
        crate::check!(
            t.ndim() <= 2,
            Runtime,
            "torch.block_diag: Input tensors must have 2 or fewer dimensions. Input {i} has {} dimensions",
            t.ndim()
        );
        crate::check!(
            t.device() == tensors[0].device(),
            Runtime,
            "torch.block_diag: input tensors must all be on the same device. Input 0 is on device {} and input {i} is on \
             device {}.",
            tensors[0].device(),
            t.device()
        );
        // Every block counts like a matrix.
        result.add(t.dtype(), 2, false)?;
    }
    let blocks: Vec<(usize, usize)> = tensors
        .iter()
        .map(|t| match t.sizes() {
            [] => (1, 1),
            [n] => (1, *n),
            s => (s[0], s[1]),
        })
        .collect();
    let (rows, columns) = blocks.iter().fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
    let out = Tensor::zeros(&[rows, columns], result.get()?, tensors[0].device())?;
    let corner = move |whole: &Tensor, blocks: &[(usize, usize)], i: usize| -> Result<Tensor> {
        let (r, c) = blocks[..i]
            .iter()
            .fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
        whole
            .narrow(0, r as i64, blocks[i].0 as i64)?
            .narrow(1, c as i64, blocks[i].1 as i64)
    };
    autograd::no_grad(|| -> Result<()> {
        for (i, t) in tensors.iter().enumerate() {
            corner(&out, &blocks, i)?.write_from(&t.reshape_to(&[blocks[i].0, blocks[i].1])?)?;
        }
        Ok(())
    })?;
    let inputs: SmallVec<[&Tensor; 8]> = tensors.iter().collect();
    if autograd::needs_grad(&inputs) {
        let sizes: Vec<Sizes> = tensors
            .iter()
            .map(|t| SmallVec::from_slice(t.sizes()))
            .collect();
        record_stateless("BlockDiagBackward0", &inputs, &[&out], move |g: &Grads| {
            let whole = g.get(0)?;
            (0..sizes.len())
                .map(|i| g.when(i, || corner(&whole, &blocks, i)?.reshape_to(&sizes[i])))
                .collect()
        });
    }
    Ok(out)
}

impl Tensor {
    /// Takes on the geometry of a view of itself, with its history: `transpose_`, `squeeze_`.
    pub fn become_view(&self, view: impl FnOnce(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
        if autograd::is_grad_enabled() {
            autograd::inplace::check(self, autograd::needs_grad(&[self]))?;
        }
        let seen = view(self)?;
        let new = self.replaced(&seen);
        if let Some((node, output)) = seen.grad_fn() {
            new.set_grad_fn(node, output);
        }
        new.bump();
        Ok(new)
    }
}

fn squeeze_all(t: &Tensor) -> Result<Tensor> {
    t.squeeze_dims(&(0..t.ndim()).collect::<SmallVec<[usize; 5]>>())
}

op! {
    /// Returns `input` with the axes from `start_dim` to `end_dim` as one; `input` itself where that changes nothing.
    ///
    /// Example::
    ///
    ///     >>> torch.zeros(2, 3, 4).flatten(1).shape
    ///     torch.Size([2, 12])
    flatten__, in [TORCH, METHOD] {
        "(Tensor input, int start_dim=0, int end_dim=-1) -> Tensor" => |a| flatten(&a.tensor(0), a.int(1), a.int(2)),
    }
}
op! {
    /// Returns a view with one axis split into axes of `sizes`, one of which may be -1.
    unflatten__, in [TORCH, METHOD] {
        "(Tensor input, int dim, int[] sizes) -> Tensor" => |a| unflatten(&a.tensor(0), a.int(1), a.ints(2)),
    }
}
op! {
    /// Returns the elements as a contiguous 1-d tensor.
    ravel, in [TORCH, METHOD] {
        "(Tensor input) -> Tensor" => |a| a.tensor(0).contiguous()?.view(&[-1]),
    }
}
op! {
    /// Returns a view with the axes `source` moved to the positions `destination`.
    movedim__, in [TORCH, METHOD], alias ["moveaxis"] {
        "(Tensor input, int source, int destination) -> Tensor" => |a| movedim(&a.tensor(0), &[a.int(1)], &[a.int(2)]),
        "(Tensor input, int[] source, int[] destination) -> Tensor" => |a| movedim(&a.tensor(0), a.ints(1), a.ints(2)),
    }
}
op! {
    /// Returns a view with two axes swapped.
    swapaxes, in [TORCH, METHOD] {
        "(Tensor input, int axis0, int axis1) -> Tensor" => |a| a.tensor(0).transpose(a.int(1), a.int(2)),
    }
}
op! {
    /// Returns the conjugate of `input` with its last two axes swapped.
    adjoint, in [TORCH, METHOD] {
        "(Tensor input) -> Tensor" => |a| {
            let t = a.tensor(0);
            crate::check!(
                t.ndim() != 1,
                Runtime,
                "tensor.adjoint() is only supported on matrices or batches of matrices. Got {}-D tensor.",
                t.ndim()
            );
            if t.ndim() == 0 { t.conj() } else { t.transpose(-2, -1)?.conj() }
        },
    }
}
op! {
    /// Broadcasts axes of size one to `size` without copying; -1 keeps a size.
    broadcast_to, in [TORCH, METHOD] {
        "(Tensor input, int[] size) -> Tensor" => |a| a.tensor(0).expand(a.ints(1)),
    }
}
op! {
    /// Broadcasts tensors to the sizes they have in common, without copying.
    broadcast_tensors, in [TORCH] {
        "(Tensor[*] tensors) -> Tensor[]" => |a| {
            let sizes = common_sizes(a.tensors(0))?;
            a.tensors(0).iter().map(|t| t.expand_to(&sizes)).collect::<Result<Vec<_>>>()
        },
    }
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
op! {
    /// Returns a copy with the order of the elements reversed along the axes `dims`.
    flip__, in [TORCH, METHOD] {
        "(Tensor input, int[] dims) -> Tensor" => |a| flip(&a.tensor(0), a.ints(1)),
    }
}
op! {
    /// Returns a copy with the second axis reversed.
    fliplr, in [TORCH, METHOD] {
        "(Tensor input) -> Tensor" => |a| {
            let t = a.tensor(0);
            crate::check!(t.ndim() >= 2, Runtime, "Input must be >= 2-d.");
            flip(&t, &[1])
        },
    }
}
op! {
    /// Returns a copy with the first axis reversed.
    flipud, in [TORCH, METHOD] {
        "(Tensor input) -> Tensor" => |a| {
            let t = a.tensor(0);
            crate::check!(t.ndim() >= 1, Runtime, "Input must be >= 1-d.");
            flip(&t, &[0])
        },
    }
}
op! {
    /// Returns a copy with the elements moved by `shifts` along `dims`; what leaves at one end enters at the other.
    /// Without `dims` the elements move in a row.
    roll__, in [TORCH, METHOD] {
        "(Tensor input, int[1] shifts, int[1] dims=[]) -> Tensor" => |a| roll(&a.tensor(0), a.ints(1), a.ints(2)),
    }
}
op! {
    /// Returns `input` turned by `k` quarter turns in the plane of two axes, from the first towards the second.
    rot90__, in [TORCH, METHOD] {
        "(Tensor input, int k=1, int[] dims=[0,1]) -> Tensor" => |a| rot90(&a.tensor(0), a.int(1), a.ints(2)),
    }
}
op! {
    /// Returns a view of the windows of `size` elements every `step` along an axis; their elements are a new last axis.
    unfold__, in [METHOD] {
        "(Tensor input, int dimension, int size, int step) -> Tensor" => |a| unfold(&a.tensor(0), a.int(1), a.int(2), a.int(3)),
    }
}
op! {
    /// Returns views that hold the coordinates of every point of the grid spanned by vectors.
    ///
    /// Args:
    ///     tensors: 0-d or 1-d tensors of one dtype.
    ///     indexing: "ij" (axes in the order of the vectors) or "xy" (the first two swapped).
    meshgrid__, in [TORCH] {
        "(Tensor[*] tensors, *, str? indexing=None) -> Tensor[]" => |a| meshgrid(a.tensors(0), a.opt_str(1).unwrap_or("ij")),
    }
}
op! {
    /// Returns all tuples of elements of the vectors, one per row.
    cartesian_prod__, in [TORCH] {
        "(Tensor[*] tensors) -> Tensor" => |a| cartesian_prod(a.tensors(0)),
    }
}
op! {
    /// Returns all combinations of `r` elements of a vector, one per row.
    combinations__, in [TORCH] {
        "(Tensor input, int r=2, bool with_replacement=False) -> Tensor" => |a| combinations(&a.tensor(0), a.int(1), a.bool(2)),
    }
}
op! {
    /// Returns a view with at least one axis.
    atleast_1d, in [TORCH] {
        "(Tensor input) -> Tensor" => |a| atleast(&a.tensor(0), 1),
        "(Tensor[*] tensors) -> Tensor[]" => |a| all_atleast(a.tensors(0), 1),
    }
}
op! {
    /// Returns a view with at least two axes; new ones come first.
    atleast_2d, in [TORCH] {
        "(Tensor input) -> Tensor" => |a| atleast(&a.tensor(0), 2),
        "(Tensor[*] tensors) -> Tensor[]" => |a| all_atleast(a.tensors(0), 2),
    }
}
op! {
    /// Returns a view with at least three axes: a vector becomes the middle one, a matrix the first two.
    atleast_3d, in [TORCH] {
        "(Tensor input) -> Tensor" => |a| atleast(&a.tensor(0), 3),
        "(Tensor[*] tensors) -> Tensor[]" => |a| all_atleast(a.tensors(0), 3),
    }
}
op! {
    /// Joins tensors side by side: vectors along their axis, others along the second.
    hstack, in [TORCH]; out {
        "(Tensor[] tensors) -> Tensor" => |a| hstack_of("hstack", a.tensors(0)),
    }
}
op! {
    /// Joins tensors one below the other; vectors are rows.
    vstack, in [TORCH], alias ["row_stack"]; out {
        "(Tensor[] tensors) -> Tensor" => |a| stacked("vstack", a.tensors(0), 2, 0),
    }
}
op! {
    /// Joins tensors along the third axis.
    dstack, in [TORCH]; out {
        "(Tensor[] tensors) -> Tensor" => |a| stacked("dstack", a.tensors(0), 3, 2),
    }
}
op! {
    /// Joins tensors side by side; vectors are columns.
    column_stack, in [TORCH]; out {
        "(Tensor[] tensors) -> Tensor" => |a| column_stack_of(a.tensors(0)),
    }
}
op! {
    /// Returns a matrix with the given matrices along its diagonal and zeros elsewhere; vectors are rows.
    block_diag, in [TORCH] {
        "(Tensor[*] tensors) -> Tensor" => |a| block_diag_of(a.tensors(0)),
    }
}
op! {
    /// Swaps two axes in place.
    transpose_, in [METHOD], alias ["swapdims_"] {
        "(Tensor input, int dim0, int dim1) -> Tensor" => |a| a.tensor(0).become_view(|t| t.transpose(a.int(1), a.int(2))),
    }
}
op! {
    /// Swaps two axes in place.
    swapaxes_, in [METHOD] {
        "(Tensor input, int axis0, int axis1) -> Tensor" => |a| a.tensor(0).become_view(|t| t.transpose(a.int(1), a.int(2))),
    }
}
op! {
    /// Transposes in place.
    t_, in [METHOD] {
        "(Tensor input) -> Tensor" => |a| a.tensor(0).become_view(|t| t.t()),
    }
}
op! {
    /// Removes axes of size one in place: all, or those of `dim`.
    squeeze_, in [METHOD] {
        "(Tensor input) -> Tensor" => |a| a.tensor(0).become_view(squeeze_all),
        "(Tensor input, int dim) -> Tensor" => |a| a.tensor(0).become_view(|t| t.squeeze_dims(&[shape::wrap_dim(a.int(1), t.ndim())?])),
        "(Tensor input, int[] dim) -> Tensor" => |a| a.tensor(0).become_view(|t| t.squeeze_dims(&shape::wrap_dims(a.ints(1), t.ndim())?)),
    }
}
op! {
    /// Inserts an axis of size one in place.
    unsqueeze_, in [METHOD] {
        "(Tensor input, int dim) -> Tensor" => |a| a.tensor(0).become_view(|t| t.unsqueeze(a.int(1))),
    }
}
op! {
    /// Gives the tensor any sizes and strides over its storage in place. Bounds are checked.
    as_strided_, in [METHOD, TORCH] {
        "(Tensor input, int[] size, int[] stride, int? storage_offset=None) -> Tensor" =>
            |a| a.tensor(0).become_view(|t| t.as_strided_by(a.ints(1), a.ints(2), a.opt_int(3))),
    }
}

/// Copies of what views show: `permute_copy` and its like.
pub mod copies {
    use super::*;

    macro_rules! copies {
        ($($name:ident $doc:literal $schema:literal => $run:expr;)+) => {
            $(op! {
                #[doc = $doc]
                $name, in [TORCH]; out {
                    $schema => |a| {
                        let run: fn(&crate::ops::args::Args) -> Result<Tensor> = $run;
                        run(a)?.clone_recorded(crate::ops::args::MemoryFormat::Contiguous)
                    },
                }
            })+
            pub static ROWS: &[&crate::ops::OpDef] = &[
                $(&$name::DEF),+
            ];
        };
    }
    copies! {
        alias_copy " Returns a copy of `input`." "(Tensor input) -> Tensor" => |a| a.tensor(0).alias();
        as_strided_copy " As `as_strided`, with a copy." "(Tensor input, int[] size, int[] stride, int? storage_offset=None) -> Tensor" =>
            |a| a.tensor(0).as_strided_by(a.ints(1), a.ints(2), a.opt_int(3));
        detach_copy " Returns a copy of `input` without history." "(Tensor input) -> Tensor" => |a| Ok(a.tensor(0).detach());
        diagonal_copy " As `diagonal`, with a copy." "(Tensor input, int offset=0, int dim1=0, int dim2=1) -> Tensor" =>
            |a| a.tensor(0).diagonal(a.int(1), a.int(2), a.int(3));
        expand_copy " As `expand`, with a copy." "(Tensor input, int[] size, *, bool implicit=False) -> Tensor" => |a| a.tensor(0).expand(a.ints(1));
        narrow_copy " As `narrow`, with a copy." "(Tensor input, int dim, int start, int length) -> Tensor" =>
            |a| a.tensor(0).narrow(a.int(1), a.int(2), a.int(3));
        permute_copy " As `permute`, with a copy." "(Tensor input, int[] dims) -> Tensor" => |a| a.tensor(0).permute(a.ints(1));
        select_copy " As `select`, with a copy." "(Tensor input, int dim, int index) -> Tensor" => |a| a.tensor(0).select(a.int(1), a.int(2));
        slice_copy " Returns a copy of `input[start:end:step]` along an axis." "(Tensor input, int dim=0, int? start=None, int? end=None, int step=1) -> Tensor" =>
            |a| a.tensor(0).slice(a.int(1), a.opt_int(2), a.opt_int(3), a.int(4));
        t_copy " As `t`, with a copy." "(Tensor input) -> Tensor" => |a| a.tensor(0).t();
        transpose_copy " As `transpose`, with a copy." "(Tensor input, int dim0, int dim1) -> Tensor" => |a| a.tensor(0).transpose(a.int(1), a.int(2));
        unfold_copy " As `Tensor.unfold`, with a copy." "(Tensor input, int dimension, int size, int step) -> Tensor" =>
            |a| unfold(&a.tensor(0), a.int(1), a.int(2), a.int(3));
        unsqueeze_copy " As `unsqueeze`, with a copy." "(Tensor input, int dim) -> Tensor" => |a| a.tensor(0).unsqueeze(a.int(1));
        view_as_real_copy " As `view_as_real`, with a copy." "(Tensor input) -> Tensor" => |a| a.tensor(0).view_as_real();
        view_as_complex_copy " As `view_as_complex`, with a copy." "(Tensor input) -> Tensor" => |a| a.tensor(0).view_as_complex();
    }
}
op! {
    /// As `squeeze`, with a copy.
    squeeze_copy, in [TORCH]; out {
        "(Tensor input) -> Tensor" => |a| squeeze_all(&a.tensor(0))?.clone_data_recorded(),
        "(Tensor input, int dim) -> Tensor" => |a| { let t = a.tensor(0); t.squeeze_dims(&[shape::wrap_dim(a.int(1), t.ndim())?])?.clone_data_recorded() },
        "(Tensor input, int[] dim) -> Tensor" => |a| { let t = a.tensor(0); t.squeeze_dims(&shape::wrap_dims(a.ints(1), t.ndim())?)?.clone_data_recorded() },
    }
}
op! {
    /// Returns a copy of the same elements in another shape, or of the same bytes as another dtype.
    view_copy, in [TORCH]; out {
        "(Tensor input, int[] size) -> Tensor" => |a| a.tensor(0).view(a.ints(1))?.clone_data_recorded(),
        "(Tensor input, ScalarType dtype) -> Tensor" => |a| { let t = a.tensor(0); t.view_dtype(a.dtype(1).unwrap_or(t.dtype()))?.clone_data_recorded() },
    }
}
/// `Tensor.narrow_copy`.
pub mod method {
    op! {
        /// As `narrow`, with a copy.
        narrow_copy, in [METHOD] {
            "(Tensor input, int dim, int start, int length) -> Tensor" =>
                |a| a.tensor(0).narrow(a.int(1), a.int(2), a.int(3))?.clone_recorded(crate::ops::args::MemoryFormat::Contiguous),
        }
    }
}

pub static ROWS: &[&crate::ops::OpDef] = &[
    &flatten__::DEF,
    &unflatten__::DEF,
    &ravel::DEF,
    &movedim__::DEF,
    &swapaxes::DEF,
    &adjoint::DEF,
    &broadcast_to::DEF,
    &broadcast_tensors::DEF,
    &repeat__::DEF,
    &tile::DEF,
    &repeat_interleave::DEF,
    &flip__::DEF,
    &fliplr::DEF,
    &flipud::DEF,
    &roll__::DEF,
    &rot90__::DEF,
    &unfold__::DEF,
    &meshgrid__::DEF,
    &cartesian_prod__::DEF,
    &combinations__::DEF,
    &atleast_1d::DEF,
    &atleast_2d::DEF,
    &atleast_3d::DEF,
    &hstack::DEF,
    &vstack::DEF,
    &dstack::DEF,
    &column_stack::DEF,
    &block_diag::DEF,
    &transpose_::DEF,
    &swapaxes_::DEF,
    &t_::DEF,
    &squeeze_::DEF,
    &unsqueeze_::DEF,
    &as_strided_::DEF,
    &squeeze_copy::DEF,
    &view_copy::DEF,
    &method::narrow_copy::DEF,
];
