//! Normalisations: batch, layer, group, instance and root mean square.

use super::loss::{need_float, work};
use crate::autograd::{self, Grads, Saved, Term, record};
use crate::cpu::norm::{
    Layout, Statistics, apply, input_gradient, moments, parameter_gradients, reciprocal_deviation,
};
use crate::dtype::DType;
use crate::error::Result;
use crate::shape;
use crate::tensor::Tensor;

/// Axes of `Layout::sizes` that statistics run over.
const WITHIN: [usize; 3] = [0, 3, 4];
/// Axes of `Layout::sizes` that share a weight.
const SHARED: [usize; 3] = [0, 1, 4];

/// One normalisation: what belongs together, and what is taken away.
#[derive(Clone, Copy)]
struct Plan {
    layout: Layout,
    statistics: Statistics,
    eps: f64,
    name: &'static str,
}

/// A result with the statistics it was made with, one of each per set, in the dtype they were computed in.
struct Normalised {
    out: Tensor,
    mean: Tensor,
    var: Tensor,
    rstd: Tensor,
}

fn normalise(
    x: &Tensor,
    weight: Option<&Tensor>,
    bias: Option<&Tensor>,
    fixed: Option<(&Tensor, &Tensor)>,
    plan: Plan,
) -> Result<Normalised> {
    x.need_cpu(plan.name)?;
    let data = work(x)?;
    let dtype = data.dtype();
    let parameter = |t: Option<&Tensor>| -> Result<Option<Tensor>> {
        t.map(|t| autograd::no_grad(|| t.detach().to_dtype(dtype)?.contiguous()))
            .transpose()
    };
    let (w, b) = (parameter(weight)?, parameter(bias)?);
    let sets = plan.layout.sets();
    let (out, mean, var, rstd) = crate::dispatch_real!(dtype, T => {
        let values = data.as_slice::<T>()?;
        let (mean, var) = match fixed {
            Some((mean, var)) => (mean.to_vec::<T>()?, var.to_vec::<T>()?),
            None => moments(values, &plan.layout, plan.statistics == Statistics::Full),
        };
        crate::check!(mean.len() == sets && var.len() == sets, Runtime, "{}: statistics do not fit", plan.name);
        let rstd = reciprocal_deviation(&var, plan.eps);
        let out = Tensor::empty(x.sizes(), dtype, x.device())?;
        // SAFETY: `out` was just made, is contiguous and nothing else refers to its memory.
        let dst = unsafe { std::slice::from_raw_parts_mut(out.data_ptr() as *mut T, out.numel()) };
        let w = w.as_ref().map(|w| w.as_slice::<T>()).transpose()?;
        let b = b.as_ref().map(|b| b.as_slice::<T>()).transpose()?;
        apply(values, &plan.layout, &mean, &rstd, w, b, dst);
        (out, Tensor::from_slice(&mean)?, Tensor::from_slice(&var)?, Tensor::from_slice(&rstd)?)
    });
    let out = out.to_dtype(x.dtype())?;
    let inputs: Vec<&Tensor> = std::iter::once(x).chain(weight).chain(bias).collect();
    if autograd::needs_grad(&inputs) {
        let saved = SavedNorm {
            x: Saved::input(x),
            weight: Saved::opt(weight),
            bias: bias.map(|b| shape::Sizes::from_slice(b.sizes())),
            mean: mean.clone(),
            rstd: rstd.clone(),
            plan,
        };
        record(plan.name, &inputs, &[&out], move |g| saved.backward(g));
    }
    Ok(Normalised {
        out,
        mean,
        var,
        rstd,
    })
}

struct SavedNorm {
    x: Saved,
    weight: Option<Saved>,
    /// Sizes of the bias, if there is one.
    bias: Option<shape::Sizes>,
    mean: Tensor,
    rstd: Tensor,
    plan: Plan,
}

