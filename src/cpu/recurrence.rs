//! Recurrent layers over a padded sequence: all steps forward, and all steps back.
//!
//! Shapes are (time, batch, width); a gate's values of one sequence lie together. The product with the state is the only
//! one that has to be made step by step: what the input contributes comes in ready, and the gradient of the state's
//! weights is one product over all steps.

use crate::cpu::gemm::{Product, gemm};
use crate::cpu::math::Real;
use crate::cpu::vector::{Work, run_parallel};
use crate::iter::{GRAIN, SendPtr};
use std::marker::PhantomData;

/// What a cell computes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cell {
    /// `h = tanh(x + W h)`
    Tanh,
    /// `h = max(x + W h, 0)`
    Relu,
    /// Gates i, f, g, o: `c = f c + i g`, `h = o tanh(c)` (Hochreiter and Schmidhuber, 1997).
    Lstm,
    /// Gates r, z, n: `n = tanh(x + r W h)`, `h = (1 - z) n + z h` (Cho et al., 2014).
    Gru,
}

impl Cell {
    pub fn gates(self) -> usize {
        match self {
            Cell::Tanh | Cell::Relu => 1,
            Cell::Gru => 3,
            Cell::Lstm => 4,
        }
    }
}

/// The element types of the whole-sequence kernels.
pub trait Element: Real + Product<Acc = Self> {}
impl Element for f32 {}
impl Element for f64 {}

/// One direction of one layer.
#[derive(Clone, Copy, Debug)]
pub struct Layer {
    pub cell: Cell,
    pub steps: usize,
    pub batch: usize,
    pub hidden: usize,
    /// Whether the sequence is walked from its end.
    pub backwards: bool,
}

/// What the forward pass leaves for the backward pass.
pub struct Kept<T> {
    /// The gates' values, (time, batch, gates * hidden).
    pub gates: *mut T,
    /// LSTM: the cell states, (time, batch, hidden). GRU: the state's part of the new value, `W h`.
    pub inner: *mut T,
    /// The hidden states, (time, batch, hidden).
    pub out: *mut T,
}

/// What the backward pass is given and fills.
pub struct Gradients<T> {
    /// Of the hidden states, (time, batch, hidden).
    pub out: *const T,
    /// Of what the input contributes, (time, batch, gates * hidden).
    pub gates: *mut T,
    /// Of what the state contributes: the same memory as `gates`, but for a GRU its own.
    pub state_gates: *mut T,
    /// Of the first hidden state, (batch, hidden), zero at the start.
    pub h: *mut T,
    /// Of the last cell state at the start, of the first one at the end, (batch, hidden).
    pub c: *mut T,
    /// Of the state's weights, (gates * hidden, hidden).
    pub weight: *mut T,
}

impl Layer {
    fn width(&self) -> usize {
        self.cell.gates() * self.hidden
    }

    /// The steps in the order they are made.
    fn order(&self) -> impl DoubleEndedIterator<Item = usize> + use<> {
        let (steps, backwards) = (self.steps, self.backwards);
        (0..steps).map(move |s| if backwards { steps - 1 - s } else { s })
    }

