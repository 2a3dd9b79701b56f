//! Factorizations of small dense matrices, row-major, in double precision: real and complex by one text.
//!
//! Singular values and Hermitian eigenvalues come from Jacobi rotations, which are simple and keep small values accurate.

pub mod eig;
pub mod exponential;
pub mod ldl;

use crate::list::{filled, held};
use num_complex::Complex;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub, SubAssign};

/// A number these factorizations work on.
pub trait Field:
    Copy
    + PartialEq
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
{
    fn real(x: f64) -> Self;
    fn re(self) -> f64;
    fn conj(self) -> Self;
    fn abs(self) -> f64;
    /// The sum of the sizes of real and imaginary part, by which LAPACK chooses pivots.
    fn taxi(self) -> f64;
}

impl Field for f64 {
    fn real(x: f64) -> f64 {
        x
    }
    fn re(self) -> f64 {
        self
    }
    fn conj(self) -> f64 {
        self
    }
    fn abs(self) -> f64 {
        f64::abs(self)
    }
    fn taxi(self) -> f64 {
        f64::abs(self)
    }
}

impl Field for Complex<f64> {
    fn real(x: f64) -> Self {
        Complex::new(x, 0.0)
    }
    fn re(self) -> f64 {
        self.re
    }
    fn conj(self) -> Self {
        Complex::conj(&self)
    }
    fn abs(self) -> f64 {
        self.norm()
    }
    fn taxi(self) -> f64 {
        self.re.abs() + self.im.abs()
    }
}

/// A number of absolute value one with the direction of `x`; one for zero.
fn phase<F: Field>(x: F) -> F {
    let r = x.abs();
    if r == 0.0 {
        F::real(1.0)
    } else {
        x / F::real(r)
    }
}

/// `a = P L U` in place for an m x n matrix. `pivots[i]` is the row (from 0) that row i was exchanged with; the result
/// is the first zero pivot counted from 1, or 0.
pub fn lu<F: Field>(a: &mut [F], m: usize, n: usize, pivots: &mut [i32]) -> i32 {
    let mut info = 0;
    for k in 0..m.min(n) {
        let mut p = k;
        for i in k + 1..m {
            if a[i * n + k].taxi() > a[p * n + k].taxi() {
                p = i;
            }
        }
        pivots[k] = p as i32;
        if p != k {
            for j in 0..n {
                a.swap(k * n + j, p * n + j);
            }
        }
        let pivot = a[k * n + k];
        if pivot.abs() == 0.0 {
            if info == 0 {
                info = k as i32 + 1;
            }
            continue;
        }
        let (top, below) = a.split_at_mut((k + 1) * n);
        let row = &top[k * n..];
        for r in below.chunks_exact_mut(n) {
            let f = r[k] / pivot;
            r[k] = f;
            if f != F::real(0.0) {
                for j in k + 1..n {
                    r[j] -= f * row[j];
                }
            }
        }
    }
    info
}

/// Solves `t x = b` in place for a triangular n x n matrix and n x k right-hand sides.
pub fn solve_triangular<F: Field>(
    t: &[F],
    n: usize,
    b: &mut [F],
    k: usize,
    upper: bool,
    unit: bool,
) {
    for s in 0..n {
        let i = if upper { n - 1 - s } else { s };
        let others = if upper { i + 1..n } else { 0..i };
        for j in others {
            let f = t[i * n + j];
            if f != F::real(0.0) {
                // Both rows as slices: the loop runs in vectors.
                let (to, from) = if i < j {
                    let (top, rest) = b.split_at_mut(j * k);
                    (&mut top[i * k..(i + 1) * k], &rest[..k])
                } else {
                    let (top, rest) = b.split_at_mut(i * k);
                    (&mut rest[..k], &top[j * k..(j + 1) * k])
                };
                for (t, &v) in to.iter_mut().zip(from) {
                    *t -= f * v;
                }
            }
        }
        if !unit {
            let d = t[i * n + i];
            for c in 0..k {
                b[i * k + c] = b[i * k + c] / d;
            }
        }
    }
}

