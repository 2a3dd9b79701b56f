//! Special functions: error, gamma, Bessel and friends.

pub static ROWS: &[&crate::ops::OpDef] = &[];
