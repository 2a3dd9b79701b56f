//! Dropout, and the leaky unit with a random slope.

use super::args::GeneratorHandle;
use super::random::{Law, elements, with_generator};
use crate::autograd::{self, Grads, Saved, engine::grads, record};
use crate::dtype::DType;
use crate::error::{Error, Kind, Result};
use crate::random::{Element, Real};
use crate::shape::Sizes;
use crate::tensor::Tensor;

/// What is dropped and what takes its place.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Form {
    /// Whole channels: axes after the second share their fate.
    channels: bool,
    /// What is dropped becomes the saturation value of SELU, and the rest keeps mean and variance.
    alpha: bool,
}

const PLAIN: Form = Form {
    channels: false,
    alpha: false,
};
const CHANNELS: Form = Form {
    channels: true,
    alpha: false,
};
const ALPHA: Form = Form {
    channels: false,
    alpha: true,
};
const CHANNELS_ALPHA: Form = Form {
    channels: true,
    alpha: true,
};

fn check_probability(p: f64, kind: Kind) -> Result<()> {
    if !(0.0..=1.0).contains(&p) {
        return Err(Error::new(
            kind,
            format!("dropout probability has to be between 0 and 1, but got {p}"),
        ));
    }
    Ok(())
}

/// Scales the ones of a mask, in its own arithmetic.
fn scale_mask(noise: &Tensor, keep: f64) -> Result<()> {
    crate::dispatch_of!("bernoulli_scalar_cpu_", noise.dtype(), floats, T => {
        let kept = if <T as Real>::WIDE { T::from_f64(1.0 / keep) } else { T::from_f32(1.0 / keep as f32) };
        let zero = <T as Element>::from_f64(0.0);
        for v in elements::<T>(noise) {
            *v = if *v == zero { zero } else { kept };
        }
    });
    Ok(())
}

/// The noise a tensor is multiplied with, ones and zeros.
fn mask_of(x: &Tensor, p: f64, channels: bool) -> Result<Tensor> {
    let noise = if channels {
        crate::check!(
            x.ndim() >= 2,
            Runtime,
            "Feature dropout requires at least 2 dimensions in the input"
        );
        let sizes: Sizes = x
            .sizes()
            .iter()
            .enumerate()
            .map(|(d, &n)| if d < 2 { n } else { 1 })
            .collect();
        Tensor::empty(&sizes, x.dtype(), x.device())?
    } else {
        x.empty_like(x.dtype())?
    };
    Law::Bernoulli(1.0 - p).fill(&noise, None)?;
    Ok(noise)
}

fn drop_of(x: &Tensor, p: f64, train: bool, form: Form, kind: Kind) -> Result<Tensor> {
    check_probability(p, kind)?;
    if p == 0.0 || !train || x.numel() == 0 {
        return Ok(x.clone());
    }
    if p == 1.0 {
        return x.mul(&Tensor::zeros(&[], x.dtype(), x.device())?);
    }
    crate::check!(
        x.dtype().is_floating() || x.dtype().is_complex(),
        Runtime,
        "result type Float can't be cast to the desired output type {}",
        x.dtype().scalar_name()
    );
    let noise = mask_of(x, p, form.channels)?;
    if !form.alpha {
        let noise = autograd::no_grad(|| -> Result<Tensor> {
            if noise.device().is_cpu() && noise.is_dense() {
                let flat = noise.as_strided(&[noise.numel()], &[1], noise.offset())?;
                scale_mask(&flat, 1.0 - p)?;
                Ok(noise)
            } else {
                noise.div_scalar(1.0 - p)
            }
        })?;
        return x.mul(&noise);
    }
    // The limit of SELU for large negative inputs, with the sign changed: scale times alpha.
    const SATURATION: f64 = 1.7580993408473766;
    let a = 1.0 / ((SATURATION * SATURATION * p + 1.0) * (1.0 - p)).sqrt();
    let (noise, shift) = autograd::no_grad(|| -> Result<(Tensor, Tensor)> {
        let shift = noise
            .add_number(-1)?
            .mul_scalar(SATURATION * a)?
            .add_number(SATURATION * a * p)?;
        Ok((noise.mul_scalar(a)?, shift))
    })?;
    x.mul(&noise)?.add(&shift)
}

/// Zeroes elements with probability `p` and scales the others to keep the mean.
pub fn dropped(x: &Tensor, p: f64) -> Result<Tensor> {
    drop_of(x, p, true, PLAIN, Kind::Runtime)
}

