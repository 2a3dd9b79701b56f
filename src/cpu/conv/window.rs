//! The windows of a convolution as operands of a matrix product.

use super::ConvShape;
use crate::cpu::element::{Acc, Element};
use crate::cpu::gemm::{Source, Strided};

/// Which pixel each tap reads: pixel `o * step + t * gap + shift` along each dimension, zero outside of the image.
pub struct Window<'a, T> {
    /// The first image of the group.
    values: &'a [T],
    /// Elements from one image to the next.
    image: usize,
    size: [usize; 3],
    taps: [usize; 3],
    places: [usize; 3],
    step: [isize; 3],
    gap: [isize; 3],
    shift: [isize; 3],
}

impl<'a, T: Element> Window<'a, T> {
    /// The windows that a convolution's output pixels see.
    pub fn new(s: &ConvShape, input: &'a [T], group: usize) -> Self {
        Window {
            values: &input[group * s.group_in() * s.pixels_in()..],
            image: s.in_channels * s.pixels_in(),
            size: s.input,
            taps: s.kernel,
            places: s.output,
            step: s.stride.map(|x| x as isize),
            gap: s.dilation.map(|x| x as isize),
            shift: s.padding.map(|x| -(x as isize)),
        }
    }

    /// The output pixels that an input pixel takes part in, of a convolution with stride 1.
    pub fn turned(s: &ConvShape, grad_output: &'a [T], group: usize) -> Self {
        Window {
            values: &grad_output[group * s.group_out() * s.pixels_out()..],
            image: s.out_channels * s.pixels_out(),
            size: s.output,
            taps: s.kernel,
            places: s.input,
            step: [1; 3],
            gap: s.dilation.map(|x| -(x as isize)),
            shift: s.padding.map(|x| x as isize),
        }
    }

    /// Row `i` of places: the image, and the first pixel of the window less the part along the last dimension.
    #[inline]
    fn row(&self, row: usize) -> (usize, [isize; 2]) {
        let (y, rest) = (row % self.places[1], row / self.places[1]);
        let (z, b) = (rest % self.places[0], rest / self.places[0]);
        (
            b,
            [
                z as isize * self.step[0] + self.shift[0],
                y as isize * self.step[1] + self.shift[1],
            ],
        )
    }

    /// Channel and taps behind position `p` along channels and taps.
    #[inline]
    fn tap(&self, p: usize) -> (usize, [usize; 3]) {
        let (x, p) = (p % self.taps[2], p / self.taps[2]);
        let (y, p) = (p % self.taps[1], p / self.taps[1]);
        (p / self.taps[0], [p % self.taps[0], y, x])
    }

    /// The line of pixels that tap `t` of channel `c` reads in a row of places, or none outside of the image.
    #[inline]
    fn line(&self, b: usize, start: [isize; 2], c: usize, t: [usize; 3]) -> Option<&[T]> {
        let z = start[0] + t[0] as isize * self.gap[0];
        let y = start[1] + t[1] as isize * self.gap[1];
        if z < 0 || y < 0 || z as usize >= self.size[0] || y as usize >= self.size[1] {
            return None;
        }
        let [d, h, w] = self.size;
        let at = b * self.image + ((c * d + z as usize) * h + y as usize) * w;
        Some(&self.values[at..at + w])
    }

    /// Copies the pixels that places `x0..x0 + len` of a line read through tap `t`.
    ///
    /// # Safety
    /// `dst` has room for `len` elements.
    #[inline(always)]
    unsafe fn copy<D: Copy>(
        &self,
        line: Option<&[T]>,
        x0: usize,
        len: usize,
        t: usize,
        dst: *mut D,
        convert: impl Fn(T) -> D,
    ) {
        let step = self.step[2];
        let first = x0 as isize * step + t as isize * self.gap[2] + self.shift[2];
        let line = line.unwrap_or_default();
        // The places whose pixel lies in the line are one run.
        let up_to = |pixel: isize| {
            let distance = pixel - first;
            if distance <= 0 {
                0
            } else {
                (distance as usize).div_ceil(step as usize).min(len)
            }
        };
        let end = up_to(line.len() as isize);
        let start = up_to(0).min(end);
        let zero = convert(T::from_acc(T::Acc::ZERO));
        // SAFETY: `dst` as the caller promises; places from `start` to `end` read inside the line.
        unsafe {
            for i in 0..start {
                dst.add(i).write(zero);
            }
            let src = line.as_ptr().wrapping_offset(first);
            if step == 1 {
                for i in start..end {
                    dst.add(i).write(convert(*src.wrapping_add(i)));
                }
            } else {
                for i in start..end {
                    dst.add(i)
                        .write(convert(*src.wrapping_offset(i as isize * step)));
                }
            }
            for i in end..len {
                dst.add(i).write(zero);
            }
        }
    }
}

/// Channels and taps along k, places across.
pub struct WindowRows<'a, T>(pub Window<'a, T>);

impl<T: Element> Source<T::Acc> for WindowRows<'_, T> {
    unsafe fn pack(
        &self,
        k0: usize,
        k: usize,
        j0: usize,
        width: usize,
        dst: *mut T::Acc,
        step: usize,
    ) {
        let w = &self.0;
        let per_row = w.places[2];
        let (mut j, mut row, mut x) = (0, j0 / per_row, j0 % per_row);
        while j < width {
            let len = (per_row - x).min(width - j);
            let (b, start) = w.row(row);
            let (mut c, mut t) = w.tap(k0);
            let mut line = w.line(b, start, c, t);
            for p in 0..k {
                // SAFETY: row p of the block, columns j..j + len.
                unsafe { w.copy(line, x, len, t[2], dst.add(p * step + j), T::to_acc) };
                t[2] += 1;
                if t[2] == w.taps[2] && p + 1 < k {
                    (c, t) = w.tap(k0 + p + 1);
                    line = w.line(b, start, c, t);
                }
            }
            j += len;
            (row, x) = (row + 1, 0);
        }
    }
}

