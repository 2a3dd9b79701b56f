//! Pooling over one to three dimensions, its gradients, and the copies between images and columns of windows.
//!
//! Buffers are contiguous planes (batch and channel together); indices count pixels inside a plane.

mod columns;

pub use columns::{fold, unfold};

use super::element::{Acc, Element, Ordered};
use super::gemm::{Scratch, Shared, Use};
use super::parallel::for_range;
use crate::list;

/// The sizes of a pooling. Spaces have three dimensions; those that are missing are leading ones of size 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolShape {
    pub planes: usize,
    pub input: [usize; 3],
    pub kernel: [usize; 3],
    pub output: [usize; 3],
    pub stride: [usize; 3],
    pub padding: [usize; 3],
    pub dilation: [usize; 3],
}

/// The output size of a pooling along one dimension. With `ceil_mode` a last window may reach past the padding, if it
/// starts inside the input or the padding before it.
pub fn pool_output_size(
    input: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
    dilation: usize,
    ceil_mode: bool,
) -> i64 {
    let (input, padding, step) = (input as i64, padding as i64, stride.max(1) as i64);
    let reach = dilation as i64 * (kernel as i64 - 1) + 1;
    let room = input + 2 * padding - reach + if ceil_mode { step - 1 } else { 0 };
    let size = room.div_euclid(step) + 1;
    if ceil_mode && (size - 1) * step >= input + padding {
        size - 1
    } else {
        size
    }
}

impl PoolShape {
    /// The shape of a pooling with one to three spatial dimensions; all slices have that length.
    pub fn new(
        planes: usize,
        input: &[usize],
        kernel: &[usize],
        stride: &[usize],
        padding: &[usize],
        dilation: &[usize],
        ceil_mode: bool,
    ) -> PoolShape {
        let spread = |values: &[usize], fill: usize| {
            let mut all = [fill; 3];
            let missing = 3usize.saturating_sub(values.len());
            all.iter_mut()
                .skip(missing)
                .zip(values)
                .for_each(|(a, v)| *a = *v);
            all
        };
        let mut s = PoolShape {
            planes,
            input: spread(input, 1),
            kernel: spread(kernel, 1),
            output: [0; 3],
            stride: spread(stride, 1),
            padding: spread(padding, 0),
            dilation: spread(dilation, 1),
        };
        s.output = std::array::from_fn(|d| {
            let size = pool_output_size(
                s.input[d],
                s.kernel[d],
                s.stride[d],
                s.padding[d],
                s.dilation[d],
                ceil_mode,
            );
            size.max(0) as usize
        });
        s
    }

    pub fn pixels_in(&self) -> usize {
        self.input.iter().product()
    }
    pub fn pixels_out(&self) -> usize {
        self.output.iter().product()
    }

    /// Panics unless the buffers have the sizes of the shape: the kernels below rely on them.
    fn check(&self, input: usize, output: usize) {
        assert_eq!(
            (input, output),
            (
                self.planes * self.pixels_in(),
                self.planes * self.pixels_out()
            )
        );
    }

    /// First pixel, number of taps inside the image, and size with padding of window `o` along dimension `d`.
    #[inline]
    fn window(&self, d: usize, o: usize) -> Span {
        let (gap, padding) = (self.dilation[d].max(1), self.padding[d]);
        let start = o * self.stride[d];
        let skipped = padding.saturating_sub(start).div_ceil(gap);
        let first = (start + skipped * gap).wrapping_sub(padding);
        let fit = self.input[d].saturating_sub(first).div_ceil(gap);
        let count = fit.min(self.kernel[d].saturating_sub(skipped));
        let padded = (start + self.kernel[d])
            .min(self.input[d] + 2 * padding)
            .saturating_sub(start);
        Span {
            first,
            count,
            gap,
            padded,
        }
    }

    /// Visits every window of a plane: (output pixel, its spans).
    #[inline]
    fn windows(&self, f: impl FnMut(usize, [Span; 3])) {
        windows(self.output, |d, o| self.window(d, o), f);
    }
}

/// A window along one dimension.
#[derive(Clone, Copy)]
struct Span {
    first: usize,
    count: usize,
    gap: usize,
    /// The size an average divides by when padding counts.
    padded: usize,
}

