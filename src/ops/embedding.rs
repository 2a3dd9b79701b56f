//! Tables of rows: lookups, bags of lookups, and the rescaling of long rows.

use super::args::Value;
use super::axis_index::{index_add, index_select};
use super::scatter::{gather, zeroed};
use crate::autograd::{self, Grads, Saved, engine::grads, record};
use crate::dtype::DType;
use crate::error::Result;
use crate::list;
use crate::scalar::Scalar;
use crate::shape::Sizes;
use crate::tensor::Tensor;
use smallvec::SmallVec;

/// Checks an index argument as PyTorch's lookups do.
fn check_index(op: &str, index: &Tensor) -> Result<()> {
    crate::check!(
        matches!(index.dtype(), DType::I64 | DType::I32),
        Runtime,
        "Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; but got \
         torch.{}Tensor instead (while checking arguments for {op})",
        index.dtype().scalar_name()
    );
    Ok(())
}

/// How often each of `n` rows is looked up.
fn frequencies(index: &[i64], n: usize) -> Result<Vec<f64>> {
    let mut out = list::filled(n, 0.0)?;
    for &i in index {
        if let Some(slot) = usize::try_from(i).ok().and_then(|i| out.get_mut(i)) {
            *slot += 1.0;
        }
    }
    Ok(out)
}

/// Rows of `weight` (V, D) for every index, (*, D).
pub fn embedding(
    weight: &Tensor,
    index: &Tensor,
    padding: Option<i64>,
    by_frequency: bool,
) -> Result<Tensor> {
    crate::check!(weight.ndim() == 2, Runtime, "'weight' must be 2-D");
    check_index("embedding", index)?;
    let mut sizes: Sizes = SmallVec::from_slice(index.sizes());
    sizes.push(weight.sizes()[1]);
    let flat = autograd::no_grad(|| index.detach().to_dtype(DType::I64)?.reshape(&[-1]))?;
    let out = autograd::no_grad(|| index_select(&weight.detach(), 0, &flat)?.reshape_to(&sizes))?
        .data_alias();
    if autograd::needs_grad(&[weight]) {
        let (rows, columns) = (weight.sizes()[0], weight.sizes()[1]);
        let saved = Saved::input(index);
        record(
            "EmbeddingBackward0",
            &[weight],
            &[&out],
            move |g: &Grads| {
                let g0 = g.get(0)?;
                let at = autograd::no_grad(|| saved.get(g)?.to_dtype(DType::I64)?.reshape(&[-1]))?;
                let mut g1 = g0.reshape(&[at.numel() as i64, columns as i64])?;
                if let Some(p) = padding {
                    g1 = zeroed(
                        &g1,
                        &autograd::no_grad(|| at.eq(&Tensor::wrapped(p)?)?.unsqueeze(1))?,
                    )?;
                }
                if by_frequency {
                    let list = at.to_vec::<i64>()?;
                    let often = frequencies(&list, rows)?;
                    let each = list::collected(list.iter().map(|&i| often[i as usize]))?;
                    let each =
                        Tensor::from_slice_shaped(&each, &[list.len(), 1])?.to_dtype(g1.dtype())?;
                    g1 = g1.div(&each.to_device(g1.device())?)?;
                }
                let zeros = Tensor::zeros(&[rows, columns], g1.dtype(), g1.device())?;
                grads([Some(index_add(&zeros, 0, &at, &g1, Scalar::Int(1))?)])
            },
        );
    }
    Ok(out)
}

