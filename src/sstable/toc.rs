//! TOC.txt: the components of an SSTable, one name a line, in any order; a name may stand there twice.

use super::component::Component;
use super::descriptor::Descriptor;
use crate::error::{DecodeError, DecodeErrorKind, Error, Result};
use crate::io::InputFile;

/// Far more than the files of any number of attached indexes.
const MAX_LEN: u64 = 1 << 20;

/// The list of components of one SSTable.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Toc {
    components: Vec<Component>,
}

impl Toc {
    /// Reads TOC.txt; `None` if there is none.
    pub fn read(descriptor: &Descriptor) -> Result<Option<Self>> {
        let path = descriptor.path(Component::Toc);
        let bytes = match InputFile::read_all(&path, MAX_LEN) {
            Ok(bytes) => bytes,
            Err(Error::Input { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let text = std::str::from_utf8(&bytes).map_err(|e| {
            DecodeError::new(DecodeErrorKind::Utf8 { what: "TOC.txt" }, e.valid_up_to() as u64)
                .in_file(&path)
        })?;
        Ok(Some(Self::parse(text)))
    }

    fn parse(text: &str) -> Self {
        let mut components: Vec<_> =
            text.lines().filter_map(|line| Component::parse(line.trim())).collect();
        components.sort();
        components.dedup();
        Self { components }
    }

    /// The components, each once.
    pub fn components(&self) -> &[Component] {
        &self.components
    }

    /// True if the component is listed.
    pub fn lists(&self, component: &Component) -> bool {
        self.components.binary_search(component).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_are_listed_whatever_the_order_and_the_line_ends() {
        let toc = Toc::parse("TOC.txt\r\nData.db\n\nData.db\nSI_x.db");
        assert_eq!(
            toc.components(),
            [Component::Data, Component::Toc, Component::SecondaryIndex("SI_x.db".into())]
        );
        assert!(toc.lists(&Component::Data));
        assert!(!toc.lists(&Component::CompressionInfo));
    }

    #[test]
    fn real_lists_name_the_files_that_are_there() {
        for descriptor in crate::sstable::fixtures::sstables() {
            let toc = Toc::read(&descriptor).unwrap().unwrap();
            assert!(toc.lists(&Component::Data) && toc.lists(&Component::Statistics));
            // One of the fixtures of 2.1 came without its Summary.db.
            let known =
                |c: &&Component| **c != Component::Summary || !descriptor.version.has_atoms();
            for component in toc.components().iter().filter(known) {
                assert!(descriptor.path(component).is_file(), "{descriptor}: {component}");
            }
        }
        let absent = Descriptor::parse(std::path::Path::new("/nowhere/nb-1-big-Data.db"));
        assert_eq!(Toc::read(&absent.unwrap().unwrap().0).unwrap(), None);
    }
}
