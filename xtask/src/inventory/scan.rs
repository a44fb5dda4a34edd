//! Finds each `unsafe` of a Rust file, what it is in, and the reason that stands beside it.
//!
//! The syntax tree says where an `unsafe` is and of what kind; comments are not in it, so those come from the lines
//! above. Tests are left out. Not here: which check would see it broken.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use proc_macro2::{TokenStream, TokenTree};
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};
use syn::{Attribute, Expr, ExprLit, Lit, Meta};

use crate::only_tests::is_test;

/// So many lines above an `unsafe` its reason may begin.
const ABOVE: usize = 5;

/// What is unsafe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// It does what the compiler cannot check.
    Block,
    /// It demands something of its callers.
    Fn,
    /// It promises what the trait demands.
    Impl,
    /// It demands something of its implementations.
    Trait,
}

impl Kind {
    /// As the source spells it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Block => "block",
            Kind::Fn => "fn",
            Kind::Impl => "impl",
            Kind::Trait => "trait",
        }
    }
}

/// One `unsafe`.
#[derive(Debug, PartialEq)]
pub struct Site {
    /// The function, or the item, such as `Link::push` or `impl Sync for Link`.
    pub item: String,
    pub kind: Kind,
    /// What the comment or the documentation says, in one line.
    pub reason: String,
}

/// The sites of a file in their order.
pub fn file(text: &str) -> anyhow::Result<Vec<Site>> {
    let mut scan = Scan { lines: text.lines().collect(), ..Scan::default() };
    scan.visit_file(&syn::parse_file(text)?);
    if let Some(problem) = scan.problems.first() {
        anyhow::bail!("{problem}");
    }
    let all = count(text.parse().ok().context("no tokens")?);
    ensure!(
        all == scan.sites.len() + scan.in_tests,
        "{all} times `unsafe`, and {} of them where they are looked for: one is in a macro, or of a new kind",
        scan.sites.len() + scan.in_tests,
    );
    Ok(scan.sites)
}

/// Where the modules may be that are tests and that a file declares.
pub fn test_files(path: &Path, text: &str) -> anyhow::Result<Vec<PathBuf>> {
    let folder = folder(path);
    let parsed = syn::parse_file(text)?;
    let modules = parsed.items.iter().filter_map(|item| match item {
        syn::Item::Mod(module) if module.content.is_none() && is_test(&module.attrs) => Some(module.ident.to_string()),
        _ => None,
    });
    Ok(modules.flat_map(|name| [folder.join(format!("{name}.rs")), folder.join(name).join("mod.rs")]).collect())
}

/// Where the modules are that a file declares.
fn folder(path: &Path) -> PathBuf {
    let above = path.parent().unwrap_or(path);
    match path.file_stem().and_then(|stem| stem.to_str()) {
        Some("lib" | "mod") | None => above.to_owned(),
        Some(stem) => above.join(stem),
    }
}

/// How many times a stream of tokens says `unsafe`.
fn count(tokens: TokenStream) -> usize {
    let each = |token| match token {
        TokenTree::Ident(word) => usize::from(word == "unsafe"),
        TokenTree::Group(group) => count(group.stream()),
        _ => 0,
    };
    tokens.into_iter().map(each).sum()
}

/// Lines as one, without the links of rustdoc.
fn fold<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    let text = lines.map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once("[`") {
        out.push_str(before);
        out.push('`');
        let Some((name, after)) = after.split_once("`]") else {
            out.push_str(after);
            return out;
        };
        out.push_str(name);
        out.push('`');
        rest = after.strip_prefix('(').and_then(|target| target.split_once(')')).map_or(after, |(_, after)| after);
    }
    out + rest
}

/// What the documentation says below `# Safety`.
fn documented(attributes: &[Attribute]) -> Option<String> {
    let lines: Vec<String> = attributes
        .iter()
        .filter_map(|attribute| match &attribute.meta {
            Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
                Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
                _ => None,
            },
            _ => None,
        })
        .collect();
    let lines = lines.iter().map(|line| line.trim());
    let below = lines.skip_while(|line| *line != "# Safety").skip(1).take_while(|line| !line.starts_with("# "));
    let text = fold(below);
    (!text.is_empty()).then_some(text)
}

/// The `// Safety:` comment nearest above line `at`, which counts from 0.
fn commented(lines: &[&str], at: usize) -> Option<String> {
    let begin = (at.saturating_sub(ABOVE)..=at).rev().find(|line| lines[*line].contains("// Safety:"))?;
    let (_, first) = lines[begin].split_once("// Safety:")?;
    let more = lines[begin + 1..].iter().map_while(|line| line.trim().strip_prefix("//"));
    Some(fold(std::iter::once(first).chain(more)))
}

#[derive(Default)]
struct Scan<'a> {
    lines: Vec<&'a str>,
    /// Types, traits and functions that we are in.
    within: Vec<String>,
    /// The trait whose implementation we are in.
    implements: Option<String>,
    /// How many modules deep in tests.
    tests: usize,
    in_tests: usize,
    sites: Vec<Site>,
    problems: Vec<String>,
}