/// Scales the rows that are looked up and longer than `max_norm` down to it, in place.
pub fn renorm_rows(weight: &Tensor, index: &Tensor, max_norm: f64, p: f64) -> Result<Tensor> {
    check_index("embedding_renorm_", index)?;
    weight.need_cpu("embedding_renorm_")?;
    crate::check!(
        weight.dtype().is_differentiable(),
        Runtime,
        "norm(): input dtype should be either floating point or complex. Got {} instead.",
        weight.dtype().scalar_name()
    );
    autograd::no_grad(|| -> Result<()> {
        autograd::inplace::check_writable(weight)?;
        crate::check!(
            weight.ndim() > 0,
            Index,
            "embedding_renorm_: 'weight' must have at least 1 dimension, one row per index"
        );
        let mut rows = index.to_vec::<i64>()?;
        rows.sort_unstable();
        rows.dedup();
        let n = weight.sizes()[0] as i64;
        let data = weight.detach();
        for i in rows {
            crate::check!(i >= 0 && i < n, Index, "index out of range in self");
            let row = data.select(0, i)?;
            let values = row.to_vec::<f64>()?;
            let norm = if p == f64::INFINITY {
                values.iter().fold(0.0, |m: f64, v| m.max(v.abs()))
            } else if p == 0.0 {
                values.iter().filter(|&&v| v != 0.0).count() as f64
            } else {
                values
                    .iter()
                    .map(|v| v.abs().powf(p))
                    .sum::<f64>()
                    .powf(1.0 / p)
            };
            let norm = Tensor::scalar(norm, weight.dtype())?.item()?.to_f64();
            if norm > max_norm {
                row.write_from(&row.mul_scalar(max_norm / (norm + 1e-7))?)?;
            }
        }
        weight.bump();
        Ok(())
    })?;
    Ok(weight.clone())
}

/// How the rows of a bag become one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Sum,
    Mean,
    Max,
}

/// The arguments of a bag lookup.
struct Bags<'a> {
    weight: &'a Tensor,
    index: &'a Tensor,
    offsets: &'a Tensor,
    by_frequency: bool,
    mode: Mode,
    factors: Option<&'a Tensor>,
    include_last: bool,
    padding: Option<i64>,
}

