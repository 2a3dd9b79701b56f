//! The instruction set the kernels use, chosen once per process.

use std::sync::atomic::{AtomicU8, Ordering};

/// Levels from the plainest to the widest. `Neon` only exists on aarch64, `Avx2` and `Avx512` on x86-64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Isa {
    Portable = 1,
    Avx2 = 2,
    Avx512 = 3,
    Neon = 4,
}

static CHOSEN: AtomicU8 = AtomicU8::new(0);

/// The level in use: the best of the machine, or a lower one when `RTORCH_CPU` is `avx2` or `portable`.
#[inline]
pub fn isa() -> Isa {
    match CHOSEN.load(Ordering::Relaxed) {
        1 => Isa::Portable,
        2 => Isa::Avx2,
        3 => Isa::Avx512,
        4 => Isa::Neon,
        _ => choose(),
    }
}

#[cold]
fn choose() -> Isa {
    let best = detect();
    let level = match std::env::var("RTORCH_CPU").as_deref() {
        Ok("portable") => Isa::Portable,
        Ok("avx2") if best == Isa::Avx512 => Isa::Avx2,
        _ => best,
    };
    CHOSEN.store(level as u8, Ordering::Relaxed);
    level
}

#[cfg(target_arch = "x86_64")]
fn detect() -> Isa {
    let avx2 = is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("f16c");
    let avx512 = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl");
    match (avx2, avx512) {
        (true, true) => Isa::Avx512,
        (true, false) => Isa::Avx2,
        _ => Isa::Portable,
    }
}

#[cfg(target_arch = "aarch64")]
fn detect() -> Isa {
    Isa::Neon
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn detect() -> Isa {
    Isa::Portable
}
