//! Java's `hashCode` of the key types that Flink jobs use.
//!
//! Invariants: equal to what `Object.hashCode` returns on a JVM, wrap-around included.
//! Source: the Java SE API documentation of each class; Flink `TupleN.hashCode`.

/// A type whose hash code on the JVM is known.
pub trait JavaHash {
    /// The value of `hashCode()` of the Java counterpart.
    fn java_hash(&self) -> i32;
}

macro_rules! by_value {
    ($($type:ty => $java:literal),*) => {$(
        #[doc = concat!("Java `", $java, "`: the value itself.")]
        impl JavaHash for $type {
            fn java_hash(&self) -> i32 {
                i32::from(*self)
            }
        }
    )*};
}

by_value!(i8 => "Byte", i16 => "Short", i32 => "Integer", u16 => "Character");

/// Java `Long`: both halves, folded.
impl JavaHash for i64 {
    fn java_hash(&self) -> i32 {
        fold(self.cast_unsigned())
    }
}

/// Java `Boolean`.
impl JavaHash for bool {
    fn java_hash(&self) -> i32 {
        if *self { 1231 } else { 1237 }
    }
}

/// Java `Float`: the bits, with one bit pattern for all NaN.
impl JavaHash for f32 {
    fn java_hash(&self) -> i32 {
        let bits = if self.is_nan() { 0x7fc0_0000 } else { self.to_bits() };
        bits.cast_signed()
    }
}

/// Java `Double`: the bits folded, with one bit pattern for all NaN.
impl JavaHash for f64 {
    fn java_hash(&self) -> i32 {
        fold(if self.is_nan() { 0x7ff8_0000_0000_0000 } else { self.to_bits() })
    }
}

/// Java `String`: over UTF-16 units.
impl JavaHash for str {
    fn java_hash(&self) -> i32 {
        java_hash_of_utf16(self.encode_utf16())
    }
}

/// Java `String`: over UTF-16 units.
impl JavaHash for String {
    fn java_hash(&self) -> i32 {
        self.as_str().java_hash()
    }
}

macro_rules! tuple {
    ($first:ident $($rest:ident)*) => {
        /// Flink `TupleN`: 31 times the hash so far, plus that of the next field.
        impl<$first: JavaHash, $($rest: JavaHash),*> JavaHash for ($first, $($rest,)*) {
            #[expect(non_snake_case, reason = "one name for the type and the field of that type")]
            fn java_hash(&self) -> i32 {
                let ($first, $($rest,)*) = self;
                let hash = $first.java_hash();
                $(let hash = hash.wrapping_mul(31).wrapping_add($rest.java_hash());)*
                hash
            }
        }
    };
}

tuple!(A);
tuple!(A B);
tuple!(A B C);
tuple!(A B C D);
tuple!(A B C D E);
tuple!(A B C D E F);

/// Java `String.hashCode` of UTF-16 units, which may hold lone surrogates.
pub fn java_hash_of_utf16(units: impl IntoIterator<Item = u16>) -> i32 {
    units.into_iter().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

/// Java `BigInteger.hashCode` of a sign and a big-endian magnitude (leading zeros do not count).
pub fn java_hash_of_big_integer(is_negative: bool, magnitude: &[u8]) -> i32 {
    let hash = magnitude.rchunks(4).rev().fold(0_i32, |hash, word| {
        let word = word.iter().fold(0_u32, |word, &byte| word << 8 | u32::from(byte));
        hash.wrapping_mul(31).wrapping_add(word.cast_signed())
    });
    if is_negative { hash.wrapping_neg() } else { hash }
}

#[expect(clippy::cast_possible_truncation, reason = "the low half is what is wanted")]
fn fold(bits: u64) -> i32 {
    ((bits ^ (bits >> 32)) as u32).cast_signed()
}
