//! The folder, with and without a package, a network, or a package worth the name.

use super::*;
use std::cell::Cell;
use std::fs;

/// Packages that are text: a line for each file in them.
struct Fake {
    /// What is downloaded; `None` without a network.
    package: Option<String>,
    downloads: Cell<u32>,
}

impl Source for Fake {
    fn newest(&self) -> Result<String> {
        Ok(format!("{PREFIX}9-cloud-amd64"))
    }

    fn download(&self, name: &str, folder: &Path) -> Result<()> {
        self.downloads.set(self.downloads.get() + 1);
        let package = self.package.as_ref().ok_or_else(|| Failure::new("apt-get failed: no network"))?;
        fs::write(folder.join(format!("{name}_9.1_amd64.deb")), package).unwrap();
        Ok(())
    }

    fn unpack(&self, package: &Path, folder: &Path) -> Result<()> {
        let text = fs::read_to_string(package).unwrap();
        if !text.ends_with("end\n") {
            return Err(Failure::new("dpkg-deb failed: unexpected end of file"));
        }
        for name in text.lines().filter(|line| *line != "end") {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, name).unwrap();
        }
        Ok(())
    }
}

fn whole_package() -> String {
    let modules = MODULES.iter().map(|name| format!("lib/modules/9/kernel/drivers/{name}.ko\n"));
    modules.collect::<String>() + "boot/vmlinuz-9-cloud-amd64\nboot/config-9\nend\n"
}

fn fake(package: Option<String>) -> Fake {
    Fake { package, downloads: Cell::new(0) }
}

fn names(folder: &Path) -> Vec<String> {
    entries(folder)
        .unwrap()
        .iter()
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect()
}

#[test]
fn a_kernel_is_downloaded_once_and_only_it_stays() {
    let folder = tempfile::tempdir().unwrap();
    let source = fake(Some(whole_package()));
    let kernel = find(&source, folder.path()).unwrap();
    assert_eq!(kernel.name, "linux-image-9-cloud-amd64_9.1_amd64");
    assert_eq!(fs::read_to_string(&kernel.image).unwrap(), "boot/vmlinuz-9-cloud-amd64");
    let modules: Vec<_> = kernel.modules.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    assert!(modules.iter().zip(MODULES).all(|(module, name)| module.ends_with(&format!("/{name}.ko"))));
    assert_eq!(names(folder.path()), [kernel.name.as_str()]);
    assert_eq!(find(&source, folder.path()).unwrap(), kernel);
    assert_eq!(source.downloads.get(), 1);
}

#[test]
fn without_a_network_the_failure_says_what_to_do_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let failure = find(&fake(None), folder.path()).unwrap_err();
    assert!(failure.what.contains("no network"), "{failure}");
    let remedy = failure.remedy.unwrap();
    assert!(remedy.contains("apt-get update") && remedy.contains(".deb"), "{remedy}");
    assert_eq!(names(folder.path()), [""; 0]);
}

#[test]
fn a_package_put_there_by_hand_is_used_without_a_network() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("linux-image-8-cloud-amd64_8.1_amd64.deb"), whole_package()).unwrap();
    let source = fake(None);
    assert_eq!(find(&source, folder.path()).unwrap().name, "linux-image-8-cloud-amd64_8.1_amd64");
    assert_eq!(source.downloads.get(), 0);
}

#[test]
fn a_package_that_is_cut_or_empty_is_named() {
    let without_a_module = whole_package().replace("/virtio_pci.ko", "/other.ko");
    for (package, why) in [
        (String::from("boot/vml"), "unexpected end of file"),
        (String::from("end\n"), "no virtio_ring.ko in it"),
        (without_a_module, "no virtio_pci.ko in it"),
        (whole_package().replace("vmlinuz", "bzimage"), "no vmlinuz-* in it"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("linux-image-8-cloud-amd64_8.1_amd64.deb");
        fs::write(&file, package).unwrap();
        let failure = find(&fake(None), folder.path()).unwrap_err();
        assert!(failure.what.contains(why) && failure.what.contains("8.1_amd64.deb"), "{failure}");
        assert!(failure.remedy.unwrap().contains("rm "));
        assert_eq!(names(folder.path()).len(), 1, "nothing but the package stays");
    }
}

#[test]
fn a_kernel_that_is_not_whole_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let source = fake(Some(whole_package()));
    let kernel = find(&source, folder.path()).unwrap();
    fs::remove_file(&kernel.modules[2]).unwrap();
    assert_eq!(find(&source, folder.path()).unwrap(), kernel);
    assert_eq!(source.downloads.get(), 2);
}

#[test]
fn the_kernel_is_found_among_what_a_package_depends_on() {
    let description = "Package: linux-image-cloud-amd64\nVersion: 6.1.9-2\n\
        Depends: linux-base, linux-image-6.1.0-56-cloud-amd64 (= 6.1.9-2)\nSize: 1\n";
    assert_eq!(dependency(description).as_deref(), Some("linux-image-6.1.0-56-cloud-amd64"));
    assert_eq!(dependency("Package: x\nDepends: y\n"), None);
    assert_eq!(dependency(""), None);
}

#[test]
fn a_file_that_is_no_package_is_refused_by_dpkg_itself() {
    if host::find_program("dpkg-deb").is_none() {
        eprintln!("skipped: there is no dpkg-deb");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("linux-image-8-cloud-amd64_8.1_amd64.deb");
    fs::write(&file, "!<arch>\nnot a package").unwrap();
    let failure = find(&Debian, folder.path()).unwrap_err();
    assert!(failure.what.contains("dpkg-deb failed"), "{failure}");
}
