//! The backward pass: a heap of nodes ordered by creation, walked without recursion.

use super::node::{Edge, GradVec, Grads, Node};
use crate::dtype::DType;
use crate::error::Result;
use crate::shape;
use crate::tensor::Tensor;
use smallvec::SmallVec;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::Rc;

/// Pointers are already well spread: multiply and be done.
#[derive(Default)]
struct PointerHasher(u64);
impl Hasher for PointerHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {}
    fn write_usize(&mut self, p: usize) {
        self.0 = (p as u64 >> 4).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}
type PointerMap<V> = HashMap<usize, V, BuildHasherDefault<PointerHasher>>;

fn key(node: &Rc<Node>) -> usize {
    Rc::as_ptr(node) as *const u8 as usize
}

/// Heap order: latest created first.
struct Ready(Rc<Node>);
impl PartialEq for Ready {
    fn eq(&self, other: &Self) -> bool {
        self.0.seq() == other.0.seq()
    }
}
impl Eq for Ready {}
impl PartialOrd for Ready {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Ready {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.seq().cmp(&other.0.seq())
    }
}

pub struct Options {
    pub retain_graph: bool,
    pub create_graph: bool,
    /// With `inputs`: leave `grad` alone and return the gradients instead.
    pub capture: bool,
    pub allow_unused: bool,
}

struct Task {
    pending: PointerMap<GradVec>,
    heap: BinaryHeap<Ready>,
    create_graph: bool,
}

impl Task {
    fn add(&mut self, edge: &Edge, grad: Tensor) -> Result<()> {
        let slots = match self.pending.entry(key(&edge.node)) {
            std::collections::hash_map::Entry::Occupied(e) => e.into_mut(),
            std::collections::hash_map::Entry::Vacant(e) => {
                self.heap.push(Ready(edge.node.clone()));
                e.insert(smallvec::smallvec![None; edge.node.num_outputs().max(edge.output as usize + 1)])
            }
        };
        let slot = &mut slots[edge.output as usize];
        *slot = Some(match slot.take() {
            None => grad,
            Some(old) => sum(old, grad, self.create_graph)?,
        });
        Ok(())
    }
}

/// Whether nobody else can see this buffer, so that it may be written to.
fn is_private(t: &Tensor) -> bool {
    t.handles() == 1
        && t.storage().is_unique()
        && t.view_of().is_none()
        && t.is_dense()
        && !t.requires_grad()
}

fn sum(old: Tensor, new: Tensor, create_graph: bool) -> Result<Tensor> {
    if !create_graph && old.sizes() == new.sizes() && old.dtype() == new.dtype() {
        if is_private(&old) {
            old.add_assign(&new)?;
            return Ok(old);
        }
        if is_private(&new) {
            new.add_assign(&old)?;
            return Ok(new);
        }
    }
    old.add(&new)
}

/// Makes a gradient fit the tensor it belongs to: sums broadcast axes, casts, drops an imaginary part.
fn fit(node: &Node, index: usize, edge: &Edge, g: Tensor) -> Result<Tensor> {
    if edge.node.fits(edge.output, &g) {
        return Ok(g);
    }
    let Some(meta) = edge.node.output_meta(edge.output) else {
        return Ok(g);
    };
    let mut g = g;
    if g.sizes() != meta.sizes.as_slice() {
        let ok = shape::broadcast(&meta.sizes, g.sizes()).is_ok_and(|s| s.as_slice() == g.sizes());
        crate::check!(
            ok,
            Runtime,
            "Function {} returned an invalid gradient at index {index} - got {} but expected shape compatible with {}",
            node.display_name(),
            shape::list(g.sizes()),
            shape::list(&meta.sizes)
        );
        g = g.sum_to(&meta.sizes)?;
    }
    if g.dtype() != meta.dtype {
        if g.dtype().is_complex() && !meta.dtype.is_complex() {
            g = g.real()?;
        }
        if g.dtype() != meta.dtype && meta.dtype.is_differentiable() {
            g = g.to_dtype(meta.dtype)?;
        }
    }
    Ok(g)
}

