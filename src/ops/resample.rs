//! Resizing of images: nearest, linear and cubic, plain and antialiased.

use super::loss::{linked_to, work};
use crate::autograd::{self, Saved, engine::grads, record, record_stateless};
use crate::cpu::resample::{Axis, Row};
use crate::dtype::DType;
use crate::error::Result;
use crate::list;
use crate::shape::{self, Sizes};
use crate::tensor::Tensor;
use smallvec::smallvec;
use std::rc::Rc;

/// Maps to apply, each along its axis.
pub type Maps = Rc<Vec<(usize, Axis)>>;

/// Applies maps along axes.
pub fn resample(x: &Tensor, maps: &Maps, name: &'static str) -> Result<Tensor> {
    x.need_cpu(name)?;
    let out = if maps.iter().all(|m| m.1.is_copy()) {
        copy_along(x, maps)?
    } else {
        sum_along(x, maps, false)?
    };
    if autograd::needs_grad(&[x]) {
        let maps = maps.clone();
        record_stateless(name, &[x], &[&out], move |g| {
            grads([Some(spread(&g.get(0)?, &maps, name)?)])
        });
    }
    Ok(out)
}

/// As `resample`, with a gradient that counts as a function of the input too, whose derivative is zero.
pub fn resample_linked(x: &Tensor, maps: &Maps, name: &'static str) -> Result<Tensor> {
    let out = autograd::no_grad(|| resample(&x.detach(), maps, name))?;
    if autograd::needs_grad(&[x]) {
        let (maps, saved) = (maps.clone(), Saved::input(x));
        record(name, &[x], &[&out], move |g| {
            grads([Some(linked_to(
                &spread(&g.get(0)?, &maps, name)?,
                &saved.get(g)?,
            )?)])
        });
    }
    Ok(out)
}

/// The transpose of `resample`: adds each element where it came from.
fn spread(g: &Tensor, maps: &Maps, name: &'static str) -> Result<Tensor> {
    if g.dtype().is_complex() {
        return spread(&g.contiguous()?.view_as_real()?, maps, name)?.view_as_complex();
    }
    let out = sum_along(g, maps, true)?;
    if autograd::needs_grad(&[g]) {
        let maps = maps.clone();
        record_stateless("ResampleBackwardBackward0", &[g], &[&out], move |g| {
            grads([Some(resample(&g.get(0)?, &maps, name)?)])
        });
    }
    Ok(out)
}

fn with_size(sizes: &[usize], dim: usize, n: usize) -> Sizes {
    let mut sizes = Sizes::from_slice(sizes);
    sizes[dim] = n;
    sizes
}

fn copy_along(x: &Tensor, maps: &Maps) -> Result<Tensor> {
    let mut now = autograd::no_grad(|| x.detach().contiguous())?;
    if maps.is_empty() {
        return now.clone_data();
    }
    for (dim, axis) in maps.iter() {
        let out = Tensor::empty(
            &with_size(now.sizes(), *dim, axis.to),
            now.dtype(),
            now.device(),
        )?;
        let inner: usize = now.sizes()[dim + 1..].iter().product();
        crate::dispatch_size!(now.dtype(), T => {
            // SAFETY: contiguous CPU tensors of elements of this size; `out` was just made and is written alone.
            let (src, dst) = unsafe {
                (
                    std::slice::from_raw_parts(now.data_ptr() as *const T, now.numel()),
                    std::slice::from_raw_parts_mut(out.data_ptr() as *mut T, out.numel()),
                )
            };
            axis.copy(src, dst, inner);
        });
        now = out;
    }
    Ok(now)
}

fn sum_along(x: &Tensor, maps: &Maps, transposed: bool) -> Result<Tensor> {
    let bytes = x.dtype() == DType::U8;
    let mut now = if bytes {
        work(&x.to_dtype(DType::F32)?)?
    } else {
        work(x)?
    };
    for (dim, axis) in maps.iter() {
        let n = if transposed { axis.from } else { axis.to };
        let out = Tensor::empty(&with_size(now.sizes(), *dim, n), now.dtype(), now.device())?;
        let inner: usize = now.sizes()[dim + 1..].iter().product();
        crate::dispatch_real!(now.dtype(), T => {
            // SAFETY: `out` was just made, is contiguous and nothing else refers to its memory.
            let dst = unsafe { std::slice::from_raw_parts_mut(out.data_ptr() as *mut T, out.numel()) };
            if transposed {
                axis.apply_transposed(now.as_slice::<T>()?, dst, inner)?;
            } else {
                axis.apply(now.as_slice::<T>()?, dst, inner)?;
            }
        });
        now = out;
    }
    if bytes {
        let rounded: Vec<u8> = now
            .as_slice::<f32>()?
            .iter()
            .map(|v| (v + 0.5).floor().clamp(0.0, 255.0) as u8)
            .collect();
        return Tensor::from_slice_shaped(&rounded, now.sizes());
    }
    now.to_dtype(x.dtype())
}

