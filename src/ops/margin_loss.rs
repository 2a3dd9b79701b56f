//! Losses with margins, embeddings and distributions: compositions of other ops.

use super::distance::pairwise_distance;
use super::index;
use super::loss::{Reduction, need_float};
use crate::autograd::{self, Term};
use crate::dtype::DType;
use crate::error::Result;
use crate::list;
use crate::shape;
use crate::tensor::Tensor;

fn at_least_zero(t: Term) -> Term {
    t.map(|t| t.clamp_min(&Tensor::wrapped(0.0)?))
}

/// `t` where the target equals `label`, else 0.
fn where_label(target: &Tensor, label: f64, t: &Term) -> Term {
    t.masked(&Term::from(target).equals(label))
}

fn hinge_embedding_loss(x: &Tensor, target: &Tensor, margin: f64, r: Reduction) -> Result<Tensor> {
    let t = Term::from(target);
    let far = at_least_zero(margin - Term::from(x)).masked(&t.not_equal_to(1.0));
    let near = Term::from(x).masked(&t.not_equal_to(-1.0));
    r.apply((far + near).0?)
}

fn margin_ranking_loss(
    a: &Tensor,
    b: &Tensor,
    target: &Tensor,
    margin: f64,
    r: Reduction,
) -> Result<Tensor> {
    crate::check!(
        a.ndim() == b.ndim() && a.ndim() == target.ndim(),
        Runtime,
        "margin_ranking_loss : All input tensors should have same dimension but got sizes: input1: torch.Size({}), \
         input2: torch.Size({}), target: torch.Size({}) ",
        shape::list(a.sizes()),
        shape::list(b.sizes()),
        shape::list(target.sizes())
    );
    let lead = Term::from(target) * (Term::from(a) - Term::from(b));
    r.apply(at_least_zero(margin - lead).0?)
}

fn cosine_embedding_loss(
    a: &Tensor,
    b: &Tensor,
    target: &Tensor,
    margin: f64,
    r: Reduction,
) -> Result<Tensor> {
    crate::check!(
        target.ndim() <= 1,
        Runtime,
        "0D or 1D target tensor expected, multi-target not supported"
    );
    let ndim = target.ndim() + 1;
    crate::check!(
        a.ndim() == ndim && b.ndim() == ndim,
        Runtime,
        "{}D target tensor expects {ndim}D input tensors, but found inputs with sizes {} and {}.",
        target.ndim(),
        shape::list(a.sizes()),
        shape::list(b.sizes())
    );
    // Keeps the cosine of a zero vector defined.
    let tiny = 1e-12;
    let dot =
        |a: &Tensor, b: &Tensor| Term::from(a.mul(b)).map(|t| t.sum_with(&[ndim - 1], false, None));
    let lengths = (dot(a, a) + tiny) * (dot(b, b) + tiny);
    let cosine = dot(a, b) / lengths.map(|t| t.sqrt());
    let apart = at_least_zero(&cosine - margin);
    r.apply((where_label(target, 1.0, &(1.0 - &cosine)) + where_label(target, -1.0, &apart)).0?)
}

fn triplet_margin_loss(
    [anchor, positive, negative]: [&Tensor; 3],
    [margin, p, eps]: [f64; 3],
    swap: bool,
    r: Reduction,
) -> Result<Tensor> {
    crate::check!(
        anchor.ndim() == positive.ndim() && anchor.ndim() == negative.ndim(),
        Runtime,
        "The anchor, positive, and negative tensors are expected to have the same number of dimensions, but got: \
         anchor {}D, positive {}D, and negative {}D inputs",
        anchor.ndim(),
        positive.ndim(),
        negative.ndim()
    );
    crate::check!(
        margin > 0.0,
        Value,
        "margin must be greater than 0, got {margin}"
    );
    let near = pairwise_distance(anchor, positive, p, eps, false)?;
    let mut far = pairwise_distance(anchor, negative, p, eps, false)?;
    if swap {
        let other = pairwise_distance(positive, negative, p, eps, false)?;
        let closer = other.lt(&far)?;
        far = closer.where_(&other, &far)?;
    }
    r.apply(at_least_zero(Term::from(near) - Term::from(far) + margin).0?)
}

fn soft_margin_loss(x: &Tensor, target: &Tensor, r: Reduction) -> Result<Tensor> {
    need_float(x, "soft_margin_loss")?;
    r.apply(x.mul(target)?.softplus_of_negative()?)
}

