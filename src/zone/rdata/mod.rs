//! RDATA: text into wire form and back, and what stands where in it.
//!
//! [`layout()`] is the one table; [`read`], [`print()`], [`validate`], [`names`] and [`canonicalize`] walk it.
//! Adding a type is adding a row; adding a kind of field is adding a [`Field`], which the compiler then
//! asks for in `check`, `read` and `print`.

mod check;
mod compound;
mod encoding;
mod layout;
mod number;
mod print;
mod read;
mod svcb;
#[cfg(test)]
mod tests;

pub use check::{Malformed, validate};
pub use layout::{Field, NameUse, canonicalize, is_lowered, layout, names};
pub(crate) use number::seconds;
pub use print::{print, print_generic};
pub(crate) use read::{key, pack};
pub use read::{parse, read, record_type};
