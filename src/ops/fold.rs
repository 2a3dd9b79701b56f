//! Images as columns of windows, and columns added up into images.

use super::conv::fill_slice;
use super::pool::{as_usize, each};
use crate::autograd::{self, engine::grads, record};
use crate::cpu::conv::ConvShape;
use crate::cpu::pool as kernel;
use crate::dtype::DType;
use crate::error::Result;
use crate::ops::args::Args;
use crate::shape;
use crate::tensor::Tensor;

/// The checked geometry of `unfold` and `fold`.
fn columns_shape(
    planes: (usize, usize),
    space: &[usize],
    kernel: &[i64],
    dilation: &[i64],
    padding: &[i64],
    stride: &[i64],
) -> Result<(ConvShape, [i64; 2])> {
    let pair = |name: &str, v: &[i64]| each("im2col", name, v, 2);
    let (k, d, p, s) = (
        pair("kernel_size", kernel)?,
        pair("dilation", dilation)?,
        pair("padding", padding)?,
        pair("stride", stride)?,
    );
    let positive = |name: &str, short: &str, v: &[i64]| -> Result<()> {
        crate::check!(
            v.iter().all(|&v| v > 0),
            Runtime,
            "{name} should be greater than zero, but got {short}_height: {} {short}_width: {}",
            v[0],
            v[1]
        );
        Ok(())
    };
    positive("kernel size", "kernel", &k)?;
    positive("dilation", "dilation", &d)?;
    crate::check!(
        p.iter().all(|&p| p >= 0),
        Runtime,
        "padding should be non-negative, but got pad_height: {} pad_width: {}",
        p[0],
        p[1]
    );
    positive("stride", "stride", &s)?;
    let blocks: [i64; 2] = std::array::from_fn(|i| {
        (space[i] as i64 + 2 * p[i] - (d[i] * (k[i] - 1) + 1)).div_euclid(s[i]) + 1
    });
    let shape = ConvShape::new(
        planes.0,
        planes.1,
        1,
        1,
        space,
        &as_usize(&k),
        &as_usize(&s),
        &as_usize(&p),
        &as_usize(&d),
    );
    Ok((shape, blocks))
}

fn parenthesised(v: &[i64]) -> String {
    format!(
        "({}, {})",
        v.first().unwrap_or(&0),
        v.get(1).or(v.first()).unwrap_or(&0)
    )
}

/// Columns of windows of `x`, [batch, channels, h, w], and its inverse direction, each the other's gradient.
fn unfold_data(x: &Tensor, s: ConvShape) -> Result<Tensor> {
    if x.dtype() == DType::Bool {
        return unfold_data(&x.to_dtype(DType::U8)?, s)?.to_dtype(DType::Bool);
    }
    let rows = s.in_channels * s.taps();
    let out = Tensor::empty(&[s.batch, rows, s.pixels_out()], x.dtype(), x.device())?;
    let data = x.detach().contiguous()?;
    crate::dispatch_of!("im2col_out_cpu", x.dtype(), [U8 F16 BF16 F32 F64 C64 C128], T => kernel::unfold(&s, data.as_slice::<T>()?, fill_slice::<T>(&out)?));
    if autograd::needs_grad(&[x]) {
        record("Im2ColBackward0", &[x], &[&out], move |g| {
            grads([Some(fold_data(&g.get(0)?, s)?)])
        });
    }
    Ok(out)
}

fn fold_data(x: &Tensor, s: ConvShape) -> Result<Tensor> {
    let out = Tensor::empty(
        &[s.batch, s.in_channels, s.input[1], s.input[2]],
        x.dtype(),
        x.device(),
    )?;
    let data = x.detach().contiguous()?;
    crate::dispatch_of!("col2im_out_cpu", x.dtype(), fields, T => kernel::fold(&s, data.as_slice::<T>()?, fill_slice::<T>(&out)?));
    if autograd::needs_grad(&[x]) {
        record("Col2ImBackward0", &[x], &[&out], move |g| {
            grads([Some(unfold_data(&g.get(0)?, s)?)])
        });
    }
    Ok(out)
}

