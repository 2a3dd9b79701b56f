//! A layer over a padded sequence as one node.
//!
//! The steps run without recording. Backward walks them in reverse and makes the gradient of the state's weights as one
//! product, where a graph of single steps would add one matrix per step. For gradients of gradients backward repeats the
//! forward pass step by step, recorded, and differentiates that.

use super::{State, Weights, padded_steps};
use crate::autograd::{self, GradVec, Grads, Saved, engine, record};
use crate::cpu::recurrence::{Cell, Gradients, Kept, Layer};
use crate::dtype::DType;
use crate::error::Result;
use crate::tensor::Tensor;
use smallvec::SmallVec;
use std::ptr;

/// Whether the kernels of `cpu::recurrence` take these: whole tensors of one real type in the memory of the CPU.
pub(super) fn fits(all: &Tensor, first: &State, w: &Weights) -> bool {
    let takes = |t: &Tensor| {
        t.device().is_cpu()
            && matches!(t.dtype(), DType::F32 | DType::F64)
            && t.dtype() == all.dtype()
    };
    let (batch, hidden) = (all.sizes()[1], w.w_hh.sizes().get(1).copied());
    let state = |t: &Tensor| {
        takes(t) && t.ndim() == 2 && t.sizes()[0] == batch && Some(t.sizes()[1]) == hidden
    };
    let width = all.sizes()[2];
    w.w_hr.is_none()
        && takes(all)
        && takes(w.w_hh)
        && w.w_hh.ndim() == 2
        && w.w_hh.sizes()[0] == width
        && w.b_hh.is_none_or(|b| takes(b) && b.sizes() == [width])
        && state(&first.h)
        && first.c.as_ref().is_none_or(state)
}

/// The tensors that a pass works on, contiguous and without history.
struct Pass {
    layer: Layer,
    h: Tensor,
    c: Option<Tensor>,
    weight: Tensor,
    gates: Tensor,
    inner: Option<Tensor>,
    out: Tensor,
}

fn pointer<T>(t: Option<&Tensor>) -> *mut T {
    t.map_or(ptr::null_mut(), |t| t.data_ptr() as *mut T)
}

impl Pass {
    fn kept<T>(&self) -> Kept<T> {
        Kept {
            gates: pointer(Some(&self.gates)),
            inner: pointer(self.inner.as_ref()),
            out: pointer(Some(&self.out)),
        }
    }

    fn forward(
        cell: Cell,
        all: &Tensor,
        first: &State,
        w: &Weights,
        backwards: bool,
    ) -> Result<Pass> {
        let whole = |t: &Tensor| t.detach().contiguous();
        let (steps, batch) = (all.sizes()[0], all.sizes()[1]);
        let hidden = w.w_hh.sizes()[1];
        let (dtype, device) = (all.dtype(), all.device());
        let gru = cell == Cell::Gru;
        // Only a GRU needs what the state contributes apart; elsewhere its bias is added for all steps at once.
        let gates = match w.b_hh.filter(|_| !gru) {
            Some(b) => all.detach().add(&b.detach())?.contiguous()?,
            None => all.clone_data()?.contiguous()?,
        };
        let inner = matches!(cell, Cell::Lstm | Cell::Gru)
            .then(|| Tensor::empty(&[steps, batch, hidden], dtype, device))
            .transpose()?;
        let pass = Pass {
            layer: Layer {
                cell,
                steps,
                batch,
                hidden,
                backwards,
            },
            h: whole(&first.h)?,
            c: first.c.as_ref().map(whole).transpose()?,
            weight: whole(w.w_hh)?,
            gates,
            inner,
            out: Tensor::empty(&[steps, batch, hidden], dtype, device)?,
        };
        let turned = pass.weight.transpose(0, 1)?.contiguous()?;
        let bias = w.b_hh.map(whole).transpose()?;
        let state = gru
            .then(|| Tensor::empty(&[batch, cell.gates() * hidden], dtype, device))
            .transpose()?;
        crate::dispatch_real!(dtype, T => {
            // SAFETY: contiguous tensors of this dtype and of the shapes that `forward` names, as `fits` checked; those
            // that are written were made here.
            unsafe {
                pass.layer.forward::<T>(
                    &pass.kept(),
                    pointer(Some(&pass.h)),
                    pointer(pass.c.as_ref()),
                    pointer(Some(&turned)),
                    pointer(bias.as_ref()),
                    pointer(state.as_ref()),
                )
            }
        });
        Ok(pass)
    }