impl SavedNorm {
    fn backward(&self, g: &Grads) -> Result<autograd::GradVec> {
        let x = self.x.get(g)?;
        let weight = self.weight.as_ref().map(|w| w.get(g)).transpose()?;
        let grad = g.get(0)?;
        let mut inputs = vec![&grad, &x];
        inputs.extend(&weight);
        let to_statistics = (g.opt(1), g.opt(2));
        inputs.extend(&to_statistics.0);
        inputs.extend(&to_statistics.1);
        let (mut gx, gw, gb) = if autograd::needs_grad(&inputs) {
            composite_gradients(
                &grad,
                &x,
                weight.as_ref(),
                &self.mean,
                &self.rstd,
                self.plan,
            )?
        } else {
            self.fused_gradients(&grad, &x, weight.as_ref(), g)?
        };
        if let Some(t) = &gx
            && (to_statistics.0.is_some() || to_statistics.1.is_some())
        {
            gx = Some(t.add(&statistics_gradient(to_statistics, &x, self.plan)?)?);
        }
        let mut out = autograd::GradVec::new();
        out.push(gx);
        if let Some(w) = &weight {
            out.push(gw.map(|t| t.reshape_to(w.sizes())).transpose()?);
        }
        if let Some(sizes) = &self.bias {
            out.push(gb.map(|t| t.reshape_to(sizes)).transpose()?);
        }
        Ok(out)
    }

    /// The gradients of input, weight and bias by kernels, those that are needed.
    fn fused_gradients(
        &self,
        grad: &Tensor,
        x: &Tensor,
        weight: Option<&Tensor>,
        g: &Grads,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let layout = &self.plan.layout;
        let (grad, data) = (work(grad)?, work(x)?);
        let dtype = data.dtype();
        let grad = grad.to_dtype(dtype)?;
        let w = match weight {
            Some(w) => Some(autograd::no_grad(|| {
                w.detach().to_dtype(dtype)?.contiguous()
            })?),
            None => None,
        };
        crate::dispatch_real!(dtype, T => {
            let (gs, xs) = (grad.as_slice::<T>()?, data.as_slice::<T>()?);
            let (mean, rstd) = (self.mean.as_slice::<T>()?, self.rstd.as_slice::<T>()?);
            let gx = g.when(0, || {
                let out = Tensor::empty(x.sizes(), dtype, x.device())?;
                // SAFETY: `out` was just made, is contiguous and nothing else refers to its memory.
                let dst = unsafe { std::slice::from_raw_parts_mut(out.data_ptr() as *mut T, out.numel()) };
                let w = w.as_ref().map(|w| w.as_slice::<T>()).transpose()?;
                input_gradient(gs, xs, layout, mean, rstd, w, self.plan.statistics, dst);
                out.to_dtype(x.dtype())
            })?;
            let (mut gw, mut gb) = (None, None);
            if g.needs(1) || g.needs(2) {
                let (a, b) = parameter_gradients(gs, xs, layout, mean, rstd);
                gw = Some(Tensor::from_slice(&a)?);
                gb = Some(Tensor::from_slice(&b)?);
            }
            Ok((gx, gw, gb))
        })
    }
}

/// The same gradients as arithmetic on tensors, for derivatives of them.
fn composite_gradients(
    grad: &Tensor,
    x: &Tensor,
    weight: Option<&Tensor>,
    mean: &Tensor,
    rstd: &Tensor,
    plan: Plan,
) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
    let layout = plan.layout;
    let sizes = layout.sizes();
    let per_set = [1, layout.repeat, layout.groups, 1, 1];
    let dtype = x.dtype().compute();
    let shaped = |t: &Tensor| -> Result<Tensor> { t.to_dtype(dtype)?.reshape_to(&sizes) };
    let average = |t: &Term| t.map(|t| t.mean_dims(&WITHIN, true));
    let (g5, x5) = (Term::from(shaped(grad)), Term::from(shaped(x)));
    let (centred, rstd) = match plan.statistics {
        Statistics::Fixed => (
            &x5 - Term::from(mean.reshape_to(&per_set)),
            Term::from(rstd.reshape_to(&per_set)),
        ),
        kind => {
            let centred = if kind == Statistics::Full {
                &x5 - average(&x5)
            } else {
                x5.clone()
            };
            let rstd = (average(&(&centred * &centred)) + plan.eps).pow_scalar(-0.5);
            (centred, rstd)
        }
    };
    let normal = &centred * &rstd;
    let scaled = match weight {
        Some(w) => {
            &g5 * Term::from(w.to_dtype(dtype)?.reshape_to(&[
                1,
                1,
                layout.groups,
                layout.channels,
                1,
            ]))
        }
        None => g5.clone(),
    };
    let gx = match plan.statistics {
        Statistics::Fixed => &scaled * &rstd,
        kind => {
            let along = average(&(&scaled * &normal));
            let rest = &scaled - &normal * along;
            &rstd
                * (if kind == Statistics::Full {
                    rest - average(&scaled)
                } else {
                    rest
                })
        }
    };
    let own = |t: Term| t.map(|t| t.sum_dims(&SHARED, false)?.reshape(&[-1])).0;
    Ok((
        Some(gx.0?.reshape_to(x.sizes())?.to_dtype(x.dtype())?),
        Some(own(&g5 * &normal)?),
        Some(own(g5)?),
    ))
}

