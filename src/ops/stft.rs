//! Short-time Fourier transforms.

use super::fft::{signal, spectrum};
use super::pad::{constant_pad, pad};
use crate::autograd::{self, engine::grads, record_stateless};
use crate::dtype::DType;
use crate::error::Result;
use crate::scalar::Scalar;
use crate::shape;
use crate::tensor::Tensor;

/// Windows of `size` elements every `hop` along the last axis of a matrix, (b, windows, size).
fn windows(x: &Tensor, size: usize, hop: usize) -> Result<Tensor> {
    let (b, len) = (x.sizes()[0], x.sizes()[1]);
    let count = (len - size) / hop + 1;
    let out = autograd::no_grad(|| {
        let x = x.detach().contiguous()?;
        x.as_strided(
            &[b, count, size],
            &[len as isize, hop as isize, 1],
            x.offset(),
        )
    })?
    .detach();
    if autograd::needs_grad(&[x]) {
        record_stateless("UnfoldBackward0", &[x], &[&out], move |g| {
            let sum = overlapped(&g.get(0)?, hop)?;
            let rest = (len - sum.sizes()[1]) as i64;
            grads([Some(constant_pad(&sum, &[0, rest], Scalar::Int(0))?)])
        });
    }
    Ok(out)
}

/// The sum of windows (b, windows, size) that start every `hop` elements, the reverse of `windows`.
fn overlapped(x: &Tensor, hop: usize) -> Result<Tensor> {
    let (b, count, size) = (x.sizes()[0], x.sizes()[1], x.sizes()[2]);
    let len = (count - 1) * hop + size;
    let out = autograd::no_grad(|| -> Result<Tensor> {
        let x = x.detach().contiguous()?;
        let out = Tensor::zeros(&[b, len], x.dtype(), x.device())?;
        macro_rules! add {
            ($T:ty) => {{
                let sums = super::conv::fill_slice::<$T>(&out)?;
                for (i, w) in x.as_slice::<$T>()?.chunks_exact(size).enumerate() {
                    let at = i / count * len + i % count * hop;
                    for (s, &w) in sums[at..at + size].iter_mut().zip(w) {
                        *s += w;
                    }
                }
            }};
        }
        match x.dtype() {
            DType::F32 => add!(f32),
            DType::F64 => add!(f64),
            DType::C64 => add!(num_complex::Complex<f32>),
            DType::C128 => add!(num_complex::Complex<f64>),
            d => crate::bail!(
                NotImplemented,
                "\"istft\" not implemented for '{}'",
                d.scalar_name()
            ),
        }
        Ok(out)
    })?;
    if autograd::needs_grad(&[x]) {
        record_stateless("UnfoldBackwardBackward0", &[x], &[&out], move |g| {
            grads([Some(windows(&g.get(0)?, size, hop)?)])
        });
    }
    Ok(out)
}

/// What both directions are called with.
struct Call<'a> {
    op: &'static str,
    n_fft: i64,
    hop: i64,
    length: i64,
    window: Option<&'a Tensor>,
    /// The tensor and the other arguments, as messages show them.
    shown: String,
}

impl<'a> Call<'a> {
    fn new(
        op: &'static str,
        n_fft: i64,
        hop: Option<i64>,
        length: Option<i64>,
        window: Option<&'a Tensor>,
    ) -> Self {
        Call {
            op,
            n_fft,
            hop: hop.unwrap_or(n_fft / 4),
            length: length.unwrap_or(n_fft),
            window,
            shown: String::new(),
        }
    }

    fn show(&mut self, x: &str, rest: String) {
        let window = match self.window {
            None => "None".to_string(),
            Some(w) => format!(
                "torch.{}Tensor{{{}}}",
                w.dtype().scalar_name(),
                shape::list(w.sizes())
            ),
        };
        self.shown = format!(
            "{}({x}, n_fft={}, hop_length={}, win_length={}, window={window}, {rest})",
            self.op, self.n_fft, self.hop, self.length
        );
    }

    /// Zeros around a window to `n_fft` elements.
    fn padded(&self, window: &Tensor) -> Result<Tensor> {
        match self.n_fft - self.length {
            0 => Ok(window.clone()),
            rest => constant_pad(window, &[rest / 2, rest - rest / 2], Scalar::Int(0)),
        }
    }

