//! Sampling images along grids, and the grids of affine maps.

use super::loss::{need_float, work};
use crate::autograd::{self, Saved, engine::grads, record, record_not_differentiable};
use crate::cpu::grid::{Interpolation, Outside, Sampler, Second};
use crate::error::Result;
use crate::list;
use crate::shape;
use crate::tensor::Tensor;
use std::rc::Rc;

fn grid_sample(
    x: &Tensor,
    grid: &Tensor,
    how: Interpolation,
    outside: Outside,
    align_corners: bool,
) -> Result<Tensor> {
    let op = "grid_sampler()";
    x.same_device(grid)?;
    x.need_cpu("grid_sampler")?;
    crate::check!(
        x.ndim() > 2 && grid.ndim() > 0 && x.sizes()[0] == grid.sizes()[0],
        Runtime,
        "{op}: expected grid and input to have same batch size, but got input with sizes {} and grid with sizes {}",
        shape::list(x.sizes()),
        shape::list(grid.sizes())
    );
    let axes = x.ndim() - 2;
    crate::check!(
        grid.size(-1)? == axes,
        Runtime,
        "{op}: expected grid to have size {axes} in last dimension, but got grid with sizes {}",
        shape::list(grid.sizes())
    );
    crate::check!(
        (axes == 2 || axes == 3) && x.ndim() == grid.ndim(),
        Runtime,
        "{op}: expected 4D or 5D input and grid with same number of dimensions, but got input with sizes {} and grid \
         with sizes {}",
        shape::list(x.sizes()),
        shape::list(grid.sizes())
    );
    for (d, &n) in x.sizes().iter().enumerate().skip(2) {
        crate::check!(
            n > 0,
            Runtime,
            "{op}: expected input to have non-empty spatial dimensions, but input has sizes {} with dimension {d} \
             being empty",
            shape::list(x.sizes())
        );
    }
    crate::check!(
        axes == 2 || how != Interpolation::Cubic,
        Runtime,
        "{op}: bicubic interpolation only supports 4D input"
    );
    need_float(
        x,
        if axes == 2 {
            "grid_sampler_2d_cpu_kernel_impl"
        } else {
            "grid_sampler_3d_cpu"
        },
    )?;
    crate::check!(
        x.dtype() == grid.dtype(),
        Runtime,
        "expected scalar type {} but found {}",
        x.dtype().scalar_name(),
        grid.dtype().scalar_name()
    );
    let sampler = Rc::new(Sampler {
        batch: x.sizes()[0],
        channels: x.sizes()[1],
        image: x.sizes()[2..].to_vec(),
        positions: grid.sizes()[1..=axes].iter().product(),
        interpolation: how,
        outside,
        align_corners,
    });
    let mut sizes = vec![x.sizes()[0], x.sizes()[1]];
    sizes.extend_from_slice(&grid.sizes()[1..=axes]);
    let (data, positions) = (work(x)?, work(grid)?);
    let out = crate::dispatch_real!(data.dtype(), T => {
        let mut out = list::filled(sizes.iter().product(), T::default())?;
        sampler.sample(data.as_slice::<T>()?, positions.as_slice::<T>()?, &mut out);
        Tensor::from_slice_shaped(&out, &sizes)?
    })
    .to_dtype(x.dtype())?;
    if autograd::needs_grad(&[x, grid]) {
        let (xs, gs) = (Saved::input(x), Saved::input(grid));
        let name = if axes == 2 {
            "GridSampler2DBackward0"
        } else {
            "GridSampler3DBackward0"
        };
        record(name, &[x, grid], &[&out], move |g| {
            let (gx, gg) = grid_sample_backward(&g.get(0)?, &xs.get(g)?, &gs.get(g)?, &sampler)?;
            grads([Some(gx), Some(gg)])
        });
    }
    Ok(out)
}

fn grid_sample_backward(
    g: &Tensor,
    x: &Tensor,
    grid: &Tensor,
    sampler: &Rc<Sampler>,
) -> Result<(Tensor, Tensor)> {
    let (gd, xd, pd) = (work(g)?, work(x)?, work(grid)?);
    let (a, b) = crate::dispatch_real!(xd.dtype(), T => {
        let (mut a, mut b) = (list::filled(x.numel(), T::default())?, list::filled(grid.numel(), T::default())?);
        sampler.gradients(gd.as_slice::<T>()?, xd.as_slice::<T>()?, pd.as_slice::<T>()?, &mut a, &mut b);
        (Tensor::from_slice_shaped(&a, x.sizes())?, Tensor::from_slice_shaped(&b, grid.sizes())?)
    });
    let (a, b) = (a.to_dtype(x.dtype())?, b.to_dtype(grid.dtype())?);
    if autograd::needs_grad(&[g, x, grid]) {
        let saved = [Saved::input(g), Saved::input(x), Saved::input(grid)];
        let sampler = sampler.clone();
        record(
            "GridSamplerBackwardBackward0",
            &[g, x, grid],
            &[&a, &b],
            move |grad| {
                let inputs = [
                    saved[0].get(grad)?,
                    saved[1].get(grad)?,
                    saved[2].get(grad)?,
                ];
                let [a, b, c] =
                    second_gradients([&grad.get(0)?, &grad.get(1)?], &inputs, &sampler)?;
                // Picking the nearest pixel has a gradient that does not depend on the image.
                let b = (sampler.interpolation != Interpolation::Nearest).then_some(b);
                grads([Some(a), b, Some(c)])
            },
        );
    }
    Ok((a, b))
}

