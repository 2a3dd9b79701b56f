//! Advanced indexing: reading and writing at positions that tensors give.

use crate::autograd::{self, Grads, Saved, engine::grads, record};
use crate::cpu::index::Combine;
use crate::device::Device;
use crate::dtype::DType;
use crate::error::Result;
use crate::list;
use crate::shape::{self, Sizes};
use crate::tensor::Tensor;
use smallvec::SmallVec;

/// Index tensors with the axis each applies to.
pub type Indices = SmallVec<[(usize, Tensor); 4]>;

/// Positions of nonzero elements, one int64 row of coordinates per element.
pub fn nonzero(x: &Tensor) -> Result<Tensor> {
    // The number of results depends on the values, so a device has to be waited for in any case.
    let mask = autograd::no_grad(|| {
        x.detach()
            .to_dtype(DType::Bool)?
            .to_device(Device::Cpu)?
            .contiguous()
    })?;
    let flags = mask.as_slice::<bool>()?;
    let count = flags.iter().filter(|&&b| b).count();
    let n = x.ndim();
    // Column by column in memory, so that each coordinate is a contiguous vector.
    let out = Tensor::empty_strided(&[count, n], &[1, count as isize], DType::I64, Device::Cpu)?;
    let columns = out.data_ptr() as *mut i64;
    let mut found = 0;
    let mut index: SmallVec<[usize; 6]> = SmallVec::from_elem(0, n);
    for &f in flags {
        if f {
            for (d, &i) in index.iter().enumerate() {
                // SAFETY: `out` has `count` rows and `found` counts the true flags before this one.
                unsafe { *columns.add(d * count + found) = i as i64 };
            }
            found += 1;
        }
        for d in (0..n).rev() {
            index[d] += 1;
            if index[d] < x.sizes()[d] {
                break;
            }
            index[d] = 0;
        }
    }
    out.to_device(x.device())
}

/// Masks become coordinates, all indices become int64 of one shape.
fn expand(x: &Tensor, indices: &[(usize, Tensor)]) -> Result<(Indices, Sizes)> {
    let mut out: Indices = SmallVec::new();
    for (axis, t) in indices {
        crate::check!(
            matches!(t.dtype(), DType::Bool | DType::U8 | DType::I32 | DType::I64),
            Index,
            "tensors used as indices must be long, int, byte or bool tensors"
        );
        if matches!(t.dtype(), DType::Bool | DType::U8) {
            for (k, &n) in t.sizes().iter().enumerate() {
                let have = x.sizes().get(axis + k).copied().unwrap_or(0);
                crate::check!(
                    n == have,
                    Index,
                    "The shape of the mask {} at index {k} does not match the shape of the indexed tensor {} at index {}",
                    shape::list(t.sizes()),
                    shape::list(x.sizes()),
                    axis + k
                );
            }
            let at = nonzero(t)?;
            for k in 0..t.ndim() {
                out.push((axis + k, at.select(1, k as i64)?.contiguous()?));
            }
        } else {
            out.push((*axis, t.detach().to_dtype(DType::I64)?));
        }
    }
    for (_, t) in out.iter_mut() {
        // Indices on the CPU may select from a device.
        if t.device().is_cpu() && !x.device().is_cpu() {
            *t = t.to_device(x.device())?;
        }
        x.same_device(t)?;
    }
    let mut sizes = Sizes::new();
    for (_, t) in &out {
        sizes = shape::broadcast(&sizes, t.sizes()).map_err(|_| {
            let all: Vec<String> = out.iter().map(|(_, t)| shape::list(t.sizes())).collect();
            crate::err!(
                Index,
                "shape mismatch: indexing tensors could not be broadcast together with shapes {}",
                all.join(", ")
            )
        })?;
    }
    for (_, t) in out.iter_mut() {
        *t = t.expand_to(&sizes)?.contiguous()?;
    }
    Ok((out, sizes))
}

/// Where the elements are: offsets of the axes before the indexed ones, of the indexed positions, and of the rest.
struct Plan {
    /// Sizes of the result.
    sizes: Sizes,
    outer: Vec<isize>,
    at: Vec<isize>,
    /// Offsets of the rest, unless they are one contiguous run.
    inner: Vec<isize>,
    /// Length of that run.
    run: Option<usize>,
}

/// Element offsets of every index of these axes, in row-major order.
fn offsets(axes: &[(usize, isize)]) -> Result<Vec<isize>> {
    let mut out = vec![0isize];
    for &(n, stride) in axes {
        let mut next = list::with_room(out.len().saturating_mul(n))?;
        for &o in &out {
            for i in 0..n as isize {
                next.push(o + i * stride);
            }
        }
        out = next;
    }
    Ok(out)
}

