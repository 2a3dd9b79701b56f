//! The tensor: a typed, strided view of a storage, with room for its place in the autograd graph.
//!
//! Sizes, strides, offset and dtype never change once a `Tensor` exists: ops that change them in place
//! (`resize_`, `transpose_`, `x.data = y`) make a new one that takes over the identity (`Tensor::replaced`).
//! A `Tensor` stays on its thread (`Rc`); the Python layer moves it only under the GIL.

use crate::autograd::Meta;
use crate::device::Device;
use crate::dtype::DType;
use crate::error::Result;
use crate::scalar::{Element, Scalar};
use crate::shape::{self, Sizes, Strides};
use crate::storage::Storage;
use smallvec::SmallVec;
use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;

/// Counts writes; shared by a tensor, its views and its saved copies.
enum Version {
    Own(u32),
    Shared(Rc<Cell<u32>>),
}

/// How a view came to be; decides what an in-place op on it may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ViewKind {
    Plain,
    /// One of several outputs of one op (`split`, `unbind`): in-place ops on it are refused.
    MultiOutput,
    /// Made under `no_grad`.
    NoGrad,
}

pub struct View {
    pub base: Tensor,
    pub kind: ViewKind,
    /// The base's version for which the view's `grad_fn` was made.
    pub seen: Cell<u32>,
}

pub struct TensorImpl {
    storage: Storage,
    offset: usize,
    sizes: Sizes,
    strides: Strides,
    numel: usize,
    dtype: DType,
    contiguous: bool,
    /// A 0-d tensor made of a Python number: it does not widen other operands.
    wrapped: bool,
    inference: bool,
    version: RefCell<Version>,
    view: Option<Box<View>>,
    meta: OnceCell<Rc<Meta>>,
    /// The Python object that stands for this tensor, if one lives (not owned).
    pub py_object: Cell<*mut u8>,
}

#[derive(Clone)]
pub struct Tensor(Rc<TensorImpl>);

/// A tensor that is not kept alive.
#[derive(Clone, Default)]
pub struct WeakTensor(std::rc::Weak<TensorImpl>);

impl WeakTensor {
    pub fn upgrade(&self) -> Option<Tensor> {
        self.0.upgrade().map(Tensor)
    }
}

impl Tensor {
    // ---- making

    /// A tensor over a storage.
    ///
    /// # Safety
    /// Every element the sizes and strides reach from `offset` must lie inside the storage.
    pub unsafe fn from_parts(
        storage: Storage,
        offset: usize,
        sizes: Sizes,
        strides: Strides,
        dtype: DType,
    ) -> Tensor {
        let numel = sizes.iter().product();
        let contiguous = shape::is_contiguous(&sizes, &strides);
        Tensor(Rc::new(TensorImpl {
            storage,
            offset,
            sizes,
            strides,
            numel,
            dtype,
            contiguous,
            wrapped: false,
            inference: crate::autograd::is_inference_mode(),
            version: RefCell::new(Version::Own(0)),
            view: None,
            meta: OnceCell::new(),
            py_object: Cell::new(std::ptr::null_mut()),
        }))
    }

    /// Uninitialised and contiguous.
    #[inline]
    pub fn empty(sizes: &[usize], dtype: DType, device: Device) -> Result<Tensor> {
        let n = shape::numel(sizes)?;
        let storage = new_storage(n, dtype, device)?;
        // SAFETY: the storage was made for exactly these elements.
        Ok(unsafe {
            Self::from_parts(
                storage,
                0,
                SmallVec::from_slice(sizes),
                shape::contiguous_strides(sizes),
                dtype,
            )
        })
    }

    /// Uninitialised with the given non-negative strides.
    pub fn empty_strided(
        sizes: &[usize],
        strides: &[isize],
        dtype: DType,
        device: Device,
    ) -> Result<Tensor> {
        shape::numel(sizes)?;
        crate::check!(
            strides.iter().all(|&s| s >= 0),
            Runtime,
            "negative strides are not supported here"
        );
        let (_, hi) = shape::extent(sizes, strides);
        let storage = new_storage(hi.max(0) as usize, dtype, device)?;
        // SAFETY: the storage spans the extent of these sizes and strides.
        Ok(unsafe {
            Self::from_parts(
                storage,
                0,
                SmallVec::from_slice(sizes),
                SmallVec::from_slice(strides),
                dtype,
            )
        })
    }

    /// Like `self` in shape, dtype, device and, where it is dense, in stride order.
    pub fn empty_like(&self, dtype: DType) -> Result<Tensor> {
        if self.is_contiguous() {
            return Self::empty(self.sizes(), dtype, self.device());
        }
        Self::empty_strided(self.sizes(), &self.dense_strides(), dtype, self.device())
    }

