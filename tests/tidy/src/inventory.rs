//! The inventory of unsafe code: what `SECURITY.md` says of each crate is so.

use crate::Complaints;
use crate::crates::MAY_USE_UNSAFE;
use crate::text::begins_unsafe;
use crate::tree::File;

/// The file with the inventory: a table with a row for each crate, `| kernel-arch | 41 | why |`.
const INVENTORY: &str = "SECURITY.md";

/// Every crate that may use unsafe code is in the table, with as many places as there are.
pub fn unsafe_inventory(files: &[File]) -> Complaints {
    let Some(table) = files.iter().find(|file| file.path == INVENTORY) else {
        return vec![format!("{INVENTORY} is missing")];
    };
    let mut complaints = Complaints::new();
    for (name, _) in MAY_USE_UNSAFE {
        // Names of folders have dashes, too.
        let folder = format!("{name}-src-");
        let is_inside = |file: &&File| file.path.replace('/', "-").starts_with(&folder);
        let sources = files.iter().filter(|file| file.is_rust()).filter(is_inside);
        let found = sources.flat_map(File::lines).filter(|(_, line)| begins_unsafe(line.trim())).count();
        match row(table, name) {
            Some(said) if said == found => {}
            Some(said) => complaints.push(format!("{INVENTORY}: {name} has {found} places, not {said}")),
            None => complaints.push(format!("{INVENTORY}: no row for {name}, which has {found} places")),
        }
    }
    complaints
}

/// The number in the row of a crate.
fn row(table: &File, name: &str) -> Option<usize> {
    let mut cells = table.lines().map(|(_, line)| line.split('|').map(str::trim).collect::<Vec<_>>());
    let found = cells.find(|cells| cells.get(1) == Some(&name))?;
    found.get(2)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(table: &str, source: &str) -> Vec<File> {
        vec![File::new(INVENTORY, table), File::new("kernel/arch/src/lib.rs", source)]
    }

    fn complaints_about_arch(table: &str) -> usize {
        let source = concat!("let x = uns", "afe { y() };\nlet z = 1;\nuns", "afe impl Send for X {}\n");
        let all = unsafe_inventory(&tree(table, source));
        all.iter().filter(|complaint| complaint.contains("kernel-arch")).count()
    }

    #[test]
    fn a_row_must_say_what_there_is() {
        assert_eq!(complaints_about_arch("| kernel-arch | 2 | because |\n"), 0);
        assert_eq!(complaints_about_arch("| kernel-arch | 1 | because |\n"), 1);
        assert_eq!(complaints_about_arch("| kernel-boot | 2 | because |\n"), 1);
        assert_eq!(unsafe_inventory(&[]).len(), 1);
    }
}
