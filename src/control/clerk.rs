//! The thread that makes long documents, one after another: what takes longer than the control thread has.

use crate::control::request::{Answer, Refused, RefusedKind, Reply};
use crossbeam::channel::{Sender, bounded};

/// Documents that wait for the one being made. Each may keep a version of all records in memory.
const DOCUMENTS_MAX: usize = 4;

type Job = Box<dyn FnOnce() + Send>;

/// The thread's handle. It is started by the first document, and ends when the handle is dropped and all is made.
#[derive(Default)]
pub(super) struct Clerk {
    jobs: Option<Sender<Job>>,
}

impl Clerk {
    /// Has a document made and given to all of these; refuses them if too many documents wait.
    pub(super) fn hand(&mut self, answers: Vec<Answer>, make: impl FnOnce() -> Reply + Send + 'static) {
        let refuse = |answers: Vec<Answer>, error: &str| {
            let refused = Refused::new(RefusedKind::Unavailable, error);
            answers.into_iter().for_each(|answer| answer.give(Err(refused.clone())));
        };
        let jobs = match &self.jobs {
            Some(jobs) => jobs,
            None => {
                let (sender, jobs) = bounded::<Job>(DOCUMENTS_MAX);
                let thread = std::thread::Builder::new().name("clerk".into());
                if let Err(error) = thread.spawn(move || jobs.into_iter().for_each(|job| job())) {
                    return refuse(answers, &format!("no thread for telling it: {error}"));
                }
                self.jobs.insert(sender)
            }
        };
        // Nobody else fills it.
        if jobs.is_full() {
            return refuse(answers, "too many others ask: try again");
        }
        let job = move || {
            let reply = make();
            answers.into_iter().for_each(|answer| answer.give(Ok(reply.clone())));
        };
        // The thread ends only with this handle.
        let _ = jobs.send(Box::new(job));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::document::MembersDocument;
    use crossbeam::channel::unbounded;

    #[test]
    fn who_comes_while_too_many_wait_is_refused_and_the_others_are_answered() {
        let mut clerk = Clerk::default();
        let (give, given) = unbounded();
        let (go, gate) = bounded::<()>(0);
        let (begin, begun) = unbounded();
        let hand = |clerk: &mut Clerk| {
            let (give, gate, begin) = (give.clone(), gate.clone(), begin.clone());
            let answer = Answer::to(move |outcome| give.send(outcome).unwrap());
            clerk.hand(vec![answer], move || {
                begin.send(()).unwrap();
                let _ = gate.recv();
                Reply::Members(MembersDocument::default())
            });
        };
        hand(&mut clerk);
        begun.recv().unwrap();
        (0..=DOCUMENTS_MAX).for_each(|_| hand(&mut clerk));
        assert_eq!(given.recv().unwrap().unwrap_err().kind, RefusedKind::Unavailable);
        drop(go);
        for _ in 0..=DOCUMENTS_MAX {
            assert!(given.recv().unwrap().is_ok());
        }
    }
}
