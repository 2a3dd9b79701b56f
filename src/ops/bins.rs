//! Counting elements in bins, and finding where elements would go in a sorted sequence.

use crate::autograd;
use crate::dispatch_of;
use crate::dtype::{DType, promote_types};
use crate::error::Result;
use crate::list;
use crate::ops::args::Value;
use crate::scalar::Scalar;
use crate::tensor::Tensor;

/// The ends of the bins: those given or, if they are equal, those of the data.
fn range_of(op: &str, x: &Tensor, low: f64, high: f64) -> Result<(f64, f64)> {
    let (mut low, mut high) = (low, high);
    if low == high && x.numel() > 0 {
        let dims: Vec<usize> = (0..x.ndim()).collect();
        low = super::reduce::reduce(super::reduce::Kind::Min, x, &dims, false)?
            .item()?
            .to_f64();
        high = super::reduce::reduce(super::reduce::Kind::Max, x, &dims, false)?
            .item()?
            .to_f64();
    }
    if low == high {
        (low, high) = (low - 1.0, high + 1.0);
    }
    crate::check!(
        low.is_finite() && high.is_finite(),
        Runtime,
        "{op}: range of [{low}, {high}] is not finite"
    );
    crate::check!(low < high, Runtime, "{op}: max must be larger than min");
    Ok((low, high))
}

/// Counts the elements in each of `bins` equal bins from `low` to `high`; the last bin includes its end.
fn fill(values: &[f64], bins: usize, low: f64, high: f64) -> Result<Vec<f64>> {
    let mut out = list::filled(bins, 0.0)?;
    for &v in values {
        if v >= low && v <= high {
            let k = ((v - low) * bins as f64 / (high - low)) as usize;
            out[k.min(bins - 1)] += 1.0;
        }
    }
    Ok(out)
}

fn histc(x: &Tensor, bins: i64, low: Scalar, high: Scalar) -> Result<Tensor> {
    x.need_cpu("histc")?;
    crate::check!(
        x.dtype().is_floating(),
        NotImplemented,
        "\"histogram_cpu\" not implemented for '{}'",
        x.dtype().scalar_name()
    );
    crate::check!(
        bins > 0,
        Runtime,
        "torch.histogram(): bins must be > 0, but got {bins} for dimension 0"
    );
    crate::check!(
        low.to_f64() <= high.to_f64(),
        Runtime,
        "torch.histc: max must be larger than min"
    );
    let (low, high) = range_of("torch.histc", &x.detach(), low.to_f64(), high.to_f64())?;
    let counts = fill(&x.to_vec::<f64>()?, bins as usize, low, high)?;
    let out = autograd::no_grad(|| Tensor::from_slice(&counts)?.to_dtype(x.dtype()))?;
    if autograd::needs_grad(&[x]) {
        autograd::record_not_differentiable("histc", &[x], &[&out]);
    }
    Ok(out)
}

fn bincount(x: &Tensor, weights: Option<&Tensor>, minlength: i64) -> Result<Tensor> {
    x.need_cpu("bincount")?;
    crate::check!(minlength >= 0, Runtime, "minlength should be >= 0");
    crate::check!(
        x.dtype().is_integer(),
        NotImplemented,
        "\"bincount_cpu\" not implemented for '{}'",
        x.dtype().scalar_name()
    );
    let v = if x.ndim() == 1 {
        x.to_vec::<i64>()?
    } else {
        Vec::new()
    };
    crate::check!(
        (x.ndim() == 1 || x.sizes() == [0]) && v.iter().all(|&i| i >= 0),
        Runtime,
        "bincount only supports 1-d non-negative integral inputs."
    );
    if let Some(w) = weights {
        crate::check!(
            w.ndim() == 1 && w.numel() == v.len(),
            Runtime,
            "weights should be 1-d and have the same length as input"
        );
    }
    let n = v
        .iter()
        .max()
        .map_or(0, |&m| m.saturating_add(1))
        .max(minlength) as usize;
    match weights {
        None => {
            let mut out = list::filled(n, 0i64)?;
            v.iter().for_each(|&i| out[i as usize] += 1);
            Tensor::from_slice(&out)
        }
        Some(w) => {
            let mut out = list::filled(n, 0f64)?;
            v.iter()
                .zip(w.to_vec::<f64>()?)
                .for_each(|(&i, w)| out[i as usize] += w);
            Tensor::from_slice(&out)?.to_dtype(if w.dtype() == DType::F32 {
                DType::F32
            } else {
                DType::F64
            })
        }
    }
}

