//! Loops over several threads.
//!
//! The calling thread takes part, and a loop ends when its last claimed block ends: a worker that wakes too late finds
//! nothing to do and is not waited for. Kernels must give every block a result that does not depend on where blocks
//! begin, so that nothing depends on the number of threads.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Thread;

/// Threads to use, 0 before the first question.
static THREADS: AtomicUsize = AtomicUsize::new(0);

/// The pool in use. It is never freed: a loop of another thread may still hold it, and a forked child must not join
/// threads it does not have.
static POOL: AtomicPtr<Pool> = AtomicPtr::new(ptr::null_mut());

/// Threads that a loop takes at most, whatever number was set: each has a stack of its own.
const MOST: usize = 1024;

struct Pool {
    workers: usize,
    rayon: rayon::ThreadPool,
}

thread_local! {
    /// True inside a block of a parallel loop: loops inside loops run in place.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// The number of threads a loop may use, the calling one included.
#[inline]
pub fn num_threads() -> usize {
    match THREADS.load(Ordering::Relaxed) {
        0 => default_threads(),
        n => n,
    }
}

/// Sets the number of threads for every later loop; 0 counts as 1.
pub fn set_num_threads(n: usize) {
    THREADS.store(n.max(1), Ordering::Relaxed);
}

#[cold]
fn default_threads() -> usize {
    let from = |name: &str| {
        std::env::var(name)
            .ok()?
            .trim()
            .parse::<usize>()
            .ok()
            .filter(|&n| n > 0)
    };
    let n = from("OMP_NUM_THREADS")
        .or_else(|| from("RAYON_NUM_THREADS"))
        .or_else(|| std::thread::available_parallelism().ok().map(usize::from))
        .unwrap_or(1);
    // Another thread may have set a number meanwhile: that one stands.
    match THREADS.compare_exchange(0, n, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => n,
        Err(set) => set,
    }
}

/// Calls `f(start, end)` on blocks that together cover `0..n` once.
///
/// Every `start` is a multiple of `grain`, and with one thread, at most `grain` items, or inside another loop there is
/// one call for the whole range. A panic in a block is passed on to the caller once all blocks ended.
pub fn for_range<F>(n: usize, grain: usize, f: F)
where
    F: Fn(usize, usize) + Sync,
{
    let grain = grain.max(1);
    if n == 0 {
        return;
    }
    let threads = if n <= grain {
        1
    } else {
        num_threads().min(MOST)
    };
    if threads == 1 || INSIDE.get() {
        return f(0, n);
    }
    // Four blocks a thread even out unequal speeds at little cost.
    let grains = n.div_ceil(grain);
    let block = grains.div_ceil(threads * 4).max(1) * grain;
    let blocks = n.div_ceil(block);
    let workers = (threads - 1).min(blocks - 1);
    match (workers, pool(threads - 1)) {
        (1.., Some(pool)) => run(pool, workers, n, block, &f),
        _ => f(0, n),
    }
}

/// One running loop, shared with the workers that may still look at it after its end.
struct Job {
    /// The loop body. Only a claimed block may use it: the caller stays until every claimed block ended.
    body: *const (dyn Fn(usize, usize) + Sync),
    n: usize,
    block: usize,
    blocks: usize,
    next: AtomicUsize,
    finished: AtomicUsize,
    caller: Thread,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

// SAFETY: `body` points to a `Sync` closure and is only used as the field says; everything else is Sync by itself.
unsafe impl Send for Job {}
// SAFETY: as for Send.
unsafe impl Sync for Job {}

impl Job {
    /// Takes blocks until none is left.
    fn work(&self) {
        let outer = INSIDE.replace(true);
        loop {
            let i = self.next.fetch_add(1, Ordering::Relaxed);
            if i >= self.blocks {
                break;
            }
            let (start, end) = (i * self.block, ((i + 1) * self.block).min(self.n));
            // SAFETY: block `i` was claimed and is not finished, so the caller still waits and the closure lives.
            let body = unsafe { &*self.body };
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| body(start, end))) {
                *self.panic.lock().unwrap_or_else(PoisonError::into_inner) = Some(panic);
            }
            if self.finished.fetch_add(1, Ordering::Release) + 1 == self.blocks {
                self.caller.unpark();
            }
        }
        INSIDE.set(outer);
    }
}

