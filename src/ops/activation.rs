//! Activation functions of neural networks.

pub static ROWS: &[&crate::ops::OpDef] = &[];