/// `histogram` over equal bins or given edges.
fn histogram(x: &Tensor, edges: Tensor, weight: Option<&Tensor>, density: bool) -> Result<Value> {
    x.need_cpu("histogram")?;
    crate::check!(
        matches!(x.dtype(), DType::F32 | DType::F64),
        NotImplemented,
        "\"histogram_cpu\" not implemented for '{}'",
        x.dtype().scalar_name()
    );
    if let Some(w) = weight {
        crate::check!(
            w.dtype() == x.dtype() && w.sizes() == x.sizes(),
            Runtime,
            "torch.histogram(): if weight tensor is provided, it should have the same dtype and shape as the input tensor"
        );
    }
    crate::check!(
        edges.numel() > 0,
        Runtime,
        "torch.histogram(): bins tensor should have at least 1 element"
    );
    crate::check!(
        edges.dtype() == x.dtype(),
        Runtime,
        "torch.histogram(): input tensor and bins tensors should have the same dtype"
    );
    let (v, e) = (x.to_vec::<f64>()?, edges.to_vec::<f64>()?);
    let w = weight.map(|w| w.to_vec::<f64>()).transpose()?;
    let bins = e.len() - 1;
    let mut counts = list::filled(bins, 0.0)?;
    for (i, v) in v.iter().enumerate() {
        if bins > 0 && *v >= e[0] && *v <= e[bins] {
            let k = e.partition_point(|b| b <= v).clamp(1, bins) - 1;
            counts[k] += w.as_ref().map_or(1.0, |w| w[i]);
        }
    }
    if density {
        let total: f64 = counts.iter().sum();
        counts
            .iter_mut()
            .enumerate()
            .for_each(|(i, c)| *c /= total * (e[i + 1] - e[i]));
    }
    let hist = Tensor::from_slice(&counts)?.to_dtype(x.dtype())?;
    Ok(Value::Named(
        "histogram",
        &["hist", "bin_edges"],
        vec![hist, edges],
    ))
}

/// The edges of `count` equal bins for dimension `d`, from the lowest to the highest point where no range is given.
fn equal_bins(
    op: &str,
    d: usize,
    count: i64,
    range: Option<(f64, f64)>,
    points: impl FnOnce() -> Result<Tensor>,
) -> Result<Tensor> {
    crate::check!(
        count > 0,
        Runtime,
        "torch.histogram(): bins must be > 0, but got {count} for dimension {d}"
    );
    let (mut low, mut high) = match range {
        Some(range) => range,
        None => {
            let v = points()?.to_vec::<f64>()?;
            // A NaN anywhere shows in both.
            let pick = |a: f64, b: f64, less: bool| {
                if a.is_nan() || (!b.is_nan() && (a < b) == less) {
                    a
                } else {
                    b
                }
            };
            match v.split_first() {
                Some((&first, rest)) => rest.iter().fold((first, first), |(low, high), &v| {
                    (pick(low, v, true), pick(high, v, false))
                }),
                None => (0.0, 1.0),
            }
        }
    };
    crate::check!(
        low.is_finite() && high.is_finite(),
        Runtime,
        "{op}: dimension {d}'s range [{low}, {high}] is not finite"
    );
    crate::check!(
        low <= high,
        Runtime,
        "{op}: min should not exceed max, but got min {low} max {high} for dimension {d}"
    );
    if low == high {
        (low, high) = (low - 0.5, high + 0.5);
    }
    // From the nearer end, so that both ends are exact.
    let (step, count) = ((high - low) / count as f64, count as usize);
    let at = |k: usize| {
        if k <= count / 2 {
            low + step * k as f64
        } else {
            high - step * (count - k) as f64
        }
    };
    Tensor::from_slice(&list::collected((0..count.saturating_add(1)).map(at))?)
}

