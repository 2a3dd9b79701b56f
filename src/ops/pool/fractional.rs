//! Max pooling over windows at random places (Graham, 2014).

use super::maxima::record_choice;
use super::windows::each;
use crate::dtype::DType;
use crate::error::Result;
use crate::list;
use crate::ops::args::Args;
use crate::ops::conv::fill_slice;
use crate::scalar::Element;
use crate::shape::{self, Sizes};
use crate::tensor::Tensor;
use smallvec::SmallVec;

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
pub(super) fn fractional_max_pool(n: usize, a: &Args) -> Result<(Tensor, Tensor)> {
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
            let generator = crate::ops::random::default_generator();
            let mut generator = generator.lock().unwrap_or_else(|e| e.into_inner());
            crate::dispatch_of!(op, x.dtype(), floats, T => {
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
    crate::dispatch_of!(op, x.dtype(), floats, T => {
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
