//! How a zone is: what the status tells of it, and the log of its faults.

use crate::catalog::delta::ZoneContent;
use crate::control::exchange;
use crate::control::status::{Health, ZoneStatus};
use crate::wire::name::Name;
use crate::zone::fault::{Fault, Faults, Severity};

/// Faults of a zone that the log and the status show.
const FAULTS_SHOWN: usize = 10;

/// How it is.
pub(super) fn zone_status(origin: &Name, content: &ZoneContent) -> ZoneStatus {
    let (health, serial, records) = match content {
        ZoneContent::Pending => (Health::Loading, None, 0),
        ZoneContent::Sealed(zone) => (Health::Serving, Some(zone.serial().0), zone.record_count()),
        ZoneContent::Expired(_) => return exchange::expired(origin),
        ZoneContent::Faulty(faults) => return faulty(origin, faults),
    };
    let journal = match content {
        ZoneContent::Sealed(zone) => (zone.history().steps(), zone.history().octets()),
        ZoneContent::Pending | ZoneContent::Expired(_) | ZoneContent::Faulty(_) => (0, 0),
    };
    ZoneStatus { origin: origin.clone(), health, serial, records, journal, shared_by: None }
}

/// One whose file cannot be served.
pub(super) fn faulty(origin: &Name, faults: &Faults) -> ZoneStatus {
    let errors = faults.iter().filter(|fault| fault.severity == Severity::Error);
    let health = Health::Faulty(errors.take(FAULTS_SHOWN).map(Fault::to_string).collect());
    ZoneStatus { origin: origin.clone(), health, serial: None, records: 0, journal: (0, 0), shared_by: None }
}

/// Tells the log.
pub(super) fn tell_faults(origin: &Name, faults: &Faults) {
    for fault in faults.iter().take(FAULTS_SHOWN) {
        match fault.severity {
            Severity::Error => tracing::error!(zone = %origin, "{fault}"),
            Severity::Warning => tracing::warn!(zone = %origin, "{fault}"),
        }
    }
    let more = (faults.errors() + faults.warnings()).saturating_sub(FAULTS_SHOWN);
    if more > 0 {
        tracing::warn!(zone = %origin, "and {more} more faults; `hivedns check` shows them");
    }
}
