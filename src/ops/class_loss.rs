//! Losses whose target is a class: cross entropy and the negative log likelihood.

use super::loss::{Reduction, linked_to, need_float, work};
use crate::autograd::{self, engine::grads, record};
use crate::cpu::loss::{Targets, log_sum_exp};
use crate::dtype::DType;
use crate::error::Result;
use crate::list;
use crate::shape;
use crate::tensor::Tensor;
use std::rc::Rc;

pointwise! {
    /// Returns `scale * exp(input - lse)`: a softmax where `lse` is the logarithm of the sum of exponentials.
    scaled_softmax(x, lse, scale) -> Float, schema ["(Tensor input, Tensor lse, Tensor scale) -> Tensor"], in [PRIVATE], in_place no {
        float = scale * (x - lse).exp(),
        wgsl = "scale * exp(x - lse)",
        grad x(g; out) = g * out,
        grad lse(g; out) = -(g * out),
        grad scale(g; x, lse) = g * (x - lse).exp(),
    }
}

/// The logarithm of the sum of exponentials over the middle axis of (rows, classes, inner): (rows, inner), kept in
/// the dtype sums are computed in.
fn lse(x: &Tensor) -> Result<Tensor> {
    if !x.device().is_cpu() {
        return x.logsumexp(&[1], false);
    }
    let out = lse_data(&work(x)?)?;
    if autograd::needs_grad(&[x]) {
        let (xs, kept) = (autograd::Saved::input(x), autograd::Saved::output(&out, 0));
        record("LogsumexpBackward0", &[x], &[&out], move |g| {
            grads([Some(xs.get(g)?.scaled_softmax(
                &kept.get(g)?.unsqueeze(1)?,
                &g.get(0)?.unsqueeze(1)?,
            )?)])
        });
    }
    Ok(out)
}

fn lse_data(x: &Tensor) -> Result<Tensor> {
    let (rows, classes, inner) = (x.sizes()[0], x.sizes()[1], x.sizes()[2]);
    crate::dispatch_real!(x.dtype(), T => {
        let mut out = list::filled(rows * inner, T::default())?;
        log_sum_exp(x.as_slice::<T>()?, &mut out, classes, inner);
        Tensor::from_slice_shaped(&out, &[rows, inner])
    })
}

/// Picks the inputs at the targets, weighted: (rows, classes, inner) to (rows, inner).
fn pick(x: &Tensor, targets: &Rc<Targets>) -> Result<Tensor> {
    let out = pick_data(&work(x)?, targets)?.to_dtype(x.dtype())?;
    if autograd::needs_grad(&[x]) {
        let (xs, targets) = (autograd::Saved::input(x), targets.clone());
        record("NllLossBackward0", &[x], &[&out], move |g| {
            grads([Some(linked_to(&place(&g.get(0)?, &targets)?, &xs.get(g)?)?)])
        });
    }
    Ok(out)
}

fn pick_data(x: &Tensor, targets: &Targets) -> Result<Tensor> {
    crate::dispatch_real!(x.dtype(), T => {
        let mut out = list::filled(targets.rows * targets.inner, T::default())?;
        targets.pick(x.as_slice::<T>()?, &mut out);
        Tensor::from_slice_shaped(&out, &[targets.rows, targets.inner])
    })
}

/// The transpose of `pick`.
fn place(g: &Tensor, targets: &Rc<Targets>) -> Result<Tensor> {
    let sizes = [targets.rows, targets.classes, targets.inner];
    let data = work(g)?;
    let out = crate::dispatch_real!(data.dtype(), T => {
        let mut out = list::filled(sizes.iter().product(), T::default())?;
        targets.place(data.as_slice::<T>()?, &mut out);
        Tensor::from_slice_shaped(&out, &sizes)?
    });
    let out = out.to_dtype(g.dtype())?;
    if autograd::needs_grad(&[g]) {
        let targets = targets.clone();
        autograd::record_stateless("NllLossBackwardBackward0", &[g], &[&out], move |g| {
            grads([Some(pick(&g.get(0)?, &targets)?)])
        });
    }
    Ok(out)
}