/// The axes that are not indexed: those whose place in the result is before the indices', and those after.
fn kept_axes(
    x: &Tensor,
    indices: &[(usize, Tensor)],
) -> (SmallVec<[usize; 6]>, SmallVec<[usize; 6]>) {
    let indexed: SmallVec<[usize; 4]> = indices.iter().map(|i| i.0).collect();
    let adjacent = indexed.windows(2).all(|w| w[1] == w[0] + 1);
    let first = if adjacent {
        indexed.iter().copied().min().unwrap_or(0)
    } else {
        0
    };
    (0..x.ndim())
        .filter(|d| !indexed.contains(d))
        .partition(|&d| d < first)
}

/// Moves elements between `moved` and the indexed places of a device tensor; returns the sizes of the result, for which
/// `moved` is made.
#[cfg(feature = "gpu")]
fn on_device(
    how: crate::gpu::Move,
    x: &Tensor,
    indices: &[(usize, Tensor)],
    sizes: &[usize],
    moved: impl FnOnce(&[usize]) -> Result<Tensor>,
) -> Result<Tensor> {
    let (before, after) = kept_axes(x, indices);
    let mut full: Sizes = before.iter().map(|&d| x.sizes()[d]).collect();
    full.extend_from_slice(sizes);
    full.extend(after.iter().map(|&d| x.sizes()[d]));
    let moved = moved(&full)?;
    let axes = (&before[..], indices, &after[..]);
    crate::gpu::by_indices(how, x, axes, sizes.iter().product(), &moved)?;
    Ok(moved)
}

fn plan(x: &Tensor, indices: &[(usize, Tensor)], sizes: &[usize]) -> Result<Plan> {
    let (before, after) = kept_axes(x, indices);
    let axis = |d: &usize| (x.sizes()[*d], x.strides()[*d]);
    let before: SmallVec<[(usize, isize); 6]> = before.iter().map(axis).collect();
    let after: SmallVec<[(usize, isize); 6]> = after.iter().map(axis).collect();
    let count: usize = sizes.iter().product();
    let mut at = list::filled(count, 0isize)?;
    let empty = before.iter().chain(&after).any(|a| a.0 == 0);
    for (d, t) in indices {
        let n = x.sizes()[*d] as i64;
        let stride = x.strides()[*d];
        crate::check!(
            n > 0 || count == 0,
            Index,
            "index is out of bounds for dimension with size 0"
        );
        for (o, &i) in at.iter_mut().zip(t.as_slice::<i64>()?) {
            let in_range = i >= -n && i < n;
            crate::check!(
                in_range || empty,
                Index,
                "index {i} is out of bounds for dimension {d} with size {n}"
            );
            // Where the result is empty, an index may be anything and is not used.
            let i = if i < 0 { i.wrapping_add(n) } else { i } as isize;
            *o = o.wrapping_add(i.wrapping_mul(stride));
        }
    }
    let mut out: Sizes = before.iter().map(|a| a.0).collect();
    out.extend_from_slice(sizes);
    out.extend(after.iter().map(|a| a.0));
    let (after_sizes, after_strides): (Sizes, shape::Strides) = after.iter().copied().unzip();
    let block = shape::is_contiguous(&after_sizes, &after_strides);
    let inner = if block || empty {
        Vec::new()
    } else {
        offsets(&after)?
    };
    let run = block.then(|| after_sizes.iter().product::<usize>());
    Ok(Plan {
        sizes: out,
        outer: if empty { Vec::new() } else { offsets(&before)? },
        at,
        inner,
        run,
    })
}

impl Plan {
    /// Calls `f(offset in the tensor, position in the result, run length)`.
    fn each(&self, mut f: impl FnMut(isize, usize, usize)) {
        let mut position = 0;
        for &o in &self.outer {
            for &a in &self.at {
                if let Some(run) = self.run {
                    f(o + a, position, run);
                    position += run;
                } else {
                    for &i in &self.inner {
                        f(o + a + i, position, 1);
                        position += 1;
                    }
                }
            }
        }
    }
}

fn read(x: &Tensor, indices: &Indices, sizes: &[usize]) -> Result<Tensor> {
    #[cfg(feature = "gpu")]
    if !x.device().is_cpu() {
        let make = |sizes: &[usize]| Tensor::empty(sizes, x.dtype(), x.device());
        return on_device(crate::gpu::Move::Gather, x, indices, sizes, make);
    }
    let plan = plan(x, indices, sizes)?;
    let out = Tensor::empty(&plan.sizes, x.dtype(), x.device())?;
    crate::dispatch_size!(x.dtype(), T => {
        let (src, dst) = (x.data_ptr() as *const T, out.data_ptr() as *mut T);
        // SAFETY: offsets were checked against the sizes; positions run over the result once.
        plan.each(|from, to, n| unsafe { std::ptr::copy_nonoverlapping(src.offset(from), dst.add(to), n) });
    });
    Ok(out)
}