#[inline]
fn windows(
    output: [usize; 3],
    span: impl Fn(usize, usize) -> Span,
    mut f: impl FnMut(usize, [Span; 3]),
) {
    let last: Vec<Span> = list::held(list::collected((0..output[2]).map(|x| span(2, x))));
    let mut at = 0;
    for z in 0..output[0] {
        let z = span(0, z);
        for y in 0..output[1] {
            let y = span(1, y);
            for x in &last {
                f(at, [z, y, *x]);
                at += 1;
            }
        }
    }
}

/// Visits the pixels of a window in order.
#[inline(always)]
fn pixels(size: [usize; 3], w: [Span; 3], mut f: impl FnMut(usize)) {
    for z in 0..w[0].count {
        for y in 0..w[1].count {
            let line = ((w[0].first + z * w[0].gap) * size[1] + w[1].first + y * w[1].gap)
                * size[2]
                + w[2].first;
            for x in 0..w[2].count {
                f(line + x * w[2].gap);
            }
        }
    }
}

/// Calls `f(plane, values of the plane)` for every plane of `out`, on several threads where `work` a plane is enough.
fn each_plane<T: Send>(
    out: &mut [T],
    planes: usize,
    work: usize,
    f: impl Fn(usize, &mut [T]) + Sync,
) {
    let size = out.len() / planes.max(1);
    let to = Shared(out.as_mut_ptr());
    for_range(planes, (1 << 14) / work.max(1) + 1, |start, end| {
        let to = &to;
        for plane in start..end {
            // SAFETY: planes lie in the buffer, do not overlap, and are dealt out to threads.
            f(plane, unsafe {
                std::slice::from_raw_parts_mut(to.0.add(plane * size), size)
            });
        }
    });
}

/// The same for sums that start at zero and are stored with one rounding.
fn each_plane_of_sums<T: Element>(
    out: &mut [T],
    planes: usize,
    work: usize,
    f: impl Fn(usize, &mut [T::Acc]) + Sync,
) {
    each_plane(out, planes, work, |plane, out| {
        let mut sums = Scratch::<T::Acc>::new(Use::Columns, out.len());
        let sums = sums.filled(T::Acc::ZERO);
        f(plane, sums);
        out.iter_mut()
            .zip(sums)
            .for_each(|(o, s)| *o = T::from_acc(*s));
    });
}

/// Splits off what belongs to a plane.
fn plane_of<T>(values: &[T], plane: usize, size: usize) -> &[T] {
    &values[plane * size..(plane + 1) * size]
}

/// Maxima over windows, and the pixel each comes from: the first of equals, the last NaN where there is one.
fn maxima<T: Ordered>(
    planes: usize,
    size: [usize; 3],
    output: [usize; 3],
    span: impl Fn(usize, usize) -> Span + Sync,
    input: &[T],
    out: &mut [T],
    indices: &mut [i64],
) {
    assert_eq!(out.len(), indices.len());
    let (pixels_in, pixels_out) = (
        size.iter().product::<usize>(),
        output.iter().product::<usize>(),
    );
    let to = Shared(indices.as_mut_ptr());
    each_plane(out, planes, pixels_in.max(pixels_out), |plane, out| {
        let to = &to;
        let x = plane_of(input, plane, pixels_in);
        // SAFETY: indices has the length of out, whose planes are dealt out to threads.
        let indices =
            unsafe { std::slice::from_raw_parts_mut(to.0.add(plane * pixels_out), pixels_out) };
        windows(output, &span, |o, w| {
            let (mut best, mut at) = (T::LOWEST, usize::MAX);
            pixels(size, w, |i| {
                let v = x[i];
                if at == usize::MAX || v.greater(best) || v.is_nan() {
                    (best, at) = (v, i);
                }
            });
            out[o] = best;
            indices[o] = if at == usize::MAX { 0 } else { at as i64 };
        });
    });
}

/// Max pooling and the indices of the maxima.
///
/// # Panics
/// If a buffer has not the size the shape gives it.
pub fn max_pool<T: Ordered>(s: &PoolShape, input: &[T], output: &mut [T], indices: &mut [i64]) {
    s.check(input.len(), output.len());
    maxima(
        s.planes,
        s.input,
        s.output,
        |d, o| s.window(d, o),
        input,
        output,
        indices,
    );
}

