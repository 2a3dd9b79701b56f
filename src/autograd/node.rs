//! Nodes of the graph, the tensors they save, and dropping long chains without recursion.

use super::{Meta, observe};
use crate::device::Device;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::shape::{self, Sizes};
use crate::tensor::Tensor;
use smallvec::SmallVec;
use std::borrow::Cow;
use std::cell::{Cell, RefCell, RefMut};
use std::rc::{Rc, Weak};

pub type GradVec = SmallVec<[Option<Tensor>; 3]>;
pub type Backward = Rc<dyn Fn(&Grads) -> Result<GradVec>>;
/// Sees a gradient and may replace it.
pub type Hook = Rc<dyn Fn(&Tensor) -> Result<Option<Tensor>>>;
/// Sees (gradients of the inputs, gradients of the outputs) of a node and may replace the first.
pub type NodeHook = Rc<dyn Fn(&[Option<Tensor>], &[Option<Tensor>]) -> Result<Option<GradVec>>>;
/// Sees the gradients of a node's outputs and may replace them.
pub type NodePreHook = Rc<dyn Fn(&[Option<Tensor>]) -> Result<Option<GradVec>>>;

/// A node and one of its outputs.
#[derive(Clone)]
pub struct Edge {
    pub node: Rc<Node>,
    pub output: u32,
}

/// What a gradient of an output has to look like.
#[derive(Clone)]
pub struct OutMeta {
    pub sizes: Sizes,
    pub dtype: DType,
    pub device: Device,
}

#[derive(Default)]
pub struct Hooks {
    /// On the gradient of one output: (output, id, hook).
    pub tensor: Vec<(u32, u64, Hook)>,
    pub pre: Vec<(u64, NodePreHook)>,
    pub post: Vec<(u64, NodeHook)>,
    /// Tensors that keep their gradient.
    pub retain: Vec<(u32, Weak<Meta>)>,
}

/// One recorded op.
pub struct Node {
    name: Cow<'static, str>,
    /// What PyTorch calls the op that several nodes make up here, set on the last of them.
    label: Cell<Option<&'static str>>,
    /// Grows with creation, so descending order is a topological order; accumulators have 0 and run last.
    seq: u64,
    edges: RefCell<SmallVec<[Option<Edge>; 3]>>,
    backward: RefCell<Option<Backward>>,
    /// Whether `backward` holds tensors and is dropped after use.
    stateful: bool,
    outputs: RefCell<SmallVec<[OutMeta; 1]>>,
    hooks: RefCell<Option<Box<Hooks>>>,
    /// The leaf whose `grad` this node adds to.
    leaf: Option<Weak<Meta>>,
    /// The call that made it, in anomaly mode.
    origin: Option<Box<str>>,
}

thread_local! {
    static NEXT: Cell<u64> = const { Cell::new(1) };
    static NEXT_HOOK: Cell<u64> = const { Cell::new(1) };
}

/// A fresh number for a hook, so that its handle can remove it.
pub fn next_hook_id() -> u64 {
    NEXT_HOOK.with(|n| n.replace(n.get() + 1))
}

impl Node {
    pub fn new(
        name: impl Into<Cow<'static, str>>,
        inputs: &[&Tensor],
        stateful: bool,
        backward: Backward,
    ) -> Rc<Node> {
        Self::with_edges(
            name,
            inputs.iter().map(|t| t.gradient_edge()).collect(),
            stateful,
            backward,
        )
    }

    pub fn with_edges(
        name: impl Into<Cow<'static, str>>,
        edges: SmallVec<[Option<Edge>; 3]>,
        stateful: bool,
        backward: Backward,
    ) -> Rc<Node> {
        Rc::new(Node {
            name: name.into(),
            label: Cell::new(None),
            seq: NEXT.with(|n| n.replace(n.get() + 1)),
            edges: RefCell::new(edges),
            backward: RefCell::new(Some(backward)),
            stateful,
            outputs: RefCell::default(),
            hooks: RefCell::default(),
            leaf: None,
            origin: observe::origin(),
        })
    }

    pub(super) fn accumulator(t: &Tensor, leaf: Weak<Meta>) -> Rc<Node> {
        let node = Node {
            name: "AccumulateGrad".into(),
            label: Cell::new(None),
            seq: 0,
            edges: RefCell::default(),
            backward: RefCell::new(None),
            stateful: false,
            outputs: RefCell::default(),
            hooks: RefCell::default(),
            leaf: Some(leaf),
            origin: None,
        };
        node.add_output(t);
        Rc::new(node)
    }