/// How output pixels are made of input pixels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Filter {
    Nearest,
    NearestExact,
    Linear,
    Cubic,
    LinearAntialias,
    CubicAntialias,
}

/// One axis to resize.
struct Resize {
    from: usize,
    to: usize,
    align_corners: bool,
    /// Output length over input length as the caller gave it.
    scale: Option<f64>,
    /// Whether positions are computed in float64 rather than float32.
    double: bool,
}

impl Resize {
    /// A number in the precision positions are computed in.
    fn r(&self, v: f64) -> f64 {
        if self.double { v } else { v as f32 as f64 }
    }

    /// Input pixels per output pixel.
    fn step(&self) -> f64 {
        if self.align_corners {
            return if self.to > 1 {
                self.r((self.from as f64 - 1.0) / (self.to as f64 - 1.0))
            } else {
                0.0
            };
        }
        match self.scale {
            Some(s) if s > 0.0 => self.r(1.0 / s),
            _ => self.r(self.from as f64 / self.to as f64),
        }
    }

    /// Where the centre of output pixel `j` lies in the input.
    fn position(&self, step: f64, j: usize) -> f64 {
        if self.align_corners {
            self.r(step * j as f64)
        } else {
            self.r(self.r(step * (j as f64 + 0.5)) - 0.5)
        }
    }

    fn axis(&self, filter: Filter) -> Result<Option<Axis>> {
        let step = self.step();
        let last = self.from - 1;
        let rows = |f: &dyn Fn(usize) -> Row| {
            Axis::weighted(self.from, &list::collected((0..self.to).map(f))?)
        };
        match filter {
            Filter::Nearest | Filter::NearestExact => {
                let half = if filter == Filter::Nearest { 0.0 } else { 0.5 };
                // Nearest pixels are looked up in float32 whatever the dtype.
                let step = match self.scale {
                    Some(s) if s > 0.0 => (1.0 / s) as f32,
                    _ => self.from as f32 / self.to as f32,
                };
                let at = |j: usize| (((j as f32 + half as f32) * step).floor() as usize).min(last);
                Ok(Axis::pick(
                    self.from,
                    list::collected((0..self.to).map(at))?,
                ))
            }
            Filter::Linear => rows(&|j| {
                let p = self.position(step, j).max(0.0);
                let i = (p.floor() as usize).min(last);
                let w = self.r(p - i as f64).clamp(0.0, 1.0);
                smallvec![(i, self.r(1.0 - w)), ((i + 1).min(last), w)]
            }),
            Filter::Cubic => rows(&|j| {
                let p = self.position(step, j);
                let i = p.floor();
                let t = self.r(p - i);
                (-1..3)
                    .map(|k| {
                        (
                            (i + k as f64).clamp(0.0, last as f64) as usize,
                            cubic(t - k as f64, -0.75),
                        )
                    })
                    .collect()
            }),
            Filter::LinearAntialias | Filter::CubicAntialias => {
                rows(&|j| self.antialiased(filter, step, j))
            }
        }
    }

    /// Weights over all the input pixels that an output pixel covers, as image libraries shrink.
    fn antialiased(&self, filter: Filter, step: f64, j: usize) -> Row {
        let reach = if filter == Filter::LinearAntialias {
            1.0
        } else {
            2.0
        };
        let (support, inverse) = if step >= 1.0 {
            (reach * step, 1.0 / step)
        } else {
            (reach, 1.0)
        };
        let centre = step * (j as f64 + 0.5);
        let first = (centre - support + 0.5).max(0.0) as usize;
        let end = ((centre + support + 0.5) as usize).min(self.from);
        let weight = |i: usize| {
            let d = ((i as f64 - centre + 0.5) * inverse).abs();
            if filter == Filter::LinearAntialias {
                (1.0 - d).max(0.0)
            } else {
                cubic(d, -0.5)
            }
        };
        let total: f64 = (first..end).map(weight).sum();
        (first..end)
            .map(|i| (i, if total == 0.0 { 0.0 } else { weight(i) / total }))
            .collect()
    }
}

/// Cubic convolution (Keys, 1981) with slope `a` at distance 1.
fn cubic(d: f64, a: f64) -> f64 {
    let d = d.abs();
    if d <= 1.0 {
        ((a + 2.0) * d - (a + 3.0)) * d * d + 1.0
    } else if d < 2.0 {
        ((d - 5.0) * d + 8.0) * d * a - 4.0 * a
    } else {
        0.0
    }
}