/// Values per position as a (rows, inner) tensor.
fn per_position(values: &[f64], targets: &Targets, dtype: DType) -> Result<Tensor> {
    Tensor::from_slice_shaped(values, &[targets.rows, targets.inner])?.to_dtype(dtype)
}

/// The gradient of cross entropy per position: `g (Q softmax(x) - q)` for the target distribution q and its sum Q.
fn cross_entropy_backward(
    g: &Tensor,
    x: &Tensor,
    lse_value: &Tensor,
    targets: &Rc<Targets>,
) -> Result<Tensor> {
    let totals = per_position(&targets.totals(), targets, lse_value.dtype())?;
    // A mean over nothing has an undefined gradient, which must not reach positions that do not count.
    let counts = totals.ne(&Tensor::wrapped(0.0)?)?;
    let g = &counts.where_(g, &Tensor::wrapped(0.0)?)?;
    if autograd::needs_grad(&[g, x]) {
        let soft = x.scaled_softmax(&lse(x)?.unsqueeze(1)?, &g.mul(&totals)?.unsqueeze(1)?)?;
        return soft.sub(&place(g, targets)?)?.to_dtype(x.dtype());
    }
    let g = work(&g.to_dtype(lse_value.dtype())?)?;
    let out = x
        .detach()
        .scaled_softmax(&lse_value.unsqueeze(1)?, &g.mul(&totals)?.unsqueeze(1)?)?
        .contiguous()?;
    let minus = g.neg()?;
    crate::dispatch_real!(out.dtype(), T => {
        // SAFETY: `out` was just made, is contiguous and nothing else refers to its memory.
        let values = unsafe { std::slice::from_raw_parts_mut(out.data_ptr() as *mut T, out.numel()) };
        targets.place(minus.as_slice::<T>()?, values);
    });
    out.to_dtype(x.dtype())
}

/// The shape of a loss over classes: input seen as (rows, classes, inner), and the targets checked against it.
struct Problem {
    input: Tensor,
    targets: Rc<Targets>,
    sizes: shape::Sizes,
}

fn check_shapes(x: &Tensor, target: &Tensor) -> Result<()> {
    crate::check!(x.ndim() > 0, Value, "Expected 1 or more dimensions (got 0)");
    if x.ndim() == 1 {
        crate::check!(
            target.ndim() <= 1,
            Runtime,
            "0D or 1D target tensor expected, multi-target not supported"
        );
        crate::check!(
            target.numel() == 1,
            Value,
            "For 1D input, 1D target must have size 1, but got target size: {}",
            target.numel()
        );
        return Ok(());
    }
    let batch = target.size(0)?;
    crate::check!(
        target.ndim() > 0 && batch == x.sizes()[0],
        Value,
        "Expected input batch_size ({}) to match target batch_size ({batch}).",
        x.sizes()[0]
    );
    let expected: shape::Sizes = x
        .sizes()
        .iter()
        .enumerate()
        .filter(|(d, _)| *d != 1)
        .map(|(_, &n)| n)
        .collect();
    match x.ndim() {
        2 => crate::check!(
            target.ndim() <= 1,
            Runtime,
            "0D or 1D target tensor expected, multi-target not supported"
        ),
        4 if target.ndim() != 3 => crate::bail!(
            Runtime,
            "only batches of spatial targets supported (3D tensors) but got targets of dimension: {}",
            target.ndim()
        ),
        4 if target.sizes() != expected.as_slice() => crate::bail!(
            Runtime,
            "size mismatch (got input: {} , target: {}",
            shape::list(x.sizes()),
            shape::list(target.sizes())
        ),
        _ => crate::check!(
            target.sizes() == expected.as_slice(),
            Runtime,
            "Expected target size {}, got {}",
            shape::list(&expected),
            shape::list(target.sizes())
        ),
    }
    Ok(())
}