/// The gradient that reaches the input through the mean and the reciprocal deviation, where these are results too.
fn statistics_gradient(
    (mean, rstd): (Option<Tensor>, Option<Tensor>),
    x: &Tensor,
    plan: Plan,
) -> Result<Tensor> {
    let layout = plan.layout;
    let per_set = [1, layout.repeat, layout.groups, 1, 1];
    let dtype = x.dtype().compute();
    let x5 = Term::from(x.to_dtype(dtype)?.reshape_to(&layout.sizes())?);
    let average = |t: &Term| t.map(|t| t.mean_dims(&WITHIN, true));
    let centred = &x5 - average(&x5);
    let shaped =
        |t: Tensor| -> Result<Term> { Ok(Term::from(t.to_dtype(dtype)?.reshape_to(&per_set)?)) };
    let mut out = &centred * 0.0;
    if let Some(g) = mean {
        out = out + shaped(g)?;
    }
    if let Some(g) = rstd {
        let cube = (average(&(&centred * &centred)) + plan.eps).pow_scalar(-1.5);
        out = out - shaped(g)? * cube * centred;
    }
    (out / layout.count() as f64)
        .0?
        .reshape_to(x.sizes())?
        .to_dtype(x.dtype())
}

fn features(x: &Tensor) -> usize {
    x.sizes().get(1).copied().unwrap_or(0)
}

/// Where each channel is normalised over the batch and its positions.
fn by_channel(x: &Tensor) -> Layout {
    Layout {
        outer: x.sizes().first().copied().unwrap_or(0),
        repeat: 1,
        groups: features(x),
        channels: 1,
        run: x.sizes().iter().skip(2).product(),
    }
}

fn check_count(name: &str, t: Option<&Tensor>, want: usize, have: Option<usize>) -> Result<()> {
    if let Some(t) = t {
        let have = have.unwrap_or(t.numel());
        crate::check!(
            have == want,
            Runtime,
            "{name} should contain {want} elements not {have}"
        );
    }
    Ok(())
}

/// Moves a running statistic towards `value` in place.
fn follow(running: Option<&Tensor>, value: &Tensor, momentum: f64) -> Result<()> {
    let Some(r) = running else { return Ok(()) };
    autograd::no_grad(|| {
        let now = r.detach();
        let next = now
            .to_dtype(value.dtype())?
            .mul_scalar(1.0 - momentum)?
            .add(&value.mul_scalar(momentum)?)?;
        now.write_from(&next.reshape_to(r.sizes())?)?;
        r.bump();
        Ok(())
    })
}

#[derive(Clone, Copy)]
struct Running<'a> {
    mean: Option<&'a Tensor>,
    var: Option<&'a Tensor>,
    momentum: f64,
}

impl Running<'_> {
    /// Moves both towards the statistics of `count` elements each, averaged over the first axis.
    fn update(&self, mean: &Tensor, var: &Tensor, count: usize) -> Result<()> {
        follow(self.mean, &mean.mean_dims(&[0], false)?, self.momentum)?;
        let unbiased = count as f64 / (count as f64 - 1.0);
        follow(
            self.var,
            &var.mean_dims(&[0], false)?.mul_scalar(unbiased)?,
            self.momentum,
        )
    }
}

