//! Losses that are elementwise terms and a reduction.

use super::args::Args;
use crate::autograd::{self, Term, engine::grads};
use crate::error::Result;
use crate::shape;
use crate::tensor::Tensor;

/// What becomes of the loss of each element.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reduction {
    None,
    Mean,
    Sum,
}

impl Reduction {
    pub fn parse(name: &str) -> Result<Reduction> {
        Ok(match name {
            "none" => Reduction::None,
            "mean" => Reduction::Mean,
            "sum" => Reduction::Sum,
            _ => crate::bail!(Value, "{name} is not a valid value for reduction"),
        })
    }

    /// The number torch.* functions take for it.
    pub fn code(code: i64) -> Result<Reduction> {
        Ok(match code {
            0 => Reduction::None,
            1 => Reduction::Mean,
            2 => Reduction::Sum,
            _ => crate::bail!(Value, "{code} is not a valid value for reduction"),
        })
    }

    /// From the arguments `size_average`, `reduce` and `reduction`: the first two, where given, overrule the last.
    pub fn of(a: &Args, size_average: usize, reduce: usize, reduction: usize) -> Result<Reduction> {
        if !a.given(size_average) && !a.given(reduce) {
            return Self::parse(a.str(reduction));
        }
        Ok(
            match (
                a.opt_bool(size_average).unwrap_or(true),
                a.opt_bool(reduce).unwrap_or(true),
            ) {
                (true, true) => Reduction::Mean,
                (false, true) => Reduction::Sum,
                (_, false) => Reduction::None,
            },
        )
    }

    /// Reduces the losses of the elements.
    pub fn apply(self, loss: Tensor) -> Result<Tensor> {
        match self {
            Reduction::None => Ok(loss),
            Reduction::Sum => loss.sum_all(),
            Reduction::Mean => {
                crate::check!(
                    loss.dtype().is_differentiable(),
                    Runtime,
                    "mean(): could not infer output dtype. Input dtype must be either a floating point or complex \
                     dtype. Got: {}",
                    loss.dtype().scalar_name()
                );
                loss.mean_dims(&(0..loss.ndim()).collect::<Vec<_>>(), false)
            }
        }
    }

    /// Reduces weighted losses: the mean is over the weights.
    fn apply_weighted(self, loss: Tensor, weight: Option<&Tensor>) -> Result<Tensor> {
        let Some(w) = weight else {
            return self.apply(loss);
        };
        let loss = loss.mul(w)?;
        match self {
            Reduction::Mean => loss.sum_all()?.div(&w.sum_all()?),
            r => r.apply(loss),
        }
    }
}

/// The values of a tensor as kernels read them: contiguous, without history, in the dtype they compute in.
pub fn work(x: &Tensor) -> Result<Tensor> {
    autograd::no_grad(|| x.detach().to_dtype(x.dtype().compute())?.contiguous())
}

/// `t` as a part of the graph of `input`, on which it does not depend: the derivative is zero rather than none.
pub fn linked_to(t: &Tensor, input: &Tensor) -> Result<Tensor> {
    if !autograd::needs_grad(&[input]) {
        return Ok(t.clone());
    }
    let out = t.detach();
    let (sizes, dtype, device) = (
        shape::Sizes::from_slice(input.sizes()),
        input.dtype(),
        input.device(),
    );
    autograd::record_stateless("ZeroLinkBackward0", &[t, input], &[&out], move |g| {
        grads([
            g.opt(0),
            g.when(1, || Tensor::zeros(&sizes, dtype, device))?,
        ])
    });
    Ok(out)
}

/// Refuses dtypes other than floating point as PyTorch's kernels do.
pub fn need_float(x: &Tensor, kernel: &str) -> Result<()> {
    crate::check!(
        x.dtype().is_floating(),
        NotImplemented,
        "\"{kernel}\" not implemented for '{}'",
        x.dtype().scalar_name()
    );
    Ok(())
}

