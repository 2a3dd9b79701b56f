//! Discrete Fourier transforms.

use super::join::cat;
use super::pad::constant_pad;
use super::shape::flip;
use crate::autograd::{self, engine::grads, record_stateless};
use crate::cpu::fft::transform_rows;
use crate::dtype::{DType, default_dtype};
use crate::error::Result;
use crate::list;
use crate::ops::args::Args;
use crate::ops::create::Options;
use crate::shape;
use crate::tensor::Tensor;
use num_complex::Complex;
use smallvec::SmallVec;

/// Which sign the exponent has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Direction {
    Forward,
    Inverse,
}

/// How results are scaled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Norm {
    Forward,
    Backward,
    Ortho,
}

impl Norm {
    fn parse(name: Option<&str>) -> Result<Norm> {
        Ok(match name {
            None | Some("backward") => Norm::Backward,
            Some("forward") => Norm::Forward,
            Some("ortho") => Norm::Ortho,
            Some(other) => crate::bail!(Runtime, "Invalid normalization mode: \"{other}\""),
        })
    }

    /// The norm of the transform of the other direction that scales the same.
    fn swapped(self) -> Norm {
        match self {
            Norm::Forward => Norm::Backward,
            Norm::Backward => Norm::Forward,
            Norm::Ortho => Norm::Ortho,
        }
    }

    fn scale(self, direction: Direction, n: usize) -> f64 {
        match (self, direction) {
            (Norm::Ortho, _) => 1.0 / (n as f64).sqrt(),
            (Norm::Forward, Direction::Forward) | (Norm::Backward, Direction::Inverse) => {
                1.0 / n as f64
            }
            _ => 1.0,
        }
    }
}

/// The complex transform along axes, each result multiplied by `scale`.
fn transform(x: &Tensor, dims: &[usize], direction: Direction, scale: f64) -> Result<Tensor> {
    let out = autograd::no_grad(|| transform_data(&x.detach(), dims, direction, scale))?;
    if autograd::needs_grad(&[x]) {
        let dims: SmallVec<[usize; 5]> = SmallVec::from_slice(dims);
        let back = if direction == Direction::Forward {
            Direction::Inverse
        } else {
            Direction::Forward
        };
        record_stateless("FftC2CBackward0", &[x], &[&out], move |g| {
            grads([Some(transform(&g.get(0)?, &dims, back, scale)?)])
        });
    }
    Ok(out)
}

fn transform_data(x: &Tensor, dims: &[usize], direction: Direction, scale: f64) -> Result<Tensor> {
    x.need_cpu("fft")?;
    if dims.is_empty() {
        return x.clone_data();
    }
    let last = x.ndim() as i64 - 1;
    let mut now = x.clone();
    for (i, &d) in dims.iter().enumerate() {
        let scale = if i == 0 { scale } else { 1.0 };
        let moved = now.transpose(d as i64, last)?;
        let rows = moved.clone_recorded(crate::ops::args::MemoryFormat::Contiguous)?;
        let n = rows.size(-1)?;
        macro_rules! run {
            ($R:ty) => {{
                // SAFETY: `rows` is a fresh contiguous copy that nothing else refers to.
                let data = unsafe {
                    std::slice::from_raw_parts_mut(
                        rows.data_ptr() as *mut Complex<$R>,
                        rows.numel(),
                    )
                };
                transform_rows(data, n, direction == Direction::Forward, scale as $R);
            }};
        }
        if rows.dtype() == DType::C128 {
            run!(f64)
        } else {
            run!(f32)
        }
        now = rows.transpose(d as i64, last)?;
    }
    now.contiguous()
}

/// The input in a dtype that can be transformed: integers become floats.
fn promoted(x: &Tensor, complex: bool) -> Result<Tensor> {
    let dtype = if x.dtype().is_integral() {
        default_dtype()
    } else {
        x.dtype()
    };
    crate::check!(
        dtype.compute() == dtype,
        Runtime,
        "Unsupported dtype {}. Convert the input to float32 first",
        dtype.scalar_name()
    );
    x.to_dtype(if complex { dtype.to_complex() } else { dtype })
}

/// Cuts or fills with zeros an axis to `n` elements.
fn resized(x: &Tensor, d: usize, n: i64) -> Result<Tensor> {
    crate::check!(
        n >= 1,
        Runtime,
        "Invalid number of data points ({n}) specified"
    );
    let have = x.sizes()[d] as i64;
    if n == have {
        return Ok(x.clone());
    }
    let mut pad = vec![0; 2 * (x.ndim() - d)];
    if let Some(after) = pad.last_mut() {
        *after = n - have;
    }
    constant_pad(x, &pad, 0i64.into())
}

