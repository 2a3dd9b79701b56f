//! Folds of rows: sums in a fixed tree, so that results do not depend on the number of threads.

use crate::dtype::DType;
use crate::error::Result;
use crate::iter::SendPtr;
use crate::ops::reduce::as_rows;
use crate::scalar::Element;
use crate::tensor::Tensor;
use num_complex::Complex;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fold {
    Sum,
    Any,
}

/// A type sums can be kept in.
trait Accumulate: Copy + std::ops::Add<Output = Self> + Default {}
impl Accumulate for f32 {}
impl Accumulate for f64 {}
impl Accumulate for Complex<f32> {}
impl Accumulate for Complex<f64> {}

/// Sums 8 interleaved lanes in blocks of 128, then pairwise: the error grows with the logarithm of the length.
fn tree_sum<S: Copy, A: Accumulate>(x: &[S], load: impl Fn(S) -> A + Copy) -> A {
    if x.len() <= 128 {
        let mut lanes = [A::default(); 8];
        let chunks = x.chunks_exact(8);
        let rest = chunks.remainder();
        for c in chunks {
            for (l, &v) in lanes.iter_mut().zip(c) {
                *l = *l + load(v);
            }
        }
        let mut sum = ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
        for &v in rest {
            sum = sum + load(v);
        }
        return sum;
    }
    let half = (x.len() / 2).next_multiple_of(128).min(x.len() - 1);
    let (a, b) = x.split_at(half);
    tree_sum(a, load) + tree_sum(b, load)
}

/// Folds `dims` of a CPU tensor into `out`, which has the kept axes' elements in order.
pub fn fold(kind: Fold, x: &Tensor, dims: &[usize], out: &Tensor) -> Result<()> {
    x.need_cpu("sum")?;
    let (t, rows, len) = as_rows(x, dims)?;
    macro_rules! sums {
        ($S:ty, $O:ty, $load:expr, $store:expr) => {{
            let src = t.as_slice::<$S>()?;
            let dst = SendPtr(out.data_ptr());
            let grain = (crate::iter::GRAIN / len.max(1)).max(1);
            crate::cpu::parallel::for_range(rows, grain, |from, to| {
                for r in from..to {
                    let sum = tree_sum(&src[r * len..(r + 1) * len], $load);
                    // SAFETY: `out` holds `rows` elements; threads write disjoint rows.
                    unsafe { dst.of::<$O>().add(r).write($store(sum)) };
                }
            });
        }};
    }
    match (kind, t.dtype()) {
        (Fold::Any, DType::Bool) => {
            let src = t.as_slice::<bool>()?;
            for r in 0..rows {
                let any = src[r * len..(r + 1) * len].iter().any(|&b| b);
                // SAFETY: `out` holds `rows` bools.
                unsafe { (out.data_ptr() as *mut bool).add(r).write(any) };
            }
        }
        (_, DType::F32) => sums!(f32, f32, |v| v, |s| s),
        (_, DType::F64) => sums!(f64, f64, |v| v, |s| s),
        (_, DType::F16) => sums!(half::f16, half::f16, |v: half::f16| v.to_f32(), half::f16::from_f32),
        (_, DType::BF16) => sums!(half::bf16, half::bf16, |v: half::bf16| v.to_f32(), half::bf16::from_f32),
        (_, DType::C64) => sums!(Complex<f32>, Complex<f32>, |v| v, |s| s),
        (_, DType::C128) => sums!(Complex<f64>, Complex<f64>, |v| v, |s| s),
        (_, dtype) => crate::dispatch!(dtype, T => {
            let src = t.as_slice::<T>()?;
            for r in 0..rows {
                let mut sum = 0i64;
                for v in &src[r * len..(r + 1) * len] {
                    sum = sum.wrapping_add(v.to_scalar().to_i64());
                }
                // SAFETY: `out` holds `rows` elements of the same dtype.
                unsafe { (out.data_ptr() as *mut T).add(r).write(T::from_scalar(crate::scalar::Scalar::Int(sum))) };
            }
        }),
    }
    Ok(())
}
