//! Descriptors: the name of a state, the codecs of its parts, and its function if it has one.
//!
//! `ValueStateDescriptor::<u64>::new("count")` takes the codec of the type; `with_codec` takes
//! another; `namespaced` gives the state namespaces.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use alluvium_format::codec::{
    Codec, DefaultCodec, DefaultOrderedCodec, HasCodec, HasOrderedCodec, OrderedCodec,
};

use crate::{ListLayout, SortedKey, StateKey, StateTtl, StateValue};

mod stamped;

pub use stamped::Stamping;

/// Reduces a value into another.
pub type ReduceFunction<T> = Arc<dyn Fn(&mut T, T) + Send + Sync>;

/// How inputs are added to an accumulator and what comes out of it.
///
/// Source: Flink `AggregateFunction`.
pub trait AggregateFunction: Send + Sync + 'static {
    /// What is added.
    type Input;
    /// What is stored.
    type Accumulator: StateValue;
    /// What is read.
    type Output;

    /// The accumulator before the first input.
    fn create(&self) -> Self::Accumulator;
    /// Adds an input.
    fn add(&self, accumulator: &mut Self::Accumulator, input: Self::Input);
    /// The result so far.
    fn result(&self, accumulator: &Self::Accumulator) -> Self::Output;
    /// Adds another accumulator, when namespaces are merged.
    fn merge(&self, accumulator: &mut Self::Accumulator, other: &Self::Accumulator);
}

macro_rules! descriptor {
    (@default) => { DefaultCodec };
    (@default $default:ty) => { $default };
    (
        $(#[$doc:meta])*
        $name:ident<$($type:ident),+; $($codec:ident $field:ident $(or $default:ty)?),+>
        $({$(#[$function_doc:meta])* $function:ident: $of:ty})?
    ) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name<
            $($type,)+
            $($codec = descriptor!(@default $($default)?),)+
            N = (),
            NC = DefaultCodec,
        > {
            /// Name under which the state is stored.
            pub name: String,
            $(
                /// Codec of one part of the state.
                pub $field: $codec,
            )+
            /// Codec of the namespaces.
            pub namespace: NC,
            /// How long values live, if not for ever.
            pub ttl: Option<StateTtl>,
            $(
                $(#[$function_doc])*
                pub $function: $of,
            )?
            types: PhantomData<fn() -> ($($type,)+ N)>,
        }

        impl<$($type,)+ $($codec,)+ NC> $name<$($type,)+ $($codec,)+ (), NC> {
            /// Gives the state namespaces of a type with a codec of its own.
            #[must_use]
            pub fn namespaced<N: StateKey + HasCodec>(
                self,
            ) -> $name<$($type,)+ $($codec,)+ N, DefaultCodec> {
                self.namespaced_with(DefaultCodec)
            }

            /// Gives the state namespaces written by a codec.
            #[must_use]
            pub fn namespaced_with<N: StateKey, NC2: Codec<N>>(
                self,
                namespace: NC2,
            ) -> $name<$($type,)+ $($codec,)+ N, NC2> {
                $name {
                    name: self.name,
                    $($field: self.$field,)+
                    namespace,
                    ttl: self.ttl,
                    $($function: self.$function,)?
                    types: PhantomData,
                }
            }
        }

        impl<$($type,)+ $($codec,)+ N, NC> $name<$($type,)+ $($codec,)+ N, NC> {
            /// Lets values expire; handles and functions stay as they are. A restored state may
            /// get a time to live, or lose it.
            #[must_use]
            pub fn ttl(mut self, ttl: StateTtl) -> Self {
                self.ttl = Some(ttl);
                self
            }
        }

        impl<$($type,)+ $($codec,)+ N, NC> fmt::Debug for $name<$($type,)+ $($codec,)+ N, NC> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:?})"), self.name)
            }
        }
    };
}

descriptor!(
    /// Describes a [`ValueState`](crate::ValueState).
    ValueStateDescriptor<T; C value>
);
descriptor!(
    /// Describes a [`ListState`](crate::ListState).
    ListStateDescriptor<T; C element> {
        /// How a backend with rows keeps the list.
        layout: ListLayout
    }
);
descriptor!(
    /// Describes a [`MapState`](crate::MapState).
    MapStateDescriptor<UK, UV; KC user_key, VC user_value>
);
descriptor!(
    /// Describes a [`SortedMapState`](crate::SortedMapState).
    SortedMapStateDescriptor<UK, UV; KC user_key or DefaultOrderedCodec, VC user_value>
);
descriptor!(
    /// Describes a [`ReducingState`](crate::ReducingState).
    ReducingStateDescriptor<T; C value> {
        /// The function of the state.
        reduce: ReduceFunction<T>
    }
);
descriptor!(
    /// Describes an [`AggregatingState`](crate::AggregatingState).
    AggregatingStateDescriptor<A; C accumulator> {
        /// The function of the state.
        aggregate: A
    }
);