    /// Runs all steps. `kept.gates` holds what the input contributes, with all biases; of a GRU without the state's, which
    /// `kept.inner` holds in every row for the new value.
    ///
    /// # Safety
    /// Every pointer has the elements that its documentation names, `weight` (hidden, gates * hidden), `h` and `c`
    /// (batch, hidden), and `state` room for (batch, gates * hidden); none overlap.
    pub unsafe fn forward<T: Element>(
        &self,
        kept: &Kept<T>,
        h: *const T,
        c: *const T,
        weight: *const T,
        bias: *const T,
        state: *mut T,
    ) {
        let (block, wide) = (self.batch * self.hidden, self.batch * self.width());
        let (mut h, mut c) = (h, c);
        // SAFETY: step t has its own block of every buffer; the caller gives the elements.
        unsafe {
            for t in self.order() {
                let gates = kept.gates.add(t * wide);
                let apart = self.cell == Cell::Gru;
                if apart {
                    for b in 0..self.batch {
                        let row = state.add(b * self.width());
                        match bias.is_null() {
                            true => row.write_bytes(0, self.width()),
                            false => row.copy_from_nonoverlapping(bias, self.width()),
                        }
                    }
                }
                let into = if apart { state } else { gates };
                self.times_weight(h, weight, into);
                let step = Forward {
                    layer: *self,
                    gates: SendPtr(gates.cast()),
                    state: SendPtr(state.cast()),
                    inner: SendPtr(kept.inner.wrapping_add(t * block).cast()),
                    h: SendPtr(h.cast_mut().cast()),
                    c: SendPtr(c.cast_mut().cast()),
                    out: SendPtr(kept.out.add(t * block).cast()),
                    of: PhantomData::<T>,
                };
                run_parallel(&step, self.batch, self.grain());
                h = kept.out.add(t * block);
                c = kept.inner.wrapping_add(t * block);
            }
        }
    }

    fn grain(&self) -> usize {
        (GRAIN / 8 / self.width().max(1)).max(1)
    }

    /// `into += h W`
    unsafe fn times_weight<T: Element>(&self, h: *const T, weight: *const T, into: *mut T) {
        let (wide, hidden) = (self.width(), self.hidden);
        let (w, n) = (wide as isize, hidden as isize);
        // SAFETY: (batch, hidden) times (hidden, width), as the caller says.
        unsafe {
            let one = <T as Real>::ONE;
            gemm(
                self.batch,
                wide,
                hidden,
                one,
                h,
                (n, 1),
                weight,
                (w, 1),
                one,
                into,
                (w, 1),
            );
        }
    }

    /// Walks the steps back. `h` and `c` are the first states, `weight` is (gates * hidden, hidden).
    ///
    /// # Safety
    /// Every pointer has the elements that its documentation names.
    pub unsafe fn backward<T: Element>(
        &self,
        kept: &Kept<T>,
        h: *const T,
        c: *const T,
        weight: *const T,
        to: &Gradients<T>,
    ) {
        let (block, wide) = (self.batch * self.hidden, self.batch * self.width());
        let (w, n) = (self.width() as isize, self.hidden as isize);
        let (zero, one) = (<T as Real>::ZERO, <T as Real>::ONE);
        let apart = self.cell == Cell::Gru;
        // The step before t, if there is one.
        let before = |t: usize| match self.backwards {
            true => (t + 1 < self.steps).then_some(t + 1),
            false => t.checked_sub(1),
        };
        // SAFETY: as in `forward`.
        unsafe {
            for t in self.order().rev() {
                let (h, c) = match before(t) {
                    Some(s) => (
                        kept.out.add(s * block).cast_const(),
                        kept.inner.wrapping_add(s * block).cast_const(),
                    ),
                    None => (h, c),
                };
                let step = Backward {
                    layer: *self,
                    gates: SendPtr(kept.gates.add(t * wide).cast()),
                    inner: SendPtr(kept.inner.wrapping_add(t * block).cast()),
                    out: SendPtr(kept.out.add(t * block).cast()),
                    h: SendPtr(h.cast_mut().cast()),
                    c: SendPtr(c.cast_mut().cast()),
                    given: SendPtr(to.out.add(t * block).cast_mut().cast()),
                    to_gates: SendPtr(to.gates.add(t * wide).cast()),
                    to_state: SendPtr(to.state_gates.add(t * wide).cast()),
                    to_h: SendPtr(to.h.cast()),
                    to_c: SendPtr(to.c.cast()),
                    of: PhantomData::<T>,
                };
                run_parallel(&step, self.batch, self.grain());
                // What the state got through the product; a GRU's `to_h` holds what it got besides.
                let keep = if apart { one } else { zero };
                gemm(
                    self.batch,
                    self.hidden,
                    self.width(),
                    one,
                    to.state_gates.add(t * wide),
                    (w, 1),
                    weight,
                    (n, 1),
                    keep,
                    to.h,
                    (n, 1),
                );
            }
            // The weights: the first step with the first state, the others with the outputs before them.
            let (start, others, states) = match self.backwards {
                true => (self.steps - 1, 0, 1),
                false => (0, 1, 0),
            };
            for (from, with, rows, beta) in [
                (start, h, self.batch, zero),
                (
                    others,
                    kept.out.wrapping_add(states * block).cast_const(),
                    (self.steps - 1) * self.batch,
                    one,
                ),
            ] {
                gemm(
                    self.width(),
                    self.hidden,
                    rows,
                    one,
                    to.state_gates.wrapping_add(from * wide),
                    (1, w),
                    with,
                    (n, 1),
                    beta,
                    to.weight,
                    (n, 1),
                );
            }
        }
    }
}

