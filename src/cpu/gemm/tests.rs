use super::*;
use half::{bf16, f16};
use num_complex::Complex;

struct Rng(u64);
impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        self.0 >> 33
    }
    /// A small integer, so that every type's sums are exact.
    fn small(&mut self) -> i64 {
        (self.next() % 5) as i64 - 2
    }
}

fn check<T: Product>(make: impl Fn(i64) -> T, tag: &str) {
    let mut rng = Rng(7);
    let sizes = [
        (1, 1, 1),
        (4, 4, 4),
        (1, 33, 70),
        (70, 1, 33),
        (5, 1, 1),
        (13, 17, 9),
        (14, 32, 64),
        (31, 65, 3),
        (100, 90, 110),
        (15, 200, 400),
        (130, 131, 70),
    ];
    for (m, n, k) in sizes {
        for layout in 0..8 {
            let a: Vec<T> = (0..m * k).map(|_| make(rng.small())).collect();
            let b: Vec<T> = (0..k * n).map(|_| make(rng.small())).collect();
            let c: Vec<T> = (0..m * n).map(|_| make(rng.small())).collect();
            let steps = |bit: usize, r: usize, q: usize| {
                if layout >> bit & 1 == 0 {
                    (q as isize, 1)
                } else {
                    (1, r as isize)
                }
            };
            let (sa, sb, sc) = (steps(0, m, k), steps(1, k, n), steps(2, m, n));
            for (alpha, beta) in [(1, 0), (1, 1), (2, 3)] {
                let (alpha, beta) = (make(alpha).to_acc(), make(beta).to_acc());
                let mut got = c.clone();
                // SAFETY: vectors of the sizes the steps need.
                unsafe {
                    gemm(
                        m,
                        n,
                        k,
                        alpha,
                        a.as_ptr(),
                        sa,
                        b.as_ptr(),
                        sb,
                        beta,
                        got.as_mut_ptr(),
                        sc,
                    )
                };
                for i in 0..m {
                    for j in 0..n {
                        let at = |s: (isize, isize), i: usize, j: usize| {
                            (i as isize * s.0 + j as isize * s.1) as usize
                        };
                        let mut sum = T::Acc::ZERO;
                        for p in 0..k {
                            sum = sum.add(a[at(sa, i, p)].to_acc().mul(b[at(sb, p, j)].to_acc()));
                        }
                        let old = c[at(sc, i, j)].to_acc();
                        let want = T::from_acc(alpha.mul(sum).add(beta.mul(old)));
                        assert!(
                            got[at(sc, i, j)] == want,
                            "{tag} {m}x{n}x{k} layout {layout} at {i},{j}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn floats() {
    check(|x| x as f32, "f32");
    check(|x| x as f64, "f64");
}

#[test]
fn halves() {
    check(|x| f16::from_f32(x as f32), "f16");
    check(|x| bf16::from_f32(x as f32), "bf16");
}

#[test]
fn integers() {
    check(|x| x as i8, "i8");
    check(|x| x as u8, "u8");
    check(|x| x as i16, "i16");
    check(|x| x as i32, "i32");
    check(|x| x, "i64");
}

#[test]
fn complexes() {
    check(|x| Complex::new(x as f32, 1.0 - x as f32), "c64");
    check(|x| Complex::new(x as f64, 1.0 - x as f64), "c128");
}

#[test]
fn zero_beta_reads_nothing_and_threads_change_nothing() {
    let mut rng = Rng(3);
    for (m, n, k) in [
        (4, 4, 4),
        (300, 200, 900),
        (1, 5000, 70),
        (257, 1, 2000),
        (3, 5000, 700),
    ] {
        let mut random = |len: usize| {
            (0..len)
                .map(|_| rng.next() as f32 / 1e9)
                .collect::<Vec<f32>>()
        };
        let (a, b) = (random(m * k), random(k * n));
        let mut results = Vec::new();
        for threads in [1, 2, 5] {
            crate::cpu::parallel::set_num_threads(threads);
            let mut c = vec![f32::NAN; m * n];
            // SAFETY: vectors of the sizes the steps need.
            unsafe {
                let (sa, sb) = ((k as isize, 1), (n as isize, 1));
                gemm(
                    m,
                    n,
                    k,
                    1.0,
                    a.as_ptr(),
                    sa,
                    b.as_ptr(),
                    sb,
                    0.0,
                    c.as_mut_ptr(),
                    sb,
                );
            }
            assert!(c.iter().all(|x| x.is_finite()));
            results.push(c);
        }
        assert!(results[0] == results[1] && results[0] == results[2]);
    }
}

#[test]
fn batches() {
    let (a, b) = (
        (0..24).map(|x| x as f32).collect::<Vec<_>>(),
        vec![1f32, 2., 3., 4., 5., 6.],
    );
    let mut c = vec![0f32; 16];
    let batch = Batch {
        count: 4,
        a_step: 6,
        b_step: 0,
        c_step: 4,
    };
    // SAFETY: four 2 x 3 matrices times one 3 x 2 matrix.
    unsafe {
        gemm_batched(
            batch,
            2,
            2,
            3,
            1.0,
            a.as_ptr(),
            (3, 1),
            b.as_ptr(),
            (2, 1),
            0.0,
            c.as_mut_ptr(),
            (2, 1),
        )
    };
    for (i, c) in c.chunks(4).enumerate() {
        let s = |r: usize, q: usize| {
            (0..3)
                .map(|p| a[i * 6 + r * 3 + p] * b[p * 2 + q])
                .sum::<f32>()
        };
        assert_eq!(c, [s(0, 0), s(0, 1), s(1, 0), s(1, 1)]);
    }
}

#[test]
fn empty_sums_scale_the_result() {
    let mut c = vec![1f32, f32::NAN];
    // SAFETY: no element of A or B is read.
    unsafe {
        gemm(
            1,
            2,
            0,
            1.0,
            [].as_ptr(),
            (1, 1),
            [].as_ptr(),
            (1, 1),
            0.0,
            c.as_mut_ptr(),
            (2, 1),
        )
    };
    assert_eq!(c, [0.0, 0.0]);
}
