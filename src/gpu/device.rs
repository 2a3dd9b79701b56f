//! The adapter and the device, opened at first use.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::api::{Elem, Error, GpuBuffer, Result, not_implemented};
use super::pipeline::Kernels;
use super::pool::{MemoryStats, Pool};
use super::stream::Stream;

/// What the device can do; every kernel has a form for a device that can do none of it.
#[derive(Clone, Debug)]
pub struct Caps {
    pub name: String,
    /// "Vulkan", "Metal" or "DX12", with the driver's own description.
    pub driver: String,
    /// True for an adapter that computes on the processor.
    pub software: bool,
    pub f16: bool,
    pub i64: bool,
    /// Bytes of kernel parameters that travel with the command itself; 0 where only a uniform buffer can carry them.
    pub immediates: u32,
    pub max_binding: u64,
    pub max_grid: u32,
    pub uniform_align: u32,
}

impl Caps {
    pub fn holds(&self, elem: Elem) -> bool {
        match elem {
            Elem::F16 => self.f16,
            Elem::I64 => self.i64,
            _ => true,
        }
    }
}

pub struct Gpu {
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    pub caps: Caps,
    pool: Mutex<Pool>,
    stream: Mutex<Stream>,
    pub(super) kernels: Kernels,
    failure: Arc<Mutex<Option<String>>>,
    owner: u32,
}

static GPU: OnceLock<Result<Gpu>> = OnceLock::new();

/// The device, opened if it was not yet.
pub fn gpu() -> Result<&'static Gpu> {
    GPU.get_or_init(Gpu::open).as_ref().map_err(Clone::clone)
}

/// True where a device can be used; opens it to find out.
pub fn is_available() -> bool {
    gpu().is_ok()
}

/// A panic elsewhere leaves these maps usable: they hold no half-made state across a call out.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn switched_on(name: &str) -> bool {
    std::env::var(name).is_ok_and(|v| !v.is_empty() && v != "0")
}

fn is_software(info: &wgpu::AdapterInfo) -> bool {
    let name = info.name.to_ascii_lowercase();
    info.device_type == wgpu::DeviceType::Cpu
        || ["llvmpipe", "lavapipe", "swiftshader", "basic render"]
            .iter()
            .any(|known| name.contains(known))
}

fn pick(instance: &wgpu::Instance) -> Result<wgpu::Adapter> {
    let backends = wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12;
    let mut adapters = pollster::block_on(instance.enumerate_adapters(backends));
    if let Ok(wanted) = std::env::var("RTORCH_GPU_ADAPTER") {
        let wanted = wanted.to_ascii_lowercase();
        adapters.retain(|a| a.get_info().name.to_ascii_lowercase().contains(&wanted));
    }
    let mut hidden = None;
    if !switched_on("RTORCH_GPU_ALLOW_CPU") {
        adapters.retain(|a| {
            let info = a.get_info();
            let software = is_software(&info);
            if software {
                hidden = Some(info.name);
            }
            !software
        });
    }
    let rank = |a: &wgpu::Adapter| match a.get_info().device_type {
        wgpu::DeviceType::DiscreteGpu => 0,
        wgpu::DeviceType::IntegratedGpu => 1,
        wgpu::DeviceType::VirtualGpu => 2,
        wgpu::DeviceType::Other => 3,
        wgpu::DeviceType::Cpu => 4,
    };
    adapters.sort_by_key(rank);
    adapters.into_iter().next().ok_or_else(|| {
        Error::NoDevice(match hidden {
            Some(name) => format!(
                "No gpu is available: the only adapter is {name}, which computes on the processor; set \
                 RTORCH_GPU_ALLOW_CPU=1 to use it all the same"
            ),
            None => "No gpu is available: no Vulkan, Metal or DirectX 12 adapter was found; install the graphics \
                     driver (on Linux also the Vulkan loader, libvulkan1, and in a container the driver's ICD file)"
                .to_string(),
        })
    })
}

