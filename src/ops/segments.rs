//! Reductions of consecutive segments of an axis.

use super::join::cat;
use super::scatter::{gather, scatter_add};
use crate::autograd::{self, Saved, engine::grads, record};
use crate::dtype::DType;
use crate::error::Result;
use crate::list;
use crate::shape::Sizes;
use crate::tensor::Tensor;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reduce {
    Sum,
    Mean,
    Prod,
    Max,
    Min,
}

impl Reduce {
    fn parse(name: &str) -> Result<Reduce> {
        Ok(match name {
            "sum" => Reduce::Sum,
            "mean" => Reduce::Mean,
            "prod" => Reduce::Prod,
            "max" | "amax" => Reduce::Max,
            "min" | "amin" => Reduce::Min,
            _ => crate::bail!(
                Runtime,
                "reduce argument must be either sum, prod, mean, amax or amin, got {name}"
            ),
        })
    }

    /// The result of no elements; the mean of none is NaN.
    fn start(self) -> f64 {
        match self {
            Reduce::Sum | Reduce::Mean => 0.0,
            Reduce::Prod => 1.0,
            Reduce::Max => f64::NEG_INFINITY,
            Reduce::Min => f64::INFINITY,
        }
    }

    fn with(self, a: f64, b: f64) -> f64 {
        let chosen = |a_wins: bool| {
            if a.is_nan() || (a_wins && !b.is_nan()) {
                a
            } else {
                b
            }
        };
        match self {
            Reduce::Sum | Reduce::Mean => a + b,
            Reduce::Prod => a * b,
            Reduce::Max => chosen(a >= b),
            Reduce::Min => chosen(a <= b),
        }
    }
}

/// Where segments lie along an axis: (first, end) for each, by batch.
struct Segments {
    spans: Vec<(usize, usize)>,
    count: usize,
    axis: usize,
    /// Elements along the axis.
    room: usize,
}

const NAME: &str = "segment_reduce()";

impl Segments {
    fn new(x: &Tensor, t: &Tensor, offsets: bool, axis: i64, checked: bool) -> Result<Segments> {
        let axis = crate::shape::wrap_dim(axis, x.ndim())?;
        let kind = if offsets { "offsets" } else { "lengths" };
        crate::check!(
            x.ndim() >= t.ndim() && t.ndim() > 0,
            Runtime,
            "Expected data.dim() >= {kind}_value.dim() to be true, but got false. The {kind} need one to {} dimensions, got {}",
            x.ndim(),
            t.ndim()
        );
        crate::check!(
            axis == t.ndim() - 1,
            Runtime,
            "{NAME}: Expected axis to be the last dimension of {kind} but got {axis}."
        );
        crate::check!(
            matches!(t.dtype(), DType::I32 | DType::I64),
            NotImplemented,
            "\"_segment_reduce_{kind}_cpu_kernel1\" not implemented for '{}'",
            t.dtype().scalar_name()
        );
        let batch = &x.sizes()[..axis];
        crate::check!(
            t.sizes()[..axis] == *batch,
            Runtime,
            "{NAME}: Expected the first dimensions of {kind} to be those of data, {}, but got {}",
            crate::shape::list(batch),
            crate::shape::list(&t.sizes()[..axis])
        );
        let (values, each, room) = (t.to_vec::<i64>()?, t.sizes()[axis], x.sizes()[axis]);
        crate::check!(
            !offsets || each > 0,
            Runtime,
            "Trying to create tensor with negative dimension -1: [-1]"
        );
        let count = each - offsets as usize;
        let rows = batch.iter().product::<usize>();
        let mut spans = list::with_room(rows * count)?;
        for row in 0..rows {
            let v = &values[row * each..(row + 1) * each];
            if offsets {
                for pair in v.windows(2) {
                    let (from, to) = (pair[0], pair[1]);
                    crate::check!(
                        0 <= from && from <= to && to <= room as i64,
                        Runtime,
                        "Expected segment_length >= 0 to be true, but got false. Offsets must rise from 0 to at most {room}, \
                         got {from} and {to}"
                    );
                    spans.push((from as usize, to as usize));
                }
                continue;
            }
            crate::check!(
                v.iter().all(|&l| l >= 0),
                Runtime,
                "lengths contains negative value!"
            );
            let mut at = 0usize;
            for &l in v {
                let end = at.saturating_add(l as usize);
                spans.push((at, end));
                at = end;
            }
            crate::check!(
                at == room || (!checked && at < room),
                Runtime,
                "{NAME}: Expected all rows of lengths along axis to sum to data.size(lengths.dim()-1) when !unsafe."
            );
        }
        Ok(Segments {
            spans,
            count,
            axis,
            room,
        })
    }