/// The lower Cholesky factor of the lower triangle of `a`, in place, zeros above; the order of the first leading minor
/// that is not positive, or 0.
pub fn cholesky<F: Field>(a: &mut [F], n: usize) -> i32 {
    for j in 0..n {
        let mut d = a[j * n + j].re();
        for k in 0..j {
            let v = a[j * n + k].abs();
            d -= v * v;
        }
        if d.is_nan() || d <= 0.0 {
            return j as i32 + 1;
        }
        let d = d.sqrt();
        a[j * n + j] = F::real(d);
        for i in j + 1..n {
            let mut v = a[i * n + j];
            for k in 0..j {
                v -= a[i * n + k] * a[j * n + k].conj();
            }
            a[i * n + j] = v / F::real(d);
        }
        for i in 0..j {
            a[i * n + j] = F::real(0.0);
        }
    }
    0
}

/// Householder reflectors of an m x n matrix in place, as LAPACK stores them: R above, vectors below, factors in `tau`.
pub fn reflect<F: Field>(a: &mut [F], m: usize, n: usize, tau: &mut [F]) {
    for k in 0..m.min(n) {
        let below: f64 = (k + 1..m).map(|i| a[i * n + k].abs().powi(2)).sum();
        let alpha = a[k * n + k];
        let imaginary = (alpha - F::real(alpha.re())).abs();
        if below == 0.0 && imaginary == 0.0 {
            tau[k] = F::real(0.0);
            continue;
        }
        let norm = (alpha.abs().powi(2) + below).sqrt();
        let beta = if alpha.re() > 0.0 { -norm } else { norm };
        tau[k] = (F::real(beta) - alpha) / F::real(beta);
        let scale = F::real(1.0) / (alpha - F::real(beta));
        for i in k + 1..m {
            a[i * n + k] = a[i * n + k] * scale;
        }
        a[k * n + k] = F::real(beta);
        let t = tau[k].conj();
        for j in k + 1..n {
            let mut dot = a[k * n + j];
            for i in k + 1..m {
                dot += a[i * n + k].conj() * a[i * n + j];
            }
            let dot = dot * t;
            a[k * n + j] -= dot;
            for i in k + 1..m {
                let v = a[i * n + k];
                a[i * n + j] -= v * dot;
            }
        }
    }
}

/// The first `columns` columns of the product of the reflectors that `reflect` left in an m x n matrix.
pub fn unreflect<F: Field>(a: &[F], m: usize, n: usize, tau: &[F], columns: usize, q: &mut [F]) {
    q.fill(F::real(0.0));
    for i in 0..columns.min(m) {
        q[i * columns + i] = F::real(1.0);
    }
    for k in (0..tau.len().min(m).min(n)).rev() {
        for j in 0..columns {
            let mut dot = q[k * columns + j];
            for i in k + 1..m {
                dot += a[i * n + k].conj() * q[i * columns + j];
            }
            let dot = dot * tau[k];
            q[k * columns + j] -= dot;
            for i in k + 1..m {
                q[i * columns + j] -= a[i * n + k] * dot;
            }
        }
    }
}

const SWEEPS: usize = 60;

/// The rotation that makes off-diagonal element `g` of a Hermitian pair with diagonal `a`, `b` vanish: (cos, sin).
fn rotation(a: f64, b: f64, g: f64) -> (f64, f64) {
    let zeta = (b - a) / (2.0 * g);
    let t = if zeta >= 0.0 { 1.0 } else { -1.0 } / (zeta.abs() + (1.0 + zeta * zeta).sqrt());
    let c = 1.0 / (1.0 + t * t).sqrt();
    (c, c * t)
}

