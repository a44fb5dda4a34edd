//! Hands `--cfg loom` and `--cfg shuttle` on to rustdoc, which does not see RUSTFLAGS: without this the doc
//! tests of a checker's build would look for the reactor, which that build leaves out. Does nothing else.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for checker in ["loom", "shuttle"] {
        if std::env::var_os(format!("CARGO_CFG_{}", checker.to_uppercase())).is_some() {
            println!("cargo::rustc-cfg={checker}");
        }
    }
}
