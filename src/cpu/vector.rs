//! Loops compiled once for every instruction set.

/// Work over the items `from..to`. `run` has to be `#[inline(always)]`, with all it calls in its loops, so that each
/// shell below compiles it with the features it may use.
pub trait Work: Sync {
    fn run(&self, from: usize, to: usize);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,fma,avx2,bmi2")]
unsafe fn avx512<W: Work>(w: &W, from: usize, to: usize) {
    w.run(from, to)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,bmi2")]
unsafe fn avx2<W: Work>(w: &W, from: usize, to: usize) {
    w.run(from, to)
}

/// Does the items `from..to` with the widest instructions of the machine.
#[inline]
pub fn run<W: Work>(w: &W, from: usize, to: usize) {
    #[cfg(target_arch = "x86_64")]
    match crate::cpu::isa::isa() {
        // SAFETY: the level is one that the machine was found to have.
        crate::cpu::isa::Isa::Avx512 => return unsafe { avx512(w, from, to) },
        // SAFETY: as above.
        crate::cpu::isa::Isa::Avx2 => return unsafe { avx2(w, from, to) },
        _ => (),
    }
    w.run(from, to)
}

/// As `run`, on several threads in steps of `grain` items.
pub fn run_parallel<W: Work>(w: &W, items: usize, grain: usize) {
    if items <= grain {
        return run(w, 0, items);
    }
    crate::cpu::parallel::for_range(items, grain, |from, to| run(w, from, to));
}