/// `bins + 1` evenly spaced edges.
fn even_edges(x: &Tensor, bins: i64, range: Option<&[f64]>) -> Result<Tensor> {
    let range = match range {
        Some([low, high]) => Some((*low, *high)),
        Some(_) => crate::bail!(
            Runtime,
            "torch.histogram(): range should have 2 elements for 1 dimension"
        ),
        None => None,
    };
    equal_bins("torch.histogram()", 0, bins, range, || Ok(x.detach()))?.to_dtype(x.dtype())
}

/// What the user says about the bins of one dimension.
enum Bins<'a> {
    Even(i64),
    Edges(&'a Tensor),
}

const DD: &str = "torch.histogramdd";

/// The edges of each dimension's bins.
fn edges_dd(x: &Tensor, bins: &[Bins], range: Option<&[f64]>) -> Result<Vec<Tensor>> {
    let d = bins.len();
    if let Some(r) = range {
        crate::check!(
            r.len() == 2 * d,
            Runtime,
            "{DD}: for a {d}-dimensional histogram range should have {} elements, but got {}",
            2 * d,
            r.len()
        );
    }
    let mut out = Vec::with_capacity(d);
    for (i, b) in bins.iter().enumerate() {
        let count = match b {
            Bins::Edges(t) => {
                crate::check!(
                    t.ndim() == 1,
                    Runtime,
                    "{DD}: bins tensor should have one dimension, but got {} dimensions in the bins tensor for dimension {i}",
                    t.ndim()
                );
                crate::check!(
                    t.numel() > 0,
                    Runtime,
                    "{DD}: bins tensor should have at least 1 element, but got 0 elements in the bins tensor for dimension {i}"
                );
                crate::check!(
                    t.dtype() == x.dtype(),
                    Runtime,
                    "{DD}: input tensor and bins tensors should have the same dtype, but got input with dtype {} and bins for \
                     dimension {i} with dtype {}",
                    x.dtype().native_name(),
                    t.dtype().native_name()
                );
                out.push(t.detach());
                continue;
            }
            Bins::Even(count) => *count,
        };
        let range = range.map(|r| (r[2 * i], r[2 * i + 1]));
        let points = || x.detach().select(-1, i as i64);
        out.push(equal_bins(DD, i, count, range, points)?.to_dtype(x.dtype())?);
    }
    Ok(out)
}

