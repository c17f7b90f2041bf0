//! One exec request: pumps between an SSH channel and a simulated process.

use russh::server::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::process::{Output, Process};

/// SSH_EXTENDED_DATA_STDERR (RFC 4254, 5.2).
const STDERR: u32 = 1;

/// Runs until the process ends, the client closes the channel, or the lab ends.
pub(crate) async fn run(channel: Channel<Msg>, process: Process, lab: CancellationToken) {
    let Process {
        stdin,
        output,
        kill,
    } = process;
    let (read, write) = channel.split();
    tokio::select! {
        () = lab.cancelled() => {}
        () = outward(output, &write) => {}
        () = inward(read, stdin, &kill) => {}
    }
    kill.cancel();
    // A channel that is closed already is fine.
    let _ = write.close().await;
}

/// Carries output to the client; the window of the channel holds the process up.
async fn outward(mut output: mpsc::Receiver<Output>, write: &ChannelWriteHalf<Msg>) {
    while let Some(output) = output.recv().await {
        let sent = match output {
            Output::Stdout(bytes) => write.data_bytes(bytes).await,
            Output::Stderr(bytes) => write.extended_data_bytes(STDERR, bytes).await,
            Output::Exit(code) => {
                let _ = write.eof().await;
                let _ = write.exit_status(code.cast_unsigned()).await;
                return;
            }
        };
        if sent.is_err() {
            return;
        }
    }
    let _ = write.eof().await;
}

/// Carries the client's bytes to standard input; returns when the client closes the channel.
async fn inward(mut read: ChannelReadHalf, stdin: mpsc::Sender<Vec<u8>>, kill: &CancellationToken) {
    let mut stdin = Some(stdin);
    while let Some(message) = read.wait().await {
        match message {
            ChannelMsg::Data { data } => {
                if let Some(open) = &stdin
                    && open.send(data.to_vec()).await.is_err()
                {
                    stdin = None;
                }
            }
            ChannelMsg::Eof => stdin = None,
            ChannelMsg::Signal { .. } => kill.cancel(),
            ChannelMsg::Close => return,
            _ => {}
        }
    }
}
