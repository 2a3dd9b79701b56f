//! Walking several strided operands at once.
//!
//! An op is a kernel over contiguous runs of one compute dtype. This file broadcasts the operands, collapses their
//! axes, and hands runs to the kernel; operands that are strided, broadcast or of another dtype pass through blocks
//! of 256 elements in the first-level cache.

use crate::cpu::cast;
use crate::cpu::parallel;
use crate::dtype::DType;
use crate::scalar::Scalar;
use crate::tensor::Tensor;
use smallvec::SmallVec;
use std::mem::MaybeUninit;

/// Computes `out[i] = f(ins[0][i], ins[1][i], ...)` for `i < n` over contiguous buffers. `out` overlaps no input.
pub type Kernel = unsafe fn(ins: *const *const u8, out: *mut u8, n: usize, params: &[Scalar]);

/// Elements per staging block.
const BLOCK: usize = 256;
/// Below this many elements a second thread costs more than it brings.
pub const GRAIN: usize = 32_768;
/// Most operands of one loop, the output included.
pub const MAX_OPERANDS: usize = 6;

/// Byte strides of one axis for all operands, the output first.
type AxisStrides = [isize; MAX_OPERANDS];

/// Axes from the innermost out, collapsed.
pub struct Loop {
    pub sizes: SmallVec<[usize; 5]>,
    pub strides: SmallVec<[AxisStrides; 5]>,
    pub operands: usize,
}

/// Byte strides of `t` broadcast to `sizes`.
pub fn broadcast_strides(t: &Tensor, sizes: &[usize]) -> SmallVec<[isize; 5]> {
    let item = t.dtype().size() as isize;
    let lead = sizes.len() - t.ndim();
    (0..sizes.len())
        .map(|d| {
            if d < lead || t.sizes()[d - lead] != sizes[d] || sizes[d] == 1 {
                0
            } else {
                // A tensor without elements may have strides beyond any memory.
                t.strides()[d - lead].wrapping_mul(item)
            }
        })
        .collect()
}

impl Loop {
    /// A loop over `sizes` with byte strides per operand, the output first. The axis order is free.
    pub fn new(sizes: &[usize], operands: &[SmallVec<[isize; 5]>]) -> Loop {
        let count = operands.len().min(MAX_OPERANDS);
        let mut axes: SmallVec<[usize; 5]> =
            (0..sizes.len()).rev().filter(|&d| sizes[d] != 1).collect();
        // Innermost first: the smallest output stride, then the smallest input strides.
        let key = |d: usize| -> AxisStrides {
            let mut k = [0; MAX_OPERANDS];
            for (slot, s) in k.iter_mut().zip(operands) {
                *slot = s[d].abs();
            }
            k
        };
        for i in 1..axes.len() {
            let mut j = i;
            while j > 0 && key(axes[j]) < key(axes[j - 1]) {
                axes.swap(j, j - 1);
                j -= 1;
            }
        }
        let mut out = Loop {
            sizes: SmallVec::new(),
            strides: SmallVec::new(),
            operands: count,
        };
        for &d in &axes {
            let mut s: AxisStrides = [0; MAX_OPERANDS];
            for (slot, o) in s.iter_mut().zip(operands) {
                *slot = o[d];
            }
            if let (Some(last), Some(n)) = (out.strides.last(), out.sizes.last_mut())
                && (0..count).all(|k| s[k] == last[k] * *n as isize)
            {
                *n *= sizes[d];
                continue;
            }
            out.sizes.push(sizes[d]);
            out.strides.push(s);
        }
        if out.sizes.is_empty() {
            out.sizes.push(sizes.iter().product::<usize>().min(1));
            out.strides.push([0; MAX_OPERANDS]);
        }
        out
    }

