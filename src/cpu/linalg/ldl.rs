//! The factorization L D L^T of symmetric and Hermitian matrices with blocks of one or two rows in D, by the pivoting of
//! Bunch and Kaufman (Some Stable Methods for Calculating Inertia and Solving Symmetric Linear Systems, 1977), in the
//! form in which LAPACK's `sytrf` stores it.

use super::Field;

/// The transposed element: conjugated for Hermitian matrices.
fn turned<F: Field>(x: F, hermitian: bool) -> F {
    if hermitian { x.conj() } else { x }
}

/// Exchanges rows and columns `i < j` of the symmetric matrix of which rows `i..` of the lower triangle are given.
fn exchange<F: Field>(a: &mut [F], n: usize, i: usize, j: usize, hermitian: bool) {
    a.swap(i * n + i, j * n + j);
    for r in j + 1..n {
        a.swap(r * n + i, r * n + j);
    }
    for r in i + 1..j {
        let (x, y) = (a[r * n + i], a[j * n + r]);
        a[r * n + i] = turned(y, hermitian);
        a[j * n + r] = turned(x, hermitian);
    }
    a[j * n + i] = turned(a[j * n + i], hermitian);
}

/// Factors the lower triangle of the n x n matrix `a` in place and clears what lies above. `pivots[k]` is the row, from
/// 1, that row k was exchanged with; both rows of a block of two have it negative. The first zero on D's diagonal from
/// 1, or 0.
pub fn factor<F: Field>(a: &mut [F], n: usize, pivots: &mut [i32], hermitian: bool) -> i32 {
    // Bounds the growth of elements equally for both sizes of blocks.
    let alpha = (1.0 + 17f64.sqrt()) / 8.0;
    for r in 0..n {
        for c in r + 1..n {
            a[r * n + c] = F::real(0.0);
        }
    }
    let mut info = 0;
    let mut k = 0;
    while k < n {
        if hermitian {
            for i in k..n {
                a[i * n + i] = F::real(a[i * n + i].re());
            }
        }
        let here = a[k * n + k].taxi();
        let (mut row, mut most) = (k, 0.0);
        for i in k + 1..n {
            if a[i * n + k].taxi() > most {
                (row, most) = (i, a[i * n + k].taxi());
            }
        }
        if here.max(most) == 0.0 || here.is_nan() {
            if info == 0 {
                info = k as i32 + 1;
            }
            pivots[k] = k as i32 + 1;
            k += 1;
            continue;
        }
        let (mut with, mut width) = (k, 1);
        if here < alpha * most {
            let mut other = 0.0f64;
            for j in k..row {
                other = other.max(a[row * n + j].taxi());
            }
            for i in row + 1..n {
                other = other.max(a[i * n + row].taxi());
            }
            if here * other >= alpha * most * most {
                // The diagonal is large enough after all.
            } else if a[row * n + row].taxi() >= alpha * other {
                with = row;
            } else {
                (with, width) = (row, 2);
            }
        }
        let moved = k + width - 1;
        if with != moved {
            exchange(a, n, moved, with, hermitian);
            if width == 2 {
                a.swap(moved * n + k, with * n + k);
            }
        }
        let below = k + width;
        if width == 1 {
            let d = a[k * n + k];
            for j in below..n {
                let f = turned(a[j * n + k], hermitian) / d;
                for i in j..n {
                    let x = a[i * n + k];
                    a[i * n + j] -= x * f;
                }
            }
            for i in below..n {
                a[i * n + k] = a[i * n + k] / d;
            }
            pivots[k] = with as i32 + 1;
        } else {
            let (p, r, s) = (a[k * n + k], a[(k + 1) * n + k], a[(k + 1) * n + k + 1]);
            let t = turned(r, hermitian);
            // The block is [[p, t], [r, s]]; dividing by r first keeps the determinant in range.
            let (p1, s1) = (p / t, s / r);
            let det = p1 * s1 - F::real(1.0);
            let mut rows = Vec::with_capacity(n - below);
            for i in below..n {
                let (x, y) = (a[i * n + k], a[i * n + k + 1]);
                // (x, y) times the inverse of the block.
                let u = (x * s1 - y) / (t * det);
                let v = (y * p1 - x) / (r * det);
                rows.push((u, v));
            }
            for j in below..n {
                let (x, y) = (
                    turned(a[j * n + k], hermitian),
                    turned(a[j * n + k + 1], hermitian),
                );
                for i in j..n {
                    let (u, v) = rows[i - below];
                    a[i * n + j] -= u * x + v * y;
                }
            }
            for (i, (u, v)) in (below..n).zip(rows) {
                (a[i * n + k], a[i * n + k + 1]) = (u, v);
            }
            pivots[k] = -(with as i32 + 1);
            pivots[k + 1] = pivots[k];
        }
        k = below;
    }
    info
}

/// Solves for n x m right-hand sides in place.
pub fn solve<F: Field>(ld: &[F], n: usize, pivots: &[i32], b: &mut [F], m: usize, hermitian: bool) {
    let swap = |b: &mut [F], i: usize, j: usize| {
        if i != j {
            for c in 0..m {
                b.swap(i * m + c, j * m + c);
            }
        }
    };
    // The rows of blocks, and which one was exchanged with which.
    let mut blocks = Vec::with_capacity(n);
    let mut k = 0;
    while k < n {
        let width = if pivots[k] < 0 && k + 1 < n { 2 } else { 1 };
        let with = (pivots[k].unsigned_abs() as usize)
            .saturating_sub(1)
            .min(n - 1);
        blocks.push((k, width, with));
        k += width;
    }
    for &(k, width, with) in &blocks {
        swap(b, k + width - 1, with);
        for i in k + width..n {
            for j in k..k + width {
                let f = ld[i * n + j];
                for c in 0..m {
                    let v = b[j * m + c];
                    b[i * m + c] -= f * v;
                }
            }
        }
        if width == 1 {
            let d = ld[k * n + k];
            for c in 0..m {
                b[k * m + c] = b[k * m + c] / d;
            }
        } else {
            let (p, r, s) = (ld[k * n + k], ld[(k + 1) * n + k], ld[(k + 1) * n + k + 1]);
            let t = turned(r, hermitian);
            let (p1, s1) = (p / t, s / r);
            let det = p1 * s1 - F::real(1.0);
            for c in 0..m {
                let (x, y) = (b[k * m + c] / t, b[(k + 1) * m + c] / r);
                b[k * m + c] = (s1 * x - y) / det;
                b[(k + 1) * m + c] = (p1 * y - x) / det;
            }
        }
    }
    for &(k, width, with) in blocks.iter().rev() {
        for j in k..k + width {
            for i in k + width..n {
                let f = turned(ld[i * n + j], hermitian);
                for c in 0..m {
                    let v = b[i * m + c];
                    b[j * m + c] -= f * v;
                }
            }
        }
        swap(b, k + width - 1, with);
    }
}
