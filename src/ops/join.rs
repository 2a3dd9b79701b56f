//! Putting tensors together and taking them apart.

use super::args::{Args, MemoryFormat};
use super::copy::format_strides;
use crate::autograd::{self, GradVec, Grads, record_stateless};
use crate::cpu::parallel;
use crate::dtype::{DType, ResultType};
use crate::error::Result;
use crate::iter::SendPtr;
use crate::shape::{self, Sizes, Strides};
use crate::tensor::{Tensor, ViewKind};
use smallvec::SmallVec;

/// Bytes below which a copy is not worth another thread.
const GRAIN: usize = 1 << 16;

/// Copies contiguous `src` into rows `at..` of every block of contiguous `dst`: `outer` runs of `run` bytes, `step`
/// bytes apart.
fn copy_runs(dst: *mut u8, src: *const u8, outer: usize, run: usize, step: usize) {
    let (d, s) = (SendPtr(dst), SendPtr(src as *mut u8));
    if outer == 1 {
        parallel::for_range(run, GRAIN, move |from, to| {
            // SAFETY: the caller's blocks hold `run` bytes; ranges are disjoint.
            unsafe {
                std::ptr::copy_nonoverlapping(s.get().add(from), d.get().add(from), to - from)
            };
        });
        return;
    }
    parallel::for_range(outer, (GRAIN / run.max(1)).max(1), move |from, to| {
        for i in from..to {
            // SAFETY: `src` holds `outer * run` bytes, `dst` has room for `outer` runs `step` apart.
            unsafe {
                std::ptr::copy_nonoverlapping(s.get().add(i * run), d.get().add(i * step), run)
            };
        }
    });
}

/// The dtype of tensors joined together.
fn common_dtype(tensors: &[Tensor]) -> Result<DType> {
    let first = tensors[0].dtype();
    if tensors.iter().all(|t| t.dtype() == first) {
        return Ok(first);
    }
    let mut r = ResultType::default();
    for t in tensors {
        r.add(t.dtype(), t.ndim(), t.is_wrapped())?;
    }
    r.get()
}

/// A 1-d tensor without elements joins with anything.
fn is_nothing(t: &Tensor) -> bool {
    t.ndim() == 1 && t.numel() == 0
}

/// The channels-last format that all of the tensors have, if there is one.
fn common_format(tensors: &[Tensor]) -> Option<MemoryFormat> {
    let format = match tensors[0].ndim() {
        4 => MemoryFormat::ChannelsLast,
        5 => MemoryFormat::ChannelsLast3d,
        _ => return None,
    };
    tensors
        .iter()
        .all(|t| !t.is_contiguous() && super::facts::is_in_format(t, format))
        .then_some(format)
}

/// Joins tensors along an axis they have.
pub fn cat(tensors: &[Tensor], dim: i64) -> Result<Tensor> {
    crate::check!(
        !tensors.is_empty(),
        Value,
        "torch.cat(): expected a non-empty list of Tensors"
    );
    for (i, t) in tensors.iter().enumerate() {
        crate::check!(
            t.ndim() > 0,
            Runtime,
            "zero-dimensional tensor (at position {i}) cannot be concatenated"
        );
    }
    let model = tensors
        .iter()
        .find(|t| !is_nothing(t))
        .unwrap_or(&tensors[0]);
    let d = shape::wrap_dim(dim, model.ndim())?;
    let device = model.device();
    let mut sizes: Sizes = SmallVec::from_slice(model.sizes());
    sizes[d] = 0;
    for (i, t) in tensors.iter().enumerate() {
        t.same_device(model)?;
        if is_nothing(t) && model.ndim() != 1 {
            continue;
        }
        crate::check!(
            t.ndim() == model.ndim(),
            Runtime,
            "Tensors must have same number of dimensions: got {} and {}",
            model.ndim(),
            t.ndim()
        );
        for k in 0..t.ndim() {
            crate::check!(
                k == d || t.sizes()[k] == model.sizes()[k],
                Runtime,
                "Sizes of tensors must match except in dimension {d}. Expected size {} but got size {} for tensor number \
                 {i} in the list.",
                model.sizes()[k],
                t.sizes()[k]
            );
        }
        sizes[d] += t.sizes()[d];
    }
    let dtype = common_dtype(tensors)?;
    let out = match common_format(tensors) {
        Some(f) => match format_strides(&sizes, f)? {
            Some(s) => Tensor::empty_strided(&sizes, &s, dtype, device)?,
            None => Tensor::empty(&sizes, dtype, device)?,
        },
        None => Tensor::empty(&sizes, dtype, device)?,
    };
    let lengths: SmallVec<[usize; 8]> = tensors
        .iter()
        .map(|t| {
            if is_nothing(t) && model.ndim() != 1 {
                0
            } else {
                t.sizes()[d]
            }
        })
        .collect();
    write_parts(&out, tensors, &lengths, d)?;
    if autograd::needs_grad(&tensors.iter().collect::<SmallVec<[&Tensor; 8]>>()) {
        let skipped: SmallVec<[bool; 8]> = tensors
            .iter()
            .map(|t| is_nothing(t) && model.ndim() != 1)
            .collect();
        record_joined("CatBackward0", tensors, &out, move |g: &Grads| {
            let whole = g.get(0)?;
            let mut start = 0;
            let mut out = GradVec::new();
            for (i, &n) in lengths.iter().enumerate() {
                out.push(g.when(i, || {
                    if skipped[i] {
                        Tensor::zeros(&[0], whole.dtype(), whole.device())
                    } else {
                        whole.narrow(d as i64, start as i64, n as i64)
                    }
                })?);
                start += n;
            }
            Ok(out)
        });
    }
    Ok(out)
}

