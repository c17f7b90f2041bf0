//! Tells the reader of live events, in order, without letting it hold up the run.

use std::collections::BTreeMap;
use std::time::Duration;

use fleetmend_model::Record;
use tokio::sync::mpsc;

/// How long a reader whose channel is full is waited for, once. Then it is given up: a terminal
/// that hangs must not keep PCs waiting, and the journal has everything.
const PATIENCE: Duration = Duration::from_secs(5);

/// Forwards records in the order of their numbers until `records` ends. Returns whether the
/// reader was given up.
///
/// Host tasks store events side by side, so records arrive slightly out of order; one that is
/// ahead waits for those before it.
pub(super) async fn tell(
    mut records: mpsc::Receiver<Record>,
    reader: Option<mpsc::Sender<Record>>,
) -> bool {
    let mut teller = Teller {
        reader,
        due: None,
        early: BTreeMap::new(),
        lost: false,
    };
    while let Some(record) = records.recv().await {
        teller.take(record).await;
    }
    teller.rest().await;
    teller.lost
}

struct Teller {
    reader: Option<mpsc::Sender<Record>>,
    due: Option<u64>,
    early: BTreeMap<u64, Record>,
    lost: bool,
}

impl Teller {
    async fn take(&mut self, record: Record) {
        if self.reader.is_none() {
            return;
        }
        // A run's first record is stored alone, so the first to arrive is the first.
        self.due.get_or_insert(record.seq);
        self.early.insert(record.seq, record);
        while let Some(record) = self.due.and_then(|due| self.early.remove(&due)) {
            self.due = record.seq.checked_add(1);
            self.forward(record).await;
        }
    }

    /// Forwards what still waits for a record that never came (its storing failed).
    async fn rest(&mut self) {
        for record in std::mem::take(&mut self.early).into_values() {
            self.forward(record).await;
        }
    }

    async fn forward(&mut self, record: Record) {
        let Some(reader) = &self.reader else { return };
        match reader.send_timeout(record, PATIENCE).await {
            Ok(()) => {}
            Err(error) => {
                self.lost = matches!(error, mpsc::error::SendTimeoutError::Timeout(_));
                self.reader = None;
                self.early.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use fleetmend_model::{Event, RunId};
    use jiff::Timestamp;

    use super::*;

    fn record(seq: u64) -> Record {
        Record {
            run: RunId(uuid::Uuid::nil()),
            seq,
            at: Timestamp::UNIX_EPOCH,
            event: Event::Interrupted { cut: false },
        }
    }

    #[tokio::test]
    async fn records_come_in_order_and_none_is_lost() {
        let (input, records) = mpsc::channel(16);
        let (reader, mut seen) = mpsc::channel(16);
        for seq in [1, 3, 2, 6, 5] {
            input.send(record(seq)).await.unwrap();
        }
        drop(input);
        assert!(!tell(records, Some(reader)).await);
        let mut order = Vec::new();
        while let Some(record) = seen.recv().await {
            order.push(record.seq);
        }
        assert_eq!(order, [1, 2, 3, 5, 6]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_hangs_is_given_up_after_its_time() {
        let (input, records) = mpsc::channel(16);
        let (reader, _hangs) = mpsc::channel(1);
        let start = tokio::time::Instant::now();
        let teller = tokio::spawn(tell(records, Some(reader)));
        for seq in 1..=100 {
            input.send(record(seq)).await.unwrap();
        }
        drop(input);
        assert!(teller.await.unwrap());
        assert_eq!(start.elapsed(), PATIENCE);
    }

    #[tokio::test]
    async fn a_reader_that_left_is_no_trouble() {
        let (input, records) = mpsc::channel(16);
        let (reader, seen) = mpsc::channel(1);
        drop(seen);
        input.send(record(1)).await.unwrap();
        drop(input);
        assert!(!tell(records, Some(reader)).await);
    }
}