fn batch_normalised(
    x: &Tensor,
    weight: Option<&Tensor>,
    bias: Option<&Tensor>,
    running: Running,
    training: bool,
    eps: f64,
) -> Result<Normalised> {
    need_float(x, "batch_norm")?;
    let n = features(x);
    if !training {
        crate::check!(
            running.mean.is_some(),
            Runtime,
            "running_mean must be defined in evaluation mode"
        );
        crate::check!(
            running.var.is_some(),
            Runtime,
            "running_var must be defined in evaluation mode"
        );
    }
    for (name, t) in [
        ("running_mean", running.mean),
        ("running_var", running.var),
        ("weight", weight),
        ("bias", bias),
    ] {
        check_count(name, t, n, None)?;
    }
    let statistics = if training {
        Statistics::Full
    } else {
        Statistics::Fixed
    };
    let fixed = if training {
        None
    } else {
        running.mean.zip(running.var)
    };
    let layout = by_channel(x);
    let plan = Plan {
        layout,
        statistics,
        eps,
        name: "NativeBatchNormBackward0",
    };
    let done = normalise(x, weight, bias, fixed, plan)?;
    if training && x.numel() > 0 {
        running.update(
            &done.mean.unsqueeze(0)?,
            &done.var.unsqueeze(0)?,
            layout.count(),
        )?;
    }
    Ok(done)
}

/// Refuses a batch whose statistics would be those of one value.
fn check_batch(sizes: &[usize], torch_size: bool) -> Result<()> {
    let per_channel: usize = sizes
        .iter()
        .enumerate()
        .filter(|(d, _)| *d != 1)
        .map(|(_, &n)| n)
        .product();
    let text = shape::list(sizes);
    crate::check!(
        per_channel != 1,
        Value,
        "Expected more than 1 value per channel when training, got input size {}",
        if torch_size {
            format!("torch.Size({text})")
        } else {
            text
        }
    );
    Ok(())
}

fn as_sizes(shape: &[i64]) -> Vec<usize> {
    shape.iter().map(|&n| n.max(0) as usize).collect()
}

/// What `layer_norm` and `rms_norm` ask of their arguments; the layout of the rows.
fn check_rows(
    x: &Tensor,
    shape: &[i64],
    weight: Option<&Tensor>,
    bias: Option<&Tensor>,
    comma: &str,
) -> Result<Layout> {
    crate::check!(
        !shape.is_empty(),
        Runtime,
        "Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one element, but got \
         normalized_shape = {}",
        shape::list(shape)
    );
    let want = as_sizes(shape);
    for (name, t) in [("weight", weight), ("bias", bias)] {
        if let Some(t) = t {
            crate::check!(
                t.sizes() == want.as_slice(),
                Runtime,
                "Expected {name} to be of same shape as normalized_shape, but got {name} of shape {} and \
                 normalized_shape = {}",
                shape::list(t.sizes()),
                shape::list(shape)
            );
        }
    }
    let lead = x
        .ndim()
        .checked_sub(want.len())
        .filter(|&lead| x.sizes()[lead..] == want[..]);
    let Some(lead) = lead else {
        crate::bail!(
            Runtime,
            "Given normalized_shape={}, expected input with shape [*{comma}{}, but got input of size{}",
            shape::list(shape),
            shape::list(shape).trim_start_matches('['),
            shape::list(x.sizes())
        );
    };
    Ok(Layout {
        outer: 1,
        repeat: x.sizes()[..lead].iter().product(),
        groups: 1,
        channels: want.iter().product(),
        run: 1,
    })
}

fn layer_normalised(
    x: &Tensor,
    shape: &[i64],
    weight: Option<&Tensor>,
    bias: Option<&Tensor>,
    eps: f64,
) -> Result<Normalised> {
    let layout = check_rows(x, shape, weight, bias, ", ")?;
    need_float(x, "LayerNormKernelImpl")?;
    for t in weight.iter().chain(&bias) {
        crate::check!(
            t.dtype() == x.dtype() || (t.dtype() == DType::F32 && x.dtype().compute() != x.dtype()),
            Runtime,
            "mixed dtype (CPU): expect parameter to have scalar type of Float"
        );
    }
    normalise(
        x,
        weight,
        bias,
        None,
        Plan {
            layout,
            statistics: Statistics::Full,
            eps,
            name: "NativeLayerNormBackward0",
        },
    )
}