    /// Strides of a dense tensor in the axis order of this one (PyTorch's preserve_format).
    pub fn dense_strides(&self) -> Strides {
        dense_strides_of(self.sizes(), self.strides())
    }

    pub fn zeros(sizes: &[usize], dtype: DType, device: Device) -> Result<Tensor> {
        let t = Self::empty(sizes, dtype, device)?;
        t.zero_fill()?;
        Ok(t)
    }

    pub fn full(
        sizes: &[usize],
        value: impl Into<Scalar>,
        dtype: DType,
        device: Device,
    ) -> Result<Tensor> {
        let t = Self::empty(sizes, dtype, device)?;
        t.fill(value.into())?;
        Ok(t)
    }

    /// A 0-d tensor.
    pub fn scalar(value: impl Into<Scalar>, dtype: DType) -> Result<Tensor> {
        let t = Self::empty(&[], dtype, Device::Cpu)?;
        // SAFETY: one element was just allocated on the CPU.
        unsafe { value.into().write(t.data_ptr(), dtype) };
        Ok(t)
    }

    /// A Python number as an operand: 0-d, and it does not widen other operands.
    pub fn wrapped(value: impl Into<Scalar>) -> Result<Tensor> {
        let value = value.into();
        let mut t = Self::scalar(value, value.dtype())?;
        if let Some(t) = Rc::get_mut(&mut t.0) {
            t.wrapped = true;
        }
        Ok(t)
    }

    /// A 1-d CPU tensor of these elements.
    pub fn from_slice<T: Element>(data: &[T]) -> Result<Tensor> {
        Self::from_slice_shaped(data, &[data.len()])
    }

    pub fn from_slice_shaped<T: Element>(data: &[T], sizes: &[usize]) -> Result<Tensor> {
        crate::check!(
            shape::numel(sizes)? == data.len(),
            Runtime,
            "shape '{}' is invalid for input of size {}",
            shape::list(sizes),
            data.len()
        );
        let t = Self::empty(sizes, T::DTYPE, Device::Cpu)?;
        // SAFETY: both hold `data.len()` elements of T and the new storage overlaps nothing.
        unsafe { std::ptr::copy_nonoverlapping(data.as_ptr(), t.data_ptr() as *mut T, data.len()) };
        Ok(t)
    }

    // ---- looking

    #[inline]
    pub fn storage(&self) -> &Storage {
        &self.0.storage
    }
    #[inline]
    pub fn offset(&self) -> usize {
        self.0.offset
    }
    #[inline]
    pub fn sizes(&self) -> &[usize] {
        &self.0.sizes
    }
    #[inline]
    pub fn strides(&self) -> &[isize] {
        &self.0.strides
    }
    #[inline]
    pub fn ndim(&self) -> usize {
        self.0.sizes.len()
    }
    #[inline]
    pub fn numel(&self) -> usize {
        self.0.numel
    }
    #[inline]
    pub fn dtype(&self) -> DType {
        self.0.dtype
    }
    #[inline]
    pub fn device(&self) -> Device {
        self.0.storage.device()
    }
    #[inline]
    pub fn is_contiguous(&self) -> bool {
        self.0.contiguous
    }
    #[inline]
    pub fn is_wrapped(&self) -> bool {
        self.0.wrapped
    }
    #[inline]
    pub fn is_inference(&self) -> bool {
        self.0.inference
    }
    #[inline]
    pub fn view_of(&self) -> Option<&View> {
        self.0.view.as_deref()
    }

    /// Size of a dimension that may be negative.
    pub fn size(&self, dim: i64) -> Result<usize> {
        let d = shape::wrap_dim(dim, self.ndim())?;
        Ok(self.sizes().get(d).copied().unwrap_or(1))
    }

    /// The first element on the CPU; null for device tensors.
    #[inline]
    pub fn data_ptr(&self) -> *mut u8 {
        self.0
            .storage
            .data()
            .wrapping_add(self.0.offset * self.0.dtype.size())
    }

    /// Whether the elements fill a contiguous block in some order of the axes.
    pub fn is_dense(&self) -> bool {
        if self.is_contiguous() {
            return true;
        }
        let mut axes: SmallVec<[(isize, usize); 5]> = self
            .strides()
            .iter()
            .copied()
            .zip(self.sizes().iter().copied())
            .filter(|a| a.1 != 1)
            .collect();
        axes.sort_unstable();
        let mut step = 1isize;
        axes.iter().all(|&(stride, n)| {
            let ok = stride == step;
            step = step.wrapping_mul(n as isize);
            ok
        })
    }

    /// Whether both handles are the same tensor.
    #[inline]
    pub fn same(&self, other: &Tensor) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    /// A number that identifies the tensor while it lives.
    pub fn id(&self) -> usize {
        Rc::as_ptr(&self.0) as *const u8 as usize
    }

