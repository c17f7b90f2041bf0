//! A PC with a handful of commands, and a lab around it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fleetmend_lab::winrm::{Winrm, WinrmOptions, serve};
use fleetmend_lab::{LabAuthority, LabCommand, Output, Pc, Process};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub(crate) const USER: &str = "管理者";
pub(crate) const PASSWORD: &str = "ひみつ-Pa55word!";
/// An account that is no full administrator.
pub(crate) const LESSER: &str = "operator";

/// `echo …`, `exit N`, `sleep MILLISECONDS`, `big BYTES`, `cat`, `both`, `hostname`.
#[derive(Default)]
pub(crate) struct TestPc {
    pub(crate) logons: Mutex<Vec<(String, bool)>>,
    pub(crate) lines: Mutex<Vec<LabCommand>>,
    pub(crate) killed: Arc<Mutex<u32>>,
}

impl Pc for TestPc {
    fn computer_name(&self) -> String {
        "PC-001".to_owned()
    }

    fn password_of(&self, user: &str) -> Option<String> {
        (user == USER || user == LESSER).then(|| PASSWORD.to_owned())
    }

    fn note_logon(&self, user: &str, accepted: bool) {
        self.logons
            .lock()
            .unwrap()
            .push((user.to_owned(), accepted));
    }

    fn may_use_winrm(&self, user: &str) -> bool {
        user != LESSER
    }

    fn has_program(&self, path: &str) -> bool {
        // As everywhere, cmd.exe has no file for echo.
        !path.ends_with("\\echo.exe")
    }

    fn spawn(&self, command: LabCommand) -> Process {
        let line = command
            .line
            .replace("C:\\Windows\\System32\\", "")
            .replacen(".exe", "", 1);
        self.lines.lock().unwrap().push(command);
        let (stdin, input) = mpsc::channel(4);
        let (output, receiver) = mpsc::channel(4);
        let kill = CancellationToken::new();
        let (stop, killed) = (kill.clone(), self.killed.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = run(&line, input, output) => {}
                () = stop.cancelled() => *killed.lock().unwrap() += 1,
            }
        });
        Process {
            stdin,
            output: receiver,
            kill,
        }
    }
}

async fn run(line: &str, mut input: mpsc::Receiver<Vec<u8>>, output: mpsc::Sender<Output>) {
    let (program, rest) = line.split_once(' ').unwrap_or((line, ""));
    let number = || rest.parse::<u64>().unwrap();
    let mut code = 0;
    match program {
        "hostname" => drop(output.send(Output::Stdout(b"PC-001\r\n".to_vec())).await),
        "echo" => drop(
            output
                .send(Output::Stdout(format!("{rest}\r\n").into_bytes()))
                .await,
        ),
        "exit" => code = rest.parse().unwrap(),
        "sleep" => tokio::time::sleep(Duration::from_millis(number())).await,
        "big" => {
            let mut left = usize::try_from(number()).unwrap();
            while left > 0 {
                let piece = left.min(65_536);
                if output
                    .send(Output::Stdout(vec![b'x'; piece]))
                    .await
                    .is_err()
                {
                    return;
                }
                left -= piece;
            }
        }
        "cat" => {
            while let Some(bytes) = input.recv().await {
                if output.send(Output::Stdout(bytes)).await.is_err() {
                    return;
                }
            }
        }
        "both" => {
            drop(output.send(Output::Stdout(b"out\r\n".to_vec())).await);
            drop(output.send(Output::Stderr(b"err\r\n".to_vec())).await);
            code = 1;
        }
        _ => code = 9009,
    }
    drop(output.send(Output::Exit(code)).await);
}

/// A served PC.
pub(crate) struct Lab {
    pub(crate) pc: Arc<TestPc>,
    pub(crate) winrm: Arc<Winrm>,
    pub(crate) http: u16,
    pub(crate) https: u16,
    pub(crate) ca: String,
    pub(crate) fingerprint: String,
    cancel: CancellationToken,
}

impl Lab {
    pub(crate) async fn new(options: WinrmOptions) -> Self {
        let pc = Arc::new(TestPc::default());
        let winrm = Winrm::new(pc.clone(), options);
        let cancel = CancellationToken::new();
        let authority = LabAuthority::new().unwrap();
        let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
        let tls = authority.server(&names).unwrap();
        let fingerprint = tls.fingerprint().to_owned();
        let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let secure = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (http, https) = (
            plain.local_addr().unwrap().port(),
            secure.local_addr().unwrap().port(),
        );
        tokio::spawn(serve(plain, None, winrm.clone(), cancel.clone()));
        tokio::spawn(serve(secure, Some(tls), winrm.clone(), cancel.clone()));
        let ca = authority.pem().to_owned();
        Self {
            pc,
            winrm,
            http,
            https,
            ca,
            fingerprint,
            cancel,
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}
