//! Recurrent layers: one step of a cell, and whole sequences of them, padded or packed.

mod sequence;

use super::dropout::dropped;
use super::join::{cat, stack, unbind};
use crate::cpu::recurrence::Cell;
use crate::error::Result;
use crate::ops::args::{Args, Value};
use crate::shape;
use crate::tensor::Tensor;

/// The weights of one direction of one layer.
struct Weights<'a> {
    w_ih: &'a Tensor,
    w_hh: &'a Tensor,
    b_ih: Option<&'a Tensor>,
    b_hh: Option<&'a Tensor>,
    /// Projects the hidden state of an LSTM.
    w_hr: Option<&'a Tensor>,
}

/// The hidden state, and the cell state of an LSTM.
#[derive(Clone)]
struct State {
    h: Tensor,
    c: Option<Tensor>,
}

impl State {
    fn map(&self, f: impl Fn(&Tensor) -> Result<Tensor>) -> Result<State> {
        Ok(State {
            h: f(&self.h)?,
            c: self.c.as_ref().map(&f).transpose()?,
        })
    }
}

/// Equal parts of the last axis.
fn gates(t: &Tensor, n: usize) -> Result<Vec<Tensor>> {
    let size = t.size(-1)? / n;
    (0..n)
        .map(|i| t.narrow(-1, (i * size) as i64, size as i64))
        .collect()
}

/// One step from what the input contributes to the gates.
fn step(cell: Cell, from_input: &Tensor, state: &State, w: &Weights) -> Result<State> {
    let h = &state.h;
    let from_state = h.linear(w.w_hh, w.b_hh)?;
    match (cell, &state.c) {
        (Cell::Lstm, Some(c)) => {
            let g = gates(&from_input.add(&from_state)?, 4)?;
            let (input, forget, output) = (g[0].sigmoid()?, g[1].sigmoid()?, g[3].sigmoid()?);
            let c = forget.mul(c)?.add(&input.mul(&g[2].tanh()?)?)?;
            let mut h = output.mul(&c.tanh()?)?;
            if let Some(project) = w.w_hr {
                h = h.linear(project, None)?;
            }
            Ok(State { h, c: Some(c) })
        }
        (Cell::Gru, _) => {
            let (x, s) = (gates(from_input, 3)?, gates(&from_state, 3)?);
            let reset = x[0].add(&s[0])?.sigmoid()?;
            let update = x[1].add(&s[1])?.sigmoid()?;
            let new = x[2].add(&reset.mul(&s[2])?)?.tanh()?;
            Ok(State {
                h: h.sub(&new)?.mul(&update)?.add(&new)?,
                c: None,
            })
        }
        (Cell::Relu, _) => {
            let sum = from_input.add(&from_state)?;
            let zero = Tensor::wrapped(0i64)?;
            Ok(State {
                h: sum.clamp(Some(&zero.to_dtype(sum.dtype())?), None)?,
                c: None,
            })
        }
        _ => Ok(State {
            h: from_input.add(&from_state)?.tanh()?,
            c: None,
        }),
    }
}

/// A batch of sequences over time: padded to one length, or packed with the batch of every step.
enum Sequence<'a> {
    Padded,
    Packed(&'a [i64]),
}

/// Runs one direction of one layer step by step, every operation recorded, over what the input contributes.
fn padded_steps(
    cell: Cell,
    all: &Tensor,
    first: &State,
    w: &Weights,
    backwards: bool,
) -> Result<(Tensor, State)> {
    let mut steps = unbind(all, 0)?;
    if backwards {
        steps.reverse();
    }
    let mut state = first.clone();
    let mut outputs: Vec<Tensor> = Vec::with_capacity(steps.len());
    for from_input in &steps {
        state = step(cell, from_input, &state, w)?;
        outputs.push(state.h.clone());
    }
    if backwards {
        outputs.reverse();
    }
    Ok((stack(&outputs, 0)?, state))
}

