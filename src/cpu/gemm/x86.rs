//! Vector registers of x86-64.

use super::tile::Lanes;
use std::arch::x86_64::*;

/// Four rows of four floats as four columns.
///
/// # Safety
/// Four floats at each of four rows, `across` apart in `src` and `step` apart in `dst`.
#[inline(always)]
pub unsafe fn transpose4(src: *const f32, across: isize, dst: *mut f32, step: usize) {
    // SAFETY: as the caller promises; every x86-64 processor has SSE.
    unsafe {
        let [mut a, mut b, mut c, mut d] =
            [0, 1, 2, 3].map(|j| _mm_loadu_ps(src.offset(j * across)));
        _MM_TRANSPOSE4_PS(&mut a, &mut b, &mut c, &mut d);
        for (p, row) in [a, b, c, d].into_iter().enumerate() {
            _mm_storeu_ps(dst.add(p * step), row);
        }
    }
}

/// One row per register type: every method is one instruction.
macro_rules! register {
    ($v:ty, $t:ty, $n:literal, $mask:ty, $zero:ident, $splat:ident, $load:ident, $store:ident, $add:ident, $mul:ident,
     $fma:ident, |$k:ident| $make:expr, |$p:ident, $m:ident| $load_masked:expr, |$q:ident, $o:ident, $x:ident| $store_masked:expr) => {
        impl Lanes for $v {
            type Elem = $t;
            type Mask = $mask;
            const N: usize = $n;
            // SAFETY (all methods): the trait asks the caller for the instructions and for valid addresses.
            #[inline(always)]
            unsafe fn zero() -> Self {
                unsafe { $zero() }
            }
            #[inline(always)]
            unsafe fn splat(x: $t) -> Self {
                unsafe { $splat(x) }
            }
            #[inline(always)]
            unsafe fn load(p: *const $t) -> Self {
                unsafe { $load(p) }
            }
            #[inline(always)]
            unsafe fn store(self, p: *mut $t) {
                unsafe { $store(p, self) }
            }
            #[inline(always)]
            unsafe fn mask($k: usize) -> $mask {
                #[allow(unused_unsafe)] // masks of AVX-512 are plain integers
                unsafe {
                    $make
                }
            }
            #[inline(always)]
            unsafe fn load_masked($p: *const $t, $m: $mask) -> Self {
                unsafe { $load_masked }
            }
            #[inline(always)]
            unsafe fn store_masked(self, $q: *mut $t, $o: $mask) {
                let $x = self;
                unsafe { $store_masked }
            }
            #[inline(always)]
            unsafe fn add(self, other: Self) -> Self {
                unsafe { $add(self, other) }
            }
            #[inline(always)]
            unsafe fn mul(self, other: Self) -> Self {
                unsafe { $mul(self, other) }
            }
            #[inline(always)]
            unsafe fn fma(self, a: Self, b: Self) -> Self {
                unsafe { $fma(a, b, self) }
            }
            #[inline(always)]
            unsafe fn prefetch(p: *const $t) {
                unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
            }
        }
    };
}

register!(
    __m512,
    f32,
    16,
    __mmask16,
    _mm512_setzero_ps,
    _mm512_set1_ps,
    _mm512_loadu_ps,
    _mm512_storeu_ps,
    _mm512_add_ps,
    _mm512_mul_ps,
    _mm512_fmadd_ps,
    |n| ((1u32 << n) - 1) as u16,
    |p, m| _mm512_maskz_loadu_ps(m, p),
    |p, m, x| _mm512_mask_storeu_ps(p, m, x)
);
register!(
    __m512d,
    f64,
    8,
    __mmask8,
    _mm512_setzero_pd,
    _mm512_set1_pd,
    _mm512_loadu_pd,
    _mm512_storeu_pd,
    _mm512_add_pd,
    _mm512_mul_pd,
    _mm512_fmadd_pd,
    |n| ((1u32 << n) - 1) as u8,
    |p, m| _mm512_maskz_loadu_pd(m, p),
    |p, m, x| _mm512_mask_storeu_pd(p, m, x)
);
register!(
    __m256,
    f32,
    8,
    __m256i,
    _mm256_setzero_ps,
    _mm256_set1_ps,
    _mm256_loadu_ps,
    _mm256_storeu_ps,
    _mm256_add_ps,
    _mm256_mul_ps,
    _mm256_fmadd_ps,
    |n| _mm256_cmpgt_epi32(
        _mm256_set1_epi32(n as i32),
        _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)
    ),
    |p, m| _mm256_maskload_ps(p, m),
    |p, m, x| _mm256_maskstore_ps(p, m, x)
);
register!(
    __m256d,
    f64,
    4,
    __m256i,
    _mm256_setzero_pd,
    _mm256_set1_pd,
    _mm256_loadu_pd,
    _mm256_storeu_pd,
    _mm256_add_pd,
    _mm256_mul_pd,
    _mm256_fmadd_pd,
    |n| _mm256_cmpgt_epi64(_mm256_set1_epi64x(n as i64), _mm256_setr_epi64x(0, 1, 2, 3)),
    |p, m| _mm256_maskload_pd(p, m),
    |p, m, x| _mm256_maskstore_pd(p, m, x)
);