/// Adds each gradient to the pixel its maximum came from: the gradient of max pooling, adaptive or not.
///
/// # Panics
/// If a buffer has not the size the others give it, or an index lies outside of a plane.
pub fn max_pool_backward<T: Element>(
    planes: usize,
    grad_output: &[T],
    indices: &[i64],
    grad_input: &mut [T],
) {
    assert_eq!(grad_output.len(), indices.len());
    let (size, work) = (
        grad_output.len() / planes.max(1),
        grad_input.len() / planes.max(1),
    );
    each_plane_of_sums(grad_input, planes, work, |plane, sums| {
        for (g, i) in plane_of(grad_output, plane, size)
            .iter()
            .zip(plane_of(indices, plane, size))
        {
            let sum = &mut sums[*i as usize];
            *sum = sum.add(g.to_acc());
        }
    });
}

/// How an average divides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Divisor {
    /// By the pixels inside the image.
    Inside,
    /// By the pixels inside the image and its padding.
    Padded,
    /// By a given number.
    Fixed(i64),
}

impl Divisor {
    /// PyTorch's arguments of average pooling.
    pub fn new(count_include_pad: bool, divisor_override: Option<i64>) -> Divisor {
        match (divisor_override, count_include_pad) {
            (Some(n), _) => Divisor::Fixed(n),
            (None, true) => Divisor::Padded,
            (None, false) => Divisor::Inside,
        }
    }

    fn of(self, w: [Span; 3]) -> i64 {
        match self {
            Divisor::Inside => w.iter().map(|s| s.count as i64).product(),
            Divisor::Padded => w.iter().map(|s| s.padded as i64).product(),
            Divisor::Fixed(n) => n,
        }
    }
}

/// Average pooling; windows without a pixel give zero. The dilation of the shape must be 1.
///
/// # Panics
/// If a buffer has not the size the shape gives it.
pub fn avg_pool<T: Element>(s: &PoolShape, divisor: Divisor, input: &[T], output: &mut [T]) {
    s.check(input.len(), output.len());
    each_plane(output, s.planes, s.pixels_in(), |plane, out| {
        let x = plane_of(input, plane, s.pixels_in());
        s.windows(|o, w| out[o] = average(x, s.input, w, divisor));
    });
}

fn average<T: Element>(x: &[T], size: [usize; 3], w: [Span; 3], divisor: Divisor) -> T {
    let mut sum = T::Acc::ZERO;
    if w.iter().all(|s| s.count > 0) {
        pixels(size, w, |i| sum = sum.add(x[i].to_acc()));
        sum = sum.div_count(divisor.of(w));
    }
    T::from_acc(sum)
}

/// The gradient of average pooling.
///
/// # Panics
/// If a buffer has not the size the shape gives it.
pub fn avg_pool_backward<T: Element>(
    s: &PoolShape,
    divisor: Divisor,
    grad_output: &[T],
    grad_input: &mut [T],
) {
    s.check(grad_input.len(), grad_output.len());
    each_plane_of_sums(grad_input, s.planes, s.pixels_in(), |plane, sums| {
        let grad = plane_of(grad_output, plane, s.pixels_out());
        s.windows(|o, w| share(grad[o], s.input, w, divisor, sums));
    });
}

fn share<T: Element>(
    grad: T,
    size: [usize; 3],
    w: [Span; 3],
    divisor: Divisor,
    sums: &mut [T::Acc],
) {
    if w.iter().all(|s| s.count > 0) {
        let part = grad.to_acc().div_count(divisor.of(w));
        pixels(size, w, |i| sums[i] = sums[i].add(part));
    }
}

/// Pixels of a plane on both sides of an adaptive pooling, whose buffers hold `planes` of them.
fn sides<T>(
    planes: usize,
    size: [usize; 3],
    out_size: [usize; 3],
    before: &[T],
    after: &[T],
) -> (usize, usize) {
    let counts = (
        size.iter().product::<usize>(),
        out_size.iter().product::<usize>(),
    );
    assert_eq!(
        (before.len(), after.len()),
        (planes * counts.0, planes * counts.1)
    );
    counts
}

/// Window `o` of `out` that together cover `size` pixels, overlapping where the sizes do not divide.
fn adaptive(size: usize, out: usize, o: usize) -> Span {
    let first = o * size / out;
    let count = ((o + 1) * size).div_ceil(out) - first;
    Span {
        first,
        count,
        gap: 1,
        padded: count,
    }
}

