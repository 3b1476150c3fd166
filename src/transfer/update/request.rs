//! An update on its way to whoever carries it out, and the way back.

use super::Update;
use crate::wire::message::Rcode;
use std::fmt;

/// An update that is permitted.
#[derive(Debug)]
pub struct Request {
    /// What is asked for.
    pub update: Update,
    /// Where its code goes.
    pub answer: Answer,
}

/// What is owed to whoever sent an update. **Dropped without a code it says SERVFAIL.**
pub struct Answer(Option<Box<dyn FnOnce(Rcode) + Send>>);

impl Answer {
    /// One that goes to `take`, which must not wait: the thread that carries updates out calls it.
    pub fn to(take: impl FnOnce(Rcode) + Send + 'static) -> Answer {
        Answer(Some(Box::new(take)))
    }

    /// Gives it.
    pub fn give(mut self, code: Rcode) {
        self.say(code);
    }

    fn say(&mut self, code: Rcode) {
        if let Some(take) = self.0.take() {
            take(code);
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.say(Rcode::ServFail);
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answer")
    }
}
