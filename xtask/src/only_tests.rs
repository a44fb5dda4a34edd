//! Which items of a file are there in tests alone, going by their attributes.

use proc_macro2::{TokenStream, TokenTree};
use syn::{Attribute, Meta};

/// Whether `tokens` of a `cfg` want `test`.
fn wants_test(tokens: TokenStream) -> bool {
    let mut negated = false;
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(word) => {
            negated = word == "not";
            word == "test"
        }
        TokenTree::Group(group) => !negated && wants_test(group.stream()),
        _ => false,
    })
}

/// Whether an item with these attributes is there in tests alone.
pub fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("cfg") => wants_test(list.tokens.clone()),
        _ => false,
    })
}
