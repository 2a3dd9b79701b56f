//! Convolutions, plain and transposed, with derivatives of any order.

use crate::autograd::{self, Saved, engine::grads, record};
use crate::cpu::conv::{self, ConvShape, conv_transpose_output_size};
use crate::error::Result;
use crate::ops::args::Args;
use crate::scalar::Element;
use crate::shape::{self, Sizes};
use crate::tensor::Tensor;
use smallvec::SmallVec;

type Spatial = SmallVec<[usize; 3]>;

/// Everything about a convolution but its tensors. Lists have one entry per spatial axis.
#[derive(Clone, Debug)]
pub struct Conv {
    pub stride: Spatial,
    pub padding: Spatial,
    pub dilation: Spatial,
    pub output_padding: Spatial,
    pub transposed: bool,
    pub groups: usize,
}

/// The elements of a new contiguous tensor, for a kernel to fill.
#[allow(clippy::mut_from_ref)] // a tensor is a handle: the memory behind it is written through any of them
pub fn fill_slice<T: Element>(t: &Tensor) -> Result<&mut [T]> {
    let n = t.as_slice::<T>()?.len();
    // SAFETY: contiguous elements of this dtype, as just checked; the callers hold the only handle to new memory.
    Ok(unsafe { std::slice::from_raw_parts_mut(t.data_ptr() as *mut T, n) })
}

/// Repeats a single value for every spatial axis; other lengths are an error.
fn spread(name: &str, values: &[i64], n: usize) -> Result<SmallVec<[i64; 3]>> {
    // Window arithmetic adds and multiplies these; beyond 31 bits no tensor could answer.
    for &v in values {
        crate::check!(
            v.unsigned_abs() <= i32::MAX as u64,
            Runtime,
            "{name} is out of range: got {v}"
        );
    }
    match values.len() {
        1 => Ok(SmallVec::from_elem(values[0], n)),
        len if len == n => Ok(SmallVec::from_slice(values)),
        _ => crate::bail!(
            Runtime,
            "expected {name} to be a single integer value or a list of {n} values to match the convolution dimensions, but \
             got {name}={}",
            shape::list(values)
        ),
    }
}

fn by(sizes: &[i64]) -> String {
    sizes
        .iter()
        .map(|s| s.to_string())
        .collect::<Vec<_>>()
        .join(" x ")
}

impl Conv {
    /// Checks a user's arguments for a weight with `n` spatial axes.
    #[allow(clippy::too_many_arguments)] // the arguments of a convolution
    pub fn new(
        n: usize,
        stride: &[i64],
        padding: &[i64],
        dilation: &[i64],
        output_padding: &[i64],
        transposed: bool,
        groups: i64,
    ) -> Result<Conv> {
        let stride = spread("stride", stride, n)?;
        let padding = spread("padding", padding, n)?;
        let dilation = spread("dilation", dilation, n)?;
        let output_padding = spread("output_padding", output_padding, n)?;
        crate::check!(
            padding.iter().all(|&p| p >= 0),
            Runtime,
            "negative padding is not supported"
        );
        crate::check!(
            output_padding.iter().all(|&p| p >= 0),
            Runtime,
            "negative output_padding is not supported"
        );
        crate::check!(
            stride.iter().all(|&s| s > 0),
            Runtime,
            "non-positive stride is not supported"
        );
        crate::check!(
            dilation.iter().all(|&d| d > 0),
            Runtime,
            "dilation should be greater than zero, but got {}",
            shape::list(&dilation)
        );
        crate::check!(groups > 0, Runtime, "non-positive groups is not supported");
        let to = |v: &[i64]| -> Spatial { v.iter().map(|&v| v as usize).collect() };
        Ok(Conv {
            stride: to(&stride),
            padding: to(&padding),
            dilation: to(&dilation),
            output_padding: to(&output_padding),
            transposed,
            groups: groups as usize,
        })
    }