    fn out_sizes(&self, x: &Tensor) -> Sizes {
        let mut sizes = Sizes::from_slice(x.sizes());
        sizes[self.axis] = self.count;
        sizes
    }

    /// How many elements one step along the axis is.
    fn inner(&self, x: &Tensor) -> usize {
        x.sizes()[self.axis + 1..].iter().product()
    }

    /// For each element of `x` the number of its segment; `count` for those in none.
    fn numbers(&self, x: &Tensor) -> Result<Tensor> {
        let rows = x.sizes()[..self.axis].iter().product::<usize>();
        let mut ids = list::filled(rows * self.room, self.count as i64)?;
        for (i, &(from, to)) in self.spans.iter().enumerate() {
            let row = i / self.count * self.room;
            ids[row + from..row + to].fill((i % self.count) as i64);
        }
        let mut sizes = Sizes::from_slice(&x.sizes()[..self.axis + 1]);
        sizes.resize(x.ndim(), 1);
        Tensor::from_slice_shaped(&ids, &sizes)?.expand_to(x.sizes())
    }
}

fn forward(x: &Tensor, s: &Segments, how: Reduce, initial: Option<f64>) -> Result<Tensor> {
    let values = x.to_vec::<f64>()?;
    let inner = s.inner(x);
    let sizes = s.out_sizes(x);
    let start = initial.unwrap_or(how.start());
    let mut out = list::filled(sizes.iter().product(), start)?;
    for (i, &(from, to)) in s.spans.iter().enumerate() {
        let row = i / s.count * s.room;
        let sums = &mut out[i * inner..(i + 1) * inner];
        for k in from..to {
            let at = (row + k) * inner;
            for (s, &v) in sums.iter_mut().zip(&values[at..at + inner]) {
                *s = how.with(*s, v);
            }
        }
        if how == Reduce::Mean && (to > from || initial.is_none()) {
            sums.iter_mut().for_each(|s| *s /= (to - from) as f64);
        }
    }
    Tensor::from_slice_shaped(&out, &sizes)?.to_dtype(x.dtype())
}

/// For each element the product of the others of its segment and of the initial value.
fn others(x: &Tensor, s: &Segments, initial: f64) -> Result<Tensor> {
    let values = x.to_vec::<f64>()?;
    let inner = s.inner(x);
    let mut out = list::filled(values.len(), 0.0)?;
    for (i, &(from, to)) in s.spans.iter().enumerate() {
        let row = i / s.count * s.room;
        for j in 0..inner {
            let at = |k: usize| (row + k) * inner + j;
            let mut before = initial;
            for k in from..to {
                out[at(k)] = before;
                before *= values[at(k)];
            }
            let mut after = 1.0;
            for k in (from..to).rev() {
                out[at(k)] *= after;
                after *= values[at(k)];
            }
        }
    }
    let out = Tensor::from_slice_shaped(&out, x.sizes())?.to_dtype(x.dtype())?;
    if autograd::needs_grad(&[x]) {
        autograd::record_not_differentiable("_segment_reduce_backward", &[x], &[&out]);
    }
    Ok(out)
}