fn multilabel_soft_margin_loss(
    x: &Tensor,
    target: &Tensor,
    weight: Option<&Tensor>,
    r: Reduction,
) -> Result<Tensor> {
    let (s, t) = (Term::from(x), Term::from(target));
    let mut loss = &t * s.softplus_of_negative() + (1.0 - &t) * (-&s).softplus_of_negative();
    if let Some(w) = weight {
        loss = loss * Term::from(w);
    }
    let loss = loss.0?;
    let dims: &[usize] = if loss.ndim() == 0 {
        &[]
    } else {
        &[loss.ndim() - 1]
    };
    r.apply(loss.mean_dims(dims, false)?)
}

/// Scores as (N, C); whether there was a batch.
fn as_matrix(x: &Tensor) -> Result<(Tensor, bool)> {
    let valid = match x.ndim() {
        0 | 1 => x.numel() > 0,
        2 => x.sizes()[1] > 0,
        _ => false,
    };
    crate::check!(
        valid,
        Runtime,
        "Expected non-empty vector or matrix with optional 0-dim batch size, but got: {}",
        shape::list(x.sizes())
    );
    Ok((
        if x.ndim() < 2 {
            x.reshape(&[1, -1])?
        } else {
            x.clone()
        },
        x.ndim() == 2,
    ))
}

fn need_targets(target: &Tensor) -> Result<()> {
    crate::check!(
        target.dtype() == DType::I64,
        Runtime,
        "expected scalar type Long but found {}. Convert the target with .long()",
        target.dtype().scalar_name()
    );
    Ok(())
}

/// Elements of a matrix at (row, column) pairs, in the given shape.
fn elements(x: &Tensor, rows: &[i64], columns: &[i64], sizes: &[usize]) -> Result<Tensor> {
    let at = |v: &[i64]| Tensor::from_slice_shaped(v, sizes);
    index::index(x, &[(0, at(rows)?), (1, at(columns)?)])
}

fn multi_margin_loss(
    x: &Tensor,
    target: &Tensor,
    p: i64,
    margin: f64,
    weight: Option<&Tensor>,
    r: Reduction,
) -> Result<Tensor> {
    crate::check!(p == 1 || p == 2, Value, "only p == 1 and p == 2 supported");
    let (scores, batched) = as_matrix(x)?;
    need_float(x, "multi_margin_loss")?;
    let (n, c) = (scores.sizes()[0], scores.sizes()[1]);
    crate::check!(
        target.ndim() <= 1 && target.numel() == n,
        Runtime,
        "multi_margin_loss: target tensor should be 1-D with size equal to the number of input samples (batch size). \
         Expected target size [{n}], but got {}. Input has shape {}.",
        shape::list(target.sizes()),
        shape::list(x.sizes())
    );
    need_targets(target)?;
    let classes = target.to_vec::<i64>()?;
    crate::check!(
        classes.iter().all(|&t| t >= 0 && (t as usize) < c),
        Runtime,
        "target out of range"
    );
    if let Some(w) = weight {
        crate::check!(
            w.ndim() <= 1 && w.numel() == c,
            Runtime,
            "inconsistent weight size, expected {c} but got {}",
            shape::list(w.sizes())
        );
    }
    let rows = list::collected((0..n).map(|i| i as i64))?;
    let own = elements(&scores, &rows, &classes, &[n, 1])?;
    let mut others = list::filled(n * c, true)?;
    rows.iter()
        .zip(&classes)
        .for_each(|(&r, &t)| others[r as usize * c + t as usize] = false);
    let mask = Term::from(Tensor::from_slice_shaped(&others, &[n, c])?);
    let mut loss = at_least_zero(margin - Term::from(own) + Term::from(&scores)).masked(&mask);
    if p == 2 {
        loss = &loss * &loss;
    }
    if let Some(w) = weight {
        let factors = index::index(
            &w.reshape(&[-1])?,
            &[(0, Tensor::from_slice_shaped(&classes, &[n, 1])?)],
        )?;
        loss = loss * Term::from(factors);
    }
    let loss = loss.map(|t| t.mean_dims(&[1], false)).0?;
    r.apply(if batched { loss } else { loss.reshape(&[])? })
}

