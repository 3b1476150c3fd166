//! Entries of an owner's log, as they are replicated, told to [`Names`].

use crate::catalog::lease::OwnerId;
use crate::discovery::endpoint::{self, Endpoint};
use crate::discovery::entry::Poison;
use crate::discovery::names::Names;
use crate::discovery::service::{self, ServiceSpec, TaskState};

impl Names {
    /// An owner says this under a key, or nothing any more. What is of no kind known here is a later program's. An entry
    /// that cannot be understood says nothing; the error says why.
    pub fn hear(&mut self, teller: OwnerId, key: &[u8], value: Option<&[u8]>) -> Result<(), Poison> {
        let Some((&kind, id)) = key.split_first() else { return Ok(()) };
        let Ok(id) = std::str::from_utf8(id) else { return Ok(()) };
        if id.is_empty() {
            return Ok(());
        }
        match (kind, value) {
            (endpoint::codec::KIND, Some(value)) => match Endpoint::decode(key, value) {
                Ok(endpoint) => self.put_endpoint(teller, endpoint),
                Err(poison) => {
                    self.drop_endpoint(teller, id);
                    return Err(poison);
                }
            },
            (endpoint::codec::KIND, None) => self.drop_endpoint(teller, id),
            (service::codec::SERVICE_KIND, Some(value)) => match ServiceSpec::decode(key, value) {
                Ok(spec) => self.put_service(teller, spec),
                Err(poison) => {
                    self.drop_service(teller, id);
                    return Err(poison);
                }
            },
            (service::codec::SERVICE_KIND, None) => self.drop_service(teller, id),
            (service::codec::TASK_KIND, Some(value)) => match TaskState::decode(key, value) {
                Ok(task) => self.put_task(teller, id, task.withdrawn),
                Err(poison) => {
                    self.put_task(teller, id, false);
                    return Err(poison);
                }
            },
            (service::codec::TASK_KIND, None) => self.put_task(teller, id, false),
            _ => {}
        }
        Ok(())
    }
}