pointwise! {
    /// Returns the squared difference of `input` and `target`.
    mse(a, b) -> Promote, schema ["(Tensor input, Tensor target) -> Tensor"], in [PRIVATE], in_place no {
        float = { let d = a - b; d * d },
        wgsl = "(a - b) * (a - b)",
        grad a(g; a, b) = g * ((a - b) * 2.0),
        grad b(g; a, b) = g * ((b - a) * 2.0),
    }
}
pointwise! {
    /// Returns `input` limited to [-limit, limit].
    limited(d; limit) -> Promote, schema ["(Tensor input, Scalar limit) -> Tensor"], in [PRIVATE], in_place no {
        float = R::select(d > limit, limit, R::select(d < -limit, -limit, d)),
        wgsl = "clamp(d, -limit, limit)",
        grad d(g; d) = g.masked(&(d * d).at_most(limit.to_f64() * limit.to_f64())),
    }
}
pointwise! {
    /// Returns the absolute difference, squared and halved over `beta` where it is below `beta`.
    smooth_l1(a, b; beta) -> Promote, schema ["(Tensor input, Tensor target, Scalar beta) -> Tensor"], in [PRIVATE], in_place no {
        float = {
            let d = (a - b).abs();
            R::select(d < beta, R::HALF * d * d / beta, d - R::HALF * beta)
        },
        wgsl = "select(abs(a - b) - 0.5 * beta, 0.5 * (a - b) * (a - b) / beta, abs(a - b) < beta)",
        grad a(g; a, b) = g * ((a - b).limited(beta) / beta),
        grad b(g; a, b) = g * ((b - a).limited(beta) / beta),
    }
}
pointwise! {
    /// Returns half the squared difference, continued in a straight line beyond `delta`.
    huber(a, b; delta) -> Promote, schema ["(Tensor input, Tensor target, Scalar delta) -> Tensor"], in [PRIVATE], in_place no {
        float = {
            let d = (a - b).abs();
            R::select(d <= delta, R::HALF * d * d, delta * (d - R::HALF * delta))
        },
        wgsl = "select(delta * (abs(a - b) - 0.5 * delta), 0.5 * (a - b) * (a - b), abs(a - b) <= delta)",
        grad a(g; a, b) = g * (a - b).limited(delta),
        grad b(g; a, b) = g * (b - a).limited(delta),
    }
}
pointwise! {
    /// Returns `1 / (input (1 - input))`, at most 1e12.
    inverse_spread(x) -> Promote, in [PRIVATE], in_place no {
        float = {
            let spread = x * (R::ONE - x);
            R::ONE / R::select(spread > R::from_f64(1e-12), spread, R::from_f64(1e-12))
        },
        wgsl = "1.0 / max(x * (1.0 - x), 1e-12)",
        grad x(g; x, out) = g * out * out * (x * 2.0 - 1.0),
    }
}
pointwise! {
    /// Returns the cross entropy of probabilities, logarithms limited to -100.
    bce(x, t) -> Promote, schema ["(Tensor input, Tensor target) -> Tensor"], in [PRIVATE], in_place no {
        float = {
            let low = R::from_f64(-100.0);
            let (yes, no) = (x.ln(), (-x).ln_1p());
            (t - R::ONE) * R::select(no < low, low, no) - t * R::select(yes < low, low, yes)
        },
        wgsl = "(t - 1.0) * max(log1p(-x), -100.0) - t * max(log(x), -100.0)",
        grad x(g; x, t) = g * (x - t) * x.inverse_spread(),
        grad t(g; x) = g * ((1.0 - x).log() - x.log()),
    }
}
pointwise! {
    /// Returns `log(1 + exp(-input))`.
    softplus_of_negative(x) -> Promote, in [PRIVATE], in_place no {
        float = R::select(x < R::ZERO, -x, R::ZERO) + (-x.abs()).exp().ln_1p(),
        wgsl = "max(-x, 0.0) + log1p(exp(-abs(x)))",
        grad x(g; x) = g * (x.sigmoid() - 1.0),
    }
}
pointwise! {
    /// Returns the cross entropy of scores.
    bce_logits(x, t) -> Promote, schema ["(Tensor input, Tensor target) -> Tensor"], in [PRIVATE], in_place no {
        float = (R::ONE - t) * x + R::select(x < R::ZERO, -x, R::ZERO) + (-x.abs()).exp().ln_1p(),
        wgsl = "(1.0 - t) * x + max(-x, 0.0) + log1p(exp(-abs(x)))",
        grad x(g; x, t) = g * (x.sigmoid() - t),
        grad t(g; x) = -(g * x),
    }
}
pointwise! {
    /// Returns `target (log(target) - input)`, with 0 log(0) = 0.
    kl(x, t) -> Promote, schema ["(Tensor input, Tensor target) -> Tensor"], in [PRIVATE], in_place no {
        float = R::select(t == R::ZERO, R::ZERO, t * t.ln()) - t * x,
        wgsl = "select(t * log(t), 0.0, t == 0.0) - t * x",
        grad x(g; t) = -(g * t),
        grad t(g; x, t) = g * (t.log() + 1.0 - x),
    }
}
pointwise! {
    /// Returns Stirling's approximation of log(input!) where `input` is above 1, else 0.
    stirling(t) -> Float, in [PRIVATE], in_place no {
        float = R::select(t > R::ONE, t * t.ln() - t + R::HALF * (R::TWO * R::PI * t).ln(), R::ZERO),
        grad t(g; t) = (g * (t.log() + 0.5 / t)).masked(&t.greater_than(1.0)),
    }
}

