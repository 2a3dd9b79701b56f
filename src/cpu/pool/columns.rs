//! Copies between images and the columns of their windows (`unfold` and `fold`).

use super::{each_plane, each_plane_of_sums, plane_of};
use crate::cpu::conv::ConvShape;
use crate::cpu::element::{Acc, Element};

/// Visits (position in the columns of a channel, pixel) of every tap; taps in the padding have no pixel.
fn taps(s: &ConvShape, mut f: impl FnMut(usize, Option<usize>)) {
    let at = |d: usize, o: usize, t: usize| {
        let at = (o * s.stride[d] + t * s.dilation[d]).wrapping_sub(s.padding[d]);
        (at < s.input[d]).then_some(at)
    };
    let triples = |n: [usize; 3]| {
        (0..n[0]).flat_map(move |z| (0..n[1]).flat_map(move |y| (0..n[2]).map(move |x| [z, y, x])))
    };
    for (i, (t, o)) in triples(s.kernel)
        .flat_map(|t| triples(s.output).map(move |o| (t, o)))
        .enumerate()
    {
        let pixel = (|| {
            let (z, y, x) = (at(0, o[0], t[0])?, at(1, o[1], t[1])?, at(2, o[2], t[2])?);
            Some((z * s.input[1] + y) * s.input[2] + x)
        })();
        f(i, pixel);
    }
}

/// `columns`, batch x (channels * taps) x places, of the windows of `input`, batch x channels x pixels. Only the
/// spaces, the batch and the input channels of the shape count.
///
/// # Panics
/// If a buffer has not the size the shape gives it.
pub fn unfold<T: Element>(s: &ConvShape, input: &[T], columns: &mut [T]) {
    let (planes, len) = (s.batch * s.in_channels, s.taps() * s.pixels_out());
    assert_eq!(
        (input.len(), columns.len()),
        (planes * s.pixels_in(), planes * len)
    );
    each_plane(columns, planes, len, |plane, out| {
        let x = plane_of(input, plane, s.pixels_in());
        taps(s, |i, pixel| {
            out[i] = pixel.map_or(T::from_acc(T::Acc::ZERO), |p| x[p])
        });
    });
}

/// The sums of all taps that read a pixel: the gradient of [`unfold`], and it is the gradient of this.
///
/// # Panics
/// If a buffer has not the size the shape gives it.
pub fn fold<T: Element>(s: &ConvShape, columns: &[T], output: &mut [T]) {
    let (planes, len) = (s.batch * s.in_channels, s.taps() * s.pixels_out());
    assert_eq!(
        (output.len(), columns.len()),
        (planes * s.pixels_in(), planes * len)
    );
    each_plane_of_sums(output, planes, len, |plane, sums| {
        let x = plane_of(columns, plane, len);
        taps(s, |i, pixel| {
            if let Some(p) = pixel {
                sums[p] = sums[p].add(x[i].to_acc());
            }
        });
    });
}
