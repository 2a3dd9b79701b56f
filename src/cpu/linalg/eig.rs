//! Eigenvalues and eigenvectors of general matrices: reduction to Hessenberg form, QR iteration to Schur form, and
//! substitution from the bottom.
//!
//! Real matrices take Francis's double shift, so that complex eigenvalues come in exactly conjugate pairs and real ones
//! are exactly real (Golub and Van Loan, Matrix Computations, 4th edition, sections 7.4 to 7.6).

use super::{Field, phase};
use num_complex::Complex;

type C = Complex<f64>;

/// QR steps an eigenvalue may take.
const STEPS: usize = 100;

/// A number whose Hessenberg matrices can be iterated to Schur form.
pub trait Schur: Field + Into<C> {
    /// Makes a Hessenberg matrix (quasi) triangular, and applies the same rotations to the columns of `q`. False where
    /// the iteration does not converge.
    fn triangularize(h: &mut [Self], q: &mut [Self], n: usize) -> bool;
    /// `v` as a number of this kind times `by`.
    fn times(self, by: C) -> C;
}

/// Makes everything below the first subdiagonal vanish by reflections, which are collected in `q`.
fn hessenberg<F: Field>(a: &mut [F], q: &mut [F], n: usize) {
    q.fill(F::real(0.0));
    for i in 0..n {
        q[i * n + i] = F::real(1.0);
    }
    let mut v = vec![F::real(0.0); n];
    for k in 0..n.saturating_sub(2) {
        let below: f64 = (k + 2..n).map(|i| a[i * n + k].abs().powi(2)).sum();
        if below == 0.0 {
            continue;
        }
        let top = a[(k + 1) * n + k];
        let norm = (below + top.abs().powi(2)).sqrt();
        let turn = phase(top);
        for i in k + 1..n {
            v[i] = a[i * n + k];
        }
        v[k + 1] += turn * F::real(norm);
        // 2 / (v^H v)
        let scale = F::real(1.0 / (norm * (norm + top.abs())));
        for j in k..n {
            let mut dot = F::real(0.0);
            for i in k + 1..n {
                dot += v[i].conj() * a[i * n + j];
            }
            let dot = dot * scale;
            for i in k + 1..n {
                a[i * n + j] -= v[i] * dot;
            }
        }
        for m in [&mut *a, &mut *q] {
            for row in m.chunks_exact_mut(n) {
                let mut dot = F::real(0.0);
                for j in k + 1..n {
                    dot += row[j] * v[j];
                }
                let dot = dot * scale;
                for j in k + 1..n {
                    row[j] -= dot * v[j].conj();
                }
            }
        }
        for i in k + 2..n {
            a[i * n + k] = F::real(0.0);
        }
    }
}

/// The first row of the active block that ends at `hi`; the element left of it is made zero.
fn block_start<F: Field>(h: &mut [F], n: usize, hi: usize, size: f64) -> usize {
    let mut l = hi;
    while l > 0 {
        let near = h[(l - 1) * n + l - 1].abs() + h[l * n + l].abs();
        let near = if near == 0.0 { size } else { near };
        if h[l * n + l - 1].abs() <= f64::EPSILON * near {
            h[l * n + l - 1] = F::real(0.0);
            break;
        }
        l -= 1;
    }
    l
}

fn frobenius<F: Field>(h: &[F]) -> f64 {
    h.iter().map(|x| x.abs().powi(2)).sum::<f64>().sqrt()
}

/// The reflection I - s v v^T that makes all but the first of a few numbers vanish: (v, s), s zero where nothing is to do.
fn small_reflection(x: &[f64]) -> ([f64; 3], f64) {
    let mut v = [0.0; 3];
    v[..x.len()].copy_from_slice(x);
    let size = x.iter().fold(0.0f64, |m, x| m.max(x.abs()));
    if size == 0.0 || x[1..].iter().all(|&x| x == 0.0) {
        return (v, 0.0);
    }
    v.iter_mut().for_each(|v| *v /= size);
    let norm = v.iter().map(|v| v * v).sum::<f64>().sqrt();
    v[0] += norm.copysign(v[0]);
    (v, 2.0 / v.iter().map(|v| v * v).sum::<f64>())
}