/// Runs one direction of one layer; returns the outputs in the order of the input, and the last state.
fn run(
    cell: Cell,
    x: &Tensor,
    kind: &Sequence,
    first: &State,
    w: &Weights,
    backwards: bool,
) -> Result<(Tensor, State)> {
    let all = x.linear(w.w_ih, w.b_ih)?;
    let mut state = first.clone();
    match kind {
        Sequence::Padded if sequence::fits(&all, first, w) => {
            sequence::run(cell, &all, first, w, backwards)
        }
        Sequence::Padded => padded_steps(cell, &all, first, w, backwards),
        Sequence::Packed(batches) => {
            let starts: Vec<i64> = batches
                .iter()
                .scan(0, |at, &b| {
                    let s = *at;
                    *at += b;
                    Some(s)
                })
                .collect();
            let mut outputs: Vec<Tensor> = Vec::with_capacity(batches.len());
            if backwards {
                let Some(&last) = batches.last() else {
                    crate::bail!(Runtime, "a packed sequence must not be empty")
                };
                state = first.map(|t| t.narrow(0, 0, last))?;
                let mut have = last;
                for t in (0..batches.len()).rev() {
                    let b = batches[t];
                    if b > have {
                        // Longer sequences start here.
                        let more = first.map(|t| t.narrow(0, have, b - have))?;
                        state = State {
                            h: cat(&[state.h, more.h], 0)?,
                            c: match (state.c, more.c) {
                                (Some(a), Some(b)) => Some(cat(&[a, b], 0)?),
                                _ => None,
                            },
                        };
                        have = b;
                    }
                    state = step(cell, &all.narrow(0, starts[t], b)?, &state, w)?;
                    outputs.push(state.h.clone());
                }
                outputs.reverse();
                return Ok((cat(&outputs, 0)?, state));
            }
            let mut ended: Vec<State> = Vec::new();
            let mut have = batches.first().copied().unwrap_or(0);
            for (t, &b) in batches.iter().enumerate() {
                if b < have {
                    ended.push(state.map(|t| t.narrow(0, b, have - b))?);
                    state = state.map(|t| t.narrow(0, 0, b))?;
                    have = b;
                }
                state = step(cell, &all.narrow(0, starts[t], b)?, &state, w)?;
                outputs.push(state.h.clone());
            }
            ended.push(state);
            ended.reverse();
            let h: Vec<Tensor> = ended.iter().map(|s| s.h.clone()).collect();
            let c: Vec<Tensor> = ended.iter().filter_map(|s| s.c.clone()).collect();
            let last = State {
                h: cat(&h, 0)?,
                c: if c.is_empty() {
                    None
                } else {
                    Some(cat(&c, 0)?)
                },
            };
            Ok((cat(&outputs, 0)?, last))
        }
    }
}

/// What the layers of a network have in common.
struct Network<'a> {
    cell: Cell,
    params: &'a [Tensor],
    biases: bool,
    layers: usize,
    dropout: f64,
    train: bool,
    bidirectional: bool,
}

impl Network<'_> {
    fn weights(&self, at: usize, per: usize) -> Weights<'_> {
        let p = &self.params[at * per..(at + 1) * per];
        let plain = if self.biases { 4 } else { 2 };
        Weights {
            w_ih: &p[0],
            w_hh: &p[1],
            b_ih: self.biases.then(|| &p[2]),
            b_hh: self.biases.then(|| &p[3]),
            w_hr: p.get(plain),
        }
    }

    /// All layers over the sequence; states have one entry per layer and direction on their first axis.
    fn run(
        &self,
        x: &Tensor,
        kind: &Sequence,
        h0: &Tensor,
        c0: Option<&Tensor>,
    ) -> Result<(Tensor, State)> {
        let directions = if self.bidirectional { 2 } else { 1 };
        let count = self.layers * directions;
        let plain = if self.biases { 4 } else { 2 };
        let per = if count == 0 {
            0
        } else {
            self.params.len() / count
        };
        crate::check!(
            count > 0
                && per * count == self.params.len()
                && (per == plain || (per == plain + 1 && self.cell == Cell::Lstm)),
            Runtime,
            "got an incorrect number of RNN parameters"
        );
        crate::check!(
            h0.ndim() == 3 && h0.sizes()[0] == count,
            Runtime,
            "Expected hidden size with {count} layers and directions, got {}",
            shape::list(h0.sizes())
        );
        let mut x = x.clone();
        let mut last: Vec<State> = Vec::with_capacity(count);
        for layer in 0..self.layers {
            let mut outputs = Vec::with_capacity(directions);
            for d in 0..directions {
                let at = layer * directions + d;
                let first = State {
                    h: h0.select(0, at as i64)?,
                    c: c0.map(|c| c.select(0, at as i64)).transpose()?,
                };
                let (out, state) =
                    run(self.cell, &x, kind, &first, &self.weights(at, per), d == 1)?;
                outputs.push(out);
                last.push(state);
            }
            x = if directions == 2 {
                cat(&outputs, -1)?
            } else {
                outputs.swap_remove(0)
            };
            if self.train && self.dropout > 0.0 && layer + 1 < self.layers {
                x = dropped(&x, self.dropout)?;
            }
        }
        let h: Vec<Tensor> = last.iter().map(|s| s.h.clone()).collect();
        let c: Vec<Tensor> = last.iter().filter_map(|s| s.c.clone()).collect();
        let state = State {
            h: stack(&h, 0)?,
            c: if c.is_empty() {
                None
            } else {
                Some(stack(&c, 0)?)
            },
        };
        Ok((x, state))
    }
}