/// The axes of a transform with the lengths asked for, -1 for the input's.
fn axes(x: &Tensor, s: Option<&[i64]>, dim: Option<&[i64]>) -> Result<Vec<(usize, i64)>> {
    let n = x.ndim();
    let dims: Vec<usize> = match (dim, s) {
        (Some(d), _) => {
            let mut out = Vec::new();
            for &d in d {
                let d = axis(x, d)?;
                crate::check!(!out.contains(&d), Runtime, "FFT dims must be unique");
                out.push(d);
            }
            out
        }
        (None, Some(s)) => {
            crate::check!(
                s.len() <= n,
                Runtime,
                "Got shape with {} values but input tensor only has {n} dimensions.",
                s.len()
            );
            (n - s.len()..n).collect()
        }
        (None, None) => (0..n).collect(),
    };
    if let Some(s) = s {
        crate::check!(
            s.len() == dims.len(),
            Runtime,
            "When given, dim and shape arguments must have the same length"
        );
    }
    Ok(dims
        .iter()
        .enumerate()
        .map(|(i, &d)| (d, s.map_or(-1, |s| s[i])))
        .collect())
}

fn axis(x: &Tensor, d: i64) -> Result<usize> {
    crate::check!(
        x.ndim() > 0,
        Index,
        "Dimension specified as {d} but tensor has no dimensions"
    );
    shape::wrap_dim(d, x.ndim())
}

/// The transform of complex input along axes of the given lengths.
fn complex_fft(
    x: &Tensor,
    axes: &[(usize, i64)],
    direction: Direction,
    norm: Norm,
) -> Result<Tensor> {
    let mut x = promoted(x, true)?;
    for &(d, n) in axes {
        x = resized(&x, d, if n == -1 { x.sizes()[d] as i64 } else { n })?;
    }
    let dims: Vec<usize> = axes.iter().map(|a| a.0).collect();
    let count: usize = dims.iter().map(|&d| x.sizes()[d]).product();
    transform(&x, &dims, direction, norm.scale(direction, count))
}

/// The half of the spectrum of real input that determines the other.
fn real_fft(
    x: &Tensor,
    axes: &[(usize, i64)],
    direction: Direction,
    norm: Norm,
    op: &str,
) -> Result<Tensor> {
    crate::check!(
        !x.dtype().is_complex(),
        Runtime,
        "{op} expects a real input tensor, but got {}",
        x.dtype().scalar_name()
    );
    let Some(&(last, _)) = axes.last() else {
        crate::bail!(Runtime, "{op} must transform at least one axis")
    };
    let full = complex_fft(x, axes, direction, norm)?;
    let n = full.sizes()[last] as i64;
    full.narrow(last as i64, 0, n / 2 + 1)?.contiguous()
}

/// Real output of a spectrum of which one half is given.
fn to_real(
    x: &Tensor,
    axes: &[(usize, i64)],
    direction: Direction,
    norm: Norm,
    op: &str,
) -> Result<Tensor> {
    let Some((&(last, n), others)) = axes.split_last() else {
        crate::bail!(Runtime, "{op} must transform at least one axis")
    };
    let x = promoted(x, true)?;
    let n = if n == -1 {
        2 * (x.sizes()[last] as i64 - 1)
    } else {
        n
    };
    crate::check!(
        n >= 1,
        Runtime,
        "Invalid number of data points ({n}) specified"
    );
    let mut half = resized(&x, last, n / 2 + 1)?;
    for &(d, n) in others {
        half = resized(&half, d, if n == -1 { half.sizes()[d] as i64 } else { n })?;
    }
    let dims: Vec<usize> = others.iter().map(|a| a.0).collect();
    let count: usize = dims.iter().map(|&d| half.sizes()[d]).product::<usize>() * n as usize;
    let scale = norm.scale(direction, count);
    let half = transform(&half, &dims, direction, 1.0)?;
    // The rest of the spectrum mirrors the elements 1 to (n - 1) / 2.
    let mirrored = half.narrow(last as i64, 1, (n - 1) / 2)?.conj()?;
    let full = cat(&[half, flip(&mirrored, &[last as i64])?], last as i64)?;
    transform(&full, &[last], direction, scale)?
        .real()?
        .contiguous()
}

