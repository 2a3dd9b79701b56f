//! Moving elements between channels and positions.

use crate::error::Result;
use crate::shape;
use crate::tensor::Tensor;

/// Leading sizes, then channels, height and width of an image.
fn image(x: &Tensor, op: &str) -> Result<(Vec<i64>, [i64; 3])> {
    crate::check!(
        x.ndim() >= 3,
        Runtime,
        "{op} expects input to have at least 3 dimensions, but got input with {} dimension(s)",
        x.ndim()
    );
    let sizes: Vec<i64> = x.sizes().iter().map(|&n| n as i64).collect();
    let lead = sizes.len() - 3;
    Ok((
        sizes[..lead].to_vec(),
        [sizes[lead], sizes[lead + 1], sizes[lead + 2]],
    ))
}

/// Reshapes the part after the leading sizes, permutes it, and reshapes it again.
fn rearrange(
    x: &Tensor,
    lead: &[i64],
    split: &[i64],
    order: &[i64],
    merged: &[i64],
) -> Result<Tensor> {
    let n = lead.len() as i64;
    let order: Vec<i64> = (0..n).chain(order.iter().map(|d| d + n)).collect();
    x.reshape(&[lead, split].concat())?
        .permute(&order)?
        .contiguous()?
        .reshape(&[lead, merged].concat())
}

fn pixel_shuffle(x: &Tensor, r: i64) -> Result<Tensor> {
    let (lead, [c, h, w]) = image(x, "pixel_shuffle")?;
    crate::check!(
        r > 0,
        Runtime,
        "pixel_shuffle expects a positive upscale_factor, but got {r}"
    );
    let square = r
        .checked_mul(r)
        .ok_or_else(|| crate::err!(Runtime, "upscale factor is too large, {r}"))?;
    crate::check!(
        c % square == 0,
        Runtime,
        "pixel_shuffle expects its input's 'channel' dimension to be divisible by the square of upscale_factor, but \
         input.size(-3)={c} is not divisible by {square}"
    );
    let c = c / square;
    rearrange(
        x,
        &lead,
        &[c, r, r, h, w],
        &[0, 3, 1, 4, 2],
        &[c, h * r, w * r],
    )
}

fn pixel_unshuffle(x: &Tensor, r: i64) -> Result<Tensor> {
    let (lead, [c, h, w]) = image(x, "pixel_unshuffle")?;
    crate::check!(
        r > 0,
        Runtime,
        "pixel_unshuffle expects a positive downscale_factor, but got {r}"
    );
    for (name, at, n) in [("height", -2, h), ("width", -1, w)] {
        crate::check!(
            n % r == 0,
            Runtime,
            "pixel_unshuffle expects {name} to be divisible by downscale_factor, but input.size({at})={n} is not \
             divisible by {r}"
        );
    }
    rearrange(
        x,
        &lead,
        &[c, h / r, r, w / r, r],
        &[0, 2, 4, 1, 3],
        &[c * r * r, h / r, w / r],
    )
}

fn channel_shuffle(x: &Tensor, groups: i64) -> Result<Tensor> {
    crate::check!(
        x.ndim() > 2,
        Runtime,
        "channel_shuffle expects input with > 2 dims, but got input with sizes {}",
        shape::list(x.sizes())
    );
    crate::check!(
        groups > 0,
        Runtime,
        "Number of groups to divide channels in must be positive. Value of groups:{groups}"
    );
    let sizes: Vec<i64> = x.sizes().iter().map(|&n| n as i64).collect();
    let (n, c) = (sizes[0], sizes[1]);
    crate::check!(
        c % groups == 0,
        Runtime,
        "Number of channels must be divisible by groups. Got {c} channels and {groups} groups."
    );
    let inner: i64 = sizes[2..].iter().product();
    x.reshape(&[n, groups, c / groups, inner])?
        .transpose(1, 2)?
        .contiguous()?
        .reshape(&sizes)
}

op! {
    /// Moves elements of r * r channels to blocks of r by r positions (Shi et al., 2016).
    ///
    /// Args:
    ///     input: (..., C * r * r, H, W).
    ///     upscale_factor: r.
    ///
    /// Returns:
    ///     (..., C, H * r, W * r).
    pixel_shuffle, in [NN, TORCH] {
        "(Tensor input, int upscale_factor) -> Tensor" => |a| pixel_shuffle(&a.tensor(0), a.int(1)),
    }
}
op! {
    /// Moves blocks of r by r positions to r * r channels, the inverse of `pixel_shuffle`.
    ///
    /// Args:
    ///     input: (..., C, H * r, W * r).
    ///     downscale_factor: r.
    pixel_unshuffle, in [NN, TORCH] {
        "(Tensor input, int downscale_factor) -> Tensor" => |a| pixel_unshuffle(&a.tensor(0), a.int(1)),
    }
}
op! {
    /// Interleaves groups of channels (Zhang et al., 2018).
    ///
    /// Args:
    ///     input: (N, C, ...).
    ///     groups: number of groups, a divisor of C.
    channel_shuffle, in [NN, TORCH], alias ["native_channel_shuffle"] {
        "(Tensor input, int groups) -> Tensor" => |a| channel_shuffle(&a.tensor(0), a.int(1)),
    }
}

pub static ROWS: &[&crate::ops::OpDef] = &[
    &pixel_shuffle::DEF,
    &pixel_unshuffle::DEF,
    &channel_shuffle::DEF,
];
