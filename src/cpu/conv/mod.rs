//! Convolutions of one to three dimensions over contiguous batch, channel, space buffers.
//!
//! A convolution is one matrix product per group whose columns are the output pixels of the whole batch: the windows
//! of the input are copied straight into the packed panels of the product (`window.rs`), never into a matrix of their
//! own. Convolutions with one input channel a group have direct loops (`depthwise.rs`).
//!
//! A transposed convolution is [`backward_input`] of the convolution that maps its output to its input, plus
//! [`add_bias`]; its own backward is [`forward`] for the input, and [`backward_weight`] with the roles of input and
//! gradient exchanged.

mod depthwise;
mod window;

use super::element::Acc;
use super::gemm::{Dest, Product, Scratch, Shared, Strided, Use, is_own_acc, product};
use super::parallel::{for_range, num_threads};
use window::{Runs, Window, WindowColumns, WindowRows};

/// The sizes of a convolution. Spaces have three dimensions; those that are missing are leading ones of size 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvShape {
    pub batch: usize,
    pub in_channels: usize,
    pub out_channels: usize,
    pub groups: usize,
    pub input: [usize; 3],
    pub kernel: [usize; 3],
    pub output: [usize; 3],
    pub stride: [usize; 3],
    pub padding: [usize; 3],
    pub dilation: [usize; 3],
}

/// The output size of a convolution along one dimension, negative or zero where the kernel does not fit.
pub fn conv_output_size(
    input: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
    dilation: usize,
) -> i64 {
    let reach = dilation as i64 * (kernel as i64 - 1) + 1;
    (input as i64 + 2 * padding as i64 - reach).div_euclid(stride.max(1) as i64) + 1
}

/// The output size of a transposed convolution along one dimension.
pub fn conv_transpose_output_size(
    input: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
    output_padding: usize,
    dilation: usize,
) -> i64 {
    (input as i64 - 1) * stride as i64 - 2 * padding as i64
        + dilation as i64 * (kernel as i64 - 1)
        + output_padding as i64
        + 1
}

fn spread<const N: usize>(values: &[usize], fill: usize) -> [usize; N] {
    let mut all = [fill; N];
    let missing = N.saturating_sub(values.len());
    all.iter_mut()
        .skip(missing)
        .zip(values)
        .for_each(|(a, v)| *a = *v);
    all
}

impl ConvShape {
    /// The shape of a convolution with one to three spatial dimensions; all slices have that length.
    #[allow(clippy::too_many_arguments)] // the sizes of a convolution
    pub fn new(
        batch: usize,
        in_channels: usize,
        out_channels: usize,
        groups: usize,
        input: &[usize],
        kernel: &[usize],
        stride: &[usize],
        padding: &[usize],
        dilation: &[usize],
    ) -> ConvShape {
        let mut shape = ConvShape {
            batch,
            in_channels,
            out_channels,
            groups,
            input: spread(input, 1),
            kernel: spread(kernel, 1),
            output: [0; 3],
            stride: spread(stride, 1),
            padding: spread(padding, 0),
            dilation: spread(dilation, 1),
        };
        shape.output = std::array::from_fn(|d| {
            let s = &shape;
            conv_output_size(
                s.input[d],
                s.kernel[d],
                s.stride[d],
                s.padding[d],
                s.dilation[d],
            )
            .max(0) as usize
        });
        shape
    }

    /// The same with a given output size: a transposed convolution with output padding has fewer input pixels than
    /// the convolution back would make.
    pub fn with_output(mut self, output: &[usize]) -> ConvShape {
        self.output = spread(output, 1);
        self
    }

    pub fn pixels_in(&self) -> usize {
        self.input.iter().product()
    }
    pub fn pixels_out(&self) -> usize {
        self.output.iter().product()
    }
    pub fn taps(&self) -> usize {
        self.kernel.iter().product()
    }
    pub fn input_len(&self) -> usize {
        self.batch * self.in_channels * self.pixels_in()
    }
    pub fn output_len(&self) -> usize {
        self.batch * self.out_channels * self.pixels_out()
    }
    /// Elements of the weight, `out_channels x in_channels / groups x kernel`.
    pub fn weight_len(&self) -> usize {
        self.out_channels * self.group_in() * self.taps()
    }
    fn group_in(&self) -> usize {
        self.in_channels / self.groups.max(1)
    }
    fn group_out(&self) -> usize {
        self.out_channels / self.groups.max(1)
    }

