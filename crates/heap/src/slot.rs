//! How an entry lies in its segment: in place, or behind a pointer.
//!
//! An entry without anything to drop is copied with its segment. Any other lies behind an `Arc`:
//! copying a segment then costs one count per entry, whatever its keys and values own, and only
//! the entry that is written to is cloned.

use triomphe::Arc;

/// Entries of segments: plain values to the segment, which knows nothing of keys.
pub trait Entry: Clone + Send + Sync + 'static {
    /// Entries per segment, on average, beyond which one is split.
    const SPLIT_AT: usize;
    /// What is left of an entry when it is removed: enough to say which one it was.
    type Removed: Clone + Send + Sync + 'static;

    /// Gives the rest up.
    fn into_removed(self) -> Self::Removed;
}

/// An entry of a key, a namespace and a state.
pub trait Slot: Entry<Removed = (Self::Key, Self::Namespace)> {
    /// The key.
    type Key: Clone + Send + Sync + 'static;
    /// The namespace.
    type Namespace: Clone + Send + Sync + 'static;
    /// The state.
    type State: Clone + Send + Sync + 'static;

    /// Whether what is read of an entry lies behind a pointer.
    const IS_SHARED: bool;

    /// Makes an entry.
    fn new(key: Self::Key, namespace: Self::Namespace, state: Self::State) -> Self;
    /// Its key.
    fn key(&self) -> &Self::Key;
    /// Its namespace.
    fn namespace(&self) -> &Self::Namespace;
    /// Its state.
    fn state(&self) -> &Self::State;
    /// Its state, to be changed; copied first if a frozen map shares it.
    fn state_mut(&mut self) -> &mut Self::State;
    /// Key and namespace.
    fn into_pair(self) -> (Self::Key, Self::Namespace);
}

/// An entry in place.
#[derive(Debug, Clone)]
pub struct InlineSlot<K, N, S>(K, N, S);

/// An entry that frozen maps share.
#[derive(Debug)]
pub struct SharedSlot<K, N, S>(Arc<(K, N, S)>);

impl<K, N, S> Clone for SharedSlot<K, N, S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// Largest entry in bytes that lies in place.
const MAX_INLINE_LEN_BYTES: usize = 4096;

/// Whether entries of these types lie behind a pointer.
pub(crate) const fn is_shared<K, N, S>() -> bool {
    std::mem::needs_drop::<(K, N, S)>() || size_of::<(K, N, S)>() > MAX_INLINE_LEN_BYTES
}

/// What the entries of a segment should weigh, in bytes, on average; one that is about to be split
/// weighs twice that.
const SEGMENT_LEN_BYTES: usize = 29 * 1024;
/// Most entries of a segment on average: twice that many just fit into 4,096 buckets.
const MAX_SPLIT_AT: usize = 1740;
/// The same for entries behind pointers, where copying a segment touches each of them.
const MAX_SHARED_SPLIT_AT: usize = 512;

/// Entries in place per segment, on average.
const fn inline_split_at(len_bytes: usize) -> usize {
    let entries = SEGMENT_LEN_BYTES / (len_bytes + 1);
    if entries < 16 {
        16
    } else if entries > MAX_SPLIT_AT {
        MAX_SPLIT_AT
    } else {
        entries
    }
}

macro_rules! slot_of {
    ($slot:ident, $is_shared:expr, $split_at:expr, $make:expr, $this:ident => $parts:expr, $state_mut:expr, $pair:expr) => {
        impl<K, N, S> Slot for $slot<K, N, S>
        where
            K: Clone + Send + Sync + 'static,
            N: Clone + Send + Sync + 'static,
            S: Clone + Send + Sync + 'static,
        {
            type Key = K;
            type Namespace = N;
            type State = S;

            const IS_SHARED: bool = $is_shared;

            #[inline]
            fn new(key: K, namespace: N, state: S) -> Self {
                let make: fn(K, N, S) -> Self = $make;
                make(key, namespace, state)
            }

            #[inline]
            fn key(&self) -> &K {
                let $this = self;
                &$parts.0
            }

            #[inline]
            fn namespace(&self) -> &N {
                let $this = self;
                &$parts.1
            }

            #[inline]
            fn state(&self) -> &S {
                let $this = self;
                &$parts.2
            }

            #[inline]
            fn state_mut(&mut self) -> &mut S {
                let state_mut: fn(&mut Self) -> &mut S = $state_mut;
                state_mut(self)
            }

            fn into_pair(self) -> (K, N) {
                let pair: fn(Self) -> (K, N) = $pair;
                pair(self)
            }
        }

        impl<K, N, S> Entry for $slot<K, N, S>
        where
            K: Clone + Send + Sync + 'static,
            N: Clone + Send + Sync + 'static,
            S: Clone + Send + Sync + 'static,
        {
            const SPLIT_AT: usize = $split_at;

            type Removed = (K, N);

            fn into_removed(self) -> (K, N) {
                self.into_pair()
            }
        }
    };
}

slot_of!(
    InlineSlot,
    false,
    inline_split_at(size_of::<Self>()),
    |key, namespace, state| Self(key, namespace, state),
    this => this,
    |this| &mut this.2,
    |this| (this.0, this.1)
);
slot_of!(
    SharedSlot,
    true,
    MAX_SHARED_SPLIT_AT,
    |key, namespace, state| Self(Arc::new((key, namespace, state))),
    this => this.0,
    |this| &mut Arc::make_mut(&mut this.0).2,
    |this| match Arc::try_unwrap(this.0) {
        Ok((key, namespace, _)) => (key, namespace),
        Err(shared) => (shared.0.clone(), shared.1.clone()),
    }
);
