//! Floor 4: the thread of everything slow that a good library already does, on a runtime of its own.
//!
//! ```text
//! engine ◄─► docker ─► Tale ─► control thread
//! whoever watches ──► http ────────────┐        ┌─► Look ◄── Insight: status, counters
//! a user's verb ────► control_socket ──┴─ desk ─┤
//!                                               └─► Request, Answer ─► control thread
//! ```
//!
//! No worker ever waits for it: it reads the status that the control thread published and the counters that the
//! workers keep. What changes anything is the control thread's to do, and comes over the control socket alone.

mod connections;
mod control_socket;
mod desk;
pub mod docker;
mod documents;
mod exposition;
mod http;
mod look;
mod metrics;
mod resolving;

pub use desk::Ask;
pub use look::Insight;
pub use resolving::{Deliver, Errands, Work, errands};

use crate::services::connections::Listener;
use crate::services::desk::Desk;
use crate::services::docker::Docker;
use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::runtime::Builder;
use tokio::sync::watch;

/// The running services thread.
pub struct Services {
    /// Closed to ask it to end.
    running: watch::Sender<()>,
    thread: JoinHandle<()>,
}

impl Services {
    /// Starts it. Neither socket may block. `ask` hands a request to the control thread; it must not block either.
    /// `work`: what workers have done; `docker`: the container engine to watch.
    pub fn start(
        http: TcpListener,
        control: Option<UnixListener>,
        insight: Insight,
        ask: Ask,
        (work, docker): (Work, Option<Docker>),
    ) -> io::Result<Services> {
        let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
        let (http, control) = {
            let _inside = runtime.enter();
            let control = control.map(tokio::net::UnixListener::from_std).transpose()?;
            (tokio::net::TcpListener::from_std(http)?, control)
        };
        let desk = Arc::new(Desk::new(insight, ask));
        let (running, stop) = watch::channel(());
        let (stop_work, stop_docker) = (stop.clone(), stop.clone());
        let all = async move {
            let (age_max, router) = (http::CONNECTION_AGE_MAX, http::router(Arc::clone(&desk)));
            let public = connections::serve(Listener::Tcp(http), router, age_max, stop.clone());
            let own = async {
                let Some(control) = control else { return };
                let (age_max, router) = (control_socket::CONNECTION_AGE_MAX, control_socket::router(desk));
                connections::serve(Listener::Unix(control), router, age_max, stop).await;
            };
            tokio::join!(public, own, resolving::run(work, stop_work), docker::run(docker, stop_docker));
        };
        let thread =
            std::thread::Builder::new().name("services".into()).spawn(move || runtime.block_on(all))?;
        Ok(Services { running, thread })
    }

    /// Lets what is being answered end, for a moment, and waits for that.
    pub fn finish(self) {
        drop(self.running);
        if self.thread.join().is_err() {
            tracing::error!("the services thread has panicked");
        }
    }
}