    /// Checks the tensors against one another and returns the kernel's shape and the sizes of the result.
    fn shape(
        &self,
        input: &Tensor,
        weight: &Tensor,
        bias: Option<&[usize]>,
    ) -> Result<(ConvShape, Sizes)> {
        let (x, w) = (input.sizes(), weight.sizes());
        let n = w.len() - 2;
        let groups = self.groups;
        // Too many groups are refused below.
        let all = w[1].saturating_mul(groups);
        let (expect_in, out_channels) = if self.transposed {
            (w[0], all)
        } else {
            (all, w[0])
        };
        let given = if self.transposed {
            "Given transposed=1".to_string()
        } else {
            format!("Given groups={groups}")
        };
        crate::check!(
            w[0] >= groups,
            Runtime,
            "Given groups={groups}, expected weight to be at least {groups} at dimension 0, but got weight of size {} instead",
            shape::list(w)
        );
        crate::check!(
            w[0] % groups == 0,
            Runtime,
            "Given groups={groups}, expected weight to be divisible by {groups} at dimension 0, but got weight of size [{}] \
             instead",
            shape::list(w)
        );
        crate::check!(
            x[1] == expect_in,
            Runtime,
            "{given}, weight of size {}, expected input{} to have {expect_in} channels, but got {} channels instead",
            shape::list(w),
            shape::list(x),
            x[1]
        );
        if let Some(b) = bias {
            crate::check!(
                b == [out_channels],
                Runtime,
                "{}weight of size {}, expected bias to be 1-dimensional with {out_channels} elements, but got bias of size {} \
                 instead",
                if self.transposed {
                    "Given transposed=1, "
                } else {
                    "Given "
                },
                shape::list(w),
                shape::list(b)
            );
        }
        let kernel = &w[2..];
        let mut sizes: Sizes = SmallVec::from_slice(&[x[0], out_channels]);
        if self.transposed {
            let out: Vec<i64> = (0..n)
                .map(|d| {
                    conv_transpose_output_size(
                        x[d + 2],
                        kernel[d],
                        self.stride[d],
                        self.padding[d],
                        self.output_padding[d],
                        self.dilation[d],
                    )
                })
                .collect();
            let small: Vec<i64> = x[2..].iter().map(|&s| s as i64).collect();
            crate::check!(
                out.iter().all(|&s| s > 0),
                Runtime,
                "Given input size per channel: ({}). Calculated output size per channel: ({}). Output size is too small",
                by(&small),
                by(&out)
            );
            for d in 0..n {
                let o = self.output_padding[d];
                crate::check!(
                    o < self.stride[d] || o < self.dilation[d],
                    Runtime,
                    "output padding must be smaller than either stride or dilation, but got output_padding: {} stride: {} \
                     dilation: {}",
                    shape::list(&self.output_padding),
                    shape::list(&self.stride),
                    shape::list(&self.dilation)
                );
            }
            sizes.extend(out.iter().map(|&s| s as usize));
            let s = ConvShape::new(
                x[0],
                out_channels,
                w[0],
                groups,
                &sizes[2..],
                kernel,
                &self.stride,
                &self.padding,
                &self.dilation,
            );
            return Ok((s.with_output(&x[2..]), sizes));
        }
        let padded: Vec<i64> = (0..n)
            .map(|d| (x[d + 2] + 2 * self.padding[d]) as i64)
            .collect();
        let reach: Vec<i64> = (0..n)
            .map(|d| (self.dilation[d] * kernel[d].saturating_sub(1) + 1) as i64)
            .collect();
        crate::check!(
            padded.iter().zip(&reach).all(|(p, r)| p >= r) && kernel.iter().all(|&k| k > 0),
            Runtime,
            "Calculated padded input size per channel: ({}). Kernel size: ({}). Kernel size can't be greater than actual input \
             size",
            by(&padded),
            by(&reach)
        );
        let s = ConvShape::new(
            x[0],
            x[1],
            w[0],
            groups,
            &x[2..],
            kernel,
            &self.stride,
            &self.padding,
            &self.dilation,
        );
        sizes.extend_from_slice(&s.output[3 - n..]);
        Ok((s, sizes))
    }
}