impl Scan<'_> {
    fn site(&mut self, kind: Kind, reason: Option<String>) {
        if self.tests > 0 {
            self.in_tests += 1;
            return;
        }
        let item = self.within.join("::");
        match reason {
            Some(reason) => self.sites.push(Site { item, kind, reason }),
            None => self.problems.push(format!("no reason at the unsafe {} of {item}", kind.name())),
        }
    }

    /// The reason beside the `unsafe` that begins at `span`.
    fn comment(&self, span: proc_macro2::Span) -> Option<String> {
        commented(&self.lines, span.start().line - 1)
    }

    fn function(&mut self, attributes: &[Attribute], signature: &syn::Signature, visit: impl FnOnce(&mut Self)) {
        let tests = usize::from(is_test(attributes));
        self.tests += tests;
        self.within.push(signature.ident.to_string());
        if signature.unsafety.is_some() {
            let inherited = || {
                let (of, name) = (self.implements.as_ref()?, &signature.ident);
                Some(format!("What `{of}::{name}` demands."))
            };
            self.site(Kind::Fn, documented(attributes).or_else(inherited));
        }
        visit(self);
        self.within.pop();
        self.tests -= tests;
    }
}

/// A type as the name of what is implemented for it: `Link` of `Link<T>`, `&[u8]`.
fn name_of(text: &str) -> String {
    let text = text.split('<').next().unwrap_or(text);
    text.replace("& ", "&").replace("[u8 ]", "[u8]").trim().to_owned()
}

impl<'ast> Visit<'ast> for Scan<'_> {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        let tests = usize::from(is_test(&module.attrs));
        self.tests += tests;
        visit::visit_item_mod(self, module);
        self.tests -= tests;
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.attrs, &item.sig, |scan| visit::visit_item_fn(scan, item));
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.attrs, &item.sig, |scan| visit::visit_impl_item_fn(scan, item));
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        self.function(&item.attrs, &item.sig, |scan| visit::visit_trait_item_fn(scan, item));
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.within.push(item.ident.to_string());
        if item.unsafety.is_some() {
            self.site(Kind::Trait, documented(&item.attrs));
        }
        visit::visit_item_trait(self, item);
        self.within.pop();
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let own = name_of(&item.self_ty.span().source_text().unwrap_or_default());
        let of = item.trait_.as_ref().and_then(|(_, path, _)| Some(path.segments.last()?.ident.to_string()));
        if let Some(unsafety) = &item.unsafety {
            self.within.push(format!("impl {} for {own}", of.as_deref().unwrap_or_default()));
            self.site(Kind::Impl, self.comment(unsafety.span));
            self.within.pop();
        }
        let outer = std::mem::replace(&mut self.implements, of);
        self.within.push(own);
        visit::visit_item_impl(self, item);
        self.within.pop();
        self.implements = outer;
    }

    fn visit_expr_unsafe(&mut self, block: &'ast syn::ExprUnsafe) {
        self.site(Kind::Block, self.comment(block.unsafe_token.span));
        visit::visit_expr_unsafe(self, block);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(text: &str) -> Vec<(String, &'static str, String)> {
        let sites = file(text).expect("a good file");
        sites.into_iter().map(|site| (site.item, site.kind.name(), site.reason)).collect()
    }

    fn row(item: &str, kind: &'static str, reason: &str) -> (String, &'static str, String) {
        (item.to_owned(), kind, reason.to_owned())
    }

    #[test]
    fn each_kind_is_found_with_its_item_and_its_reason() {
        let text = "
            // Safety: one line
            // and another.
            unsafe impl<T: Send> Sync for Link<T> {}
            impl<T> Link<T> {
                /// Takes it.
                ///
                /// # Safety
                ///
                /// The caller is [`alone`](Self::alone),
                /// and so on.
                ///
                /// # Panics
                ///
                /// Never.
                pub unsafe fn pop(&self) {
                    let call = || {
                        // Safety: alone.
                        unsafe { *self.0 }
                    };
                }
            }
            impl Out for &[u8] {
                unsafe fn append(&self) {}
            }
        ";
        let expected = [
            row("impl Sync for Link", "impl", "one line and another."),
            row("Link::pop", "fn", "The caller is `alone`, and so on."),
            row("Link::pop", "block", "alone."),
            row("&[u8]::append", "fn", "What `Out::append` demands."),
        ];
        assert_eq!(scan(text), expected);
    }

    #[test]
    fn tests_are_left_out_and_their_files_are_told() {
        let text = "
            #[cfg(all(test, not(any(loom, shuttle))))]
            mod tests;
            #[cfg(test)]
            mod inside { fn f() { unsafe { g() } } }
            #[cfg(not(test))]
            mod kept;
        ";
        assert_eq!(scan(text), []);
        let of = |path: &str| test_files(Path::new(path), text).expect("a good file");
        assert_eq!(of("src/a.rs"), ["src/a/tests.rs", "src/a/tests/mod.rs"].map(PathBuf::from));
        assert_eq!(of("src/a/mod.rs"), of("src/a.rs"));
        assert_eq!(of("src/lib.rs")[0], PathBuf::from("src/tests.rs"));
    }

    #[test]
    fn what_has_no_reason_or_is_nowhere_is_refused() {
        for text in [
            "fn f() { unsafe { g() } }",
            "unsafe impl Send for A {}",
            "unsafe fn f() {}",
            "// Safety: seen.\nfn f() { call!(unsafe { g() }) }",
            "// Safety: far away.\n\n\n\n\n\n\nfn f() { unsafe { g() } }",
        ] {
            assert!(file(text).is_err(), "{text}");
        }
        assert!(file("// Safety: near.\nfn f() { unsafe { g() } }").is_ok());
    }
}