fn check_weight(weight: Option<&Tensor>, classes: usize, dtype: DType) -> Result<()> {
    let Some(w) = weight else { return Ok(()) };
    crate::check!(
        w.ndim() == 1 && w.numel() == classes,
        Runtime,
        "weight tensor should be defined either for all {classes} classes or no classes but got weight tensor of \
         shape: {}",
        shape::list(w.sizes())
    );
    crate::check!(
        w.dtype() == dtype,
        Runtime,
        "expected scalar type {} but found {}",
        dtype.scalar_name(),
        w.dtype().scalar_name()
    );
    Ok(())
}

/// Input as (rows, classes, inner).
fn as_classes(x: &Tensor) -> Result<Tensor> {
    let (rows, classes) = if x.ndim() == 1 {
        (1, x.sizes()[0])
    } else {
        (x.sizes()[0], x.sizes()[1])
    };
    let inner: usize = x.sizes().iter().skip(2).product();
    x.reshape_to(&[rows, classes, inner])
}

fn problem(
    x: &Tensor,
    target: &Tensor,
    weight: Option<&Tensor>,
    ignore: i64,
    smoothing: f64,
) -> Result<Problem> {
    check_shapes(x, target)?;
    x.same_device(target)?;
    let input = as_classes(x)?;
    let classes = input.sizes()[1];
    check_weight(weight, classes, x.dtype())?;
    crate::check!(
        matches!(target.dtype(), DType::I64 | DType::U8),
        Runtime,
        "expected target dtype to be Long or Byte, but got {}. Convert it with .long()",
        target.dtype().scalar_name()
    );
    let mut index = target.to_vec::<i64>()?;
    for t in &mut index {
        if *t == ignore {
            *t = -1;
        } else {
            crate::check!(
                *t >= 0 && *t < classes as i64,
                Index,
                "Target {t} is out of bounds."
            );
        }
    }
    let weight = match weight {
        Some(w) => Some(w.to_vec::<f64>()?),
        None => None,
    };
    let (rows, inner) = (input.sizes()[0], input.sizes()[2]);
    let targets = Rc::new(Targets {
        rows,
        classes,
        inner,
        index,
        weight,
        smoothing,
    });
    Ok(Problem {
        input,
        targets,
        sizes: shape::Sizes::from_slice(target.sizes()),
    })
}

/// Losses per position to what the reduction asks for; the mean is weighted.
fn reduce(loss: &Tensor, p: &Problem, reduction: Reduction) -> Result<Tensor> {
    match reduction {
        Reduction::None => loss.reshape_to(&p.sizes),
        Reduction::Sum => loss.sum_all(),
        Reduction::Mean => loss.sum_all()?.div_scalar(p.targets.weights().sum::<f64>()),
    }
}

/// The negative log likelihood of class targets.
pub fn nll_loss(
    x: &Tensor,
    target: &Tensor,
    weight: Option<&Tensor>,
    ignore: i64,
    r: Reduction,
) -> Result<Tensor> {
    check_shapes(x, target)?;
    need_float(x, "nll_loss_out_frame")?;
    if !x.device().is_cpu() {
        return composed(&as_classes(x)?, target, weight, ignore, 0.0, r);
    }
    let p = problem(x, target, weight, ignore, 0.0)?;
    reduce(&pick(&p.input, &p.targets)?.neg()?, &p, r)
}