fn record_joined(
    name: &'static str,
    tensors: &[Tensor],
    out: &Tensor,
    backward: impl Fn(&Grads) -> Result<GradVec> + 'static,
) {
    let inputs: SmallVec<[&Tensor; 8]> = tensors.iter().collect();
    record_stateless(name, &inputs, &[out], backward);
}

/// Writes every tensor into its stretch of axis `d` of `out`.
fn write_parts(out: &Tensor, tensors: &[Tensor], lengths: &[usize], d: usize) -> Result<()> {
    let item = out.dtype().size();
    let outer: usize = out.sizes()[..d].iter().product();
    let inner: usize = out.sizes()[d + 1..].iter().product::<usize>() * item;
    let step = out.sizes()[d] * inner;
    let direct = out.device().is_cpu() && out.is_contiguous();
    let mut start = 0;
    for (t, &n) in tensors.iter().zip(lengths) {
        if n * inner * outer == 0 {
            start += n;
            continue;
        }
        if direct && t.dtype() == out.dtype() && t.is_contiguous() {
            copy_runs(
                out.data_ptr().wrapping_add(start * inner),
                t.data_ptr(),
                outer,
                n * inner,
                step,
            );
        } else {
            let part = autograd::no_grad(|| out.narrow(d as i64, start as i64, n as i64))?;
            // A stacked tensor lacks the axis it is joined along.
            if t.ndim() < part.ndim() {
                autograd::no_grad(|| part.select(d as i64, 0))?.write_from(t)?;
            } else {
                part.write_from(t)?;
            }
        }
        start += n;
    }
    Ok(())
}

/// Joins tensors of the same sizes along a new axis.
pub fn stack(tensors: &[Tensor], dim: i64) -> Result<Tensor> {
    crate::check!(
        !tensors.is_empty(),
        Runtime,
        "stack expects a non-empty TensorList"
    );
    let model = &tensors[0];
    let d = shape::wrap_dim(dim, model.ndim() + 1)?;
    for (i, t) in tensors.iter().enumerate() {
        t.same_device(model)?;
        crate::check!(
            t.sizes() == model.sizes(),
            Runtime,
            "stack expects each tensor to be equal size, but got {} at entry 0 and {} at entry {i}",
            shape::list(model.sizes()),
            shape::list(t.sizes())
        );
    }
    let mut sizes: Sizes = SmallVec::from_slice(model.sizes());
    sizes.insert(d, tensors.len());
    let out = Tensor::empty(&sizes, common_dtype(tensors)?, model.device())?;
    let lengths: SmallVec<[usize; 8]> = SmallVec::from_elem(1, tensors.len());
    write_parts(&out, tensors, &lengths, d)?;
    if autograd::needs_grad(&tensors.iter().collect::<SmallVec<[&Tensor; 8]>>()) {
        let n = tensors.len();
        record_joined("StackBackward0", tensors, &out, move |g: &Grads| {
            let whole = g.get(0)?;
            (0..n)
                .map(|i| g.when(i, || whole.select(d as i64, i as i64)))
                .collect()
        });
    }
    Ok(out)
}