const NAMES: [&str; 4] = [
    "slow_conv",
    "slow_conv2d_cpu",
    "slow_conv2d_cpu",
    "slow_conv3d_cpu",
];

/// The convolution of a batch: `input` [batch, channels, space], `weight` with as many spatial axes.
pub fn convolution(
    input: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    conv: &Conv,
) -> Result<Tensor> {
    input.need_cpu("convolution")?;
    crate::check!(
        input.dtype() == weight.dtype(),
        Runtime,
        "expected scalar type {} but found {}",
        input.dtype().scalar_name(),
        weight.dtype().scalar_name()
    );
    if let Some(b) = bias {
        crate::check!(
            b.dtype() == input.dtype(),
            Runtime,
            "Input type ({}) and bias type ({}) should be the same",
            input.dtype().native_name(),
            b.dtype().native_name()
        );
    }
    input.same_device(weight)?;
    let (s, sizes) = conv.shape(input, weight, bias.map(|b| b.sizes()))?;
    let out = Tensor::empty(&sizes, input.dtype(), input.device())?;
    let (x, w) = (input.detach().contiguous()?, weight.detach().contiguous()?);
    let b = bias.map(|b| b.detach().contiguous()).transpose()?;
    crate::dispatch_of!(NAMES[sizes.len() - 2], input.dtype(), numbers, T => {
        let (x, w, y) = (x.as_slice::<T>()?, w.as_slice::<T>()?, fill_slice::<T>(&out)?);
        let b = b.as_ref().map(|b| b.as_slice::<T>()).transpose()?;
        if conv.transposed {
            conv::backward_input(&s, x, w, y);
            if let Some(b) = b {
                conv::add_bias(s.batch, s.in_channels, s.pixels_in(), b, y);
            }
        } else {
            conv::forward(&s, x, w, b, y);
        }
    });
    let inputs: SmallVec<[&Tensor; 3]> = [Some(input), Some(weight), bias]
        .into_iter()
        .flatten()
        .collect();
    if autograd::needs_grad(&inputs) {
        let (xs, ws) = (Saved::input(input), Saved::input(weight));
        let (conv, count) = (conv.clone(), inputs.len());
        record("ConvolutionBackward0", &inputs, &[&out], move |g| {
            let needs = [g.needs(0), g.needs(1), g.needs(2)];
            let found = backward(
                &g.get(0)?,
                &xs.get(g)?.conj()?,
                &ws.get(g)?.conj()?,
                &conv,
                needs,
            )?;
            Ok(found.into_iter().take(count).collect())
        });
    }
    Ok(out)
}

