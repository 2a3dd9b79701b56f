//! The extension module `rtorch._C`: everything here is made from the op table or is Python's own protocols.

pub mod autograd;
pub mod bind;
pub mod convert;
pub mod data;
pub mod error;
pub mod facts;
pub mod gil;
#[cfg(feature = "gpu")]
pub mod gpu;
pub mod index;
pub mod io;
pub mod object;
pub mod operators;
pub mod optim;
pub mod properties;
pub mod slots;
pub mod types;

use pyo3::prelude::*;

#[pymodule(gil_used = true)]
#[pyo3(name = "_C")]
fn extension(m: &Bound<'_, PyModule>) -> PyResult<()> {
    error::quiet_panics();
    types::register(m)?;
    object::register(m)?;
    bind::register(m)?;
    autograd::register(m)?;
    data::register(m)?;
    facts::register(m)?;
    optim::register(m)?;
    io::register(m)?;
    #[cfg(feature = "gpu")]
    gpu::register(m)?;
    m.add("__version__", env!("CARGO_PKG_VERSION"))?;
    // `from rtorch._C import *` takes the public names.
    let public: Vec<String> = m
        .dict()
        .keys()
        .iter()
        .map(|k| k.to_string())
        .filter(|k| !k.starts_with('_'))
        .collect();
    m.setattr("__all__", public)?;
    Ok(())
}