/// The spectrum along the last axis: of real input the half that determines it, or all of it. Scaled by the root of the
/// length where `normalized`.
pub(super) fn spectrum(x: &Tensor, half: bool, normalized: bool) -> Result<Tensor> {
    let norm = if normalized {
        Norm::Ortho
    } else {
        Norm::Backward
    };
    let axes = [(x.ndim() - 1, -1)];
    if half {
        real_fft(x, &axes, Direction::Forward, norm, "stft")
    } else {
        complex_fft(x, &axes, Direction::Forward, norm)
    }
}

/// The signal of `n` elements of a spectrum along the last axis: real from one half of it, or complex from all of it.
pub(super) fn signal(x: &Tensor, n: usize, half: bool, normalized: bool) -> Result<Tensor> {
    let norm = if normalized {
        Norm::Ortho
    } else {
        Norm::Backward
    };
    let axes = [(x.ndim() - 1, n as i64)];
    if half {
        to_real(x, &axes, Direction::Inverse, norm, "istft")
    } else {
        complex_fft(x, &axes, Direction::Inverse, norm)
    }
}

/// Arguments of the one-dimensional functions: (input, n, dim, norm).
fn one(a: &Args) -> Result<(Tensor, Vec<(usize, i64)>, Norm)> {
    let x = a.tensor(0);
    let d = axis(&x, a.int(2))?;
    let n = match a.opt_int(1) {
        Some(n) => {
            crate::check!(
                n >= 1,
                Runtime,
                "Invalid number of data points ({n}) specified"
            );
            n
        }
        None => -1,
    };
    Ok((x, vec![(d, n)], Norm::parse(a.opt_str(3))?))
}

/// Arguments of the others: (input, s, dim, norm).
fn many(a: &Args) -> Result<(Tensor, Vec<(usize, i64)>, Norm)> {
    let x = a.tensor(0);
    let axes = axes(&x, a.opt_ints(1), a.opt_ints(2))?;
    Ok((x, axes, Norm::parse(a.opt_str(3))?))
}

/// Frequencies of the bins of a transform of `n` samples that are `d` apart.
fn frequencies(a: &Args, half: bool) -> Result<Tensor> {
    let (n, d) = (a.int(0), a.float(1));
    let name = if half { "rfftfreq" } else { "fftfreq" };
    let dtype = a.dtype(2).unwrap_or(default_dtype());
    crate::check!(
        dtype.is_floating(),
        Runtime,
        "{name} requires a floating point or complex dtype"
    );
    crate::check!(n >= 0, Runtime, "{name}: n must not be negative, got {n}");
    let at = |k: usize| k as f64 / (n as f64 * d);
    let count = n as usize;
    let bins = if half {
        list::collected((0..count / 2 + 1).map(at))?
    } else {
        // The second half are the negative frequencies.
        list::collected((0..count).map(|k| {
            if k < count.div_ceil(2) {
                at(k)
            } else {
                -at(count - k)
            }
        }))?
    };
    Options::at(a, 2).finish(Tensor::from_slice(&bins)?.to_dtype(dtype)?)
}

/// Moves the first `count` elements of each axis behind the others.
fn rotated(x: &Tensor, dims: Option<&[i64]>, count: fn(usize) -> usize) -> Result<Tensor> {
    let dims = match dims {
        Some(d) => shape::wrap_dims(d, x.ndim())?.to_vec(),
        None => (0..x.ndim()).collect(),
    };
    let mut x = x.clone_recorded(crate::ops::args::MemoryFormat::Contiguous)?;
    for d in dims {
        if d >= x.ndim() {
            continue;
        }
        let n = x.sizes()[d];
        let (k, dim) = (count(n) as i64, d as i64);
        x = cat(
            &[x.narrow(dim, k, n as i64 - k)?, x.narrow(dim, 0, k)?],
            dim,
        )?;
    }
    Ok(x)
}