/// Eigenvalues, ascending, and eigenvectors as columns of `v` of the Hermitian n x n matrix `a`, which is overwritten.
pub fn eigh<F: Field>(a: &mut [F], n: usize, values: &mut [f64], v: &mut [F]) {
    // Contiguous eigenvectors.
    let mut vectors = held(filled(n * n, F::real(0.0)));
    for i in 0..n {
        vectors[i * n + i] = F::real(1.0);
    }
    let total: f64 = a.iter().map(|x| x.abs().powi(2)).sum::<f64>().sqrt();
    for _ in 0..SWEEPS {
        let mut off = 0.0f64;
        for p in 0..n {
            for q in p + 1..n {
                let g = a[p * n + q];
                let size = g.abs();
                off = off.max(size);
                if size <= 1e-16 * total || size == 0.0 {
                    continue;
                }
                let (x, y) = (a[p * n + p].re(), a[q * n + q].re());
                let (c, s) = rotation(x, y, size);
                let moved = s / c * size;
                let s = F::real(s) * phase(g);
                // The columns are the rows' conjugates.
                rotate_pair(a, n, p, q, c, s.conj());
                for j in 0..n {
                    a[j * n + p] = a[p * n + j].conj();
                    a[j * n + q] = a[q * n + j].conj();
                }
                (a[p * n + p], a[q * n + q]) = (F::real(x - moved), F::real(y + moved));
                (a[p * n + q], a[q * n + p]) = (F::real(0.0), F::real(0.0));
                rotate_pair(&mut vectors, n, p, q, c, s);
            }
        }
        if off.is_nan() || off <= 4e-16 * total {
            break;
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| a[i * n + i].re().total_cmp(&a[j * n + j].re()));
    for (to, &from) in order.iter().enumerate() {
        values[to] = a[from * n + from].re();
    }
    for (to, &from) in order.iter().enumerate() {
        for row in 0..n {
            v[row * n + to] = vectors[from * n + row];
        }
    }
}

/// The inner product of two columns, in several sums so that they run side by side.
fn inner<F: Field>(x: &[F], y: &[F]) -> F {
    const LANES: usize = 8;
    let mut sums = [F::real(0.0); LANES];
    let (xs, ys) = (x.chunks_exact(LANES), y.chunks_exact(LANES));
    let mut rest = F::real(0.0);
    for (&x, &y) in xs.remainder().iter().zip(ys.remainder()) {
        rest += x.conj() * y;
    }
    for (x, y) in xs.zip(ys) {
        for i in 0..LANES {
            sums[i] += x[i].conj() * y[i];
        }
    }
    sums.into_iter().fold(rest, |a, b| a + b)
}

/// Rotates columns p < q of a matrix of which columns are contiguous.
fn rotate_pair<F: Field>(columns: &mut [F], len: usize, p: usize, q: usize, c: f64, s: F) {
    let (left, right) = columns.split_at_mut(q * len);
    let c = F::real(c);
    for (a, b) in left[p * len..(p + 1) * len]
        .iter_mut()
        .zip(&mut right[..len])
    {
        let (x, y) = (*a, *b);
        *a = c * x - s.conj() * y;
        *b = s * x + c * y;
    }
}

/// The singular value decomposition of an m x n matrix with m >= n: `a` becomes U (m x n), values descend, and the
/// columns of `v` (n x n) are the right vectors.
pub fn svd<F: Field>(a: &mut [F], m: usize, n: usize, values: &mut [f64], v: &mut [F]) {
    // Contiguous columns, the left ones and the right ones.
    let mut left = held(filled(m * n, F::real(0.0)));
    let mut right = held(filled(n * n, F::real(0.0)));
    for j in 0..n {
        for i in 0..m {
            left[j * m + i] = a[i * n + j];
        }
        right[j * n + j] = F::real(1.0);
    }
    let square = |x: &[F]| x.iter().map(|x| x.abs().powi(2)).sum::<f64>();
    let tolerance = 1e-15 * (m as f64).sqrt();
    for _ in 0..SWEEPS {
        let mut rotated = false;
        let mut squares: Vec<f64> = left.chunks_exact(m.max(1)).map(square).collect();
        for p in 0..n {
            for q in p + 1..n {
                let g = inner(&left[p * m..(p + 1) * m], &left[q * m..(q + 1) * m]);
                let (x, y, size) = (squares[p], squares[q], g.abs());
                // A NaN anywhere ends the search.
                if size == 0.0 || size.is_nan() || size <= tolerance * x.sqrt() * y.sqrt() {
                    continue;
                }
                rotated = true;
                let (c, s) = rotation(x, y, size);
                // What one column loses the other gains.
                let moved = s / c * size;
                (squares[p], squares[q]) = ((x - moved).max(0.0), y + moved);
                let s = F::real(s) * phase(g);
                rotate_pair(&mut left, m, p, q, c, s);
                rotate_pair(&mut right, n, p, q, c, s);
            }
        }
        if !rotated {
            break;
        }
    }
    let norms: Vec<f64> = left
        .chunks_exact(m.max(1))
        .map(|x| square(x).sqrt())
        .collect();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| norms[j].total_cmp(&norms[i]));
    let top = order.first().map_or(0.0, |&i| norms[i]);
    for (to, &from) in order.iter().enumerate() {
        values[to] = norms[from];
        for row in 0..n {
            v[row * n + to] = right[from * n + row];
        }
        if norms[from] > top * 1e-300 && norms[from] > 0.0 {
            for row in 0..m {
                a[row * n + to] = left[from * m + row] / F::real(norms[from]);
            }
        } else {
            for row in 0..m {
                a[row * n + to] = F::real(0.0);
            }
            complete_column(a, m, n, to);
        }
    }
}

