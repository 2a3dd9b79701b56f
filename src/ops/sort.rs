//! Sorting and what order statistics follow from it.

use super::minmax::{by_dim, pick, resized, with_positions};
use crate::autograd;
use crate::cpu::sort::{Distinct, Rank, rank};
use crate::dispatch_of;
use crate::dtype::DType;
use crate::error::Result;
use crate::list;
use crate::ops::args::Value;
use crate::shape;
use crate::tensor::Tensor;

/// The positions a ranking wants along axis `d`, int64.
fn ranked(op: &str, x: &Tensor, d: usize, how: Rank) -> Result<Tensor> {
    x.need_cpu(op)?;
    let source = autograd::no_grad(|| x.detach().contiguous())?;
    let (_, n, inner) = by_dim(x, d);
    let out = Tensor::empty(
        &resized(x.sizes(), d, how.yields(n)),
        DType::I64,
        x.device(),
    )?;
    if x.numel() > 0 {
        dispatch_of!(op, x.dtype(), ordered, T => {
            // SAFETY: `out` was made for what the ranking yields.
            unsafe { rank::<T>(source.as_slice::<T>()?, n, inner, how, out.data_ptr() as *mut i64) }
        });
    }
    Ok(out)
}

impl Tensor {
    /// The elements in order along `dim` and their positions; equal elements keep their order.
    pub fn sort(&self, dim: i64, descending: bool) -> Result<(Tensor, Tensor)> {
        let d = shape::wrap_dim(dim, self.ndim())?;
        crate::check!(
            !self.dtype().is_complex(),
            Runtime,
            " Sort does not support complex dtypes on CPU"
        );
        let at = ranked("sort", self, d, Rank::Sort { descending })?;
        Ok((pick("SortBackward0", self, d, &at, false)?, at))
    }
}

fn named(name: &'static str, (values, indices): (Tensor, Tensor)) -> Value {
    Value::Named(name, &["values", "indices"], vec![values, indices])
}

fn topk(x: &Tensor, k: i64, dim: i64, largest: bool) -> Result<Value> {
    let d = shape::wrap_dim(dim, x.ndim())?;
    let n = by_dim(x, d).1;
    crate::check!(
        k >= 0 && k as usize <= n,
        Runtime,
        "selected index k out of range"
    );
    crate::check!(
        !x.dtype().is_complex(),
        Runtime,
        " topk does not support complex dtypes on CPU"
    );
    crate::check!(
        x.dtype() != DType::Bool,
        NotImplemented,
        "\"topk_cpu\" not implemented for 'Bool'"
    );
    let at = ranked(
        "topk_cpu",
        x,
        d,
        Rank::Top {
            k: k as usize,
            largest,
        },
    )?;
    Ok(named(
        "topk",
        (pick("TopkBackward0", x, d, &at, false)?, at),
    ))
}

fn kthvalue(x: &Tensor, k: i64, dim: i64, keepdim: bool) -> Result<Value> {
    let d = shape::wrap_dim(dim, x.ndim())?;
    let n = by_dim(x, d).1;
    if x.ndim() > 0 {
        crate::check!(
            n > 0,
            Index,
            "kthvalue(): Expected reduction dim {d} to have non-zero size."
        );
    }
    crate::check!(
        k >= 1 && k as usize <= n,
        Runtime,
        "kthvalue(): selected number k out of range for dimension {d}"
    );
    crate::check!(
        x.dtype() != DType::Bool,
        NotImplemented,
        "\"kthvalue_cpu\" not implemented for 'Bool'"
    );
    let at = ranked("kthvalue_cpu", x, d, Rank::Kth { k: k as usize - 1 })?;
    with_positions("kthvalue", "KthvalueBackward0", x, d, at, keepdim)
}

/// `median`, `nanmedian` and `mode` over an axis.
fn middle(
    name: &'static str,
    node: &'static str,
    x: &Tensor,
    dim: i64,
    keepdim: bool,
    how: Rank,
) -> Result<Value> {
    let d = shape::wrap_dim(dim, x.ndim())?;
    if x.ndim() > 0 {
        crate::check!(
            by_dim(x, d).1 > 0,
            Index,
            "{}(): Expected reduction dim {d} to have non-zero size.",
            name.trim_start_matches("nan")
        );
    }
    if name != "mode" {
        crate::check!(
            x.dtype() != DType::Bool,
            NotImplemented,
            "\"median_out\" not implemented for 'Bool'"
        );
    }
    with_positions(
        name,
        node,
        x,
        d,
        ranked(
            if name == "mode" {
                "mode_cpu"
            } else {
                "median_out"
            },
            x,
            d,
            how,
        )?,
        keepdim,
    )
}

