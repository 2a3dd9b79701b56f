//! Sampling of images at positions given by a grid.

use super::math::Real;
use super::parallel::for_range;
use crate::iter::SendPtr;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Interpolation {
    Linear,
    Nearest,
    Cubic,
}

/// What lies outside the image.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outside {
    Zeros,
    Border,
    Reflection,
}

/// How to sample: images (N, C, spatial...) at (N, positions, axes), last image axis first.
#[derive(Clone, Debug)]
pub struct Sampler {
    pub batch: usize,
    pub channels: usize,
    /// Sizes of the image, outermost first: two or three.
    pub image: Vec<usize>,
    /// Positions per element of the batch.
    pub positions: usize,
    pub interpolation: Interpolation,
    pub outside: Outside,
    pub align_corners: bool,
}

/// Most pixels that one position reads: 4 by 4 or 2 by 2 by 2.
const MOST: usize = 16;

/// One pixel of a sample: where it is, its weight, and the first and second derivatives of the weight along the axes,
/// last axis first.
#[derive(Clone, Copy)]
struct Tap<R> {
    at: usize,
    weight: R,
    slope: [R; 3],
    bend: [[R; 3]; 3],
}

impl<R: Real> Tap<R> {
    const NONE: Tap<R> = Tap {
        at: 0,
        weight: R::ZERO,
        slope: [R::ZERO; 3],
        bend: [[R::ZERO; 3]; 3],
    };
}

/// What flows into a second derivative: gradients of the image's and the grid's gradients.
pub struct Second<'a, R> {
    pub image: &'a [R],
    pub grid: &'a [R],
}

/// Mirrors into [low, high] (both halved) as often as needed; the sign of the slope.
fn reflect<R: Real>(x: R, twice_low: f64, twice_high: f64) -> (R, R) {
    if twice_low == twice_high {
        return (R::ZERO, R::ZERO);
    }
    let (low, span) = (
        R::from_f64(twice_low / 2.0),
        R::from_f64((twice_high - twice_low) / 2.0),
    );
    let shifted = x - low;
    let (away, sign) = if shifted < R::ZERO {
        (-shifted, -R::ONE)
    } else {
        (shifted, R::ONE)
    };
    let (extra, flips) = (away.fmod(span), (away / span).floor());
    if flips.fmod(R::TWO) == R::ZERO {
        (extra + low, sign)
    } else {
        (span - extra + low, -sign)
    }
}

impl Sampler {
    fn axes(&self) -> usize {
        self.image.len()
    }

    fn pixels(&self) -> usize {
        self.image.iter().product()
    }

    /// A grid coordinate in pixels, before what is outside is brought in; its slope.
    fn in_pixels<R: Real>(&self, x: R, size: usize) -> (R, R) {
        let n = size as f64;
        if self.align_corners {
            let scale = R::from_f64((n - 1.0) / 2.0);
            ((x + R::ONE) * scale, scale)
        } else {
            (
                ((x + R::ONE) * R::from_f64(n) - R::ONE) / R::TWO,
                R::from_f64(n / 2.0),
            )
        }
    }

    /// Brings a pixel coordinate inside, where asked to; its slope.
    fn inside<R: Real>(&self, x: R, size: usize) -> (R, R) {
        let last = R::from_f64(size as f64 - 1.0);
        let clip = |x: R| {
            if x > R::ZERO && x < last {
                (x, R::ONE)
            } else if x >= last {
                (last, R::ZERO)
            } else {
                // Also NaN, which must not reach an index.
                (R::ZERO, R::ZERO)
            }
        };
        match self.outside {
            Outside::Zeros => (x, R::ONE),
            Outside::Border => clip(x),
            Outside::Reflection => {
                let n = size as f64;
                let (x, a) = if self.align_corners {
                    reflect(x, 0.0, 2.0 * (n - 1.0))
                } else {
                    reflect(x, -1.0, 2.0 * n - 1.0)
                };
                let (x, b) = clip(x);
                (x, a * b)
            }
        }
    }

    /// A coordinate as an index, if it lies in the image.
    fn index<R: Real>(x: R, size: usize) -> Option<usize> {
        (x >= R::ZERO && x < R::from_f64(size as f64)).then(|| x.to_f64() as usize)
    }

    /// The pixels one position reads.
    fn taps<R: Real>(&self, position: &[R], out: &mut [Tap<R>; MOST]) -> usize {
        match self.interpolation {
            Interpolation::Cubic => self.cubic_taps(position, out),
            _ => self.linear_taps(position, out),
        }
    }

