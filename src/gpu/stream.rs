//! The recorder: collects dispatches and submits many at once (one submit each costs 33 us, a recorded one under 1 us).

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc;

use super::api::{Error, GpuBuffer, Result};
use super::device::{Caps, Gpu};
use super::pipeline::{Kernel, MAX_PARAM_BYTES};

/// Dispatches a submit carries at most. Longer batches keep an idle device waiting.
const BATCH: usize = 64;
/// Submits that may be under way before the recorder waits for the oldest.
const IN_FLIGHT: usize = 16;
/// Bytes of parameters a batch can carry where they go through a uniform buffer.
const RING_BYTES: u64 = 128 << 10;
/// Uploads without a submit exhaust the driver's staging memory.
const WRITES: usize = 64;
/// A staging buffer up to this size is kept for the next readback.
const KEPT_STAGING: u64 = 16 << 20;

struct Dispatch {
    kernel: Arc<Kernel>,
    bind: wgpu::BindGroup,
    /// The kernel's parameters: at this range of `Stream::params`.
    params: std::ops::Range<usize>,
    grid: [u32; 3],
}

pub struct Stream {
    pending: Vec<Dispatch>,
    params: Vec<u8>,
    /// Spacing of parameter sets in `params`: 16 for immediates, the device's alignment for the uniform ring.
    align: usize,
    ring: Option<(wgpu::Buffer, wgpu::BindGroup)>,
    in_flight: VecDeque<wgpu::SubmissionIndex>,
    writes: usize,
    staging: Option<wgpu::Buffer>,
}

/// The layout of the group that holds the uniform ring.
pub fn ring_layout(device: &wgpu::Device) -> wgpu::BindGroupLayout {
    device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
        label: None,
        entries: &[wgpu::BindGroupLayoutEntry {
            binding: 0,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer {
                ty: wgpu::BufferBindingType::Uniform,
                has_dynamic_offset: true,
                min_binding_size: None,
            },
            count: None,
        }],
    })
}