/// Averages over windows that cover the input for a given output size.
///
/// # Panics
/// If a buffer has not the size the arguments give it.
pub fn adaptive_avg_pool<T: Element>(
    planes: usize,
    size: [usize; 3],
    out_size: [usize; 3],
    input: &[T],
    output: &mut [T],
) {
    let (pixels_in, pixels_out) = sides(planes, size, out_size, input, output);
    each_plane(output, planes, pixels_in.max(pixels_out), |plane, out| {
        let x = plane_of(input, plane, pixels_in);
        let span = |d: usize, o: usize| adaptive(size[d], out_size[d], o);
        windows(out_size, span, |o, w| {
            out[o] = average(x, size, w, Divisor::Inside)
        });
    });
}

/// The gradient of [`adaptive_avg_pool`].
///
/// # Panics
/// If a buffer has not the size the arguments give it.
pub fn adaptive_avg_pool_backward<T: Element>(
    planes: usize,
    size: [usize; 3],
    out_size: [usize; 3],
    grad_output: &[T],
    grad_input: &mut [T],
) {
    let (pixels_in, pixels_out) = sides(planes, size, out_size, grad_input, grad_output);
    each_plane_of_sums(
        grad_input,
        planes,
        pixels_in.max(pixels_out),
        |plane, sums| {
            let grad = plane_of(grad_output, plane, pixels_out);
            let span = |d: usize, o: usize| adaptive(size[d], out_size[d], o);
            windows(out_size, span, |o, w| {
                share(grad[o], size, w, Divisor::Inside, sums)
            });
        },
    );
}

/// Maxima, and their indices, over the same windows. The gradient is [`max_pool_backward`].
///
/// # Panics
/// If a buffer has not the size the arguments give it.
pub fn adaptive_max_pool<T: Ordered>(
    planes: usize,
    size: [usize; 3],
    out_size: [usize; 3],
    input: &[T],
    output: &mut [T],
    indices: &mut [i64],
) {
    sides(planes, size, out_size, input, output);
    maxima(
        planes,
        size,
        out_size,
        |d, o| adaptive(size[d], out_size[d], o),
        input,
        output,
        indices,
    );
}

/// Puts each value at its index of an output plane of zeros; of equal indices the last wins.
///
/// # Errors
/// The first index outside of a plane; the output is then unfinished.
pub fn max_unpool<T: Element>(
    planes: usize,
    input: &[T],
    indices: &[i64],
    output: &mut [T],
) -> Result<(), i64> {
    assert_eq!(input.len(), indices.len());
    let (size, out_size) = (input.len() / planes.max(1), output.len() / planes.max(1));
    if let Some(bad) = indices
        .iter()
        .find(|i| usize::try_from(**i).map_or(true, |i| i >= out_size))
    {
        return Err(*bad);
    }
    each_plane(output, planes, out_size, |plane, out| {
        out.fill(T::from_acc(T::Acc::ZERO));
        for (v, i) in plane_of(input, plane, size)
            .iter()
            .zip(plane_of(indices, plane, size))
        {
            out[*i as usize] = *v;
        }
    });
    Ok(())
}

/// The gradient of [`max_unpool`]: the output's gradient at each index.
///
/// # Errors
/// The first index outside of a plane.
pub fn max_unpool_backward<T: Element>(
    planes: usize,
    grad_output: &[T],
    indices: &[i64],
    grad_input: &mut [T],
) -> Result<(), i64> {
    assert_eq!(grad_input.len(), indices.len());
    let (size, out_size) = (
        grad_input.len() / planes.max(1),
        grad_output.len() / planes.max(1),
    );
    if let Some(bad) = indices
        .iter()
        .find(|i| usize::try_from(**i).map_or(true, |i| i >= out_size))
    {
        return Err(*bad);
    }
    each_plane(grad_input, planes, size, |plane, out| {
        let grad = plane_of(grad_output, plane, out_size);
        out.iter_mut()
            .zip(plane_of(indices, plane, size))
            .for_each(|(o, i)| *o = grad[*i as usize]);
    });
    Ok(())
}

#[cfg(test)]
mod tests;
