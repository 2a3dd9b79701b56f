//! Matrix products over raw memory: `C = alpha * A * B + beta * C` for every element type.
//!
//! `tile.rs` has the register tile, written once; `kernel.rs` its shells per instruction set; `pack.rs` the operands
//! and their packed copies; `driver.rs` the blocked product, which convolutions use too; `thin.rs` products with a
//! vector. Results never depend on the number of threads: an element is one fixed chain of sums.

mod driver;
mod kernel;
mod pack;
mod thin;
mod tile;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use driver::{Dest, PARALLEL, product};
pub use kernel::Kernels;
pub use pack::{Scratch, Source, Strided, Use};

use super::element::{Acc, Element};
use super::parallel::for_range;
use std::any::TypeId;
use tile::Tile;

/// An element type with matrix products.
pub trait Product: Element<Acc: Kernels> {}
impl<T: Element<Acc: Kernels>> Product for T {}

/// True where the type keeps its sums in itself, so that a `T` may be read as a `T::Acc`.
#[inline(always)]
pub fn is_own_acc<T: Element>() -> bool {
    TypeId::of::<T>() == TypeId::of::<T::Acc>()
}

/// `C = alpha * A * B + beta * C` for an m x k times k x n product; steps are (between rows, between columns).
///
/// `beta == 0` does not read C and `alpha == 0` reads neither A nor B. Halves are summed in f32 and rounded once.
///
/// # Safety
/// The pointers and steps reach m x k, k x n and m x n elements, and C overlaps neither A, B nor itself.
#[allow(clippy::too_many_arguments)] // the classic argument list
#[inline]
pub unsafe fn gemm<T: Product>(
    m: usize,
    n: usize,
    k: usize,
    alpha: T::Acc,
    a: *const T,
    a_steps: (isize, isize),
    b: *const T,
    b_steps: (isize, isize),
    beta: T::Acc,
    c: *mut T,
    c_steps: (isize, isize),
) {
    // Tiles want adjacent columns in C: where the rows are adjacent the transposed product is made, and a product
    // with a vector always has it on the left.
    let turned = (n == 1 && m > 1)
        || (m > 1 && c_steps.1 != 1 && c_steps.0.unsigned_abs() < c_steps.1.unsigned_abs());
    // SAFETY: the transposed product has the same elements.
    unsafe {
        if turned {
            let turn = |s: (isize, isize)| (s.1, s.0);
            oriented(
                n,
                m,
                k,
                alpha,
                b,
                turn(b_steps),
                a,
                turn(a_steps),
                beta,
                c,
                turn(c_steps),
            );
        } else {
            oriented(m, n, k, alpha, a, a_steps, b, b_steps, beta, c, c_steps);
        }
    }
}

#[allow(clippy::too_many_arguments)] // as above
unsafe fn oriented<T: Product>(
    m: usize,
    n: usize,
    k: usize,
    alpha: T::Acc,
    a: *const T,
    a_steps: (isize, isize),
    b: *const T,
    b_steps: (isize, isize),
    beta: T::Acc,
    c: *mut T,
    c_steps: (isize, isize),
) {
    if m == 0 || n == 0 {
        return;
    }
    // SAFETY: every callee gets the elements the caller named; a type that is its own sum type is only renamed.
    unsafe {
        if k == 0 || alpha == T::Acc::ZERO {
            return blend(m, n, T::Acc::ZERO, std::ptr::null(), beta, c, c_steps);
        }
        if m == 1 {
            return thin::vector(n, k, alpha, a, a_steps.1, b, b_steps, beta, c, c_steps.1);
        }
        if is_own_acc::<T>() && (c_steps.1 == 1 || n == 1) {
            let (a, b, c) = (a.cast::<T::Acc>(), b.cast::<T::Acc>(), c.cast::<T::Acc>());
            if in_place(m, n, k, b_steps) {
                return small(m, n, k, alpha, a, a_steps, b, b_steps, beta, c, c_steps.0);
            }
            let left = Strided {
                ptr: a,
                along: a_steps.1,
                across: a_steps.0,
            };
            let right = Strided {
                ptr: b,
                along: b_steps.0,
                across: b_steps.1,
            };
            return product(
                m,
                n,
                k,
                alpha,
                &left,
                &right,
                beta,
                &Dest::matrix(c, c_steps.0),
            );
        }
        let sums = Scratch::<T::Acc>::new(Use::Output, m * n);
        let left = Strided {
            ptr: a,
            along: a_steps.1,
            across: a_steps.0,
        };
        let right = Strided {
            ptr: b,
            along: b_steps.0,
            across: b_steps.1,
        };
        let dest = Dest::matrix(sums.ptr(), n as isize);
        product(m, n, k, T::Acc::ONE, &left, &right, T::Acc::ZERO, &dest);
        blend(m, n, alpha, sums.ptr(), beta, c, c_steps);
    }
}

/// Whether packing costs more than it saves.
#[inline]
fn in_place(m: usize, n: usize, k: usize, b_steps: (isize, isize)) -> bool {
    let work = m.saturating_mul(n).saturating_mul(k);
    if b_steps.1 == 1 {
        work <= 96 * 96 * 96 || k <= 8 || m <= 16
    } else {
        work <= 64 * 64 * 64 || m <= 4
    }
}