fn unfold_images(x: &Tensor, a: &Args) -> Result<Tensor> {
    x.need_cpu("unfold")?;
    let d = x.ndim();
    crate::check!(
        (d == 3 || d == 4) && x.sizes()[1..].iter().all(|&s| s > 0),
        Runtime,
        "Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and other non-zero dimensions for input, but got: {}",
        shape::list(x.sizes())
    );
    let image = if d == 3 { x.unsqueeze(0)? } else { x.clone() };
    let z = image.sizes();
    let (s, blocks) = columns_shape(
        (z[0], z[1]),
        &z[2..],
        a.ints(1),
        a.ints(2),
        a.ints(3),
        a.ints(4),
    )?;
    crate::check!(
        blocks.iter().all(|&b| b > 0),
        Runtime,
        "Given input with spatial size ({}, {}), kernel_size={}, dilation={}, padding={}, calculated shape of the array of \
         sliding blocks as {}, but its components must be at least one.",
        z[2],
        z[3],
        parenthesised(a.ints(1)),
        parenthesised(a.ints(2)),
        parenthesised(a.ints(3)),
        parenthesised(&blocks)
    );
    let out = unfold_data(&image, s)?;
    if d == 3 {
        out.squeeze_dims(&[0])
    } else {
        Ok(out)
    }
}

fn fold_images(x: &Tensor, a: &Args) -> Result<Tensor> {
    x.need_cpu("fold")?;
    let d = x.ndim();
    crate::check!(
        (d == 2 || d == 3) && x.sizes()[d - 2..].iter().all(|&s| s > 0),
        Runtime,
        "Expected 2D or 3D (batch mode) tensor for input with possibly 0 batch size and non-zero dimensions for input, but got: \
         {}",
        shape::list(x.sizes())
    );
    let columns = if d == 2 { x.unsqueeze(0)? } else { x.clone() };
    let z = columns.sizes();
    let size = each("fold", "output_size", a.ints(1), 2)?;
    let space = shape::sizes_of("fold", &size)?;
    let (mut s, blocks) = columns_shape(
        (z[0], 1),
        &space,
        a.ints(2),
        a.ints(3),
        a.ints(4),
        a.ints(5),
    )?;
    let taps = s.taps();
    crate::check!(
        z[1] % taps == 0,
        Runtime,
        "Expected size of input's dimension 1 to be divisible by the product of kernel_size, but got input.size(1)={} and \
         kernel_size={}.",
        z[1],
        parenthesised(a.ints(2))
    );
    crate::check!(
        blocks.iter().all(|&b| b > 0) && blocks[0] * blocks[1] == z[2] as i64,
        Runtime,
        "Given output_size={}, kernel_size={}, dilation={}, padding={}, stride={}, expected size of input's dimension 2 to \
         match the calculated number of sliding blocks {} * {} = {}, but got input.size(2)={}.",
        parenthesised(&size),
        parenthesised(a.ints(2)),
        parenthesised(a.ints(3)),
        parenthesised(a.ints(4)),
        parenthesised(a.ints(5)),
        blocks[0],
        blocks[1],
        blocks[0] * blocks[1],
        z[2]
    );
    s.in_channels = z[1] / taps;
    let out = fold_data(&columns, s)?;
    if d == 2 {
        out.squeeze_dims(&[0])
    } else {
        Ok(out)
    }
}
op! {
    /// Returns the windows of a batch of images as columns, (batch, channels * taps, places).
    unfold__, in [NN] {
        "(Tensor input, int[2] kernel_size, int[2] dilation=1, int[2] padding=0, int[2] stride=1) -> Tensor" =>
            |a| unfold_images(&a.tensor(0), a),
    }
}
op! {
    /// Adds columns of windows up into images of `output_size`: the transpose of `unfold`.
    fold, in [NN] {
        "(Tensor input, int[2] output_size, int[2] kernel_size, int[2] dilation=1, int[2] padding=0, int[2] stride=1) -> Tensor" =>
            |a| fold_images(&a.tensor(0), a),
    }
}

pub static ROWS: &[&crate::ops::OpDef] = &[&unfold__::DEF, &fold::DEF];