/// The mask of `x[mask]` where it has the sizes of `x`; it needs no coordinates.
fn full_mask<'a>(x: &Tensor, indices: &'a [(usize, Tensor)]) -> Option<&'a Tensor> {
    match indices {
        [(0, m)]
            if m.dtype() == DType::Bool
                && m.sizes() == x.sizes()
                && x.device().is_cpu()
                && m.device().is_cpu() =>
        {
            Some(m)
        }
        _ => None,
    }
}

/// `x[indices]`.
pub fn index(x: &Tensor, indices: &[(usize, Tensor)]) -> Result<Tensor> {
    if let Some(mask) = full_mask(x, indices) {
        let out = autograd::no_grad(|| super::mask::masked_select(&x.detach(), mask))?;
        if autograd::needs_grad(&[x]) {
            let (sizes, saved): (Sizes, _) = (SmallVec::from_slice(x.sizes()), Saved::input(mask));
            record("IndexBackward0", &[x], &[&out], move |g: &Grads| {
                let (g0, mask) = (g.get(0)?, saved.get(g)?);
                let zeros = Tensor::zeros(&sizes, g0.dtype(), g0.device())?;
                grads([Some(super::mask::masked_scatter(&zeros, &mask, &g0)?)])
            });
        }
        return Ok(out);
    }
    let (indices, sizes) = autograd::no_grad(|| expand(x, indices))?;
    let out = read(x, &indices, &sizes)?;
    if autograd::needs_grad(&[x]) {
        let full: Sizes = SmallVec::from_slice(x.sizes());
        let keep = indices;
        record("IndexBackward0", &[x], &[&out], move |g: &Grads| {
            let g = g.get(0)?;
            let zeros = Tensor::zeros(&full, g.dtype(), g.device())?;
            grads([Some(index_put(&zeros, &keep, &g, true)?)])
        });
    }
    Ok(out)
}

/// `values` broadcast to the sizes of an indexing result, contiguous.
fn values_for(values: &Tensor, sizes: &[usize]) -> Result<Tensor> {
    let fits = |s: &[usize]| shape::broadcast(sizes, s).is_ok_and(|b| b.as_slice() == sizes);
    if fits(values.sizes()) {
        return values.detach().expand_to(sizes)?.contiguous();
    }
    // Leading axes of size one may be dropped.
    let lead = values.ndim().saturating_sub(sizes.len());
    let droppable = values.sizes()[..lead].iter().all(|&n| n == 1);
    let short: Vec<usize> = values.sizes()[lead..].to_vec();
    crate::check!(
        droppable && fits(&short),
        Runtime,
        "shape mismatch: value tensor of shape {} cannot be broadcast to indexing result of shape {}",
        shape::list(values.sizes()),
        shape::list(sizes)
    );
    values
        .detach()
        .reshape_to(&short)?
        .expand_to(sizes)?
        .contiguous()
}

fn put_data(
    x: &Tensor,
    indices: &Indices,
    sizes: &[usize],
    values: &Tensor,
    accumulate: bool,
) -> Result<()> {
    #[cfg(feature = "gpu")]
    if !x.device().is_cpu() {
        let how = if accumulate {
            crate::gpu::Move::Add
        } else {
            crate::gpu::Move::Scatter
        };
        return on_device(how, x, indices, sizes, |sizes| {
            values_for(&values.to_device(x.device())?, sizes)
        })
        .map(drop);
    }
    let plan = plan(x, indices, sizes)?;
    let values = values_for(values, &plan.sizes)?;
    if accumulate {
        crate::dispatch!(x.dtype(), T => {
            let (src, dst) = (values.data_ptr() as *const T, x.data_ptr() as *mut T);
            plan.each(|to, from, n| {
                for k in 0..n {
                    // SAFETY: offsets were checked against the sizes of both.
                    unsafe {
                        let p = dst.offset(to).add(k);
                        *p = add_elements(*p, *src.add(from + k));
                    }
                }
            });
        });
    } else {
        crate::dispatch_size!(x.dtype(), T => {
            let (src, dst) = (values.data_ptr() as *const T, x.data_ptr() as *mut T);
            // SAFETY: as above; values were made contiguous in memory of their own unless they alias, which `copy` allows.
            plan.each(|to, from, n| unsafe { std::ptr::copy(src.add(from), dst.offset(to), n) });
        });
    }
    Ok(())
}

/// Adds two elements in their own arithmetic: integers wrap, half types round once.
pub fn add_elements<T: Combine>(a: T, b: T) -> T {
    a.plus(b)
}

