//! Takes the published russh source from cargo's own store, applies `patches/`, and leaves the
//! result in `OUT_DIR`, where `lib.rs` includes it. No third-party source lives in this repository.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use diffy::patch_set::{ParseOptions, PatchSet};

const UPSTREAM: &str = "russh";
const VERSION: &str = env!("CARGO_PKG_VERSION");

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=patches");
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(env::var("OUT_DIR")?).join("src");
    let upstream = match registry_source() {
        Some(found) => found,
        None => metadata_source(&here)?,
    };
    if out.exists() {
        fs::remove_dir_all(&out)?;
    }
    copy_tree(&upstream.join("src"), &out)?;
    let mut patches: Vec<PathBuf> =
        fs::read_dir(here.join("patches"))?.map(|entry| entry.map(|e| e.path())).collect::<Result<_, _>>()?;
    patches.retain(|path| path.extension().is_some_and(|e| e == "patch"));
    patches.sort();
    for patch in patches {
        apply(&patch, &out).map_err(|e| format!("{}: {e}", patch.display()))?;
    }
    Ok(())
}

/// The source where cargo unpacks what it downloads.
fn registry_source() -> Option<PathBuf> {
    let home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")))?;
    fs::read_dir(home.join("registry/src"))
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path().join(format!("{UPSTREAM}-{VERSION}"))))
        .find(|path| path.join("src/lib_inner.rs").is_file())
}

/// Asks cargo, which downloads the source where it is missing, and knows vendored folders.
fn metadata_source(here: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--format-version", "1", "--locked", "--manifest-path"])
        .arg(here.join("Cargo.toml"))
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let manifest = metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|p| p["name"] == UPSTREAM && p["version"] == VERSION)
        .and_then(|p| p["manifest_path"].as_str())
        .ok_or("cargo metadata does not list russh")?;
    Ok(Path::new(manifest).parent().ok_or("odd manifest path")?.into())
}

fn copy_tree(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else {
            fs::write(target, fs::read(entry.path())?)?;
        }
    }
    Ok(())
}

fn apply(patch: &Path, out: &Path) -> Result<(), Box<dyn Error>> {
    let text = fs::read_to_string(patch)?;
    for file in PatchSet::parse(&text, ParseOptions::unidiff()) {
        let file = file?;
        let operation = file.operation().strip_prefix(1);
        let diffy::patch_set::FileOperation::Modify { modified, .. } = operation else {
            return Err("only changes to files are expected".into());
        };
        let target = out.parent().ok_or("no parent")?.join(&*modified);
        let before = fs::read_to_string(&target)?;
        let hunks = file.patch().as_text().ok_or("a text patch is expected")?;
        fs::write(&target, diffy::apply(&before, hunks)?)?;
    }
    Ok(())
}