/// Both operands expanded to their common shape.
fn broadcast(a: &Tensor, b: &Tensor) -> Result<(Tensor, Tensor)> {
    if a.sizes() == b.sizes() {
        return Ok((a.clone(), b.clone()));
    }
    let sizes = shape::broadcast(a.sizes(), b.sizes())?;
    Ok((a.expand_to(&sizes)?, b.expand_to(&sizes)?))
}

/// The mean, the sum or all of the squared differences, as one node.
fn mse_loss(x: &Tensor, t: &Tensor, r: Reduction) -> Result<Tensor> {
    let loss = autograd::no_grad(|| r.apply(x.mse(t)?))?;
    if autograd::needs_grad(&[x, t]) {
        let (xs, ts) = (autograd::Saved::input(x), autograd::Saved::input(t));
        let mean = matches!(r, Reduction::Mean);
        let factor = if mean { 2.0 / x.numel() as f64 } else { 2.0 };
        autograd::record("MseLossBackward0", &[x, t], &[&loss], move |g| {
            let slope = xs.get(g)?.sub(&ts.get(g)?)?.mul_scalar(factor)?;
            let to_x = slope.mul(&g.get(0)?)?;
            autograd::engine::grads([g.needs(0).then(|| to_x.clone()), g.when(1, || to_x.neg())?])
        });
    }
    Ok(loss)
}

/// The weight of a loss of `input` and `target`, checked.
fn check_weight(x: &Tensor, weight: Option<&Tensor>) -> Result<()> {
    if let Some(w) = weight {
        crate::check!(
            w.sizes() == x.sizes(),
            Value,
            "Weights and input must have the same size."
        );
    }
    Ok(())
}

fn l1_loss(x: &Tensor, target: &Tensor, weight: Option<&Tensor>, r: Reduction) -> Result<Tensor> {
    check_weight(x, weight)?;
    r.apply_weighted(x.sub(target)?.abs()?, weight)
}

fn smooth_l1_loss(x: &Tensor, target: &Tensor, beta: f64, r: Reduction) -> Result<Tensor> {
    crate::check!(
        beta >= 0.0,
        Runtime,
        "smooth_l1_loss does not support negative values for beta."
    );
    r.apply(if beta == 0.0 {
        x.sub(target)?.abs()?
    } else {
        x.smooth_l1(target, beta)?
    })
}

fn huber_loss(
    x: &Tensor,
    target: &Tensor,
    delta: f64,
    weight: Option<&Tensor>,
    r: Reduction,
) -> Result<Tensor> {
    crate::check!(
        delta > 0.0,
        Runtime,
        "huber_loss does not support non-positive values for delta."
    );
    check_weight(x, weight)?;
    r.apply_weighted(x.huber(target, delta)?, weight)
}

