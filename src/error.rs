//! The one error type: an exception family and a message in PyTorch's words.

use std::any::Any;
use std::fmt;
use std::rc::Rc;

/// The Python exception an error becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Runtime,
    Type,
    Value,
    Index,
    Key,
    Attribute,
    NotImplemented,
    Buffer,
    Overflow,
    ZeroDivision,
    Assertion,
    Import,
    Unpickling,
    /// `rtorch.linalg.LinAlgError`
    LinAlg,
    /// `rtorch.OutOfMemoryError`
    OutOfMemory,
    /// An exception that Python raised inside a callback; `cause` holds it.
    Python,
}

/// What went wrong, in the words the user reads.
#[derive(Clone)]
pub struct Error {
    pub kind: Kind,
    pub message: String,
    /// The Python exception behind `Kind::Python`, opaque to the core.
    pub cause: Option<Rc<dyn Any>>,
}

pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    #[cold]
    pub fn new(kind: Kind, message: impl Into<String>) -> Error {
        Error {
            kind,
            message: message.into(),
            cause: None,
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}Error: {}", self.kind, self.message)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// `err!(Value, "got {n}")`: builds an error.
#[macro_export]
macro_rules! err {
    ($kind:ident, $($arg:tt)*) => { $crate::error::Error::new($crate::error::Kind::$kind, format!($($arg)*)) };
}

/// `bail!(Value, "got {n}")`: returns an error.
#[macro_export]
macro_rules! bail {
    ($kind:ident, $($arg:tt)*) => { return Err($crate::err!($kind, $($arg)*)) };
}

/// `check!(n >= 0, Runtime, "got {n}")`: returns an error unless the condition holds.
#[macro_export]
macro_rules! check {
    ($cond:expr, $kind:ident, $($arg:tt)*) => { if !$cond { $crate::bail!($kind, $($arg)*) } };
}