/// The gradients of `grid_sample_backward` with respect to its three tensors.
fn second_gradients(
    second: [&Tensor; 2],
    inputs: &[Tensor; 3],
    sampler: &Sampler,
) -> Result<[Tensor; 3]> {
    let [g, x, grid] = inputs;
    let (gd, xd, pd) = (work(g)?, work(x)?, work(grid)?);
    let (si, sg) = (work(second[0])?, work(second[1])?);
    let out = crate::dispatch_real!(xd.dtype(), T => {
        let mut a = list::filled(g.numel(), T::default())?;
        let (mut b, mut c) = (list::filled(x.numel(), T::default())?, list::filled(grid.numel(), T::default())?);
        sampler.second_gradients(
            Second { image: si.as_slice::<T>()?, grid: sg.as_slice::<T>()? },
            gd.as_slice::<T>()?,
            xd.as_slice::<T>()?,
            pd.as_slice::<T>()?,
            [&mut a, &mut b, &mut c],
        );
        [
            Tensor::from_slice_shaped(&a, g.sizes())?,
            Tensor::from_slice_shaped(&b, x.sizes())?,
            Tensor::from_slice_shaped(&c, grid.sizes())?,
        ]
    });
    let [a, b, c] = out;
    let out = [
        a.to_dtype(g.dtype())?,
        b.to_dtype(x.dtype())?,
        c.to_dtype(grid.dtype())?,
    ];
    let read = [second[0], second[1], g, x, grid];
    if autograd::needs_grad(&read) {
        record_not_differentiable("grid_sampler's second derivative", &read, &out.each_ref());
    }
    Ok(out)
}

fn interpolation(code: i64) -> Result<Interpolation> {
    Ok(match code {
        0 => Interpolation::Linear,
        1 => Interpolation::Nearest,
        2 => Interpolation::Cubic,
        _ => crate::bail!(
            Runtime,
            "grid_sampler(): interpolation_mode must be 0, 1 or 2, but got {code}"
        ),
    })
}

fn outside(code: i64) -> Result<Outside> {
    Ok(match code {
        0 => Outside::Zeros,
        1 => Outside::Border,
        2 => Outside::Reflection,
        _ => crate::bail!(
            Runtime,
            "grid_sampler(): padding_mode must be 0, 1 or 2, but got {code}"
        ),
    })
}

fn grid_sample_named(
    x: &Tensor,
    grid: &Tensor,
    mode: &str,
    padding: &str,
    align_corners: bool,
) -> Result<Tensor> {
    let how = match mode {
        "bilinear" => Interpolation::Linear,
        "nearest" => Interpolation::Nearest,
        "bicubic" => Interpolation::Cubic,
        _ => crate::bail!(
            Value,
            "nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', but got: '{mode}'"
        ),
    };
    let outside = match padding {
        "zeros" => Outside::Zeros,
        "border" => Outside::Border,
        "reflection" => Outside::Reflection,
        _ => crate::bail!(
            Value,
            "nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or 'reflection', but got: \
             '{padding}'"
        ),
    };
    grid_sample(x, grid, how, outside, align_corners)
}

/// Centres of `n` pixels, or points from edge to edge, in [-1, 1].
fn centres(n: usize, align_corners: bool) -> Result<Vec<f64>> {
    if n <= 1 {
        return Ok(vec![0.0; n]);
    }
    let last = (n - 1) as f64;
    let shrink = if align_corners { 1.0 } else { last / n as f64 };
    list::collected((0..n).map(|i| (2.0 * i as f64 / last - 1.0) * shrink))
}

/// The grid of an affine map: base points (x, y, 1) times `theta`.
fn affine_grid(theta: &Tensor, size: &[i64], align_corners: bool) -> Result<Tensor> {
    let sizes = shape::sizes_of("affine_grid", size)?;
    let spatial = &sizes[2..];
    let axes = spatial.len();
    let points = shape::numel(spatial)?;
    let mut base = list::with_room(points.saturating_mul(axes + 1))?;
    let lines = spatial
        .iter()
        .map(|&n| centres(n, align_corners))
        .collect::<Result<Vec<_>>>()?;
    for p in 0..points {
        let mut rest = p;
        for line in lines.iter().rev() {
            base.push(line[rest % line.len()]);
            rest /= line.len();
        }
        base.push(1.0);
    }
    let base = Tensor::from_slice_shaped(&base, &[1, points, axes + 1])?.to_dtype(theta.dtype())?;
    let n = sizes[0];
    crate::check!(
        theta.sizes()[0] == n,
        Runtime,
        "Expected size for first two dimensions of batch2 tensor to be: [{n}, {}] but got: [{}, {}].",
        axes + 1,
        theta.sizes()[0],
        axes + 1
    );
    let grid = base
        .expand_to(&[n, points, axes + 1])?
        .matmul(&theta.transpose(1, 2)?)?;
    let mut out = vec![n];
    out.extend_from_slice(spatial);
    out.push(axes);
    grid.reshape_to(&out)
}