/// Makes column `to` a unit vector orthogonal to the columns before it.
fn complete_column<F: Field>(a: &mut [F], m: usize, n: usize, to: usize) {
    for axis in 0..m {
        let mut x: Vec<F> = (0..m)
            .map(|i| F::real(if i == axis { 1.0 } else { 0.0 }))
            .collect();
        // Twice is enough for orthogonality to rounding.
        for _ in 0..2 {
            for j in 0..to {
                let mut dot = F::real(0.0);
                for (i, x) in x.iter().enumerate() {
                    dot += a[i * n + j].conj() * *x;
                }
                for (i, x) in x.iter_mut().enumerate() {
                    *x -= a[i * n + j] * dot;
                }
            }
        }
        let norm = x.iter().map(|x| x.abs().powi(2)).sum::<f64>().sqrt();
        if norm > 0.1 / (m as f64).sqrt() {
            for (i, x) in x.iter().enumerate() {
                a[i * n + to] = *x / F::real(norm);
            }
            return;
        }
    }
}

/// Completes the first `have` orthonormal columns of an m x n matrix to n columns.
pub fn complete<F: Field>(a: &mut [F], m: usize, n: usize, have: usize) {
    for to in have..n {
        complete_column(a, m, n, to);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(m: usize, n: usize) -> Vec<Complex<f64>> {
        (0..m * n)
            .map(|i| Complex::new((i as f64 * 1.7).sin(), (i as f64 * 0.9).cos()))
            .collect()
    }

    #[test]
    fn decompositions_reconstruct() {
        let (m, n) = (6, 4);
        let a = sample(m, n);
        let (mut u, mut s, mut v) = (a.clone(), vec![0.0; n], vec![Complex::default(); n * n]);
        svd(&mut u, m, n, &mut s, &mut v);
        for i in 0..m {
            for j in 0..n {
                let x: Complex<f64> = (0..n)
                    .map(|k| u[i * n + k] * s[k] * v[j * n + k].conj())
                    .sum();
                assert!((x - a[i * n + j]).norm() < 1e-12);
            }
        }
        let h: Vec<Complex<f64>> = (0..n * n)
            .map(|i| {
                (0..m)
                    .map(|k| a[k * n + i / n].conj() * a[k * n + i % n])
                    .sum()
            })
            .collect();
        let (mut w, mut l, mut q) = (h.clone(), vec![0.0; n], vec![Complex::default(); n * n]);
        eigh(&mut w, n, &mut l, &mut q);
        for i in 0..n {
            for j in 0..n {
                let x: Complex<f64> = (0..n)
                    .map(|k| q[i * n + k] * l[k] * q[j * n + k].conj())
                    .sum();
                assert!((x - h[i * n + j]).norm() < 1e-11);
            }
        }
        let (mut r, mut tau, mut q) = (
            a.clone(),
            vec![Complex::default(); n],
            vec![Complex::default(); m * n],
        );
        reflect(&mut r, m, n, &mut tau);
        unreflect(&r, m, n, &tau, n, &mut q);
        for i in 0..m {
            for j in 0..n {
                let x: Complex<f64> = (0..=j).map(|k| q[i * n + k] * r[k * n + j]).sum();
                assert!((x - a[i * n + j]).norm() < 1e-12);
            }
        }
    }
}