fn run(pool: &Pool, workers: usize, n: usize, block: usize, f: &(dyn Fn(usize, usize) + Sync)) {
    // SAFETY: only the lifetime changes. The closure outlives every use, because this function returns when all
    // blocks have finished and later looks at the job claim nothing.
    let body = unsafe {
        std::mem::transmute::<
            *const (dyn Fn(usize, usize) + Sync + '_),
            *const (dyn Fn(usize, usize) + Sync),
        >(f)
    };
    let job = Arc::new(Job {
        body,
        n,
        block,
        blocks: n.div_ceil(block),
        next: AtomicUsize::new(0),
        finished: AtomicUsize::new(0),
        caller: std::thread::current(),
        panic: Mutex::new(None),
    });
    for _ in 0..workers {
        let job = Arc::clone(&job);
        pool.rayon.spawn(move || job.work());
    }
    job.work();
    // The others are in their last blocks: a short spin mostly suffices, and a sleep leaves the core to them.
    let mut spins = 0;
    while job.finished.load(Ordering::Acquire) < job.blocks {
        if spins < 4000 {
            spins += 1;
            std::hint::spin_loop();
        } else {
            std::thread::park();
        }
    }
    let panic = job
        .panic
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    if let Some(panic) = panic {
        resume_unwind(panic);
    }
}

/// A pool with at least `workers` workers, or none where the system gives no threads.
fn pool(workers: usize) -> Option<&'static Pool> {
    let current = POOL.load(Ordering::Acquire);
    // SAFETY: pools are leaked, so a pointer that was ever stored stays valid.
    match unsafe { current.as_ref() } {
        Some(pool) if pool.workers >= workers => Some(pool),
        _ => grow(workers),
    }
}

#[cold]
fn grow(workers: usize) -> Option<&'static Pool> {
    forget_pool_in_children();
    let rayon = rayon::ThreadPoolBuilder::new()
        .num_threads(workers)
        .thread_name(|i| format!("rtorch-{i}"))
        .build()
        .ok()?;
    let pool: &'static mut Pool = Box::leak(Box::new(Pool { workers, rayon }));
    POOL.store(pool, Ordering::Release);
    Some(pool)
}

/// Has a forked child start without a pool: it has none of its parent's threads. The next loop makes a new one.
#[cfg(unix)]
fn forget_pool_in_children() {
    use std::sync::Once;
    static ONCE: Once = Once::new();
    unsafe extern "C" {
        fn pthread_atfork(
            prepare: Option<extern "C" fn()>,
            parent: Option<extern "C" fn()>,
            child: Option<extern "C" fn()>,
        ) -> i32;
    }
    extern "C" fn child() {
        POOL.store(ptr::null_mut(), Ordering::Relaxed);
    }
    ONCE.call_once(|| {
        // SAFETY: the handler only stores to an atomic, which is allowed after a fork.
        unsafe { pthread_atfork(None, None, Some(child)) };
    });
}

#[cfg(not(unix))]
fn forget_pool_in_children() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn covers_every_item_once() {
        set_num_threads(3);
        for n in [0, 1, 7, 100, 1001, 40_000] {
            let seen: Vec<AtomicUsize> = (0..n).map(|_| AtomicUsize::new(0)).collect();
            for_range(n, 10, |start, end| {
                assert_eq!(start % 10, 0);
                seen[start..end].iter().for_each(|s| {
                    s.fetch_add(1, Ordering::Relaxed);
                });
            });
            assert!(seen.iter().all(|s| s.load(Ordering::Relaxed) == 1));
        }
    }

    #[test]
    fn nested_loops_and_panics() {
        set_num_threads(2);
        let total = AtomicUsize::new(0);
        for_range(100, 1, |s, e| {
            for _ in s..e {
                for_range(10, 1, |s, e| {
                    total.fetch_add(e - s, Ordering::Relaxed);
                });
            }
        });
        assert_eq!(total.into_inner(), 1000);
        let caught = catch_unwind(|| for_range(100, 1, |_, e| assert!(e < 100)));
        assert!(caught.is_err());
        for_range(100, 1, |_, _| ());
    }
}
