//! Shapes: axes merged and moved, elements repeated and turned, several tensors brought to one shape.

pub mod axes;
pub mod combine;
pub mod copies;
pub mod repeat;
pub mod turn;

pub use turn::flip;
