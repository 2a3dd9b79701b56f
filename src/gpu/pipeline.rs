//! Kernels from templates: expansion, compilation, and the caches of pipelines and bind groups.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex};

use smallvec::SmallVec;

use super::api::{Elem, Error, Result};
use super::device::{Gpu, lock};
use super::stream::ring_layout;
use super::wgsl::{Source, expand};

/// Parameters of one dispatch, at most.
pub const MAX_PARAM_BYTES: u32 = 512;
/// Storage buffers one kernel binds, at most: what the smallest device offers.
pub const MAX_BUFFERS: usize = 8;
/// Lanes in a workgroup, for the kernels that have no reason to differ.
pub const GROUP: u32 = 256;

/// A compiled kernel.
pub struct Kernel {
    pub pipeline: wgpu::ComputePipeline,
    /// True where the parameters come from the uniform ring.
    pub uniform: bool,
}

/// What tells kernels apart. Never a shape: those are parameters.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key<'a> {
    pub family: &'static str,
    pub text: &'a str,
    pub elems: &'a [Elem],
    /// Whatever else the family's template depends on.
    pub variant: u64,
}

struct Cached {
    family: &'static str,
    text: String,
    elems: SmallVec<[Elem; 6]>,
    variant: u64,
    kernel: Arc<Kernel>,
}

impl Cached {
    fn is(&self, key: &Key<'_>) -> bool {
        self.family == key.family
            && self.text == key.text
            && self.elems[..] == *key.elems
            && self.variant == key.variant
    }
}

pub struct Kernels {
    compiled: Mutex<HashMap<u64, Vec<Cached>>>,
    groups: Mutex<HashMap<SmallVec<[u32; MAX_BUFFERS]>, wgpu::BindGroup>>,
    storage: Vec<wgpu::BindGroupLayout>,
    ring: wgpu::BindGroupLayout,
    checked: bool,
    dump: Option<std::path::PathBuf>,
}