/// Runs `f` on `x`, or over it.
fn maybe_over(
    x: &Tensor,
    inplace: bool,
    f: impl FnOnce(&Tensor) -> Result<Tensor>,
) -> Result<Tensor> {
    if !inplace {
        return f(x);
    }
    let grad = autograd::needs_grad(&[x]);
    autograd::inplace::check(x, grad)?;
    let before = if grad {
        autograd::inplace::original(x)?
    } else {
        x.clone()
    };
    let result = f(&before)?;
    if result.same(&before) {
        Ok(x.clone())
    } else {
        x.overwrite(&result)
    }
}

/// The functions of `nn.functional`: errors are ValueErrors, and a batch may be missing.
fn functional(
    x: &Tensor,
    p: f64,
    train: bool,
    inplace: bool,
    form: Form,
    batched: Option<usize>,
) -> Result<Tensor> {
    maybe_over(x, inplace, |x| match batched {
        Some(n) if x.ndim() + 1 == n => {
            drop_of(&x.unsqueeze(0)?, p, train, form, Kind::Value)?.squeeze_dims(&[0])
        }
        _ => drop_of(x, p, train, form, Kind::Value),
    })
}

/// `(x * mask / (1 - p), mask)`.
fn native_dropout(x: &Tensor, p: f64, train: Option<bool>) -> Result<(Tensor, Tensor)> {
    check_probability(p, Kind::Runtime)?;
    if x.numel() == 0 {
        return Ok((x.clone(), x.empty_like(x.dtype())?));
    }
    crate::check!(
        train == Some(false) || x.dtype().is_differentiable(),
        Runtime,
        "result type Float can't be cast to the desired output type {}",
        x.dtype().scalar_name()
    );
    let (out, mask, factor) = autograd::no_grad(|| -> Result<_> {
        if train == Some(false) {
            return Ok((
                x.clone_data()?,
                Tensor::full(x.sizes(), true, DType::Bool, x.device())?,
                1.0,
            ));
        }
        let factor = if p == 1.0 { 0.0 } else { 1.0 / (1.0 - p) };
        let mask = x.empty_like(DType::Bool)?;
        Law::Bernoulli(1.0 - p).fill(&mask, None)?;
        let out = x.detach().mul(&mask)?.mul_scalar(factor)?;
        Ok((out, mask, factor))
    })?;
    if autograd::needs_grad(&[x]) {
        let saved = mask.clone();
        record("NativeDropoutBackward0", &[x], &[&out], move |g: &Grads| {
            grads([Some(g.get(0)?.mul(&saved)?.mul_scalar(factor)?)])
        });
    }
    Ok((out, mask))
}

/// `x` where it is positive, times a slope elsewhere: drawn from [lower, upper) in training, else their mean.
fn rrelu(
    x: &Tensor,
    lower: f64,
    upper: f64,
    train: bool,
    generator: Option<GeneratorHandle>,
) -> Result<Tensor> {
    crate::check!(
        lower <= upper,
        Runtime,
        "Lower bound should be less than or equal to the upper bound"
    );
    crate::check!(
        x.dtype().is_floating(),
        NotImplemented,
        "\"rrelu_with_noise_out_cpu\" not implemented for '{}'",
        x.dtype().scalar_name()
    );
    let noise = autograd::no_grad(|| -> Result<Tensor> {
        let data = x
            .detach()
            .to_device(crate::device::Device::Cpu)?
            .contiguous()?;
        let noise = Tensor::empty(x.sizes(), x.dtype(), data.device())?;
        with_generator(generator, |g| -> Result<()> {
            crate::dispatch_of!("rrelu_with_noise_out_cpu", x.dtype(), floats, T => {
                let (one, mean) = (<T as Element>::from_f64(1.0), <T as Element>::from_f64((lower + upper) / 2.0));
                // Bounds are rounded to the type slopes are computed in.
                let bound = |v: f64| if <T as Real>::WIDE { v } else { v as f32 as f64 };
                let (low, high) = (bound(lower), bound(upper));
                for (slot, v) in elements::<T>(&noise).iter_mut().zip(data.as_slice::<T>()?) {
                    *slot = if v.to_f64() > 0.0 {
                        one
                    } else if train {
                        <T as Element>::from_f64(g.uniform_between(low, high))
                    } else {
                        mean
                    };
                }
            });
            Ok(())
        })?;
        noise.to_device(x.device())
    })?;
    let out = autograd::no_grad(|| x.detach().mul(&noise))?;
    if autograd::needs_grad(&[x]) {
        let (saved, noise) = (Saved::input(x), Saved::input(&noise));
        record(
            "RreluWithNoiseBackward0",
            &[x],
            &[&out],
            move |g: &Grads| {
                grads([Some(rrelu_backward(
                    &g.get(0)?,
                    &saved.get(g)?,
                    &noise.get(g)?,
                )?)])
            },
        );
    }
    Ok(out)
}

