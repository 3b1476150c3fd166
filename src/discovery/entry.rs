//! The octets of what is replicated: a reader that cannot run past their end, and why they are refused.
//!
//! Each value begins with the version of its layout, so that a later program can change it. Numbers stand in
//! network order.

use std::fmt;
use std::net::IpAddr;

/// Octets that came from another node and are no entry of ours. Nothing was taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Poison {
    /// The layout is of a version that this program does not know.
    Version(u8),
    /// The octets end too early, go on too long, or count what cannot be.
    Layout,
    /// The key is not a name in lower case with a type that can be set.
    Key,
    /// RDATA that is not of its type's form.
    Rdata,
    /// Not in the one order and form that all nodes agree on.
    NotCanonical,
    /// It breaks a rule that whoever wrote it had to keep.
    Rule,
}

impl fmt::Display for Poison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Poison::Version(version) => write!(f, "version {version} of its layout is unknown"),
            Poison::Layout => f.write_str("its layout is broken"),
            Poison::Key => f.write_str("its key is not a name and a type"),
            Poison::Rdata => f.write_str("its RDATA is not of its type's form"),
            Poison::NotCanonical => f.write_str("it is not in canonical form"),
            Poison::Rule => f.write_str("it holds what nobody may set"),
        }
    }
}

impl std::error::Error for Poison {}

/// Appends an address, as [`Octets::address`] takes it: 4 or 6, then its octets.
pub(super) fn put_address(octets: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            octets.push(4);
            octets.extend(address.octets());
        }
        IpAddr::V6(address) => {
            octets.push(6);
            octets.extend(address.octets());
        }
    }
}

/// Takes octets from the front.
pub(super) struct Octets<'o>(pub(super) &'o [u8]);

impl<'o> Octets<'o> {
    /// So many.
    pub(super) fn take(&mut self, count: usize) -> Result<&'o [u8], Poison> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Poison::Layout)?;
        self.0 = rest;
        Ok(taken)
    }

    /// As many as the array has.
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Poison> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(Poison::Layout)?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Poison> {
        self.array::<1>().map(|[octet]| octet)
    }

    pub(super) fn u16(&mut self) -> Result<u16, Poison> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Poison> {
        self.array().map(u32::from_be_bytes)
    }

    /// An address, as [`put_address`] appends it.
    pub(super) fn address(&mut self) -> Result<IpAddr, Poison> {
        match self.u8()? {
            4 => self.array::<4>().map(IpAddr::from),
            6 => self.array::<16>().map(IpAddr::from),
            _ => Err(Poison::Layout),
        }
    }

    /// The version at the start of a value, which must be this one.
    pub(super) fn version(&mut self, known: u8) -> Result<(), Poison> {
        match self.u8()? {
            version if version == known => Ok(()),
            other => Err(Poison::Version(other)),
        }
    }

    /// Demands that nothing is left.
    pub(super) fn end(self) -> Result<(), Poison> {
        if self.0.is_empty() { Ok(()) } else { Err(Poison::Layout) }
    }
}