/// Columns gathered at a time, and places of each: what stays in the first cache.
const COLUMNS: usize = 32;
const RUN: usize = 64;

/// Places along k, channels and taps across.
pub struct WindowColumns<'a, T>(pub Window<'a, T>);

impl<T: Element> Source<T::Acc> for WindowColumns<'_, T> {
    unsafe fn pack(
        &self,
        k0: usize,
        k: usize,
        j0: usize,
        width: usize,
        dst: *mut T::Acc,
        step: usize,
    ) {
        let w = &self.0;
        let per_row = w.places[2];
        let (mut p, mut row, mut x) = (0, k0 / per_row, k0 % per_row);
        // Lines are gathered as they lie and then turned, which vectors do.
        let mut lines = [T::from_acc(T::Acc::ZERO); COLUMNS * RUN];
        while p < k {
            let len = (per_row - x).min(k - p).min(RUN);
            let (b, start) = w.row(row);
            for j in (0..width).step_by(COLUMNS) {
                let columns = COLUMNS.min(width - j);
                for i in 0..columns {
                    let (c, t) = w.tap(j0 + j + i);
                    let line = w.line(b, start, c, t);
                    // SAFETY: line i of the buffer has room for RUN elements.
                    unsafe { w.copy(line, x, len, t[2], lines[i * RUN..].as_mut_ptr(), |v| v) };
                }
                let gathered = Strided {
                    ptr: lines.as_ptr(),
                    along: 1,
                    across: RUN as isize,
                };
                // SAFETY: rows p..p + len of the block, columns j..j + columns.
                unsafe { gathered.pack(0, len, 0, columns, dst.add(p * step + j), step) };
            }
            p += len;
            x += len;
            if x == per_row {
                (row, x) = (row + 1, 0);
            }
        }
    }
}

/// A matrix whose k runs over the pixels of several images.
pub struct Runs<T> {
    pub ptr: *const T,
    /// Pixels of an image, and the step from one image to the next.
    pub run: usize,
    pub jump: isize,
    pub across: isize,
}

// SAFETY: only read, and made from a slice that outlives the product.
unsafe impl<T: Sync> Sync for Runs<T> {}

impl<T: Element> Source<T::Acc> for Runs<T> {
    unsafe fn pack(
        &self,
        k0: usize,
        k: usize,
        j0: usize,
        width: usize,
        dst: *mut T::Acc,
        step: usize,
    ) {
        let mut p = 0;
        while p < k {
            let (image, at) = ((k0 + p) / self.run, (k0 + p) % self.run);
            let len = (self.run - at).min(k - p);
            let ptr = self.ptr.wrapping_offset(image as isize * self.jump);
            // SAFETY: the part of the block that lies in one image.
            unsafe {
                Strided {
                    ptr,
                    along: 1,
                    across: self.across,
                }
                .pack(at, len, j0, width, dst.add(p * step), step)
            };
            p += len;
        }
    }
}

/// Adds the gradients of taps, `channels x taps x places`, to the pixels of one image they come from.
///
/// # Safety
/// The buffers have these sizes.
pub unsafe fn add_columns<A: Acc>(s: &ConvShape, channels: usize, columns: *const A, to: *mut A) {
    let ([depth, height, width], [od, oh, ow]) = (s.input, s.output);
    let along = |d: usize, o: usize, t: usize, size: usize| {
        let at = (o * s.stride[d] + t * s.dilation[d]).wrapping_sub(s.padding[d]);
        (at < size).then_some(at)
    };
    let mut from = columns;
    for c in 0..channels {
        for (tz, ty) in (0..s.kernel[0]).flat_map(|z| (0..s.kernel[1]).map(move |y| (z, y))) {
            for tx in 0..s.kernel[2] {
                let (lo, hi) = inside(s, tx);
                for (oz, oy) in (0..od).flat_map(|z| (0..oh).map(move |y| (z, y))) {
                    if let (Some(z), Some(y)) = (along(0, oz, tz, depth), along(1, oy, ty, height))
                    {
                        // SAFETY: z and y were checked, and lo..hi keeps x inside the line.
                        unsafe {
                            let line = to.add(((c * depth + z) * height + y) * width);
                            let first = lo * s.stride[2] + tx * s.dilation[2];
                            let line = line.wrapping_add(first.wrapping_sub(s.padding[2]));
                            for i in 0..hi - lo {
                                let x = line.add(i * s.stride[2]);
                                *x = (*x).add(*from.add(lo + i));
                            }
                        }
                    }
                    from = from.wrapping_add(ow);
                }
            }
        }
    }
}

/// The places `lo..hi` along the last dimension whose tap `tx` reads inside the image.
pub fn inside(s: &ConvShape, tx: usize) -> (usize, usize) {
    let (offset, stride) = (tx * s.dilation[2], s.stride[2].max(1));
    let lo = s.padding[2].saturating_sub(offset).div_ceil(stride);
    let hi = (s.input[2] + s.padding[2])
        .saturating_sub(offset)
        .div_ceil(stride)
        .min(s.output[2]);
    (lo.min(hi), hi)
}