fn group_normalised(
    x: &Tensor,
    groups: i64,
    weight: Option<&Tensor>,
    bias: Option<&Tensor>,
    eps: f64,
) -> Result<Normalised> {
    let channels = features(x);
    crate::check!(
        groups > 0,
        Runtime,
        "Expected num groups to be greater than 0, got {groups}"
    );
    let groups = groups as usize;
    crate::check!(
        channels.is_multiple_of(groups),
        Runtime,
        "Expected number of channels in input to be divisible by num_groups, but got input of shape {} and \
         num_groups={groups}",
        shape::list(x.sizes())
    );
    for (name, t) in [("weight", weight), ("bias", bias)] {
        if let Some(t) = t {
            crate::check!(
                t.ndim() == 1 && t.numel() == channels,
                Runtime,
                "Expected {name} to be a vector of size equal to the number of channels in input, but got {name} of \
                 shape {} and input of shape {}",
                shape::list(t.sizes()),
                shape::list(x.sizes())
            );
        }
    }
    need_float(x, "GroupNormKernelImpl")?;
    let layout = Layout {
        outer: 1,
        repeat: x.sizes()[0],
        groups,
        channels: channels / groups,
        run: x.sizes()[2..].iter().product(),
    };
    normalise(
        x,
        weight,
        bias,
        None,
        Plan {
            layout,
            statistics: Statistics::Full,
            eps,
            name: "NativeGroupNormBackward0",
        },
    )
}

fn group_norm(
    x: &Tensor,
    groups: i64,
    weight: Option<&Tensor>,
    bias: Option<&Tensor>,
    eps: f64,
) -> Result<Tensor> {
    crate::check!(
        x.ndim() >= 2,
        Runtime,
        "Expected at least 2 dimensions for input tensor but received {}",
        x.ndim()
    );
    crate::check!(
        groups != 0,
        ZeroDivision,
        "integer division or modulo by zero"
    );
    Ok(group_normalised(x, groups, weight, bias, eps)?.out)
}

fn instance_norm(
    x: &Tensor,
    weight: Option<&Tensor>,
    bias: Option<&Tensor>,
    running: Running,
    use_input_stats: bool,
    eps: f64,
) -> Result<Tensor> {
    crate::check!(
        use_input_stats || (running.mean.is_some() && running.var.is_some()),
        Runtime,
        "Expected running_mean and running_var to be defined when use_input_stats is false"
    );
    crate::check!(
        x.ndim() >= 2,
        Runtime,
        "Expected at least 2 dimensions for input tensor but received {}",
        x.ndim()
    );
    need_float(x, "batch_norm")?;
    let (n, c) = (x.sizes()[0], x.sizes()[1]);
    for (name, t) in [
        ("running_mean", running.mean),
        ("running_var", running.var),
        ("weight", weight),
        ("bias", bias),
    ] {
        check_count(name, t, n * c, t.map(|t| t.numel() * n))?;
    }
    if !use_input_stats {
        return Ok(batch_normalised(x, weight, bias, running, false, eps)?.out);
    }
    let layout = Layout {
        outer: 1,
        repeat: n,
        groups: c,
        channels: 1,
        run: x.sizes()[2..].iter().product(),
    };
    let plan = Plan {
        layout,
        statistics: Statistics::Full,
        eps,
        name: "NativeBatchNormBackward0",
    };
    let done = normalise(x, weight, bias, None, plan)?;
    if x.numel() > 0 {
        running.update(
            &done.mean.reshape_to(&[n, c])?,
            &done.var.reshape_to(&[n, c])?,
            layout.count(),
        )?;
    }
    Ok(done.out)
}