/// One implicit double-shift sweep over rows `lo..=hi` with the shifts whose sum and product are given.
fn francis(h: &mut [f64], q: &mut [f64], n: usize, lo: usize, hi: usize, sum: f64, product: f64) {
    let at = |h: &[f64], i: usize, j: usize| h[i * n + j];
    let (a, b) = (at(h, lo, lo), at(h, lo, lo + 1));
    let (c, d) = (at(h, lo + 1, lo), at(h, lo + 1, lo + 1));
    let mut x = [a * a + b * c - sum * a + product, c * (a + d - sum), 0.0];
    x[2] = c * at(h, lo + 2, lo + 1);
    for k in lo..hi {
        let len = if k + 2 <= hi { 3 } else { 2 };
        let (v, s) = small_reflection(&x[..len]);
        if s != 0.0 {
            let from = if k > lo { k - 1 } else { lo };
            for j in from..n {
                let dot: f64 = (0..len).map(|i| v[i] * h[(k + i) * n + j]).sum::<f64>() * s;
                for i in 0..len {
                    h[(k + i) * n + j] -= v[i] * dot;
                }
            }
            let last = (k + 3).min(hi);
            for row in h[..(last + 1) * n]
                .chunks_exact_mut(n)
                .chain(q.chunks_exact_mut(n))
            {
                let dot: f64 = (0..len).map(|i| v[i] * row[k + i]).sum::<f64>() * s;
                for i in 0..len {
                    row[k + i] -= v[i] * dot;
                }
            }
        }
        if k > lo {
            for i in 1..len {
                h[(k + i) * n + k - 1] = 0.0;
            }
        }
        if k + 1 < hi {
            x = [at(h, k + 1, k), at(h, k + 2, k), 0.0];
            if k + 3 <= hi {
                x[2] = at(h, k + 3, k);
            }
        }
    }
}

/// Makes the 2 x 2 block at `k` triangular if its eigenvalues are real.
fn split_block(h: &mut [f64], q: &mut [f64], n: usize, k: usize) {
    let (a, b) = (h[k * n + k], h[k * n + k + 1]);
    let (c, d) = (h[(k + 1) * n + k], h[(k + 1) * n + k + 1]);
    let p = (a - d) / 2.0;
    let discriminant = p * p + b * c;
    if c == 0.0 || discriminant < 0.0 {
        return;
    }
    // (z, c) is the eigenvector of d + z.
    let z = p + discriminant.sqrt().copysign(p);
    let r = z.hypot(c);
    let (cos, sin) = (z / r, c / r);
    for j in 0..n {
        let (x, y) = (h[k * n + j], h[(k + 1) * n + j]);
        h[k * n + j] = cos * x + sin * y;
        h[(k + 1) * n + j] = cos * y - sin * x;
    }
    for row in h.chunks_exact_mut(n).chain(q.chunks_exact_mut(n)) {
        let (x, y) = (row[k], row[k + 1]);
        row[k] = cos * x + sin * y;
        row[k + 1] = cos * y - sin * x;
    }
    h[(k + 1) * n + k] = 0.0;
}

impl Schur for f64 {
    fn triangularize(h: &mut [f64], q: &mut [f64], n: usize) -> bool {
        let size = frobenius(h);
        let mut end = n;
        let mut steps = 0;
        while end > 0 {
            let hi = end - 1;
            let lo = block_start(h, n, hi, size);
            if hi - lo <= 1 {
                if lo < hi {
                    split_block(h, q, n, lo);
                }
                end = lo;
                steps = 0;
                continue;
            }
            steps += 1;
            if steps > STEPS {
                return false;
            }
            let (a, b) = (h[(hi - 1) * n + hi - 1], h[(hi - 1) * n + hi]);
            let (c, d) = (h[hi * n + hi - 1], h[hi * n + hi]);
            let (mut sum, mut product) = (a + d, a * d - b * c);
            if steps % 10 == 0 {
                // Shifts that have nothing to do with the matrix break a cycle.
                let s = c.abs() + h[(hi - 1) * n + hi - 2].abs();
                (sum, product) = (1.5 * s, s * s);
            }
            francis(h, q, n, lo, hi, sum, product);
        }
        true
    }
    fn times(self, by: C) -> C {
        by * self
    }
}