fn multilabel_margin_loss(x: &Tensor, target: &Tensor, r: Reduction) -> Result<Tensor> {
    let (scores, batched) = as_matrix(x)?;
    crate::check!(
        target.sizes() == x.sizes()
            || (x.ndim() <= 1 && target.ndim() <= 1 && target.numel() == x.numel()),
        Runtime,
        "inconsistent target size: {} for input of size: {}",
        shape::list(target.sizes()),
        shape::list(x.sizes())
    );
    need_targets(target)?;
    need_float(x, "multilabel_margin_loss")?;
    let (n, c) = (scores.sizes()[0], scores.sizes()[1]);
    let labels = target.to_vec::<i64>()?;
    crate::check!(
        labels.iter().all(|&t| t >= -1 && t < c as i64),
        Runtime,
        "argument #2 'target' is out of range"
    );
    // The labels of a row end at the first -1.
    let (mut rows, mut columns) = (list::filled(n * c, 0i64)?, list::filled(n * c, 0i64)?);
    let (mut counts, mut free) = (list::filled(n * c, false)?, list::filled(n * c, true)?);
    for row in 0..n {
        rows[row * c..(row + 1) * c].fill(row as i64);
        for k in 0..c {
            let label = labels[row * c + k];
            if label < 0 {
                break;
            }
            columns[row * c + k] = label;
            counts[row * c + k] = true;
            free[row * c + label as usize] = false;
        }
    }
    let own = elements(&scores, &rows, &columns, &[n, c])?.unsqueeze(2)?;
    let pairs = Tensor::from_slice_shaped(&counts, &[n, c, 1])?
        .logical_and(&Tensor::from_slice_shaped(&free, &[n, 1, c])?)?;
    let loss = at_least_zero(1.0 - Term::from(own) + Term::from(scores.unsqueeze(1)?))
        .masked(&Term::from(pairs));
    let loss = loss
        .map(|t| t.sum_dims(&[1, 2], false)?.div_scalar(c as f64))
        .0?;
    r.apply(if batched { loss } else { loss.reshape(&[])? })
}

/// The variances of a Gaussian loss in the shape of the input or one per vector.
fn variances(x: &Tensor, var: &Tensor) -> Result<Tensor> {
    let negative = autograd::no_grad(|| var.detach().lt(&Tensor::wrapped(0.0)?)?.any())?;
    crate::check!(
        !negative.item()?.to_bool(),
        Value,
        "var has negative entry/entries"
    );
    let (sizes, have) = (x.sizes(), var.sizes());
    if have == sizes {
        return Ok(var.clone());
    }
    let n = sizes.len();
    if n > 0 && have == &sizes[..n - 1] {
        return var.unsqueeze(-1);
    }
    crate::check!(
        n > 0 && have.len() == n && have[..n - 1] == sizes[..n - 1] && have[n - 1] == 1,
        Value,
        "var is of incorrect size"
    );
    Ok(var.clone())
}

fn gaussian_nll_loss(
    x: &Tensor,
    target: &Tensor,
    var: &Tensor,
    full: bool,
    eps: f64,
    reduction: &str,
) -> Result<Tensor> {
    let var = variances(x, var)?;
    crate::check!(
        matches!(reduction, "none" | "mean" | "sum"),
        Value,
        "{reduction} is not valid"
    );
    // The limit has no gradient of its own: below it the slope is that at the limit.
    let lift = autograd::no_grad(|| {
        let v = var.detach();
        v.clamp_min(&Tensor::wrapped(eps)?)?.sub(&v)
    })?;
    let var = Term::from(var.add(&lift)?);
    let away = Term::from(x) - Term::from(target);
    let mut loss = (var.log() + &away * &away / &var) * 0.5;
    if full {
        loss = loss + 0.5 * (2.0 * std::f64::consts::PI).ln();
    }
    Reduction::parse(reduction)?.apply(loss.0?)
}