    fn linear_taps<R: Real>(&self, position: &[R], out: &mut [Tap<R>; MOST]) -> usize {
        let axes = self.axes();
        let (mut at, mut slope) = ([R::ZERO; 3], [R::ZERO; 3]);
        for k in 0..axes {
            let size = self.image[axes - 1 - k];
            let (x, a) = self.in_pixels(position[k], size);
            let (x, b) = self.inside(x, size);
            (at[k], slope[k]) = (x, a * b);
        }
        if self.interpolation == Interpolation::Nearest {
            let mut offset = 0;
            for k in (0..axes).rev() {
                let size = self.image[axes - 1 - k];
                let Some(i) = Self::index(at[k].round_even(), size) else {
                    return 0;
                };
                offset = offset * size + i;
            }
            out[0] = Tap {
                at: offset,
                weight: R::ONE,
                ..Tap::NONE
            };
            return 1;
        }
        let mut n = 0;
        for corner in 0..1usize << axes {
            let (mut offset, mut weight, mut inside) = (0, R::ONE, true);
            let mut factors = [(R::ZERO, R::ZERO); 3];
            for k in (0..axes).rev() {
                let size = self.image[axes - 1 - k];
                let floor = at[k].floor();
                let upper = corner >> k & 1 == 1;
                let part = at[k] - floor;
                factors[k] = if upper {
                    (part, slope[k])
                } else {
                    (R::ONE - part, -slope[k])
                };
                match Self::index(if upper { floor + R::ONE } else { floor }, size) {
                    Some(i) => offset = offset * size + i,
                    None => inside = false,
                }
                weight *= factors[k].0;
            }
            if !inside {
                continue;
            }
            let mut slopes = [R::ZERO; 3];
            for k in 0..axes {
                let others = (0..axes)
                    .filter(|&j| j != k)
                    .fold(R::ONE, |w, j| w * factors[j].0);
                slopes[k] = factors[k].1 * others;
            }
            // Each factor is linear, so only mixed second derivatives are left.
            let mut bend = [[R::ZERO; 3]; 3];
            for j in 0..axes {
                for k in (0..axes).filter(|&k| k != j) {
                    let others = (0..axes)
                        .filter(|&i| i != j && i != k)
                        .fold(R::ONE, |w, i| w * factors[i].0);
                    bend[j][k] = factors[j].1 * factors[k].1 * others;
                }
            }
            out[n] = Tap {
                at: offset,
                weight,
                slope: slopes,
                bend,
            };
            n += 1;
        }
        n
    }

    fn cubic_taps<R: Real>(&self, position: &[R], out: &mut [Tap<R>; MOST]) -> usize {
        let (h, w) = (self.image[0], self.image[1]);
        let ((x, dx), (y, dy)) = (
            self.in_pixels(position[0], w),
            self.in_pixels(position[1], h),
        );
        let (fx, fy) = (x.floor(), y.floor());
        let (wx, sx, bx) = cubic_weights(x - fx);
        let (wy, sy, by) = cubic_weights(y - fy);
        let mut n = 0;
        for i in 0..4 {
            let Some(row) = Self::index(
                self.inside(fy + R::from_f64(i as f64 - 1.0), h)
                    .0
                    .round_even(),
                h,
            ) else {
                continue;
            };
            for j in 0..4 {
                let column = self.inside(fx + R::from_f64(j as f64 - 1.0), w).0;
                let Some(column) = Self::index(column.round_even(), w) else {
                    continue;
                };
                out[n] = Tap {
                    at: row * w + column,
                    weight: wy[i] * wx[j],
                    slope: [wy[i] * sx[j] * dx, sy[i] * wx[j] * dy, R::ZERO],
                    bend: [
                        [wy[i] * bx[j] * dx * dx, sy[i] * sx[j] * dx * dy, R::ZERO],
                        [sy[i] * sx[j] * dx * dy, by[i] * wx[j] * dy * dy, R::ZERO],
                        [R::ZERO; 3],
                    ],
                };
                n += 1;
            }
        }
        n
    }

    /// (N, C, pixels) at (N, positions, axes) to (N, C, positions).
    pub fn sample<R: Real>(&self, image: &[R], grid: &[R], out: &mut [R]) {
        let (pixels, axes, positions) = (self.pixels(), self.axes(), self.positions);
        let dst = SendPtr(out.as_mut_ptr() as *mut u8);
        for_range(
            self.batch * positions,
            (4096 / self.channels.max(1)).max(1),
            |from, to| {
                let mut taps = [Tap::NONE; MOST];
                for i in from..to {
                    let (n, p) = (i / positions, i % positions);
                    let count = self.taps(&grid[i * axes..(i + 1) * axes], &mut taps);
                    for c in 0..self.channels {
                        let image = &image[(n * self.channels + c) * pixels..][..pixels];
                        let mut sum = R::ZERO;
                        for t in &taps[..count] {
                            sum += image[t.at] * t.weight;
                        }
                        // SAFETY: `out` holds batch * channels * positions elements; each is written once.
                        unsafe {
                            dst.of::<R>()
                                .add((n * self.channels + c) * positions + p)
                                .write(sum)
                        };
                    }
                }
            },
        );
    }