    /// Calls `f(pointers, byte strides, n)` for every innermost run, on several threads when the work is large.
    ///
    /// # Safety
    /// The pointers plus every stride combination must be valid for what `f` does with them; `f` must be safe to run
    /// concurrently on different runs.
    pub unsafe fn run(&self, pointers: &[*mut u8], f: impl Fn(&[*mut u8], &[isize], usize) + Sync) {
        let inner = self.sizes[0];
        let outer: usize = self.sizes[1..].iter().product();
        if inner == 0 || outer == 0 {
            return;
        }
        let base = Pointers(SmallVec::from_slice(&pointers[..self.operands]));
        let base = &base;
        let visit = |from: usize, to: usize| {
            let mut p = base.at(self, from);
            let mut index: SmallVec<[usize; 5]> = self.unravel(from);
            for _ in from..to {
                f(&p, &self.strides[0][..self.operands], inner);
                for d in 1..self.sizes.len() {
                    index[d - 1] += 1;
                    for (k, q) in p.iter_mut().enumerate() {
                        *q = q.wrapping_offset(self.strides[d][k]);
                    }
                    if index[d - 1] < self.sizes[d] {
                        break;
                    }
                    index[d - 1] = 0;
                    for (k, q) in p.iter_mut().enumerate() {
                        *q = q.wrapping_offset(-self.strides[d][k] * self.sizes[d] as isize);
                    }
                }
            }
        };
        if outer == 1 && inner > GRAIN && parallel::num_threads() > 1 {
            parallel::for_range(inner, GRAIN, |from, to| {
                let mut p = base.0.clone();
                for (k, q) in p.iter_mut().enumerate() {
                    *q = q.wrapping_offset(self.strides[0][k] * from as isize);
                }
                f(&p, &self.strides[0][..self.operands], to - from);
            });
        } else if inner.saturating_mul(outer) > GRAIN && parallel::num_threads() > 1 {
            parallel::for_range(outer, GRAIN.div_ceil(inner).max(1), visit);
        } else {
            visit(0, outer);
        }
    }

    fn unravel(&self, mut i: usize) -> SmallVec<[usize; 5]> {
        self.sizes[1..]
            .iter()
            .map(|&n| {
                let r = i % n;
                i /= n;
                r
            })
            .collect()
    }
}

/// Pointers that kernels on several threads may use.
struct Pointers(SmallVec<[*mut u8; MAX_OPERANDS]>);
// SAFETY: `Loop::run` requires that `f` may run concurrently on the memory behind them.
unsafe impl Sync for Pointers {}

impl Pointers {
    fn at(&self, l: &Loop, run: usize) -> SmallVec<[*mut u8; MAX_OPERANDS]> {
        let index = l.unravel(run);
        let mut p = self.0.clone();
        for (d, &i) in index.iter().enumerate() {
            for (k, q) in p.iter_mut().enumerate() {
                *q = q.wrapping_offset(l.strides[d + 1][k] * i as isize);
            }
        }
        p
    }
}

fn overlap(a: *const u8, b: *const u8, bytes: usize) -> bool {
    (a as usize) < b as usize + bytes && (b as usize) < a as usize + bytes
}

