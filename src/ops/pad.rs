//! Padding with a constant or with the tensor's own elements.

use super::resample::{resample, resample_linked};
use crate::autograd::{self, engine::grads, record_stateless};
use crate::cpu::resample::Axis;
use crate::dtype::DType;
use crate::error::Result;
use crate::list;
use crate::scalar::Scalar;
use crate::shape;
use crate::tensor::Tensor;
use smallvec::SmallVec;
use std::rc::Rc;

/// (dimension, elements before, elements after) of a padding list, which starts at the last dimension.
fn per_dimension(pad: &[i64], ndim: usize) -> Vec<(usize, i64, i64)> {
    pad.chunks_exact(2)
        .enumerate()
        .map(|(k, p)| (ndim - 1 - k, p[0], p[1]))
        .collect()
}

fn check_length(pad: &[i64], ndim: usize) -> Result<()> {
    crate::check!(
        pad.len().is_multiple_of(2),
        Runtime,
        "Padding length must be divisible by 2"
    );
    crate::check!(
        pad.len() <= 2 * ndim,
        Runtime,
        "Padding length should be less than or equal to two times the input dimension but got padding length {} and \
         input of dimension {ndim}",
        pad.len()
    );
    Ok(())
}

/// Takes away what negative padding removes.
fn cropped(x: &Tensor, pads: &[(usize, i64, i64)]) -> Result<Tensor> {
    let mut x = x.clone();
    for &(d, before, after) in pads.iter().filter(|p| p.1 < 0 || p.2 < 0) {
        let n = x.sizes()[d] as i64;
        let left = n.saturating_add(before.min(0)).saturating_add(after.min(0));
        crate::check!(
            n.saturating_add(before).saturating_add(after) >= 0 && left >= 0,
            Runtime,
            "The input size {n}, plus negative padding {before} and {after} resulted in a negative output size, which is \
             invalid. Check dimension {d} of your input."
        );
        x = x.narrow(d as i64, -before.min(0), left)?;
    }
    Ok(x)
}

/// Pads with a constant; negative amounts crop.
pub fn constant_pad(x: &Tensor, pad: &[i64], value: Scalar) -> Result<Tensor> {
    check_length(pad, x.ndim())?;
    let pads = per_dimension(pad, x.ndim());
    let out = autograd::no_grad(|| -> Result<Tensor> {
        let inside = cropped(&x.detach(), &pads)?;
        let mut sizes = shape::Sizes::from_slice(inside.sizes());
        for &(d, before, after) in &pads {
            sizes[d] += (before.max(0) as usize) + (after.max(0) as usize);
        }
        let out = Tensor::empty(&sizes, x.dtype(), x.device())?;
        out.fill(value)?;
        let mut middle = out.clone();
        for &(d, before, _) in &pads {
            middle = middle.narrow(d as i64, before.max(0), inside.sizes()[d] as i64)?;
        }
        middle.write_from(&inside)?;
        Ok(out)
    })?;
    // The views above share the result's memory, not its history.
    if autograd::needs_grad(&[x]) {
        let back: SmallVec<[i64; 6]> = pad.iter().map(|p| -p).collect();
        record_stateless("ConstantPadNdBackward0", &[x], &[&out], move |g| {
            grads([Some(constant_pad(&g.get(0)?, &back, Scalar::Int(0))?)])
        });
    }
    Ok(out)
}

/// Where padding of its own elements comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mode {
    Reflect,
    Replicate,
    Circular,
}

impl Mode {
    /// The element that stands at `i`, which may lie outside `0..n`.
    fn source(self, i: i64, n: i64) -> i64 {
        match self {
            Mode::Reflect if i < 0 => -i,
            Mode::Reflect if i >= n => 2 * (n - 1) - i,
            Mode::Replicate => i.clamp(0, n - 1),
            Mode::Circular => i.rem_euclid(n),
            _ => i,
        }
    }
}