/// The gradient of the elements from that of the segments.
fn backward(
    g: &Tensor,
    x: &Tensor,
    out: &Tensor,
    s: &Segments,
    how: Reduce,
    initial: Option<f64>,
) -> Result<Tensor> {
    let (ids, dim) = (s.numbers(x)?, s.axis as i64);
    // Elements of no segment read the zeros behind the last.
    let spread = |t: &Tensor| -> Result<Tensor> {
        let mut sizes = Sizes::from_slice(t.sizes());
        sizes[s.axis] = 1;
        let rest = Tensor::zeros(&sizes, t.dtype(), t.device())?;
        gather(&cat(&[t.clone(), rest], dim)?, dim, &ids)
    };
    let grad = spread(g)?;
    match how {
        Reduce::Sum => Ok(grad),
        Reduce::Prod => grad.mul(&others(x, s, initial.unwrap_or(1.0))?),
        Reduce::Mean | Reduce::Max | Reduce::Min => {
            let share = autograd::no_grad(|| -> Result<Tensor> {
                let mut sizes = s.out_sizes(x);
                sizes[s.axis] += 1;
                let chosen = if how == Reduce::Mean {
                    Tensor::full(x.sizes(), 1, x.dtype(), x.device())?
                } else {
                    let top = spread(&out.detach())?;
                    let x = x.detach();
                    let same = x
                        .eq(&top)?
                        .logical_or(&x.isnan()?.logical_and(&top.isnan()?)?)?;
                    same.to_dtype(x.dtype())?
                };
                let zero = Tensor::zeros(&sizes, x.dtype(), x.device())?;
                let counts = scatter_add(&zero, dim, &ids, &chosen)?;
                let counts = gather(&counts, dim, &ids)?;
                chosen.div(&counts.clamp(Some(&Tensor::wrapped(1i64)?), None)?)
            })?;
            grad.mul(&share)
        }
    }
}

fn segment_reduce(
    x: &Tensor,
    how: &str,
    lengths: Option<&Tensor>,
    indices: Option<&Tensor>,
    offsets: Option<&Tensor>,
    (axis, checked, initial): (i64, bool, Option<f64>),
) -> Result<Tensor> {
    let how = Reduce::parse(how)?;
    crate::check!(
        indices.is_none(),
        Runtime,
        "{NAME}: indices based reduction is not supported yet."
    );
    let Some(places) = offsets.or(lengths) else {
        crate::bail!(
            Runtime,
            "{NAME}: Either lengths or offsets must be defined."
        )
    };
    x.need_cpu("segment_reduce")?;
    crate::check!(
        x.dtype().is_floating(),
        NotImplemented,
        "\"_segment_reduce_cpu\" not implemented for '{}'",
        x.dtype().scalar_name()
    );
    let s = Segments::new(x, places, offsets.is_some(), axis, checked)?;
    let out = autograd::no_grad(|| forward(&x.detach(), &s, how, initial))?;
    if autograd::needs_grad(&[x]) {
        let (xs, ys) = (Saved::input(x), Saved::output(&out, 0));
        record("SegmentReduceBackward0", &[x], &[&out], move |g| {
            let grad = backward(&g.get(0)?, &xs.get(g)?, &ys.get(g)?, &s, how, initial)?;
            grads([Some(grad)])
        });
    }
    Ok(out)
}

op! {
    /// Reduces consecutive segments along an axis.
    ///
    /// Args:
    ///     data: floating point.
    ///     reduce: "sum", "mean", "prod", "max" or "min".
    ///     lengths: of the segments, int32 or int64; their last axis is the axis of the segments, the axes before are
    ///         those of `data`. They have to sum to the size of the axis.
    ///     offsets: in place of lengths: where each segment starts, and where the last ends.
    ///     axis: whose elements are reduced. Default: 0.
    ///     unsafe: leaves out the check of the sum of `lengths`; elements behind the last segment are not read.
    ///     initial: joins each segment. Default: nothing, and for segments without elements 0, 1, NaN (mean) or an
    ///         infinity.
    ///
    /// Example:
    ///     >>> torch.segment_reduce(torch.tensor([1.0, 2.0, 3.0]), "sum", lengths=torch.tensor([2, 1]))
    ///     tensor([3., 3.])
    segment_reduce, in [TORCH] {
        "(Tensor data, str reduce, *, Tensor? lengths=None, Tensor? indices=None, Tensor? offsets=None, int axis=0, bool unsafe=False, Scalar? initial=None) -> Tensor" =>
            |a| super::segment_reduce(
                &a.tensor(0),
                a.str(1),
                a.opt_tensor(2),
                a.opt_tensor(3),
                a.opt_tensor(4),
                (a.int(5), !a.bool(6), a.opt_scalar(7).map(|v| v.to_f64())),
            ),
    }
}

pub static ROWS: &[&crate::ops::OpDef] = &[&segment_reduce::DEF];
