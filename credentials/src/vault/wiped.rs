//! Bytes that are wiped, also when they grow.

use std::io;

use zeroize::{Zeroize as _, Zeroizing};

/// A buffer for plaintext. A plain `Vec` leaves its old memory as it is when it moves.
#[derive(Default)]
pub(super) struct Wiped(Zeroizing<Vec<u8>>);

impl Wiped {
    /// Returns an empty buffer that takes this many bytes without moving.
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self(Zeroizing::new(Vec::with_capacity(bytes)))
    }

    /// Returns this many zeros, to be read into.
    pub(super) fn zeros(bytes: usize) -> Self {
        Self(Zeroizing::new(vec![0; bytes]))
    }

    /// Returns the bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the bytes to be written over.
    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }

    fn grow(&mut self, more: usize) {
        let needed = self.0.len().saturating_add(more);
        if needed <= self.0.capacity() {
            return;
        }
        let mut wider = Vec::with_capacity(needed.max(self.0.capacity() * 2));
        wider.extend_from_slice(&self.0);
        self.0.zeroize();
        self.0 = Zeroizing::new(wider);
    }
}

impl io::Write for Wiped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.grow(bytes.len());
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn keeps_what_is_written_while_it_grows() {
        let mut wiped = Wiped::with_capacity(3);
        for byte in 0..200_u8 {
            wiped.write_all(&[byte]).unwrap();
        }
        assert_eq!(wiped.bytes(), (0..200).collect::<Vec<u8>>());
    }
}
