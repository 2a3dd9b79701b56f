//! Checkpoints: PyTorch's `.pt` files and safetensors, read and written as data.
//!
//! Nothing in a file is ever executed. `pickle` interprets the object stream into a [`graph::Graph`], `writer` turns
//! one back into a stream that PyTorch reads, `archive` and `legacy` are the containers around it.

pub mod archive;
pub mod graph;
mod json;
pub mod legacy;
mod names;
pub mod pickle;
mod rebuild;
pub mod safetensors;
pub mod writer;