impl Stream {
    pub fn new(device: &wgpu::Device, caps: &Caps) -> Self {
        let ring = (caps.immediates < MAX_PARAM_BYTES).then(|| {
            let buffer = device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("parameters"),
                size: RING_BYTES,
                usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            });
            let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: None,
                layout: &ring_layout(device),
                entries: &[wgpu::BindGroupEntry {
                    binding: 0,
                    resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                        buffer: &buffer,
                        offset: 0,
                        size: wgpu::BufferSize::new(u64::from(MAX_PARAM_BYTES)),
                    }),
                }],
            });
            (buffer, group)
        });
        let align = if ring.is_some() {
            caps.uniform_align.max(16)
        } else {
            16
        };
        Self {
            pending: Vec::with_capacity(BATCH),
            params: Vec::new(),
            align: align as usize,
            ring,
            in_flight: VecDeque::new(),
            writes: 0,
            staging: None,
        }
    }

    /// Records one dispatch. `params` is padded to whole 16-byte rows, as shaders declare them.
    pub fn dispatch(
        &mut self,
        gpu: &Gpu,
        kernel: Arc<Kernel>,
        bind: wgpu::BindGroup,
        params: &[u32],
        grid: [u32; 3],
    ) -> Result<()> {
        let bytes = params.len() * 4;
        let room = RING_BYTES as usize - MAX_PARAM_BYTES as usize;
        if self.pending.len() >= BATCH || self.params.len() + bytes > room {
            self.flush(gpu)?;
        }
        let start = self.params.len();
        for word in params {
            self.params.extend_from_slice(&word.to_le_bytes());
        }
        let end = start + bytes.next_multiple_of(16);
        self.params.resize(end.next_multiple_of(self.align), 0);
        self.pending.push(Dispatch {
            kernel,
            bind,
            params: start..end,
            grid,
        });
        Ok(())
    }

    fn encode(&mut self, gpu: &Gpu, encoder: &mut wgpu::CommandEncoder) {
        if self.pending.is_empty() {
            return;
        }
        if let Some((buffer, _)) = &self.ring
            && self.pending.iter().any(|d| d.kernel.uniform)
        {
            gpu.queue.write_buffer(buffer, 0, &self.params);
        }
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
            label: None,
            timestamp_writes: None,
        });
        let mut last: Option<&Arc<Kernel>> = None;
        for op in &self.pending {
            if !last.is_some_and(|k| Arc::ptr_eq(k, &op.kernel)) {
                pass.set_pipeline(&op.kernel.pipeline);
                last = Some(&op.kernel);
            }
            pass.set_bind_group(0, &op.bind, &[]);
            match (&self.ring, op.kernel.uniform) {
                (Some((_, group)), true) => {
                    pass.set_bind_group(1, group, &[op.params.start as u32])
                }
                _ if op.params.is_empty() => {}
                _ => pass.set_immediates(0, &self.params[op.params.clone()]),
            }
            pass.dispatch_workgroups(op.grid[0], op.grid[1], op.grid[2]);
        }
        drop(pass);
        self.pending.clear();
        self.params.clear();
    }

    fn submit(
        &mut self,
        gpu: &Gpu,
        encoder: wgpu::CommandEncoder,
    ) -> Result<wgpu::SubmissionIndex> {
        let index = gpu.queue.submit([encoder.finish()]);
        self.writes = 0;
        self.in_flight.push_back(index.clone());
        if self.in_flight.len() > IN_FLIGHT
            && let Some(oldest) = self.in_flight.pop_front()
        {
            wait(gpu, Some(oldest))?;
        }
        Ok(index)
    }

    /// Submits what was recorded.
    pub fn flush(&mut self, gpu: &Gpu) -> Result<()> {
        if self.pending.is_empty() && self.writes == 0 {
            return Ok(());
        }
        gpu.check_process()?;
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        self.encode(gpu, &mut encoder);
        self.submit(gpu, encoder)?;
        Ok(())
    }

    pub fn synchronize(&mut self, gpu: &Gpu) -> Result<()> {
        self.flush(gpu)?;
        self.in_flight.clear();
        wait(gpu, None)?;
        gpu.check_failure()
    }

    pub fn write(
        &mut self,
        gpu: &Gpu,
        buffer: &GpuBuffer,
        offset: u64,
        bytes: &[u8],
    ) -> Result<()> {
        // The write runs before anything still unsubmitted, and the memory may have had another tenant until now.
        if !self.pending.is_empty() || self.writes >= WRITES {
            self.flush(gpu)?;
        }
        gpu.check_process()?;
        let block = gpu.block_buffer(buffer.block())?;
        let at = buffer.start() + offset;
        let whole = bytes.len() & !3;
        gpu.queue.write_buffer(&block, at, &bytes[..whole]);
        if whole < bytes.len() {
            let mut tail = [0; 4];
            tail[..bytes.len() - whole].copy_from_slice(&bytes[whole..]);
            gpu.queue.write_buffer(&block, at + whole as u64, &tail);
        }
        self.writes += 1;
        Ok(())
    }

    pub fn read(
        &mut self,
        gpu: &Gpu,
        buffer: &GpuBuffer,
        offset: u64,
        bytes: u64,
    ) -> Result<Vec<u8>> {
        if bytes == 0 {
            return Ok(Vec::new());
        }
        gpu.check_process()?;
        let start = buffer.start() + offset;
        let (from, to) = (start & !3, (start + bytes).next_multiple_of(4));
        let size = to - from;
        let staging = match self.staging.take() {
            Some(kept) if kept.size() >= size => kept,
            _ => gpu.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("readback"),
                size: size
                    .next_power_of_two()
                    .max(64 << 10)
                    .min(size.max(KEPT_STAGING)),
                usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            }),
        };
        let block = gpu.block_buffer(buffer.block())?;
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        self.encode(gpu, &mut encoder);
        encoder.copy_buffer_to_buffer(&block, from, &staging, 0, Some(size));
        let index = self.submit(gpu, encoder)?;
        let (done, mapped) = mpsc::channel();
        staging.map_async(wgpu::MapMode::Read, 0..size, move |result| {
            // The receiver waits below; a send can only fail once nobody waits any more.
            let _ = done.send(result);
        });
        wait(gpu, Some(index))?;
        gpu.check_failure()?;
        match mapped.try_recv() {
            Ok(Ok(())) => {}
            other => {
                return Err(Error::Failed(format!(
                    "reading back from the gpu failed: {other:?}"
                )));
            }
        }
        let view = staging
            .get_mapped_range(0..size)
            .map_err(|e| Error::Failed(format!("reading back from the gpu failed: {e}")))?;
        let first = (start - from) as usize;
        let out = view[first..first + bytes as usize].to_vec();
        drop(view);
        staging.unmap();
        if staging.size() <= KEPT_STAGING {
            self.staging = Some(staging);
        }
        Ok(out)
    }
}

fn wait(gpu: &Gpu, index: Option<wgpu::SubmissionIndex>) -> Result<()> {
    gpu.device
        .poll(wgpu::PollType::Wait {
            submission_index: index,
            timeout: None,
        })
        .map(drop)
        .map_err(|e| Error::Failed(format!("waiting for the gpu failed: {e}")))
}