impl Schur for C {
    fn triangularize(h: &mut [C], q: &mut [C], n: usize) -> bool {
        let size = frobenius(h);
        let mut end = n;
        let mut steps = 0;
        while end > 0 {
            let hi = end - 1;
            let lo = block_start(h, n, hi, size);
            if lo == hi {
                end = lo;
                steps = 0;
                continue;
            }
            steps += 1;
            if steps > STEPS {
                return false;
            }
            let (a, b) = (h[(hi - 1) * n + hi - 1], h[(hi - 1) * n + hi]);
            let (c, d) = (h[hi * n + hi - 1], h[hi * n + hi]);
            // The eigenvalue of the last block that is nearer to its last element.
            let p = (a - d) / 2.0;
            let root = (p * p + b * c).sqrt();
            let far = if (p + root).norm() >= (p - root).norm() {
                p + root
            } else {
                p - root
            };
            let mut shift = if far.norm() == 0.0 {
                d
            } else {
                d - b * c / far
            };
            if steps % 10 == 0 {
                shift = d + c.norm();
            }
            let (mut x, mut y) = (h[lo * n + lo] - shift, h[(lo + 1) * n + lo]);
            for k in lo..hi {
                let r = x.norm().hypot(y.norm());
                if r > 0.0 {
                    // The unitary [[u, v], [-v^*, u^*]] turns (x, y) into (r, 0).
                    let (u, v) = (x.conj() / r, y.conj() / r);
                    let from = if k > lo { k - 1 } else { lo };
                    for j in from..n {
                        let (x, y) = (h[k * n + j], h[(k + 1) * n + j]);
                        h[k * n + j] = u * x + v * y;
                        h[(k + 1) * n + j] = u.conj() * y - v.conj() * x;
                    }
                    let last = (k + 2).min(hi);
                    for row in h[..(last + 1) * n]
                        .chunks_exact_mut(n)
                        .chain(q.chunks_exact_mut(n))
                    {
                        let (x, y) = (row[k], row[k + 1]);
                        row[k] = u.conj() * x + v.conj() * y;
                        row[k + 1] = u * y - v * x;
                    }
                }
                if k > lo {
                    h[(k + 1) * n + k - 1] = C::default();
                }
                if k + 1 < hi {
                    (x, y) = (h[(k + 1) * n + k], h[(k + 2) * n + k]);
                }
            }
        }
        true
    }
    fn times(self, by: C) -> C {
        by * self
    }
}

/// Divides, with a tiny divisor made larger.
fn over(x: C, d: C, least: f64) -> C {
    x / if d.norm() < least {
        C::new(least, 0.0)
    } else {
        d
    }
}

/// The eigenvector of the (quasi) triangular `t` for the eigenvalue of the block of rows `from..end`, in `x[..end]`.
fn substitute<F: Schur>(
    t: &[F],
    n: usize,
    from: usize,
    end: usize,
    value: C,
    least: f64,
    x: &mut [C],
) {
    let at = |i: usize, j: usize| -> C { t[i * n + j].into() };
    x.fill(C::default());
    if end - from == 2 {
        // (T - value) x = 0 by its first row, whose last element is not zero.
        x[from] = at(from, from + 1);
        x[from + 1] = value - at(from, from);
    } else {
        x[from] = C::new(1.0, 0.0);
    }
    let mut end_row = from;
    while end_row > 0 {
        let j = end_row - 1;
        let right = |i: usize, x: &[C]| -> C {
            -(end_row..end).map(|k| t[i * n + k].times(x[k])).sum::<C>()
        };
        if j > 0 && t[j * n + j - 1].abs() != 0.0 {
            let i = j - 1;
            let (r, s) = (right(i, x), right(j, x));
            let (a, d) = (at(i, i) - value, at(j, j) - value);
            let (b, c) = (at(i, j), at(j, i));
            let det = a * d - b * c;
            x[i] = over(r * d - s * b, det, least * least);
            x[j] = over(s * a - r * c, det, least * least);
            end_row = i;
        } else {
            x[j] = over(right(j, x), at(j, j) - value, least);
            end_row = j;
        }
        let largest = x[end_row..from].iter().fold(0.0f64, |m, x| m.max(x.norm()));
        if largest > 1e100 {
            x.iter_mut().for_each(|x| *x /= largest);
        }
    }
}