op! {
    /// Computes `input` where the target is 1 and `max(0, margin - input)` where it is -1.
    ///
    /// Args:
    ///     input: distances.
    ///     target: 1 or -1 in the shape of `input`.
    ///     margin: the margin. Default: 1.
    ///     reduction: "none", "mean" or "sum". Default: "mean".
    hinge_embedding_loss, in [NN] {
        "(Tensor input, Tensor target, float margin=1.0, bool? size_average=None, bool? reduce=None, str reduction='mean') -> Tensor" =>
            |a| hinge_embedding_loss(&a.tensor(0), &a.tensor(1), a.float(2), Reduction::of(a, 3, 4, 5)?),
    }
}
op! {
    /// Computes the hinge embedding loss; `reduction` is 0 (none), 1 (mean) or 2 (sum).
    hinge_embedding_loss__, in [TORCH] {
        "(Tensor input, Tensor target, float margin=1.0, int reduction=1) -> Tensor" =>
            |a| hinge_embedding_loss(&a.tensor(0), &a.tensor(1), a.float(2), Reduction::code(a.int(3))?),
    }
}
op! {
    /// Computes `max(0, -target (input1 - input2) + margin)`.
    ///
    /// Args:
    ///     input1: scores.
    ///     input2: scores.
    ///     target: 1 where the first should rank higher, -1 where the second should.
    ///     margin: the margin. Default: 0.
    ///     reduction: "none", "mean" or "sum". Default: "mean".
    margin_ranking_loss, in [NN] {
        "(Tensor input1, Tensor input2, Tensor target, float margin=0.0, bool? size_average=None, bool? reduce=None, str reduction='mean') -> Tensor" =>
            |a| margin_ranking_loss(&a.tensor(0), &a.tensor(1), &a.tensor(2), a.float(3), Reduction::of(a, 4, 5, 6)?),
    }
}
op! {
    /// Computes the margin ranking loss; `reduction` is 0 (none), 1 (mean) or 2 (sum).
    margin_ranking_loss__, in [TORCH] {
        "(Tensor input1, Tensor input2, Tensor target, float margin=0.0, int reduction=1) -> Tensor" =>
            |a| margin_ranking_loss(&a.tensor(0), &a.tensor(1), &a.tensor(2), a.float(3), Reduction::code(a.int(4))?),
    }
}
op! {
    /// Computes `1 - cos` of two vectors where the target is 1 and `max(0, cos - margin)` where it is -1.
    ///
    /// Args:
    ///     input1: (N, D) or (D).
    ///     input2: (N, D) or (D).
    ///     target: (N) or (), 1 or -1.
    ///     margin: the margin. Default: 0.
    ///     reduction: "none", "mean" or "sum". Default: "mean".
    cosine_embedding_loss, in [NN] {
        "(Tensor input1, Tensor input2, Tensor target, float margin=0.0, bool? size_average=None, bool? reduce=None, str reduction='mean') -> Tensor" =>
            |a| cosine_embedding_loss(&a.tensor(0), &a.tensor(1), &a.tensor(2), a.float(3), Reduction::of(a, 4, 5, 6)?),
    }
}
op! {
    /// Computes the cosine embedding loss; `reduction` is 0 (none), 1 (mean) or 2 (sum).
    cosine_embedding_loss__, in [TORCH] {
        "(Tensor input1, Tensor input2, Tensor target, float margin=0.0, int reduction=1) -> Tensor" =>
            |a| cosine_embedding_loss(&a.tensor(0), &a.tensor(1), &a.tensor(2), a.float(3), Reduction::code(a.int(4))?),
    }
}
op! {
    /// Computes `max(0, d(anchor, positive) - d(anchor, negative) + margin)` for a p-norm distance d.
    ///
    /// Args:
    ///     anchor: (N, D) or (D).
    ///     positive: what should be near.
    ///     negative: what should be far.
    ///     margin: the margin, above 0. Default: 1.
    ///     p: the norm. Default: 2.
    ///     eps: added to differences. Default: 1e-6.
    ///     swap: whether the nearer of anchor and positive is used against the negative. Default: False.
    ///     reduction: "none", "mean" or "sum". Default: "mean".
    triplet_margin_loss, in [NN] {
        "(Tensor anchor, Tensor positive, Tensor negative, float margin=1.0, float p=2.0, float eps=1e-6, bool swap=False, bool? size_average=None, bool? reduce=None, str reduction='mean') -> Tensor" => |a| {
            triplet_margin_loss([&a.tensor(0), &a.tensor(1), &a.tensor(2)], [a.float(3), a.float(4), a.float(5)], a.bool(6), Reduction::of(a, 7, 8, 9)?)
        },
    }
}
op! {
    /// Computes the triplet margin loss; `reduction` is 0 (none), 1 (mean) or 2 (sum).
    triplet_margin_loss__, in [TORCH] {
        "(Tensor anchor, Tensor positive, Tensor negative, float margin=1.0, float p=2.0, float eps=1e-6, bool swap=False, int reduction=1) -> Tensor" => |a| {
            triplet_margin_loss([&a.tensor(0), &a.tensor(1), &a.tensor(2)], [a.float(3), a.float(4), a.float(5)], a.bool(6), Reduction::code(a.int(7))?)
        },
    }
}
op! {
    /// Computes `log(1 + exp(-target input))`.
    ///
    /// Args:
    ///     input: scores.
    ///     target: 1 or -1 in the shape of `input`.
    ///     reduction: "none", "mean" or "sum". Default: "mean".
    soft_margin_loss, in [NN] {
        "(Tensor input, Tensor target, bool? size_average=None, bool? reduce=None, str reduction='mean') -> Tensor" =>
            |a| soft_margin_loss(&a.tensor(0), &a.tensor(1), Reduction::of(a, 2, 3, 4)?),
    }
}
op! {
    /// Computes the cross entropy of independent labels, averaged over the classes.
    ///
    /// Args:
    ///     input: scores (N, C).
    ///     target: 0 or 1 (N, C).
    ///     weight: a factor per class (C).
    ///     reduction: "none", "mean" or "sum". Default: "mean".
    multilabel_soft_margin_loss, in [NN] {
        "(Tensor input, Tensor target, Tensor? weight=None, bool? size_average=None, bool? reduce=None, str reduction='mean') -> Tensor" =>
            |a| multilabel_soft_margin_loss(&a.tensor(0), &a.tensor(1), a.opt_tensor(2), Reduction::of(a, 3, 4, 5)?),
    }
}
op! {
    /// Computes by how much the scores of other classes come within a margin of the target's, averaged over classes.
    ///
    /// Args:
    ///     input: scores (N, C) or (C).
    ///     target: class indices (N) or ().
    ///     p: exponent, 1 or 2. Default: 1.
    ///     margin: the margin. Default: 1.
    ///     weight: a factor per class (C).
    ///     reduction: "none", "mean" or "sum". Default: "mean".
    multi_margin_loss, in [NN] {
        "(Tensor input, Tensor target, int p=1, float margin=1.0, Tensor? weight=None, bool? size_average=None, bool? reduce=None, str reduction='mean') -> Tensor" =>
            |a| multi_margin_loss(&a.tensor(0), &a.tensor(1), a.int(2), a.float(3), a.opt_tensor(4), Reduction::of(a, 5, 6, 7)?),
    }
}
op! {
    /// Computes by how much the scores of other classes come within 1 of those of the labels, averaged over classes.
    ///
    /// Args:
    ///     input: scores (N, C) or (C).
    ///     target: class indices in the shape of `input`; a row ends at its first -1.
    ///     reduction: "none", "mean" or "sum". Default: "mean".
    multilabel_margin_loss, in [NN] {
        "(Tensor input, Tensor target, bool? size_average=None, bool? reduce=None, str reduction='mean') -> Tensor" =>
            |a| multilabel_margin_loss(&a.tensor(0), &a.tensor(1), Reduction::of(a, 2, 3, 4)?),
    }
}
op! {
    /// Computes the negative log likelihood under Gaussian distributions.
    ///
    /// Args:
    ///     input: means.
    ///     target: samples.
    ///     var: variances, in the shape of `input`, one per vector, or a number.
    ///     full: whether the constant term is added. Default: False.
    ///     eps: least variance. Default: 1e-6.
    ///     reduction: "none", "mean" or "sum". Default: "mean".
    ///
    /// Raises:
    ///     ValueError: a negative variance.
    gaussian_nll_loss, in [NN] {
        "(Tensor input, Tensor target, Tensor var, bool full=False, float eps=1e-6, str reduction='mean') -> Tensor" =>
            |a| gaussian_nll_loss(&a.tensor(0), &a.tensor(1), &a.tensor(2), a.bool(3), a.float(4), a.str(5)),
        "(Tensor input, Tensor target, float var, bool full=False, float eps=1e-6, str reduction='mean') -> Tensor" => |a| {
            let x = a.tensor(0);
            let var = Tensor::full(x.sizes(), a.float(2), x.dtype(), x.device())?;
            gaussian_nll_loss(&x, &a.tensor(1), &var, a.bool(3), a.float(4), a.str(5))
        },
    }
}

pub static ROWS: &[&crate::ops::OpDef] = &[
    &hinge_embedding_loss::DEF,
    &hinge_embedding_loss__::DEF,
    &margin_ranking_loss::DEF,
    &margin_ranking_loss__::DEF,
    &cosine_embedding_loss::DEF,
    &cosine_embedding_loss__::DEF,
    &triplet_margin_loss::DEF,
    &triplet_margin_loss__::DEF,
    &soft_margin_loss::DEF,
    &multilabel_soft_margin_loss::DEF,
    &multi_margin_loss::DEF,
    &multilabel_margin_loss::DEF,
    &gaussian_nll_loss::DEF,
];
