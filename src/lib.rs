//! rtorch: PyTorch's public API over one Rust crate.
//!
//! Read from the top down; a module uses only what stands above it (ops and autograd name each other by design).
//!
//! - [`error`], [`dtype`], [`scalar`], [`device`], [`shape`]: the vocabulary
//! - [`random`]: PyTorch's random streams
//! - [`cpu`]: kernels over plain memory, chosen by instruction set at run time
//! - [`gpu`]: the compute-shader backend (feature `gpu`)
//! - [`storage`], [`tensor`]: reference-counted memory and strided views of it
//! - [`iter`]: broadcasts, promotes and walks operands, hands runs to kernels
//! - [`autograd`]: the graph, the engine, gradient formulas as arithmetic
//! - [`ops`]: the table, one row per op
//! - [`io`]: checkpoints without executing pickles
//! - `python`: the extension module, made from the table (feature `python`)

pub mod error;

pub mod dtype;

pub mod device;
pub mod scalar;
pub mod shape;

pub mod random;

pub mod cpu;
#[cfg(feature = "gpu")]
pub mod gpu;

pub mod list;
pub mod storage;
pub mod tensor;

pub mod iter;

pub mod autograd;

pub mod ops;

pub mod io;

#[cfg(feature = "python")]
mod python;

pub use device::Device;
pub use dtype::DType;
pub use error::{Error, Result};
pub use scalar::Scalar;
pub use tensor::Tensor;
