//! Floor 4: the thread of everything slow that a good library already does, on a runtime of its own.
//!
//! ```text
//! Insight ─► Look ─► documents (JSON) ─┐
//!                └─► metrics (text)  ──┴─► http ─► whoever watches
//! ```
//!
//! Nothing here changes what is served, and no worker ever waits for it: it reads the status that the control
//! thread published and the counters that the workers keep.

mod documents;
mod exposition;
mod http;
mod look;
mod metrics;

pub use look::Insight;

use std::io;
use std::net::TcpListener;
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
    /// Starts it. `http` must not block.
    pub fn start(http: TcpListener, insight: Insight) -> io::Result<Services> {
        let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
        let listener = {
            let _inside = runtime.enter();
            tokio::net::TcpListener::from_std(http)?
        };
        let (running, stop) = watch::channel(());
        let thread = std::thread::Builder::new()
            .name("services".into())
            .spawn(move || runtime.block_on(http::serve(listener, insight, stop)))?;
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
