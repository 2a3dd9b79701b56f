//! Connectionist temporal classification.

use super::args::Args;
use super::loss::Reduction;
use crate::autograd::{self, Saved, engine::grads, record, record_not_differentiable};
use crate::cpu::ctc::Batch;
use crate::dtype::DType;
use crate::error::Result;
use crate::tensor::Tensor;
use std::rc::Rc;

/// What a loss is computed for, apart from the probabilities.
struct Problem {
    lengths: Vec<usize>,
    labels: Vec<Vec<usize>>,
    blank: usize,
    zero_infinity: bool,
}

const WHERE: &str = "(while checking arguments for ctc_loss_allocate_outputs)";

/// Lengths given as a tensor or as numbers.
fn lengths(a: &Args, at: usize) -> Result<Vec<i64>> {
    match a.opt_tensor(at) {
        Some(t) => {
            crate::check!(
                !t.dtype().is_floating(),
                Runtime,
                "input_lengths and target_lengths must be integral"
            );
            t.to_vec::<i64>()
        }
        None => Ok(a.ints(at).to_vec()),
    }
}

fn problem(
    log_probs: &Tensor,
    targets: &Tensor,
    steps: &[i64],
    label_counts: &[i64],
    blank: i64,
    zero_infinity: bool,
) -> Result<Problem> {
    let (time, count, classes) = (
        log_probs.sizes()[0],
        log_probs.sizes()[1],
        log_probs.sizes()[2],
    );
    crate::check!(
        (0..classes as i64).contains(&blank),
        Runtime,
        "blank must be in label range"
    );
    crate::check!(
        steps.len() == count,
        Runtime,
        "input_lengths must be of size batch_size"
    );
    crate::check!(
        label_counts.len() == count,
        Runtime,
        "target_lengths must be of size batch_size"
    );
    for &n in steps {
        crate::check!(
            n >= 0,
            Runtime,
            "Expected input_lengths to have value at least 0, but got value {n} {WHERE}"
        );
        crate::check!(
            n <= time as i64,
            Runtime,
            "Expected input_lengths to have value at most {time}, but got value {n} {WHERE}"
        );
    }
    for &n in label_counts {
        crate::check!(
            n >= 0,
            Runtime,
            "Expected target_lengths to have value at least 0, but got value {n} {WHERE}"
        );
    }
    let values = targets.to_vec::<i64>()?;
    let most = label_counts.iter().copied().max().unwrap_or(0);
    let mut starts = Vec::new();
    if targets.ndim() == 1 {
        let total: i64 = label_counts.iter().sum();
        crate::check!(
            total == values.len() as i64,
            Runtime,
            "Expected tensor to have size {total} at dimension 0, but got size {} for argument #2 'targets' {WHERE}",
            values.len()
        );
        let mut start = 0;
        for &n in label_counts {
            starts.push(start);
            start += n as usize;
        }
    } else {
        crate::check!(
            targets.ndim() == 2 && targets.sizes()[0] == count,
            Runtime,
            "Expected tensor to have size {count} at dimension 0, but got size {} for argument #2 'targets' {WHERE}",
            targets.sizes().first().copied().unwrap_or(0)
        );
        let width = targets.sizes()[1];
        crate::check!(
            most <= width as i64,
            Runtime,
            "Expected tensor to have size at least {most} at dimension 1, but got size {width} for argument #2 \
             'targets' {WHERE}"
        );
        starts.extend((0..count).map(|n| n * width));
    }
    let mut labels = Vec::new();
    for (&start, &n) in starts.iter().zip(label_counts) {
        let row = &values[start..start + n as usize];
        for &c in row {
            crate::check!(
                (0..classes as i64).contains(&c),
                Runtime,
                "ctc_loss: target {c} is outside the {classes} classes of log_probs"
            );
        }
        labels.push(row.iter().map(|&c| c as usize).collect());
    }
    Ok(Problem {
        lengths: steps.iter().map(|&n| n as usize).collect(),
        labels,
        blank: blank as usize,
        zero_infinity,
    })
}

impl Problem {
    fn batch<'a>(&'a self, log_probs: &'a [f64], classes: usize) -> Batch<'a> {
        Batch {
            log_probs,
            classes,
            lengths: &self.lengths,
            labels: &self.labels,
            blank: self.blank,
        }
    }
}

fn ctc_loss_backward(
    g: &Tensor,
    log_probs: &Tensor,
    losses: &[f64],
    p: &Problem,
) -> Result<Tensor> {
    let values = log_probs.to_vec::<f64>()?;
    let gradient = p.batch(&values, log_probs.sizes()[2]).gradient(
        losses,
        &g.to_vec::<f64>()?,
        p.zero_infinity,
    );
    let out =
        Tensor::from_slice_shaped(&gradient, log_probs.sizes())?.to_dtype(log_probs.dtype())?;
    if autograd::needs_grad(&[g, log_probs]) {
        record_not_differentiable("aten::_ctc_loss_backward", &[g, log_probs], &[&out]);
    }
    Ok(out)
}

