//! The blocked product over packed operands.

use super::kernel::{Kernel, Kernels};
use super::pack::{Scratch, Source, Use};
use super::tile::Tile;
use crate::cpu::parallel::{for_range, num_threads};

/// Where a product goes: column `j` of row `i` is at `ptr + i * row + (j / run) * jump + j % run`. A matrix with
/// adjacent columns is one run; the images of a batch are several.
pub struct Dest<T> {
    pub ptr: *mut T,
    pub row: isize,
    pub run: usize,
    pub jump: isize,
}

// SAFETY: blocks of one product write to disjoint elements.
unsafe impl<T: Send> Sync for Dest<T> {}

impl<T> Dest<T> {
    pub fn matrix(ptr: *mut T, row: isize) -> Self {
        Dest {
            ptr,
            row,
            run: usize::MAX,
            jump: 0,
        }
    }

    #[inline]
    fn at(&self, i: usize, j: usize) -> *mut T {
        let (start, rest) = if self.run == usize::MAX {
            (0, j)
        } else {
            (j / self.run, j % self.run)
        };
        self.ptr
            .wrapping_offset(i as isize * self.row + start as isize * self.jump)
            .wrapping_add(rest)
    }

    #[inline]
    fn in_one_run(&self, j: usize, width: usize) -> bool {
        self.run == usize::MAX || j % self.run + width <= self.run
    }
}

/// Below this many multiply-adds a product stays on one thread.
pub const PARALLEL: usize = 96 * 96 * 96;

/// `C = alpha * A * B + beta * C` for an m x k times k x n product; `beta == 0` does not read C.
///
/// # Safety
/// The operands cover the shape and C overlaps neither of them.
#[allow(clippy::too_many_arguments)] // the sizes and operands of a product
pub unsafe fn product<T: Kernels>(
    m: usize,
    n: usize,
    k: usize,
    alpha: T,
    a: &impl Source<T>,
    b: &impl Source<T>,
    beta: T,
    c: &Dest<T>,
) {
    let kernel = T::kernel();
    let serial = m.saturating_mul(n).saturating_mul(k) < PARALLEL;
    let threads = if serial { 1 } else { num_threads() };
    let nr = kernel.nr();
    let (kc, nc) = (kernel.kc, kernel.nc);
    let right = Scratch::<T>::new(Use::Right, kc.min(k) * nc.min(n.next_multiple_of(nr)));
    for j0 in (0..n).step_by(nc) {
        let cols = nc.min(n - j0);
        let panels = cols.div_ceil(nr);
        for k0 in (0..k).step_by(kc) {
            let depth = kc.min(k - k0);
            let beta = if k0 == 0 { beta } else { T::ONE };
            for_range(
                panels,
                if serial {
                    panels
                } else {
                    (1 << 14) / (depth * nr) + 1
                },
                |start, end| {
                    for panel in start..end {
                        let j = panel * nr;
                        // SAFETY: the panel has its own part of the buffer: depth rows of at most nr columns.
                        unsafe {
                            pack_panel(
                                kernel,
                                b,
                                k0,
                                depth,
                                j0 + j,
                                nr.min(cols - j),
                                right.ptr().add(j * depth),
                            )
                        };
                    }
                },
            );
            // Blocks of rows, split along the columns too where there are few of them.
            let mc = kernel
                .mc
                .min(m.div_ceil(threads).next_multiple_of(kernel.mr()));
            let rows = m.div_ceil(mc);
            let splits = if rows >= 2 * threads {
                1
            } else {
                (2 * threads).div_ceil(rows).min(panels)
            };
            let splits = if threads == 1 { 1 } else { splits };
            let per_split = panels.div_ceil(splits);
            for_range(
                rows * splits,
                if threads == 1 { usize::MAX } else { 1 },
                |start, end| {
                    let left = Scratch::<T>::new(Use::Left, mc * depth);
                    let mut packed = usize::MAX;
                    for task in start..end {
                        let (i0, split) = ((task / splits) * mc, task % splits);
                        let height = mc.min(m - i0);
                        // SAFETY: the rows and panels of the task lie in the operands, the buffers and C.
                        unsafe {
                            if packed != i0 {
                                pack_rows(kernel, a, k0, depth, i0, height, left.ptr());
                                packed = i0;
                            }
                            for panel in split * per_split..((split + 1) * per_split).min(panels) {
                                let j = panel * nr;
                                let (l, r) = (left.ptr(), right.ptr().add(j * depth));
                                column(
                                    kernel,
                                    depth,
                                    alpha,
                                    l,
                                    i0,
                                    height,
                                    r,
                                    j0 + j,
                                    nr.min(cols - j),
                                    beta,
                                    c,
                                );
                            }
                        }
                    }
                },
            );
        }
    }
}