struct Forward<T> {
    layer: Layer,
    gates: SendPtr,
    state: SendPtr,
    inner: SendPtr,
    h: SendPtr,
    c: SendPtr,
    out: SendPtr,
    of: PhantomData<T>,
}

/// `to[j] = f(j)`; one output a loop, so that the compiler can tell it from the inputs.
///
/// # Safety
/// `to` has `n` elements.
#[inline(always)]
unsafe fn each<T>(n: usize, to: *mut T, f: impl Fn(usize) -> T) {
    for j in 0..n {
        // SAFETY: the caller's promise.
        unsafe { to.add(j).write(f(j)) }
    }
}

impl<T: Element> Work for Forward<T> {
    #[inline(always)]
    fn run(&self, from: usize, to: usize) {
        let (n, wide) = (self.layer.hidden, self.layer.width());
        for b in from..to {
            let gate = |k: usize| self.gates.of::<T>().wrapping_add(b * wide + k * n);
            let state = |k: usize| self.state.of::<T>().wrapping_add(b * wide + k * n);
            let row = |p: SendPtr| p.of::<T>().wrapping_add(b * n);
            let (h, c, inner, out) = (row(self.h), row(self.c), row(self.inner), row(self.out));
            // SAFETY: rows of the step's blocks; no row is that of another sequence, and threads own disjoint ones.
            unsafe {
                match self.layer.cell {
                    Cell::Tanh => each(n, out, |j| (*gate(0).add(j)).tanh()),
                    Cell::Relu => each(n, out, |j| {
                        let x = *gate(0).add(j);
                        T::select(x < <T as Real>::ZERO, <T as Real>::ZERO, x)
                    }),
                    Cell::Lstm => {
                        each(2 * n, gate(0), |j| (*gate(0).add(j)).sigmoid());
                        each(n, gate(2), |j| (*gate(2).add(j)).tanh());
                        each(n, gate(3), |j| (*gate(3).add(j)).sigmoid());
                        let (i, f, g, o) = (gate(0), gate(1), gate(2), gate(3));
                        each(n, inner, |j| *f.add(j) * *c.add(j) + *i.add(j) * *g.add(j));
                        each(n, out, |j| *o.add(j) * (*inner.add(j)).tanh());
                    }
                    Cell::Gru => {
                        let (r, z, new) = (gate(0), gate(1), gate(2));
                        each(2 * n, r, |j| (*r.add(j) + *state(0).add(j)).sigmoid());
                        each(n, inner, |j| *state(2).add(j));
                        each(n, new, |j| (*new.add(j) + *r.add(j) * *inner.add(j)).tanh());
                        each(n, out, |j| {
                            (*h.add(j) - *new.add(j)) * *z.add(j) + *new.add(j)
                        });
                    }
                }
            }
        }
    }
}