impl Kernels {
    pub fn new(device: &wgpu::Device) -> Self {
        let layout = |count: usize| {
            let entries: Vec<_> = (0..count as u32)
                .map(|binding| wgpu::BindGroupLayoutEntry {
                    binding,
                    visibility: wgpu::ShaderStages::COMPUTE,
                    // All read_write: operands share blocks, and a block may not be bound both ways in one dispatch.
                    ty: wgpu::BindingType::Buffer {
                        ty: wgpu::BufferBindingType::Storage { read_only: false },
                        has_dynamic_offset: false,
                        min_binding_size: None,
                    },
                    count: None,
                })
                .collect();
            device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
                label: None,
                entries: &entries,
            })
        };
        Self {
            compiled: Mutex::default(),
            groups: Mutex::default(),
            storage: (0..=MAX_BUFFERS).map(layout).collect(),
            ring: ring_layout(device),
            checked: std::env::var("RTORCH_GPU_CHECKED").is_ok_and(|v| !v.is_empty() && v != "0"),
            dump: std::env::var_os("RTORCH_GPU_DUMP").map(Into::into),
        }
    }

    /// The kernel for a key, compiled from `source` at its first use.
    pub fn get<'a>(
        &self,
        gpu: &Gpu,
        key: Key<'_>,
        source: impl FnOnce() -> Result<Source<'a>>,
    ) -> Result<Arc<Kernel>> {
        let mut hasher = Fnv::default();
        key.hash(&mut hasher);
        let print = hasher.finish();
        let mut compiled = lock(&self.compiled);
        if let Some(found) = compiled
            .get(&print)
            .and_then(|v| v.iter().find(|c| c.is(&key)))
        {
            return Ok(found.kernel.clone());
        }
        let kernel = Arc::new(self.compile(gpu, &key, source()?)?);
        compiled.entry(print).or_default().push(Cached {
            family: key.family,
            text: key.text.to_string(),
            elems: SmallVec::from_slice(key.elems),
            variant: key.variant,
            kernel: kernel.clone(),
        });
        Ok(kernel)
    }

    fn compile(&self, gpu: &Gpu, key: &Key<'_>, source: Source<'_>) -> Result<Kernel> {
        let rows = source.params.len().div_ceil(4) as u32;
        let uniform = rows * 16 > gpu.caps.immediates;
        if rows * 16 > MAX_PARAM_BYTES || source.buffers.len() > MAX_BUFFERS {
            return Err(Error::Failed(format!(
                "gpu kernel {} takes {} buffers and {} parameters: too many",
                key.family,
                source.buffers.len(),
                source.params.len()
            )));
        }
        let wgsl = expand(&source, uniform)?;
        if let Some(dir) = &self.dump {
            let name = format!("{}-{:016x}.wgsl", key.family, fingerprint(&wgsl));
            std::fs::create_dir_all(dir)
                .and_then(|()| std::fs::write(dir.join(name), &wgsl))
                .map_err(|e| Error::Failed(format!("RTORCH_GPU_DUMP: {}: {e}", dir.display())))?;
        }
        let device = &gpu.device;
        let scope = device.push_error_scope(wgpu::ErrorFilter::Validation);
        let described = wgpu::ShaderModuleDescriptor {
            label: Some(key.family),
            source: wgpu::ShaderSource::Wgsl(wgsl.as_str().into()),
        };
        let module = if self.checked {
            device.create_shader_module(described)
        } else {
            let mut checks = wgpu::ShaderRuntimeChecks::unchecked();
            // Divisors come from tensors and may be zero.
            checks.int_div_checks = true;
            // SAFETY: every launch checks that its operands lie inside their buffers (`Operand::check`), the templates
            // guard each index by the extents passed, and their loops count up to those extents, so they end.
            unsafe { device.create_shader_module_trusted(described, checks) }
        };
        let storage = &self.storage[source.buffers.len()];
        let groups = [Some(storage), Some(&self.ring)];
        let layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: None,
            bind_group_layouts: if uniform { &groups } else { &groups[..1] },
            immediate_size: if uniform { 0 } else { rows * 16 },
        });
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(key.family),
            layout: Some(&layout),
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &[],
                zero_initialize_workgroup_memory: false,
            },
            cache: None,
        });
        match pollster::block_on(scope.pop()) {
            None => Ok(Kernel { pipeline, uniform }),
            Some(e) => Err(Error::Failed(format!(
                "gpu kernel {} ({}) does not compile: {e}",
                key.family, key.text
            ))),
        }
    }

    /// The group that binds these whole blocks, in this order.
    pub fn bind(&self, gpu: &Gpu, blocks: &[u32]) -> Result<wgpu::BindGroup> {
        let mut groups = lock(&self.groups);
        if let Some(found) = groups.get(blocks) {
            return Ok(found.clone());
        }
        let buffers = blocks
            .iter()
            .map(|&b| gpu.block_buffer(b))
            .collect::<Result<SmallVec<[_; MAX_BUFFERS]>>>()?;
        let entries: SmallVec<[_; MAX_BUFFERS]> = buffers
            .iter()
            .zip(0..)
            .map(|(buffer, binding)| wgpu::BindGroupEntry {
                binding,
                resource: buffer.as_entire_binding(),
            })
            .collect();
        let group = gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &self.storage[blocks.len()],
            entries: &entries,
        });
        groups.insert(SmallVec::from_slice(blocks), group.clone());
        Ok(group)
    }

    /// Drops the groups that would keep blocks given back alive.
    pub fn forget_blocks(&self, gone: &[u32]) {
        if !gone.is_empty() {
            lock(&self.groups).retain(|blocks, _| !blocks.iter().any(|b| gone.contains(b)));
        }
    }
}

/// FNV-1a: short keys, and stable from run to run, as the names of dumped shaders must be.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

fn fingerprint(text: &str) -> u64 {
    let mut hasher = Fnv::default();
    hasher.write(text.as_bytes());
    hasher.finish()
}
