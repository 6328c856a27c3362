use super::Package;
use super::containers::{borrowed, zip};

pub(super) fn package(package: &Package) -> Vec<u8> {
    write(package, "", &[("lib/netstandard2.0/_._", b"".as_slice())])
}

pub(super) fn symbols(package: &Package) -> Vec<u8> {
    let path = format!("lib/netstandard2.0/{}.pdb", package.name);
    let types = "\n    <packageTypes>\n      <packageType name=\"SymbolsPackage\" />\n    \
                 </packageTypes>";
    // The signature with which a portable symbol file begins.
    write(package, types, &[(path.as_str(), b"BSJB\x01\x00\x01\x00".as_slice())])
}

fn write(package: &Package, types: &str, content: &[(&str, &[u8])]) -> Vec<u8> {
    let id = escaped(&package.name);
    let version = escaped(&package.version);
    let fields: String = package
        .fields
        .iter()
        .map(|(name, value)| format!("\n    <{name}>{value}</{name}>"))
        .collect();
    let nuspec = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n\
         <package xmlns=\"http://schemas.microsoft.com/packaging/2013/05/nuspec.xsd\">\n  \
         <metadata>\n    <id>{id}</id>\n    <version>{version}</version>\n    \
         <authors>Hayloft</authors>\n    <description>A package for tests</description>\
         {fields}{types}\n  </metadata>\n</package>\n"
    );
    let properties = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n\
         <coreProperties xmlns:dc=\"http://purl.org/dc/elements/1.1/\" \
         xmlns=\"http://schemas.openxmlformats.org/package/2006/metadata/core-properties\">\n  \
         <dc:creator>Hayloft</dc:creator>\n  <dc:identifier>{id}</dc:identifier>\n  \
         <version>{version}</version>\n</coreProperties>\n"
    );
    let nuspec_path = format!("{}.nuspec", package.name);
    let properties_path = "package/services/metadata/core-properties/5f2d.psmdcp";
    let relations = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n\
         <Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\">\n  \
         <Relationship Type=\"http://schemas.microsoft.com/packaging/2010/07/manifest\" \
         Target=\"/{nuspec_path}\" Id=\"R1\" />\n  \
         <Relationship Type=\"http://schemas.openxmlformats.org/package/2006/relationships/metadata/\
         core-properties\" Target=\"/{properties_path}\" Id=\"R2\" />\n</Relationships>\n"
    );
    let types = content_types(package, content);
    let frame = [
        ("_rels/.rels", relations.as_bytes()),
        (nuspec_path.as_str(), nuspec.as_bytes()),
        ("[Content_Types].xml", types.as_bytes()),
        (properties_path, properties.as_bytes()),
    ];
    zip(frame.into_iter().chain(content.iter().copied()).chain(borrowed(&package.files)))
}

/// Every extension in the archive has a content type; parts without one are named singly.
fn content_types(package: &Package, content: &[(&str, &[u8])]) -> String {
    let mut seen = vec!["rels", "nuspec", "psmdcp"];
    let mut more = String::new();
    let added = package.files.iter().map(|(path, _)| path.as_str());
    for path in content.iter().map(|(path, _)| *path).chain(added) {
        let file = path.rsplit('/').next().unwrap_or(path);
        match file.rsplit_once('.') {
            Some((_, extension)) if !extension.is_empty() => {
                if !seen.contains(&extension) {
                    seen.push(extension);
                    more.push_str(&format!(
                        "\n  <Default Extension=\"{}\" ContentType=\"application/octet\" />",
                        escaped(extension)
                    ));
                }
            }
            _ => more.push_str(&format!(
                "\n  <Override PartName=\"/{}\" ContentType=\"application/octet\" />",
                escaped(path)
            )),
        }
    }
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n\
         <Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\">\n  \
         <Default Extension=\"rels\" \
         ContentType=\"application/vnd.openxmlformats-package.relationships+xml\" />\n  \
         <Default Extension=\"nuspec\" ContentType=\"application/octet\" />\n  \
         <Default Extension=\"psmdcp\" \
         ContentType=\"application/vnd.openxmlformats-package.core-properties+xml\" />{more}\n\
         </Types>\n"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}