    /// The name as the op gave it: a row's name, or PyTorch's class name where it differs.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name as PyTorch prints it: the row `add` records `AddBackward0`.
    pub fn display_name(&self) -> String {
        let raw = self.label.get().unwrap_or(self.name());
        if raw.chars().any(|c| c.is_ascii_uppercase()) {
            return raw.to_string();
        }
        let mut out = String::new();
        let mut upper = true;
        for c in raw.chars() {
            if c == '_' {
                upper = true;
                continue;
            }
            out.push(if upper { c.to_ascii_uppercase() } else { c });
            // `log1p` is Log1P.
            upper = c.is_ascii_digit();
        }
        // Rows that PyTorch counts as overloads of another op.
        match out.as_str() {
            "TrueDivide" => "DivBackward0".into(),
            "PowConstant" => "PowBackward0".into(),
            "Pow" => "PowBackward1".into(),
            _ => format!("{out}Backward0"),
        }
    }
    /// Prints the node under another name.
    pub fn set_label(&self, label: &'static str) {
        self.label.set(Some(label));
    }

    /// The call that made it, if it was made in anomaly mode.
    pub fn origin(&self) -> Option<&str> {
        self.origin.as_deref()
    }

    pub fn seq(&self) -> u64 {
        self.seq
    }
    pub fn is_accumulator(&self) -> bool {
        self.leaf.is_some()
    }
    pub fn leaf(&self) -> Option<Rc<Meta>> {
        self.leaf.as_ref()?.upgrade()
    }

    pub fn edges(&self) -> SmallVec<[Option<Edge>; 3]> {
        self.edges.borrow().clone()
    }

    /// Visits the edges without copying them.
    pub fn for_each_edge(&self, mut f: impl FnMut(usize, &Edge)) {
        for (i, e) in self.edges.borrow().iter().enumerate() {
            if let Some(e) = e {
                f(i, e);
            }
        }
    }

    pub fn needs(&self, input: usize) -> bool {
        self.edges.borrow().get(input).is_some_and(|e| e.is_some())
    }

    pub fn add_output(&self, t: &Tensor) {
        self.outputs.borrow_mut().push(OutMeta {
            sizes: SmallVec::from_slice(t.sizes()),
            dtype: t.dtype(),
            device: t.device(),
        });
    }

    pub fn output_meta(&self, i: u32) -> Option<OutMeta> {
        self.outputs.borrow().get(i as usize).cloned()
    }

    /// Whether a gradient of output `i` already has the right shape and dtype.
    pub fn fits(&self, i: u32, g: &Tensor) -> bool {
        self.outputs
            .borrow()
            .get(i as usize)
            .is_none_or(|m| m.dtype == g.dtype() && m.sizes.as_slice() == g.sizes())
    }

    pub fn num_outputs(&self) -> usize {
        self.outputs.borrow().len()
    }

    pub fn hooks_mut(&self) -> RefMut<'_, Hooks> {
        RefMut::map(self.hooks.borrow_mut(), |h| {
            &mut **h.get_or_insert_with(Default::default)
        })
    }

    /// Reads the hooks, if there are any.
    pub fn with_hooks<T>(&self, f: impl FnOnce(&Hooks) -> T) -> Option<T> {
        self.hooks.borrow().as_deref().map(f)
    }

    pub fn has_hooks(&self) -> bool {
        self.hooks.borrow().is_some()
    }

    pub(super) fn backward(&self) -> Result<Backward> {
        self.backward.borrow().clone().ok_or_else(|| {
            crate::err!(
                Runtime,
                "Trying to backward through the graph a second time (or directly access saved tensors after they \
                 have already been freed). Saved intermediate values of the graph are freed when you call .backward() \
                 or autograd.grad(). Specify retain_graph=True if you need to backward through the graph a second \
                 time or if you need to access saved tensors after calling backward."
            )
        })
    }

    pub(super) fn release(&self) {
        if self.stateful {
            let _freed = self.backward.borrow_mut().take();
        }
    }
}

type Remains = (SmallVec<[Option<Edge>; 3]>, Option<Backward>);

thread_local! {
    /// What dropped nodes leave behind. A chain of any length is dropped in a loop, not by recursion.
    static GRAVE: RefCell<Vec<Remains>> = const { RefCell::new(Vec::new()) };
    static DIGGING: Cell<bool> = const { Cell::new(false) };
}

impl Drop for Node {
    fn drop(&mut self) {
        let remains = (
            std::mem::take(self.edges.get_mut()),
            self.backward.get_mut().take(),
        );
        if remains.0.is_empty() && remains.1.is_none() {
            return;
        }
        // While a thread ends its locals are gone: then the remains drop recursively.
        let Ok(first) = DIGGING.try_with(|d| !d.replace(true)) else {
            return;
        };
        let _ = GRAVE.try_with(|g| g.borrow_mut().push(remains));
        if first {
            while let Ok(Some(next)) = GRAVE.try_with(|g| g.borrow_mut().pop()) {
                drop(next);
            }
            let _ = DIGGING.try_with(|d| d.set(false));
        }
    }
}

/// What a backward function is called with.
pub struct Grads<'a> {
    pub node: &'a Rc<Node>,
    pub grads: &'a [Option<Tensor>],
}