/// Runs a kernel that computes in `compute` and yields `yields` over `ins` broadcast to `out`'s sizes.
///
/// # Safety
/// All tensors are on the CPU, inputs broadcast to `out`, and the kernel is for these dtypes and this many inputs.
pub unsafe fn pointwise(
    kernel: Kernel,
    compute: DType,
    yields: DType,
    ins: &[&Tensor],
    out: &Tensor,
    params: &[Scalar],
) {
    let n = out.numel();
    if n == 0 {
        return;
    }
    let out_ptr = out.data_ptr();
    let plain = out.dtype() == yields
        && out.is_contiguous()
        && ins.iter().all(|t| {
            t.dtype() == compute
                && t.is_contiguous()
                && t.sizes() == out.sizes()
                && !overlap(t.data_ptr(), out_ptr, n * compute.size().max(yields.size()))
        });
    if plain {
        let mut p = [std::ptr::null::<u8>(); MAX_OPERANDS];
        for (slot, t) in p.iter_mut().zip(ins) {
            *slot = t.data_ptr();
        }
        if n <= GRAIN || parallel::num_threads() == 1 {
            // SAFETY: contiguous buffers of `n` elements, as checked above.
            unsafe { kernel(p.as_ptr(), out_ptr, n, params) };
            return;
        }
    }
    if n <= SMALL {
        // SAFETY: the caller's promise.
        if unsafe { small(kernel, compute, yields, ins, out, params) } {
            return;
        }
    }
    let mut strides: SmallVec<[SmallVec<[isize; 5]>; MAX_OPERANDS]> = SmallVec::new();
    strides.push(broadcast_strides(out, out.sizes()));
    let mut pointers: SmallVec<[*mut u8; MAX_OPERANDS]> = SmallVec::new();
    pointers.push(out_ptr);
    for t in ins {
        strides.push(broadcast_strides(t, out.sizes()));
        pointers.push(t.data_ptr());
    }
    let dtypes: SmallVec<[DType; MAX_OPERANDS]> = ins.iter().map(|t| t.dtype()).collect();
    let stage = Stage {
        kernel,
        compute,
        yields,
        dtypes: &dtypes,
        out: out.dtype(),
        params,
    };
    let l = Loop::new(out.sizes(), &strides);
    // SAFETY: the strides stay inside the tensors; runs write disjoint parts of `out`, whose elements do not overlap.
    unsafe { l.run(&pointers, |p, s, n| stage.run(p, s, n)) };
}

/// Most elements the short path takes.
const SMALL: usize = BLOCK;

/// Tiny operands, contiguous or of one element: staged in one block each, without planning a loop.
///
/// # Safety
/// As `pointwise`.
unsafe fn small(
    kernel: Kernel,
    compute: DType,
    yields: DType,
    ins: &[&Tensor],
    out: &Tensor,
    params: &[Scalar],
) -> bool {
    let n = out.numel();
    let fits = |t: &Tensor| t.numel() == 1 || (t.is_contiguous() && t.sizes() == out.sizes());
    if out.dtype() != yields || !out.is_contiguous() || !ins.iter().all(|t| fits(t)) {
        return false;
    }
    let item = compute.size();
    let out_ptr = out.data_ptr();
    let mut scratch: [MaybeUninit<Scratch>; MAX_OPERANDS] =
        [const { MaybeUninit::uninit() }; MAX_OPERANDS];
    let mut p = [std::ptr::null::<u8>(); MAX_OPERANDS];
    for (k, t) in ins.iter().enumerate() {
        let src = t.data_ptr();
        let single = t.numel() == 1;
        if !(single && n > 1)
            && t.dtype() == compute
            && !overlap(src, out_ptr, n * item.max(yields.size()))
        {
            p[k] = src;
            continue;
        }
        let dst = scratch[k].as_mut_ptr() as *mut u8;
        let step = if single { 0 } else { t.dtype().size() as isize };
        // SAFETY: the block holds BLOCK >= n elements; the source holds one or `n` contiguous ones.
        unsafe { cast::cast(t.dtype(), compute)(src, step, dst, item as isize, n) };
        p[k] = dst;
    }
    // SAFETY: every input is contiguous for `n` elements and disjoint from the output.
    unsafe { kernel(p.as_ptr(), out_ptr, n, params) };
    true
}

struct Stage<'a> {
    kernel: Kernel,
    compute: DType,
    yields: DType,
    dtypes: &'a [DType],
    out: DType,
    params: &'a [Scalar],
}

#[repr(align(64))]
struct Scratch {
    _bytes: [MaybeUninit<u8>; BLOCK * 16],
}