struct Backward<T> {
    layer: Layer,
    gates: SendPtr,
    inner: SendPtr,
    out: SendPtr,
    h: SendPtr,
    c: SendPtr,
    given: SendPtr,
    to_gates: SendPtr,
    to_state: SendPtr,
    to_h: SendPtr,
    to_c: SendPtr,
    of: PhantomData<T>,
}

impl<T: Element> Work for Backward<T> {
    #[inline(always)]
    fn run(&self, from: usize, to: usize) {
        let one = <T as Real>::ONE;
        let (n, wide) = (self.layer.hidden, self.layer.width());
        for b in from..to {
            let at = |p: SendPtr, k: usize| p.of::<T>().wrapping_add(b * wide + k * n);
            let row = |p: SendPtr| p.of::<T>().wrapping_add(b * n);
            let (h, c, inner, out) = (row(self.h), row(self.c), row(self.inner), row(self.out));
            let (given, dh, dc) = (row(self.given), row(self.to_h), row(self.to_c));
            // SAFETY: as in `Forward`.
            unsafe {
                each(n, dh, |j| *dh.add(j) + *given.add(j));
                match self.layer.cell {
                    Cell::Tanh => each(n, at(self.to_gates, 0), |j| {
                        *dh.add(j) * (one - *out.add(j) * *out.add(j))
                    }),
                    Cell::Relu => each(n, at(self.to_gates, 0), |j| {
                        let y = *out.add(j);
                        // Where the output is not a number, so is its gradient.
                        let open = T::select(y > <T as Real>::ZERO, one, y * <T as Real>::ZERO);
                        *dh.add(j) * open
                    }),
                    Cell::Lstm => {
                        let gate = |k| at(self.gates, k);
                        let (i, f, g, o) = (gate(0), gate(1), gate(2), gate(3));
                        each(n, at(self.to_gates, 3), |j| {
                            let o = *o.add(j);
                            *dh.add(j) * (*inner.add(j)).tanh() * o * (one - o)
                        });
                        each(n, dc, |j| {
                            let y = (*inner.add(j)).tanh();
                            *dc.add(j) + *dh.add(j) * *o.add(j) * (one - y * y)
                        });
                        each(n, at(self.to_gates, 0), |j| {
                            let i = *i.add(j);
                            *dc.add(j) * *g.add(j) * i * (one - i)
                        });
                        each(n, at(self.to_gates, 1), |j| {
                            let f = *f.add(j);
                            *dc.add(j) * *c.add(j) * f * (one - f)
                        });
                        each(n, at(self.to_gates, 2), |j| {
                            let g = *g.add(j);
                            *dc.add(j) * *i.add(j) * (one - g * g)
                        });
                        each(n, dc, |j| *dc.add(j) * *f.add(j));
                    }
                    Cell::Gru => {
                        let (r, z, new) = (at(self.gates, 0), at(self.gates, 1), at(self.gates, 2));
                        let (to_r, to_z, to_new) = (
                            at(self.to_gates, 0),
                            at(self.to_gates, 1),
                            at(self.to_gates, 2),
                        );
                        each(n, to_z, |j| {
                            let z = *z.add(j);
                            *dh.add(j) * (*h.add(j) - *new.add(j)) * z * (one - z)
                        });
                        each(n, to_new, |j| {
                            let y = *new.add(j);
                            *dh.add(j) * (one - *z.add(j)) * (one - y * y)
                        });
                        each(n, to_r, |j| {
                            let r = *r.add(j);
                            *to_new.add(j) * *inner.add(j) * r * (one - r)
                        });
                        each(n, at(self.to_state, 0), |j| *to_r.add(j));
                        each(n, at(self.to_state, 1), |j| *to_z.add(j));
                        each(n, at(self.to_state, 2), |j| *to_new.add(j) * *r.add(j));
                        each(n, dh, |j| *dh.add(j) * *z.add(j));
                    }
                }
            }
        }
    }
}
