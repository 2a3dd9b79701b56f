//! Pooling over one to three axes, its inverse, and the copies between images and columns of windows.

use super::conv::fill_slice;
use crate::autograd::{self, GradVec, Saved, engine::grads, record};
use crate::cpu::conv::ConvShape;
use crate::cpu::pool::{self as kernel, Divisor, PoolShape, pool_output_size};
use crate::dtype::DType;
use crate::error::Result;
use crate::list;
use crate::ops::args::{Args, Value};
use crate::scalar::Element;
use crate::shape::{self, Sizes};
use crate::tensor::Tensor;
use smallvec::SmallVec;

/// Runs a block with `$T` bound to the Rust type of one of the dtypes named, or returns PyTorch's error.
macro_rules! choose {
    ($what:expr, $dtype:expr, floats, $T:ident => $body:expr) => {
        choose!($what, $dtype, [F16 half::f16, BF16 half::bf16, F32 f32, F64 f64], $T => $body)
    };
    ($what:expr, $dtype:expr, averaged, $T:ident => $body:expr) => {
        choose!($what, $dtype, [F16 half::f16, BF16 half::bf16, F32 f32, F64 f64, I64 i64], $T => $body)
    };
    ($what:expr, $dtype:expr, ordered, $T:ident => $body:expr) => {
        choose!($what, $dtype, [F16 half::f16, BF16 half::bf16, F32 f32, F64 f64, I64 i64, I32 i32, I16 i16, I8 i8, U8 u8], $T => $body)
    };
    ($what:expr, $dtype:expr, moved, $T:ident => $body:expr) => {
        choose!($what, $dtype, [U8 u8, F16 half::f16, BF16 half::bf16, F32 f32, F64 f64, C64 num_complex::Complex<f32>, C128 num_complex::Complex<f64>], $T => $body)
    };
    ($what:expr, $dtype:expr, summed, $T:ident => $body:expr) => {
        choose!($what, $dtype, [F16 half::f16, BF16 half::bf16, F32 f32, F64 f64, C64 num_complex::Complex<f32>, C128 num_complex::Complex<f64>], $T => $body)
    };
    ($what:expr, $dtype:expr, [$($D:ident $R:ty),*], $T:ident => $body:expr) => {
        match $dtype {
            $(DType::$D => { type $T = $R; $body })*
            d => crate::bail!(NotImplemented, "\"{}\" not implemented for '{}'", $what, d.scalar_name()),
        }
    };
}

/// A checked pooling: the kernel's shape and the sizes of the result.
#[derive(Clone)]
struct Windows {
    n: usize,
    shape: PoolShape,
    sizes: Sizes,
}

fn times(sizes: impl IntoIterator<Item = i64>) -> String {
    sizes
        .into_iter()
        .map(|s| s.to_string())
        .collect::<Vec<_>>()
        .join("x")
}

/// One number for every axis, or as many as there are axes.
fn each(op: &str, name: &str, values: &[i64], n: usize) -> Result<SmallVec<[i64; 3]>> {
    // Window arithmetic adds and multiplies these; beyond 31 bits no tensor could answer.
    for &v in values {
        crate::check!(
            v.unsigned_abs() <= i32::MAX as u64,
            Runtime,
            "{op}: {name} is out of range: got {v}"
        );
    }
    match values.len() {
        1 => Ok(SmallVec::from_elem(values[0], n)),
        len if len == n => Ok(SmallVec::from_slice(values)),
        _ => {
            let words = ["no", "one", "two", "three"][n.min(3)];
            crate::bail!(
                Runtime,
                "{op}: {name} must either be a single int, or a tuple of {words} ints"
            )
        }
    }
}

fn as_usize(v: &[i64]) -> SmallVec<[usize; 3]> {
    v.iter().map(|&v| v as usize).collect()
}

/// Checks what every pooling asks of its input: `n` spatial axes after channels and perhaps a batch, none empty.
fn check_input(op: &str, n: usize, x: &Tensor) -> Result<()> {
    let d = x.ndim();
    if n == 1 {
        crate::check!(
            d == 2 || d == 3,
            Runtime,
            "{op}: Expected 2D or 3D (batch mode) tensor with optional 0 dim batch size for input, but got:{}",
            shape::list(x.sizes())
        );
    } else {
        crate::check!(
            d == n + 1 || d == n + 2,
            Runtime,
            "non-empty {}D or {}D (batch mode) tensor expected for input",
            n + 1,
            n + 2
        );
    }
    crate::check!(
        x.sizes()[d - n - 1..].iter().all(|&s| s > 0),
        Runtime,
        "Expected {}D or {}D (batch mode) tensor with optional 0 dim batch size for input, but got:{}",
        n + 1,
        n + 2,
        shape::list(x.sizes())
    );
    Ok(())
}

