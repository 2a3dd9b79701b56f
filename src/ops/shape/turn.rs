//! Axes reversed, rolled and turned, and windows along an axis.

use crate::autograd::{self, engine::grads, record_stateless};
use crate::error::Result;
use crate::ops::join::cat;
use crate::ops::view::{as_strided_backward, view};
use crate::shape::{self, Sizes, Strides};
use crate::tensor::Tensor;
use smallvec::SmallVec;

/// Reverses axes. The copy keeps the order of axes in memory.
pub fn flip(x: &Tensor, dims: &[i64]) -> Result<Tensor> {
    let axes = shape::wrap_dims(dims, x.ndim())?;
    let out = x.empty_like(x.dtype())?;
    let mut strides: Strides = SmallVec::from_slice(x.strides());
    let mut start = 0;
    for &d in axes.iter().filter(|&&d| d < x.ndim()) {
        start += strides[d] * (x.sizes()[d] as isize - 1).max(0);
        strides[d] = -strides[d];
    }
    if x.numel() > 0 {
        let reversed = autograd::no_grad(|| x.detach().as_strided_at(x.sizes(), &strides, start))?;
        out.write_from(&reversed)?;
    }
    if autograd::needs_grad(&[x]) {
        let dims: SmallVec<[i64; 6]> = SmallVec::from_slice(dims);
        record_stateless("FlipBackward0", &[x], &[&out], move |g| {
            grads([Some(flip(&g.get(0)?, &dims)?)])
        });
    }
    Ok(out)
}

fn roll(x: &Tensor, shifts: &[i64], dims: &[i64]) -> Result<Tensor> {
    crate::check!(!shifts.is_empty(), Runtime, "`shifts` required");
    let flat = dims.is_empty() && shifts.len() == 1;
    crate::check!(
        flat || shifts.len() == dims.len(),
        Runtime,
        "shifts and dimensions must align. shifts: {}, dims:{}",
        shifts.len(),
        dims.len()
    );
    let mut axes: SmallVec<[usize; 5]> = SmallVec::new();
    for &d in dims {
        crate::check!(
            x.ndim() > 0,
            Index,
            "Dimension specified as {d} but tensor has no dimensions"
        );
        axes.push(shape::wrap_dim(d, x.ndim())?);
    }
    let out = autograd::no_grad(|| -> Result<Tensor> {
        let mut y = x.detach();
        if flat {
            y = y.reshape(&[-1])?;
            axes.push(0);
        }
        for (&d, &s) in axes.iter().zip(shifts) {
            let n = y.sizes()[d] as i64;
            if n > 0 && s.rem_euclid(n) != 0 {
                let s = s.rem_euclid(n);
                y = cat(
                    &[y.narrow(d as i64, n - s, s)?, y.narrow(d as i64, 0, n - s)?],
                    d as i64,
                )?;
            }
        }
        let y = y.reshape_to(x.sizes())?;
        // A result of its own, also where nothing moved.
        let shared = y.storage().same(x.storage());
        Ok(if shared {
            y.clone_recorded(crate::ops::args::MemoryFormat::Contiguous)?
        } else {
            y.data_alias()
        })
    })?;
    if autograd::needs_grad(&[x]) {
        let back: SmallVec<[i64; 6]> = shifts.iter().map(|s| s.wrapping_neg()).collect();
        let dims: SmallVec<[i64; 6]> = SmallVec::from_slice(dims);
        record_stateless("RollBackward0", &[x], &[&out], move |g| {
            grads([Some(roll(&g.get(0)?, &back, &dims)?)])
        });
    }
    Ok(out)
}

fn rot90(x: &Tensor, k: i64, dims: &[i64]) -> Result<Tensor> {
    crate::check!(
        dims.len() == 2,
        Runtime,
        "expected total rotation dims == 2, but got dims = {}",
        dims.len()
    );
    crate::check!(
        x.ndim() >= 2,
        Runtime,
        "expected total dims >= 2, but got total dims = {}",
        x.ndim()
    );
    let (a, b) = (
        shape::wrap_dim(dims[0], x.ndim())?,
        shape::wrap_dim(dims[1], x.ndim())?,
    );
    crate::check!(
        a != b,
        Runtime,
        "expected rotation dims to be different, but got dim0 = {} and dim1 = {}",
        dims[0],
        dims[1]
    );
    let (a, b) = (a as i64, b as i64);
    let out = autograd::no_grad(|| -> Result<Tensor> {
        match k.rem_euclid(4) {
            1 => flip(x, &[b])?.transpose(a, b),
            2 => flip(x, &[a, b]),
            3 => flip(x, &[a])?.transpose(a, b),
            _ => x.clone_recorded(crate::ops::args::MemoryFormat::Contiguous),
        }
    })?
    .data_alias();
    if autograd::needs_grad(&[x]) {
        record_stateless("Rot90Backward0", &[x], &[&out], move |g| {
            grads([Some(rot90(&g.get(0)?, -(k % 4), &[a, b])?)])
        });
    }
    Ok(out)
}