    pub fn py_object(&self) -> &Cell<*mut u8> {
        &self.0.py_object
    }

    pub fn handles(&self) -> usize {
        Rc::strong_count(&self.0)
    }

    /// The elements of a contiguous CPU tensor.
    pub fn as_slice<T: Element>(&self) -> Result<&[T]> {
        crate::check!(
            self.dtype() == T::DTYPE && self.is_contiguous() && self.device().is_cpu(),
            Runtime,
            "expected a contiguous CPU tensor of dtype {}, got {} on {}",
            T::DTYPE.name(),
            self.dtype().name(),
            self.device()
        );
        // SAFETY: contiguous and of this dtype, inside the storage by construction.
        Ok(unsafe { std::slice::from_raw_parts(self.data_ptr() as *const T, self.numel()) })
    }

    /// The value of a one-element tensor.
    pub fn item(&self) -> Result<Scalar> {
        crate::check!(
            self.numel() == 1,
            Runtime,
            "a Tensor with {} elements cannot be converted to Scalar",
            self.numel()
        );
        if !self.device().is_cpu() {
            return self.to_device(Device::Cpu)?.item();
        }
        // SAFETY: one element exists at the data pointer.
        Ok(unsafe { Scalar::read(self.data_ptr(), self.dtype()) })
    }

    /// The elements as i64 in row-major order.
    pub fn to_vec<T: Element>(&self) -> Result<Vec<T>> {
        let t = self
            .detach()
            .to_device(Device::Cpu)?
            .to_dtype(T::DTYPE)?
            .contiguous()?;
        crate::list::copied(t.as_slice::<T>()?)
    }

    // ---- versions

    pub fn version(&self) -> u32 {
        match &*self.0.version.borrow() {
            Version::Own(v) => *v,
            Version::Shared(v) => v.get(),
        }
    }

    /// Notes a write.
    #[inline]
    pub fn bump(&self) {
        match &mut *self.0.version.borrow_mut() {
            Version::Own(v) => *v = v.wrapping_add(1),
            Version::Shared(v) => v.set(v.get().wrapping_add(1)),
        }
    }

    fn share_version(&self) -> Rc<Cell<u32>> {
        let mut version = self.0.version.borrow_mut();
        match &*version {
            Version::Shared(v) => v.clone(),
            Version::Own(v) => {
                let shared = Rc::new(Cell::new(*v));
                *version = Version::Shared(shared.clone());
                shared
            }
        }
    }

    // ---- autograd

    /// The autograd record, if the tensor has one.
    #[inline]
    pub fn meta(&self) -> Option<&Rc<Meta>> {
        self.0.meta.get()
    }

    pub fn meta_or_new(&self) -> &Rc<Meta> {
        self.0.meta.get_or_init(Default::default)
    }

    pub fn downgrade(&self) -> WeakTensor {
        WeakTensor(Rc::downgrade(&self.0))
    }

    // ---- views

    /// A differentiable view: shares memory, version and base, but no history yet.
    ///
    /// # Safety
    /// As `from_parts`.
    pub unsafe fn view_parts(
        &self,
        offset: usize,
        sizes: Sizes,
        strides: Strides,
        kind: ViewKind,
    ) -> Tensor {
        // SAFETY: the caller's promise.
        unsafe { self.view_as_dtype(offset, sizes, strides, self.dtype(), kind) }
    }

    /// As `view_parts` with another dtype (`view_as_real`, `view(dtype)`).
    ///
    /// # Safety
    /// As `from_parts`, in elements of `dtype`.
    pub unsafe fn view_as_dtype(
        &self,
        offset: usize,
        sizes: Sizes,
        strides: Strides,
        dtype: DType,
        kind: ViewKind,
    ) -> Tensor {
        let (base, base_kind) = match self.view_of() {
            Some(v) => (v.base.clone(), v.kind),
            None => (self.clone(), ViewKind::Plain),
        };
        let kind = match (kind, base_kind) {
            (ViewKind::Plain, ViewKind::Plain) if !crate::autograd::is_grad_enabled() => {
                ViewKind::NoGrad
            }
            (ViewKind::Plain, k) => k,
            (k, _) => k,
        };
        let seen = Cell::new(base.version());
        let mut t = unsafe { self.alias_parts(offset, sizes, strides, dtype) };
        if let Some(t) = Rc::get_mut(&mut t.0) {
            t.view = Some(Box::new(View { base, kind, seen }));
            t.inference = self.0.inference;
        }
        t
    }