/// Counts of points, the rows of `x`, in a grid of bins.
fn histogramdd(
    x: &Tensor,
    bins: &[Bins],
    range: Option<&[f64]>,
    weight: Option<&Tensor>,
    density: bool,
) -> Result<Value> {
    x.need_cpu("histogramdd")?;
    crate::check!(
        x.ndim() >= 2,
        Runtime,
        "{DD}: input tensor should have at least 2 dimensions"
    );
    let d = x.size(-1)?;
    crate::check!(
        bins.len() == d,
        Runtime,
        "{}",
        match bins.first() {
            Some(Bins::Edges(_)) => format!(
                "{DD}: expected {d} sequences of bin edges for a {d}-dimensional histogram but got {}",
                bins.len()
            ),
            _ => "histogramdd: The size of bins must be equal to the innermost dimension of the input.".into(),
        }
    );
    crate::check!(
        matches!(x.dtype(), DType::F32 | DType::F64),
        NotImplemented,
        "\"histogramdd\" not implemented for '{}'",
        x.dtype().scalar_name()
    );
    if let Some(w) = weight {
        crate::check!(
            w.dtype() == x.dtype(),
            Runtime,
            "{DD}: if weight tensor is provided, input tensor and weight tensor should have the same dtype, but got \
             input({}), and weight({})",
            x.dtype().native_name(),
            w.dtype().native_name()
        );
        crate::check!(
            *w.sizes() == x.sizes()[..x.ndim() - 1],
            Runtime,
            "{DD}: if weight tensor is provided it should have the same shape as the input tensor excluding its innermost \
             dimension, but got input with shape {} and weight with shape {}",
            crate::shape::list(x.sizes()),
            crate::shape::list(w.sizes())
        );
    }
    let edges = edges_dd(x, bins, range)?;
    let lists = edges
        .iter()
        .map(|e| e.to_vec::<f64>())
        .collect::<Result<Vec<_>>>()?;
    let sizes: Vec<usize> = lists.iter().map(|e| e.len() - 1).collect();
    let mut counts = list::filled(crate::shape::numel(&sizes)?, 0.0)?;
    let weights = weight.map(|w| w.to_vec::<f64>()).transpose()?;
    for (i, point) in x.to_vec::<f64>()?.chunks_exact(d.max(1)).enumerate() {
        let mut at = Some(0);
        for ((v, e), &n) in point.iter().zip(&lists).zip(&sizes) {
            // The last bin includes its end.
            let inside = n > 0 && *v >= e[0] && *v <= e[n];
            at = at
                .filter(|_| inside)
                .map(|at| at * n + e.partition_point(|b| b <= v).clamp(1, n) - 1);
        }
        if let Some(at) = at {
            counts[at] += weights.as_ref().map_or(1.0, |w| w[i]);
        }
    }
    if density {
        let total: f64 = counts.iter().sum();
        for (at, c) in counts.iter_mut().enumerate() {
            let (mut rest, mut volume) = (at, total);
            for (e, &n) in lists.iter().zip(&sizes).rev() {
                volume *= e[rest % n + 1] - e[rest % n];
                rest /= n;
            }
            *c /= volume;
        }
    }
    let hist = Tensor::from_slice_shaped(&counts, &sizes)?.to_dtype(x.dtype())?;
    if autograd::needs_grad(&[x]) {
        autograd::record_not_differentiable("histogramdd", &[x], &[&hist]);
    }
    Ok(Value::NamedValues(
        "histogramdd",
        &["hist", "bin_edges"],
        vec![Value::Tensor(hist), Value::Tuple(edges)],
    ))
}

/// Where the values would be inserted: before equal elements, or with `right` after them.
fn search(
    x: &Tensor,
    values: &Tensor,
    right: bool,
    sorter: Option<&Tensor>,
    int32: bool,
) -> Result<Tensor> {
    x.need_cpu("searchsorted")?;
    let common = promote_types(x.dtype(), values.dtype())?;
    let common = if values.is_wrapped()
        || (values.ndim() == 0 && values.dtype().category() <= x.dtype().category())
    {
        x.dtype()
    } else {
        common
    };
    let prepare = |t: &Tensor, d| autograd::no_grad(|| t.detach().to_dtype(d)?.contiguous());
    let (x, v) = (prepare(x, common)?, prepare(values, common)?);
    let order = sorter.map(|s| prepare(s, DType::I64)).transpose()?;
    let order = order.as_ref().map(|s| s.as_slice::<i64>()).transpose()?;
    let n = x.sizes().last().copied().unwrap_or(1);
    let each = if x.ndim() <= 1 {
        v.numel().max(1)
    } else {
        v.sizes().last().copied().unwrap_or(1).max(1)
    };
    if let Some(order) = order {
        crate::check!(
            order.iter().all(|&i| i >= 0 && (i as usize) < n),
            Runtime,
            "torch.searchsorted(): sorter index out of range"
        );
    }
    let out = Tensor::empty(v.sizes(), DType::I64, x.device())?;
    dispatch_of!("searchsorted_out_cpu", common, ordered, T => {
        use crate::cpu::sort::Key;
        let (xs, vs) = (x.as_slice::<T>()?, v.as_slice::<T>()?);
        for (i, v) in vs.iter().enumerate() {
            let row = i / each * n;
            let at = |k: usize| xs[row + order.map_or(k, |o| o[row + k] as usize)].key();
            let key = v.key();
            let (mut low, mut high) = (0, n);
            while low < high {
                let mid = (low + high) / 2;
                // NaN goes to the end on either side.
                let before = if right || Some(key) == <T as Key>::NAN { at(mid) <= key } else { at(mid) < key };
                if before { low = mid + 1 } else { high = mid }
            }
            // SAFETY: `out` has as many elements as `v`.
            unsafe { (out.data_ptr() as *mut i64).add(i).write(low as i64) };
        }
    });
    if int32 {
        autograd::no_grad(|| out.to_dtype(DType::I32))
    } else {
        Ok(out)
    }
}