    /// The gradients of `gradients` with respect to g, image and grid, added to zeros.
    pub fn second_gradients<R: Real>(
        &self,
        second: Second<R>,
        g: &[R],
        image: &[R],
        grid: &[R],
        [g_out, image_out, grid_out]: [&mut [R]; 3],
    ) {
        let (pixels, axes, positions, channels) =
            (self.pixels(), self.axes(), self.positions, self.channels);
        let mut taps = [Tap::NONE; MOST];
        for i in 0..self.batch * positions {
            let (n, p) = (i / positions, i % positions);
            let count = self.taps(&grid[i * axes..(i + 1) * axes], &mut taps);
            let to_grid = &second.grid[i * axes..(i + 1) * axes];
            for c in 0..channels {
                let at = (n * channels + c) * positions + p;
                for t in &taps[..count] {
                    let pixel = (n * channels + c) * pixels + t.at;
                    let along = (0..axes).fold(R::ZERO, |s, k| s + to_grid[k] * t.slope[k]);
                    g_out[at] += second.image[pixel] * t.weight + image[pixel] * along;
                    image_out[pixel] += g[at] * along;
                    for j in 0..axes {
                        let bent = (0..axes).fold(R::ZERO, |s, k| s + to_grid[k] * t.bend[j][k]);
                        grid_out[i * axes + j] +=
                            g[at] * (second.image[pixel] * t.slope[j] + image[pixel] * bent);
                    }
                }
            }
        }
    }

    /// Gradients of image and grid, added to zeros.
    pub fn gradients<R: Real>(
        &self,
        g: &[R],
        image: &[R],
        grid: &[R],
        image_out: &mut [R],
        grid_out: &mut [R],
    ) {
        let (pixels, axes, positions, channels) =
            (self.pixels(), self.axes(), self.positions, self.channels);
        let (a, b) = (
            SendPtr(image_out.as_mut_ptr() as *mut u8),
            SendPtr(grid_out.as_mut_ptr() as *mut u8),
        );
        for_range(self.batch, 1, |from, to| {
            let mut taps = [Tap::NONE; MOST];
            for n in from..to {
                // SAFETY: both hold one block per element of the batch; threads own disjoint elements.
                let (image_out, grid_out) = unsafe {
                    (
                        std::slice::from_raw_parts_mut(
                            a.of::<R>().add(n * channels * pixels),
                            channels * pixels,
                        ),
                        std::slice::from_raw_parts_mut(
                            b.of::<R>().add(n * positions * axes),
                            positions * axes,
                        ),
                    )
                };
                for p in 0..positions {
                    let i = n * positions + p;
                    let count = self.taps(&grid[i * axes..(i + 1) * axes], &mut taps);
                    for c in 0..channels {
                        let image = &image[(n * channels + c) * pixels..][..pixels];
                        let g = g[(n * channels + c) * positions + p];
                        for t in &taps[..count] {
                            image_out[c * pixels + t.at] += g * t.weight;
                            for k in 0..axes {
                                grid_out[p * axes + k] += g * image[t.at] * t.slope[k];
                            }
                        }
                    }
                }
            }
        });
    }
}

/// Cubic convolution (Keys, 1981) at the four pixels around a fraction, and its first and second derivatives.
fn cubic_weights<R: Real>(t: R) -> ([R; 4], [R; 4], [R; 4]) {
    let a = R::from_f64(-0.75);
    let (two, three) = (R::TWO, R::from_f64(3.0));
    let near = |d: R| {
        (
            ((a + two) * d - (a + three)) * d * d + R::ONE,
            (three * (a + two) * d - two * (a + three)) * d,
        )
    };
    let far = |d: R| {
        let (five, eight, four) = (R::from_f64(5.0), R::from_f64(8.0), R::from_f64(4.0));
        (
            ((d - five) * d + eight) * d * a - four * a,
            a * (three * d * d - R::from_f64(10.0) * d + eight),
        )
    };
    let parts = [far(t + R::ONE), near(t), near(R::ONE - t), far(two - t)];
    let weights = [parts[0].0, parts[1].0, parts[2].0, parts[3].0];
    let six = R::from_f64(6.0);
    let near_bend = |d: R| six * (a + two) * d - two * (a + three);
    let far_bend = |d: R| a * (six * d - R::from_f64(10.0));
    (
        weights,
        [parts[0].1, parts[1].1, -parts[2].1, -parts[3].1],
        [
            far_bend(t + R::ONE),
            near_bend(t),
            near_bend(R::ONE - t),
            far_bend(two - t),
        ],
    )
}
