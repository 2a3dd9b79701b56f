//! Products of a vector and a matrix, bound by memory.

use super::kernel::Kernels;
use super::pack::{Scratch, Use};
use super::{Product, Shared, is_own_acc};
use crate::cpu::element::Acc;
use crate::cpu::isa::{Isa, isa};
use crate::cpu::parallel::for_range;

/// Multiply-adds below which one thread is enough.
const GRAIN: usize = 1 << 17;

/// Elements of a column of halves widened at a time.
const BLOCK: usize = 256;

/// Columns summed side by side: their sums stay in the first cache.
const WIDTH: usize = 512;

/// `c[j] = alpha * sum_p a[p] * B[p, j] + beta * c[j]` for `j < n`, `p < k`.
///
/// # Safety
/// As for `gemm` with one row.
#[allow(clippy::too_many_arguments)] // a product's argument list
pub unsafe fn vector<T: Product>(
    n: usize,
    k: usize,
    alpha: T::Acc,
    a: *const T,
    a_step: isize,
    b: *const T,
    b_steps: (isize, isize),
    beta: T::Acc,
    c: *mut T,
    c_step: isize,
) {
    // The vector, widened and adjacent: it is read for every column.
    let mut near = [T::Acc::ZERO; 64];
    let far;
    let x: *mut T::Acc = if k <= near.len() {
        near.as_mut_ptr()
    } else {
        far = Scratch::<T::Acc>::new(Use::Left, k);
        far.ptr()
    };
    for p in 0..k {
        // SAFETY: p < k elements of the vector, and room for them.
        unsafe { x.add(p).write((*a.offset(p as isize * a_step)).to_acc()) };
    }
    let (x, b, c) = (Shared(x), Shared(b.cast_mut()), Shared(c));
    let sums_along_k = b_steps.0 == 1 && (b_steps.1 != 1 || k > n);
    let body = |start: usize, end: usize| {
        let (x, b, c) = (&x, &b, &c);
        let mut j = start;
        while j < end {
            let width = WIDTH.min(end - j);
            let mut sums = [T::Acc::ZERO; WIDTH];
            let from = b.0.wrapping_offset(j as isize * b_steps.1).cast_const();
            // SAFETY: columns j..j + width of B lie in it; the shells run after detection.
            unsafe {
                let call = Call {
                    k,
                    x: x.0,
                    b: from,
                    b_steps,
                    alone: n == 1,
                };
                match (isa(), sums_along_k) {
                    #[cfg(target_arch = "x86_64")]
                    (Isa::Avx512, false) => avx512::across(&call, &mut sums[..width]),
                    #[cfg(target_arch = "x86_64")]
                    (Isa::Avx2, false) => avx2::across(&call, &mut sums[..width]),
                    (_, true) => along(&call, &mut sums[..width]),
                    (_, false) => across(&call, &mut sums[..width]),
                }
                for (q, sum) in sums[..width].iter().enumerate() {
                    let c = c.0.offset((j + q) as isize * c_step);
                    let new = if alpha == T::Acc::ONE {
                        *sum
                    } else {
                        sum.mul(alpha)
                    };
                    let new = if beta == T::Acc::ZERO {
                        new
                    } else {
                        new.add((*c).to_acc().mul(beta))
                    };
                    c.write(T::from_acc(new));
                }
            }
            j += width;
        }
    };
    if n.saturating_mul(k) < GRAIN {
        body(0, n);
    } else {
        // Multiples of 64 columns keep groups of columns, and so their sums, apart from the number of threads.
        for_range(n, (GRAIN / k / 64 + 1) * 64, body);
    }
}

struct Call<T: Product> {
    k: usize,
    x: *const T::Acc,
    b: *const T,
    b_steps: (isize, isize),
    /// The only column of its product.
    alone: bool,
}

/// Adds rows of B, four at a time, to all sums.
#[inline(always)]
unsafe fn across<T: Product>(call: &Call<T>, sums: &mut [T::Acc]) {
    let (k, (row, col)) = (call.k, call.b_steps);
    // SAFETY: row p and column j lie in B.
    unsafe {
        let mut p = 0;
        if col == 1 {
            while p + 4 <= k {
                let x: [T::Acc; 4] = [0, 1, 2, 3].map(|i| *call.x.add(p + i));
                let b: [*const T; 4] = [0, 1, 2, 3].map(|i| call.b.offset((p + i) as isize * row));
                for (j, sum) in sums.iter_mut().enumerate() {
                    let mut s = *sum;
                    for i in 0..4 {
                        s = s.fma(x[i], (*b[i].add(j)).to_acc());
                    }
                    *sum = s;
                }
                p += 4;
            }
        }
        for p in p..k {
            let (x, b) = (*call.x.add(p), call.b.offset(p as isize * row));
            for (j, sum) in sums.iter_mut().enumerate() {
                *sum = sum.fma(x, (*b.offset(j as isize * col)).to_acc());
            }
        }
    }
}

/// Sums every column along k, four columns at a time. Columns of halves are widened block by block.
unsafe fn along<T: Product>(call: &Call<T>, sums: &mut [T::Acc]) {
    let kernel = T::Acc::kernel();
    let (dots, group) = if call.alone {
        (kernel.single_dot, 1)
    } else {
        (kernel.dots, 4)
    };
    for (g, sums) in sums.chunks_mut(group).enumerate() {
        // A last group of fewer columns repeats its last one: a sum is the same in every group.
        let column = |q: usize| {
            let j = g * group + q.min(sums.len() - 1);
            call.b.wrapping_offset(j as isize * call.b_steps.1)
        };
        let columns: [*const T; 4] = [column(0), column(1), column(2), column(3)];
        let mut out = [T::Acc::ZERO; 4];
        // SAFETY: the k elements of x and of each column; a type that is its own sum type is only renamed.
        unsafe {
            if is_own_acc::<T>() {
                dots(call.k, call.x, &columns.map(|c| c.cast()), &mut out);
            } else {
                let mut wide = [[T::Acc::ZERO; BLOCK]; 4];
                for p in (0..call.k).step_by(BLOCK) {
                    let len = BLOCK.min(call.k - p);
                    for q in 0..group {
                        for (i, w) in wide[q][..len].iter_mut().enumerate() {
                            *w = (*columns[q].add(p + i)).to_acc();
                        }
                    }
                    let mut part = [T::Acc::ZERO; 4];
                    let at = [
                        wide[0].as_ptr(),
                        wide[1].as_ptr(),
                        wide[2].as_ptr(),
                        wide[3].as_ptr(),
                    ];
                    dots(len, call.x.add(p), &at, &mut part);
                    out.iter_mut().zip(part).for_each(|(o, p)| *o = o.add(p));
                }
            }
        }
        sums.copy_from_slice(&out[..sums.len()]);
    }
}

/// The loop across compiled for wider registers.
#[cfg(target_arch = "x86_64")]
macro_rules! shells {
    ($isa:ident, $features:literal) => {
        mod $isa {
            use super::{Call, Product};
            #[target_feature(enable = $features)]
            pub unsafe fn across<T: Product>(call: &Call<T>, sums: &mut [T::Acc]) {
                // SAFETY: the caller's promise.
                unsafe { super::across(call, sums) }
            }
        }
    };
}
#[cfg(target_arch = "x86_64")]
shells!(avx2, "avx2,fma,f16c");
#[cfg(target_arch = "x86_64")]
shells!(avx512, "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma");