/// The gradients of input, weight and bias, where `needs` asks for them: bilinear in the gradient and the other factor.
fn backward(
    g: &Tensor,
    input: &Tensor,
    weight: &Tensor,
    conv: &Conv,
    needs: [bool; 3],
) -> Result<[Option<Tensor>; 3]> {
    let (s, _) = conv.shape(input, weight, None)?;
    let dtype = input.dtype();
    let grad = g.detach().to_dtype(dtype)?.contiguous()?;
    let (x, w) = (input.detach().contiguous()?, weight.detach().contiguous()?);
    let channels = grad.sizes()[1];
    let made = |need: bool, sizes: &[usize]| -> Result<Option<Tensor>> {
        if need {
            Tensor::empty(sizes, dtype, input.device()).map(Some)
        } else {
            Ok(None)
        }
    };
    let out = [
        made(needs[0], x.sizes())?,
        made(needs[1], w.sizes())?,
        made(needs[2], &[channels])?,
    ];
    crate::dispatch_of!("convolution_backward", dtype, numbers, T => {
        let (g, x, w) = (grad.as_slice::<T>()?, x.as_slice::<T>()?, w.as_slice::<T>()?);
        if let Some(t) = &out[0] {
            let t = fill_slice::<T>(t)?;
            if conv.transposed { conv::forward(&s, g, w, None, t) } else { conv::backward_input(&s, g, w, t) }
        }
        if let Some(t) = &out[1] {
            let t = fill_slice::<T>(t)?;
            if conv.transposed { conv::backward_weight(&s, g, x, t) } else { conv::backward_weight(&s, x, g, t) }
        }
        if let Some(t) = &out[2] {
            let pixels = grad.sizes()[2..].iter().product();
            conv::channel_sums(grad.sizes()[0], channels, pixels, g, fill_slice::<T>(t)?);
        }
    });
    if autograd::needs_grad(&[g, input, weight]) {
        let saved = [Saved::input(g), Saved::input(input), Saved::input(weight)];
        let outputs: SmallVec<[&Tensor; 3]> = out.iter().flatten().collect();
        let conv = conv.clone();
        record(
            "ConvolutionBackwardBackward0",
            &[g, input, weight],
            &outputs,
            move |h| {
                // Which of the node's outputs each gradient is.
                let mut next = 0;
                let mut given: [Option<Tensor>; 3] = Default::default();
                for (slot, need) in given.iter_mut().zip(needs) {
                    if need {
                        *slot = h.opt(next);
                        next += 1;
                    }
                }
                let [to_x, to_w, to_b] = given;
                let (grad, x, w) = (saved[0].get(h)?, saved[1].get(h)?, saved[2].get(h)?);
                let first = h.when(0, || {
                    let mut sum: Option<Tensor> = None;
                    let mut add = |t: Tensor| -> Result<()> {
                        sum = Some(match &sum {
                            None => t,
                            Some(s) => s.add(&t)?,
                        });
                        Ok(())
                    };
                    if let Some(v) = &to_x {
                        add(convolution(v, &w.conj()?, None, &conv)?)?;
                    }
                    if let Some(v) = &to_w {
                        add(convolution(&x.conj()?, v, None, &conv)?)?;
                    }
                    if let Some(v) = &to_b {
                        let mut sizes: SmallVec<[i64; 6]> = SmallVec::from_elem(1, grad.ndim());
                        sizes[1] = -1;
                        add(v.reshape(&sizes)?.expand_to(grad.sizes())?)?;
                    }
                    match sum {
                        Some(s) => Ok(s),
                        None => Tensor::zeros(grad.sizes(), grad.dtype(), grad.device()),
                    }
                })?;
                let conjugate = grad.conj()?;
                let second = match (&to_w, h.needs(1)) {
                    (Some(v), true) => {
                        backward(&conjugate, &x, v, &conv, [true, false, false])?[0].clone()
                    }
                    _ => None,
                };
                let third = match (&to_x, h.needs(2)) {
                    (Some(v), true) => {
                        backward(&conjugate, v, &w, &conv, [false, true, false])?[1].clone()
                    }
                    _ => None,
                };
                grads([first, second, third])
            },
        );
    }
    Ok(out)
}

/// A convolution of `n` spatial axes as users call it: the batch axis may be missing.
fn call(
    name: &str,
    n: usize,
    input: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    make: impl FnOnce(usize) -> Result<Conv>,
) -> Result<Tensor> {
    let batched = input.ndim() == n + 2;
    crate::check!(
        batched || input.ndim() == n + 1,
        Runtime,
        "Expected {}D (unbatched) or {}D (batched) input to {name}, but got input of size: {}",
        n + 1,
        n + 2,
        shape::list(input.sizes())
    );
    crate::check!(
        weight.ndim() > 2,
        Runtime,
        "weight should have at least three dimensions"
    );
    let conv = make(weight.ndim() - 2)?;
    crate::check!(
        weight.ndim() == n + 2,
        Runtime,
        "Expected {}-dimensional input for {}-dimensional weight {}, but got {}-dimensional input of size {} instead",
        weight.ndim(),
        weight.ndim(),
        shape::list(weight.sizes()),
        input.ndim(),
        shape::list(input.sizes())
    );
    if batched {
        return convolution(input, weight, bias, &conv);
    }
    convolution(&input.unsqueeze(0)?, weight, bias, &conv)?.squeeze_dims(&[0])
}