/// Eigenvalues of the n x n matrix `a`, which is overwritten, and unit eigenvectors as columns of `vectors` where asked
/// for. Conjugate pairs of a real matrix are neighbours, the positive imaginary part first. False where the iteration
/// does not converge.
pub fn eig<F: Schur>(
    a: &mut [F],
    n: usize,
    values: &mut [C],
    mut vectors: Option<&mut [C]>,
) -> bool {
    let mut q = vec![F::real(0.0); n * n];
    hessenberg(a, &mut q, n);
    if !F::triangularize(a, &mut q, n) {
        return false;
    }
    let least = f64::EPSILON * frobenius(a).max(f64::MIN_POSITIVE);
    let mut x = vec![C::default(); n];
    let mut k = 0;
    while k < n {
        let pair = k + 1 < n && a[(k + 1) * n + k].abs() != 0.0;
        let here: C = a[k * n + k].into();
        values[k] = here;
        if pair {
            let (b, c): (C, C) = (a[k * n + k + 1].into(), a[(k + 1) * n + k].into());
            let d: C = a[(k + 1) * n + k + 1].into();
            let p = (here.re - d.re) / 2.0;
            let root = (-(p * p + b.re * c.re)).max(0.0).sqrt();
            values[k] = C::new((here.re + d.re) / 2.0, root);
            values[k + 1] = values[k].conj();
        }
        let end = k + 1 + pair as usize;
        if let Some(vectors) = &mut vectors {
            substitute(a, n, k, end, values[k], least, &mut x);
            let mut v: Vec<C> = q
                .chunks_exact(n)
                .map(|row| (0..end).map(|j| row[j].times(x[j])).sum())
                .collect();
            let norm = v.iter().map(|v| v.norm_sqr()).sum::<f64>().sqrt();
            // The largest component is made real, as LAPACK does.
            let largest = v.iter().fold(C::default(), |m, &v| {
                if v.norm_sqr() > m.norm_sqr() { v } else { m }
            });
            let turn = if largest.im == 0.0 {
                C::new(1.0, 0.0)
            } else {
                largest.conj() / largest.norm()
            };
            v.iter_mut().for_each(|v| *v = *v * turn / norm);
            for (i, v) in v.into_iter().enumerate() {
                vectors[i * n + k] = v;
                if pair {
                    vectors[i * n + k + 1] = v.conj();
                }
            }
        }
        k = end;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn residual<F: Schur>(a: &[F], n: usize) -> f64 {
        let (mut work, mut l, mut v) =
            (a.to_vec(), vec![C::default(); n], vec![C::default(); n * n]);
        assert!(eig(&mut work, n, &mut l, Some(&mut v)));
        let mut worst = 0.0f64;
        for i in 0..n {
            for j in 0..n {
                let left: C = (0..n).map(|k| a[i * n + k].times(v[k * n + j])).sum();
                worst = worst.max((left - v[i * n + j] * l[j]).norm());
            }
        }
        worst
    }

    #[test]
    fn eigenvectors_are_kept_in_direction() {
        for n in [1, 2, 3, 4, 7, 20] {
            let real: Vec<f64> = (0..n * n)
                .map(|i| ((i * i) as f64 * 1.7 + 0.3).sin())
                .collect();
            assert!(residual(&real, n) < 1e-12 * n as f64);
            let complex: Vec<C> = real
                .iter()
                .enumerate()
                .map(|(i, &x)| C::new(x, (i as f64 * 2.3).cos()))
                .collect();
            assert!(residual(&complex, n) < 1e-12 * n as f64);
        }
        // A permutation, whose eigenvalues lie on a circle, and a matrix without a basis of eigenvectors.
        let cycle = [
            0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0,
        ];
        assert!(residual(&cycle, 4) < 1e-14);
        assert!(residual(&[2.0, 1.0, 0.0, 0.0, 2.0, 1.0, 0.0, 0.0, 2.0], 3) < 1e-14);
    }
}