type Part = (usize, Sizes, Strides);

/// Several views made by one op: in-place ops on them are refused while gradients are recorded.
fn views(
    x: &Tensor,
    parts: Vec<Part>,
    name: &'static str,
    backward: impl Fn(Vec<Tensor>) -> Result<Tensor> + 'static,
) -> Result<Vec<Tensor>> {
    let out: Vec<Tensor> = parts
        .into_iter()
        // SAFETY: every part lies inside the tensor it was cut from.
        .map(|(offset, sizes, strides)| unsafe {
            x.view_parts(offset, sizes, strides, ViewKind::MultiOutput)
        })
        .collect();
    if autograd::needs_grad(&[x]) && !out.is_empty() {
        let outs: SmallVec<[&Tensor; 8]> = out.iter().collect();
        let n = out.len();
        record_stateless(name, &[x], &outs, move |g| {
            let all = (0..n).map(|i| g.get(i)).collect::<Result<Vec<_>>>()?;
            autograd::engine::grads([Some(backward(all)?)])
        });
    }
    Ok(out)
}

/// Cuts axis `d` into stretches of these lengths.
fn stretches(x: &Tensor, d: usize, lengths: impl Iterator<Item = usize>) -> Vec<Part> {
    let mut start = 0;
    lengths
        .map(|n| {
            let mut sizes: Sizes = SmallVec::from_slice(x.sizes());
            sizes[d] = n;
            let offset = if n == 0 {
                x.offset()
            } else {
                (x.offset() as isize + x.strides()[d] * start as isize) as usize
            };
            start += n;
            (offset, sizes, SmallVec::from_slice(x.strides()))
        })
        .collect()
}

/// Splits an axis into stretches of `size`, the last of which may be shorter.
pub fn split(x: &Tensor, size: i64, dim: i64) -> Result<Vec<Tensor>> {
    crate::check!(
        x.ndim() > 0,
        Runtime,
        "split expects at least a 1-dimensional tensor"
    );
    let d = shape::wrap_dim(dim, x.ndim())?;
    crate::check!(
        size >= 0,
        Runtime,
        "split expects split_size be non-negative, but got split_size={size}"
    );
    let n = x.sizes()[d];
    crate::check!(
        size > 0 || n == 0,
        Runtime,
        "split_size can only be 0 if dimension size is 0, but got dimension size of {n}"
    );
    let size = size as usize;
    let count = if size == 0 {
        1
    } else {
        n.div_ceil(size).max(1)
    };
    crate::list::check_tensors("split", count)?;
    let lengths = (0..count).map(|i| size.min(n - i * size));
    views(x, stretches(x, d, lengths), "SplitBackward0", move |g| {
        cat(&g, d as i64)
    })
}

/// Splits an axis into stretches of the given lengths.
pub fn split_with_sizes(x: &Tensor, lengths: &[i64], dim: i64) -> Result<Vec<Tensor>> {
    crate::check!(
        x.ndim() > 0,
        Runtime,
        "split_with_sizes expects at least a 1-dimensional tensor"
    );
    let d = shape::wrap_dim(dim, x.ndim())?;
    crate::check!(
        lengths.iter().all(|&n| n >= 0),
        Runtime,
        "split_with_sizes expects split_sizes have only non-negative entries, but got split_sizes={}",
        shape::list(lengths)
    );
    let total = lengths.iter().fold(0i64, |a, &b| a.saturating_add(b));
    crate::check!(
        total == x.sizes()[d] as i64,
        Runtime,
        "split_with_sizes expects split_sizes to sum exactly to {} (input tensor's size at dimension {d}), but got \
         split_sizes={}",
        x.sizes()[d],
        shape::list(lengths)
    );
    views(
        x,
        stretches(x, d, lengths.iter().map(|&n| n as usize)),
        "SplitWithSizesBackward0",
        move |g| cat(&g, d as i64),
    )
}