/// Cross entropy of unnormalised scores against class indices or probabilities.
pub fn cross_entropy(
    x: &Tensor,
    target: &Tensor,
    weight: Option<&Tensor>,
    ignore: i64,
    smoothing: f64,
    reduction: Reduction,
) -> Result<Tensor> {
    crate::check!(
        (0.0..=1.0).contains(&smoothing),
        Runtime,
        "label_smoothing must be between 0.0 and 1.0. Got: {smoothing}"
    );
    if x.sizes() == target.sizes() {
        return cross_entropy_of_probabilities(x, target, weight, ignore, smoothing, reduction);
    }
    need_float(x, "log_softmax_lastdim_kernel_impl")?;
    if !x.device().is_cpu() {
        check_shapes(x, target)?;
        return composed(
            &as_classes(x)?.log_softmax(1)?,
            target,
            weight,
            ignore,
            smoothing,
            reduction,
        );
    }
    let p = problem(x, target, weight, ignore, smoothing)?;
    let data = work(&p.input)?;
    let lse_value = lse_data(&data)?;
    let totals = per_position(&p.targets.totals(), &p.targets, data.dtype())?;
    let loss = autograd::no_grad(|| lse_value.mul(&totals)?.sub(&pick_data(&data, &p.targets)?))?;
    // An infinite score has an infinite logarithm even where its weight is zero: such positions stay zero.
    let zero = totals.eq(&Tensor::wrapped(0.0)?)?;
    let loss = zero
        .where_(&Tensor::wrapped(0.0)?, &loss)?
        .to_dtype(x.dtype())?;
    if autograd::needs_grad(&[&p.input]) {
        let (xs, targets) = (autograd::Saved::input(&p.input), p.targets.clone());
        record("NllLossBackward0", &[&p.input], &[&loss], move |g| {
            grads([Some(cross_entropy_backward(
                &g.get(0)?,
                &xs.get(g)?,
                &lse_value,
                &targets,
            )?)])
        });
    }
    reduce(&loss, &p, reduction)
}

/// The loss from ops that every device has: log-probabilities (rows, classes, inner) read at the targets. A target out
/// of range reads zero, as a check would wait for the device.
fn composed(
    log_p: &Tensor,
    target: &Tensor,
    weight: Option<&Tensor>,
    ignore: i64,
    smoothing: f64,
    reduction: Reduction,
) -> Result<Tensor> {
    log_p.same_device(target)?;
    let [rows, classes, inner] = [log_p.sizes()[0], log_p.sizes()[1], log_p.sizes()[2]];
    check_weight(weight, classes, log_p.dtype())?;
    crate::check!(
        matches!(target.dtype(), DType::I64 | DType::U8),
        Runtime,
        "expected target dtype to be Long or Byte, but got {}. Convert it with .long()",
        target.dtype().scalar_name()
    );
    let zero = Tensor::wrapped(0i64)?;
    let at = target.to_dtype(DType::I64)?.reshape_to(&[rows, 1, inner])?;
    let counts = at.ne(&Tensor::wrapped(ignore)?)?;
    let at = counts.where_(&at, &zero)?;
    let factors = match weight {
        Some(w) => super::scatter::gather(
            &w.detach()
                .reshape_to(&[1, classes, 1])?
                .expand_to(&[rows, classes, inner])?,
            1,
            &at,
        )?,
        None => Tensor::full(&[rows, 1, inner], 1i64, log_p.dtype(), log_p.device())?,
    };
    let factors = counts.where_(&factors, &zero)?;
    let mut loss = counts
        .where_(&super::scatter::gather(log_p, 1, &at)?, &zero)?
        .mul(&factors)?
        .neg()?;
    if smoothing > 0.0 {
        let each = match weight {
            Some(w) => log_p.mul(&w.reshape_to(&[1, classes, 1])?)?,
            None => log_p.clone(),
        };
        let spread = counts
            .where_(&each.sum_dims(&[1], true)?, &zero)?
            .mul_scalar(-smoothing / classes.max(1) as f64)?;
        loss = loss.mul_scalar(1.0 - smoothing)?.add(&spread)?;
    }
    match reduction {
        Reduction::None => loss.reshape_to(target.sizes()),
        Reduction::Sum => loss.sum_all(),
        Reduction::Mean => loss.sum_all()?.div(&factors.sum_all()?),
    }
}