fn run_tensor_hooks(node: &Rc<Node>, grads: &mut GradVec) -> Result<()> {
    let Some((pre, hooks, retain)) =
        node.with_hooks(|h| (h.pre.clone(), h.tensor.clone(), h.retain.clone()))
    else {
        return Ok(());
    };
    for (_, hook) in &pre {
        if let Some(new) = hook(grads)? {
            *grads = new;
        }
    }
    for (output, _, hook) in &hooks {
        if let Some(Some(g)) = grads.get(*output as usize).cloned()
            && let Some(new) = hook(&g)?
        {
            grads[*output as usize] = Some(new);
        }
    }
    for (output, meta) in &retain {
        if let (Some(meta), Some(Some(g))) = (meta.upgrade(), grads.get(*output as usize)) {
            // The gradient object is shared with the pass, which must not write into it: it no longer is private.
            *meta.grad.borrow_mut() = Some(g.clone());
        }
    }
    Ok(())
}

/// Nodes from which one of `targets` can be reached (the targets included).
fn ancestors(roots: &[Edge], targets: &HashSet<usize>) -> HashSet<usize> {
    let mut order: Vec<Rc<Node>> = Vec::new();
    let mut seen = HashSet::new();
    let mut stack: Vec<Rc<Node>> = roots.iter().map(|e| e.node.clone()).collect();
    while let Some(node) = stack.pop() {
        if seen.insert(key(&node)) {
            node.for_each_edge(|_, e| stack.push(e.node.clone()));
            order.push(node);
        }
    }
    // Inputs before users.
    order.sort_by_key(|n| n.seq());
    let mut needed = HashSet::new();
    for node in &order {
        let mut hit = targets.contains(&key(node));
        node.for_each_edge(|_, e| hit |= needed.contains(&key(&e.node)));
        if hit {
            needed.insert(key(node));
        }
    }
    needed
}

/// Runs the graph below `roots`. With `inputs`, only what leads to them; with `capture`, their gradients are returned
/// and no `grad` changes.
pub fn run(
    roots: &[(Tensor, Option<Tensor>)],
    inputs: Option<&[Tensor]>,
    options: &Options,
) -> Result<Vec<Option<Tensor>>> {
    let mut task = Task {
        pending: PointerMap::default(),
        heap: BinaryHeap::new(),
        create_graph: options.create_graph,
    };
    let mut edges = Vec::new();
    super::with_grad_mode(options.create_graph, || -> Result<()> {
        for (i, (t, g)) in roots.iter().enumerate() {
            let Some(edge) = t.gradient_edge() else {
                crate::bail!(
                    Runtime,
                    "element {i} of tensors does not require grad and does not have a grad_fn"
                );
            };
            let g = match g {
                Some(g) => {
                    crate::check!(
                        g.sizes() == t.sizes(),
                        Runtime,
                        "Mismatch in shape: grad_output[{i}] has a shape of torch.Size({}) and output[{i}] has a shape of \
                         torch.Size({}).",
                        shape::list(g.sizes()),
                        shape::list(t.sizes())
                    );
                    crate::check!(
                        g.dtype().is_complex() == t.dtype().is_complex(),
                        Runtime,
                        "For complex Tensors, both grad_output and output are required to have the same dtype. Mismatch \
                         in dtype: grad_output[{i}] has a dtype of torch.{} and output[{i}] has a dtype of torch.{}.",
                        g.dtype().name(),
                        t.dtype().name()
                    );
                    g.to_dtype(t.dtype())?
                }
                None => {
                    crate::check!(
                        t.numel() == 1,
                        Runtime,
                        "grad can be implicitly created only for scalar outputs"
                    );
                    crate::check!(
                        !t.dtype().is_complex(),
                        Runtime,
                        "grad can be implicitly created only for real scalar outputs but got torch.{}",
                        t.dtype().name()
                    );
                    Tensor::full(t.sizes(), 1.0, t.dtype(), t.device())?
                }
            };
            task.add(&edge, g)?;
            edges.push(edge);
        }
        Ok(())
    })?;

    let mut captured: Vec<Option<Tensor>> = Vec::new();
    let mut wanted: Vec<Edge> = Vec::new();
    let mut needed = None;
    if let Some(inputs) = inputs {
        for t in inputs {
            let Some(edge) = t.gradient_edge() else {
                crate::bail!(
                    Runtime,
                    "One of the differentiated Tensors does not require grad"
                );
            };
            wanted.push(edge);
        }
        captured.resize(inputs.len(), None);
        needed = Some(ancestors(
            &edges,
            &wanted.iter().map(|e| key(&e.node)).collect(),
        ));
    }
    drop(edges);

    super::with_grad_mode(options.create_graph, || -> Result<()> {
        while let Some(Ready(node)) = task.heap.pop() {
            let Some(mut grads) = task.pending.remove(&key(&node)) else {
                continue;
            };
            if needed.as_ref().is_some_and(|n| !n.contains(&key(&node))) {
                continue;
            }
            if node.has_hooks() {
                run_tensor_hooks(&node, &mut grads)?;
            }
            let mut runs_on = needed.is_none();
            if needed.is_some() {
                for (slot, edge) in captured.iter_mut().zip(&wanted) {
                    if Rc::ptr_eq(&edge.node, &node) {
                        *slot = grads[edge.output as usize].clone();
                    }
                }
                node.for_each_edge(|_, e| {
                    runs_on |= needed.as_ref().is_some_and(|n| n.contains(&key(&e.node)));
                });
            }
            if node.is_accumulator() {
                if let (Some(Some(g)), Some(leaf), false) =
                    (grads.pop(), node.leaf(), options.capture)
                {
                    drop(grads);
                    accumulate(&leaf, g, options.create_graph)?;
                    leaf.run_post_accumulate()?;
                }
                continue;
            }
            if runs_on {
                step(&node, grads, &mut task, options)?;
            }
        }
        Ok(())
    })?;
    if let Some(inputs) = inputs {
        if !options.capture {
            // `backward(inputs=...)` accumulates into tensors that are not leaves as well.
            for (t, g) in inputs.iter().zip(captured.iter_mut()) {
                if let (false, Some(g)) = (t.is_leaf(), g.take()) {
                    accumulate(t.meta_or_new(), g, options.create_graph)?;
                }
            }
        } else if !options.allow_unused {
            crate::check!(
                captured.iter().all(|g| g.is_some()),
                Runtime,
                "One of the differentiated Tensors appears to not have been used in the graph. Set allow_unused=True if \
                 this is the desired behavior."
            );
        }
    }
    Ok(captured)
}