fn searchsorted(
    x: &Tensor,
    v: &Tensor,
    int32: bool,
    right: bool,
    side: Option<&str>,
    sorter: Option<&Tensor>,
) -> Result<Tensor> {
    let op = "torch.searchsorted()";
    if let Some(side) = side {
        crate::check!(
            matches!(side, "left" | "right"),
            Runtime,
            "{op}: side can only be 'left' or 'right' but got {side}"
        );
        crate::check!(
            !(right && side == "left"),
            Runtime,
            "{op}: side and right can't be set to opposites, got side of left while right was True"
        );
    }
    crate::check!(
        v.ndim() > 0 || x.ndim() == 1,
        Runtime,
        "{op}: input value can be a scalar only when boundaries tensor dimension is 1, but we got boundaries tensor dim({}) and \
         input value's dim({}) numel({})",
        x.ndim(),
        v.ndim(),
        v.numel()
    );
    crate::check!(
        x.ndim() > 0,
        Runtime,
        "{op}: boundaries tensor should have positive dimension"
    );
    let matches = x.ndim() == 1
        || (x.ndim() == v.ndim() && x.sizes()[..x.ndim() - 1] == v.sizes()[..v.ndim() - 1]);
    crate::check!(
        matches,
        Runtime,
        "{op}: boundaries tensor should be 1 dimension or the first N-1 dimensions of boundaries tensor and input value tensor \
         must match, but we got boundaries tensor {} and input value tensor {}",
        crate::shape::list(x.sizes()),
        crate::shape::list(v.sizes())
    );
    if let Some(s) = sorter {
        crate::check!(
            s.sizes() == x.sizes(),
            Runtime,
            "{op}: boundary and sorter must have the same size, but got boundary tensor {}and got sorter tensor {}",
            crate::shape::list(x.sizes()),
            crate::shape::list(s.sizes())
        );
        crate::check!(
            s.dtype() == DType::I64,
            Runtime,
            "{op}: sorter must be a tensor of long dtype but got dtype {}",
            s.dtype().scalar_name()
        );
    }
    search(x, v, right || side == Some("right"), sorter, int32)
}

fn bucketize(v: &Tensor, boundaries: &Tensor, int32: bool, right: bool) -> Result<Tensor> {
    crate::check!(
        boundaries.ndim() == 1,
        Runtime,
        "boundaries tensor must be 1 dimension, but got dim({})",
        boundaries.ndim()
    );
    search(boundaries, v, right, None, int32)
}