/// The loss of each element of the batch.
fn losses(log_probs: &Tensor, problem: Problem) -> Result<Tensor> {
    let values = log_probs.to_vec::<f64>()?;
    let found = problem.batch(&values, log_probs.sizes()[2]).losses();
    let shown: Vec<f64> = found
        .iter()
        .map(|&v| {
            if problem.zero_infinity && v == f64::INFINITY {
                0.0
            } else {
                v
            }
        })
        .collect();
    let out = Tensor::from_slice(&shown)?.to_dtype(log_probs.dtype())?;
    if autograd::needs_grad(&[log_probs]) {
        let (saved, problem) = (Saved::input(log_probs), Rc::new(problem));
        record("CtcLossBackward0", &[log_probs], &[&out], move |g| {
            grads([Some(ctc_loss_backward(
                &g.get(0)?,
                &saved.get(g)?,
                &found,
                &problem,
            )?)])
        });
    }
    Ok(out)
}

fn ctc_loss(a: &Args, r: Reduction) -> Result<Tensor> {
    let (log_probs, targets) = (a.tensor(0), a.tensor(1));
    log_probs.need_cpu("ctc_loss")?;
    let single = log_probs.ndim() == 2;
    let seen = if single {
        log_probs.unsqueeze(1)?
    } else {
        log_probs.clone()
    };
    crate::check!(
        seen.ndim() == 3,
        Runtime,
        "Expected 3-dimensional tensor, but got {}-dimensional tensor for argument #1 'log_probs' {WHERE}",
        seen.ndim()
    );
    crate::check!(
        matches!(seen.dtype(), DType::F32 | DType::F64),
        NotImplemented,
        "\"ctc_loss_cpu\" not implemented for '{}'",
        seen.dtype().scalar_name()
    );
    let label_counts = lengths(a, 3)?;
    let p = problem(
        &seen,
        &targets,
        &lengths(a, 2)?,
        &label_counts,
        a.int(4),
        a.bool(6),
    )?;
    let loss = losses(&seen, p)?;
    match r {
        Reduction::Mean => {
            let counts: Vec<i64> = label_counts.iter().map(|&n| n.max(1)).collect();
            r.apply(loss.div(&Tensor::from_slice(&counts)?.to_dtype(loss.dtype())?)?)
        }
        Reduction::Sum => r.apply(loss),
        Reduction::None if single => loss.reshape(&[]),
        Reduction::None => Ok(loss),
    }
}

op! {
    /// Computes the connectionist temporal classification loss (Graves et al., 2006).
    ///
    /// Args:
    ///     log_probs: log-probabilities, (T, N, C) or (T, C), float32 or float64.
    ///     targets: classes, (N, S), or all of them in a row.
    ///     input_lengths: steps of each element that count, (N).
    ///     target_lengths: labels of each element, (N).
    ///     blank: the class that stands for no label. Default: 0.
    ///     reduction: "none", "mean" (of losses over target lengths) or "sum". Default: "mean".
    ///     zero_infinity: whether infinite losses, of targets that do not fit, count as 0. Default: False.
    ctc_loss, in [NN] {
        "(Tensor log_probs, Tensor targets, Tensor input_lengths, Tensor target_lengths, int blank=0, str reduction='mean', bool zero_infinity=False) -> Tensor" =>
            |a| ctc_loss(a, Reduction::parse(a.str(5))?),
        "(Tensor log_probs, Tensor targets, int[] input_lengths, int[] target_lengths, int blank=0, str reduction='mean', bool zero_infinity=False) -> Tensor" =>
            |a| ctc_loss(a, Reduction::parse(a.str(5))?),
    }
}
op! {
    /// Computes the connectionist temporal classification loss; `reduction` is 0 (none), 1 (mean) or 2 (sum).
    ctc_loss__, in [TORCH] {
        "(Tensor log_probs, Tensor targets, Tensor input_lengths, Tensor target_lengths, int blank=0, int reduction=1, bool zero_infinity=False) -> Tensor" =>
            |a| ctc_loss(a, Reduction::code(a.int(5))?),
        "(Tensor log_probs, Tensor targets, int[] input_lengths, int[] target_lengths, int blank=0, int reduction=1, bool zero_infinity=False) -> Tensor" =>
            |a| ctc_loss(a, Reduction::code(a.int(5))?),
    }
}

pub static ROWS: &[&crate::ops::OpDef] = &[&ctc_loss::DEF, &ctc_loss__::DEF];
