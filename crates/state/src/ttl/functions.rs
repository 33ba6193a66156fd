//! Functions of reducing and aggregating states, over values with stamps.
//!
//! Source: Flink `TtlReduceFunction`, `TtlAggregateFunction`.

use std::sync::Arc;

use super::{Stamped, StateTtl};
use crate::{AggregateFunction, ReduceFunction};

/// Reduces into what is visible at the stamp of the added value, and begins anew otherwise.
pub(crate) fn ttl_reduce<T: 'static>(
    reduce: ReduceFunction<T>,
    ttl: StateTtl,
) -> ReduceFunction<Stamped<T>> {
    Arc::new(move |reduced: &mut Stamped<T>, added: Stamped<T>| {
        if ttl.at(added.stamp_ms).is_visible(reduced.stamp_ms) {
            reduce(&mut reduced.value, added.value);
            reduced.stamp_ms = added.stamp_ms;
        } else {
            *reduced = added;
        }
    })
}

/// An aggregate function whose accumulator has a stamp. An input comes with its time, and a result
/// with the stamp of the accumulator.
#[derive(Debug)]
pub struct TtlAggregate<A> {
    pub(crate) function: A,
    pub(crate) ttl: StateTtl,
}

impl<A: AggregateFunction> AggregateFunction for TtlAggregate<A> {
    type Input = Stamped<A::Input>;
    type Accumulator = Stamped<A::Accumulator>;
    type Output = Stamped<A::Output>;

    /// It gets its stamp with the first input.
    fn create(&self) -> Self::Accumulator {
        Stamped { stamp_ms: i64::MAX, value: self.function.create() }
    }

    fn add(&self, accumulator: &mut Self::Accumulator, input: Self::Input) {
        if !self.ttl.at(input.stamp_ms).is_visible(accumulator.stamp_ms) {
            accumulator.value = self.function.create();
        }
        accumulator.stamp_ms = input.stamp_ms;
        self.function.add(&mut accumulator.value, input.value);
    }

    fn result(&self, accumulator: &Self::Accumulator) -> Self::Output {
        let value = self.function.result(&accumulator.value);
        Stamped { stamp_ms: accumulator.stamp_ms, value }
    }

    fn merge(&self, accumulator: &mut Self::Accumulator, other: &Self::Accumulator) {
        self.function.merge(&mut accumulator.value, &other.value);
        accumulator.stamp_ms = accumulator.stamp_ms.max(other.stamp_ms);
    }
}