/// Splits an axis into at most `chunks` stretches of one size.
pub fn chunk(x: &Tensor, chunks: i64, dim: i64) -> Result<Vec<Tensor>> {
    crate::check!(
        x.ndim() > 0,
        Runtime,
        "chunk expects at least a 1-dimensional tensor"
    );
    crate::check!(
        chunks > 0,
        Runtime,
        "chunk expects `chunks` to be greater than 0, got: {chunks}"
    );
    let d = shape::wrap_dim(dim, x.ndim())?;
    let n = x.sizes()[d] as i64;
    let size = n / chunks + (n % chunks != 0) as i64;
    if size == 0 {
        // An axis without elements gives as many empty chunks as were asked for.
        crate::list::check_tensors("chunk", chunks as usize)?;
        return split_with_sizes(x, &vec![0; chunks as usize], dim);
    }
    split(x, size, dim)
}

/// The slices of an axis, which disappears.
pub fn unbind(x: &Tensor, dim: i64) -> Result<Vec<Tensor>> {
    crate::check!(
        x.ndim() > 0,
        Index,
        "Dimension specified as {dim} but tensor has no dimensions"
    );
    let d = shape::wrap_dim(dim, x.ndim())?;
    let (mut sizes, mut strides): (Sizes, Strides) = (
        SmallVec::from_slice(x.sizes()),
        SmallVec::from_slice(x.strides()),
    );
    let (n, step) = (sizes.remove(d), strides.remove(d));
    crate::list::check_tensors("unbind", n)?;
    let parts = (0..n)
        .map(|i| {
            (
                (x.offset() as isize + step * i as isize) as usize,
                sizes.clone(),
                strides.clone(),
            )
        })
        .collect();
    views(x, parts, "UnbindBackward0", move |g| stack(&g, d as i64))
}

/// Splits an axis before each of the indices.
fn split_at(x: &Tensor, indices: &[i64], dim: i64) -> Result<Vec<Tensor>> {
    let mut start = 0;
    let mut out = Vec::with_capacity(indices.len() + 1);
    for &end in indices {
        out.push(x.slice(dim, Some(start), Some(end), 1)?);
        start = end;
    }
    out.push(x.slice(dim, Some(start), None, 1)?);
    Ok(out)
}

/// Splits an axis into a number of stretches that differ by at most one.
fn split_evenly(x: &Tensor, sections: i64, dim: i64) -> Result<Vec<Tensor>> {
    crate::check!(
        sections > 0,
        Runtime,
        "number of sections must be larger than 0, got {sections}"
    );
    // Every section is a tensor of its own, empty ones too.
    crate::list::check_tensors("tensor_split", sections as usize)?;
    let d = shape::wrap_dim(dim, x.ndim())?;
    let n = x.sizes()[d] as i64;
    let (size, longer) = (n / sections, n % sections);
    let mut start = 0;
    (0..sections)
        .map(|i| {
            let len = size + (i < longer) as i64;
            let part = x.slice(dim, Some(start), Some(start + len), 1);
            start += len;
            part
        })
        .collect()
}

fn need_axis(x: &Tensor) -> Result<()> {
    crate::check!(
        x.ndim() > 0,
        Runtime,
        "tensor_split expected at least a 1-dimensional tensor, but got a tensor with {} dims",
        x.ndim()
    );
    Ok(())
}

/// Sections or indices given as a tensor.
fn split_by_tensor(x: &Tensor, by: &Tensor, dim: i64) -> Result<Vec<Tensor>> {
    need_axis(x)?;
    crate::check!(
        by.dtype() == DType::I64,
        Runtime,
        "tensor_split expected tensor_indices_or_sections to have dtype of long, but got {}",
        by.dtype().scalar_name()
    );
    match by.ndim() {
        0 => split_evenly(x, by.item()?.to_i64(), dim),
        1 => split_at(x, &by.to_vec::<i64>()?, dim),
        n => crate::bail!(
            Runtime,
            "tensor_split expected tensor_indices_or_sections to be a zero-dimensional or one-dimensional tensor, but got \
             a tensor with {n} dims"
        ),
    }
}

