//! The fields of an index, in the order of its bytes, beside the tables of the specification.

use crate::{section, to_hex};

const TITLES: &str = "| size | field | meaning |";

/// A field, behind the names of the lists that it is in, and its bytes: `states: name`.
pub(crate) type Field = (&'static str, Vec<u8>);

/// A table: what stands in front of the names of its fields, its section, its first field.
pub(crate) type Table = (&'static str, &'static str, &'static str);

pub(crate) fn text(text: &str) -> Vec<u8> {
    [&u16::try_from(text.len()).unwrap().to_le_bytes(), text.as_bytes()].concat()
}

/// The index is made of these fields, and each table has the names and the sizes of its own, in their order.
pub(crate) fn compare(index: &[u8], fields: &[Field], tables: &[Table]) {
    let bytes: Vec<u8> = fields.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
    assert_eq!(to_hex(index), to_hex(&bytes));
    for (prefix, number, first) in tables {
        let of_spec = rows_of_table(number, first);
        let mut of_code: Vec<&str> = Vec::new();
        for (name, bytes) in fields {
            let Some(name) = name.strip_prefix(prefix) else { continue };
            let (name, is_list) =
                name.split_once(':').map_or((name, false), |(list, _)| (list, true));
            if !of_code.contains(&name) {
                of_code.push(name);
            }
            let size = of_spec.iter().find(|(_, field)| *field == name).map(|(size, _)| *size);
            let Some(size) = size.filter(|_| !is_list) else { continue };
            let len = bytes.len();
            let fits = match size {
                "text" => bytes.starts_with(&u16::try_from(len - 2).unwrap().to_le_bytes()),
                number => number.parse().map_or(true, |size: usize| size == len),
            };
            assert!(fits, "{name} of {number} has {len} bytes, not {size}");
        }
        let of_spec: Vec<_> = of_spec.into_iter().map(|(_, field)| field).collect();
        assert_eq!(of_spec, of_code, "table of {number} that begins with {first:?}");
    }
}

/// Size and name of each field of the table whose first field is this one.
fn rows_of_table(number: &str, first: &str) -> Vec<(&'static str, &'static str)> {
    let mut rest = section(number).lines();
    while let Some(line) = rest.next() {
        if line != TITLES {
            continue;
        }
        let rows = rest.by_ref().skip(1).map_while(|line| line.strip_prefix('|'));
        let cells = |row: &'static str| {
            let mut cells = row.split('|').map(str::trim);
            (cells.next().unwrap(), cells.next().unwrap())
        };
        let rows: Vec<_> = rows.map(cells).collect();
        if rows.first().is_some_and(|(_, field)| *field == first) {
            return rows;
        }
    }
    panic!("section {number} has no table that begins with {first:?}")
}
