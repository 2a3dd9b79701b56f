//! The exponential of matrices by a diagonal Padé approximant, scaling and squaring (Higham, The Scaling and Squaring
//! Method for the Matrix Exponential Revisited, 2005).

use super::{Field, lu, solve_triangular};

/// `(26 - k)! 13! / (26! k! (13 - k)!)` times a common factor: the numerator of degree 13.
fn coefficients() -> [f64; 14] {
    let mut c = [1.0; 14];
    for k in 1..14 {
        c[k] = c[k - 1] * (14 - k) as f64 / ((27 - k) * k) as f64;
    }
    c
}

/// The norm up to which the approximant is exact to rounding.
const REACH: f64 = 5.37;

fn multiply<F: Field>(a: &[F], b: &[F], n: usize, out: &mut [F]) {
    out.fill(F::real(0.0));
    for (row, to) in a.chunks_exact(n).zip(out.chunks_exact_mut(n)) {
        for (&x, from) in row.iter().zip(b.chunks_exact(n)) {
            if x != F::real(0.0) {
                for (t, &f) in to.iter_mut().zip(from) {
                    *t += x * f;
                }
            }
        }
    }
}

/// Replaces an n x n matrix by its exponential.
pub fn exponential<F: Field>(a: &mut [F], n: usize) {
    let norm = (0..n)
        .map(|j| (0..n).map(|i| a[i * n + j].abs()).sum::<f64>())
        .fold(0.0f64, |m, s| if s.is_nan() { s } else { m.max(s) });
    if !norm.is_finite() {
        a.fill(F::real(f64::NAN));
        return;
    }
    let squarings = if norm > REACH {
        (norm / REACH).log2().ceil() as i32
    } else {
        0
    };
    let scale = F::real(0.5f64.powi(squarings));
    a.iter_mut().for_each(|x| *x = *x * scale);
    let size = n * n;
    let zero = || vec![F::real(0.0); size];
    let (mut a2, mut a4, mut a6) = (zero(), zero(), zero());
    multiply(a, a, n, &mut a2);
    multiply(&a2, &a2, n, &mut a4);
    multiply(&a4, &a2, n, &mut a6);
    let c = coefficients();
    // Odd powers are A times a polynomial in its square; both polynomials are split at the sixth power.
    let polynomial = |first: Option<usize>, from: [usize; 3]| -> Vec<F> {
        let mut out = zero();
        for i in 0..size {
            out[i] = a6[i] * F::real(c[from[2]])
                + a4[i] * F::real(c[from[1]])
                + a2[i] * F::real(c[from[0]]);
        }
        if let Some(first) = first {
            for i in 0..n {
                out[i * n + i] += F::real(c[first]);
            }
        }
        out
    };
    let mut work = zero();
    let mut halves = [
        (Some(1), [3, 5, 7], [9, 11, 13]),
        (Some(0), [2, 4, 6], [8, 10, 12]),
    ]
    .map(|(first, low, high)| {
        let mut out = zero();
        multiply(&a6, &polynomial(None, high), n, &mut out);
        for (o, l) in out.iter_mut().zip(polynomial(first, low)) {
            *o += l;
        }
        out
    });
    let [odd, even] = &mut halves;
    multiply(a, odd, n, &mut work);
    // (even - odd) X = even + odd
    let mut left: Vec<F> = even.iter().zip(&work).map(|(&e, &o)| e - o).collect();
    let right: Vec<F> = even.iter().zip(&work).map(|(&e, &o)| e + o).collect();
    let mut pivots = vec![0; n];
    lu(&mut left, n, n, &mut pivots);
    a.copy_from_slice(&right);
    for (i, &p) in pivots.iter().enumerate() {
        for j in 0..n {
            a.swap(i * n + j, p as usize * n + j);
        }
    }
    solve_triangular(&left, n, a, n, false, true);
    solve_triangular(&left, n, a, n, true, false);
    for _ in 0..squarings {
        multiply(a, a, n, &mut work);
        a.copy_from_slice(&work);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotations_and_shears() {
        let mut a = [0.0, -40.0, 40.0, 0.0];
        exponential(&mut a, 2);
        let want = [40f64.cos(), -40f64.sin(), 40f64.sin(), 40f64.cos()];
        assert!(a.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-13));
        let mut a = [1.0, 2.0, 0.0, 1.0];
        exponential(&mut a, 2);
        let e = 1f64.exp();
        assert!(
            a.iter()
                .zip([e, 2.0 * e, 0.0, e])
                .all(|(a, b)| (a - b).abs() < 1e-14)
        );
    }
}
