//! Tensors whose values follow from their positions: ranges, the identity, windows, powers.

use super::args::Args;
use super::create::Options;
use crate::cpu::parallel::for_range;
use crate::cpu::special;
use crate::device::Device;
use crate::dtype::{DType, default_dtype};
use crate::error::Result;
use crate::iter::{GRAIN, SendPtr};
use crate::scalar::{Element, Scalar};
use crate::tensor::Tensor;
use num_complex::Complex;
use std::f64::consts::PI;

/// A 1-d tensor of `n` values.
fn generate(
    n: usize,
    dtype: DType,
    o: &Options,
    value: impl Fn(usize) -> Scalar + Sync,
) -> Result<Tensor> {
    let t = Tensor::empty(&[n], dtype, Device::Cpu)?;
    crate::dispatch!(dtype, T => {
        let p = SendPtr(t.data_ptr());
        for_range(n, GRAIN, |from, to| {
            for i in from..to {
                // SAFETY: `t` holds `n` elements of T, and threads write disjoint ones.
                unsafe { p.of::<T>().add(i).write(T::from_scalar(value(i))) };
            }
        });
    });
    o.finish(t.to_device(o.device)?)
}

fn need_real(op: &str, dtype: DType) -> Result<()> {
    crate::check!(
        !dtype.is_complex() && dtype != DType::Bool,
        NotImplemented,
        "\"{op}\" not implemented for '{}'",
        dtype.scalar_name()
    );
    Ok(())
}

/// Checks a range's bounds against its step.
fn check_range(s: f64, e: f64, d: f64) -> Result<()> {
    crate::check!(d != 0.0, Runtime, "step must be nonzero");
    crate::check!(
        s.is_finite() && e.is_finite(),
        Runtime,
        "unsupported range: {s} -> {e}"
    );
    crate::check!(
        (d > 0.0 && e >= s) || (d < 0.0 && e <= s),
        Runtime,
        "upper bound and lower bound inconsistent with step sign"
    );
    Ok(())
}

fn count(n: f64) -> Result<usize> {
    crate::check!(
        (0.0..9.0e18).contains(&n),
        Runtime,
        "invalid size, possible overflow?"
    );
    Ok(n as usize)
}

/// The values of an integer range computed in int64, of another in float64.
fn steps(n: usize, dtype: DType, o: &Options, start: Scalar, step: Scalar) -> Result<Tensor> {
    if dtype.is_integer() {
        let (s, d) = (start.to_i64(), step.to_i64());
        return generate(n, dtype, o, |i| {
            Scalar::Int(s.wrapping_add(d.wrapping_mul(i as i64)))
        });
    }
    let (s, d) = (start.to_f64(), step.to_f64());
    generate(n, dtype, o, |i| Scalar::Float(s + d * i as f64))
}

fn arange(start: Scalar, end: Scalar, step: Scalar, o: Options) -> Result<Tensor> {
    let integral = [start, end, step].iter().all(|s| s.is_integral());
    let dtype = o.dtype.unwrap_or(if integral {
        DType::I64
    } else {
        default_dtype()
    });
    need_real("arange_cpu", dtype)?;
    check_range(start.to_f64(), end.to_f64(), step.to_f64())?;
    if dtype.is_integer() {
        crate::check!(step.to_i64() != 0, Value, "step must be nonzero");
    }
    let n = if dtype == DType::I64 {
        let (s, e, d) = (
            start.to_i64() as i128,
            end.to_i64() as i128,
            step.to_i64() as i128,
        );
        let span = if d > 0 { e - s } else { s - e };
        count(span.max(0).unsigned_abs().div_ceil(d.unsigned_abs()) as f64)?
    } else {
        count(((end.to_f64() - start.to_f64()) / step.to_f64()).ceil())?
    };
    steps(n, dtype, &o, start, step)
}

fn range_of(start: Scalar, end: Scalar, step: Scalar, o: Options) -> Result<Tensor> {
    let dtype = o.dtype.unwrap_or_else(default_dtype);
    need_real("range_cpu", dtype)?;
    check_range(start.to_f64(), end.to_f64(), step.to_f64())?;
    let n = count(((end.to_f64() - start.to_f64()) / step.to_f64()).floor() + 1.0)?;
    steps(n, dtype, &o, start, step)
}