impl<T: StateValue + HasCodec> ValueStateDescriptor<T> {
    /// A value state of a type with a codec of its own.
    pub fn new(name: &str) -> Self {
        Self::with_codec(name, DefaultCodec)
    }
}

impl<T: StateValue, C: Codec<T>> ValueStateDescriptor<T, C> {
    /// A value state written by a codec.
    pub fn with_codec(name: &str, value: C) -> Self {
        Self {
            name: name.to_owned(),
            value,
            namespace: DefaultCodec,
            ttl: None,
            types: PhantomData,
        }
    }
}

impl<T: StateValue + HasCodec> ListStateDescriptor<T> {
    /// A list state of a type with a codec of its own.
    pub fn new(name: &str) -> Self {
        Self::with_codec(name, DefaultCodec)
    }
}

impl<T: StateValue, C: Codec<T>> ListStateDescriptor<T, C> {
    /// A list state whose elements are written by a codec.
    pub fn with_codec(name: &str, element: C) -> Self {
        let (name, layout) = (name.to_owned(), ListLayout::Whole);
        Self { name, element, namespace: DefaultCodec, ttl: None, layout, types: PhantomData }
    }
}

impl<T, C, N, NC> ListStateDescriptor<T, C, N, NC> {
    /// Chooses [`ListLayout::Long`]: appending, reading from a position and removing at either end
    /// then cost as much as the elements that they touch, on every backend. Reading all of it costs
    /// more than in one row. A restored list can be registered with either layout; RocksDB writes it
    /// anew when it is registered with another one.
    #[must_use]
    pub fn long(mut self) -> Self {
        self.layout = ListLayout::Long;
        self
    }
}

impl<UK: StateKey + HasCodec, UV: StateValue + HasCodec> MapStateDescriptor<UK, UV> {
    /// A map state of types with codecs of their own.
    pub fn new(name: &str) -> Self {
        Self::with_codecs(name, DefaultCodec, DefaultCodec)
    }
}

impl<UK: StateKey, UV: StateValue, KC: Codec<UK>, VC: Codec<UV>>
    MapStateDescriptor<UK, UV, KC, VC>
{
    /// A map state whose user keys and values are written by codecs.
    pub fn with_codecs(name: &str, user_key: KC, user_value: VC) -> Self {
        let (name, namespace) = (name.to_owned(), DefaultCodec);
        Self { name, user_key, user_value, namespace, ttl: None, types: PhantomData }
    }
}

impl<UK: SortedKey + HasOrderedCodec, UV: StateValue + HasCodec> SortedMapStateDescriptor<UK, UV> {
    /// A sorted map state of types with codecs of their own.
    pub fn new(name: &str) -> Self {
        Self::with_codecs(name, DefaultOrderedCodec, DefaultCodec)
    }
}

impl<UK: SortedKey, UV: StateValue, KC: OrderedCodec<UK>, VC: Codec<UV>>
    SortedMapStateDescriptor<UK, UV, KC, VC>
{
    /// A sorted map state whose user keys and values are written by codecs.
    pub fn with_codecs(name: &str, user_key: KC, user_value: VC) -> Self {
        let (name, namespace) = (name.to_owned(), DefaultCodec);
        Self { name, user_key, user_value, namespace, ttl: None, types: PhantomData }
    }
}

impl<T: StateValue + HasCodec> ReducingStateDescriptor<T> {
    /// A reducing state of a type with a codec of its own.
    pub fn new(name: &str, reduce: impl Fn(&mut T, T) + Send + Sync + 'static) -> Self {
        Self::with_codec(name, DefaultCodec, reduce)
    }
}

impl<T: StateValue, C: Codec<T>> ReducingStateDescriptor<T, C> {
    /// A reducing state written by a codec.
    pub fn with_codec(
        name: &str,
        value: C,
        reduce: impl Fn(&mut T, T) + Send + Sync + 'static,
    ) -> Self {
        let (name, reduce) = (name.to_owned(), Arc::new(reduce));
        Self { name, value, namespace: DefaultCodec, ttl: None, reduce, types: PhantomData }
    }
}

impl<A: AggregateFunction> AggregatingStateDescriptor<A>
where
    A::Accumulator: HasCodec,
{
    /// An aggregating state whose accumulator has a codec of its own.
    pub fn new(name: &str, aggregate: A) -> Self {
        Self::with_codec(name, DefaultCodec, aggregate)
    }
}

impl<A: AggregateFunction, C: Codec<A::Accumulator>> AggregatingStateDescriptor<A, C> {
    /// An aggregating state whose accumulator is written by a codec.
    pub fn with_codec(name: &str, accumulator: C, aggregate: A) -> Self {
        let name = name.to_owned();
        Self {
            name,
            accumulator,
            namespace: DefaultCodec,
            ttl: None,
            aggregate,
            types: PhantomData,
        }
    }
}
