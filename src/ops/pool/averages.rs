//! Averages and norms of windows.

use super::windows::{
    Adaptive, Windows, adaptive_sizes, check_rank_1d, each, planes_of, record_second,
};
use crate::autograd::{self, Saved, engine::grads, record};
use crate::cpu::pool::{self as kernel, Divisor};
use crate::error::Result;
use crate::ops::args::Args;
use crate::ops::conv::fill_slice;
use crate::tensor::Tensor;

const AVG_NAMES: [&str; 4] = [
    "",
    "SqueezeBackward1",
    "AvgPool2DBackward0",
    "AvgPool3DBackward0",
];

const ADAPTIVE_AVG_NAMES: [&str; 4] = [
    "",
    "SqueezeBackward1",
    "AdaptiveAvgPool2DBackward0",
    "AdaptiveAvgPool3DBackward0",
];

fn average(op: &str, x: &Tensor, w: &Windows, divisor: Divisor) -> Result<Tensor> {
    let out = Tensor::empty(&w.sizes, x.dtype(), x.device())?;
    let data = x.detach().contiguous()?;
    crate::dispatch_of!(op, x.dtype(), [F16 BF16 F32 F64 I64], T => {
        kernel::avg_pool(&w.shape, divisor, data.as_slice::<T>()?, fill_slice::<T>(&out)?)
    });
    if autograd::needs_grad(&[x]) {
        let (w, saved) = (w.clone(), Saved::input(x));
        record(AVG_NAMES[w.n], &[x], &[&out], move |g| {
            grads([Some(average_backward(
                &g.get(0)?,
                &w,
                divisor,
                &saved.get(g)?,
            )?)])
        });
    }
    Ok(out)
}

fn average_backward(g: &Tensor, w: &Windows, divisor: Divisor, x: &Tensor) -> Result<Tensor> {
    let out = Tensor::empty(x.sizes(), g.dtype(), g.device())?;
    let data = g.detach().contiguous()?;
    crate::dispatch_of!("avg_pool_backward", g.dtype(), [F16 BF16 F32 F64 I64], T => {
        kernel::avg_pool_backward(&w.shape, divisor, data.as_slice::<T>()?, fill_slice::<T>(&out)?)
    });
    let w = w.clone();
    record_second("AvgPoolBackwardBackward0", g, Some(x), &out, move |h| {
        average("avg_pool", h, &w, divisor)
    });
    Ok(out)
}

pub(super) fn avg_pool(op: &str, n: usize, a: &Args) -> Result<Tensor> {
    let x = a.tensor(0);
    x.need_cpu(op)?;
    let by = a.opt_int(6);
    crate::check!(by != Some(0), Runtime, "divisor must be not zero");
    if n == 1 {
        check_rank_1d(op, &x)?;
    }
    let w = Windows::new(op, &x, n, a.ints(1), a.ints(2), a.ints(3), &[1], a.bool(4))?;
    average(op, &x, &w, Divisor::new(a.bool(5), by))
}

fn adaptive_average(op: &str, n: usize, x: &Tensor, s: &Adaptive) -> Result<Tensor> {
    let out = Tensor::empty(&s.2, x.dtype(), x.device())?;
    let data = x.detach().contiguous()?;
    let planes = planes_of(x, n);
    crate::dispatch_of!(op, x.dtype(), floats, T => {
        if out.numel() > 0 {
            kernel::adaptive_avg_pool(planes, s.0, s.1, data.as_slice::<T>()?, fill_slice::<T>(&out)?)
        }
    });
    if autograd::needs_grad(&[x]) {
        let (s, saved) = (s.clone(), Saved::input(x));
        let name = if n == 2 && s.1 == [1; 3] {
            "MeanBackward1"
        } else {
            ADAPTIVE_AVG_NAMES[n]
        };
        record(name, &[x], &[&out], move |g| {
            grads([Some(adaptive_average_backward(
                &g.get(0)?,
                n,
                &s,
                &saved.get(g)?,
            )?)])
        });
    }
    Ok(out)
}

fn adaptive_average_backward(g: &Tensor, n: usize, s: &Adaptive, x: &Tensor) -> Result<Tensor> {
    let out = Tensor::zeros(x.sizes(), g.dtype(), g.device())?;
    let data = g.detach().contiguous()?;
    let planes = planes_of(g, n);
    crate::dispatch_of!("adaptive_avg_pool_backward", g.dtype(), floats, T => {
        if g.numel() > 0 {
            kernel::adaptive_avg_pool_backward(planes, s.0, s.1, data.as_slice::<T>()?, fill_slice::<T>(&out)?)
        }
    });
    let s = s.clone();
    record_second(
        "AdaptiveAvgPoolBackwardBackward0",
        g,
        Some(x),
        &out,
        move |h| adaptive_average("adaptive_avg_pool", n, h, &s),
    );
    Ok(out)
}

pub(super) fn adaptive_avg_pool(op: &str, n: usize, a: &Args) -> Result<Tensor> {
    let x = a.tensor(0);
    x.need_cpu(op)?;
    adaptive_average(op, n, &x, &adaptive_sizes(op, n, &x, a.ints(1))?)
}

/// The p-norm of every window, as powers, averages and roots.
pub(super) fn lp_pool(n: usize, a: &Args) -> Result<Tensor> {
    let x = a.tensor(0);
    let p = a.scalar(1).to_f64();
    let op = format!("avg_pool{n}d");
    let kernel = each(&format!("lp_pool{n}d"), "kernel_size", a.ints(2), n)?;
    let w = Windows::new(&op, &x, n, &kernel, a.ints(3), &[0], &[1], a.bool(4))?;
    let powers = x.pow(&Tensor::wrapped(p)?)?;
    let mean = average(&op, &powers, &w, Divisor::Padded)?;
    let count: i64 = kernel.iter().product();
    mean.sign()?
        .mul(&mean.abs()?)?
        .mul_scalar(count)?
        .pow(&Tensor::wrapped(1.0 / p)?)
}
