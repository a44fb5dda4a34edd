//! Every public type of `pollproof` is documented by an example.
//!
//! That examples compile and pass is `cargo test`'s to check, and that there is documentation at all the lint's.
#![cfg(not(any(loom, shuttle)))]

mod common;

use common::{files, root};
use syn::{Attribute, Expr, ExprLit, Item, Lit, Meta, Visibility};

fn documentation(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The public types and traits of a file that have no example.
fn without_example(source: &str) -> Vec<String> {
    let file = syn::parse_file(source).expect("a Rust file");
    let types = file.items.iter().filter_map(|item| match item {
        Item::Struct(item) => Some((&item.attrs, &item.vis, &item.ident)),
        Item::Enum(item) => Some((&item.attrs, &item.vis, &item.ident)),
        Item::Trait(item) => Some((&item.attrs, &item.vis, &item.ident)),
        Item::Type(item) => Some((&item.attrs, &item.vis, &item.ident)),
        _ => None,
    });
    types
        .filter(|(attributes, visibility, _)| {
            matches!(visibility, Visibility::Public(_)) && !documentation(attributes).contains("```")
        })
        .map(|(_, _, name)| name.to_string())
        .collect()
}

#[test]
fn every_public_type_has_an_example() {
    let facade = root().join("core/src/sync");
    // Of the scenarios on it alone, and hidden.
    let simulated = root().join("core/src/sys/sim");
    let mut missing = Vec::new();
    for (path, text) in files("core/src") {
        // The facade's stand-ins under ThreadSanitizer have std's names, meaning and documentation.
        if path.starts_with(&facade) || path.starts_with(&simulated) {
            continue;
        }
        missing.extend(without_example(&text).into_iter().map(|name| format!("{}: {name}", path.display())));
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn a_type_without_an_example_is_found() {
    let source = "
        /// ```
        /// let example = A;
        /// ```
        #[derive(Debug)]
        pub struct A;
        /// In words.
        pub enum B {}
        pub(crate) trait C {}
        pub type D = A;
    ";
    assert_eq!(without_example(source), ["B", "D"]);
}