/// The gradients that a node's backward gives, after its hooks.
fn differentiate(node: &Rc<Node>, grads: &[Option<Tensor>]) -> Result<GradVec> {
    let backward = node.backward()?;
    let mut out = backward(&Grads { node, grads })?;
    drop(backward);
    let hooks = node.with_hooks(|h| h.post.clone()).unwrap_or_default();
    for (_, hook) in &hooks {
        if let Some(new) = hook(&out, grads)? {
            out = new;
        }
    }
    if super::is_anomaly_enabled() && super::is_anomaly_check_nan() {
        for (i, g) in out.iter().enumerate() {
            let Some(g) = g else { continue };
            let bad = super::no_grad(|| g.isnan()?.any()?.item())?.to_bool();
            crate::check!(
                !bad,
                Runtime,
                "Function '{}' returned nan values in its {i}th output.",
                node.display_name()
            );
        }
    }
    Ok(out)
}

/// Runs one node and hands its gradients on.
fn step(node: &Rc<Node>, grads: GradVec, task: &mut Task, options: &Options) -> Result<()> {
    let out = differentiate(node, &grads);
    if out.is_err() && super::is_anomaly_enabled() {
        super::observe::warn_of(&node.display_name(), node.origin())?;
    }
    let out = out?;
    drop(grads);
    if !options.retain_graph {
        node.release();
    }
    let edges = node.edges();
    crate::check!(
        out.len() <= edges.len(),
        Runtime,
        "Function {} returned an invalid number of gradients - got {} but expected {}",
        node.display_name(),
        out.len(),
        edges.len()
    );
    for (i, (g, edge)) in out.into_iter().zip(edges).enumerate() {
        let (Some(g), Some(edge)) = (g, edge) else {
            continue;
        };
        let g = fit(node, i, &edge, g)?;
        task.add(&edge, g)?;
    }
    Ok(())
}