fn tuple(size: &[i64]) -> String {
    format!(
        "({})",
        size.iter()
            .map(|n| n.to_string())
            .collect::<Vec<_>>()
            .join(", ")
    )
}

fn affine_grid_checked(theta: &Tensor, size: &[i64], align_corners: bool) -> Result<Tensor> {
    crate::check!(
        theta.dtype().is_floating(),
        Value,
        "Expected theta to have floating point type, but got torch.{}",
        theta.dtype().name()
    );
    let axes = match size.len() {
        4 => 2,
        5 => 3,
        _ => crate::bail!(
            NotImplemented,
            "affine_grid only supports 4D and 5D sizes, for 2D and 3D affine transforms, respectively. Got size {}.",
            tuple(size)
        ),
    };
    crate::check!(
        theta.ndim() == 3 && theta.sizes()[1] == axes && theta.sizes()[2] == axes + 1,
        Value,
        "Expected a batch of {axes}D affine matrices of shape Nx{axes}x{} for size {}. Got torch.Size({}).",
        axes + 1,
        tuple(size),
        shape::list(theta.sizes())
    );
    crate::check!(
        size.iter().all(|&n| n > 0),
        Value,
        "Expected non-zero, positive output size. Got {}",
        tuple(size)
    );
    affine_grid(theta, size, align_corners)
}

op! {
    /// Samples images at the positions of a grid (Jaderberg et al., 2015).
    ///
    /// Args:
    ///     input: (N, C, H, W) or (N, C, D, H, W).
    ///     grid: positions in [-1, 1], (N, H', W', 2) as (x, y) or (N, D', H', W', 3) as (x, y, z).
    ///     mode: "bilinear", "nearest" or, for images, "bicubic". Default: "bilinear".
    ///     padding_mode: what lies outside: "zeros", "border" or "reflection". Default: "zeros".
    ///     align_corners: whether -1 and 1 are the centres of the corner pixels rather than their edges.
    ///         Default: False.
    ///
    /// Returns:
    ///     (N, C, H', W') or (N, C, D', H', W').
    grid_sample, in [NN] {
        "(Tensor input, Tensor grid, str mode='bilinear', str padding_mode='zeros', bool? align_corners=None) -> Tensor" =>
            |a| grid_sample_named(&a.tensor(0), &a.tensor(1), a.str(2), a.str(3), a.bool(4)),
    }
}
op! {
    /// Samples images along a grid. Modes are numbers: 0 bilinear, 1 nearest, 2 bicubic; 0 zeros, 1 border, 2 reflection.
    grid_sampler, in [TORCH], alias ["grid_sampler_2d", "grid_sampler_3d"] {
        "(Tensor input, Tensor grid, int interpolation_mode, int padding_mode, bool align_corners) -> Tensor" =>
            |a| grid_sample(&a.tensor(0), &a.tensor(1), interpolation(a.int(2))?, outside(a.int(3))?, a.bool(4)),
    }
}
op! {
    /// Makes the grid by which `grid_sample` applies an affine map.
    ///
    /// Args:
    ///     theta: affine matrices, (N, 2, 3) or (N, 3, 4).
    ///     size: size of the output, (N, C, H, W) or (N, C, D, H, W).
    ///     align_corners: whether -1 and 1 are the centres of the corner pixels rather than their edges.
    ///         Default: False.
    ///
    /// Returns:
    ///     (N, H, W, 2) or (N, D, H, W, 3).
    affine_grid, in [NN] {
        "(Tensor theta, int[] size, bool? align_corners=None) -> Tensor" =>
            |a| affine_grid_checked(&a.tensor(0), a.ints(1), a.bool(2)),
    }
}
op! {
    /// Makes the grid of affine maps. See `torch.nn.functional.affine_grid`.
    affine_grid_generator, in [TORCH] {
        "(Tensor theta, int[] size, bool align_corners) -> Tensor" => |a| affine_grid_checked(&a.tensor(0), a.ints(1), a.bool(2)),
    }
}

pub static ROWS: &[&crate::ops::OpDef] = &[
    &grid_sample::DEF,
    &grid_sampler::DEF,
    &affine_grid::DEF,
    &affine_grid_generator::DEF,
];
