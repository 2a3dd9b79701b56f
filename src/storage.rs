//! Reference-counted memory: owned by the allocator, by a foreign object, or on a device.

use crate::cpu::alloc;
use crate::device::Device;
use crate::error::{Error, Result};
use std::any::Any;
use std::cell::Cell;
use std::rc::Rc;

enum Owner {
    /// From the caching allocator.
    Cache,
    /// Memory of somebody else (numpy, DLPack, a mapped file), kept alive by this value.
    Foreign { _keep: Box<dyn Any> },
    /// A device buffer.
    #[cfg(feature = "gpu")]
    Gpu(crate::gpu::api::GpuBuffer),
}

pub struct StorageImpl {
    data: *mut u8,
    bytes: usize,
    device: Device,
    owner: Owner,
    read_only: Cell<bool>,
}

/// What a CPU kernel that was handed device memory unwinds with, instead of following a null pointer.
pub struct DeviceMemory;

impl DeviceMemory {
    pub fn error(op: &str) -> crate::error::Error {
        crate::err!(
            NotImplemented,
            "The operator '{op}' is not currently implemented for device 'gpu'. Move its tensors with .cpu() first"
        )
    }
}

/// Shared by a tensor and its views.
#[derive(Clone)]
pub struct Storage(Rc<StorageImpl>);

impl Drop for StorageImpl {
    fn drop(&mut self) {
        if let Owner::Cache = self.owner {
            // SAFETY: allocated with the same byte count in `Storage::new`; this is the last owner.
            unsafe { alloc::release(self.data, self.bytes) }
        }
    }
}

/// The error of a request that memory does not suffice for.
pub fn no_memory(bytes: usize) -> Error {
    crate::err!(
        Runtime,
        "[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried to allocate {bytes} \
         bytes. Error code 12 (Cannot allocate memory)"
    )
}

impl Storage {
    /// Uninitialised memory of the CPU.
    #[inline]
    pub fn new(bytes: usize) -> Result<Storage> {
        let data = alloc::allocate(bytes);
        if data.is_null() {
            return Err(no_memory(bytes));
        }
        Ok(Storage(Rc::new(StorageImpl {
            data,
            bytes,
            device: Device::Cpu,
            owner: Owner::Cache,
            read_only: Cell::new(false),
        })))
    }

    /// Memory of somebody else.
    ///
    /// # Safety
    /// `data` must be readable (and writable unless `read_only`) for `bytes` bytes while `keep` lives.
    pub unsafe fn foreign(
        data: *mut u8,
        bytes: usize,
        read_only: bool,
        keep: Box<dyn Any>,
    ) -> Storage {
        Storage(Rc::new(StorageImpl {
            data,
            bytes,
            device: Device::Cpu,
            owner: Owner::Foreign { _keep: keep },
            read_only: Cell::new(read_only),
        }))
    }

    #[cfg(feature = "gpu")]
    pub fn from_gpu(buffer: crate::gpu::api::GpuBuffer, bytes: usize, device: Device) -> Storage {
        Storage(Rc::new(StorageImpl {
            data: std::ptr::null_mut(),
            bytes,
            device,
            owner: Owner::Gpu(buffer),
            read_only: Cell::new(false),
        }))
    }

    #[cfg(feature = "gpu")]
    pub fn gpu(&self) -> Option<&crate::gpu::api::GpuBuffer> {
        match &self.0.owner {
            Owner::Gpu(b) => Some(b),
            _ => None,
        }
    }

    /// The first byte of host memory. Device memory has no address: asking for one unwinds with `DeviceMemory`, which
    /// the boundary to Python turns into an error that names the op.
    #[inline]
    pub fn data(&self) -> *mut u8 {
        #[cfg(feature = "gpu")]
        if self.0.data.is_null() {
            self.refuse_device_memory();
        }
        self.0.data
    }

    #[cfg(feature = "gpu")]
    #[cold]
    fn refuse_device_memory(&self) {
        if let Owner::Gpu(_) = self.0.owner {
            std::panic::panic_any(DeviceMemory);
        }
    }

    #[inline]
    pub fn bytes(&self) -> usize {
        self.0.bytes
    }

    #[inline]
    pub fn device(&self) -> Device {
        self.0.device
    }

    #[inline]
    pub fn is_read_only(&self) -> bool {
        self.0.read_only.get()
    }

    /// Whether both are the same memory.
    #[inline]
    pub fn same(&self, other: &Storage) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    /// Whether this is the only handle.
    #[inline]
    pub fn is_unique(&self) -> bool {
        Rc::strong_count(&self.0) == 1
    }

    /// A number that identifies the storage while it lives.
    pub fn id(&self) -> usize {
        Rc::as_ptr(&self.0) as *const u8 as usize
    }
}