impl Gpu {
    fn open() -> Result<Self> {
        let mut wanted = wgpu::InstanceDescriptor::new_without_display_handle();
        wanted.backends = wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12;
        wanted.flags = if switched_on("RTORCH_GPU_CHECKED") {
            wgpu::InstanceFlags::debugging()
        } else {
            wgpu::InstanceFlags::empty()
        };
        let instance = wgpu::Instance::new(wanted);
        let adapter = pick(&instance)?;
        let info = adapter.get_info();
        let plain = switched_on("RTORCH_GPU_PLAIN");
        let useful =
            wgpu::Features::IMMEDIATES | wgpu::Features::SHADER_F16 | wgpu::Features::SHADER_INT64;
        let features = if plain {
            wgpu::Features::empty()
        } else {
            adapter.features() & useful
        };
        let mut limits = adapter.limits();
        if !features.contains(wgpu::Features::IMMEDIATES) {
            limits.max_immediate_size = 0;
        }
        let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor {
            label: Some("rtorch"),
            required_features: features,
            required_limits: limits.clone(),
            ..Default::default()
        }))
        .map_err(|e| {
            Error::NoDevice(format!(
                "No gpu is available: {} could not be opened: {e}",
                info.name
            ))
        })?;
        let failure: Arc<Mutex<Option<String>>> = Arc::default();
        let (first, lost) = (failure.clone(), failure.clone());
        device.on_uncaptured_error(Arc::new(move |e: wgpu::Error| {
            lock(&first).get_or_insert_with(|| e.to_string());
        }));
        device.set_device_lost_callback(move |reason, message| {
            if reason != wgpu::DeviceLostReason::Destroyed {
                lock(&lost).get_or_insert_with(|| format!("the gpu was lost: {message}"));
            }
        });
        let caps = Caps {
            driver: format!("{:?} {} {}", info.backend, info.driver, info.driver_info),
            software: is_software(&info),
            name: info.name,
            f16: features.contains(wgpu::Features::SHADER_F16),
            i64: features.contains(wgpu::Features::SHADER_INT64),
            immediates: limits.max_immediate_size,
            // Half of what 32-bit byte arithmetic in drivers can reach; larger bindings gave wrong results elsewhere.
            max_binding: limits
                .max_storage_buffer_binding_size
                .min(limits.max_buffer_size)
                .min((1 << 31) - 1)
                & !255,
            max_grid: limits.max_compute_workgroups_per_dimension,
            uniform_align: limits.min_uniform_buffer_offset_alignment,
        };
        Ok(Self {
            kernels: Kernels::new(&device),
            stream: Mutex::new(Stream::new(&device, &caps)),
            pool: Mutex::default(),
            device,
            queue,
            caps,
            failure,
            owner: std::process::id(),
        })
    }

    /// Refuses an element type that the device cannot hold, in the name of `op`.
    pub fn require(&self, op: &str, elem: Elem) -> Result<()> {
        if self.caps.holds(elem) {
            return Ok(());
        }
        Err(Error::Unsupported(format!(
            "{}: {} has no {} arithmetic in shaders",
            not_implemented(op, elem.name()),
            self.caps.name,
            if elem == Elem::F16 {
                "16-bit float"
            } else {
                "64-bit integer"
            }
        )))
    }

    /// Refuses work in a forked child: the driver's threads stayed in the parent.
    pub(super) fn check_process(&self) -> Result<()> {
        if std::process::id() == self.owner {
            return Ok(());
        }
        Err(Error::Failed(
            "Cannot re-initialize the gpu in forked subprocess. To use the gpu with multiprocessing, you must use the \
             'spawn' start method"
                .into(),
        ))
    }

    /// Surfaces the first error the driver reported since the last call.
    pub(super) fn check_failure(&self) -> Result<()> {
        match lock(&self.failure).take() {
            Some(message) => Err(Error::Failed(format!("gpu error: {message}"))),
            None => Ok(()),
        }
    }

    fn create_block(&self, bytes: u64) -> Result<wgpu::Buffer> {
        self.check_process()?;
        let scope = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let buffer = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: bytes,
            usage: wgpu::BufferUsages::STORAGE
                | wgpu::BufferUsages::COPY_SRC
                | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        match pollster::block_on(scope.pop()) {
            None => Ok(buffer),
            Some(_) => Err(Error::OutOfMemory(format!(
                "gpu out of memory. Tried to allocate {:.2} MiB on {}",
                bytes as f64 / (1 << 20) as f64,
                self.caps.name
            ))),
        }
    }

    /// Memory for `bytes` bytes, holding anything.
    pub fn alloc(&self, bytes: u64) -> Result<GpuBuffer> {
        let limit = self.caps.max_binding;
        let first = lock(&self.pool).take(bytes, limit, |size| self.create_block(size));
        match first {
            Err(Error::OutOfMemory(_)) if bytes <= limit => {
                self.empty_cache()?;
                lock(&self.pool).take(bytes, limit, |size| self.create_block(size))
            }
            other => other,
        }
    }

    /// Memory for `numel` elements.
    pub fn alloc_elems(&self, elem: Elem, numel: usize) -> Result<GpuBuffer> {
        self.require("empty", elem)?;
        self.alloc(numel as u64 * elem.device_bytes())
    }

    pub(super) fn release(&self, block: u32, start: u64, bytes: u64, asked: u64) {
        lock(&self.pool).put(block, start, bytes, asked);
    }

    pub(super) fn with_stream<T>(&self, f: impl FnOnce(&mut Stream) -> Result<T>) -> Result<T> {
        f(&mut lock(&self.stream))
    }

    pub(super) fn block_buffer(&self, block: u32) -> Result<wgpu::Buffer> {
        lock(&self.pool).buffer(block).cloned()
    }

    /// Waits for all work recorded so far.
    pub fn synchronize(&self) -> Result<()> {
        self.with_stream(|s| s.synchronize(self))
    }

    /// Hands recorded work to the device without waiting for it.
    pub fn flush(&self) -> Result<()> {
        self.with_stream(|s| s.flush(self))
    }

    /// Gives memory that no tensor uses back to the driver.
    pub fn empty_cache(&self) -> Result<()> {
        self.synchronize()?;
        let idle = lock(&self.pool).trim();
        self.kernels.forget_blocks(&idle);
        Ok(())
    }

    pub fn memory_stats(&self) -> MemoryStats {
        lock(&self.pool).stats()
    }

    pub fn reset_peak_memory_stats(&self) {
        lock(&self.pool).reset_peaks();
    }

    /// Writes host bytes, laid out as on the device, at a byte offset of the buffer.
    pub fn write(&self, buffer: &GpuBuffer, offset: u64, bytes: &[u8]) -> Result<()> {
        if !offset.is_multiple_of(4)
            || offset + (bytes.len() as u64).next_multiple_of(4) > buffer.capacity()
        {
            return Err(Error::Failed(format!(
                "cannot write {} bytes at byte {offset} of a gpu buffer of {} bytes",
                bytes.len(),
                buffer.bytes()
            )));
        }
        self.with_stream(|s| s.write(self, buffer, offset, bytes))
    }

    /// Waits for the buffer's contents and copies `bytes` of them, from a byte offset, to the host.
    pub fn read(&self, buffer: &GpuBuffer, offset: u64, bytes: u64) -> Result<Vec<u8>> {
        if offset + bytes > buffer.capacity() {
            return Err(Error::Failed(format!(
                "cannot read {bytes} bytes at byte {offset} of a gpu buffer of {} bytes",
                buffer.bytes()
            )));
        }
        self.with_stream(|s| s.read(self, buffer, offset, bytes))
    }

    /// Copies a whole host array to a new buffer.
    pub fn upload(&self, elem: Elem, host: &[u8]) -> Result<GpuBuffer> {
        self.require("to", elem)?;
        let device = encode(elem, host);
        let buffer = self.alloc(device.len() as u64)?;
        self.write(&buffer, 0, &device)?;
        Ok(buffer)
    }

    /// Copies `numel` elements from element `offset` on to the host.
    pub fn download(
        &self,
        elem: Elem,
        buffer: &GpuBuffer,
        offset: usize,
        numel: usize,
    ) -> Result<Vec<u8>> {
        let size = elem.device_bytes();
        Ok(decode(
            elem,
            self.read(buffer, offset as u64 * size, numel as u64 * size)?,
        ))
    }
}