fn binary_cross_entropy(
    x: &Tensor,
    target: &Tensor,
    weight: Option<&Tensor>,
    r: Reduction,
) -> Result<Tensor> {
    crate::check!(
        x.sizes() == target.sizes(),
        Value,
        "Using a target size (torch.Size({})) that is different to the input size (torch.Size({})) is deprecated. \
         Please ensure they have the same size.",
        shape::list(target.sizes()),
        shape::list(x.sizes())
    );
    crate::check!(
        x.dtype() == target.dtype(),
        Runtime,
        "Found dtype {} but expected {}",
        target.dtype().scalar_name(),
        x.dtype().scalar_name()
    );
    let outside = autograd::no_grad(|| {
        let (low, high) = (Tensor::wrapped(0.0)?, Tensor::wrapped(1.0)?);
        x.detach()
            .ge(&low)?
            .logical_and(&x.detach().le(&high)?)?
            .logical_not()?
            .any()
    })?;
    crate::check!(
        !outside.item()?.to_bool(),
        Runtime,
        "all elements of input should be between 0 and 1. Use binary_cross_entropy_with_logits for scores"
    );
    let loss = x.bce(target)?;
    r.apply(match weight {
        Some(w) => loss.mul(&w.expand_to(&shape::broadcast(w.sizes(), x.sizes())?)?)?,
        None => loss,
    })
}

/// The cross entropy of scores against probabilities of a yes.
pub fn binary_cross_entropy_with_logits(
    x: &Tensor,
    target: &Tensor,
    weight: Option<&Tensor>,
    pos_weight: Option<&Tensor>,
    r: Reduction,
) -> Result<Tensor> {
    crate::check!(
        target.dtype().is_floating() || !x.dtype().is_floating(),
        Runtime,
        "result type {} can't be cast to the desired output type {}",
        x.dtype().scalar_name(),
        target.dtype().scalar_name()
    );
    let loss = match pos_weight {
        None => x.bce_logits(target)?,
        Some(p) => {
            let (x, t, p) = (Term::from(x), Term::from(target), Term::from(p));
            ((1.0 - &t) * &x + (1.0 + (p - 1.0) * &t) * x.softplus_of_negative()).0?
        }
    };
    r.apply(match weight {
        Some(w) => loss.mul(w)?,
        None => loss,
    })
}

/// The Kullback-Leibler divergence per element, reduced.
pub fn kl_div(x: &Tensor, target: &Tensor, log_target: bool, r: Reduction) -> Result<Tensor> {
    r.apply(if log_target {
        target.exp()?.mul(&target.sub(x)?)?
    } else {
        x.kl(target)?
    })
}

fn kl_div_named(x: &Tensor, target: &Tensor, log_target: bool, reduction: &str) -> Result<Tensor> {
    if reduction == "batchmean" {
        let sum = kl_div(x, target, log_target, Reduction::Sum)?;
        return if x.ndim() == 0 {
            Ok(sum)
        } else {
            sum.div_scalar(x.sizes()[0] as f64)
        };
    }
    kl_div(x, target, log_target, Reduction::parse(reduction)?)
}

pub fn poisson_nll_loss(
    x: &Tensor,
    target: &Tensor,
    log_input: bool,
    full: bool,
    eps: f64,
    r: Reduction,
) -> Result<Tensor> {
    let (x, t) = (Term::from(x), Term::from(target));
    let loss = if log_input {
        x.exp() - &t * &x
    } else {
        &x - &t * (&x + eps).log()
    };
    r.apply(if full {
        (loss + t.stirling()).0?
    } else {
        loss.0?
    })
}

