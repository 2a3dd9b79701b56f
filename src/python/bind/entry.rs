//! What the interpreter calls: one C function per row and form, made by numbers.

use super::{Entry, call, call_lone};
use crate::python::error::{Object, guard, token};
use crate::python::gil::Gil;
use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use std::ptr;
use std::sync::OnceLock;

pub(super) const MAX: usize = 2048;

pub(super) static ENTRIES: OnceLock<Gil<Vec<Entry>>> = OnceLock::new();

unsafe extern "C" fn entry<const I: usize>(
    slf: Object,
    args: *const Object,
    nargs: ffi::Py_ssize_t,
    kwnames: Object,
) -> Object {
    // SAFETY: the interpreter calls with `nargs` positional and `kwnames` keyword arguments under the GIL.
    unsafe { call(I, slf, args, nargs as usize, kwnames) }
}

/// A method without arguments takes the interpreter's shortest call.
unsafe extern "C" fn lone_entry<const I: usize>(slf: Object, _: Object) -> Object {
    // SAFETY: the interpreter calls under the GIL with an instance of the type.
    let py = unsafe { token() };
    match ENTRIES.get().and_then(|e| e.get(I)) {
        Some(entry) => call_lone(py, entry, slf),
        None => guard(py, ptr::null_mut(), || {
            Err(PyTypeError::new_err("not an operator"))
        }),
    }
}

/// The entry points, 16 at a time.
macro_rules! sixteen {
    ($entry:ident, $type:ty, $base:expr) => {
        [
            $entry::<{ $base }> as $type,
            $entry::<{ $base + 1 }>,
            $entry::<{ $base + 2 }>,
            $entry::<{ $base + 3 }>,
            $entry::<{ $base + 4 }>,
            $entry::<{ $base + 5 }>,
            $entry::<{ $base + 6 }>,
            $entry::<{ $base + 7 }>,
            $entry::<{ $base + 8 }>,
            $entry::<{ $base + 9 }>,
            $entry::<{ $base + 10 }>,
            $entry::<{ $base + 11 }>,
            $entry::<{ $base + 12 }>,
            $entry::<{ $base + 13 }>,
            $entry::<{ $base + 14 }>,
            $entry::<{ $base + 15 }>,
        ]
    };
}

macro_rules! block {
    ($entry:ident, $type:ty, $base:expr) => {
        [
            sixteen!($entry, $type, $base),
            sixteen!($entry, $type, $base + 16),
            sixteen!($entry, $type, $base + 32),
            sixteen!($entry, $type, $base + 48),
            sixteen!($entry, $type, $base + 64),
            sixteen!($entry, $type, $base + 80),
            sixteen!($entry, $type, $base + 96),
            sixteen!($entry, $type, $base + 112),
            sixteen!($entry, $type, $base + 128),
            sixteen!($entry, $type, $base + 144),
            sixteen!($entry, $type, $base + 160),
            sixteen!($entry, $type, $base + 176),
            sixteen!($entry, $type, $base + 192),
            sixteen!($entry, $type, $base + 208),
            sixteen!($entry, $type, $base + 224),
            sixteen!($entry, $type, $base + 240),
        ]
    };
}

macro_rules! points {
    ($entry:ident, $type:ty) => {
        [
            block!($entry, $type, 0),
            block!($entry, $type, 256),
            block!($entry, $type, 512),
            block!($entry, $type, 768),
            block!($entry, $type, 1024),
            block!($entry, $type, 1280),
            block!($entry, $type, 1536),
            block!($entry, $type, 1792),
        ]
    };
}

type Points<F> = [[[F; 16]; 16]; 8];

pub(super) static POINTS: Points<ffi::PyCFunctionFastWithKeywords> =
    points!(entry, ffi::PyCFunctionFastWithKeywords);

pub(super) static LONE_POINTS: Points<ffi::PyCFunction> = points!(lone_entry, ffi::PyCFunction);
