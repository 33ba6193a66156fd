//! Prints the entries of a checkpoint or savepoint, whose types it does not know, a line for each:
//! `cargo run -p alluvium-inspect --example entries -- chk/wordcount/chk-1`.

use std::error::Error;
use std::io::Write;

use alluvium_inspect::{Checkpoint, Selection};

/// State, key group, and as JSON key, namespace and value.
pub(crate) fn print(uri: &str, out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    for entry in Checkpoint::open(uri)?.entries(Selection::default()) {
        let entry = entry?;
        let (key, value) = (entry.key_json()?, entry.value_json()?);
        let (state, namespace) = (&entry.state().name, entry.namespace_json()?);
        writeln!(out, "{state}\t{}\t{key}\t{namespace}\t{value}", entry.key_group)?;
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let uri = std::env::args().nth(1).ok_or("name a checkpoint: chk/wordcount/chk-1")?;
    print(&uri, &mut std::io::stdout().lock())
}