op! {
    /// Computes the mean squared error.
    ///
    /// Args:
    ///     input: predictions.
    ///     target: values to predict; broadcasts with `input`.
    ///     reduction: "none", "mean" or "sum". Default: "mean".
    ///     weight: factors in the shape of `input`; the mean is then over the weights.
    mse_loss, in [NN] {
        "(Tensor input, Tensor target, bool? size_average=None, bool? reduce=None, str reduction='mean', Tensor? weight=None) -> Tensor" => |a| {
            let (x, t) = broadcast(&a.tensor(0), &a.tensor(1))?;
            check_weight(&x, a.opt_tensor(5))?;
            let r = Reduction::of(a, 2, 3, 4)?;
            match a.opt_tensor(5) {
                None => mse_loss(&x, &t, r),
                weight => r.apply_weighted(x.mse(&t)?, weight),
            }
        },
    }
}
op! {
    /// Computes the mean absolute error.
    ///
    /// Args:
    ///     input: predictions.
    ///     target: values to predict; broadcasts with `input`.
    ///     reduction: "none", "mean" or "sum". Default: "mean".
    ///     weight: factors in the shape of `input`; the mean is then over the weights.
    l1_loss, in [NN] {
        "(Tensor input, Tensor target, bool? size_average=None, bool? reduce=None, str reduction='mean', Tensor? weight=None) -> Tensor" => |a| {
            let (x, t) = broadcast(&a.tensor(0), &a.tensor(1))?;
            l1_loss(&x, &t, a.opt_tensor(5), Reduction::of(a, 2, 3, 4)?)
        },
    }
}
op! {
    /// Computes an error that is squared below `beta` and absolute above (Girshick, 2015).
    ///
    /// Args:
    ///     input: predictions.
    ///     target: values to predict; broadcasts with `input`.
    ///     reduction: "none", "mean" or "sum". Default: "mean".
    ///     beta: where the two parts meet, at least 0. Default: 1.
    smooth_l1_loss, in [NN] {
        "(Tensor input, Tensor target, bool? size_average=None, bool? reduce=None, str reduction='mean', float beta=1.0) -> Tensor" =>
            |a| smooth_l1_loss(&a.tensor(0), &a.tensor(1), a.float(5), Reduction::of(a, 2, 3, 4)?),
    }
}
op! {
    /// Computes half the squared error below `delta` and `delta` times the absolute error above (Huber, 1964).
    ///
    /// Args:
    ///     input: predictions.
    ///     target: values to predict; broadcasts with `input`.
    ///     reduction: "none", "mean" or "sum". Default: "mean".
    ///     delta: where the two parts meet, above 0. Default: 1.
    ///     weight: factors in the shape of `input`; the mean is then over the weights.
    huber_loss, in [NN] {
        "(Tensor input, Tensor target, str reduction='mean', float delta=1.0, Tensor? weight=None) -> Tensor" =>
            |a| huber_loss(&a.tensor(0), &a.tensor(1), a.float(3), a.opt_tensor(4), Reduction::parse(a.str(2))?),
    }
}
op! {
    /// Computes the cross entropy between probabilities and targets in [0, 1].
    ///
    /// Args:
    ///     input: probabilities.
    ///     target: targets in the shape of `input`.
    ///     weight: factors that broadcast to the shape of `input`.
    ///     reduction: "none", "mean" or "sum". Default: "mean".
    ///
    /// Raises:
    ///     RuntimeError: an input outside [0, 1].
    binary_cross_entropy, in [NN] {
        "(Tensor input, Tensor target, Tensor? weight=None, bool? size_average=None, bool? reduce=None, str reduction='mean') -> Tensor" =>
            |a| binary_cross_entropy(&a.tensor(0), &a.tensor(1), a.opt_tensor(2), Reduction::of(a, 3, 4, 5)?),
    }
}
op! {
    /// Computes the cross entropy between scores, before the sigmoid, and targets in [0, 1].
    ///
    /// Args:
    ///     input: scores.
    ///     target: targets in the shape of `input`.
    ///     weight: factors that broadcast to the shape of `input`.
    ///     reduction: "none", "mean" or "sum". Default: "mean".
    ///     pos_weight: factors of the positive part; broadcast with `target`.
    binary_cross_entropy_with_logits, in [NN] {
        "(Tensor input, Tensor target, Tensor? weight=None, bool? size_average=None, bool? reduce=None, str reduction='mean', Tensor? pos_weight=None) -> Tensor" => |a| {
            let (x, t) = (a.tensor(0), a.tensor(1));
            crate::check!(
                x.sizes() == t.sizes(),
                Value,
                "Target size (torch.Size({})) must be the same as input size (torch.Size({}))",
                shape::list(t.sizes()),
                shape::list(x.sizes())
            );
            binary_cross_entropy_with_logits(&x, &t, a.opt_tensor(2), a.opt_tensor(6), Reduction::of(a, 3, 4, 5)?)
        },
    }
}
op! {
    /// Computes the cross entropy between scores and targets; `reduction` is 0 (none), 1 (mean) or 2 (sum).
    binary_cross_entropy_with_logits__, in [TORCH] {
        "(Tensor input, Tensor target, Tensor? weight=None, Tensor? pos_weight=None, int reduction=1) -> Tensor" =>
            |a| binary_cross_entropy_with_logits(&a.tensor(0), &a.tensor(1), a.opt_tensor(2), a.opt_tensor(3), Reduction::code(a.int(4))?),
    }
}
op! {
    /// Computes the Kullback-Leibler divergence of `target` from the distribution whose logarithm is `input`.
    ///
    /// Args:
    ///     input: log-probabilities.
    ///     target: probabilities, or their logarithms with `log_target`.
    ///     reduction: "none", "mean", "sum" or "batchmean". Default: "mean".
    ///     log_target: whether `target` holds logarithms. Default: False.
    kl_div, in [NN] {
        "(Tensor input, Tensor target, bool? size_average=None, bool? reduce=None, str reduction='mean', bool log_target=False) -> Tensor" => |a| {
            let (x, t) = (a.tensor(0), a.tensor(1));
            if a.given(2) || a.given(3) {
                return kl_div(&x, &t, a.bool(5), Reduction::of(a, 2, 3, 4)?);
            }
            kl_div_named(&x, &t, a.bool(5), a.str(4))
        },
    }
}
op! {
    /// Computes the Kullback-Leibler divergence; `reduction` is 0 (none), 1 (mean) or 2 (sum).
    kl_div__, in [TORCH] {
        "(Tensor input, Tensor target, int reduction=1, *, bool log_target=False) -> Tensor" =>
            |a| kl_div(&a.tensor(0), &a.tensor(1), a.bool(3), Reduction::code(a.int(2))?),
    }
}
op! {
    /// Computes the negative log likelihood of counts under a Poisson distribution.
    ///
    /// Args:
    ///     input: expected counts, or their logarithms with `log_input`.
    ///     target: counts.
    ///     log_input: whether `input` holds logarithms. Default: True.
    ///     full: whether Stirling's approximation of log(target!) is added. Default: False.
    ///     eps: added before a logarithm is taken. Default: 1e-8.
    ///     reduction: "none", "mean" or "sum". Default: "mean".
    poisson_nll_loss, in [NN] {
        "(Tensor input, Tensor target, bool log_input=True, bool full=False, bool? size_average=None, float eps=1e-8, bool? reduce=None, str reduction='mean') -> Tensor" =>
            |a| poisson_nll_loss(&a.tensor(0), &a.tensor(1), a.bool(2), a.bool(3), a.float(5), Reduction::of(a, 4, 6, 7)?),
    }
}
op! {
    /// Computes the negative log likelihood of counts; `reduction` is 0 (none), 1 (mean) or 2 (sum).
    poisson_nll_loss__, in [TORCH] {
        "(Tensor input, Tensor target, bool log_input, bool full, float eps, int reduction) -> Tensor" =>
            |a| poisson_nll_loss(&a.tensor(0), &a.tensor(1), a.bool(2), a.bool(3), a.float(4), Reduction::code(a.int(5))?),
    }
}

pub static ROWS: &[&crate::ops::OpDef] = &[
    &mse::DEF,
    &limited::DEF,
    &smooth_l1::DEF,
    &huber::DEF,
    &inverse_spread::DEF,
    &bce::DEF,
    &softplus_of_negative::DEF,
    &bce_logits::DEF,
    &kl::DEF,
    &stirling::DEF,
    &mse_loss::DEF,
    &l1_loss::DEF,
    &smooth_l1_loss::DEF,
    &huber_loss::DEF,
    &binary_cross_entropy::DEF,
    &binary_cross_entropy_with_logits::DEF,
    &binary_cross_entropy_with_logits__::DEF,
    &kl_div::DEF,
    &kl_div__::DEF,
    &poisson_nll_loss::DEF,
    &poisson_nll_loss__::DEF,
];