impl Grads<'_> {
    /// The gradient of output `i`, zeros where nothing arrived.
    pub fn get(&self, i: usize) -> Result<Tensor> {
        if let Some(Some(g)) = self.grads.get(i) {
            return Ok(g.clone());
        }
        let meta = self
            .node
            .output_meta(i as u32)
            .ok_or_else(|| crate::err!(Runtime, "{} has no output {i}", self.node.name()))?;
        Tensor::zeros(&meta.sizes, meta.dtype, meta.device)
    }

    /// The gradient of output `i`, if one arrived.
    pub fn opt(&self, i: usize) -> Option<Tensor> {
        self.grads.get(i).cloned().flatten()
    }

    /// Whether input `i` wants a gradient.
    pub fn needs(&self, i: usize) -> bool {
        self.node.needs(i)
    }

    /// `f()` if input `i` wants a gradient.
    pub fn when(&self, i: usize, f: impl FnOnce() -> Result<Tensor>) -> Result<Option<Tensor>> {
        if self.needs(i) {
            f().map(Some)
        } else {
            Ok(None)
        }
    }
}

/// A tensor a node keeps for its backward, with the version it had.
pub struct Saved {
    held: Held,
    /// For an output of the node itself: its number. It is kept without history, or it would own its own node.
    output: Option<u32>,
}

enum Held {
    Tensor {
        tensor: Tensor,
        version: u32,
    },
    /// What a hook made of it, and where gradients of an input go.
    Packed {
        unpack: observe::Unpack,
        edge: Option<Edge>,
    },
    Failed(Error),
}

impl Held {
    /// `tensor` is kept; hooks see `t`, which has its history.
    fn new(
        t: &Tensor,
        tensor: impl FnOnce() -> Tensor,
        edge: impl FnOnce() -> Option<Edge>,
    ) -> Held {
        let failed = |e: Error| {
            observe::fail(&e);
            Held::Failed(e)
        };
        if t.is_inference() {
            return failed(crate::err!(
                Runtime,
                "Inference tensors cannot be saved for backward. To work around you can make a clone to get a normal \
                 tensor and use it in autograd."
            ));
        }
        match observe::pack(t) {
            None => Held::Tensor {
                tensor: tensor(),
                version: t.version(),
            },
            Some(Ok(unpack)) => Held::Packed {
                unpack,
                edge: edge(),
            },
            Some(Err(e)) => failed(e),
        }
    }
}

impl Saved {
    /// Keeps an input of the op.
    pub fn input(t: &Tensor) -> Saved {
        Saved {
            held: Held::new(t, || t.clone(), || t.gradient_edge()),
            output: None,
        }
    }

    /// Keeps output `i` of the op.
    pub fn output(t: &Tensor, i: u32) -> Saved {
        Saved {
            held: Held::new(t, || t.detach(), || None),
            output: Some(i),
        }
    }

    /// Keeps an input that may be missing.
    pub fn opt(t: Option<&Tensor>) -> Option<Saved> {
        t.map(Saved::input)
    }

    /// The tensor, with its history; an error if it was written to since.
    pub fn get(&self, g: &Grads) -> Result<Tensor> {
        let t = self.unpack(Some(g.node))?;
        match self.output {
            Some(i) if super::is_grad_enabled() => {
                let t = t.detach();
                t.set_grad_fn(g.node.clone(), i);
                Ok(t)
            }
            _ => Ok(t),
        }
    }

    /// As `get`, but an output comes without its history. `node` is named where the output was written to.
    pub fn unpack(&self, node: Option<&Node>) -> Result<Tensor> {
        let (t, version) = match &self.held {
            Held::Failed(e) => return Err(e.clone()),
            Held::Packed { unpack, edge } => {
                let t = unpack()?;
                return Ok(match edge {
                    Some(edge) => {
                        let t = t.detach();
                        t.set_grad_fn(edge.node.clone(), edge.output);
                        t
                    }
                    None => t,
                });
            }
            Held::Tensor { tensor, version } => (tensor, *version),
        };
        let now = t.version();
        if now != version {
            let made_by =
                |node: &Node, i: u32| format!(", which is output {i} of {},", node.display_name());
            let maker = match (self.output, t.grad_fn()) {
                (Some(i), _) => node.map_or(String::new(), |n| made_by(n, i)),
                (None, Some((node, i))) => made_by(&node, i),
                (None, None) => String::new(),
            };
            crate::bail!(
                Runtime,
                "one of the variables needed for gradient computation has been modified by an inplace operation: \
                 [torch.{}Tensor {}]{maker} is at version {now}; expected version {version} instead. Hint: enable \
                 anomaly detection to find the operation that failed to compute its gradient, with \
                 torch.autograd.set_detect_anomaly(True).",
                t.dtype().scalar_name(),
                shape::list(t.sizes()),
            );
        }
        Ok(t.clone())
    }
}
