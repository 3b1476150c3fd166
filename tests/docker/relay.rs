//! A way to the engine that can be cut: what a test cannot do to the engine of its machine.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::thread;

/// Takes connections over TCP and hands them to the engine's socket, unless it is cut.
pub struct Relay {
    pub address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    is_cut: bool,
    open: Vec<(TcpStream, UnixStream)>,
}

impl Relay {
    /// To the engine's usual socket.
    pub fn start() -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Mutex::new(Shared::default()));
        let own = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // Who cannot be served is let go of, as by an engine that is not there.
                let _ = serve(client, &own);
            }
        });
        Relay { address, shared }
    }

    /// Cuts what is open, and what comes, or lets it through again.
    pub fn cut(&self, is_cut: bool) {
        let mut shared = self.shared.lock().expect("no panic");
        shared.is_cut = is_cut;
        for (client, engine) in shared.open.drain(..) {
            let _ = (client.shutdown(Shutdown::Both), engine.shutdown(Shutdown::Both));
        }
    }
}

fn serve(client: TcpStream, shared: &Mutex<Shared>) -> io::Result<()> {
    let mut shared = shared.lock().expect("no panic");
    if shared.is_cut {
        return Ok(());
    }
    let engine = UnixStream::connect("/var/run/docker.sock")?;
    let (mut up, mut down) = (client.try_clone()?, client.try_clone()?);
    let (mut to, mut from) = (engine.try_clone()?, engine.try_clone()?);
    shared.open.push((client, engine));
    thread::spawn(move || {
        let _ = io::copy(&mut up, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    thread::spawn(move || {
        let _ = io::copy(&mut from, &mut down);
        let _ = down.shutdown(Shutdown::Both);
    });
    Ok(())
}
