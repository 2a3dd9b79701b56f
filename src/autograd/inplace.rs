//! In-place ops and the graph: what they may write to, and how views and bases share history.

use super::{GradVec, Grads, Node};
use crate::error::Result;
use crate::shape;
use crate::tensor::{Tensor, ViewKind};
use smallvec::smallvec;
use std::rc::Rc;

/// Whether more than one element may share an address.
fn overlaps_itself(t: &Tensor) -> bool {
    t.numel() > 1
        && t.strides()
            .iter()
            .zip(t.sizes())
            .any(|(&s, &n)| s == 0 && n > 1)
}

/// Refuses writes that memory cannot take.
pub fn check_writable(t: &Tensor) -> Result<()> {
    crate::check!(
        !t.storage().is_read_only(),
        Runtime,
        "the tensor's memory is read-only (it came from a read-only array or buffer); write to a copy: x.clone()"
    );
    crate::check!(
        !overlaps_itself(t),
        Runtime,
        "unsupported operation: more than one element of the written-to tensor refers to a single memory location. \
         Please clone() the tensor before performing the operation."
    );
    Ok(())
}

/// Refuses in-place ops that would lose a gradient.
pub fn check(t: &Tensor, needs_grad: bool) -> Result<()> {
    check_writable(t)?;
    if !super::is_grad_enabled() {
        return Ok(());
    }
    crate::check!(
        !t.is_inference() || super::is_inference_mode(),
        Runtime,
        "Inplace update to inference tensor outside InferenceMode is not allowed.You can make a clone to get a normal \
         tensor before doing inplace update."
    );
    let requires = t.requires_grad();
    crate::check!(
        !(requires && t.is_leaf()),
        Runtime,
        "{} Variable that requires grad is being used in an in-place operation.",
        if t.view_of().is_some() {
            "a view of a leaf"
        } else {
            "a leaf"
        }
    );
    if let Some(view) = t.view_of() {
        if view.base.requires_grad() && view.base.is_leaf() {
            crate::bail!(
                Runtime,
                "a view of a leaf Variable that requires grad is being used in an in-place operation."
            );
        }
        if needs_grad || requires {
            let reason = match view.kind {
                ViewKind::Plain => return Ok(()),
                ViewKind::MultiOutput => {
                    "This view is the output of a function that returns multiple views. Such functions do not allow the \
                     output views to be modified inplace. You should replace the inplace operation by an out-of-place one."
                }
                ViewKind::NoGrad => {
                    "Given that this use case is ambiguous and error-prone, it is forbidden. You \
                     can clarify your code by moving both the view and the inplace either both inside the no_grad block \
                     (if you don't want the inplace to be tracked) or both outside (if you want the inplace to be \
                     tracked)."
                }
            };
            let what = match t.grad_fn() {
                Some((n, i)) => {
                    let name = n.display_name().trim_end_matches(|c: char| c.is_ascii_digit()).to_string();
                    let op = name.strip_suffix("Backward").unwrap_or(&name);
                    format!("Output {i} of {op} is a view and is being modified inplace.")
                }
                None => {
                    "A view was created in no_grad mode and is being modified inplace with grad mode enabled.".to_string()
                }
            };
            crate::bail!(Runtime, "{what} {reason}");
        }
    }
    Ok(())
}

/// The value and history of `t` before an in-place op, for formulas that read it.
pub fn original(t: &Tensor) -> Result<Tensor> {
    let copy = super::no_grad(|| t.clone_data())?;
    t.copy_history_to(&copy);
    Ok(copy)
}

/// Makes `t`, whose memory now holds the values of `result`, continue from `result`'s history.
pub fn adopt(t: &Tensor, result: &Tensor) {
    match t.view_of() {
        None => match result.gradient_edge() {
            Some(edge) => {
                t.set_grad_fn(edge.node.clone(), edge.output);
            }
            None => t.clear_grad_fn(),
        },
        Some(view) => copy_slices(t, &view.base, result),
    }
}

/// A gradient laid out like the base, so that the view's geometry applies to it.
fn laid_out_like(g: &Tensor, strides: &[isize]) -> Result<Tensor> {
    let contiguous = shape::contiguous_strides(g.sizes());
    if contiguous.as_slice() == strides {
        return g.contiguous();
    }
    let out = Tensor::empty_strided(g.sizes(), strides, g.dtype(), g.device())?;
    out.zero_fill()?;
    out.copy_(g)?;
    Ok(out)
}

/// The base of a view was written through the view: its gradient goes to the old base where it was not written, and to
/// `source` where it was.
fn copy_slices(t: &Tensor, base: &Tensor, source: &Tensor) {
    let (sizes, strides) = (t.sizes().to_vec(), t.strides().to_vec());
    let start = t.offset() as isize - base.offset() as isize;
    let base_strides = base.strides().to_vec();
    let (view_dtype, base_dtype) = (t.dtype(), base.dtype());
    let node = Node::new(
        "CopySlices",
        &[base, source],
        false,
        Rc::new(move |g: &Grads| -> Result<GradVec> {
            crate::check!(
                view_dtype == base_dtype,
                NotImplemented,
                "backward through an in-place op on a view of another dtype is not supported"
            );
            let g0 = laid_out_like(&g.get(0)?, &base_strides)?;
            let to_base = g.when(0, || {
                let rest = g0.clone_data_recorded()?;
                let hole = rest.as_strided_at(&sizes, &strides, start)?;
                hole.zero_()?;
                Ok(rest)
            })?;
            let to_source = g.when(1, || g0.as_strided_at(&sizes, &strides, start))?;
            Ok(smallvec![to_base, to_source])
        }),
    );
    node.add_output(base);
    base.set_grad_fn(node, 0);
}

/// The node of a view whose base was written to: an `as_strided` of the base.
pub fn view_node(t: &Tensor, base: &Tensor) -> Rc<Node> {
    let (sizes, strides) = (t.sizes().to_vec(), t.strides().to_vec());
    let start = t.offset() as isize - base.offset() as isize;
    let (base_sizes, base_strides) = (base.sizes().to_vec(), base.strides().to_vec());
    let node = Node::new(
        "AsStridedBackward0",
        &[base],
        false,
        Rc::new(move |g: &Grads| -> Result<GradVec> {
            let g0 = g.get(0)?;
            Ok(smallvec![Some(crate::ops::view::as_strided_backward(
                &g0,
                &base_sizes,
                &base_strides,
                &sizes,
                &strides,
                start
            )?)])
        }),
    );
    node.add_output(t);
    node
}