    fn depthwise(&self) -> bool {
        self.group_in() == 1 && self.group_out() <= 4
    }

    /// A kernel of one tap that visits every pixel once has no need of rows: space is one line.
    fn flattened(mut self) -> ConvShape {
        if self.kernel == [1; 3]
            && self.stride == [1; 3]
            && self.padding == [0; 3]
            && self.input == self.output
        {
            self.input = [1, 1, self.pixels_in()];
            self.output = self.input;
        }
        self
    }

    /// Panics unless the buffers have the sizes of the shape: the kernels below rely on them.
    fn check(&self, input: usize, weight: usize, output: usize) {
        assert!(
            self.groups > 0
                && self.in_channels.is_multiple_of(self.groups)
                && self.out_channels.is_multiple_of(self.groups)
        );
        assert_eq!(
            (input, weight, output),
            (self.input_len(), self.weight_len(), self.output_len())
        );
    }
}

/// Runs `fill` on sums for `out` and stores them with one rounding: `out` itself where the type keeps its own sums.
fn in_sums<T: Product>(out: &mut [T], fill: impl FnOnce(*mut T::Acc)) {
    if is_own_acc::<T>() {
        return fill(out.as_mut_ptr().cast());
    }
    let sums = Scratch::<T::Acc>::new(Use::Output, out.len());
    fill(sums.ptr());
    let (to, n) = (Shared(out.as_mut_ptr()), out.len());
    for_range(n, 1 << 14, |start, end| {
        let (to, sums) = (&to, &sums);
        for i in start..end {
            // SAFETY: i < n elements of both; blocks are disjoint.
            unsafe { to.0.add(i).write(T::from_acc(*sums.ptr().add(i))) };
        }
    });
}

/// Sets every pixel of channel c to `bias[c]`, or to zero without a bias.
fn preset<T: Product>(shape: &ConvShape, bias: Option<&[T]>, sums: *mut T::Acc) {
    let (channels, pixels) = (shape.out_channels, shape.pixels_out());
    let sums = Shared(sums);
    for_range(
        shape.batch * channels,
        (1 << 14) / pixels.max(1) + 1,
        |start, end| {
            let sums = &sums;
            for plane in start..end {
                let value = bias.map_or(T::Acc::ZERO, |b| b[plane % channels].to_acc());
                for i in 0..pixels {
                    // SAFETY: plane and pixel lie in the output; planes are dealt out to threads.
                    unsafe { sums.0.add(plane * pixels + i).write(value) };
                }
            }
        },
    );
}

/// Calls `f` for each group, on several threads where there are enough groups to fill them.
fn for_groups(groups: usize, f: impl Fn(usize) + Sync) {
    if groups < num_threads() {
        (0..groups).for_each(f);
    } else {
        for_range(groups, 1, |start, end| (start..end).for_each(&f));
    }
}

/// `output = convolution(input, weight) + bias`, every buffer contiguous.
///
/// # Panics
/// If a buffer has not the size the shape gives it.
pub fn forward<T: Product>(
    shape: &ConvShape,
    input: &[T],
    weight: &[T],
    bias: Option<&[T]>,
    output: &mut [T],
) {
    shape.check(input.len(), weight.len(), output.len());
    assert!(bias.is_none_or(|b| b.len() == shape.out_channels));
    if output.is_empty() {
        return;
    }
    in_sums(output, |sums| {
        let s = shape.flattened();
        let depth = s.group_in() * s.taps();
        if s.depthwise() || depth == 0 {
            preset(&s, bias, sums);
            return depthwise::forward(&s, input, weight, sums);
        }
        let beta = if bias.is_some() {
            T::Acc::ONE
        } else {
            T::Acc::ZERO
        };
        if bias.is_some() {
            preset(&s, bias, sums);
        }
        let (pixels, m) = (s.pixels_out(), s.group_out());
        let sums = Shared(sums);
        for_groups(s.groups, |g| {
            let sums = &sums;
            let left = Strided {
                ptr: weight[g * m * depth..].as_ptr(),
                along: 1,
                across: depth as isize,
            };
            let right = WindowRows(Window::new(&s, input, g));
            let dest = Dest {
                ptr: sums.0.wrapping_add(g * m * pixels),
                row: pixels as isize,
                run: pixels,
                jump: (s.out_channels * pixels) as isize,
            };
            // SAFETY: the sizes were checked above; groups write to different channels.
            unsafe {
                product(
                    m,
                    s.batch * pixels,
                    depth,
                    T::Acc::ONE,
                    &left,
                    &right,
                    beta,
                    &dest,
                )
            };
        });
    });
}