/// The dtype and the end points of `linspace` and `logspace`.
struct Span {
    dtype: DType,
    start: Complex<f64>,
    end: Complex<f64>,
    n: usize,
}

fn span(op: &str, start: Scalar, end: Scalar, n: i64, o: &Options) -> Result<Span> {
    crate::check!(n >= 0, Runtime, "number of steps must be non-negative");
    let complex = start.is_complex() || end.is_complex();
    let natural = if complex {
        default_dtype().to_complex()
    } else {
        default_dtype()
    };
    let dtype = o.dtype.unwrap_or(natural);
    crate::check!(
        !complex || dtype.is_complex(),
        Runtime,
        "torch.{op}(): inferred dtype {} can't be safely cast to passed dtype {}",
        if natural == DType::C128 {
            "c10::complex<double>"
        } else {
            "c10::complex<float>"
        },
        dtype.scalar_name()
    );
    crate::check!(
        dtype != DType::Bool,
        NotImplemented,
        "\"{op}_cpu\" not implemented for '{}'",
        dtype.scalar_name()
    );
    Ok(Span {
        dtype,
        start: start.to_complex(),
        end: end.to_complex(),
        n: n as usize,
    })
}

impl Span {
    /// Position `i`: counted from the nearer end, so that both ends are met exactly.
    fn at(&self, i: usize) -> Complex<f64> {
        if self.n == 1 {
            return self.start;
        }
        let step = (self.end - self.start) / (self.n as f64 - 1.0);
        if i < self.n / 2 {
            self.start + step * i as f64
        } else {
            self.end - step * (self.n - i - 1) as f64
        }
    }
    fn scalar(&self, v: Complex<f64>) -> Scalar {
        if self.dtype.is_complex() {
            Scalar::Complex(v.re, v.im)
        } else {
            Scalar::Float(v.re)
        }
    }
}

fn linspace(start: Scalar, end: Scalar, n: i64, o: Options) -> Result<Tensor> {
    let s = span("linspace", start, end, n, &o)?;
    generate(s.n, s.dtype, &o, |i| s.scalar(s.at(i)))
}

fn logspace(start: Scalar, end: Scalar, n: i64, base: f64, o: Options) -> Result<Tensor> {
    let s = span("logspace", start, end, n, &o)?;
    generate(s.n, s.dtype, &o, |i| {
        let e = s.at(i);
        s.scalar(if s.dtype.is_complex() {
            Complex::new(base, 0.0).powc(e)
        } else {
            Complex::new(base.powf(e.re), 0.0)
        })
    })
}

/// End points given as tensors.
fn end_point(op: &str, a: &Args, i: usize) -> Result<Scalar> {
    let Some(t) = a.opt_tensor(i) else {
        return Ok(a.scalar(i));
    };
    let ndim = |k: usize| a.opt_tensor(k).map_or(0, |t| t.ndim());
    crate::check!(
        t.ndim() == 0,
        Runtime,
        "{op} only supports 0-dimensional start and end tensors, but got start with {} dimension(s) and end with {} \
         dimension(s).",
        ndim(0),
        ndim(1)
    );
    t.item()
}

fn eye(n: i64, m: i64, o: Options) -> Result<Tensor> {
    crate::check!(n >= 0, Runtime, "n must be greater or equal to 0, got {n}");
    crate::check!(m >= 0, Runtime, "m must be greater or equal to 0, got {m}");
    let t = Tensor::zeros(
        &[n as usize, m as usize],
        o.dtype.unwrap_or_else(default_dtype),
        o.device,
    )?;
    crate::autograd::no_grad(|| t.diagonal(0, 0, 1)?.fill(Scalar::Int(1)))?;
    o.finish(t)
}

/// A window of `n` values: `f(position, length - 1)`, a periodic one without the last of a longer symmetric one.
fn window(
    op: &str,
    n: i64,
    periodic: bool,
    o: Options,
    f: impl Fn(f64, f64) -> f64 + Sync,
) -> Result<Tensor> {
    let dtype = o.dtype.unwrap_or_else(default_dtype);
    crate::check!(
        dtype.is_floating() || dtype.is_complex(),
        Runtime,
        "{op} expects floating point dtypes, got: TensorOptions(dtype={}, device={}, layout=Strided, requires_grad={})",
        dtype.name(),
        o.device,
        o.requires_grad
    );
    need_real("arange_cpu", dtype)?;
    crate::check!(
        n >= 0,
        Runtime,
        "{op} requires non-negative window_length, got window_length={n}"
    );
    if n == 1 {
        return generate(1, dtype, &o, |_| Scalar::Float(1.0));
    }
    let last = if periodic { n } else { n - 1 } as f64;
    generate(n as usize, dtype, &o, |i| Scalar::Float(f(i as f64, last)))
}