fn rms_norm(
    x: &Tensor,
    shape: &[i64],
    weight: Option<&Tensor>,
    eps: Option<f64>,
) -> Result<Tensor> {
    let layout = check_rows(x, shape, weight, None, "")?;
    if x.dtype().is_complex() {
        // The square is the complex one, as in the formula.
        let dims: Vec<usize> = (x.ndim() - shape.len()..x.ndim()).collect();
        let eps = eps.unwrap_or(if x.dtype() == DType::C128 {
            f64::EPSILON
        } else {
            f32::EPSILON as f64
        });
        let scale = (Term::from(x.mul(x)?.mean_dims(&dims, true)?) + eps).pow_scalar(-0.5);
        let out = Term::from(x) * scale;
        return weight.map_or(out.clone(), |w| out * Term::from(w)).0;
    }
    need_float(x, "rms_norm")?;
    let eps = eps.unwrap_or(if x.dtype() == DType::F64 {
        f64::EPSILON
    } else {
        f32::EPSILON as f64
    });
    let plan = Plan {
        layout,
        statistics: Statistics::Scale,
        eps,
        name: "FusedRmsNormBackward0",
    };
    match weight {
        Some(w) if w.dtype() != x.dtype() => normalise(x, None, None, None, plan)?.out.mul(w),
        w => Ok(normalise(x, w, None, None, plan)?.out),
    }
}

/// Mean and reciprocal deviation as PyTorch returns them: in the dtype of the input unless the parameters are wider.
fn returned(
    done: &Normalised,
    x: &Tensor,
    weight: Option<&Tensor>,
    sizes: &[usize],
) -> Result<(Tensor, Tensor)> {
    let dtype = weight.map_or(x.dtype(), |w| w.dtype());
    let mean = done.mean.to_dtype(dtype)?.reshape_to(sizes)?.detach();
    let rstd = done.rstd.to_dtype(dtype)?.reshape_to(sizes)?.detach();
    Ok((mean, rstd))
}