fn plain(name: &str, n: usize, a: &Args) -> Result<Tensor> {
    call(name, n, &a.tensor(0), &a.tensor(1), a.opt_tensor(2), |n| {
        Conv::new(n, a.ints(3), a.ints(4), a.ints(5), &[0], false, a.int(6))
    })
}

fn transposed(name: &str, n: usize, a: &Args) -> Result<Tensor> {
    call(name, n, &a.tensor(0), &a.tensor(1), a.opt_tensor(2), |n| {
        Conv::new(
            n,
            a.ints(3),
            a.ints(4),
            a.ints(7),
            a.ints(5),
            true,
            a.int(6),
        )
    })
}

/// `padding="valid"` or `"same"`: the latter keeps the size, with the odd pixel of padding at the end.
fn named(name: &str, n: usize, a: &Args) -> Result<Tensor> {
    let (input, weight) = (a.tensor(0), a.tensor(1));
    match a.str(4) {
        "valid" => call(name, n, &input, &weight, a.opt_tensor(2), |n| {
            Conv::new(n, a.ints(3), &[0], a.ints(5), &[0], false, a.int(6))
        }),
        "same" => {
            let stride = spread("stride", a.ints(3), n)?;
            crate::check!(
                stride.iter().all(|&s| s == 1),
                Runtime,
                "padding='same' is not supported for strided convolutions"
            );
            let dilation = spread("dilation", a.ints(5), n)?;
            crate::check!(
                weight.ndim() == n + 2,
                Runtime,
                "weight should have {} dimensions, got {}",
                n + 2,
                weight.ndim()
            );
            let total: Vec<i64> = (0..n)
                .map(|d| dilation[d] * (weight.sizes()[d + 2] as i64 - 1))
                .collect();
            let padding: Vec<i64> = total.iter().map(|t| (t + 1) / 2).collect();
            let mut out = call(name, n, &input, &weight, a.opt_tensor(2), |n| {
                Conv::new(n, &stride, &padding, &dilation, &[0], false, a.int(6))
            })?;
            // Uneven padding: padded more at the start too, the first result is one too many.
            for (d, t) in total.iter().enumerate() {
                if t % 2 == 1 {
                    let axis = out.ndim() - n + d;
                    let len = out.sizes()[axis] as i64 - 1;
                    out = out.narrow(axis as i64, 1, len)?;
                }
            }
            out.contiguous()
        }
        other => crate::bail!(Runtime, "Invalid padding string: '{other}'"),
    }
}

/// Whether halves and other dtypes agree is checked by `convolution`; this only names the axes.
fn tbc(input: &Tensor, weight: &Tensor, bias: &Tensor, padding: i64) -> Result<Tensor> {
    crate::check!(
        input.ndim() == 3,
        Runtime,
        "Input must have 3 dims: time, batch, in_channel"
    );
    crate::check!(
        weight.ndim() == 3,
        Runtime,
        "Weight tensor must have 3 dims: kernel_width, in_channels, out_channels."
    );
    crate::check!(bias.ndim() == 1, Runtime, "Bias must be 1-D");
    let conv = Conv::new(1, &[1], &[padding], &[1], &[0], false, 1)?;
    convolution(
        &input.permute(&[1, 2, 0])?,
        &weight.permute(&[2, 1, 0])?,
        Some(bias),
        &conv,
    )?
    .permute(&[2, 0, 1])?
    .contiguous()
}

/// `torch.convolution`.
fn general(a: &Args) -> Result<Tensor> {
    let (input, weight) = (a.tensor(0), a.tensor(1));
    crate::check!(
        weight.ndim() > 2,
        Runtime,
        "weight should have at least three dimensions"
    );
    let n = weight.ndim() - 2;
    call("convolution", n, &input, &weight, a.opt_tensor(2), |n| {
        Conv::new(
            n,
            a.ints(3),
            a.ints(4),
            a.ints(5),
            a.ints(7),
            a.bool(6),
            a.int(8),
        )
    })
}