fn upsample(
    x: &Tensor,
    output_size: &[i64],
    align_corners: bool,
    scales: Option<&[f64]>,
    spatial: usize,
    filter: Filter,
    name: &'static str,
) -> Result<Tensor> {
    crate::check!(
        output_size.len() == spatial,
        Runtime,
        "It is expected output_size equals to {spatial}, but got size {}",
        output_size.len()
    );
    crate::check!(
        x.ndim() == spatial + 2 && x.sizes()[1..].iter().all(|&n| n > 0)
            || x.ndim() == spatial + 2 && x.sizes()[2..].contains(&0),
        Runtime,
        "Non-empty {}D data tensor expected but got a tensor with sizes {}",
        spatial + 2,
        shape::list(x.sizes())
    );
    let letters = &["D", "H", "W"][3 - spatial..];
    let shown = |v: &[i64]| {
        letters
            .iter()
            .zip(v)
            .map(|(l, n)| format!("{l}: {n}"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let from: Vec<i64> = x.sizes()[2..].iter().map(|&n| n as i64).collect();
    crate::check!(
        from.iter().chain(output_size).all(|&n| n > 0),
        Runtime,
        "Input and output sizes should be greater than 0, but got input ({}) and output ({})",
        shown(&from),
        shown(output_size)
    );
    let nearest = matches!(filter, Filter::Nearest | Filter::NearestExact);
    let images = spatial == 2 || nearest;
    crate::check!(
        x.dtype().is_floating() || (x.dtype() == DType::U8 && images),
        NotImplemented,
        "\"{name}\" not implemented for '{}'",
        x.dtype().scalar_name()
    );
    let mut maps = Vec::new();
    for d in (0..spatial).rev() {
        let resize = Resize {
            from: from[d] as usize,
            to: output_size[d] as usize,
            align_corners,
            scale: scales.and_then(|s| s.get(d).copied()),
            double: x.dtype() == DType::F64,
        };
        let axis = resize.axis(filter)?.ok_or_else(|| {
            crate::err!(
                Runtime,
                "{name}: positions outside the input of length {}",
                resize.from
            )
        })?;
        maps.push((d + 2, axis));
    }
    resample(x, &Rc::new(maps), name)
}

/// Rows of one filter: their names, the number of axes they resize, their names in the graph.
macro_rules! upsampling {
    ($filter:ident, aligned, $doc:literal: $($name:ident $n:literal $node:literal),+) => { $(
        op! {
            #[doc = $doc]
            $name, in [NN] {
                "(Tensor input, int[] output_size, bool align_corners, float[]? scales=None) -> Tensor" =>
                    |a| upsample(&a.tensor(0), a.ints(1), a.bool(2), a.opt_floats(3), $n, Filter::$filter, $node),
            }
        }
    )+ };
    ($filter:ident, $doc:literal: $($name:ident $n:literal $node:literal),+) => { $(
        op! {
            #[doc = $doc]
            $name, in [NN] {
                "(Tensor input, int[] output_size, float[]? scales=None) -> Tensor" =>
                    |a| upsample(&a.tensor(0), a.ints(1), false, a.opt_floats(2), $n, Filter::$filter, $node),
            }
        }
    )+ };
}

upsampling!(Nearest, " Resizes by repeating the pixel at or before each position. See `torch.nn.functional.interpolate`.":
    _upsample_nearest1d 1 "UpsampleNearest1DBackward0",
    _upsample_nearest2d 2 "UpsampleNearest2DBackward0",
    _upsample_nearest3d 3 "UpsampleNearest3DBackward0");
upsampling!(NearestExact, " Resizes by repeating the nearest pixel. See `torch.nn.functional.interpolate`.":
    _upsample_nearest_exact1d 1 "UpsampleNearestExact1DBackward0",
    _upsample_nearest_exact2d 2 "UpsampleNearestExact2DBackward0",
    _upsample_nearest_exact3d 3 "UpsampleNearestExact3DBackward0");
upsampling!(Linear, aligned, " Resizes by linear interpolation. See `torch.nn.functional.interpolate`.":
    _upsample_linear1d 1 "UpsampleLinear1DBackward0",
    _upsample_bilinear2d 2 "UpsampleBilinear2DBackward0",
    _upsample_trilinear3d 3 "UpsampleTrilinear3DBackward0");
upsampling!(Cubic, aligned, " Resizes by cubic interpolation. See `torch.nn.functional.interpolate`.":
    _upsample_bicubic2d 2 "UpsampleBicubic2DBackward0");
upsampling!(LinearAntialias, aligned, " Resizes by averages weighted with a triangle. See `torch.nn.functional.interpolate`.":
    _upsample_bilinear2d_aa 2 "UpsampleBilinear2DAaBackward0");
upsampling!(CubicAntialias, aligned, " Resizes by averages weighted with a cubic. See `torch.nn.functional.interpolate`.":
    _upsample_bicubic2d_aa 2 "UpsampleBicubic2DAaBackward0");

pub static ROWS: &[&crate::ops::OpDef] = &[
    &_upsample_nearest1d::DEF,
    &_upsample_nearest2d::DEF,
    &_upsample_nearest3d::DEF,
    &_upsample_nearest_exact1d::DEF,
    &_upsample_nearest_exact2d::DEF,
    &_upsample_nearest_exact3d::DEF,
    &_upsample_linear1d::DEF,
    &_upsample_bilinear2d::DEF,
    &_upsample_trilinear3d::DEF,
    &_upsample_bicubic2d::DEF,
    &_upsample_bilinear2d_aa::DEF,
    &_upsample_bicubic2d_aa::DEF,
];
