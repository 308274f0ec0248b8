//! From a file to a checked [`Config`].

use std::path::Path;

use toml::de::DeTable;

use super::errors::{ConfigErrors, Problems};
use super::table::Table;
use super::{Config, sections};

impl Config {
    /// Reads and checks a file. It waits for the disk: for starting and reloading, not for async threads.
    ///
    /// # Errors
    /// Everything that is wrong with the file, at once.
    pub fn load(path: &Path) -> Result<Self, ConfigErrors> {
        let bytes = std::fs::read(path).map_err(|error| ConfigErrors::unreadable(path, &error))?;
        match std::str::from_utf8(&bytes) {
            Ok(text) => Self::parse(text, path),
            Err(error) => Err(ConfigErrors::not_utf8(path, &bytes, error.valid_up_to())),
        }
    }

    /// Checks the text of a file. `origin` names it in messages, and relative paths start from its folder.
    ///
    /// # Errors
    /// Everything that is wrong with the text, at once.
    pub fn parse(text: &str, origin: &Path) -> Result<Self, ConfigErrors> {
        let mut problems = Problems::new(text);
        let (root, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            problems.syntax(&error.span().unwrap_or(0..0), error.message());
        }
        // Engines are given these paths, and they have another working directory.
        let place = std::path::absolute(origin).unwrap_or_else(|_| origin.to_owned());
        let folder = place.parent().unwrap_or(Path::new("/"));
        let config = Table::root(&sections::ROOT, root.into_inner(), &problems)
            .read(|root| sections::config(root, folder));
        problems.settle(config, origin)
    }
}