/// Host elements to device words.
pub(super) fn encode(elem: Elem, host: &[u8]) -> Cow<'_, [u8]> {
    let words: Vec<u8> = match elem {
        _ if elem.same_on_host() => return Cow::Borrowed(host),
        Elem::I8 => host
            .iter()
            .flat_map(|&b| i32::from(b as i8).to_le_bytes())
            .collect(),
        Elem::I16 => pairs(host)
            .flat_map(|v| i32::from(v as i16).to_le_bytes())
            .collect(),
        Elem::BF16 => pairs(host)
            .flat_map(|v| (u32::from(v) << 16).to_le_bytes())
            .collect(),
        _ => host
            .iter()
            .flat_map(|&b| u32::from(b).to_le_bytes())
            .collect(),
    };
    Cow::Owned(words)
}

fn pairs(bytes: &[u8]) -> impl Iterator<Item = u16> {
    bytes
        .chunks_exact(2)
        .map(|b| u16::from_le_bytes([b[0], b[1]]))
}

/// Device words to host elements: the inverse of [`encode`].
fn decode(elem: Elem, device: Vec<u8>) -> Vec<u8> {
    match elem {
        _ if elem.same_on_host() => device,
        Elem::I16 => device.chunks_exact(4).flat_map(|w| [w[0], w[1]]).collect(),
        Elem::BF16 => device.chunks_exact(4).flat_map(|w| [w[2], w[3]]).collect(),
        _ => device.iter().copied().step_by(4).collect(),
    }
}