impl Bags<'_> {
    /// `(rows per bag, bag of each index, sizes of the bags, row of each maximum)`.
    fn run(&self) -> Result<Value> {
        let (weight, index) = (self.weight, self.index);
        check_index("embedding_bag", index)?;
        check_index("embedding_bag", self.offsets)?;
        crate::check!(
            weight.dtype().is_floating(),
            Runtime,
            "Expected tensor for argument #1 'weight' to have one of the following scalar types: Half, BFloat16, Float, \
             Double; but got torch.{}Tensor instead (while checking arguments for embedding_bag)",
            weight.dtype().scalar_name()
        );
        crate::check!(weight.ndim() == 2, Runtime, "'weight' must be 2-D");
        crate::check!(
            index.ndim() == 1 || index.ndim() == 2,
            Runtime,
            "input has to be a 1D or 2D Tensor, but got Tensor of dimension {}",
            index.ndim()
        );
        crate::check!(
            self.offsets.ndim() == 1,
            Runtime,
            "offsets has to be a 1D Tensor, but got Tensor of dimension {}",
            self.offsets.ndim()
        );
        let (rows, columns) = (weight.sizes()[0], weight.sizes()[1]);
        let at = index.to_vec::<i64>()?;
        let mut starts = self.offsets.to_vec::<i64>()?;
        if self.include_last {
            crate::check!(
                !starts.is_empty(),
                Runtime,
                "include_last_offset: number of offset should be at least 1"
            );
        }
        if let (Some(&first), Some(&last)) = (starts.first(), starts.last()) {
            crate::check!(
                first == 0,
                Runtime,
                "offsets[0] has to be 0, i.e., the first sequence in the mini-batch has to start from position 0. \
                 However, got {first}"
            );
            crate::check!(
                last <= at.len() as i64,
                Runtime,
                "offsets[-1] can not be greater than input's length {} but got offsets[-1] of {last}",
                at.len()
            );
        }
        for (k, &i) in at.iter().enumerate() {
            crate::check!(
                i >= 0 && (i as usize) < rows,
                Runtime,
                "Index {k} of input takes value {i} which is not in the valid range [0, {rows})"
            );
        }
        if self.include_last {
            starts.pop();
        }
        let bags = starts.len();
        if let Some(f) = self.factors {
            crate::check!(
                self.mode == Mode::Sum,
                Runtime,
                "embedding_bag: per_sample_weights only supported with mode='sum'"
            );
            crate::check!(
                f.dtype() == weight.dtype(),
                Runtime,
                "expected scalar type {} but found {}",
                weight.dtype().scalar_name(),
                f.dtype().scalar_name()
            );
            crate::check!(
                f.numel() == at.len(),
                Runtime,
                "expected per_sample_weights to have the same number of elements as indices, got {} and {}",
                f.numel(),
                at.len()
            );
        }
        // The bag of each position; positions of the padding row take part in none.
        let mut bag = list::with_room(at.len())?;
        let mut b = 0;
        for k in 0..at.len() as i64 {
            while b + 1 < bags && starts[b + 1] <= k {
                b += 1;
            }
            bag.push(b as i64);
        }
        let padding = self
            .padding
            .map(|p| if p < 0 { p + rows as i64 } else { p });
        let mut kept: Vec<i64> = list::with_room(at.len())?;
        kept.extend((0..at.len() as i64).filter(|&k| Some(at[k as usize]) != padding && bags > 0));
        let mut sizes = list::filled(bags, 0i64)?;
        for &k in &kept {
            sizes[bag[k as usize] as usize] += 1;
        }
        let pick =
            |v: &[i64]| Tensor::from_slice(&list::collected(kept.iter().map(|&k| v[k as usize]))?);
        let (used, bag_of) = (pick(&at)?, pick(&bag)?);
        let size = Tensor::from_slice(&sizes)?;
        let bag = Tensor::from_slice(&bag)?;
        if self.mode == Mode::Max {
            let top = self.maxima(&used.to_vec()?, &bag_of.to_vec()?, bags)?;
            let picked = if rows > 0 {
                gather(weight, 0, &top)?
            } else {
                Tensor::zeros(&[bags, columns], weight.dtype(), weight.device())?
            };
            let empty = Tensor::from_slice_shaped(
                &list::collected(sizes.iter().map(|&n| n == 0))?,
                &[bags, 1],
            )?;
            return Ok(Value::Tuple(vec![zeroed(&picked, &empty)?, bag, size, top]));
        }
        // Half types sum in float32 and round once.
        let wide = weight.dtype().compute();
        let mut looked = embedding(weight, &used, None, self.by_frequency)?.to_dtype(wide)?;
        if let Some(f) = self.factors {
            let each =
                index_select(&f.reshape(&[-1])?, 0, &Tensor::from_slice(&kept)?)?.to_dtype(wide)?;
            looked = looked.mul(&each.unsqueeze(1)?)?;
        }
        let zeros = Tensor::zeros(&[bags, columns], wide, weight.device())?;
        let sum = index_add(&zeros, 0, &bag_of, &looked, Scalar::Int(1))?;
        if self.mode == Mode::Sum {
            let none = Tensor::zeros(&[bags], DType::I64, weight.device())?;
            let sum = sum.to_dtype(weight.dtype())?;
            return Ok(Value::Tuple(vec![
                sum,
                Tensor::zeros(&[0], DType::I64, weight.device())?,
                none.clone(),
                none,
            ]));
        }
        let counts: Vec<f64> = list::collected(sizes.iter().map(|&n| n.max(1) as f64))?;
        let counts = Tensor::from_slice_shaped(&counts, &[bags, 1])?.to_dtype(wide)?;
        Ok(Value::Tuple(vec![
            sum.div(&counts)?.to_dtype(weight.dtype())?,
            bag,
            size.clone(),
            size,
        ]))
    }

    /// For every bag and column the first row with the largest value; 0 in empty bags.
    fn maxima(&self, used: &[i64], bag_of: &[i64], bags: usize) -> Result<Tensor> {
        let columns = self.weight.sizes()[1];
        let values = self.weight.to_vec::<f64>()?;
        let mut top = list::filled(bags * columns, 0i64)?;
        let mut seen = list::filled(bags, false)?;
        for (&row, &b) in used.iter().zip(bag_of) {
            let (row, b) = (row as usize, b as usize);
            for c in 0..columns {
                let best = &mut top[b * columns + c];
                if !seen[b] || values[row * columns + c] > values[*best as usize * columns + c] {
                    *best = row as i64;
                }
            }
            seen[b] = true;
        }
        Tensor::from_slice_shaped(&top, &[bags, columns])
    }
}