    /// Gradients of what the input contributes, the first states, the weights and the bias.
    fn backward(&self, out: Option<Tensor>, c: Option<Tensor>) -> Result<[Tensor; 5]> {
        let Layer { cell, hidden, .. } = self.layer;
        let like = |t: &Tensor| Tensor::empty(t.sizes(), t.dtype(), t.device());
        let zeros = |t: &Tensor| Tensor::zeros(t.sizes(), t.dtype(), t.device());
        let out = match out {
            Some(g) => g.contiguous()?,
            None => zeros(&self.out)?,
        };
        let to_gates = like(&self.gates)?;
        let to_state = if cell == Cell::Gru {
            like(&self.gates)?
        } else {
            to_gates.clone()
        };
        let to_h = zeros(&self.h)?;
        let to_c = match c {
            Some(c) => c.clone_data()?.contiguous()?,
            None => zeros(&self.h)?,
        };
        let to_weight = like(&self.weight)?;
        crate::dispatch_real!(self.out.dtype(), T => {
            let to = Gradients::<T> {
                out: pointer(Some(&out)),
                gates: pointer(Some(&to_gates)),
                state_gates: pointer(Some(&to_state)),
                h: pointer(Some(&to_h)),
                c: pointer(Some(&to_c)),
                weight: pointer(Some(&to_weight)),
            };
            // SAFETY: as in `forward`; the gradients' buffers were made here.
            unsafe {
                self.layer.backward(
                    &self.kept(),
                    pointer(Some(&self.h)),
                    pointer(self.c.as_ref()),
                    pointer(Some(&self.weight)),
                    &to,
                )
            }
        });
        let bias = to_state
            .reshape(&[-1, (cell.gates() * hidden) as i64])?
            .sum_dims(&[0], false)?;
        Ok([to_gates, to_h, to_weight, bias, to_c])
    }
}

/// Runs all steps. The last state is a part of the outputs.
pub(super) fn run(
    cell: Cell,
    all: &Tensor,
    first: &State,
    w: &Weights,
    backwards: bool,
) -> Result<(Tensor, State)> {
    let pass = autograd::no_grad(|| Pass::forward(cell, all, first, w, backwards))?;
    let last = if backwards { 0 } else { -1 };
    // Its own handle: the node that it will know keeps the pass.
    let out = pass.out.data_alias();
    let c = match (&pass.inner, cell) {
        (Some(c), Cell::Lstm) => Some(c.select(0, last)?.clone_data()?),
        _ => None,
    };
    // What may want gradients, in the order in which `Pass::backward` gives them.
    let inputs: SmallVec<[Option<&Tensor>; 5]> = SmallVec::from_buf([
        Some(all),
        Some(&first.h),
        Some(w.w_hh),
        w.b_hh,
        first.c.as_ref(),
    ]);
    let given: SmallVec<[&Tensor; 5]> = inputs.iter().flatten().copied().collect();
    if autograd::needs_grad(&given) {
        let present: SmallVec<[bool; 5]> = inputs.iter().map(Option::is_some).collect();
        let saved: SmallVec<[Saved; 5]> = given.iter().map(|t| Saved::input(t)).collect();
        let name = match cell {
            Cell::Lstm => "MkldnnRnnLayerBackward0",
            _ => "StackBackward0",
        };
        let outputs: SmallVec<[&Tensor; 2]> = std::iter::once(&out).chain(&c).collect();
        let result = Saved::output(&out, 0);
        record(name, &given, &outputs, move |g: &Grads| {
            result.get(g)?;
            let tensors = saved.iter().map(|s| s.get(g)).collect::<Result<Vec<_>>>()?;
            if autograd::is_grad_enabled() {
                return recorded(g, &tensors, &present, pass.layer);
            }
            let gradients = pass.backward(g.opt(0), g.opt(1))?;
            Ok(gradients
                .into_iter()
                .zip(&present)
                .filter(|(_, present)| **present)
                .enumerate()
                .map(|(i, (t, _))| g.needs(i).then_some(t))
                .collect())
        });
    }
    let h = out.select(0, last)?;
    Ok((out, State { h, c }))
}

/// The gradients as functions of the inputs and of the outputs' gradients, by way of single steps.
fn recorded(g: &Grads, tensors: &[Tensor], present: &[bool], layer: Layer) -> Result<GradVec> {
    // Views stand for the inputs, so that hooks on those are not run by the inner pass.
    let views = tensors
        .iter()
        .map(|t| t.alias())
        .collect::<Result<Vec<_>>>()?;
    let mut rest = views.iter();
    let mut next = |i: usize| if present[i] { rest.next() } else { None };
    let (Some(all), Some(h), Some(w_hh), b_hh, c) = (next(0), next(1), next(2), next(3), next(4))
    else {
        crate::bail!(Runtime, "a recurrent layer lost its inputs")
    };
    let w = Weights {
        w_ih: w_hh,
        w_hh,
        b_ih: None,
        b_hh,
        w_hr: None,
    };
    let first = State {
        h: h.clone(),
        c: c.cloned(),
    };
    let (out, state) = padded_steps(layer.cell, all, &first, &w, layer.backwards)?;
    let mut outputs = vec![(out, Some(g.get(0)?))];
    if let Some(c) = state.c {
        outputs.push((c, Some(g.get(1)?)));
    }
    let wanted: Vec<Tensor> = views
        .iter()
        .filter(|t| t.requires_grad())
        .cloned()
        .collect();
    let mut found = engine::grad(&outputs, &wanted, true)?.into_iter();
    Ok(views
        .iter()
        .map(|t| {
            if t.requires_grad() {
                found.next().flatten()
            } else {
                None
            }
        })
        .collect())
}
