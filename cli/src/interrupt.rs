//! Ctrl-C: once to stop starting, twice to cut, three times to leave at once.

use tokio::sync::mpsc;

/// Returns a channel that brings one message for each Ctrl-C.
///
/// On Unix a request to terminate and the end of the terminal count as well: a run that was
/// begun in a window that somebody closes still ends in good order.
pub(crate) fn presses() -> mpsc::Receiver<()> {
    // Nobody presses faster than the loop reads; a press too many may be lost.
    let (sender, receiver) = mpsc::channel(4);
    #[cfg(unix)]
    {
        use tokio::signal::unix::SignalKind;
        watch(SignalKind::terminate(), sender.clone());
        watch(SignalKind::hangup(), sender.clone());
    }
    tokio::spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() && sender.send(()).await.is_ok() {}
    });
    receiver
}

#[cfg(unix)]
fn watch(kind: tokio::signal::unix::SignalKind, sender: mpsc::Sender<()>) {
    // A signal that cannot be watched keeps its usual effect.
    let Ok(mut signals) = tokio::signal::unix::signal(kind) else {
        return;
    };
    tokio::spawn(async move {
        while signals.recv().await.is_some() && sender.send(()).await.is_ok() {}
    });
}
