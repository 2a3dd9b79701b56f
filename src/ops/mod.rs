//! The op table: every op is one row, and everything a user can call is derived from it.

pub mod args;
#[macro_use]
pub mod declare;
pub mod schema;

pub mod activation;
pub mod attention;
pub mod axis_index;
pub mod binary;
pub mod bins;
pub mod bitwise;
pub mod blend;
pub mod class_loss;
pub mod compare;
pub mod complex;
pub mod conv;
pub mod coordinates;
pub mod copy;
pub mod create;
pub mod ctc;
pub mod differences;
pub mod distance;
pub mod dropout;
pub mod einsum;
pub mod elementary;
pub mod embedding;
pub mod facts;
pub mod fft;
pub mod fold;
pub mod grid;
pub mod index;
pub mod join;
pub mod linalg;
pub mod loss;
pub mod margin_loss;
pub mod mask;
pub mod matmul;
pub mod matrix;
pub mod minmax;
pub mod norm;
pub mod pad;
pub mod pixel;
pub mod pool;
pub mod random;
pub mod range;
pub mod reduce;
pub mod resample;
pub mod rnn;
pub mod scan;
pub mod scatter;
pub mod segments;
pub mod shape;
pub mod softmax;
pub mod sort;
pub mod special;
pub mod stats;
pub mod stft;
pub mod triangle;
pub mod unary;
pub mod vector_norm;
pub mod view;

use crate::error::Result;
use args::{Args, Value};
pub use declare::{Pointwise, Rule, Yields};

/// Where an op's name can be found.
pub mod space {
    /// `torch.name`
    pub const TORCH: u16 = 1;
    /// `Tensor.name`
    pub const METHOD: u16 = 2;
    /// `torch.nn.functional.name`
    pub const NN: u16 = 4;
    /// `torch.linalg.name`
    pub const LINALG: u16 = 8;
    /// `torch.special.name`
    pub const SPECIAL: u16 = 16;
    /// `torch.fft.name`
    pub const FFT: u16 = 32;
    /// `rtorch._C.name`, for the facade.
    pub const PRIVATE: u16 = 64;
    /// The public names, in the order of the bits.
    pub const NAMES: [&str; 7] = [
        "torch",
        "Tensor",
        "nn.functional",
        "linalg",
        "special",
        "fft",
        "_private",
    ];
}

/// How `name_` comes about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InPlace {
    No,
    /// The op writes its result over its first input.
    Yes,
}

/// One schema line and what it runs.
pub struct Overload {
    pub schema: &'static str,
    pub run: fn(&Args) -> Result<Value>,
}

/// One row of the table.
pub struct OpDef {
    pub name: &'static str,
    pub doc: &'static str,
    pub spaces: u16,
    /// Further names: `multiply`, or in one space only: `special.expit`.
    pub aliases: &'static [&'static str],
    pub overloads: &'static [Overload],
    pub in_place: InPlace,
    /// Accepts `out=`.
    pub out: bool,
    /// For elementwise ops: the loops, formulas and WGSL.
    pub pointwise: Option<&'static Pointwise>,
}

/// The rows of every family.
#[rustfmt::skip]
pub static TABLES: &[&[&OpDef]] = &[
    unary::ROWS,
    elementary::ROWS,
    binary::ROWS,
    bitwise::ROWS,
    compare::ROWS,
    blend::ROWS,
    complex::ROWS,
    activation::ROWS,
    special::ROWS,
    loss::ROWS,
    class_loss::ROWS,
    ctc::ROWS,
    fft::ROWS,
    stft::ROWS,
    norm::ROWS,
    margin_loss::ROWS,
    differences::ROWS,
    distance::ROWS,
    pad::ROWS,
    pixel::ROWS,
    resample::ROWS,
    grid::ROWS,
    copy::ROWS,
    reduce::ROWS,
    minmax::ROWS,
    stats::ROWS,
    vector_norm::ROWS,
    bins::ROWS,
    scan::ROWS,
    sort::ROWS,
    softmax::ROWS,
    softmax::functional::ROWS,
    view::ROWS,
    create::ROWS,
    range::ROWS,
    matmul::ROWS,
    einsum::ROWS,
    conv::ROWS,
    pool::ROWS,
    fold::ROWS,
    attention::ROWS,
    rnn::ROWS,
    linalg::decompose::ROWS,
    linalg::exponential::ROWS,
    linalg::factor::ROWS,
    linalg::householder::ROWS,
    linalg::ldl::ROWS,
    linalg::least_squares::ROWS,
    linalg::norms::ROWS,
    linalg::packed::ROWS,
    linalg::systems::ROWS,
    linalg::tensors::ROWS,
    matrix::ROWS,
    random::ROWS,
    embedding::ROWS,
    scatter::ROWS,
    segments::ROWS,
    mask::ROWS,
    dropout::ROWS,
    axis_index::ROWS,
    index::ROWS,
    coordinates::ROWS,
    facts::ROWS,
    join::ROWS,
    shape::axes::ROWS,
    shape::repeat::ROWS,
    shape::turn::ROWS,
    shape::combine::ROWS,
    shape::copies::ROWS,
    triangle::ROWS,
];

/// Every row.
pub fn all() -> impl Iterator<Item = &'static OpDef> {
    TABLES.iter().flat_map(|t| t.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schema_parses() {
        for op in all() {
            assert!(!op.doc.trim().is_empty(), "{} has no docstring", op.name);
            for o in op.overloads {
                assert!(
                    schema::Signature::parse(o.schema).is_some(),
                    "{}: {}",
                    op.name,
                    o.schema
                );
            }
        }
    }

    #[test]
    fn names_are_unique_in_a_space() {
        let mut seen = std::collections::HashSet::new();
        for op in all() {
            for bit in 0..space::NAMES.len() {
                if op.spaces & (1 << bit) != 0 {
                    assert!(
                        seen.insert((bit, op.name)),
                        "{} twice in {}",
                        op.name,
                        space::NAMES[bit]
                    );
                }
            }
        }
    }
}