    /// Ones for `x`, as the window where none is given.
    fn ones(&self, x: &Tensor) -> Result<Tensor> {
        let dtype = x.dtype().to_real();
        self.padded(&Tensor::full(
            &[self.length as usize],
            1,
            dtype,
            x.device(),
        )?)
    }
}

fn optional(v: Option<bool>) -> String {
    v.map_or("None".into(), |v| (v as i32).to_string())
}

/// Arguments of `stft` behind the window.
struct Forward<'a> {
    center: bool,
    pad_mode: &'a str,
    normalized: bool,
    onesided: Option<bool>,
    return_complex: Option<bool>,
    align_to_window: Option<bool>,
}

fn stft(x: &Tensor, mut call: Call, f: Forward) -> Result<Tensor> {
    let n_fft = call.n_fft;
    let mut x = x.clone();
    if f.center {
        crate::check!(
            f.align_to_window.is_none(),
            Runtime,
            "stft align_to_window should only be set when center = false"
        );
        let mut three = vec![1; 3usize.saturating_sub(x.ndim())];
        three.extend_from_slice(x.sizes());
        let padded = pad(
            &x.reshape_to(&three)?,
            &[n_fft / 2, n_fft / 2],
            f.pad_mode,
            None,
        )?;
        let sizes = padded.sizes()[padded.ndim() - x.ndim()..].to_vec();
        x = padded.reshape_to(&sizes)?;
    }
    call.show(
        &format!(
            "torch.{}Tensor{}",
            x.dtype().scalar_name(),
            shape::list(x.sizes())
        ),
        format!(
            "normalized={}, onesided={}, return_complex={}, align_to_window={}",
            f.normalized as i32,
            optional(f.onesided),
            optional(f.return_complex),
            optional(f.align_to_window)
        ),
    );
    let shown = &call.shown;
    crate::check!(
        x.dtype().is_differentiable(),
        Runtime,
        "{shown} : expected a tensor of floating point or complex values"
    );
    crate::check!(
        matches!(x.ndim(), 1 | 2),
        Runtime,
        "{shown} : expected a 1D or 2D tensor"
    );
    let len = x.size(-1)? as i64;
    crate::check!(
        n_fft > 0 && n_fft <= len,
        Runtime,
        "{shown} : expected 0 < n_fft < {len}, but got n_fft={n_fft}"
    );
    crate::check!(
        call.hop > 0,
        Runtime,
        "{shown} : expected hop_length > 0, but got hop_length={}",
        call.hop
    );
    crate::check!(
        call.length > 0 && call.length <= n_fft,
        Runtime,
        "{shown} : expected 0 < win_length <= n_fft, but got win_length={}",
        call.length
    );
    if let Some(w) = call.window {
        crate::check!(
            *w.sizes() == [call.length as usize],
            Runtime,
            "{shown} : expected a 1D window tensor of size equal to win_length={}, but got window with size {}",
            call.length,
            shape::list(w.sizes())
        );
    }
    let complex = x.dtype().is_complex() || call.window.is_some_and(|w| w.dtype().is_complex());
    let Some(return_complex) = f.return_complex.or(complex.then_some(true)) else {
        crate::bail!(
            Runtime,
            "stft requires the return_complex parameter be given for real inputs, and will further require that \
             return_complex=True in a future PyTorch release."
        )
    };
    let half = f.onesided.unwrap_or(!complex);
    crate::check!(
        !(half && complex),
        Runtime,
        "Cannot have onesided output if window or input is complex"
    );
    let window = match call.window {
        Some(w) => Some(call.padded(w)?),
        None if call.length < n_fft => Some(call.ones(&x)?),
        None => None,
    };
    let flat = x.ndim() == 1;
    let mut x = if flat { x.unsqueeze(0)? } else { x };
    if f.align_to_window == Some(true) {
        // The zeros around the window may lie outside of the signal.
        let rest = n_fft - call.length;
        x = constant_pad(&x, &[rest / 2, rest - rest / 2], Scalar::Int(0))?;
    }
    let mut frames = windows(&x, n_fft as usize, call.hop as usize)?;
    if let Some(w) = window {
        frames = frames.mul(&w)?;
    }
    let out = spectrum(&frames, half, f.normalized)?.transpose(1, 2)?;
    let out = if flat { out.squeeze_dims(&[0])? } else { out };
    if return_complex {
        Ok(out)
    } else {
        out.view_as_real()
    }
}

