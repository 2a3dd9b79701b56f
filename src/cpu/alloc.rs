//! A caching allocator for tensor storage.
//!
//! Small blocks come from thread-local LIFO lists of size classes, so that the buffer a tiny op frees is the
//! cache-hot one the next op gets. Large blocks are kept in a bounded list by rounded size, 2 MiB aligned and advised
//! to use huge pages: fresh pages cost more than the arithmetic of a large elementwise op.

use std::alloc::{Layout, alloc, dealloc};
use std::cell::RefCell;

/// Every block starts on a cache line.
pub const ALIGN: usize = 64;
const SMALL_LIMIT: usize = 64 << 10;
const HUGE: usize = 2 << 20;
/// Small blocks kept per class.
const KEEP_SMALL: usize = 64;
/// Bytes of large blocks kept per thread.
const KEEP_LARGE: usize = 2 << 30;

/// Size class of a small request: four per power of two, from 64 bytes.
#[inline]
fn class_of(bytes: usize) -> (usize, usize) {
    if bytes <= 256 {
        let c = bytes.div_ceil(64).max(1);
        return (c - 1, c * 64);
    }
    let top = usize::BITS as usize - 1 - (bytes - 1).leading_zeros() as usize; // 2^top < bytes <= 2^(top+1)
    let quarter = 1usize << (top - 2);
    let k = (bytes - (1 << top)).div_ceil(quarter); // 1..=4
    (4 + (top - 8) * 4 + k - 1, (1 << top) + k * quarter)
}

fn large_size(bytes: usize) -> usize {
    let unit = if bytes >= HUGE { HUGE / 8 } else { 4096 };
    bytes.div_ceil(unit) * unit
}

fn layout(size: usize) -> Option<Layout> {
    Layout::from_size_align(size, if size >= HUGE { HUGE } else { ALIGN }).ok()
}

/// Counts for `rtorch.memory_stats()`.
#[derive(Clone, Copy, Default, Debug)]
pub struct Stats {
    pub allocated_bytes: usize,
    pub peak_bytes: usize,
    pub cached_bytes: usize,
    pub allocations: u64,
    pub system_allocations: u64,
}

struct Cache {
    small: Vec<Vec<*mut u8>>,
    large: Vec<(usize, *mut u8)>,
    stats: Stats,
}

impl Drop for Cache {
    fn drop(&mut self) {
        self.empty();
    }
}

impl Cache {
    fn empty(&mut self) {
        for (class, list) in self.small.iter_mut().enumerate() {
            for p in list.drain(..) {
                free(p, class_size(class));
            }
        }
        for (size, p) in self.large.drain(..) {
            free(p, size);
        }
        self.stats.cached_bytes = 0;
    }
}

fn class_size(class: usize) -> usize {
    if class < 4 {
        return (class + 1) * 64;
    }
    let top = (class - 4) / 4 + 8;
    (1 << top) + ((class - 4) % 4 + 1) * (1 << (top - 2))
}

fn free(p: *mut u8, size: usize) {
    if let Some(l) = layout(size) {
        // SAFETY: `p` came from `fresh` with the same size and so the same layout.
        unsafe { dealloc(p, l) }
    }
}

fn fresh(size: usize) -> *mut u8 {
    let Some(l) = layout(size) else {
        return std::ptr::null_mut();
    };
    // SAFETY: the size is never zero.
    let p = unsafe { alloc(l) };
    #[cfg(target_os = "linux")]
    if size >= HUGE && !p.is_null() {
        // SAFETY: advice on a range that was just allocated; it changes no contents.
        unsafe { libc::madvise(p.cast(), size, libc::MADV_HUGEPAGE) };
    }
    p
}

thread_local! {
    static CACHE: RefCell<Cache> = RefCell::new(Cache {
        small: (0..class_of(SMALL_LIMIT).0 + 1).map(|_| Vec::new()).collect(),
        large: Vec::new(),
        stats: Stats::default(),
    });
}

/// A block of at least `bytes` bytes, or null where memory is exhausted. The contents are arbitrary.
pub fn allocate(bytes: usize) -> *mut u8 {
    if bytes > isize::MAX as usize - HUGE {
        return std::ptr::null_mut();
    }
    let block = if bytes <= SMALL_LIMIT {
        class_of(bytes).1
    } else {
        large_size(bytes)
    };
    let taken = CACHE.try_with(|c| {
        let c = &mut *c.borrow_mut();
        c.stats.allocations += 1;
        let found = if bytes <= SMALL_LIMIT {
            c.small[class_of(bytes).0].pop()
        } else {
            // Sizes are rounded, so equal requests meet; the newest block is the warmest. Large blocks are few: scan.
            c.large
                .iter()
                .rposition(|&(size, _)| size == block)
                .map(|i| c.large.remove(i).1)
        };
        if found.is_some() {
            c.stats.cached_bytes -= block;
        } else {
            c.stats.system_allocations += 1;
        }
        c.stats.allocated_bytes += block;
        c.stats.peak_bytes = c.stats.peak_bytes.max(c.stats.allocated_bytes);
        found
    });
    match taken {
        Ok(Some(p)) => p,
        _ => {
            let p = fresh(block);
            if !p.is_null() {
                return p;
            }
            empty_cache();
            let p = fresh(block);
            if p.is_null() {
                let _ = CACHE.try_with(|c| c.borrow_mut().stats.allocated_bytes -= block);
            }
            p
        }
    }
}

/// Returns a block of `allocate(bytes)`.
///
/// # Safety
/// `p` must come from `allocate` with the same `bytes` and not be used again.
pub unsafe fn release(p: *mut u8, bytes: usize) {
    let small = bytes <= SMALL_LIMIT;
    let block = if small {
        class_of(bytes).1
    } else {
        large_size(bytes)
    };
    let kept = CACHE.try_with(|c| {
        let c = &mut *c.borrow_mut();
        c.stats.allocated_bytes = c.stats.allocated_bytes.saturating_sub(block);
        if small {
            let list = &mut c.small[class_of(bytes).0];
            if list.len() < KEEP_SMALL {
                list.push(p);
                c.stats.cached_bytes += block;
                return true;
            }
            return false;
        }
        if block > KEEP_LARGE {
            return false;
        }
        while c.stats.cached_bytes + block > KEEP_LARGE && !c.large.is_empty() {
            let (size, old) = c.large.remove(0);
            c.stats.cached_bytes -= size;
            free(old, size);
        }
        c.large.push((block, p));
        c.stats.cached_bytes += block;
        true
    });
    if !matches!(kept, Ok(true)) {
        free(p, block);
    }
}

/// Gives cached blocks of this thread back to the system.
pub fn empty_cache() {
    let _ = CACHE.try_with(|c| c.borrow_mut().empty());
}

/// The counts of this thread.
pub fn stats() -> Stats {
    CACHE.try_with(|c| c.borrow().stats).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_cover_and_invert() {
        for bytes in 1..=SMALL_LIMIT {
            let (class, size) = class_of(bytes);
            assert!(size >= bytes && size <= bytes.max(64) + bytes / 4 + 64);
            assert_eq!(class_size(class), size);
        }
    }

    #[test]
    fn blocks_are_reused() {
        for bytes in [1, 100, 5000, 100_000, 5 << 20] {
            let p = allocate(bytes);
            assert_eq!(p as usize % ALIGN, 0);
            // SAFETY: just allocated, not used again.
            unsafe { release(p, bytes) };
            let q = allocate(bytes);
            assert_eq!(p, q);
            // SAFETY: as above.
            unsafe { release(q, bytes) };
        }
    }
}