/// The rows of one kind of transform: over one axis, two, and any number.
macro_rules! transforms {
    ($doc:literal, $one:ident $two:ident $any:ident, |$x:ident, $axes:ident, $norm:ident, $name:ident| $run:expr) => {
        op! {
            #[doc = $doc]
            #[doc = " Along one axis."]
            #[doc = ""]
            #[doc = " Args:"]
            #[doc = "     input: the tensor."]
            #[doc = "     n: length of the signal; the input is cut or filled with zeros. Default: the input's."]
            #[doc = "     dim: the axis. Default: -1."]
            #[doc = "     norm: \"forward\", \"backward\" (only the inverse is scaled, by 1/n) or \"ortho\". Default: \"backward\"."]
            $one, in [FFT]; out {
                "(Tensor input, int? n=None, int dim=-1, str? norm=None) -> Tensor" => |a| {
                    let (($x, $axes, $norm), $name) = (one(a)?, stringify!($one));
                    $run
                },
            }
        }
        op! {
            #[doc = $doc]
            #[doc = " Along two axes, with `s` for the lengths."]
            $two, in [FFT]; out {
                "(Tensor input, int[1]? s=None, int[1] dim=[-2, -1], str? norm=None) -> Tensor" => |a| {
                    let (($x, $axes, $norm), $name) = (many(a)?, stringify!($two));
                    $run
                },
            }
        }
        op! {
            #[doc = $doc]
            #[doc = " Along any axes (default: all, or the last `len(s)`), with `s` for the lengths."]
            $any, in [FFT]; out {
                "(Tensor input, int[1]? s=None, int[1]? dim=None, str? norm=None) -> Tensor" => |a| {
                    let (($x, $axes, $norm), $name) = (many(a)?, stringify!($any));
                    $run
                },
            }
        }
    };
}

transforms!(" Computes the discrete Fourier transform.", fft fft2 fftn, |x, axes, norm, _name| {
    complex_fft(&x, &axes, Direction::Forward, norm)
});
transforms!(" Computes the inverse discrete Fourier transform.", ifft ifft2 ifftn, |x, axes, norm, _name| {
    complex_fft(&x, &axes, Direction::Inverse, norm)
});
transforms!(" Computes the half spectrum of real input.", rfft rfft2 rfftn, |x, axes, norm, name| {
    real_fft(&x, &axes, Direction::Forward, norm, name)
});
transforms!(" Computes the real signal of a half spectrum, the inverse of `rfft`.", irfft irfft2 irfftn, |x, axes, norm, name| {
    to_real(&x, &axes, Direction::Inverse, norm, name)
});
transforms!(" Computes the real spectrum of one half of a Hermitian signal.", hfft hfft2 hfftn, |x, axes, norm, name| {
    to_real(&x.conj()?, &axes, Direction::Inverse, norm.swapped(), name)
});
transforms!(" Computes one half of the Hermitian signal of a real spectrum, the inverse of `hfft`.", ihfft ihfft2 ihfftn, |x, axes, norm, name| {
    real_fft(&x, &axes, Direction::Forward, norm.swapped(), name)?.conj()
});

op! {
    /// Returns the frequencies of the bins of `fft`: 0 up to half the sampling rate, then the negative ones.
    ///
    /// Args:
    ///     n: number of samples.
    ///     d: distance of samples. Default: 1.
    fftfreq, in [FFT]; out {
        "(int n, float d=1.0, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=None, bool requires_grad=False) -> Tensor" =>
            |a| frequencies(a, false),
    }
}
op! {
    /// Returns the frequencies of the bins of `rfft`, from 0 up to half the sampling rate.
    ///
    /// Args:
    ///     n: number of samples.
    ///     d: distance of samples. Default: 1.
    rfftfreq, in [FFT]; out {
        "(int n, float d=1.0, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=None, bool requires_grad=False) -> Tensor" =>
            |a| frequencies(a, true),
    }
}
op! {
    /// Moves the zero frequency to the middle of each axis.
    ///
    /// Args:
    ///     input: the tensor.
    ///     dim: the axes. Default: all.
    fftshift, in [FFT] {
        "(Tensor input, int[1]? dim=None) -> Tensor" => |a| rotated(&a.tensor(0), a.opt_ints(1), |n| n - n / 2),
    }
}
op! {
    /// Moves the zero frequency from the middle of each axis to its start, the inverse of `fftshift`.
    ///
    /// Args:
    ///     input: the tensor.
    ///     dim: the axes. Default: all.
    ifftshift, in [FFT] {
        "(Tensor input, int[1]? dim=None) -> Tensor" => |a| rotated(&a.tensor(0), a.opt_ints(1), |n| n / 2),
    }
}

pub static ROWS: &[&crate::ops::OpDef] = &[
    &fft::DEF,
    &fft2::DEF,
    &fftn::DEF,
    &ifft::DEF,
    &ifft2::DEF,
    &ifftn::DEF,
    &rfft::DEF,
    &rfft2::DEF,
    &rfftn::DEF,
    &irfft::DEF,
    &irfft2::DEF,
    &irfftn::DEF,
    &hfft::DEF,
    &hfft2::DEF,
    &hfftn::DEF,
    &ihfft::DEF,
    &ihfft2::DEF,
    &ihfftn::DEF,
    &fftfreq::DEF,
    &rfftfreq::DEF,
    &fftshift::DEF,
    &ifftshift::DEF,
];
