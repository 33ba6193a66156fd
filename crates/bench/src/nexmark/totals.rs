//! What a query came to: how many results, and a digest that does not depend on their order.
//!
//! Invariants: totals of parts add up to those of the whole, in any order; results themselves are kept as
//! long as there are at most [`KEPT_ROWS`].

use std::fmt;

use nexmark::event::{Auction, Bid, Event, Person};
use xxhash_rust::xxh64::xxh64;

use crate::error::BenchError;
use crate::workload::spread;

/// Most results that are kept one by one.
pub(crate) const KEPT_ROWS: usize = 1_000;

/// A result.
pub(crate) trait Row: fmt::Debug + Send + 'static {
    /// Appends all of it; different results append different bytes.
    fn encode(&self, out: &mut Vec<u8>);
}

/// Some results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) count: u64,
    pub(crate) digest: u64,
    /// The results, in no order; `None` when there were too many.
    rows: Option<Vec<String>>,
}

/// What totals are made of, as it is stored.
pub(crate) type Parts = (u64, u64, Option<Vec<String>>);

impl Default for Totals {
    fn default() -> Self {
        Self { count: 0, digest: 0, rows: Some(Vec::new()) }
    }
}

impl From<Parts> for Totals {
    fn from((count, digest, rows): Parts) -> Self {
        Self { count, digest, rows }
    }
}

impl Totals {
    /// Adds a result; `buffer` is for its bytes, and is overwritten.
    pub(crate) fn add(&mut self, row: &impl Row, buffer: &mut Vec<u8>) {
        buffer.clear();
        row.encode(buffer);
        self.count += 1;
        self.digest = self.digest.wrapping_add(spread(xxh64(buffer, 0)));
        match &mut self.rows {
            Some(rows) if rows.len() < KEPT_ROWS => rows.push(format!("{row:?}")),
            rows => *rows = None,
        }
    }

    /// Totals of results.
    pub(crate) fn of(rows: impl IntoIterator<Item = impl Row>) -> Self {
        let (mut totals, mut buffer) = (Self::default(), Vec::new());
        rows.into_iter().for_each(|row| totals.add(&row, &mut buffer));
        totals
    }

    /// These, and those of other results.
    pub(crate) fn and(self, other: Self) -> Self {
        let rows = match (self.rows, other.rows) {
            (Some(mut rows), Some(more)) if rows.len() + more.len() <= KEPT_ROWS => {
                rows.extend(more);
                Some(rows)
            }
            _ => None,
        };
        let digest = self.digest.wrapping_add(other.digest);
        Self { count: self.count + other.count, digest, rows }
    }

    pub(crate) fn into_parts(self) -> Parts {
        (self.count, self.digest, self.rows)
    }

    /// Errors: [`BenchError::Wrong`] if these are not what was expected; where results were kept, it names
    /// the first that differs.
    pub(crate) fn check(&self, what: &'static str, expected: &Self) -> Result<(), BenchError> {
        let (own, right) = (self.sorted(), expected.sorted());
        let is_right = (self.count, self.digest) == (expected.count, expected.digest);
        if is_right && (own.is_none() || right.is_none() || own == right) {
            return Ok(());
        }
        let (own, right) = (own.unwrap_or_default(), right.unwrap_or_default());
        let at = own.iter().zip(&right).take_while(|(own, right)| own == right).count();
        let tell = |totals: &Self, rows: &[&str]| match rows.get(at) {
            Some(row) => format!("{totals}, with {row}"),
            None => totals.to_string(),
        };
        let (expected, found) = (tell(expected, &right), tell(self, &own));
        Err(BenchError::Wrong { what, expected, found })
    }

    fn sorted(&self) -> Option<Vec<&str>> {
        let mut rows: Vec<&str> = self.rows.as_ref()?.iter().map(String::as_str).collect();
        rows.sort_unstable();
        Some(rows)
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} results with digest {:016x}", self.count, self.digest)
    }
}

/// Appends a number.
pub(crate) fn put_number(number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(&number.to_le_bytes());
}

/// Appends a text with its length in front.
pub(crate) fn put_text(text: &str, out: &mut Vec<u8>) {
    put_number(text.len() as u64, out);
    out.extend_from_slice(text.as_bytes());
}

/// An event as it is, which Q0 results in.
impl Row for Event {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Person(Person {
                id,
                name,
                email_address,
                credit_card,
                city,
                state,
                date_time,
                extra,
            }) => {
                out.push(0);
                put_number(*id as u64, out);
                put_number(*date_time, out);
                for text in [name, email_address, credit_card, city, state, extra] {
                    put_text(text, out);
                }
            }
            Self::Auction(Auction {
                id,
                item_name,
                description,
                initial_bid,
                reserve,
                date_time,
                expires,
                seller,
                category,
                extra,
            }) => {
                out.push(1);
                for number in [id, initial_bid, reserve, seller, category] {
                    put_number(*number as u64, out);
                }
                put_number(*date_time, out);
                put_number(*expires, out);
                for text in [item_name, description, extra] {
                    put_text(text, out);
                }
            }
            Self::Bid(Bid { auction, bidder, price, channel, url, date_time, extra }) => {
                out.push(2);
                for number in [auction, bidder, price] {
                    put_number(*number as u64, out);
                }
                put_number(*date_time, out);
                for text in [channel, url, extra] {
                    put_text(text, out);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Number(u64);

    impl Row for Number {
        fn encode(&self, out: &mut Vec<u8>) {
            put_number(self.0, out);
        }
    }

    fn totals(numbers: impl IntoIterator<Item = u64>) -> Totals {
        Totals::of(numbers.into_iter().map(Number))
    }

    #[test]
    fn parts_add_up_in_any_order() {
        let whole = totals(1..=4);
        for parts in [[totals([1, 2]), totals([3, 4])], [totals([4]), totals([3, 1, 2])]] {
            let [first, second] = parts;
            first.clone().and(second.clone()).check("results", &whole).unwrap();
            second.and(first).check("results", &whole).unwrap();
        }
        let stored = Totals::from(whole.clone().into_parts());
        stored.check("results", &whole).unwrap();
    }

    #[test]
    fn the_first_result_that_differs_is_named() {
        let error = totals([1, 2, 4]).check("results of q5", &totals([1, 3, 4])).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("results of q5: expected 3 results with digest "), "{text}");
        assert!(text.contains(", with Number(3), found 3 results"), "{text}");
        assert!(text.ends_with(", with Number(2)"), "{text}");
        totals([1, 1]).check("twice", &totals([1])).unwrap_err();
        totals([]).check("none", &totals([1])).unwrap_err();
    }

    #[test]
    fn many_results_are_told_by_their_digest() {
        let kept = KEPT_ROWS as u64;
        let (many, others) = (totals(0..=kept), totals(1..=kept + 1));
        assert!(many.rows.is_none() && totals(0..kept).rows.is_some());
        assert_eq!(many.count, others.count);
        others.check("results", &many).unwrap_err();
        totals(0..kept).and(totals([kept])).check("results", &many).unwrap();
    }
}
