//! The device backend: any vendor's gpu through wgpu (Vulkan, Metal, DirectX 12).
//!
//! `api` holds the types at the seam, `device` the adapter, `pool` its memory, `stream` the recorder, `pipeline` and
//! `wgsl` turn templates into kernels, `launch` lays out their parameters, `elementwise`, `reduce`,
//! `matmul` and `random` are the kernels, and `bridge` is what the tensor core calls.

pub mod api;
mod bridge;
pub mod device;
pub mod elementwise;
pub mod index;
mod launch;
pub mod matmul;
mod optim;
mod pipeline;
mod pool;
pub mod random;
pub mod reduce;
mod stream;
#[cfg(test)]
mod testing;
mod wgsl;

pub use bridge::{
    adam, arange, arg_extreme, by_index, by_indices, copy, elem_of, fill, fold, manual_seed,
    matmul, new_storage, pointwise, random, sgd, with_generator,
};
pub use device::{Gpu, gpu, is_available};
pub use index::Move;
pub use random::Law;
pub use reduce::Fold;

/// Devices that can be used: one, the best, where there is any.
pub fn device_count() -> usize {
    usize::from(is_available())
}