macro_rules! convolutions {
    ($($name:ident, $transposed:ident, $n:literal, $schema:literal, $named:literal, $transposed_schema:literal;)*) => { $(
        op! {
            /// Convolves `input` with `weight`, summing over the input channels of each group.
            ///
            /// Args:
            ///     input: of size (batch, in_channels, *space); the batch may be missing.
            ///     weight: of size (out_channels, in_channels / groups, *kernel).
            ///     bias: of size (out_channels).
            ///     stride, padding, dilation: one number or one per spatial axis; padding may be "valid" or "same".
            ///     groups: how many groups of channels are convolved apart.
            $name, in [NN, TORCH] {
                $schema => |a| plain(stringify!($name), $n, a),
                $named => |a| named(stringify!($name), $n, a),
            }
        }
        op! {
            /// Applies the transpose of a convolution: every pixel of `input` spreads over a window of the result.
            ///
            /// Args:
            ///     input: of size (batch, in_channels, *space); the batch may be missing.
            ///     weight: of size (in_channels, out_channels / groups, *kernel).
            ///     bias: of size (out_channels).
            ///     stride, padding, dilation: those of the convolution this is the transpose of.
            ///     output_padding: pixels added at the end of the result, below stride or dilation.
            $transposed, in [NN, TORCH] {
                $transposed_schema => |a| transposed(stringify!($transposed), $n, a),
            }
        }
    )* };
}
convolutions! {
    conv1d, conv_transpose1d, 1,
    "(Tensor input, Tensor weight, Tensor? bias=None, int[1] stride=1, int[1] padding=0, int[1] dilation=1, int groups=1) -> Tensor",
    "(Tensor input, Tensor weight, Tensor? bias=None, int[1] stride=1, str padding=\"valid\", int[1] dilation=1, int groups=1) -> Tensor",
    "(Tensor input, Tensor weight, Tensor? bias=None, int[1] stride=1, int[1] padding=0, int[1] output_padding=0, int groups=1, int[1] dilation=1) -> Tensor";
    conv2d, conv_transpose2d, 2,
    "(Tensor input, Tensor weight, Tensor? bias=None, int[2] stride=1, int[2] padding=0, int[2] dilation=1, int groups=1) -> Tensor",
    "(Tensor input, Tensor weight, Tensor? bias=None, int[2] stride=1, str padding=\"valid\", int[2] dilation=1, int groups=1) -> Tensor",
    "(Tensor input, Tensor weight, Tensor? bias=None, int[2] stride=1, int[2] padding=0, int[2] output_padding=0, int groups=1, int[2] dilation=1) -> Tensor";
    conv3d, conv_transpose3d, 3,
    "(Tensor input, Tensor weight, Tensor? bias=None, int[3] stride=1, int[3] padding=0, int[3] dilation=1, int groups=1) -> Tensor",
    "(Tensor input, Tensor weight, Tensor? bias=None, int[3] stride=1, str padding=\"valid\", int[3] dilation=1, int groups=1) -> Tensor",
    "(Tensor input, Tensor weight, Tensor? bias=None, int[3] stride=1, int[3] padding=0, int[3] output_padding=0, int groups=1, int[3] dilation=1) -> Tensor";
}
op! {
    /// Convolves over one to three spatial axes, by the rank of `weight`; `transposed` chooses the transpose.
    convolution, in [TORCH] {
        "(Tensor input, Tensor weight, Tensor? bias, int[] stride, int[] padding, int[] dilation, bool transposed, int[] output_padding, int groups) -> Tensor" => general,
    }
}
op! {
    /// Convolves a sequence of size (time, batch, channels) with a weight of size (width, channels, out_channels).
    conv_tbc, in [TORCH, NN] {
        "(Tensor input, Tensor weight, Tensor bias, int pad=0) -> Tensor" =>
            |a| tbc(&a.tensor(0), &a.tensor(1), &a.tensor(2), a.int(3)),
    }
}

#[rustfmt::skip]
pub static ROWS: &[&crate::ops::OpDef] = &[
    &conv1d::DEF, &conv2d::DEF, &conv3d::DEF, &conv_transpose1d::DEF, &conv_transpose2d::DEF, &conv_transpose3d::DEF,
    &convolution::DEF, &conv_tbc::DEF,
];
