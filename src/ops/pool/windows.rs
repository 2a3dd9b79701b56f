//! The windows of a pooling: its arguments checked, the sizes of its result, the dtypes it takes.

use crate::autograd::{self, GradVec, record};
use crate::cpu::pool::{PoolShape, pool_output_size};
use crate::error::Result;
use crate::shape::{self, Sizes};
use crate::tensor::Tensor;
use smallvec::SmallVec;

/// A checked pooling: the kernel's shape and the sizes of the result.
#[derive(Clone)]
pub(super) struct Windows {
    pub n: usize,
    pub shape: PoolShape,
    pub sizes: Sizes,
}

pub(super) fn times(sizes: impl IntoIterator<Item = i64>) -> String {
    sizes
        .into_iter()
        .map(|s| s.to_string())
        .collect::<Vec<_>>()
        .join("x")
}

/// One number for every axis, or as many as there are axes.
pub(in crate::ops) fn each(
    op: &str,
    name: &str,
    values: &[i64],
    n: usize,
) -> Result<SmallVec<[i64; 3]>> {
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

pub(in crate::ops) fn as_usize(v: &[i64]) -> SmallVec<[usize; 3]> {
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
    pub fn new(
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

pub(super) fn planes_of(t: &Tensor, n: usize) -> usize {
    t.sizes()[..t.ndim() - n].iter().product()
}

/// Records a gradient of a pooling: linear in the gradient `g` it came from, constant in the pooling's input `x`.
pub(super) fn record_second(
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

pub(super) fn check_rank_1d(op: &str, x: &Tensor) -> Result<()> {
    crate::check!(
        x.ndim() == 2 || x.ndim() == 3,
        Runtime,
        "Expected 2 to 3 dimensions, but got {}-dimensional tensor for argument #1 'self' (while checking arguments for {op})",
        x.ndim()
    );
    Ok(())
}

/// The checked sizes of an adaptive pooling: (spatial sizes in, out, all sizes of the result).
pub(super) type Adaptive = ([usize; 3], [usize; 3], Sizes);

pub(super) fn adaptive_sizes(op: &str, n: usize, x: &Tensor, out: &[i64]) -> Result<Adaptive> {
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