/// Packs columns `j..j + width` padded to whole vectors.
unsafe fn pack_panel<T: Kernels>(
    kernel: &Kernel<T>,
    b: &impl Source<T>,
    k0: usize,
    depth: usize,
    j: usize,
    width: usize,
    dst: *mut T,
) {
    let step = width.next_multiple_of(kernel.lanes);
    // SAFETY: the caller gives depth * step elements at dst and a block inside the operand.
    unsafe {
        b.pack(k0, depth, j, width, dst, step);
        if step > width {
            for p in 0..depth {
                for j in width..step {
                    dst.add(p * step + j).write(T::ZERO);
                }
            }
        }
    }
}

/// How many rows a tile takes of `height`, so that no tile is much lower than the others: 16 rows are 8 and 8 and not 14
/// and 2, which would wait for its few sums.
#[inline]
pub(super) fn even_rows(height: usize, most: usize) -> usize {
    height.div_ceil(height.div_ceil(most).max(1)).max(1)
}

/// Packs rows `i0..i0 + height` as panels of one tile each.
unsafe fn pack_rows<T: Kernels>(
    kernel: &Kernel<T>,
    a: &impl Source<T>,
    k0: usize,
    depth: usize,
    i0: usize,
    height: usize,
    dst: *mut T,
) {
    let mr = even_rows(height, kernel.mr());
    for i in (0..height).step_by(mr) {
        let rows = mr.min(height - i);
        // SAFETY: panel i starts after i rows of depth elements; the caller gives height rows.
        unsafe { a.pack(k0, depth, i0 + i, rows, dst.add(i * depth), rows) };
    }
}

/// All tiles of one packed panel of B.
#[allow(clippy::too_many_arguments)] // one place of a blocked product
#[inline]
unsafe fn column<T: Kernels>(
    kernel: &Kernel<T>,
    depth: usize,
    alpha: T,
    left: *const T,
    i0: usize,
    height: usize,
    right: *const T,
    j: usize,
    width: usize,
    beta: T,
    c: &Dest<T>,
) {
    let mr = even_rows(height, kernel.mr());
    let tiles = kernel.packed[usize::from(width > kernel.lanes)];
    let direct = c.in_one_run(j, width);
    for i in (0..height).step_by(mr) {
        let rows = mr.min(height - i);
        let tile = Tile {
            k: depth,
            a: left.wrapping_add(i * depth),
            a_steps: (1, rows as isize),
            b: right,
            b_step: 0,
            cols: width,
            c: c.at(i0 + i, j),
            c_step: c.row,
            alpha,
            beta,
        };
        if direct {
            // SAFETY: the packed panels hold depth steps of rows and of whole vectors, and C has the tile's elements.
            unsafe { tiles[rows - 1](&tile) };
            continue;
        }
        // The tile lies in several runs: it is made aside and its rows are dealt out.
        let mut aside = [T::ZERO; 14 * 32];
        let step = kernel.nr();
        debug_assert!(rows * step <= aside.len());
        // SAFETY: the largest tile has 14 x 32 elements; the rest as above.
        unsafe {
            tiles[rows - 1](&Tile {
                c: aside.as_mut_ptr(),
                c_step: step as isize,
                beta: T::ZERO,
                ..tile
            });
            for r in 0..rows {
                for q in 0..width {
                    let (new, c) = (aside[r * step + q], c.at(i0 + i + r, j + q));
                    c.write(if beta == T::ZERO {
                        new
                    } else {
                        new.fma(*c, beta)
                    });
                }
            }
        }
    }
}
