//! Values that are only touched under the GIL.

use std::ops::Deref;

/// Lets the interpreter's objects hold what the core keeps on one thread at a time.
pub struct Gil<T>(pub T);

// SAFETY: the extension declares that it needs the GIL, every use and every drop of such a value happens in a call from
// the interpreter, and reference counts inside are never touched while the GIL is released.
unsafe impl<T> Send for Gil<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Gil<T> {}

impl<T> Deref for Gil<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}
