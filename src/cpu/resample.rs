//! Linear maps along one axis: each output is a weighted sum of a few inputs.

use super::math::Real;
use super::parallel::for_range;
use crate::error::Result;
use crate::iter::{GRAIN, SendPtr};
use crate::list;
use smallvec::SmallVec;

/// The inputs of one output, with their weights.
pub type Row = SmallVec<[(usize, f64); 4]>;

/// `out[j] = sum over k of weight[j, k] x[index[j, k]]`
#[derive(Clone, Debug)]
pub struct Axis {
    /// Length of the input and of the output.
    pub from: usize,
    pub to: usize,
    /// Inputs per output.
    pub taps: usize,
    /// Where they are, all below `from`.
    index: Vec<usize>,
    /// Their weights; all 1 where missing.
    weight: Option<Vec<f64>>,
}

impl Axis {
    /// Each output is one input. `None` if an index is out of range.
    pub fn pick(from: usize, index: Vec<usize>) -> Option<Axis> {
        index.iter().all(|&i| i < from).then_some(Axis {
            from,
            to: index.len(),
            taps: 1,
            index,
            weight: None,
        })
    }

    /// Each output is a weighted sum of inputs; rows may differ in length. `None` if an index is out of range.
    pub fn weighted(from: usize, rows: &[Row]) -> Result<Option<Axis>> {
        let taps = rows.iter().map(Row::len).max().unwrap_or(0).max(1);
        let entries = rows.len().saturating_mul(taps);
        let (mut index, mut weight) = (list::with_room(entries)?, list::with_room(entries)?);
        for row in rows {
            for k in 0..taps {
                // Missing taps repeat the first input with weight 0.
                let (i, w) = row
                    .get(k)
                    .copied()
                    .unwrap_or((row.first().map_or(0, |r| r.0), 0.0));
                index.push(i);
                weight.push(w);
            }
        }
        Ok(index.iter().all(|&i| i < from).then_some(Axis {
            from,
            to: rows.len(),
            taps,
            index,
            weight: Some(weight),
        }))
    }

    pub fn is_copy(&self) -> bool {
        self.weight.is_none()
    }

    fn weights<R: Real>(&self) -> Result<Vec<R>> {
        match &self.weight {
            Some(w) => list::collected(w.iter().map(|&w| R::from_f64(w))),
            None => list::filled(self.index.len(), R::ONE),
        }
    }

    fn grain(&self, inner: usize) -> usize {
        (GRAIN / (self.from.max(self.to * self.taps) * inner).max(1)).max(1)
    }

    /// Copies along the axis, for maps without weights: (outer, from, inner) to (outer, to, inner).
    pub fn copy<T: Copy + Send + Sync>(&self, x: &[T], out: &mut [T], inner: usize) {
        if out.is_empty() || x.is_empty() {
            return;
        }
        let outer = x.len() / (self.from * inner);
        let dst = SendPtr(out.as_mut_ptr() as *mut u8);
        for_range(outer, self.grain(inner), |start, end| {
            for o in start..end {
                let x = &x[o * self.from * inner..(o + 1) * self.from * inner];
                // SAFETY: `out` has `outer * to * inner` elements; threads own disjoint outer indices.
                let out = unsafe {
                    std::slice::from_raw_parts_mut(
                        dst.of::<T>().add(o * self.to * inner),
                        self.to * inner,
                    )
                };
                if inner == 1 {
                    out.iter_mut()
                        .zip(&self.index)
                        .for_each(|(o, &i)| *o = x[i]);
                } else {
                    for (out, &i) in out.chunks_exact_mut(inner).zip(&self.index) {
                        out.copy_from_slice(&x[i * inner..(i + 1) * inner]);
                    }
                }
            }
        });
    }

    /// Applies the map: (outer, from, inner) to (outer, to, inner).
    pub fn apply<R: Real>(&self, x: &[R], out: &mut [R], inner: usize) -> Result<()> {
        if out.is_empty() || x.is_empty() {
            return Ok(());
        }
        let weights = self.weights::<R>()?;
        let outer = x.len() / (self.from * inner);
        let dst = SendPtr(out.as_mut_ptr() as *mut u8);
        for_range(outer, self.grain(inner), |start, end| {
            for o in start..end {
                let x = &x[o * self.from * inner..(o + 1) * self.from * inner];
                // SAFETY: `out` has `outer * to * inner` elements; threads own disjoint outer indices.
                let out = unsafe {
                    std::slice::from_raw_parts_mut(
                        dst.of::<R>().add(o * self.to * inner),
                        self.to * inner,
                    )
                };
                for (j, out) in out.chunks_exact_mut(inner).enumerate() {
                    let taps = j * self.taps..(j + 1) * self.taps;
                    if inner == 1 {
                        let mut sum = R::ZERO;
                        for (&i, &w) in self.index[taps.clone()].iter().zip(&weights[taps]) {
                            sum += w * x[i];
                        }
                        out[0] = sum;
                        continue;
                    }
                    out.fill(R::ZERO);
                    for (&i, &w) in self.index[taps.clone()].iter().zip(&weights[taps]) {
                        out.iter_mut()
                            .zip(&x[i * inner..(i + 1) * inner])
                            .for_each(|(o, &x)| *o += w * x);
                    }
                }
            }
        });
        Ok(())
    }

    /// Applies the transposed map: (outer, to, inner) to (outer, from, inner).
    pub fn apply_transposed<R: Real>(&self, g: &[R], out: &mut [R], inner: usize) -> Result<()> {
        out.fill(R::ZERO);
        if out.is_empty() || g.is_empty() {
            return Ok(());
        }
        let weights = self.weights::<R>()?;
        let outer = g.len() / (self.to * inner);
        let dst = SendPtr(out.as_mut_ptr() as *mut u8);
        for_range(outer, self.grain(inner), |start, end| {
            for o in start..end {
                let g = &g[o * self.to * inner..(o + 1) * self.to * inner];
                // SAFETY: `out` has `outer * from * inner` elements; threads own disjoint outer indices.
                let out = unsafe {
                    std::slice::from_raw_parts_mut(
                        dst.of::<R>().add(o * self.from * inner),
                        self.from * inner,
                    )
                };
                for (j, g) in g.chunks_exact(inner).enumerate() {
                    let taps = j * self.taps..(j + 1) * self.taps;
                    for (&i, &w) in self.index[taps.clone()].iter().zip(&weights[taps]) {
                        out[i * inner..(i + 1) * inner]
                            .iter_mut()
                            .zip(g)
                            .for_each(|(o, &g)| *o += w * g);
                    }
                }
            }
        });
        Ok(())
    }
}
