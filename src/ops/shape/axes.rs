//! Axes merged, split and moved; the in-place forms of views.

use crate::autograd;
use crate::error::Result;
use crate::ops::view::as_i64;
use crate::shape::{self, Sizes};
use crate::tensor::Tensor;
use smallvec::SmallVec;

pub(super) fn flatten(x: &Tensor, start: i64, end: i64) -> Result<Tensor> {
    let (start, end) = (
        shape::wrap_dim(start, x.ndim())?,
        shape::wrap_dim(end, x.ndim())?,
    );
    crate::check!(
        start <= end,
        Runtime,
        "flatten() has invalid args: start_dim cannot come after end_dim"
    );
    if x.ndim() == 0 {
        return x.reshape_to(&[1]);
    }
    if start == end {
        return Ok(x.clone());
    }
    let mut sizes: Sizes = SmallVec::from_slice(&x.sizes()[..start]);
    sizes.push(x.sizes()[start..=end].iter().product());
    sizes.extend_from_slice(&x.sizes()[end + 1..]);
    x.reshape_to(&sizes)
}

fn unflatten(x: &Tensor, dim: i64, sizes: &[i64]) -> Result<Tensor> {
    let d = shape::wrap_dim(dim, x.ndim())?;
    crate::check!(
        !sizes.is_empty(),
        Runtime,
        "unflatten: sizes must be non-empty"
    );
    crate::check!(
        x.ndim() > 0,
        Index,
        "Dimension specified as {dim} but tensor has no dimensions"
    );
    let inner = shape::infer_size(sizes, x.sizes()[d]).map_err(|e| {
        if e.message.starts_with("shape '") {
            crate::err!(
                Runtime,
                "unflatten: Provided sizes {} don't multiply up to the size of dim {d} ({}) in the input tensor",
                shape::list(sizes),
                x.sizes()[d]
            )
        } else {
            e
        }
    })?;
    let mut all = as_i64(&x.sizes()[..d]);
    all.extend(inner.iter().map(|&n| n as i64));
    all.extend(x.sizes()[d + 1..].iter().map(|&n| n as i64));
    x.view(&all)
}

fn movedim(x: &Tensor, from: &[i64], to: &[i64]) -> Result<Tensor> {
    crate::check!(
        from.len() == to.len(),
        Runtime,
        "movedim: Invalid source or destination dims: source ({} dims) should contain the same number of dims as \
         destination ({} dims)",
        shape::list(from),
        shape::list(to)
    );
    let wrap = |dims: &[i64], which: &str| -> Result<SmallVec<[usize; 5]>> {
        let mut out: SmallVec<[usize; 5]> = SmallVec::new();
        for &d in dims {
            let d = shape::wrap_dim(d, x.ndim())?;
            crate::check!(
                !out.contains(&d),
                Runtime,
                "movedim: repeated dim in `{which}` ({})",
                shape::list(dims)
            );
            out.push(d);
        }
        Ok(out)
    };
    let (from, to) = (wrap(from, "source")?, wrap(to, "destination")?);
    if x.ndim() == 0 {
        return x.alias();
    }
    let mut rest = (0..x.ndim()).filter(|d| !from.contains(d));
    let order: SmallVec<[i64; 6]> = (0..x.ndim())
        .filter_map(|d| match to.iter().position(|&t| t == d) {
            Some(i) => Some(from[i]),
            None => rest.next(),
        })
        .map(|d| d as i64)
        .collect();
    x.permute(&order)
}