/// Arguments of `istft` behind the window.
struct Backward {
    center: bool,
    normalized: bool,
    onesided: Option<bool>,
    length: Option<i64>,
    return_complex: bool,
}

fn istft(x: &Tensor, mut call: Call, f: Backward) -> Result<Tensor> {
    let n_fft = call.n_fft;
    crate::check!(
        x.dtype().is_complex(),
        Runtime,
        "istft requires a complex-valued input tensor matching the output from stft with return_complex=True."
    );
    call.show(
        &format!(
            "CPU{}Type{}",
            x.dtype().scalar_name(),
            shape::list(x.sizes())
        ),
        format!(
            "center={}, normalized={}, onesided={}, length={}, return_complex={}",
            f.center as i32,
            f.normalized as i32,
            optional(f.onesided),
            f.length.map_or("None".into(), |l| l.to_string()),
            f.return_complex as i32
        ),
    );
    let shown = &call.shown;
    crate::check!(
        x.numel() > 0,
        Runtime,
        "{shown} : input tensor cannot be empty."
    );
    crate::check!(
        matches!(x.ndim(), 2 | 3),
        Runtime,
        "{shown} : expected a tensor with 3 or 4 dimensions, but got {}",
        x.ndim() + 1
    );
    let bins = x.size(-2)? as i64;
    let half = f.onesided.unwrap_or(n_fft != bins);
    let (want, as_given) = if half {
        (n_fft / 2 + 1, "n_fft / 2 + 1 when onesided=True")
    } else {
        (n_fft, "n_fft when onesided=False")
    };
    crate::check!(
        bins == want,
        Runtime,
        "{shown} : expected the frequency dimension (3rd to the last) of the input tensor to match {as_given}, but got \
         {bins}"
    );
    crate::check!(
        0 < call.hop && call.hop <= call.length,
        Runtime,
        "{shown} : expected 0 < hop_length <= win_length"
    );
    crate::check!(
        0 < call.length && call.length <= n_fft,
        Runtime,
        "{shown} : expected 0 < win_length <= n_fft"
    );
    if let Some(w) = call.window {
        crate::check!(
            *w.sizes() == [call.length as usize],
            Runtime,
            "{shown} : Invalid window shape. window has to be 1D and length of `win_length`"
        );
        crate::check!(
            f.return_complex || !w.dtype().is_complex(),
            Runtime,
            "Complex windows are incompatible with return_complex=False"
        );
    }
    crate::check!(
        !(f.return_complex && half),
        Runtime,
        "Cannot have onesided output if window or input is complex"
    );
    let window = match call.window {
        Some(w) => call.padded(w)?,
        None => call.ones(x)?,
    };
    let flat = x.ndim() == 2;
    let frames = if flat { x.unsqueeze(0)? } else { x.clone() }.transpose(1, 2)?;
    let (count, size, hop) = (frames.sizes()[1], n_fft as usize, call.hop as usize);
    let frames = if f.return_complex {
        signal(&frames, size, false, f.normalized)?
    } else {
        signal(
            &frames.narrow(-1, 0, n_fft / 2 + 1)?,
            size,
            true,
            f.normalized,
        )?
    };
    let sum = overlapped(&frames.mul(&window)?, hop)?;
    let squares = window.mul(&window)?.expand_to(&[1, count, size])?;
    let weight = overlapped(&squares, hop)?;
    let whole = sum.sizes()[1] as i64;
    let start = if f.center { n_fft / 2 } else { 0 };
    let end = match f.length {
        Some(l) => start + l,
        None if f.center => whole - n_fft / 2,
        None => whole,
    };
    let kept = end.min(whole) - start;
    crate::check!(
        kept >= 0 && start <= whole,
        Runtime,
        "{shown} : the result would have {kept} elements. Give more frames or a greater length"
    );
    let weight = weight.narrow(1, start, kept)?;
    let sizes = weight.detach().abs()?.to_vec::<f64>()?;
    crate::check!(
        sizes.iter().all(|&w| w > 1e-11),
        Runtime,
        "{shown} window overlap add min: 1. The squares of the overlapping windows must not sum to zero anywhere; use a \
         smaller hop_length or center=True"
    );
    let mut out = sum.narrow(1, start, kept)?.div(&weight)?;
    if end > whole {
        out = constant_pad(&out, &[0, end - whole], Scalar::Int(0))?;
    }
    if flat {
        out.squeeze_dims(&[0])
    } else {
        Ok(out)
    }
}