/// The median of all elements, NaN of none.
fn whole_median(node: &'static str, x: &Tensor, how: Rank) -> Result<Tensor> {
    crate::check!(
        !x.dtype().is_complex() && x.dtype() != DType::Bool,
        NotImplemented,
        "\"median_cpu\" not implemented for '{}'",
        x.dtype().scalar_name()
    );
    if x.numel() == 0 {
        return Tensor::full(&[], f64::NAN, x.dtype(), x.device());
    }
    let flat = x.reshape(&[-1])?;
    let at = ranked("median_cpu", &flat, 0, how)?;
    pick(node, &flat, 0, &at, true)
}

/// Marks where a run of equal neighbours begins: distinct values, which one every element is, and how many of each.
struct Found {
    /// Positions of the values kept.
    first: Tensor,
    inverse: Tensor,
    counts: Tensor,
}

impl Found {
    fn new(d: Distinct) -> Result<Found> {
        let first: Vec<i64> = list::collected(d.first.iter().map(|&i| i as i64))?;
        Ok(Found {
            first: Tensor::from_slice(&first)?,
            inverse: Tensor::from_slice(&d.inverse)?,
            counts: Tensor::from_slice(&d.counts)?,
        })
    }
}

/// Distinct elements of a flat tensor: in order, or only among neighbours.
fn distinct_elements(op: &str, x: &Tensor, consecutive: bool) -> Result<Distinct> {
    Ok(dispatch_of!(op, x.dtype(), ordered, T => {
        let v = x.as_slice::<T>()?;
        let order = if consecutive { list::collected(0..v.len())? } else { crate::cpu::sort::order(v)? };
        Distinct::walk(&order, |a, b| v[a] == v[b])?
    }))
}

/// Distinct slices of a (slices, elements) block, compared element by element.
fn distinct_slices(op: &str, x: &Tensor, consecutive: bool) -> Result<Distinct> {
    let count = x.sizes()[0];
    let width = x.sizes()[1];
    Ok(dispatch_of!(op, x.dtype(), ordered, T => {
        use crate::cpu::sort::Key;
        let v = x.as_slice::<T>()?;
        let slice = |i: usize| &v[i * width..(i + 1) * width];
        let mut order: Vec<usize> = list::collected(0..count)?;
        if !consecutive {
            // Positions decide ties, so that the sort need not be the stable one, which takes memory.
            let keys = |i: usize| slice(i).iter().map(|v| v.key());
            order.sort_unstable_by(|&a, &b| keys(a).cmp(keys(b)).then(a.cmp(&b)));
        }
        Distinct::walk(&order, |a, b| slice(a) == slice(b))?
    }))
}

/// `unique` and `unique_consecutive`, with the parts that were asked for.
fn unique(
    op: &str,
    x: &Tensor,
    dim: Option<i64>,
    consecutive: bool,
    inverse: bool,
    counts: bool,
) -> Result<Value> {
    x.need_cpu(op)?;
    let requires = autograd::needs_grad(&[x]);
    let (values, found, inverse_sizes) = autograd::no_grad(
        || -> Result<(Tensor, Found, Vec<usize>)> {
            let t = x.detach();
            match dim {
                None => {
                    let flat = t.contiguous()?.reshape(&[-1])?;
                    let found = Found::new(distinct_elements(op, &flat, consecutive)?)?;
                    let values = pick("NotImplemented", &flat, 0, &found.first, false)?;
                    Ok((values, found, x.sizes().to_vec()))
                }
                Some(dim) => {
                    let d = shape::wrap_dim(dim, t.ndim())?;
                    if t.ndim() > 0 && x.numel() == 0 {
                        crate::check!(
                            x.sizes().iter().filter(|&&n| n == 0).count() == 1,
                            Runtime,
                            "Number of zero sized dimensions is more than one, so unique cannot be applied "
                        );
                        crate::check!(
                            x.sizes()[d] == 0,
                            Runtime,
                            "There are 0 sized dimensions, and they aren't selected, so unique cannot be applied"
                        );
                    }
                    let t = if t.ndim() == 0 { t.reshape(&[1])? } else { t };
                    let n = t.sizes()[d];
                    let rows = t.transpose(0, d as i64)?.contiguous()?;
                    let flat = rows.reshape_to(&[n, rows.numel() / n.max(1)])?;
                    let found = Found::new(distinct_slices(op, &flat, consecutive)?)?;
                    let values = crate::ops::index::index(&t, &[(d, found.first.clone())])?;
                    Ok((values, found, vec![n]))
                }
            }
        },
    )?;
    if requires {
        autograd::record_not_differentiable("unique", &[x], &[&values]);
    }
    let mut out = vec![values];
    if inverse {
        out.push(found.inverse.reshape_to(&inverse_sizes)?);
    }
    if counts {
        out.push(found.counts);
    }
    Ok(if out.len() == 1 {
        Value::Tensor(out.swap_remove(0))
    } else {
        Value::Tuple(out)
    })
}