/// Adds a gradient to a leaf's `grad`: takes the buffer over if nobody else sees it.
fn accumulate(leaf: &Rc<super::Meta>, g: Tensor, create_graph: bool) -> Result<()> {
    let old = leaf.grad.borrow_mut().take();
    let new = match old {
        None if create_graph || is_private(&g) => g,
        None => g.clone_data()?,
        Some(old) if create_graph || old.dtype() == DType::Bool || old.requires_grad() => {
            old.add(&g)?
        }
        Some(old) => {
            old.add_assign(&g)?;
            old
        }
    };
    *leaf.grad.borrow_mut() = Some(new);
    Ok(())
}

/// `t.backward(gradient)`.
pub fn backward(t: &Tensor, gradient: Option<Tensor>) -> Result<()> {
    let options = Options {
        retain_graph: false,
        create_graph: false,
        capture: false,
        allow_unused: true,
    };
    run(&[(t.clone(), gradient)], None, &options).map(|_| ())
}

/// Gradients of the sum of `outputs` with respect to `inputs`.
pub fn grad(
    outputs: &[(Tensor, Option<Tensor>)],
    inputs: &[Tensor],
    create_graph: bool,
) -> Result<Vec<Option<Tensor>>> {
    let options = Options {
        retain_graph: create_graph,
        create_graph,
        capture: true,
        allow_unused: true,
    };
    run(outputs, Some(inputs), &options)
}

/// A list of gradients for `record`.
pub fn grads<const N: usize>(g: [Option<Tensor>; N]) -> Result<GradVec> {
    Ok(SmallVec::from_iter(g))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Device;

    fn leaf(values: &[f64]) -> Tensor {
        let t = Tensor::from_slice(values).unwrap();
        t.set_requires_grad(true).unwrap();
        t
    }

    fn values(t: Option<Tensor>) -> Vec<f64> {
        t.unwrap().to_vec::<f64>().unwrap()
    }

    #[test]
    fn broadcast_gradients_are_summed() {
        let (a, b) = (leaf(&[1.0, 2.0, 3.0]), leaf(&[4.0]));
        backward(&a.mul(&b).unwrap().sum_all().unwrap(), None).unwrap();
        assert_eq!(values(a.grad()), [4.0, 4.0, 4.0]);
        assert_eq!(values(b.grad()), [6.0]);
    }

    #[test]
    fn second_derivatives_of_a_product() {
        let x = leaf(&[2.0]);
        let y = x.mul(&x).unwrap().mul(&x).unwrap();
        let g = grad(&[(y, None)], std::slice::from_ref(&x), true)
            .unwrap()
            .remove(0)
            .unwrap();
        let gg = grad(&[(g, None)], &[x], false).unwrap().remove(0);
        assert_eq!(values(gg), [12.0]);
    }

    #[test]
    fn writing_through_a_view_reaches_the_base() {
        let w = leaf(&[1.0, 1.0]);
        let x = Tensor::zeros(&[4], DType::F64, Device::Cpu).unwrap();
        x.slice(0, Some(1), Some(3), 1)
            .unwrap()
            .copy_(&w.mul_scalar(3.0).unwrap())
            .unwrap();
        backward(&x.mul(&x).unwrap().sum_all().unwrap(), None).unwrap();
        assert_eq!(values(w.grad()), [18.0, 18.0]);
    }

    #[test]
    fn a_saved_tensor_that_was_written_to_is_an_error() {
        let x = leaf(&[1.0]);
        let y = x.exp().unwrap();
        y.add_assign(&y.detach()).unwrap();
        let e = backward(&y, None).unwrap_err();
        assert!(
            e.message.contains("modified by an inplace operation"),
            "{e}"
        );
    }

    #[test]
    fn freed_graphs_say_so_and_stateless_ones_run_again() {
        let x = leaf(&[1.0]);
        let y = x.mul(&x).unwrap();
        backward(&y, None).unwrap();
        assert!(
            backward(&y, None)
                .unwrap_err()
                .message
                .contains("a second time")
        );
        let z = x.add(&x).unwrap();
        backward(&z, None).unwrap();
        backward(&z, None).unwrap();
    }

    #[test]
    fn long_chains_neither_overflow_nor_recurse() {
        let x = leaf(&[1.0]);
        let mut y = x.clone();
        for _ in 0..100_000 {
            y = y.add(&x).unwrap();
        }
        backward(&y, None).unwrap();
        assert_eq!(values(x.grad()), [100_001.0]);
        drop(y);
    }
}