op! {
    /// Computes the spectra of overlapping windows of a signal.
    ///
    /// Args:
    ///     input: signals, (len) or (batch, len).
    ///     n_fft: length of the transforms.
    ///     hop_length: distance of windows. Default: n_fft // 4.
    ///     win_length: length of `window`, which stands in the middle of each transform. Default: n_fft.
    ///     window: factors, (win_length). Default: ones.
    ///     center: whether window t is centered at t * hop_length, for which the signal is padded by n_fft // 2 at both
    ///         ends. Default: True.
    ///     pad_mode: how, as in `nn.functional.pad`. Default: "reflect".
    ///     normalized: whether to scale by n_fft ** -0.5.
    ///     onesided: whether to return only the half that determines the rest. Default: for real input and window.
    ///     return_complex: False returns real and imaginary parts in a last axis.
    ///     align_to_window: with `center=False`, whether windows, rather than transforms, start at 0.
    ///
    /// Returns:
    ///     A tensor of size (batch, frequencies, windows).
    ///
    /// Example:
    ///     >>> torch.stft(torch.ones(8), 4, window=torch.ones(4), center=False, return_complex=True).shape
    ///     torch.Size([3, 5])
    stft, in [TORCH, METHOD] {
        "(Tensor input, int n_fft, int? hop_length=None, int? win_length=None, Tensor? window=None, bool center=True, str pad_mode='reflect', bool normalized=False, bool? onesided=None, bool? return_complex=None, bool? align_to_window=None) -> Tensor" =>
            |a| super::stft(
                &a.tensor(0),
                Call::new("stft", a.int(1), a.opt_int(2), a.opt_int(3), a.opt_tensor(4)),
                Forward {
                    center: a.bool(5),
                    pad_mode: a.str(6),
                    normalized: a.bool(7),
                    onesided: a.opt_bool(8),
                    return_complex: a.opt_bool(9),
                    align_to_window: a.opt_bool(10),
                },
            ),
    }
}
op! {
    /// Computes the signal whose short-time spectra are nearest to those given; the inverse of `stft`.
    ///
    /// Args:
    ///     input: complex, (frequencies, windows) or (batch, frequencies, windows).
    ///     n_fft, hop_length, win_length, window, center, normalized, onesided: as given to `stft`.
    ///     length: of the signal, which is cut or filled with zeros. Default: as many as the windows determine.
    ///     return_complex: whether the signal is complex.
    ///
    /// Raises:
    ///     RuntimeError: if the squares of the overlapping windows sum to zero somewhere.
    ///
    /// From: Griffin and Lim, Signal Estimation from Modified Short-Time Fourier Transform, 1984.
    ///
    /// Example:
    ///     >>> window = torch.ones(4)
    ///     >>> torch.istft(torch.stft(torch.ones(8), 4, window=window, return_complex=True), 4, window=window).shape
    ///     torch.Size([8])
    istft, in [TORCH, METHOD] {
        "(Tensor input, int n_fft, int? hop_length=None, int? win_length=None, Tensor? window=None, bool center=True, bool normalized=False, bool? onesided=None, int? length=None, bool return_complex=False) -> Tensor" =>
            |a| super::istft(
                &a.tensor(0),
                Call::new("istft", a.int(1), a.opt_int(2), a.opt_int(3), a.opt_tensor(4)),
                Backward {
                    center: a.bool(5),
                    normalized: a.bool(6),
                    onesided: a.opt_bool(7),
                    length: a.opt_int(8),
                    return_complex: a.bool(9),
                },
            ),
    }
}

pub static ROWS: &[&crate::ops::OpDef] = &[&stft::DEF, &istft::DEF];
