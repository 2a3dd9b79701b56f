//! Reverse-mode automatic differentiation: what tensors remember, and how ops record themselves.

pub mod engine;
pub mod formula;
pub mod inplace;
pub mod node;
pub mod observe;

use crate::error::Result;
use crate::tensor::{Tensor, WeakTensor};
pub use formula::Term;
pub use node::{Edge, GradVec, Grads, Hook, Node, Saved};
use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;

const GRAD: u8 = 1;
const INFERENCE: u8 = 2;
const ANOMALY: u8 = 4;
/// In anomaly mode: whether gradients that are not numbers are errors.
const CHECK_NAN: u8 = 8;
/// Hooks pack saved tensors.
const PACKING: u8 = 16;
/// A node could not save a tensor.
const FAILED: u8 = 32;

thread_local! {
    static MODE: Cell<u8> = const { Cell::new(GRAD) };
}

#[inline]
fn mode(bit: u8) -> bool {
    MODE.with(|m| m.get() & bit != 0)
}

fn set_mode(bit: u8, on: bool) -> bool {
    MODE.with(|m| {
        let old = m.get();
        m.set(if on { old | bit } else { old & !bit });
        old & bit != 0
    })
}

/// Whether ops record themselves on this thread.
#[inline]
pub fn is_grad_enabled() -> bool {
    mode(GRAD)
}
/// Sets the grad mode and returns the old one.
pub fn set_grad_enabled(on: bool) -> bool {
    set_mode(GRAD, on)
}
#[inline]
pub fn is_inference_mode() -> bool {
    mode(INFERENCE)
}
pub fn set_inference_mode(on: bool) -> bool {
    set_mode(INFERENCE, on)
}
pub fn is_anomaly_enabled() -> bool {
    mode(ANOMALY)
}
pub fn set_anomaly_enabled(on: bool) -> bool {
    set_mode(ANOMALY, on)
}
pub fn is_anomaly_check_nan() -> bool {
    mode(CHECK_NAN)
}
pub fn set_anomaly_check_nan(on: bool) -> bool {
    set_mode(CHECK_NAN, on)
}

/// Runs without recording.
pub fn no_grad<T>(f: impl FnOnce() -> T) -> T {
    with_grad_mode(false, f)
}

/// Runs with the grad mode set, restoring it also when `f` unwinds.
pub fn with_grad_mode<T>(on: bool, f: impl FnOnce() -> T) -> T {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            set_grad_enabled(self.0);
        }
    }
    let _restore = Restore(set_grad_enabled(on));
    f()
}

/// A tensor's autograd record.
#[derive(Default)]
pub struct Meta {
    /// Set by the user; true only for leaves.
    requires_grad: Cell<bool>,
    grad: RefCell<Option<Tensor>>,
    grad_fn: RefCell<Option<(Rc<Node>, u32)>>,
    /// The node that adds into `grad`, made at first use; it points back weakly.
    accumulator: OnceCell<Rc<Node>>,
    retains_grad: Cell<bool>,
    /// The leaf itself, once it has an accumulator.
    owner: RefCell<WeakTensor>,
    /// Run after `grad` was accumulated, with the tensor.
    post_accumulate: RefCell<Vec<(u64, Rc<dyn Fn() -> Result<()>>)>>,
}

impl Meta {
    /// The leaf that gradients are accumulated for.
    pub fn owner(&self) -> Option<Tensor> {
        self.owner.borrow().upgrade()
    }
    pub(crate) fn set_owner(&self, t: &Tensor) {
        *self.owner.borrow_mut() = t.downgrade();
    }

    /// Adds a hook under an id that removes it.
    pub fn add_post_accumulate(&self, id: u64, hook: Rc<dyn Fn() -> Result<()>>) {
        self.post_accumulate.borrow_mut().push((id, hook));
    }
    pub fn remove_post_accumulate(&self, id: u64) {
        self.post_accumulate.borrow_mut().retain(|h| h.0 != id);
    }
    pub(crate) fn run_post_accumulate(&self) -> Result<()> {
        let hooks: Vec<_> = self
            .post_accumulate
            .borrow()
            .iter()
            .map(|h| h.1.clone())
            .collect();
        hooks.iter().try_for_each(|h| h())
    }
}

impl Tensor {
    /// Whether gradients flow to this tensor.
    #[inline]
    pub fn requires_grad(&self) -> bool {
        match (self.meta(), self.view_of()) {
            (None, None) => false,
            _ => self.leaf_flag() || self.grad_fn().is_some(),
        }
    }

    fn leaf_flag(&self) -> bool {
        self.meta().is_some_and(|m| m.requires_grad.get())
    }

    /// Made by the user rather than by a recorded op.
    pub fn is_leaf(&self) -> bool {
        self.grad_fn().is_none()
    }

    /// The node that made this tensor and which of its outputs it is.
    pub fn grad_fn(&self) -> Option<(Rc<Node>, u32)> {
        if let Some(view) = self.view_of() {
            // An in-place op somewhere on the base since this view's history was written: look again from the base.
            if view.seen.get() != view.base.version() && view.base.requires_grad() {
                let node = inplace::view_node(self, &view.base);
                *self.meta_or_new().grad_fn.borrow_mut() = Some((node, 0));
                view.seen.set(view.base.version());
            }
        }
        self.meta()?.grad_fn.borrow().clone()
    }

