//! Matrix products.

pub static ROWS: &[&crate::ops::OpDef] = &[];
