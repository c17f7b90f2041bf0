//! In which batches a run goes.

use std::fmt;
use std::str::FromStr;

/// How large one batch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchSize {
    /// So many PCs, at least one.
    Pcs(usize),
    /// This share of all PCs of the run, 1 to 100, rounded down, but at least one PC.
    Percent(u8),
    /// All that are left. Nothing comes after it.
    Rest,
}

/// In which batches a run goes: one size each; the last repeats until every PC has its place, as
/// in Ansible's `serial`. Without any, all PCs are one batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batches(Vec<BatchSize>);

/// A text is no list of batches.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoBatches {
    /// One of them is no size.
    #[error("`{0}` is no size: write a number of PCs, a share as 10%, or rest, as in 1,5,10%,rest")]
    NoSize(String),
    /// A batch of no PC, or a share that is none.
    #[error("`{0}` is out of range: a batch has at least one PC, and a share is 1% to 100%")]
    OutOfRange(String),
    /// Something follows all that is left.
    #[error("`{0}` follows `rest`, after which no PC is left")]
    AfterRest(String),
}

impl Batches {
    /// Returns how many PCs of so many each batch has, in order; none is empty, and together they
    /// have all.
    pub fn split(&self, total: usize) -> Vec<usize> {
        let mut sizes = Vec::new();
        let mut left = total;
        let mut wanted = self.0.iter();
        let mut size = BatchSize::Rest;
        while left > 0 {
            size = wanted.next().copied().unwrap_or(size);
            let pcs = match size {
                BatchSize::Pcs(pcs) => pcs,
                BatchSize::Percent(percent) => total.saturating_mul(percent.into()) / 100,
                BatchSize::Rest => left,
            };
            let pcs = pcs.clamp(1, left);
            sizes.push(pcs);
            left -= pcs;
        }
        sizes
    }

    /// Tells whether nobody asked for batches.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromStr for Batches {
    type Err = NoBatches;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut sizes: Vec<BatchSize> = Vec::new();
        for part in text.split(',').map(str::trim) {
            if sizes.last() == Some(&BatchSize::Rest) {
                return Err(NoBatches::AfterRest(part.to_owned()));
            }
            sizes.push(part.parse()?);
        }
        Ok(Self(sizes))
    }
}

impl fmt::Display for Batches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sizes: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&sizes.join(","))
    }
}

impl FromStr for BatchSize {
    type Err = NoBatches;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "rest" {
            return Ok(Self::Rest);
        }
        let digits = text.strip_suffix('%').unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NoBatches::NoSize(text.to_owned()));
        }
        let out_of_range = || NoBatches::OutOfRange(text.to_owned());
        if digits.len() == text.len() {
            let pcs = digits.parse().map_err(|_| out_of_range())?;
            return if pcs == 0 {
                Err(out_of_range())
            } else {
                Ok(Self::Pcs(pcs))
            };
        }
        match digits.parse() {
            Ok(percent @ 1..=100) => Ok(Self::Percent(percent)),
            Ok(_) | Err(_) => Err(out_of_range()),
        }
    }
}

impl fmt::Display for BatchSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pcs(pcs) => write!(f, "{pcs}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
            Self::Rest => f.write_str("rest"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(text: &str, total: usize) -> Vec<usize> {
        text.parse::<Batches>().unwrap().split(total)
    }

    #[test]
    fn every_size_takes_its_pcs() {
        assert_eq!(split("1,5,10%,rest", 200), [1, 5, 20, 174]);
        assert_eq!(split("1,5,10%,rest", 3), [1, 2]);
        // A share is rounded down, but never to nothing.
        assert_eq!(split("10%,rest", 25), [2, 23]);
        assert_eq!(split("10%,rest", 5), [1, 4]);
        assert_eq!(split("100%", 7), [7]);
        // The last repeats.
        assert_eq!(split("1, 4", 10), [1, 4, 4, 1]);
        assert_eq!(split("40%", 10), [4, 4, 2]);
        assert_eq!(split("rest", 0), [0_usize; 0]);
        assert_eq!(Batches::default().split(9), [9]);
    }

    #[test]
    fn what_is_no_list_is_refused_with_the_part_that_is_wrong() {
        let error = |text: &str| text.parse::<Batches>().unwrap_err();
        for (text, part) in [
            ("", ""),
            ("1,,2", ""),
            ("a", "a"),
            ("+1", "+1"),
            ("-1", "-1"),
            ("1.5", "1.5"),
            ("10 %", "10 %"),
            ("５", "５"),
            ("%", "%"),
            ("Rest", "Rest"),
        ] {
            assert_eq!(error(text), NoBatches::NoSize(part.into()), "{text}");
        }
        for part in ["0", "0%", "101%", "300%", "99999999999999999999999"] {
            let text = format!("1,{part}");
            assert_eq!(error(&text), NoBatches::OutOfRange(part.into()));
        }
        assert_eq!(error("rest,1"), NoBatches::AfterRest("1".into()));
    }

    fn sizes() -> impl Strategy<Value = Batches> {
        let size = prop_oneof![
            (1..500_usize).prop_map(BatchSize::Pcs),
            (1..=100_u8).prop_map(BatchSize::Percent),
        ];
        (proptest::collection::vec(size, 1..6), any::<bool>()).prop_map(|(mut sizes, rest)| {
            if rest {
                sizes.push(BatchSize::Rest);
            }
            Batches(sizes)
        })
    }

    proptest! {
        #[test]
        fn every_pc_is_in_exactly_one_batch(batches in sizes(), total in 0..3_000_usize) {
            let sizes = batches.split(total);
            prop_assert!(sizes.iter().all(|size| *size > 0));
            prop_assert_eq!(sizes.iter().sum::<usize>(), total);
        }

        #[test]
        fn what_is_printed_is_read_back(batches in sizes()) {
            prop_assert_eq!(batches.to_string().parse::<Batches>(), Ok(batches));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[0-9%,rest ]{0,12}|\\PC{0,8}") {
            if let Ok(batches) = text.parse::<Batches>() {
                prop_assert_eq!(batches.split(1_000).iter().sum::<usize>(), 1_000);
            }
        }
    }
}