    pub(crate) fn set_grad_fn(&self, node: Rc<Node>, output: u32) {
        let meta = self.meta_or_new();
        *meta.grad_fn.borrow_mut() = Some((node, output));
        meta.requires_grad.set(false);
        if let Some(view) = self.view_of() {
            view.seen.set(view.base.version());
        }
    }

    /// Lets the node of a composite's result print under PyTorch's name for the whole.
    pub fn named(self, label: &'static str) -> Tensor {
        if let Some((node, _)) = self.grad_fn() {
            node.set_label(label);
        }
        self
    }

    /// Forgets the history (`detach_`).
    pub fn clear_grad_fn(&self) {
        if let Some(meta) = self.meta() {
            *meta.grad_fn.borrow_mut() = None;
            meta.requires_grad.set(false);
        }
    }

    pub fn set_requires_grad(&self, on: bool) -> Result<()> {
        if on == self.requires_grad() {
            return Ok(());
        }
        if self.grad_fn().is_some() {
            crate::bail!(
                Runtime,
                "you can only change requires_grad flags of leaf variables.{}",
                if on {
                    ""
                } else {
                    " If you want to use a computed variable in a subgraph that doesn't require differentiation use \
                     var_no_grad = var.detach()."
                }
            );
        }
        crate::check!(
            !on || self.dtype().is_differentiable(),
            Runtime,
            "only Tensors of floating point dtype can require gradients"
        );
        crate::check!(
            !on || !self.is_inference() || is_inference_mode(),
            Runtime,
            "Setting requires_grad=True on inference tensor outside InferenceMode is not allowed."
        );
        self.meta_or_new().requires_grad.set(on);
        Ok(())
    }

    pub fn grad(&self) -> Option<Tensor> {
        self.meta()?.grad.borrow().clone()
    }

    pub fn set_grad(&self, grad: Option<Tensor>) {
        if grad.is_some() || self.meta().is_some() {
            *self.meta_or_new().grad.borrow_mut() = grad;
        }
    }

    /// Keeps `grad` of a tensor that is not a leaf.
    pub fn retain_grad(&self) -> Result<()> {
        crate::check!(
            self.requires_grad(),
            Runtime,
            "can't retain_grad on Tensor that has requires_grad=False"
        );
        if let Some((node, nr)) = self.grad_fn() {
            let meta = self.meta_or_new();
            if !meta.retains_grad.replace(true) {
                node.hooks_mut().retain.push((nr, Rc::downgrade(meta)));
            }
        }
        Ok(())
    }

    pub fn retains_grad(&self) -> bool {
        self.meta().is_some_and(|m| m.retains_grad.get())
    }

    /// Where gradients of this tensor go: its node, or for a leaf its accumulator.
    pub fn gradient_edge(&self) -> Option<Edge> {
        if let Some((node, output)) = self.grad_fn() {
            return Some(Edge { node, output });
        }
        if !self.leaf_flag() {
            return None;
        }
        let meta = self.meta_or_new();
        let node = meta
            .accumulator
            .get_or_init(|| {
                meta.set_owner(self);
                Node::accumulator(self, Rc::downgrade(meta))
            })
            .clone();
        Some(Edge { node, output: 0 })
    }

    /// A copy of this handle's autograd place on another tensor of the same value.
    pub(crate) fn copy_history_to(&self, to: &Tensor) {
        if let Some(edge) = self.gradient_edge() {
            *to.meta_or_new().grad_fn.borrow_mut() = Some((edge.node, edge.output));
        }
    }
}

/// Whether an op on these inputs has to record itself.
#[inline]
pub fn needs_grad(inputs: &[&Tensor]) -> bool {
    is_grad_enabled() && inputs.iter().any(|t| t.requires_grad())
}

/// Records an op: `backward` gets the gradients of `outputs` and returns those of `inputs`, in order. Call it only
/// where `needs_grad(inputs)`. Gradients may be left broadcast or of another dtype: the engine fits them.
///
/// The graph is freed after its backward; for an op that keeps no tensors see `record_stateless`.
pub fn record(
    name: &'static str,
    inputs: &[&Tensor],
    outputs: &[&Tensor],
    backward: impl Fn(&Grads) -> Result<GradVec> + 'static,
) {
    attach(Node::new(name, inputs, true, Rc::new(backward)), outputs);
}

/// As `record` for a backward that captures no tensors, so that it can run any number of times.
pub fn record_stateless(
    name: &'static str,
    inputs: &[&Tensor],
    outputs: &[&Tensor],
    backward: impl Fn(&Grads) -> Result<GradVec> + 'static,
) {
    attach(Node::new(name, inputs, false, Rc::new(backward)), outputs);
}

/// Records an op that has no derivative: backward through it fails and names it.
pub fn record_not_differentiable(op: &'static str, inputs: &[&Tensor], outputs: &[&Tensor]) {
    attach(
        Node::new(
            "NotImplemented",
            inputs,
            false,
            Rc::new(move |_: &Grads| {
                crate::bail!(Runtime, "derivative for {op} is not implemented")
            }),
        ),
        outputs,
    );
}

/// Makes `node` the maker of `outputs`.
pub fn attach(node: Rc<Node>, outputs: &[&Tensor]) {
    for (i, out) in outputs.iter().enumerate() {
        node.add_output(out);
        if out.dtype().is_differentiable() {
            out.set_grad_fn(node.clone(), i as u32);
        }
    }
}