op! {
    /// Returns the elements of `input` in order along `dim`, and where they were. NaN counts as the largest.
    sort, in [TORCH, METHOD]; out {
        "(Tensor input, int dim=-1, bool descending=False) -> (Tensor values, Tensor indices)" =>
            |a| Ok(named("sort", a.tensor(0).sort(a.int(1), a.bool(2))?)),
        "(Tensor input, *, bool? stable, int dim=-1, bool descending=False) -> (Tensor values, Tensor indices)" =>
            |a| Ok(named("sort", a.tensor(0).sort(a.int(2), a.bool(3))?)),
    }
}
op! {
    /// Returns the positions that put `input` in order along `dim`.
    argsort, in [TORCH, METHOD] {
        "(Tensor input, int dim=-1, bool descending=False) -> Tensor" =>
            |a| Ok(a.tensor(0).detach().sort(a.int(1), a.bool(2))?.1),
        "(Tensor input, *, bool stable, int dim=-1, bool descending=False) -> Tensor" =>
            |a| Ok(a.tensor(0).detach().sort(a.int(2), a.bool(3))?.1),
    }
}
op! {
    /// Returns the elements of `input` in ascending order along the first axis.
    msort, in [TORCH, METHOD]; out {
        "(Tensor input) -> Tensor" => |a| Ok(a.tensor(0).sort(0, false)?.0),
    }
}
op! {
    /// Returns the `k` largest (or smallest) elements of `input` along `dim` in order, and where they were.
    topk, in [TORCH, METHOD]; out {
        "(Tensor input, int k, int dim=-1, bool largest=True, bool sorted=True) -> (Tensor values, Tensor indices)" =>
            |a| topk(&a.tensor(0), a.int(1), a.int(2), a.bool(3)),
    }
}
op! {
    /// Returns the `k`-th smallest elements of `input` along `dim` (counted from 1), and where they were.
    kthvalue, in [TORCH, METHOD]; out {
        "(Tensor input, int k, int dim=-1, bool keepdim=False) -> (Tensor values, Tensor indices)" =>
            |a| kthvalue(&a.tensor(0), a.int(1), a.int(2), a.bool(3)),
    }
}
op! {
    /// Returns the lower median of `input`, over `dim` together with its position. NaN if there is one.
    median, in [TORCH, METHOD]; out {
        "(Tensor input) -> Tensor" => |a| whole_median("MedianBackward0", &a.tensor(0), Rank::Median).map(Value::Tensor),
        "(Tensor input, int dim, bool keepdim=False) -> (Tensor values, Tensor indices)" =>
            |a| middle("median", "MedianBackward1", &a.tensor(0), a.int(1), a.bool(2), Rank::Median),
    }
}
op! {
    /// Returns the lower median of the elements of `input` that are not NaN, over `dim` together with its position.
    nanmedian, in [TORCH, METHOD]; out {
        "(Tensor input) -> Tensor" =>
            |a| whole_median("NanmedianBackward0", &a.tensor(0), Rank::NanMedian).map(Value::Tensor),
        "(Tensor input, int dim, bool keepdim=False) -> (Tensor values, Tensor indices)" =>
            |a| middle("nanmedian", "NanmedianBackward1", &a.tensor(0), a.int(1), a.bool(2), Rank::NanMedian),
    }
}
op! {
    /// Returns the most frequent values of `input` along `dim`, the smallest of several, and where one is.
    mode, in [TORCH, METHOD]; out {
        "(Tensor input, int dim=-1, bool keepdim=False) -> (Tensor values, Tensor indices)" =>
            |a| middle("mode", "ModeBackward0", &a.tensor(0), a.int(1), a.bool(2), Rank::Mode),
    }
}
op! {
    /// Returns the distinct elements of `input` in ascending order, or its distinct slices along `dim`.
    ///
    /// With `return_inverse` also which of them every element is, with `return_counts` how often each occurs.
    unique, in [TORCH, METHOD] {
        "(Tensor input, bool sorted=True, bool return_inverse=False, bool return_counts=False, int? dim=None) -> Tensor" =>
            |a| unique("unique", &a.tensor(0), a.opt_int(4), false, a.bool(2), a.bool(3)),
    }
}
op! {
    /// Returns `input` without repeats of neighbours, along `dim` without repeated neighbouring slices.
    unique_consecutive, in [TORCH, METHOD] {
        "(Tensor input, bool return_inverse=False, bool return_counts=False, int? dim=None) -> Tensor" =>
            |a| unique("unique_consecutive", &a.tensor(0), a.opt_int(3), true, a.bool(1), a.bool(2)),
    }
}

pub static ROWS: &[&crate::ops::OpDef] = &[
    &sort::DEF,
    &argsort::DEF,
    &msort::DEF,
    &topk::DEF,
    &kthvalue::DEF,
    &median::DEF,
    &nanmedian::DEF,
    &mode::DEF,
    &unique::DEF,
    &unique_consecutive::DEF,
];