/// Windows of `size` elements every `step` along an axis, in a new last axis; a view.
pub(super) fn unfold(x: &Tensor, dim: i64, size: i64, step: i64) -> Result<Tensor> {
    let d = shape::wrap_dim(dim, x.ndim())?;
    let room = x.sizes().get(d).copied().unwrap_or(1) as i64;
    crate::check!(size >= 0, Runtime, "size is {size} but must be >= 0");
    crate::check!(
        size <= room,
        Runtime,
        "maximum size for tensor at dimension {d} is {room} but size is {size}"
    );
    crate::check!(step > 0, Runtime, "step is {step} but must be > 0");
    let windowed = |sizes: &[usize], strides: &[isize]| -> (Sizes, Strides) {
        let (mut n, mut s): (Sizes, Strides) =
            (SmallVec::from_slice(sizes), SmallVec::from_slice(strides));
        let along = s.get(d).copied().unwrap_or(1);
        if d < n.len() {
            n[d] = ((room - size) / step + 1) as usize;
            s[d] = along.wrapping_mul(step as isize);
        }
        n.push(size as usize);
        s.push(along);
        (n, s)
    };
    let (sizes, strides) = windowed(x.sizes(), x.strides());
    let base: Sizes = SmallVec::from_slice(x.sizes());
    let plain = shape::contiguous_strides(&base);
    let (back_sizes, back_strides) = windowed(&base, &plain);
    // SAFETY: the last window ends inside the axis.
    Ok(unsafe {
        view(x, x.offset(), sizes, strides, "UnfoldBackward0", move |g| {
            as_strided_backward(&g.get(0)?, &base, &plain, &back_sizes, &back_strides, 0)
        })
    })
}
op! {
    /// Returns a copy with the order of the elements reversed along the axes `dims`.
    flip__, in [TORCH, METHOD] {
        "(Tensor input, int[] dims) -> Tensor" => |a| flip(&a.tensor(0), a.ints(1)),
    }
}
op! {
    /// Returns a copy with the second axis reversed.
    fliplr, in [TORCH, METHOD] {
        "(Tensor input) -> Tensor" => |a| {
            let t = a.tensor(0);
            crate::check!(t.ndim() >= 2, Runtime, "Input must be >= 2-d.");
            flip(&t, &[1])
        },
    }
}
op! {
    /// Returns a copy with the first axis reversed.
    flipud, in [TORCH, METHOD] {
        "(Tensor input) -> Tensor" => |a| {
            let t = a.tensor(0);
            crate::check!(t.ndim() >= 1, Runtime, "Input must be >= 1-d.");
            flip(&t, &[0])
        },
    }
}
op! {
    /// Returns a copy with the elements moved by `shifts` along `dims`; what leaves at one end enters at the other.
    /// Without `dims` the elements move in a row.
    roll__, in [TORCH, METHOD] {
        "(Tensor input, int[1] shifts, int[1] dims=[]) -> Tensor" => |a| roll(&a.tensor(0), a.ints(1), a.ints(2)),
    }
}
op! {
    /// Returns `input` turned by `k` quarter turns in the plane of two axes, from the first towards the second.
    rot90__, in [TORCH, METHOD] {
        "(Tensor input, int k=1, int[] dims=[0,1]) -> Tensor" => |a| rot90(&a.tensor(0), a.int(1), a.ints(2)),
    }
}
op! {
    /// Returns a view of the windows of `size` elements every `step` along an axis; their elements are a new last axis.
    unfold__, in [METHOD] {
        "(Tensor input, int dimension, int size, int step) -> Tensor" => |a| unfold(&a.tensor(0), a.int(1), a.int(2), a.int(3)),
    }
}

pub static ROWS: &[&crate::ops::OpDef] = &[
    &flip__::DEF,
    &fliplr::DEF,
    &flipud::DEF,
    &roll__::DEF,
    &rot90__::DEF,
    &unfold__::DEF,
];
