//! This repository keeps the rules.
#![forbid(unsafe_code)]

use std::process::{Command, Output};
use tests_tidy::crates::{self, Crate};
use tests_tidy::tree::{self, File, root};
use tests_tidy::{Complaints, inventory, text};

fn files() -> Vec<File> {
    tree::files(&root())
}

fn cargo(arguments: &[&str]) -> Output {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    Command::new(cargo).args(arguments).current_dir(root()).output().expect("cargo starts")
}

fn all_crates() -> Vec<Crate> {
    let output = cargo(&["metadata", "--no-deps", "--format-version", "1", "--locked"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    crates::crates(&serde_json::from_slice(&output.stdout).expect("cargo writes JSON"))
}

#[track_caller]
fn none(complaints: Complaints) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn unsafe_code_is_forbidden_where_it_is_not_needed() {
    none(crates::unsafe_code(&all_crates(), &files()));
}

#[test]
fn every_crate_inherits_the_lints() {
    none(crates::workspace_lints(&all_crates(), &files()));
}

#[test]
fn every_crate_is_named_like_its_folder() {
    none(crates::names(&all_crates()));
}

#[test]
fn arrows_point_one_way() {
    none(crates::arrows(&all_crates()));
}

#[test]
fn cargo_run_means_one_program() {
    none(crates::one_program(&all_crates()));
}

#[test]
fn every_module_has_a_header() {
    none(text::headers(&files()));
}

#[test]
fn files_are_short() {
    none(text::lengths(&files()));
}

#[test]
fn nothing_is_unfinished() {
    none(text::unfinished(&files()));
}

#[test]
fn unsafe_code_has_reasons() {
    none(text::undocumented_unsafe(&files()));
}

#[test]
fn the_inventory_of_unsafe_code_is_right() {
    none(inventory::unsafe_inventory(&files()));
}

#[test]
fn whitespace_is_clean() {
    none(text::whitespace(&files()));
}

#[test]
fn no_file_names_this_machine() {
    none(text::machine_paths(&files(), &root().display().to_string()));
}

#[test]
fn the_top_level_is_what_the_layout_says() {
    none(tree::top_level(&files()));
}

#[test]
fn everything_is_text() {
    none(tree::no_binaries(&files()));
}

#[test]
fn the_source_is_formatted() {
    if !cargo(&["fmt", "--version"]).status.success() {
        println!("not checked, for want of rustfmt: rustup component add rustfmt");
        return;
    }
    let output = cargo(&["fmt", "--all", "--check", "--", "-l", "--color", "never"]);
    assert!(
        output.status.success(),
        "run cargo fmt; it would change:\n{}",
        String::from_utf8_lossy(&output.stdout)
    );
}