fn check_dtypes(x: &Tensor, values: &Tensor) -> Result<()> {
    crate::check!(
        x.dtype() == values.dtype(),
        Runtime,
        "Index put requires the source and destination dtypes match, got {} for the destination and {} for the source.",
        x.dtype().scalar_name(),
        values.dtype().scalar_name()
    );
    Ok(())
}

/// Writes or adds values at positions of a copy of `x`.
pub fn index_put(
    x: &Tensor,
    indices: &[(usize, Tensor)],
    values: &Tensor,
    accumulate: bool,
) -> Result<Tensor> {
    check_dtypes(x, values)?;
    let (indices, sizes) = autograd::no_grad(|| expand(x, indices))?;
    let out = x.clone_data()?;
    autograd::no_grad(|| put_data(&out, &indices, &sizes, values, accumulate))?;
    if autograd::needs_grad(&[x, values]) {
        let keep = indices;
        let value_sizes: Sizes = SmallVec::from_slice(values.sizes());
        record(
            "IndexPutBackward0",
            &[x, values],
            &[&out],
            move |g: &Grads| {
                let grad = g.get(0)?;
                let to_x = g.when(0, || {
                    if accumulate {
                        return Ok(grad.clone());
                    }
                    let zero = Tensor::zeros(&[], grad.dtype(), grad.device())?;
                    index_put(&grad, &keep, &zero, false)
                })?;
                let to_values = g.when(1, || {
                    let v = index(&grad, &keep)?;
                    if v.ndim() < value_sizes.len() {
                        v.sum_to(&value_sizes[value_sizes.len() - v.ndim()..])?
                            .reshape_to(&value_sizes)
                    } else {
                        Ok(v)
                    }
                })?;
                grads([to_x, to_values])
            },
        );
    }
    Ok(out)
}

/// `x[indices] = values`, or `+=`.
pub fn index_put_(
    x: &Tensor,
    indices: &[(usize, Tensor)],
    values: &Tensor,
    accumulate: bool,
) -> Result<Tensor> {
    let grad = autograd::needs_grad(&[x, values]);
    autograd::inplace::check(x, grad)?;
    // One value for all positions of a mask is cast, like the number it stands for.
    let fills = matches!(indices, [(_, mask)] if mask.dtype() == DType::Bool)
        && values.numel() == 1
        && !accumulate;
    let values = if fills {
        &values.to_dtype(x.dtype())?
    } else {
        values
    };
    check_dtypes(x, values)?;
    if let (true, Some(mask)) = (fills, full_mask(x, indices)) {
        let before = if grad {
            autograd::inplace::original(x)?
        } else {
            x.clone()
        };
        let value = values.reshape(&[])?;
        return if grad {
            x.overwrite(&mask.where_(&value, &before)?)
        } else {
            x.write_from(&autograd::no_grad(|| mask.where_(&value, x))?)?;
            x.bump();
            Ok(x.clone())
        };
    }
    if !grad {
        let (indices, sizes) = expand(x, indices)?;
        put_data(x, &indices, &sizes, values, accumulate)?;
        x.bump();
        return Ok(x.clone());
    }
    let before = autograd::inplace::original(x)?;
    let result = index_put(&before, indices, values, accumulate)?;
    x.overwrite(&result)
}

/// The tensors of an index list by axis; a mask covers as many axes as it has.
fn by_axis(x: &Tensor, list: &[Option<Tensor>]) -> Result<Indices> {
    let mut axis = 0;
    let mut out = Indices::new();
    for t in list {
        match t {
            None => axis += 1,
            Some(t) => {
                out.push((axis, t.clone()));
                axis += if matches!(t.dtype(), DType::Bool | DType::U8) {
                    t.ndim()
                } else {
                    1
                };
            }
        }
    }
    crate::check!(
        axis <= x.ndim(),
        Index,
        "too many indices for tensor of dimension {} (got {axis})",
        x.ndim()
    );
    Ok(out)
}

op! {
    /// Writes `values` at the positions that `indices` give, or adds them with `accumulate`.
    index_put_, in [METHOD, TORCH] {
        "(Tensor input, Tensor?[] indices, Tensor values, bool accumulate=False) -> Tensor" =>
            |a| { let x = a.tensor(0); index_put_(&x, &by_axis(&x, a.opt_tensors(1))?, &a.tensor(2), a.bool(3)) },
    }
}
op! {
    /// Returns a copy with `values` written at, or with `accumulate` added to, the positions that `indices` give.
    index_put, in [METHOD, TORCH] {
        "(Tensor input, Tensor?[] indices, Tensor values, bool accumulate=False) -> Tensor" =>
            |a| { let x = a.tensor(0); index_put(&x, &by_axis(&x, a.opt_tensors(1))?, &a.tensor(2), a.bool(3)) },
    }
}

pub static ROWS: &[&crate::ops::OpDef] = &[&index_put_::DEF, &index_put::DEF];