/// `C = alpha * sums + beta * C`; a null `sums` counts as zero.
unsafe fn blend<T: Element>(
    m: usize,
    n: usize,
    alpha: T::Acc,
    sums: *const T::Acc,
    beta: T::Acc,
    c: *mut T,
    c_steps: (isize, isize),
) {
    let (c, sums) = (Shared(c), Shared(sums.cast_mut()));
    for_range(m, (1 << 15) / n + 1, |start, end| {
        let (c, sums) = (&c, &sums);
        for i in start..end {
            for j in 0..n {
                let c =
                    c.0.wrapping_offset(i as isize * c_steps.0 + j as isize * c_steps.1);
                // SAFETY: element (i, j) of C and of the m x n sums; rows are dealt out to threads.
                unsafe {
                    let new = if sums.0.is_null() {
                        T::Acc::ZERO
                    } else {
                        alpha.mul(*sums.0.add(i * n + j))
                    };
                    let old = if beta == T::Acc::ZERO {
                        new
                    } else {
                        new.add(beta.mul((*c).to_acc()))
                    };
                    c.write(T::from_acc(old));
                }
            }
        }
    });
}

/// A pointer that threads share; each use says why its elements are disjoint.
pub struct Shared<T>(pub *mut T);
// SAFETY: a bare address; see above.
unsafe impl<T: Send> Sync for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Send for Shared<T> {}

/// A product whose left operand is read in place, and the right one too where its columns are adjacent.
#[allow(clippy::too_many_arguments)] // as above
unsafe fn small<T: Kernels>(
    m: usize,
    n: usize,
    k: usize,
    alpha: T,
    a: *const T,
    a_steps: (isize, isize),
    b: *const T,
    b_steps: (isize, isize),
    beta: T,
    c: *mut T,
    c_step: isize,
) {
    let kernel = T::kernel();
    let (mr, nr) = (driver::even_rows(m, kernel.mr()), kernel.nr());
    let (a, b, c) = (Shared(a.cast_mut()), Shared(b.cast_mut()), Shared(c));
    let panels = |start: usize, end: usize| {
        let (a, b, c) = (&a, &b, &c);
        let adjacent = b_steps.1 == 1;
        let right = (!adjacent).then(|| Scratch::<T>::new(Use::Right, k * nr));
        for j in (start * nr..n.min(end * nr)).step_by(nr) {
            let cols = nr.min(n - j);
            let tiles = kernel.strided[usize::from(cols > kernel.lanes)];
            let mut from = b.0.wrapping_offset(j as isize * b_steps.1);
            let mut b_step = b_steps.0;
            if let Some(right) = &right {
                let source = Strided {
                    ptr: b.0.cast_const(),
                    along: b_steps.0,
                    across: b_steps.1,
                };
                // SAFETY: the buffer has k rows of nr elements.
                unsafe { source.pack(0, k, j, cols, right.ptr(), nr) };
                (from, b_step) = (right.ptr(), nr as isize);
            }
            for i in (0..m).step_by(mr) {
                let rows = mr.min(m - i);
                let tile = Tile {
                    k,
                    a: a.0.wrapping_offset(i as isize * a_steps.0),
                    a_steps,
                    b: from,
                    b_step,
                    cols,
                    c: c.0.wrapping_offset(i as isize * c_step).wrapping_add(j),
                    c_step,
                    alpha,
                    beta,
                };
                // SAFETY: the tile names elements inside the operands; column panels are dealt out to threads.
                unsafe { tiles[rows - 1](&tile) };
            }
        }
    };
    let count = n.div_ceil(nr);
    let work = m * n * k;
    if work < PARALLEL {
        panels(0, count);
    } else {
        for_range(count, PARALLEL / (work / count).max(1) + 1, panels);
    }
}

/// How a batch of products lies in memory: steps between one matrix and the next, zero for a shared one.
#[derive(Clone, Copy, Debug)]
pub struct Batch {
    pub count: usize,
    pub a_step: isize,
    pub b_step: isize,
    pub c_step: isize,
}

/// `gemm` for every matrix of a batch.
///
/// # Safety
/// As for [`gemm`], for every matrix; the results overlap nothing.
#[allow(clippy::too_many_arguments)] // the classic argument list
pub unsafe fn gemm_batched<T: Product>(
    batch: Batch,
    m: usize,
    n: usize,
    k: usize,
    alpha: T::Acc,
    a: *const T,
    a_steps: (isize, isize),
    b: *const T,
    b_steps: (isize, isize),
    beta: T::Acc,
    c: *mut T,
    c_steps: (isize, isize),
) {
    let (a, b, c) = (Shared(a.cast_mut()), Shared(b.cast_mut()), Shared(c));
    let run = |start: usize, end: usize| {
        let (a, b, c) = (&a, &b, &c);
        for i in start..end {
            let i = i as isize;
            let (a, b) = (
                a.0.wrapping_offset(i * batch.a_step),
                b.0.wrapping_offset(i * batch.b_step),
            );
            let c = c.0.wrapping_offset(i * batch.c_step);
            // SAFETY: matrix i of the batch; the threads have different ones.
            unsafe { gemm(m, n, k, alpha, a, a_steps, b, b_steps, beta, c, c_steps) };
        }
    };
    let work = m.saturating_mul(n).saturating_mul(k).max(1);
    if batch.count < super::parallel::num_threads() {
        // Each product uses the threads by itself.
        run(0, batch.count);
    } else {
        for_range(batch.count, PARALLEL / work + 1, run);
    }
}

#[cfg(test)]
mod tests;
