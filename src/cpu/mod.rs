//! Kernels of the CPU: plain functions over memory, free of tensors.

pub mod alloc;
pub mod cast;
pub mod complex;
pub mod conv;
pub mod ctc;
pub mod element;
pub mod fft;
pub mod gemm;
pub mod grid;
pub mod index;
pub mod int;
pub mod isa;
pub mod lanes;
pub mod loss;
pub mod math;
pub mod norm;
pub mod optim;
pub mod parallel;
pub mod pool;
pub mod reduce;
pub mod resample;
pub mod rows;
pub mod scan;
pub mod sort;
pub mod special;
pub mod vector;