/// The states given: one tensor, or hidden and cell state of an LSTM.
fn states<'a>(cell: Cell, a: &'a Args, at: usize) -> Result<(&'a Tensor, Option<&'a Tensor>)> {
    let t = a.tensors(at);
    if cell == Cell::Lstm {
        crate::check!(t.len() == 2, Runtime, "lstm expects two hidden states");
        return Ok((&t[0], Some(&t[1])));
    }
    match t.first() {
        Some(h) => Ok((h, None)),
        None => crate::bail!(Runtime, "expected a hidden state"),
    }
}

fn results(x: Tensor, state: State) -> Value {
    let mut out = vec![x, state.h];
    out.extend(state.c);
    Value::Tuple(out)
}

fn padded(cell: Cell, a: &Args) -> Result<Value> {
    let (h, c) = states(cell, a, 1)?;
    let net = Network {
        cell,
        params: a.tensors(2),
        biases: a.bool(3),
        layers: a.int(4).max(0) as usize,
        dropout: a.float(5),
        train: a.bool(6),
        bidirectional: a.bool(7),
    };
    let batch_first = a.bool(8);
    let x = a.tensor(0);
    crate::check!(
        x.ndim() == 3,
        Runtime,
        "input must have 3 dimensions, got {}",
        x.ndim()
    );
    let x = if batch_first { x.transpose(0, 1)? } else { x };
    crate::check!(
        x.sizes()[0] > 0,
        Runtime,
        "Expected sequence length to be larger than 0 in RNN"
    );
    let (out, state) = net.run(&x, &Sequence::Padded, h, c)?;
    Ok(results(
        if batch_first {
            out.transpose(0, 1)?
        } else {
            out
        },
        state,
    ))
}

fn packed(cell: Cell, a: &Args) -> Result<Value> {
    let (h, c) = states(cell, a, 2)?;
    let net = Network {
        cell,
        params: a.tensors(3),
        biases: a.bool(4),
        layers: a.int(5).max(0) as usize,
        dropout: a.float(6),
        train: a.bool(7),
        bidirectional: a.bool(8),
    };
    let batches = a.tensor(1).to_vec::<i64>()?;
    let (out, state) = net.run(&a.tensor(0), &Sequence::Packed(&batches), h, c)?;
    Ok(results(out, state))
}

/// One step of a cell as users call it.
fn single(cell: Cell, a: &Args) -> Result<Value> {
    let x = a.tensor(0);
    let (h, c) = states(cell, a, 1)?;
    let (w_ih, w_hh) = (a.tensor(2), a.tensor(3));
    let w = Weights {
        w_ih: &w_ih,
        w_hh: &w_hh,
        b_ih: a.opt_tensor(4),
        b_hh: a.opt_tensor(5),
        w_hr: None,
    };
    crate::check!(
        w_ih.ndim() == 2 && w_ih.sizes()[0] == cell.gates() * h.size(-1)?,
        Runtime,
        "weight_ih must have {} rows for a hidden size of {}, got {}",
        cell.gates() * h.size(-1)?,
        h.size(-1)?,
        shape::list(w_ih.sizes())
    );
    let state = step(
        cell,
        &x.linear(w.w_ih, w.b_ih)?,
        &State {
            h: h.clone(),
            c: c.cloned(),
        },
        &w,
    )?;
    Ok(match state.c {
        Some(c) => Value::Tuple(vec![state.h, c]),
        None => state.h.into(),
    })
}

