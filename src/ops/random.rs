//! Random tensors: PyTorch's CPU streams, bit for bit.

use super::args::GeneratorHandle;
use crate::random::Generator;
use std::sync::{Arc, Mutex, OnceLock};

static DEFAULT: OnceLock<GeneratorHandle> = OnceLock::new();

/// The generator that random functions use when none is given; its seed differs from process to process.
pub fn default_generator() -> GeneratorHandle {
    DEFAULT
        .get_or_init(|| {
            let mut g = Generator::default();
            g.seed();
            Arc::new(Mutex::new(g))
        })
        .clone()
}

pub static ROWS: &[&crate::ops::OpDef] = &[];
