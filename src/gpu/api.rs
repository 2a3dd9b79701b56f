//! The types at the seam between the tensor core and the device: elements, buffers, operands, scalars, errors.

use std::fmt;
use std::sync::Arc;

/// What went wrong on the device, by the kind of exception the caller raises.
#[derive(Clone, Debug, PartialEq)]
pub enum Error {
    /// No adapter, or none that may be used.
    NoDevice(String),
    /// The device or this backend has no kernel for what was asked.
    Unsupported(String),
    /// The device refused an allocation.
    OutOfMemory(String),
    /// The driver reported a failure, or an argument was out of range.
    Failed(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDevice(m) | Self::Unsupported(m) | Self::OutOfMemory(m) | Self::Failed(m) => {
                f.write_str(m)
            }
        }
    }
}

impl std::error::Error for Error {}

pub type Result<T> = std::result::Result<T, Error>;

/// Element types that device memory can hold.
///
/// WGSL has no 8-bit and few 16-bit storage types, so the narrow integers and `Bool` take one 32-bit word each, and
/// `BF16` is kept as the `f32` it stands for, rounded at every store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Elem {
    F32,
    F16,
    BF16,
    I64,
    I32,
    I16,
    I8,
    U8,
    Bool,
}

/// The WGSL type in which an expression over an [`Elem`] is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    F32,
    I64,
    I32,
    U32,
}

impl Class {
    pub fn wgsl(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::I64 => "i64",
            Self::I32 => "i32",
            Self::U32 => "u32",
        }
    }
}

impl Elem {
    /// Bytes of one element in device memory.
    pub fn device_bytes(self) -> u64 {
        match self {
            Self::F16 => 2,
            Self::I64 => 8,
            _ => 4,
        }
    }

    /// Bytes of one element in host memory.
    pub fn host_bytes(self) -> usize {
        match self {
            Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::BF16 | Self::I16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }

    pub fn class(self) -> Class {
        match self {
            Self::F32 | Self::F16 | Self::BF16 => Class::F32,
            Self::I64 => Class::I64,
            Self::I32 | Self::I16 | Self::I8 => Class::I32,
            Self::U8 | Self::Bool => Class::U32,
        }
    }

    /// The WGSL type of one element in a storage buffer.
    pub fn storage(self) -> &'static str {
        match self {
            Self::F16 => "f16",
            other => other.class().wgsl(),
        }
    }

    /// PyTorch's name of the scalar type, for messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "Float",
            Self::F16 => "Half",
            Self::BF16 => "BFloat16",
            Self::I64 => "Long",
            Self::I32 => "Int",
            Self::I16 => "Short",
            Self::I8 => "Char",
            Self::U8 => "Byte",
            Self::Bool => "Bool",
        }
    }

    /// True where device memory holds the elements exactly as host memory does.
    pub fn same_on_host(self) -> bool {
        self.device_bytes() as usize == self.host_bytes()
    }

    /// The error of an op that has no kernel for this type.
    pub fn unsupported(self, op: &str) -> Error {
        Error::Unsupported(not_implemented(op, self.name()))
    }
}

/// PyTorch's wording for a kernel that does not exist for a scalar type.
pub fn not_implemented(op: &str, scalar_type: &str) -> String {
    format!("\"{op}\" not implemented for '{scalar_type}' on gpu")
}

/// A number passed to a kernel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scalar {
    F(f64),
    I(i64),
}

impl Scalar {
    pub fn as_f64(self) -> f64 {
        match self {
            Self::F(v) => v,
            Self::I(v) => v as f64,
        }
    }

    pub fn as_i64(self) -> i64 {
        match self {
            Self::F(v) => v as i64,
            Self::I(v) => v,
        }
    }
}

/// Device memory. Clones share it; the last one gives it back to the pool.
///
/// The queue executes in order, so memory given back may be handed out again at once: work recorded later runs later.
#[derive(Clone, Debug)]
pub struct GpuBuffer(Arc<Slice>);

#[derive(Debug)]
struct Slice {
    block: u32,
    offset: u64,
    /// What was given: what was asked for, rounded up to the pool's grain.
    capacity: u64,
    /// What was asked for.
    bytes: u64,
}

impl GpuBuffer {
    pub(super) fn new(block: u32, offset: u64, capacity: u64, bytes: u64) -> Self {
        Self(Arc::new(Slice {
            block,
            offset,
            capacity,
            bytes,
        }))
    }

    /// The size that was asked for.
    pub fn bytes(&self) -> u64 {
        self.0.bytes
    }

    /// The size that was given: what was asked for, rounded up to the pool's grain.
    pub(super) fn capacity(&self) -> u64 {
        self.0.capacity
    }

    pub(super) fn block(&self) -> u32 {
        self.0.block
    }

    /// Where the buffer starts inside its block, in bytes.
    pub(super) fn start(&self) -> u64 {
        self.0.offset
    }

    pub fn same_memory(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// True where this handle is the only one.
    pub fn unique(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }

    /// A number that tells live buffers apart, as an address does for host memory.
    pub fn address(&self) -> u64 {
        (u64::from(self.0.block) << 40) + self.0.offset
    }
}

impl Drop for Slice {
    fn drop(&mut self) {
        if let Ok(gpu) = super::device::gpu() {
            gpu.release(self.block, self.offset, self.capacity, self.bytes);
        }
    }
}

/// A strided view of device memory: what a kernel reads or writes.
#[derive(Clone, Copy, Debug)]
pub struct Operand<'a> {
    pub buffer: &'a GpuBuffer,
    /// Elements from the start of the buffer to the first element.
    pub offset: usize,
    pub elem: Elem,
    pub dims: &'a [usize],
    /// In elements; may be zero or negative.
    pub strides: &'a [isize],
}

impl Operand<'_> {
    pub fn numel(&self) -> usize {
        self.dims.iter().product()
    }

    /// The offset from the start of the block the buffer lies in, in elements.
    pub(super) fn base(&self) -> Result<u32> {
        let base = self.buffer.start() / self.elem.device_bytes() + self.offset as u64;
        u32::try_from(base)
            .map_err(|_| Error::Failed("a gpu tensor's offset does not fit in 32 bits".into()))
    }

    /// Refuses an operand that reaches outside its buffer: shaders run without bounds checks.
    pub(super) fn check(&self) -> Result<()> {
        if self.dims.len() != self.strides.len() {
            return Err(Error::Failed(
                "a gpu operand has as many strides as sizes".into(),
            ));
        }
        if self.dims.contains(&0) {
            return Ok(());
        }
        let (mut low, mut high) = (self.offset as i128, self.offset as i128);
        for (&dim, &stride) in self.dims.iter().zip(self.strides) {
            let reach = (dim as i128 - 1) * stride as i128;
            if reach < 0 {
                low += reach;
            } else {
                high += reach;
            }
        }
        let held = (self.buffer.capacity() / self.elem.device_bytes()) as i128;
        if low < 0 || high >= held {
            return Err(Error::Failed(format!(
                "sizes {:?}, strides {:?} and offset {} reach outside a gpu buffer of {} bytes",
                self.dims,
                self.strides,
                self.offset,
                self.buffer.bytes()
            )));
        }
        Ok(())
    }
}
