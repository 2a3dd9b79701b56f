//! The device backend: any vendor's gpu through wgpu (Vulkan, Metal, DirectX 12).
//!
//! `api` holds the types at the seam, `device` the adapter, `pool` its memory, `stream` the recorder, `pipeline` and
//! `wgsl` turn templates into kernels, `launch` lays out their parameters, and the rest are the kernels themselves.

pub mod api;
pub mod device;
pub mod elementwise;
mod launch;
pub mod matmul;
mod pipeline;
mod pool;
pub mod random;
pub mod reduce;
mod stream;
#[cfg(test)]
mod testing;
mod wgsl;