op! {
    /// Counts the elements of `input` in `bins` equal bins from `min` to `max`; from its smallest to its largest element
    /// if both are equal.
    histc, in [TORCH, METHOD]; out {
        "(Tensor input, int bins=100, Scalar min=0, Scalar max=0) -> Tensor" =>
            |a| histc(&a.tensor(0), a.int(1), a.scalar(2), a.scalar(3)),
    }
}
op! {
    /// Returns the counts (or sums of weights) of the elements of `input` in bins, and the edges of the bins.
    histogram, in [TORCH, METHOD]; out {
        "(Tensor input, Tensor bins, *, Tensor? weight=None, bool density=False) -> (Tensor hist, Tensor bin_edges)" =>
            |a| histogram(&a.tensor(0), a.tensor(1), a.opt_tensor(2), a.bool(3)),
        "(Tensor input, int bins=100, *, float[]? range=None, Tensor? weight=None, bool density=False) -> (Tensor hist, Tensor bin_edges)" =>
            |a| { let x = a.tensor(0); histogram(&x, even_edges(&x, a.int(1), a.opt_floats(2))?, a.opt_tensor(3), a.bool(4)) },
    }
}
op! {
    /// Counts points (or sums their weights) in a grid of bins.
    ///
    /// Args:
    ///     input: (*, d), points with d coordinates.
    ///     bins: d tensors with the edges of each dimension's bins, or the number of equal bins in each.
    ///     range: d pairs of the lowest and the highest edge. Default: those of the points.
    ///     weight: (*), of the points. Default: 1.
    ///     density: whether the sum of counts times volumes is made 1.
    ///
    /// Returns:
    ///     hist, with one axis for each dimension, and the tuple bin_edges.
    ///
    /// Example:
    ///     >>> torch.histogramdd(torch.tensor([[0.0, 1.0], [1.0, 0.0], [2.0, 2.0]]), [2, 2]).hist
    ///     tensor([[0., 1.],
    ///             [1., 1.]])
    histogramdd, in [TORCH] {
        "(Tensor input, int bins, float[]? range=None, Tensor? weight=None, bool density=False) -> (Tensor hist, Tensor[] bin_edges)" => |a| {
            let x = a.tensor(0);
            let d = x.sizes().last().copied().unwrap_or(0);
            let bins: Vec<Bins> = (0..d).map(|_| Bins::Even(a.int(1))).collect();
            super::histogramdd(&x, &bins, a.opt_floats(2), a.opt_tensor(3), a.bool(4))
        },
        "(Tensor input, int[] bins, float[]? range=None, Tensor? weight=None, bool density=False) -> (Tensor hist, Tensor[] bin_edges)" => |a| {
            let bins: Vec<Bins> = a.ints(1).iter().map(|&n| Bins::Even(n)).collect();
            super::histogramdd(&a.tensor(0), &bins, a.opt_floats(2), a.opt_tensor(3), a.bool(4))
        },
        "(Tensor input, Tensor[] bins, float[]? range=None, Tensor? weight=None, bool density=False) -> (Tensor hist, Tensor[] bin_edges)" => |a| {
            let bins: Vec<Bins> = a.tensors(1).iter().map(Bins::Edges).collect();
            super::histogramdd(&a.tensor(0), &bins, a.opt_floats(2), a.opt_tensor(3), a.bool(4))
        },
    }
}
op! {
    /// Counts how often each non-negative integer occurs in the 1-d `input`, or sums the weights of its occurrences.
    bincount, in [TORCH, METHOD] {
        "(Tensor input, Tensor? weights=None, int minlength=0) -> Tensor" =>
            |a| bincount(&a.tensor(0), a.opt_tensor(1), a.int(2)),
    }
}
op! {
    /// Returns the positions in the last axis of `sorted_sequence` before which (with `right` after which) the elements of
    /// `input` keep it sorted.
    searchsorted, in [TORCH]; out {
        "(Tensor sorted_sequence, Tensor input, *, bool out_int32=False, bool right=False, str? side=None, Tensor? sorter=None) -> Tensor" =>
            |a| searchsorted(&a.tensor(0), &a.tensor(1), a.bool(2), a.bool(3), a.opt_str(4), a.opt_tensor(5)),
        "(Tensor sorted_sequence, Scalar input, *, bool out_int32=False, bool right=False, str? side=None, Tensor? sorter=None) -> Tensor" =>
            |a| searchsorted(&a.tensor(0), &Tensor::wrapped(a.scalar(1))?, a.bool(2), a.bool(3), a.opt_str(4), a.opt_tensor(5)),
    }
}
op! {
    /// Returns the numbers of the buckets, whose ends are `boundaries`, that the elements of `input` belong to.
    bucketize, in [TORCH]; out {
        "(Tensor input, Tensor boundaries, *, bool out_int32=False, bool right=False) -> Tensor" =>
            |a| bucketize(&a.tensor(0), &a.tensor(1), a.bool(2), a.bool(3)),
        "(Scalar input, Tensor boundaries, *, bool out_int32=False, bool right=False) -> Tensor" =>
            |a| bucketize(&Tensor::wrapped(a.scalar(0))?, &a.tensor(1), a.bool(2), a.bool(3)),
    }
}

pub static ROWS: &[&crate::ops::OpDef] = &[
    &histc::DEF,
    &histogram::DEF,
    &histogramdd::DEF,
    &bincount::DEF,
    &searchsorted::DEF,
    &bucketize::DEF,
];