/// `grad_input` from the gradient of the output: each pixel spreads its gradient over its window.
///
/// # Panics
/// If a buffer has not the size the shape gives it.
pub fn backward_input<T: Product>(
    shape: &ConvShape,
    grad_output: &[T],
    weight: &[T],
    grad_input: &mut [T],
) {
    shape.check(grad_input.len(), weight.len(), grad_output.len());
    if grad_input.is_empty() {
        return;
    }
    in_sums(grad_input, |sums| {
        let s = shape.flattened();
        if s.depthwise() || grad_output.is_empty() || s.taps() == 0 {
            depthwise::backward_input(&s, grad_output, weight, sums);
        } else if s.stride == [1; 3] && s.group_in() >= 8 {
            turned_input(&s, grad_output, weight, sums);
        } else {
            spread_input(&s, grad_output, weight, sums);
        }
    });
}

/// Stride 1: the gradient is a convolution of the output's gradient with the turned kernel.
fn turned_input<T: Product>(s: &ConvShape, grad_output: &[T], weight: &[T], sums: *mut T::Acc) {
    let (m, group_out, taps) = (s.group_in(), s.group_out(), s.taps());
    let (depth, pixels) = (group_out * taps, s.pixels_in());
    let sums = Shared(sums);
    for_groups(s.groups, |g| {
        let sums = &sums;
        // Row c of the left operand is the taps of all output channels for input channel c.
        let weight = &weight[g * group_out * m * taps..];
        let left = Scratch::<T::Acc>::new(Use::Columns, m * depth);
        for (c, o) in (0..m).flat_map(|c| (0..group_out).map(move |o| (c, o))) {
            for t in 0..taps {
                // SAFETY: c < m, o * taps + t < depth.
                unsafe {
                    left.ptr()
                        .add(c * depth + o * taps + t)
                        .write(weight[(o * m + c) * taps + t].to_acc())
                };
            }
        }
        let left = Strided {
            ptr: left.ptr().cast_const(),
            along: 1,
            across: depth as isize,
        };
        let right = WindowRows(Window::turned(s, grad_output, g));
        let dest = Dest {
            ptr: sums.0.wrapping_add(g * m * pixels),
            row: pixels as isize,
            run: pixels,
            jump: (s.in_channels * pixels) as isize,
        };
        // SAFETY: the caller checked the sizes; groups write to different channels.
        unsafe {
            product(
                m,
                s.batch * pixels,
                depth,
                T::Acc::ONE,
                &left,
                &right,
                T::Acc::ZERO,
                &dest,
            )
        };
    });
}

/// Any stride: one product makes the gradients of all taps, which are then added to the pixels they read.
fn spread_input<T: Product>(s: &ConvShape, grad_output: &[T], weight: &[T], sums: *mut T::Acc) {
    let (group_in, group_out, taps) = (s.group_in(), s.group_out(), s.taps());
    let (depth, pixels_in, pixels_out) = (group_in * taps, s.pixels_in(), s.pixels_out());
    let sums = Shared(sums);
    let image = |i: usize| {
        let sums = &sums;
        let (b, g) = (i / s.groups, i % s.groups);
        let columns = Scratch::<T::Acc>::new(Use::Columns, depth * pixels_out);
        let grad = &grad_output[(b * s.out_channels + g * group_out) * pixels_out..];
        let weight = &weight[g * group_out * depth..];
        let to = sums
            .0
            .wrapping_add((b * s.in_channels + g * group_in) * pixels_in);
        // SAFETY: the caller checked the sizes; images and groups write to different channels.
        unsafe {
            let left = Strided {
                ptr: weight.as_ptr(),
                along: depth as isize,
                across: 1,
            };
            let right = Strided {
                ptr: grad.as_ptr(),
                along: pixels_out as isize,
                across: 1,
            };
            let dest = Dest::matrix(columns.ptr(), pixels_out as isize);
            product(
                depth,
                pixels_out,
                group_out,
                T::Acc::ONE,
                &left,
                &right,
                T::Acc::ZERO,
                &dest,
            );
            for i in 0..group_in * pixels_in {
                to.add(i).write(T::Acc::ZERO);
            }
            window::add_columns(s, group_in, columns.ptr(), to);
        }
    };
    if s.batch * s.groups < num_threads() {
        (0..s.batch * s.groups).for_each(image);
    } else {
        for_range(s.batch * s.groups, 1, |start, end| {
            (start..end).for_each(image)
        });
    }
}