impl Tensor {
    /// Takes on the geometry of a view of itself, with its history: `transpose_`, `squeeze_`.
    pub fn become_view(&self, view: impl FnOnce(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
        if autograd::is_grad_enabled() {
            autograd::inplace::check(self, autograd::needs_grad(&[self]))?;
        }
        let seen = view(self)?;
        let new = self.replaced(&seen);
        if let Some((node, output)) = seen.grad_fn() {
            new.set_grad_fn(node, output);
        }
        new.bump();
        Ok(new)
    }
}

pub(super) fn squeeze_all(t: &Tensor) -> Result<Tensor> {
    t.squeeze_dims(&(0..t.ndim()).collect::<SmallVec<[usize; 5]>>())
}
op! {
    /// Returns `input` with the axes from `start_dim` to `end_dim` as one; `input` itself where that changes nothing.
    ///
    /// Example::
    ///
    ///     >>> torch.zeros(2, 3, 4).flatten(1).shape
    ///     torch.Size([2, 12])
    flatten__, in [TORCH, METHOD] {
        "(Tensor input, int start_dim=0, int end_dim=-1) -> Tensor" => |a| flatten(&a.tensor(0), a.int(1), a.int(2)),
    }
}
op! {
    /// Returns a view with one axis split into axes of `sizes`, one of which may be -1.
    unflatten__, in [TORCH, METHOD] {
        "(Tensor input, int dim, int[] sizes) -> Tensor" => |a| unflatten(&a.tensor(0), a.int(1), a.ints(2)),
    }
}
op! {
    /// Returns the elements as a contiguous 1-d tensor.
    ravel, in [TORCH, METHOD] {
        "(Tensor input) -> Tensor" => |a| a.tensor(0).contiguous()?.view(&[-1]),
    }
}
op! {
    /// Returns a view with the axes `source` moved to the positions `destination`.
    movedim__, in [TORCH, METHOD], alias ["moveaxis"] {
        "(Tensor input, int source, int destination) -> Tensor" => |a| movedim(&a.tensor(0), &[a.int(1)], &[a.int(2)]),
        "(Tensor input, int[] source, int[] destination) -> Tensor" => |a| movedim(&a.tensor(0), a.ints(1), a.ints(2)),
    }
}
op! {
    /// Returns a view with two axes swapped.
    swapaxes, in [TORCH, METHOD] {
        "(Tensor input, int axis0, int axis1) -> Tensor" => |a| a.tensor(0).transpose(a.int(1), a.int(2)),
    }
}
op! {
    /// Returns the conjugate of `input` with its last two axes swapped.
    adjoint, in [TORCH, METHOD] {
        "(Tensor input) -> Tensor" => |a| {
            let t = a.tensor(0);
            crate::check!(
                t.ndim() != 1,
                Runtime,
                "tensor.adjoint() is only supported on matrices or batches of matrices. Got {}-D tensor.",
                t.ndim()
            );
            if t.ndim() == 0 { t.conj() } else { t.transpose(-2, -1)?.conj() }
        },
    }
}
op! {
    /// Broadcasts axes of size one to `size` without copying; -1 keeps a size.
    broadcast_to, in [TORCH, METHOD] {
        "(Tensor input, int[] size) -> Tensor" => |a| a.tensor(0).expand(a.ints(1)),
    }
}
op! {
    /// Swaps two axes in place.
    transpose_, in [METHOD], alias ["swapdims_"] {
        "(Tensor input, int dim0, int dim1) -> Tensor" => |a| a.tensor(0).become_view(|t| t.transpose(a.int(1), a.int(2))),
    }
}
op! {
    /// Swaps two axes in place.
    swapaxes_, in [METHOD] {
        "(Tensor input, int axis0, int axis1) -> Tensor" => |a| a.tensor(0).become_view(|t| t.transpose(a.int(1), a.int(2))),
    }
}
op! {
    /// Transposes in place.
    t_, in [METHOD] {
        "(Tensor input) -> Tensor" => |a| a.tensor(0).become_view(|t| t.t()),
    }
}
op! {
    /// Removes axes of size one in place: all, or those of `dim`.
    squeeze_, in [METHOD] {
        "(Tensor input) -> Tensor" => |a| a.tensor(0).become_view(squeeze_all),
        "(Tensor input, int dim) -> Tensor" => |a| a.tensor(0).become_view(|t| t.squeeze_dims(&[shape::wrap_dim(a.int(1), t.ndim())?])),
        "(Tensor input, int[] dim) -> Tensor" => |a| a.tensor(0).become_view(|t| t.squeeze_dims(&shape::wrap_dims(a.ints(1), t.ndim())?)),
    }
}
op! {
    /// Inserts an axis of size one in place.
    unsqueeze_, in [METHOD] {
        "(Tensor input, int dim) -> Tensor" => |a| a.tensor(0).become_view(|t| t.unsqueeze(a.int(1))),
    }
}
op! {
    /// Gives the tensor any sizes and strides over its storage in place. Bounds are checked.
    as_strided_, in [METHOD, TORCH] {
        "(Tensor input, int[] size, int[] stride, int? storage_offset=None) -> Tensor" =>
            |a| a.tensor(0).become_view(|t| t.as_strided_by(a.ints(1), a.ints(2), a.opt_int(3))),
    }
}

pub static ROWS: &[&crate::ops::OpDef] = &[
    &flatten__::DEF,
    &unflatten__::DEF,
    &ravel::DEF,
    &movedim__::DEF,
    &swapaxes::DEF,
    &adjoint::DEF,
    &broadcast_to::DEF,
    &transpose_::DEF,
    &swapaxes_::DEF,
    &t_::DEF,
    &squeeze_::DEF,
    &unsqueeze_::DEF,
    &as_strided_::DEF,
];