impl Stage<'_> {
    /// One run: operands that the kernel can take as they lie go straight in, the others through scratch blocks.
    fn run(&self, p: &[*mut u8], strides: &[isize], n: usize) {
        let item = self.compute.size();
        let count = self.dtypes.len();
        let out_direct =
            self.out == self.yields && (strides[0] == self.yields.size() as isize || n == 1);
        let out_bytes = n.saturating_mul(self.yields.size());
        let mut direct = [false; MAX_OPERANDS];
        let mut all = out_direct;
        for k in 0..count {
            direct[k] = self.dtypes[k] == self.compute
                && (strides[k + 1] == item as isize || n == 1)
                && !(out_direct && overlap(p[k + 1], p[0], out_bytes.max(n * item)));
            all &= direct[k];
        }
        let mut ins = [std::ptr::null::<u8>(); MAX_OPERANDS];
        if all {
            for (slot, &q) in ins.iter_mut().zip(&p[1..=count]) {
                *slot = q;
            }
            // SAFETY: every operand is contiguous in this run and disjoint from the output.
            unsafe { (self.kernel)(ins.as_ptr(), p[0], n, self.params) };
            return;
        }
        let mut scratch: [MaybeUninit<Scratch>; MAX_OPERANDS] =
            [const { MaybeUninit::uninit() }; MAX_OPERANDS];
        let loads: SmallVec<[cast::Cast; MAX_OPERANDS]> = self
            .dtypes
            .iter()
            .map(|&d| cast::cast(d, self.compute))
            .collect();
        let store = cast::cast(self.yields, self.out);
        let block = BLOCK.min(n);
        for k in 0..count {
            if !direct[k] && strides[k + 1] == 0 {
                // SAFETY: the scratch block holds BLOCK elements of any dtype; the source is one element.
                unsafe {
                    loads[k](
                        p[k + 1],
                        0,
                        scratch[k].as_mut_ptr() as *mut u8,
                        item as isize,
                        block,
                    )
                };
            }
        }
        let mut done = 0;
        while done < n {
            let m = BLOCK.min(n - done);
            for k in 0..count {
                let src = p[k + 1].wrapping_offset(strides[k + 1] * done as isize);
                if direct[k] {
                    ins[k] = src;
                    continue;
                }
                let dst = scratch[k].as_mut_ptr() as *mut u8;
                ins[k] = dst;
                if strides[k + 1] != 0 {
                    // SAFETY: `m <= BLOCK` elements of the run, into a block that holds them.
                    unsafe { loads[k](src, strides[k + 1], dst, item as isize, m) };
                }
            }
            let dst = p[0].wrapping_offset(strides[0] * done as isize);
            if out_direct {
                // SAFETY: inputs are contiguous blocks of `m`, the output run is contiguous.
                unsafe { (self.kernel)(ins.as_ptr(), dst, m, self.params) };
            } else {
                let tmp = scratch[count].as_mut_ptr() as *mut u8;
                // SAFETY: as above, with the output in the last scratch block, then cast into place.
                unsafe {
                    (self.kernel)(ins.as_ptr(), tmp, m, self.params);
                    store(tmp, self.yields.size() as isize, dst, strides[0], m);
                }
            }
            done += m;
        }
    }
}

/// Copies `src`, broadcast and cast, into `dst`. Both on the CPU; no autograd.
pub fn copy_cpu(dst: &Tensor, src: &Tensor) {
    let n = dst.numel();
    if n == 0 {
        return;
    }
    if dst.dtype() == src.dtype() && dst.sizes() == src.sizes() {
        let same_order = dst.strides() == src.strides() && dst.is_dense();
        if (dst.is_contiguous() && src.is_contiguous()) || same_order {
            let item = dst.dtype().size();
            let (d, s) = (SendPtr(dst.data_ptr()), SendPtr(src.data_ptr()));
            parallel::for_range(n, GRAIN * 4, move |from, to| {
                // SAFETY: both hold `n` elements in the same order; `copy` allows overlap.
                unsafe {
                    std::ptr::copy(
                        s.get().add(from * item),
                        d.get().add(from * item),
                        (to - from) * item,
                    )
                };
            });
            return;
        }
    }
    let cast = cast::cast(src.dtype(), dst.dtype());
    let l = Loop::new(
        dst.sizes(),
        &[
            broadcast_strides(dst, dst.sizes()),
            broadcast_strides(src, dst.sizes()),
        ],
    );
    // SAFETY: strides stay inside both tensors; runs write disjoint parts of `dst`.
    unsafe {
        l.run(&[dst.data_ptr(), src.data_ptr()], |p, s, n| {
            cast(p[1], s[1], p[0], s[0], n)
        })
    };
}

