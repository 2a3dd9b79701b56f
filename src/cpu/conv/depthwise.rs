//! Convolutions with one input channel a group, as sums of scaled lines.

use super::ConvShape;
use super::window::inside;
use crate::cpu::element::{Acc, Element};
use crate::cpu::gemm::{Product, Shared};
use crate::cpu::isa::{Isa, isa};
use crate::cpu::parallel::for_range;

/// One line of a tap: places of the output and pixels of the input from the first that lies inside the image.
struct Line {
    tap: usize,
    output: usize,
    input: usize,
    len: usize,
}

/// Visits every line of a plane, for one tap after the other.
#[inline(always)]
fn lines(s: &ConvShape, mut f: impl FnMut(Line)) {
    let at = |d: usize, o: usize, t: usize| {
        let at = (o * s.stride[d] + t * s.dilation[d]).wrapping_sub(s.padding[d]);
        (at < s.input[d]).then_some(at)
    };
    let spans: Vec<(usize, usize)> = (0..s.kernel[2]).map(|t| inside(s, t)).collect();
    for (oz, oy) in (0..s.output[0]).flat_map(|z| (0..s.output[1]).map(move |y| (z, y))) {
        for tz in 0..s.kernel[0] {
            let Some(z) = at(0, oz, tz) else { continue };
            for ty in 0..s.kernel[1] {
                let Some(y) = at(1, oy, ty) else { continue };
                for (tx, &(lo, hi)) in spans.iter().enumerate() {
                    if lo < hi {
                        f(Line {
                            tap: (tz * s.kernel[1] + ty) * s.kernel[2] + tx,
                            output: (oz * s.output[1] + oy) * s.output[2] + lo,
                            input: (z * s.input[1] + y) * s.input[2]
                                + lo * s.stride[2]
                                + tx * s.dilation[2]
                                - s.padding[2],
                            len: hi - lo,
                        });
                    }
                }
            }
        }
    }
}

/// Work in one plane: (shape, input plane, weights, output plane).
trait Plane {
    /// # Safety
    /// The pointers reach a plane of the input, the taps, and a plane of the output.
    unsafe fn run(&self, s: &ConvShape);
}

struct Forward<T: Element> {
    input: *const T,
    taps: *const T,
    output: *mut T::Acc,
}

impl<T: Element> Plane for Forward<T> {
    #[inline(always)]
    unsafe fn run(&self, s: &ConvShape) {
        let step = s.stride[2];
        lines(s, |l| {
            // SAFETY: lines lie in their planes.
            unsafe {
                let (x, y) = (self.input.add(l.input), self.output.add(l.output));
                let w = (*self.taps.add(l.tap)).to_acc();
                if step == 1 {
                    for i in 0..l.len {
                        *y.add(i) = (*y.add(i)).fma(w, (*x.add(i)).to_acc());
                    }
                } else {
                    for i in 0..l.len {
                        *y.add(i) = (*y.add(i)).fma(w, (*x.add(i * step)).to_acc());
                    }
                }
            }
        });
    }
}

struct BackwardInput<T: Element> {
    grad_output: *const T,
    taps: *const T,
    grad_input: *mut T::Acc,
}

impl<T: Element> Plane for BackwardInput<T> {
    #[inline(always)]
    unsafe fn run(&self, s: &ConvShape) {
        let step = s.stride[2];
        lines(s, |l| {
            // SAFETY: lines lie in their planes.
            unsafe {
                let (x, y) = (self.grad_input.add(l.input), self.grad_output.add(l.output));
                let w = (*self.taps.add(l.tap)).to_acc();
                if step == 1 {
                    for i in 0..l.len {
                        *x.add(i) = (*x.add(i)).fma(w, (*y.add(i)).to_acc());
                    }
                } else {
                    for i in 0..l.len {
                        *x.add(i * step) = (*x.add(i * step)).fma(w, (*y.add(i)).to_acc());
                    }
                }
            }
        });
    }
}

struct BackwardWeight<T: Element> {
    input: *const T,
    grad_output: *const T,
    grad_taps: *mut T::Acc,
}