/// `g * noise`, flat in `x`.
fn rrelu_backward(g: &Tensor, x: &Tensor, noise: &Tensor) -> Result<Tensor> {
    let out = autograd::no_grad(|| g.detach().mul(noise))?;
    if autograd::needs_grad(&[g, x]) {
        let noise = Saved::input(noise);
        record(
            "RreluWithNoiseBackwardBackward0",
            &[g, x],
            &[&out],
            move |h: &Grads| {
                let (h0, noise) = (h.get(0)?, noise.get(h)?);
                let to_x = h.when(1, || {
                    Tensor::zeros(noise.sizes(), noise.dtype(), noise.device())
                })?;
                grads([h.when(0, || h0.mul(&noise))?, to_x])
            },
        );
    }
    Ok(out)
}

macro_rules! torch_dropout {
    ($(#[doc = $doc:literal])+ $name:ident, $form:expr) => {
        op! {
            $(#[doc = $doc])+
            $name, in [TORCH] {
                "(Tensor input, float p, bool train) -> Tensor" =>
                    |a| drop_of(&a.tensor(0), a.float(1), a.bool(2), $form, Kind::Runtime),
            }
        }
    };
}
torch_dropout! {
    /// Sets elements to zero with probability `p` and divides the rest by `1 - p`, if `train`.
    dropout, PLAIN
}
torch_dropout! {
    /// Sets channels, the second axis, to zero with probability `p` and divides the rest by `1 - p`, if `train`.
    feature_dropout, CHANNELS
}
torch_dropout! {
    /// Dropout that keeps mean and variance of SELU activations (Klambauer et al., 2017).
    alpha_dropout, ALPHA
}
torch_dropout! {
    /// `alpha_dropout` of whole channels.
    feature_alpha_dropout, CHANNELS_ALPHA
}

macro_rules! torch_dropout_in_place {
    ($(#[doc = $doc:literal])+ $name:ident, $form:expr) => {
        op! {
            $(#[doc = $doc])+
            $name, in [TORCH] {
                "(Tensor input, float p, bool train) -> Tensor" => |a| {
                    maybe_over(&a.tensor(0), true, |x| drop_of(x, a.float(1), a.bool(2), $form, Kind::Runtime))
                },
            }
        }
    };
}
torch_dropout_in_place! {
    /// `dropout` over `input`.
    dropout_, PLAIN
}
torch_dropout_in_place! {
    /// `feature_dropout` over `input`.
    feature_dropout_, CHANNELS
}
torch_dropout_in_place! {
    /// `alpha_dropout` over `input`.
    alpha_dropout_, ALPHA
}
torch_dropout_in_place! {
    /// `feature_alpha_dropout` over `input`.
    feature_alpha_dropout_, CHANNELS_ALPHA
}

op! {
    /// Returns `input` with elements set to zero with probability `p` and the rest divided by `1 - p`, and the mask.
    native_dropout, in [TORCH] {
        "(Tensor input, float p, bool? train) -> Tensor" =>
            |a| native_dropout(&a.tensor(0), a.float(1), a.opt_bool(2)),
    }
}
op! {
    /// Sets elements of `input` to zero with probability `p` and divides the rest by `1 - p`.
    ///
    /// Args:
    ///     p: probability of an element to be dropped. Default: 0.5.
    ///     training: whether anything is done at all. Default: True.
    ///     inplace: whether to write over `input`. Default: False.
    dropout__, in [NN] {
        "(Tensor input, float p=0.5, bool training=True, bool inplace=False) -> Tensor" =>
            |a| functional(&a.tensor(0), a.float(1), a.bool(2), a.bool(3), PLAIN, None),
    }
}
op! {
    /// Sets channels of `input`, (N, C, L) or (C, L), to zero with probability `p` and divides the rest by `1 - p`.
    dropout1d, in [NN] {
        "(Tensor input, float p=0.5, bool training=True, bool inplace=False) -> Tensor" => |a| {
            let x = a.tensor(0);
            check_probability(a.float(1), Kind::Value)?;
            crate::check!(
                matches!(x.ndim(), 2 | 3),
                Runtime,
                "dropout1d: Expected 2D or 3D input, but received a {}D input. Note that dropout1d exists to provide \
                 channel-wise dropout on inputs with 1 spatial dimension, a channel dimension, and an optional batch \
                 dimension (i.e. 2D or 3D inputs).",
                x.ndim()
            );
            functional(&x, a.float(1), a.bool(2), a.bool(3), CHANNELS, Some(3))
        },
    }
}
op! {
    /// Sets channels of `input` (N, C, H, W) to zero with probability `p` and divides the rest by `1 - p`.
    dropout2d, in [NN] {
        "(Tensor input, float p=0.5, bool training=True, bool inplace=False) -> Tensor" =>
            |a| functional(&a.tensor(0), a.float(1), a.bool(2), a.bool(3), CHANNELS, None),
    }
}
op! {
    /// Sets channels of `input`, (N, C, D, H, W) or (C, D, H, W), to zero with probability `p` and divides the rest by `1 - p`.
    dropout3d, in [NN] {
        "(Tensor input, float p=0.5, bool training=True, bool inplace=False) -> Tensor" =>
            |a| functional(&a.tensor(0), a.float(1), a.bool(2), a.bool(3), CHANNELS, Some(5)),
    }
}
op! {
    /// Dropout that keeps mean and variance of SELU activations (Klambauer et al., 2017).
    alpha_dropout__, in [NN] {
        "(Tensor input, float p=0.5, bool training=False, bool inplace=False) -> Tensor" =>
            |a| functional(&a.tensor(0), a.float(1), a.bool(2), a.bool(3), ALPHA, None),
    }
}
op! {
    /// `alpha_dropout` of whole channels.
    feature_alpha_dropout__, in [NN] {
        "(Tensor input, float p=0.5, bool training=False, bool inplace=False) -> Tensor" =>
            |a| functional(&a.tensor(0), a.float(1), a.bool(2), a.bool(3), CHANNELS_ALPHA, None),
    }
}
op! {
    /// The leaky rectified unit with a slope drawn from [lower, upper) in training, else their mean (Xu et al., 2015).
    rrelu__, in [NN] {
        "(Tensor input, float lower=0.125, float upper=0.3333333333333333, bool training=False, bool inplace=False) -> Tensor" => |a| {
            maybe_over(&a.tensor(0), a.bool(4), |x| rrelu(x, a.float(1), a.float(2), a.bool(3), None))
        },
    }
}
op! {
    /// The leaky rectified unit with a slope drawn from [lower, upper) in training, else their mean (Xu et al., 2015).
    rrelu, in [TORCH]; in_place {
        "(Tensor input, Scalar lower=0.125, Scalar upper=0.3333333333333333, bool training=False, Generator? generator=None) -> Tensor" =>
            |a| rrelu(&a.tensor(0), a.scalar(1).to_f64(), a.scalar(2).to_f64(), a.bool(3), a.generator(4)),
    }
}
op! {
    /// `rrelu` over `input`.
    rrelu_, in [NN] {
        "(Tensor input, float lower=0.125, float upper=0.3333333333333333, bool training=False) -> Tensor" => |a| {
            maybe_over(&a.tensor(0), true, |x| rrelu(x, a.float(1), a.float(2), a.bool(3), None))
        },
    }
}

pub static ROWS: &[&crate::ops::OpDef] = &[
    &dropout::DEF,
    &feature_dropout::DEF,
    &alpha_dropout::DEF,
    &feature_alpha_dropout::DEF,
    &dropout_::DEF,
    &feature_dropout_::DEF,
    &alpha_dropout_::DEF,
    &feature_alpha_dropout_::DEF,
    &native_dropout::DEF,
    &dropout__::DEF,
    &dropout1d::DEF,
    &dropout2d::DEF,
    &dropout3d::DEF,
    &alpha_dropout__::DEF,
    &feature_alpha_dropout__::DEF,
    &rrelu__::DEF,
    &rrelu::DEF,
    &rrelu_::DEF,
];