fn pad_with_own(x: &Tensor, pad: &[i64], mode: Mode) -> Result<Tensor> {
    let spatial = pad.len() / 2;
    crate::check!(
        (1..=3).contains(&spatial) && (x.ndim() == spatial + 1 || x.ndim() == spatial + 2),
        NotImplemented,
        "Padding size {} is not supported for {}D input tensor.\nSupported combinations for non-constant padding:\n  \
         - 2D or 3D input: padding size = 2 (pads last dimension)\n  - 3D or 4D input: padding size = 4 (pads last 2 \
         dimensions)\n  - 4D or 5D input: padding size = 6 (pads last 3 dimensions)",
        pad.len(),
        x.ndim()
    );
    let (name, node) = match (mode, spatial) {
        (Mode::Reflect, 1) => ("reflection_pad1d", "ReflectionPad1DBackward0"),
        (Mode::Reflect, 2) => ("reflection_pad2d", "ReflectionPad2DBackward0"),
        (Mode::Reflect, _) => ("reflection_pad3d", "ReflectionPad3DBackward0"),
        (Mode::Replicate, 1) => ("replication_pad1d", "ReplicationPad1DBackward0"),
        (Mode::Replicate, 2) => ("replication_pad2d", "ReplicationPad2DBackward0"),
        (Mode::Replicate, _) => ("replication_pad3d", "ReplicationPad3DBackward0"),
        (Mode::Circular, _) => ("pad_circular", "PadCircularBackward0"),
    };
    let pads = per_dimension(pad, x.ndim());
    if mode != Mode::Circular {
        crate::check!(
            x.dtype() != DType::Bool,
            NotImplemented,
            "\"{name}\" not implemented for '{}'",
            x.dtype().scalar_name()
        );
        let batched = x.ndim() == spatial + 2;
        crate::check!(
            x.sizes()[usize::from(batched)..].iter().all(|&n| n > 0),
            Runtime,
            "Expected {}D or {}D (batch mode) tensor with possibly 0 batch size and other non-zero dimensions for \
             input, but got: {}",
            spatial + 1,
            spatial + 2,
            shape::list(x.sizes())
        );
    }
    // Wrapping goes around what is left after cropping; reflections see the whole input.
    let x = if mode == Mode::Circular {
        cropped(x, &pads)?
    } else {
        x.clone()
    };
    let mut maps = Vec::new();
    for (d, before, after) in pads {
        let n = x.sizes()[d] as i64;
        let (before, after) = if mode == Mode::Circular {
            (before.max(0), after.max(0))
        } else {
            (before, after)
        };
        match mode {
            Mode::Reflect => crate::check!(
                before < n && after < n,
                Runtime,
                "Argument #4: Padding size should be less than the corresponding input dimension, but got: padding \
                 ({before}, {after}) at dimension {d} of input {}",
                shape::list(x.sizes())
            ),
            Mode::Circular => {
                crate::check!(
                    n > 0,
                    Runtime,
                    "Negative padding value is resulting in an empty dimension"
                );
                crate::check!(
                    before <= n && after <= n,
                    Runtime,
                    "Padding value causes wrapping around more than once."
                );
            }
            Mode::Replicate => {}
        }
        let to = n.saturating_add(before).saturating_add(after);
        crate::check!(
            to >= 1,
            Runtime,
            "input (W: {n}) is too small. Calculated output W: {to}"
        );
        let index = list::collected(
            (0..to as usize).map(|i| mode.source(i as i64 - before, n).max(0) as usize),
        )?;
        let axis = Axis::pick(n as usize, index).ok_or_else(|| {
            crate::err!(
                Runtime,
                "{name}: padding ({before}, {after}) reaches outside the input"
            )
        })?;
        maps.push((d, axis));
    }
    if mode == Mode::Circular {
        resample(&x, &Rc::new(maps), node)
    } else {
        resample_linked(&x, &Rc::new(maps), node)
    }
}

/// `torch.nn.functional.pad`
pub fn pad(x: &Tensor, pad: &[i64], mode: &str, value: Option<f64>) -> Result<Tensor> {
    check_length(pad, x.ndim())?;
    if mode == "constant" {
        return constant_pad(x, pad, value.map_or(Scalar::Int(0), Scalar::Float));
    }
    crate::check!(
        value.is_none_or(|v| v == 0.0),
        Runtime,
        "Padding mode \"{mode}\" doesn't take in value argument"
    );
    let kind = match mode {
        "reflect" => Mode::Reflect,
        "replicate" => Mode::Replicate,
        "circular" => Mode::Circular,
        _ => crate::bail!(NotImplemented, "Unrecognised padding mode {mode}"),
    };
    pad_with_own(x, pad, kind)
}

op! {
    /// Pads, or crops where amounts are negative.
    ///
    /// Args:
    ///     input: the tensor.
    ///     pad: elements before and after, starting with the last dimension.
    ///     mode: "constant", or "reflect", "replicate" and "circular" for the last one to three dimensions of a tensor
    ///         with one or two more. Default: "constant".
    ///     value: the constant. Default: 0.
    ///
    /// Example:
    ///     >>> torch.nn.functional.pad(torch.tensor([1, 2]), (1, 0))
    ///     tensor([0, 1, 2])
    pad, in [NN] {
        "(Tensor input, int[] pad, str mode='constant', float? value=None) -> Tensor" =>
            |a| pad(&a.tensor(0), a.ints(1), a.str(2), a.opt_float(3)),
    }
}
op! {
    /// Pads with a constant; amounts start with the last dimension, negative ones crop.
    constant_pad_nd, in [TORCH]; out {
        "(Tensor input, int[] pad, Scalar value=0) -> Tensor" => |a| constant_pad(&a.tensor(0), a.ints(1), a.scalar(2)),
    }
}

pub static ROWS: &[&crate::ops::OpDef] = &[&pad::DEF, &constant_pad_nd::DEF];