impl Windows {
    #[allow(clippy::too_many_arguments)] // the arguments of a pooling
    fn new(
        op: &str,
        x: &Tensor,
        n: usize,
        kernel: &[i64],
        stride: &[i64],
        padding: &[i64],
        dilation: &[i64],
        ceil: bool,
    ) -> Result<Windows> {
        let kernel = each(op, "kernel_size", kernel, n)?;
        let stride = if stride.is_empty() {
            kernel.clone()
        } else {
            each(op, "stride", stride, n)?
        };
        let padding = each(op, "padding", padding, n)?;
        let dilation = each(op, "dilation", dilation, n)?;
        if op == "max_pool1d" {
            for (name, v) in [
                ("kernel_size", &kernel),
                ("stride", &stride),
                ("dilation", &dilation),
            ] {
                crate::check!(
                    v[0] > 0,
                    Runtime,
                    "{op}() {name} must be greater than zero, but got {}",
                    v[0]
                );
            }
            crate::check!(
                padding[0] >= 0,
                Runtime,
                "{op}() padding must be non-negative, but got {}",
                padding[0]
            );
            crate::check!(
                padding[0] <= kernel[0] / 2,
                Runtime,
                "{op}() padding should be at most half of kernel size, but got padding={} and kernel_size={}",
                padding[0],
                kernel[0]
            );
        }
        check_input(op, n, x)?;
        crate::check!(
            stride.iter().all(|&s| s != 0),
            Runtime,
            "stride should not be zero"
        );
        crate::check!(
            kernel.iter().chain(&stride).all(|&k| k > 0),
            Runtime,
            "kernel size and stride should be greater than zero, but got kernel_size={} stride={}",
            shape::list(&kernel),
            shape::list(&stride)
        );
        crate::check!(
            dilation.iter().all(|&d| d > 0),
            Runtime,
            "dilation should be greater than zero, but got dilation: {}",
            shape::list(&dilation)
        );
        for d in 0..n {
            crate::check!(
                padding[d] >= 0,
                Runtime,
                "pad must be non-negative, but got pad: {}",
                padding[d]
            );
            crate::check!(
                padding[d] <= ((kernel[d] - 1) * dilation[d] + 1) / 2,
                Runtime,
                "pad should be at most half of effective kernel size, but got pad={}, kernel_size={} and dilation={}",
                padding[d],
                kernel[d],
                dilation[d]
            );
        }
        let lead = x.ndim() - n;
        let space = &x.sizes()[lead..];
        let (kernel, stride, padding, dilation) = (
            as_usize(&kernel),
            as_usize(&stride),
            as_usize(&padding),
            as_usize(&dilation),
        );
        let out: SmallVec<[i64; 3]> = (0..n)
            .map(|d| {
                pool_output_size(
                    space[d],
                    kernel[d],
                    stride[d],
                    padding[d],
                    dilation[d],
                    ceil,
                )
            })
            .collect();
        if !out.iter().all(|&o| o > 0) {
            if op == "max_pool1d" {
                crate::bail!(Runtime, "{op}() Invalid computed output size: {}", out[0]);
            }
            let channels = x.sizes()[lead - 1] as i64;
            let line: &[i64] = if n == 1 { &[1] } else { &[] };
            let before = times(
                [channels]
                    .into_iter()
                    .chain(line.iter().copied())
                    .chain(space.iter().map(|&s| s as i64)),
            );
            let after = times(
                [channels]
                    .into_iter()
                    .chain(line.iter().copied())
                    .chain(out.iter().copied()),
            );
            crate::bail!(
                Runtime,
                "Given input size: ({before}). Calculated output size: ({after}). Output size is too small"
            );
        }
        let planes = x.sizes()[..lead].iter().product();
        let mut sizes: Sizes = SmallVec::from_slice(&x.sizes()[..lead]);
        sizes.extend(out.iter().map(|&o| o as usize));
        Ok(Windows {
            n,
            shape: PoolShape::new(planes, space, &kernel, &stride, &padding, &dilation, ceil),
            sizes,
        })
    }
}

fn planes_of(t: &Tensor, n: usize) -> usize {
    t.sizes()[..t.ndim() - n].iter().product()
}

/// Adds each element of `g` at its index in a plane of zeros: the gradient of everything that picks maxima.
fn spread(
    g: &Tensor,
    indices: &Tensor,
    n: usize,
    sizes: &[usize],
    x: Option<&Tensor>,
) -> Result<Tensor> {
    let out = Tensor::empty(sizes, g.dtype(), g.device())?;
    let planes = planes_of(&out, n);
    let (data, at) = (g.detach().contiguous()?, indices.contiguous()?);
    choose!("max_pool_backward", g.dtype(), ordered, T => {
        kernel::max_pool_backward(planes, data.as_slice::<T>()?, at.as_slice::<i64>()?, fill_slice::<T>(&out)?)
    });
    let at = indices.clone();
    record_second(
        "MaxPoolWithIndicesBackwardBackward0",
        g,
        x,
        &out,
        move |h| pick(h, &at, n),
    );
    Ok(out)
}

/// The elements of planes of `g` at the indices: the other way around.
fn pick(g: &Tensor, indices: &Tensor, n: usize) -> Result<Tensor> {
    let out = Tensor::empty(indices.sizes(), g.dtype(), g.device())?;
    let planes = planes_of(&out, n);
    let (x, at) = (g.detach().contiguous()?, indices.contiguous()?);
    choose!("max_unpool_backward", g.dtype(), ordered, T => {
        kernel::max_unpool_backward(planes, x.as_slice::<T>()?, at.as_slice::<i64>()?, fill_slice::<T>(&out)?)
            .map_err(|i| bad_index(i, g, n))?
    });
    if autograd::needs_grad(&[g]) {
        let (at, sizes) = (indices.clone(), Sizes::from_slice(g.sizes()));
        record("MaxUnpoolBackwardBackward0", &[g], &[&out], move |h| {
            grads([Some(spread(&h.get(0)?, &at, n, &sizes, None)?)])
        });
    }
    Ok(out)
}

fn bad_index(i: i64, out: &Tensor, n: usize) -> crate::error::Error {
    let space = times(out.sizes()[out.ndim() - n..].iter().map(|&s| s as i64));
    crate::err!(
        Runtime,
        "Found an invalid max index: {i} (output volumes are of size {space})"
    )
}