fn cross_entropy_of_probabilities(
    x: &Tensor,
    target: &Tensor,
    weight: Option<&Tensor>,
    ignore: i64,
    smoothing: f64,
    reduction: Reduction,
) -> Result<Tensor> {
    crate::check!(
        target.dtype().is_floating(),
        Runtime,
        "Expected floating point type for target with class probabilities, got {}",
        target.dtype().scalar_name()
    );
    crate::check!(
        x.ndim() > 0,
        Index,
        "Dimension specified as 1 but tensor has no dimensions"
    );
    crate::check!(
        ignore < 0,
        Runtime,
        "ignore_index is not supported for floating point target"
    );
    need_float(x, "log_softmax_lastdim_kernel_impl")?;
    let sizes = shape::Sizes::from_slice(x.sizes());
    let (x, target) = (as_classes(x)?, as_classes(target)?);
    let classes = x.sizes()[1];
    check_weight(weight, classes, x.dtype())?;
    let mut target = target;
    if smoothing > 0.0 {
        target = target
            .mul_scalar(1.0 - smoothing)?
            .add_number(smoothing / classes.max(1) as f64)?;
    }
    let log_p = x.sub(&lse(&x)?.unsqueeze(1)?)?.to_dtype(x.dtype())?;
    let mut terms = log_p.mul(&target)?;
    if let Some(w) = weight {
        terms = terms.mul(&w.reshape_to(&[1, classes, 1])?)?;
    }
    let positions = x.sizes()[0] * x.sizes()[2];
    match reduction {
        Reduction::None => {
            let kept: shape::Sizes = sizes
                .iter()
                .enumerate()
                .filter(|(d, _)| *d != usize::from(sizes.len() > 1))
                .map(|(_, &n)| n)
                .collect();
            terms.sum_dims(&[1], false)?.neg()?.reshape_to(&kept)
        }
        Reduction::Sum => terms.sum_all()?.neg(),
        Reduction::Mean => terms.sum_all()?.neg()?.div_scalar(positions as f64),
    }
}

op! {
    /// Computes the cross entropy between unnormalised scores and class indices or class probabilities.
    ///
    /// Args:
    ///     input: scores, (C), (N, C) or (N, C, d1, ..., dk).
    ///     target: class indices (), (N) or (N, d1, ..., dk) in int64 or uint8, or probabilities in the shape of `input`.
    ///     weight: a factor per class, (C).
    ///     ignore_index: a class index that does not count. Default: -100.
    ///     reduction: "none", "mean" (weighted) or "sum". Default: "mean".
    ///     label_smoothing: share of the uniform distribution mixed into the target, in [0, 1]. Default: 0.
    ///
    /// Raises:
    ///     IndexError: a class index outside [0, C).
    ///     ValueError: sizes of the batch differ.
    ///
    /// Example:
    ///     >>> torch.nn.functional.cross_entropy(torch.zeros(2, 4), torch.tensor([0, 3]))
    ///     tensor(1.3863)
    cross_entropy, in [NN] {
        "(Tensor input, Tensor target, Tensor? weight=None, bool? size_average=None, int ignore_index=-100, bool? reduce=None, str reduction='mean', float label_smoothing=0.0) -> Tensor" =>
            |a| cross_entropy(&a.tensor(0), &a.tensor(1), a.opt_tensor(2), a.int(4), a.float(7), Reduction::of(a, 3, 5, 6)?),
    }
}
op! {
    /// Computes the negative log likelihood of class targets given logarithms of probabilities.
    ///
    /// Args:
    ///     input: log-probabilities, (C), (N, C) or (N, C, d1, ..., dk).
    ///     target: class indices, (), (N) or (N, d1, ..., dk).
    ///     weight: a factor per class, (C).
    ///     ignore_index: a class index that does not count. Default: -100.
    ///     reduction: "none", "mean" (weighted) or "sum". Default: "mean".
    ///
    /// Raises:
    ///     IndexError: a class index outside [0, C).
    nll_loss, in [NN] {
        "(Tensor input, Tensor target, Tensor? weight=None, bool? size_average=None, int ignore_index=-100, bool? reduce=None, str reduction='mean') -> Tensor" =>
            |a| nll_loss(&a.tensor(0), &a.tensor(1), a.opt_tensor(2), a.int(4), Reduction::of(a, 3, 5, 6)?),
    }
}

pub static ROWS: &[&crate::ops::OpDef] =
    &[&scaled_softmax::DEF, &cross_entropy::DEF, &nll_loss::DEF];