macro_rules! networks {
    ($($name:ident $cell:ident $doc:literal $packed:literal $padded:literal $one:ident $one_doc:literal $step:literal;)*) => { $(
        op! {
            #[doc = $doc]
            /// over a sequence, padded (time, batch, features) or packed.
            ///
            /// Returns the outputs of the last layer and the last states.
            $name, in [TORCH] {
                $packed => |a| packed(Cell::$cell, a),
                $padded => |a| padded(Cell::$cell, a),
            }
        }
        op! {
            #[doc = $one_doc]
            $one, in [TORCH] {
                $step => |a| single(Cell::$cell, a),
            }
        }
    )* };
}
networks! {
    lstm Lstm " Runs layers of long short-term memory (Hochreiter and Schmidhuber, 1997)"
        "(Tensor data, Tensor batch_sizes, Tensor[] hx, Tensor[] params, bool has_biases, int num_layers, float dropout, bool train, bool bidirectional) -> (Tensor, Tensor, Tensor)"
        "(Tensor input, Tensor[] hx, Tensor[] params, bool has_biases, int num_layers, float dropout, bool train, bool bidirectional, bool batch_first) -> (Tensor, Tensor, Tensor)"
        lstm_cell " Returns the hidden and the cell state after one step of an LSTM."
        "(Tensor input, Tensor[] hx, Tensor w_ih, Tensor w_hh, Tensor? b_ih=None, Tensor? b_hh=None) -> (Tensor, Tensor)";
    gru Gru " Runs layers of gated recurrent units (Cho et al., 2014)"
        "(Tensor data, Tensor batch_sizes, Tensor hx, Tensor[] params, bool has_biases, int num_layers, float dropout, bool train, bool bidirectional) -> (Tensor, Tensor)"
        "(Tensor input, Tensor hx, Tensor[] params, bool has_biases, int num_layers, float dropout, bool train, bool bidirectional, bool batch_first) -> (Tensor, Tensor)"
        gru_cell " Returns the hidden state after one step of a GRU."
        "(Tensor input, Tensor hx, Tensor w_ih, Tensor w_hh, Tensor? b_ih=None, Tensor? b_hh=None) -> Tensor";
    rnn_tanh Tanh " Runs layers of `h = tanh(W x + U h)` (Elman, 1990)"
        "(Tensor data, Tensor batch_sizes, Tensor hx, Tensor[] params, bool has_biases, int num_layers, float dropout, bool train, bool bidirectional) -> (Tensor, Tensor)"
        "(Tensor input, Tensor hx, Tensor[] params, bool has_biases, int num_layers, float dropout, bool train, bool bidirectional, bool batch_first) -> (Tensor, Tensor)"
        rnn_tanh_cell " Returns the hidden state after one step of `h = tanh(W x + U h)`."
        "(Tensor input, Tensor hx, Tensor w_ih, Tensor w_hh, Tensor? b_ih=None, Tensor? b_hh=None) -> Tensor";
    rnn_relu Relu " Runs layers of `h = relu(W x + U h)`"
        "(Tensor data, Tensor batch_sizes, Tensor hx, Tensor[] params, bool has_biases, int num_layers, float dropout, bool train, bool bidirectional) -> (Tensor, Tensor)"
        "(Tensor input, Tensor hx, Tensor[] params, bool has_biases, int num_layers, float dropout, bool train, bool bidirectional, bool batch_first) -> (Tensor, Tensor)"
        rnn_relu_cell " Returns the hidden state after one step of `h = relu(W x + U h)`."
        "(Tensor input, Tensor hx, Tensor w_ih, Tensor w_hh, Tensor? b_ih=None, Tensor? b_hh=None) -> Tensor";
}

#[rustfmt::skip]
pub static ROWS: &[&crate::ops::OpDef] = &[
    &lstm::DEF, &gru::DEF, &rnn_tanh::DEF, &rnn_relu::DEF, &lstm_cell::DEF, &gru_cell::DEF, &rnn_tanh_cell::DEF, &rnn_relu_cell::DEF,
];