/// The axis that `hsplit`, `vsplit` and `dsplit` cut, checked for the sections.
fn axis_of(op: &str, a: &Args, least: usize, axis: usize) -> Result<(Tensor, i64)> {
    let x = a.tensor(0);
    crate::check!(
        x.ndim() >= least,
        Runtime,
        "torch.{op} requires a tensor with at least {least} dimension, but got a tensor with {} dimensions!",
        x.ndim()
    );
    let axis = axis.min(x.ndim() - 1);
    if let Some(n) = a.opt_int(1) {
        let size = x.sizes()[axis] as i64;
        crate::check!(
            n > 0 && size % n == 0,
            Runtime,
            "torch.{op} attempted to split along dimension {axis}, but the size of the dimension {size} is not divisible \
             by the split_size {n}!"
        );
    }
    Ok((x, axis as i64))
}

/// Copies of views.
fn copies(parts: Vec<Tensor>) -> Result<Vec<Tensor>> {
    parts.iter().map(|t| t.clone_data_recorded()).collect()
}

op! {
    /// Joins tensors along an axis; dtypes are promoted.
    ///
    /// Args:
    ///     tensors: tensors of the same sizes except along `dim`; 1-d tensors without elements are passed over.
    ///     dim: the axis.
    ///
    /// Raises:
    ///     RuntimeError: sizes differ, or a tensor has no axes.
    ///
    /// Example::
    ///
    ///     >>> torch.cat([torch.tensor([1]), torch.tensor([2, 3])])
    ///     tensor([1, 2, 3])
    cat__, in [TORCH], alias ["concat", "concatenate"]; out {
        "(Tensor[] tensors, int dim=0) -> Tensor" => |a| cat(a.tensors(0), a.int(1)),
    }
}
op! {
    /// Joins tensors of the same sizes along a new axis.
    stack__, in [TORCH]; out {
        "(Tensor[] tensors, int dim=0) -> Tensor" => |a| stack(a.tensors(0), a.int(1)),
    }
}
op! {
    /// Splits an axis into views of `split_size` elements, or of the sizes in a list.
    split__, in [METHOD] {
        "(Tensor input, int split_size, int dim=0) -> Tensor[]" => |a| split(&a.tensor(0), a.int(1), a.int(2)),
        "(Tensor input, int[] split_size, int dim=0) -> Tensor[]" => |a| split_with_sizes(&a.tensor(0), a.ints(1), a.int(2)),
    }
}
/// `torch.split`, whose parameters have other names than the method's.
pub mod function {
    use super::*;
    op! {
        /// Splits an axis into views of `split_size_or_sections` elements, or of the sizes in a list.
        split__, in [TORCH] {
            "(Tensor tensor, int split_size_or_sections, int dim=0) -> Tensor[]" => |a| split(&a.tensor(0), a.int(1), a.int(2)),
            "(Tensor tensor, int[] split_size_or_sections, int dim=0) -> Tensor[]" => |a| split_with_sizes(&a.tensor(0), a.ints(1), a.int(2)),
        }
    }
}
op! {
    /// Splits an axis into views of the given sizes, which add up to the axis.
    split_with_sizes__, in [TORCH, METHOD] {
        "(Tensor input, int[] split_sizes, int dim=0) -> Tensor[]" => |a| split_with_sizes(&a.tensor(0), a.ints(1), a.int(2)),
    }
}
op! {
    /// Splits an axis into at most `chunks` views of one size; the last may be smaller.
    chunk__, in [TORCH, METHOD] {
        "(Tensor input, int chunks, int dim=0) -> Tensor[]" => |a| chunk(&a.tensor(0), a.int(1), a.int(2)),
    }
}
op! {
    /// Returns the slices of an axis as views without it.
    unbind__, in [TORCH, METHOD] {
        "(Tensor input, int dim=0) -> Tensor[]" => |a| unbind(&a.tensor(0), a.int(1)),
    }
}
op! {
    /// Splits an axis into `sections` views whose sizes differ by at most one, or before each index of a list.
    tensor_split, in [TORCH, METHOD] {
        "(Tensor input, int sections, int dim=0) -> Tensor[]" => |a| { let x = a.tensor(0); need_axis(&x)?; split_evenly(&x, a.int(1), a.int(2)) },
        "(Tensor input, int[] indices, int dim=0) -> Tensor[]" => |a| { let x = a.tensor(0); need_axis(&x)?; split_at(&x, a.ints(1), a.int(2)) },
        "(Tensor input, Tensor tensor_indices_or_sections, int dim=0) -> Tensor[]" => |a| split_by_tensor(&a.tensor(0), &a.tensor(1), a.int(2)),
    }
}
op! {
    /// Splits columns (the second axis, or the only one) into sections or before indices.
    hsplit, in [TORCH, METHOD] {
        "(Tensor input, int sections) -> Tensor[]" => |a| { let (x, d) = axis_of("hsplit", a, 1, 1)?; split_evenly(&x, a.int(1), d) },
        "(Tensor input, int[] indices) -> Tensor[]" => |a| { let (x, d) = axis_of("hsplit", &Args(&a.0[..1]), 1, 1)?; split_at(&x, a.ints(1), d) },
    }
}
op! {
    /// Splits rows (the first axis) into sections or before indices.
    vsplit, in [TORCH, METHOD] {
        "(Tensor input, int sections) -> Tensor[]" => |a| { let (x, d) = axis_of("vsplit", a, 2, 0)?; split_evenly(&x, a.int(1), d) },
        "(Tensor input, int[] indices) -> Tensor[]" => |a| { let (x, d) = axis_of("vsplit", &Args(&a.0[..1]), 2, 0)?; split_at(&x, a.ints(1), d) },
    }
}
op! {
    /// Splits the third axis into sections or before indices.
    dsplit, in [TORCH, METHOD] {
        "(Tensor input, int sections) -> Tensor[]" => |a| { let (x, d) = axis_of("dsplit", a, 3, 2)?; split_evenly(&x, a.int(1), d) },
        "(Tensor input, int[] indices) -> Tensor[]" => |a| { let (x, d) = axis_of("dsplit", &Args(&a.0[..1]), 3, 2)?; split_at(&x, a.ints(1), d) },
    }
}
op! {
    /// As `split`, with copies, so that the parts may be modified in place.
    unsafe_split, in [TORCH, METHOD] {
        "(Tensor input, int split_size, int dim=0) -> Tensor[]" => |a| copies(split(&a.tensor(0), a.int(1), a.int(2))?),
    }
}
op! {
    /// As `split_with_sizes`, with copies, so that the parts may be modified in place.
    unsafe_split_with_sizes, in [TORCH, METHOD] {
        "(Tensor input, int[] split_sizes, int dim=0) -> Tensor[]" => |a| copies(split_with_sizes(&a.tensor(0), a.ints(1), a.int(2))?),
    }
}
op! {
    /// As `chunk`, with copies, so that the parts may be modified in place.
    unsafe_chunk, in [TORCH, METHOD] {
        "(Tensor input, int chunks, int dim=0) -> Tensor[]" => |a| copies(chunk(&a.tensor(0), a.int(1), a.int(2))?),
    }
}
op! {
    /// As `split`, with copies.
    split_copy, in [TORCH] {
        "(Tensor input, int split_size, int dim=0) -> Tensor[]" => |a| copies(split(&a.tensor(0), a.int(1), a.int(2))?),
    }
}
op! {
    /// As `split_with_sizes`, with copies.
    split_with_sizes_copy, in [TORCH] {
        "(Tensor input, int[] split_sizes, int dim=0) -> Tensor[]" => |a| copies(split_with_sizes(&a.tensor(0), a.ints(1), a.int(2))?),
    }
}
op! {
    /// As `unbind`, with copies.
    unbind_copy, in [TORCH] {
        "(Tensor input, int dim=0) -> Tensor[]" => |a| copies(unbind(&a.tensor(0), a.int(1))?),
    }
}

pub static ROWS: &[&crate::ops::OpDef] = &[
    &cat__::DEF,
    &stack__::DEF,
    &split__::DEF,
    &function::split__::DEF,
    &split_with_sizes__::DEF,
    &chunk__::DEF,
    &unbind__::DEF,
    &tensor_split::DEF,
    &hsplit::DEF,
    &vsplit::DEF,
    &dsplit::DEF,
    &unsafe_split::DEF,
    &unsafe_split_with_sizes::DEF,
    &unsafe_chunk::DEF,
    &split_copy::DEF,
    &split_with_sizes_copy::DEF,
    &unbind_copy::DEF,
];
