//! Which tiles an element type has on the machine, with the block sizes that suit them.

use super::tile::{DotFn, Lanes, Plain, Tile, TileFn, dot, tile};
use crate::cpu::element::Acc;
use crate::cpu::isa::{Isa, isa};
use num_complex::Complex;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{__m256, __m256d, __m512, __m512d};

/// The tiles of one element type and instruction set.
pub struct Kernel<T: 'static> {
    /// Elements in a vector.
    pub lanes: usize,
    /// By vectors a row (1 or 2) less one, then rows less one; A and B packed.
    pub packed: [&'static [TileFn<T>]; 2],
    /// The same with A and B in place.
    pub strided: [&'static [TileFn<T>]; 2],
    /// Sums of four columns along k, and of a single one.
    pub dots: DotFn<T>,
    pub single_dot: DotFn<T>,
    /// Block sizes along m, n and k. The one along k decides the order of sums, so it is a constant.
    pub mc: usize,
    pub nc: usize,
    pub kc: usize,
}

impl<T> Kernel<T> {
    /// Rows of the tallest tile.
    #[inline]
    pub fn mr(&self) -> usize {
        self.packed[0].len()
    }
    /// Columns of the widest tile.
    #[inline]
    pub fn nr(&self) -> usize {
        2 * self.lanes
    }
}

/// A type with a matrix kernel.
pub trait Kernels: Acc {
    fn kernel() -> &'static Kernel<Self>;
}

unsafe fn base<V: Lanes, const M: usize, const NV: usize, const P: bool>(t: &Tile<V::Elem>) {
    // SAFETY: the caller keeps the promises of `tile`, and only vectors of the baseline come here.
    unsafe { tile::<V, M, NV, P>(t) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2<V: Lanes, const M: usize, const NV: usize, const P: bool>(t: &Tile<V::Elem>) {
    // SAFETY: the caller keeps the promises of `tile`, and the shell enables the instructions.
    unsafe { tile::<V, M, NV, P>(t) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,fma")]
unsafe fn avx512<V: Lanes, const M: usize, const NV: usize, const P: bool>(t: &Tile<V::Elem>) {
    // SAFETY: as above.
    unsafe { tile::<V, M, NV, P>(t) }
}

unsafe fn base_dots<V: Lanes, const COLS: usize, const NV: usize>(
    k: usize,
    x: *const V::Elem,
    columns: &[*const V::Elem; 4],
    sums: &mut [V::Elem; 4],
) {
    // SAFETY: the caller keeps the promises of `dot`, and only vectors of the baseline come here.
    unsafe { dot::<V, COLS, NV>(k, x, columns, sums) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2_dots<V: Lanes, const COLS: usize, const NV: usize>(
    k: usize,
    x: *const V::Elem,
    columns: &[*const V::Elem; 4],
    sums: &mut [V::Elem; 4],
) {
    // SAFETY: the caller keeps the promises of `dot`, and the shell enables the instructions.
    unsafe { dot::<V, COLS, NV>(k, x, columns, sums) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,fma")]
unsafe fn avx512_dots<V: Lanes, const COLS: usize, const NV: usize>(
    k: usize,
    x: *const V::Elem,
    columns: &[*const V::Elem; 4],
    sums: &mut [V::Elem; 4],
) {
    // SAFETY: as above.
    unsafe { dot::<V, COLS, NV>(k, x, columns, sums) }
}

macro_rules! kernel {
    ($shell:ident $dots:ident, $v:ty, [$($m:literal)*], $mc:expr, $nc:expr, $kc:expr) => {{
        static KERNEL: Kernel<<$v as Lanes>::Elem> = Kernel {
            lanes: <$v as Lanes>::N,
            packed: [&[$($shell::<$v, $m, 1, true>),*], &[$($shell::<$v, $m, 2, true>),*]],
            strided: [&[$($shell::<$v, $m, 1, false>),*], &[$($shell::<$v, $m, 2, false>),*]],
            dots: $dots::<$v, 4, 2>,
            single_dot: $dots::<$v, 1, 8>,
            mc: $mc,
            nc: $nc,
            kc: $kc,
        };
        &KERNEL
    }};
}

macro_rules! float_kernels {
    ($t:ty, $zmm:ty, $ymm:ty, $lanes:literal, $kc:literal) => {
        impl Kernels for $t {
            #[inline]
            fn kernel() -> &'static Kernel<$t> {
                match isa() {
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx512 => kernel!(avx512 avx512_dots, $zmm, [1 2 3 4 5 6 7 8 9 10 11 12 13 14], 224, 2048, $kc),
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx2 => kernel!(avx2 avx2_dots, $ymm, [1 2 3 4 5 6], 96, 2048, $kc),
                    _ => kernel!(base base_dots, Plain<$t, $lanes>, [1 2 3 4 5 6], 96, 1024, $kc),
                }
            }
        }
    };
}
float_kernels!(f32, __m512, __m256, 4, 384);
float_kernels!(f64, __m512d, __m256d, 2, 256);

macro_rules! plain_kernels {
    ($($t:ty, $lanes:literal);*) => {$(
        impl Kernels for $t {
            #[inline]
            fn kernel() -> &'static Kernel<$t> {
                match isa() {
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx512 | Isa::Avx2 => kernel!(avx2 avx2_dots, Plain<$t, $lanes>, [1 2 3 4], 64, 1024, 256),
                    _ => kernel!(base base_dots, Plain<$t, $lanes>, [1 2 3 4], 64, 1024, 256),
                }
            }
        }
    )*};
}
plain_kernels!(i8, 16; u8, 16; i16, 16; u16, 16; i32, 8; u32, 8; i64, 4; u64, 4; Complex<f32>, 4; Complex<f64>, 2);
