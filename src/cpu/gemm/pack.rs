//! Operands of a product and their copies in the order tiles read them.

use crate::cpu::element::Element;
use std::alloc::{Layout, alloc, dealloc};
#[cfg(target_arch = "x86_64")]
use std::any::TypeId;
use std::cell::Cell;
use std::marker::PhantomData;

/// An operand that can be copied block by block: element (p, j) is `A[j, p]` on the left, `B[p, j]` on the right.
pub trait Source<T>: Sync {
    /// Writes element `(k0 + p, j0 + j)` to `dst[p * step + j]` for `p < k`, `j < width`.
    ///
    /// # Safety
    /// The block lies in the operand and `dst` has room for it.
    unsafe fn pack(&self, k0: usize, k: usize, j0: usize, width: usize, dst: *mut T, step: usize);
}

/// A matrix in memory with any steps.
pub struct Strided<E> {
    pub ptr: *const E,
    /// Step along k.
    pub along: isize,
    /// Step along the other dimension.
    pub across: isize,
}

// SAFETY: the memory is only read, and whoever makes a `Strided` keeps it alive and unchanged meanwhile.
unsafe impl<E: Sync> Sync for Strided<E> {}

impl<E: Element> Source<E::Acc> for Strided<E> {
    #[inline]
    unsafe fn pack(
        &self,
        k0: usize,
        k: usize,
        j0: usize,
        width: usize,
        dst: *mut E::Acc,
        step: usize,
    ) {
        // SAFETY: the block lies in the matrix and in dst, as the caller promises.
        unsafe {
            let src = self
                .ptr
                .offset(k0 as isize * self.along + j0 as isize * self.across);
            if self.across == 1 {
                for p in 0..k {
                    let (src, dst) = (src.offset(p as isize * self.along), dst.add(p * step));
                    for j in 0..width {
                        *dst.add(j) = (*src.add(j)).to_acc();
                    }
                }
            } else {
                // Sixteen steps of k at a time: the lines written stay in the first cache while each row is read.
                for p0 in (0..k).step_by(16) {
                    let run = (k - p0).min(16);
                    let src = src.offset(p0 as isize * self.along);
                    let dst = dst.add(p0 * step);
                    let (mut j, fours) = (0, run & !3);
                    while self.along == 1 && j + 4 <= width {
                        for p in (0..fours).step_by(4) {
                            let from = src.offset(j as isize * self.across).add(p);
                            transpose4(from, self.across, dst.add(p * step + j), step);
                        }
                        for (p, j) in (fours..run).flat_map(|p| (j..j + 4).map(move |j| (p, j))) {
                            let from = src.offset(j as isize * self.across).add(p);
                            *dst.add(p * step + j) = (*from).to_acc();
                        }
                        j += 4;
                    }
                    for j in j..width {
                        let src = src.offset(j as isize * self.across);
                        for p in 0..run {
                            *dst.add(p * step + j) =
                                (*src.offset(p as isize * self.along)).to_acc();
                        }
                    }
                }
            }
        }
    }
}

/// Four rows of four elements as four columns.
///
/// # Safety
/// Four elements at each of four rows, `across` apart in `src` and `step` apart in `dst`.
#[inline(always)]
unsafe fn transpose4<E: Element>(src: *const E, across: isize, dst: *mut E::Acc, step: usize) {
    // SAFETY: as the caller promises; for the cast, the types are the same.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        if TypeId::of::<E>() == TypeId::of::<f32>() && TypeId::of::<E::Acc>() == TypeId::of::<f32>()
        {
            // The compiler moves the elements one by one.
            return super::x86::transpose4(src.cast(), across, dst.cast(), step);
        }
        for j in 0..4 {
            for p in 0..4 {
                *dst.add(p * step + j) = (*src.offset(j as isize * across).add(p)).to_acc();
            }
        }
    }
}

/// Memory for packed operands, aligned to a cache line, of no lasting content.
struct Block {
    ptr: *mut u8,
    layout: Option<Layout>,
}

impl Block {
    const EMPTY: Block = Block {
        ptr: std::ptr::null_mut(),
        layout: None,
    };

    fn reserve(&mut self, bytes: usize) {
        if self.layout.is_some_and(|l| l.size() >= bytes) {
            return;
        }
        let Ok(layout) = Layout::from_size_align(bytes.max(4096), 64) else {
            crate::list::exhausted(bytes)
        };
        *self = Block::EMPTY;
        // SAFETY: the size is not zero.
        let mut ptr = unsafe { alloc(layout) };
        if ptr.is_null() {
            crate::cpu::alloc::empty_cache();
            // SAFETY: as above.
            ptr = unsafe { alloc(layout) };
        }
        if ptr.is_null() {
            crate::list::exhausted(bytes)
        }
        self.ptr = ptr;
        self.layout = Some(layout);
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        if let Some(layout) = self.layout {
            // SAFETY: allocated with this layout and not freed before.
            unsafe { dealloc(self.ptr, layout) };
        }
    }
}

/// The buffers a thread keeps for reuse.
#[derive(Clone, Copy)]
pub enum Use {
    Left = 0,
    Right = 1,
    Output = 2,
    Columns = 3,
}

/// Blocks above this size go back to the system after use.
const KEEP: usize = 32 << 20;

thread_local! {
    static BLOCKS: [Cell<Block>; 4] = const { [const { Cell::new(Block::EMPTY) }; 4] };
}

/// A buffer of `len` elements of no defined value, given back to the thread when dropped.
pub struct Scratch<T> {
    block: Block,
    usage: Use,
    len: usize,
    element: PhantomData<T>,
}

impl<T: Element> Scratch<T> {
    pub fn new(usage: Use, len: usize) -> Self {
        // A thread that is ending has no store any more: it allocates.
        let mut block = BLOCKS
            .try_with(|b| b[usage as usize].replace(Block::EMPTY))
            .unwrap_or(Block::EMPTY);
        block.reserve(len.saturating_mul(size_of::<T>()));
        Scratch {
            block,
            usage,
            len,
            element: PhantomData,
        }
    }

    #[inline]
    pub fn ptr(&self) -> *mut T {
        self.block.ptr.cast()
    }

    /// All elements, set to `value`.
    pub fn filled(&mut self, value: T) -> &mut [T] {
        // SAFETY: the block has room for len elements, all written before the slice is made.
        unsafe {
            for i in 0..self.len {
                self.ptr().add(i).write(value);
            }
            std::slice::from_raw_parts_mut(self.ptr(), self.len)
        }
    }
}

impl<T> Drop for Scratch<T> {
    fn drop(&mut self) {
        let block = std::mem::replace(&mut self.block, Block::EMPTY);
        if block.layout.is_some_and(|l| l.size() <= KEEP) {
            let _ = BLOCKS.try_with(|b| b[self.usage as usize].set(block));
        }
    }
}

// SAFETY: plain memory; the threads of one loop write to disjoint parts.
unsafe impl<T: Send> Send for Scratch<T> {}
// SAFETY: as above; `ptr` hands out a raw pointer, whose uses make their own promises.
unsafe impl<T: Send> Sync for Scratch<T> {}