/// Records a gradient of a pooling: linear in the gradient `g` it came from, constant in the pooling's input `x`.
fn record_second(
    name: &'static str,
    g: &Tensor,
    x: Option<&Tensor>,
    out: &Tensor,
    back: impl Fn(&Tensor) -> Result<Tensor> + 'static,
) {
    let inputs: SmallVec<[&Tensor; 2]> = Some(g).into_iter().chain(x).collect();
    if autograd::needs_grad(&inputs) {
        let zeros = x.map(|x| (Sizes::from_slice(x.sizes()), x.dtype(), x.device()));
        record(name, &inputs, &[out], move |h| {
            let mut found: GradVec = SmallVec::new();
            found.push(h.when(0, || back(&h.get(0)?))?);
            if let Some((sizes, dtype, device)) = &zeros {
                found.push(h.when(1, || Tensor::zeros(sizes, *dtype, *device))?);
            }
            Ok(found)
        });
    }
}

/// Records a choice of maxima.
fn record_choice(name: &'static str, x: &Tensor, out: &Tensor, indices: &Tensor, n: usize) {
    if autograd::needs_grad(&[x]) {
        let (at, saved) = (indices.clone(), Saved::input(x));
        record(name, &[x], &[out, indices], move |g| {
            let x = saved.get(g)?;
            grads([Some(spread(&g.get(0)?, &at, n, x.sizes(), Some(&x))?)])
        });
    }
}

const MAX_NAMES: [&str; 4] = [
    "",
    "SqueezeBackward1",
    "MaxPool2DWithIndicesBackward0",
    "MaxPool3DWithIndicesBackward0",
];
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
const ADAPTIVE_MAX_NAMES: [&str; 4] = [
    "",
    "SqueezeBackward1",
    "AdaptiveMaxPool2DBackward0",
    "AdaptiveMaxPool3DBackward0",
];
const UNPOOL_NAMES: [&str; 4] = [
    "",
    "SqueezeBackward1",
    "MaxUnpool2DBackward0",
    "MaxUnpool3DBackward0",
];

fn max_pool(op: &str, n: usize, a: &Args) -> Result<(Tensor, Tensor)> {
    let x = a.tensor(0);
    x.need_cpu(op)?;
    let w = Windows::new(
        op,
        &x,
        n,
        a.ints(1),
        a.ints(2),
        a.ints(3),
        a.ints(4),
        a.bool(5),
    )?;
    let out = Tensor::empty(&w.sizes, x.dtype(), x.device())?;
    let indices = Tensor::empty(&w.sizes, DType::I64, x.device())?;
    let data = x.detach().contiguous()?;
    choose!(op, x.dtype(), ordered, T => {
        kernel::max_pool(&w.shape, data.as_slice::<T>()?, fill_slice::<T>(&out)?, fill_slice::<i64>(&indices)?)
    });
    record_choice(MAX_NAMES[n], &x, &out, &indices, n);
    Ok((out, indices))
}

