//! What watches the graph while it is made: hooks that pack the tensors that nodes save, and where nodes come from.

use crate::error::{Error, Result};
use crate::tensor::Tensor;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::OnceLock;

/// Gives a packed tensor back.
pub type Unpack = Rc<dyn Fn() -> Result<Tensor>>;
/// Takes a tensor that a node wants to keep.
pub type Pack = Rc<dyn Fn(&Tensor) -> Result<Unpack>>;

thread_local! {
    /// The innermost hook is last.
    static PACKERS: RefCell<Vec<Pack>> = const { RefCell::new(Vec::new()) };
    static FAILURE: RefCell<Option<Error>> = const { RefCell::new(None) };
}

/// What the embedding language adds in anomaly mode.
pub struct Describe {
    /// The call that is running, over several lines.
    pub origin: fn() -> String,
    /// Shows a warning; an error if warnings are to be errors.
    pub warn: fn(&str) -> Result<()>,
}
static DESCRIBE: OnceLock<Describe> = OnceLock::new();

/// Says how calls are described and warnings shown, once per process.
pub fn describe_with(describe: Describe) {
    let _ = DESCRIBE.set(describe);
}

/// Where a node that is being made comes from, in anomaly mode.
pub(super) fn origin() -> Option<Box<str>> {
    let describe = DESCRIBE.get().filter(|_| super::is_anomaly_enabled())?;
    Some((describe.origin)().into())
}

/// Tells the user about a node that failed.
pub(super) fn warn_of(name: &str, origin: Option<&str>) -> Result<()> {
    let Some(describe) = DESCRIBE.get() else {
        return Ok(());
    };
    (describe.warn)(&match origin {
        Some(origin) => format!(
            "Error detected in {name}. Traceback of forward call that caused the error:\n{origin}"
        ),
        None => format!(
            "Error detected in {name}. No forward pass information available. Enable detect anomaly during forward \
             pass for more information."
        ),
    })
}

/// Adds a hook that packs what nodes save from now on.
pub fn push_packer(pack: Pack) {
    PACKERS.with(|p| p.borrow_mut().push(pack));
    super::set_mode(super::PACKING, true);
}

/// Removes the hook that was added last.
pub fn pop_packer() {
    let dropped = PACKERS.with(|p| {
        let mut p = p.borrow_mut();
        let last = p.pop();
        super::set_mode(super::PACKING, !p.is_empty());
        last
    });
    drop(dropped);
}

/// Packs a tensor with the innermost hook. The hook itself runs without recording and without hooks.
pub(super) fn pack(t: &Tensor) -> Option<Result<Unpack>> {
    if !super::mode(super::PACKING) {
        return None;
    }
    let pack = PACKERS.with(|p| p.borrow().last().cloned())?;
    super::set_mode(super::PACKING, false);
    let packed = super::no_grad(|| pack(&t.detach()));
    super::set_mode(super::PACKING, true);
    Some(packed)
}

/// Keeps an error that came up where none can be returned: while a node was made. The call that makes the node ends
/// with it.
pub(super) fn fail(error: &Error) {
    FAILURE.with(|f| {
        f.borrow_mut().get_or_insert_with(|| error.clone());
    });
    super::set_mode(super::FAILED, true);
}

/// The error that `fail` kept.
#[inline]
pub fn take_failure() -> Option<Error> {
    if super::mode(super::FAILED) {
        super::set_mode(super::FAILED, false);
        FAILURE.with(|f| f.borrow_mut().take())
    } else {
        None
    }
}