op! {
    /// Normalises each channel over the batch and its positions (Ioffe and Szegedy, 2015).
    ///
    /// Args:
    ///     input: (N, C) or (N, C, ...).
    ///     running_mean: (C), used in evaluation, moved in place in training.
    ///     running_var: (C), likewise.
    ///     weight: factors (C).
    ///     bias: (C).
    ///     training: whether statistics come from the input. Default: False.
    ///     momentum: share of the new statistics in the running ones. Default: 0.1.
    ///     eps: added to the variance. Default: 1e-5.
    ///
    /// Raises:
    ///     ValueError: one value per channel in training.
    batch_norm, in [NN] {
        "(Tensor input, Tensor? running_mean, Tensor? running_var, Tensor? weight=None, Tensor? bias=None, bool training=False, float momentum=0.1, float eps=1e-5) -> Tensor" => |a| {
            let x = a.tensor(0);
            if a.bool(5) {
                check_batch(x.sizes(), true)?;
            }
            let running = Running { mean: a.opt_tensor(1), var: a.opt_tensor(2), momentum: a.float(6) };
            Ok(batch_normalised(&x, a.opt_tensor(3), a.opt_tensor(4), running, a.bool(5), a.float(7))?.out)
        },
    }
}
op! {
    /// Normalises each channel over the batch and its positions. See `torch.nn.functional.batch_norm`.
    batch_norm__, in [TORCH] {
        "(Tensor input, Tensor? weight, Tensor? bias, Tensor? running_mean, Tensor? running_var, bool training, float momentum, float eps, bool cudnn_enabled) -> Tensor" => |a| {
            let running = Running { mean: a.opt_tensor(3), var: a.opt_tensor(4), momentum: a.float(6) };
            Ok(batch_normalised(&a.tensor(0), a.opt_tensor(1), a.opt_tensor(2), running, a.bool(5), a.float(7))?.out)
        },
    }
}
op! {
    /// Returns `batch_norm` with the mean and the reciprocal deviation used in training; these are empty in evaluation.
    native_batch_norm, in [TORCH]; out {
        "(Tensor input, Tensor? weight, Tensor? bias, Tensor? running_mean, Tensor? running_var, bool training, float momentum, float eps) -> (Tensor, Tensor, Tensor)" => |a| {
            let (x, weight) = (a.tensor(0), a.opt_tensor(1));
            let running = Running { mean: a.opt_tensor(3), var: a.opt_tensor(4), momentum: a.float(6) };
            let done = batch_normalised(&x, weight, a.opt_tensor(2), running, a.bool(5), a.float(7))?;
            let wide = weight.or(running.mean);
            if !a.bool(5) {
                let none = Tensor::empty(&[0], wide.map_or(x.dtype(), |w| w.dtype()), x.device())?;
                return Ok((done.out, none.clone_data()?, none));
            }
            let (mean, rstd) = returned(&done, &x, wide, &[features(&x)])?;
            Ok((done.out, mean, rstd))
        },
    }
}
op! {
    /// Normalises over the last dimensions (Ba et al., 2016).
    ///
    /// Args:
    ///     input: (..., *normalized_shape).
    ///     normalized_shape: the sizes of the last dimensions.
    ///     weight: factors in that shape.
    ///     bias: in that shape.
    ///     eps: added to the variance. Default: 1e-5.
    ///
    /// Example:
    ///     >>> torch.nn.functional.layer_norm(torch.tensor([1.0, 3.0]), [2], eps=0.0)
    ///     tensor([-1.,  1.])
    layer_norm, in [NN] {
        "(Tensor input, int[] normalized_shape, Tensor? weight=None, Tensor? bias=None, float eps=1e-5) -> Tensor" =>
            |a| Ok(layer_normalised(&a.tensor(0), a.ints(1), a.opt_tensor(2), a.opt_tensor(3), a.float(4))?.out),
    }
}
op! {
    /// Normalises over the last dimensions. See `torch.nn.functional.layer_norm`.
    layer_norm__, in [TORCH] {
        "(Tensor input, int[] normalized_shape, Tensor? weight=None, Tensor? bias=None, float eps=1e-5, bool cudnn_enable=True) -> Tensor" =>
            |a| Ok(layer_normalised(&a.tensor(0), a.ints(1), a.opt_tensor(2), a.opt_tensor(3), a.float(4))?.out),
    }
}
op! {
    /// Returns `layer_norm` with the mean and the reciprocal deviation of each row.
    native_layer_norm, in [TORCH]; out {
        "(Tensor input, int[] normalized_shape, Tensor? weight, Tensor? bias, float eps) -> (Tensor, Tensor, Tensor)" => |a| {
            let (x, weight) = (a.tensor(0), a.opt_tensor(2));
            let done = layer_normalised(&x, a.ints(1), weight, a.opt_tensor(3), a.float(4))?;
            let lead = x.ndim() - a.ints(1).len();
            let sizes: Vec<usize> = (0..x.ndim()).map(|d| if d < lead { x.sizes()[d] } else { 1 }).collect();
            let (mean, rstd) = returned(&done, &x, weight, &sizes)?;
            Ok((done.out, mean, rstd))
        },
    }
}
op! {
    /// Normalises groups of channels of each element of the batch (Wu and He, 2018).
    ///
    /// Args:
    ///     input: (N, C, ...).
    ///     num_groups: number of groups, a divisor of C.
    ///     weight: factors (C).
    ///     bias: (C).
    ///     eps: added to the variance. Default: 1e-5.
    group_norm, in [NN] {
        "(Tensor input, int num_groups, Tensor? weight=None, Tensor? bias=None, float eps=1e-5) -> Tensor" => |a| {
            let (x, groups) = (a.tensor(0), a.int(1));
            if x.ndim() >= 2 && groups > 0 {
                let g = groups as usize;
                let mut sizes = vec![x.sizes()[0] * x.sizes()[1] / g, g];
                sizes.extend_from_slice(&x.sizes()[2..]);
                check_batch(&sizes, false)?;
            }
            group_norm(&x, groups, a.opt_tensor(2), a.opt_tensor(3), a.float(4))
        },
    }
}
op! {
    /// Normalises groups of channels. See `torch.nn.functional.group_norm`.
    group_norm__, in [TORCH] {
        "(Tensor input, int num_groups, Tensor? weight=None, Tensor? bias=None, float eps=1e-5, bool cudnn_enabled=True) -> Tensor" =>
            |a| group_norm(&a.tensor(0), a.int(1), a.opt_tensor(2), a.opt_tensor(3), a.float(4)),
    }
}
op! {
    /// Returns `group_norm` with the mean and the reciprocal deviation of each group, (N, group).
    native_group_norm, in [TORCH]; out {
        "(Tensor input, Tensor? weight, Tensor? bias, int N, int C, int HxW, int group, float eps) -> (Tensor, Tensor, Tensor)" => |a| {
            let (x, weight) = (a.tensor(0), a.opt_tensor(1));
            let seen = x.reshape(&[a.int(3), a.int(4), a.int(5)])?;
            let done = group_normalised(&seen, a.int(6), weight, a.opt_tensor(2), a.float(7))?;
            let sizes = [seen.sizes()[0], a.int(6) as usize];
            let (mean, rstd) = returned(&done, &x, weight, &sizes)?;
            if let Some((node, _)) = done.out.grad_fn() {
                // Results of the same node, as in PyTorch.
                for (i, t) in [(1, &mean), (2, &rstd)] {
                    node.add_output(t);
                    t.set_grad_fn(node.clone(), i);
                }
            }
            Ok((done.out.reshape_to(x.sizes())?, mean, rstd))
        },
    }
}
op! {
    /// Normalises each channel of each element of the batch over its positions (Ulyanov et al., 2016).
    ///
    /// Args:
    ///     input: (N, C, ...).
    ///     running_mean: (C), moved in place, or used in place of the input's statistics.
    ///     running_var: (C), likewise.
    ///     weight: factors (C).
    ///     bias: (C).
    ///     use_input_stats: whether statistics come from the input. Default: True.
    ///     momentum: share of the new statistics in the running ones. Default: 0.1.
    ///     eps: added to the variance. Default: 1e-5.
    instance_norm, in [NN] {
        "(Tensor input, Tensor? running_mean=None, Tensor? running_var=None, Tensor? weight=None, Tensor? bias=None, bool use_input_stats=True, float momentum=0.1, float eps=1e-5) -> Tensor" => |a| {
            let x = a.tensor(0);
            crate::check!(
                !a.bool(5) || x.sizes().iter().skip(2).product::<usize>() != 1,
                Value,
                "Expected more than 1 spatial element when training, got input size torch.Size({})",
                shape::list(x.sizes())
            );
            let running = Running { mean: a.opt_tensor(1), var: a.opt_tensor(2), momentum: a.float(6) };
            instance_norm(&x, a.opt_tensor(3), a.opt_tensor(4), running, a.bool(5), a.float(7))
        },
    }
}
op! {
    /// Normalises each channel of each element of the batch. See `torch.nn.functional.instance_norm`.
    instance_norm__, in [TORCH] {
        "(Tensor input, Tensor? weight, Tensor? bias, Tensor? running_mean, Tensor? running_var, bool use_input_stats, float momentum, float eps, bool cudnn_enabled) -> Tensor" => |a| {
            let running = Running { mean: a.opt_tensor(3), var: a.opt_tensor(4), momentum: a.float(6) };
            instance_norm(&a.tensor(0), a.opt_tensor(1), a.opt_tensor(2), running, a.bool(5), a.float(7))
        },
    }
}
op! {
    /// Divides by the root mean square of the last dimensions (Zhang and Sennrich, 2019).
    ///
    /// Args:
    ///     input: (..., *normalized_shape).
    ///     normalized_shape: the sizes of the last dimensions.
    ///     weight: factors in that shape.
    ///     eps: added to the mean square. Default: the machine epsilon of the dtype it is computed in.
    rms_norm, in [NN, TORCH] {
        "(Tensor input, int[] normalized_shape, Tensor? weight=None, float? eps=None) -> Tensor" =>
            |a| rms_norm(&a.tensor(0), a.ints(1), a.opt_tensor(2), a.opt_float(3)),
    }
}

pub static ROWS: &[&crate::ops::OpDef] = &[
    &batch_norm::DEF,
    &batch_norm__::DEF,
    &native_batch_norm::DEF,
    &layer_norm::DEF,
    &layer_norm__::DEF,
    &native_layer_norm::DEF,
    &group_norm::DEF,
    &group_norm__::DEF,
    &native_group_norm::DEF,
    &instance_norm::DEF,
    &instance_norm__::DEF,
    &rms_norm::DEF,
];