fn average(op: &str, x: &Tensor, w: &Windows, divisor: Divisor) -> Result<Tensor> {
    let out = Tensor::empty(&w.sizes, x.dtype(), x.device())?;
    let data = x.detach().contiguous()?;
    choose!(op, x.dtype(), averaged, T => {
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
    choose!("avg_pool_backward", g.dtype(), averaged, T => {
        kernel::avg_pool_backward(&w.shape, divisor, data.as_slice::<T>()?, fill_slice::<T>(&out)?)
    });
    let w = w.clone();
    record_second("AvgPoolBackwardBackward0", g, Some(x), &out, move |h| {
        average("avg_pool", h, &w, divisor)
    });
    Ok(out)
}

fn avg_pool(op: &str, n: usize, a: &Args) -> Result<Tensor> {
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

fn check_rank_1d(op: &str, x: &Tensor) -> Result<()> {
    crate::check!(
        x.ndim() == 2 || x.ndim() == 3,
        Runtime,
        "Expected 2 to 3 dimensions, but got {}-dimensional tensor for argument #1 'self' (while checking arguments for {op})",
        x.ndim()
    );
    Ok(())
}

/// The checked sizes of an adaptive pooling: (spatial sizes in, out, all sizes of the result).
type Adaptive = ([usize; 3], [usize; 3], Sizes);

fn adaptive_sizes(op: &str, n: usize, x: &Tensor, out: &[i64]) -> Result<Adaptive> {
    if n == 1 {
        check_rank_1d(op, x)?;
    }
    crate::check!(
        x.ndim() == n + 1 || x.ndim() == n + 2,
        Runtime,
        "{op}(): Expected {}D or {}D tensor, but got {}",
        n + 1,
        n + 2,
        shape::list(x.sizes())
    );
    crate::check!(
        out.len() == n || out.len() == 1,
        Runtime,
        "{op}: output_size must be {n}"
    );
    let out: SmallVec<[i64; 3]> = if out.len() == n {
        SmallVec::from_slice(out)
    } else {
        SmallVec::from_elem(out[0], n)
    };
    let lead = x.ndim() - n;
    crate::check!(
        out.iter().all(|&o| o >= 0),
        Runtime,
        "{op}: elements of output_size must be greater than or equal to 0 but received {}",
        shape::list(&out)
    );
    for d in x.ndim() - n..x.ndim() {
        crate::check!(
            x.sizes()[d] > 0,
            Runtime,
            "{op}(): Expected input to have non-zero size for non-batch dimensions, but input has sizes {} with dimension {d} \
             being empty",
            shape::list(x.sizes())
        );
    }
    let (mut from, mut to) = ([1; 3], [1; 3]);
    for d in 0..n {
        from[3 - n + d] = x.sizes()[lead + d];
        to[3 - n + d] = out[d] as usize;
    }
    let mut sizes: Sizes = SmallVec::from_slice(&x.sizes()[..lead]);
    sizes.extend(out.iter().map(|&o| o as usize));
    Ok((from, to, sizes))
}

fn adaptive_average(op: &str, n: usize, x: &Tensor, s: &Adaptive) -> Result<Tensor> {
    let out = Tensor::empty(&s.2, x.dtype(), x.device())?;
    let data = x.detach().contiguous()?;
    let planes = planes_of(x, n);
    choose!(op, x.dtype(), floats, T => {
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
    choose!("adaptive_avg_pool_backward", g.dtype(), floats, T => {
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

fn adaptive_avg_pool(op: &str, n: usize, a: &Args) -> Result<Tensor> {
    let x = a.tensor(0);
    x.need_cpu(op)?;
    adaptive_average(op, n, &x, &adaptive_sizes(op, n, &x, a.ints(1))?)
}

fn adaptive_max_pool(op: &str, n: usize, a: &Args) -> Result<(Tensor, Tensor)> {
    let x = a.tensor(0);
    x.need_cpu(op)?;
    let s = adaptive_sizes(op, n, &x, a.ints(1))?;
    let out = Tensor::empty(&s.2, x.dtype(), x.device())?;
    let indices = Tensor::empty(&s.2, DType::I64, x.device())?;
    let data = x.detach().contiguous()?;
    let planes = planes_of(&x, n);
    choose!(op, x.dtype(), floats, T => {
        if out.numel() > 0 {
            kernel::adaptive_max_pool(
                planes, s.0, s.1, data.as_slice::<T>()?, fill_slice::<T>(&out)?, fill_slice::<i64>(&indices)?,
            )
        }
    });
    record_choice(ADAPTIVE_MAX_NAMES[n], &x, &out, &indices, n);
    Ok((out, indices))
}

fn max_unpool(n: usize, a: &Args) -> Result<Tensor> {
    let (x, indices) = (a.tensor(0), a.tensor(1));
    x.need_cpu("max_unpool")?;
    let op = format!("max_unpool{n}d");
    let kernel = each(&op, "kernel_size", a.ints(2), n)?;
    let stride = if a.ints(3).is_empty() {
        kernel.clone()
    } else {
        each(&op, "stride", a.ints(3), n)?
    };
    let padding = each(&op, "padding", a.ints(4), n)?;
    crate::check!(
        indices.dtype() == DType::I64,
        Runtime,
        "elements in indices should be type int64 but got: {}",
        indices.dtype().scalar_name()
    );
    crate::check!(
        x.ndim() == n + 1 || x.ndim() == n + 2,
        Runtime,
        "Input to max_unpooling{n}d should be a {}d or {}d Tensor, but got a tensor with {} dimensions.",
        n + 1,
        n + 2,
        x.ndim()
    );
    crate::check!(
        x.sizes() == indices.sizes(),
        Runtime,
        "Expected shape of indices to be same as that of the input tensor ({}) but got indices tensor with shape: {}",
        shape::list(x.sizes()),
        shape::list(indices.sizes())
    );
    let lead = x.ndim() - n;
    let usual: Vec<i64> = (0..n)
        .map(|d| (x.sizes()[lead + d] as i64 - 1) * stride[d] - 2 * padding[d] + kernel[d])
        .collect();
    let out: Vec<i64> = match a.opt_ints(5) {
        None => usual,
        Some(v) => {
            crate::check!(
                v.len() == n || v.len() == n + 2 || v.len() == x.ndim(),
                Value,
                "output_size should be a sequence containing {n} or {} elements, but it has a length of '{}'",
                n + 2,
                v.len()
            );
            let v = &v[v.len() - n..];
            for d in 0..n {
                let (lo, hi) = (usual[d] - stride[d], usual[d] + stride[d]);
                crate::check!(
                    lo < v[d] && v[d] < hi,
                    Value,
                    "invalid output_size \"{}\" (dim {d} must be between {lo} and {hi})",
                    shape::list(v).replace('[', "(").replace(']', ")")
                );
            }
            v.to_vec()
        }
    };
    let mut sizes: Sizes = SmallVec::from_slice(&x.sizes()[..lead]);
    sizes.extend_from_slice(&shape::sizes_of(&op, &out)?);
    let to = Tensor::zeros(&sizes, x.dtype(), x.device())?;
    let planes = planes_of(&to, n);
    let (data, at) = (x.detach().contiguous()?, indices.contiguous()?);
    choose!("max_unpooling", x.dtype(), ordered, T => {
        kernel::max_unpool(planes, data.as_slice::<T>()?, at.as_slice::<i64>()?, fill_slice::<T>(&to)?)
            .map_err(|i| bad_index(i, &to, n))?
    });
    if autograd::needs_grad(&[&x]) {
        record(UNPOOL_NAMES[n], &[&x], &[&to], move |g| {
            grads([Some(pick(&g.get(0)?, &at, n)?)])
        });
    }
    Ok(to)
}

/// The p-norm of every window, as powers, averages and roots.
fn lp_pool(n: usize, a: &Args) -> Result<Tensor> {
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

/// The checked geometry of `unfold` and `fold`.
fn columns_shape(
    planes: (usize, usize),
    space: &[usize],
    kernel: &[i64],
    dilation: &[i64],
    padding: &[i64],
    stride: &[i64],
) -> Result<(ConvShape, [i64; 2])> {
    let pair = |name: &str, v: &[i64]| each("im2col", name, v, 2);
    let (k, d, p, s) = (
        pair("kernel_size", kernel)?,
        pair("dilation", dilation)?,
        pair("padding", padding)?,
        pair("stride", stride)?,
    );
    let positive = |name: &str, short: &str, v: &[i64]| -> Result<()> {
        crate::check!(
            v.iter().all(|&v| v > 0),
            Runtime,
            "{name} should be greater than zero, but got {short}_height: {} {short}_width: {}",
            v[0],
            v[1]
        );
        Ok(())
    };
    positive("kernel size", "kernel", &k)?;
    positive("dilation", "dilation", &d)?;
    crate::check!(
        p.iter().all(|&p| p >= 0),
        Runtime,
        "padding should be non-negative, but got pad_height: {} pad_width: {}",
        p[0],
        p[1]
    );
    positive("stride", "stride", &s)?;
    let blocks: [i64; 2] = std::array::from_fn(|i| {
        (space[i] as i64 + 2 * p[i] - (d[i] * (k[i] - 1) + 1)).div_euclid(s[i]) + 1
    });
    let shape = ConvShape::new(
        planes.0,
        planes.1,
        1,
        1,
        space,
        &as_usize(&k),
        &as_usize(&s),
        &as_usize(&p),
        &as_usize(&d),
    );
    Ok((shape, blocks))
}

fn parenthesised(v: &[i64]) -> String {
    format!(
        "({}, {})",
        v.first().unwrap_or(&0),
        v.get(1).or(v.first()).unwrap_or(&0)
    )
}

/// Columns of windows of `x`, [batch, channels, h, w], and its inverse direction, each the other's gradient.
fn unfold_data(x: &Tensor, s: ConvShape) -> Result<Tensor> {
    if x.dtype() == DType::Bool {
        return unfold_data(&x.to_dtype(DType::U8)?, s)?.to_dtype(DType::Bool);
    }
    let rows = s.in_channels * s.taps();
    let out = Tensor::empty(&[s.batch, rows, s.pixels_out()], x.dtype(), x.device())?;
    let data = x.detach().contiguous()?;
    choose!("im2col_out_cpu", x.dtype(), moved, T => kernel::unfold(&s, data.as_slice::<T>()?, fill_slice::<T>(&out)?));
    if autograd::needs_grad(&[x]) {
        record("Im2ColBackward0", &[x], &[&out], move |g| {
            grads([Some(fold_data(&g.get(0)?, s)?)])
        });
    }
    Ok(out)
}

fn fold_data(x: &Tensor, s: ConvShape) -> Result<Tensor> {
    let out = Tensor::empty(
        &[s.batch, s.in_channels, s.input[1], s.input[2]],
        x.dtype(),
        x.device(),
    )?;
    let data = x.detach().contiguous()?;
    choose!("col2im_out_cpu", x.dtype(), summed, T => kernel::fold(&s, data.as_slice::<T>()?, fill_slice::<T>(&out)?));
    if autograd::needs_grad(&[x]) {
        record("Col2ImBackward0", &[x], &[&out], move |g| {
            grads([Some(unfold_data(&g.get(0)?, s)?)])
        });
    }
    Ok(out)
}

fn unfold_images(x: &Tensor, a: &Args) -> Result<Tensor> {
    x.need_cpu("unfold")?;
    let d = x.ndim();
    crate::check!(
        (d == 3 || d == 4) && x.sizes()[1..].iter().all(|&s| s > 0),
        Runtime,
        "Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and other non-zero dimensions for input, but got: {}",
        shape::list(x.sizes())
    );
    let image = if d == 3 { x.unsqueeze(0)? } else { x.clone() };
    let z = image.sizes();
    let (s, blocks) = columns_shape(
        (z[0], z[1]),
        &z[2..],
        a.ints(1),
        a.ints(2),
        a.ints(3),
        a.ints(4),
    )?;
    crate::check!(
        blocks.iter().all(|&b| b > 0),
        Runtime,
        "Given input with spatial size ({}, {}), kernel_size={}, dilation={}, padding={}, calculated shape of the array of \
         sliding blocks as {}, but its components must be at least one.",
        z[2],
        z[3],
        parenthesised(a.ints(1)),
        parenthesised(a.ints(2)),
        parenthesised(a.ints(3)),
        parenthesised(&blocks)
    );
    let out = unfold_data(&image, s)?;
    if d == 3 {
        out.squeeze_dims(&[0])
    } else {
        Ok(out)
    }
}

fn fold_images(x: &Tensor, a: &Args) -> Result<Tensor> {
    x.need_cpu("fold")?;
    let d = x.ndim();
    crate::check!(
        (d == 2 || d == 3) && x.sizes()[d - 2..].iter().all(|&s| s > 0),
        Runtime,
        "Expected 2D or 3D (batch mode) tensor for input with possibly 0 batch size and non-zero dimensions for input, but got: \
         {}",
        shape::list(x.sizes())
    );
    let columns = if d == 2 { x.unsqueeze(0)? } else { x.clone() };
    let z = columns.sizes();
    let size = each("fold", "output_size", a.ints(1), 2)?;
    let space = shape::sizes_of("fold", &size)?;
    let (mut s, blocks) = columns_shape(
        (z[0], 1),
        &space,
        a.ints(2),
        a.ints(3),
        a.ints(4),
        a.ints(5),
    )?;
    let taps = s.taps();
    crate::check!(
        z[1] % taps == 0,
        Runtime,
        "Expected size of input's dimension 1 to be divisible by the product of kernel_size, but got input.size(1)={} and \
         kernel_size={}.",
        z[1],
        parenthesised(a.ints(2))
    );
    crate::check!(
        blocks.iter().all(|&b| b > 0) && blocks[0] * blocks[1] == z[2] as i64,
        Runtime,
        "Given output_size={}, kernel_size={}, dilation={}, padding={}, stride={}, expected size of input's dimension 2 to \
         match the calculated number of sliding blocks {} * {} = {}, but got input.size(2)={}.",
        parenthesised(&size),
        parenthesised(a.ints(2)),
        parenthesised(a.ints(3)),
        parenthesised(a.ints(4)),
        parenthesised(a.ints(5)),
        blocks[0],
        blocks[1],
        blocks[0] * blocks[1],
        z[2]
    );
    s.in_channels = z[1] / taps;
    let out = fold_data(&columns, s)?;
    if d == 2 {
        out.squeeze_dims(&[0])
    } else {
        Ok(out)
    }
}

/// Where the windows of a fractional pooling begin: steps of `alpha` from a random start, the last at the end.
fn fractional_starts<T: Element>(
    size: usize,
    out: usize,
    window: usize,
    sample: f64,
) -> Result<Vec<usize>> {
    // Every step is rounded to the input's dtype, which decides where windows fall.
    let round = |x: f64| T::from_f64(x).to_f64();
    let mut starts = list::with_room(out)?;
    if out > 1 {
        let alpha = round(round((size - window) as f64) / round((out - 1) as f64));
        let offset = round(sample * alpha) as i64;
        for i in 0..out - 1 {
            let at = round(round(round(i as f64) + sample) * alpha) as i64 - offset;
            starts.push((at.max(0) as usize).min(size - window));
        }
    }
    if out > 0 {
        starts.push(size - window);
    }
    Ok(starts)
}

/// Max pooling over windows at random places (Graham, 2014).
fn fractional_max_pool(n: usize, a: &Args) -> Result<(Tensor, Tensor)> {
    let x = a.tensor(0);
    let op = format!("fractional_max_pool{n}d");
    x.need_cpu(&op)?;
    let window = each(&op, "kernel_size", a.ints(1), n)?;
    crate::check!(
        x.ndim() == n + 1 || x.ndim() == n + 2,
        Runtime,
        "{op}: Expected {}D or {}D (batch mode) tensor for input, but got: {}",
        n + 1,
        n + 2,
        shape::list(x.sizes())
    );
    let lead = x.ndim() - n;
    let space: SmallVec<[usize; 3]> = SmallVec::from_slice(&x.sizes()[lead..]);
    let out: SmallVec<[i64; 3]> = match (a.opt_ints(2), a.opt_floats(3)) {
        (Some(v), _) => each(&op, "output_size", v, n)?,
        (None, Some(r)) => {
            let ratio = |d: usize| {
                if r.len() == n {
                    r[d]
                } else {
                    r.first().copied().unwrap_or(0.5)
                }
            };
            for d in 0..n {
                crate::check!(
                    ratio(d) > 0.0 && ratio(d) < 1.0,
                    Value,
                    "{op}: output_ratio must be between 0 and 1, got {}",
                    ratio(d)
                );
            }
            (0..n)
                .map(|d| (space[d] as f64 * ratio(d)) as i64)
                .collect()
        }
        (None, None) => {
            crate::bail!(
                Value,
                "{op} requires specifying either an output_size or an output_ratio"
            )
        }
    };
    const AXES: [&str; 3] = ["time", "height", "width"];
    for d in 0..n {
        crate::check!(
            out[d] > 0 && window[d] > 0,
            Runtime,
            "{op}: sizes must be positive, got output_size {}",
            out[d]
        );
        crate::check!(
            out[d] + window[d] - 1 <= space[d] as i64,
            Runtime,
            "{op}(): pool {} {} too large relative to input {} {}",
            AXES[3 - n + d],
            window[d],
            AXES[3 - n + d],
            space[d]
        );
    }
    let batch = if lead == 2 { x.sizes()[0] } else { 1 };
    let channels = x.sizes()[lead - 1];
    let samples = match a.opt_tensor(5) {
        Some(t) => t.clone(),
        None => {
            let t = Tensor::empty(&[batch, channels, n], x.dtype(), x.device())?;
            let generator = super::random::default_generator();
            let mut generator = generator.lock().unwrap_or_else(|e| e.into_inner());
            choose!(op, x.dtype(), floats, T => {
                crate::random::uniform::<T>(&mut generator, fill_slice::<T>(&t)?, 0.0, 1.0)
            });
            t
        }
    };
    crate::check!(
        samples.ndim() == 3 && samples.sizes()[0] >= batch && samples.sizes()[1..] == [channels, n],
        Runtime,
        "Expect _random_samples to have size [{batch}, {channels}, {n}], got {}",
        shape::list(samples.sizes())
    );
    let samples = samples.to_vec::<f64>()?;
    let mut sizes: Sizes = SmallVec::from_slice(&x.sizes()[..lead]);
    sizes.extend(out.iter().map(|&o| o as usize));
    let result = Tensor::empty(&sizes, x.dtype(), x.device())?;
    let indices = Tensor::empty(&sizes, DType::I64, x.device())?;
    let data = x.detach().contiguous()?;
    // Two axes take their samples in the order width, height; three in the order time, height, width.
    let sample_of = |plane: usize, d: usize| samples[plane * n + if n == 2 { 1 - d } else { d }];
    let (per_in, per_out): (usize, usize) = (
        space.iter().product(),
        out.iter().map(|&o| o as usize).product(),
    );
    choose!(op, x.dtype(), floats, T => {
        use crate::cpu::element::Ordered;
        let (src, dst, at) = (data.as_slice::<T>()?, fill_slice::<T>(&result)?, fill_slice::<i64>(&indices)?);
        for plane in 0..batch * channels {
            let mut starts: [Vec<usize>; 3] = [vec![0], vec![0], vec![0]];
            let mut extent = [1usize; 3];
            let mut size = [1usize; 3];
            for d in 0..n {
                let k = 3 - n + d;
                starts[k] =
                    fractional_starts::<T>(space[d], out[d] as usize, window[d] as usize, sample_of(plane, d))?;
                extent[k] = window[d] as usize;
                size[k] = space[d];
            }
            let x = &src[plane * per_in..(plane + 1) * per_in];
            let mut o = plane * per_out;
            for &z in &starts[0] {
                for &y in &starts[1] {
                    for &w in &starts[2] {
                        let (mut best, mut place) = (T::LOWEST, usize::MAX);
                        for i in z..z + extent[0] {
                            for j in y..y + extent[1] {
                                for k in w..w + extent[2] {
                                    let p = (i * size[1] + j) * size[2] + k;
                                    if place == usize::MAX || x[p].greater(best) || Ordered::is_nan(x[p]) {
                                        (best, place) = (x[p], p);
                                    }
                                }
                            }
                        }
                        (dst[o], at[o]) = (best, place as i64);
                        o += 1;
                    }
                }
            }
        }
    });
    record_choice(
        if n == 2 {
            "FractionalMaxPool2DBackward0"
        } else {
            "FractionalMaxPool3DBackward0"
        },
        &x,
        &result,
        &indices,
        n,
    );
    Ok((result, indices))
}

/// A pair of results, or the first alone.
fn maybe_indices((out, indices): (Tensor, Tensor), both: bool) -> Value {
    if both {
        Value::Tuple(vec![out, indices])
    } else {
        out.into()
    }
}

macro_rules! pools {
    ($($n:literal $max:ident $max_with:ident $avg:ident $adaptive_avg:ident $adaptive_max:ident $adaptive_max__:ident
       $unpool:ident $lp:ident $max_schema:literal $with_schema:literal $avg_schema:literal $size_schema:literal
       $max_size_schema:literal $unpool_schema:literal $lp_schema:literal;)*) => { $(
        op! {
            /// Returns the maximum of every window.
            ///
            /// Args:
            ///     input: of size (batch, channels, *space); the batch may be missing.
            ///     kernel_size, stride, padding, dilation: one number or one per spatial axis; the stride defaults to the
            ///         kernel size. Padding counts as minus infinity.
            ///     ceil_mode: also take a last window that is only partly inside.
            ///     return_indices: also return where in its plane each maximum lies.
            $max, in [NN, TORCH] {
                $max_schema => |a| Ok(maybe_indices(max_pool(stringify!($max), $n, a)?, a.bool(6))),
            }
        }
        op! {
            /// Returns the maximum of every window and where in its plane it lies.
            $max_with, in [TORCH] {
                $with_schema => |a| max_pool(stringify!($max), $n, a),
            }
        }
        op! {
            /// Returns the average of every window.
            ///
            /// Args:
            ///     input: of size (batch, channels, *space); the batch may be missing.
            ///     kernel_size, stride, padding: one number or one per spatial axis.
            ///     ceil_mode: also take a last window that is only partly inside.
            ///     count_include_pad: whether padding counts as zeros or not at all.
            ///     divisor_override: divide by this number instead.
            $avg, in [NN, TORCH]; out {
                $avg_schema => |a| avg_pool(stringify!($avg), $n, a),
            }
        }
        op! {
            /// Returns averages over windows that cover the input for a given output size.
            $adaptive_avg, in [NN, TORCH] {
                $size_schema => |a| adaptive_avg_pool(stringify!($adaptive_avg), $n, a),
            }
        }
        op! {
            /// Returns maxima over windows that cover the input for a given output size, and on request where they lie.
            $adaptive_max, in [NN] {
                $max_size_schema => |a| {
                    Ok(maybe_indices(adaptive_max_pool(stringify!($adaptive_max), $n, a)?, a.bool(2)))
                },
            }
        }
        op! {
            /// Returns maxima over windows that cover the input for a given output size, and where they lie.
            $adaptive_max__, in [TORCH] {
                $size_schema => |a| adaptive_max_pool(stringify!($adaptive_max), $n, a),
            }
        }
        op! {
            /// Puts every element at its index in a plane of zeros: the inverse of max pooling with indices.
            $unpool, in [NN] {
                $unpool_schema => |a| max_unpool($n, a),
            }
        }
        op! {
            /// Returns the p-norm of every window.
            $lp, in [NN] {
                $lp_schema => |a| lp_pool($n, a),
            }
        }
    )* };
}
pools! {
    1 max_pool1d max_pool1d_with_indices avg_pool1d adaptive_avg_pool1d adaptive_max_pool1d adaptive_max_pool1d__
      max_unpool1d lp_pool1d
      "(Tensor input, int[1] kernel_size, int[1]? stride=[], int[1] padding=0, int[1] dilation=1, bool ceil_mode=False, bool return_indices=False) -> Tensor"
      "(Tensor input, int[1] kernel_size, int[1]? stride=[], int[1] padding=0, int[1] dilation=1, bool ceil_mode=False) -> (Tensor, Tensor)"
      "(Tensor input, int[1] kernel_size, int[1]? stride=[], int[1] padding=0, bool ceil_mode=False, bool count_include_pad=True) -> Tensor"
      "(Tensor input, int[1] output_size) -> Tensor"
      "(Tensor input, int[1] output_size, bool return_indices=False) -> Tensor"
      "(Tensor input, Tensor indices, int[1] kernel_size, int[1]? stride=[], int[1] padding=0, int[]? output_size=None) -> Tensor"
      "(Tensor input, Scalar norm_type, int[1] kernel_size, int[1]? stride=[], bool ceil_mode=False) -> Tensor";
    2 max_pool2d max_pool2d_with_indices avg_pool2d adaptive_avg_pool2d adaptive_max_pool2d adaptive_max_pool2d__
      max_unpool2d lp_pool2d
      "(Tensor input, int[2] kernel_size, int[2]? stride=[], int[2] padding=0, int[2] dilation=1, bool ceil_mode=False, bool return_indices=False) -> Tensor"
      "(Tensor input, int[2] kernel_size, int[2]? stride=[], int[2] padding=0, int[2] dilation=1, bool ceil_mode=False) -> (Tensor, Tensor)"
      "(Tensor input, int[2] kernel_size, int[2]? stride=[], int[2] padding=0, bool ceil_mode=False, bool count_include_pad=True, int? divisor_override=None) -> Tensor"
      "(Tensor input, int[2] output_size) -> Tensor"
      "(Tensor input, int[2] output_size, bool return_indices=False) -> Tensor"
      "(Tensor input, Tensor indices, int[2] kernel_size, int[2]? stride=[], int[2] padding=0, int[]? output_size=None) -> Tensor"
      "(Tensor input, Scalar norm_type, int[2] kernel_size, int[2]? stride=[], bool ceil_mode=False) -> Tensor";
    3 max_pool3d max_pool3d_with_indices avg_pool3d adaptive_avg_pool3d adaptive_max_pool3d adaptive_max_pool3d__
      max_unpool3d lp_pool3d
      "(Tensor input, int[3] kernel_size, int[3]? stride=[], int[3] padding=0, int[3] dilation=1, bool ceil_mode=False, bool return_indices=False) -> Tensor"
      "(Tensor input, int[3] kernel_size, int[3]? stride=[], int[3] padding=0, int[3] dilation=1, bool ceil_mode=False) -> (Tensor, Tensor)"
      "(Tensor input, int[3] kernel_size, int[3]? stride=[], int[3] padding=0, bool ceil_mode=False, bool count_include_pad=True, int? divisor_override=None) -> Tensor"
      "(Tensor input, int[3] output_size) -> Tensor"
      "(Tensor input, int[3] output_size, bool return_indices=False) -> Tensor"
      "(Tensor input, Tensor indices, int[3] kernel_size, int[3]? stride=[], int[3] padding=0, int[]? output_size=None) -> Tensor"
      "(Tensor input, Scalar norm_type, int[3] kernel_size, int[3]? stride=[], bool ceil_mode=False) -> Tensor";
}
op! {
    /// Max pooling over windows at random places, for a given output size or ratio (Graham, 2014).
    fractional_max_pool2d, in [NN] {
        "(Tensor input, int[2] kernel_size, int[2]? output_size=None, float[]? output_ratio=None, bool return_indices=False, Tensor? _random_samples=None) -> Tensor" =>
            |a| Ok(maybe_indices(fractional_max_pool(2, a)?, a.bool(4))),
    }
}
op! {
    /// Max pooling over boxes at random places, for a given output size or ratio (Graham, 2014).
    fractional_max_pool3d, in [NN] {
        "(Tensor input, int[3] kernel_size, int[3]? output_size=None, float[]? output_ratio=None, bool return_indices=False, Tensor? _random_samples=None) -> Tensor" =>
            |a| Ok(maybe_indices(fractional_max_pool(3, a)?, a.bool(4))),
    }
}
op! {
    /// Returns the windows of a batch of images as columns, (batch, channels * taps, places).
    unfold__, in [NN] {
        "(Tensor input, int[2] kernel_size, int[2] dilation=1, int[2] padding=0, int[2] stride=1) -> Tensor" =>
            |a| unfold_images(&a.tensor(0), a),
    }
}
op! {
    /// Adds columns of windows up into images of `output_size`: the transpose of `unfold`.
    fold, in [NN] {
        "(Tensor input, int[2] output_size, int[2] kernel_size, int[2] dilation=1, int[2] padding=0, int[2] stride=1) -> Tensor" =>
            |a| fold_images(&a.tensor(0), a),
    }
}

#[rustfmt::skip]
pub static ROWS: &[&crate::ops::OpDef] = &[
    &max_pool1d::DEF, &max_pool2d::DEF, &max_pool3d::DEF,
    &max_pool1d_with_indices::DEF, &max_pool2d_with_indices::DEF, &max_pool3d_with_indices::DEF,
    &avg_pool1d::DEF, &avg_pool2d::DEF, &avg_pool3d::DEF,
    &adaptive_avg_pool1d::DEF, &adaptive_avg_pool2d::DEF, &adaptive_avg_pool3d::DEF,
    &adaptive_max_pool1d::DEF, &adaptive_max_pool2d::DEF, &adaptive_max_pool3d::DEF,
    &adaptive_max_pool1d__::DEF, &adaptive_max_pool2d__::DEF, &adaptive_max_pool3d__::DEF,
    &max_unpool1d::DEF, &max_unpool2d::DEF, &max_unpool3d::DEF,
    &lp_pool1d::DEF, &lp_pool2d::DEF, &lp_pool3d::DEF,
    &fractional_max_pool2d::DEF, &fractional_max_pool3d::DEF, &unfold__::DEF, &fold::DEF,
];