    /// Shares memory and version, nothing else.
    ///
    /// # Safety
    /// As `from_parts`.
    unsafe fn alias_parts(
        &self,
        offset: usize,
        sizes: Sizes,
        strides: Strides,
        dtype: DType,
    ) -> Tensor {
        // SAFETY: the caller's promise.
        let mut t =
            unsafe { Self::from_parts(self.0.storage.clone(), offset, sizes, strides, dtype) };
        if let Some(t) = Rc::get_mut(&mut t.0) {
            t.version = RefCell::new(Version::Shared(self.share_version()));
        }
        t
    }

    /// The same data without history; writes to it are seen by the graph's version checks.
    pub fn detach(&self) -> Tensor {
        // SAFETY: the same sizes and strides as this tensor's.
        let mut t = unsafe {
            self.alias_parts(
                self.0.offset,
                self.0.sizes.clone(),
                self.0.strides.clone(),
                self.0.dtype,
            )
        };
        if let Some(t) = Rc::get_mut(&mut t.0) {
            t.inference = self.0.inference;
            t.wrapped = self.0.wrapped;
        }
        t
    }

    /// `x.data`: the same memory with a version counter of its own.
    pub fn data_alias(&self) -> Tensor {
        // SAFETY: the same sizes and strides as this tensor's.
        unsafe {
            Self::from_parts(
                self.0.storage.clone(),
                self.0.offset,
                self.0.sizes.clone(),
                self.0.strides.clone(),
                self.0.dtype,
            )
        }
    }

    /// A tensor with the memory and layout of `with` that takes over this one's identity: autograd record,
    /// version, base and Python object. `x = x.replaced(y)` is `x.data = y`.
    pub fn replaced(&self, with: &Tensor) -> Tensor {
        let mut t = with.data_alias();
        if let Some(t) = Rc::get_mut(&mut t.0) {
            t.version = RefCell::new(Version::Shared(self.share_version()));
            t.inference = self.0.inference;
            t.view = self.0.view.as_ref().map(|v| {
                Box::new(View {
                    base: v.base.clone(),
                    kind: v.kind,
                    seen: v.seen.clone(),
                })
            });
            if let Some(meta) = self.0.meta.get() {
                let _ = t.meta.set(meta.clone());
            }
        }
        t.0.py_object
            .set(self.0.py_object.replace(std::ptr::null_mut()));
        if let Some(meta) = t.meta() {
            meta.set_owner(&t);
        }
        t
    }

    /// An error where the tensors lie on different devices.
    pub fn same_device(&self, other: &Tensor) -> Result<()> {
        crate::check!(
            self.device() == other.device(),
            Runtime,
            "Expected all tensors to be on the same device, but found at least two devices, {} and {}!",
            self.device(),
            other.device()
        );
        Ok(())
    }

    /// Whether this op may run on device tensors' memory directly; names the op where it may not.
    pub fn need_cpu(&self, op: &str) -> Result<()> {
        crate::check!(
            self.device().is_cpu(),
            NotImplemented,
            "\"{op}\" has no kernel on device '{}'. Move the tensor with .cpu() first",
            self.device()
        );
        Ok(())
    }
}

fn new_storage(numel: usize, dtype: DType, device: Device) -> Result<Storage> {
    let bytes = numel
        .checked_mul(dtype.size())
        .filter(|&b| b <= isize::MAX as usize)
        .ok_or_else(|| {
            crate::err!(
                Runtime,
                "Storage size calculation overflowed with {numel} elements"
            )
        })?;
    match device {
        Device::Cpu => Storage::new(bytes),
        #[cfg(feature = "gpu")]
        Device::Gpu(_) => crate::gpu::new_storage(numel, dtype, device),
        #[cfg(not(feature = "gpu"))]
        Device::Gpu(_) => crate::bail!(
            Runtime,
            "this build of rtorch has no GPU backend (cargo feature `gpu`)"
        ),
    }
}

/// Strides of a dense tensor with the axis order of the given strides: the largest stride outermost, ties and
/// broadcast axes in their own order.
pub fn dense_strides_of(sizes: &[usize], strides: &[isize]) -> Strides {
    let n = sizes.len();
    let mut order: SmallVec<[usize; 5]> = (0..n).collect();
    // Insertion sort from the innermost: an axis moves inwards past axes with a larger stride.
    order.reverse();
    for i in 1..n {
        let mut j = i;
        while j > 0 {
            let (outer, inner) = (order[j], order[j - 1]);
            let (so, si) = (strides[outer].abs(), strides[inner].abs());
            let swap = so != 0 && si != 0 && so < si;
            if !swap {
                break;
            }
            order.swap(j, j - 1);
            j -= 1;
        }
    }
    let mut out: Strides = SmallVec::from_elem(1, n);
    let mut step = 1isize;
    for &axis in &order {
        out[axis] = step;
        step = step.wrapping_mul(sizes[axis].max(1) as isize);
    }
    out
}
