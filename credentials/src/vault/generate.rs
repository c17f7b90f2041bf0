//! Passwords that nobody thought of.

use std::ops::RangeInclusive;

use fleetmend_model::Secret;
use rand::Rng as _;
use zeroize::Zeroizing;

/// How many characters may be asked for.
pub const GENERATED: RangeInclusive<usize> = 12..=128;

/// How many characters there are unless told: 24 of 66 are more than 140 bits.
pub const GENERATED_DEFAULT: usize = 24;

/// Without the characters that are taken for another (0 O, 1 l I), and without signs that a shell
/// or a spreadsheet takes for something.
const LOWER: &str = "abcdefghijkmnopqrstuvwxyz";
const UPPER: &str = "ABCDEFGHJKLMNPQRSTUVWXYZ";
const DIGIT: &str = "23456789";
const SIGN: &str = "-_.:+,=@%";

/// Returns a password of this many characters with at least one of each kind, which is what
/// Windows means by complexity.
pub fn generate(length: usize) -> Secret {
    let kinds = [LOWER, UPPER, DIGIT, SIGN];
    let all: Vec<char> = kinds.iter().flat_map(|kind| kind.chars()).collect();
    let length = length.clamp(*GENERATED.start(), *GENERATED.end());
    let mut random = rand::rng();
    loop {
        let mut text = Zeroizing::new(String::with_capacity(length));
        for _ in 0..length {
            text.extend(all.get(random.random_range(0..all.len())));
        }
        // Drawn again rather than mended, so that all that pass are equally likely.
        if kinds.iter().all(|kind| text.contains(|c| kind.contains(c))) {
            return Secret::new(std::mem::take(&mut *text));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_every_kind_and_its_length_and_differs() {
        let many: Vec<_> = (0..50).map(|_| generate(12)).collect();
        for (at, one) in many.iter().enumerate() {
            let text = one.reveal();
            assert_eq!(text.len(), 12);
            for kind in [LOWER, UPPER, DIGIT, SIGN] {
                assert!(text.contains(|c| kind.contains(c)), "{text}");
            }
            assert!(!many[..at].contains(one));
        }
        assert_eq!(generate(0).reveal().len(), *GENERATED.start());
        assert_eq!(generate(GENERATED_DEFAULT).reveal().len(), 24);
    }
}
