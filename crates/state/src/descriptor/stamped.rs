//! Descriptors of states with a time to live turn into those of what is stored: values with stamps.

use std::marker::PhantomData;

use alluvium_format::codec::{Stamped, TtlCodec};

use super::{
    AggregateFunction, AggregatingStateDescriptor, ListStateDescriptor, MapStateDescriptor,
    ReducingStateDescriptor, SortedMapStateDescriptor, ValueStateDescriptor,
};
use crate::ttl::{StateTtl, TtlAggregate, ttl_reduce};
use crate::{StateError, StateValue};

/// How a state is to be stored.
#[derive(Debug)]
pub enum Stamping<P, S> {
    /// As the descriptor says.
    Off(P),
    /// With stamps: as this descriptor says.
    On(S, StateTtl),
}

/// `with_stamps` of a descriptor: its stored values are `$stored`, their codecs `$codec`.
macro_rules! stamping {
    (
        $name:ident<$($type:ident $(: $bound:path)?),+; $($codec:ident),+> as <$($stored:ty),+; $($ttl_codec:ty),+>
        , {$($plain:ident)?} $field:ident
        $(, $function:ident: $wrap:expr)?
    ) => {
        impl<$($type $(: $bound)?,)+ $($codec,)+ N, NC> $name<$($type,)+ $($codec,)+ N, NC> {
            /// For backends: the descriptor of what is stored, which has no time to live itself.
            ///
            /// Errors: [`StateError::InvalidTtl`].
            pub fn with_stamps(
                mut self,
            ) -> Result<Stamping<Self, $name<$($stored,)+ $($ttl_codec,)+ N, NC>>, StateError> {
                let Some(ttl) = self.ttl.take() else { return Ok(Stamping::Off(self)) };
                ttl.check(&self.name)?;
                let stamped = $name {
                    name: self.name,
                    $($plain: self.$plain,)?
                    $field: ttl.codec(self.$field),
                    namespace: self.namespace,
                    ttl: None,
                    $($function: $wrap(self.$function, ttl.clone()),)?
                    types: PhantomData,
                };
                Ok(Stamping::On(stamped, ttl))
            }
        }
    };
}

stamping!(ValueStateDescriptor<T; C> as <Stamped<T>; TtlCodec<C>>, {} value);
stamping!(ListStateDescriptor<T; C> as <Stamped<T>; TtlCodec<C>>, {layout} element);
stamping!(
    MapStateDescriptor<UK, UV; KC, VC> as <UK, Stamped<UV>; KC, TtlCodec<VC>>,
    {user_key} user_value
);
stamping!(
    SortedMapStateDescriptor<UK, UV; KC, VC> as <UK, Stamped<UV>; KC, TtlCodec<VC>>,
    {user_key} user_value
);
stamping!(
    ReducingStateDescriptor<T: StateValue; C> as <Stamped<T>; TtlCodec<C>>, {} value,
    reduce: ttl_reduce
);
stamping!(
    AggregatingStateDescriptor<A: AggregateFunction; C> as <TtlAggregate<A>; TtlCodec<C>>,
    {} accumulator, aggregate: |function, ttl| TtlAggregate { function, ttl }
);