impl<T: Element> Plane for BackwardWeight<T> {
    #[inline(always)]
    unsafe fn run(&self, s: &ConvShape) {
        let step = s.stride[2];
        lines(s, |l| {
            // SAFETY: lines lie in their planes.
            unsafe {
                let (x, y) = (self.input.add(l.input), self.grad_output.add(l.output));
                let mut parts = [T::Acc::ZERO; 8];
                let mut i = 0;
                while i + 8 <= l.len {
                    for (q, part) in parts.iter_mut().enumerate() {
                        *part =
                            part.fma((*x.add((i + q) * step)).to_acc(), (*y.add(i + q)).to_acc());
                    }
                    i += 8;
                }
                for i in i..l.len {
                    parts[0] = parts[0].fma((*x.add(i * step)).to_acc(), (*y.add(i)).to_acc());
                }
                let sum = parts.iter().fold(T::Acc::ZERO, |s, p| s.add(*p));
                let w = self.grad_taps.add(l.tap);
                *w = (*w).add(sum);
            }
        });
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn avx2<P: Plane>(plane: &P, s: &ConvShape) {
    // SAFETY: the caller's promise.
    unsafe { plane.run(s) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
unsafe fn avx512<P: Plane>(plane: &P, s: &ConvShape) {
    // SAFETY: the caller's promise.
    unsafe { plane.run(s) }
}

/// # Safety
/// As for [`Plane::run`].
unsafe fn dispatch<P: Plane>(plane: &P, s: &ConvShape) {
    // SAFETY: the caller's promise; the shells run after detection.
    unsafe {
        match isa() {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => avx512(plane, s),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => avx2(plane, s),
            _ => plane.run(s),
        }
    }
}

/// Planes a thread should take at least.
fn grain(s: &ConvShape) -> usize {
    (1 << 14) / (s.pixels_out() * s.taps()).max(1) + 1
}

/// Adds the convolution to `sums`. Without input channels there is nothing to add.
pub fn forward<T: Product>(s: &ConvShape, input: &[T], weight: &[T], sums: *mut T::Acc) {
    let (pixels_in, pixels_out, taps, fan) =
        (s.pixels_in(), s.pixels_out(), s.taps(), s.group_out());
    if input.is_empty() || taps == 0 {
        return;
    }
    let sums = Shared(sums);
    for_range(s.batch * s.out_channels, grain(s), |start, end| {
        let sums = &sums;
        for plane in start..end {
            let (b, c) = (plane / s.out_channels, plane % s.out_channels);
            let p = Forward {
                input: input[(b * s.in_channels + c / fan) * pixels_in..].as_ptr(),
                taps: weight[c * taps..].as_ptr(),
                output: sums.0.wrapping_add(plane * pixels_out),
            };
            // SAFETY: the planes of one channel; output planes are dealt out to threads.
            unsafe { dispatch(&p, s) };
        }
    });
}

/// Sets `sums` to the gradient of the input, zero where no output pixel sees it.
pub fn backward_input<T: Product>(
    s: &ConvShape,
    grad_output: &[T],
    weight: &[T],
    sums: *mut T::Acc,
) {
    let (pixels_in, pixels_out, taps, fan) =
        (s.pixels_in(), s.pixels_out(), s.taps(), s.group_out());
    let sums = Shared(sums);
    for_range(s.batch * s.in_channels, grain(s), |start, end| {
        let sums = &sums;
        for plane in start..end {
            let to = sums.0.wrapping_add(plane * pixels_in);
            for i in 0..pixels_in {
                // SAFETY: a plane of the input; planes are dealt out to threads.
                unsafe { to.add(i).write(T::Acc::ZERO) };
            }
            if grad_output.is_empty() || taps == 0 {
                continue;
            }
            let (b, c) = (plane / s.in_channels, plane % s.in_channels);
            for o in c * fan..(c + 1) * fan {
                let p = BackwardInput {
                    grad_output: grad_output[(b * s.out_channels + o) * pixels_out..].as_ptr(),
                    taps: weight[o * taps..].as_ptr(),
                    grad_input: to,
                };
                // SAFETY: as above.
                unsafe { dispatch(&p, s) };
            }
        }
    });
}

/// Sets `sums` to the gradient of the weight.
pub fn backward_weight<T: Product>(
    s: &ConvShape,
    input: &[T],
    grad_output: &[T],
    sums: *mut T::Acc,
) {
    let (pixels_in, pixels_out, fan) = (s.pixels_in(), s.pixels_out(), s.group_out());
    let len = s.group_in() * s.taps();
    let sums = Shared(sums);
    for_range(
        s.out_channels,
        grain(s).div_ceil(s.batch.max(1)),
        |start, end| {
            let sums = &sums;
            for c in start..end {
                let to = sums.0.wrapping_add(c * len);
                for i in 0..len {
                    // SAFETY: the taps of channel c; channels are dealt out to threads.
                    unsafe { to.add(i).write(T::Acc::ZERO) };
                }
                if input.is_empty() || grad_output.is_empty() {
                    continue;
                }
                for b in 0..s.batch {
                    let p = BackwardWeight {
                        input: input[(b * s.in_channels + c / fan) * pixels_in..].as_ptr(),
                        grad_output: grad_output[(b * s.out_channels + c) * pixels_out..].as_ptr(),
                        grad_taps: to,
                    };
                    // SAFETY: as above.
                    unsafe { dispatch(&p, s) };
                }
            }
        },
    );
}