/// The gradient of the weight, summed over the batch.
///
/// # Panics
/// If a buffer has not the size the shape gives it.
pub fn backward_weight<T: Product>(
    shape: &ConvShape,
    input: &[T],
    grad_output: &[T],
    grad_weight: &mut [T],
) {
    shape.check(input.len(), grad_weight.len(), grad_output.len());
    if grad_weight.is_empty() {
        return;
    }
    in_sums(grad_weight, |sums| {
        let s = shape.flattened();
        if s.depthwise() || grad_output.is_empty() || input.is_empty() {
            return depthwise::backward_weight(&s, input, grad_output, sums);
        }
        let (m, depth, pixels) = (s.group_out(), s.group_in() * s.taps(), s.pixels_out());
        let sums = Shared(sums);
        for_groups(s.groups, |g| {
            let sums = &sums;
            let left = Runs {
                ptr: grad_output[g * m * pixels..].as_ptr(),
                run: pixels,
                jump: (s.out_channels * pixels) as isize,
                across: pixels as isize,
            };
            let right = WindowColumns(Window::new(&s, input, g));
            let dest = Dest::matrix(sums.0.wrapping_add(g * m * depth), depth as isize);
            // SAFETY: the sizes were checked above; groups write to different rows.
            unsafe {
                product(
                    m,
                    depth,
                    s.batch * pixels,
                    T::Acc::ONE,
                    &left,
                    &right,
                    T::Acc::ZERO,
                    &dest,
                )
            };
        });
    });
}

/// The gradient of the bias: the sum of each channel of the output's gradient.
///
/// # Panics
/// If a buffer has not the size the shape gives it.
pub fn backward_bias<T: Product>(shape: &ConvShape, grad_output: &[T], grad_bias: &mut [T]) {
    channel_sums(
        shape.batch,
        shape.out_channels,
        shape.pixels_out(),
        grad_output,
        grad_bias,
    );
}

/// `sums[c]`: the sum of channel c of a `batch x channels x pixels` buffer.
///
/// # Panics
/// If a buffer has not the size the arguments give it.
pub fn channel_sums<T: Product>(
    batch: usize,
    channels: usize,
    pixels: usize,
    values: &[T],
    sums: &mut [T],
) {
    assert_eq!(
        (values.len(), sums.len()),
        (batch * channels * pixels, channels)
    );
    let to = Shared(sums.as_mut_ptr());
    for_range(
        channels,
        (1 << 15) / (batch * pixels).max(1) + 1,
        |start, end| {
            let to = &to;
            for c in start..end {
                let mut total = T::Acc::ZERO;
                for b in 0..batch {
                    let plane = &values[(b * channels + c) * pixels..][..pixels];
                    // Sixteen sums side by side keep the error small and the loop wide.
                    let mut parts = [T::Acc::ZERO; 16];
                    for chunk in plane.chunks(16) {
                        parts
                            .iter_mut()
                            .zip(chunk)
                            .for_each(|(p, v)| *p = p.add(v.to_acc()));
                    }
                    total = total.add(parts.iter().fold(T::Acc::ZERO, |s, p| s.add(*p)));
                }
                // SAFETY: channel c of the result; channels are dealt out to threads.
                unsafe { to.0.add(c).write(T::from_acc(total)) };
            }
        },
    );
}

/// Adds `bias[c]` to every pixel of channel c of a `batch x channels x pixels` buffer.
///
/// # Panics
/// If a buffer has not the size the arguments give it.
pub fn add_bias<T: Product>(
    batch: usize,
    channels: usize,
    pixels: usize,
    bias: &[T],
    values: &mut [T],
) {
    assert_eq!(
        (values.len(), bias.len()),
        (batch * channels * pixels, channels)
    );
    let to = Shared(values.as_mut_ptr());
    for_range(
        batch * channels,
        (1 << 14) / pixels.max(1) + 1,
        |start, end| {
            let to = &to;
            for plane in start..end {
                // SAFETY: planes are dealt out to threads and lie in the buffer.
                let plane_values =
                    unsafe { std::slice::from_raw_parts_mut(to.0.add(plane * pixels), pixels) };
                let b = bias[plane % channels].to_acc();
                plane_values
                    .iter_mut()
                    .for_each(|v| *v = T::from_acc(v.to_acc().add(b)));
            }
        },
    );
}

#[cfg(test)]
mod tests;