fn mode_of(mode: i64) -> Result<Mode> {
    Ok(match mode {
        0 => Mode::Sum,
        1 => Mode::Mean,
        2 => Mode::Max,
        _ => crate::bail!(
            Value,
            "mode has to be one of 0 (sum), 1 (mean) or 2 (max), got {mode}"
        ),
    })
}

op! {
    /// Looks up rows of `weight` (V, D) for the indices `input` (*); the result is (*, D).
    ///
    /// Args:
    ///     input: int32 or int64 indices.
    ///     weight: the table.
    ///     padding_idx: row that gets no gradient. Default: none.
    ///     max_norm: rows that are looked up and are longer than this are scaled down in place. Default: not done.
    ///     norm_type: p of that norm. Default: 2.
    ///     scale_grad_by_freq: whether gradients are divided by how often a row occurs. Default: False.
    ///     sparse: accepted; gradients are dense.
    ///
    /// Raises:
    ///     IndexError: an index is not a row of the table.
    embedding__, in [NN] {
        "(Tensor input, Tensor weight, int? padding_idx=None, float? max_norm=None, float norm_type=2.0, bool scale_grad_by_freq=False, bool sparse=False) -> Tensor" => |a| {
            let (index, weight) = (a.tensor(0), a.tensor(1));
            let rows = weight.sizes().first().copied().unwrap_or(0) as i64;
            let padding = a.opt_int(2);
            if let Some(p) = padding {
                crate::check!(p < rows && p >= -rows, Assertion, "Padding_idx must be within num_embeddings");
            }
            if let Some(max_norm) = a.opt_float(3) {
                renorm_rows(&weight, &index, max_norm, a.float(4))?;
            }
            embedding(&weight, &index, padding.map(|p| if p < 0 { p + rows } else { p }), a.bool(5))
        },
    }
}
op! {
    /// Looks up rows of `weight` (V, D) for the indices (*); the result is (*, D).
    embedding, in [TORCH] {
        "(Tensor weight, Tensor indices, int padding_idx=-1, bool scale_grad_by_freq=False, bool sparse=False) -> Tensor" =>
            |a| embedding(&a.tensor(0), &a.tensor(1), Some(a.int(2)).filter(|&p| p >= 0), a.bool(3)),
    }
}
op! {
    /// Scales the rows of `input` that `indices` name and that are longer than `max_norm` down to it, in place.
    embedding_renorm_, in [TORCH] {
        "(Tensor input, Tensor indices, float max_norm, float norm_type) -> Tensor" =>
            |a| renorm_rows(&a.tensor(0), &a.tensor(1), a.float(2), a.float(3)),
    }
}
op! {
    /// Looks up rows of `weight` and reduces each bag of them to one row.
    ///
    /// Args:
    ///     weight: the table, (V, D).
    ///     indices: int32 or int64, (N).
    ///     offsets: where the bags start, (B).
    ///     mode: 0 sum, 1 mean, 2 max.
    ///     per_sample_weights: factors of the rows, only for sums.
    ///     include_last_offset: whether the offsets end with the number of indices.
    ///     padding_idx: row that is left out.
    ///
    /// Returns:
    ///     The rows (B, D), the bag of each index, the sizes of the bags, and for mode 2 the rows of the maxima.
    embedding_bag, in [TORCH] {
        "(Tensor weight, Tensor indices, Tensor offsets, bool scale_grad_by_freq=False, int mode=0, bool sparse=False, Tensor? per_sample_weights=None, bool include_last_offset=False, int? padding_idx=None) -> (Tensor, Tensor, Tensor, Tensor)" => |a| {
            let (weight, index, offsets) = (a.tensor(0), a.tensor(1), a.tensor(2));
            Bags {
                weight: &weight,
                index: &index,
                offsets: &offsets,
                by_frequency: a.bool(3),
                mode: mode_of(a.int(4))?,
                factors: a.opt_tensor(6),
                include_last: a.bool(7),
                padding: a.opt_int(8),
            }
            .run()
        },
    }
}

pub static ROWS: &[&crate::ops::OpDef] = &[
    &embedding__::DEF,
    &embedding::DEF,
    &embedding_renorm_::DEF,
    &embedding_bag::DEF,
];