/// Powers of the elements of a vector, one column each.
fn vander(x: &Tensor, n: Option<i64>, increasing: bool) -> Result<Tensor> {
    crate::check!(
        x.ndim() == 1,
        Runtime,
        "x must be a one-dimensional tensor."
    );
    let n = n.unwrap_or(x.numel() as i64);
    crate::check!(n >= 0, Runtime, "N must be non-negative.");
    let x = if x.dtype().is_integral() {
        x.to_dtype(DType::I64)?
    } else {
        x.clone()
    };
    if n == 0 {
        return Tensor::empty(&[x.numel(), 0], x.dtype(), x.device());
    }
    // Running products of 1, x, x, ...
    let rows = x.numel() as i64;
    let one = Tensor::full(&[x.numel(), 1], 1i64, x.dtype(), x.device())?;
    let factors = super::join::cat(&[one, x.unsqueeze(1)?.expand(&[rows, n - 1])?], 1)?;
    let powers = factors.cumprod(1)?;
    if increasing {
        Ok(powers)
    } else {
        super::shape::flip(&powers, &[1])
    }
}

op! {
    /// Returns the values from `start` up to but without `end` in steps of `step`.
    ///
    /// Example::
    ///
    ///     >>> torch.arange(1, 4)
    ///     tensor([1, 2, 3])
    arange__, in [TORCH]; out {
        "(Scalar end, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=False, bool? requires_grad=False) -> Tensor" =>
            |a| arange(Scalar::Int(0), a.scalar(0), Scalar::Int(1), Options::at(a, 1)),
        "(Scalar start, Scalar end, Scalar step=1, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=False, bool? requires_grad=False) -> Tensor" =>
            |a| arange(a.scalar(0), a.scalar(1), a.scalar(2), Options::at(a, 3)),
    }
}
op! {
    /// Returns the values from `start` up to and with `end` in steps of `step`; `arange` is the usual choice.
    range, in [TORCH]; out {
        "(Scalar start, Scalar end, Scalar step=1, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=False, bool? requires_grad=False) -> Tensor" =>
            |a| range_of(a.scalar(0), a.scalar(1), a.scalar(2), Options::at(a, 3)),
    }
}
op! {
    /// Returns `steps` values evenly spaced from `start` to `end`, both included.
    linspace__, in [TORCH]; out {
        "(Scalar start, Scalar end, int steps, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=False, bool? requires_grad=False) -> Tensor" =>
            |a| linspace(a.scalar(0), a.scalar(1), a.int(2), Options::at(a, 3)),
        "(Tensor start, Tensor end, int steps, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=False, bool? requires_grad=False) -> Tensor" =>
            |a| linspace(end_point("linspace", a, 0)?, end_point("linspace", a, 1)?, a.int(2), Options::at(a, 3)),
        "(Tensor start, Scalar end, int steps, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=False, bool? requires_grad=False) -> Tensor" =>
            |a| linspace(end_point("linspace", a, 0)?, a.scalar(1), a.int(2), Options::at(a, 3)),
        "(Scalar start, Tensor end, int steps, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=False, bool? requires_grad=False) -> Tensor" =>
            |a| linspace(a.scalar(0), end_point("linspace", a, 1)?, a.int(2), Options::at(a, 3)),
    }
}
op! {
    /// Returns `base` to the power of `steps` values evenly spaced from `start` to `end`, both included.
    logspace__, in [TORCH]; out {
        "(Scalar start, Scalar end, int steps, float base=10.0, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=False, bool? requires_grad=False) -> Tensor" =>
            |a| logspace(a.scalar(0), a.scalar(1), a.int(2), a.float(3), Options::at(a, 4)),
        "(Tensor start, Tensor end, int steps, float base=10.0, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=False, bool? requires_grad=False) -> Tensor" =>
            |a| logspace(end_point("logspace", a, 0)?, end_point("logspace", a, 1)?, a.int(2), a.float(3), Options::at(a, 4)),
        "(Tensor start, Scalar end, int steps, float base=10.0, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=False, bool? requires_grad=False) -> Tensor" =>
            |a| logspace(end_point("logspace", a, 0)?, a.scalar(1), a.int(2), a.float(3), Options::at(a, 4)),
        "(Scalar start, Tensor end, int steps, float base=10.0, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=False, bool? requires_grad=False) -> Tensor" =>
            |a| logspace(a.scalar(0), end_point("logspace", a, 1)?, a.int(2), a.float(3), Options::at(a, 4)),
    }
}
op! {
    /// Returns a matrix with ones on the diagonal and zeros elsewhere.
    eye__, in [TORCH]; out {
        "(int n, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=False, bool? requires_grad=False) -> Tensor" =>
            |a| eye(a.int(0), a.int(0), Options::at(a, 1)),
        "(int n, int m, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=False, bool? requires_grad=False) -> Tensor" =>
            |a| eye(a.int(0), a.int(1), Options::at(a, 2)),
    }
}
op! {
    /// Returns a Hann window: `(1 - cos(2 pi n / N)) / 2`.
    hann_window, in [TORCH] {
        "(int window_length, bool periodic=True, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=False, bool? requires_grad=False) -> Tensor" =>
            |a| window("hann_window", a.int(0), a.bool(1), Options::at(a, 2), |i, n| 0.5 - 0.5 * (2.0 * PI * i / n).cos()),
    }
}
op! {
    /// Returns a Hamming window: `alpha - beta cos(2 pi n / N)`.
    hamming_window, in [TORCH] {
        "(int window_length, bool periodic=True, float alpha=0.54, float beta=0.46, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=False, bool? requires_grad=False) -> Tensor" => |a| {
            let (alpha, beta) = (a.float(2), a.float(3));
            window("hamming_window", a.int(0), a.bool(1), Options::at(a, 4), |i, n| alpha - beta * (2.0 * PI * i / n).cos())
        },
    }
}
op! {
    /// Returns a Blackman window: `0.42 - 0.5 cos(2 pi n / N) + 0.08 cos(4 pi n / N)`.
    blackman_window, in [TORCH] {
        "(int window_length, bool periodic=True, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=False, bool? requires_grad=False) -> Tensor" =>
            |a| window("blackman_window", a.int(0), a.bool(1), Options::at(a, 2), |i, n| {
                0.42 - 0.5 * (2.0 * PI * i / n).cos() + 0.08 * (4.0 * PI * i / n).cos()
            }),
    }
}
op! {
    /// Returns a Bartlett window: a triangle from zero to one and back.
    bartlett_window, in [TORCH] {
        "(int window_length, bool periodic=True, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=False, bool? requires_grad=False) -> Tensor" =>
            |a| window("bartlett_window", a.int(0), a.bool(1), Options::at(a, 2), |i, n| 1.0 - (2.0 * i / n - 1.0).abs()),
    }
}
op! {
    /// Returns a Kaiser window: `I0(beta sqrt(1 - (2 n / N - 1)^2)) / I0(beta)`.
    kaiser_window, in [TORCH] {
        "(int window_length, bool periodic=True, float beta=12.0, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=False, bool? requires_grad=False) -> Tensor" => |a| {
            let beta = a.float(2);
            window("kaiser_window", a.int(0), a.bool(1), Options::at(a, 3), |i, n| {
                let x = 2.0 * i / n - 1.0;
                special::i0(beta * (1.0 - x * x).max(0.0).sqrt()) / special::i0(beta)
            })
        },
    }
}
op! {
    /// Returns the powers of the elements of a vector as columns, the highest first unless `increasing`.
    vander__, in [TORCH] {
        "(Tensor x, int? N=None, bool increasing=False) -> Tensor" => |a| vander(&a.tensor(0), a.opt_int(1), a.bool(2)),
    }
}

pub static ROWS: &[&crate::ops::OpDef] = &[
    &arange__::DEF,
    &range::DEF,
    &linspace__::DEF,
    &logspace__::DEF,
    &eye__::DEF,
    &hann_window::DEF,
    &hamming_window::DEF,
    &blackman_window::DEF,
    &bartlett_window::DEF,
    &kaiser_window::DEF,
    &vander__::DEF,
];