/// Sets every element. CPU; no autograd.
pub fn fill_cpu(dst: &Tensor, value: Scalar) {
    let mut element = [0u8; 16];
    // SAFETY: 16 bytes hold an element of any dtype.
    unsafe { value.write(element.as_mut_ptr(), dst.dtype()) };
    let item = dst.dtype().size();
    if dst.is_contiguous() && element[..item].iter().all(|&b| b == element[0]) {
        // SAFETY: the tensor's elements are `numel * item` contiguous bytes.
        unsafe { std::ptr::write_bytes(dst.data_ptr(), element[0], dst.numel() * item) };
        return;
    }
    let cast = cast::cast(dst.dtype(), dst.dtype());
    let source = element.as_ptr() as usize;
    let l = Loop::new(dst.sizes(), &[broadcast_strides(dst, dst.sizes())]);
    if dst.numel() > 0 {
        // SAFETY: reads one element over and over, writes the tensor's own elements.
        unsafe {
            l.run(&[dst.data_ptr()], |p, s, n| {
                cast(source as *const u8, 0, p[0], s[0], n)
            })
        };
    }
}

/// A raw pointer for kernels that split work over threads.
#[derive(Clone, Copy)]
pub struct SendPtr(pub *mut u8);
// SAFETY: users split the memory behind it into disjoint parts.
unsafe impl Send for SendPtr {}
// SAFETY: as above.
unsafe impl Sync for SendPtr {}
impl SendPtr {
    #[inline]
    pub fn get(self) -> *mut u8 {
        self.0
    }
    /// The pointer as elements.
    #[inline]
    pub fn of<T>(self) -> *mut T {
        self.0 as *mut T
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Device;

    fn ramp(sizes: &[usize]) -> Tensor {
        let n: usize = sizes.iter().product();
        let values: Vec<f32> = (0..n).map(|i| i as f32).collect();
        Tensor::from_slice_shaped(&values, sizes).unwrap()
    }

    #[test]
    fn axes_collapse_to_one_run() {
        let s = |v: &[isize]| SmallVec::from_slice(v);
        let l = Loop::new(&[2, 3, 4], &[s(&[48, 16, 4]), s(&[48, 16, 4])]);
        assert_eq!(l.sizes.as_slice(), &[24]);
        let l = Loop::new(&[2, 3, 4], &[s(&[48, 16, 4]), s(&[0, 16, 4])]);
        assert_eq!(l.sizes.as_slice(), &[12, 2]);
    }

    #[test]
    fn broadcast_strided_and_cast_operands_agree_with_loops() {
        // Sizes around the staging block, so that whole and partial blocks are met.
        for n in [1, 3, 255, 256, 257, 600] {
            let a = ramp(&[3, n]);
            let b = ramp(&[n, 3]).t().unwrap();
            let c = ramp(&[n]).to_dtype(DType::I32).unwrap();
            let got = a.add(&b).unwrap().mul(&c).unwrap().to_vec::<f32>().unwrap();
            for r in 0..3 {
                for i in 0..n {
                    let want = ((r * n + i) as f32 + (i * 3 + r) as f32) * i as f32;
                    assert_eq!(got[r * n + i], want, "row {r} column {i} of {n}");
                }
            }
        }
    }

    #[test]
    fn in_place_over_an_overlapping_operand() {
        let a = ramp(&[1000]);
        a.add_assign(&a.clone()).unwrap();
        assert_eq!(a.to_vec::<f32>().unwrap()[999], 1998.0);
    }

    #[test]
    fn copies_fill_every_element() {
        let x = ramp(&[4, 5]).t().unwrap();
        let y = Tensor::zeros(&[5, 4], DType::F64, Device::Cpu).unwrap();
        copy_cpu(&y, &x);
        assert_eq!(y.to_vec::<f64>().unwrap()[1], 5.0);
    }
}
